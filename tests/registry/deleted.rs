//! Soft and permanent deletion, references between subjects, and what is never used again.

use sandbar_tests::{Hub, assert_problem};
use serde_json::json;

use super::{assert_error, id_field, order, register};

#[tokio::test]
async fn what_is_deleted_softly_is_found_by_id_alone() {
    let mut hub = Hub::start().await;
    let two = json!([{"name": "id", "type": "string"}, {"name": "n", "type": "int", "default": 0}]);
    register(&hub, "a", order(&id_field())).await;
    register(&hub, "a", order(&two)).await;
    let version = "/registry/subjects/a/versions/2";
    assert_error(
        &hub.delete(&format!("{version}?permanent=true")).await,
        404,
        40407,
    );
    assert_eq!(hub.delete(version).await.expect(200), json!(2));
    for _ in 0..2 {
        assert_error(&hub.delete(version).await, 404, 40406);
        assert_error(&hub.get(version).await, 404, 40402);
        assert_eq!(
            hub.get(&format!("{version}?deleted=true"))
                .await
                .expect(200)["deleted"],
            true
        );
        assert_eq!(
            hub.get("/registry/subjects/a/versions/latest")
                .await
                .expect(200)["version"],
            1
        );
        assert_eq!(
            hub.get("/registry/subjects/a/versions").await.expect(200),
            json!([1])
        );
        assert_eq!(
            hub.get("/registry/subjects/a/versions?deleted=true")
                .await
                .expect(200),
            json!([1, 2])
        );
        assert_eq!(
            hub.get("/registry/subjects/a/versions?deletedOnly=true")
                .await
                .expect(200),
            json!([2])
        );
        assert!(hub.get("/registry/schemas/ids/2").await.expect(200)["schema"].is_string());
        assert_eq!(
            hub.get("/registry/schemas/ids/2/subjects")
                .await
                .expect(200),
            json!([])
        );
        assert_eq!(
            hub.get("/registry/schemas/ids/2/subjects?deleted=true")
                .await
                .expect(200),
            json!(["a"])
        );
        // It is no version of the contract any more.
        assert_problem(
            &hub.get("/v1/contracts/a/versions/2").await,
            404,
            "unknown-contract",
        );
        assert_eq!(
            hub.get("/v1/schemas/2").await.expect(200)["contracts"],
            json!([])
        );
        assert_error(
            &hub.post("/registry/subjects/a", order(&two)).await,
            404,
            40403,
        );
        let found = hub
            .post("/registry/subjects/a?deleted=true", order(&two))
            .await
            .expect(200);
        assert_eq!(found["version"], 2);
        hub.kill();
        hub.restart().await;
    }
    assert_eq!(
        hub.delete(&format!("{version}?permanent=true"))
            .await
            .expect(200),
        json!(2)
    );
    assert_error(&hub.delete(version).await, 404, 40402);
    assert_error(&hub.get("/registry/schemas/ids/2").await, 404, 40403);
    // The same schema has its id again, and a number of its own.
    assert_eq!(register(&hub, "a", order(&two)).await, 2);
    assert_eq!(
        hub.get("/registry/subjects/a/versions").await.expect(200),
        json!([1, 3])
    );
}

