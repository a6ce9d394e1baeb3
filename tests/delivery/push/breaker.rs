//! An endpoint that fails is left alone, and nobody else notices.

use super::*;

#[tokio::test]
async fn a_dead_endpoint_is_left_alone_and_delays_nobody() {
    let (hub, other) = (hub().await, Receiver::start().await);
    let receiver = Receiver::answering(|_| Reply::status(500)).await;
    hub.topic("t", json!({})).await;
    let mut dead = document(push_to(&receiver, json!({"concurrency": 4})));
    // A pause that outlasts the test.
    dead["retry"] = json!({"initial_ms": 86_400_000, "max_ms": 86_400_000});
    subscribe(&hub, dead).await;
    let alive = document(push_to(&other, json!({})));
    let _ = hub.put("/v1/subscriptions/other", alive).await.expect(201);
    let events: Vec<Value> = (0..500).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    webhook_until(&hub, "goes on", |webhook| {
        webhook["breaker"]["state"] == "open" && webhook["in_flight"] == 0
    })
    .await;
    other.requests(500).await;
    // Five failures in a row, and what was under way beside them.
    let sent = receiver.received().len();
    assert!((5..=8).contains(&sent), "{sent}");
    // What was taken and not sent has no attempt counted.
    let status = hub.get("/v1/subscriptions/s").await.expect(200)["status"].clone();
    assert_eq!(status["out"], 0, "{status}");
    assert_eq!(status["counts"]["delivered"], sent, "{status}");
}

#[tokio::test]
async fn an_endpoint_that_comes_back_gets_everything() {
    let hub = hub().await;
    let receiver = Receiver::start().await;
    pushed(&hub, &receiver, json!({})).await;
    let address = receiver.address();
    receiver.stop().await;
    let events: Vec<Value> = (0..300)
        .map(|n| json_event(&n.to_string(), &(n % 7).to_string(), json!(n)))
        .collect();
    hub.accepted("t", &events).await;
    let webhook = webhook_until(&hub, "goes on", |webhook| {
        webhook["breaker"]["state"] == "open"
    })
    .await;
    assert_eq!(webhook["last_failure"]["outcome"], "connect", "{webhook}");
    let back = Receiver::on(address, |_| Reply::status(200)).await;
    settled(&hub).await;
    let mut per_key = std::collections::BTreeMap::<String, Vec<u64>>::new();
    for one in back.received() {
        let number = one.header("ce-id").parse().expect("a number");
        let of_key = per_key.entry(one.header("ce-partitionkey").to_owned());
        of_key.or_default().push(number);
    }
    assert_eq!(per_key.values().map(Vec::len).sum::<usize>(), 300);
    for (key, numbers) in per_key {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
    }
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    assert_eq!(webhook["breaker"]["state"], "closed", "{webhook}");
}

/// `s`, whose endpoint asked to be left alone until tomorrow, once.
async fn left_alone(hub: &Hub) -> Receiver {
    let receiver = Receiver::answering(|one| match one.number {
        0 => Reply::with(503, "retry-after", "86400"),
        _ => Reply::status(200),
    })
    .await;
    pushed(hub, &receiver, json!({})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    webhook_until(hub, "goes on", |webhook| {
        webhook["breaker"]["state"] == "open" && webhook["in_flight"] == 0
    })
    .await;
    hub.accepted("t", &[event("2", json!(2))]).await;
    receiver
}

#[tokio::test]
async fn enabling_closes_the_breaker_and_sends_at_once() {
    let hub = hub().await;
    let receiver = left_alone(&hub).await;
    let _ = hub
        .post("/v1/subscriptions/s/enable", json!({}))
        .await
        .expect(200);
    settled(&hub).await;
    assert_eq!(receiver.received().len(), 3);
}

#[tokio::test]
async fn a_test_that_succeeds_closes_the_breaker() {
    let hub = hub().await;
    let receiver = left_alone(&hub).await;
    let test = hub
        .post("/v1/subscriptions/s/test", json!({}))
        .await
        .expect(200);
    assert_eq!(test["delivered"], true, "{test}");
    settled(&hub).await;
    assert_eq!(receiver.received().len(), 4);
}
