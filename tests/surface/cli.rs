//! The command line against a hub that runs.

use std::{fs, path::PathBuf};

use sandbar_tests::{Hub, Ran, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder with a `sandbar.yaml` that declares one of everything.
fn declared() -> (TempDir, PathBuf) {
    let folder = TempDir::new().unwrap();
    let guest = repository().join("target/guests/guest-mapper.wasm");
    let yaml = format!(
        "contracts:\n  order:\n    schema: order.json\nplugins:\n  mapper:\n    version: 1.0.0\n    file: {}\ntopics:\n  in:\n    partitions: 2\n    contract: order\n  out: {{}}\nroutes:\n  r:\n    from: in\n    to: [out]\n    steps:\n      - plugin: mapper@1.0.0\n        config: {{stamp: yaml}}\n",
        guest.display()
    );
    fs::write(folder.path().join("order.json"), r#"{"type": "object"}"#).unwrap();
    let path = folder.path().join("sandbar.yaml");
    fs::write(&path, yaml).unwrap();
    (folder, path)
}

#[tokio::test]
async fn apply_brings_the_hub_there_and_then_changes_nothing() {
    let hub = Hub::start().await;
    let (_folder, path) = declared();
    let file = path.to_str().unwrap();
    let plan = hub.sandbar(&["apply", "-f", file, "--dry-run", "--exit-code"]);
    assert_eq!(plan.code, 5, "{plan:?}");
    for name in ["order", "mapper", "in", "out", "r"] {
        assert!(
            plan.stdout.contains(name),
            "{name} is in the plan: {plan:?}"
        );
    }
    assert!(
        !hub.get("/v1/topics").await.text.contains("\"in\""),
        "a dry run changes nothing"
    );
    let first = hub.sandbar(&["apply", "-f", file]);
    assert_eq!(first.code, 0, "{first:?}");
    let before = documents(&hub).await;
    let plan = hub.sandbar(&["apply", "-f", file, "--dry-run", "--exit-code"]);
    assert_eq!(plan.code, 0, "there is nothing left to change: {plan:?}");
    let second = hub.sandbar(&["apply", "-f", file]);
    assert_eq!(second.code, 0, "{second:?}");
    assert_eq!(documents(&hub).await, before);
    let answer = hub.sandbar(&["apply", "-f", file, "--json"]);
    let _ = answer.json();
    // One change is one change.
    let yaml = fs::read_to_string(&path)
        .unwrap()
        .replace("stamp: yaml", "stamp: other");
    fs::write(&path, yaml).unwrap();
    assert_eq!(
        hub.sandbar(&["apply", "-f", file, "--dry-run", "--exit-code"])
            .code,
        5
    );
    assert_eq!(hub.sandbar(&["apply", "-f", file]).code, 0);
    assert_eq!(
        hub.get("/v1/routes/r").await.expect(200)["steps"][0]["config"]["stamp"],
        "other"
    );
}

/// What is declared, without how it is doing.
async fn documents(hub: &Hub) -> Vec<Value> {
    let mut documents = Vec::new();
    for path in [
        "/v1/topics/in",
        "/v1/topics/out",
        "/v1/routes/r",
        "/v1/plugins",
        "/v1/contracts/order/versions/1",
    ] {
        let mut document = hub.get(path).await.expect(200);
        for member in ["state", "status"] {
            document.as_object_mut().unwrap().remove(member);
        }
        documents.push(document);
    }
    documents
}

#[tokio::test]
async fn a_slip_in_the_file_is_told_with_line_and_suggestion() {
    let hub = Hub::start().await;
    let (_folder, path) = declared();
    let good = fs::read_to_string(&path).unwrap();
    for (from, to, line, meant) in [
        ("partitions: 2", "partitons: 2", 10, "partitions"),
        ("steps:", "stesp:", 17, "steps"),
        ("topics:", "topcs:", 8, "topics"),
    ] {
        fs::write(&path, good.replace(from, to)).unwrap();
        let ran = hub.sandbar(&["apply", "-f", path.to_str().unwrap()]);
        assert_eq!(ran.code, 1, "{ran:?}");
        let place =
            (line - 1..=line).any(|line| ran.stderr.contains(&format!("sandbar.yaml:{line}:")));
        assert!(place, "line {line}: {}", ran.stderr);
        assert!(
            ran.stderr.contains(&format!("did you mean `{meant}`")),
            "{}",
            ran.stderr
        );
    }
    assert_eq!(
        hub.get("/v1/contracts").await.expect(200)["contracts"],
        json!([]),
        "nothing is applied of a bad file"
    );
}

#[tokio::test]
async fn the_example_applies_twice() {
    let hub = Hub::start().await;
    let file = repository().join("examples/github/sandbar.yaml");
    let built = repository().join("examples/github/build/github-webhooks.schema.json");
    assert!(
        built.is_file(),
        "{} is missing; run `make clients`, or `make test`",
        built.display()
    );
    for _ in 0..2 {
        let ran = hub.sandbar(&["apply", "-f", file.to_str().unwrap()]);
        assert_eq!(ran.code, 0, "{ran:?}");
    }
    let plan = hub.sandbar(&[
        "apply",
        "-f",
        file.to_str().unwrap(),
        "--dry-run",
        "--exit-code",
    ]);
    assert_eq!(plan.code, 0, "{plan:?}");
}

#[tokio::test]
async fn events_go_in_and_out() {
    let hub = Hub::start().await;
    assert_eq!(hub.sandbar(&["topic", "create", "t"]).code, 0);
    let published = hub.sandbar(&[
        "publish",
        "t",
        "--type",
        "a.b",
        "--id",
        "1",
        "--key",
        "k",
        "--data",
        "{\"n\":1}",
        "--json",
    ]);
    assert_eq!(
        published.json()["accepted"][0],
        json!({"id": "1", "partition": 0, "offset": 0, "duplicate": false})
    );
    let event = |id: &str| {
        format!(r#"{{"specversion":"1.0","id":"{id}","source":"/s","type":"a.b","data":1.0}}"#)
    };
    // One, one a line, an array.
    let files = [
        event("2"),
        format!("{}\n{}\n", event("3"), event("4")),
        format!("[{},\n {}]\n", event("5"), event("6")),
    ];
    let mut offsets = Vec::new();
    for file in &files {
        let published = hub.sandbar_with(&["publish", "t", "--events", "-", "--json"], file);
        let accepted = published.json()["accepted"].as_array().unwrap().clone();
        offsets.extend(accepted.iter().map(|one| one["offset"].clone()));
    }
    assert_eq!(offsets, [1, 2, 3, 4, 5]);
    let refused = hub.sandbar_with(&["publish", "t", "--events", "-"], "[]");
    assert_ne!(refused.code, 0);
    assert!(
        refused.stderr.contains("there is no event in it"),
        "{refused:?}"
    );
    let refused = hub.sandbar_with(
        &["publish", "t", "--events", "-"],
        &format!("{}\n{{}}", event("7")),
    );
    assert!(refused.stderr.contains("event 1 /id"), "{refused:?}");
    let tailed = hub.sandbar(&["tail", "t", "--from", "earliest", "--no-follow", "--json"]);
    assert_eq!(tailed.code, 0, "{tailed:?}");
    let events: Vec<Value> = tailed
        .stdout
        .lines()
        .map(|line| serde_json::from_str(line).expect("an event a line"))
        .collect();
    assert_eq!(events.len(), 6, "{tailed:?}");
    assert_eq!(
        (
            &events[0]["data"],
            &events[0]["partitionkey"],
            &events[0]["type"]
        ),
        (&json!({"n": 1}), &json!("k"), &json!("a.b"))
    );
    assert!(tailed.stdout.contains("\"data\":1.0"), "{tailed:?}");
    let human = hub.sandbar(&["tail", "t", "--from", "earliest", "-n", "1"]);
    assert!(human.code == 0 && human.stdout.contains("a.b"), "{human:?}");
}

#[tokio::test]
async fn everything_can_be_listed_as_json() {
    let hub = Hub::start().await;
    let (_folder, path) = declared();
    assert_eq!(
        hub.sandbar(&["apply", "-f", path.to_str().unwrap()]).code,
        0
    );
    hub.accepted(
        "in",
        &[sandbar_tests::event(
            "1",
            json!({"do": "reject", "reason": "as planned"}),
        )],
    )
    .await;
    hub.dead_letters_until("", 1).await;
    let letters = hub.sandbar(&["dead-letter", "list", "--json"]).json();
    assert_eq!(letters["dead_letters"][0]["cause"], "rejected");
    let human = hub.sandbar(&["dead-letter", "list"]);
    assert!(human.stdout.contains("as planned"), "{human:?}");
    let position = format!("in/{}/0", letters["dead_letters"][0]["origin"]["partition"]);
    for arguments in [
        &["topic", "list"][..],
        &["topic", "show", "in"],
        &["plugin", "list"],
        &["contract", "list"],
        &["route", "list"],
        &["route", "show", "r"],
        &["route", "pause", "r"],
        &["route", "resume", "r"],
        &["status"],
        &["lineage", &position],
    ] {
        let ran = hub.sandbar(&[arguments, &["--json"]].concat());
        let _ = ran.json();
        let human = hub.sandbar(arguments);
        assert_eq!(human.code, 0, "{arguments:?}: {human:?}");
        assert!(
            !human.stdout.trim().is_empty(),
            "{arguments:?} says something"
        );
    }
}

#[tokio::test]
async fn plugins_and_contracts_are_pushed_and_tried() {
    let hub = Hub::start().await;
    let folder = TempDir::new().unwrap();
    let write = |name: &str, text: String| {
        let path = folder.path().join(name);
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let guest = repository().join("target/guests/guest-mapper.wasm");
    let pushed = hub
        .sandbar(&[
            "plugin",
            "push",
            "mapper@1",
            guest.to_str().unwrap(),
            "--json",
        ])
        .json();
    assert_eq!(
        (&pushed["name"], &pushed["version"]),
        (&json!("mapper"), &json!("1"))
    );
    let events = write(
        "events.json",
        json!([sandbar_tests::event("1", json!({"n": 1}))]).to_string(),
    );
    let tried = hub
        .sandbar(&[
            "plugin",
            "try",
            "mapper@1",
            "--events",
            &events,
            "--config",
            "{\"stamp\":\"s\"}",
            "--json",
        ])
        .json();
    assert_eq!(tried["results"][0]["verdict"], "emit");
    let schema = write("schema.json", json!({"required": ["n"]}).to_string());
    let pushed = hub
        .sandbar(&["contract", "push", "c", &schema, "--json"])
        .json();
    assert_eq!(pushed["version"], 1);
    assert_eq!(hub.sandbar(&["contract", "check", "c@1", &events]).code, 0);
    let bad = write(
        "bad.json",
        json!([sandbar_tests::event("2", json!({}))]).to_string(),
    );
    let checked = hub.sandbar(&["contract", "check", "c@1", &bad]);
    assert_eq!(checked.code, 1, "{checked:?}");
    let text = write("text.wasm", "no module".to_owned());
    let refused = hub.sandbar(&["plugin", "push", "text@1", &text]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("The plugin cannot be used"),
        "{refused:?}"
    );
}

#[tokio::test]
async fn exit_codes_say_what_kind_of_failure_it_was() {
    let mut hub = Hub::start().await;
    assert_eq!(hub.sandbar(&["topic", "show", "none"]).code, 4);
    assert_eq!(hub.sandbar(&["route", "pause", "none"]).code, 4);
    assert_eq!(hub.sandbar(&["topic", "create", "sandbar.mine"]).code, 1);
    assert_eq!(hub.sandbar(&["topic"]).code, 2);
    assert_eq!(hub.sandbar(&["no-such-command"]).code, 2);
    assert_eq!(hub.sandbar(&["apply", "-f", "/no/such/file.yaml"]).code, 1);
    hub.stop();
    let unreachable = hub.sandbar(&["topic", "list"]);
    assert_eq!(unreachable.code, 3, "{unreachable:?}");
    assert!(
        unreachable.stderr.contains(hub.url()) && unreachable.stderr.contains("sandbar serve"),
        "{unreachable:?}"
    );
    for shell in ["bash", "zsh", "fish"] {
        let completions = Ran::new(&["completions", shell], "");
        assert!(
            completions.code == 0 && completions.stdout.contains("dead-letter"),
            "{completions:?}"
        );
    }
    let verified = Ran::new(
        &[
            "log",
            "verify",
            "--json",
            "--data",
            hub.folder().to_str().unwrap(),
        ],
        "",
    );
    let _ = verified.json();
}
