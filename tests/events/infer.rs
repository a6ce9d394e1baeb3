//! Contracts drafted from what a topic holds: they take all of it, and can be registered and bound.

use std::fs;

use sandbar_tests::{Hub, Publish, assert_problem, event};
use serde_json::{Value, json};

fn typed(event_type: &str, id: &str, data: Value) -> Value {
    let mut event = event(id, data);
    event["type"] = json!(event_type);
    event
}

/// Orders and notes, in which all that a draft decides is there.
fn events() -> Vec<Value> {
    let mut events = Vec::new();
    for number in 0..60_u64 {
        let state = ["open", "paid", "shipped"][number as usize % 3];
        let mut order = json!({
            "id": format!("550e8400-e29b-41d4-a716-{number:012}"),
            "state": state,
            "total": if number % 4 == 0 { json!(number) } else { json!(number as f64 + 0.5) },
            "at": "2026-01-02T03:04:05Z",
            "note": if number % 2 == 0 { Value::Null } else { json!(format!("n{number}")) },
            "lines": [{"sku": format!("s{number}"), "count": number}],
            "prices": {format!("sku-{}", 100 + number): 1.5},
        });
        if number == 7 {
            order["gift"] = json!(true);
        }
        events.push(typed(
            "com.example.order/v1",
            &format!("order-{number}"),
            order,
        ));
        let text = json!({"text": format!("number {number}")});
        events.push(typed("com.example.note", &format!("note-{number}"), text));
    }
    events
}

async fn filled() -> Hub {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 3})).await;
    let _ = hub
        .publish("t", Publish::batch(&events()))
        .await
        .expect(200);
    let text =
        Publish::binary("text/plain", "text", "no JSON").header("ce-type", "com.example.text");
    let _ = hub.publish("t", text).await.expect(200);
    hub
}

#[tokio::test]
async fn a_draft_takes_all_events_and_can_be_registered_and_bound() {
    let hub = filled().await;
    let draft = hub.post("/v1/topics/t/infer", json!({})).await.expect(200);
    let order = &draft["schema"]["$defs"]["com.example.order_v1"];
    assert_eq!(
        draft["types"]["com.example.order/v1"],
        "#/$defs/com.example.order_v1"
    );
    assert_eq!(
        order["required"],
        json!(["at", "id", "lines", "note", "prices", "state", "total"])
    );
    let properties = &order["properties"];
    assert_eq!(
        properties["id"],
        json!({"type": "string", "format": "uuid"})
    );
    assert_eq!(
        properties["at"],
        json!({"type": "string", "format": "date-time"})
    );
    assert_eq!(
        properties["state"],
        json!({"type": "string", "enum": ["open", "paid", "shipped"]})
    );
    assert_eq!(properties["total"], json!({"type": "number"}));
    assert_eq!(properties["note"], json!({"type": ["string", "null"]}));
    assert_eq!(properties["gift"], json!({"type": "boolean"}));
    assert_eq!(
        properties["prices"]["additionalProperties"],
        json!({"type": "number"})
    );
    assert_eq!(
        properties["lines"]["items"]["required"],
        json!(["count", "sku"])
    );
    let evidence = &draft["evidence"];
    assert_eq!(
        (
            &evidence["events"],
            &evidence["json"],
            &evidence["not_json"]
        ),
        (&json!(121), &json!(120), &json!(1))
    );
    assert_eq!(evidence["not_json_examples"][0]["type"], "com.example.text");
    let parts = evidence["parts"].as_array().unwrap();
    let part = parts
        .iter()
        .find(|one| one["schema"] == "#/$defs/com.example.order_v1")
        .unwrap();
    let places = part["places"].as_array().unwrap();
    let gift = places.iter().find(|one| one["place"] == "/gift").unwrap();
    assert_eq!((&gift["seen"], &gift["of"]), (&json!(1), &json!(60)));

    let definition = json!({"schema": draft["schema"], "types": draft["types"]});
    let _ = hub
        .post("/v1/contracts/drafted/versions", definition)
        .await
        .expect(201);
    hub.topic("bound", json!({"contract": "drafted"})).await;
    let _ = hub
        .publish("bound", Publish::batch(&events()))
        .await
        .expect(200);
    let bad = typed("com.example.note", "bad", json!({"text": 7}));
    let refused = hub.publish("bound", Publish::structured(&bad)).await;
    assert_problem(&refused, 422, "contract-violation");
}

