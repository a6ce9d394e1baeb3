//! Schemas that must not get in: each is refused with the place, and the hub goes on.

use sandbar_tests::{Hub, assert_problem};
use serde_json::{Value, json};

use super::assert_error;

/// A definition, where the fault is, and a word of the reason.
fn cases() -> Vec<(Value, &'static str, &'static str)> {
    let avro = |schema: Value| json!({"format": "avro", "schema": schema});
    let record =
        |name: &str, fields: Value| json!({"type": "record", "name": name, "fields": fields});
    let protobuf = |text: &str| json!({"format": "protobuf", "schema": text});
    vec![
        (
            json!({"schema": {"type": "strin"}}),
            "/schema/type",
            "strin",
        ),
        (
            json!({"schema": {"$ref": "#/$defs/no"}}),
            "/schema/$ref",
            "not in the schema",
        ),
        (
            json!({"schema": {"$ref": "http://127.0.0.1:9/x.json"}}),
            "/schema/$ref",
            "nothing is fetched",
        ),
        (
            json!({"schema": {"properties": {"a": {"$ref": "money.json#/x"}}}}),
            "/schema/properties/a/$ref",
            "in references, under the name \"money.json\"",
        ),
        (
            json!({"schema": {"items": {"$ref": "#money"}}}),
            "/schema/items/$ref",
            "nothing has that anchor",
        ),
        (
            json!({"schema": {"items": {"pattern": "("}}}),
            "/schema/items/pattern",
            "no regular expression: unclosed group",
        ),
        (json!({"schema": {"$ref": "#"}}), "/schema", ""),
        (
            json!({"schema": {"allOf": [{"$ref": "#/$defs/a"}], "$defs": {"a": {"anyOf": [{"$ref": "#/$defs/a"}]}}}}),
            "/schema",
            "",
        ),
        (
            json!({"schema": {"pattern": "(a+)+\\1"}}),
            "/schema/pattern",
            "linear time",
        ),
        (
            json!({"schema": {"pattern": "((a{1000}){1000}){1000}"}}),
            "/schema/pattern",
            "pattern",
        ),
        (
            json!({"schema": {"$schema": "http://127.0.0.1:9/own"}}),
            "/schema/$schema",
            "not known",
        ),
        (json!({"schema": 7}), "/schema", "object or a boolean"),
        (json!({"schema": "{\"type\":"}), "/schema", "not JSON"),
        (avro(record("1st", json!([]))), "/schema/name", "1st"),
        (avro(record("a b", json!([]))), "/schema/name", "a b"),
        (
            avro(record("R", json!([{"name": "x-y", "type": "int"}]))),
            "/schema/fields/0/name",
            "x-y",
        ),
        (
            avro(record("R", json!([{"name": "x", "type": "Elsewhere"}]))),
            "/schema/fields/0/type",
            "Elsewhere",
        ),
        (
            avro(record(
                "R",
                json!([{"name": "x", "type": "int", "default": "y"}]),
            )),
            "/schema/fields/0/default",
            "",
        ),
        (
            avro(json!({"type": "enum", "name": "E", "symbols": ["A", "A"]})),
            "/schema/symbols/1",
            "A",
        ),
        (avro(json!(["int", "int"])), "/schema/1", "int"),
        (avro(json!("not an avro type")), "/schema", "not JSON"),
        (
            json!({"format": "avro", "schema": "int", "types": {"t": "#"}}),
            "/types",
            "all types",
        ),
        (
            protobuf("syntax = \"proto3\"; message M { int32 n = 1"),
            "/schema",
            "1:",
        ),
        (
            protobuf("syntax = \"proto3\"; import \"gone.proto\"; message M {}"),
            "/schema",
            "gone.proto",
        ),
        (
            protobuf("syntax = \"proto3\"; message M { Gone g = 1; }"),
            "/schema",
            "Gone",
        ),
        (
            protobuf("syntax = \"proto3\"; message M { int32 a = 1; int32 b = 1; }"),
            "/schema",
            "1",
        ),
        (
            protobuf("edition = \"2023\"; message M {}"),
            "/schema",
            "edition",
        ),
        (
            json!({"format": "protobuf", "schema": {}}),
            "/schema",
            "text",
        ),
        (
            json!({"format": "protobuf", "schema": "CgVhLnByb3RvEgFw/w=="}),
            "/schema",
            "",
        ),
    ]
}

#[tokio::test]
async fn each_fault_is_told_with_its_place() {
    let hub = Hub::start().await;
    for (definition, pointer, reason) in cases() {
        let answer = hub
            .post("/v1/contracts/c/versions", definition.clone())
            .await;
        let problem = assert_problem(&answer, 422, "invalid-schema");
        let error = &problem["errors"][0];
        assert_eq!(error["pointer"], pointer, "{definition}: {problem}");
        assert!(
            error["reason"].as_str().unwrap().contains(reason),
            "{definition}: {problem}"
        );
        // The same by the registry, with its code.
        let kind = match definition["format"].as_str() {
            Some("avro") => "AVRO",
            Some("protobuf") => "PROTOBUF",
            _ => "JSON",
        };
        if definition.get("types").is_some()
            || (kind == "PROTOBUF" && definition["schema"].is_object())
        {
            continue;
        }
        let text = match &definition["schema"] {
            Value::String(text) => text.clone(),
            schema => schema.to_string(),
        };
        let request = json!({"schemaType": kind, "schema": text});
        assert_error(
            &hub.post("/registry/subjects/c/versions", request).await,
            422,
            42201,
        );
    }
    assert_eq!(
        hub.get("/v1/contracts").await.expect(200)["contracts"],
        json!([]),
        "nothing is there"
    );
}

