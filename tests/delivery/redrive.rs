//! Dead letters put back: each once, in order, and only as often as is wanted.

use std::time::Instant;

use sandbar_tests::{Hub, assert_problem, event, json_event};
use serde_json::{Value, json};

use super::jobs::{begin, ended, hub, job_until, numbers, pull, read_partitions, route, settle};

const REDRIVE: &str = "/v1/dead-letters/redrive";

/// Events of which every `each`th is rejected as long as the step has the stamp `old`.
fn events(count: u64, keys: u64, each: u64) -> Vec<Value> {
    let event = |n: u64| {
        let mut data = json!({"n": n});
        if n.is_multiple_of(each) {
            data["do"] = json!("reject");
            data["at"] = json!("old");
        }
        json_event(&n.to_string(), &format!("key {}", n % keys), data)
    };
    (0..count).map(event).collect()
}

async fn mend(hub: &Hub) {
    let _ = hub
        .put("/v1/routes/r", route("new", json!({})))
        .await
        .expect(200);
}

#[tokio::test]
async fn what_was_rejected_passes_once_the_plugin_is_mended() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(30, 3, 5)).await;
    hub.dead_letters_until("", 6).await;
    hub.settled("r").await;
    mend(&hub).await;

    // A dry run tells, and changes nothing.
    let selection = json!({"route": "r", "cause": "rejected", "plugin": "mapper"});
    let plan = hub
        .post(REDRIVE, json!({"select": selection, "dry_run": true}))
        .await
        .expect(200);
    assert_eq!(
        (&plan["selected"], &plan["redrive"]),
        (&json!(6), &json!(6))
    );
    assert_eq!(plan["by_cause"], json!({"rejected": 6}));
    assert_eq!(plan["by_route"], json!({"r": 6}));
    assert_eq!(plan["by_key"], json!({"key 0": 2, "key 1": 2, "key 2": 2}));
    assert_eq!(plan["examples"][0]["event"]["id"], "0");
    assert_eq!(hub.stored("out").await, 24);
    assert_eq!(hub.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    let untouched = hub.dead_letters("redriven=false").await;
    assert_eq!(untouched.len(), 6);

    let request = json!({"select": selection, "reason": "mapper mended"});
    let id = begin(&hub, REDRIVE, request).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        (&progress["redriven"], &progress["done"], &progress["total"]),
        (&json!(6), &json!(6), &json!(6))
    );
    let status = hub.settled("r").await;
    let mut found = numbers(&hub.read_all("out", 0).await);
    for key in 0..3 {
        let of_key = found[24..].iter().filter(|n| **n % 3 == key);
        assert!(of_key.is_sorted(), "in their order: {found:?}");
    }
    found.sort_unstable();
    assert_eq!(found, (0..30).collect::<Vec<_>>());
    assert_eq!(
        (&status["counts"]["read"], &status["counts"]["redriven"]),
        (&json!(30), &json!(6)),
        "{status}"
    );

    // It is seen, recorded, and not done again.
    let letters = hub.dead_letters("redriven=true").await;
    assert_eq!(letters.len(), 6);
    for letter in &letters {
        assert_eq!(
            (&letter["redriven"]["job"], &letter["redriven"]["outcome"]),
            (&json!(id), &json!("done")),
            "{letter}"
        );
    }
    let job = hub.get(&format!("/v1/jobs/{id}")).await.expect(200);
    assert_eq!(
        (&job["by"], &job["reason"], &job["kind"]),
        (
            &json!("anonymous"),
            &json!("mapper mended"),
            &json!("redrive")
        )
    );
    assert_eq!(job["request"]["select"]["cause"], "rejected");
    let lineage = hub.get("/v1/events/in/0/5/lineage").await.expect(200);
    assert_eq!(lineage["routes"][0]["verdict"], "emitted", "{lineage}");
    let id = begin(&hub, REDRIVE, json!({"all": true})).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        (&progress["redriven"], &progress["left_out"]),
        (&json!(0), &json!({"already-redriven": 6}))
    );
    assert_eq!(hub.stored("out").await, 30);
}

