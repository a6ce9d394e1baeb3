//! Data and schemas that are made to hurt: they end, and soon. A process that is killed for its memory
//! or that overflows its stack is a failed test too.

use sandbar_avro::{Reference, Schema};
use serde_json::json;

use crate::{schema, unhex};

/// Refused by everything that reads.
#[track_caller]
fn refused(schema: &Schema, bytes: &[u8]) {
    schema.check(bytes).expect_err("check takes it");
    schema.to_json(bytes).expect_err("to_json takes it");
    schema.resolve(schema, bytes).expect_err("resolve takes it");
}

#[test]
fn what_every_implementation_must_reject() {
    // After share/test/data/binary-rejections.json of the Avro project (AVRO-4304).
    let numbers = json!({"type": "array", "items": "int"});
    let symbols = json!({"type": "enum", "name": "E", "symbols": ["A", "B"]});
    for (described, bytes) in [
        (json!("long"), "80808080808080808080"),
        (json!("long"), "ffffffffffffffffff02"),
        (json!("int"), "8080808080"),
        (json!("int"), "feffffff1f"),
        (numbers, "ffffffffffffffffff0102"),
        (json!("bytes"), "01"),
        (json!("string"), "01"),
        (json!("string"), "02ff"),
        (json!(["null", "int"]), "01"),
        (json!(["null", "int"]), "0a"),
        (symbols.clone(), "01"),
        (symbols, "0a"),
        (json!("boolean"), "02"),
    ] {
        refused(&schema(&described), &unhex(bytes));
    }
}

#[test]
fn lengths_that_are_not_there() {
    for word in ["bytes", "string"] {
        refused(&schema(&json!(word)), &unhex("feffffffffffffffff0141"));
    }
    refused(
        &schema(&json!({"type": "fixed", "name": "F", "size": 2_147_483_647})),
        b"a",
    );
    let map = schema(&json!({"type": "map", "values": "null"}));
    refused(&map, &unhex("feffffffffffffffff01"));
    // Negative counts come with a size, which must be true.
    let numbers = schema(&json!({"type": "array", "items": "int"}));
    numbers
        .check(&unhex("030402040 0".replace(' ', "").as_str()))
        .unwrap();
    for wrong in [
        "03020204 00",
        "03060204 00",
        "0301020400",
        "03feffffffffffffffff01020400",
    ] {
        refused(&numbers, &unhex(&wrong.replace(' ', "")));
    }
}

#[test]
fn items_without_bytes() {
    let empty = json!({"type": "record", "name": "E", "fields": []});
    let fixed = json!({"type": "fixed", "name": "F", "size": 0});
    for items in [json!("null"), empty, fixed] {
        let array = schema(&json!({"type": "array", "items": items}));
        // Some are fine, a billion are not, nor many blocks of many.
        array.check(&unhex("a01f00")).unwrap();
        refused(&array, &unhex("80a8d6b90700"));
        refused(&array, &unhex(&("80f104".repeat(1000) + "00")));
        refused(&array, &unhex("ffffffffffffffffff010000"));
    }
    let nested = schema(&json!({"type": "array", "items": {"type": "array", "items": "null"}}));
    refused(
        &nested,
        &unhex(&("d00f".to_owned() + &"80f10400".repeat(1000) + "00")),
    );
    // What is written is read: the same bound holds for both.
    let nulls = json!(vec![serde_json::Value::Null; 100_000]);
    let array = schema(&json!({"type": "array", "items": "null"}));
    array.to_bytes(&nulls).expect_err("too many without bytes");
}

#[test]
fn depth() {
    let list = schema(
        &json!({"type": "record", "name": "L", "fields": [{"name": "next", "type": ["null", "L"]}]}),
    );
    list.check(&[vec![2; 119], vec![0]].concat()).unwrap();
    refused(&list, &[vec![2; 200], vec![0]].concat());
    refused(&list, &vec![2; 1_000_000]);
    // No datum ends.
    refused(
        &schema(&json!({"type": "record", "name": "L", "fields": [{"name": "next", "type": "L"}]})),
        &[],
    );
    let arrays = schema(
        &json!({"type": "record", "name": "A", "fields": [{"name": "a", "type": {"type": "array", "items": "A"}}]}),
    );
    refused(&arrays, &vec![2; 1_000_000]);
    // JSON that is as deep.
    let mut deep = json!(null);
    for _ in 0..500 {
        deep = json!({"next": deep});
    }
    list.to_bytes(&deep).expect_err("too deep");
}

#[test]
fn long_decimals() {
    let decimal = schema(&json!({"type": "bytes", "logicalType": "decimal", "precision": 1000}));
    let mut bytes = vec![0x80, 0x80, 0x80, 0x08];
    bytes.extend(vec![0x55; 8 * 1024 * 1024]);
    refused(&decimal, &bytes);
    decimal
        .to_bytes(&json!("9".repeat(1_000_000)))
        .expect_err("too many digits");
    decimal.to_bytes(&json!("9".repeat(1000))).unwrap();
}

#[test]
fn schemas_whose_defaults_double() {
    // R0 has two of R1, which has two of R2 … each by default: 2^60 values.
    let mut types = vec![
        json!({"type": "record", "name": "R60", "fields": [{"name": "x", "type": "null", "default": null}]}),
    ];
    for level in (0..60).rev() {
        let next = format!("R{}", level + 1);
        types.push(json!({"type": "record", "name": format!("R{level}"), "fields": [
            {"name": "a", "type": next, "default": {}}, {"name": "b", "type": next, "default": {}}]}));
    }
    let invalid = Schema::parse(&json!(types).to_string(), &[]).unwrap_err();
    assert!(invalid.reason.contains("come to too much"), "{invalid}");
    // Little that stands for much.
    let text = "x".repeat(1_000_000);
    let described = json!({"type": "array", "items": {"type": "record", "name": "R", "fields": [{"name": "a", "type": "string", "default": text}]}});
    schema(&described)
        .to_bytes(&json!(vec![json!({}); 100_000]))
        .expect_err("100 GB");
}

#[test]
fn schemas_that_nest() {
    let mut text = "\"int\"".to_owned();
    for _ in 0..10_000 {
        text = format!("{{\"type\":\"array\",\"items\":{text}}}");
    }
    Schema::parse(&text, &[]).expect_err("JSON that deep is not parsed");
    // Each type refers to the one before it: as deep as there are types.
    let chain = |count: usize| {
        let mut types = vec![json!({"type": "fixed", "name": "T0", "size": 1})];
        for index in 1..count {
            types.push(json!({"type": "record", "name": format!("T{index}"), "fields": [{"name": "a", "type": format!("T{}", index - 1)}]}));
        }
        json!(types).to_string()
    };
    // In one document each is defined where the union names it.
    let flat = Schema::parse(&chain(20_000), &[]).unwrap();
    assert!(sandbar_avro::compare(&flat, &flat).is_empty());
    assert!(flat.json_schema().is_object());
    assert!(flat.canonical().len() > 100_000);
    // By a reference the last is first.
    let text = chain(20_000);
    let reference = Reference {
        name: "chain",
        text: &text,
    };
    let invalid = Schema::parse("\"T19999\"", &[reference]).unwrap_err();
    assert!(invalid.reason.contains("nest deeper"), "{invalid}");
}
