//! Setting a subscription to another place, and events that retention deleted.

use sandbar_tests::{Hub, Options, Receiver, assert_problem};
use serde_json::{Value, json};

use crate::{ack, consume, ids, leases, publish, pull, settle, status, subscribe, try_pull};

async fn reset(hub: &Hub, document: Value) -> Value {
    let path = "/v1/subscriptions/s/offsets";
    hub.post(path, document).await.expect(200)
}

#[tokio::test]
async fn a_reset_can_be_tried_and_is_remembered() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    // Two keys in different partitions: 7 of 8 for "a" and "b", 3 for "c" (see PartitionId::number_of).
    publish(&hub, "t", 0, &["a", "d", "e", "f", "a", "g"]).await;
    let all = consume(&hub, "s", 6).await;
    let tails: Vec<u64> = vec![hub.tail("t", 0).await, hub.tail("t", 1).await];
    let tried = reset(&hub, json!({"to": "earliest", "dry_run": true})).await;
    assert_eq!(tried["dry_run"], true);
    for partition in 0..2 {
        let moved = &tried["partitions"][partition];
        assert_eq!(moved["partition"], format!("t/{partition}"));
        assert_eq!(
            (&moved["from"], &moved["to"]),
            (&json!(tails[partition]), &json!(0))
        );
    }
    assert!(pull(&hub, "s", "").await.is_empty(), "nothing has changed");
    assert_eq!(
        hub.get("/v1/subscriptions/s/offsets").await.expect(200)["resets"],
        json!([])
    );

    reset(
        &hub,
        json!({"to": "earliest", "reason": "a bug in the client"}),
    )
    .await;
    let mut again = ids(&consume(&hub, "s", 6).await);
    let mut before = ids(&all);
    again.sort();
    before.sort();
    assert_eq!(again, before);
    reset(&hub, json!({"to": {"shift": -1}})).await;
    hub.kill();
    hub.restart().await;
    let resets = hub.get("/v1/subscriptions/s/offsets").await.expect(200)["resets"].clone();
    assert_eq!(resets[1]["reason"], "a bug in the client");
    assert_eq!(resets[1]["by"], "anonymous");
    assert_eq!(resets[1]["to"], "earliest");
    assert_eq!(resets[0]["to"], json!({"shift": -1}));
    assert_eq!(
        consume(&hub, "s", 2).await.len(),
        2,
        "one of each partition"
    );
    assert_eq!(status(&hub, "s").await["lag"], 0);
}

#[tokio::test]
async fn what_was_handed_out_before_a_reset_is_no_good_after() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c"]).await;
    let before = pull(&hub, "s", "").await;
    reset(&hub, json!({"to": {"offsets": {"t/0": 1}}})).await;
    let late = settle(&hub, "s", json!({"ack": leases(&before)})).await;
    assert_eq!(late, ["expired"; 3]);
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["1", "2"]);
    reset(&hub, json!({"to": "latest"})).await;
    reset(&hub, json!({"to": {"time": "2001-01-01T00:00:00Z"}})).await;
    assert_eq!(ids(&consume(&hub, "s", 3).await), ["0", "1", "2"]);
    for bad in [
        json!({"to": "sometime"}),
        json!({"to": {"time": "sometime"}}),
        json!({"to": {"offsets": {"t/1": 0}}}),
        json!({"to": {"shift": "a"}}),
        json!({"to": {}}),
        json!({"to": {"shift": 1, "time": "2001-01-01T00:00:00Z"}}),
        json!({}),
    ] {
        let refused = hub.post("/v1/subscriptions/s/offsets", bad).await;
        assert_problem(&refused, 422, "invalid-document");
    }
    let nowhere = json!({"to": {}});
    let refused = hub.post("/v1/subscriptions/s/offsets", nowhere).await;
    let problem = assert_problem(&refused, 422, "invalid-document");
    assert_eq!(problem["errors"][0]["pointer"], "/to", "{problem}");
    // An offset past the tail is a mistake; so many events on or back end at the ends.
    for past in [
        json!({"to": {"offsets": {"t/0": 4}}, "dry_run": true}),
        json!({"to": {"offsets": {"t/0": 4}}}),
    ] {
        let refused = hub.post("/v1/subscriptions/s/offsets", past).await;
        let problem = assert_problem(&refused, 416, "offset-past-tail");
        assert!(problem["detail"].as_str().unwrap().contains("tail 3"));
    }
    let start = json!({"topics": ["t"], "start": {"offsets": {"t/0": 4}}});
    for refused in [
        hub.put("/v1/subscriptions/past", start.clone()).await,
        hub.post("/v1/subscriptions/past/check", start).await,
    ] {
        assert_problem(&refused, 416, "offset-past-tail");
    }
    assert_eq!(hub.get("/v1/subscriptions/past").await.status, 404);
    let moved = reset(&hub, json!({"to": {"shift": 99}, "dry_run": true})).await;
    assert_eq!(moved["partitions"][0]["to"], 3);
    let moved = reset(&hub, json!({"to": {"shift": -99}, "dry_run": true})).await;
    assert_eq!(moved["partitions"][0]["to"], 0);
}