#[tokio::test]
async fn letters_are_found_by_all_that_is_known_of_them() {
    let hub = hub(1, route("old", json!({"max_attempts": 3, "initial_ms": 1}))).await;
    let mut batch = events(10, 5, 5);
    batch.push(json_event(
        "again",
        "other",
        json!({"n": 10, "do": "retry", "reason": "closed"}),
    ));
    hub.accepted("in", &batch).await;
    let letters = hub.dead_letters_until("", 3).await;
    let id = letters[0]["id"].as_str().unwrap();
    let time = letters[2]["time"].as_str().unwrap();
    for (query, count) in [
        ("key=key%200", 2),
        ("key=other", 1),
        ("plugin=mapper", 3),
        ("plugin=mapper@1", 3),
        ("plugin=mapper@2", 0),
        ("plugin=map", 0),
        ("since=2020-01-01T00:00:00Z", 3),
        ("until=2020-01-01T00:00:00Z", 0),
        ("id=2", 1),
        ("id=r/in/0/5", 1),
        ("subscription=s", 0),
        ("redriven=true", 0),
        ("cause=retries-exhausted", 1),
        (&format!("since={}", time.replace('+', "%2B")), 1),
        (&format!("until={}", time.replace('+', "%2B")), 2),
    ] {
        assert_eq!(hub.dead_letters(query).await.len(), count, "{query}");
    }
    for bad in [
        "cause=boredom",
        "since=yesterday",
        "route=a/b",
        "since=5&until=4",
        "route=r&subscription=s",
    ] {
        let answer = hub.get(&format!("/v1/dead-letters?{bad}")).await;
        assert_problem(&answer, 400, "malformed-request");
    }
    let by_offset = hub.get("/v1/dead-letters/2").await.expect(200);
    assert_eq!(
        (&by_offset["offset"], &by_offset["event"]["id"]),
        (&json!(2), &json!("again"))
    );
    let history = by_offset["history"].as_array().expect("each attempt");
    assert_eq!(history.len(), 3, "{by_offset}");
    assert!(
        history
            .iter()
            .all(|one| one["at"].is_string() && one["reason"].as_str().unwrap().contains("closed")),
        "{by_offset}"
    );
    let by_id = hub
        .get(&format!("/v1/dead-letters/{}", id.replace('/', "%2F")))
        .await
        .expect(200);
    assert_eq!(by_id["id"], id);
    for missing in ["3", "r%2Fin%2F0%2F1", "x"] {
        assert_problem(
            &hub.get(&format!("/v1/dead-letters/{missing}")).await,
            404,
            "unknown-dead-letter",
        );
    }
}

#[tokio::test]
async fn redriven_events_of_a_key_keep_their_order_and_later_ones_stay_behind() {
    let hub = hub(1, route("s", json!({"max_attempts": 1}))).await;
    let again = |id: &str, n: u64| json_event(id, "k", json!({"n": n, "do": "retry", "times": 1}));
    hub.accepted("in", &[again("a", 0), again("b", 1)]).await;
    hub.dead_letters_until("", 2).await;
    hub.settled("r").await;
    // Now it is tried again, by an instance that has seen neither.
    let patient = route(
        "s2",
        json!({"max_attempts": 5, "initial_ms": 300, "max_ms": 300}),
    );
    let _ = hub.put("/v1/routes/r", patient).await.expect(200);
    let id = begin(&hub, REDRIVE, json!({"select": {"ids": ["r/in/0/1", "0"]}})).await;
    ended(&hub, &id, "done").await;
    let later = [
        json_event("c", "k", json!({"n": 2})),
        json_event("d", "l", json!({"n": 3})),
    ];
    hub.accepted("in", &later).await;
    let status = hub.settled("r").await;
    let found = numbers(&hub.read_all("out", 0).await);
    let of_key: Vec<_> = found.iter().filter(|n| **n != 3).copied().collect();
    assert_eq!(of_key, [0, 1, 2], "{found:?} {status}");
    assert_eq!(found.len(), 4);
    assert_eq!(status["counts"]["redriven"], 2);
}

