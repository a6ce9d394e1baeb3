//! Each rule, with the data that shows it: written by the one, it is refused or seen differently by the
//! other. Where there is no rule, data goes through.

use sandbar_protobuf::{Schema, Unknown, compare, compare_wire, reused};
use serde_json::{Value, json};

use crate::schema;

/// What the reader makes of the writer's data.
#[derive(Debug)]
enum Shown {
    /// It does not read it.
    Refused(Value),
    /// It reads it as something else.
    Misread(Value, Value),
    /// It reads the same.
    Same(Value),
    /// Bytes cannot show it: a name, a promise.
    Nothing,
}
use Shown::{Misread, Nothing, Refused, Same};

struct Case {
    writer: &'static str,
    reader: &'static str,
    /// What `compare` finds, `rule path`.
    values: &'static [&'static str],
    /// What `compare_wire` finds.
    wire: &'static [&'static str],
    shown: Shown,
}

fn text(text: &str) -> Schema {
    match text.strip_prefix("proto2 ") {
        Some(rest) => schema(&format!("syntax = \"proto2\"; {rest}")),
        None => schema(&format!("syntax = \"proto3\"; {text}")),
    }
}

fn told(found: &[sandbar_protobuf::Finding]) -> Vec<String> {
    let mut told: Vec<_> = found
        .iter()
        .map(|one| {
            assert!(one.message.len() > 10, "{one:?}");
            format!("{} {}", one.rule, one.path).trim_end().to_owned()
        })
        .collect();
    told.sort();
    told
}

fn run(case: &Case) {
    let (writer, reader) = (text(case.writer), text(case.reader));
    let about = format!("\nwriter {}\nreader {}", case.writer, case.reader);
    assert_eq!(
        told(&compare(&reader, &writer)),
        case.values,
        "values{about}"
    );
    assert_eq!(
        told(&compare_wire(&reader, &writer)),
        case.wire,
        "wire{about}"
    );
    let written = |json: &Value| {
        writer
            .to_bytes(json)
            .unwrap_or_else(|flaw| panic!("{flaw}{about}"))
    };
    match &case.shown {
        Nothing => {}
        Refused(json) => {
            assert!(
                !case.values.is_empty(),
                "what is refused must be found{about}"
            );
            let read = reader.check_with(&written(json), Unknown::Skipped);
            assert!(read.is_err(), "the reader takes {json}{about}");
        }
        Misread(json, seen) => {
            assert!(
                !case.values.is_empty(),
                "what is misread must be found{about}"
            );
            let read = reader.to_json_with(&written(json), Unknown::Skipped);
            assert_eq!(read.as_ref(), Ok(seen), "{about}");
            assert_ne!(json, seen, "{about}");
        }
        Same(json) => {
            let read = reader.to_json_with(&written(json), Unknown::Skipped);
            assert_eq!(read.as_ref(), Ok(json), "{about}");
        }
    }
    // A version reads itself.
    assert_eq!(compare(&reader, &reader), [], "{about}");
    assert_eq!(compare(&writer, &writer), [], "{about}");
}

const NONE: &[&str] = &[];

