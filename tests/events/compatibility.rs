//! Contracts as agreements: what may follow, what is refused and shown why, what it would touch.

use sandbar_tests::{Hub, Ran, assert_problem, event};
use serde_json::{Value, json};

fn order(total: Value) -> Value {
    json!({"type": "object", "properties": {"total": total}, "required": ["total"]})
}

async fn register(hub: &Hub, name: &str, schema: Value) -> sandbar_tests::Answer {
    hub.post(
        &format!("/v1/contracts/{name}/versions"),
        json!({"schema": schema}),
    )
    .await
}

#[tokio::test]
async fn what_breaks_the_rule_is_refused_with_rule_place_and_counterexample() {
    let mut hub = Hub::start().await;
    let document =
        json!({"compatibility": "backward", "owner": "orders", "description": "an order"});
    let made = hub
        .put("/v1/contracts/order", document.clone())
        .await
        .expect(201);
    assert_eq!(
        (&made["policy"], &made["versions"]),
        (&json!("strict"), &json!([]))
    );
    let _ = register(&hub, "order", order(json!({"type": "number"})))
        .await
        .expect(201);
    let problem = assert_problem(
        &register(&hub, "order", order(json!({"type": "integer"}))).await,
        409,
        "incompatible-contract",
    );
    let error = &problem["errors"][0];
    assert_eq!(
        (
            &error["rule"],
            &error["pointer"],
            &error["direction"],
            &error["version"]
        ),
        (
            &json!("type-narrowed"),
            &json!("/schema/properties/total/type"),
            &json!("backward"),
            &json!(1)
        ),
        "{problem}"
    );
    // The first version takes what is shown, the new one would not.
    let shown = event("shown", error["counterexample"].clone());
    let check = json!({"version": 1, "events": [shown.clone()]});
    let fits = hub
        .post("/v1/contracts/order/check", check)
        .await
        .expect(200);
    assert_eq!(fits["results"][0]["valid"], true, "{fits}");
    let check = json!({"schema": order(json!({"type": "integer"})), "events": [shown]});
    let refused = hub
        .post("/v1/contracts/order/check", check)
        .await
        .expect(200);
    assert_eq!(refused["results"][0]["valid"], false, "{refused}");
    // A wider one follows; the same again is the version that there is; the rule outlives a restart.
    let wider = order(json!({"type": ["number", "string"]}));
    assert_eq!(
        register(&hub, "order", wider.clone()).await.expect(201)["version"],
        2
    );
    assert_eq!(
        register(&hub, "order", wider).await.expect(200)["version"],
        2
    );
    hub.stop();
    hub.restart().await;
    let found = hub.get("/v1/contracts/order").await.expect(200);
    assert_eq!(
        (&found["compatibility"], &found["owner"]),
        (&json!("backward"), &json!("orders"))
    );
    assert_eq!(found["versions"].as_array().unwrap().len(), 2);
    let _ = hub.delete("/v1/contracts/order").await.expect(204);
    assert_problem(
        &hub.get("/v1/contracts/order").await,
        404,
        "unknown-contract",
    );
}

#[tokio::test]
async fn transitive_looks_at_all_versions_and_none_at_no_one() {
    let hub = Hub::start().await;
    let versions = [
        json!({"type": "string"}),
        json!({"type": ["string", "null"]}),
    ];
    for name in ["free", "chain", "whole"] {
        let _ = register(&hub, name, order(json!({"enum": ["a", "b"]})))
            .await
            .expect(201);
        let _ = register(&hub, name, order(versions[0].clone()))
            .await
            .expect(201);
    }
    let put = |name: &str, rule: &str| {
        (
            format!("/v1/contracts/{name}"),
            json!({"compatibility": rule}),
        )
    };
    for (name, rule) in [("chain", "forward"), ("whole", "forward-transitive")] {
        let (path, document) = put(name, rule);
        let _ = hub.put(&path, document).await.expect(200);
    }
    // Each value fits the latest version, and one of them not the first.
    let narrowed = order(json!({"enum": ["a", "c"]}));
    let _ = register(&hub, "free", narrowed.clone()).await.expect(201);
    let _ = register(&hub, "chain", narrowed.clone()).await.expect(201);
    let problem = assert_problem(
        &register(&hub, "whole", narrowed).await,
        409,
        "incompatible-contract",
    );
    assert_eq!(problem["errors"][0]["version"], 1, "{problem}");
    assert_eq!(
        problem["errors"][0]["counterexample"],
        json!({"total": "c"})
    );
}

