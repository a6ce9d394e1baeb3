//! Uploading plugins and trying them.

use sandbar_tests::{Hub, Options, assert_problem, event, guest, variant};
use serde_json::{Value, json};

/// The records of all plugins but those that ship with the hub.
async fn uploaded(hub: &Hub) -> Vec<Value> {
    let list = hub.get("/v1/plugins").await.expect(200);
    let records = list["plugins"].as_array().unwrap().iter();
    records
        .filter(|one| one["bundled"] == false)
        .cloned()
        .collect()
}

#[tokio::test]
async fn a_version_is_kept_as_it_was_uploaded() {
    let mut hub = Hub::start().await;
    let bytes = guest("guest-mapper");
    let made = hub.upload("mapper", "1", bytes.clone()).await.expect(201);
    assert_eq!(
        (&made["name"], &made["version"]),
        (&json!("mapper"), &json!("1"))
    );
    assert_eq!(
        (&made["world"], &made["form"]),
        (&json!("column-transformer"), &json!("core-module"))
    );
    assert_eq!(
        (&made["imports"], &made["size"]),
        (&json!(["log"]), &json!(bytes.len()))
    );
    assert!(
        made["digest"].as_str().unwrap().starts_with("sha256:"),
        "{made}"
    );
    let again = hub.upload("mapper", "1", bytes.clone()).await.expect(200);
    assert_eq!(again, made);
    let problem = assert_problem(
        &hub.upload("mapper", "1", variant("guest-mapper", "x"))
            .await,
        409,
        "version-taken",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("mapper@1"),
        "{problem}"
    );
    let other = hub
        .upload("mapper", "2", variant("guest-mapper", "x"))
        .await
        .expect(201);
    assert_ne!(other["digest"], made["digest"]);
    let records = hub
        .upload("records", "1", guest("guest-orders-records"))
        .await
        .expect(201);
    assert_eq!(records["world"], "transformer");
    hub.kill();
    hub.restart().await;
    assert_eq!(
        hub.get("/v1/plugins/mapper/versions/1").await.expect(200),
        made
    );
    assert_eq!(
        hub.get("/v1/plugins/mapper/versions").await.expect(200)["versions"]
            .as_array()
            .unwrap()
            .len(),
        2
    );
    assert_eq!(uploaded(&hub).await.len(), 3);
    assert_eq!(
        hub.delete("/v1/plugins/mapper/versions/2").await.status,
        204
    );
    assert_problem(
        &hub.get("/v1/plugins/mapper/versions/2").await,
        404,
        "unknown-plugin",
    );
}

/// A core module that exports and imports only memory-free functions of these names.
fn module(import: Option<(&str, &str)>, export: &str) -> Vec<u8> {
    let name = |text: &str| [&[u8::try_from(text.len()).unwrap()], text.as_bytes()].concat();
    let section = |id: u8, body: &[u8]| [&[id, u8::try_from(body.len()).unwrap()], body].concat();
    let mut bytes = b"\0asm\x01\0\0\0".to_vec();
    bytes.extend(section(1, &[1, 0x60, 0, 0]));
    if let Some((from, function)) = import {
        bytes.extend(section(
            2,
            &[&[1][..], &name(from), &name(function), &[0, 0]].concat(),
        ));
    }
    bytes.extend(section(3, &[1, 0]));
    let index = u8::from(import.is_some());
    bytes.extend(section(7, &[&[1][..], &name(export), &[0, index]].concat()));
    bytes.extend(section(10, &[1, 2, 0, 0x0b]));
    bytes
}

/// An empty component.
const COMPONENT: &[u8] = b"\0asm\x0d\0\x01\0";

#[tokio::test]
async fn what_is_no_plugin_is_refused_and_says_why() {
    let hub = Hub::start().await;
    for bytes in [
        b"".to_vec(),
        b"not wasm at all".to_vec(),
        b"\0asm\x01\0\0".to_vec(),
        guest("guest-mapper")[..5000].to_vec(),
    ] {
        assert_problem(&hub.upload("p", "1", bytes).await, 422, "invalid-plugin");
    }
    // A world that is none of ours: the export that is missing is named.
    for bytes in [COMPONENT.to_vec(), module(None, "run")] {
        let problem = assert_problem(&hub.upload("p", "1", bytes).await, 422, "invalid-plugin");
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains("transform"),
            "the missing export is named: {detail}"
        );
    }
    // An import that nobody offers is named.
    let problem = assert_problem(
        &hub.upload("p", "1", module(Some(("acme:db/store", "put")), "run"))
            .await,
        422,
        "invalid-plugin",
    );
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("acme:db/store"),
        "the unknown import is named: {detail}"
    );
    let request = hub
        .request(reqwest::Method::PUT, "/v1/plugins/p/versions/1")
        .header("content-type", "application/json");
    assert_problem(
        &hub.send(request.body(guest("guest-mapper"))).await,
        415,
        "unsupported-media-type",
    );
    assert_problem(
        &hub.upload("a b", "1", guest("guest-mapper")).await,
        422,
        "invalid-name",
    );
    assert_eq!(
        uploaded(&hub).await,
        Vec::<Value>::new(),
        "nothing is kept of it"
    );
}