#[test]
fn fields_come_and_go() {
    for case in [
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { int32 a = 1; int32 b = 2; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 1 })),
        },
        Case {
            writer: "message M { int32 a = 1; int32 b = 2; }",
            reader: "message M { int32 a = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 1 })),
        },
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { int32 a = 2; }",
            values: &["FIELD_NUMBER_CHANGED M.a"],
            wire: NONE,
            shown: Misread(json!({ "a": 1 }), json!({})),
        },
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { int32 b = 1; }",
            values: &["FIELD_NAME_CHANGED M.a"],
            wire: NONE,
            shown: Misread(json!({ "a": 1 }), json!({ "b": 1 })),
        },
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { int32 a = 1 [json_name = \"z\"]; }",
            values: &["FIELD_JSON_NAME_CHANGED M.a"],
            wire: NONE,
            shown: Misread(json!({ "a": 1 }), json!({ "z": 1 })),
        },
        Case {
            writer: "proto2 message M { optional int32 a = 1; }",
            reader: "proto2 message M { optional int32 a = 1; required int32 b = 2; }",
            values: &["REQUIRED_FIELD_ADDED M.b"],
            wire: &["REQUIRED_FIELD_ADDED M.b"],
            shown: Refused(json!({ "a": 1 })),
        },
        Case {
            writer: "proto2 message M { optional int32 a = 1; }",
            reader: "proto2 message M { required int32 a = 1; }",
            values: &["REQUIRED_FIELD_ADDED M.a"],
            wire: &["REQUIRED_FIELD_ADDED M.a"],
            shown: Refused(json!({})),
        },
        Case {
            writer: "proto2 message M { required int32 a = 1; }",
            reader: "proto2 message M { optional int32 a = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 1 })),
        },
        Case {
            writer: "proto2 message M { required int32 a = 1; }",
            reader: "proto2 message M { }",
            values: &["REQUIRED_FIELD_REMOVED M.a"],
            wire: &["REQUIRED_FIELD_REMOVED M.a"],
            shown: Nothing,
        },
        Case {
            writer: "message M { int32 a = 1; } message N {}",
            reader: "message M { int32 a = 1; }",
            values: &["MESSAGE_REMOVED N"],
            wire: &["MESSAGE_REMOVED N"],
            shown: Nothing,
        },
        Case {
            writer: "message M { message In {} }",
            reader: "message M { } message In {}",
            values: &["MESSAGE_REMOVED M.In"],
            wire: &["MESSAGE_REMOVED M.In"],
            shown: Nothing,
        },
        Case {
            writer: "message M { int32 a = 1; } message N { string b = 1; }",
            reader: "message N { string b = 1; } message M { int32 a = 1; }",
            values: &["FIRST_MESSAGE_CHANGED M"],
            wire: NONE,
            shown: Refused(json!({ "a": 1 })),
        },
        Case {
            writer: "package a; message M { M m = 1; }",
            reader: "package b; message M { M m = 1; }",
            values: &["PACKAGE_CHANGED"],
            wire: &["PACKAGE_CHANGED"],
            shown: Nothing,
        },
        // Deep inside.
        Case {
            writer: "message M { N n = 1; } message N { M m = 1; int32 a = 2; }",
            reader: "message M { N n = 1; } message N { M m = 1; string a = 2; }",
            values: &["FIELD_SCALAR_KIND_CHANGED N.a"],
            wire: &["FIELD_SCALAR_KIND_CHANGED N.a"],
            shown: Refused(json!({ "n": { "m": { "n": { "a": 1 } } } })),
        },
        // Extensions are fields.
        Case {
            writer: "proto2 message M { extensions 5; } extend M { optional int32 x = 5; }",
            reader: "proto2 message M { extensions 5; } extend M { optional string x = 5; }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.x"],
            wire: &["FIELD_SCALAR_KIND_CHANGED M.x"],
            shown: Refused(json!({ "[x]": 1 })),
        },
        Case {
            writer: "proto2 message M { optional int32 a = 1 [default = 5]; }",
            reader: "proto2 message M { optional int32 a = 1 [default = 6]; }",
            values: &["FIELD_DEFAULT_CHANGED M.a"],
            wire: NONE,
            shown: Nothing,
        },
        Case {
            writer: "proto2 enum E { A = 0; B = 1; } message M { optional E e = 1; }",
            reader: "proto2 enum E { B = 1; A = 0; } message M { optional E e = 1; }",
            values: &["FIELD_DEFAULT_CHANGED M.e"],
            wire: NONE,
            shown: Nothing,
        },
    ] {
        run(&case);
    }
}