#[tokio::test]
async fn unknown_is_refused_unless_it_is_accepted_and_that_is_kept() {
    let hub = Hub::start().await;
    let _ = hub
        .put("/v1/contracts/code", json!({"compatibility": "backward"}))
        .await
        .expect(201);
    let pattern = |text: &str| json!({"type": "string", "pattern": text});
    let _ = register(&hub, "code", pattern("^[a-z]+$"))
        .await
        .expect(201);
    let wider = pattern("^[a-z0-9]+$");
    let problem = assert_problem(
        &register(&hub, "code", wider.clone()).await,
        409,
        "incompatible-contract",
    );
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("could not be decided"),
        "{problem}"
    );
    assert!(
        problem["errors"][0]["counterexample"].is_null(),
        "{problem}"
    );
    let path = "/v1/contracts/code/versions?accept_unknown=true";
    let taken = hub.post(path, json!({"schema": wider})).await.expect(201);
    assert_eq!(taken["accepted_unknown"], true);
    let incompatible = hub.post(path, json!({"schema": {"type": "integer"}})).await;
    assert_problem(&incompatible, 409, "incompatible-contract");
    let listed = hub.get("/v1/contracts/code").await.expect(200);
    assert_eq!(listed["versions"][1]["accepted_unknown"], true, "{listed}");
}

#[tokio::test]
async fn strict_and_lenient_differ_on_properties_added_to_open_models() {
    let hub = Hub::start().await;
    let one = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let two = json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "integer"}}});
    for (policy, status) in [("strict", 409), ("lenient", 201)] {
        let document = json!({"compatibility": "backward", "policy": policy});
        let _ = hub
            .put(&format!("/v1/contracts/{policy}"), document)
            .await
            .expect(201);
        let _ = register(&hub, policy, one.clone()).await.expect(201);
        let answer = register(&hub, policy, two.clone()).await.expect(status);
        if status == 409 {
            assert_eq!(
                answer["errors"][0]["rule"], "property-added-open-model",
                "{answer}"
            );
        }
    }
}

#[tokio::test]
async fn a_type_that_goes_is_an_incompatibility_of_its_own() {
    let hub = Hub::start().await;
    let schema = json!({"$defs": {"a": {"type": "string"}, "b": {"type": "integer"}}});
    let path = "/v1/contracts/typed/versions";
    let both = json!({"schema": schema, "types": {"a": "#/$defs/a", "b": "#/$defs/b"}});
    let _ = hub.post(path, both).await.expect(201);
    let _ = hub
        .put("/v1/contracts/typed", json!({"compatibility": "backward"}))
        .await
        .expect(200);
    let fewer = json!({"schema": schema, "types": {"a": "#/$defs/a"}});
    let problem = assert_problem(&hub.post(path, fewer).await, 409, "incompatible-contract");
    let error = &problem["errors"][0];
    assert_eq!(
        (&error["rule"], &error["type"]),
        (&json!("type-removed"), &json!("b")),
        "{problem}"
    );
    assert!(error["counterexample"].is_i64(), "{problem}");
}

#[tokio::test]
async fn a_dry_run_names_topics_routes_and_stored_events() {
    let hub = Hub::start().await;
    hub.contract("order", order(json!({"type": "number"})))
        .await;
    hub.topic("source", json!({})).await;
    hub.topic("orders", json!({"contract": "order", "partitions": 2}))
        .await;
    hub.route("copy", json!({"from": "source", "to": ["orders"]}))
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
    let request = json!({"schema": order(json!({"type": "integer"}))});
    let answer = hub
        .post("/v1/contracts/order/compatibility", request)
        .await
        .expect(200);
    assert_eq!(
        (&answer["answer"], &answer["refused"]),
        (&json!("incompatible"), &json!(false)),
        "{answer}"
    );
    assert_eq!(
        answer["against"][0]["forward"]["answer"], "compatible",
        "{answer}"
    );
    let topic = &answer["topics"][0];
    assert_eq!(
        (&topic["topic"], &topic["writers"][0]["route"]),
        (&json!("orders"), &json!("copy"))
    );
    let held = &topic["events"];
    assert_eq!(
        (&held["checked"], &held["refused"]),
        (&json!(20), &json!(5)),
        "{answer}"
    );
    assert_eq!(
        held["examples"][0]["violations"][0]["pointer"], "/data/total",
        "{answer}"
    );
    // Nothing came of it.
    let versions = hub.get("/v1/contracts/order/versions").await.expect(200);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 1);
    let bad = json!({"schema": {}, "rule": "sideways"});
    assert_problem(
        &hub.post("/v1/contracts/order/compatibility", bad).await,
        422,
        "invalid-document",
    );
}

