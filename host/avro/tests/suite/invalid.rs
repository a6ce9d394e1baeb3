//! Texts that are no schemas, with the place.

use sandbar_avro::{Reference, Schema};
use serde_json::{Value, json};

#[track_caller]
fn invalid(described: Value, pointer: &str, words: &str) {
    let invalid = Schema::parse(&described.to_string(), &[]).expect_err("it is no schema");
    assert_eq!(invalid.pointer, pointer, "{invalid}");
    assert!(invalid.reason.contains(words), "{invalid}");
}

fn record(fields: Value) -> Value {
    json!({"type": "record", "name": "R", "fields": fields})
}

#[test]
fn texts_and_types() {
    let invalid_text = Schema::parse("{", &[]).unwrap_err();
    assert!(invalid_text.reason.contains("no JSON"), "{invalid_text}");
    invalid(json!(5), "", "a schema is");
    invalid(json!({"name": "x"}), "", "\"type\" is missing");
    invalid(json!({"type": 5}), "/type", "a type is text");
    invalid(json!("Order"), "", "the type \"Order\" is not defined");
    invalid(json!("array"), "", "needs an object");
    invalid(json!({"type": "array"}), "", "\"items\" is missing");
    invalid(
        json!({"type": "map", "values": "x"}),
        "/values",
        "\"x\" is not defined",
    );
    invalid(
        record(json!([{"name": "a", "type": {"type": "array", "items": ["null", "X"]}}])),
        "/fields/0/type/items/1",
        "\"X\" is not defined",
    );
    // Used before it is defined.
    let later = json!([{"type": "record", "name": "A", "fields": [{"name": "b", "type": "B"}]}, {"type": "fixed", "name": "B", "size": 1}]);
    invalid(later, "/0/fields/0/type", "defined before its use");
}

#[test]
fn names() {
    invalid(
        json!({"type": "fixed", "size": 1}),
        "",
        "\"name\" is missing",
    );
    invalid(
        json!({"type": "fixed", "name": "1a", "size": 1}),
        "/name",
        "no Avro name",
    );
    invalid(
        json!({"type": "fixed", "name": "größe", "size": 1}),
        "/name",
        "no Avro name",
    );
    invalid(
        json!({"type": "fixed", "name": "a..b", "size": 1}),
        "/name",
        "no Avro name",
    );
    invalid(
        json!({"type": "fixed", "name": "a", "namespace": "x-y", "size": 1}),
        "/namespace",
        "no Avro name",
    );
    invalid(
        json!({"type": "fixed", "name": "int", "size": 1}),
        "/name",
        "the name of a type of Avro",
    );
    invalid(
        json!({"type": "fixed", "name": "a", "aliases": ["b c"], "size": 1}),
        "/aliases/0",
        "no Avro name",
    );
    invalid(
        record(json!([{"name": "a b", "type": "int"}])),
        "/fields/0/name",
        "no Avro name",
    );
    invalid(
        record(json!([{"name": "a", "type": "int"}, {"name": "a", "type": "int"}])),
        "/fields/1/name",
        "there twice",
    );
    invalid(
        record(json!([{"name": "a", "type": {"type": "fixed", "name": "R", "size": 1}}])),
        "/fields/0/type/name",
        "defined already",
    );
    invalid(
        json!({"type": "enum", "name": "E", "symbols": ["A", "a-b"]}),
        "/symbols/1",
        "no Avro name",
    );
    invalid(
        json!({"type": "enum", "name": "E", "symbols": ["A", "A"]}),
        "/symbols/1",
        "there twice",
    );
}

#[test]
fn the_rest() {
    invalid(
        json!({"type": "fixed", "name": "F"}),
        "",
        "\"size\" is missing",
    );
    invalid(
        json!({"type": "fixed", "name": "F", "size": -1}),
        "/size",
        "a whole number",
    );
    invalid(
        json!({"type": "enum", "name": "E", "symbols": ["A"], "default": "B"}),
        "/default",
        "no symbol",
    );
    invalid(json!(["int", "int"]), "/1", "int twice");
    invalid(json!(["int", ["null"]]), "/1", "not a branch of a union");
    invalid(
        json!([{"type": "map", "values": "int"}, {"type": "map", "values": "long"}]),
        "/1",
        "map twice",
    );
    invalid(
        record(json!([{"name": "a", "type": "int", "order": "up"}])),
        "/fields/0/order",
        "\"descending\"",
    );
    invalid(record(json!({})), "/fields", "is an array");
}

