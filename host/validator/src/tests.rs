//! Schemas whose checking would cost too much, and those that only look like it.
#![allow(clippy::unwrap_used)]

use jsonschema::Draft;
use serde_json::{Value, json};

use super::{Document, Validator, Verdict, message};

fn compiled(schema: &Value) -> Validator {
    let draft = Draft::default().detect(schema);
    let document = Document::new(schema, draft, "sandbar://test/").unwrap();
    document.validator("").unwrap()
}

/// The same answers as a validator that has no bound, for data that costs little.
fn agrees(schema: &Value, data: &[Value]) {
    let bounded = compiled(schema);
    let free = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap();
    for one in data {
        let fits = match bounded.verdict(one, None) {
            Verdict::Fits => true,
            Verdict::Refused => false,
            Verdict::Stopped => panic!("stopped: {schema} {one}"),
        };
        assert_eq!(fits, free.is_valid(one), "{schema} {one}");
        if !fits {
            let text = |error: &jsonschema::ValidationError<'_>| {
                let place = error.instance().to_string();
                (message(error, &place), error.instance_path().to_string())
            };
            let found = bounded.errors(one, 100, text);
            assert!(found.complete, "{schema} {one}");
            let unbounded = |error: jsonschema::ValidationError<'_>| {
                (error.to_string(), error.instance_path().to_string())
            };
            let mut all: Vec<_> = free.iter_errors(one).map(unbounded).collect();
            let mut listed = found.listed;
            all.sort();
            listed.sort();
            assert_eq!(listed, all, "{schema} {one}");
        }
    }
}

fn said(error: &jsonschema::ValidationError<'_>) -> String {
    error.to_string()
}

fn nested(depth: usize) -> Value {
    (0..depth).fold(json!(1), |inner, _| json!([inner]))
}

/// Each schema asks the one before twice; the first is `last`.
fn chain(keyword: &str, links: usize, last: &Value, draft: &str) -> Value {
    let mut definitions = json!({"a0": last});
    for link in 1..=links {
        let one = json!({"$ref": format!("#/definitions/a{}", link - 1)});
        definitions[format!("a{link}")] = json!({keyword: [one, one]});
    }
    json!({"$schema": draft, "definitions": definitions,
        "allOf": [{"$ref": format!("#/definitions/a{links}")}]})
}

const DRAFTS: [&str; 5] = [
    "http://json-schema.org/draft-04/schema#",
    "http://json-schema.org/draft-06/schema#",
    "http://json-schema.org/draft-07/schema#",
    "https://json-schema.org/draft/2019-09/schema",
    "https://json-schema.org/draft/2020-12/schema",
];

fn twice_itself() -> Value {
    json!({"$defs": {"n": {"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/n"}},
        {"type": "array", "items": {"$ref": "#/$defs/n"}},
        {"type": "string"}]}}, "$ref": "#/$defs/n"})
}

#[test]
fn errors_of_alternatives_inside_of_alternatives_are_bounded() {
    let validator = compiled(&twice_itself());
    assert!(!validator.is_plain());
    for depth in [3, 18, 40, 100] {
        let data = nested(depth);
        assert_eq!(validator.verdict(&data, None), Verdict::Refused);
        let found = validator.errors(&data, 20, said);
        assert_eq!(found.complete, depth == 3, "{depth}");
        assert!(found.listed.len() <= 20);
    }
    let fits = (0..100).fold(json!("a"), |inner, _| json!([inner]));
    assert_eq!(validator.verdict(&fits, None), Verdict::Fits);
}

