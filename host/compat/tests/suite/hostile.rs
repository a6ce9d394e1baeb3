//! Schemas that lead nowhere, back to themselves, too deep or too far: each has an answer or a refusal.

use sandbar_compat::{Answer, Document, Options, Part, Report, check};
use serde_json::{Value, json};

use crate::harness::validator;

fn compare(old: &Value, new: &Value) -> Report {
    let old = Document::new(old).expect("a schema");
    let new = Document::new(new).expect("a schema");
    let part = |document| Part {
        document,
        pointer: "",
    };
    let options = Options {
        steps: 100_000,
        ..Options::default()
    };
    check(part(&old), part(&new), &options)
}

fn answers(old: &Value, new: &Value) -> (Answer, Answer) {
    let report = compare(old, new);
    (
        report.backward.expect("asked").answer,
        report.forward.expect("asked").answer,
    )
}

#[test]
fn a_reference_to_nothing_or_to_the_network_is_refused() {
    let refused = |schema: Value| Document::new(&schema).err().expect("a refusal").to_string();
    let remote = refused(json!({"$ref": "https://127.0.0.1:9/schema.json"}));
    assert!(remote.contains("nothing is fetched"), "{remote}");
    let file = refused(json!({"properties": {"a": {"$ref": "file:///etc/passwd"}}}));
    assert!(file.contains("nothing is fetched"), "{file}");
    // A pointer to nothing cannot be compiled, so nothing is said of it.
    let dangling = json!({"type": "string", "allOf": [{"$ref": "#/$defs/none"}]});
    if Document::new(&dangling).is_ok() {
        assert_eq!(
            answers(&dangling, &json!({"type": "string"})),
            (Answer::Unknown, Answer::Unknown)
        );
    }
}

#[test]
fn a_schema_that_leads_back_to_itself_in_place_is_unknown() {
    for endless in [
        json!({"$ref": "#"}),
        json!({"allOf": [{"$ref": "#"}]}),
        json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]}),
        json!({"$ref": "#/$defs/a", "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}}),
        json!({"properties": {"a": {"not": {"$ref": "#/properties/a"}}}}),
    ] {
        let report = compare(&endless, &json!({"type": "string"}));
        let backward = report.backward.expect("asked");
        assert_eq!(backward.answer, Answer::Unknown, "{endless}");
        assert!(
            backward.undecided[0]
                .reason
                .contains("leads back to itself"),
            "{backward:?}"
        );
    }
}

#[test]
fn a_validator_that_would_grow_without_end_is_never_built() {
    let growing = json!({"allOf": [{"properties": {"a": {"$ref": "#", "unevaluatedItems": {"multipleOf": 1}}}}]});
    let flaw = Document::new(&growing)
        .expect("a schema")
        .flaw("")
        .expect("a flaw");
    assert!(flaw.contains("unevaluatedItems"), "{flaw}");
    assert_eq!(
        answers(&growing, &json!({"type": "string"})),
        (Answer::Unknown, Answer::Unknown)
    );
}

#[test]
fn recursion_through_data_is_decided() {
    let tree = |leaf: Value| {
        json!({"$ref": "#/$defs/tree", "$defs": {"tree": {"type": "object", "properties": {
            "left": {"$ref": "#/$defs/tree"}, "right": {"$ref": "#/$defs/tree"},
            "children": {"type": "array", "items": {"anyOf": [{"$ref": "#/$defs/tree"}, {"type": "null"}]}},
            "value": leaf}, "additionalProperties": false}}})
    };
    let (integer, number) = (
        tree(json!({"type": "integer"})),
        tree(json!({"type": "number"})),
    );
    assert_eq!(
        answers(&integer, &number),
        (Answer::Compatible, Answer::Incompatible)
    );
    // Each document would need another inside of it, so there is none.
    let bottomless =
        json!({"type": "object", "properties": {"a": {"$ref": "#"}}, "required": ["a"]});
    assert_ne!(
        answers(&bottomless, &json!({"type": "string"})).0,
        Answer::Incompatible
    );
}

#[test]
fn alternatives_that_multiply_end_within_the_budget() {
    let pair = |index: usize, kind: &str| json!({"anyOf": [{"required": [format!("a{index}")]}, {"properties": {format!("b{index}"): {"type": kind}}}]});
    let many = |kind: &str| json!({"type": "object", "allOf": (0..24).map(|index| pair(index, kind)).collect::<Vec<_>>()});
    let report = compare(&many("string"), &many("integer"));
    for direction in report.directions() {
        assert_ne!(direction.answer, Answer::Compatible);
    }
    let nested = |depth: usize, leaf: Value| {
        (0..depth).fold(leaf, |inner, _| json!({"anyOf": [{"type": "array", "items": inner.clone()}, {"type": "object", "additionalProperties": inner}]}))
    };
    let (old, new) = (
        nested(9, json!({"type": "string"})),
        nested(9, json!({"type": ["string", "null"]})),
    );
    let (backward, forward) = answers(&old, &new);
    assert_ne!(backward, Answer::Incompatible);
    assert_ne!(forward, Answer::Compatible);
}

