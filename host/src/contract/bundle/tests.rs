//! What becomes of references between schemas.
#![allow(clippy::unwrap_used)]

use serde_json::json;

use super::*;
use crate::contract::{Contract, ContractReference};

fn definition(schema: Value, references: &[(&str, &str, &Arc<Definition>)]) -> Arc<Definition> {
    let of = |(name, contract, _): &(&str, &str, &Arc<Definition>)| ContractReference {
        name: (*name).to_owned(),
        contract: sandbar_types::Name::new(contract).unwrap(),
        version: 1,
    };
    let referenced: Vec<_> = references.iter().map(|one| one.2.clone()).collect();
    Arc::new(Definition {
        schema,
        references: references.iter().map(of).collect(),
        referenced: referenced.into(),
        ..Definition::default()
    })
}

fn takes(definition: &Definition, data: &Value) -> bool {
    let contract = Contract::compile(definition).unwrap();
    contract.check_value("t", data).is_ok()
}

fn refusal(definition: &Definition) -> String {
    bundle(definition).unwrap_err().to_string()
}

#[test]
fn pointers_anchors_and_whole_schemas_are_found() {
    let money = definition(
        json!({
            "$id": "https://example.com/money.json",
            "type": "object", "required": ["cents"],
            "properties": {"cents": {"$ref": "#/$defs/a~b/c d"}, "code": {"$ref": "#code"}},
            "$defs": {
                "a~b": {"type": "integer"},
                "c": {"$anchor": "code", "enum": ["EUR"]},
                "nested": {"properties": {"default": {"$ref": "#/$defs/c"}}}
            }
        }),
        &[],
    );
    // The pointer above goes through a name with a tilde; written properly it is ~0.
    assert!(Contract::compile(&money).is_err());
    let money = definition(
        json!({
            "$id": "https://example.com/money.json",
            "type": "object", "required": ["cents"],
            "properties": {"cents": {"$ref": "#/$defs/a~0b"}, "code": {"$ref": "#code"}},
            "$defs": {
                "a~b": {"type": "integer"},
                "c": {"$anchor": "code", "enum": ["EUR"]},
                "nested": {"properties": {"default": {"$ref": "#/$defs/c"}}}
            }
        }),
        &[],
    );
    let order = definition(
        json!({
            "$defs": {"money": {"type": "null"}},
            "properties": {
                "total": {"$ref": "money"},
                "code": {"$ref": "https://example.com/money.json#code"},
                "more": {"$ref": "money#/$defs/nested"},
                "own": {"$ref": "#/$defs/money"},
                "data": {"const": {"$ref": "elsewhere"}}
            }
        }),
        &[("money", "money", &money)],
    );
    assert!(takes(
        &order,
        &json!({"total": {"cents": 1, "code": "EUR"}, "own": null})
    ));
    assert!(takes(&order, &json!({"data": {"$ref": "elsewhere"}})));
    for wrong in [
        json!({"total": {}}),
        json!({"total": {"cents": "1"}}),
        json!({"total": {"cents": 1, "code": "USD"}}),
        json!({"code": "USD"}),
        json!({"more": {"default": "USD"}}),
        json!({"own": 1}),
    ] {
        assert!(!takes(&order, &wrong), "{wrong}");
    }
}

#[test]
fn a_name_means_what_the_schema_that_uses_it_says() {
    let one = definition(json!({"type": "integer"}), &[]);
    let two = definition(json!({"type": "string"}), &[]);
    let inner = definition(
        json!({"$id": "https://a.example/x/inner.json", "items": {"$ref": "part.json"}}),
        &[("part.json", "one", &one)],
    );
    let outer = definition(
        json!({"properties": {"inner": {"$ref": "inner"}, "part": {"$ref": "part.json"}}}),
        &[("inner", "inner", &inner), ("part.json", "two", &two)],
    );
    assert!(takes(&outer, &json!({"inner": [1], "part": "x"})));
    assert!(!takes(&outer, &json!({"inner": ["x"]})));
    assert!(!takes(&outer, &json!({"part": 1})));
    // The same version twice is there once.
    let twice = definition(
        json!({"items": [{"$ref": "a"}, {"$ref": "b"}], "$schema": "http://json-schema.org/draft-07/schema#"}),
        &[("a", "one", &one), ("b", "one", &one)],
    );
    let whole = bundle(&twice).unwrap().into_owned();
    assert_eq!(
        whole["items"],
        json!([{"$ref": "#/definitions/a"}, {"$ref": "#/definitions/a"}])
    );
    assert_eq!(whole["definitions"], json!({"a": {"type": "integer"}}));
}

#[test]
fn what_cannot_be_one_document_is_refused_with_the_place() {
    let four = definition(
        json!({"$schema": "http://json-schema.org/draft-04/schema#"}),
        &[],
    );
    let mixed = definition(json!({"$ref": "four"}), &[("four", "four", &four)]);
    let reason = refusal(&mixed);
    assert!(
        reason.starts_with("/references/0: four@1:") && reason.contains("one draft"),
        "{reason}"
    );
    let part = definition(json!({"$defs": {"x": {"$id": "other.json"}}}), &[]);
    let reason = refusal(&definition(json!({"$ref": "p"}), &[("p", "part", &part)]));
    assert!(reason.contains("/schema/$defs/x/$id"), "{reason}");
    let dynamic = definition(json!({"items": {"$dynamicRef": "#x"}}), &[]);
    let reason = refusal(&definition(json!({}), &[("d", "dynamic", &dynamic)]));
    assert!(reason.contains("/schema/items/$dynamicRef"), "{reason}");
    let unlisted = definition(
        json!({"items": {"$ref": "http://127.0.0.1:9/x"}}),
        &[("p", "four", &definition(json!({}), &[]))],
    );
    let reason = refusal(&unlisted);
    assert!(
        reason.starts_with("/schema/items/$ref:") && reason.contains("nothing is fetched"),
        "{reason}"
    );
    let plain = definition(json!({"$defs": {"x": {}}}), &[]);
    let nowhere = definition(json!({"$ref": "p#/$defs/y"}), &[("p", "plain", &plain)]);
    let reason = refusal(&nowhere);
    assert!(
        reason.starts_with("/schema/$ref:") && reason.contains("not in that schema"),
        "{reason}"
    );
}