#[tokio::test]
async fn schemas_that_lead_back_to_themselves_are_refused_and_the_hub_goes_on() {
    let hub = Hub::start().await;
    for schema in [
        json!({"anyOf": [{"type": "string"}, {"$ref": "#"}]}),
        json!({"allOf": [{"properties": {"a": {"$ref": "#", "unevaluatedItems": {"multipleOf": 1}}}}]}),
    ] {
        let answer = register(&hub, "circle", schema).await;
        let problem = assert_problem(&answer, 422, "invalid-schema");
        assert!(
            problem["detail"]
                .as_str()
                .unwrap()
                .contains("leads back to itself"),
            "{problem}"
        );
    }
    assert_eq!(hub.get("/healthz").await.status, 200);
}

#[tokio::test]
async fn the_command_line_checks_with_a_hub_and_without() {
    let hub = Hub::start().await;
    hub.contract("order", order(json!({"type": "number"})))
        .await;
    let folder = tempfile::TempDir::new().unwrap();
    let write = |name: &str, schema: &Value| {
        let path = folder.path().join(name);
        std::fs::write(&path, schema.to_string()).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let narrow = write("narrow.json", &order(json!({"type": "integer"})));
    let wide = write("wide.json", &order(json!({"type": ["number", "null"]})));
    let refused = hub.sandbar(&[
        "contract",
        "check",
        &narrow,
        "--against",
        "order",
        "--rule",
        "backward",
    ]);
    assert_eq!(refused.code, 1, "{refused:?}");
    for words in [
        "type-narrowed",
        "/properties/total/type",
        "shown by {\"total\":",
    ] {
        assert!(refused.stdout.contains(words), "{words}: {refused:?}");
    }
    let fine = hub.sandbar(&[
        "contract",
        "check",
        &wide,
        "--against",
        "order@1",
        "--rule",
        "backward",
        "--json",
    ]);
    assert_eq!(fine.json()["answer"], "compatible");
    // Without a hub: nothing listens there.
    let alone = |arguments: &[&str]| {
        let mut all = vec!["--url", "http://127.0.0.1:9", "contract"];
        all.extend(arguments);
        Ran::new(&all, "")
    };
    let earlier = folder.path().join("earlier");
    std::fs::create_dir(&earlier).unwrap();
    for (number, kind) in [(2, "number"), (10, "integer")] {
        let schema = order(json!({"type": kind}));
        std::fs::write(earlier.join(format!("v{number}.json")), schema.to_string()).unwrap();
    }
    let earlier = earlier.to_str().unwrap();
    assert_eq!(alone(&["check", &narrow, "--folder", earlier]).code, 0);
    let all = alone(&[
        "check",
        &narrow,
        "--folder",
        earlier,
        "--rule",
        "backward-transitive",
    ]);
    assert_eq!(all.code, 1, "{all:?}");
    let pattern = |text: &str| json!({"type": "string", "pattern": text});
    let (old, new) = (
        write("old.json", &pattern("^[a-z]+$")),
        write("new.json", &pattern("^[a-z0-9]+$")),
    );
    assert_eq!(alone(&["check", &new, "--folder", &old]).code, 8);
    let diff = alone(&["diff", &wide, &narrow]);
    assert_eq!(diff.code, 1, "{diff:?}");
    assert!(diff.stdout.contains("~ /properties/total/type"), "{diff:?}");
    assert_eq!(alone(&["diff", &wide, &wide]).code, 0);
    let set = hub.sandbar(&[
        "contract",
        "set",
        "order",
        "--compatibility",
        "full",
        "--owner",
        "us",
        "--json",
    ]);
    assert_eq!(set.json()["compatibility"], "full");
    assert_eq!(hub.sandbar(&["contract", "push", "order", &narrow]).code, 1);
}
