//! The activation gate with Avro and Protobuf: inputs are made from those contracts, too.

use sandbar_tests::{Answer, Hub, assert_problem};
use serde_json::{Value, json};

async fn contract(hub: &Hub, name: &str, definition: Value) {
    let path = format!("/v1/contracts/{name}/versions");
    let _ = hub.post(&path, definition).await.expect(201);
    hub.topic(name, json!({"contract": name})).await;
}

fn avro_order() -> Value {
    json!({"format": "avro", "schema": {"type": "record", "name": "Order", "fields": [
        {"name": "id", "type": "string"},
        {"name": "cents", "type": "long"},
        {"name": "note", "type": ["null", "string"]},
    ]}})
}

async fn put(hub: &Hub, (from, to): (&str, &str), program: &str) -> Answer {
    let step = json!({"plugin": "jq@1.0.0", "config": {"program": program}});
    let document = json!({"from": from, "to": [to], "decode": "json", "steps": [step]});
    hub.put("/v1/routes/r", document).await
}

fn failure(answer: &Answer) -> Value {
    let problem = assert_problem(answer, 409, "activation-refused");
    problem["gate"][0]["failures"][0].clone()
}

#[tokio::test]
async fn avro_orders_reach_their_edges() {
    let hub = Hub::start().await;
    contract(&hub, "order", avro_order()).await;
    let invoice = json!({"schema": {"type": "object", "properties": {"note": {"type": "string"}}}});
    contract(&hub, "invoice", invoice).await;
    let way = ("order", "invoice");
    let failure = failure(&put(&hub, way, "{note: .note}").await);
    assert_eq!(failure["cause"], "contract", "{failure}");
    // The smallest: two empty fields and no note.
    let smallest = json!({"id": "", "cents": 0, "note": null});
    assert_eq!(failure["decoded"], smallest, "{failure}");
    assert_eq!(failure["input"]["data_base64"], "AAAA", "{failure}");
    assert_eq!(
        failure["input"]["dataschema"],
        "sandbar:/v1/contracts/order/versions/1"
    );
    let made = put(&hub, way, "{note: (.note // \"none\")}").await;
    let gate = &made.expect(201)["activation"]["gate"];
    assert_eq!(gate["outcome"], "passed", "{gate}");
    assert!(gate["generated"].as_u64() > Some(10), "{gate}");
}

#[tokio::test]
async fn each_protobuf_message_has_its_inputs_and_what_cannot_be_encoded_is_refused() {
    let hub = Hub::start().await;
    let text = "syntax = \"proto3\"; package shop;
        message Order { string id = 1; }
        message Return { string id = 1; repeated Line lines = 2; }
        message Line { string article = 1; int32 pieces = 2; }";
    let types = json!({"shop.order": "shop.Order", "shop.return": "shop.Return"});
    contract(
        &hub,
        "event",
        json!({"format": "protobuf", "schema": text, "types": types}),
    )
    .await;
    contract(&hub, "order", avro_order()).await;
    let way = ("event", "order");
    let sum = "{id: (.id // \"\"), cents: ((.lines // []) | map(.pieces // 0) | add), note: null}";
    // Without lines the sum is null, which is no `long`.
    let none = failure(&put(&hub, way, sum).await);
    assert_eq!(none["cause"], "contract", "{none}");
    assert_eq!(none["violations"][0]["pointer"], "/data/cents");
    let sum = sum.replace("| add)", "| add // 0)");
    let made = put(&hub, way, &sum).await.expect(201);
    let gate = &made["activation"]["gate"];
    assert_eq!(gate["outcome"], "passed", "{made}");
    // What only a `Return` has is reached.
    let many = "{id: \"\", cents: (if .lines then \"many\" else 0 end), note: null}";
    let many = failure(&put(&hub, way, many).await);
    assert_eq!(many["input"]["type"], "shop.return", "{many}");
    assert_eq!(many["decoded"], json!({"lines": [{}]}), "{many}");
}
