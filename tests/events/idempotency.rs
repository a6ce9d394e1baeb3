//! `Idempotency-Key`: the same request under the same key is done once and answered alike.

use reqwest::Method;
use sandbar_tests::{Answer, Hub, Publish, assert_problem, event, guest};
use serde_json::{Value, json};

const REPLAYED: &str = "idempotency-replayed";

async fn put(hub: &Hub, path: &str, key: &str, document: &Value) -> Answer {
    let request = hub
        .request(Method::PUT, path)
        .header("idempotency-key", key);
    hub.send(request.json(document)).await
}

/// What both answers have in common: all but the mark.
fn assert_alike(first: &Answer, again: &Answer) {
    assert_eq!(first.header(REPLAYED), None, "{first:?}");
    assert_eq!(again.header(REPLAYED), Some("true"), "{again:?}");
    assert_eq!((first.status, &first.text), (again.status, &again.text));
    assert_eq!(first.content_type, again.content_type);
}

#[tokio::test]
async fn a_publish_is_done_once_and_answered_alike() {
    let hub = Hub::start().await;
    // Without the dedupe window, so that nothing else keeps the second from being stored.
    let document = json!({"dedupe": {"max_events": 0, "max_age_seconds": 0}});
    hub.topic("t", document).await;
    let send = |key: &str, n: u64| {
        let publish = Publish::structured(&event("1", json!({"n": n})));
        hub.publish("t", publish.header("idempotency-key", key))
    };
    let first = send("\"a\"", 1).await;
    let _ = first.expect(200);
    // Quotes belong to the header, not to the key.
    for key in ["\"a\"", "a"] {
        assert_alike(&first, &send(key, 1).await);
    }
    assert_eq!(hub.stored("t").await, 1);
    assert_problem(&send("a", 2).await, 422, "idempotency-key-reused");
    let _ = send("b", 1).await.expect(200);
    assert_eq!(hub.stored("t").await, 2);
    // A refusal of the request itself is final.
    let broken = || {
        let publish = Publish::structured(&json!({"specversion": "1.0"}));
        hub.publish("t", publish.header("idempotency-key", "c"))
    };
    let first = broken().await;
    assert_problem(&first, 422, "invalid-event");
    assert_alike(&first, &broken().await);
    // In binary mode the event is in the headers, too.
    let binary = |id: &str| {
        let publish = Publish::binary("text/plain", id, "x");
        hub.publish("t", publish.header("idempotency-key", "d"))
    };
    let first = binary("1").await;
    assert_alike(&first, &binary("1").await);
    assert_problem(&binary("2").await, 422, "idempotency-key-reused");
}

#[tokio::test]
async fn what_was_made_is_answered_alike_also_after_a_kill() {
    let mut hub = Hub::start().await;
    let topic = json!({"partitions": 2});
    let first = put(&hub, "/v1/topics/t", "k1", &topic).await;
    assert_eq!(first.status, 201, "{}", first.text);
    assert_alike(&first, &put(&hub, "/v1/topics/t", "k1", &topic).await);
    let register = |hub: &Hub| {
        let request = hub.request(Method::POST, "/v1/contracts/c/versions");
        let request = request.header("idempotency-key", "k2");
        hub.send_owned(request.json(&json!({"schema": {"type": "object"}})))
    };
    let registered = register(&hub).await;
    assert_eq!(registered.status, 201, "{}", registered.text);
    let deleting = |hub: &Hub| {
        let request = hub.request(Method::DELETE, "/v1/topics/gone");
        hub.send_owned(request.header("idempotency-key", "k3"))
    };
    hub.topic("gone", json!({})).await;
    let deleted = deleting(&hub).await;
    assert_eq!(deleted.status, 204);
    hub.kill();
    hub.restart().await;
    assert_alike(&first, &put(&hub, "/v1/topics/t", "k1", &topic).await);
    assert_alike(&registered, &register(&hub).await);
    assert_alike(&deleted, &deleting(&hub).await);
    let other = put(&hub, "/v1/topics/other", "k1", &topic).await;
    assert_problem(&other, 422, "idempotency-key-reused");
    assert_eq!(hub.get("/v1/topics/other").await.status, 404);
    // Without a key it is as ever: the topic is there already.
    let _ = hub.put("/v1/topics/t", topic).await.expect(200);
}

