//! Data that means harm: it is refused, with its place, in bounded time and memory.

use sandbar_protobuf::{Schema, Unknown};
use serde_json::json;

use crate::{proto2, proto3, schema};

fn refused(schema: &Schema, data: &[u8], path: &str, words: &str) {
    let flaw = schema.check(data).expect_err(words);
    assert_eq!(flaw.path, path, "{flaw:?}");
    assert!(flaw.reason.contains(words), "{flaw:?}");
    assert!(
        schema.to_json(data).is_err(),
        "{words}: what is no message has no JSON"
    );
}

#[test]
fn broken_encodings_are_refused_where_they_break() {
    let schema = proto3(
        "message M { int32 i = 1; string s = 2; repeated int32 list = 3; repeated M deep = 4; map<string, M> map = 5; \
         bool b = 6; fixed32 f = 7; uint32 u = 8; E e = 9; repeated string texts = 10; map<int64, bool> flags = 11; double d = 12; } \
         enum E { ZERO = 0; }",
    );
    for (data, path, words) in [
        (&[0x08][..], "/i", "ends within a varint"),
        (
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            "/i",
            "longer than 64 bits",
        ),
        (
            &[
                0x08, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x02,
            ],
            "/i",
            "longer than 64 bits",
        ),
        (
            &[0x08, 0x80, 0x80, 0x80, 0x80, 0x20],
            "/i",
            "8589934592 does not fit int32",
        ),
        (
            &[0x40, 0x80, 0x80, 0x80, 0x80, 0x20],
            "/u",
            "does not fit uint32",
        ),
        (&[0x30, 2], "/b", "2 does not fit bool"),
        (
            &[0x48, 0x80, 0x80, 0x80, 0x80, 0x20],
            "/e",
            "does not fit an enum's number",
        ),
        (
            &[0x0d, 1, 2, 3, 4],
            "/i",
            "is encoded as four bytes; int32 is encoded as a varint",
        ),
        (
            &[0x12, 5, b'a'],
            "/s",
            "says that it has 5 bytes; there are 1",
        ),
        (
            &[
                0x12, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01,
            ],
            "/s",
            "18446744073709551615 bytes",
        ),
        (&[0x12, 1, 0xff], "/s", "not UTF-8"),
        (
            &[0x1a, 2, 1, 0x80],
            "/list/0",
            "item 1 of a packed piece: the data ends within a varint",
        ),
        (
            &[0x18, 1, 0x1a, 2, 1, 1, 0x18, 0x80],
            "/list/3",
            "ends within a varint",
        ),
        (&[0x52, 0, 0x52, 1, 0xff], "/texts/1", "not UTF-8"),
        (
            &[0x22, 0, 0x22, 2, 0x10, 1],
            "/deep/1/s",
            "string is encoded as bytes with their length",
        ),
        (
            &[0x2a, 7, 0x0a, 1, b'k', 0x12, 2, 0x30, 7],
            "/map/k/b",
            "does not fit bool",
        ),
        (
            &[0x5a, 4, 0x08, 7, 0x10, 2],
            "/flags/7",
            "does not fit bool",
        ),
        (&[0x3d, 1, 2], "/f", "needs 4 bytes; there are 2"),
        (&[0x61, 1, 2], "/d", "needs 8 bytes; there are 2"),
        (&[0x00, 1], "", "0 is no field number"),
        (
            &[0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 1],
            "",
            "is no field number",
        ),
        (&[0x0c], "", "ends a group that was not begun"),
        (
            &[0x98, 0x06, 1],
            "",
            "has a field 99, which M does not have",
        ),
        (
            &[0x22, 3, 0x98, 0x06, 1],
            "/deep/0",
            "has a field 99, which M does not have",
        ),
    ] {
        refused(&schema, data, path, words);
    }
    // A wire type that there is not, of a field that there is and one that there is not.
    refused(&schema, &[0x0e], "/i", "nothing that there is");
    let flaw = schema
        .check_with(&[0x9e, 0x06], Unknown::Skipped)
        .expect_err("wire type 6");
    assert!(flaw.reason.contains("wire type 6"), "{flaw:?}");
    // Any bytes: never a panic, and what is taken has a JSON that goes back.
    for seed in 0..20_000u32 {
        let mut state = seed.wrapping_mul(2_654_435_761).wrapping_add(1);
        let data: Vec<u8> = (0..seed % 24)
            .map(|_| {
                state ^= state << 13;
                state ^= state >> 17;
                state ^= state << 5;
                (state >> 7) as u8 & 0x7f
            })
            .collect();
        match schema.check(&data) {
            Ok(()) => {
                let json = schema.to_json(&data).expect("what is taken has a JSON");
                let bytes = schema.to_bytes(&json).expect("and goes back");
                assert_eq!(schema.to_json(&bytes), Ok(json));
            }
            Err(_) => assert!(schema.to_json(&data).is_err()),
        }
    }
}

