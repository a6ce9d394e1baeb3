//! A writer's schema against a reader's: the rules that the Avro project's tests leave out, each with a
//! datum.

use sandbar_avro::{Schema, compare};
use serde_json::{Value, json};

use crate::schema;

/// Fields of a record on both sides.
fn pair(reader: Value, writer: Value) -> (Schema, Schema) {
    let record = |fields| json!({"type": "record", "name": "R", "fields": fields});
    (schema(&record(reader)), schema(&record(writer)))
}

#[track_caller]
fn finds((reader, writer): (Schema, Schema), rule: &str, path: &str, words: &str, shows: Value) {
    let findings = compare(&reader, &writer);
    let [finding] = &findings[..] else {
        panic!("{findings:?}");
    };
    assert_eq!(
        (finding.rule, finding.path.as_str()),
        (rule, path),
        "{finding:?}"
    );
    assert!(finding.message.contains(words), "{finding:?}");
    let datum = writer.to_bytes(&shows).unwrap();
    reader
        .resolve(&writer, &datum)
        .expect_err("the datum shows it");
}

#[track_caller]
fn reads((reader, writer): (Schema, Schema), written: Value, read: Value) {
    let findings = compare(&reader, &writer);
    assert!(findings.is_empty(), "{findings:?}");
    let datum = writer.to_bytes(&written).unwrap();
    let resolved = reader.resolve(&writer, &datum).unwrap();
    assert_eq!(reader.to_json(&resolved).unwrap(), read);
}

#[test]
fn fields() {
    let with = |extra: Value| json!([{"name": "a", "type": "int"}, extra]);
    let a = || json!([{"name": "a", "type": "int"}]);
    finds(
        pair(with(json!({"name": "b", "type": "int"})), a()),
        "READER_FIELD_MISSING_DEFAULT_VALUE",
        "/fields/1",
        "the reader's field \"b\" has no default",
        json!({"a": 1}),
    );
    reads(
        pair(with(json!({"name": "b", "type": "int", "default": 5})), a()),
        json!({"a": 1}),
        json!({"a": 1, "b": 5}),
    );
    reads(
        pair(a(), with(json!({"name": "b", "type": "int"}))),
        json!({"a": 1, "b": 2}),
        json!({"a": 1}),
    );
    // In another order, and by an alias.
    reads(
        pair(
            json!([{"name": "c", "type": "long", "aliases": ["b"]}, {"name": "a", "type": "int"}]),
            with(json!({"name": "b", "type": "int"})),
        ),
        json!({"a": 1, "b": 2}),
        json!({"c": 2, "a": 1}),
    );
    // The name comes before an alias.
    reads(
        pair(
            json!([{"name": "c", "type": "int", "aliases": ["a"], "default": 9}, {"name": "a", "type": "int"}]),
            a(),
        ),
        json!({"a": 1}),
        json!({"c": 9, "a": 1}),
    );
    finds(
        pair(
            json!([{"name": "a", "type": {"type": "map", "values": "int"}}]),
            json!([{"name": "a", "type": {"type": "map", "values": "string"}}]),
        ),
        "TYPE_MISMATCH",
        "/fields/0/type/values",
        "INT does not take the writer's STRING",
        json!({"a": {"x": "y"}}),
    );
}

#[test]
fn names_and_sizes() {
    let named = |text: Value| schema(&text);
    let fixed = |name: &str, size: u32| named(json!({"type": "fixed", "name": name, "size": size}));
    finds(
        (fixed("n.A", 1), fixed("n.B", 1)),
        "NAME_MISMATCH",
        "/name",
        "n.A, the writer's n.B",
        json!("AA=="),
    );
    finds(
        (fixed("A", 1), fixed("A", 2)),
        "FIXED_SIZE_MISMATCH",
        "/size",
        "has 1 bytes, the writer's 2",
        json!("AAA="),
    );
    // Without the namespace they are the same.
    reads(
        (fixed("n.A", 1), fixed("m.A", 1)),
        json!("AA=="),
        json!("AA=="),
    );
    let alias = named(json!({"type": "fixed", "name": "n.A", "aliases": ["B"], "size": 1}));
    reads((alias, fixed("n.B", 1)), json!("AA=="), json!("AA=="));
}

