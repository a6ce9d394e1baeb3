//! What a new version of a contract touches, on both sides of its topics.

use sandbar_tests::{Hub, event, guest};
use serde_json::{Value, json};

fn order(total: &str) -> Value {
    json!({"type": "object", "properties": {"total": {"type": total}}, "required": ["total"]})
}

/// `source → in → orders → out → done`, with a plugin by its channel in `in` and by its version in `out`, a
/// route that looks into `orders`, two subscriptions, and a contract that refers to `order`.
async fn hub() -> Hub {
    let hub = Hub::start().await;
    hub.contract("order", order("number")).await;
    let registered = json!({
        "schema": {"type": "array", "items": {"$ref": "order"}},
        "references": [{"name": "order", "contract": "order", "version": 1}],
    });
    let _ = hub
        .post("/v1/contracts/basket/versions", registered)
        .await
        .expect(201);
    for topic in ["source", "done", "other"] {
        hub.topic(topic, json!({})).await;
    }
    hub.topic("orders", json!({"contract": "order"})).await;
    hub.mapper().await;
    let channel = hub
        .put(
            "/v1/plugins/mapper/channels/stable",
            json!({"version": "1"}),
        )
        .await;
    assert!(channel.status < 300, "{channel:?}");
    let _ = hub
        .upload("reaching", "1", guest("guest-reaching"))
        .await
        .expect(201);
    let step = |plugin: &str| json!({"plugin": plugin});
    let route = |name: &'static str, document: Value| hub.route(name, document);
    route(
        "in",
        json!({"from": "source", "to": ["orders"], "steps": [step("mapper@stable")]}),
    )
    .await;
    route(
        "out",
        json!({"from": "orders", "to": ["done"], "steps": [step("mapper@1")]}),
    )
    .await;
    route("aside", json!({"from": "source", "to": ["other"]})).await;
    route(
        "looks",
        json!({"from": "source", "to": ["other"], "steps": [
            {"plugin": "reaching@1", "grants": [{"lookup": {"topics": ["orders"]}}, {"http": {"hosts": ["example.com"]}}, "clock", "random"]}
        ]}),
    )
    .await;
    let _ = hub.post("/v1/routes/out/pause", json!({})).await;
    let _ = hub
        .put(
            "/v1/subscriptions/pulls",
            json!({"topics": ["other", "orders"]}),
        )
        .await
        .expect(201);
    let _ = hub
        .put("/v1/subscriptions/elsewhere", json!({"topics": ["other"]}))
        .await
        .expect(201);
    let events: Vec<Value> = [json!(1), json!(0.5)]
        .into_iter()
        .enumerate()
        .map(|(nth, total)| event(&format!("e{nth}"), json!({"total": total})))
        .collect();
    let _ = hub.accepted("orders", &events).await;
    hub
}

#[tokio::test]
async fn topics_routes_plugin_versions_subscriptions_and_contracts_are_listed() {
    let hub = hub().await;
    let answer = hub
        .post(
            "/v1/contracts/order/compatibility",
            json!({"schema": order("integer")}),
        )
        .await
        .expect(200);
    let topics = answer["topics"].as_array().unwrap();
    assert_eq!(topics.len(), 1, "{answer}");
    let topic = &topics[0];
    assert_eq!(
        topic["writers"],
        json!([{"route": "in", "paused": false, "steps": [
            {"step": 0, "plugin": "mapper@1", "channel": "mapper@stable"}]}]),
        "{topic}"
    );
    assert_eq!(
        topic["readers"],
        json!([{"route": "out", "paused": true, "steps": [{"step": 0, "plugin": "mapper@1"}]}]),
        "{topic}"
    );
    assert_eq!(
        topic["lookups"],
        json!([{"route": "looks", "paused": false, "steps": [{"step": 0, "plugin": "reaching@1"}]}]),
        "{topic}"
    );
    assert_eq!(
        topic["subscriptions"],
        json!([{"subscription": "pulls", "push": false, "paused": false}]),
        "{topic}"
    );
    assert_eq!(
        answer["contracts"],
        json!([{"contract": "basket@1", "refers_to": 1}]),
        "{answer}"
    );
    assert_eq!(
        (&topic["events"]["checked"], &topic["events"]["refused"]),
        (&json!(2), &json!(1)),
        "{topic}"
    );
    // The same of the topic alone.
    let binding = hub
        .post(
            "/v1/topics/orders/binding",
            json!({"schema": order("integer")}),
        )
        .await
        .expect(200);
    for member in ["writers", "readers", "lookups", "subscriptions"] {
        assert_eq!(binding[member], topic[member], "{member}");
    }
}

#[tokio::test]
async fn check_and_diff_tell_it() {
    let hub = hub().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("order.json");
    std::fs::write(&file, order("integer").to_string()).unwrap();
    let file = file.to_str().unwrap();
    for arguments in [
        &["contract", "check", file, "--against", "order"][..],
        &["contract", "diff", "order@1", file],
    ] {
        let ran = hub.sandbar(arguments);
        assert_eq!(ran.code, 1, "{ran:?}");
        for line in [
            "topic orders (bound to version 1): 1 of the last 2 events would be refused",
            "  written by route in with mapper@1 (mapper@stable)",
            "  read by route out with mapper@1, paused",
            "  looked into by route looks with reaching@1",
            "  pulled by subscription pulls",
            "contract basket@1 refers to version 1 and stays with it",
        ] {
            assert!(ran.stdout.lines().any(|one| one == line), "{line}\n{ran:?}");
        }
        let ran = hub.sandbar(&[arguments, &["--json"]].concat());
        let json: Value = serde_json::from_str(&ran.stdout).unwrap();
        assert_eq!(json["topics"][0]["writers"][0]["route"], "in", "{json}");
        assert_eq!(json["contracts"][0]["contract"], "basket@1", "{json}");
    }
    // Between two files there is no hub to ask.
    let alone = hub
        .sandbar(&["contract", "diff", file, file, "--json"])
        .json();
    assert_eq!(alone.get("topics"), None, "{alone}");
}
