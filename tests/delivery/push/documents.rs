//! Documents with `push`: what is refused, and what is never shown.

use super::*;

const SECRET: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

#[tokio::test]
async fn what_cannot_work_is_refused_with_its_place() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    for (push, words) in [
        (
            json!({"url": "ftp://example.com/"}),
            "/push/url: ftp is neither",
        ),
        (
            json!({"url": "https://u:p@example.com/"}),
            "/push/url: holds a user",
        ),
        (
            json!({"url": "http://10.0.0.1/"}),
            "--allow-private-targets",
        ),
        (
            json!({"url": "https://example.com/", "headers": {"host": "x"}}),
            "/push/headers/host",
        ),
        (
            json!({"url": "https://example.com/", "secrets": ["whsec_hidden"]}),
            "/push/secrets/0",
        ),
        (
            json!({"url": "https://example.com/", "secrets": ["whsec_…"]}),
            "is a mask",
        ),
        (
            json!({"url": "https://example.com/", "concurrency": 1000}),
            "/push/concurrency",
        ),
        (
            json!({"url": "https://example.com/", "timeouts": {"connect_ms": 3000, "total_ms": 2000}}),
            "/push/timeouts/connect_ms",
        ),
    ] {
        let answer = hub.put("/v1/subscriptions/s", document(push)).await;
        let problem = assert_problem(&answer, 422, "invalid-document");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(words), "{detail}");
        assert!(!answer.text.contains("hidden"), "{}", answer.text);
    }
}

#[tokio::test]
async fn secrets_and_headers_are_kept_and_not_shown() {
    let mut hub = hub().await;
    let receiver = Receiver::start().await;
    let push = json!({"secrets": [SECRET], "headers": {"x-key": "hidden"}});
    pushed(&hub, &receiver, push).await;
    hub.stop();
    hub.restart().await;
    let path = "/v1/subscriptions/s";
    let one = hub.get(path).await;
    let list = hub.get("/v1/subscriptions").await;
    for answer in [&one, &list] {
        assert!(!answer.text.contains("hidden"), "{}", answer.text);
        assert!(!answer.text.contains(&SECRET[6..]), "{}", answer.text);
    }
    // What was read can be written back.
    let shown = one.expect(200);
    let mut again = document(shown["push"].clone());
    again["push"]["mode"] = json!("structured");
    let _ = hub.put(path, again).await.expect(200);
    hub.accepted("t", &[event("1", json!(1))]).await;
    let received = receiver.requests(1).await;
    assert_eq!(received[0].header("x-key"), "hidden");
    assert!(received[0].header("webhook-signature").starts_with("v1,"));
}

#[tokio::test]
async fn its_events_cannot_be_pulled() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    pushed(&hub, &receiver, json!({})).await;
    let answer = hub.get("/v1/subscriptions/s/events").await;
    assert_problem(&answer, 409, "pushed-subscription");
}

#[tokio::test]
async fn it_is_paused_and_deleted_like_any_other() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    pushed(&hub, &receiver, json!({})).await;
    let path = "/v1/subscriptions/s";
    let _ = hub
        .post(&format!("{path}/pause"), json!({}))
        .await
        .expect(200);
    hub.accepted("t", &[event("1", json!(1))]).await;
    let status = hub.get(path).await.expect(200)["status"].clone();
    assert_eq!(
        (&status["state"], &status["lag"]),
        (&json!("paused"), &json!(1))
    );
    assert!(receiver.received().is_empty());
    let _ = hub
        .post(&format!("{path}/resume"), json!({}))
        .await
        .expect(200);
    receiver.requests(1).await;
    let _ = hub.delete(path).await.expect(204);
    assert!(
        !hub.get("/metrics")
            .await
            .text
            .contains("push_breaker{subscription=\"s\"}")
    );
}

#[tokio::test]
async fn what_a_document_would_change_is_told_without_doing_it() {
    let hub = hub().await;
    let receiver = Receiver::start().await;
    hub.topic("t", json!({})).await;
    let headers = |value: &str| push_to(&receiver, json!({"headers": {"x-api-key": value}}));
    let check = async |document: Value| hub.post("/v1/subscriptions/s/check", document).await;
    let first = check(document(headers("one"))).await.expect(200);
    assert_eq!(first, json!({"change": "make", "members": []}));
    assert_eq!(hub.get("/v1/subscriptions/s").await.status, 404);

    subscribe(&hub, document(headers("one"))).await;
    for same in ["one", "…"] {
        let kept = check(document(headers(same))).await.expect(200);
        assert_eq!(kept, json!({"change": "keep", "members": []}), "{same}");
    }
    let mut other = document(headers("two"));
    other["keep"] = json!(true);
    let changed = check(other).await.expect(200);
    assert_eq!(
        changed,
        json!({"change": "change", "members": ["keep", "push.headers"]})
    );
    // Nothing was done.
    let shown = hub.get("/v1/subscriptions/s").await.expect(200);
    assert_eq!(shown["keep"], false);
    hub.accepted("t", &[event("1", json!(1))]).await;
    assert_eq!(receiver.requests(1).await[0].header("x-api-key"), "one");

    let wrong = check(document(json!({"url": "gopher://example.com"}))).await;
    assert_problem(&wrong, 422, "invalid-document");
}
