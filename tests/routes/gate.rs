//! The activation gate: what its inputs show keeps a route, a version or a contract from going live.

use sandbar_tests::{Answer, Hub, assert_problem, event, guest, variant};
use serde_json::{Value, json};

const ORDER: &str = "order";
const INVOICE: &str = "invoice";

/// What orders are.
fn order() -> Value {
    json!({
        "type": "object",
        "required": ["id", "price"],
        "properties": {
            "id": {"type": "string", "minLength": 1},
            "price": {"type": "number", "minimum": 0, "maximum": 100_000},
            "discount": {"type": "number", "minimum": 0, "maximum": 100},
            "customer": {"type": "string"},
            "lines": {"type": "array", "items": {"type": "object"}},
            "note": {"type": ["string", "null"]},
        },
    })
}

/// What invoices are.
fn invoice() -> Value {
    json!({
        "type": "object",
        "required": ["order", "total"],
        "properties": {"order": {"type": "string"}, "total": {"type": "number"}, "initial": {"type": "string"}},
    })
}

/// A hub with the topics `orders` and `invoices`, both with a contract, and the plugin `edges`, version 1.
async fn hub() -> Hub {
    let hub = Hub::start().await;
    hub.contract(ORDER, order()).await;
    hub.contract(INVOICE, invoice()).await;
    hub.topic("orders", json!({"contract": ORDER})).await;
    hub.topic("invoices", json!({"contract": INVOICE})).await;
    let _ = hub
        .upload("edges", "1", guest("guest-edges"))
        .await
        .expect(201);
    hub
}

/// The route with a mistake of the plugin, or with none.
fn with(mistake: Option<&str>) -> Value {
    let config = mistake.map_or(Value::Null, |mistake| json!({"mistake": mistake}));
    json!({"from": "orders", "to": ["invoices"], "steps": [
        {"plugin": "edges@1", "config": config, "limits": {"deadline_ms": 100}}
    ]})
}

async fn put(hub: &Hub, document: Value) -> Answer {
    hub.put("/v1/routes/r", document).await
}

/// The only failure of the only route.
fn failure(problem: &Value) -> Value {
    let gate = problem["gate"].as_array().unwrap();
    let failures = gate[0]["failures"].as_array().unwrap();
    assert_eq!((gate.len(), failures.len()), (1, 1), "{problem}");
    failures[0].clone()
}

#[tokio::test]
async fn a_mistake_at_an_edge_is_refused_with_the_smallest_input() {
    let mut hub = hub().await;
    let refused = put(&hub, with(Some("optional-member"))).await;
    let problem = assert_problem(&refused, 409, "activation-refused");
    let failure = failure(&problem);
    assert_eq!(failure["cause"], "contract");
    // All that is not needed is left out: an order is an id and a price.
    let data = failure["input"]["data"].as_object().unwrap();
    assert_eq!(data.len(), 2, "{failure}");
    assert_eq!(data["price"], 0);
    assert_eq!(data["id"].as_str().map(str::len), Some(1));
    assert_eq!(failure["outputs"][0]["target"], "invoices");
    assert_eq!(failure["outputs"][0]["contract"], "invoice@1");
    assert_eq!(
        failure["outputs"][0]["event"]["data"]["total"],
        "as ordered"
    );
    assert_eq!(failure["violations"][0]["pointer"], "/data/total");
    assert_eq!(
        failure["violations"][0]["schema_pointer"],
        "/properties/total/type"
    );
    assert_eq!(failure["plugin"], "edges@1");
    assert_eq!(problem["errors"][0]["pointer"], "/data/total");
    let report = &problem["gate"][0];
    assert_eq!(
        (&report["route"], &report["seed"]),
        (&json!("r"), &json!(1))
    );
    assert!(report["generated"]["failed"].as_u64() > Some(1), "{report}");
    assert!(
        report["again"].as_str().unwrap().contains("--seed 1"),
        "{report}"
    );
    // Nothing has changed, neither now nor after a restart.
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
    hub.kill();
    hub.restart().await;
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");

    let made = put(&hub, with(None)).await.expect(201);
    let gate = &made["activation"]["gate"];
    assert_eq!(gate["outcome"], "passed", "{made}");
    assert!(gate["generated"].as_u64() >= Some(100), "{made}");
    assert!(made.get("forced").is_none(), "{made}");
}