/// A hub with segments so small that retention has something to delete, and a topic that keeps
/// little.
async fn forgetful() -> Hub {
    let options = Options {
        arguments: ["--segment-bytes", "65536"].map(str::to_owned).to_vec(),
    };
    let hub = Hub::start_with(options).await;
    hub.topic("t", json!({"retention": {"max_bytes": 1}})).await;
    hub
}

/// Text that does not become smaller when the log packs it.
fn padding() -> String {
    (0..900).map(|_| fastrand::alphanumeric()).collect()
}

async fn fill(hub: &Hub, from: usize, count: usize) {
    let events: Vec<Value> = (from..from + count)
        .map(|number| {
            sandbar_tests::json_event(
                &number.to_string(),
                &format!("k{number}"),
                json!({"padding": padding()}),
            )
        })
        .collect();
    for events in events.chunks(50) {
        hub.accepted("t", events).await;
    }
}

async fn earliest(hub: &Hub) -> u64 {
    let topic = hub.get("/v1/topics/t").await.expect(200);
    topic["state"]["partitions"][0]["earliest"]
        .as_u64()
        .unwrap()
}

/// Waits until all is deleted that will be: a hundred events fill a segment, and four hundred were published.
/// Retention may have looked at the topic in the midst of them.
async fn trimmed(hub: &Hub) -> u64 {
    let deleted = |state: &Value| state["partitions"][0]["earliest"].as_u64().unwrap() >= 300;
    hub.until(
        "/v1/topics/t",
        "state",
        "retention deletes nothing",
        deleted,
    )
    .await;
    earliest(hub).await
}

#[tokio::test]
async fn a_gap_is_told_until_it_is_accepted() {
    let hub = forgetful().await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    fill(&hub, 0, 1).await;
    let first = pull(&hub, "s", "").await;
    ack(&hub, "s", &first).await;
    fill(&hub, 1, 400).await;
    let earliest = trimmed(&hub).await;
    let refused = try_pull(&hub, "s", "wait=60").await;
    let problem = assert_problem(&refused, 410, "offset-trimmed");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("from offset 1 to"), "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/t/0");
    let now = status(&hub, "s").await;
    assert_eq!(now["state"], "gap");
    assert_eq!(now["gaps"][0]["from"], 1);
    let events = now["gaps"][0]["events"].as_u64().unwrap();
    assert!(events >= earliest - 1, "{now}");
    let tried = reset(&hub, json!({"to": {"skip_gap": true}, "dry_run": true})).await;
    assert_eq!(tried["gaps"][0]["events"], events);
    assert_problem(&try_pull(&hub, "s", "").await, 410, "offset-trimmed");
    let skipped = reset(&hub, json!({"to": {"skip_gap": true}, "reason": "seen"})).await;
    let to = skipped["partitions"][0]["to"].as_u64().unwrap();
    let next = pull(&hub, "s", "limit=1").await;
    assert_eq!(ids(&next), [to.to_string()]);
    assert_eq!(status(&hub, "s").await["counts"]["trimmed"], events);
    let resets = hub.get("/v1/subscriptions/s/offsets").await.expect(200)["resets"].clone();
    assert_eq!(resets[0]["to"], json!({"skip_gap": true}));
    assert_eq!(resets[0]["reason"], "seen");
}

#[tokio::test]
async fn a_reset_ends_a_gap_too() {
    let hub = forgetful().await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    fill(&hub, 0, 400).await;
    trimmed(&hub).await;
    assert_problem(&try_pull(&hub, "s", "").await, 410, "offset-trimmed");
    reset(&hub, json!({"to": "earliest"})).await;
    assert_eq!(pull(&hub, "s", "limit=1").await.len(), 1);
    assert_eq!(status(&hub, "s").await["state"], "running");
}

