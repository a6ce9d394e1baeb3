//! What each answer of an endpoint does.

use super::*;

#[tokio::test]
async fn gone_disables_until_somebody_enables() {
    let mut hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Answer {
        status: 410,
        headers: Vec::new(),
        body: "we moved away".to_owned(),
    })
    .await;
    pushed(&hub, &receiver, json!({"concurrency": 1})).await;
    hub.accepted("t", &[event("1", json!(1)), event("2", json!(2))])
        .await;
    let path = "/v1/subscriptions/s";
    let status = hub
        .until(path, "status", "s goes on", |status| {
            status["state"] == "disabled"
        })
        .await;
    let detail = status["detail"].as_str().unwrap();
    assert!(detail.contains("410 Gone: we moved away"), "{detail}");
    // Also for one that starts anew.
    hub.stop();
    let before = receiver.received().len();
    hub.restart().await;
    hub.accepted("t", &[event("3", json!(3))]).await;
    let shown = hub.get(path).await.expect(200);
    assert_eq!(shown["status"]["state"], "disabled", "{shown}");
    assert_eq!(shown["status"]["lag"], 3, "{shown}");

    receiver.answer(|_| Reply::status(200));
    let _ = hub
        .post(&format!("{path}/enable"), json!({}))
        .await
        .expect(200);
    settled(&hub).await;
    let received = receiver.received();
    assert_eq!(received.len(), before + 3, "nothing was sent meanwhile");
    // The 410 was no attempt of the event's.
    assert_eq!(received[before].header("ce-sandbardelivery"), "1");
}

#[tokio::test]
async fn another_url_is_another_endpoint() {
    let (hub, other) = (hub().await, Receiver::start().await);
    let receiver = Receiver::answering(|_| Reply::status(410)).await;
    pushed(&hub, &receiver, json!({})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let path = "/v1/subscriptions/s";
    hub.until(path, "status", "s goes on", |status| {
        status["state"] == "disabled"
    })
    .await;
    let moved = document(push_to(&other, json!({})));
    let _ = hub.put(path, moved).await.expect(200);
    other.requests(1).await;
    settled(&hub).await;
}

#[tokio::test]
async fn an_endpoint_that_asks_for_time_gets_it() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::with(503, "retry-after", "86000")).await;
    pushed(&hub, &receiver, json!({"concurrency": 1})).await;
    let events: Vec<Value> = (0..10).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    let webhook = webhook_until(&hub, "goes on", |webhook| {
        webhook["breaker"]["state"] == "open"
    })
    .await;
    assert_eq!(receiver.received().len(), 1);
    let until = webhook["breaker"]["until"].as_str().unwrap();
    let sent = webhook["attempts"][0]["at"].as_str().unwrap();
    // Both in UTC; some 24 hours are another day.
    assert!(until[..10] > sent[..10], "{webhook}");
}

#[tokio::test]
async fn an_event_is_not_sent_before_its_time() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.header("ce-id") {
        // The year 9999 is cut to a day.
        "late" => Reply::with(422, "retry-after", "Fri, 31 Dec 9999 23:59:59 GMT"),
        _ => Reply::status(200),
    })
    .await;
    pushed(&hub, &receiver, json!({})).await;
    hub.accepted("t", &[json_event("late", "late", json!(0))])
        .await;
    receiver.requests(1).await;
    // With waits of a millisecond it would have come again long before these are through.
    for n in 0..50 {
        hub.accepted("t", &[event(&n.to_string(), json!(n))]).await;
        receiver.requests(n + 2).await;
    }
    let received = receiver.received();
    let late = received.iter().filter(|one| one.header("ce-id") == "late");
    assert_eq!(late.count(), 1);
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    assert_eq!(webhook["breaker"]["state"], "closed", "{webhook}");
    assert_eq!(webhook["last_failure"]["status"], 422, "{webhook}");
}

