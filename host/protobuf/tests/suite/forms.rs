//! The JSON Schema of a message: it takes what `to_json` gives and refuses what `to_bytes` refuses.

use jsonschema::Validator;
use sandbar_protobuf::Schema;
use serde_json::{Value, json};

use crate::{proto2, proto3};

fn validator(schema: &Schema) -> Validator {
    let form = schema.json_schema();
    jsonschema::draft202012::options()
        .should_validate_formats(true)
        .build(&form)
        .unwrap_or_else(|error| panic!("{error}\n{form:#}"))
}

const ALL: &str = r#"
    import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto"; import "google/protobuf/duration.proto";
    import "google/protobuf/struct.proto"; import "google/protobuf/wrappers.proto"; import "google/protobuf/field_mask.proto";
    import "google/protobuf/empty.proto";
    message M {
        int32 i = 1; int64 l = 2; uint32 u = 3; uint64 ul = 4; double d = 5; float f = 6; bool b = 7; string s = 8; bytes by = 9;
        E e = 10; M m = 11; repeated int64 list = 12; map<int32, M> map = 13; map<bool, string> flags = 14; map<uint64, bool> longs = 15;
        oneof o { int32 one = 16; string two = 17; }
        google.protobuf.Any any = 20; google.protobuf.Timestamp at = 21; google.protobuf.Duration for = 22; google.protobuf.Struct struct = 23;
        google.protobuf.Value value = 24; google.protobuf.ListValue values = 25; google.protobuf.FieldMask mask = 26; google.protobuf.Empty empty = 27;
        google.protobuf.UInt64Value wrapped = 28; google.protobuf.NullValue null = 29; google.protobuf.BytesValue wrapped_bytes = 30;
    }
    enum E { ZERO = 0; ONE = 1; }
"#;

#[test]
fn both_say_the_same_of_each_document() {
    let schema = proto3(ALL);
    let validator = validator(&schema);
    for json in [
        json!({}),
        json!({ "i": -2_147_483_648, "u": 4_294_967_295_u32, "f": 3.402_823_466_385_288_6e38, "d": 1e300, "b": true, "s": "", "e": "ONE" }),
        json!({ "l": "-9223372036854775808" }),
        json!({ "l": "9223372036854775807", "ul": "18446744073709551615" }),
        json!({ "l": "0", "ul": "10000000000000000000" }),
        json!({ "e": 7 }),
        json!({ "by": "" }),
        json!({ "by": "AAAA" }),
        json!({ "by": "AAA=" }),
        json!({ "by": "AQ==" }),
        json!({ "m": { "m": { "list": ["1", "-2"] } } }),
        json!({ "map": { "-2147483648": {}, "0": { "i": 1 } }, "flags": { "true": "x" }, "longs": { "18446744073709551615": true } }),
        json!({ "one": 1 }),
        json!({ "two": "" }),
        json!({ "d": "NaN", "f": "-Infinity" }),
        json!({ "at": "2024-02-29T23:59:59.123456789Z" }),
        json!({ "for": "315576000000s" }),
        json!({ "for": "-1.5s" }),
        json!({ "struct": { "a": [1.5, null] }, "value": null, "values": [{}], "mask": "a.bC,d", "empty": {} }),
        json!({ "wrapped": "5", "wrappedBytes": "AA==", "null": null }),
        json!({ "any": { "@type": "type.googleapis.com/M", "i": 1 } }),
        json!({ "any": { "@type": "type.googleapis.com/google.protobuf.Duration", "value": "1s" } }),
    ] {
        assert!(validator.is_valid(&json), "the schema refuses {json}");
        let bytes = schema
            .to_bytes(&json)
            .unwrap_or_else(|flaw| panic!("{json}: {flaw}"));
        let back = schema.to_json(&bytes).expect("what was made has a JSON");
        assert!(validator.is_valid(&back), "the schema refuses {back}");
    }
    for json in [
        json!([]),
        json!({ "x": 1 }),
        json!({ "i": 2_147_483_648_u64 }),
        json!({ "i": 1.5 }),
        json!({ "u": -1 }),
        json!({ "l": "9223372036854775808" }),
        json!({ "l": "-9223372036854775809" }),
        json!({ "ul": "18446744073709551616" }),
        json!({ "ul": "-1" }),
        json!({ "f": 1e39 }),
        json!({ "b": "true" }),
        json!({ "e": "TWO" }),
        json!({ "by": "A" }),
        json!({ "one": 1, "two": "" }),
        json!({ "map": { "x": {} } }),
        json!({ "flags": { "yes": "" } }),
        json!({ "list": "1" }),
        json!({ "at": "0000-01-01T00:00:00Z" }),
        json!({ "at": "2023-02-29T00:00:00Z" }),
        json!({ "for": "315576000001s" }),
        json!({ "for": "1" }),
        json!({ "mask": "a_b" }),
        json!({ "struct": [] }),
        json!({ "empty": { "a": 1 } }),
        json!({ "any": { "@type": "type.googleapis.com/Missing" } }),
        json!({ "any": {} }),
    ] {
        assert!(!validator.is_valid(&json), "the schema takes {json}");
        assert!(schema.to_bytes(&json).is_err(), "to_bytes takes {json}");
    }
}

#[test]
fn required_fields_closed_enums_and_extensions_are_in_it() {
    let schema = proto2(
        "message M { required int32 a = 1; optional E e = 2; extensions 10; } enum E { A = 1; } extend M { repeated string more = 10; }",
    );
    let validator = validator(&schema);
    for (json, fits) in [
        (json!({ "a": 1, "e": "A", "[more]": ["x"] }), true),
        (json!({}), false),
        (json!({ "a": 1, "e": 2 }), false),
        (json!({ "a": 1, "[more]": "x" }), false),
    ] {
        assert_eq!(validator.is_valid(&json), fits, "{json}");
        assert_eq!(schema.to_bytes(&json).is_ok(), fits, "{json}");
    }
}

/// The patterns of numbers are exact at every length and at both ends.
#[test]
fn numbers_as_text_are_in_range_exactly() {
    let schema = proto3(
        "message M { int64 l = 1; uint64 u = 2; map<int32, bool> m = 3; map<uint32, bool> n = 4; }",
    );
    let validator = validator(&schema);
    let mut numbers: Vec<i128> = Vec::new();
    for bits in 0..70u32 {
        for near in -2..=2 {
            numbers.extend([(1i128 << bits) + near, -(1i128 << bits) + near]);
        }
    }
    for digits in 1..21u32 {
        for near in -1..=1 {
            numbers.extend([10i128.pow(digits) + near, -(10i128.pow(digits)) + near]);
        }
    }
    for number in numbers {
        let text = number.to_string();
        let says = |json: Value| validator.is_valid(&json);
        assert_eq!(
            says(json!({ "l": text })),
            i64::try_from(number).is_ok(),
            "int64 {text}"
        );
        assert_eq!(
            says(json!({ "u": text })),
            u64::try_from(number).is_ok(),
            "uint64 {text}"
        );
        let key = |name: &str| {
            let mut map = serde_json::Map::new();
            map.insert(text.clone(), json!(true));
            json!({ name: map })
        };
        assert_eq!(
            says(key("m")),
            i32::try_from(number).is_ok(),
            "int32 {text}"
        );
        assert_eq!(
            says(key("n")),
            u32::try_from(number).is_ok(),
            "uint32 {text}"
        );
    }
    for text in ["", "-", "-0", "00", "01", "+1", "1.0", " 1", "1e3", "0x1"] {
        assert!(!validator.is_valid(&json!({ "l": text })), "{text:?}");
    }
}