#[test]
fn deep_schemas_are_compared_or_refused() {
    let deep = |depth: usize, leaf: Value| {
        (0..depth).fold(leaf, |inner, _| json!({"properties": {"a": inner}}))
    };
    let (old, new) = (
        deep(60, json!({"type": "string"})),
        deep(60, json!({"type": "integer"})),
    );
    let report = compare(&old, &new);
    for direction in report.directions() {
        assert_ne!(direction.answer, Answer::Compatible);
    }
    let refused = Document::new(&deep(2000, json!({})))
        .err()
        .expect("a refusal");
    assert!(refused.reason.contains("nests deeper"), "{refused}");
    let chain = |length: usize| {
        let mut definitions = serde_json::Map::new();
        for index in 0..length {
            definitions.insert(
                format!("d{index}"),
                json!({"$ref": format!("#/$defs/d{}", index + 1)}),
            );
        }
        definitions.insert(format!("d{length}"), json!({"type": "string"}));
        json!({"$ref": "#/$defs/d0", "$defs": definitions})
    };
    assert_eq!(
        answers(&chain(50), &json!({"type": "string"})),
        (Answer::Compatible, Answer::Compatible)
    );
    assert_eq!(
        answers(&chain(1000), &json!({"type": "string"})).0,
        Answer::Unknown
    );
}

#[test]
fn patterns_that_explode_are_no_trouble() {
    let pattern = |text: &str| json!({"type": "string", "pattern": text});
    let report = compare(&pattern("^(a+)+$"), &pattern("^(a|a)*b$"));
    let backward = report.backward.expect("asked");
    assert_eq!(backward.answer, Answer::Incompatible, "{backward:?}");
    // Too large for the limit of a pattern: the validator cannot run it.
    let huge = compare(&pattern("(((a{1,200}){1,200}){1,200})"), &pattern("^a"));
    assert_eq!(huge.backward.expect("asked").answer, Answer::Unknown);
    // Look-around needs backtracking, which the hub does not do.
    let around = compare(&pattern("^(?!a)"), &pattern("^a"));
    assert_eq!(around.backward.expect("asked").answer, Answer::Unknown);
}

#[test]
fn huge_schemas_end() {
    let wide = |kind: &str| {
        let mut members = serde_json::Map::new();
        for index in 0..5000 {
            members.insert(
                format!("property{index}"),
                json!({"type": if index == 4321 { kind } else { "string" }}),
            );
        }
        json!({"type": "object", "properties": members, "additionalProperties": false})
    };
    let (old, new) = (wide("string"), wide("integer"));
    let report = compare(&old, &new);
    let backward = report.backward.expect("asked");
    assert_eq!(backward.answer, Answer::Incompatible);
    assert_eq!(backward.findings[0].new, "/properties/property4321/type");
    assert!(validator(&old).is_valid(&backward.findings[0].counterexample));
    let list = |length: usize| json!({"enum": (0..length).collect::<Vec<_>>()});
    assert_eq!(
        answers(&list(5_000), &list(5_001)),
        (Answer::Compatible, Answer::Incompatible)
    );
}

#[test]
fn parts_with_identifiers_of_their_own_are_never_taken_as_proven() {
    let old = json!({"type": "object", "properties": {"a": {"$id": "https://example.org/a", "type": "string"}}});
    let new = json!({"type": "object", "properties": {"a": {"$id": "https://example.org/a", "type": ["string", "null"]}}});
    let (backward, forward) = answers(&old, &new);
    assert_eq!(backward, Answer::Unknown);
    assert_ne!(forward, Answer::Compatible);
    assert_eq!(
        answers(&old, &old),
        (Answer::Compatible, Answer::Compatible)
    );
}

/// Each schema asks the one before twice; the first is `last`.
fn chain(keyword: &str, links: usize, last: &Value) -> Value {
    let mut definitions = json!({"a0": last});
    for link in 1..=links {
        let one = json!({"$ref": format!("#/$defs/a{}", link - 1)});
        definitions[format!("a{link}")] = json!({keyword: [one, one]});
    }
    json!({"$defs": definitions, "$ref": format!("#/$defs/a{links}")})
}

#[test]
fn references_that_double_at_each_link_have_an_answer() {
    for keyword in ["allOf", "anyOf"] {
        for links in [30, 90] {
            let old = chain(keyword, links, &json!({"type": "string"}));
            let new = chain(keyword, links, &json!({"type": "string", "minLength": 2}));
            let (backward, forward) = answers(&old, &new);
            // The validator cannot confirm a document of these, so nothing is shown.
            assert_ne!(backward, Answer::Compatible, "{keyword}");
            assert_ne!(forward, Answer::Incompatible, "{keyword}");
        }
    }
}

#[test]
fn alternatives_that_lead_to_the_same_through_data_have_an_answer() {
    let twice = |last: Value| {
        json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [
            {"type": "array", "items": {"$ref": "#/$defs/n"}},
            {"type": "array", "items": {"$ref": "#/$defs/n"}}, last]}}})
    };
    let (text, long) = (
        twice(json!({"type": "string"})),
        twice(json!({"type": "string", "minLength": 2})),
    );
    assert_eq!(
        answers(&text, &long),
        (Answer::Incompatible, Answer::Compatible)
    );
}
