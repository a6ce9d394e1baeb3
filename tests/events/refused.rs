//! Bad input: each with a status, a problem that names the place, and nothing changed.

use sandbar_tests::{Hub, Options, Publish, assert_problem, event};
use serde_json::{Value, json};

/// A hub with topic `t` that holds one event.
async fn hub() -> Hub {
    let hub = Hub::start_with(Options {
        arguments: vec!["--max-body-bytes".into(), "200000".into()],
    })
    .await;
    hub.topic("t", json!({"max_event_bytes": 10000})).await;
    hub.accepted("t", &[event("first", json!(1))]).await;
    hub
}

#[track_caller]
fn detail_has(problem: &Value, words: &[&str]) {
    let text = problem.to_string();
    for word in words {
        assert!(text.contains(word), "{word:?} is not in {problem}");
    }
}

#[tokio::test]
async fn broken_json_is_told_with_its_place() {
    let hub = hub().await;
    for (content_type, body, line, column) in [
        (
            "application/cloudevents+json",
            "{\n  \"id\": \"1\",,\n}",
            2,
            13,
        ),
        (
            "application/cloudevents-batch+json",
            "[\n{\"id\": tru}]",
            2,
            11,
        ),
        (
            "application/x-ndjson",
            "{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"}\n{\"id\"\n",
            2,
            5,
        ),
    ] {
        let problem = assert_problem(
            &hub.publish("t", Publish::raw(content_type, body)).await,
            400,
            "malformed-body",
        );
        detail_has(&problem, &[&format!("line {line}")]);
        let near = (column - 2..=column + 2)
            .any(|column| problem.to_string().contains(&format!("column {column}")));
        assert!(near, "about column {column}: {problem}");
    }
    for body in ["", "[]", "7", "null", "{\"a\":1} trailing"] {
        let answer = hub
            .publish("t", Publish::raw("application/cloudevents+json", body))
            .await;
        assert!(matches!(answer.status, 400 | 422), "{body:?}: {answer:?}");
        assert_eq!(answer.content_type, "application/problem+json");
    }
    for body in ["{}", "7"] {
        assert_problem(
            &hub.publish(
                "t",
                Publish::raw("application/cloudevents-batch+json", body),
            )
            .await,
            400,
            "malformed-body",
        );
    }
    let deep = format!("{}1{}", "[".repeat(50_000), "]".repeat(50_000));
    let deep = hub
        .publish(
            "t",
            Publish::raw("application/cloudevents-batch+json", deep),
        )
        .await;
    assert!(matches!(deep.status, 400 | 422), "{deep:?}");
    assert_eq!(deep.content_type, "application/problem+json");
    assert_problem(
        &hub.publish(
            "t",
            Publish::raw("application/cloudevents+json", vec![b'"', 0xff, b'"']),
        )
        .await,
        400,
        "malformed-body",
    );
    let truncated = Publish::raw("application/cloudevents+json", vec![0x1f, 0x8b, 1, 2, 3])
        .header("content-encoding", "gzip");
    assert_problem(&hub.publish("t", truncated).await, 400, "malformed-body");
    assert_eq!(hub.stored("t").await, 1);
}

#[tokio::test]
async fn missing_and_illegal_attributes_are_named() {
    let hub = hub().await;
    let without = |name: &str| {
        let mut event = event("x", json!(1));
        event.as_object_mut().unwrap().remove(name);
        (event, format!("/{name}"))
    };
    let with = |name: &str, value: Value| {
        let mut event = event("x", json!(1));
        event[name] = value;
        (event, format!("/{name}"))
    };
    let cases = [
        without("id"),
        without("source"),
        without("type"),
        without("specversion"),
        with("specversion", json!("2.0")),
        with("id", json!("")),
        with("id", json!(7)),
        with("source", json!("")),
        with("source", json!("not a uri")),
        with("type", json!("")),
        with("time", json!("yesterday")),
        with("subject", json!("")),
        with("dataschema", json!("relative")),
        with("datacontenttype", json!("nonsense")),
        with("Upper", json!("x")),
        with("under_score", json!("x")),
        with("object", json!({"a": 1})),
        with("number", json!(1.5)),
        with("large", json!(3_000_000_000_u64)),
        with("control", json!("a\u{0}b")),
    ];
    for (event, pointer) in &cases {
        let answer = hub.publish("t", Publish::structured(event)).await;
        let problem = assert_problem(&answer, 422, "invalid-event");
        let errors = problem["errors"]
            .as_array()
            .unwrap_or_else(|| panic!("{event}: {problem}"));
        assert!(
            errors.iter().any(|one| one["pointer"] == *pointer),
            "{pointer} of {event}: {problem}"
        );
    }
    let mut both = event("x", json!(1));
    both["data_base64"] = json!("AA==");
    assert_problem(
        &hub.publish("t", Publish::structured(&both)).await,
        422,
        "invalid-event",
    );
    let mut base = event("x", json!(1));
    base.as_object_mut().unwrap().remove("data");
    base["data_base64"] = json!("!!");
    assert_problem(
        &hub.publish("t", Publish::structured(&base)).await,
        422,
        "invalid-event",
    );
    assert_eq!(hub.stored("t").await, 1);
}

