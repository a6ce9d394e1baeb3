//! What routes do when all goes well.

use std::collections::{BTreeMap, HashMap};

use sandbar_tests::{Hub, event, json_event, variant};
use serde_json::{Value, json};

use super::{data, step};

#[tokio::test]
async fn events_pass_through_several_steps_to_several_targets() {
    let hub = Hub::start().await;
    for topic in ["in", "a", "b"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("first"), step("second")], "to": ["a", "b"]}),
    )
    .await;
    let events = [
        event("plain", json!({"n": 1})),
        event(
            "both",
            json!({"n": 2, "at": "second", "do": "emit", "targets": ["b", "a"], "copies": 2}),
        ),
        event("none", json!({"n": 3, "at": "second", "copies": 0})),
        event("fan", json!({"n": 4, "copies": 2, "type": "test.mapped"})),
    ];
    hub.accepted("in", &events).await;
    let status = hub.settled("r").await;
    let a = hub.read_all("a", 0).await;
    let trail = json!(["first", "second"]);
    assert_eq!(a[0]["data"], json!({"n": 1, "trail": trail, "copy": 0}));
    assert_eq!(
        (&a[0]["id"], &a[0]["source"], &a[0]["type"]),
        (&json!("plain"), &json!("/tests"), &json!("test.event"))
    );
    assert_eq!(
        (&a[0]["sandbarroute"], &a[0]["sandbarorigin"]),
        (&json!("r"), &json!("in/0/0"))
    );
    assert_eq!(
        (
            &a[1]["data"]["target"],
            &a[1]["data"]["copy"],
            &a[1]["sandbarorigin"]
        ),
        (&json!("a"), &json!(0), &json!("in/0/1"))
    );
    assert_eq!(a[2]["data"]["copy"], 1);
    // Two copies of the first step, each doubled by the second.
    assert_eq!(a[3..].len(), 4);
    assert!(
        a[3..]
            .iter()
            .all(|one| one["type"] == "test.mapped" && one["sandbarorigin"] == "in/0/3")
    );
    let b = hub.read_all("b", 0).await;
    assert_eq!(b.len(), 2);
    assert!(b.iter().all(|one| one["data"]["target"] == "b"));
    assert_eq!(status["state"], "running");
    assert_eq!(status["counts"]["read"], 4, "{status}");
    assert_eq!(
        status["counts"]["emitted"],
        json!({"a": 7, "b": 2}),
        "{status}"
    );
}

#[tokio::test]
async fn a_route_without_steps_copies_to_every_target() {
    let hub = Hub::start().await;
    for topic in ["in", "a", "b"] {
        hub.topic(topic, json!({})).await;
    }
    hub.route("r", json!({"from": "in", "to": ["a", "b"]}))
        .await;
    let events: Vec<Value> = (0..20)
        .map(|n| event(&n.to_string(), json!({"n": n})))
        .collect();
    hub.accepted("in", &events).await;
    for target in ["a", "b"] {
        let copied = hub.read_until(target, 0, 20).await;
        assert_eq!(data(&copied), data(&events));
    }
}

#[tokio::test]
async fn a_new_route_begins_where_it_is_told() {
    let hub = Hub::start().await;
    for topic in ["in", "all", "new"] {
        hub.topic(topic, json!({})).await;
    }
    hub.accepted("in", &[event("old", json!(1))]).await;
    hub.route("all", json!({"from": "in", "to": ["all"]})).await;
    hub.route(
        "new",
        json!({"from": "in", "to": ["new"], "start": "latest"}),
    )
    .await;
    hub.accepted("in", &[event("fresh", json!(2))]).await;
    assert_eq!(
        data(&hub.read_until("all", 0, 2).await),
        [json!(1), json!(2)]
    );
    hub.settled("new").await;
    assert_eq!(data(&hub.read_until("new", 0, 1).await), [json!(2)]);
}

#[tokio::test]
async fn drops_are_counted_by_reason() {
    let hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("s")], "to": ["out"]}),
    )
    .await;
    let events: Vec<Value> = (0..30)
        .map(|n| match n % 3 {
            0 => event(&n.to_string(), json!({"do": "drop", "reason": "too old"})),
            1 => event(&n.to_string(), json!({"do": "drop", "reason": "not ours"})),
            _ => event(&n.to_string(), json!({})),
        })
        .collect();
    hub.accepted("in", &events).await;
    let status = hub.settled("r").await;
    assert_eq!(
        status["counts"]["dropped"],
        json!({"too old": 10, "not ours": 10}),
        "{status}"
    );
    assert_eq!(status["counts"]["emitted"], json!({"out": 10}), "{status}");
    assert_eq!(status["counts"]["dead_letters"], 0, "{status}");
    // A dropped event can be traced.
    let lineage = hub.get("/v1/events/in/0/0/lineage").await.expect(200);
    assert_eq!(lineage["routes"][0]["route"], "r", "{lineage}");
    assert_eq!(lineage["routes"][0]["verdict"], "dropped", "{lineage}");
    let lineage = hub.get("/v1/events/in/0/2/lineage").await.expect(200);
    assert_eq!(lineage["routes"][0]["verdict"], "emitted", "{lineage}");
    assert_eq!(
        (
            &lineage["outputs"][0]["topic"],
            &lineage["outputs"][0]["offset"]
        ),
        (&json!("out"), &json!(0)),
        "{lineage}"
    );
    let lineage = hub.get("/v1/events/out/0/0/lineage").await.expect(200);
    assert_eq!(
        (&lineage["origin"]["position"], &lineage["origin"]["route"]),
        (&json!("in/0/2"), &json!("r")),
        "{lineage}"
    );
}

