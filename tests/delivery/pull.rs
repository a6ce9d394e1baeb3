//! Pulling and settling by one client.

use std::collections::{BTreeMap, BTreeSet};

use sandbar_tests::{Hub, Publish, assert_problem, json_event};
use serde_json::{Value, json};

use crate::{ack, consume, ids, leases, publish, pull, settle, status, subscribe, try_pull};

#[tokio::test]
async fn events_are_taken_acknowledged_and_gone() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    assert!(pull(&hub, "s", "").await.is_empty());
    publish(&hub, "t", 0, &["a", "b", "c"]).await;
    let events = pull(&hub, "s", "limit=2").await;
    assert_eq!(ids(&events), ["0", "1"]);
    let first = &events[0];
    assert_eq!(first["sandbartopic"], "t");
    assert_eq!(first["sandbarpartition"], 0);
    assert_eq!(first["sandbaroffset"], "0");
    assert_eq!(first["sandbardelivery"], 1);
    assert_eq!(first["partitionkey"], "a");
    assert_eq!(first["data"], json!({"n": 0}));
    // What is out is nobody else's; the rest is.
    assert_eq!(ids(&pull(&hub, "s", "").await), ["2"]);
    assert!(pull(&hub, "s", "").await.is_empty());
    let now = status(&hub, "s").await;
    assert_eq!((&now["out"], &now["lag"]), (&json!(3), &json!(3)));
    ack(&hub, "s", &events).await;
    let now = status(&hub, "s").await;
    assert_eq!((&now["out"], &now["lag"]), (&json!(1), &json!(1)));
    assert_eq!(now["counts"]["acknowledged"], 2);
    assert_eq!(now["partitions"][0]["low"], 2);
    // Once more does no harm.
    let again = settle(&hub, "s", json!({"ack": leases(&events)})).await;
    assert_eq!(again, ["already", "already"]);
}

#[tokio::test]
async fn one_token_settles_a_whole_batch() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 3})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c", "d", "e", "f"]).await;
    let answer = try_pull(&hub, "s", "limit=6").await;
    let token = answer.header("sandbar-lease").expect("a token").to_owned();
    let events = answer.expect(200).as_array().unwrap().clone();
    assert_eq!(events.len(), 6);
    // One of them is for itself.
    let nack = json!([{"lease": events[0]["sandbarlease"], "delay_ms": 0}]);
    assert_eq!(
        settle(&hub, "s", json!({ "nack": nack })).await,
        ["retrying"]
    );
    let acked = hub
        .post("/v1/subscriptions/s/ack", json!({"ack": [token]}))
        .await
        .expect(200);
    assert_eq!(acked["acknowledged"], 5, "{acked}");
    assert_eq!(acked["results"][0]["events"], 5);
    let again = pull(&hub, "s", "wait=30").await;
    assert_eq!(ids(&again), [ids(&events)[0].clone()]);
    assert_eq!(again[0]["sandbardelivery"], 2);
    assert_eq!(
        settle(&hub, "s", json!({"ack": [token]})).await,
        ["expired"]
    );
}

#[tokio::test]
async fn a_pull_waits_for_an_event() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let (events, ()) = tokio::join!(pull(&hub, "s", "wait=60"), publish(&hub, "t", 0, &["a"]));
    assert_eq!(ids(&events), ["0"]);
    // And for one whose time has come.
    let nack = json!([{"lease": events[0]["sandbarlease"], "delay_ms": 50}]);
    settle(&hub, "s", json!({ "nack": nack })).await;
    let events = pull(&hub, "s", "wait=60").await;
    assert_eq!(events[0]["sandbardelivery"], 2);
}

