//! What a receiver gets: CloudEvents in binary, structured and batched mode, with ids that stay.

use super::*;

#[tokio::test]
async fn binary_by_default() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    pushed(&hub, &receiver, json!({"headers": {"X-Key": "word"}})).await;
    let mut sent = json_event("1", "größe 7", json!({"total": 12.5}));
    sent["count"] = json!(7);
    hub.accepted("t", &[sent]).await;
    let received = receiver.requests(1).await;
    let one = &received[0];
    assert_eq!((one.method.as_str(), one.path.as_str()), ("POST", "/hook"));
    for (name, value) in [
        ("ce-specversion", "1.0"),
        ("ce-id", "1"),
        ("ce-source", "/tests"),
        ("ce-type", "test.event"),
        ("ce-partitionkey", "gr%C3%B6%C3%9Fe%207"),
        ("ce-count", "7"),
        ("ce-sandbartopic", "t"),
        ("ce-sandbarpartition", "0"),
        ("ce-sandbaroffset", "0"),
        ("ce-sandbardelivery", "1"),
        ("content-type", "application/json"),
        ("x-key", "word"),
    ] {
        assert_eq!(one.header(name), value, "{name}");
    }
    assert_eq!(one.body, json!({"total": 12.5}).to_string());
    assert!(one.header("user-agent").starts_with("sandbar/"));
    let status = settled(&hub).await;
    assert_eq!(status["counts"]["acknowledged"], 1, "{status}");
}

#[tokio::test]
async fn structured_and_batched_when_asked() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    pushed(&hub, &receiver, json!({"mode": "structured"})).await;
    hub.accepted("t", &[event("1", json!({"n": 1}))]).await;
    let received = receiver.requests(1).await;
    let media = "application/cloudevents+json; charset=utf-8";
    assert_eq!(received[0].header("content-type"), media);
    let read = &received[0].events()[0];
    assert_eq!(
        (&read["id"], &read["data"], &read["sandbardelivery"]),
        (&json!("1"), &json!({"n": 1}), &json!(1))
    );
    settled(&hub).await;

    let batched = document(push_to(&receiver, json!({"batch": {"max_events": 10}})));
    let _ = hub.put("/v1/subscriptions/s", batched).await.expect(200);
    let events: Vec<Value> = (0..95).map(|n| event(&format!("b{n}"), json!(n))).collect();
    hub.accepted("t", &events).await;
    let all = |received: &[sandbar_tests::Received]| {
        received[1..]
            .iter()
            .map(|one| one.events().len())
            .sum::<usize>()
    };
    let received = receiver.until(|received| all(received) >= 95).await;
    let mut ids = Vec::new();
    for one in &received[1..] {
        assert_eq!(
            one.header("content-type"),
            "application/cloudevents-batch+json"
        );
        let events = one.events();
        assert!((1..=10).contains(&events.len()), "{}", events.len());
        ids.extend(events.into_iter().map(|event| event["id"].clone()));
    }
    assert!(received.len() < 96, "{} requests", received.len());
    let mut wanted: Vec<Value> = events.iter().map(|event| event["id"].clone()).collect();
    ids.sort_by_key(Value::to_string);
    wanted.sort_by_key(Value::to_string);
    assert_eq!(ids, wanted);
}

#[tokio::test]
async fn an_id_stays_over_attempts_and_restarts() {
    let mut hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::status(500)).await;
    pushed(&hub, &receiver, json!({})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    receiver.requests(3).await;
    hub.kill();
    let before = receiver.received().len();
    hub.restart().await;
    receiver.requests(before + 2).await;
    receiver.answer(|_| Reply::status(200));
    hub.accepted("t", &[event("2", json!(2))]).await;
    settled(&hub).await;
    let received = receiver.received();
    let id_of = |event: &str| {
        let mut ids: Vec<_> = received
            .iter()
            .filter(|one| one.header("ce-id") == event)
            .map(|one| one.header("webhook-id"))
            .collect();
        ids.dedup();
        assert_eq!(ids.len(), 1, "{ids:?}");
        ids[0].to_owned()
    };
    assert_ne!(id_of("1"), id_of("2"));
    assert!(id_of("1").starts_with("msg_"), "{}", id_of("1"));
}
