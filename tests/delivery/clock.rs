//! The wall clock is set back under a hub that runs: waits go on as they were.

use sandbar_tests::{Hub, Options, Receiver, Reply, WallClock, event, json_event};
use serde_json::{Value, json};

use crate::subscribe;

/// Longer than any test waits, in seconds.
const BACK: i64 = -3600;

async fn hub(clock: &WallClock) -> Hub {
    let options = Options {
        arguments: vec!["--allow-private-targets".to_owned()],
    };
    let hub = Hub::start_under(clock, options).await;
    hub.topic("t", json!({})).await;
    hub
}

async fn settled(hub: &Hub) {
    hub.until("/v1/subscriptions/s", "status", "s is behind", |status| {
        status["lag"] == 0
    })
    .await;
}

#[tokio::test]
async fn a_breaker_opens_again_in_time() {
    let clock = WallClock::new();
    let hub = hub(&clock).await;
    let receiver = Receiver::answering(|_| Reply::status(500)).await;
    // Long enough to set the clock meanwhile.
    let retry = json!({"initial_ms": 2000, "max_ms": 2000});
    let push = json!({"url": receiver.url()});
    subscribe(
        &hub,
        "s",
        json!({"topics": ["t"], "retry": retry, "push": push}),
    )
    .await;
    let events: Vec<Value> = (0..8)
        .map(|n| json_event(&n.to_string(), &n.to_string(), json!(n)))
        .collect();
    hub.accepted("t", &events).await;
    let open = |webhook: &Value| webhook["breaker"]["state"] == "open";
    hub.until("/v1/subscriptions/s", "webhook", "it goes on", open)
        .await;
    clock.set(BACK);
    receiver.answer(|_| Reply::status(200));
    // What is shown is of the clock as it stands.
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    if let Some(until) = webhook["breaker"]["until"].as_str() {
        let attempt = webhook["attempts"][0]["at"].as_str().unwrap();
        assert!(until < attempt, "{webhook}");
    }
    settled(&hub).await;
}

#[tokio::test]
async fn a_rate_goes_on() {
    let clock = WallClock::new();
    let hub = hub(&clock).await;
    let receiver = Receiver::answering(|one| match one.method.as_str() {
        "OPTIONS" => Reply::allowing("*", "120"),
        _ => Reply::status(200),
    })
    .await;
    let push = json!({"url": receiver.url(), "handshake": true});
    subscribe(&hub, "s", json!({"topics": ["t"], "push": push})).await;
    hub.until(
        "/v1/subscriptions/s",
        "webhook",
        "it is not asked",
        |webhook| webhook["handshake"]["state"] == "allowed",
    )
    .await;
    clock.set(BACK);
    let events: Vec<Value> = (0..4).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    settled(&hub).await;
}

/// A route waits to try an event again that it then maps into `out`.
async fn retrying(hub: &Hub) {
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    let retry = json!({"max_attempts": 3, "initial_ms": 2000, "max_ms": 2000});
    let steps = json!([{"plugin": "mapper@1"}]);
    hub.route(
        "r",
        json!({"from": "t", "steps": steps, "to": ["out"], "retry": retry}),
    )
    .await;
    let tried = json!({"n": 0, "do": "retry", "times": 1});
    hub.accepted("t", &[json_event("1", "k", tried)]).await;
    hub.route_until("r", "nothing is tried", |status| {
        status["counts"]["retries"] == 1
    })
    .await;
}

#[tokio::test]
async fn a_route_tries_again_in_time() {
    let clock = WallClock::new();
    let hub = hub(&clock).await;
    retrying(&hub).await;
    clock.set(BACK);
    hub.read_until("out", 0, 1).await;
}

#[tokio::test]
async fn a_clock_set_back_while_nothing_runs_holds_nothing_up() {
    let clock = WallClock::new();
    let mut hub = hub(&clock).await;
    retrying(&hub).await;
    hub.stop();
    clock.set(BACK);
    hub.restart().await;
    hub.read_until("out", 0, 1).await;
}
