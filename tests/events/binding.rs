//! Binding a topic that holds events to another contract: what is stored is held against it, listed, and in
//! the way unless it is forced, which is recorded.

use sandbar_tests::{Hub, assert_problem, event};
use serde_json::{Value, json};

fn order(total: &str) -> Value {
    json!({"type": "object", "properties": {"total": {"type": total}}, "required": ["total"]})
}

/// A topic of two partitions with 20 orders, of which every fourth has a broken total; contract `order` in
/// version 1, which takes all, and version 2, which takes whole totals only.
async fn hub() -> Hub {
    let hub = Hub::start().await;
    hub.contract("order", order("number")).await;
    hub.contract("order", order("integer")).await;
    hub.topic("orders", json!({"contract": "order@1", "partitions": 2}))
        .await;
    let events: Vec<Value> = (0..20)
        .map(|number| {
            let total = if number % 4 == 0 {
                json!(0.5)
            } else {
                json!(number)
            };
            event(&format!("e{number}"), json!({"total": total}))
        })
        .collect();
    let _ = hub.accepted("orders", &events).await;
    hub
}

const BOUND_TO_2: &str = "/v1/topics/orders";

fn to(contract: &str) -> Value {
    json!({"contract": contract, "partitions": 2})
}

#[tokio::test]
async fn a_contract_that_refuses_stored_events_is_not_bound() {
    let hub = hub().await;
    let refused = hub.put(BOUND_TO_2, to("order@2")).await;
    let problem = assert_problem(&refused, 409, "stored-events-refused");
    assert_eq!(
        problem["detail"],
        "of the last 20 events of topic orders contract order@2 refuses 5"
    );
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(errors.len(), 5, "{problem}");
    for error in errors {
        assert_eq!(error["pointer"], "/data/total", "{error}");
        assert!(
            error["reason"].as_str().unwrap().starts_with("orders/"),
            "{error}"
        );
    }
    // Nothing has changed: the old contract holds, and nothing is recorded.
    let topic = hub.get("/v1/topics/orders").await.expect(200);
    assert_eq!(
        (&topic["contract"], &topic["binding"]),
        (&json!("order@1"), &Value::Null)
    );
    let _ = hub
        .accepted("orders", &[event("half", json!({"total": 0.5}))])
        .await;
}

#[tokio::test]
async fn forced_it_is_bound_and_that_is_recorded() {
    let mut hub = hub().await;
    let answer = hub
        .put(
            "/v1/topics/orders?force=true&reason=cleaned%20up%20later",
            to("order@2"),
        )
        .await
        .expect(200);
    let binding = answer["binding"].clone();
    assert_eq!(
        (
            &binding["forced"],
            &binding["checked"],
            &binding["refused"],
            &binding["reason"]
        ),
        (
            &json!(true),
            &json!(20),
            &json!(5),
            &json!("cleaned up later")
        ),
        "{answer}"
    );
    assert!(
        binding["at"].is_string() && binding["by"].is_string(),
        "{binding}"
    );
    // What is stored stays; what comes has to fit.
    assert_eq!(hub.stored("orders").await, 20);
    let late = hub
        .publish(
            "orders",
            sandbar_tests::Publish::structured(&event("late", json!({"total": 0.5}))),
        )
        .await;
    assert_problem(&late, 422, "contract-violation");
    // It is there after a restart, and after another change of the topic; a new contract has its own.
    hub.stop();
    hub.restart().await;
    let topic = hub.get("/v1/topics/orders").await.expect(200);
    assert_eq!(topic["binding"], binding);
    let mut document = to("order@2");
    document["max_event_bytes"] = json!(5000);
    let changed = hub.put("/v1/topics/orders", document).await.expect(200);
    assert_eq!(changed["binding"], binding);
    let back = hub
        .put("/v1/topics/orders", to("order@1"))
        .await
        .expect(200);
    assert_eq!(
        (&back["binding"]["forced"], &back["binding"]["refused"]),
        (&Value::Null, &json!(0)),
        "{back}"
    );
}

