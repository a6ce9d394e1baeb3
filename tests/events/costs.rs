//! Contracts and events whose checking would cost too much: each has an answer, and the hub goes on.

use sandbar_tests::{Hub, Publish, assert_problem, event};
use serde_json::{Value, json};

fn nested(depth: usize, inner: Value) -> Value {
    (0..depth).fold(inner, |inner, _| json!([inner]))
}

/// Each schema asks the one before twice; the first is `last`.
fn chain(keyword: &str, links: usize, last: &Value) -> Value {
    let mut definitions = json!({"a0": last});
    for link in 1..=links {
        let one = json!({"$ref": format!("#/$defs/a{}", link - 1)});
        definitions[format!("a{link}")] = json!({keyword: [one, one]});
    }
    json!({"$defs": definitions, "$ref": format!("#/$defs/a{links}")})
}

/// A topic with a contract of this schema.
async fn bound(hub: &Hub, name: &str, schema: Value) {
    let path = format!("/v1/contracts/{name}/versions");
    let definition = json!({"schema": schema});
    let _ = hub.post(&path, definition).await.expect(201);
    hub.topic(name, json!({"contract": format!("{name}@1")}))
        .await;
}

/// The reason for which data is refused.
async fn refused(hub: &Hub, topic: &str, data: Value) -> String {
    let events = [event("1", data)];
    let answer = hub.publish(topic, Publish::batch(&events)).await;
    let problem = assert_problem(&answer, 422, "contract-violation");
    problem["errors"][0]["reason"].to_string()
}

async fn taken(hub: &Hub, topic: &str, data: Value) {
    let events = [event("1", data)];
    let _ = hub
        .publish(topic, Publish::batch(&events))
        .await
        .expect(200);
}

#[tokio::test]
async fn events_that_cost_too_much_are_refused() {
    let hub = Hub::start().await;
    let twice = json!({"$ref": "#/$defs/n", "$defs": {"n": {"anyOf": [
        {"type": "array", "items": {"$ref": "#/$defs/n"}},
        {"type": "array", "items": {"$ref": "#/$defs/n"}},
        {"type": "string"}]}}});
    bound(&hub, "twice", twice).await;
    let few = refused(&hub, "twice", nested(2, json!(1))).await;
    assert!(few.contains("anyOf"), "{few}");
    let many = refused(&hub, "twice", nested(60, json!(1))).await;
    assert!(many.contains("too many steps"), "{many}");
    taken(&hub, "twice", nested(60, json!("a"))).await;

    bound(&hub, "all", chain("allOf", 60, &json!({"type": "string"}))).await;
    let reason = refused(&hub, "all", json!("abc")).await;
    assert!(reason.contains("too many steps"), "{reason}");
    bound(&hub, "any", chain("anyOf", 60, &json!({"type": "string"}))).await;
    taken(&hub, "any", json!("abc")).await;
    let reason = refused(&hub, "any", json!(5)).await;
    assert!(reason.contains("too many steps"), "{reason}");

    bound(&hub, "items", json!({"items": {"type": "string"}})).await;
    let reason = refused(&hub, "items", json!(vec![1; 100_000])).await;
    assert!(reason.contains("not of type"), "{reason}");
}

#[tokio::test]
async fn comparisons_that_cost_too_much_have_an_answer() {
    let hub = Hub::start().await;
    bound(&hub, "all", chain("allOf", 60, &json!({"type": "string"}))).await;
    let longer = chain("allOf", 60, &json!({"type": "string", "minLength": 2}));
    let path = "/v1/contracts/all/compatibility";
    let asked = json!({"schema": longer, "rule": "full"});
    let compared = hub.post(path, asked).await.expect(200);
    assert_eq!(compared["answer"], "unknown", "{compared}");
}

#[tokio::test]
async fn what_goes_deep_does_not_overflow_the_stack() {
    let hub = Hub::start().await;
    // Through the data.
    let through = |links: usize| {
        let mut definitions = json!({});
        for link in 0..links {
            let next = json!({"$ref": format!("#/$defs/a{}", link + 1)});
            definitions[format!("a{link}")] = json!({"properties": {"x": next}});
        }
        definitions[format!("a{links}")] = json!({"type": "array"});
        json!({"$defs": definitions, "$ref": "#/$defs/a0"})
    };
    bound(&hub, "long", through(900)).await;
    let deep = (0..100).fold(json!({}), |inner, _| json!({"x": inner}));
    taken(&hub, "long", deep).await;
    let path = "/v1/contracts/longer/versions";
    let answer = hub.post(path, json!({"schema": through(5_000)})).await;
    let problem = assert_problem(&answer, 422, "invalid-schema");
    assert!(
        problem["detail"].to_string().contains("in a row"),
        "{problem}"
    );
    // In one place, before it goes into the data.
    let mut definitions = json!({});
    for link in 0..90 {
        let next = json!({"$ref": format!("#/$defs/a{}", link + 1)});
        definitions[format!("a{link}")] = json!({"allOf": [next]});
    }
    definitions["a90"] = json!({"type": "array", "items": {"$ref": "#/$defs/a0"}});
    bound(
        &hub,
        "place",
        json!({"$defs": definitions, "$ref": "#/$defs/a0"}),
    )
    .await;
    taken(&hub, "place", nested(100, json!([]))).await;
    let reason = refused(&hub, "place", nested(100, json!(1))).await;
    assert!(reason.contains("not of type"), "{reason}");
}

#[tokio::test]
async fn schemas_with_too_many_parts_are_refused() {
    let hub = Hub::start().await;
    let path = "/v1/contracts/large/versions";
    let properties: serde_json::Map<String, Value> = (0..60_000)
        .map(|index| (format!("p{index}"), json!({"type": "string"})))
        .collect();
    let answer = hub
        .post(path, json!({"schema": {"properties": properties}}))
        .await;
    let problem = assert_problem(&answer, 422, "invalid-schema");
    assert!(
        problem["detail"].to_string().contains("60002 objects"),
        "{problem}"
    );
    let mut through = chain("allOf", 40, &json!({"type": "object"}));
    through["unevaluatedProperties"] = json!(false);
    let answer = hub.post(path, json!({"schema": through})).await;
    let problem = assert_problem(&answer, 422, "invalid-schema");
    assert!(
        problem["detail"].to_string().contains("combinations"),
        "{problem}"
    );
}