#[test]
fn defaults() {
    let default = |described: Value, default: Value| {
        record(json!([{"name": "a", "type": described, "default": default}]))
    };
    invalid(
        default(json!("int"), json!("1")),
        "/fields/0/default",
        "the default of an int",
    );
    invalid(
        default(json!("int"), json!(2_147_483_648i64)),
        "/fields/0/default",
        "the default of an int",
    );
    invalid(
        default(json!("bytes"), json!("Ā")),
        "/fields/0/default",
        "is no byte",
    );
    invalid(
        default(json!({"type": "fixed", "name": "F", "size": 2}), json!("a")),
        "/fields/0/default",
        "has 1 bytes",
    );
    invalid(
        default(json!(["int", "string"]), json!(null)),
        "/fields/0/default",
        "fits no branch",
    );
    invalid(
        default(json!({"type": "array", "items": "int"}), json!([1, null])),
        "/fields/0/default/1",
        "the default of an int",
    );
    let inner = json!({"type": "record", "name": "I", "fields": [{"name": "x", "type": "int"}]});
    invalid(
        default(inner.clone(), json!({})),
        "/fields/0/default/x",
        "no such field",
    );
    invalid(
        default(inner, json!({"x": 1, "y": 2})),
        "/fields/0/default/y",
        "I has no such field",
    );
    // A later branch is taken too, as the specification has it since 1.12.
    Schema::parse(&default(json!(["null", "int"]), json!(1)).to_string(), &[]).unwrap();
    // A default that needs itself.
    invalid(
        record(json!([{"name": "a", "type": "R", "default": {}}])),
        &format!("/fields/0/default{}", "/a".repeat(121)),
        "nests deeper",
    );
}

#[test]
fn references() {
    let address = Reference {
        name: "address",
        text: r#"{"type": "record", "name": "ns.Address", "fields": [{"name": "zip", "type": "ns.Zip"}]}"#,
    };
    let zip = Reference {
        name: "zip",
        text: r#"{"type": "string", "name": "x"}"#,
    };
    let right = Reference {
        name: "zip",
        text: r#"{"type": "fixed", "name": "ns.Zip", "size": 5}"#,
    };
    let text = r#"{"type": "record", "name": "ns.Order", "fields": [{"name": "to", "type": "Address"}, {"name": "from", "type": "ns.Address"}]}"#;
    // In any order.
    for references in [[address, right], [right, address]] {
        let schema = Schema::parse(text, &references).unwrap();
        // As if it had been written in one.
        let whole = r#"{"type": "record", "name": "Order", "namespace": "ns", "doc": "an order", "fields": [
            {"name": "to", "type": {"fields": [{"type": {"size": 5, "type": "fixed", "name": "Zip"}, "name": "zip"}], "type": "record", "name": "Address"}},
            {"name": "from", "type": "Address"}]}"#;
        let whole = Schema::parse(whole, &[]).unwrap();
        assert_eq!(schema.canonical(), whole.canonical());
        assert_eq!(schema.name(), Some("ns.Order"));
    }
    let missing = Schema::parse(text, &[address, zip]).unwrap_err();
    assert_eq!(missing.pointer, "");
    assert!(
        missing.reason.contains(
            "in the reference \"address\" at /fields/0/type: the type \"ns.Zip\" is not defined"
        ),
        "{missing}"
    );
    let none = Schema::parse(text, &[]).unwrap_err();
    assert_eq!(none.pointer, "/fields/0/type");
    let twice = Schema::parse(right.text, &[right]).unwrap_err();
    assert!(twice.reason.contains("defined already"), "{twice}");
    let broken = Schema::parse(
        text,
        &[Reference {
            name: "b",
            text: "{",
        }],
    )
    .unwrap_err();
    assert!(broken.reason.contains("in the reference \"b\""), "{broken}");
}

#[test]
fn the_normal_form_keeps_what_counts() {
    let normal = |text: Value| Schema::parse(&text.to_string(), &[]).unwrap().canonical();
    let one = json!({"type": "record", "name": "R", "namespace": "n", "doc": "x", "aliases": ["B", "n.A"], "x": {"b": 1, "a": 2}, "fields": [
        {"name": "a", "doc": "y", "type": {"type": "int"}, "order": "ascending", "default": 1},
        {"name": "d", "type": {"logicalType": "decimal", "scale": 0, "precision": 3, "type": "bytes"}},
        {"name": "f", "type": "double", "default": 1.0}]});
    let other = json!({"x": {"a": 2, "b": 1}, "name": "n.R", "aliases": ["A", "n.B"], "type": "record", "fields": [
        {"default": 1, "name": "a", "type": "int"},
        {"name": "d", "type": {"type": "bytes", "logicalType": "decimal", "precision": 3}},
        {"name": "f", "type": {"type": "double"}, "default": 1}]});
    assert_eq!(normal(one.clone()), normal(other));
    assert_eq!(
        normal(one.clone()),
        r#"{"name":"n.R","aliases":["n.A","n.B"],"type":"record","fields":[{"name":"a","type":"int","default":1},{"name":"d","type":{"type":"bytes","logicalType":"decimal","precision":3}},{"name":"f","type":"double","default":1}],"x":{"a":2,"b":1}}"#
    );
    for (pointer, value) in [
        ("/fields/0/default", json!(2)),
        ("/fields/1/type/precision", json!(4)),
        ("/aliases/0", json!("C")),
        ("/x/a", json!(3)),
        ("/name", json!("S")),
    ] {
        let mut changed = one.clone();
        *changed.pointer_mut(pointer).unwrap() = value;
        assert_ne!(normal(changed), normal(one.clone()), "{pointer}");
    }
    // A name without a namespace inside of one that has one.
    let inner = json!({"type": "record", "name": "n.R", "fields": [{"name": "a", "type": {"type": "fixed", "name": "F", "namespace": "", "size": 1}}]});
    let text = normal(inner);
    assert_eq!(normal(serde_json::from_str(&text).unwrap()), text);
}