#[tokio::test]
async fn huge_and_deep_ones_cost_no_more_than_an_answer() {
    let hub = Hub::start().await;
    // Deep: more than a parser of JSON texts takes, and just below that.
    for depth in [60, 5000] {
        let json = format!("{}true{}", "{\"not\":".repeat(depth), "}".repeat(depth));
        let array = format!(
            "{}\"int\"{}",
            "{\"type\":\"array\",\"items\":".repeat(depth),
            "}".repeat(depth)
        );
        let nested = format!(
            "syntax = \"proto3\"; {} {}",
            "message M {".repeat(depth),
            "}".repeat(depth)
        );
        for (kind, text) in [("JSON", json), ("AVRO", array), ("PROTOBUF", nested)] {
            let request = json!({"schemaType": kind, "schema": text});
            let answer = hub.post("/registry/subjects/deep/versions", request).await;
            if depth == 5000 {
                assert_error(&answer, 422, 42201);
            } else {
                assert!(matches!(answer.status, 200 | 422), "{answer:?}");
            }
        }
    }
    // Wide.
    let properties: serde_json::Map<String, Value> = (0..20_000)
        .map(|n| (format!("p{n}"), json!({"type": "integer", "minimum": n})))
        .collect();
    let wide =
        json!({"schemaType": "JSON", "schema": json!({"properties": properties}).to_string()});
    let _ = hub
        .post("/registry/subjects/wide/versions", wide)
        .await
        .expect(200);
    let fields: Vec<Value> = (0..20_000)
        .map(|n| json!({"name": format!("f{n}"), "type": "int"}))
        .collect();
    let wide =
        json!({"schema": json!({"type": "record", "name": "R", "fields": fields}).to_string()});
    let _ = hub
        .post("/registry/subjects/wide-avro/versions", wide)
        .await
        .expect(200);
    // Beyond what a body may have.
    let huge = json!({"schema": "x".repeat(33 * 1024 * 1024)});
    assert_error(
        &hub.post("/registry/subjects/huge/versions", huge).await,
        413,
        413,
    );
    // Recursive through the data is as good as any.
    let tree = json!({"type": "record", "name": "Tree", "fields": [
        {"name": "children", "type": {"type": "array", "items": "Tree"}}]});
    let _ = hub
        .post(
            "/registry/subjects/tree/versions",
            json!({"schema": tree.to_string()}),
        )
        .await
        .expect(200);
    // Without end it is not.
    let endless = json!({"type": "record", "name": "Endless", "fields": [{"name": "self", "type": "Endless"}]});
    let answer = hub
        .post(
            "/registry/subjects/endless/versions",
            json!({"schema": endless.to_string()}),
        )
        .await;
    assert!(matches!(answer.status, 200 | 422), "{answer:?}");
}

#[tokio::test]
async fn what_cannot_be_kept_is_refused() {
    let hub = Hub::start().await;
    let path = "/registry/subjects/s/versions";
    assert_error(&hub.post(path, json!({})).await, 422, 42201);
    assert_error(
        &hub.post(path, json!({"schema": "\"int\"", "schemaType": "XML"}))
            .await,
        422,
        422,
    );
    let rules = json!({"schema": "\"int\"", "ruleSet": {"domainRules": [{"name": "x"}]}});
    assert_error(&hub.post(path, rules).await, 422, 42210);
    let metadata = json!({"schema": "\"int\"", "metadata": {"properties": {"a": "b"}}});
    assert_error(&hub.post(path, metadata).await, 422, 42201);
    let empty = json!({"schema": "\"int\"", "metadata": null, "ruleSet": {"domainRules": []}});
    let _ = hub.post(path, empty).await.expect(200);
    let broken = hub
        .request(reqwest::Method::POST, path)
        .header("content-type", "application/json")
        .body("{\"schema\":");
    assert_error(&hub.send(broken).await, 400, 400);
    assert_error(
        &hub.get("/registry/subjects/s/versions/0").await,
        422,
        42202,
    );
    assert_error(
        &hub.get("/registry/subjects/s/versions/first").await,
        422,
        42202,
    );
    assert_error(
        &hub.get("/registry/subjects/s/versions/9").await,
        404,
        40402,
    );
    assert_error(
        &hub.get("/registry/subjects/none/versions/1").await,
        404,
        40401,
    );
    assert_error(&hub.get("/registry/schemas/ids/99").await, 404, 40403);
    assert_error(
        &hub.post("/registry/subjects/none", json!({"schema": "\"int\""}))
            .await,
        404,
        40401,
    );
    assert_error(&hub.get("/registry/schemas/ids/x").await, 400, 400);
}