#[tokio::test]
async fn a_draft_is_made_from_the_events_that_are_asked_for() {
    let hub = filled().await;
    let infer = async |request: Value| hub.post("/v1/topics/t/infer", request).await;
    let notes = infer(json!({"types": ["com.example.note"]}))
        .await
        .expect(200);
    assert_eq!(notes.get("types"), None);
    assert_eq!(
        notes["schema"]["properties"],
        json!({"text": {"type": "string"}}),
        "one type: the whole schema"
    );
    let each = infer(json!({"types": ["com.example.note"], "per_type": true}))
        .await
        .expect(200);
    assert_eq!(
        each["types"]["com.example.note"],
        "#/$defs/com.example.note"
    );
    let one = infer(json!({"per_type": false, "comments": true}))
        .await
        .expect(200);
    assert_eq!(one.get("types"), None);
    assert_eq!(
        one["schema"]["properties"]["text"]["$comment"],
        "in 60 of 120"
    );
    let last = infer(json!({"events": 9})).await.expect(200);
    assert_eq!(last["evidence"]["events"], 9);
    let from = infer(json!({"from": {"offsets": {"1": 0}}, "to": {"offsets": {"1": 5}}}))
        .await
        .expect(200);
    assert_eq!(from["evidence"]["events"], 5);
    let past = infer(json!({"from": {"time": "2020-01-01T00:00:00Z"}}))
        .await
        .expect(200);
    assert_eq!(past["evidence"]["events"], 121);
    // Without a body it is as with an empty one.
    let request = hub.request(reqwest::Method::POST, "/v1/topics/t/infer");
    let nothing = hub.send(request).await.expect(200);
    assert_eq!(nothing["evidence"]["events"], 121);
}

#[tokio::test]
async fn avro_and_protobuf_are_drafted_from_as_json() {
    let hub = Hub::start().await;
    let record = json!({"type": "record", "name": "Order", "fields": [{"name": "id", "type": "string"}, {"name": "total", "type": "int"}]});
    let proto = "syntax = \"proto3\"; message Order { string id = 1; int64 total = 2; }";
    for (name, definition) in [
        ("avro", json!({"format": "avro", "schema": record})),
        ("protobuf", json!({"format": "protobuf", "schema": proto})),
    ] {
        let path = format!("/v1/contracts/{name}/versions");
        let _ = hub.post(&path, definition).await.expect(201);
        hub.topic(name, json!({ "contract": name })).await;
    }
    let publish = async |topic: &str, content_type: &str, id: &str, body: &[u8]| {
        let event = Publish::binary(content_type, id, body.to_vec());
        let _ = hub.publish(topic, event).await.expect(200);
    };
    // An id of two letters, and 5.
    publish("avro", "application/avro", "1", b"\x04ab\x0a").await;
    publish("avro", "application/avro", "2", b"\x04cd\x0a").await;
    publish(
        "protobuf",
        "application/protobuf",
        "1",
        b"\x0a\x02ab\x10\x05",
    )
    .await;
    for (topic, events, total) in [("avro", 2, "integer"), ("protobuf", 1, "string")] {
        let path = format!("/v1/topics/{topic}/infer");
        let draft = hub.post(&path, json!({})).await.expect(200);
        let properties = &draft["schema"]["properties"];
        assert_eq!(
            (&properties["id"]["type"], &properties["total"]["type"]),
            (&json!("string"), &json!(total)),
            "{draft:#}"
        );
        let evidence = &draft["evidence"];
        assert_eq!(
            (
                &evidence["json"],
                &evidence["decoded"],
                &evidence["not_json"]
            ),
            (&json!(events), &json!(events), &json!(0)),
            "{evidence:#}"
        );
        let notes = evidence["notes"].to_string();
        assert!(notes.contains("Avro or Protobuf"), "{notes}");
    }
    // What cannot be read is named with the reason.
    hub.topic("free", json!({})).await;
    publish("free", "application/avro", "1", b"\x04ab\x0a").await;
    let text = Publish::binary("application/json", "2", "{}");
    let _ = hub.publish("free", text).await.expect(200);
    let draft = hub
        .post("/v1/topics/free/infer", json!({}))
        .await
        .expect(200);
    let evidence = &draft["evidence"];
    let reason = evidence["not_json_examples"][0]["reason"].as_str().unwrap();
    assert!(reason.contains("who wrote the data"), "{reason}");
    assert_eq!(evidence.get("decoded"), None, "{evidence:#}");
    let told = hub.sandbar(&["contract", "infer", "avro"]);
    assert!(
        told.code == 0 && told.stderr.contains("were read as JSON"),
        "{told:?}"
    );
}