#[test]
fn depth_is_bounded() {
    let schema = proto3("message M { M m = 1; map<int32, M> map = 2; int32 i = 3; }");
    let nest = |levels: usize| {
        let mut data = Vec::new();
        for _ in 0..levels {
            let mut outer = vec![0x0a];
            let mut length = data.len();
            while length >= 0x80 {
                outer.push((length as u8 & 0x7f) | 0x80);
                length >>= 7;
            }
            outer.push(length as u8);
            outer.extend(data);
            data = outer;
        }
        data
    };
    assert!(schema.check(&nest(100)).is_ok());
    assert!(
        schema.to_json(&nest(100)).is_ok(),
        "what is taken can be shown"
    );
    let flaw = schema.check(&nest(101)).expect_err("too deep");
    assert!(flaw.reason.contains("nested deeper than 100"), "{flaw:?}");
    assert!(schema.check(&nest(20_000)).is_err());

    // Through maps, whose entries are messages too.
    let mut json = json!({ "i": 1 });
    for _ in 0..49 {
        json = json!({ "map": { "1": json } });
    }
    let bytes = schema.to_bytes(&json).expect("98 levels");
    assert_eq!(schema.to_json(&bytes), Ok(json.clone()));
    json = json!({ "map": { "1": { "map": { "1": json } } } });
    assert!(
        schema
            .to_bytes(&json)
            .expect_err("102 levels")
            .reason
            .contains("deeper")
    );

    // Groups, also unknown ones.
    let groups = proto2("message M { optional group G = 1 { optional M m = 1; } }");
    let data = vec![0x0b; 50_000];
    assert!(groups.check(&data).is_err());
    assert!(
        proto3("message M {}")
            .check_with(&data, Unknown::Skipped)
            .expect_err("deep")
            .reason
            .contains("deeper")
    );
    assert!(
        proto3("message M {}")
            .check_with(&[0x0b, 0x14], Unknown::Skipped)
            .is_err()
    );
    assert!(
        proto3("message M {}")
            .check_with(&[0x0b, 0x08, 1, 0x0c], Unknown::Skipped)
            .is_ok()
    );
    refused(&groups, &[0x0b], "/g", "ends within a group");
    refused(
        &groups,
        &[0x0b, 0x14],
        "/g",
        "ends a group that was not begun",
    );
}

#[test]
fn texts_that_mean_harm_are_refused() {
    let deep = format!(
        "syntax = \"proto3\"; {}{}",
        "message M { ".repeat(5_000),
        "}".repeat(5_000)
    );
    assert!(
        Schema::parse(&deep, &[])
            .expect_err("deep")
            .reason
            .contains("nest")
    );
    let braces = format!(
        "syntax = \"proto2\"; message M {{ optional int32 a = 1 [(x) = {}",
        "{ a ".repeat(100_000)
    );
    assert!(Schema::parse(&braces, &[]).is_err());
    let brackets = format!(
        "syntax = \"proto2\"; message M {{ optional int32 a = 1 [default = {}",
        "[".repeat(100_000)
    );
    assert!(Schema::parse(&brackets, &[]).is_err());
    let wide: String = (1..=5_000).map(|n| format!("int32 f{n} = {n};")).collect();
    assert!(
        schema(&format!("syntax = \"proto3\"; message M {{ {wide} }}"))
            .check(&[0x08, 1])
            .is_ok()
    );
    for text in [
        "\u{0}",
        "syntax",
        "syntax = ",
        "message",
        "message M { int32 a = 99999999999999999999; }",
        "/*",
        "\"",
        "message M { int32 a = 536870912; }",
        "message M { int32 a = 19000; }",
    ] {
        assert!(Schema::parse(text, &[]).is_err(), "{text:?}");
    }
}
