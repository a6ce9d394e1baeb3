//! Modes: what may be changed, and importing from another registry.

use sandbar_tests::{Hub, assert_problem};
use serde_json::{Value, json};

use super::{assert_error, id_field, order, register};

fn imported(id: i64, version: Option<u32>, fields: &Value) -> Value {
    let mut request = order(fields);
    request["id"] = json!(id);
    if let Some(version) = version {
        request["version"] = json!(version);
    }
    request
}

fn other_field(name: &str) -> Value {
    json!([{"name": name, "type": "int"}])
}

#[tokio::test]
async fn a_read_only_contract_is_so_by_both_apis() {
    let mut hub = Hub::start().await;
    register(&hub, "a", order(&id_field())).await;
    assert_eq!(
        hub.get("/registry/mode").await.expect(200),
        json!({"mode": "READWRITE"})
    );
    assert_error(&hub.get("/registry/mode/a").await, 404, 40409);
    let _ = hub
        .put("/registry/mode/a", json!({"mode": "READONLY"}))
        .await
        .expect(200);
    hub.kill();
    hub.restart().await;
    assert_eq!(
        hub.get("/registry/mode/a").await.expect(200),
        json!({"mode": "READONLY"})
    );
    let more = order(&other_field("x"));
    let path = "/registry/subjects/a/versions";
    assert_error(&hub.post(path, more.clone()).await, 422, 42205);
    assert_eq!(
        register(&hub, "a", order(&id_field())).await,
        1,
        "what is there is found"
    );
    assert_error(&hub.delete("/registry/subjects/a").await, 422, 42205);
    let definition = json!({"schema": {"title": "x"}});
    assert_problem(
        &hub.post("/v1/contracts/a/versions", definition).await,
        409,
        "contract-mode",
    );
    assert_problem(&hub.delete("/v1/contracts/a").await, 409, "contract-mode");
    register(&hub, "b", more.clone()).await;
    // Over all, whatever the subjects say.
    let _ = hub
        .put("/registry/mode/b", json!({"mode": "READWRITE"}))
        .await
        .expect(200);
    let _ = hub
        .put("/registry/mode", json!({"mode": "READONLY"}))
        .await
        .expect(200);
    register(&hub, "b", order(&other_field("y"))).await;
    assert_error(
        &hub.post("/registry/subjects/c/versions", more.clone())
            .await,
        422,
        42205,
    );
    let _ = hub
        .put("/registry/mode", json!({"mode": "READONLY_OVERRIDE"}))
        .await
        .expect(200);
    assert_error(
        &hub.post("/registry/subjects/b/versions", order(&other_field("z")))
            .await,
        422,
        42205,
    );
    assert_eq!(
        hub.delete("/registry/mode").await.expect(200),
        json!({"mode": "READONLY_OVERRIDE"})
    );
    assert_eq!(
        hub.delete("/registry/mode/a").await.expect(200),
        json!({"mode": "READONLY"})
    );
    let inherited = hub
        .get("/registry/mode/a?defaultToGlobal=true")
        .await
        .expect(200);
    assert_eq!(inherited, json!({"mode": "READWRITE"}));
    register(&hub, "a", more).await;
    assert_error(
        &hub.put("/registry/mode", json!({"mode": "ASLEEP"})).await,
        422,
        42204,
    );
}

#[tokio::test]
async fn versions_are_imported_with_their_ids() {
    let mut hub = Hub::start().await;
    let path = "/registry/subjects/a/versions";
    let message = assert_error(
        &hub.post(path, imported(7, None, &id_field())).await,
        422,
        42205,
    );
    assert!(message.contains("IMPORT"), "{message}");
    let _ = hub
        .put("/registry/mode/a", json!({"mode": "IMPORT"}))
        .await
        .expect(200);
    assert_error(&hub.post(path, order(&id_field())).await, 422, 42205);
    let first = hub
        .post(path, imported(100, Some(7), &id_field()))
        .await
        .expect(200);
    assert_eq!(first, json!({"id": 100}));
    let again = hub
        .post(path, imported(100, Some(7), &id_field()))
        .await
        .expect(200);
    assert_eq!(again, json!({"id": 100}));
    let taken = hub
        .post(path, imported(100, Some(8), &other_field("x")))
        .await;
    assert_error(&taken, 422, 42207);
    assert_error(
        &hub.post(path, imported(101, Some(8), &id_field())).await,
        422,
        42207,
    );
    assert_error(
        &hub.post(path, imported(101, Some(7), &other_field("x")))
            .await,
        422,
        42205,
    );
    let _ = hub
        .post(path, imported(50, Some(3), &other_field("x")))
        .await
        .expect(200);
    assert_error(
        &hub.post(path, imported(i64::MAX, None, &other_field("y")))
            .await,
        422,
        42202,
    );
    assert_eq!(hub.get(path).await.expect(200), json!([3, 7]));
    // Where there are versions already, it has to be forced.
    let _ = hub
        .put("/registry/mode/a", json!({"mode": "READWRITE"}))
        .await
        .expect(200);
    assert_error(
        &hub.put("/registry/mode/a", json!({"mode": "IMPORT"})).await,
        422,
        42205,
    );
    let _ = hub
        .put("/registry/mode/a?force=true", json!({"mode": "IMPORT"}))
        .await
        .expect(200);
    let _ = hub.delete("/registry/mode/a").await.expect(200);
    hub.kill();
    hub.restart().await;
    assert_eq!(
        register(&hub, "a", order(&other_field("z"))).await,
        101,
        "after the highest id"
    );
    assert_eq!(hub.get(path).await.expect(200), json!([3, 7, 8]));
}