#[tokio::test]
async fn redirects_are_not_followed() {
    let (hub, target) = (hub().await, Receiver::start().await);
    let location = target.url();
    let receiver =
        Receiver::answering(move |_| Reply::with(307, "location", location.clone())).await;
    pushed(&hub, &receiver, json!({})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    receiver.requests(2).await;
    let webhook = webhook_until(&hub, "no attempt is shown", |webhook| {
        webhook["last_failure"]["status"] == 307
    })
    .await;
    let failure = &webhook["last_failure"];
    assert_eq!(failure["outcome"], "redirect", "{webhook}");
    let reason = failure["reason"].as_str().unwrap();
    assert!(
        reason.contains(&target.url()) && reason.contains("push.url"),
        "{reason}"
    );
    assert!(target.received().is_empty());
}

#[tokio::test]
async fn what_is_refused_for_good_becomes_a_dead_letter_with_its_story() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.header("ce-id") {
        "bad" => Reply::Answer {
            status: 422,
            headers: Vec::new(),
            body: "no such customer".to_owned(),
        },
        _ => Reply::status(204),
    })
    .await;
    hub.topic("t", json!({})).await;
    let mut document = document(push_to(&receiver, json!({})));
    document["retry"]["max_attempts"] = json!(3);
    subscribe(&hub, document).await;
    hub.accepted(
        "t",
        &[
            json_event("bad", "k", json!(1)),
            json_event("good", "k", json!(2)),
        ],
    )
    .await;
    let status = settled(&hub).await;
    let letters = hub.dead_letters("").await;
    assert_eq!(letters.len(), 1, "{letters:?}");
    let letter = &letters[0];
    assert_eq!(letter["subscription"], "s", "{letter}");
    assert_eq!(letter["attempts"], 3, "{letter}");
    assert_eq!(letter["event"]["id"], "bad", "{letter}");
    let history = letter["history"].as_array().unwrap();
    assert_eq!(history.len(), 3, "{letter}");
    for attempt in history {
        assert_eq!(attempt["status"], 422, "{letter}");
        let reason = attempt["reason"].as_str().unwrap();
        assert!(reason.contains("no such customer"), "{letter}");
    }
    // Of the same key, and only after it.
    let received = receiver.received();
    let ids: Vec<&str> = received.iter().map(|one| one.header("ce-id")).collect();
    assert_eq!(ids, ["bad", "bad", "bad", "good"]);
    assert_eq!(status["counts"]["acknowledged"], 1, "{status}");
}

#[tokio::test]
async fn one_bad_event_does_not_keep_a_batch() {
    let hub = hub().await;
    let receiver =
        Receiver::answering(
            |one| match one.events().iter().any(|event| event["id"] == "7") {
                true => Reply::status(400),
                false => Reply::status(200),
            },
        )
        .await;
    hub.topic("t", json!({})).await;
    let push = push_to(
        &receiver,
        json!({"batch": {"max_events": 64}, "concurrency": 1}),
    );
    let mut document = document(push);
    document["retry"]["max_attempts"] = json!(2);
    subscribe(&hub, document).await;
    let events: Vec<Value> = (0..50).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    let status = settled(&hub).await;
    assert_eq!(status["counts"]["acknowledged"], 49, "{status}");
    let letters = hub.dead_letters("").await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["event"]["id"], "7");
}

#[tokio::test]
async fn an_answer_that_breaks_off_is_none() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.number {
        0 => Reply::Break { status: 200 },
        1 => Reply::Hang,
        2 => Reply::Answer {
            status: 200,
            headers: Vec::new(),
            // More than is read; what matters is said.
            body: "long ".repeat(200_000),
        },
        _ => Reply::status(500),
    })
    .await;
    let timeouts = json!({"timeouts": {"first_byte_ms": 100, "total_ms": 5000}});
    pushed(&hub, &receiver, timeouts).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    settled(&hub).await;
    assert_eq!(receiver.received().len(), 3);
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    let outcomes: Vec<_> = webhook["attempts"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["outcome"])
        .collect();
    assert_eq!(outcomes, ["delivered", "timeout", "closed"], "{webhook}");
    assert_eq!(webhook["attempts"][2]["status"], 200, "{webhook}");
    assert!(webhook["attempts"][0]["body"].as_str().unwrap().len() < 2000);
    let text = hub.get("/metrics").await.text;
    for line in [
        "sandbar_push_attempts_total{subscription=\"s\",outcome=\"delivered\"} 1",
        "sandbar_push_attempts_total{subscription=\"s\",outcome=\"timeout\"} 1",
        "sandbar_push_attempt_seconds_count{subscription=\"s\"} 3",
        "sandbar_push_breaker{subscription=\"s\"} 0",
        "sandbar_push_in_flight{subscription=\"s\"} 0",
    ] {
        assert!(text.contains(line), "{line} in {text}");
    }
}

