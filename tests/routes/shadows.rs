//! Shadows: a candidate beside what a route runs.

use sandbar_tests::{Hub, assert_problem, event, guest, variant};
use serde_json::{Value, json};

use super::step;

const SHADOW: &str = "/v1/routes/r/shadow";

/// A hub with `mapper` 1 and 2 and the route `r` with the step `first`.
async fn hub(plugin: &str) -> Hub {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({"partitions": 2})).await;
    }
    hub.mapper().await;
    let second = variant("guest-mapper", "second");
    let _ = hub.upload("mapper", "2", second).await.expect(201);
    let _ = hub
        .put(
            "/v1/plugins/mapper/channels/stable",
            json!({"version": "1"}),
        )
        .await
        .expect(201);
    let mut step = step("first");
    step["plugin"] = json!(plugin);
    hub.route("r", json!({"from": "in", "steps": [step], "to": ["out"]}))
        .await;
    hub
}

/// Waits until the shadow's report is as wanted.
async fn until(hub: &Hub, wanted: impl Fn(&Value) -> bool) -> Value {
    hub.until(SHADOW, "report", "the report does not come to be", wanted)
        .await
}

#[tokio::test]
async fn what_differs_is_counted_by_verdict_and_place_and_nothing_is_written() {
    let mut hub = hub("mapper@1").await;
    let events = [
        event("same", json!({"n": 1})),
        event("dropped", json!({"n": 2, "at": "other", "do": "drop"})),
        event(
            "twice",
            json!({"n": 3, "at": "other", "do": "emit", "copies": 2}),
        ),
    ];
    hub.accepted("in", &events).await;
    hub.settled("r").await;
    let document = json!({"plugin": "mapper@2", "config": {"stamp": "other"}, "start": "earliest"});
    let _ = hub.put(SHADOW, document).await.expect(201);
    let report = until(&hub, |report| report["compared"] == 3).await;
    assert_eq!(
        (&report["same"], &report["differing"]),
        (&json!(0), &json!(3)),
        "{report}"
    );
    assert_eq!(report["verdicts"], json!({"emit → drop": 1}));
    let places = &report["places"];
    assert_eq!(
        places["/outputs/*/event/data/trail/*"],
        json!({"added": 0, "removed": 0, "changed": 2}),
        "{places}"
    );
    assert_eq!(
        places["/outputs/*"],
        json!({"added": 1, "removed": 0, "changed": 0})
    );
    assert_eq!(
        places["/outputs"],
        json!({"added": 0, "removed": 1, "changed": 0})
    );
    let examples = report["examples"].as_array().unwrap();
    let dropped = examples.iter().find(|one| one["id"] == "dropped").unwrap();
    assert_eq!(
        (&dropped["topic"], &dropped["active"], &dropped["candidate"]),
        (&json!("in"), &json!("emit"), &json!("drop"))
    );
    for side in ["active", "candidate"] {
        assert!(
            report[side]["nanoseconds_per_event"].as_u64() > Some(0),
            "{report}"
        );
        assert!(report[side]["memory_bytes"].as_u64() > Some(0), "{report}");
    }
    // What is published from now on is compared too, also after a restart, and the report goes on.
    hub.stop();
    hub.restart().await;
    hub.accepted("in", &[event("later", json!({"n": 4}))]).await;
    let report = until(&hub, |report| report["compared"] == 4).await;
    assert_eq!(report["differing"], 4, "{report}");
    hub.settled("r").await;
    assert_eq!(
        hub.stored("out").await,
        4,
        "what the route emits, and no more"
    );
    assert_eq!(hub.route_status("r").await["active"], json!(["mapper@1"]));
}

#[tokio::test]
async fn a_candidate_that_does_the_same_takes_over_by_its_policy() {
    let hub = hub("mapper@1").await;
    let document = json!({"plugin": "mapper@2", "promote": {"after_events": 5}});
    let _ = hub.put(SHADOW, document).await.expect(201);
    for number in 0..5 {
        assert_eq!(
            hub.get("/v1/routes/r").await.expect(200)["steps"][0]["plugin"],
            "mapper@1"
        );
        let event = event(&number.to_string(), json!({"n": number}));
        hub.accepted("in", &[event]).await;
    }
    let report = until(&hub, |report| report["state"] == "promoted").await;
    assert_eq!(
        (&report["compared"], &report["same"]),
        (&json!(5), &json!(5))
    );
    assert_eq!(report["promotion"]["by"], "sandbar");
    assert!(
        report["promotion"]["reason"]
            .as_str()
            .unwrap()
            .contains("0 of 5 events differ"),
        "{report}"
    );
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["plugin"], "mapper@2");
    hub.route_until("r", "runs the old version", |status| {
        status["active"] == json!(["mapper@2"])
    })
    .await;
    let again = hub.post(&format!("{SHADOW}/promote"), json!({})).await;
    assert_problem(&again, 409, "shadow-over");
}