#[test]
fn chains_of_references_stop_in_every_draft() {
    for draft in DRAFTS {
        for keyword in ["allOf", "anyOf", "oneOf"] {
            let schema = chain(keyword, 60, &json!({"type": "string"}), draft);
            let validator = compiled(&schema);
            assert!(!validator.is_plain(), "{draft} {keyword}");
            // Short where the first answer decides, and stopped where it does not.
            for data in [json!("abc"), json!(5), json!({"a": [1]})] {
                let verdict = validator.verdict(&data, None);
                if verdict != Verdict::Fits {
                    let found = validator.errors(&data, 20, said);
                    assert!(found.listed.len() <= 20);
                }
                let stops = match keyword {
                    "allOf" => data == json!("abc"),
                    "anyOf" => data != json!("abc"),
                    _ => true,
                };
                assert_eq!(
                    verdict == Verdict::Stopped,
                    stops,
                    "{draft} {keyword} {data}"
                );
            }
        }
    }
}

#[test]
fn what_hides_from_being_counted_is_found() {
    let data = json!("abc");
    // In a place that is no schema by the draft's rules.
    let mut hidden = chain("allOf", 60, &json!({"type": "string"}), DRAFTS[4]);
    let chained = hidden["definitions"].take();
    let text = json!({"default": chained, "$ref": "#/default/a60"}).to_string();
    let hidden: Value =
        serde_json::from_str(&text.replace("#/definitions/", "#/default/")).unwrap();
    assert_eq!(compiled(&hidden).verdict(&data, None), Verdict::Stopped);
    // In data.
    for place in ["const", "enum", "dependentRequired"] {
        let at = format!("#/{place}/a60");
        let schema = json!({"$defs": {"x": {place: {}}}, "$ref": at});
        let refused = Document::new(&schema, Draft::Draft202012, "sandbar://test/");
        assert!(
            refused.err().unwrap().contains("leads into data"),
            "{place}"
        );
    }
    // Properties of such names are none.
    let schema = json!({"properties": {"const": {"type": "string"}}, "$ref": "#/properties/const"});
    assert_eq!(compiled(&schema).verdict(&data, None), Verdict::Fits);
    // Under an address of its own.
    let inner = chain("allOf", 60, &json!({"type": "string"}), DRAFTS[4]);
    let mut inner = inner;
    inner["$id"] = json!("https://example.com/inner");
    let schema = json!({"$defs": {"inner": inner}, "$ref": "https://example.com/inner"});
    assert_eq!(compiled(&schema).verdict(&data, None), Verdict::Stopped);
}

#[test]
fn unevaluated_inside_of_unevaluated_is_bounded() {
    let deep = |levels| {
        (0..levels).fold(
            json!({"properties": {"a": {"type": "string"}}}),
            |inner, _| json!({"anyOf": [inner], "unevaluatedProperties": false}),
        )
    };
    let through_data = |levels| {
        (0..levels).fold(json!({"type": "string"}), |inner, _| {
            json!({"allOf": [{"properties": {"a": inner}}], "unevaluatedProperties": false})
        })
    };
    for schema in [deep(12), through_data(12)] {
        let data = (0..12).fold(json!("x"), |inner, _| json!({"a": inner}));
        let validator = compiled(&schema);
        assert!(!validator.is_plain());
        let _ = validator.verdict(&data, None);
        let _ = validator.errors(&data, 20, said);
    }
    for schema in [deep(30), through_data(30)] {
        let refused = Document::new(&schema, Draft::Draft202012, "sandbar://test/");
        assert!(refused.err().unwrap().contains("combinations"));
    }
}

#[test]
fn a_validator_that_would_be_too_large_is_not_built() {
    for keyword in ["unevaluatedProperties", "unevaluatedItems"] {
        let mut schema = chain("allOf", 40, &json!({"type": "object"}), DRAFTS[4]);
        schema[keyword] = json!(false);
        let refused = Document::new(&schema, Draft::Draft202012, "sandbar://test/");
        assert!(refused.err().unwrap().contains("combinations"), "{keyword}");
    }
}

