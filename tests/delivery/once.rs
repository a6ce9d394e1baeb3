//! What begins something is done once under its `Idempotency-Key`, also when the hub is killed after.

use reqwest::Method;
use sandbar_tests::{Answer, Hub};
use serde_json::{Value, json};

use crate::{ack, leases, publish, pull, settle, subscribe};

async fn post(hub: &Hub, path: &str, document: &Value) -> Answer {
    let request = hub.request(Method::POST, path);
    let request = request.header("idempotency-key", path);
    hub.send(request.json(document)).await
}

#[tokio::test]
async fn replays_redrives_and_resets_are_done_once() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    hub.topic("copy", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c"]).await;
    let events = pull(&hub, "s", "").await;
    ack(&hub, "s", &events[..2]).await;
    let reject = json!([{"lease": leases(&events)[2]}]);
    assert_eq!(
        settle(&hub, "s", json!({ "reject": reject })).await,
        ["dead"]
    );
    let calls = [
        (
            "/v1/topics/t/replay",
            json!({"from": "earliest", "into": "copy"}),
        ),
        ("/v1/subscriptions/s/replay", json!({"from": "earliest"})),
        ("/v1/dead-letters/redrive", json!({"all": true})),
        ("/v1/subscriptions/s/offsets", json!({"to": "latest"})),
    ];
    let mut first = Vec::new();
    for (path, document) in &calls {
        let answer = post(&hub, path, document).await;
        assert!(matches!(answer.status, 200 | 202), "{path}: {answer:?}");
        assert_eq!(answer.header("idempotency-replayed"), None, "{path}");
        first.push(answer);
    }
    for kill in [false, true] {
        if kill {
            hub.kill();
            hub.restart().await;
        }
        for ((path, document), first) in calls.iter().zip(&first) {
            let again = post(&hub, path, document).await;
            assert_eq!(again.header("idempotency-replayed"), Some("true"), "{path}");
            assert_eq!((again.status, &again.text), (first.status, &first.text));
        }
    }
    let jobs = hub.get("/v1/jobs").await.expect(200)["jobs"].clone();
    assert_eq!(jobs.as_array().unwrap().len(), 3, "{jobs}");
    let resets = hub.get("/v1/subscriptions/s/offsets").await.expect(200)["resets"].clone();
    assert_eq!(resets.as_array().unwrap().len(), 1, "{resets}");
    for job in jobs.as_array().unwrap() {
        let id = job["id"].as_str().unwrap();
        super::jobs::ended(&hub, id, "done").await;
    }
    assert_eq!(hub.stored("copy").await, 3);
}