#[tokio::test]
async fn order_per_key_is_kept_while_other_keys_go_on() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 4})).await;
    subscribe(
        &hub,
        "s",
        json!({"topics": ["t"], "retry": {"initial_ms": 1, "max_ms": 20}}),
    )
    .await;
    let names: Vec<String> = (0..8).map(|key| format!("key-{key}")).collect();
    let keys: Vec<&str> = (0..400)
        .map(|event| names[event * 7 % 8].as_str())
        .collect();
    publish(&hub, "t", 0, &keys).await;
    let mut random = fastrand::Rng::with_seed(11);
    let mut seen: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    let mut done = 0;
    while done < 400 {
        let events = pull(&hub, "s", "limit=50&wait=30").await;
        let batch_keys: BTreeSet<_> = (events.iter())
            .map(|event| event["partitionkey"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            batch_keys.len(),
            events.len(),
            "two of a key out: {events:?}"
        );
        let (mut acks, mut nacks) = (Vec::new(), Vec::new());
        for event in &events {
            let lease = event["sandbarlease"].clone();
            if random.u8(0..4) == 0 {
                nacks.push(json!({"lease": lease, "reason": "not now"}));
                continue;
            }
            acks.push(lease);
            let key = event["partitionkey"].as_str().unwrap().to_owned();
            let number = event["data"]["n"].as_u64().unwrap();
            seen.entry(key).or_default().push(number);
            done += 1;
        }
        settle(&hub, "s", json!({"ack": acks, "nack": nacks})).await;
    }
    for (key, numbers) in &seen {
        assert!(numbers.is_sorted(), "{key}: {numbers:?}");
        assert_eq!(numbers.len(), 50, "{key}");
    }
    let counts = status(&hub, "s").await["counts"].clone();
    assert_eq!(counts["acknowledged"], 400);
    assert!(counts["retried"].as_u64().unwrap() > 0);
}

#[tokio::test]
async fn a_key_with_ten_thousand_waiting_events_holds_up_no_other() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["slow"; 10_000]).await;
    let others: Vec<String> = (0..3_000).map(|key| format!("other-{key}")).collect();
    let others: Vec<&str> = others.iter().map(String::as_str).collect();
    publish(&hub, "t", 10_000, &others).await;
    let slow = pull(&hub, "s", "limit=1").await;
    assert_eq!(ids(&slow), ["0"]);
    let mut seen = BTreeSet::new();
    while seen.len() < 3_000 {
        let events = pull(&hub, "s", "limit=1000&wait=30").await;
        assert!(events.iter().all(|event| event["partitionkey"] != "slow"));
        ack(&hub, "s", &events).await;
        seen.extend(ids(&events));
    }
    let now = status(&hub, "s").await;
    assert_eq!(
        (&now["waiting"], &now["lag"]),
        (&json!(10_000), &json!(10_000))
    );
    ack(&hub, "s", &slow).await;
    assert_eq!(ids(&pull(&hub, "s", "limit=10").await), ["1"]);
}

#[tokio::test]
async fn thousands_of_keys_in_a_small_window() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"], "max_waiting": 64})).await;
    let keys: Vec<String> = (0..5_000).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let first = pull(&hub, "s", "limit=1000").await;
    assert_eq!(first.len(), 128, "64 of each partition");
    ack(&hub, "s", &first).await;
    let rest = consume(&hub, "s", 5_000 - 128).await;
    let all: BTreeSet<_> = ids(&first).into_iter().chain(ids(&rest)).collect();
    assert_eq!(all.len(), 5_000);
}

#[tokio::test]
async fn what_is_rejected_is_a_dead_letter_and_its_key_goes_on() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "a"]).await;
    let events = pull(&hub, "s", "").await;
    let reject = json!([{"lease": events[0]["sandbarlease"], "reason": "no such customer"}]);
    assert_eq!(
        settle(&hub, "s", json!({ "reject": reject })).await,
        ["dead"]
    );
    let letters = hub.dead_letters("subscription=s&cause=rejected").await;
    assert_eq!(letters.len(), 1);
    assert_eq!(letters[0]["reason"], "no such customer");
    assert_eq!(
        letters[0]["origin"],
        json!({"topic": "t", "partition": 0, "offset": 0})
    );
    assert_eq!(letters[0]["event"]["data"], json!({"n": 0}));
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["1"]);
    let counts = status(&hub, "s").await["counts"].clone();
    assert_eq!(
        (&counts["acknowledged"], &counts["dead"]),
        (&json!(1), &json!(1))
    );
}

