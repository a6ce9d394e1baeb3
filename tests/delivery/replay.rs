//! What is stored once more: marked, each output once, within the bounds that were asked for.

use std::{collections::BTreeMap, time::Instant};

use sandbar_tests::{assert_problem, json_event};
use serde_json::{Value, json};

use super::jobs::{begin, ended, hub, job_until, numbers, pull, read_partitions, route, settle};

/// `count` events over `keys` keys.
fn events(count: u64, keys: u64) -> Vec<Value> {
    let event = |n: u64| {
        json_event(
            &n.to_string(),
            &format!("key {}", n % keys),
            json!({"n": n}),
        )
    };
    (0..count).map(event).collect()
}

fn marked(events: &[Value], job: &str) -> Vec<Value> {
    let marked = events.iter().filter(|one| one["sandbarreplay"] == job);
    marked.cloned().collect()
}

#[tokio::test]
async fn a_route_is_replayed_with_new_events_of_their_own() {
    let hub = hub(1, route("first", json!({}))).await;
    let mut batch = events(20, 4);
    batch.push(json_event("bad", "b", json!({"n": 20, "do": "reject"})));
    batch.push(json_event(
        "idle",
        "b",
        json!({"n": 21, "do": "drop", "reason": "too late"}),
    ));
    hub.accepted("in", &batch).await;
    hub.settled("r").await;
    let before = hub.read_all("out", 0).await;
    let _ = hub
        .put("/v1/routes/r", route("second", json!({})))
        .await
        .expect(200);

    let request = json!({"from": {"offsets": {"in/0": 15}}, "dry_run": true, "sample": 7});
    let plan = hub.post("/v1/routes/r/replay", request).await.expect(200);
    assert_eq!(
        (&plan["events"], &plan["into"]),
        (&json!(7), &json!(["out"]))
    );
    assert_eq!(
        (
            &plan["parts"][0]["first"]["id"],
            &plan["parts"][0]["last"]["id"]
        ),
        (&json!("15"), &json!("idle"))
    );
    let verdicts: Vec<_> = (plan["sample"].as_array().unwrap().iter())
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        ["emit", "emit", "emit", "emit", "emit", "fail", "drop"],
        "{plan}"
    );
    assert_eq!(
        plan["sample"][0]["outputs"][0]["data"]["trail"],
        json!(["second"])
    );
    assert_eq!(hub.read_all("out", 0).await, before, "nothing was written");

    let request = json!({"from": {"offsets": {"0": 15}}, "reason": "once more"});
    let id = begin(&hub, "/v1/routes/r/replay", request).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        (&progress["total"], &progress["done"]),
        (&json!(7), &json!(7))
    );
    assert_eq!(progress["written"], json!({"out": 5}));
    assert_eq!(progress["dropped"], json!({"too late": 1}));
    assert_eq!(progress["failed"], json!({"rejected": 1}));
    assert_eq!(progress["examples"][0]["position"], "in/0/20");
    let after = hub.read_all("out", 0).await;
    assert_eq!(after[..20], before[..]);
    let replayed = marked(&after, &id);
    assert_eq!(numbers(&replayed), [15, 16, 17, 18, 19]);
    for (one, n) in replayed.iter().zip(15..) {
        assert_eq!(one["id"], format!("{n}/replay/{id}"));
        assert_eq!(one["data"]["trail"], json!(["second"]));
        assert_eq!(
            (&one["sandbarroute"], &one["sandbarorigin"]),
            (&json!("r"), &json!(format!("in/0/{n}")))
        );
        assert_eq!(one["partitionkey"], format!("key {}", n % 4));
    }
    assert_eq!(
        hub.tail("sandbar.dead-letters", 0).await,
        1,
        "it is no dead letter once more"
    );
    let status = hub.settled("r").await;
    assert_eq!(
        status["counts"]["read"], 22,
        "the route itself did nothing: {status}"
    );

    let lineage = hub.get("/v1/events/in/0/15/lineage").await.expect(200);
    let outputs = lineage["outputs"].as_array().unwrap();
    assert_eq!(outputs.len(), 2, "{lineage}");
    assert_eq!(
        (&outputs[0]["replay"], &outputs[1]["replay"]),
        (&Value::Null, &json!(id))
    );
    let origin = hub.get("/v1/events/out/0/20/lineage").await.expect(200);
    assert_eq!(
        (&origin["origin"]["position"], &origin["origin"]["replay"]),
        (&json!("in/0/15"), &json!(id))
    );
}

