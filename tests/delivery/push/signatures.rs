//! Signatures, checked by the libraries of Standard Webhooks.

use std::{
    io::Write,
    process::{Command, Stdio},
};

use sandbar_tests::{Received, repository};

use super::*;

const FIRST: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";
const SECOND: &str = "whsec_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

/// What the verifiers of all languages say.
fn verify(requests: &[Value]) -> Vec<Vec<Value>> {
    let python = repository().join(".build/venv/bin/python");
    let python = python.to_str().expect("a path in UTF-8");
    let mut all = Vec::new();
    for (program, script) in [("node", "webhooks.mjs"), (python, "webhooks_python.py")] {
        let mut child = Command::new(program)
            .current_dir(repository().join("tests/clients"))
            .arg(script)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("{program}: {error}; run `make clients`"));
        let mut stdin = child.stdin.take().expect("stdin is piped");
        stdin
            .write_all(json!(requests).to_string().as_bytes())
            .expect("the script reads");
        drop(stdin);
        let output = child.wait_with_output().expect("the script ends");
        assert!(output.status.success(), "{script}; run `make clients`");
        all.push(serde_json::from_slice(&output.stdout).expect("the script prints JSON"));
    }
    all
}

#[track_caller]
fn assert_verified(request: &Received, secret: &str, verified: bool) {
    for said in verify(&[request.to_verify(secret)]) {
        assert_eq!(said[0] == true, verified, "{said:?}");
    }
}

#[tokio::test]
async fn every_mode_is_verified() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    hub.topic("t", json!({})).await;
    let mut requests = 0;
    for more in [
        json!({}),
        json!({"mode": "structured"}),
        json!({"batch": {"max_events": 5}}),
    ] {
        let mut push = push_to(&receiver, more);
        push["secrets"] = json!([FIRST]);
        let put = hub.put("/v1/subscriptions/s", document(push)).await;
        assert!(put.status < 300, "{}", put.text);
        hub.accepted("t", &[event(&format!("größe {requests}"), json!("Zoë"))])
            .await;
        requests += 1;
        let received = receiver.requests(requests).await;
        assert_verified(&received[requests - 1], FIRST, true);
        assert_verified(&received[requests - 1], SECOND, false);
        settled(&hub).await;
    }
}

#[tokio::test]
async fn secrets_are_rotated_with_an_overlap() {
    let (hub, receiver) = (hub().await, Receiver::start().await);
    pushed(&hub, &receiver, json!({"secrets": [FIRST]})).await;
    let path = "/v1/subscriptions/s";
    let shown = hub.get(path).await.expect(200)["push"].clone();
    let first = shown["secrets"][0].clone();
    assert!(first.as_str().unwrap().starts_with("whsec_…"), "{shown}");

    // The new one beside the old one, of which only the mask is known.
    let mut push = shown.clone();
    push["secrets"] = json!([SECOND, first]);
    let put = hub.put(path, document(push)).await;
    let shown = put.expect(200)["push"].clone();
    assert!(
        !put.text.contains(&SECOND[6..]) && !put.text.contains(&FIRST[6..]),
        "{}",
        put.text
    );
    hub.accepted("t", &[event("1", json!(1))]).await;
    let received = receiver.requests(1).await;
    assert_eq!(
        received[0].header("webhook-signature").split(' ').count(),
        2
    );
    assert_verified(&received[0], FIRST, true);
    assert_verified(&received[0], SECOND, true);
    settled(&hub).await;

    // The old one goes.
    let mut push = shown.clone();
    push["secrets"] = json!([shown["secrets"][0]]);
    let _ = hub.put(path, document(push)).await.expect(200);
    hub.accepted("t", &[event("2", json!(2))]).await;
    let received = receiver.requests(2).await;
    assert_verified(&received[1], FIRST, false);
    assert_verified(&received[1], SECOND, true);
}
