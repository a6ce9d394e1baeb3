//! Events that cannot be processed: each parked with its cause, and only it.

use sandbar_tests::{Hub, event, json_event};
use serde_json::{Value, json};

use super::{data, step};

/// A hub with a route `r` from `in` to `out` through the mapper with narrow limits.
async fn hub(retry: Value) -> Hub {
    let hub = Hub::start().await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    let mut step = step("s");
    step["limits"] = json!({"deadline_ms": 300, "memory_bytes": 33_554_432, "output_bytes": 1_048_576, "outputs_per_event": 10});
    hub.route(
        "r",
        json!({"from": "in", "steps": [step], "to": ["out"], "retry": retry}),
    )
    .await;
    hub
}

#[tokio::test]
async fn a_rejected_event_becomes_a_dead_letter_with_the_original() {
    let hub = hub(json!({})).await;
    let mut rejected = event("bad", json!({"do": "reject", "reason": "no such customer"}));
    rejected["subject"] = json!("customer 9");
    rejected["tier"] = json!("gold");
    hub.accepted("in", &[event("good", json!({})), rejected.clone()])
        .await;
    let letters = hub.dead_letters_until("route=r", 1).await;
    let letter = &letters[0];
    assert_eq!(letter["cause"], "rejected");
    assert!(
        letter["reason"]
            .as_str()
            .unwrap()
            .contains("no such customer"),
        "{letter}"
    );
    assert_eq!(
        (&letter["route"], &letter["step"], &letter["plugin"]),
        (&json!("r"), &json!(0), &json!("mapper@1"))
    );
    assert!(
        letter["digest"].as_str().unwrap().starts_with("sha256:"),
        "{letter}"
    );
    assert_eq!(letter["attempts"], 1);
    assert_eq!(
        letter["origin"],
        json!({"topic": "in", "partition": 0, "offset": 1})
    );
    for attribute in [
        "id",
        "source",
        "type",
        "subject",
        "tier",
        "data",
        "datacontenttype",
    ] {
        assert_eq!(letter["event"][attribute], rejected[attribute], "{letter}");
    }
    let status = hub.settled("r").await;
    assert_eq!(
        (
            &status["counts"]["rejected"],
            &status["counts"]["dead_letters"]
        ),
        (&json!(1), &json!(1)),
        "{status}"
    );
    // Found by what it is, and by nothing else.
    for (query, count) in [
        ("cause=rejected", 1),
        ("cause=trap", 0),
        ("topic=in", 1),
        ("topic=out", 0),
        ("route=other", 0),
    ] {
        assert_eq!(hub.dead_letters(query).await.len(), count, "{query}");
    }
    let lineage = hub.get("/v1/events/in/0/1/lineage").await.expect(200);
    assert_eq!(lineage["routes"][0]["verdict"], "dead-letter", "{lineage}");
}

#[tokio::test]
async fn a_poisonous_event_is_parked_and_no_other() {
    for (harm, cause) in [
        ("trap", "trap"),
        ("loop", "deadline"),
        ("allocate", "memory"),
        ("swell", "output-limit"),
    ] {
        let hub = hub(json!({"max_attempts": 1})).await;
        let events: Vec<Value> = (0..100)
            .map(|n| {
                let data = if n == 37 || n == 80 {
                    json!({"n": n, "do": harm})
                } else {
                    json!({"n": n})
                };
                json_event(&n.to_string(), &format!("key {}", n % 10), data)
            })
            .collect();
        hub.accepted("in", &events).await;
        let letters = hub.dead_letters_until("route=r", 2).await;
        let status = hub.settled("r").await;
        let parked: Vec<_> = letters
            .iter()
            .map(|one| {
                (
                    one["event"]["data"]["n"].as_u64().unwrap(),
                    one["cause"].as_str().unwrap(),
                )
            })
            .collect();
        assert_eq!(parked, [(37, cause), (80, cause)], "{harm}: {status}");
        let outputs = hub.read_all("out", 0).await;
        let numbers: Vec<u64> = outputs
            .iter()
            .map(|one| one["data"]["n"].as_u64().unwrap())
            .collect();
        let mut sorted = numbers.clone();
        sorted.sort_unstable();
        let wanted: Vec<u64> = (0..100).filter(|n| *n != 37 && *n != 80).collect();
        assert_eq!(sorted, wanted, "{harm}: every other event is through, once");
        for key in 0..10 {
            let of_key: Vec<_> = numbers.iter().filter(|n| *n % 10 == key).collect();
            assert!(
                of_key.is_sorted(),
                "{harm}: key {key} is out of order: {of_key:?}"
            );
        }
        assert_eq!(hub.get("/readyz").await.status, 200);
    }
}

#[tokio::test]
async fn too_many_outputs_are_refused() {
    let hub = hub(json!({"max_attempts": 1})).await;
    hub.accepted(
        "in",
        &[
            event("many", json!({"copies": 11})),
            event("few", json!({"copies": 10})),
        ],
    )
    .await;
    let letters = hub.dead_letters_until("route=r", 1).await;
    assert_eq!(
        (&letters[0]["cause"], &letters[0]["event"]["id"]),
        (&json!("output-limit"), &json!("many"))
    );
    hub.settled("r").await;
    assert_eq!(
        hub.read_all("out", 0).await.len(),
        10,
        "outputs of one event stand or fall together"
    );
}