#[tokio::test]
async fn one_that_differs_does_not_take_over_by_itself() {
    let hub = hub("mapper@1").await;
    let document = json!({"plugin": "mapper@2", "config": {"stamp": "other"}, "max_events": 4,
        "promote": {"after_events": 2, "max_differing": 0.5}});
    let _ = hub.put(SHADOW, document).await.expect(201);
    let events: Vec<_> = (0..6)
        .map(|n| event(&n.to_string(), json!({"n": n})))
        .collect();
    hub.accepted("in", &events).await;
    let report = until(&hub, |report| report["state"] == "done").await;
    assert_eq!(
        (&report["compared"], &report["differing"]),
        (&json!(4), &json!(4))
    );
    assert_eq!(
        hub.get("/v1/routes/r").await.expect(200)["steps"][0]["plugin"],
        "mapper@1"
    );
}

#[tokio::test]
async fn promoting_moves_the_channel_that_the_step_names() {
    let hub = hub("mapper@stable").await;
    let ran = hub.sandbar(&["shadow", "start", "r", "mapper@2", "--from", "earliest"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    hub.accepted("in", &[event("a", json!({"n": 1}))]).await;
    until(&hub, |report| report["compared"] == 1).await;
    let shown = hub.sandbar(&["shadow", "show", "r"]);
    assert!(
        shown
            .stdout
            .contains("1 events compared, 1 the same, 0 differ"),
        "{shown:?}"
    );
    let ran = hub.sandbar(&["shadow", "promote", "r", "--reason", "looked at it"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    let channel = hub
        .get("/v1/plugins/mapper/channels/stable")
        .await
        .expect(200);
    assert_eq!(channel["version"], "2");
    assert_eq!(channel["history"][1]["reason"], "looked at it");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["plugin"], "mapper@stable");
    hub.route_until("r", "runs the old version", |status| {
        status["active"] == json!(["mapper@2"])
    })
    .await;
}

#[tokio::test]
async fn what_a_person_changed_is_not_undone_by_what_was_compared_before() {
    let hub = hub("mapper@1").await;
    let document =
        json!({"plugin": "mapper@2", "promote": {"after_events": 4, "max_differing": 1.0}});
    let _ = hub.put(SHADOW, document).await.expect(201);
    let some = |from: u32| -> Vec<_> {
        (from..from + 3)
            .map(|n| event(&n.to_string(), json!({"n": n})))
            .collect()
    };
    hub.accepted("in", &some(0)).await;
    until(&hub, |report| report["compared"] == 3).await;
    let mended = json!({"from": "in", "steps": [step("mended")], "to": ["out"]});
    let _ = hub.put("/v1/routes/r", mended).await.expect(200);
    // What was compared with the old step does not count any more.
    let report = until(&hub, |report| report["restarted"] == 1).await;
    assert_eq!(report["compared"], 0, "{report}");
    hub.accepted("in", &some(3)).await;
    let report = until(&hub, |report| report["compared"] == 3).await;
    assert_eq!(report["state"], "comparing", "{report}");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["config"], step("mended")["config"]);

    // Nor where nothing is compared any more.
    let document = json!({"plugin": "mapper@2", "start": "earliest", "max_events": 2});
    let _ = hub.put(SHADOW, document).await.expect(200);
    until(&hub, |report| report["state"] == "done").await;
    let other = json!({"from": "in", "steps": [step("other")], "to": ["out"]});
    let _ = hub.put("/v1/routes/r", other).await.expect(200);
    let refused = hub.post(&format!("{SHADOW}/promote"), json!({})).await;
    let problem = assert_problem(&refused, 409, "shadow-over");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("runs something else now"), "{problem}");
}

#[tokio::test]
async fn promoting_a_config_leaves_the_channel_where_it_is() {
    let hub = hub("mapper@stable").await;
    for (candidate, named) in [("mapper@1", "mapper@stable"), ("mapper@2", "mapper@2")] {
        let document = json!({"plugin": candidate, "config": {"stamp": candidate}});
        let put = hub.put(SHADOW, document).await;
        assert!(put.status < 300, "{put:?}");
        let promoted = hub.post(&format!("{SHADOW}/promote"), json!({})).await;
        let _ = promoted.expect(200);
        let route = hub.get("/v1/routes/r").await.expect(200);
        assert_eq!(route["steps"][0]["plugin"], named);
        assert_eq!(route["steps"][0]["config"]["stamp"], candidate);
        let channel = hub.get("/v1/plugins/mapper/channels/stable").await;
        assert_eq!(channel.expect(200)["version"], "1");
    }
}

#[tokio::test]
async fn what_is_wrong_with_a_shadow_is_said() {
    let hub = hub("mapper@1").await;
    assert_problem(&hub.get(SHADOW).await, 404, "unknown-shadow");
    let nowhere = hub
        .put("/v1/routes/x/shadow", json!({"plugin": "mapper@2"}))
        .await;
    assert_problem(&nowhere, 404, "unknown-route");
    let refused = [
        (json!({"plugin": "mapper@9"}), "/plugin"),
        (json!({"plugin": "mapper@2", "step": 1}), "/step"),
        (
            json!({"plugin": "mapper@2", "max_events": 0}),
            "/max_events",
        ),
        (
            json!({"plugin": "mapper@2", "promote": {"after_events": 0}}),
            "/promote/after_events",
        ),
        (
            json!({"plugin": "mapper@2", "promote": {"after_events": 1, "max_differing": 2}}),
            "/promote/max_differing",
        ),
        (
            json!({"plugin": "mapper@2", "max_events": 1, "promote": {"after_events": 2}}),
            "/promote/after_events",
        ),
    ];
    for (document, place) in refused {
        let problem = assert_problem(&hub.put(SHADOW, document).await, 422, "invalid-document");
        assert!(
            problem["detail"].as_str().unwrap().starts_with(place),
            "{problem}"
        );
    }
    let _ = hub
        .upload("capable", "1", guest("guest-capabilities"))
        .await
        .expect(201);
    let ungranted = hub.put(SHADOW, json!({"plugin": "capable@1"})).await;
    assert_problem(&ungranted, 422, "grant-missing");
    assert_problem(&hub.get(SHADOW).await, 404, "unknown-shadow");

    let _ = hub
        .put(SHADOW, json!({"plugin": "mapper@2"}))
        .await
        .expect(201);
    let in_use = hub.delete("/v1/plugins/mapper/versions/2").await;
    let problem = assert_problem(&in_use, 409, "plugin-in-use");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("the shadow of r"),
        "{problem}"
    );
    assert_eq!(hub.delete(SHADOW).await.status, 204);
    assert_eq!(
        hub.delete("/v1/plugins/mapper/versions/2").await.status,
        204
    );
}

