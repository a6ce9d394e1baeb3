//! Bytes against the schema, and to JSON and back: each type by the mapping of
//! <https://protobuf.dev/programming-guides/json/>.

use sandbar_protobuf::{Schema, Unknown};
use serde_json::{Value, json};

use crate::{proto2, proto3, schema};

/// The JSON goes to the bytes, and they to the JSON again.
fn both(schema: &Schema, json: &Value, bytes: &[u8]) {
    assert_eq!(schema.to_bytes(json).as_deref(), Ok(bytes), "{json}");
    assert_eq!(schema.to_json(bytes).as_ref(), Ok(json), "{bytes:x?}");
    assert_eq!(schema.check(bytes), Ok(()));
}

fn refused(schema: &Schema, json: &Value, path: &str, words: &str) {
    let flaw = schema.to_bytes(json).expect_err(&json.to_string());
    assert_eq!(flaw.path, path, "{json}: {flaw:?}");
    assert!(flaw.reason.contains(words), "{json}: {flaw:?}");
}

#[test]
fn each_scalar_has_its_bytes_and_its_json() {
    for (kind, json, bytes) in [
        (
            "int32",
            json!(-1),
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1][..],
        ),
        ("int32", json!(150), &[0x96, 1]),
        (
            "int64",
            json!("-9223372036854775808"),
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1],
        ),
        (
            "uint32",
            json!(4_294_967_295_u32),
            &[0xff, 0xff, 0xff, 0xff, 0x0f],
        ),
        (
            "uint64",
            json!("18446744073709551615"),
            &[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1],
        ),
        ("sint32", json!(-2), &[3]),
        ("sint64", json!("-2"), &[3]),
        ("bool", json!(true), &[1]),
        ("E", json!("B"), &[2]),
        // Open: a number without a name stays one.
        ("E", json!(77), &[77]),
    ] {
        let schema = proto3(&format!(
            "message M {{ {kind} f = 1; }} enum E {{ A = 0; B = 2; }}"
        ));
        both(&schema, &json!({ "f": json }), &[&[0x08], bytes].concat());
        let map = proto3(&format!(
            "message M {{ map<string, {kind}> f = 1; }} enum E {{ A = 0; B = 2; }}"
        ));
        let entry = [&[0x0a, 1, b'k', 0x10], bytes].concat();
        both(
            &map,
            &json!({ "f": { "k": json } }),
            &[&[0x0a, entry.len() as u8], &entry[..]].concat(),
        );
        let list = proto3(&format!(
            "message M {{ repeated {kind} f = 1; }} enum E {{ A = 0; B = 2; }}"
        ));
        let packed = [bytes, bytes].concat();
        both(
            &list,
            &json!({ "f": [json, json] }),
            &[&[0x0a, packed.len() as u8], &packed[..]].concat(),
        );
        // Not packed, as proto2 writes it, is read too.
        let loose = [&[0x08], bytes, &[0x08], bytes].concat();
        assert_eq!(list.to_json(&loose), Ok(json!({ "f": [json, json] })));
    }
    for (kind, json, key, bytes) in [
        ("fixed32", json!(1), 0x0d, &[1, 0, 0, 0][..]),
        ("sfixed32", json!(-1), 0x0d, &[0xff; 4]),
        ("fixed64", json!("1"), 0x09, &[1, 0, 0, 0, 0, 0, 0, 0]),
        ("sfixed64", json!("-1"), 0x09, &[0xff; 8]),
        // A float in its own shortest form, not in that of a double.
        ("float", json!(0.1), 0x0d, &[0xcd, 0xcc, 0xcc, 0x3d]),
        (
            "float",
            json!(3.402_823_466_385_288_6e38),
            0x0d,
            &[0xff, 0xff, 0x7f, 0x7f],
        ),
        ("float", json!(1e-45), 0x0d, &[1, 0, 0, 0]),
        ("float", json!("NaN"), 0x0d, &[0, 0, 0xc0, 0x7f]),
        ("double", json!(-1.5), 0x09, &[0, 0, 0, 0, 0, 0, 0xf8, 0xbf]),
        (
            "double",
            json!("-Infinity"),
            0x09,
            &[0, 0, 0, 0, 0, 0, 0xf0, 0xff],
        ),
        ("string", json!("é"), 0x0a, &[2, 0xc3, 0xa9]),
        ("bytes", json!("/+8="), 0x0a, &[2, 0xff, 0xef]),
        ("M", json!({}), 0x0a, &[0]),
    ] {
        let schema = proto3(&format!("message M {{ {kind} f = 1; }}"));
        both(&schema, &json!({ "f": json }), &[&[key], bytes].concat());
    }
}