#[tokio::test]
async fn a_subject_is_deleted_in_two_steps() {
    let mut hub = Hub::start().await;
    assert_error(&hub.delete("/registry/subjects/a").await, 404, 40401);
    register(&hub, "a", order(&id_field())).await;
    register(&hub, "b", order(&id_field())).await;
    assert_error(
        &hub.delete("/registry/subjects/a?permanent=true").await,
        404,
        40405,
    );
    assert_eq!(
        hub.delete("/registry/subjects/a").await.expect(200),
        json!([1])
    );
    assert_error(&hub.delete("/registry/subjects/a").await, 404, 40404);
    assert_eq!(
        hub.get("/registry/subjects").await.expect(200),
        json!(["b"])
    );
    assert_eq!(
        hub.get("/registry/subjects?deleted=true").await.expect(200),
        json!(["a", "b"])
    );
    assert_eq!(
        hub.get("/registry/subjects?deletedOnly=true")
            .await
            .expect(200),
        json!(["a"])
    );
    assert_error(&hub.get("/registry/subjects/a/versions").await, 404, 40401);
    // Registered again it is a new version.
    assert_eq!(register(&hub, "a", order(&id_field())).await, 1);
    assert_eq!(
        hub.get("/registry/subjects/a/versions?deleted=true")
            .await
            .expect(200),
        json!([1, 2])
    );
    assert_eq!(
        hub.delete("/registry/subjects/a").await.expect(200),
        json!([2])
    );
    assert_eq!(
        hub.delete("/registry/subjects/a?permanent=true")
            .await
            .expect(200),
        json!([1, 2])
    );
    assert_error(&hub.get("/registry/subjects/a/versions").await, 404, 40401);
    hub.kill();
    hub.restart().await;
    assert_eq!(
        hub.get("/registry/subjects?deleted=true").await.expect(200),
        json!(["b"])
    );
    assert_eq!(register(&hub, "a", order(&id_field())).await, 1);
    assert_eq!(
        hub.get("/registry/subjects/a/versions").await.expect(200),
        json!([3]),
        "numbers are not used again"
    );
}

#[tokio::test]
async fn what_is_referred_to_stays() {
    let hub = Hub::start().await;
    let money = json!({"schema": json!({"type": "record", "name": "com.acme.Money", "fields": [{"name": "cents", "type": "long"}]}).to_string()});
    register(&hub, "money", money).await;
    let mut invoice = json!({
        "schema": json!({"type": "record", "name": "Invoice", "fields": [{"name": "total", "type": "com.acme.Money"}]}).to_string(),
        "references": [{"name": "com.acme.Money", "subject": "money", "version": -1}],
    });
    let id = register(&hub, "invoices-value", invoice.clone()).await;
    let shown = hub
        .get("/registry/subjects/invoices-value/versions/1")
        .await
        .expect(200);
    assert_eq!(
        shown["references"],
        json!([{"name": "com.acme.Money", "subject": "money", "version": 1}])
    );
    assert_eq!(
        hub.get("/registry/subjects/money/versions/1/referencedby")
            .await
            .expect(200),
        json!([id])
    );
    let resolved = hub
        .get(&format!("/registry/schemas/ids/{id}?format=resolved"))
        .await
        .expect(200);
    assert!(
        resolved["schema"].as_str().unwrap().contains("cents"),
        "{resolved}"
    );
    let message = assert_error(
        &hub.delete("/registry/subjects/money/versions/1").await,
        422,
        42206,
    );
    assert!(message.contains("invoices-value@1"), "{message}");
    assert_error(&hub.delete("/registry/subjects/money").await, 422, 42206);
    assert_problem(
        &hub.delete("/v1/contracts/money/versions/1").await,
        409,
        "contract-in-use",
    );
    invoice["references"][0]["version"] = json!(2);
    let path = "/registry/subjects/invoices-value/versions";
    let message = assert_error(&hub.post(path, invoice.clone()).await, 422, 42201);
    assert!(message.contains("/references/0"), "{message}");
    invoice["references"] = json!([]);
    let message = assert_error(&hub.post(path, invoice).await, 422, 42201);
    assert!(message.contains("com.acme.Money"), "{message}");
    // What refers to it is deleted softly: it may go softly, too, and not for good before the other.
    assert_eq!(
        hub.delete("/registry/subjects/invoices-value")
            .await
            .expect(200),
        json!([1])
    );
    assert_eq!(
        hub.delete("/registry/subjects/money").await.expect(200),
        json!([1])
    );
    assert_error(
        &hub.delete("/registry/subjects/money?permanent=true").await,
        422,
        42206,
    );
    assert_eq!(
        hub.delete("/registry/subjects/invoices-value?permanent=true")
            .await
            .expect(200),
        json!([1])
    );
    assert_eq!(
        hub.delete("/registry/subjects/money?permanent=true")
            .await
            .expect(200),
        json!([1])
    );
}
