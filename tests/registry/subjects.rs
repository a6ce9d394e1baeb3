//! Subjects, versions and ids, and that they are the contracts.

use reqwest::Method;
use sandbar_tests::Hub;
use serde_json::{Value, json};

use super::{assert_error, avro, id_field, order, register};

#[tokio::test]
async fn a_schema_is_registered_listed_and_found() {
    let mut hub = Hub::start().await;
    // Spaces and the order of members are kept as they were sent.
    let text = "{\"type\": \"record\",\n  \"name\": \"Order\", \"fields\": [{\"type\": \"string\", \"name\": \"id\"}]}";
    let id = register(&hub, "orders-value", json!({"schema": text})).await;
    assert_eq!(id, 1);
    assert_eq!(
        register(
            &hub,
            "orders-value",
            json!({"schema": text, "schemaType": "AVRO"})
        )
        .await,
        1
    );
    let other = register(&hub, "com.acme.Order", json!({"schema": text})).await;
    assert_eq!(other, 1, "the same schema has the same id");
    let json = json!({"schemaType": "JSON", "schema": "{\"type\": \"object\"}"});
    assert_eq!(register(&hub, "acme%2Fitem.json", json).await, 2);
    // Killed, not stopped.
    hub.kill();
    hub.restart().await;
    let subjects = hub.get("/registry/subjects").await.expect(200);
    assert_eq!(
        subjects,
        json!(["acme/item.json", "com.acme.Order", "orders-value"])
    );
    let some = hub
        .get("/registry/subjects?subjectPrefix=com.&limit=1")
        .await
        .expect(200);
    assert_eq!(some, json!(["com.acme.Order"]));
    let page = hub
        .get("/registry/subjects?offset=1&limit=1")
        .await
        .expect(200);
    assert_eq!(page, json!(["com.acme.Order"]));
    assert_eq!(
        hub.get("/registry/subjects/orders-value/versions")
            .await
            .expect(200),
        json!([1])
    );
    for version in ["1", "latest", "-1"] {
        let path = format!("/registry/subjects/orders-value/versions/{version}");
        let found = hub.get(&path).await.expect(200);
        assert_eq!(
            found,
            json!({"subject": "orders-value", "version": 1, "id": 1, "schema": text})
        );
    }
    let plain = hub
        .get("/registry/subjects/orders-value/versions/1/schema")
        .await;
    assert_eq!((plain.status, plain.text.as_str()), (200, text));
    assert_eq!(
        hub.get("/registry/schemas/ids/1").await.expect(200),
        json!({"schema": text})
    );
    let with_type = hub
        .get("/registry/schemas/ids/2?fetchMaxId=true")
        .await
        .expect(200);
    assert_eq!(
        with_type,
        json!({"schemaType": "JSON", "schema": "{\"type\": \"object\"}", "maxId": 2})
    );
    assert_eq!(hub.get("/registry/schemas/ids/1/schema").await.text, text);
    assert_eq!(
        hub.get("/registry/schemas/ids/1/subjects")
            .await
            .expect(200),
        json!(["com.acme.Order", "orders-value"])
    );
    assert_eq!(
        hub.get("/registry/schemas/ids/1/versions")
            .await
            .expect(200),
        json!([{"subject": "com.acme.Order", "version": 1}, {"subject": "orders-value", "version": 1}])
    );
    assert_eq!(
        hub.get("/registry/schemas/types").await.expect(200),
        json!(["JSON", "PROTOBUF", "AVRO"])
    );
    let all = hub
        .get("/registry/schemas?subjectPrefix=orders&latestOnly=true")
        .await
        .expect(200);
    assert_eq!(
        (&all[0]["id"], all.as_array().unwrap().len()),
        (&json!(1), 1),
        "{all}"
    );
    let found = hub
        .post("/registry/subjects/orders-value", json!({"schema": text}))
        .await
        .expect(200);
    assert_eq!((&found["version"], &found["id"]), (&json!(1), &json!(1)));
    // What is sent in other words is found, too.
    let value: Value = serde_json::from_str(text).unwrap();
    let _ = hub
        .post(
            "/registry/subjects/orders-value",
            json!({"schema": value.to_string()}),
        )
        .await
        .expect(200);
}

