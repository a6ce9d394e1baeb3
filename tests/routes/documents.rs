//! Route documents: what is refused, what may be deleted.

use sandbar_tests::{Hub, assert_problem, guest};
use serde_json::{Value, json};

use super::step;

async fn hub() -> Hub {
    let hub = Hub::start().await;
    for topic in ["a", "b", "c"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    hub
}

async fn refused(hub: &Hub, document: Value, code: &str, words: &[&str]) {
    let problem = assert_problem(&hub.put("/v1/routes/r", document).await, 422, code);
    for word in words {
        assert!(
            problem["detail"].as_str().unwrap().contains(word),
            "{word:?} is not in {problem}"
        );
    }
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
}

#[tokio::test]
async fn a_route_leads_not_to_itself_nor_in_a_circle() {
    let hub = hub().await;
    refused(
        &hub,
        json!({"from": "a", "to": ["a"]}),
        "route-circle",
        &["a"],
    )
    .await;
    refused(
        &hub,
        json!({"from": "a", "to": ["b", "a"]}),
        "route-circle",
        &["a"],
    )
    .await;
    hub.route("one", json!({"from": "a", "to": ["b"]})).await;
    hub.route("two", json!({"from": "b", "to": ["c"]})).await;
    refused(
        &hub,
        json!({"from": "c", "to": ["a"]}),
        "route-circle",
        &["a", "b", "c"],
    )
    .await;
    // Also by changing one that is there, which stays as it was.
    let changed = hub
        .put("/v1/routes/two", json!({"from": "b", "to": ["a"]}))
        .await;
    assert_problem(&changed, 422, "route-circle");
    assert_eq!(
        hub.get("/v1/routes/two").await.expect(200)["to"],
        json!(["c"])
    );
}

#[tokio::test]
async fn what_a_route_names_must_be_there_and_fit() {
    let hub = hub().await;
    let with = |step: Value| json!({"from": "a", "steps": [step], "to": ["b"]});
    refused(
        &hub,
        json!({"from": "x", "to": ["b"]}),
        "invalid-document",
        &["/from", "x"],
    )
    .await;
    refused(
        &hub,
        json!({"from": "a", "to": ["b", "y"]}),
        "invalid-document",
        &["/to/1", "y"],
    )
    .await;
    refused(
        &hub,
        json!({"from": "a", "to": []}),
        "invalid-document",
        &["/to"],
    )
    .await;
    refused(
        &hub,
        json!({"from": "a", "to": ["b"], "stepps": []}),
        "invalid-document",
        &["stepps"],
    )
    .await;
    refused(&hub, json!({"to": ["b"]}), "invalid-document", &["from"]).await;
    refused(
        &hub,
        with(json!({"plugin": "none@1"})),
        "invalid-document",
        &["/steps/0/plugin", "none"],
    )
    .await;
    refused(
        &hub,
        with(json!({"plugin": "mapper"})),
        "invalid-document",
        &["/steps/0/plugin"],
    )
    .await;
    refused(
        &hub,
        with(json!({"plugin": "mapper@7"})),
        "invalid-document",
        &["mapper", "7"],
    )
    .await;
    refused(
        &hub,
        with(json!({"plugin": "mapper@1", "limits": {"deadline_ms": 0}})),
        "invalid-document",
        &["/steps/0/limits/deadline_ms"],
    )
    .await;
    refused(
        &hub,
        with(json!({"plugin": "mapper@1", "config": {"stamp": 7}})),
        "plugin-config-refused",
        &["/steps/0", "mapper@1"],
    )
    .await;
    refused(
        &hub,
        with(json!({"plugin": "mapper@1", "config": {"other": "x"}})),
        "plugin-config-refused",
        &["other"],
    )
    .await;
    let reserved = hub
        .put(
            "/v1/routes/r",
            json!({"from": "a", "to": ["sandbar.dead-letters"]}),
        )
        .await;
    assert_problem(&reserved, 403, "reserved-name");
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
}

#[tokio::test]
async fn a_capability_must_be_granted() {
    let hub = hub().await;
    let uploaded = hub
        .upload("capable", "1", guest("guest-capabilities"))
        .await
        .expect(201);
    let mut imports: Vec<String> = uploaded["imports"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| one.as_str().unwrap().to_owned())
        .collect();
    imports.sort();
    assert_eq!(imports, ["clock", "log", "random"]);
    let with = |grants: Value| json!({"from": "a", "steps": [{"plugin": "capable@1", "grants": grants}], "to": ["b"]});
    refused(&hub, with(json!([])), "grant-missing", &["clock"]).await;
    refused(&hub, with(json!(["clock"])), "grant-missing", &["random"]).await;
    refused(
        &hub,
        with(json!(["clock", "random", "magic"])),
        "invalid-document",
        &["/steps/0/grants/2", "magic"],
    )
    .await;
    hub.route("r", with(json!(["clock", "random"]))).await;
    hub.accepted("a", &[sandbar_tests::event("1", json!(1))])
        .await;
    assert_eq!(hub.read_until("b", 0, 1).await.len(), 1);
}

#[tokio::test]
async fn what_a_route_uses_cannot_be_deleted() {
    let hub = hub().await;
    hub.route("r", json!({"from": "a", "steps": [step("s")], "to": ["b"]}))
        .await;
    for topic in ["a", "b"] {
        let problem = assert_problem(
            &hub.delete(&format!("/v1/topics/{topic}")).await,
            409,
            "topic-in-use",
        );
        assert!(
            problem["detail"].as_str().unwrap().contains('r'),
            "the route is named: {problem}"
        );
    }
    let problem = assert_problem(
        &hub.delete("/v1/plugins/mapper/versions/1").await,
        409,
        "plugin-in-use",
    );
    assert!(
        problem["detail"].as_str().unwrap().ends_with('r'),
        "the route is named: {problem}"
    );
    let moved = hub
        .put("/v1/routes/r", json!({"from": "c", "to": ["b"]}))
        .await;
    assert_problem(&moved, 409, "route-source-fixed");
    assert_eq!(hub.get("/v1/routes/r").await.expect(200)["from"], "a");
    assert_eq!(hub.delete("/v1/topics/c").await.status, 204);
    assert_eq!(hub.delete("/v1/routes/r").await.status, 204);
    assert_problem(&hub.delete("/v1/routes/r").await, 404, "unknown-route");
    for path in [
        "/v1/topics/a",
        "/v1/topics/b",
        "/v1/plugins/mapper/versions/1",
    ] {
        assert_eq!(hub.delete(path).await.status, 204, "{path}");
    }
    assert_problem(&hub.get("/v1/topics/a").await, 404, "unknown-topic");
}

#[tokio::test]
async fn a_deleted_topic_made_again_is_empty() {
    let mut hub = hub().await;
    hub.accepted("a", &[sandbar_tests::event("1", json!(1))])
        .await;
    assert_eq!(hub.delete("/v1/topics/a").await.status, 204);
    hub.topic("a", json!({})).await;
    assert_eq!(hub.read_all("a", 0).await.len(), 0);
    let again = hub
        .accepted("a", &[sandbar_tests::event("1", json!(1))])
        .await;
    assert_eq!(
        again[0],
        json!({"id": "1", "partition": 0, "offset": 0, "duplicate": false})
    );
    hub.kill();
    hub.restart().await;
    assert_eq!(hub.read_all("a", 0).await.len(), 1);
}