#[test]
fn number_types_are_compatible_as_far_as_values_come_through() {
    let scalars = [
        "int32", "int64", "uint32", "uint64", "bool", "sint32", "sint64", "fixed32", "sfixed32",
        "fixed64", "sfixed64", "float", "double", "string", "bytes",
    ];
    let group = |kind: &str| match kind {
        "int32" | "int64" | "uint32" | "uint64" | "bool" => 0,
        "sint32" | "sint64" => 1,
        "fixed32" | "sfixed32" => 2,
        "fixed64" | "sfixed64" => 3,
        "string" | "bytes" => 4,
        "float" => 5,
        _ => 6,
    };
    // Values that are at the ends, and common ones.
    let values = |kind: &str| -> Vec<Value> {
        match kind {
            "int32" | "sint32" | "sfixed32" => {
                vec![json!(1), json!(-1), json!(i32::MAX), json!(i32::MIN)]
            }
            "uint32" | "fixed32" => vec![json!(1), json!(u32::MAX)],
            "int64" | "sint64" | "sfixed64" => vec![
                json!("1"),
                json!("-1"),
                json!("4294967296"),
                json!("9223372036854775807"),
                json!("-9223372036854775808"),
            ],
            "uint64" | "fixed64" => vec![
                json!("1"),
                json!("4294967296"),
                json!("18446744073709551615"),
            ],
            "bool" => vec![json!(true)],
            "float" | "double" => vec![json!(1.5)],
            "string" => vec![json!("a"), json!("é")],
            _ => vec![json!("YQ=="), json!("/w==")],
        }
    };
    let plain = |value: &Value| match value {
        Value::Bool(value) => u8::from(*value).to_string(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    for written in scalars {
        for read in scalars {
            let writer = text(&format!("message M {{ {written} f = 1; }}"));
            let reader = text(&format!("message M {{ {read} f = 1; }}"));
            let found = told(&compare(&reader, &writer));
            let wire = told(&compare_wire(&reader, &writer));
            assert_eq!(
                wire.is_empty(),
                group(written) == group(read),
                "{written} {read}"
            );
            assert!(
                found.is_empty() || found == ["FIELD_SCALAR_KIND_CHANGED M.f"],
                "{found:?}"
            );
            let mut same = true;
            for value in values(written) {
                let bytes = writer.to_bytes(&json!({ "f": value })).expect("fits");
                same &= match reader.to_json_with(&bytes, Unknown::Skipped) {
                    Err(_) => false,
                    // The same bytes, which JSON has as text and as base64.
                    Ok(_) if written == "string" && read == "bytes" => true,
                    Ok(seen) => plain(&seen["f"]) == plain(&value),
                };
            }
            // A string read as a string, … and bytes that happen to be text.
            assert_eq!(
                found.is_empty(),
                same,
                "written as {written}, read as {read}: {found:?}"
            );
        }
    }
}

#[test]
fn kinds_and_labels() {
    for case in [
        Case {
            writer: "message M { repeated int32 a = 1; }",
            reader: "message M { int32 a = 1; }",
            values: &["FIELD_LABEL_CHANGED M.a"],
            wire: &["FIELD_LABEL_CHANGED M.a"],
            shown: Refused(json!({ "a": [1, 2] })),
        },
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { repeated int32 a = 1; }",
            values: &["FIELD_LABEL_CHANGED M.a"],
            wire: NONE,
            shown: Misread(json!({ "a": 1 }), json!({ "a": [1] })),
        },
        Case {
            writer: "message M { repeated string a = 1; }",
            reader: "message M { string a = 1; }",
            values: &["FIELD_LABEL_CHANGED M.a"],
            wire: NONE,
            shown: Misread(json!({ "a": ["x", "y"] }), json!({ "a": "y" })),
        },
        Case {
            writer: "proto2 message M { repeated int32 a = 1; }",
            reader: "message M { repeated int32 a = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": [1, 2] })),
        },
        Case {
            writer: "message M { string a = 1; }",
            reader: "message M { M a = 1; }",
            values: &["FIELD_KIND_CHANGED M.a"],
            wire: &["FIELD_KIND_CHANGED M.a"],
            shown: Refused(json!({ "a": "x" })),
        },
        Case {
            writer: "message M { M a = 1; }",
            reader: "message M { int32 a = 1; }",
            values: &["FIELD_KIND_CHANGED M.a"],
            wire: &["FIELD_KIND_CHANGED M.a"],
            shown: Refused(json!({ "a": {} })),
        },
        Case {
            writer: "message M { map<string, int32> a = 1; }",
            reader: "message M { repeated M a = 1; }",
            values: &["FIELD_KIND_CHANGED M.a"],
            wire: &["FIELD_KIND_CHANGED M.a"],
            shown: Refused(json!({ "a": { "k": 1 } })),
        },
        Case {
            writer: "message M { map<string, int32> a = 1; }",
            reader: "message M { map<string, string> a = 1; }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.a.value"],
            wire: &["FIELD_SCALAR_KIND_CHANGED M.a.value"],
            shown: Refused(json!({ "a": { "k": 1 } })),
        },
        Case {
            writer: "message M { map<int64, int32> a = 1; }",
            reader: "message M { map<int32, int32> a = 1; }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.a.key"],
            wire: NONE,
            shown: Refused(json!({ "a": { "4294967296": 1 } })),
        },
        Case {
            writer: "proto2 message M { optional group A = 1 { } }",
            reader: "proto2 message M { optional M a = 1; message A {} }",
            values: &["FIELD_KIND_CHANGED M.a"],
            wire: &["FIELD_KIND_CHANGED M.a"],
            shown: Refused(json!({ "a": {} })),
        },
        Case {
            writer: "message M { A a = 1; } message A { int32 x = 1; } message B { string x = 1; }",
            reader: "message M { B a = 1; } message A { int32 x = 1; } message B { string x = 1; }",
            values: &["FIELD_NAMED_TYPE_CHANGED M.a"],
            wire: &["FIELD_NAMED_TYPE_CHANGED M.a"],
            shown: Refused(json!({ "a": { "x": 1 } })),
        },
    ] {
        run(&case);
    }
}

