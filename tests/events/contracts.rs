//! Contracts: registered in versions, enforced at publish, checked without storing.

use sandbar_tests::{Hub, Publish, assert_problem, event};
use serde_json::{Value, json};

fn schema() -> Value {
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "required": ["name", "total"],
        "properties": {
            "name": {"type": "string"},
            "total": {"type": "number", "minimum": 0},
            "lines": {"type": "array", "items": {"type": "object", "required": ["sku"]}},
        },
    })
}

#[tokio::test]
async fn versions_are_kept_and_the_same_content_is_the_same_version() {
    let mut hub = Hub::start().await;
    let first = hub
        .post("/v1/contracts/order/versions", json!({"schema": schema()}))
        .await
        .expect(201);
    assert_eq!(
        (&first["name"], &first["version"]),
        (&json!("order"), &json!(1))
    );
    assert!(
        first["digest"].as_str().unwrap().starts_with("sha256:"),
        "{first}"
    );
    let again = hub
        .post("/v1/contracts/order/versions", json!({"schema": schema()}))
        .await
        .expect(200);
    assert_eq!(
        (&again["version"], &again["digest"]),
        (&first["version"], &first["digest"])
    );
    assert_eq!(hub.contract("order", json!({"type": "string"})).await, 2);
    hub.stop();
    hub.restart().await;
    let versions = hub.get("/v1/contracts/order/versions").await.expect(200);
    assert_eq!(versions["versions"].as_array().unwrap().len(), 2);
    let one = hub.get("/v1/contracts/order/versions/1").await.expect(200);
    assert_eq!(
        (&one["schema"], &one["digest"]),
        (&schema(), &first["digest"])
    );
    assert_problem(
        &hub.get("/v1/contracts/order/versions/3").await,
        404,
        "unknown-contract",
    );
    assert_problem(
        &hub.get("/v1/contracts/other/versions").await,
        404,
        "unknown-contract",
    );
}

#[tokio::test]
async fn each_violation_is_named_with_pointer_and_reason() {
    let hub = Hub::start().await;
    hub.contract("order", schema()).await;
    hub.topic("t", json!({"contract": "order"})).await;
    assert_eq!(
        hub.get("/v1/topics/t").await.expect(200)["contract"],
        "order@1"
    );
    let good = json!({"name": "a", "total": 1});
    let batch = [
        event("good", good.clone()),
        event(
            "bad",
            json!({"name": 7, "total": -1, "lines": [{"sku": 1}, {}]}),
        ),
        event("missing", json!({"name": "b"})),
    ];
    let problem = assert_problem(
        &hub.publish("t", Publish::batch(&batch)).await,
        422,
        "contract-violation",
    );
    let errors = problem["errors"].as_array().unwrap();
    let mut places: Vec<(u64, &str)> = errors
        .iter()
        .map(|one| {
            (
                one["index"].as_u64().unwrap(),
                one["pointer"].as_str().unwrap(),
            )
        })
        .collect();
    places.sort_unstable();
    assert_eq!(
        places,
        [
            (1, "/data/lines/1"),
            (1, "/data/name"),
            (1, "/data/total"),
            (2, "/data")
        ],
        "{problem}"
    );
    for error in errors {
        assert!(!error["reason"].as_str().unwrap().is_empty(), "{error}");
    }
    let missing = errors.iter().find(|one| one["index"] == 2).unwrap();
    assert!(
        missing["reason"].as_str().unwrap().contains("total"),
        "it names what is missing: {missing}"
    );
    assert_eq!(hub.stored("t").await, 0);
    let lenient = hub
        .publish("t", Publish::batch(&batch).lenient())
        .await
        .expect(200);
    assert_eq!(lenient["accepted"][0]["id"], "good");
    assert_eq!(lenient["rejected"][0]["code"], "contract-violation");
    assert_eq!(
        lenient["rejected"][0]["errors"].as_array().unwrap().len(),
        3
    );
    assert_eq!(hub.stored("t").await, 1);
    // Data that is no JSON at all cannot fit.
    let text = Publish::binary("text/plain", "text", "hello");
    assert_problem(&hub.publish("t", text).await, 422, "contract-violation");
    let broken = Publish::binary("application/json", "broken", "{\"name\":");
    let broken = hub.publish("t", broken).await;
    assert!(broken.status == 422 || broken.status == 400, "{broken:?}");
    assert_eq!(hub.stored("t").await, 1);
}

#[tokio::test]
async fn a_schema_may_differ_by_the_type_of_the_event() {
    let hub = Hub::start().await;
    let definition = json!({
        "schema": {"definitions": {"made": {"required": ["a"]}, "gone": {"required": ["b"]}}},
        "types": {"test.made": "#/definitions/made", "test.gone": "#/definitions/gone"},
    });
    let _ = hub
        .post("/v1/contracts/c/versions", definition)
        .await
        .expect(201);
    hub.topic("t", json!({"contract": "c@1"})).await;
    let of = |id: &str, kind: &str, data: Value| {
        let mut event = event(id, data);
        event["type"] = json!(kind);
        event
    };
    hub.accepted(
        "t",
        &[
            of("1", "test.made", json!({"a": 1})),
            of("2", "test.gone", json!({"b": 1})),
        ],
    )
    .await;
    let wrong = [
        of("3", "test.made", json!({"b": 1})),
        of("4", "test.other", json!({"a": 1, "b": 1})),
    ];
    let problem = assert_problem(
        &hub.publish("t", Publish::batch(&wrong)).await,
        422,
        "contract-violation",
    );
    let errors = problem["errors"].as_array().unwrap();
    assert_eq!(
        (&errors[0]["index"], &errors[1]["index"]),
        (&json!(0), &json!(1)),
        "{problem}"
    );
    assert_eq!(errors[1]["pointer"], "/type", "{problem}");
    assert_eq!(hub.stored("t").await, 2);
}