#[test]
fn names_are_those_of_json_and_those_of_the_text_are_taken() {
    let schema =
        proto3("message M { int32 some_field = 1; int32 other = 2 [json_name = \"@other\"]; }");
    both(
        &schema,
        &json!({ "someField": 1, "@other": 2 }),
        &[8, 1, 16, 2],
    );
    assert_eq!(
        schema.to_bytes(&json!({ "some_field": 1, "other": 2 })),
        Ok(vec![8, 1, 16, 2])
    );
    // The spellings that the mapping takes.
    let numbers = proto3(
        "message M { int64 a = 1; int32 b = 2; bytes c = 3; double d = 4; E e = 5; } enum E { X = 0; Y = 1; }",
    );
    let bytes = numbers
        .to_bytes(&json!({ "a": 5, "b": "6", "c": "_-8", "d": "1.5", "e": 1 }))
        .expect("fits");
    assert_eq!(
        numbers.to_json(&bytes),
        Ok(json!({ "a": "5", "b": 6, "c": "/+8=", "d": 1.5, "e": "Y" }))
    );
    assert_eq!(numbers.to_bytes(&json!({ "b": 1.0 })), Ok(vec![16, 1]));
}

#[test]
fn what_is_set_is_told_from_what_is_not_where_the_schema_can() {
    let schema = proto3(
        "message M { optional int32 a = 1; int32 b = 2; oneof o { int32 c = 3; int32 d = 4; } M m = 5; }",
    );
    both(&schema, &json!({}), &[]);
    // Null is what is not set, where that is not the same as a value.
    assert_eq!(
        schema.to_bytes(&json!({ "a": null, "c": null, "m": null })),
        Ok(vec![])
    );
    refused(&schema, &json!({ "b": null }), "/b", "always has a value");
    both(
        &schema,
        &json!({ "a": 0, "c": 0, "m": {} }),
        &[8, 0, 24, 0, 42, 0],
    );
    assert_eq!(schema.to_bytes(&json!({ "b": 0 })), Ok(vec![]));
    assert_eq!(schema.to_json(&[16, 0]), Ok(json!({})));
    refused(
        &schema,
        &json!({ "c": 1, "d": 2 }),
        "/d",
        "only one field of the oneof o can be set",
    );
}