#[tokio::test]
async fn what_breaks_a_plugin_at_an_edge_is_refused() {
    let hub = hub().await;
    for (mistake, cause, wanted) in [
        ("letters", "trap", "customer"),
        ("endless", "deadline", "lines"),
        ("many", "output-limit", "price"),
    ] {
        let refused = put(&hub, with(Some(mistake))).await;
        let problem = assert_problem(&refused, 409, "activation-refused");
        let failure = failure(&problem);
        assert_eq!(failure["cause"], cause, "{failure}");
        let data = &failure["input"]["data"];
        assert!(
            data.get(wanted).is_some() && data.get("note").is_none(),
            "{failure}"
        );
    }
    // The trap was found with one letter of more than one byte.
    let problem = put(&hub, with(Some("letters"))).await;
    let failure = failure(&assert_problem(&problem, 409, "activation-refused"));
    let customer = failure["input"]["data"]["customer"].as_str().unwrap();
    assert!(
        customer.chars().count() == 1 && customer.len() > 1,
        "{failure}"
    );
    assert!(
        failure["reason"]
            .as_str()
            .unwrap()
            .contains("char boundary"),
        "{failure}"
    );
    assert!(
        failure["backtrace"]
            .as_str()
            .is_some_and(|text| !text.is_empty()),
        "{failure}"
    );
}

#[tokio::test]
async fn what_is_rejected_is_counted_and_no_failure() {
    let hub = hub().await;
    let made = put(&hub, with(Some("notes"))).await.expect(201);
    assert_eq!(made["activation"]["gate"]["outcome"], "passed");
    let report = hub.post("/v1/routes/r/gate", json!({})).await.expect(200);
    assert_eq!(report["outcome"], "passed");
    assert!(
        report["generated"]["rejected"].as_u64() > Some(0),
        "{report}"
    );
    assert_eq!(report["generated"]["failed"], 0);
}

#[tokio::test]
async fn what_is_forced_goes_live_and_shows() {
    let mut hub = hub().await;
    let path = "/v1/routes/r?force=true&reason=the%20deadline%20is%20today";
    let made = hub
        .put(path, with(Some("optional-member")))
        .await
        .expect(201);
    let activation = &made["activation"];
    assert_eq!(activation["gate"]["outcome"], "forced", "{made}");
    assert_eq!(activation["by"], "anonymous");
    assert_eq!(activation["reason"], "the deadline is today");
    assert!(activation["at"].as_str().unwrap().ends_with('Z'));
    assert_eq!(activation["gate"]["failures"][0]["cause"], "contract");
    assert_eq!(made["forced"][0]["what"], "route");
    hub.kill();
    hub.restart().await;
    let kept = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(
        (&kept["activation"], &kept["forced"]),
        (activation, &made["forced"])
    );
    let shown = hub.sandbar(&["route", "show", "r"]);
    assert!(
        shown.stdout.contains("FORCED   route by anonymous"),
        "{shown:?}"
    );
    let listed = hub.sandbar(&["plugin", "list"]);
    assert!(listed.stdout.contains("route r"), "{listed:?}");
    // What changes neither steps nor targets is not looked at again, and does not hide it.
    let mut same = with(Some("optional-member"));
    same["retry"] = json!({"max_attempts": 2});
    let same = put(&hub, same).await.expect(200);
    assert_eq!(same["activation"], *activation);
    let mended = put(&hub, with(None)).await.expect(200);
    assert_eq!(mended["activation"]["gate"]["outcome"], "passed");
    assert!(mended.get("forced").is_none(), "{mended}");
}