#[tokio::test]
async fn a_check_stores_nothing() {
    let hub = Hub::start().await;
    hub.contract("order", schema()).await;
    let events = [
        event("1", json!({"name": "a", "total": 1})),
        event("2", json!({"name": "a", "total": "1"})),
    ];
    let registered = hub
        .post(
            "/v1/contracts/order/check",
            json!({"version": 1, "events": events}),
        )
        .await
        .expect(200);
    let given = hub
        .post(
            "/v1/contracts/order/check",
            json!({"schema": schema(), "events": events}),
        )
        .await
        .expect(200);
    for answer in [registered, given] {
        let results = &answer["results"];
        assert_eq!(
            (&results[0]["valid"], &results[1]["valid"]),
            (&json!(true), &json!(false)),
            "{answer}"
        );
        let violation = &results[1]["violations"][0];
        assert!(
            violation["pointer"].as_str().unwrap().ends_with("/total"),
            "{answer}"
        );
        assert!(
            violation["schema_pointer"]
                .as_str()
                .unwrap()
                .contains("/properties/total/type"),
            "{answer}"
        );
    }
    assert_eq!(
        hub.get("/v1/contracts/order/versions").await.expect(200)["versions"]
            .as_array()
            .unwrap()
            .len(),
        1
    );
}

#[tokio::test]
async fn what_is_no_schema_is_refused() {
    let hub = Hub::start().await;
    let path = "/v1/contracts/c/versions";
    let problem = assert_problem(
        &hub.post(
            path,
            json!({"schema": {"properties": {"a": {"type": "strin"}}}}),
        )
        .await,
        422,
        "invalid-schema",
    );
    assert!(
        problem.to_string().contains("/properties/a/type"),
        "it names the place: {problem}"
    );
    let missing = json!({"schema": {"$ref": "#/definitions/no"}});
    assert_problem(&hub.post(path, missing).await, 422, "invalid-schema");
    // Nothing is fetched.
    let remote = json!({"schema": {"$ref": "http://127.0.0.1:9/schema.json"}});
    let problem = assert_problem(&hub.post(path, remote).await, 422, "invalid-schema");
    assert!(
        problem["detail"].as_str().unwrap().contains("127.0.0.1:9"),
        "{problem}"
    );
    let dangling = json!({"schema": {"definitions": {}}, "types": {"t": "#/definitions/no"}});
    assert_problem(&hub.post(path, dangling).await, 422, "invalid-schema");
    assert_problem(
        &hub.post(path, json!({"shema": {}})).await,
        422,
        "invalid-document",
    );
    assert_eq!(
        hub.get("/v1/contracts").await.expect(200)["contracts"],
        json!([]),
        "nothing was registered"
    );
}

#[tokio::test]
async fn a_contract_in_use_stays() {
    let hub = Hub::start().await;
    hub.contract("order", schema()).await;
    hub.topic("t", json!({"contract": "order@1"})).await;
    let problem = assert_problem(
        &hub.delete("/v1/contracts/order/versions/1").await,
        409,
        "contract-in-use",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains('t'),
        "{problem}"
    );
    assert_eq!(hub.delete("/v1/topics/t").await.status, 204);
    assert_eq!(
        hub.delete("/v1/contracts/order/versions/1").await.status,
        204
    );
    let unknown = hub
        .put("/v1/topics/u", json!({"contract": "order@1"}))
        .await;
    assert_eq!(unknown.status, 422, "{unknown:?}");
    assert_problem(&hub.get("/v1/topics/u").await, 404, "unknown-topic");
}

#[tokio::test]
async fn old_drafts_are_taken_as_they_are() {
    let hub = Hub::start().await;
    // In draft-04 exclusiveMinimum is a boolean, in 2020-12 a number.
    let four = json!({"$schema": "http://json-schema.org/draft-04/schema#", "minimum": 3, "exclusiveMinimum": true});
    let twenty =
        json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "exclusiveMinimum": 3});
    for (name, schema) in [("four", four), ("twenty", twenty)] {
        hub.contract(name, schema).await;
        let events = [event("1", json!(3)), event("2", json!(4))];
        let answer = hub
            .post(
                &format!("/v1/contracts/{name}/check"),
                json!({"events": events}),
            )
            .await
            .expect(200);
        let valid = [
            &answer["results"][0]["valid"],
            &answer["results"][1]["valid"],
        ];
        assert_eq!(valid, [&json!(false), &json!(true)], "{name}: {answer}");
    }
}
