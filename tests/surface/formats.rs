//! The documents of a hub whose contracts are Avro and Protobuf, in all the forms that tools stumble over.

use sandbar_tests::{Hub, Publish, event};
use serde_json::{Value, json};

use super::documents::{by, fits, parsed};

const AVRO: &str = "application/vnd.apache.avro+json;version=1.9.0";
const PROTOBUF: &str = "application/vnd.google.protobuf;version=3";
const AS_JSON: &str = "application/schema+json;version=2020-12";

/// A hub with contracts of other formats, each bound to a topic of its name.
async fn with_formats() -> Hub {
    let hub = Hub::start().await;
    let proto = |body: &str| json!({"format": "protobuf", "schema": format!("syntax = \"proto3\";\npackage acme;\n{body}")});
    let with = |mut definition: Value, member: &str, value: Value| {
        definition[member] = value;
        definition
    };
    let avro = |schema: Value| json!({"format": "avro", "schema": schema});
    let money = json!({"type": "record", "name": "com.acme.Money", "fields": [{"name": "cents", "type": "long"}]});
    let order = json!({
        "type": "record", "name": "com.acme.Order", "doc": "An order", "custom": {"$ref": "#/nothing"},
        "aliases": ["com.old.Order"], "fields": [{"name": "id", "type": "string"}, {"name": "kind", "type": {"type": "enum", "name": "com.acme.Kind", "symbols": ["A"]}}],
    });
    let bill = json!({"type": "record", "name": "com.acme.Bill", "fields": [{"name": "total", "type": "com.acme.Money"}]});
    let defaults = json!({"type": "record", "name": "Defaults", "fields": [
        {"name": "links", "type": {"type": "map", "values": "string"}, "default": {"$ref": "#/nothing"}}]});
    let bill = with(
        avro(bill),
        "references",
        json!([{"name": "com.acme.Money", "contract": "avro-money", "version": 1}]),
    );
    let proto_bill = proto("import \"acme/money.proto\";\nmessage Bill { Money total = 1; }");
    let proto_bill = with(
        proto_bill,
        "references",
        json!([{"name": "acme/money.proto", "contract": "proto-money", "version": 1}]),
    );
    let two = "// made\nmessage Made { string by = 1; }\n// gone\nmessage Gone { string why = 1; }";
    for (name, definition) in [
        ("avro-money", avro(money)),
        ("avro-order", avro(order)),
        ("avro-bill", bill),
        ("avro-defaults", avro(defaults)),
        (
            "avro-union",
            avro(json!(["null", {"type": "record", "name": "a.R", "fields": []}])),
        ),
        ("proto-money", proto("message Money { int64 cents = 1; }")),
        ("proto-bill", proto_bill),
        ("proto-two", proto(two)),
        (
            "proto-typed",
            with(
                proto(two),
                "types",
                json!({"com.acme.made": "acme.Made", "com.acme.gone": "Gone"}),
            ),
        ),
        (
            "proto-second",
            with(proto(two), "types", json!({"com.acme.gone": "acme.Gone"})),
        ),
        (
            "proto-circle",
            proto("message A { B b = 1; }\nmessage B { A a = 1; }"),
        ),
        (
            "proto-used",
            proto("message Part { int32 n = 1; }\nmessage Whole { repeated Part parts = 1; }"),
        ),
        ("proto-enums", proto("enum Kind { KIND_UNKNOWN = 0; }")),
    ] {
        let path = format!("/v1/contracts/{name}/versions");
        let _ = hub.post(&path, definition).await.expect(201);
        hub.topic(name, json!({ "contract": name })).await;
    }
    hub.contract(
        "plain",
        json!({"type": "object", "properties": {"n": {"type": "integer"}}}),
    )
    .await;
    hub.topic("plain", json!({"contract": "plain"})).await;
    hub
}