#[tokio::test]
async fn real_events_catch_what_no_contract_tells() {
    let hub = Hub::start().await;
    hub.contract(INVOICE, invoice()).await;
    hub.topic("orders", json!({})).await;
    hub.topic("invoices", json!({"contract": INVOICE})).await;
    let _ = hub
        .upload("edges", "1", guest("guest-edges"))
        .await
        .expect(201);
    // Without a contract and without events there is nothing to look at.
    let made = put(&hub, with(Some("optional-member"))).await.expect(201);
    let gate = &made["activation"]["gate"];
    assert_eq!(gate["outcome"], "not-checked", "{made}");
    assert!(
        gate["detail"]
            .as_str()
            .unwrap()
            .contains("no contract and no events"),
        "{made}"
    );
    hub.accepted(
        "orders",
        &[
            event("a", json!({"id": "a", "price": 3, "discount": 1})),
            event("b", json!({"id": "b", "price": 3, "note": null})),
        ],
    )
    .await;
    hub.settled("r").await;
    // The event fails as it does with what runs: known, and no reason to refuse another change.
    let report = hub.post("/v1/routes/r/gate", json!({})).await.expect(200);
    assert_eq!(report["outcome"], "passed", "{report}");
    assert_eq!(
        (&report["real"]["checked"], &report["real"]["failed"]),
        (&json!(2), &json!(1))
    );
    let warning = report["warnings"][0].as_str().unwrap();
    assert!(
        warning.contains("orders/0/1") && warning.contains("fails as it does"),
        "{report}"
    );
    // A route that does not run yet has no such excuse.
    let refused = hub
        .put("/v1/routes/other", with(Some("optional-member")))
        .await;
    let problem = assert_problem(&refused, 409, "activation-refused");
    let failure = failure(&problem);
    let case = json!({"kind": "real", "topic": "orders", "partition": 0, "offset": 1});
    assert_eq!(failure["case"], case);
    assert_eq!(failure["input"]["id"], "b");
    assert_eq!(
        failure["input"]["data"],
        json!({"id": "b", "price": 3, "note": null})
    );
    // One that is rejected from now on is told.
    let mended = put(&hub, with(None)).await.expect(200);
    assert_eq!(mended["activation"]["gate"]["outcome"], "passed");
    let request = json!({"document": with(Some("notes"))});
    hub.accepted(
        "orders",
        &[event("c", json!({"id": "c", "price": 3, "note": "x"}))],
    )
    .await;
    let report = hub.post("/v1/routes/r/gate", request).await.expect(200);
    assert_eq!(report["outcome"], "passed");
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("orders/0/2"), "{warnings}");
    assert!(
        warnings.contains("is rejected (invalid-event: there is a note); what runs now emits it"),
        "{warnings}"
    );
}

#[tokio::test]
async fn a_channel_moves_only_where_all_its_routes_hold() {
    let hub = hub().await;
    let second = variant("guest-edges", "second");
    let _ = hub.upload("edges", "2", second).await.expect(201);
    let stable = "/v1/plugins/edges/channels/stable";
    let _ = hub.put(stable, json!({"version": "1"})).await.expect(201);
    let mut document = with(Some("optional-member"));
    document["steps"][0]["plugin"] = json!("edges@stable");
    let _ = hub
        .put("/v1/routes/good?force=true", document)
        .await
        .expect(201);
    let refused = hub
        .put(stable, json!({"version": "2", "reason": "new"}))
        .await;
    let problem = assert_problem(&refused, 409, "activation-refused");
    let again = problem["gate"][0]["again"].as_str().unwrap();
    assert_eq!(again, "sandbar route check good --plugin edges@2 --seed 1");
    let channel = hub.get(stable).await.expect(200);
    assert_eq!(channel["version"], "1");
    assert_eq!(hub.route_status("good").await["active"], json!(["edges@1"]));
    // The command finds the same.
    let words: Vec<&str> = again.split(' ').skip(1).collect();
    let found = hub.sandbar(&words);
    assert_eq!(found.code, 1, "{found:?}");
    assert!(found.stdout.contains("/data/total"), "{found:?}");

    let forced = hub.sandbar(&[
        "channel",
        "activate",
        "edges@stable",
        "2",
        "--reason",
        "we know",
        "--force",
    ]);
    assert_eq!(forced.code, 0, "{forced:?}");
    assert!(forced.stdout.contains("FORCED"), "{forced:?}");
    let channel = hub.get(stable).await.expect(200);
    let last = &channel["history"][1];
    assert_eq!(
        (&last["version"], &last["reason"]),
        (&json!("2"), &json!("we know"))
    );
    assert_eq!(last["gate"]["outcome"], "forced");
    let route = hub.get("/v1/routes/good").await.expect(200);
    let what: Vec<_> = route["forced"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["what"])
        .collect();
    assert_eq!(json!(what), json!(["route", "channel edges@stable"]));
    assert_problem(
        &hub.post(&format!("{stable}/rollback"), json!({})).await,
        409,
        "activation-refused",
    );
    let back = hub
        .post(&format!("{stable}/rollback?force=true"), json!({}))
        .await
        .expect(200);
    assert_eq!(back["version"], "1");
}

