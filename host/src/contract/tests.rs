//! Schemas of every draft, and what they say of events.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;

fn whole(schema: Value) -> Result<Contract, InvalidSchema> {
    Contract::compile(&Definition {
        schema,
        ..Definition::default()
    })
}

fn parts(schema: Value, types: &[(&str, &str)]) -> Result<Contract, InvalidSchema> {
    let types = types
        .iter()
        .map(|(name, reference)| ((*name).to_owned(), (*reference).to_owned()))
        .collect();
    Contract::compile(&Definition {
        schema,
        types: Some(types),
        ..Definition::default()
    })
}

fn violations(contract: &Contract, data: Value) -> Vec<(String, String)> {
    let found = contract
        .check("t", "application/json", data.to_string().as_bytes())
        .unwrap_err()
        .violations;
    found
        .into_iter()
        .map(|one| (one.pointer, one.schema_pointer))
        .collect()
}

fn place(pointer: &str, schema_pointer: &str) -> (String, String) {
    (pointer.to_owned(), schema_pointer.to_owned())
}

#[test]
fn each_violation_has_its_place_in_data_and_schema() {
    let contract = whole(json!({
        "type": "object", "required": ["id"],
        "properties": {"id": {"type": "integer"}, "issue": {"$ref": "#/$defs/issue"}},
        "$defs": {"issue": {"properties": {"a/b": {"type": "string"}}}}
    }))
    .unwrap();
    assert!(
        contract
            .check("any", "", br#"{"id":1,"issue":{"a/b":"x"}}"#)
            .is_ok()
    );
    assert_eq!(
        violations(&contract, json!({})),
        [place("/data", "/required")]
    );
    let found = violations(&contract, json!({"id": "x", "issue": {"a/b": 1}}));
    assert_eq!(
        found,
        [
            place("/data/id", "/properties/id/type"),
            place("/data/issue/a~1b", "/$defs/issue/properties/a~1b/type")
        ]
    );
}

#[test]
fn the_draft_is_the_one_that_the_schema_names() {
    // In draft-04 exclusiveMinimum is a boolean, from draft-06 on a number.
    let four = whole(json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 1, "exclusiveMinimum": true})).unwrap();
    assert_eq!(four.draft(), Some(jsonschema::Draft::Draft4));
    assert!(four.check_value("t", &json!(1)).is_err());
    for schema in [
        "http://json-schema.org/draft-06/schema#",
        "http://json-schema.org/draft-07/schema#",
        "https://json-schema.org/draft/2019-09/schema",
    ] {
        let contract = whole(json!({"$schema": schema, "exclusiveMinimum": 1})).unwrap();
        assert!(
            contract.check_value("t", &json!(1)).is_err()
                && contract.check_value("t", &json!(2)).is_ok()
        );
    }
    let latest = whole(json!({"prefixItems": [{"type": "string"}]})).unwrap();
    assert_eq!(latest.draft(), Some(jsonschema::Draft::Draft202012));
    assert!(latest.check_value("t", &json!([1])).is_err());
    let unknown = whole(json!({"$schema": "https://example.com/own"})).unwrap_err();
    assert_eq!(unknown.pointer, "/schema/$schema");
}