#[tokio::test]
async fn so_many_of_the_last_events_count_as_are_asked_for() {
    let hub = hub().await;
    // The last of each partition: whatever they are, four are looked at.
    let answer = hub
        .post(
            "/v1/topics/orders/binding",
            json!({"contract": "order@2", "events": 4}),
        )
        .await
        .expect(200);
    assert_eq!(answer["events"]["checked"], 4, "{answer}");
    let whole: Vec<Value> = (0..40)
        .map(|n| event(&format!("w{n}"), json!({"total": n})))
        .collect();
    let _ = hub.accepted("orders", &whole).await;
    let tail = |partition| hub.read_all("orders", partition);
    let fits = [tail(0).await, tail(1).await].iter().all(|events| {
        events
            .iter()
            .rev()
            .take(1)
            .all(|event| event["data"]["total"].is_i64())
    });
    assert!(fits, "the last of each partition are whole");
    let _ = hub
        .put("/v1/topics/orders?events=2", to("order@2"))
        .await
        .expect(200);
    let too_many = hub
        .put("/v1/topics/orders?events=100001", to("order@1"))
        .await;
    assert_problem(&too_many, 400, "malformed-request");
}

#[tokio::test]
async fn what_it_would_mean_can_be_asked_before() {
    let hub = hub().await;
    let asked = |request: Value| hub.post("/v1/topics/orders/binding", request);
    let answer = asked(json!({"contract": "order"})).await.expect(200);
    assert_eq!(
        (
            &answer["contract"],
            &answer["refused"],
            &answer["events"]["refused"]
        ),
        (&json!("order@2"), &json!(true), &json!(5)),
        "{answer}"
    );
    assert_eq!(answer["events"]["examples"].as_array().unwrap().len(), 5);
    // A schema that is not registered.
    let answer = asked(json!({"schema": {"type": "object"}}))
        .await
        .expect(200);
    assert_eq!(
        (&answer["contract"], &answer["refused"]),
        (&Value::Null, &json!(false)),
        "{answer}"
    );
    for (request, status, code) in [
        (json!({}), 422, "invalid-document"),
        (
            json!({"contract": "order", "schema": {}}),
            422,
            "invalid-document",
        ),
        (json!({"contract": "missing"}), 404, "unknown-contract"),
        (json!({"schema": {"type": 5}}), 422, "invalid-schema"),
        (
            json!({"contract": "order", "events": 100_001}),
            422,
            "invalid-document",
        ),
    ] {
        assert_problem(&asked(request).await, status, code);
    }
    let missing = hub
        .post("/v1/topics/missing/binding", json!({"contract": "order"}))
        .await;
    assert_problem(&missing, 404, "unknown-topic");
    // Nothing came of it.
    let topic = hub.get("/v1/topics/orders").await.expect(200);
    assert_eq!(topic["contract"], "order@1");
}

#[tokio::test]
async fn the_command_line_says_it_refuses_and_forces() {
    let hub = hub().await;
    let check = hub.sandbar(&["topic", "check", "orders", "--contract", "order@2"]);
    assert_eq!(check.code, 1, "{check:?}");
    assert!(
        check
            .stdout
            .starts_with("5 of the last 20 events would be refused\n"),
        "{check:?}"
    );
    assert!(check.stdout.contains("/data/total"), "{check:?}");
    let create = ["topic", "create", "orders", "--contract", "order@2"];
    let refused = hub.sandbar(&create);
    assert!(
        refused.code != 0 && refused.stderr.contains("/data/total"),
        "{refused:?}"
    );
    let forced = hub.sandbar(&[&create[..], &["--force", "--reason", "agreed"]].concat());
    assert_eq!(forced.code, 0, "{forced:?}");
    assert!(
        forced.stdout.contains("bound       FORCED, by "),
        "{forced:?}"
    );
    assert!(
        forced
            .stdout
            .contains("(agreed); it refused 5 of the last 20 events"),
        "{forced:?}"
    );
    let check = hub.sandbar(&["topic", "check", "orders", "--contract", "order@1"]);
    assert_eq!(check.code, 0, "{check:?}");
}

