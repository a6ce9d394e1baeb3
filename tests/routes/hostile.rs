//! Plugins that do harm, on a hub that others use: what they do is told, others lose nothing, memory
//! comes back. What each guest does to the runtime alone is tested in `host/plugin/tests/runtime`;
//! `docs/hostile-guests.md` has the list.

use sandbar_tests::{Hub, WATCHDOG, assert_problem, guest, json_event, repository, variant};
use serde_json::{Value, json};

/// An event of the type that tells the hostile guest what to do.
fn hostile_event(id: &str, kind: &str) -> Value {
    let mut event = json_event(id, id, json!({}));
    event["type"] = json!(kind);
    event
}

/// A hub with a route `quiet`, and a route `hostile` through the guest that does harm.
async fn hub() -> Hub {
    let hub = Hub::start().await;
    for topic in ["in", "out", "bad", "bad.out"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    let hostile = hub.upload("hostile", "1", guest("guest-hostile")).await;
    let _ = hostile.expect(201);
    let quiet = json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out"]});
    hub.route("quiet", quiet).await;
    let limits = json!({"deadline_ms": 300, "output_bytes": 4_194_304});
    let step = json!({"plugin": "hostile@1", "limits": limits});
    let hostile =
        json!({"from": "bad", "steps": [step], "to": ["bad.out"], "retry": {"max_attempts": 1}});
    hub.route("hostile", hostile).await;
    hub
}

/// Publishes `count` events on the quiet route, one after the other; their outputs come before the next.
async fn quiet_events(hub: &Hub, from: usize, count: usize) {
    for number in from..from + count {
        let event = json_event(&number.to_string(), "key", json!({"n": number}));
        hub.accepted("in", &[event]).await;
        hub.wait_at("out", 0, number as u64, WATCHDOG.as_secs_f64())
            .await;
    }
}

/// Resident memory of the hub, in bytes.
fn memory(hub: &Hub) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib: u64 = line
        .unwrap()
        .trim()
        .trim_end_matches(" kB")
        .parse()
        .unwrap();
    kib * 1024
}

#[tokio::test]
async fn each_harm_is_told_and_another_route_loses_nothing() {
    let hub = hub().await;
    let harms = [
        ("loop", Some("deadline")),
        ("trap", Some("trap")),
        ("recurse", Some("trap")),
        ("memory", Some("memory")),
        ("huge", Some("output-limit")),
        ("fan-out", Some("output-limit")),
        ("target", Some("undeclared-target")),
        ("half", Some("undeclared-target")),
        ("lie-fewer", Some("bad-answer")),
        ("lie-counts", Some("bad-answer")),
        ("lie-ends", Some("bad-answer")),
        ("lie-backwards", Some("bad-answer")),
        ("lie-utf8", Some("bad-answer")),
        ("lie-has-data", Some("bad-answer")),
        ("lie-extensions", Some("bad-answer")),
        ("bad-time", Some("bad-answer")),
        ("chatter", None),
        ("keep", None),
    ];
    let (mut parked, mut quiet, mut outputs) = (0, 0, Vec::new());
    for (kind, cause) in harms {
        let events: Vec<Value> = (0..60)
            .map(|n| {
                let what = if n == 17 || n == 40 { kind } else { "pass" };
                let mut event = hostile_event(&format!("{kind}-{n}"), what);
                event["subject"] = json!("nowhere");
                event
            })
            .collect();
        hub.accepted("bad", &events).await;
        quiet_events(&hub, quiet, 20).await;
        quiet += 20;
        let found = hub.settled("hostile").await;
        let letters = hub.dead_letters("route=hostile").await.split_off(parked);
        let causes: Vec<&str> = letters
            .iter()
            .map(|letter| letter["cause"].as_str().unwrap())
            .collect();
        let wanted: Vec<&str> = cause.into_iter().flat_map(|cause| [cause; 2]).collect();
        assert_eq!(causes, wanted, "{kind}: {letters:?} {found}");
        parked += letters.len();
        let harmed = |id: &str| cause.is_some() && (id.ends_with("-17") || id.ends_with("-40"));
        let ids = events.iter().map(|event| event["id"].as_str().unwrap());
        outputs.extend(ids.filter(|id| !harmed(id)).map(str::to_owned));
    }
    let read: Vec<Value> = hub.read_all("bad.out", 0).await;
    let read: Vec<&str> = read.iter().map(|one| one["id"].as_str().unwrap()).collect();
    assert_eq!(
        read, outputs,
        "every other event of the hostile route is through, in order"
    );
    let numbers: Vec<Value> = hub
        .read_all("out", 0)
        .await
        .iter()
        .map(|one| one["data"]["n"].clone())
        .collect();
    assert_eq!(numbers, (0..quiet).map(|n| json!(n)).collect::<Vec<_>>());
    assert_eq!(hub.get("/readyz").await.status, 200);
}