/// Who follows hears of each event that differs once, waits where there is nothing, and is told when
/// the shadow is gone.
#[tokio::test]
async fn differences_are_followed_as_events_come() {
    let hub = hub("mapper@1").await;
    let document = json!({"plugin": "mapper@2", "config": {"stamp": "other"}});
    let _ = hub.put(SHADOW, document).await.expect(201);
    let at = |after: u64, wait: u64| format!("{SHADOW}/differences?after={after}&wait={wait}");
    let nothing = hub.get(&at(0, 0)).await.expect(200);
    assert_eq!(
        (&nothing["compared"], &nothing["differences"]),
        (&json!(0), &json!([]))
    );
    for number in 0..3_u64 {
        let id = number.to_string();
        let path = at(number, 60);
        let waiting = hub.get(&path);
        let event = [event(&id, json!({"n": number}))];
        let publishing = hub.accepted("in", &event);
        let (told, _) = tokio::join!(waiting, publishing);
        let told = told.expect(200);
        assert_eq!(told["compared"], number + 1, "{told}");
        assert_eq!(told["plugin"], "mapper@2");
        let differences = told["differences"].as_array().unwrap();
        assert_eq!(differences.len(), 1, "{told}");
        assert_eq!(differences[0]["id"], *id);
    }
    let path = at(3, 60);
    let (gone, _) = tokio::join!(hub.get(&path), hub.delete(SHADOW));
    assert_problem(&gone, 404, "unknown-shadow");
    for bad in ["wait=61", "after=-1", "limit=1"] {
        let refused = hub.get(&format!("{SHADOW}/differences?{bad}")).await;
        assert_problem(&refused, 400, "malformed-request");
    }
}