#[test]
fn oneofs() {
    for case in [
        Case {
            writer: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            reader: "message M { oneof o { int32 a = 1; } }",
            values: &["ONEOF_FIELD_REMOVED M.b"],
            wire: &["ONEOF_FIELD_REMOVED M.b"],
            shown: Misread(json!({ "b": 1 }), json!({})),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; } }",
            reader: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 0 })),
        },
        Case {
            writer: "message M { int32 a = 1; int32 b = 2; }",
            reader: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            values: &["MULTIPLE_FIELDS_MOVED_TO_ONEOF M.o"],
            wire: &["MULTIPLE_FIELDS_MOVED_TO_ONEOF M.o"],
            shown: Misread(json!({ "a": 1, "b": 2 }), json!({ "b": 2 })),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; } int32 b = 2; }",
            reader: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            values: &["FIELD_MOVED_TO_EXISTING_ONEOF M.o"],
            wire: &["FIELD_MOVED_TO_EXISTING_ONEOF M.o"],
            shown: Misread(json!({ "a": 1, "b": 2 }), json!({ "b": 2 })),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; } oneof p { int32 b = 2; } }",
            reader: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            values: &["MULTIPLE_FIELDS_MOVED_TO_ONEOF M.o"],
            wire: &["MULTIPLE_FIELDS_MOVED_TO_ONEOF M.o"],
            shown: Misread(json!({ "a": 1, "b": 2 }), json!({ "b": 2 })),
        },
        Case {
            writer: "message M { int32 a = 1; }",
            reader: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 1 })),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            reader: "message M { int32 a = 1; int32 b = 2; }",
            values: &["FIELD_MOVED_FROM_ONEOF M.a", "FIELD_MOVED_FROM_ONEOF M.b"],
            wire: NONE,
            shown: Misread(json!({ "a": 0 }), json!({})),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; int32 b = 2; } }",
            reader: "message M { optional int32 a = 1; optional int32 b = 2; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 0 })),
        },
        Case {
            writer: "message M { optional int32 a = 1; }",
            reader: "message M { int32 a = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "a": 1 })),
        },
        Case {
            writer: "message M { oneof o { int32 a = 1; } }",
            reader: "message M { oneof o { string a = 1; } }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.a"],
            wire: &["FIELD_SCALAR_KIND_CHANGED M.a"],
            shown: Refused(json!({ "a": 1 })),
        },
    ] {
        run(&case);
    }
}