#[test]
fn what_bytes_could_not_say_is_refused_with_its_place() {
    let schema = proto3(
        "message M { int32 a_b = 1; repeated M list = 2; map<int32, M> map = 3; double d = 4; float f = 5; int64 l = 6; \
         uint64 u = 7; E e = 8; string s = 9; bytes bytes = 10; bool b = 11; map<bool, int32> flags = 12; repeated int32 numbers = 13; } enum E { A = 0; }",
    );
    for (json, path, words) in [
        (json!({ "aB": 1, "a_b": 2 }), "/a_b", "same field as"),
        (
            json!({ "list": [{}, { "x": 1 }] }),
            "/list/1/x",
            "is no field of M",
        ),
        (
            json!({ "list": [{}, { "aB": 1.5 }] }),
            "/list/1/aB",
            "expected integer",
        ),
        (
            json!({ "map": { "1": {}, "01": {} } }),
            "/map/1",
            "same key as",
        ),
        (json!({ "map": { "x": {} } }), "/map", "invalid digit"),
        (
            json!({ "map": { "2": { "aB": "z" } } }),
            "/map/2/aB",
            "invalid digit",
        ),
        (json!({ "map": { "2": null } }), "/map/2", "null"),
        (json!({ "numbers": [1, null] }), "/numbers/1", "null"),
        (
            json!({ "d": 9_007_199_254_740_993_u64 }),
            "/d",
            "more digits",
        ),
        (json!({ "f": 16_777_217 }), "/f", "more digits"),
        (json!({ "f": 1e39 }), "/f", "out of range"),
        (json!({ "f": "1e39" }), "/f", "out of range"),
        (json!({ "d": "1e999" }), "/d", "out of range"),
        (json!({ "aB": 2_147_483_648_u64 }), "/aB", "out of range"),
        (
            json!({ "l": 9.223_372_036_854_776e18 }),
            "/l",
            "out of range",
        ),
        (
            json!({ "u": 1.844_674_407_370_955_3e19 }),
            "/u",
            "out of range",
        ),
        (json!({ "u": -1 }), "/u", "out of range"),
        (json!({ "e": "B" }), "/e", "unrecognized enum value"),
        (json!({ "s": 1 }), "/s", "string"),
        (json!({ "bytes": "?" }), "/bytes", "base64"),
        (json!({ "b": "true" }), "/b", "boolean"),
        (json!({ "flags": { "yes": 1 } }), "/flags", "true"),
        (json!([]), "", "map"),
        (json!(null), "", "map"),
        (json!({ "list": {} }), "/list", "list"),
    ] {
        refused(&schema, &json, path, words);
    }
    both(
        &schema,
        &json!({ "d": 9_007_199_254_740_992.0_f64 }),
        &[33, 0, 0, 0, 0, 0, 0, 0x40, 0x43],
    );
}

#[test]
fn proto2_has_required_fields_closed_enums_groups_and_extensions() {
    let schema = proto2(
        "message M { required int32 a = 1; optional E e = 2; optional group G = 3 { optional int32 x = 1; } repeated int32 list = 4; \
         repeated M inner = 5; extensions 100 to 200; } enum E { A = 1; B = 3; } extend M { optional string more = 100; }",
    );
    both(
        &schema,
        &json!({ "a": 0, "e": "B", "g": { "x": 5 }, "list": [1, 2], "[more]": "m" }),
        &[
            8, 0, 16, 3, 0x1b, 8, 5, 0x1c, 32, 1, 32, 2, 0xa2, 6, 1, b'm',
        ],
    );
    refused(&schema, &json!({}), "/a", "is missing; M requires it");
    refused(
        &schema,
        &json!({ "a": 1, "inner": [{ "a": 1 }, {}] }),
        "/inner/1/a",
        "is missing",
    );
    refused(
        &schema,
        &json!({ "a": 1, "e": 2 }),
        "/e",
        "not a value of the enum",
    );
    let flaw = schema.check(&[8, 1, 16, 2]).expect_err("closed");
    assert_eq!(
        (flaw.path.as_str(), flaw.reason.as_str()),
        (
            "/e",
            "2 is not a value of the enum, which is closed (proto2)"
        )
    );
    // Packed, as proto3 writes it, is read too.
    assert_eq!(
        schema.to_json(&[8, 1, 34, 2, 1, 2]),
        Ok(json!({ "a": 1, "list": [1, 2] }))
    );
    // Two fields with one name in JSON could not be told apart.
    let twice = "syntax = \"proto2\"; message M { optional int32 a_b = 1; optional int32 aB = 2; }";
    assert!(
        Schema::parse(twice, &[])
            .expect_err("two names")
            .reason
            .contains("same name in JSON")
    );
}

#[test]
fn unknown_fields_are_lost_only_where_that_is_asked_for() {
    let writer = proto3("message M { int32 a = 1; M m = 2; int32 new = 3; }");
    let reader = proto3("message M { int32 a = 1; M m = 2; }");
    let bytes = writer
        .to_bytes(&json!({ "a": 1, "m": { "a": 2, "new": 3 } }))
        .expect("fits");
    let flaw = reader.check(&bytes).expect_err("new");
    assert_eq!(flaw.path, "/m");
    assert_eq!(flaw.reason, "has a field 3, which M does not have");
    assert_eq!(reader.to_json(&bytes), Err(flaw));
    assert_eq!(reader.check_with(&bytes, Unknown::Skipped), Ok(()));
    assert_eq!(
        reader.to_json_with(&bytes, Unknown::Skipped),
        Ok(json!({ "a": 1, "m": { "a": 2 } }))
    );
}