#[tokio::test]
async fn attempts_that_are_used_up_end_in_a_dead_letter_with_its_story() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let retry = json!({"initial_ms": 1, "max_ms": 1, "max_attempts": 3});
    subscribe(&hub, "s", json!({"topics": ["t"], "retry": retry})).await;
    publish(&hub, "t", 0, &["a"]).await;
    for attempt in 1..=3 {
        let events = pull(&hub, "s", "wait=30").await;
        assert_eq!(events[0]["sandbardelivery"], attempt);
        let nack =
            json!([{"lease": events[0]["sandbarlease"], "reason": format!("down {attempt}")}]);
        settle(&hub, "s", json!({ "nack": nack })).await;
    }
    let letters = hub.dead_letters_until("subscription=s", 1).await;
    assert_eq!(letters[0]["cause"], "retries-exhausted");
    assert_eq!(letters[0]["attempts"], 3);
    let reasons: Vec<_> = (letters[0]["history"].as_array().unwrap().iter())
        .map(|attempt| attempt["reason"].clone())
        .collect();
    assert_eq!(reasons, ["down 1", "down 2", "down 3"]);
    assert_eq!(status(&hub, "s").await["lag"], 0);
}

#[tokio::test]
async fn a_lease_is_extended() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let events = pull(&hub, "s", "lease=2").await;
    let extend = json!([{"lease": events[0]["sandbarlease"], "seconds": 3600}]);
    assert_eq!(
        settle(&hub, "s", json!({ "extend": extend })).await,
        ["extended"]
    );
    // The other one comes again when its lease ends; this one does not.
    let again = pull(&hub, "s", "wait=60").await;
    assert_eq!(ids(&again), ["1"]);
    assert_eq!(again[0]["sandbardelivery"], 2);
    assert_eq!(
        settle(&hub, "s", json!({"ack": [events[0]["sandbarlease"]]})).await,
        ["acknowledged"]
    );
    assert_eq!(
        settle(&hub, "s", json!({"ack": [events[1]["sandbarlease"]]})).await,
        ["expired"]
    );
}

#[tokio::test]
async fn a_paused_subscription_hands_out_nothing_and_takes_acknowledgements() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let events = pull(&hub, "s", "limit=1").await;
    let paused = hub
        .post("/v1/subscriptions/s/pause", json!({}))
        .await
        .expect(200);
    assert_eq!(paused["status"]["state"], "paused");
    assert!(pull(&hub, "s", "").await.is_empty());
    ack(&hub, "s", &events).await;
    // Whoever waits gets its event when it is resumed.
    let resume = async {
        hub.post("/v1/subscriptions/s/resume", json!({}))
            .await
            .expect(200)
    };
    let (events, _) = tokio::join!(pull(&hub, "s", "wait=60"), resume);
    assert_eq!(ids(&events), ["1"]);
}

#[tokio::test]
async fn what_makes_no_sense_is_refused_and_nothing_is_settled() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    subscribe(&hub, "other", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a"]).await;
    for query in [
        "limit=0",
        "limit=10001",
        "wait=-1",
        "wait=61",
        "lease=0",
        "lease=99999999",
        "limt=1",
    ] {
        assert_problem(&try_pull(&hub, "s", query).await, 400, "malformed-request");
    }
    let events = pull(&hub, "s", "").await;
    let good = events[0]["sandbarlease"].clone();
    let refused = hub
        .post("/v1/subscriptions/s/ack", json!({"ack": [good, "rubbish"]}))
        .await;
    let problem = assert_problem(&refused, 422, "invalid-document");
    assert_eq!(problem["errors"][0]["pointer"], "/ack/1", "{problem}");
    for bad in [
        json!({"acks": []}),
        json!({"extend": [{"lease": good, "seconds": 0}]}),
        json!({"nack": [{"lease": "!"}]}),
    ] {
        let refused = hub.post("/v1/subscriptions/s/ack", bad).await;
        assert_problem(&refused, 422, "invalid-document");
    }
    let refused = hub
        .post("/v1/subscriptions/s/ack", json!({"upto": "rubbish"}))
        .await;
    assert_problem(&refused, 400, "malformed-request");
    assert_eq!(status(&hub, "s").await["out"], 1);
    // A token is good for its own subscription only.
    assert_eq!(
        settle(&hub, "other", json!({"ack": [good]})).await,
        ["expired"]
    );
    assert_eq!(
        settle(&hub, "s", json!({"ack": [good]})).await,
        ["acknowledged"]
    );
}

