//! Routes with `decode: json`: Avro and Protobuf in, plugins see JSON, and what they emit is encoded.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sandbar_tests::{Hub, Publish, assert_problem};
use serde_json::{Value, json};

use super::step;

/// An order with a version for each change.
fn order(fields: Value) -> Value {
    json!({"format": "avro", "schema": {"type": "record", "name": "Order", "namespace": "acme", "fields": fields}})
}

fn first() -> Value {
    order(json!([{"name": "id", "type": "string"}, {"name": "cents", "type": "long"}]))
}

const PARCEL: &str = "syntax = \"proto3\"; message Parcel { string id = 1; int64 cents = 2; repeated string trail = 3; int64 copy = 4; }";

async fn contract(hub: &Hub, name: &str, definition: Value) {
    let path = format!("/v1/contracts/{name}/versions");
    let _ = hub.post(&path, definition).await.expect(201);
}

/// Publishes bytes as they are.
fn bytes(id: &str, datacontenttype: &str, data: &[u8], dataschema: &str) -> Publish {
    let mut publish = Publish::raw(datacontenttype, data);
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", id),
        ("ce-source", "/tests"),
        ("ce-type", "test.event"),
        ("ce-dataschema", dataschema),
    ] {
        if !value.is_empty() {
            publish.headers.push((name.into(), value.into()));
        }
    }
    publish
}

/// An order of the first version: a string and a long.
fn datum(id: &str, cents: u8) -> Vec<u8> {
    let length = u8::try_from(id.len()).unwrap() * 2;
    [&[length], id.as_bytes(), &[cents * 2]].concat()
}

/// A topic of Avro orders.
async fn orders() -> Hub {
    let hub = Hub::start().await;
    contract(&hub, "order", first()).await;
    contract(
        &hub,
        "parcel",
        json!({"format": "protobuf", "schema": PARCEL}),
    )
    .await;
    hub.topic("orders", json!({"contract": "order@1"})).await;
    hub.topic("parcels", json!({"contract": "parcel@1"})).await;
    hub.topic("plain", json!({})).await;
    hub.mapper().await;
    hub
}

async fn publish(hub: &Hub, publish: Publish) {
    let _ = hub.publish("orders", publish).await.expect(200);
}

#[tokio::test]
async fn avro_becomes_protobuf_and_json_again() {
    let hub = orders().await;
    hub.route(
        "map",
        json!({"from": "orders", "decode": "json", "steps": [step("s")], "to": ["parcels"]}),
    )
    .await;
    // Without steps it is read in one format and written in another.
    hub.route(
        "show",
        json!({"from": "parcels", "decode": "json", "to": ["plain"]}),
    )
    .await;
    publish(&hub, bytes("bare", "application/avro", &datum("a", 5), "")).await;
    publish(
        &hub,
        bytes(
            "second",
            "avro/binary",
            &datum("bb", 60),
            "http://hub.example/v1/contracts/order/versions/1",
        ),
    )
    .await;
    let id = hub.get("/v1/contracts/order/versions/1").await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let frame = [&[0, 0, 0, 0, u8::try_from(id).unwrap()][..], &datum("c", 7)].concat();
    publish(
        &hub,
        bytes("framed", "application/vnd.confluent.avro", &frame, ""),
    )
    .await;

    // What did not say by which version it is says so now.
    let stored = hub.read_until("orders", 0, 3).await;
    assert_eq!(
        stored[0]["dataschema"],
        "sandbar:/v1/contracts/order/versions/1"
    );
    assert_eq!(stored[0]["data_base64"], STANDARD.encode(datum("a", 5)));

    let parcels = hub.read_until("parcels", 0, 3).await;
    assert_eq!(parcels[0]["datacontenttype"], "application/protobuf");
    assert_eq!(
        parcels[0]["dataschema"],
        "sandbar:/v1/contracts/parcel/versions/1"
    );
    let parcel = [&[0x0a, 1, b'a', 0x10, 5, 0x1a, 1, b's'][..]].concat();
    assert_eq!(parcels[0]["data_base64"], STANDARD.encode(parcel));
    let shown = hub.read_until("plain", 0, 3).await;
    for (one, (id, cents)) in shown.iter().zip([("a", "5"), ("bb", "60"), ("c", "7")]) {
        assert_eq!(one["datacontenttype"], "application/json");
        assert_eq!(one["data"]["id"], id);
        assert_eq!(one["data"]["cents"], cents);
        assert_eq!(one["data"]["trail"], json!(["s"]));
        assert_eq!(one["dataschema"], Value::Null);
    }
    // Where an event came from, and what became of it, is told over formats.
    let shown = hub.get("/v1/events/plain/0/0/lineage").await.expect(200);
    assert_eq!(shown["origin"]["position"], "parcels/0/0", "{shown}");
    let parcel = hub.get("/v1/events/parcels/0/0/lineage").await.expect(200);
    assert_eq!(parcel["origin"]["position"], "orders/0/0", "{parcel}");
}