/// Retention was looked at, as that of another topic shows.
async fn retained(hub: &Hub) {
    hub.topic("other", json!({"retention": {"max_bytes": 1}}))
        .await;
    for part in 0..8 {
        let events: Vec<Value> = (part * 50..part * 50 + 50)
            .map(|number| sandbar_tests::event(&number.to_string(), json!({"padding": padding()})))
            .collect();
        hub.accepted("other", &events).await;
    }
    let deleted = |state: &Value| state["partitions"][0]["earliest"].as_u64().unwrap() > 0;
    hub.until("/v1/topics/other", "state", "nothing is deleted", deleted)
        .await;
}

#[tokio::test]
async fn keep_holds_retention_back_until_the_events_are_settled() {
    let mut hub = forgetful().await;
    subscribe(&hub, "s", json!({"topics": ["t"], "keep": true})).await;
    fill(&hub, 0, 400).await;
    retained(&hub).await;
    assert_eq!(earliest(&hub).await, 0);
    hub.kill();
    hub.restart().await;
    assert_eq!(ids(&consume(&hub, "s", 400).await).len(), 400);
    trimmed(&hub).await;
}

#[tokio::test]
async fn a_stream_tells_a_gap_by_its_status() {
    let hub = forgetful().await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    fill(&hub, 0, 400).await;
    trimmed(&hub).await;
    for accept in ["text/event-stream", "application/x-ndjson"] {
        let request = hub.request(reqwest::Method::GET, "/v1/subscriptions/s/events");
        let refused = hub.send(request.header("accept", accept)).await;
        let problem = assert_problem(&refused, 410, "offset-trimmed");
        assert_eq!(problem["errors"][0]["pointer"], "/t/0", "{problem}");
    }
    reset(&hub, json!({"to": {"skip_gap": true}})).await;
    let request = hub.request(reqwest::Method::GET, "/v1/subscriptions/s/events");
    let open = request.header("accept", "text/event-stream").send().await;
    assert_eq!(open.expect("it answers").status(), 200);
}

#[tokio::test]
async fn a_gap_that_comes_later_ends_a_stream_with_its_problem() {
    let hub = forgetful().await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    fill(&hub, 0, 1).await;
    // One at a time, and nothing is settled: the stream reads no further meanwhile.
    let request = hub.request(
        reqwest::Method::GET,
        "/v1/subscriptions/s/events?limit=1&lease=3600",
    );
    let mut stream = request
        .header("accept", "text/event-stream")
        .send()
        .await
        .expect("it answers");
    let mut text = String::new();
    let mut until = async |wanted: &str| {
        while !(text.contains(wanted) && text.ends_with("\n\n")) {
            let chunk = tokio::time::timeout(sandbar_tests::WATCHDOG, stream.chunk());
            let chunk = chunk.await.expect("something comes").expect("a part");
            let chunk = chunk.expect("the stream does not end before");
            text.push_str(std::str::from_utf8(&chunk).expect("text"));
        }
        std::mem::take(&mut text)
    };
    let first = until("data: ").await;
    let data = first.lines().find_map(|line| line.strip_prefix("data: "));
    let event: Value = serde_json::from_str(data.unwrap()).unwrap();
    fill(&hub, 1, 400).await;
    trimmed(&hub).await;
    ack(&hub, "s", &[event]).await;
    let last = until("event: sandbar.problem").await;
    let data = last
        .lines()
        .rev()
        .find_map(|line| line.strip_prefix("data: "));
    let problem: Value = serde_json::from_str(data.unwrap()).unwrap();
    assert_eq!(problem["type"], "/problems/offset-trimmed", "{problem}");
    assert_eq!(problem["status"], 410, "{problem}");
    assert_eq!(problem["errors"][0]["pointer"], "/t/0", "{problem}");
    assert!(problem["help"].as_str().unwrap().contains("skip_gap"));
}

#[tokio::test]
async fn nothing_is_pushed_over_a_gap_before_it_is_accepted() {
    let options = Options {
        arguments: ["--segment-bytes", "65536", "--allow-private-targets"]
            .map(str::to_owned)
            .to_vec(),
    };
    let hub = Hub::start_with(options).await;
    hub.topic("t", json!({"retention": {"max_bytes": 1}})).await;
    let receiver = Receiver::start().await;
    let push = json!({"topics": ["t"], "push": {"url": receiver.url()}});
    subscribe(&hub, "s", push).await;
    let _ = hub
        .post("/v1/subscriptions/s/pause", json!({}))
        .await
        .expect(200);
    fill(&hub, 0, 400).await;
    let earliest = trimmed(&hub).await;
    let _ = hub
        .post("/v1/subscriptions/s/resume", json!({}))
        .await
        .expect(200);
    let path = "/v1/subscriptions/s";
    let gap = |status: &Value| status["state"] == "gap";
    let now = hub.until(path, "status", "no gap is told", gap).await;
    assert_eq!(now["gaps"][0]["from"], 0, "{now}");
    assert_eq!(receiver.received().len(), 0);
    reset(&hub, json!({"to": {"skip_gap": true}})).await;
    let through = |status: &Value| status["lag"] == 0;
    hub.until(path, "status", "s is behind", through).await;
    let left = usize::try_from(hub.tail("t", 0).await - earliest).unwrap();
    let received = receiver.received();
    assert!((1..=left).contains(&received.len()), "{left}");
    assert!(
        status(&hub, "s").await["counts"]["trimmed"]
            .as_u64()
            .unwrap()
            >= earliest
    );
}

