//! The CloudEvents SDKs of other languages publish and read.

use std::process::Command;

use sandbar_tests::{Hub, repository};
use serde_json::{Value, json};

/// Runs a client script and gives what it printed.
fn run(program: &str, script: &str, hub: &Hub, missing: &str) -> Value {
    let output = Command::new(program)
        .current_dir(repository().join("tests/clients"))
        .args([script, hub.url(), "t"])
        .output()
        .unwrap_or_else(|error| panic!("{program}: {error}; {missing}"));
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(
        output.status.success(),
        "{script}: {stderr}\n(when a module is missing: {missing})"
    );
    serde_json::from_slice(&output.stdout).expect("the script prints JSON")
}

fn check(shown: &Value, source: &str, binary_subject: &str) {
    let ids = ["binary", "structured", "batch-1", "batch-2", "bytes"];
    let answers = shown["answers"].as_array().unwrap();
    let accepted: Vec<&Value> = answers
        .iter()
        .flat_map(|one| one["accepted"].as_array().unwrap())
        .collect();
    assert_eq!(
        accepted.iter().map(|one| &one["id"]).collect::<Vec<_>>(),
        ids
    );
    let read = shown["read"].as_array().unwrap();
    assert_eq!(read.len(), ids.len(), "{shown}");
    for (offset, (one, id)) in read.iter().zip(ids).enumerate() {
        assert_eq!(one["id"], id);
        assert_eq!(
            (&one["specversion"], &one["source"], &one["type"]),
            (&json!("1.0"), &json!(source), &json!("client.event"))
        );
        let subject = if id == "binary" {
            binary_subject
        } else {
            "größe 7"
        };
        assert_eq!(one["subject"], subject, "{one}");
        assert_eq!(one["partitionkey"], "key", "{one}");
        assert!(
            one["time"]
                .as_str()
                .unwrap()
                .starts_with("2026-01-02T03:04:05.678"),
            "{one}"
        );
        // Extensions are text in HTTP headers and keep their type in JSON.
        let count = if id == "binary" { json!("7") } else { json!(7) };
        assert_eq!(one["count"], count, "{one}");
        assert_eq!(
            (&one["sandbartopic"], &one["sandbarpartition"]),
            (&json!("t"), &json!(0))
        );
        assert_eq!(one["sandbaroffset"], offset.to_string());
        if id == "bytes" {
            assert_eq!(one["bytes"], json!([0, 1, 254, 255]), "{one}");
        } else {
            assert_eq!(one["data"], json!({"total": 12.5, "name": "Zoë"}), "{one}");
        }
    }
}

#[tokio::test]
async fn javascript() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let shown = run(
        "node",
        "cloudevents.mjs",
        &hub,
        "run `make clients`, or `make test`",
    );
    check(&shown, "/clients/javascript", "order 7");
}

#[tokio::test]
async fn python() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let python = repository().join(".build/venv/bin/python");
    let missing = "run `make clients`, or `make test`";
    let shown = run(
        python.to_str().unwrap(),
        "cloudevents_python.py",
        &hub,
        missing,
    );
    check(&shown, "/clients/python", "größe 7");
}

/// Avro of Confluent's client and of fastavro, turned into Protobuf that Google's library reads.
#[tokio::test]
async fn formats() {
    let hub = Hub::start().await;
    let python = repository().join(".build/venv/bin/python");
    let missing = "run `make clients`, or `make test`";
    let shown = run(python.to_str().unwrap(), "formats_python.py", &hub, missing);
    let protobuf = "application/protobuf";
    assert_eq!(
        shown,
        json!([
            ["framed", protobuf, "ä", 9_007_199_254_740_993_i64, "framed"],
            ["bare", protobuf, "b", -1, ""],
        ])
    );
}