#[tokio::test]
async fn extensions_of_the_hub_s_own_names_are_its_own() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let mut event = json_event("1", "a", json!({"text": "line\nbreak"}));
    event["sandbarlease"] = json!("mine");
    event["other"] = json!("yours");
    let published = hub.publish("t", Publish::structured(&event)).await;
    if published.status == 200 {
        let events = pull(&hub, "s", "").await;
        assert_ne!(events[0]["sandbarlease"], "mine");
        assert_eq!(events[0]["other"], "yours");
        assert_eq!(events[0]["data"], json!({"text": "line\nbreak"}));
        ack(&hub, "s", &events).await;
    } else {
        let _: Value = assert_problem(&published, 422, "invalid-event");
    }
}

#[tokio::test]
async fn metrics_tell_how_it_stands() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "b"]).await;
    let events = pull(&hub, "s", "").await;
    ack(&hub, "s", &events[..1]).await;
    let text = hub.get("/metrics").await.text;
    for line in [
        "sandbar_subscription_acknowledged_total{subscription=\"s\"} 1",
        "sandbar_subscription_delivered_total{subscription=\"s\"} 2",
        "sandbar_subscription_lag_events{subscription=\"s\",topic=\"t\",partition=\"0\"} 2",
        "sandbar_subscription_out_events{subscription=\"s\",topic=\"t\",partition=\"0\"} 1",
        "sandbar_subscription_state{subscription=\"s\"} 0",
    ] {
        assert!(text.contains(line), "{line}\n{text}");
    }
}

#[tokio::test]
async fn a_delay_has_a_bound() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a"]).await;
    let events = pull(&hub, "s", "").await;
    let nack =
        |delay: u64| json!({"nack": [{"lease": events[0]["sandbarlease"], "delay_ms": delay}]});
    let path = "/v1/subscriptions/s/ack";
    let refused = hub.post(path, nack(43_200_001)).await;
    let problem = assert_problem(&refused, 422, "invalid-document");
    assert_eq!(
        problem["errors"][0]["pointer"], "/nack/0/delay_ms",
        "{problem}"
    );
    assert_eq!(settle(&hub, "s", nack(43_200_000)).await, ["retrying"]);
}

#[tokio::test]
async fn the_command_line_settles_in_every_way() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c"]).await;
    let events = pull(&hub, "s", "limit=2").await;
    let tokens = leases(&events);
    let ack = |arguments: &[&str]| {
        let ran = hub.sandbar(&[&["subscription", "ack", "s"], arguments].concat());
        assert_eq!(ran.code, 0, "{ran:?}");
        ran.stdout
    };
    let extended = ack(&[tokens[0].as_str(), "--extend", "600"]);
    assert!(extended.contains("extended"), "{extended}");
    let delayed = ack(&[tokens[1].as_str(), "--nack", "--delay", "43200000"]);
    assert!(delayed.contains("retrying"), "{delayed}");
    // It waits: what comes is another.
    assert_eq!(ids(&pull(&hub, "s", "").await), ["2"]);
    let request = hub.request(reqwest::Method::GET, "/v1/subscriptions/s/events");
    publish(&hub, "t", 3, &["d"]).await;
    let mut stream = request
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .expect("it answers");
    let line = stream.chunk().await.expect("a line").expect("a line");
    let event: serde_json::Value = serde_json::from_slice(&line).expect("JSON");
    let cursor = event["sandbarcursor"].as_str().unwrap();
    let covered = ack(&["--upto", cursor]);
    assert!(covered.contains("1 acknowledged"), "{covered}");
    for wrong in [
        &["subscription", "ack", "s"][..],
        &["subscription", "ack", "s", "x", "--delay", "1"],
        &["subscription", "ack", "s", "x", "--nack", "--extend", "1"],
    ] {
        assert_eq!(hub.sandbar(wrong).code, 2, "{wrong:?}");
    }
    let _ = hub
        .post("/v1/subscriptions/s/pause", json!({}))
        .await
        .expect(200);
    let ran = hub.sandbar(&["subscription", "pull", "s"]);
    assert!(ran.stderr.contains("s is paused"), "{ran:?}");
    assert_eq!((ran.code, ran.stdout.as_str()), (0, ""), "{ran:?}");
}