#[tokio::test]
async fn memory_comes_back() {
    let hub = hub().await;
    let mut after_round = Vec::new();
    for round in 0..6 {
        let harms = ["memory", "huge", "keep", "keep", "keep", "trap", "chatter"];
        let events: Vec<Value> = (0..70)
            .map(|n| hostile_event(&format!("{round}-{n}"), harms[n % harms.len()]))
            .collect();
        hub.accepted("bad", &events).await;
        hub.settled("hostile").await;
        after_round.push(memory(&hub));
    }
    // 20 MB outputs, 64 MB of memory, 8 MB more at each third event, all ten times a round.
    let (first, last) = (after_round[0], after_round[5]);
    assert!(
        last < first + (64 << 20),
        "it grows from round to round: {after_round:?}"
    );
    // The idle route gives its instance back.
    let begin = std::time::Instant::now();
    while memory(&hub) > 300 << 20 {
        assert!(
            begin.elapsed() < WATCHDOG,
            "{} of {after_round:?}",
            memory(&hub)
        );
        quiet_events(&hub, hub.tail("out", 0).await as usize, 1).await;
    }
}

#[tokio::test]
async fn what_hangs_while_it_starts_makes_no_route_and_holds_up_no_other() {
    let hub = hub().await;
    let seed = |name: &str| {
        let path = format!("host/plugin/fuzz/seeds/{name}.wasm");
        std::fs::read(repository().join(path)).unwrap()
    };
    let _ = hub
        .upload("starts", "1", seed("endless-start"))
        .await
        .expect(201);
    let mut route = json!({"from": "bad", "to": ["bad.out"], "steps": [{"plugin": "starts@1"}]});
    let at_start = hub.put("/v1/routes/other", route.clone());
    let (refused, ()) = tokio::join!(at_start, quiet_events(&hub, 0, 50));
    let problem = assert_problem(&refused, 422, "invalid-plugin");
    let detail = problem["detail"].as_str().unwrap();
    assert!(detail.contains("did not start within 1000 ms"), "{detail}");
    for (config, said) in [
        ("loop", "did not start within"),
        ("trap", "trapped in configure as asked"),
        ("refuse", "refused as asked"),
    ] {
        route["steps"] = json!([{"plugin": "hostile@1", "config": config}]);
        let refused = hub.put("/v1/routes/other", route.clone()).await;
        assert_eq!(refused.status, 422, "{config}");
        assert!(refused.text.contains(said), "{config}: {}", refused.text);
    }
    assert_eq!(hub.get("/v1/routes/other").await.status, 404);
    assert_eq!(hub.read_all("out", 0).await.len(), 50);
}

#[tokio::test]
async fn routes_that_hang_do_not_keep_others_waiting() {
    let hub = hub().await;
    // More of them than there are threads, and each event keeps its thread for a while.
    for number in 0..8 {
        let source = format!("hang.{number}");
        hub.topic(&source, json!({})).await;
        let limits = json!({"deadline_ms": 2000});
        let step = json!({"plugin": "hostile@1", "limits": limits});
        let route = json!({"from": source, "to": ["bad.out"], "steps": [step], "retry": {"max_attempts": 1}});
        hub.route(&format!("hang-{number}"), route).await;
        hub.accepted(
            &source,
            &[hostile_event("1", "loop"), hostile_event("2", "loop")],
        )
        .await;
    }
    quiet_events(&hub, 0, 40).await;
    // All of it came through while they hung.
    let letters = hub.dead_letters("cause=deadline").await;
    assert!(letters.len() < 16, "the quiet route waited for them");
    let letters = hub.dead_letters_until("cause=deadline", 16).await;
    assert_eq!(letters.len(), 16);
}

#[tokio::test]
async fn more_routes_than_instances_all_get_their_turn() {
    let hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    let routes = 300;
    for number in 0..routes {
        let step = json!({"plugin": "mapper@1", "config": {"stamp": number.to_string()}});
        let route = json!({"from": "in", "to": ["out"], "steps": [step]});
        hub.route(&format!("r{number}"), route).await;
    }
    for round in 0..3 {
        let events: Vec<Value> = (0..5)
            .map(|n| json_event(&format!("{round}-{n}"), "k", json!({"n": n})))
            .collect();
        hub.accepted("in", &events).await;
    }
    let outputs = hub.read_until("out", 0, routes * 15).await;
    assert_eq!(outputs.len(), routes * 15);
    let mut per_route = std::collections::BTreeMap::<String, usize>::new();
    for output in &outputs {
        *per_route
            .entry(output["data"]["trail"].to_string())
            .or_default() += 1;
    }
    assert!(per_route.len() == routes && per_route.values().all(|count| *count == 15));
    assert_eq!(hub.stored("sandbar.dead-letters").await, 0);
    assert!(!hub.log().contains("stalled"), "{}", hub.log());
}

#[tokio::test]
async fn a_large_upload_is_compiled_while_others_are_served() {
    let hub = hub().await;
    let large = hub.upload("large", "1", variant("jq", "another"));
    let quiet = quiet_events(&hub, 0, 100);
    let compiled = async {
        let answer = large.await;
        (answer, hub.tail("out", 0).await)
    };
    let ((uploaded, through), ()) = tokio::join!(compiled, quiet);
    assert_eq!(uploaded.status, 201, "{}", uploaded.text);
    assert!(through > 0, "nothing came through while it was compiled");
}