#[tokio::test]
async fn a_long_answer_counts_only_when_it_is_whole() {
    let hub = hub().await;
    let receiver = Receiver::answering(|one| match one.number {
        0 => Reply::BreakBehind {
            status: 200,
            bytes: 400_000,
        },
        _ => Reply::Answer {
            status: 200,
            headers: Vec::new(),
            body: "x".repeat(400_000),
        },
    })
    .await;
    pushed(&hub, &receiver, json!({})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    settled(&hub).await;
    let webhook = hub.get("/v1/subscriptions/s").await.expect(200)["webhook"].clone();
    let outcomes: Vec<&Value> = (webhook["attempts"].as_array().unwrap().iter())
        .map(|attempt| &attempt["outcome"])
        .collect();
    assert_eq!(outcomes, ["delivered", "closed"], "{webhook}");
}

#[tokio::test]
async fn the_end_of_a_long_refusal_is_not_waited_for() {
    let hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::BreakBehind {
        status: 422,
        bytes: 400_000,
    })
    .await;
    let mut document = document(push_to(&receiver, json!({})));
    document["retry"]["max_attempts"] = json!(1);
    hub.topic("t", json!({})).await;
    subscribe(&hub, document).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let letters = hub.dead_letters_until("subscription=s", 1).await;
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(reason.contains("answered 422"), "{reason}");
}

#[tokio::test]
async fn what_an_endpoint_asked_for_holds_over_a_restart() {
    let mut hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::with(503, "retry-after", "86000")).await;
    pushed(&hub, &receiver, json!({"concurrency": 1})).await;
    hub.accepted("t", &[event("1", json!(1))]).await;
    let open = |webhook: &Value| webhook["breaker"]["state"] == "open" && webhook["in_flight"] == 0;
    let before = webhook_until(&hub, "goes on", open).await["breaker"].clone();
    hub.stop();
    hub.restart().await;
    let other = Receiver::start().await;
    let another = document(push_to(&other, json!({})));
    let _ = hub
        .put("/v1/subscriptions/other", another)
        .await
        .expect(201);
    hub.accepted("t", &[event("2", json!(2))]).await;
    // Nothing keeps these from being sent, so nothing else was to be waited for.
    other.requests(2).await;
    let shown = hub.get("/v1/subscriptions/s").await.expect(200);
    assert_eq!(shown["webhook"]["breaker"]["state"], "open", "{shown}");
    let hour = |text: &Value| text.as_str().unwrap()[..13].to_owned();
    // A wall clock may go a little back; to the hour it is the same, or its neighbour's.
    assert!(
        hour(&shown["webhook"]["breaker"]["until"]) >= hour(&before["until"]),
        "{shown}, before {before}"
    );
    assert_eq!(receiver.received().len(), 1);
    // Its event waits as long, and goes with the first word.
    receiver.answer(|_| Reply::status(200));
    let _ = hub
        .post("/v1/subscriptions/s/enable", json!({}))
        .await
        .expect(200);
    settled(&hub).await;
    // Then it is over for good.
    hub.stop();
    hub.restart().await;
    let shown = hub.get("/v1/subscriptions/s").await.expect(200);
    assert_eq!(shown["webhook"]["breaker"]["state"], "closed", "{shown}");
}
