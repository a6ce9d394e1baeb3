//! Stops and kills: what was acknowledged never comes again, what was not does.

use std::collections::BTreeSet;

use fastrand::Rng;
use sandbar_tests::Hub;
use serde_json::json;

use crate::{ack, consume, ids, leases, publish, pull, settle, status, subscribe};

#[tokio::test]
async fn after_a_kill_it_goes_on_behind_the_last_acknowledgement() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..200).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let mut random = Rng::with_seed(3);
    let mut acknowledged = BTreeSet::new();
    while acknowledged.len() < 200 {
        let events = pull(&hub, "s", "limit=20&wait=30").await;
        for id in ids(&events) {
            assert!(!acknowledged.contains(&id), "{id} comes after its ack");
        }
        // Some of them, in any order.
        let (mine, _): (Vec<_>, Vec<_>) = events.into_iter().partition(|_| random.bool());
        ack(&hub, "s", &mine).await;
        acknowledged.extend(ids(&mine));
        if random.u8(0..4) == 0 {
            hub.stop();
        } else {
            hub.kill();
        }
        hub.restart().await;
    }
    let now = status(&hub, "s").await;
    assert_eq!(
        (&now["lag"], &now["counts"]["acknowledged"]),
        (&json!(0), &json!(200))
    );
    assert!(pull(&hub, "s", "").await.is_empty());
}

#[tokio::test]
async fn what_was_handed_out_before_a_kill_can_be_acknowledged_after() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c", "a"]).await;
    let before = pull(&hub, "s", "lease=3600").await;
    assert_eq!(ids(&before), ["0", "1", "2"]);
    hub.kill();
    hub.restart().await;
    // Nobody has had it since: the token is good.
    ack(&hub, "s", &before[..1]).await;
    // Somebody else has these two: it is not.
    let other = pull(&hub, "s", "limit=2").await;
    assert_eq!(ids(&other), ["1", "2"]);
    let late = settle(&hub, "s", json!({"ack": leases(&before[1..])})).await;
    assert_eq!(late, ["expired", "expired"]);
    ack(&hub, "s", &other).await;
    hub.kill();
    hub.restart().await;
    assert_eq!(
        settle(&hub, "s", json!({"ack": leases(&before)})).await,
        ["already"; 3]
    );
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["3"]);
}

#[tokio::test]
async fn a_graceful_stop_remembers_attempts_and_waits() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "a", "b"]).await;
    let events = pull(&hub, "s", "").await;
    let nack = json!([
        {"lease": events[0]["sandbarlease"], "delay_ms": 0, "reason": "later"},
        {"lease": events[1]["sandbarlease"], "delay_ms": 3_600_000},
    ]);
    settle(&hub, "s", json!({ "nack": nack })).await;
    hub.stop();
    hub.restart().await;
    let again = pull(&hub, "s", "").await;
    assert_eq!(ids(&again), ["0"], "the other waits still");
    assert_eq!(again[0]["sandbardelivery"], 2);
    let reject = json!([{"lease": again[0]["sandbarlease"], "reason": "never"}]);
    settle(&hub, "s", json!({ "reject": reject })).await;
    let letters = hub.dead_letters("subscription=s").await;
    assert_eq!(letters[0]["attempts"], 2);
    assert_eq!(letters[0]["history"][0]["reason"], "later");
    assert_eq!(letters[0]["history"][1]["reason"], "never");
}

#[tokio::test]
async fn a_dead_letter_is_written_once_though_the_hub_is_killed() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let events = pull(&hub, "s", "").await;
    let reject: Vec<_> = leases(&events)
        .into_iter()
        .map(|lease| json!({"lease": lease}))
        .collect();
    assert_eq!(
        settle(&hub, "s", json!({ "reject": reject })).await,
        ["dead", "dead"]
    );
    hub.kill();
    hub.restart().await;
    assert!(pull(&hub, "s", "").await.is_empty());
    let now = status(&hub, "s").await;
    assert_eq!(
        (&now["lag"], &now["counts"]["dead"]),
        (&json!(0), &json!(2))
    );
    assert_eq!(hub.dead_letters("subscription=s").await.len(), 2);
}

#[tokio::test]
async fn a_subscription_that_is_deleted_and_made_again_begins_anew() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let before = pull(&hub, "s", "limit=1").await;
    ack(&hub, "s", &before).await;
    let out = pull(&hub, "s", "").await;
    assert_eq!(hub.delete("/v1/subscriptions/s").await.status, 204);
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    hub.kill();
    hub.restart().await;
    assert_eq!(
        settle(&hub, "s", json!({"ack": leases(&out)})).await,
        ["expired"]
    );
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["0", "1"]);
}

#[tokio::test]
async fn a_delay_that_was_asked_for_holds_over_a_restart() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    // Its own waits are over before a hub has started.
    let retry = json!({"initial_ms": 1, "max_ms": 1});
    subscribe(&hub, "s", json!({"topics": ["t"], "retry": retry})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let events = pull(&hub, "s", "").await;
    let nack = json!([
        {"lease": events[0]["sandbarlease"], "delay_ms": 36_000_000},
        {"lease": events[1]["sandbarlease"]},
    ]);
    assert_eq!(
        settle(&hub, "s", json!({ "nack": nack })).await,
        ["retrying", "retrying"]
    );
    hub.stop();
    hub.restart().await;
    assert_eq!(ids(&pull(&hub, "s", "wait=30").await), ["1"]);
    assert_eq!(status(&hub, "s").await["waiting"], 2);
}