#[tokio::test]
async fn apply_says_it_before_anything_is_changed() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbar.yaml");
    let mut third = order("integer");
    third["description"] = json!("new");
    std::fs::write(folder.path().join("order.json"), third.to_string()).unwrap();
    let yaml = "contracts:\n  order: {schema: order.json, compatibility: none, owner: team-orders}\ntopics:\n  orders: {contract: order, partitions: 2}\n  fresh: {contract: order}\n";
    std::fs::write(&file, yaml).unwrap();
    let file = file.to_str().unwrap();
    let refused = hub.sandbar(&["apply", "-f", file]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused
            .stdout
            .contains("events: 5 of the last 20 events would be refused"),
        "{refused:?}"
    );
    assert!(
        refused.stderr.contains("nothing was changed"),
        "{refused:?}"
    );
    let versions = hub.get("/v1/contracts/order/versions").await.expect(200);
    assert_eq!(
        versions["versions"].as_array().unwrap().len(),
        2,
        "nothing was registered"
    );
    assert_eq!(hub.get("/v1/topics/fresh").await.status, 404);

    let forced = hub.sandbar(&["apply", "-f", file, "--force", "--reason", "agreed"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    let topic = hub.get("/v1/topics/orders").await.expect(200);
    assert_eq!(
        (
            &topic["contract"],
            &topic["binding"]["forced"],
            &topic["binding"]["reason"]
        ),
        (&json!("order@3"), &json!(true), &json!("agreed")),
        "{topic}"
    );
    let again = hub.sandbar(&["apply", "-f", file]);
    assert_eq!(again.code, 0, "{again:?}");
    assert!(again.stdout.ends_with("nothing to do\n"), "{again:?}");
}

#[tokio::test]
async fn apply_sets_rule_policy_and_owner_before_versions() {
    let hub = Hub::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sandbar.yaml");
    let write = |entry: &str, schema: &Value| {
        std::fs::write(folder.path().join("order.json"), schema.to_string()).unwrap();
        std::fs::write(
            &file,
            format!("contracts:\n  order: {{schema: order.json, {entry}}}\n"),
        )
        .unwrap();
    };
    let apply = || hub.sandbar(&["apply", "-f", file.to_str().unwrap()]);
    write(
        "compatibility: backward, policy: lenient, owner: team-orders",
        &order("number"),
    );
    let made = apply();
    assert_eq!(made.code, 0, "{made:?}");
    assert!(
        made.stdout.contains("compatibility: null → \"backward\""),
        "{made:?}"
    );
    let contract = hub.get("/v1/contracts/order").await.expect(200);
    assert_eq!(
        (
            &contract["compatibility"],
            &contract["policy"],
            &contract["owner"]
        ),
        (&json!("backward"), &json!("lenient"), &json!("team-orders")),
        "{contract}"
    );
    assert!(apply().stdout.ends_with("nothing to do\n"));
    // The rule counts at once.
    write("owner: team-orders", &order("integer"));
    let refused = apply();
    assert!(
        refused.code != 0 && refused.stderr.contains("backward"),
        "{refused:?}"
    );
    // What the file does not say stays as it is.
    write("compatibility: none, deprecated: true", &order("integer"));
    let changed = apply();
    assert_eq!(changed.code, 0, "{changed:?}");
    let contract = hub.get("/v1/contracts/order").await.expect(200);
    assert_eq!(
        (
            &contract["compatibility"],
            &contract["policy"],
            &contract["owner"],
            &contract["deprecated"]
        ),
        (
            &json!("none"),
            &json!("lenient"),
            &json!("team-orders"),
            &json!(true)
        ),
        "{contract}"
    );
    // Words that there are not are told with their line.
    write("compatibility: sideways", &order("integer"));
    let slip = apply();
    assert!(
        slip.code != 0 && slip.stderr.contains("sandbar.yaml:2:"),
        "{slip:?}"
    );
}