#[tokio::test]
async fn both_apis_see_the_same() {
    let hub = Hub::start().await;
    let schema = json!({"type": "object", "required": ["id"]});
    hub.contract("order", schema.clone()).await;
    let shown = hub
        .get("/registry/subjects/order/versions/1")
        .await
        .expect(200);
    assert_eq!(shown["schemaType"], "JSON");
    let text = shown["schema"].as_str().unwrap();
    assert_eq!(serde_json::from_str::<Value>(text).unwrap(), schema);
    let tighter = json!({"schemaType": "JSON", "schema": "{\"type\": \"object\", \"required\": [\"id\", \"a\"]}"});
    // The contract's rule is the subject's level, whoever set it.
    let _ = hub
        .put(
            "/v1/contracts/order",
            json!({"compatibility": "backward", "owner": "o"}),
        )
        .await
        .expect(200);
    assert_eq!(
        hub.get("/registry/config/order").await.expect(200),
        json!({"compatibilityLevel": "BACKWARD"})
    );
    let refused = hub
        .post("/registry/subjects/order/versions", tighter.clone())
        .await;
    let message = assert_error(&refused, 409, 409);
    assert!(
        message.contains("required-added") && message.contains("shown by"),
        "{message}"
    );
    let _ = hub
        .put(
            "/registry/config/order",
            json!({"compatibility": "FORWARD_TRANSITIVE"}),
        )
        .await
        .expect(200);
    let document = hub.get("/v1/contracts/order").await.expect(200);
    assert_eq!(
        (&document["compatibility"], &document["owner"]),
        (&json!("forward-transitive"), &json!("o"))
    );
    assert_eq!(register(&hub, "order", tighter).await, 2);
    let second = hub.get("/v1/contracts/order/versions/2").await.expect(200);
    assert_eq!(
        (&second["id"], &second["schema"]["required"]),
        (&json!(2), &json!(["id", "a"]))
    );
    // An Avro subject is a contract that a topic may be bound to.
    register(&hub, "clicks-value", order(&id_field())).await;
    hub.topic("clicks", json!({"contract": "clicks-value"}))
        .await;
    let refused = hub.delete("/registry/subjects/clicks-value").await;
    let message = assert_error(&refused, 422, 42206);
    assert!(message.contains("clicks"), "{message}");
}

