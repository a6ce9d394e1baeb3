//! Embedded schemas say what they said before, also where they stand in another document.
#![allow(clippy::unwrap_used)]

use super::*;

const BASE: &str = "#/components/schemas/x.v1/schema";

/// Embeds, puts the result where it belongs, and asks both.
fn assert_same(schema: &Value, dialect: Dialect, documents: &[(Value, bool)]) {
    let embedded = embed(schema, None, BASE, dialect).schema;
    no_reference_is_lost(&embedded, &embedded);
    let outer = json!({"components": {"schemas": {"x.v1": {"schema": embedded}}}, "$ref": BASE});
    let draft = match dialect {
        Dialect::Own => Draft::default().detect(schema),
        Dialect::Latest => Draft::Draft202012,
    };
    let build = |schema: &Value| {
        let options = jsonschema::options().with_draft(draft);
        options.should_validate_formats(true).build(schema).unwrap()
    };
    let after = build(&outer);
    let before = jsonschema::options()
        .should_validate_formats(true)
        .build(schema)
        .unwrap();
    for (document, fits) in documents {
        assert_eq!(before.is_valid(document), *fits, "{document} in {schema}");
        assert_eq!(after.is_valid(document), *fits, "{document} in {outer:#}");
    }
    if dialect == Dialect::Latest {
        let inner = &outer["components"]["schemas"]["x.v1"]["schema"];
        jsonschema::meta::validate(inner).unwrap_or_else(|error| panic!("{error}: {inner:#}"));
    }
}

/// Each reference is a pointer from the base that leads somewhere.
fn no_reference_is_lost(value: &Value, root: &Value) {
    match value {
        Value::Object(members) => {
            if let Some(Value::String(reference)) = members.get("$ref") {
                let pointer = reference.strip_prefix(BASE).expect("from the base");
                assert!(root.pointer(pointer).is_some(), "{reference} in {root:#}");
            }
            for member in members.values() {
                no_reference_is_lost(member, root);
            }
        }
        Value::Array(items) => items
            .iter()
            .for_each(|item| no_reference_is_lost(item, root)),
        _ => {}
    }
}

fn both(schema: &Value, documents: &[(Value, bool)]) {
    assert_same(schema, Dialect::Own, documents);
    assert_same(schema, Dialect::Latest, documents);
}

#[test]
fn definitions_anywhere_and_recursion() {
    both(
        &json!({
            "$schema": "http://json-schema.org/draft-07/schema#",
            "type": "object",
            "properties": {
                "tree": {"$ref": "#/definitions/group/tree", "description": "not looked at"},
                "self": {"$ref": "#"},
                "first": {"$ref": "#/properties/list/items/0"},
                "list": {"items": [{"type": "integer"}, {"type": "string"}], "additionalItems": false},
            },
            "definitions": {"group": {"tree": {
                "type": "object", "required": ["n"],
                "properties": {"n": {"type": "integer"}, "children": {"items": {"$ref": "#/definitions/group/tree"}}},
            }}},
            "dependencies": {"a": ["b"], "c": {"required": ["d"]}},
        }),
        &[
            (json!({"tree": {"n": 1, "children": [{"n": 2}]}}), true),
            (json!({"tree": {"n": 1, "children": [{"n": "2"}]}}), false),
            (json!({"self": {"self": {"tree": {"n": 1}}}}), true),
            (json!({"self": {"self": {"tree": {}}}}), false),
            (json!({"first": 1, "list": [1, "a"]}), true),
            (json!({"first": "1"}), false),
            (json!({"list": ["a"]}), false),
            (json!({"list": [1, "a", 2]}), false),
            (json!({"a": 1}), false),
            (json!({"a": 1, "b": 1}), true),
            (json!({"c": 1}), false),
        ],
    );
}

#[test]
fn draft_04_is_brought_up_to_date() {
    both(
        &json!({
            "$schema": "http://json-schema.org/draft-04/schema#",
            "id": "http://example.com/root.json",
            "properties": {
                "n": {"minimum": 1, "exclusiveMinimum": true, "maximum": 5, "exclusiveMaximum": false},
                "byId": {"$ref": "item.json"},
                "byAnchor": {"$ref": "#positive"},
                "id": {"type": "string"},
            },
            "definitions": {
                "item": {"id": "item.json", "type": "object", "properties": {"up": {"$ref": "root.json#/definitions/word"}}},
                "positive": {"id": "#positive", "type": "integer", "minimum": 0},
                "word": {"type": "string"},
            },
        }),
        &[
            (json!({"n": 1}), false),
            (json!({"n": 5}), true),
            (json!({"byId": {"up": "a"}}), true),
            (json!({"byId": {"up": 1}}), false),
            (json!({"byAnchor": -1}), false),
            (json!({"byAnchor": 1, "id": "x"}), true),
            (json!({"id": 1}), false),
        ],
    );
}

