//! A webhook is tested with one call that shows everything.

use super::*;

const TEST: &str = "/v1/subscriptions/s/test";

#[tokio::test]
async fn the_whole_exchange_is_shown() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Answer {
        status: 202,
        headers: vec![("x-trace", "abc".to_owned())],
        body: "thank you".to_owned(),
    })
    .await;
    pushed(
        &hub,
        &receiver,
        json!({"headers": {"authorization": "Bearer hidden"}}),
    )
    .await;
    // Also when nothing else would be sent.
    let _ = hub
        .post("/v1/subscriptions/s/pause", json!({}))
        .await
        .expect(200);
    let answer = hub.send(hub.request(reqwest::Method::POST, TEST)).await;
    assert!(!answer.text.contains("hidden"), "{}", answer.text);
    let shown = answer.expect(200);
    assert_eq!(
        (&shown["delivered"], &shown["outcome"]),
        (&json!(true), &json!("delivered"))
    );
    assert_eq!(shown["request"]["method"], "POST");
    assert_eq!(shown["request"]["headers"]["ce-type"], "sandbar.test");
    assert_eq!(shown["request"]["headers"]["authorization"], "…");
    assert_eq!(shown["answer"]["status"], 202);
    assert_eq!(shown["answer"]["headers"]["x-trace"], "abc");
    assert_eq!(shown["answer"]["body"], "thank you");
    let received = receiver.received();
    assert_eq!(received.len(), 1);
    assert_eq!(received[0].header("authorization"), "Bearer hidden");

    let own = json!({"event": event("mine", json!({"n": 1}))});
    let shown = hub.post(TEST, own).await.expect(200);
    assert_eq!(shown["request"]["headers"]["ce-id"], "mine");
    assert_eq!(shown["request"]["body"], r#"{"n":1}"#);
}

#[tokio::test]
async fn what_goes_wrong_is_shown_and_changes_nothing() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::status(410)).await;
    pushed(&hub, &receiver, json!({})).await;
    let shown = hub.post(TEST, json!({})).await.expect(200);
    assert_eq!(
        (&shown["delivered"], &shown["outcome"]),
        (&json!(false), &json!("gone"))
    );
    let status = hub.get("/v1/subscriptions/s").await.expect(200)["status"].clone();
    assert_eq!(status["state"], "running", "{status}");
    let address = receiver.address();
    receiver.stop().await;
    let shown = hub.post(TEST, json!({})).await.expect(200);
    assert_eq!(shown["outcome"], "connect", "{shown}");
    let reason = shown["reason"].as_str().unwrap();
    assert!(reason.contains(&address.to_string()), "{reason}");
    assert!(shown.get("answer").is_none(), "{shown}");
}

#[tokio::test]
async fn what_cannot_be_tested_is_refused() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    hub.topic("t", json!({})).await;
    assert_problem(
        &hub.post(TEST, json!({})).await,
        404,
        "unknown-subscription",
    );
    subscribe(&hub, json!({"topics": ["t"]})).await;
    assert_problem(&hub.post(TEST, json!({})).await, 409, "no-webhook");
    let _ = hub
        .put(
            "/v1/subscriptions/s",
            document(push_to(&receiver, json!({}))),
        )
        .await
        .expect(200);
    let wrong = json!({"event": {"id": "1"}});
    assert_problem(&hub.post(TEST, wrong).await, 422, "invalid-event");
}
