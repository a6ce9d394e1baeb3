//! The OpenAPI document: as committed, valid, complete; and a page for every problem.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use sandbar_tests::{Hub, repository};
use serde_json::Value;

/// Every call that the hub promises.
const CALLS: &[(&str, &[&str])] = &[
    ("/v1/topics", &["get"]),
    ("/v1/topics/{topic}", &["get", "put", "delete"]),
    ("/v1/topics/{topic}/events", &["get", "post"]),
    ("/v1/contracts", &["get"]),
    ("/v1/contracts/{name}/versions", &["get", "post"]),
    (
        "/v1/contracts/{name}/versions/{version}",
        &["get", "delete"],
    ),
    ("/v1/contracts/{name}/check", &["post"]),
    ("/v1/topics/{topic}/infer", &["post"]),
    ("/v1/plugins", &["get"]),
    ("/v1/plugins/{name}/versions", &["get"]),
    (
        "/v1/plugins/{name}/versions/{version}",
        &["get", "put", "delete"],
    ),
    ("/v1/plugins/{name}/versions/{version}/try", &["post"]),
    ("/v1/routes", &["get"]),
    ("/v1/routes/{route}", &["get", "put", "delete"]),
    ("/v1/routes/{route}/pause", &["post"]),
    ("/v1/routes/{route}/resume", &["post"]),
    ("/v1/subscriptions", &["get"]),
    (
        "/v1/subscriptions/{subscription}",
        &["put", "get", "delete"],
    ),
    ("/v1/subscriptions/{subscription}/events", &["get"]),
    ("/v1/subscriptions/{subscription}/ack", &["post"]),
    ("/v1/subscriptions/{subscription}/offsets", &["get", "post"]),
    ("/v1/subscriptions/{subscription}/pause", &["post"]),
    ("/v1/subscriptions/{subscription}/resume", &["post"]),
    ("/v1/subscriptions/{subscription}/enable", &["post"]),
    ("/v1/subscriptions/{subscription}/release", &["post"]),
    ("/v1/dead-letters", &["get"]),
    ("/v1/dead-letters/{id}", &["get"]),
    ("/v1/dead-letters/redrive", &["post"]),
    ("/v1/routes/{route}/replay", &["post"]),
    ("/v1/topics/{topic}/replay", &["post"]),
    ("/v1/subscriptions/{name}/replay", &["post"]),
    ("/v1/jobs", &["get"]),
    ("/v1/jobs/{id}", &["get"]),
    ("/v1/jobs/{id}/cancel", &["post"]),
    ("/v1/events/{topic}/{partition}/{offset}/lineage", &["get"]),
    ("/v1/status", &["get"]),
    ("/asyncapi.json", &["get"]),
    ("/healthz", &["get"]),
    ("/readyz", &["get"]),
    ("/metrics", &["get"]),
    ("/problems/{code}", &["get"]),
];

#[tokio::test]
async fn the_document_is_the_committed_one() {
    let hub = Hub::start().await;
    let served = hub.get("/openapi.json").await;
    assert_eq!(served.content_type, "application/json");
    let path = repository().join("docs/openapi.json");
    let committed = fs::read_to_string(&path).expect("docs/openapi.json is committed");
    let committed: Value = serde_json::from_str(&committed).expect("docs/openapi.json is JSON");
    assert!(
        served.expect(200) == committed,
        "docs/openapi.json is old; run `sandbar openapi > docs/openapi.json`"
    );
    for (path, methods) in CALLS {
        let described = committed["paths"][path]
            .as_object()
            .unwrap_or_else(|| panic!("{path} is not described"));
        for method in *methods {
            let operation = described
                .get(*method)
                .unwrap_or_else(|| panic!("{method} {path} is not described"));
            assert!(
                operation["responses"]
                    .as_object()
                    .is_some_and(|all| !all.is_empty()),
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn the_document_is_valid() {
    let hub = Hub::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("openapi.json");
    fs::write(&path, hub.get("/openapi.json").await.text).unwrap();
    assert_valid(&path);
}

/// The document that a hub serves, which the validator takes.
pub(crate) async fn valid_of(hub: &Hub) -> Value {
    let served = hub.get("/openapi.json").await;
    let folder = tempfile::TempDir::new().unwrap();
    let path = folder.path().join("openapi.json");
    fs::write(&path, &served.text).unwrap();
    assert_valid(&path);
    served.expect(200)
}

/// Asks the validator of OpenAPI documents.
pub(crate) fn assert_valid(path: &Path) {
    let python = repository().join(".build/venv/bin/python");
    let output = Command::new(&python)
        .args(["-m", "openapi_spec_validator"])
        .arg(path)
        .output()
        .unwrap_or_else(|error| {
            panic!(
                "{}: {error}; run `make clients`, or `make test`",
                python.display()
            )
        });
    let written = String::from_utf8_lossy(&output.stdout).into_owned()
        + &String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{written}");
    assert!(written.contains("OK"), "{written}");
}

/// The codes that the document names for any call, from the descriptions of its refusals.
fn codes(document: &Value) -> BTreeSet<String> {
    let mut codes = BTreeSet::new();
    for (path, operations) in document["paths"].as_object().unwrap() {
        // Its clients expect the errors of another API.
        if path.starts_with("/registry") {
            continue;
        }
        for operation in operations.as_object().unwrap().values() {
            let Some(responses) = operation["responses"].as_object() else {
                continue;
            };
            for (status, response) in responses {
                let is_problem = !response["content"]["application/problem+json"].is_null();
                assert!(
                    is_problem || status.starts_with('2'),
                    "{status} is no problem: {response}"
                );
                if is_problem {
                    let words = response["description"].as_str().unwrap().split(',');
                    // What follows a colon explains.
                    codes.extend(
                        words.filter_map(|word| Some(word.split(':').next()?.trim().to_owned())),
                    );
                }
            }
        }
    }
    codes
}

#[tokio::test]
async fn every_problem_has_a_page() {
    let hub = Hub::start().await;
    let document = hub.get("/openapi.json").await.expect(200);
    let codes = codes(&document);
    assert!(codes.len() > 20, "{codes:?}");
    for code in codes {
        let page = hub.get(&format!("/problems/{code}")).await;
        assert_eq!(page.status, 200, "{code}: {}", page.text);
        assert!(
            page.text.contains(&code) && page.text.contains("What to do:"),
            "{}",
            page.text
        );
    }
}
