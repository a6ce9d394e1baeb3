//! Contracts that refer to others, ids of contents, and what may be deleted.

use sandbar_tests::{Hub, Publish, assert_problem, event};
use serde_json::{Value, json};

fn order(version: u32) -> Value {
    json!({
        "schema": {"type": "object", "required": ["customer"], "properties": {"customer": {"$ref": "customer.json"}}},
        "references": [{"name": "customer.json", "contract": "customer", "version": version}],
    })
}

async fn registered(hub: &Hub, name: &str, definition: Value) -> Value {
    let path = format!("/v1/contracts/{name}/versions");
    hub.post(&path, definition).await.expect(201)
}

#[tokio::test]
async fn a_schema_refers_to_a_version_of_another_contract() {
    let mut hub = Hub::start().await;
    let name =
        json!({"schema": {"required": ["name"], "properties": {"name": {"type": "string"}}}});
    let _ = registered(&hub, "customer", name).await;
    let first = registered(&hub, "order", order(1)).await;
    assert_eq!(first["references"][0]["contract"], "customer", "{first}");
    hub.topic("t", json!({"contract": "order@1"})).await;
    let good = event("1", json!({"customer": {"name": "x"}}));
    let bad = event("2", json!({"customer": {"name": 1}}));
    for _ in 0..2 {
        let _ = hub
            .publish("t", Publish::batch(std::slice::from_ref(&good)))
            .await
            .expect(200);
        let answer = hub
            .publish("t", Publish::batch(std::slice::from_ref(&bad)))
            .await;
        let problem = assert_problem(&answer, 422, "contract-violation");
        assert_eq!(problem["errors"][0]["pointer"], "/data/customer/name");
        hub.stop();
        hub.restart().await;
    }
    let problem = assert_problem(
        &hub.delete("/v1/contracts/customer/versions/1").await,
        409,
        "contract-in-use",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("order@1"),
        "{problem}"
    );
    assert_problem(
        &hub.delete("/v1/contracts/customer").await,
        409,
        "contract-in-use",
    );
    assert_eq!(hub.delete("/v1/topics/t").await.status, 204);
    assert_eq!(hub.delete("/v1/contracts/order").await.status, 204);
    assert_eq!(hub.delete("/v1/contracts/customer").await.status, 204);
}

#[tokio::test]
async fn versions_are_compared_with_what_they_refer_to() {
    let hub = Hub::start().await;
    let _ = hub
        .put("/v1/contracts/order", json!({"compatibility": "backward"}))
        .await
        .expect(201);
    for kind in ["integer", "number", "string"] {
        let schema =
            json!({"schema": {"required": ["number"], "properties": {"number": {"type": kind}}}});
        let _ = registered(&hub, "customer", schema).await;
    }
    let _ = registered(&hub, "order", order(1)).await;
    let _ = registered(&hub, "order", order(2)).await;
    let problem = assert_problem(
        &hub.post("/v1/contracts/order/versions", order(3)).await,
        409,
        "incompatible-contract",
    );
    let error = &problem["errors"][0];
    assert!(
        error["counterexample"]["customer"]["number"].is_number(),
        "{problem}"
    );
    assert_eq!(
        error["new"], "/$defs/customer.json/properties/number/type",
        "{problem}"
    );
}

#[tokio::test]
async fn an_id_is_that_of_the_content_under_any_name() {
    let mut hub = Hub::start().await;
    let one = registered(
        &hub,
        "one",
        json!({"schema": {"title": "x", "type": "object"}}),
    )
    .await;
    let other = registered(
        &hub,
        "other",
        json!({"schema": "{\"type\": \"object\",  \"title\": \"x\"}", "description": "d"}),
    )
    .await;
    assert_eq!(
        (&one["id"], &one["digest"]),
        (&json!(1), &other["digest"]),
        "{other}"
    );
    assert_eq!(other["id"], 1, "{other}");
    let second = registered(&hub, "one", json!({"schema": {"title": "y"}})).await;
    assert_eq!(second["id"], 2);
    // Killed, not stopped: what was answered is kept.
    hub.kill();
    hub.restart().await;
    let schema = hub.get("/v1/schemas/1").await.expect(200);
    assert_eq!(schema["contracts"], json!(["one@1", "other@1"]), "{schema}");
    assert_eq!(schema["schema"], json!({"title": "x", "type": "object"}));
    assert_problem(&hub.get("/v1/schemas/3").await, 404, "unknown-contract");
    let found = hub
        .post(
            "/v1/contracts/one/lookup",
            json!({"schema": {"title": "y"}, "description": "other words"}),
        )
        .await
        .expect(200);
    assert_eq!((&found["version"], &found["id"]), (&json!(2), &json!(2)));
    let missing = hub
        .post(
            "/v1/contracts/other/lookup",
            json!({"schema": {"title": "y"}}),
        )
        .await;
    assert_problem(&missing, 404, "unknown-contract");
    // Deleted numbers stay unused.
    assert_eq!(hub.delete("/v1/contracts/one/versions/2").await.status, 204);
    let third = registered(&hub, "one", json!({"schema": {"title": "z"}})).await;
    assert_eq!((&third["version"], &third["id"]), (&json!(3), &json!(3)));
    let again = registered(&hub, "one", json!({"schema": {"title": "y"}})).await;
    assert_eq!((&again["version"], &again["id"]), (&json!(4), &json!(2)));
}

#[tokio::test]
async fn references_that_lead_nowhere_are_refused_with_their_place() {
    let hub = Hub::start().await;
    let _ = registered(&hub, "customer", json!({"schema": {}})).await;
    let path = "/v1/contracts/order/versions";
    let cases = [
        (order(2), "/references/0", "no version"),
        (
            json!({"schema": {"$ref": "x"}, "references": [{"name": "y", "contract": "customer", "version": 1}]}),
            "/schema/$ref",
            "nothing is fetched",
        ),
        (
            json!({"schema": {}, "references": [{"name": "", "contract": "customer", "version": 1}]}),
            "/references/0/name",
            "empty",
        ),
        (
            json!({"schema": {}, "references": [
                {"name": "y", "contract": "customer", "version": 1}, {"name": "y", "contract": "customer", "version": 1}]}),
            "/references/1/name",
            "before",
        ),
        (json!({"schema": "{"}), "/schema", "not JSON"),
    ];
    for (definition, pointer, reason) in cases {
        let problem = assert_problem(&hub.post(path, definition).await, 422, "invalid-schema");
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], pointer, "{problem}");
        assert!(
            error["reason"].as_str().unwrap().contains(reason),
            "{problem}"
        );
    }
    assert_problem(
        &hub.post(path, json!({"schema": {}, "references": [{"name": "x"}]}))
            .await,
        422,
        "invalid-document",
    );
}

#[tokio::test]
async fn deprecation_is_seen_where_contracts_are() {
    let hub = Hub::start().await;
    let _ = registered(&hub, "old", json!({"schema": {}})).await;
    let _ = hub
        .put("/v1/contracts/old", json!({"deprecated": true}))
        .await
        .expect(200);
    let list = hub.get("/v1/contracts").await.expect(200);
    assert_eq!(list["contracts"][0]["deprecated"], true, "{list}");
    let one = hub.get("/v1/contracts/old/versions/1").await.expect(200);
    assert_eq!(
        (&one["deprecated"], &one["format"]),
        (&json!(true), &json!("json")),
        "{one}"
    );
}