#[tokio::test]
async fn binary_mode_is_checked_as_well() {
    let hub = hub().await;
    let good = || Publish::binary("application/json", "x", "1");
    for (publish, pointer) in [
        (good().without("ce-id"), "/id"),
        (good().without("ce-type"), "/type"),
        (good().without("ce-source"), "/source"),
        (good().header("ce-specversion", "0.3"), "/specversion"),
        (good().header("ce-time", "noon"), "/time"),
        (good().header("ce-source", ""), "/source"),
    ] {
        let problem = assert_problem(&hub.publish("t", publish).await, 422, "invalid-event");
        detail_has(&problem, &[&format!("\"{pointer}\"")]);
    }
    assert_eq!(hub.stored("t").await, 1);
}

#[tokio::test]
async fn an_unknown_topic_is_named_with_the_nearest() {
    let hub = hub().await;
    hub.topic("orders", json!({})).await;
    let problem = assert_problem(
        &hub.publish("ordres", Publish::structured(&event("1", json!(1))))
            .await,
        404,
        "unknown-topic",
    );
    detail_has(&problem, &["ordres", "orders"]);
    let topics = hub.get("/v1/topics").await.expect(200);
    assert!(
        !topics.to_string().contains("ordres"),
        "no topic is made by publishing: {topics}"
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused() {
    let hub = hub().await;
    let body = Publish::batch(
        &(0..40)
            .map(|n| event(&n.to_string(), json!("x".repeat(9000))))
            .collect::<Vec<_>>(),
    );
    let problem = assert_problem(&hub.publish("t", body.clone()).await, 413, "body-too-large");
    detail_has(&problem, &["200000"]);
    // Small on the wire, large when unpacked.
    let packed = Publish {
        body: zstd::encode_all(&body.body[..], 3).unwrap(),
        ..body
    };
    assert_problem(
        &hub.publish("t", packed.header("content-encoding", "zstd"))
            .await,
        413,
        "body-too-large",
    );
    let large = [
        event("small", json!(1)),
        event("large", json!("x".repeat(11000))),
    ];
    let problem = assert_problem(
        &hub.publish("t", Publish::batch(&large)).await,
        413,
        "event-too-large",
    );
    assert_eq!(problem["errors"][0]["index"], 1, "{problem}");
    detail_has(&problem, &["10000"]);
    assert_eq!(hub.stored("t").await, 1);
}

#[tokio::test]
async fn a_wrong_content_type_is_refused() {
    let hub = hub().await;
    for content_type in [
        "application/json",
        "text/plain",
        "application/cloudevents+xml",
        "application/cloudevents-batch+xml",
        "",
    ] {
        let answer = hub
            .publish(
                "t",
                Publish::raw(content_type, event("1", json!(1)).to_string()),
            )
            .await;
        assert_problem(&answer, 415, "unsupported-media-type");
    }
    let encoded = Publish::structured(&event("1", json!(1))).header("content-encoding", "br");
    assert_problem(
        &hub.publish("t", encoded).await,
        415,
        "unsupported-media-type",
    );
    let document = hub
        .request(reqwest::Method::PUT, "/v1/topics/u")
        .header("content-type", "text/plain")
        .body("{}");
    assert_problem(&hub.send(document).await, 415, "unsupported-media-type");
    assert_eq!(hub.stored("t").await, 1);
    assert_problem(&hub.get("/v1/topics/u").await, 404, "unknown-topic");
}

#[tokio::test]
async fn a_bad_topic_document_changes_nothing() {
    let hub = hub().await;
    let before = hub.get("/v1/topics/t").await.expect(200);
    for (document, word) in [
        (json!({"partitons": 2}), "partitons"),
        (json!({"partitions": 0}), "partitions"),
        (json!({"partitions": "two"}), "partitions"),
        (json!({"durability": "maybe"}), "durability"),
        (json!({"retention": {"max_age": 1}}), "max_age"),
        (json!({"max_event_bytes": 0}), "max_event_bytes"),
    ] {
        let problem = assert_problem(
            &hub.put("/v1/topics/t", document.clone()).await,
            422,
            "invalid-document",
        );
        detail_has(&problem, &[word]);
        assert_problem(
            &hub.put("/v1/topics/new", document).await,
            422,
            "invalid-document",
        );
    }
    let unknown = hub.put("/v1/topics/t", json!({"contract": "none@1"})).await;
    assert_eq!(unknown.status, 422, "{unknown:?}");
    assert_problem(
        &hub.put("/v1/topics/t", json!({"partitions": 3})).await,
        409,
        "partitions-fixed",
    );
    assert_problem(
        &hub.put("/v1/topics/sandbar.mine", json!({})).await,
        403,
        "reserved-name",
    );
    assert_problem(
        &hub.put("/v1/topics/a%20b", json!({})).await,
        422,
        "invalid-name",
    );
    assert_problem(
        &hub.delete("/v1/topics/sandbar.dead-letters").await,
        403,
        "reserved-name",
    );
    let reserved = hub
        .publish(
            "sandbar.dead-letters",
            Publish::structured(&event("1", json!(1))),
        )
        .await;
    assert_eq!(reserved.status, 403, "{reserved:?}");
    assert_eq!(hub.get("/v1/topics/t").await.expect(200), before);
    assert_problem(&hub.get("/v1/topics/new").await, 404, "unknown-topic");
}

#[tokio::test]
async fn addresses_and_methods_that_are_not_there() {
    let hub = hub().await;
    assert_problem(&hub.get("/v1/nothing").await, 404, "not-found");
    assert_problem(&hub.delete("/v1/topics").await, 405, "method-not-allowed");
    assert_problem(&hub.get("/problems/none").await, 404, "not-found");
}