#[test]
fn types_pick_parts_of_the_document() {
    let schema = json!({
        "$schema": "http://json-schema.org/draft-07/schema", "$id": "https://example.com/all.json",
        "definitions": {
            "made$event": {"properties": {"by": {"$ref": "#/definitions/user"}}, "required": ["by"]},
            "user": {"type": "string"}
        }
    });
    let contract = parts(
        schema,
        &[
            ("made", "#/definitions/made$event"),
            ("user", "#/definitions/user"),
        ],
    )
    .unwrap();
    assert!(
        contract
            .check("made", "application/json", br#"{"by":"me"}"#)
            .is_ok()
    );
    assert!(
        contract
            .check("user", "application/json", b"\"me\"")
            .is_ok()
    );
    let found = contract
        .check("made", "application/json", br#"{"by":1}"#)
        .unwrap_err();
    assert_eq!(found.violations[0].pointer, "/data/by");
    assert_eq!(found.violations[0].schema_pointer, "/definitions/user/type");
    let other = contract
        .check("gone", "application/json", b"{}")
        .unwrap_err();
    assert_eq!(other.violations[0].pointer, "/type");
    assert!(other.to_string().contains("made, user"), "{other}");
}

#[test]
fn what_leads_nowhere_is_refused_at_once() {
    let definitions = json!({"definitions": {"a": {"type": "string"}}, "other": 5});
    assert_eq!(
        parts(definitions.clone(), &[("t", "#/definitions/b")])
            .unwrap_err()
            .pointer,
        "/types/t"
    );
    assert_eq!(
        parts(definitions.clone(), &[("a/b", "definitions/a")])
            .unwrap_err()
            .pointer,
        "/types/a~1b"
    );
    assert!(parts(definitions.clone(), &[("t", "#/other")]).is_err());
    assert!(parts(definitions, &[]).is_err());
    let inner = parts(
        json!({"definitions": {"a": {"items": {"$ref": "#/definitions/gone"}}}}),
        &[("t", "#/definitions/a")],
    );
    assert_eq!(
        inner.unwrap_err().pointer,
        "/schema/definitions/a/items/$ref"
    );
}

#[test]
fn nothing_is_fetched() {
    for reference in [
        "https://example.com/other.json",
        "other.json#/a",
        "file:///etc/passwd",
    ] {
        let error = whole(json!({"properties": {"a": {"$ref": reference}}})).unwrap_err();
        assert!(
            error.reason.contains("other.json") || error.reason.contains("passwd"),
            "{error}"
        );
    }
}

#[test]
fn a_schema_that_breaks_its_draft_is_refused_at_its_place() {
    let error = whole(json!({"properties": {"a": {"type": "text"}}})).unwrap_err();
    assert_eq!(error.pointer, "/schema/properties/a/type");
    assert!(whole(json!([1])).is_err());
}

#[test]
fn patterns_that_could_explode_are_refused() {
    let error = whole(json!({"properties": {"a": {"pattern": "^(?=x)(a+)+$"}}})).unwrap_err();
    assert_eq!(error.pointer, "/schema/properties/a/pattern");
    let contract = whole(json!({"pattern": "^(a+)+$"})).unwrap();
    assert!(
        contract
            .check_value("t", &json!("a".repeat(50_000) + "b"))
            .is_err()
    );
}

#[test]
fn formats_are_checked() {
    let contract = whole(json!({"format": "date-time"})).unwrap();
    assert!(
        contract
            .check_value("t", &json!("2026-01-31T12:00:00Z"))
            .is_ok()
    );
    assert!(contract.check_value("t", &json!("yesterday")).is_err());
}

#[test]
fn data_that_is_not_json_is_a_violation() {
    let contract = whole(json!(true)).unwrap();
    for (kind, data, pointer, word) in [
        ("text/plain", "{}", "/datacontenttype", "text/plain"),
        (
            "application/json",
            "{\n\"a\" 1}",
            "/data",
            "line 2 column 5",
        ),
        ("", "", "/data", "no data"),
    ] {
        let found = contract
            .check("t", kind, data.as_bytes())
            .unwrap_err()
            .violations
            .remove(0);
        assert!(
            found.pointer == pointer && found.reason.contains(word),
            "{found:?}"
        );
    }
}

#[test]
fn many_and_large_violations_are_cut_short() {
    let contract = whole(json!({"items": {"type": "integer"}})).unwrap();
    let large = "x".repeat(10_000);
    let found = contract
        .check_value("t", &json!(vec![large; 30]))
        .unwrap_err();
    assert_eq!((found.violations.len(), found.more), (20, 10));
    assert!(
        found.violations.iter().all(|one| one.reason.len() <= 210),
        "{}",
        found.violations[0].reason
    );
    assert!(found.to_string().ends_with("and 27 more"), "{found}");
}

#[test]
fn the_digest_is_of_the_content_not_of_the_writing() {
    let of = |text: &str| serde_json::from_str::<Definition>(text).unwrap().digest();
    let first = of(r#"{"schema":{"type":"object","title":"x"}}"#);
    assert_eq!(
        first,
        of(r#"{ "schema": {"title":"x", "type":"object"}, "description": "" }"#)
    );
    assert_ne!(first, of(r#"{"schema":{"type":"object","title":"y"}}"#));
    // What a content was called before there were formats and references, it is called still.
    assert_eq!(
        first,
        "sha256:47feafd6f5d5ec33880b5f82d1d3c05f25c01b382559579906985688b6ad0a3c"
    );
    let described = of(r#"{"schema":{"type":"object","title":"x"},"description":"x"}"#);
    assert_eq!(first, described, "the description is no content");
    let of_text = |text: &str| {
        let definition = serde_json::from_str::<Definition>(text).unwrap();
        definition.read().unwrap().digest()
    };
    assert_eq!(
        first,
        of_text(r#"{"schema":"{\"title\": \"x\", \"type\": \"object\"}"}"#)
    );
    assert_ne!(
        first,
        of(r#"{"format":"avro","schema":{"type":"object","title":"x"}}"#)
    );
    assert_ne!(
        first,
        of(
            r#"{"schema":{"type":"object","title":"x"},"references":[{"name":"a","contract":"b","version":1}]}"#
        )
    );
    assert!(first.starts_with("sha256:") && first.len() == 7 + 64);
    assert!(serde_json::from_str::<Definition>(r#"{"schema":{},"other":1}"#).is_err());
}