#[tokio::test]
async fn what_cannot_be_encoded_is_a_dead_letter() {
    let hub = orders().await;
    hub.topic("invoices", json!({"contract": "order@1"})).await;
    // The activation gate knows it before.
    let document =
        json!({"from": "orders", "decode": "json", "steps": [step("s")], "to": ["invoices"]});
    let _ = hub
        .put("/v1/routes/map?force=true", document)
        .await
        .expect(201);
    publish(&hub, bytes("one", "application/avro", &datum("a", 5), "")).await;
    let letters = hub.dead_letters_until("", 1).await;
    let text = letters[0].to_string();
    // The mapper adds fields that the target does not have.
    assert!(
        text.contains("/data/copy: the record acme.Order has no such field"),
        "{text}"
    );
    assert!(text.contains("order@1 of topic invoices"), "{text}");
    assert!(text.contains(&STANDARD.encode(datum("a", 5))), "{text}");
}

#[tokio::test]
async fn json_events_are_encoded_for_their_target() {
    let hub = orders().await;
    hub.route(
        "in",
        json!({"from": "plain", "decode": "json", "to": ["orders"]}),
    )
    .await;
    let event = sandbar_tests::event("1", json!({"id": "a", "cents": 5}));
    hub.accepted("plain", &[event]).await;
    let orders = hub.read_until("orders", 0, 1).await;
    assert_eq!(orders[0]["data_base64"], STANDARD.encode(datum("a", 5)));
    assert_eq!(orders[0]["datacontenttype"], "application/avro");
}

#[tokio::test]
async fn what_decode_makes_another_is_looked_at() {
    let hub = orders().await;
    contract(
        &hub,
        "invoice",
        json!({"schema": {"type": "object", "properties": {"cents": {"type": "string"}}}}),
    )
    .await;
    hub.topic("invoices", json!({"contract": "invoice@1"}))
        .await;
    let step = json!({"plugin": "jq@1.0.0", "config": {"program": "{cents}"}});
    let mut document = json!({"from": "orders", "steps": [step], "to": ["invoices"]});
    // The program rejects what is not JSON, so nothing is wrong with it.
    let _ = hub.put("/v1/routes/r", document.clone()).await.expect(201);
    document["decode"] = json!("json");
    let refused = hub.put("/v1/routes/r", document).await;
    assert_problem(&refused, 409, "activation-refused");
}

#[tokio::test]
async fn json_becomes_avro_and_drops_are_asked_again() {
    let hub = orders().await;
    contract(&hub, "work", json!({"format": "avro", "schema": {"type": "record", "name": "Work", "fields": [
        {"name": "do", "type": "string"}, {"name": "reason", "type": "string", "default": "none"}, {"name": "x", "type": "double", "default": 0}]}}))
    .await;
    hub.topic("work", json!({"contract": "work@1"})).await;
    hub.topic("done", json!({})).await;
    hub.route(
        "r",
        json!({"from": "work", "decode": "json", "steps": [step("s")], "to": ["done"]}),
    )
    .await;
    // do, reason, and a double that loses its last digit in a careless parser.
    let x: f64 = 0.123_456_789_012_345_67;
    let datum = [&b"\x08emit\x02r"[..], &x.to_le_bytes()].concat();
    let _ = hub
        .publish("work", bytes("1", "application/avro", &datum, ""))
        .await
        .expect(200);
    let drop = [&b"\x08drop\x08why!"[..], &x.to_le_bytes()].concat();
    let _ = hub
        .publish("work", bytes("2", "application/avro", &drop, ""))
        .await
        .expect(200);
    let done = hub.read_until("done", 0, 1).await;
    assert_eq!(done[0]["data"]["x"], x);
    let _ = hub.settled("r").await;
    let lineage = hub.get("/v1/events/work/0/1/lineage").await.expect(200);
    assert!(lineage.to_string().contains("why!"), "{}", lineage);
}