#[test]
fn later_drafts_keep_what_stands_beside_a_reference() {
    for dialect in [
        "https://json-schema.org/draft/2019-09/schema",
        "https://json-schema.org/draft/2020-12/schema",
    ] {
        both(
            &json!({
                "$schema": dialect,
                "$id": "https://example.com/order",
                "properties": {
                    "short": {"$ref": "#word", "maxLength": 2},
                    "far": {"$ref": "https://example.com/part#/$defs/n"},
                    "shape": {"$ref": "#/$defs/base", "properties": {"b": true}, "unevaluatedProperties": false},
                },
                "$defs": {
                    "word": {"$anchor": "word", "type": "string"},
                    "part": {"$id": "part", "$defs": {"n": {"type": "integer"}}},
                    "base": {"properties": {"a": {"type": "integer"}}},
                },
            }),
            &[
                (json!({"short": "ab"}), true),
                (json!({"short": "abc"}), false),
                (json!({"short": 1}), false),
                (json!({"far": 1}), true),
                (json!({"far": "1"}), false),
                (json!({"shape": {"a": 1, "b": 2}}), true),
                (json!({"shape": {"a": 1, "c": 2}}), false),
            ],
        );
    }
    both(
        &json!({
            "$schema": "https://json-schema.org/draft/2019-09/schema",
            "$recursiveAnchor": true,
            "type": "object",
            "properties": {"next": {"$recursiveRef": "#"}, "pair": {"items": [{"type": "integer"}], "additionalItems": {"type": "string"}}},
        }),
        &[
            (json!({"next": {"next": {}}}), true),
            (json!({"next": {"next": 1}}), false),
            (json!({"pair": [1, "a"]}), true),
            (json!({"pair": [1, 2]}), false),
        ],
    );
    both(
        &json!({
            "$dynamicAnchor": "node",
            "type": "object",
            "properties": {"next": {"$dynamicRef": "#node"}},
            "prefixItems": [true],
        }),
        &[
            (json!({"next": {"next": {}}}), true),
            (json!({"next": {"next": 1}}), false),
        ],
    );
}

#[test]
fn parts_have_addresses_of_their_own() {
    let schema = json!({
        "definitions": {
            "a/b": {"type": "object", "properties": {"c": {"$ref": "#/definitions/c"}}},
            "c": {"type": "string"},
        },
    });
    let parts = BTreeSet::from(["/definitions/a~1b".to_owned(), "/definitions/c".to_owned()]);
    let embedded = embed(&schema, Some(&parts), BASE, Dialect::Latest);
    assert_eq!(embedded.parts["/definitions/c"], format!("{BASE}/$defs/c"));
    assert_eq!(
        embedded.parts["/definitions/a~1b"],
        format!("{BASE}/$defs/a_1b")
    );
    no_reference_is_lost(&embedded.schema, &embedded.schema);
    assert_eq!(
        embedded.schema["$defs"]["a_1b"]["properties"]["c"]["$ref"],
        format!("{BASE}/$defs/c")
    );
    assert_eq!(embedded.schema["anyOf"].as_array().unwrap().len(), 2);
}

#[test]
fn what_would_be_taken_for_a_reference_is_left_out() {
    let schema = json!({
        "properties": {"$ref": {"type": "string"}, "x": {"examples": [{"$ref": "nowhere"}], "const": {"$ref": "a"}}},
        "x-note": {"$ref": "#/nowhere"},
    });
    let embedded = embed(&schema, None, BASE, Dialect::Own).schema;
    assert_eq!(
        embedded,
        json!({"properties": {"$ref": {"type": "string"}, "x": {}}})
    );
    assert_eq!(
        embed(&json!(false), None, BASE, Dialect::Own).schema,
        json!({"not": {}})
    );
    assert_eq!(
        embed(&json!(true), None, BASE, Dialect::Own).schema,
        json!({})
    );
}