#[tokio::test]
async fn levels_are_set_for_one_and_for_all() {
    let hub = Hub::start().await;
    assert_eq!(
        hub.get("/registry/config").await.expect(200),
        json!({"compatibilityLevel": "NONE"})
    );
    register(&hub, "a", order(&id_field())).await;
    assert_error(&hub.get("/registry/config/a").await, 404, 40408);
    let set = hub
        .put("/registry/config", json!({"compatibility": "BACKWARD"}))
        .await
        .expect(200);
    assert_eq!(set, json!({"compatibility": "BACKWARD"}));
    let inherited = hub
        .get("/registry/config/a?defaultToGlobal=true")
        .await
        .expect(200);
    assert_eq!(inherited, json!({"compatibilityLevel": "BACKWARD"}));
    let more = json!([{"name": "id", "type": "string"}, {"name": "total", "type": "long"}]);
    let path = "/registry/compatibility/subjects/a/versions";
    let verbose = hub
        .post(&format!("{path}/latest?verbose=true"), order(&more))
        .await
        .expect(200);
    assert_eq!(verbose["is_compatible"], false, "{verbose}");
    let messages = verbose["messages"].to_string();
    assert!(
        messages.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{messages}"
    );
    let message = assert_error(
        &hub.post("/registry/subjects/a/versions", order(&more))
            .await,
        409,
        409,
    );
    assert!(
        message.contains("READER_FIELD_MISSING_DEFAULT_VALUE"),
        "{message}"
    );
    // In the words of this API, with what its clients can do.
    for words in [
        "incompatible with an earlier schema for subject \"a\", details: [{errorType:",
        "{compatibility: 'BACKWARD'}",
        "PUT /config/a",
    ] {
        assert!(message.contains(words), "{words}: {message}");
    }
    for words in ["/v1/", "'errors'", "accept_unknown"] {
        assert!(!message.contains(words), "{words}: {message}");
    }
    // The same rule by the other door.
    let definition =
        json!({"format": "avro", "schema": serde_json::from_str::<Value>(&avro(&more)).unwrap()});
    let refused = hub.post("/v1/contracts/a/versions", definition).await;
    let problem = sandbar_tests::assert_problem(&refused, 409, "incompatible-contract");
    assert!(
        problem["errors"][0]["path"]
            .as_str()
            .unwrap()
            .contains("fields"),
        "{problem}"
    );
    let _ = hub
        .put(
            "/registry/config/a",
            json!({"compatibilityLevel": "forward"}),
        )
        .await
        .expect(200);
    assert_eq!(
        hub.post(path, order(&more)).await.expect(200),
        json!({"is_compatible": true})
    );
    assert_eq!(
        hub.delete("/registry/config/a").await.expect(200),
        json!({"compatibilityLevel": "FORWARD"})
    );
    assert_error(&hub.delete("/registry/config/a").await, 404, 40408);
    let first = hub
        .post(
            "/registry/compatibility/subjects/none/versions/latest",
            order(&more),
        )
        .await
        .expect(200);
    assert_eq!(
        first,
        json!({"is_compatible": true}),
        "no version is before the first"
    );
    assert_eq!(
        hub.delete("/registry/config").await.expect(200),
        json!({"compatibilityLevel": "BACKWARD"})
    );
    register(&hub, "a", order(&more)).await;
    assert_error(
        &hub.put("/registry/config", json!({"compatibility": "BEST"}))
            .await,
        422,
        42203,
    );
    assert_error(&hub.put("/registry/config/a", json!({})).await, 422, 42203);
    let grouped = json!({"compatibility": "FULL", "compatibilityGroup": "v"});
    let message = assert_error(&hub.put("/registry/config/a", grouped).await, 422, 422);
    assert!(message.contains("compatibilityGroup"), "{message}");
}

#[tokio::test]
async fn normalizing_is_set_for_one_and_for_all() {
    let mut hub = Hub::start().await;
    let with_doc = |doc: &str| {
        let schema = json!({"type": "record", "name": "Order", "namespace": "com.acme", "doc": doc, "fields": id_field()});
        json!({"schema": schema.to_string()})
    };
    let first = register(&hub, "a", with_doc("one")).await;
    let other = register(&hub, "a", with_doc("two")).await;
    assert_ne!(first, other, "as they are sent they are two");
    let set = json!({"normalize": true});
    let answer = hub.put("/registry/config", set.clone()).await.expect(200);
    assert_eq!(answer, set);
    assert_eq!(
        hub.get("/registry/config").await.expect(200),
        json!({"compatibilityLevel": "NONE", "normalize": true})
    );
    let third = register(&hub, "a", with_doc("three")).await;
    assert_eq!(third, other, "what means the same is the latest that does");
    let found = hub
        .post("/registry/subjects/a", with_doc("four"))
        .await
        .expect(200);
    assert_eq!(found["id"], other, "{found}");
    // A subject's own counts before that of all, and stays when the level is set.
    let own = json!({"normalize": false});
    let _ = hub.put("/registry/config/a", own.clone()).await.expect(200);
    assert_eq!(hub.get("/registry/config/a").await.expect(200), own);
    let level = json!({"compatibility": "FULL"});
    let _ = hub.put("/registry/config/a", level).await.expect(200);
    hub.stop();
    hub.restart().await;
    let both = json!({"compatibilityLevel": "FULL", "normalize": false});
    assert_eq!(hub.get("/registry/config/a").await.expect(200), both);
    assert_eq!(
        hub.get("/registry/config/b?defaultToGlobal=true")
            .await
            .expect(200),
        json!({"compatibilityLevel": "NONE", "normalize": true})
    );
    let fourth = hub.post("/registry/subjects/a", with_doc("four")).await;
    assert_error(&fourth, 404, 40403);
    assert_eq!(hub.delete("/registry/config/a").await.expect(200), both);
    assert_error(&hub.get("/registry/config/a").await, 404, 40408);
    let _ = hub
        .post("/registry/subjects/a", with_doc("four"))
        .await
        .expect(200);
    let _ = hub.delete("/registry/config").await.expect(200);
    assert_eq!(
        hub.get("/registry/config").await.expect(200),
        json!({"compatibilityLevel": "NONE"})
    );
}