#[tokio::test]
async fn a_trial_shows_what_would_come_out() {
    let hub = Hub::start().await;
    hub.mapper().await;
    let request = json!({
        "events": [
            event("emits", json!({"n": 1, "copies": 2, "targets": ["a", "b"]})),
            event("drops", json!({"do": "drop", "reason": "why not"})),
            event("rejects", json!({"do": "reject", "reason": "bad"})),
            event("retries", json!({"do": "retry", "reason": "later"})),
            event("traps", json!({"do": "trap"})),
        ],
        "config": {"stamp": "tried"},
        "targets": ["a", "b"],
    });
    let tried = hub
        .post("/v1/plugins/mapper/versions/1/try", request)
        .await
        .expect(200);
    let results = tried["results"].as_array().unwrap();
    let verdicts: Vec<&str> = results
        .iter()
        .map(|one| one["verdict"].as_str().unwrap())
        .collect();
    assert_eq!(
        verdicts,
        ["emit", "drop", "reject", "retry", "fault"],
        "{tried}"
    );
    let outputs: Vec<(&Value, &Value)> = results[0]["outputs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (&one["target"], &one["event"]["data"]["copy"]))
        .collect();
    assert_eq!(
        outputs,
        [
            (&json!("a"), &json!(0)),
            (&json!("b"), &json!(0)),
            (&json!("a"), &json!(1)),
            (&json!("b"), &json!(1))
        ]
    );
    assert_eq!(
        results[0]["outputs"][0]["event"]["data"]["trail"],
        json!(["tried"])
    );
    assert_eq!(results[1]["reason"], "why not");
    assert!(
        results[2]["reason"].as_str().unwrap().contains("bad"),
        "{tried}"
    );
    assert_eq!(results[4]["fault"], "trap", "{tried}");
    let logs = tried["logs"].as_array().unwrap();
    assert!(
        logs.iter().any(|line| line["message"]
            .as_str()
            .unwrap()
            .contains("trapped as asked by traps")),
        "a panic is told in the log: {tried}"
    );
    assert!(tried["memory_bytes"].as_u64().unwrap() > 0 && tried["time_ns"].as_u64().unwrap() > 0);
    let config = json!({"events": [], "config": {"stmp": "x"}});
    let problem = assert_problem(
        &hub.post("/v1/plugins/mapper/versions/1/try", config).await,
        422,
        "plugin-config-refused",
    );
    assert!(
        problem["detail"].as_str().unwrap().contains("stmp"),
        "{problem}"
    );
    assert_problem(
        &hub.post("/v1/plugins/mapper/versions/9/try", json!({"events": []}))
            .await,
        404,
        "unknown-plugin",
    );
    assert_eq!(
        hub.stored("sandbar.dead-letters").await,
        0,
        "nothing is stored"
    );
}

#[tokio::test]
async fn compiling_is_bounded_and_the_hub_goes_on() {
    for (flag, limit, said) in [
        (
            "--compile-memory-bytes",
            "1000000",
            "more memory than 1000000 bytes",
        ),
        ("--compile-seconds", "0", "longer than 0 s"),
    ] {
        let options = Options {
            arguments: vec![flag.to_owned(), limit.to_owned()],
        };
        let mut hub = Hub::start_with(options).await;
        let refused = hub.upload("mapper", "1", guest("guest-mapper")).await;
        let problem = assert_problem(&refused, 422, "invalid-plugin");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains(said) && detail.contains(flag), "{detail}");
        let kept = hub.get("/v1/plugins/mapper/versions/1").await;
        assert_problem(&kept, 404, "unknown-plugin");
        // What is refused as no plugin is told by the compiling process too.
        let other = hub.upload("other", "1", module(None, "run")).await;
        assert_problem(&other, 422, "invalid-plugin");
        assert!(hub.stop().success());
    }
}
