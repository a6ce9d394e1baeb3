//! What tests of redrives and replays share.

use sandbar_tests::Hub;
use serde_json::{Value, json};

/// A route's document from `in` to `out` through the mapper, whose step has this stamp: events that
/// are to fail `at` another stamp pass.
pub fn route(stamp: &str, retry: Value) -> Value {
    json!({
        "from": "in", "to": ["out"], "retry": retry,
        "steps": [{"plugin": "mapper@1", "config": {"stamp": stamp}}],
    })
}

/// A hub with a route `r` from `in` to `out`.
pub async fn hub(partitions: u32, route: Value) -> Hub {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({"partitions": partitions})).await;
    }
    hub.mapper().await;
    hub.route("r", route).await;
    hub
}

/// Begins a job; gives its id.
pub async fn begin(hub: &Hub, path: &str, request: Value) -> String {
    let job = hub.post(path, request).await.expect(202);
    job["id"].as_str().expect("a job has an id").to_owned()
}

/// Waits until a job's progress is as wanted, or the job is over; gives the job.
pub async fn job_until(hub: &Hub, id: &str, wanted: impl Fn(&Value) -> bool) -> Value {
    let begin = std::time::Instant::now();
    loop {
        let job = hub.get(&format!("/v1/jobs/{id}")).await.expect(200);
        let over = ["done", "cancelled", "failed"]
            .iter()
            .any(|state| job["state"] == *state);
        if over || wanted(&job["progress"]) {
            return job;
        }
        assert!(
            begin.elapsed() < sandbar_tests::WATCHDOG,
            "{job}\n{}",
            hub.log()
        );
        // Nothing tells of it; a moment ends the wait.
        let tail = hub.tail("sandbar.dead-letters", 0).await;
        hub.wait_at("sandbar.dead-letters", 0, tail, 0.02).await;
    }
}

/// Waits for the end of a job, which must be `state`; gives its progress.
pub async fn ended(hub: &Hub, id: &str, state: &str) -> Value {
    let job = job_until(hub, id, |_| false).await;
    assert_eq!(job["state"], state, "{job}\n{}", hub.log());
    job["progress"].clone()
}

/// The `n` of events, in their order.
pub fn numbers(events: &[Value]) -> Vec<u64> {
    let number = |event: &Value| event["data"]["n"].as_u64().expect("a number");
    events.iter().map(number).collect()
}

/// All events of all partitions.
pub async fn read_partitions(hub: &Hub, topic: &str, partitions: u32) -> Vec<Value> {
    let mut events = Vec::new();
    for partition in 0..partitions {
        events.extend(hub.read_all(topic, partition).await);
    }
    events
}

/// Pulls until there are so many events; none: what is there now.
pub async fn pull(hub: &Hub, subscription: &str, count: usize) -> Vec<Value> {
    let mut events = Vec::new();
    let begin = std::time::Instant::now();
    loop {
        let wait = if count == 0 { 0 } else { 5 };
        let path = format!("/v1/subscriptions/{subscription}/events?limit=100&wait={wait}");
        let page = hub.get(&path).await.expect(200);
        events.extend(page.as_array().expect("a batch").iter().cloned());
        if events.len() >= count {
            return events;
        }
        assert!(begin.elapsed() < sandbar_tests::WATCHDOG, "only {events:?}");
    }
}

/// `ack` or `reject` for these events.
pub async fn settle(hub: &Hub, subscription: &str, what: &str, events: &[Value]) {
    let lease = |event: &Value| match what {
        "ack" => event["sandbarlease"].clone(),
        _ => json!({"lease": event["sandbarlease"], "reason": "as asked"}),
    };
    let leases: Vec<Value> = events.iter().map(lease).collect();
    let path = format!("/v1/subscriptions/{subscription}/ack");
    let _ = hub.post(&path, json!({ what: leases })).await.expect(200);
}