const WELL_KNOWN: &str = r#"
    import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
    import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/field_mask.proto";
    import "google/protobuf/empty.proto";
    message M {
        google.protobuf.Any any = 1; google.protobuf.Timestamp at = 2; google.protobuf.Duration for = 3;
        google.protobuf.Struct struct = 4; google.protobuf.Value value = 5; google.protobuf.ListValue list = 6;
        google.protobuf.FieldMask mask = 7; google.protobuf.Empty empty = 8; google.protobuf.NullValue null = 9;
        google.protobuf.Int64Value long = 10; google.protobuf.BytesValue bytes = 11; google.protobuf.BoolValue bool = 12;
        google.protobuf.DoubleValue double = 13; int32 plain = 14; map<string, google.protobuf.Value> values = 15;
        google.protobuf.StringValue string = 16; map<string, int32> map = 17; optional google.protobuf.NullValue set = 18;
    }
"#;

#[test]
fn well_known_types_have_their_own_forms() {
    let schema = proto3(WELL_KNOWN);
    for json in [
        json!({ "at": "2024-02-29T12:00:00Z" }),
        json!({ "at": "0001-01-01T00:00:00Z" }),
        json!({ "at": "9999-12-31T23:59:59.999999999Z" }),
        json!({ "at": "1969-12-31T23:59:59.500Z" }),
        json!({ "for": "1.500s" }),
        json!({ "for": "-0.500s" }),
        json!({ "struct": { "a": [1.0, "x", null, true, { "b": {} }] } }),
        json!({ "value": null }),
        json!({ "value": [1.5, []] }),
        json!({ "list": [null, "a"] }),
        json!({ "mask": "a.bC,d" }),
        json!({ "mask": "" }),
        json!({ "empty": {} }),
        json!({ "set": null }),
        json!({ "long": "5", "bytes": "AA==", "bool": false, "double": "NaN", "string": "" }),
        json!({ "values": { "a": null, "b": 1.0 } }),
        json!({ "any": { "@type": "type.googleapis.com/M", "plain": 3, "map": { "a": 1, "b": 2 } } }),
        json!({ "any": { "@type": "type.googleapis.com/google.protobuf.Duration", "value": "3s" } }),
        json!({ "any": { "@type": "type.googleapis.com/google.protobuf.Any", "value": { "@type": "type.googleapis.com/M", "plain": 3 } } }),
    ] {
        let bytes = schema
            .to_bytes(&json)
            .unwrap_or_else(|flaw| panic!("{json}: {flaw}"));
        assert_eq!(schema.to_json(&bytes), Ok(json));
    }
    // Another spelling of the same.
    let bytes = schema
        .to_bytes(&json!({ "at": "2024-02-29T14:00:00+02:00" }))
        .expect("an offset");
    assert_eq!(
        schema.to_json(&bytes),
        Ok(json!({ "at": "2024-02-29T12:00:00Z" }))
    );
    for (json, path) in [
        (json!({ "at": "2023-02-29T12:00:00Z" }), "/at"),
        (json!({ "at": "today" }), "/at"),
        (json!({ "for": "1 hour" }), "/for"),
        (json!({ "for": "315576000001s" }), "/for"),
        (json!({ "long": "x" }), "/long"),
        (json!({ "mask": "a_b" }), "/mask"),
        (json!({ "double": 9_007_199_254_740_993_u64 }), "/double"),
        (
            json!({ "struct": { "a": [9_007_199_254_740_993_u64] } }),
            "/struct/a/0",
        ),
    ] {
        let flaw = schema.to_bytes(&json).expect_err(&json.to_string());
        assert_eq!(flaw.path, path, "{json} {flaw:?}");
    }
    for json in [
        json!({ "any": { "@type": "type.googleapis.com/Missing" } }),
        json!({ "any": { "@type": "type.googleapis.com/M", "x": 1 } }),
        json!({ "any": { "plain": 1 } }),
    ] {
        assert!(
            schema
                .to_bytes(&json)
                .expect_err("no such Any")
                .path
                .starts_with("/any"),
            "{json}"
        );
    }
}