#[tokio::test]
async fn a_topic_is_copied_into_another_one() {
    let hub = hub(2, route("s", json!({}))).await;
    hub.topic("side", json!({})).await;
    hub.accepted("in", &events(40, 8)).await;
    hub.settled("r").await;
    let tails = [hub.tail("in", 0).await, hub.tail("in", 1).await];
    let request = json!({"from": {"offsets": {"0": 2}}, "to": {"offsets": {"0": 5}}, "into": "side", "ids": "keep"});
    let id = begin(&hub, "/v1/topics/in/replay", request).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(progress["written"], json!({"side": 3}));
    let (copies, source) = (hub.read_all("side", 0).await, hub.read_all("in", 0).await);
    for (copy, event) in copies.iter().zip(&source[2..5]) {
        for attribute in ["id", "source", "type", "time", "data", "partitionkey"] {
            assert_eq!(copy[attribute], event[attribute]);
        }
        assert_eq!(
            (&copy["sandbarreplay"], &copy["sandbarroute"]),
            (&json!(id), &Value::Null)
        );
        assert_eq!(
            copy["sandbarorigin"],
            format!("in/0/{}", event["sandbaroffset"].as_str().unwrap())
        );
    }
    let lineage = hub.get("/v1/events/in/0/2/lineage").await.expect(200);
    let copy = lineage["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .find(|one| one["topic"] == "side");
    assert_eq!(
        copy.expect("the copy is seen")["replay"],
        json!(id),
        "{lineage}"
    );

    // By time: all from the beginning, none from now on.
    let all = json!({"from": {"time": "2020-01-01T00:00:00Z"}, "into": "side"});
    let id = begin(&hub, "/v1/topics/in/replay", all).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(progress["total"], tails[0] + tails[1]);
    let copied = marked(&hub.read_all("side", 0).await, &id);
    assert_eq!(copied.len(), 40);
    let none = json!({"from": "earliest", "to": {"time": "2020-01-01T00:00:00Z"}, "into": "side"});
    let id = begin(&hub, "/v1/topics/in/replay", none).await;
    assert_eq!(ended(&hub, &id, "done").await["total"], 0);
}

#[tokio::test]
async fn a_routes_outputs_may_go_beside_its_targets() {
    let hub = hub(1, route("s", json!({}))).await;
    hub.topic("second", json!({})).await;
    hub.topic("side", json!({})).await;
    let mut document = route("s", json!({}));
    document["to"] = json!(["out", "second"]);
    let _ = hub.put("/v1/routes/r", document).await.expect(200);
    let both = json!({"n": 1, "copies": 2, "targets": ["second", "out"]});
    hub.accepted(
        "in",
        &[
            json_event("1", "k", both),
            json_event("2", "k", json!({"n": 2})),
        ],
    )
    .await;
    hub.settled("r").await;
    let request = json!({"from": "earliest", "into": "side"});
    let id = begin(&hub, "/v1/routes/r/replay", request).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(progress["written"], json!({"side": 5}), "{progress}");
    let side = hub.read_all("side", 0).await;
    assert_eq!(numbers(&side), [1, 1, 1, 1, 2]);
    let targets: Vec<_> = side[..4]
        .iter()
        .map(|one| one["data"]["target"].as_str().unwrap())
        .collect();
    assert_eq!(
        targets,
        ["second", "out", "second", "out"],
        "in the order of the plugin"
    );
    assert_eq!(
        (hub.stored("out").await, hub.stored("second").await),
        (3, 2)
    );
    let lineage = hub.get("/v1/events/in/0/1/lineage").await.expect(200);
    assert_eq!(lineage["outputs"].as_array().unwrap().len(), 2, "{lineage}");
}

#[tokio::test]
async fn killed_in_the_middle_each_output_is_written_once() {
    const COUNT: u64 = 6000;
    const PARTITIONS: u32 = 2;
    let retry = json!({"max_attempts": 1000, "initial_ms": 1, "max_ms": 20});
    let mut hub = hub(PARTITIONS, route("s", retry)).await;
    let mut batch = events(COUNT, 50);
    for (n, event) in batch.iter_mut().enumerate() {
        match n % 10 {
            3 => event["data"]["do"] = json!("drop"),
            5 => event["data"]["copies"] = json!(3),
            7 => event["data"]["do"] = json!("reject"),
            8 if n % 100 == 8 => {
                event["data"]["do"] = json!("retry");
                event["data"]["times"] = json!(20);
            }
            _ => {}
        }
    }
    for part in batch.chunks(500) {
        hub.accepted("in", part).await;
    }
    hub.settled("r").await;
    let first = read_partitions(&hub, "out", PARTITIONS).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let id = begin(
        &hub,
        "/v1/routes/r/replay",
        json!({"from": "earliest", "rate": 1500}),
    )
    .await;
    let mut kills = 0;
    loop {
        let before = job_until(&hub, &id, |_| true).await["progress"]["done"]
            .as_u64()
            .unwrap();
        let goal = before + random.u64(1..600);
        let job = job_until(&hub, &id, |progress| {
            progress["done"].as_u64() >= Some(goal)
        })
        .await;
        if job["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_micros(random.u64(0..5000))).await;
        // Now and then long enough that it has saved how far it is.
        if random.u8(..) < 64 {
            tokio::time::sleep(std::time::Duration::from_millis(random.u64(900..1300))).await;
        }
        hub.kill();
        if random.u8(..) < 64 {
            hub.start_and_kill(std::time::Duration::from_micros(random.u64(0..100_000)));
        }
        hub.restart().await;
        kills += 1;
    }
    assert!(kills > 0, "it was done before it was killed");
    let progress = ended(&hub, &id, "done").await;
    let outputs = read_partitions(&hub, "out", PARTITIONS).await;
    let replayed = marked(&outputs, &id);
    let counts = |events: &[Value]| {
        let mut counts: BTreeMap<(String, String), u64> = BTreeMap::new();
        for one in events {
            let place = (
                one["sandbarorigin"].to_string(),
                one["data"]["copy"].to_string(),
            );
            *counts.entry(place).or_default() += 1;
        }
        counts
    };
    let found = counts(&replayed);
    let twice: Vec<_> = found.iter().filter(|(_, count)| **count > 1).collect();
    assert!(twice.is_empty(), "after {kills} kills: {twice:?}");
    assert_eq!(found, counts(&first), "after {kills} kills");
    assert_eq!(outputs.len(), 2 * first.len());
    for key in 0..50 {
        let of_key = numbers(&replayed).into_iter().filter(|n| n % 50 == key);
        assert!(of_key.is_sorted(), "key {key} is out of order");
    }
    assert_eq!(
        (&progress["done"], &progress["total"]),
        (&json!(COUNT), &json!(COUNT))
    );
    assert_eq!(
        progress["failed"],
        json!({"rejected": COUNT / 10}),
        "{progress}"
    );
    assert_eq!(progress["dropped"], json!({"as asked": COUNT / 10}));
}

#[tokio::test]
async fn a_replay_keeps_its_rate_and_ends_when_cancelled() {
    let mut hub = hub(1, route("s", json!({}))).await;
    hub.topic("side", json!({})).await;
    hub.accepted("in", &events(500, 5)).await;
    hub.settled("r").await;
    let begun = Instant::now();
    let request = json!({"from": "earliest", "rate": 20, "into": "side"});
    let id = begin(&hub, "/v1/topics/in/replay", request).await;
    for goal in [5, 15, 25] {
        let job = job_until(&hub, &id, |progress| {
            progress["done"].as_u64() >= Some(goal)
        })
        .await;
        let most = 20 + 1 + u64::try_from(begun.elapsed().as_millis()).unwrap() * 20 / 1000;
        assert!(job["progress"]["done"].as_u64() <= Some(most), "{job}");
    }
    assert_problem(&hub.delete("/v1/topics/side").await, 409, "topic-in-use");
    // It goes on after a restart, and a cancel holds over one.
    assert!(hub.stop().success());
    hub.restart().await;
    job_until(&hub, &id, |progress| progress["done"].as_u64() >= Some(27)).await;
    let cancelled = hub
        .post(&format!("/v1/jobs/{id}/cancel"), json!({}))
        .await
        .expect(202);
    assert_eq!(cancelled["id"], id);
    hub.kill();
    hub.restart().await;
    ended(&hub, &id, "cancelled").await;
    let copied = hub.read_all("side", 0).await;
    let numbers = numbers(&copied);
    assert!(numbers.len() < 500);
    assert_eq!(
        numbers,
        (0..numbers.len() as u64).collect::<Vec<_>>(),
        "each once, in order"
    );
    let _ = hub.delete("/v1/topics/side").await.expect(204);
}

#[tokio::test]
async fn bad_replays_are_refused() {
    let hub = hub(2, route("s", json!({}))).await;
    hub.contract("any", json!({})).await;
    hub.topic("bound", json!({"contract": "any@1"})).await;
    hub.accepted("in", &events(10, 5)).await;
    for (request, status, code, place) in [
        (json!({}), 422, "invalid-document", "from"),
        (json!({"from": "now"}), 422, "invalid-document", "/from"),
        (
            json!({"from": {"time": "noon"}}),
            422,
            "invalid-document",
            "/from/time",
        ),
        (
            json!({"from": {"offsets": {}}}),
            422,
            "invalid-document",
            "/from/offsets",
        ),
        (
            json!({"from": {"offsets": {"2": 0}}}),
            422,
            "invalid-document",
            "/from/offsets/2",
        ),
        (
            json!({"from": {"offsets": {"out/0": 0}}}),
            422,
            "invalid-document",
            "/from/offsets/out~10",
        ),
        (
            json!({"from": "latest", "to": "earliest"}),
            422,
            "invalid-document",
            "/to",
        ),
        (
            json!({"from": {"offsets": {"0": 1000}}}),
            416,
            "offset-past-tail",
            "1000",
        ),
        (
            json!({"from": "earliest", "rate": 0}),
            422,
            "invalid-document",
            "/rate",
        ),
        (
            json!({"from": "earliest", "into": "nowhere"}),
            422,
            "invalid-document",
            "/into",
        ),
        (
            json!({"from": "earliest", "into": "in"}),
            422,
            "invalid-document",
            "/into",
        ),
        (
            json!({"from": "earliest", "into": "sandbar.dead-letters"}),
            422,
            "invalid-document",
            "/into",
        ),
        (
            json!({"from": "earliest", "into": "bound"}),
            422,
            "invalid-document",
            "/into",
        ),
        (
            json!({"from": "earliest", "sample": 101}),
            422,
            "invalid-document",
            "/sample",
        ),
        (
            json!({"from": "earliest", "until": "latest"}),
            422,
            "invalid-document",
            "until",
        ),
    ] {
        for dry_run in [false, true] {
            let mut request = request.clone();
            request["dry_run"] = json!(dry_run);
            let answer = hub.post("/v1/routes/r/replay", request).await;
            let problem = assert_problem(&answer, status, code);
            assert!(
                problem["detail"].as_str().unwrap().contains(place),
                "{place}: {problem}"
            );
        }
    }
    let no_target = hub
        .post("/v1/topics/in/replay", json!({"from": "earliest"}))
        .await;
    assert_problem(&no_target, 422, "invalid-document");
    let unknown = hub
        .post("/v1/routes/x/replay", json!({"from": "earliest"}))
        .await;
    assert_problem(&unknown, 404, "unknown-route");
    let unknown = hub
        .post(
            "/v1/topics/x/replay",
            json!({"from": "earliest", "into": "out"}),
        )
        .await;
    assert_problem(&unknown, 404, "unknown-topic");
    assert_eq!(hub.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
}

#[tokio::test]
async fn the_command_line_replays() {
    let hub = hub(1, route("s", json!({}))).await;
    hub.topic("side", json!({})).await;
    hub.accepted("in", &events(6, 2)).await;
    hub.settled("r").await;
    let plan = hub.sandbar(&["replay", "route", "r", "--from", "0:3", "--dry-run"]);
    assert!(
        plan.code == 0 && plan.stdout.contains("3 events"),
        "{plan:?}"
    );
    let job = hub
        .sandbar(&[
            "replay", "route", "r", "--from", "0:3", "--to", "0:5", "--json",
        ])
        .json();
    assert_eq!(job["progress"]["written"], json!({"out": 2}));
    let copied = hub.sandbar(&[
        "replay",
        "topic",
        "in",
        "--from",
        "earliest",
        "--into",
        "side",
        "--keep-ids",
    ]);
    assert!(
        copied.code == 0 && copied.stdout.contains("6 written to side"),
        "{copied:?}"
    );
    let begun = hub.sandbar(&[
        "replay",
        "topic",
        "in",
        "--from",
        "latest",
        "--into",
        "side",
        "--no-wait",
    ]);
    assert!(
        begun.code == 0 && begun.stdout.contains("sandbar job watch"),
        "{begun:?}"
    );
    assert_eq!(
        hub.sandbar(&[
            "replay",
            "topic",
            "in",
            "--from",
            "yesterday",
            "--into",
            "side"
        ])
        .code,
        2
    );
    assert_eq!(
        hub.sandbar(&["replay", "route", "none", "--from", "earliest"])
            .code,
        4
    );
}

#[tokio::test]
async fn a_replay_to_a_subscription_reaches_it_alone() {
    let hub = hub(1, route("s", json!({}))).await;
    let filtered = json!({"topics": ["in"], "filters": [{"prefix": {"id": "1"}}]});
    let _ = hub.put("/v1/subscriptions/s", filtered).await.expect(201);
    let _ = hub
        .put("/v1/subscriptions/other", json!({"topics": ["in"]}))
        .await
        .expect(201);
    hub.accepted("in", &events(20, 20)).await;
    hub.settled("r").await;
    let first = pull(&hub, "s", 11).await;
    assert_eq!(numbers(&first), [1, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19]);
    settle(&hub, "s", "ack", &first).await;
    let all = pull(&hub, "other", 20).await;
    settle(&hub, "other", "ack", &all).await;

    const REPLAY: &str = "/v1/subscriptions/s/replay";
    let request =
        json!({"from": {"offsets": {"0": 5}}, "to": {"offsets": {"0": 15}}, "dry_run": true});
    let plan = hub.post(REPLAY, request).await.expect(200);
    assert_eq!(
        (&plan["events"], &plan["parts"][0]["first"]["id"]),
        (&json!(10), &json!("5"))
    );
    assert!(pull(&hub, "s", 0).await.is_empty(), "nothing has changed");
    let request = json!({"from": {"offsets": {"0": 5}}, "to": {"offsets": {"0": 15}}});
    let id = begin(&hub, REPLAY, request).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        (&progress["done"], &progress["total"]),
        (&json!(10), &json!(10))
    );
    assert_eq!(
        (&progress["redriven"], &progress["left_out"]),
        (&json!(5), &json!({"filtered": 5})),
        "{progress}"
    );
    let mut again = pull(&hub, "s", 5).await;
    again.sort_by_key(|one| one["data"]["n"].as_u64());
    assert_eq!(
        numbers(&again),
        [10, 11, 12, 13, 14],
        "what the filters take"
    );
    settle(&hub, "s", "ack", &again).await;
    assert!(pull(&hub, "s", 0).await.is_empty());
    assert!(pull(&hub, "other", 0).await.is_empty());
    assert_eq!(hub.stored("out").await, 20, "nothing was written");

    for (request, place) in [
        (json!({"from": "earliest", "topic": "out"}), "/topic"),
        (json!({"from": "earliest", "rate": 0}), "/rate"),
        (json!({"from": {"time": "noon"}}), "/from/time"),
        (
            json!({"from": {"time": "2026-01-02T00:00:00Z"}, "to": {"time": "2026-01-01T00:00:00Z"}}),
            "/to/time",
        ),
    ] {
        let problem = assert_problem(&hub.post(REPLAY, request).await, 422, "invalid-document");
        assert!(
            problem["detail"].as_str().unwrap().contains(place),
            "{problem}"
        );
    }
    let unknown = hub
        .post("/v1/subscriptions/x/replay", json!({"from": "earliest"}))
        .await;
    assert_problem(&unknown, 404, "unknown-subscription");
    let ran = hub.sandbar(&["replay", "subscription", "s", "--from", "0:10", "--json"]);
    assert_eq!(ran.json()["progress"]["done"], 10);
    let ran = hub.sandbar(&["replay", "subscription", "s", "--from", "0:10", "--dry-run"]);
    assert!(
        ran.stdout.starts_with("10 events would be offered"),
        "{ran:?}"
    );
}
