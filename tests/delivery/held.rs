//! Keys that wait for an event that was given up.

use sandbar_tests::{Hub, assert_problem};
use serde_json::{Value, json};

use crate::{consume, ids, publish, pull, settle, status, subscribe};

async fn reject_one(hub: &Hub, id: &str) {
    let events = pull(hub, "s", "limit=1&wait=30").await;
    assert_eq!(ids(&events), [id]);
    let reject = json!([{"lease": events[0]["sandbarlease"], "reason": "bad"}]);
    assert_eq!(
        settle(hub, "s", json!({ "reject": reject })).await,
        ["dead"]
    );
}

async fn release(hub: &Hub, document: Value) -> Value {
    let path = "/v1/subscriptions/s/release";
    hub.post(path, document).await.expect(200)["released"].clone()
}

#[tokio::test]
async fn a_held_key_waits_over_a_restart_until_it_is_released() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(
        &hub,
        "s",
        json!({"topics": ["t"], "on_failure": "hold-key"}),
    )
    .await;
    publish(&hub, "t", 0, &["a", "a", "b"]).await;
    reject_one(&hub, "0").await;
    assert_eq!(hub.dead_letters("subscription=s").await.len(), 1);
    assert_eq!(
        ids(&consume(&hub, "s", 1).await),
        ["2"],
        "another key goes on"
    );
    let now = status(&hub, "s").await;
    assert_eq!(
        (&now["held"], &now["waiting"], &now["lag"]),
        (&json!(1), &json!(2), &json!(2))
    );
    assert_eq!(now["partitions"][0]["held_offsets"], json!([0]));
    for kill in [true, false] {
        if kill {
            hub.kill();
        } else {
            hub.stop();
        }
        hub.restart().await;
        assert!(pull(&hub, "s", "").await.is_empty());
        assert_eq!(status(&hub, "s").await["held"], 1);
    }
    for (partition, offset, words) in [("t/0", 1, "t/0/1 is not held"), ("t/7", 0, "t/7")] {
        let events =
            json!([{"partition": "t/0", "offset": 0}, {"partition": partition, "offset": offset}]);
        let path = "/v1/subscriptions/s/release";
        let refused = hub.post(path, json!({ "events": events })).await;
        let problem = assert_problem(&refused, 422, "invalid-document");
        assert!(
            problem["detail"].as_str().unwrap().contains(words),
            "{problem}"
        );
        let pointer = problem["errors"][0]["pointer"].as_str().unwrap();
        assert!(pointer.starts_with("/events/1"), "{problem}");
    }
    assert_eq!(status(&hub, "s").await["held"], 1, "nothing is released");
    assert_eq!(
        release(&hub, json!({"events": [{"partition": "t/0", "offset": 0}]})).await,
        1
    );
    hub.kill();
    hub.restart().await;
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["1"]);
    let now = status(&hub, "s").await;
    assert_eq!((&now["held"], &now["lag"]), (&json!(0), &json!(0)));
    assert_eq!(now["counts"]["dead"], 1);
}

#[tokio::test]
async fn with_too_many_held_keys_reading_stops_and_says_so() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let document =
        json!({"topics": ["t"], "on_failure": "hold-key", "max_held_keys": 2, "max_waiting": 3});
    subscribe(&hub, "s", document).await;
    publish(&hub, "t", 0, &["a", "b", "c", "d", "e"]).await;
    reject_one(&hub, "0").await;
    reject_one(&hub, "1").await;
    let now = status(&hub, "s").await;
    assert_eq!(now["state"], "full");
    assert!(
        now["detail"].as_str().unwrap().contains("max_held_keys"),
        "{now}"
    );
    let text = hub.get("/metrics").await.text;
    assert!(
        text.contains("sandbar_subscription_state{subscription=\"s\"} 3"),
        "{text}"
    );
    assert!(
        text.contains(
            "sandbar_subscription_held_keys{subscription=\"s\",topic=\"t\",partition=\"0\"} 2"
        ),
        "{text}"
    );
    // What was read before is still delivered, and may come to be held, too; nothing more is read.
    reject_one(&hub, "2").await;
    let now = status(&hub, "s").await;
    assert!(
        now["detail"].as_str().unwrap().contains("3 keys are held"),
        "{now}"
    );
    assert_eq!(now["held"], 3, "{now}");
    assert!(pull(&hub, "s", "").await.is_empty());
    assert_eq!(release(&hub, json!({})).await, 3);
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["3", "4"]);
    assert_eq!(status(&hub, "s").await["state"], "running");
}