#[tokio::test]
async fn another_contract_of_a_target_is_looked_at_before_it_is_bound() {
    let hub = hub().await;
    let _ = put(&hub, with(None)).await.expect(201);
    let mut narrower = invoice();
    narrower["properties"]["total"] = json!({"type": "number", "exclusiveMinimum": 0});
    assert_eq!(hub.contract(INVOICE, narrower).await, 2);
    let refused = hub
        .put("/v1/topics/invoices", json!({"contract": "invoice@2"}))
        .await;
    let problem = assert_problem(&refused, 409, "activation-refused");
    let failure = failure(&problem);
    assert_eq!(failure["outputs"][0]["contract"], "invoice@2");
    assert_eq!(failure["violations"][0]["pointer"], "/data/total");
    let again = problem["gate"][0]["again"].as_str().unwrap();
    assert_eq!(
        again,
        "sandbar route check r --contract invoices=invoice@2 --seed 1"
    );
    let topic = hub.get("/v1/topics/invoices").await.expect(200);
    assert_eq!(topic["contract"], "invoice@1");
    let forced = "/v1/topics/invoices?force=true&reason=agreed";
    let bound = hub
        .put(forced, json!({"contract": "invoice@2"}))
        .await
        .expect(200);
    assert_eq!(bound["activation"]["gate"]["outcome"], "forced");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["forced"][0]["what"], "topic invoices");
    assert_eq!(route["forced"][0]["reason"], "agreed");
    // What was refused before is so no more.
    let wide = hub
        .put("/v1/topics/invoices", json!({"contract": "invoice@1"}))
        .await
        .expect(200);
    assert_eq!(wide["activation"]["gate"]["outcome"], "passed");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert!(route.get("forced").is_none(), "{route}");
}

#[tokio::test]
async fn the_same_seed_makes_the_same_inputs() {
    let hub = hub().await;
    let ask = |seed: u64| {
        let request =
            json!({"document": with(Some("optional-member")), "seed": seed, "generated": 60});
        let hub = &hub;
        async move { hub.post("/v1/routes/r/gate", request).await.expect(200) }
    };
    let (first, second, other) = (ask(7).await, ask(7).await, ask(8).await);
    assert_eq!(first, second);
    assert_eq!(first["outcome"], "refused");
    assert_eq!(first["generated"]["checked"], 60);
    assert_ne!(first["generated"], other["generated"]);
    assert!(
        first["again"]
            .as_str()
            .unwrap()
            .ends_with("--file ROUTE.json --inputs 60 --seed 7"),
        "{first}"
    );
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
}

#[tokio::test]
async fn a_hub_that_is_killed_in_the_middle_runs_what_ran_before() {
    let mut hub = hub().await;
    let _ = put(&hub, with(None)).await.expect(201);
    // It hangs in many inputs, each for a long time.
    let mut slow = with(Some("endless"));
    slow["steps"][0]["limits"]["deadline_ms"] = json!(20_000);
    let request = hub
        .request(reqwest::Method::PUT, "/v1/routes/r?force=true")
        .json(&slow);
    let asked = tokio::spawn(request.send());
    loop {
        let metrics = hub.get("/metrics").await.text;
        if metrics.contains("sandbar_gate_routes_checking 1") {
            break;
        }
        assert!(!asked.is_finished(), "it was answered: {metrics}");
    }
    hub.kill();
    assert!(asked.await.unwrap().is_err());
    hub.restart().await;
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["config"], Value::Null, "{route}");
    hub.accepted("orders", &[event("a", json!({"id": "a", "price": 3}))])
        .await;
    hub.read_until("invoices", 0, 1).await;
}