#[test]
fn symbols() {
    let symbols =
        |symbols: Value| schema(&json!({"type": "enum", "name": "E", "symbols": symbols}));
    finds(
        (symbols(json!(["A"])), symbols(json!(["A", "B", "C"]))),
        "MISSING_ENUM_SYMBOLS",
        "/symbols",
        "lacks the writer's B, C",
        json!("B"),
    );
    reads(
        (symbols(json!(["B", "A"])), symbols(json!(["A"]))),
        json!("A"),
        json!("A"),
    );
    let default =
        schema(&json!({"type": "enum", "name": "E", "symbols": ["X", "A"], "default": "X"}));
    reads(
        (default, symbols(json!(["A", "B"]))),
        json!("B"),
        json!("X"),
    );
}

#[test]
fn promotions_and_unions() {
    let both = |reader: Value, writer: Value| (schema(&reader), schema(&writer));
    reads(both(json!("double"), json!("int")), json!(5), json!(5.0));
    reads(
        both(json!("string"), json!("bytes")),
        json!("YQ=="),
        json!("a"),
    );
    reads(
        both(json!(["null", "long"]), json!("int")),
        json!(5),
        json!(5),
    );
    reads(both(json!("int"), json!(["int"])), json!(5), json!(5));
    // The same type comes before one that takes it.
    reads(
        both(json!(["long", "int"]), json!("int")),
        json!(5),
        json!({"int": 5}),
    );
    finds(
        both(json!(["null", "int"]), json!(["null", "string"])),
        "MISSING_UNION_BRANCH",
        "/1",
        "lacks the writer's type STRING",
        json!("x"),
    );
    finds(
        both(json!("int"), json!(["null", "int"])),
        "TYPE_MISMATCH",
        "/",
        "INT does not take the writer's NULL",
        json!(null),
    );
    finds(
        both(json!(["null", "int"]), json!("long")),
        "MISSING_UNION_BRANCH",
        "/",
        "LONG",
        json!(5),
    );
    // Bytes that are no text are no string, which no comparison of types can say.
    let (reader, writer) = both(json!("string"), json!("bytes"));
    let datum = writer.to_bytes(&json!("/w==")).unwrap();
    reader.resolve(&writer, &datum).expect_err("not UTF-8");
    // Why the branch that is nearest does not take it.
    let record = |fields: Value| json!(["null", {"type": "record", "name": "R", "fields": fields}]);
    finds(
        both(
            record(json!([{"name": "a", "type": "int"}])),
            record(json!([])),
        ),
        "MISSING_UNION_BRANCH",
        "/1",
        "its branch R does not take it: READER_FIELD_MISSING_DEFAULT_VALUE at /fields/0",
        json!({}),
    );
}

#[test]
fn recursion() {
    let list = |value: &str, extra: Value| {
        schema(
            &json!({"type": "record", "name": "L", "fields": [{"name": "value", "type": value}, {"name": "next", "type": ["null", "L"]}, extra]}),
        )
    };
    let extra = json!({"name": "x", "type": "int", "default": 1});
    reads(
        (list("long", extra.clone()), list("int", extra.clone())),
        json!({"value": 1, "next": {"value": 2, "next": null, "x": 3}}),
        json!({"value": 1, "next": {"value": 2, "next": null, "x": 3}, "x": 1}),
    );
    let findings = compare(&list("int", extra.clone()), &list("long", extra));
    assert_eq!(findings[0].path, "/fields/0/type", "{findings:?}");
}

#[test]
fn logical_types() {
    let decimal = |precision: u32, scale: u32| {
        schema(
            &json!({"type": "bytes", "logicalType": "decimal", "precision": precision, "scale": scale}),
        )
    };
    finds(
        (decimal(9, 3), decimal(9, 2)),
        "TYPE_MISMATCH",
        "/",
        "scale 3, the writer's 2",
        json!("1.25"),
    );
    finds(
        (decimal(4, 2), decimal(6, 2)),
        "TYPE_MISMATCH",
        "/",
        "has 4 digits, the writer's 6",
        json!("1000.00"),
    );
    reads((decimal(9, 2), decimal(6, 2)), json!("1.25"), json!("1.25"));
    let long = |word: &str| schema(&json!({"type": "long", "logicalType": word}));
    finds(
        (long("timestamp-micros"), long("timestamp-millis")),
        "TYPE_MISMATCH",
        "/",
        "takes the writer's timestamp-millis for other values",
        json!("2026-01-01T00:00:00Z"),
    );
    // An annotation that comes or goes changes no value.
    reads(
        (long("timestamp-millis"), schema(&json!("long"))),
        json!(1),
        json!("1970-01-01T00:00:00.001Z"),
    );
    reads(
        (schema(&json!("long")), long("timestamp-millis")),
        json!(1),
        json!(1),
    );
}