#[tokio::test]
async fn contracts_of_all_formats_make_a_valid_asyncapi_document() {
    let hub = with_formats().await;
    let served = hub.get("/asyncapi.json").await;
    let seen = parsed(&served.text);
    for (topic, format, properties) in [
        ("avro-money", AVRO, json!(["cents"])),
        ("avro-order", AVRO, json!(["id", "kind"])),
        ("avro-bill", AVRO, json!(["total"])),
        ("avro-defaults", AS_JSON, json!(["links"])),
        ("avro-union", AVRO, json!([])),
        ("proto-money", PROTOBUF, json!(["cents"])),
        ("proto-bill", AS_JSON, json!(["total"])),
        ("proto-two", PROTOBUF, json!(["by"])),
        ("proto-second", PROTOBUF, json!(["why"])),
        ("proto-circle", AS_JSON, json!(["b"])),
        // Data is the first message, which the parser would not take.
        ("proto-used", AS_JSON, json!(["n"])),
        ("proto-enums", AS_JSON, json!([])),
        ("plain", AS_JSON, json!(["n"])),
    ] {
        let message = &by(&seen["channels"], topic)["messages"][0];
        assert_eq!(
            (&message["schemaFormat"], &message["properties"]),
            (&json!(format), &properties),
            "{topic}: {message}"
        );
    }
    let typed = by(&seen["channels"], "proto-typed")["messages"].clone();
    let typed: Vec<_> = (typed.as_array().unwrap().iter())
        .map(|one| (&one["name"], &one["properties"]))
        .collect();
    assert_eq!(
        typed,
        [
            (&json!("com.acme.gone"), &json!(["why"])),
            (&json!("com.acme.made"), &json!(["by"])),
        ]
    );
    let document = served.expect(200);
    let schemas = &document["components"]["schemas"];
    assert_eq!(
        schemas["avro-order.v1"]["schema"]["doc"], "An order",
        "{schemas:#}"
    );
    let bill = &schemas["proto-bill.v1"]["schema"];
    let said = bill["description"].as_str().unwrap();
    assert!(
        said.contains("as JSON") && said.contains("/v1/contracts/proto-bill/versions/1"),
        "{said}"
    );
    assert!(bill["$defs"].to_string().contains("cents"), "{bill:#}");
    assert_eq!(schemas["proto-enums.v1"]["schema"]["not"], json!({}));
}

#[tokio::test]
async fn events_of_all_formats_are_in_the_openapi_document() {
    let hub = with_formats().await;
    let document = super::openapi::valid_of(&hub).await;
    let schemas = &document["components"]["schemas"];
    for (topic, media_types) in [
        (
            "avro-bill",
            ["application/avro", "application/vnd.confluent.avro"],
        ),
        (
            "proto-bill",
            ["application/protobuf", "application/vnd.confluent.protobuf"],
        ),
    ] {
        let publish = &document["paths"][format!("/v1/topics/{topic}/events")]["post"];
        let content = &publish["requestBody"]["content"];
        for media_type in media_types {
            let schema = &content[media_type]["schema"];
            assert_eq!(
                (&schema["type"], &schema["contentMediaType"]),
                (&json!("string"), &json!(media_type)),
                "{topic}: {content:#}"
            );
            let data = &schema["contentSchema"]["$ref"];
            assert_eq!(data, &format!("#/components/schemas/contract.{topic}.v1"));
        }
        assert!(content.get("application/json").is_none(), "{content:#}");
        let data = &schemas[format!("contract.{topic}.v1")];
        let said = data["description"].as_str().unwrap();
        assert!(said.contains("as JSON"), "{said}");
        assert!(data["$defs"].to_string().contains("cents"), "{data:#}");
    }
    let types = schemas["event.proto-typed"]["oneOf"].as_array().unwrap();
    assert_eq!(types.len(), 2, "{types:#?}");
    // What the document takes and what the hub takes is the same: a Bill of 5 cents, in both formats.
    let binary = |content_type: &str, base64: &str| {
        let mut event = event("1", json!(null));
        let members = event.as_object_mut().unwrap();
        members.remove("data");
        event["datacontenttype"] = json!(content_type);
        event["data_base64"] = json!(base64);
        event
    };
    for (topic, event, good) in [
        ("avro-bill", binary("application/avro", "Cg=="), true),
        ("avro-bill", binary("application/protobuf", "Cg=="), false),
        (
            "avro-bill",
            event("2", json!({"total": {"cents": 5}})),
            false,
        ),
        (
            "proto-bill",
            binary("application/protobuf", "CgIIBQ=="),
            true,
        ),
        ("proto-bill", binary("text/plain", "CgIIBQ=="), false),
    ] {
        let status = hub.publish(topic, Publish::structured(&event)).await.status;
        assert_eq!(status, if good { 200 } else { 422 }, "{topic}: {event}");
        let key = format!("event.{topic}");
        assert_eq!(fits(&document, &key, &event), good, "{topic}: {event}");
    }
}