#[tokio::test]
async fn retries_end_with_a_dead_letter() {
    let hub = hub(json!({"max_attempts": 3, "initial_ms": 1, "max_ms": 5})).await;
    let events = [
        json_event(
            "never",
            "k",
            json!({"n": 0, "do": "retry", "reason": "the shop is closed"}),
        ),
        json_event("behind", "k", json!({"n": 1})),
        json_event("second", "l", json!({"n": 2, "do": "retry", "times": 1})),
    ];
    hub.accepted("in", &events).await;
    let letters = hub.dead_letters_until("route=r", 1).await;
    let status = hub.settled("r").await;
    assert_eq!(hub.dead_letters("").await.len(), 1);
    assert_eq!(
        (&letters[0]["cause"], &letters[0]["attempts"]),
        (&json!("retries-exhausted"), &json!(3))
    );
    assert!(
        letters[0]["reason"]
            .as_str()
            .unwrap()
            .contains("the shop is closed"),
        "{}",
        letters[0]
    );
    let mut ids: Vec<Value> = hub
        .read_all("out", 0)
        .await
        .iter()
        .map(|one| one["id"].clone())
        .collect();
    ids.sort_by_key(ToString::to_string);
    assert_eq!(ids, ["behind", "second"]);
    assert_eq!(
        status["counts"]["retries"], 3,
        "two of the first, one of the third: {status}"
    );
}

#[tokio::test]
async fn an_undeclared_target_is_told() {
    let hub = hub(json!({})).await;
    hub.topic("other", json!({})).await;
    hub.accepted(
        "in",
        &[
            event("1", json!({"targets": ["out", "other"]})),
            event("2", json!({})),
        ],
    )
    .await;
    let letters = hub.dead_letters_until("route=r", 1).await;
    assert_eq!(
        (&letters[0]["cause"], &letters[0]["event"]["id"]),
        (&json!("undeclared-target"), &json!("1"))
    );
    assert!(
        letters[0]["reason"].as_str().unwrap().contains("other"),
        "{}",
        letters[0]
    );
    hub.settled("r").await;
    assert_eq!(
        hub.read_all("out", 0).await.len(),
        1,
        "the good output of the bad event is not written either"
    );
    assert_eq!(hub.stored("other").await, 0);
}

#[tokio::test]
async fn outputs_must_fit_the_contract_of_their_target() {
    let hub = Hub::start().await;
    hub.contract("small", json!({"properties": {"n": {"maximum": 10}}}))
        .await;
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({"contract": "small@1"})).await;
    hub.topic("free", json!({})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [step("s")], "to": ["free", "out"]}),
    )
    .await;
    let both = json!(["free", "out"]);
    let events: Vec<Value> = [5, 50, 7]
        .map(|n| event(&n.to_string(), json!({"n": n, "targets": both})))
        .into();
    hub.accepted("in", &events).await;
    let letters = hub.dead_letters_until("cause=contract", 1).await;
    hub.settled("r").await;
    assert_eq!(letters[0]["event"]["id"], "50");
    let reason = letters[0]["reason"].as_str().unwrap();
    assert!(
        reason.contains("/n") && reason.contains("small@1"),
        "{reason}"
    );
    for target in ["free", "out"] {
        let numbers: Vec<Value> = data(&hub.read_all(target, 0).await)
            .iter()
            .map(|one| one["n"].clone())
            .collect();
        assert_eq!(numbers, [json!(5), json!(7)], "{target}");
    }
}

#[tokio::test]
async fn an_event_that_the_plugin_cannot_read_is_rejected() {
    let hub = hub(json!({})).await;
    let text = sandbar_tests::Publish::binary("text/plain", "text", "hello");
    let _ = hub.publish("in", text).await.expect(200);
    let letters = hub.dead_letters_until("route=r", 1).await;
    assert_eq!(letters[0]["cause"], "rejected");
    assert_eq!(letters[0]["event"]["data"], "hello");
}

#[tokio::test]
async fn dead_letters_come_in_pages_and_can_be_read_like_events() {
    let mut hub = hub(json!({})).await;
    let events: Vec<Value> = (0..25)
        .map(|n| event(&n.to_string(), json!({"do": "reject"})))
        .collect();
    hub.accepted("in", &events).await;
    hub.dead_letters_until("", 25).await;
    hub.settled("r").await;
    hub.kill();
    hub.restart().await;
    hub.settled("r").await;
    let first = hub.get("/v1/dead-letters?limit=10").await.expect(200);
    let next = first["next"].as_str().expect("there is more");
    let second = hub
        .get(&format!("/v1/dead-letters?limit=100&after={next}"))
        .await
        .expect(200);
    let ids: Vec<Value> = [&first, &second]
        .into_iter()
        .flat_map(|page| page["dead_letters"].as_array().unwrap())
        .map(|one| one["event"]["id"].clone())
        .collect();
    assert_eq!(
        ids,
        (0..25).map(|n| json!(n.to_string())).collect::<Vec<_>>()
    );
    assert_eq!(second["next"], Value::Null);
    assert_eq!(hub.read_all("sandbar.dead-letters", 0).await.len(), 25);
}