#[test]
fn enums() {
    for case in [
        Case {
            writer: "enum E { A = 0; } message M { E e = 1; }",
            reader: "enum E { A = 0; B = 1; } message M { E e = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({})),
        },
        Case {
            writer: "enum E { A = 0; B = 1; } message M { E e = 1; }",
            reader: "enum E { A = 0; } message M { E e = 1; }",
            values: &["ENUM_CONST_REMOVED M.e"],
            wire: NONE,
            shown: Misread(json!({ "e": "B" }), json!({ "e": 1 })),
        },
        Case {
            writer: "proto2 enum E { A = 0; B = 1; } message M { optional E e = 1; }",
            reader: "proto2 enum E { A = 0; } message M { optional E e = 1; }",
            values: &["ENUM_CONST_REMOVED M.e"],
            wire: NONE,
            shown: Refused(json!({ "e": "B" })),
        },
        Case {
            writer: "enum E { A = 0; B = 1; } message M { E e = 1; }",
            reader: "enum E { A = 0; C = 1; } message M { E e = 1; }",
            values: &["ENUM_CONST_CHANGED M.e"],
            wire: NONE,
            shown: Misread(json!({ "e": "B" }), json!({ "e": "C" })),
        },
        Case {
            writer: "enum E { option allow_alias = true; A = 0; B = 1; C = 1; } message M { E e = 1; }",
            reader: "enum E { A = 0; B = 1; } message M { E e = 1; }",
            values: NONE,
            wire: NONE,
            shown: Same(json!({ "e": "B" })),
        },
        Case {
            writer: "enum E { A = 0; } message M { E e = 1; }",
            reader: "proto2 enum E { A = 0; } message M { optional E e = 1; }",
            values: &["ENUM_CLOSED M.e"],
            wire: NONE,
            shown: Refused(json!({ "e": 5 })),
        },
        Case {
            writer: "enum E { A = 0; B = 1; } message M { E e = 1; }",
            reader: "message M { int32 e = 1; }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.e"],
            wire: NONE,
            shown: Misread(json!({ "e": "B" }), json!({ "e": 1 })),
        },
        Case {
            writer: "message M { int32 e = 1; }",
            reader: "proto2 enum E { A = 0; } message M { optional E e = 1; }",
            values: &["FIELD_SCALAR_KIND_CHANGED M.e"],
            wire: NONE,
            shown: Refused(json!({ "e": 5 })),
        },
    ] {
        run(&case);
    }
}

#[test]
fn what_was_reserved_stays_unused() {
    let old = text(
        "package a; message M { message In { reserved 1; } reserved 2, 5 to 7; reserved \"gone\"; }",
    );
    let new = text(
        "package b; message M { message In { int32 x = 1; } int32 a = 6; int32 gone = 3; int32 ok = 4; }",
    );
    assert_eq!(
        told(&reused(&new, &old)),
        [
            "RESERVED_NAME_REUSED M.gone",
            "RESERVED_NUMBER_REUSED M.In.x",
            "RESERVED_NUMBER_REUSED M.a"
        ]
    );
    // Reserving what is dropped is right, and breaks nothing either way.
    let before = text("message M { int32 a = 1; int32 b = 2; }");
    let after = text("message M { int32 a = 1; reserved 2; reserved \"b\"; }");
    assert_eq!(reused(&after, &before), []);
    assert_eq!(compare(&after, &before), []);
    assert_eq!(compare(&before, &after), []);
    assert_eq!(
        told(&reused(&before, &after)),
        ["RESERVED_NUMBER_REUSED M.b"]
    );
}
