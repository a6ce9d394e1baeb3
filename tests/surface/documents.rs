//! The documents of a running hub with everything defined: AsyncAPI, and the events in OpenAPI. Both are
//! valid by the tools that others read them with, and every reference in them leads somewhere.

use std::{fs, process::Command};

use sandbar_tests::{Hub, Publish, event, guest, repository};
use serde_json::{Value, json};

/// Schemas of several drafts, with references of all kinds.
fn contracts() -> Vec<(&'static str, Value)> {
    vec![
        (
            "order",
            json!({
                "$schema": "http://json-schema.org/draft-04/schema#",
                "id": "http://example.com/order.json",
                "type": "object",
                "required": ["total"],
                "properties": {
                    "total": {"type": "number", "minimum": 0, "exclusiveMinimum": true},
                    "lines": {"type": "array", "items": [{"$ref": "#/definitions/line"}], "additionalItems": {"$ref": "line.json"}},
                },
                "definitions": {"line": {"id": "line.json", "type": "object", "properties": {"parts": {"items": {"$ref": "#"}}}}},
            }),
        ),
        (
            "tree.of-things",
            json!({
                "$schema": "https://json-schema.org/draft/2019-09/schema",
                "$recursiveAnchor": true,
                "type": "object",
                "properties": {"children": {"type": "array", "items": {"$recursiveRef": "#"}}, "name": {"$ref": "#name", "maxLength": 9}},
                "$defs": {"n": {"$anchor": "name", "type": "string"}},
            }),
        ),
        (
            "shape",
            json!({
                "$id": "https://example.com/shape",
                "type": "object",
                "properties": {"at": {"$ref": "point"}, "discriminator": {"enum": [{"$ref": "no reference"}, "a"]}},
                "$defs": {"point": {"$id": "point", "prefixItems": [{"type": "integer"}, {"type": "integer"}], "unevaluatedItems": false}},
            }),
        ),
    ]
}

/// A hub in which there is one of everything.
async fn filled() -> Hub {
    let hub = Hub::start().await;
    for (name, schema) in contracts() {
        hub.contract(name, schema).await;
    }
    let typed = json!({
        "schema": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "definitions": {
                "made": {"type": "object", "required": ["n"], "properties": {"n": {"$ref": "#/definitions/n"}}},
                "gone": {"type": "object", "properties": {"why": {"type": "string"}}},
                "n": {"type": "integer"},
            },
        },
        "types": {"com.example/made": "#/definitions/made", "com.example~gone!": "#/definitions/gone"},
        "description": "What became of things",
    });
    let _ = hub
        .post("/v1/contracts/thing/versions", typed.clone())
        .await
        .expect(201);
    let mut next = typed;
    next["schema"]["definitions"]["gone"]["properties"]["by"] = json!({"type": "string"});
    let _ = hub
        .post("/v1/contracts/thing/versions", next)
        .await
        .expect(201);
    let agreement =
        json!({"deprecated": true, "owner": "team things", "compatibility": "backward"});
    let _ = hub.put("/v1/contracts/thing", agreement).await.expect(200);

    for name in ["free", "sink.a", "sink-b"] {
        hub.topic(name, json!({})).await;
    }
    hub.topic("orders.v1", json!({"contract": "order", "partitions": 2}))
        .await;
    hub.topic("things", json!({"contract": "thing@1"})).await;
    hub.topic("trees", json!({"contract": "tree.of-things"}))
        .await;
    hub.topic("shapes", json!({"contract": "shape"})).await;
    let _ = hub
        .upload("mapper", "1.0.0", guest("guest-mapper"))
        .await
        .expect(201);
    hub.route(
        "copy.all",
        json!({"from": "free", "to": ["sink.a", "sink-b"], "steps": []}),
    )
    .await;
    hub.route(
        "map",
        json!({"from": "orders.v1", "to": ["sink.a"], "steps": [{"plugin": "mapper@1.0.0"}]}),
    )
    .await;
    let pull =
        json!({"topics": ["things", "free"], "filters": [{"exact": {"type": "com.example/made"}}]});
    let _ = hub.put("/v1/subscriptions/puller", pull).await.expect(201);
    // Nothing is published there, so nothing is sent.
    let push =
        json!({"topics": ["shapes"], "push": {"url": "https://example.com/hook?token=secret"}});
    let _ = hub.put("/v1/subscriptions/pusher", push).await.expect(201);
    hub
}

