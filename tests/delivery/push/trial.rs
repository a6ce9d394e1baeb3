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

/// The command waits, so the receiver answers on another thread.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_command_line_shows_it_and_its_exit_code_says_it() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Answer {
        status: 200,
        headers: Vec::new(),
        body: "thank you".to_owned(),
    })
    .await;
    pushed(&hub, &receiver, json!({})).await;
    let ran = hub.sandbar(&["subscription", "test", "s"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    for words in [
        "> POST http://",
        "> ce-type: sandbar.test",
        "< 200",
        "< thank you",
        "delivered in",
    ] {
        assert!(ran.stdout.contains(words), "{words} in {}", ran.stdout);
    }
    receiver.answer(|_| Reply::status(401));
    let ran = hub.sandbar(&["subscription", "test", "s"]);
    assert_eq!(ran.code, 1, "{ran:?}");
    assert!(
        ran.stdout.contains("not delivered") && ran.stdout.contains("401"),
        "{ran:?}"
    );
    let shown = hub.sandbar(&["subscription", "show", "s"]);
    assert!(shown.stdout.contains("breaker closed"), "{shown:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_knows_what_is_masked() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbar.yaml");
    let apply = |secret: &str| {
        let text = format!(
            "topics:\n  t: {{}}\nsubscriptions:\n  s:\n    topics: [t]\n    push:\n      url: http://127.0.0.1:9\n      secrets: [{secret}]\n"
        );
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let plan = hub.sandbar(&["apply", "-f", file, "--dry-run", "--exit-code"]);
        assert!(!plan.stdout.contains(&secret[6..]), "{plan:?}");
        let done = hub.sandbar(&["apply", "-f", file]);
        assert_eq!(done.code, 0, "{done:?}");
        plan.code
    };
    let first = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
    assert_eq!(apply(first), 5, "it is new");
    assert_eq!(apply(first), 0, "nothing has changed");
    assert_eq!(
        apply("whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYX"),
        5,
        "it has changed"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn apply_knows_whether_hidden_values_changed() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbar.yaml");
    let apply = |value: &str| {
        let text = format!(
            "topics:\n  t: {{}}\nsubscriptions:\n  s:\n    topics: [t]\n    push:\n      url: http://127.0.0.1:9\n      headers: {{authorization: {value}}}\n"
        );
        std::fs::write(&file, text).unwrap();
        let file = file.to_str().unwrap();
        let plan = hub.sandbar(&["apply", "-f", file, "--dry-run", "--exit-code"]);
        assert!(!plan.stdout.contains(value), "{plan:?}");
        let done = hub.sandbar(&["apply", "-f", file]);
        assert_eq!(done.code, 0, "{done:?}");
        (plan.code, plan.stdout)
    };
    assert_eq!(apply("word-one").0, 5, "it is new");
    let (code, plan) = apply("word-one");
    assert_eq!(code, 0, "nothing has changed: {plan}");
    let (code, plan) = apply("word-two");
    assert_eq!(code, 5, "it has changed: {plan}");
    assert!(plan.contains("push.headers"), "{plan}");
    assert_eq!(apply("word-two").0, 0, "nothing has changed");
}
