//! The validation handshake of CloudEvents webhooks.

use super::*;

#[tokio::test]
async fn nothing_is_sent_before_the_endpoint_allows_it() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.method.as_str() {
        "OPTIONS" => Reply::with(200, "webhook-allowed-origin", "other.example"),
        _ => Reply::status(200),
    })
    .await;
    pushed(
        &hub,
        &receiver,
        json!({"handshake": true, "origin": "hub.example"}),
    )
    .await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let webhook = webhook_until(&hub, "is not refused", |webhook| {
        webhook["handshake"]["reason"].is_string()
    })
    .await;
    let reason = webhook["handshake"]["reason"].as_str().unwrap();
    assert!(
        reason.contains("other.example") && reason.contains("hub.example"),
        "{reason}"
    );
    let received = receiver.requests(2).await;
    for one in &received {
        assert_eq!(one.method, "OPTIONS");
        assert_eq!(one.header("webhook-request-origin"), "hub.example");
    }

    receiver.answer(|one| match one.method.as_str() {
        "OPTIONS" => Reply::allowing("hub.example", "60000"),
        _ => Reply::status(200),
    });
    settled(&hub).await;
    let received = receiver.received();
    assert_eq!(received.last().unwrap().method, "POST");
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    assert_eq!(
        webhook["handshake"],
        json!({"state": "allowed", "rate": 60000})
    );
}

#[tokio::test]
async fn a_rate_is_kept() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.method.as_str() {
        "OPTIONS" => Reply::allowing("*", "1"),
        _ => Reply::status(200),
    })
    .await;
    pushed(&hub, &receiver, json!({"handshake": true})).await;
    let events: Vec<Value> = (0..20).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    // One a minute: the second request is far away when the first is settled.
    hub.until(
        "/v1/subscriptions/s",
        "status",
        "nothing is delivered",
        |status| status["counts"]["acknowledged"] == 1,
    )
    .await;
    let posts = receiver.received();
    let posts = posts.iter().filter(|one| one.method == "POST");
    assert_eq!(posts.count(), 1);
}

#[tokio::test]
async fn a_test_asks_first() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.method.as_str() {
        "OPTIONS" => Reply::status(405),
        _ => Reply::status(200),
    })
    .await;
    pushed(&hub, &receiver, json!({"handshake": true})).await;
    let test = hub
        .post("/v1/subscriptions/s/test", json!({}))
        .await
        .expect(200);
    assert_eq!(
        (&test["delivered"], &test["outcome"]),
        (&json!(false), &json!("handshake")),
        "{test}"
    );
    assert_eq!(test["request"]["method"], "OPTIONS", "{test}");
    assert_eq!(test["answer"]["status"], 405, "{test}");
    let received = receiver.received();
    assert!(received.iter().all(|one| one.method == "OPTIONS"));
    receiver.answer(|one| match one.method.as_str() {
        "OPTIONS" => Reply::with(200, "webhook-allowed-origin", "*"),
        _ => Reply::status(200),
    });
    let test = hub
        .post("/v1/subscriptions/s/test", json!({}))
        .await
        .expect(200);
    assert_eq!(test["delivered"], true, "{test}");
}

#[tokio::test]
async fn gone_disables_also_when_it_is_asked() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::status(410)).await;
    pushed(&hub, &receiver, json!({"handshake": true})).await;
    let status = hub
        .until("/v1/subscriptions/s", "status", "s goes on", |status| {
            status["state"] == "disabled"
        })
        .await;
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("OPTIONS with 410"), "{detail}");
    assert_eq!(receiver.received().len(), 1, "it is left alone");
    receiver.answer(|one| match one.method.as_str() {
        "OPTIONS" => Reply::with(200, "webhook-allowed-origin", "*"),
        _ => Reply::status(200),
    });
    hub.accepted("t", &[event("1", json!(1))]).await;
    let _ = hub
        .post("/v1/subscriptions/s/enable", json!({}))
        .await
        .expect(200);
    settled(&hub).await;
}