#[tokio::test]
async fn a_step_that_asks_other_services_is_not_run() {
    let hub = hub().await;
    let _ = hub
        .upload("reaching", "1", guest("guest-reaching"))
        .await
        .expect(201);
    let http = json!({"http": {"hosts": ["example.org"]}});
    let made = put(&hub, json!({"from": "orders", "to": ["invoices"], "steps": [
        {"plugin": "reaching@1", "grants": [{"lookup": {"topics": ["invoices"]}}, http, "clock", "random"]}
    ]}))
    .await
    .expect(201);
    let gate = &made["activation"]["gate"];
    assert_eq!(gate["outcome"], "not-checked", "{made}");
    assert!(
        gate["detail"]
            .as_str()
            .unwrap()
            .contains("reaching@1 asks other services"),
        "{made}"
    );
}

#[tokio::test]
async fn what_is_wrong_with_a_question_is_said() {
    let hub = hub().await;
    let ask = |request: Value| {
        let hub = &hub;
        async move { hub.post("/v1/routes/r/gate", request).await }
    };
    assert_problem(&ask(json!({})).await, 404, "unknown-route");
    let _ = put(&hub, with(None)).await.expect(201);
    for (request, place) in [
        (json!({"plugin": "other@1"}), "/plugin"),
        (json!({"plugin": "edges@1", "step": 3}), "/step"),
        (json!({"step": 0}), "/step"),
        (
            json!({"contracts": {"orders": "order@1"}}),
            "/contracts/orders",
        ),
        (
            json!({"contracts": {"invoices": "invoice@9"}}),
            "/contracts/invoices",
        ),
        (json!({"generated": 100_000}), "/generated"),
        (json!({"sed": 1}), "sed"),
    ] {
        let problem = assert_problem(&ask(request).await, 422, "invalid-document");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(place), "{detail}");
    }
    let typo = hub.put("/v1/routes/r?fource=true", with(None)).await;
    assert_problem(&typo, 400, "malformed-request");
}

#[tokio::test]
async fn apply_shows_what_the_gate_says_and_forces() {
    let hub = hub().await;
    let folder = hub.folder();
    let file = folder.join("sandbar.yaml");
    let document = format!("routes:\n  r: {}\n", with(Some("optional-member")));
    std::fs::write(&file, document).unwrap();
    let file = file.to_str().unwrap();
    let planned = hub.sandbar(&["apply", "-f", file, "--dry-run"]);
    assert!(
        planned.code == 1 && planned.stdout.contains("gate: route r: refused"),
        "{planned:?}"
    );
    let forced = hub.sandbar(&["apply", "-f", file, "--dry-run", "--force"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    let refused = hub.sandbar(&["apply", "-f", file]);
    assert!(
        refused.code == 1 && refused.stderr.contains("nothing was changed"),
        "{refused:?}"
    );
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
    let forced = hub.sandbar(&["apply", "-f", file, "--force", "--reason", "trial"]);
    assert_eq!(forced.code, 0, "{forced:?}");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["activation"]["reason"], "trial");
    let again = hub.sandbar(&["--json", "apply", "-f", file]);
    assert_eq!(again.json()["plan"][0]["act"], "keep", "{again:?}");
}

#[tokio::test]
async fn a_candidate_beside_a_route_takes_over_only_where_it_holds() {
    let hub = hub().await;
    let _ = put(&hub, with(None)).await.expect(201);
    let shadow = json!({"plugin": "edges@1", "config": {"mistake": "optional-member"}});
    let _ = hub.put("/v1/routes/r/shadow", shadow).await.expect(201);
    let promote = hub.post("/v1/routes/r/shadow/promote", json!({})).await;
    assert_problem(&promote, 409, "activation-refused");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["config"], Value::Null);
    let path = "/v1/routes/r/shadow/promote?force=true";
    let promoted = hub.post(path, json!({"reason": "known"})).await.expect(200);
    assert_eq!(promoted["report"]["state"], "promoted");
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["forced"][0]["reason"], "known");
}

