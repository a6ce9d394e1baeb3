//! Subscriptions: what clients pull and settle and what the hub sends, also over restarts and kills. Dead
//! letters, redrive and replay.
#![allow(clippy::unwrap_used)]

#[cfg(target_os = "linux")]
mod clock;
mod documents;
mod held;
mod history;
mod jobs;
mod killed;
mod offsets;
mod once;
mod pull;
mod push;
mod push_outage;
mod redrive;
mod replay;
mod restart;
mod room;
mod shared;
mod streams;
mod unknown;

use sandbar_tests::{Answer, Hub, json_event};
use serde_json::{Value, json};

/// Makes a subscription.
async fn subscribe(hub: &Hub, name: &str, document: Value) {
    let _ = hub
        .put(&format!("/v1/subscriptions/{name}"), document)
        .await
        .expect(201);
}

/// Events with these keys; ids and data are their numbers from `from` on.
async fn publish(hub: &Hub, topic: &str, from: usize, keys: &[&str]) {
    let events: Vec<Value> = (from..)
        .zip(keys)
        .map(|(number, key)| json_event(&number.to_string(), key, json!({ "n": number })))
        .collect();
    for events in events.chunks(1000) {
        hub.accepted(topic, events).await;
    }
}

/// Pulls once; `query` such as `limit=10&wait=5`.
async fn pull(hub: &Hub, name: &str, query: &str) -> Vec<Value> {
    let answer = try_pull(hub, name, query).await;
    answer.expect(200).as_array().expect("a batch").clone()
}

async fn try_pull(hub: &Hub, name: &str, query: &str) -> Answer {
    hub.get(&format!("/v1/subscriptions/{name}/events?{query}"))
        .await
}

/// The tokens of events.
fn leases(events: &[Value]) -> Vec<String> {
    let lease = |event: &Value| event["sandbarlease"].as_str().expect("a token").to_owned();
    events.iter().map(lease).collect()
}

/// The ids of events.
fn ids(events: &[Value]) -> Vec<String> {
    let id = |event: &Value| event["id"].as_str().expect("an id").to_owned();
    events.iter().map(id).collect()
}

/// Settles; gives the statuses in order.
async fn settle(hub: &Hub, name: &str, document: Value) -> Vec<String> {
    let answer = hub
        .post(&format!("/v1/subscriptions/{name}/ack"), document)
        .await
        .expect(200);
    let results = answer["results"].as_array().expect("results").clone();
    results
        .iter()
        .map(|one| one["status"].as_str().expect("a status").to_owned())
        .collect()
}

/// Acknowledges all of these.
async fn ack(hub: &Hub, name: &str, events: &[Value]) {
    let statuses = settle(hub, name, json!({"ack": leases(events)})).await;
    assert!(
        statuses.iter().all(|status| status == "acknowledged"),
        "{statuses:?}"
    );
}

/// Pulls and acknowledges until so many events have come; gives them.
async fn consume(hub: &Hub, name: &str, count: usize) -> Vec<Value> {
    let mut all = Vec::new();
    while all.len() < count {
        let events = pull(hub, name, "limit=1000&wait=30").await;
        assert!(
            !events.is_empty(),
            "only {} of {count} come: {}",
            all.len(),
            status(hub, name).await
        );
        ack(hub, name, &events).await;
        all.extend(events);
    }
    all
}

/// The `status` of a subscription.
async fn status(hub: &Hub, name: &str) -> Value {
    hub.get(&format!("/v1/subscriptions/{name}"))
        .await
        .expect(200)["status"]
        .clone()
}