#[test]
fn many_errors_take_no_more_memory_than_some() {
    let large: Vec<String> = (0..2_000).map(|index| format!("value {index}")).collect();
    for schema in [
        json!({"items": {"type": "string"}}),
        json!({"items": {"enum": large}}),
    ] {
        let validator = compiled(&schema);
        assert!(validator.is_plain());
        let found = validator.errors(&json!(vec![1; 200_000]), 20, said);
        assert!(!found.complete);
        assert_eq!(found.listed.len(), 1);
        let few = validator.errors(&json!(vec![1; 5]), 2, said);
        assert_eq!((few.listed.len(), few.more, few.complete), (2, 3, true));
    }
}

#[test]
fn what_is_usual_is_not_counted() {
    let tree = json!({"$ref": "#/$defs/t", "$defs": {"t": {
        "properties": {"left": {"$ref": "#/$defs/t"}, "right": {"$ref": "#/$defs/t"},
            "all": {"items": {"$ref": "#/$defs/t"}}}, "required": ["value"]}}});
    let any = json!({"anyOf": [{"type": "string"}, {"type": "array", "items": {"$ref": "#"}},
        {"type": "object", "additionalProperties": {"$ref": "#"}}]});
    let closed = json!({"allOf": [{"$ref": "#/$defs/base"}], "properties": {"b": {"type": "string"}},
        "unevaluatedProperties": false, "$defs": {"base": {"properties": {"a": {"type": "string"}}}}});
    for schema in [&tree, &any, &closed] {
        assert!(compiled(schema).is_plain(), "{schema}");
    }
    let data = [
        json!({"value": 1, "left": {"value": 2}, "all": [{"value": 1}, {}]}),
        json!(["a", ["b", {"c": ["d", 5]}]]),
        json!({"a": "x", "b": "y", "c": "z"}),
    ];
    for schema in [tree, any, closed] {
        agrees(&schema, &data);
    }
}

#[test]
fn counting_changes_no_answer() {
    let expression = json!({"$ref": "#/$defs/e", "$defs": {"e": {"anyOf": [
        {"type": "object", "properties": {"op": {"const": "and"}, "args": {"type": "array", "items": {"$ref": "#/$defs/e"}}}, "required": ["op", "args"]},
        {"type": "object", "properties": {"op": {"const": "or"}, "args": {"type": "array", "items": {"$ref": "#/$defs/e"}}}, "required": ["op", "args"]},
        {"type": "string", "pattern": "^[a-z]+$"}]}}});
    let conditions = json!({"$ref": "#/$defs/e", "$defs": {"e": {
        "if": {"properties": {"a": {"$ref": "#/$defs/e"}}, "required": ["a"]},
        "then": {"properties": {"a": {"$ref": "#/$defs/e"}}, "required": ["b"]},
        "else": {"not": {"required": ["c"], "properties": {"c": {"$ref": "#/$defs/e"}}}},
        "dependentSchemas": {"d": {"properties": {"d": {"$ref": "#/$defs/e"}}, "minProperties": 2}}}}});
    let open = json!({"$ref": "#/$defs/e", "$defs": {"e": {
        "allOf": [{"properties": {"a": {"$ref": "#/$defs/e"}}}, {"patternProperties": {"^b": {"$ref": "#/$defs/e"}}}],
        "anyOf": [{"properties": {"a": {"$ref": "#/$defs/e"}, "c": true}}, {"type": "null"}],
        "unevaluatedProperties": false}}});
    let older = json!({"$schema": DRAFTS[2], "$ref": "#/definitions/e", "definitions": {"e": {
        "properties": {"a": {"$ref": "#/definitions/e", "type": "null", "title": "x"}},
        "oneOf": [{"properties": {"a": {"$ref": "#/definitions/e"}}, "required": ["a"]},
            {"items": [{"$ref": "#/definitions/e"}], "additionalItems": {"$ref": "#/definitions/e"}, "maxProperties": 0, "maxLength": 1}]}}});
    let data = [
        json!("abc"),
        json!("ABC"),
        json!({"op": "and", "args": ["a", {"op": "or", "args": ["b", {"op": "and", "args": []}]}]}),
        json!({"op": "and", "args": ["a", {"op": "xor", "args": ["b", 5]}]}),
        json!({"a": {"a": {"b": 1}}, "b": 1}),
        json!({"a": {"a": {"d": 1}}, "b": 1, "d": {"c": 1}}),
        json!({"a": {"c": 1, "b": {"x": 1}}, "b1": {"a": {"e": 1}}, "c": 5}),
        json!({"a": null}),
        json!([[1, "long"], {"a": {}}, 3]),
        json!(null),
    ];
    for schema in [expression, conditions, open, older] {
        assert!(!compiled(&schema).is_plain(), "{schema}");
        agrees(&schema, &data);
    }
}