#[tokio::test]
async fn what_comes_back_too_often_is_left_out() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(1, 1, 1)).await;
    for redrives in 0..3 {
        let letters = hub.dead_letters_until("", redrives + 1).await;
        let newest = letters.last().unwrap();
        assert_eq!(newest["redrives"], redrives, "{newest}");
        assert_eq!(newest["origin"]["offset"], 0);
        hub.settled("r").await;
        let request = json!({"select": {"route": "r"}, "max_redrives": 2});
        let plan = hub
            .post(
                REDRIVE,
                json!({"select": {"route": "r"}, "max_redrives": 2, "dry_run": true}),
            )
            .await
            .expect(200);
        let id = begin(&hub, REDRIVE, request).await;
        let progress = ended(&hub, &id, "done").await;
        let mut left_out = json!({});
        if redrives > 0 {
            left_out["already-redriven"] = json!(redrives);
        }
        if redrives == 2 {
            left_out["too-often"] = json!(1);
        }
        assert_eq!(plan["left_out"], left_out);
        assert_eq!(progress["redriven"], u64::from(redrives < 2), "{progress}");
        if redrives > 0 {
            assert_eq!(progress["left_out"], left_out);
            assert!(progress["advice"][0].is_string(), "{progress}");
        }
    }
    let letters = hub.dead_letters("").await;
    assert_eq!(letters.len(), 3, "it did not come back once more");
    let outcomes: Vec<_> = letters
        .iter()
        .map(|one| &one["redriven"]["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        [&json!("dead-letter"), &json!("dead-letter"), &Value::Null]
    );
    assert_eq!(letters[0]["redriven"]["dead_letter"], 1);
    let ids: std::collections::BTreeSet<_> =
        letters.iter().map(|one| one["id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "each letter has an id of its own");
}

#[tokio::test]
async fn what_is_gone_is_left_out_with_advice() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(2, 1, 1)).await;
    hub.dead_letters_until("", 2).await;
    hub.settled("r").await;
    let _ = hub.delete("/v1/routes/r").await.expect(204);
    let plan = hub
        .post(REDRIVE, json!({"all": true, "dry_run": true}))
        .await
        .expect(200);
    assert_eq!(plan["left_out"], json!({"route-gone": 2}));
    assert!(
        plan["advice"][0]
            .as_str()
            .unwrap()
            .contains("under the same name"),
        "{plan}"
    );
    // The topic is another one now, with one other event.
    let _ = hub.delete("/v1/topics/in").await.expect(204);
    hub.topic("in", json!({})).await;
    hub.accepted("in", &[event("other", json!({"n": 7}))]).await;
    hub.route("r", route("new", json!({}))).await;
    let id = begin(&hub, REDRIVE, json!({"all": true})).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        (&progress["redriven"], &progress["left_out"]),
        (&json!(0), &json!({"gone": 2}))
    );
    hub.settled("r").await;
    assert_eq!(numbers(&hub.read_all("out", 0).await), [7]);
}