#[tokio::test]
async fn what_cannot_be_drafted_is_refused_with_the_reason() {
    let hub = filled().await;
    let infer = async |topic: &str, request: Value| {
        hub.post(&format!("/v1/topics/{topic}/infer"), request)
            .await
    };
    assert_problem(&infer("none", json!({})).await, 404, "unknown-topic");
    hub.topic("empty", json!({})).await;
    let empty = assert_problem(&infer("empty", json!({})).await, 422, "nothing-to-infer");
    assert!(
        empty["detail"].as_str().unwrap().contains("no events"),
        "{empty}"
    );
    let text = infer("t", json!({"types": ["com.example.text"]})).await;
    let text = assert_problem(&text, 422, "nothing-to-infer");
    assert!(
        text["detail"]
            .as_str()
            .unwrap()
            .contains("com.example.text"),
        "{text}"
    );
    for (request, place) in [
        (json!({"events": 0}), "/events"),
        (json!({"events": 1_000_001}), "/events"),
        (json!({"types": []}), "/types"),
        (json!({"event": 7}), "unknown field"),
        (json!({"from": {"time": "yesterday"}}), "/from/time"),
    ] {
        let problem = assert_problem(&infer("t", request).await, 422, "invalid-document");
        assert!(
            problem["detail"].as_str().unwrap().contains(place),
            "{problem}"
        );
    }
    let past = json!({"from": {"offsets": {"0": 1000}}});
    assert_problem(&infer("t", past).await, 416, "offset-past-tail");
}

#[tokio::test]
async fn the_command_line_writes_what_contract_push_takes() {
    let hub = filled().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let out = file("order.json");
    let ran = hub.sandbar(&["contract", "infer", "t", "--out", &out]);
    assert_eq!(ran.code, 0, "{}", ran.stderr);
    assert_eq!(ran.stdout, "");
    for words in [
        "121 events, 120 of them JSON",
        "/lines/*/sku",
        "60 always",
        "contract push NAME",
    ] {
        assert!(ran.stderr.contains(words), "{words}: {}", ran.stderr);
    }
    let types = file("order.types.json");
    let pushed = hub.sandbar(&["contract", "push", "drafted", &out, "--types", &types]);
    assert_eq!(pushed.code, 0, "{}", pushed.stderr);
    hub.topic("bound", json!({"contract": "drafted"})).await;
    let _ = hub
        .publish("bound", Publish::batch(&events()))
        .await
        .expect(200);

    let piped = hub.sandbar(&["contract", "infer", "t", "--type", "com.example.note"]);
    let schema: Value = serde_json::from_str(&piped.stdout).unwrap();
    assert_eq!(schema["properties"]["text"]["type"], "string");
    let whole = hub
        .sandbar(&["--json", "contract", "infer", "t", "--one"])
        .json();
    assert_eq!(whole["evidence"]["json"], 120);
    let one = file("one.json");
    assert_eq!(
        hub.sandbar(&["contract", "infer", "t", "--one", "--out", &one])
            .code,
        0
    );
    assert!(fs::metadata(file("one.types.json")).is_err());
    assert_eq!(hub.sandbar(&["contract", "infer", "none"]).code, 4);
    assert_eq!(
        hub.sandbar(&["contract", "infer", "t", "--from", "yesterday"])
            .code,
        2
    );
}
