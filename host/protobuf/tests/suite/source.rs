//! Texts that compile and texts that do not; imports; the normal form.

use sandbar_protobuf::{Invalid, Reference, Schema};

use crate::{proto3, schema};

fn invalid(text: &str, references: &[Reference<'_>]) -> Invalid {
    Schema::parse(text, references).expect_err(text)
}

#[test]
fn a_fault_has_its_place_and_what_to_do() {
    for (text, pointer, words) in [
        (
            "syntax = \"proto3\";\nmessage M {\n  int32 a = ;\n}",
            "3:13",
            "expected",
        ),
        (
            "syntax = \"proto3\";\nmessage M {\n  Missing a = 1;\n}",
            "3:3",
            "Missing",
        ),
        (
            "syntax = \"proto3\";\nmessage M {\n  int32 a = 1;\n  int32 b = 1;\n}",
            "",
            "1",
        ),
        ("syntax = \"proto4\";\nmessage M {}", "1:10", "proto3"),
        ("syntax = \"proto3\";\nmessage M {", "2:12", "end of file"),
        (
            "syntax = \"proto3\";\nimport \"a.proto\";\nmessage M {}",
            "2:1",
            "add a reference of that name",
        ),
        ("syntax = \"proto3\";\nenum E { A = 0; }", "", "no message"),
        (
            "// a comment\n/* and another */ edition = \"2023\";\nmessage M {}",
            "2:19",
            "editions are not supported",
        ),
        (
            "syntax = \"proto3\";\npackage a;\npackage b;\nmessage M {}",
            "3:1",
            "multiple package",
        ),
        (
            "syntax = \"proto2\";\nmessage M { option message_set_wire_format = true; extensions 4 to max; }",
            "",
            "message_set_wire_format",
        ),
        ("", "", "no message"),
    ] {
        let invalid = invalid(text, &[]);
        assert!(invalid.reason.contains(words), "{text}\n{invalid:?}");
        if !pointer.is_empty() {
            assert_eq!(invalid.pointer, pointer, "{text}\n{invalid:?}");
        }
    }
}

#[test]
fn imports_are_the_references_and_the_carried_files_and_nothing_else() {
    let main = r#"syntax = "proto3"; package shop; import "shop/item.proto"; import "google/protobuf/timestamp.proto";
        message Order { repeated shop.item.Item items = 1; google.protobuf.Timestamp at = 2; }"#;
    let item = Reference {
        name: "shop/item.proto",
        text: r#"syntax = "proto3"; package shop.item; import "money.proto"; message Item { Money price = 1; } "#,
    };
    let money = Reference {
        name: "money.proto",
        text: r#"syntax = "proto3"; message Money { int64 cents = 1; }"#,
    };
    let schema = Schema::parse(main, &[money, item]).expect("all is there");
    assert_eq!(schema.name(), "shop.Order");
    assert_eq!(schema.messages(), ["shop.Order"]);
    assert_eq!(
        schema.imports(),
        ["shop/item.proto", "google/protobuf/timestamp.proto"]
    );
    let bytes = schema
        .to_bytes(&serde_json::json!({ "items": [{ "price": { "cents": "12" } }] }))
        .expect("fits");
    assert_eq!(bytes, [0x0a, 4, 0x0a, 2, 8, 12]);

    // What a reference needs is a reference too, and its fault is told with its name.
    let missing = invalid(main, &[item]);
    assert_eq!(missing.pointer, "shop/item.proto:1:39");
    assert!(
        missing
            .reason
            .contains("\"money.proto\" is neither among the references (they are shop/item.proto)")
    );

    // Files and addresses are names like any other.
    for name in [
        "/etc/passwd",
        "https://example.com/a.proto",
        "google/protobuf/compiler/plugin.proto",
    ] {
        let text = format!("syntax = \"proto3\"; import \"{name}\"; message M {{}}");
        let reason = invalid(&text, &[]).reason;
        assert!(
            reason.contains("nothing is fetched") || reason.starts_with("no name of a file"),
            "{name}: {reason}"
        );
    }

    let circle = [
        Reference {
            name: "a",
            text: "import \"b\"; message A {}",
        },
        Reference {
            name: "b",
            text: "import \"a\"; message B {}",
        },
    ];
    let told = invalid("import \"a\"; message M {}", &circle);
    assert!(
        told.reason.contains("imports in a circle: a → b → a"),
        "{told:?}"
    );

    // A reference cannot stand in for a carried file.
    let own = Reference {
        name: "google/protobuf/timestamp.proto",
        text: "syntax = \"proto3\"; package google.protobuf; message Timestamp { string x = 1; }",
    };
    let text = "syntax = \"proto3\"; import \"google/protobuf/timestamp.proto\"; message M { google.protobuf.Timestamp t = 1; }";
    let schema = Schema::parse(text, &[own]).expect("compiles");
    assert!(
        schema
            .to_bytes(&serde_json::json!({ "t": "2024-01-01T00:00:00Z" }))
            .is_ok()
    );
}

#[test]
fn all_carried_files_can_be_imported() {
    for name in [
        "any",
        "api",
        "descriptor",
        "duration",
        "empty",
        "field_mask",
        "source_context",
        "struct",
        "timestamp",
        "type",
        "wrappers",
    ] {
        schema(&format!(
            "syntax = \"proto3\"; import \"google/protobuf/{name}.proto\"; message M {{}}"
        ));
    }
}

#[test]
fn data_is_the_first_message_or_the_one_that_is_named() {
    let schema = schema(
        "syntax = \"proto3\"; package p; message A { map<string, int32> m = 1; message B { message C {} } message D {} } message E {}",
    );
    assert_eq!(schema.name(), "p.A");
    assert_eq!(
        schema.messages(),
        ["p.A", "p.A.B", "p.A.B.C", "p.A.D", "p.E"]
    );
    assert_eq!(
        schema.message("A.B.C").expect("by its local name").name(),
        "p.A.B.C"
    );
    assert_eq!(
        schema.message("p.E").expect("by its full name").name(),
        "p.E"
    );
    assert!(schema.message("F").is_none());
    assert!(
        schema.message("A.MEntry").is_none(),
        "what the compiler makes is not there"
    );

    // The entries of maps do not count, whose message comes first in the descriptor.
    for (name, indexes) in [
        ("A", vec![0]),
        ("A.B", vec![0, 0]),
        ("A.B.C", vec![0, 0, 0]),
        ("A.D", vec![0, 1]),
        ("E", vec![1]),
    ] {
        let one = schema.message(name).expect(name);
        assert_eq!(one.message_indexes(), indexes, "{name}");
        assert_eq!(schema.message_at(&indexes).expect(name).name(), one.name());
    }
    assert!(schema.message_at(&[]).is_none());
    assert!(schema.message_at(&[2]).is_none());
    assert!(schema.message_at(&[0, 2]).is_none());
}

#[test]
fn indexes_stand_in_frames_as_confluent_writes_them() {
    use sandbar_protobuf::{decode_indexes, encode_indexes};
    for (indexes, bytes) in [
        (vec![0], vec![0]),
        (vec![1], vec![2, 2]),
        (vec![1, 0], vec![4, 2, 0]),
        (vec![0, 0], vec![4, 0, 0]),
        (vec![64, 300], vec![4, 0x80, 1, 0xd8, 4]),
    ] {
        assert_eq!(encode_indexes(&indexes), bytes);
        let mut framed = bytes.clone();
        framed.extend([9, 9]);
        assert_eq!(decode_indexes(&framed), Ok((indexes, bytes.len())));
    }
    // The long form of the short one.
    assert_eq!(decode_indexes(&[2, 0]), Ok((vec![0], 2)));
    for bad in [
        &[][..],
        &[4, 2],
        &[1],
        &[2, 3],
        &[0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xfe, 0xff, 3],
        &[2, 0xff, 0xff, 0xff, 0xff, 0x7f],
    ] {
        assert!(decode_indexes(bad).is_err(), "{bad:?}");
    }
}

#[test]
fn texts_that_mean_the_same_have_the_same_normal_form() {
    let one = r#"
        // a comment
        syntax = "proto3";
        package shop;
        import "google/protobuf/timestamp.proto";
        import "google/protobuf/any.proto";
        option java_package = "com.shop";
        option go_package = "shop";
        message Order {
            // the id
            string id = 1 [json_name = "id"];
            oneof how { int32 b = 5; string a = 4; }
            repeated int32 numbers = 3 [packed = true];
            Kind kind = 2;
            message Line { .shop.Kind kind = 1; }
            map<string, Line> lines = 6;
            optional google.protobuf.Timestamp at = 7;
            reserved 10, 9, 20 to 29;
            reserved "old", "gone";
        }
        enum Kind { UNKNOWN = 0; B = 2; A = 1; }
        service S { rpc B(Order) returns (stream Order); rpc A(Order) returns (Order) { option deprecated = true; } }
    "#;
    let other = r#"syntax = 'proto3';
        package shop;
        option go_package = "shop"; option java_package = 'com.shop';
        import "google/protobuf/any.proto"; import "google/protobuf/timestamp.proto";
        enum Kind { UNKNOWN = 0; A = 1; B = 0x2; }
        message Order {
            reserved 'gone', 'old'; reserved 20 to 25, 26 to 29, 9 to 10;
            optional google.protobuf.Timestamp at = 7;
            map<string, Order.Line> lines = 6;
            oneof how { string a = 4; int32 b = 5; }
            repeated int32 numbers = 3;
            shop.Kind kind = 2;
            string id = 1;
            message Line { Kind kind = 1; }
        }
        service S { rpc A(Order) returns (Order) { option deprecated = true; } rpc B(.shop.Order) returns (stream Order); }"#;
    let one = schema(one).canonical();
    assert_eq!(one, schema(other).canonical());
    assert_eq!(
        one,
        schema(&one).canonical(),
        "the form of the form is itself"
    );
    assert_eq!(
        one,
        r#"syntax = "proto3";
package shop;
import "google/protobuf/any.proto";
import "google/protobuf/timestamp.proto";
option go_package = "shop";
option java_package = "com.shop";
message Order {
  string id = 1;
  .shop.Kind kind = 2;
  repeated int32 numbers = 3;
  oneof how {
    string a = 4;
    int32 b = 5;
  }
  map<string, .shop.Order.Line> lines = 6;
  optional .google.protobuf.Timestamp at = 7;
  message Line {
    .shop.Kind kind = 1;
  }
  reserved 9 to 10, 20 to 29;
  reserved "gone", "old";
}
enum Kind {
  UNKNOWN = 0;
  A = 1;
  B = 2;
}
service S {
  rpc A(.shop.Order) returns (.shop.Order) {
    option deprecated = true;
  }
  rpc B(.shop.Order) returns (stream .shop.Order);
}
"#
    );
}

#[test]
fn the_normal_form_of_proto2_with_all_that_it_has_is_itself() {
    let text = r#"
        syntax = "proto2";
        package p;
        import "google/protobuf/descriptor.proto";
        extend google.protobuf.FieldOptions { optional Rule rule = 50000; repeated string tags = 50001; }
        extend google.protobuf.MessageOptions { optional bool loud = 50002; optional double d = 50003; optional Color color = 50004; }
        message Rule { optional int32 most = 1; optional string text = 2; map<string, int32> table = 3; repeated float floats = 4; extensions 100 to max; }
        extend Rule { optional Rule deeper = 100; }
        enum Color { option allow_alias = true; RED = 1; ROUGE = 1; BLUE = -2 [deprecated = true]; reserved 5 to 9, 100 to max; reserved "OLD"; }
        message M {
            option (loud) = true;
            option (d) = -1.5e300;
            option (color) = BLUE;
            required string s = 1 [default = "a\"b\\c\n\x01é", (rule).most = 3, (rule).text = "x", (tags) = "b", (tags) = "a"];
            optional bytes b = 2 [default = "\x00\xff\"", deprecated = true];
            optional double inf = 3 [default = inf];
            optional float nan = 4 [default = nan];
            optional Color c = 5 [default = BLUE, (rule) = { most: 1 table { key: "a" value: 1 } table { key: "b" value: 2 } floats: [1.5, 2] [p.deeper] { most: 2 } }];
            repeated int32 packed = 6 [packed = true];
            optional group Group = 7 { optional int32 x = 1; repeated group Deeper = 2 { optional bool y = 1; } }
            oneof o { int32 i = 8; group Choice = 9 { optional string z = 1; } }
            extensions 1000 to 1999, 500;
            extend M { optional string nested = 1000; }
            optional int64 js = 10 [jstype = JS_STRING, json_name = "JS"];
        }
        extend M { repeated M others = 1001; }
    "#;
    let form = schema(text).canonical();
    let again = Schema::parse(&form, &[]).unwrap_or_else(|invalid| panic!("{invalid}\n{form}"));
    assert_eq!(form, again.canonical());
    for kept in [
        r#"default = "a\"b\\c\012\001\303\251""#,
        "(.p.tags) = \"b\", (.p.tags) = \"a\"",
        "ROUGE = 1",
        "optional group Group = 7 {",
        "group Choice = 9 {",
        "extensions 500, 1000 to 1999;",
        "json_name = \"JS\"",
        "[p.deeper]: { most: 2 }",
        "reserved 5 to 9, 100 to max;",
        "option (.p.color) = BLUE;",
    ] {
        assert!(form.contains(kept), "{kept}\n{form}");
    }
}

#[test]
fn what_differs_in_meaning_differs_in_its_normal_form() {
    let base = "message M { int32 a = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}";
    let other = [
        "message M { int64 a = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
        "message M { int32 a = 3; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
        "message M { int32 c = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
        "message M { optional int32 a = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
        "message M { repeated int32 a = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
        "message M { int32 a = 1; string b = 2; } enum E { X = 0; Y = 2; } message N {}",
        "message M { int32 a = 1; oneof o { string b = 2; } } enum E { X = 0; Y = 1; } message N {}",
        "message M { int32 a = 1; string b = 2 [json_name = \"c\"]; } enum E { X = 0; Y = 1; } message N {}",
        "message M { int32 a = 1; string b = 2; reserved 3; } enum E { X = 0; Y = 1; } message N {}",
        // Frames go by the order of messages.
        "message N {} message M { int32 a = 1; string b = 2; } enum E { X = 0; Y = 1; }",
        "package p; message M { int32 a = 1; string b = 2; } enum E { X = 0; Y = 1; } message N {}",
    ];
    for text in other {
        assert_ne!(proto3(base).canonical(), proto3(text).canonical(), "{text}");
    }
}