/// A route that makes invoices with a jq program.
fn by_jq(program: &str) -> Value {
    json!({"from": "orders", "to": ["invoices"], "steps": [
        {"plugin": "jq@1.0.0", "config": {"program": program}}
    ]})
}

#[tokio::test]
async fn each_type_of_a_contract_has_its_inputs() {
    let hub = Hub::start().await;
    let schema = json!({"definitions": {
        "order": {"type": "object", "required": ["id"], "properties": {"id": {"type": "string"}}, "additionalProperties": false},
        "return": {"type": "object", "required": ["id", "reason"], "properties": {"id": {"type": "string"}, "reason": {"type": "string"}}},
    }});
    let types = json!({"shop.order": "#/definitions/order", "shop.return": "#/definitions/return"});
    let contract = json!({"schema": schema, "types": types});
    let _ = hub
        .post("/v1/contracts/order/versions", contract)
        .await
        .expect(201);
    hub.contract(INVOICE, invoice()).await;
    hub.topic("orders", json!({"contract": ORDER})).await;
    hub.topic("invoices", json!({"contract": INVOICE})).await;
    let program = r#"{order: .id, total: (if has("reason") then .reason else 1 end)}"#;
    let problem = assert_problem(&put(&hub, by_jq(program)).await, 409, "activation-refused");
    let failure = failure(&problem);
    assert_eq!(failure["input"]["type"], "shop.return", "{failure}");
    assert_eq!(failure["input"]["data"], json!({"id": "", "reason": ""}));
    let made = put(&hub, by_jq("{order: .id, total: 1}")).await.expect(201);
    assert_eq!(made["activation"]["gate"]["outcome"], "passed");
}

#[tokio::test]
async fn inputs_made_of_real_events_reach_what_a_schema_does_not_tell() {
    let hub = hub().await;
    // Only the shop's own orders are billed, and no made id is one.
    let program = r#"if .id | startswith("shop-") then
        {order: .id, total: (if has("discount") then .price - .discount else "as ordered" end)}
        else empty end"#;
    let made = put(&hub, by_jq(program)).await.expect(201);
    assert_eq!(made["activation"]["gate"]["outcome"], "passed");
    let report = hub.post("/v1/routes/r/gate", json!({})).await.expect(200);
    let warnings = report["warnings"].to_string();
    assert!(warnings.contains("no case came to an output"), "{report}");
    hub.accepted(
        "orders",
        &[event(
            "a",
            json!({"id": "shop-1", "price": 9, "discount": 2}),
        )],
    )
    .await;
    let refused = hub.put("/v1/routes/other", by_jq(program)).await;
    let problem = assert_problem(&refused, 409, "activation-refused");
    let failure = failure(&problem);
    assert_eq!(failure["case"]["kind"], "generated", "{failure}");
    let data = &failure["input"]["data"];
    assert!(
        data["id"].as_str().unwrap().starts_with("shop-"),
        "{failure}"
    );
    assert!(data.get("discount").is_none(), "{failure}");
}

#[tokio::test]
async fn stored_events_that_could_not_come_again_are_left_out() {
    let hub = Hub::start().await;
    hub.contract(ORDER, order()).await;
    hub.contract(INVOICE, invoice()).await;
    hub.topic("orders", json!({})).await;
    hub.topic("invoices", json!({"contract": INVOICE})).await;
    hub.accepted(
        "orders",
        &[
            event("a", json!({"id": 5})),
            event("b", json!({"id": "b", "price": 1})),
        ],
    )
    .await;
    let _ = hub
        .put("/v1/topics/orders?force=true", json!({"contract": ORDER}))
        .await
        .expect(200);
    let made = put(&hub, by_jq("{order: .id, total: 1}")).await.expect(201);
    let gate = &made["activation"]["gate"];
    assert_eq!(
        (&gate["outcome"], &gate["real"]),
        (&json!("passed"), &json!(1)),
        "{made}"
    );
    let report = hub.post("/v1/routes/r/gate", json!({})).await.expect(200);
    assert_eq!(report["real"]["unfit"], 1, "{report}");
}
