//! Contracts of Avro and Protobuf: registered by either API, and what their events must be.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::Method;
use sandbar_tests::{Hub, assert_problem};
use serde_json::{Value, json};

use super::register;

const MONEY: &str = "syntax = \"proto3\"; package acme; message Money { int64 cents = 1; }";
const INVOICE: &str = "syntax = \"proto3\";\n// of a month\nimport \"acme/money.proto\";\nimport \"google/protobuf/timestamp.proto\";\nmessage Invoice { acme.Money total = 1; google.protobuf.Timestamp due = 2; }\nmessage Other { string name = 1; }\n";

async fn publish(
    hub: &Hub,
    topic: &str,
    id: &str,
    kind: &str,
    data: Vec<u8>,
) -> sandbar_tests::Answer {
    let request = hub
        .request(Method::POST, &format!("/v1/topics/{topic}/events"))
        .header("ce-specversion", "1.0")
        .header("ce-id", id)
        .header("ce-source", "/test")
        .header("ce-type", "test.made")
        .header("content-type", kind)
        .body(data);
    hub.send(request).await
}

#[tokio::test]
async fn protobuf_texts_import_each_other() {
    let mut hub = Hub::start().await;
    register(
        &hub,
        "acme%2Fmoney.proto",
        json!({"schemaType": "PROTOBUF", "schema": MONEY}),
    )
    .await;
    let references =
        json!([{"name": "acme/money.proto", "subject": "acme/money.proto", "version": 1}]);
    let invoice = json!({"schemaType": "PROTOBUF", "schema": INVOICE, "references": references});
    let id = register(&hub, "invoices-value", invoice.clone()).await;
    let shown = hub
        .get(&format!("/registry/schemas/ids/{id}"))
        .await
        .expect(200);
    assert_eq!(shown["schema"], INVOICE, "as it was sent");
    // Clients send and ask for descriptors.
    let serialized = hub
        .get(&format!("/registry/schemas/ids/{id}?format=serialized"))
        .await
        .expect(200);
    let descriptor = serialized["schema"].as_str().unwrap();
    assert!(
        STANDARD
            .decode(descriptor)
            .unwrap()
            .windows(7)
            .any(|part| part == b"Invoice")
    );
    let sent = json!({"schemaType": "PROTOBUF", "schema": descriptor, "references": references});
    assert_eq!(
        register(&hub, "invoices-value", sent.clone()).await,
        id,
        "comments do not count"
    );
    let found = hub
        .post("/registry/subjects/invoices-value", sent)
        .await
        .expect(200);
    assert_eq!(found["version"], 1);
    let message = super::assert_error(
        &hub.post(
            "/registry/subjects/x/versions",
            json!({"schemaType": "PROTOBUF", "schema": INVOICE}),
        )
        .await,
        422,
        42201,
    );
    assert!(
        message.contains("3:") && message.contains("acme/money.proto"),
        "{message}"
    );
    let contract = hub
        .get("/v1/contracts/acme_x2Fmoney.proto/versions/1")
        .await
        .expect(200);
    assert_eq!(
        (&contract["format"], &contract["schema"]),
        (&json!("protobuf"), &json!(MONEY))
    );
    hub.kill();
    hub.restart().await;
    // Field 1 of the invoice is a message with field 1 = 5.
    hub.topic("invoices", json!({"contract": "invoices-value@1"}))
        .await;
    let good = vec![0x0a, 2, 0x08, 5];
    let _ = publish(&hub, "invoices", "1", "application/protobuf", good.clone())
        .await
        .expect(200);
    let bad = publish(
        &hub,
        "invoices",
        "2",
        "application/protobuf",
        vec![0x0a, 2, 0x0a, 0],
    )
    .await;
    let problem = assert_problem(&bad, 422, "contract-violation");
    assert!(
        problem["errors"][0]["pointer"]
            .as_str()
            .unwrap()
            .starts_with("/data/total"),
        "{problem}"
    );
    let other = publish(&hub, "invoices", "3", "application/octet-stream", good).await;
    let problem = assert_problem(&other, 422, "contract-violation");
    assert_eq!(
        problem["errors"][0]["pointer"], "/datacontenttype",
        "{problem}"
    );
}

#[tokio::test]
async fn a_message_may_differ_by_the_type_of_the_event() {
    let hub = Hub::start().await;
    let text =
        "syntax = \"proto3\"; package p; message A { int32 n = 1; } message B { string s = 1; }";
    let path = "/v1/contracts/c/versions";
    let unknown = json!({"format": "protobuf", "schema": text, "types": {"test.made": "p.C"}});
    let problem = assert_problem(&hub.post(path, unknown).await, 422, "invalid-schema");
    assert_eq!(
        problem["errors"][0]["pointer"], "/types/test.made",
        "{problem}"
    );
    let definition = json!({"format": "protobuf", "schema": text, "types": {"test.made": "p.B"}});
    let _ = hub.post(path, definition).await.expect(201);
    hub.topic("t", json!({"contract": "c"})).await;
    let _ = publish(
        &hub,
        "t",
        "1",
        "application/x-protobuf",
        vec![0x0a, 1, b'x'],
    )
    .await
    .expect(200);
    let wrong = publish(&hub, "t", "2", "application/x-protobuf", vec![0x08, 1]).await;
    assert_problem(&wrong, 422, "contract-violation");
    // Without the message for its type, old events would be refused.
    let other = json!({"format": "protobuf", "schema": text, "types": {"test.gone": "p.B"}});
    let impact = hub
        .post("/v1/contracts/c/compatibility", other)
        .await
        .expect(200);
    assert_eq!(
        impact["against"][0]["backward"]["findings"][0]["rule"], "type-removed",
        "{impact}"
    );
}

#[tokio::test]
async fn avro_events_are_one_bare_datum() {
    let hub = Hub::start().await;
    let schema = json!({"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"}, {"name": "lines", "type": {"type": "array", "items": "int"}}]});
    // As a document, and as its text: the same.
    let path = "/v1/contracts/order/versions";
    let first = hub
        .post(path, json!({"format": "avro", "schema": schema}))
        .await
        .expect(201);
    let again = hub
        .post(
            path,
            json!({"format": "avro", "schema": schema.to_string()}),
        )
        .await
        .expect(200);
    assert_eq!(first["id"], again["id"]);
    hub.topic("orders", json!({"contract": "order"})).await;
    let good = vec![2, b'x', 4, 2, 4, 0];
    let _ = publish(&hub, "orders", "1", "application/avro", good.clone())
        .await
        .expect(200);
    let mut longer = good.clone();
    longer.push(0);
    let short = good[..4].to_vec();
    for (id, data) in [("2", longer), ("3", short)] {
        let refused = publish(&hub, "orders", id, "avro/binary", data).await;
        let problem = assert_problem(&refused, 422, "contract-violation");
        assert!(
            problem["errors"][0]["pointer"]
                .as_str()
                .unwrap()
                .starts_with("/data"),
            "{problem}"
        );
    }
    let primitive = hub
        .post(
            "/v1/contracts/text/versions",
            json!({"format": "avro", "schema": "string"}),
        )
        .await;
    assert_eq!(primitive.expect(201)["format"], "avro");
    let diff: Value = hub
        .post(
            "/v1/contracts/order/compatibility",
            json!({"format": "json", "schema": {"type": "object"}}),
        )
        .await
        .expect(200);
    assert_eq!(
        diff["against"][0]["backward"]["findings"][0]["rule"], "schema-format-changed",
        "{diff}"
    );
}