#[tokio::test]
async fn bad_selections_are_refused() {
    let hub = Hub::start().await;
    for (request, place) in [
        (json!({}), "/select"),
        (json!({"select": {}}), "/select"),
        (json!({"all": true, "select": {"route": "r"}}), "/all"),
        (json!({"select": {"cause": "boredom"}}), "/select/cause"),
        (json!({"select": {"since": "yesterday"}}), "/select/since"),
        (
            json!({"select": {"since": "5", "until": "5"}}),
            "/select/until",
        ),
        (
            json!({"select": {"route": "r", "subscription": "s"}}),
            "/select/subscription",
        ),
        (json!({"select": {"route": "a/b"}}), "/select/route"),
        (json!({"select": {"rout": "r"}}), "rout"),
        (json!({"all": true, "rate": 0}), "/rate"),
        (json!({"all": true, "max_redrives": 0}), "/max_redrives"),
    ] {
        for dry_run in [false, true] {
            let mut request = request.clone();
            request["dry_run"] = json!(dry_run);
            let problem =
                assert_problem(&hub.post(REDRIVE, request).await, 422, "invalid-document");
            assert!(
                problem["detail"].as_str().unwrap().contains(place),
                "{place}: {problem}"
            );
        }
    }
    assert_eq!(hub.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    assert_problem(&hub.get("/v1/jobs/none").await, 404, "unknown-job");
    assert_problem(
        &hub.post("/v1/jobs/none/cancel", json!({})).await,
        404,
        "unknown-job",
    );
}

#[tokio::test]
async fn killed_in_the_middle_each_output_is_written_once() {
    const COUNT: u64 = 3000;
    const PARTITIONS: u32 = 2;
    let mut hub = hub(PARTITIONS, route("old", json!({}))).await;
    for part in events(COUNT, 40, 1).chunks(500) {
        hub.accepted("in", part).await;
    }
    hub.dead_letters_until("", usize::try_from(COUNT).unwrap())
        .await;
    hub.settled("r").await;
    mend(&hub).await;
    let seed = fastrand::u64(..);
    println!("seed {seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let id = begin(&hub, REDRIVE, json!({"all": true, "rate": 1500})).await;
    let mut kills = 0;
    loop {
        let before = job_until(&hub, &id, |_| true).await["progress"]["redriven"]
            .as_u64()
            .unwrap();
        let goal = before + random.u64(1..300);
        let job = job_until(&hub, &id, |progress| {
            progress["redriven"].as_u64() >= Some(goal)
        })
        .await;
        if job["state"] == "done" {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_micros(random.u64(0..5000))).await;
        hub.kill();
        if random.bool() {
            hub.start_and_kill(std::time::Duration::from_micros(random.u64(0..100_000)));
        }
        hub.restart().await;
        kills += 1;
    }
    assert!(kills > 0, "it was done before it was killed");
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(progress["redriven"], COUNT, "{progress}");
    hub.settled("r").await;
    let outputs = read_partitions(&hub, "out", PARTITIONS).await;
    let mut found = numbers(&outputs);
    for key in 0..40 {
        let of_key: Vec<_> = found.iter().filter(|n| *n % 40 == key).collect();
        assert!(of_key.is_sorted(), "key {key} is out of order: {of_key:?}");
    }
    found.sort_unstable();
    assert_eq!(found, (0..COUNT).collect::<Vec<_>>(), "after {kills} kills");
    assert_eq!(
        hub.tail("sandbar.dead-letters", 0).await,
        COUNT,
        "none came back"
    );
    assert!(hub.dead_letters("redriven=false").await.is_empty());
}

#[tokio::test]
async fn a_rate_is_kept_and_what_is_left_after_a_cancel_can_be_redriven() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(200, 10, 1)).await;
    hub.dead_letters_until("", 200).await;
    hub.settled("r").await;
    mend(&hub).await;
    let begun = Instant::now();
    let id = begin(&hub, REDRIVE, json!({"all": true, "rate": 20})).await;
    // The first at once, a second's worth may be saved up.
    let most =
        |begun: Instant| 20 + 1 + u64::try_from(begun.elapsed().as_millis()).unwrap() * 20 / 1000;
    for goal in [5, 15, 25] {
        let job = job_until(&hub, &id, |progress| {
            progress["redriven"].as_u64() >= Some(goal)
        })
        .await;
        let redriven = job["progress"]["redriven"].as_u64().unwrap();
        assert!(redriven <= most(begun), "{job}");
    }
    let second = begin(&hub, REDRIVE, json!({"select": {"key": "key 1"}})).await;
    let waiting = hub.get(&format!("/v1/jobs/{second}")).await.expect(200);
    assert_eq!(waiting["state"], "queued", "one at a time: {waiting}");
    let _ = hub
        .post(&format!("/v1/jobs/{second}/cancel"), json!({}))
        .await
        .expect(202);
    ended(&hub, &second, "cancelled").await;
    let _ = hub
        .post(&format!("/v1/jobs/{id}/cancel"), json!({}))
        .await
        .expect(202);
    let progress = ended(&hub, &id, "cancelled").await;
    let redriven = progress["redriven"].as_u64().unwrap();
    assert!((25..200).contains(&redriven), "{progress}");
    let again = hub.post(&format!("/v1/jobs/{id}/cancel"), json!({})).await;
    assert_problem(&again, 409, "job-over");
    let rest = begin(&hub, REDRIVE, json!({"all": true})).await;
    let progress = ended(&hub, &rest, "done").await;
    assert_eq!(progress["redriven"], 200 - redriven, "{progress}");
    hub.settled("r").await;
    let mut found = numbers(&hub.read_all("out", 0).await);
    found.sort_unstable();
    assert_eq!(found, (0..200).collect::<Vec<_>>());
}

#[tokio::test]
async fn a_paused_route_takes_them_and_works_them_when_it_goes_on() {
    let mut hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(4, 2, 1)).await;
    hub.dead_letters_until("", 4).await;
    hub.settled("r").await;
    mend(&hub).await;
    let _ = hub.post("/v1/routes/r/pause", json!({})).await.expect(200);
    let id = begin(&hub, REDRIVE, json!({"all": true})).await;
    ended(&hub, &id, "done").await;
    let letters = hub.dead_letters("").await;
    assert!(
        letters
            .iter()
            .all(|one| one["redriven"]["outcome"] == "waiting"),
        "{letters:?}"
    );
    assert!(hub.stop().success());
    hub.restart().await;
    assert_eq!(hub.stored("out").await, 0);
    let _ = hub.post("/v1/routes/r/resume", json!({})).await.expect(200);
    hub.settled("r").await;
    let mut found = numbers(&hub.read_all("out", 0).await);
    found.sort_unstable();
    assert_eq!(found, [0, 1, 2, 3]);
}