#[test]
fn what_json_could_not_say_is_refused() {
    let schema = proto3(WELL_KNOWN);
    for (what, bytes, path) in [
        (
            "an Any of a type that is not there",
            &[0x0a, 5, 0x0a, 3, b'a', b'/', b'b'][..],
            "",
        ),
        (
            "an Any with unknown fields in it",
            &[
                0x0a, 0x1c, 0x0a, 0x15, b't', b'y', b'p', b'e', b'.', b'g', b'o', b'o', b'g', b'l',
                b'e', b'a', b'p', b'i', b's', b'.', b'c', b'o', b'm', b'/', b'M', 0x12, 3, 0xf8, 7,
                1,
            ],
            "/any",
        ),
        (
            "a date before the year 1",
            &[
                0x12, 11, 0x08, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 1,
            ],
            "",
        ),
        (
            "nanoseconds beyond a second",
            &[0x12, 6, 0x10, 0x80, 0xa8, 0xd6, 0xb9, 7],
            "/at",
        ),
        (
            "a span of two signs",
            &[
                0x1a, 13, 0x08, 1, 0x10, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 1,
            ],
            "/for",
        ),
        ("a Value without one", &[0x2a, 0], "/value"),
        (
            "a number that is none in a Value",
            &[0x2a, 9, 0x11, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f],
            "",
        ),
        (
            "a path that does not come back",
            &[0x3a, 4, 0x0a, 2, b'a', b'B'],
            "",
        ),
    ] {
        let flaw = schema.to_json(bytes).expect_err(what);
        assert!(flaw.path.starts_with(path), "{what}: {flaw:?}");
    }
    // As bytes these are a message; only their JSON is missing. What an Any holds is looked at.
    assert!(schema.check(&[0x2a, 0]).is_ok());
    assert!(schema.check(&[0x0a, 5, 0x0a, 3, b'a', b'/', b'b']).is_ok());
    let flaw = schema
        .check(&[0x0a, 8, 0x0a, 3, b'a', b'/', b'M', 0x12, 1, 8])
        .expect_err("a broken M");
    assert_eq!(flaw.path, "/any/any");
}

#[test]
fn the_same_json_has_always_the_same_bytes() {
    let schema = proto3(
        "message M { map<string, M> map = 1; map<int32, string> names = 2; repeated int32 n = 3; repeated M list = 4; double d = 5; sint64 s = 6; fixed32 f = 7; bytes b = 8; }",
    );
    let names: serde_json::Map<String, Value> = (0..50)
        .map(|n: i32| ((n * 7 % 50 - 25).to_string(), json!(n.to_string())))
        .collect();
    let inner = json!({ "names": names, "n": [1, -1], "d": 0.5, "s": "-3", "f": 9, "b": "AAE=" });
    let json = json!({ "map": { "b": inner, "a": inner, "c": {} }, "list": [inner, {}] });
    let first = schema.to_bytes(&json).expect("fits");
    for _ in 0..20 {
        assert_eq!(schema.to_bytes(&json).expect("fits"), first);
    }
    assert_eq!(schema.to_json(&first), Ok(json));
    // Keys stand by their value: -25 before -24.
    let at = |key: &[u8]| {
        first
            .windows(key.len())
            .position(|window| window == key)
            .expect("is there")
    };
    let key = |n: i64| [&[8][..], &varint(n as u64)].concat();
    assert!(at(&key(-25)) < at(&key(-24)) && at(&key(-1)) < at(&key(24)));
}

fn varint(mut value: u64) -> Vec<u8> {
    let mut bytes = Vec::new();
    while value >= 0x80 {
        bytes.push((value as u8 & 0x7f) | 0x80);
        value >>= 7;
    }
    bytes.push(value as u8);
    bytes
}

#[test]
fn a_schema_of_another_message_is_another_schema() {
    let whole =
        schema("syntax = \"proto3\"; package p; message A { B b = 1; } message B { int32 i = 1; }");
    let part = whole.message("B").expect("is there");
    both(&part, &json!({ "i": 1 }), &[8, 1]);
    both(&whole, &json!({ "b": { "i": 1 } }), &[10, 2, 8, 1]);
}