#[tokio::test]
async fn keys_keep_their_order_while_one_is_tried_again() {
    let hub = Hub::start().await;
    hub.topic("in", json!({"partitions": 2})).await;
    hub.topic("out", json!({"partitions": 2})).await;
    hub.mapper().await;
    // It waits so long that all others are long through: until it is told to go on it never ends.
    let retry = json!({"max_attempts": 3, "initial_ms": 3000, "max_ms": 3000});
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("s")], "to": ["out"], "retry": retry}),
    )
    .await;
    let mut events = vec![json_event(
        "stuck",
        "slow",
        json!({"n": 0, "do": "retry", "times": 1}),
    )];
    for n in 1..40 {
        let key = if n % 4 == 0 {
            "slow".to_owned()
        } else {
            format!("key {}", n % 7)
        };
        events.push(json_event(&n.to_string(), &key, json!({"n": n})));
    }
    hub.accepted("in", &events).await;
    let status = hub.settled("r").await;
    assert_eq!(status["counts"]["retries"], 1, "{status}");
    let mut stored = hub.read_all("out", 0).await;
    stored.extend(hub.read_all("out", 1).await);
    assert_eq!(stored.len(), 40);
    let mut last: HashMap<String, u64> = HashMap::new();
    for one in &stored {
        let n = one["data"]["n"].as_u64().unwrap();
        let before = last.insert(one["partitionkey"].as_str().unwrap().to_owned(), n);
        assert!(before.is_none_or(|before| before < n), "{one}");
    }
    // The others of its partition went on meanwhile: the slow key's are the last of theirs.
    let partition = hub
        .read_all("out", u32::try_from(home(&stored, "slow")).unwrap())
        .await;
    let slow = partition
        .iter()
        .rev()
        .take_while(|one| one["partitionkey"] == "slow")
        .count();
    assert_eq!(slow, 10, "the key that waits holds up no other");
}

fn home(stored: &[Value], key: &str) -> u64 {
    let found = stored
        .iter()
        .find(|one| one["partitionkey"] == key)
        .unwrap();
    found["sandbarpartition"].as_u64().unwrap()
}

#[tokio::test]
async fn partitions_are_read_side_by_side() {
    let hub = Hub::start().await;
    hub.topic("in", json!({"partitions": 4})).await;
    hub.topic("out", json!({"partitions": 3})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("s")], "to": ["out"]}),
    )
    .await;
    let mut wanted: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for batch in 0..20 {
        let events: Vec<Value> = (batch * 100..(batch + 1) * 100)
            .map(|n: u64| {
                let key = format!("key {}", n % 13);
                wanted.entry(key.clone()).or_default().push(n);
                json_event(&n.to_string(), &key, json!({"n": n}))
            })
            .collect();
        hub.accepted("in", &events).await;
    }
    let status = hub.settled("r").await;
    assert_eq!(
        status["partitions"].as_array().unwrap().len(),
        4,
        "{status}"
    );
    let mut got: BTreeMap<String, Vec<u64>> = BTreeMap::new();
    for partition in 0..3 {
        for one in hub.read_all("out", partition).await {
            got.entry(one["partitionkey"].as_str().unwrap().to_owned())
                .or_default()
                .push(one["data"]["n"].as_u64().unwrap());
        }
    }
    assert_eq!(got, wanted, "each key whole and in order");
}