/// Milliseconds since the epoch, later than any before.
#[expect(
    clippy::disallowed_methods,
    reason = "the hub's clock is not a test's to ask"
)]
fn later() -> u128 {
    let now = || {
        let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
        now.expect("after 1970").as_millis()
    };
    let begin = now();
    loop {
        let now = now();
        if now > begin {
            return now;
        }
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn a_reset_to_a_time_between_two_events_goes_on_with_the_second() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let between = later();
    publish(&hub, "t", 2, &["c", "d"]).await;
    consume(&hub, "s", 4).await;
    let moved = reset(&hub, json!({"to": {"time": between.to_string()}})).await;
    assert_eq!(moved["partitions"][0]["to"], 2, "{moved}");
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["2", "3"]);
    let start = json!({"topics": ["t"], "start": {"time": between.to_string()}});
    subscribe(&hub, "later", start).await;
    assert_eq!(ids(&pull(&hub, "later", "").await), ["2", "3"]);
}

#[tokio::test]
async fn a_held_event_keeps_its_segment_until_it_is_redriven_and_settled() {
    let hub = forgetful().await;
    let document = json!({"topics": ["t"], "keep": true, "on_failure": "hold-key"});
    subscribe(&hub, "s", document).await;
    fill(&hub, 0, 1).await;
    let first = pull(&hub, "s", "").await;
    let reject = json!([{"lease": first[0]["sandbarlease"]}]);
    assert_eq!(
        settle(&hub, "s", json!({ "reject": reject })).await,
        ["dead"]
    );
    fill(&hub, 1, 400).await;
    consume(&hub, "s", 400).await;
    retained(&hub).await;
    assert_eq!(earliest(&hub).await, 0);
    let redrive = json!({"select": {"subscription": "s"}});
    let _ = hub
        .post("/v1/dead-letters/redrive", redrive)
        .await
        .expect(202);
    let again = consume(&hub, "s", 1).await;
    assert_eq!(ids(&again), ["0"]);
    trimmed(&hub).await;
}

#[tokio::test]
async fn dead_letters_are_kept_as_long_as_is_said() {
    let mut hub = forgetful().await;
    let path = "/v1/topics/sandbar.dead-letters";
    for other in [
        json!({"partitions": 2}),
        json!({"quota": {"events_per_second": 1}}),
        json!({"retention": {"max_bytes": 1}, "dedupe": {"max_events": 5}}),
    ] {
        let refused = hub.put(path, other).await;
        assert_problem(&refused, 403, "reserved-name");
    }
    assert_problem(&hub.delete(path).await, 403, "reserved-name");
    let kept = json!({"retention": {"max_bytes": 1}});
    let _ = hub.put(path, kept.clone()).await.expect(200);
    // What is told can be sent back.
    let told = hub.get(path).await.expect(200);
    assert_eq!(told["retention"]["max_bytes"], 1, "{told}");
    hub.stop();
    hub.restart().await;
    let told = hub.get(path).await.expect(200);
    assert_eq!(told["retention"]["max_bytes"], 1, "{told}");
    subscribe(&hub, "s", json!({"topics": ["t"], "keep": true})).await;
    fill(&hub, 0, 400).await;
    let events = pull(&hub, "s", "limit=400").await;
    let reject: Vec<Value> = (events.iter())
        .map(|event| json!({"lease": event["sandbarlease"]}))
        .collect();
    let dead = settle(&hub, "s", json!({ "reject": reject })).await;
    assert_eq!(dead.len(), events.len());
    let deleted = |state: &Value| state["partitions"][0]["earliest"].as_u64().unwrap() > 0;
    hub.until(path, "state", "no letter is deleted", deleted)
        .await;
    // What was settled by a letter that is gone stays settled.
    hub.kill();
    hub.restart().await;
    assert_eq!(status(&hub, "s").await["counts"]["dead"], events.len());
}