#[test]
fn what_goes_deep_has_a_stack_that_is_deep_enough() {
    // From one to the next through the data, and from one to the next in place before it.
    let through = |links: usize, each: &dyn Fn(usize) -> Value, last: Value| {
        let mut definitions = json!({});
        for link in 0..links {
            definitions[format!("a{link}")] = each(link + 1);
        }
        definitions[format!("a{links}")] = last;
        json!({"$defs": definitions, "$ref": "#/$defs/a0"})
    };
    let next = |link: usize| json!({"$ref": format!("#/$defs/a{link}")});
    let long = |links| {
        let each = |link| json!({"properties": {"x": next(link)}});
        through(links, &each, json!({"type": "array"}))
    };
    let refused = Document::new(&long(20_000), Draft::Draft202012, "sandbar://test/").unwrap();
    let reason = refused.validator("").unwrap_err();
    assert!(reason.contains("in a row"), "{reason}");
    let validator = compiled(&long(900));
    let data = (0..100).fold(json!({}), |inner, _| json!({"x": inner}));
    assert_eq!(validator.verdict(&data, None), Verdict::Fits);
    drop(validator);
    let again = json!({"type": "array", "items": {"$ref": "#/$defs/a0"}});
    let chained = through(60, &|link| json!({"allOf": [next(link)]}), again);
    let validator = compiled(&chained);
    let fits = (0..100).fold(json!([]), |inner, _| json!([inner]));
    assert_eq!(validator.verdict(&fits, None), Verdict::Fits);
    assert_eq!(validator.verdict(&nested(100), None), Verdict::Refused);
    let found = validator.errors(&nested(100), 20, said);
    assert_eq!((found.listed.len(), found.complete), (1, true));
}

/// Every case of the published suite, with steps that are counted and without (where it comes from:
/// `host/src/contract/conformance.rs`).
#[test]
fn counting_changes_no_answer_of_the_suite() {
    let suite = std::path::Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../../.build/json-schema-test-suite/tests");
    let folders = ["draft4", "draft6", "draft7", "draft2019-09", "draft2020-12"];
    let mut asked = 0;
    for (folder, dialect) in folders.into_iter().zip(DRAFTS) {
        let files = std::fs::read_dir(suite.join(folder))
            .expect("the suite is not there: run tests/clients/setup.sh")
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.extension().is_some_and(|one| one == "json"));
        for file in files {
            let groups: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
            for group in groups.as_array().unwrap() {
                let mut schema = group["schema"].clone();
                if let Value::Object(members) = &mut schema {
                    members.entry("$schema").or_insert_with(|| json!(dialect));
                }
                let draft = Draft::default().detect(&schema);
                let document = Document::new(&schema, draft, "sandbar://test/");
                // Others are refused, which the hub's own tests list.
                let Ok(validator) = document.and_then(|document| document.validator("")) else {
                    continue;
                };
                let free = validator.document_plain().unwrap();
                let counted = validator.counted().unwrap();
                for test in group["tests"].as_array().unwrap() {
                    let data = &test["data"];
                    asked += 1;
                    let fits = free.is_valid(data);
                    assert_eq!(counted.is_valid(data), fits, "{schema} {data}");
                    let listed = validator.errors(data, 1000, said).listed;
                    assert_eq!(listed.is_empty(), fits, "{schema} {data}");
                }
            }
        }
    }
    assert!(asked > 4_500, "only {asked} documents were asked about");
}