/// What the official parser sees in a document.
pub(super) fn parsed(text: &str) -> Value {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("asyncapi.json");
    fs::write(&path, text).unwrap();
    let output = Command::new("node")
        .current_dir(repository().join("tests/clients"))
        .arg("asyncapi.mjs")
        .arg(&path)
        .output()
        .unwrap_or_else(|error| panic!("node: {error}; run `make clients`, or `make test`"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{stderr}\n(when a module is missing: run `make clients`)"
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

pub(super) fn by<'a>(list: &'a Value, id: &str) -> &'a Value {
    let found = list.as_array().unwrap().iter().find(|one| one["id"] == id);
    found.unwrap_or_else(|| panic!("{id} is not in {list:#}"))
}

#[tokio::test]
async fn an_empty_hub_has_a_valid_document() {
    let hub = Hub::start().await;
    let served = hub.get("/asyncapi.json").await;
    assert_eq!(served.content_type, "application/json");
    let seen = parsed(&served.text);
    assert_eq!(seen["version"], "3.0.0");
    assert_eq!(
        json!([hub.url().trim_start_matches("http://")]),
        seen["servers"]
    );
}

#[tokio::test]
async fn all_that_is_defined_is_in_the_asyncapi_document() {
    let hub = filled().await;
    let document = hub.get("/asyncapi.json").await;
    let seen = parsed(&document.text);
    let document = document.expect(200);

    let orders = by(&seen["channels"], "orders.v1");
    assert_eq!(orders["address"], "/v1/topics/orders.v1/events");
    let message = &orders["messages"][0];
    assert_eq!(message["name"], "order@1");
    assert_eq!(
        message["schemaFormat"],
        "application/schema+json;version=draft-04"
    );
    let headers = message["headers"].as_array().unwrap();
    for name in [
        "ce-specversion",
        "ce-id",
        "ce-source",
        "ce-type",
        "ce-time",
        "ce-subject",
    ] {
        assert!(headers.contains(&json!(name)), "{name} in {headers:?}");
    }
    let things = by(&seen["channels"], "things");
    let names: Vec<&Value> = things["messages"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| &one["name"])
        .collect();
    assert_eq!(names.len(), 2);
    assert!(
        names.contains(&&json!("com.example/made")) && names.contains(&&json!("com.example~gone!"))
    );
    assert_eq!(
        by(&seen["channels"], "free")["messages"][0]["name"],
        "event"
    );
    assert_eq!(
        by(&seen["channels"], "trees")["messages"][0]["schemaFormat"],
        "application/schema+json;version=2019-09"
    );

    for (id, action, channel) in [
        ("publish:orders.v1", "receive", "orders.v1"),
        ("read:orders.v1", "send", "orders.v1"),
        ("read:sandbar.dead-letters", "send", "sandbar.dead-letters"),
        ("route:map:from", "receive", "orders.v1"),
        ("route:map:to:sink.a", "send", "sink.a"),
        ("route:copy.all:from", "receive", "free"),
        ("route:copy.all:to:sink.a", "send", "sink.a"),
        ("route:copy.all:to:sink-b", "send", "sink-b"),
        ("subscription:puller:things", "send", "things"),
        ("subscription:puller:free", "send", "free"),
        ("subscription:pusher:shapes", "send", "shapes"),
    ] {
        let operation = by(&seen["operations"], id);
        assert_eq!(
            (&operation["action"], &operation["channels"]),
            (&json!(action), &json!([channel])),
            "{id}"
        );
        assert!(
            !operation["messages"].as_array().unwrap().is_empty(),
            "{id}"
        );
    }
    let operations = &document["operations"];
    assert!(
        operations.get("publish:sandbar.dead-letters").is_none(),
        "the hub alone writes it"
    );
    assert_eq!(
        operations["publish:free"]["bindings"]["http"]["method"],
        "POST"
    );
    assert_eq!(
        operations["subscription:puller:free"]["bindings"]["http"]["method"],
        "GET"
    );
    let pushed = operations["subscription:pusher:shapes"]["description"]
        .as_str()
        .unwrap();
    assert!(
        pushed.contains("https://example.com/hook,") && !document.to_string().contains("secret"),
        "{pushed}"
    );

    // Both versions of a contract: the bound one, and the latest; and what is said of it.
    let messages = document["components"]["messages"].as_object().unwrap();
    let of_things: Vec<&Value> = messages
        .values()
        .filter(|one| one["x-sandbar-contract"]["name"] == "thing")
        .collect();
    assert_eq!(of_things.len(), 4);
    for message in of_things {
        let facts = &message["x-sandbar-contract"];
        assert_eq!(
            (&facts["versions"], &facts["deprecated"], &facts["owner"]),
            (&json!([1, 2]), &json!(true), &json!("team things"))
        );
        let description = message["description"].as_str().unwrap();
        assert!(
            description.contains("Deprecated") && description.contains("What became of things"),
            "{description}"
        );
    }

    let printed = hub.sandbar(&["asyncapi"]);
    assert_eq!(printed.json(), document);
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("hub.json");
    assert_eq!(
        hub.sandbar(&["asyncapi", "--out", file.to_str().unwrap()])
            .code,
        0
    );
    let written: Value = serde_json::from_slice(&fs::read(&file).unwrap()).unwrap();
    assert_eq!(written, document);
}

/// Validates documents by the schema of an event in the OpenAPI document, with a validator that has not
/// to do with the hub.
pub(super) fn fits(openapi: &Value, key: &str, event: &Value) -> bool {
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("case.json");
    fs::write(
        &path,
        json!({"document": openapi, "key": key, "event": event}).to_string(),
    )
    .unwrap();
    let script = "import json, sys, jsonschema\n\
        case = json.load(open(sys.argv[1]))\n\
        schema = {**case['document'], '$ref': '#/components/schemas/' + case['key']}\n\
        print(jsonschema.Draft202012Validator(schema).is_valid(case['event']))";
    let output = Command::new(repository().join(".build/venv/bin/python"))
        .args(["-c", script])
        .arg(&path)
        .output()
        .unwrap_or_else(|error| panic!("python: {error}; run `make clients`, or `make test`"));
    match String::from_utf8_lossy(&output.stdout).trim() {
        "True" => true,
        "False" => false,
        other => panic!("{other}{}", String::from_utf8_lossy(&output.stderr)),
    }
}

#[tokio::test]
async fn the_openapi_document_of_a_hub_has_its_events() {
    let hub = filled().await;
    let document = super::openapi::valid_of(&hub).await;

    let publish = &document["paths"]["/v1/topics/orders.v1/events"]["post"];
    assert_eq!(publish["operationId"], "publish_orders.v1");
    assert_eq!(
        publish["requestBody"]["content"]["application/cloudevents+json"]["schema"]["$ref"],
        "#/components/schemas/event.orders.v1"
    );
    assert!(publish["responses"]["422"].is_object(), "as of all topics");
    assert!(document["paths"].get("/v1/topics/free/events").is_none());
    assert_eq!(
        document["components"]["schemas"]["contract.thing.v1"]["deprecated"],
        true
    );

    // What the document takes and what the hub takes is the same.
    let typed = |id: &str, kind: &str, data: Value| {
        let mut event = event(id, data);
        event["type"] = json!(kind);
        event
    };
    let cases = [
        (
            "orders.v1",
            event(
                "1",
                json!({"total": 1, "lines": [{"parts": [{"parts": []}]}, {}]}),
            ),
            true,
        ),
        ("orders.v1", event("2", json!({"total": 0})), false),
        (
            "orders.v1",
            event("3", json!({"total": 1, "lines": [{}, {"parts": [1]}]})),
            false,
        ),
        (
            "things",
            typed("4", "com.example/made", json!({"n": 1})),
            true,
        ),
        (
            "things",
            typed("5", "com.example/made", json!({"n": "1"})),
            false,
        ),
        (
            "things",
            typed("6", "com.example~gone!", json!({"n": "1"})),
            true,
        ),
        (
            "things",
            typed("7", "com.example/other", json!({"n": 1})),
            false,
        ),
        (
            "trees",
            event("8", json!({"children": [{"name": "a"}]})),
            true,
        ),
        (
            "trees",
            event("9", json!({"children": [{"name": "longer than nine"}]})),
            false,
        ),
        (
            "trees",
            event("10", json!({"children": [{"children": [1]}]})),
            false,
        ),
    ];
    for (topic, event, good) in cases {
        let status = hub.publish(topic, Publish::structured(&event)).await.status;
        assert_eq!(status, if good { 200 } else { 422 }, "{topic}: {event}");
        let key = format!("event.{topic}");
        assert_eq!(fits(&document, &key, &event), good, "{topic}: {event}");
    }
    let bare = hub.sandbar(&["openapi"]);
    assert!(
        bare.json()["paths"]
            .get("/v1/topics/orders.v1/events")
            .is_none(),
        "it knows no hub"
    );
}

#[tokio::test]
async fn the_largest_published_schema_stays_whole_in_both_documents() {
    let hub = Hub::start().await;
    let read = |name: &str| -> Value {
        let path = repository().join("examples/github/build").join(name);
        let text = fs::read(&path)
            .unwrap_or_else(|error| panic!("{}: {error}; run `make clients`", path.display()));
        serde_json::from_slice(&text).unwrap()
    };
    let definition = json!({"schema": read("github-webhooks.schema.json"), "types": read("github-webhooks.types.json")});
    let types = definition["types"].as_object().unwrap().len();
    let _ = hub
        .post("/v1/contracts/github/versions", definition)
        .await
        .expect(201);
    hub.topic("github", json!({"contract": "github"})).await;
    let served = hub.get("/asyncapi.json").await;
    let seen = parsed(&served.text);
    assert_eq!(
        by(&seen["channels"], "github")["messages"]
            .as_array()
            .unwrap()
            .len(),
        types
    );
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("openapi.json");
    fs::write(&path, hub.get("/openapi.json").await.text).unwrap();
    super::openapi::assert_valid(&path);
}