#[tokio::test]
async fn a_contract_is_listed_while_there_is_something_of_it() {
    let hub = Hub::start().await;
    let named = async || -> Vec<Value> {
        let list = hub.get("/v1/contracts").await.expect(200);
        let each = list["contracts"].as_array().unwrap().iter();
        each.map(|one| one["name"].clone()).collect()
    };
    register(&hub, "a", order(&id_field())).await;
    let level = json!({"compatibility": "FULL"});
    let _ = hub.put("/registry/config/a", level).await.expect(200);
    let _ = hub.delete("/v1/contracts/a/versions/1").await.expect(204);
    assert_eq!(named().await, ["a"], "it has a rule");
    let _ = hub.delete("/registry/config/a").await.expect(200);
    assert!(named().await.is_empty(), "{:?}", named().await);
}

#[tokio::test]
async fn clients_of_any_manner_are_answered() {
    let hub = Hub::start().await;
    assert_eq!(hub.get("/registry").await.expect(200), json!({}));
    assert_eq!(
        hub.get("/registry/contexts").await.expect(200),
        json!(["."])
    );
    let id = hub.get("/registry/v1/metadata/id").await.expect(200);
    assert!(id["scope"]["clusters"].is_object(), "{id}");
    let _ = hub.get("/registry/v1/metadata/version").await.expect(200);
    let body = order(&id_field()).to_string();
    for kind in [
        "application/vnd.schemaregistry.v1+json",
        "application/vnd.schemaregistry+json",
        "application/json; charset=utf-8",
        "application/octet-stream",
    ] {
        let request = hub
            .request(Method::POST, "/registry/subjects/s/versions")
            .header("content-type", kind)
            .header("accept", "application/json")
            .body(body.clone());
        let answer = hub.send(request).await;
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert_eq!(answer.expect(200)["id"], 1);
    }
    let request = hub
        .request(Method::POST, "/registry/subjects/s/versions")
        .header("content-type", "text/plain")
        .body(body);
    assert_error(&hub.send(request).await, 415, 415);
    assert_error(&hub.get("/registry/nothing").await, 404, 404);
    let wrong = hub
        .send(hub.request(Method::PATCH, "/registry/subjects"))
        .await;
    assert_error(&wrong, 405, 405);
    // The default context may be named; there is no other.
    assert_eq!(
        hub.get("/registry/subjects/:.:s/versions")
            .await
            .expect(200),
        json!([1])
    );
    for subject in [":.other:s", "_schemas", "sandbar.x", &"x".repeat(129)] {
        let path = format!("/registry/subjects/{subject}/versions");
        assert_error(&hub.post(&path, order(&id_field())).await, 422, 42208);
    }
}

#[tokio::test]
async fn the_normal_form_finds_what_means_the_same() {
    let hub = Hub::start().await;
    let plain = order(&json!([{"name": "id", "type": "string"}]));
    let wordy = order(&json!([{"name": "id", "type": {"type": "string"}, "doc": "its number"}]));
    let id = register(&hub, "a", plain.clone()).await;
    assert_error(
        &hub.post("/registry/subjects/a", wordy.clone()).await,
        404,
        40403,
    );
    let found = hub
        .post("/registry/subjects/a?normalize=true", wordy.clone())
        .await
        .expect(200);
    assert_eq!(found["id"], id);
    let again = hub
        .post(
            "/registry/subjects/a/versions?normalize=true",
            wordy.clone(),
        )
        .await
        .expect(200);
    assert_eq!(again["id"], id);
    assert_ne!(
        register(&hub, "a", wordy).await,
        id,
        "documentation is content, too"
    );
    assert_eq!(
        hub.get("/registry/subjects/a/versions").await.expect(200),
        json!([1, 2])
    );
}