#[tokio::test]
async fn the_command_line_lists_shows_and_redrives() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &events(3, 1, 1)).await;
    hub.dead_letters_until("", 3).await;
    hub.settled("r").await;
    mend(&hub).await;
    let listed = hub.sandbar(&[
        "dead-letter",
        "list",
        "--key",
        "key 0",
        "--redriven",
        "false",
    ]);
    assert!(
        listed.code == 0 && listed.stdout.contains("as asked"),
        "{listed:?}"
    );
    for id in ["1", "r/in/0/1"] {
        let shown = hub.sandbar(&["dead-letter", "show", id]);
        assert!(
            shown.code == 0 && shown.stdout.contains("in/0/1"),
            "{shown:?}"
        );
    }
    assert_eq!(hub.sandbar(&["dead-letter", "show", "99"]).code, 4);
    assert_eq!(
        hub.sandbar(&["dead-letter", "redrive"]).code,
        1,
        "nothing is selected"
    );
    let plan = hub.sandbar(&["dead-letter", "redrive", "--route", "r", "--dry-run"]);
    assert!(
        plan.stdout.contains("3 selected, 3 would be redriven"),
        "{plan:?}"
    );
    let job = hub
        .sandbar(&[
            "dead-letter",
            "redrive",
            "1",
            "--reason",
            "by hand",
            "--json",
        ])
        .json();
    assert_eq!(
        (&job["state"], &job["progress"]["redriven"]),
        (&json!("done"), &json!(1)),
        "{job}"
    );
    let rest = hub.sandbar(&["dead-letter", "redrive", "--all"]);
    assert!(
        rest.code == 0 && rest.stdout.contains("2 redriven"),
        "{rest:?}"
    );
    let id = job["id"].as_str().unwrap();
    let jobs = hub.sandbar(&["job", "list"]);
    assert!(
        jobs.stdout.contains(id) && jobs.stdout.contains("by hand"),
        "{jobs:?}"
    );
    for command in ["show", "watch"] {
        let shown = hub.sandbar(&["job", command, id]);
        assert!(
            shown.code == 0 && shown.stdout.contains("1 of 1 done"),
            "{shown:?}"
        );
    }
    assert_eq!(hub.sandbar(&["job", "cancel", id]).code, 1, "it is over");
}

#[tokio::test]
async fn a_subscriptions_dead_letters_are_delivered_to_it_again() {
    let hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    for name in ["s", "other"] {
        let _ = hub
            .put(
                &format!("/v1/subscriptions/{name}"),
                json!({"topics": ["in"]}),
            )
            .await
            .expect(201);
    }
    let events: Vec<Value> = (0..4)
        .map(|n| json_event(&n.to_string(), &format!("k{n}"), json!({"n": n})))
        .collect();
    hub.accepted("in", &events).await;
    let other = pull(&hub, "other", 4).await;
    settle(&hub, "other", "ack", &other).await;
    let pulled = pull(&hub, "s", 4).await;
    settle(&hub, "s", "reject", &pulled[1..3]).await;
    settle(&hub, "s", "ack", &[pulled[0].clone(), pulled[3].clone()]).await;
    let letters = hub.dead_letters_until("subscription=s", 2).await;
    assert_eq!(letters[0]["redrives"], 0);
    let plan = hub
        .post(
            REDRIVE,
            json!({"select": {"subscription": "s"}, "dry_run": true}),
        )
        .await
        .expect(200);
    assert_eq!(plan["by_subscription"], json!({"s": 2}), "{plan}");

    let id = begin(&hub, REDRIVE, json!({"select": {"subscription": "s"}})).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(progress["redriven"], 2, "{progress}");
    let waiting = hub.dead_letters("redriven=true").await;
    assert_eq!(waiting[0]["redriven"]["outcome"], "waiting", "{waiting:?}");
    let again = pull(&hub, "s", 2).await;
    assert_eq!(numbers(&again), [1, 2]);
    settle(&hub, "s", "ack", &again[..1]).await;
    settle(&hub, "s", "reject", &again[1..]).await;
    let letters = hub.dead_letters_until("subscription=s", 3).await;
    assert_eq!(letters[2]["redrives"], 1, "{}", letters[2]);
    let outcomes: Vec<_> = letters
        .iter()
        .map(|one| &one["redriven"]["outcome"])
        .collect();
    assert_eq!(
        outcomes,
        [&json!("done"), &json!("dead-letter"), &Value::Null]
    );
    assert!(
        pull(&hub, "other", 0).await.is_empty(),
        "nobody else sees them"
    );

    let _ = hub.delete("/v1/subscriptions/s").await.expect(204);
    let id = begin(&hub, REDRIVE, json!({"all": true})).await;
    let progress = ended(&hub, &id, "done").await;
    assert_eq!(
        progress["left_out"],
        json!({"already-redriven": 2, "subscription-gone": 1})
    );
}