#[tokio::test]
async fn what_depends_on_what_else_is_there_is_tried_again() {
    let hub = Hub::start().await;
    let publish = || {
        let publish = Publish::structured(&event("1", json!(1)));
        hub.publish("t", publish.header("idempotency-key", "k"))
    };
    assert_problem(&publish().await, 404, "unknown-topic");
    hub.topic("t", json!({})).await;
    let stored = publish().await;
    assert_eq!((stored.status, stored.header(REPLAYED)), (200, None));
    assert_alike(&stored, &publish().await);
}

#[tokio::test]
async fn a_key_that_cannot_be_read_is_refused_and_nothing_is_done() {
    let hub = Hub::start().await;
    for key in ["", "\"", "two words", "\"a\" \"b\"", "ü", &"x".repeat(256)] {
        let refused = put(&hub, "/v1/topics/t", key, &json!({})).await;
        assert_problem(&refused, 400, "idempotency-key-malformed");
    }
    let twice = hub.request(Method::PUT, "/v1/topics/t").json(&json!({}));
    let twice = twice.header("idempotency-key", "a");
    let refused = hub.send(twice.header("idempotency-key", "b")).await;
    assert_problem(&refused, 400, "idempotency-key-malformed");
    assert_eq!(hub.get("/v1/topics/t").await.status, 404);
    // Reading takes no key, and asks for none.
    let request = hub.request(Method::GET, "/v1/topics");
    let read = hub.send(request.header("idempotency-key", "\"")).await;
    assert_eq!(read.status, 200);
}

/// A call that takes as long as the plugin's deadline.
fn slow(hub: &Hub, key: &str, deadline_ms: u64) -> impl Future<Output = Answer> + use<> {
    let request = hub.request(Method::POST, "/v1/plugins/hostile/versions/1/try");
    let mut event = event("1", json!(1));
    event["type"] = json!("loop");
    let document = json!({"events": [event], "limits": {"deadline_ms": deadline_ms}});
    hub.send_owned(request.header("idempotency-key", key).json(&document))
}

#[tokio::test]
async fn while_the_first_is_at_work_another_is_told_to_wait() {
    let hub = Hub::start().await;
    let hostile = guest("guest-hostile");
    let _ = hub.upload("hostile", "1", hostile).await.expect(201);
    let (one, other) = tokio::join!(slow(&hub, "k", 1500), slow(&hub, "k", 1500));
    let (first, waiting) = if one.status == 200 {
        (one, other)
    } else {
        (other, one)
    };
    assert_eq!(first.status, 200, "{}", first.text);
    assert_problem(&waiting, 409, "idempotency-key-in-use");
    assert_eq!(waiting.header("retry-after"), Some("1"));
    assert_alike(&first, &slow(&hub, "k", 1500).await);
}

/// Who has gone away finds what the request came to.
#[tokio::test]
async fn a_request_goes_on_when_its_client_has_gone() {
    let hub = Hub::start().await;
    let hostile = guest("guest-hostile");
    let _ = hub.upload("hostile", "1", hostile).await.expect(201);
    // One of the two is told that the other is at work; the other's client goes away then.
    let told = tokio::select! {
        told = slow(&hub, "k", 1500) => told,
        told = slow(&hub, "k", 1500) => told,
    };
    assert_problem(&told, 409, "idempotency-key-in-use");
    loop {
        let again = slow(&hub, "k", 1500).await;
        if again.status == 200 {
            assert_eq!(again.header(REPLAYED), Some("true"));
            break;
        }
        assert_problem(&again, 409, "idempotency-key-in-use");
    }
}

#[tokio::test]
async fn after_a_kill_in_the_middle_nobody_claims_to_know() {
    let mut hub = Hub::start().await;
    let hostile = guest("guest-hostile");
    let _ = hub.upload("hostile", "1", hostile).await.expect(201);
    for attempt in 0.. {
        let key = format!("k{attempt}");
        let told = tokio::select! {
            told = slow(&hub, &key, 5_000) => told,
            told = slow(&hub, &key, 5_000) => told,
        };
        assert_problem(&told, 409, "idempotency-key-in-use");
        // Its mark is on the disk soon after it was told apart, and before it is begun.
        hub.topic(&key, json!({})).await;
        hub.kill();
        hub.restart().await;
        let again = slow(&hub, &key, 5_000).await;
        // Killed before the mark, it was not begun, and is done now for the first time.
        if again.status == 200 && attempt < 5 {
            assert_eq!(again.header(REPLAYED), None);
            continue;
        }
        assert_problem(&again, 409, "idempotency-outcome-unknown");
        break;
    }
    let another = slow(&hub, "another", 1).await;
    assert_eq!((another.status, another.header(REPLAYED)), (200, None));
}