#[tokio::test]
async fn another_version_is_taken_if_the_topics_own_can_read_it() {
    let hub = orders().await;
    let fields = json!([{"name": "id", "type": "string"}, {"name": "cents", "type": "long"}, {"name": "note", "type": "string", "default": ""}]);
    contract(&hub, "order", order(fields)).await;
    let enumeration = |symbols: Value| json!({"format": "avro", "schema": {"type": "enum", "name": "E", "symbols": symbols}});
    contract(&hub, "kind", enumeration(json!(["A", "B"]))).await;
    contract(&hub, "kind", enumeration(json!(["A"]))).await;
    hub.topic("kinds", json!({"contract": "kind@2"})).await;
    let two = [&datum("a", 5)[..], b"\x02n"].concat();
    let schema = "sandbar:/v1/contracts/order/versions/2";
    hub.route(
        "r",
        json!({"from": "orders", "decode": "json", "to": ["plain"]}),
    )
    .await;
    publish(&hub, bytes("1", "application/avro", &two, schema)).await;
    // Plugins see what was written, by the schema that wrote it.
    assert_eq!(
        hub.read_until("plain", 0, 1).await[0]["data"],
        json!({"id": "a", "cents": 5, "note": "n"})
    );
    // Of the same version some data can be read, and some cannot.
    let by = "sandbar:/v1/contracts/kind/versions/1";
    let _ = hub
        .publish("kinds", bytes("1", "application/avro", &[0], by))
        .await
        .expect(200);
    let refused = hub
        .publish("kinds", bytes("2", "application/avro", &[2], by))
        .await
        .expect(422);
    assert!(
        refused.to_string().contains("has no symbol B"),
        "{}",
        refused
    );
    // Bound to another version, the topic still knows what the old events mean.
    let _ = hub
        .put(
            "/v1/topics/orders?force=true",
            json!({"contract": "order@2"}),
        )
        .await
        .expect(200);
    publish(&hub, bytes("2", "application/avro", &two, "")).await;
    publish(
        &hub,
        bytes(
            "3",
            "application/avro",
            &datum("b", 6),
            "sandbar:/v1/contracts/order/versions/1",
        ),
    )
    .await;
    let plain = hub.read_until("plain", 0, 3).await;
    assert_eq!(plain[2]["data"], json!({"id": "b", "cents": 6}));
}

#[tokio::test]
async fn what_is_ambiguous_or_wrong_is_refused() {
    let hub = orders().await;
    let frame = |id: u8| [&[0, 0, 0, 0, id][..], &datum("a", 5)].concat();
    let parcel = hub.get("/v1/contracts/parcel/versions/1").await.expect(200)["id"]
        .as_u64()
        .unwrap();
    let parcel = u8::try_from(parcel).unwrap();
    let confluent = "application/vnd.confluent.avro";
    for (publish, pointer, words) in [
        (
            bytes("1", "application/avro", &[2, b'a'], ""),
            "/data/cents",
            "ends within an integer",
        ),
        (
            bytes(
                "2",
                "application/avro",
                &datum("a", 5),
                "https://example.com/order.avsc",
            ),
            "/dataschema",
            "names no contract version",
        ),
        (
            bytes(
                "3",
                "application/avro",
                &datum("a", 5),
                "sandbar:/v1/contracts/order/versions/9",
            ),
            "/dataschema",
            "there is no contract version order@9",
        ),
        (
            bytes(
                "4",
                "application/avro",
                &datum("a", 5),
                "sandbar:/v1/contracts/parcel/versions/1",
            ),
            "/datacontenttype",
            "parcel@1, which is Protobuf",
        ),
        (
            bytes("5", confluent, &datum("a", 5), ""),
            "/data",
            "has no frame",
        ),
        (
            bytes("6", confluent, &frame(200), ""),
            "/data",
            "names schema 200",
        ),
        (
            bytes("7", confluent, &frame(parcel), ""),
            "/datacontenttype",
            "which is Protobuf",
        ),
        (
            bytes(
                "8",
                confluent,
                &frame(1),
                "sandbar:/v1/contracts/parcel/versions/1",
            ),
            "/dataschema",
            "the frame of the data names id 1",
        ),
        (
            bytes("9", "application/json", b"{}", ""),
            "/datacontenttype",
            "the contract is for Avro",
        ),
    ] {
        let refused = hub.publish("orders", publish).await.expect(422);
        assert_eq!(refused["errors"][0]["pointer"], pointer, "{}", refused);
        assert!(refused.to_string().contains(words), "{words}: {}", refused);
    }
    contract(&hub, "json", json!({"schema": {"type": "object"}})).await;
    hub.topic("json", json!({"contract": "json@1"})).await;
    hub.topic("others", json!({})).await;
    for (from, words) in [
        ("plain", "has no contract"),
        ("json", "plugins see JSON already"),
    ] {
        let document = json!({"from": from, "decode": "json", "to": ["others"]});
        let refused = hub.put("/v1/routes/r", document).await.expect(422);
        assert!(refused.to_string().contains(words), "{}", refused);
    }
    let unknown = json!({"from": "orders", "decode": "xml", "to": ["parcels"]});
    let refused = hub.put("/v1/routes/r", unknown).await;
    assert!(
        refused.status >= 400 && refused.text.contains("json"),
        "{refused:?}"
    );
}