#[tokio::test]
async fn a_paused_route_waits_and_goes_on_where_it_was() {
    let mut hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    hub.route("r", json!({"from": "in", "to": ["out"]})).await;
    hub.accepted("in", &[event("1", json!(1))]).await;
    hub.settled("r").await;
    let paused = hub.post("/v1/routes/r/pause", json!({})).await.expect(200);
    assert_eq!(paused["paused"], true);
    hub.route_until("r", "is not paused", |status| status["state"] == "paused")
        .await;
    hub.accepted("in", &[event("2", json!(2))]).await;
    // Also over a restart.
    hub.kill();
    hub.restart().await;
    let status = hub
        .route_until("r", "is not paused", |status| status["state"] == "paused")
        .await;
    assert!(
        status["partitions"][0]["lag"].as_u64().unwrap() >= 1,
        "{status}"
    );
    hub.accepted("in", &[event("3", json!(3))]).await;
    assert_eq!(
        hub.stored("out").await,
        1,
        "nothing came while it was paused"
    );
    let _ = hub.post("/v1/routes/r/resume", json!({})).await.expect(200);
    hub.settled("r").await;
    assert_eq!(
        data(&hub.read_all("out", 0).await),
        [json!(1), json!(2), json!(3)]
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_plugin_version_takes_over_between_batches() {
    let hub = std::sync::Arc::new(Hub::start().await);
    hub.topic("in", json!({"partitions": 2})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    for version in 2..6 {
        let bytes = variant("guest-mapper", &format!("version {version}"));
        let _ = hub
            .upload("mapper", &version.to_string(), bytes)
            .await
            .expect(201);
    }
    let document = |version: u64| {
        let step = json!({"plugin": format!("mapper@{version}"), "config": {"stamp": version.to_string()}});
        json!({"from": "in", "steps": [step], "to": ["out"]})
    };
    hub.route("r", document(1)).await;
    let publishing = tokio::spawn({
        let hub = hub.clone();
        async move {
            for batch in 0..100_u64 {
                let events: Vec<Value> = (batch * 20..(batch + 1) * 20)
                    .map(|n| json_event(&n.to_string(), &format!("key {}", n % 5), json!({"n": n})))
                    .collect();
                hub.accepted("in", &events).await;
            }
        }
    });
    for version in 2..6_u64 {
        // Each while events are on their way.
        hub.read_until("out", 0, usize::try_from((version - 1) * 300).unwrap())
            .await;
        let _ = hub.put("/v1/routes/r", document(version)).await.expect(200);
    }
    publishing.await.unwrap();
    hub.accepted("in", &[json_event("last", "key 0", json!({"n": 2000}))])
        .await;
    hub.settled("r").await;
    let outputs = hub.read_all("out", 0).await;
    let mut numbers: Vec<u64> = outputs
        .iter()
        .map(|one| one["data"]["n"].as_u64().unwrap())
        .collect();
    let mut by_key: HashMap<u64, (u64, u64)> = HashMap::new();
    for one in &outputs {
        let n = one["data"]["n"].as_u64().unwrap();
        let version: u64 = one["data"]["trail"][0].as_str().unwrap().parse().unwrap();
        let before = by_key.insert(n % 5, (n, version));
        assert!(
            before.is_none_or(|(last, older)| last < n && older <= version),
            "{before:?}, then {n} of version {version}"
        );
    }
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..=2000).collect::<Vec<_>>(),
        "nothing lost, nothing twice"
    );
    assert_eq!(outputs.last().unwrap()["data"]["trail"], json!(["5"]));
}

#[tokio::test]
async fn routes_that_follow_each_other_make_a_chain() {
    let hub = Hub::start().await;
    for topic in ["one", "two", "three"] {
        hub.topic(topic, json!({"partitions": 2})).await;
    }
    hub.mapper().await;
    hub.route(
        "first",
        json!({"from": "one", "steps": [step("first")], "to": ["two"]}),
    )
    .await;
    hub.route(
        "second",
        json!({"from": "two", "steps": [step("second")], "to": ["three"]}),
    )
    .await;
    let events: Vec<Value> = (0..50)
        .map(|n| json_event(&n.to_string(), "k", json!({"n": n})))
        .collect();
    let place = hub.accepted("one", &events).await[0]["partition"]
        .as_u64()
        .unwrap();
    let end = hub
        .read_until("three", u32::try_from(place).unwrap(), 50)
        .await;
    for (n, one) in end.iter().enumerate() {
        assert_eq!(
            (&one["data"]["n"], &one["data"]["trail"]),
            (&json!(n), &json!(["first", "second"]))
        );
        assert_eq!(one["sandbarroute"], "second");
    }
}

#[tokio::test]
async fn counts_stay_exact_over_kills_and_stops() {
    let mut hub = Hub::start().await;
    hub.topic("in", json!({"partitions": 4})).await;
    hub.topic("out", json!({"partitions": 2})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("s")], "to": ["out"]}),
    )
    .await;
    for round in 0..6_u64 {
        let events: Vec<Value> = (0..400)
            .map(|n| {
                let data = match n % 4 {
                    0 => json!({"do": "drop", "reason": "too old"}),
                    1 => json!({"do": "reject"}),
                    2 => json!({"copies": 2}),
                    _ => json!({}),
                };
                json_event(&format!("{round}/{n}"), &format!("key {}", n / 4 % 9), data)
            })
            .collect();
        hub.accepted("in", &events).await;
        // While the route is at work, or as soon as it is through.
        match round % 3 {
            0 => hub.kill(),
            1 => assert!(hub.stop().success()),
            _ => {
                hub.settled("r").await;
                hub.kill();
            }
        }
        hub.restart().await;
    }
    let counts = hub.settled("r").await["counts"].clone();
    let wanted = [
        ("read", json!(2400)),
        ("emitted", json!({"out": 1800})),
        ("dropped", json!({"too old": 600})),
        ("rejected", json!(600)),
        ("dead_letters", json!(600)),
    ];
    for (name, count) in wanted {
        assert_eq!(counts[name], count, "{name}: {counts}");
    }
    assert_eq!(hub.stored("out").await, 1800);
    assert_eq!(hub.dead_letters("route=r").await.len(), 600);
}
