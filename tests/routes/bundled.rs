//! The plugins that ship with the hub: there without an upload, and under each route with the same
//! bytes for ever.

use std::{fs, path::PathBuf};

use sandbar_tests::{Hub, Options, Publish, assert_problem, event, guest};
use serde_json::{Value, json};

use crate::data;

/// `jq@<version>` and so on, as this hub carries it.
async fn reference(hub: &Hub, name: &str) -> String {
    let list = hub.get("/v1/plugins").await.expect(200);
    let records = list["plugins"].as_array().unwrap();
    let record = records
        .iter()
        .find(|one| one["name"] == name && one["bundled"] == true);
    let version = record.unwrap_or_else(|| {
        panic!("the hub carries no {name}: scripts/guests.sh, then build it: {list}")
    })["version"]
        .as_str()
        .unwrap()
        .to_owned();
    format!("{name}@{version}")
}

fn at(reference: &str) -> String {
    let (name, version) = reference.split_once('@').unwrap();
    format!("/v1/plugins/{name}/versions/{version}")
}

/// A hub with the topics `in`, `out` and `other`, and a route of one step between them.
async fn with_route(name: &str, config: Value) -> Hub {
    let hub = Hub::start().await;
    route(&hub, name, config).await;
    hub
}

async fn route(hub: &Hub, name: &str, config: Value) {
    for topic in ["in", "out", "other"] {
        hub.topic(topic, json!({"partitions": 1})).await;
    }
    let step = json!({"plugin": reference(hub, name).await, "config": config});
    hub.route(
        "r",
        json!({"from": "in", "to": ["out", "other"], "steps": [step]}),
    )
    .await;
}

#[tokio::test]
async fn they_are_listed_and_marked() {
    let hub = Hub::start().await;
    hub.mapper().await;
    let list = hub.get("/v1/plugins").await.expect(200);
    let names: Vec<(&str, bool)> = list["plugins"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| {
            (
                one["name"].as_str().unwrap(),
                one["bundled"].as_bool().unwrap(),
            )
        })
        .collect();
    assert_eq!(
        names,
        [
            ("formats", true),
            ("jq", true),
            ("mapper", false),
            ("redact", true)
        ]
    );
    let jq = reference(&hub, "jq").await;
    let record = hub.get(&at(&jq)).await.expect(200);
    assert_eq!(
        (&record["world"], &record["form"], &record["imports"]),
        (
            &json!("column-transformer"),
            &json!("core-module"),
            &json!(["log"])
        )
    );
    let table = hub.sandbar(&["plugin", "list"]).stdout;
    let line = |name: &str| table.lines().find(|line| line.contains(name)).unwrap();
    assert!(table.lines().next().unwrap().contains("BUNDLED"), "{table}");
    assert!(line(&jq).contains("yes"), "{table}");
    assert!(!line("mapper@1").contains("yes"), "{table}");
    assert!(
        !hub.folder()
            .join("plugins")
            .read_dir()
            .unwrap()
            .any(|file| {
                let name = file.unwrap().file_name();
                name.to_string_lossy().contains(
                    record["digest"]
                        .as_str()
                        .unwrap()
                        .trim_start_matches("sha256:"),
                )
            }),
        "nothing is copied before it is used"
    );
}

#[tokio::test]
async fn jq_maps_filters_and_rejects() {
    let program = r#"
        if .total == null then error("no total")
        elif .total < 10 then empty
        else .lines[] | {order: $event.id, sku} end
    "#;
    let hub = with_route("jq", json!({"program": program, "type": "shop.line"})).await;
    hub.accepted(
        "in",
        &[
            event("small", json!({"total": 5, "lines": [{"sku": "x"}]})),
            event(
                "big",
                json!({"total": 19.9, "lines": [{"sku": "a"}, {"sku": "b"}]}),
            ),
            event("none", json!({"lines": []})),
        ],
    )
    .await;
    let text = Publish::binary("text/plain", "text", "hello");
    let _ = hub.publish("in", text).await.expect(200);
    let outputs = hub.read_until("out", 0, 2).await;
    assert_eq!(
        data(&outputs),
        [
            json!({"order": "big", "sku": "a"}),
            json!({"order": "big", "sku": "b"})
        ]
    );
    assert_eq!(
        (&outputs[0]["id"], &outputs[1]["id"]),
        (&json!("big"), &json!("big/1"))
    );
    assert_eq!(outputs[1]["type"], "shop.line");
    let letters = hub.dead_letters_until("", 2).await;
    let reasons: Vec<String> = letters.iter().map(ToString::to_string).collect();
    assert!(
        reasons[0].contains("invalid-event: no total"),
        "{reasons:?}"
    );
    assert!(
        reasons[1].contains("the data is text/plain, not JSON"),
        "{reasons:?}"
    );
    let status = hub.settled("r").await.to_string();
    assert!(
        status.contains("the program gives nothing"),
        "drops are counted under their reason: {status}"
    );
}

#[tokio::test]
async fn jq_sets_attributes_and_chooses_the_target() {
    let program = r#".sandbartarget = .data.to | .subject = .data.name | del(.data.to)"#;
    let hub = with_route("jq", json!({"program": program, "input": "event"})).await;
    hub.accepted(
        "in",
        &[
            event("1", json!({"to": "other", "name": "Ada"})),
            event("2", json!({"to": "out", "name": "Bob"})),
            event("3", json!({"to": "nowhere", "name": "Eve"})),
        ],
    )
    .await;
    let other = hub.read_until("other", 0, 1).await;
    assert_eq!(
        (&other[0]["subject"], &other[0]["data"]),
        (&json!("Ada"), &json!({"name": "Ada"}))
    );
    assert_eq!(hub.read_until("out", 0, 1).await[0]["subject"], "Bob");
    let letters = hub.dead_letters_until("", 1).await;
    assert!(letters[0].to_string().contains("nowhere"), "{letters:?}");
}

#[tokio::test]
async fn a_program_that_is_wrong_refuses_the_route_with_the_place() {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({})).await;
    }
    let jq = reference(&hub, "jq").await;
    for (program, part) in [
        (".a\n| | .b", "line 2, column 3: expected term, found \"|\""),
        ("now", "now is not offered"),
    ] {
        let step = json!({"plugin": jq, "config": {"program": program}});
        let document = json!({"from": "in", "to": ["out"], "steps": [step]});
        let problem = assert_problem(
            &hub.put("/v1/routes/r", document).await,
            422,
            "plugin-config-refused",
        );
        let detail = problem["detail"].as_str().unwrap();
        assert!(
            detail.contains(part) && detail.contains("/steps/0"),
            "{detail}"
        );
    }
    assert_problem(&hub.get("/v1/routes/r").await, 404, "unknown-route");
}

#[tokio::test]
async fn redact_hides_what_its_rules_name() {
    let config = json!({
        "key": "a key for tests only",
        "rules": [
            {"data": "/**/email", "action": "hash", "length": 16, "strict": true},
            {"data": "/card/number", "action": "mask", "keep_last": 4},
            {"data": "/customers/*/born", "action": "drop"},
            {"attribute": "subject", "action": "drop"},
        ],
    });
    let hub = with_route("redact", config).await;
    let mut one = event(
        "1",
        json!({
            "card": {"number": "4111111111111111"},
            "customers": [{"email": "ada@example.com", "born": "1815-12-10", "n": 1}],
        }),
    );
    one["subject"] = json!("ada@example.com");
    hub.accepted("in", &[one, event("2", json!({"card": {}}))])
        .await;
    let outputs = hub.read_until("out", 0, 1).await;
    let text = outputs[0].to_string();
    assert!(
        !text.contains("ada@") && !text.contains("4111") && !text.contains("1815"),
        "{text}"
    );
    assert_eq!(outputs[0]["data"]["card"]["number"], "***1111");
    let hash = outputs[0]["data"]["customers"][0]["email"]
        .as_str()
        .unwrap();
    assert!(
        hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()),
        "{hash}"
    );
    let letters = hub.dead_letters_until("", 1).await;
    assert!(
        letters[0]
            .to_string()
            .contains("there is nothing at /**/email"),
        "{letters:?}"
    );
}

#[tokio::test]
async fn formats_turns_rows_into_events() {
    let config = json!({"from": "csv", "to": "json", "split": true, "csv": {"infer": true}});
    let hub = with_route("formats", config).await;
    let table = Publish::binary("text/csv", "1", "id,name\n7,Ada\n8,\"Bob, L.\"\n");
    let _ = hub.publish("in", table).await.expect(200);
    let broken = Publish::binary("text/csv", "2", "id,name\n7\n");
    let _ = hub.publish("in", broken).await.expect(200);
    let outputs = hub.read_until("out", 0, 2).await;
    assert_eq!(
        data(&outputs),
        [
            json!({"id": 7, "name": "Ada"}),
            json!({"id": 8, "name": "Bob, L."})
        ]
    );
    assert_eq!(outputs[0]["datacontenttype"], "application/json");
    let letters = hub.dead_letters_until("", 1).await;
    assert!(
        letters[0].to_string().contains("line 2: 1 fields"),
        "{letters:?}"
    );
}

#[tokio::test]
async fn formats_writes_xml_with_its_media_type() {
    let config = json!({"from": "json", "to": "xml", "xml": {"root": "order"}});
    let hub = with_route("formats", config).await;
    hub.accepted("in", &[event("1", json!({"@id": 7, "name": "A & B"}))])
        .await;
    let outputs = hub.read_until("out", 0, 1).await;
    assert_eq!(outputs[0]["datacontenttype"], "application/xml");
    assert_eq!(
        outputs[0]["data"],
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<order id=\"7\"><name>A &amp; B</name></order>"
    );
}

#[tokio::test]
async fn they_cannot_be_deleted_and_their_version_is_taken() {
    let hub = Hub::start().await;
    let jq = reference(&hub, "jq").await;
    let problem = assert_problem(&hub.delete(&at(&jq)).await, 409, "plugin-bundled");
    assert!(
        problem["detail"].as_str().unwrap().contains(&jq),
        "{problem}"
    );
    let (_, version) = jq.split_once('@').unwrap();
    let same = hub.upload("jq", version, guest("jq")).await.expect(200);
    assert_eq!(same["bundled"], true);
    let other = hub.upload("jq", version, guest("guest-mapper")).await;
    assert_problem(&other, 409, "version-taken");
    let own = hub
        .upload("jq", "own", guest("guest-mapper"))
        .await
        .expect(201);
    assert_eq!(own["bundled"], false);
    assert_eq!(hub.delete("/v1/plugins/jq/versions/own").await.status, 204);
    assert_eq!(hub.get(&at(&jq)).await.status, 200);
}

#[tokio::test]
async fn a_route_keeps_its_version_under_a_hub_that_does_not_carry_it() {
    let temporary = tempfile::TempDir::new().unwrap();
    let folder = temporary.path().join("data");
    let mut hub = Hub::start_on(&folder, Options::default()).await;
    let jq = reference(&hub, "jq").await;
    let digest = hub.get(&at(&jq)).await.expect(200)["digest"].clone();
    route(&hub, "jq", json!({"program": "{was: .n}"})).await;
    hub.accepted("in", &[event("1", json!({"n": 1}))]).await;
    let _ = hub.read_until("out", 0, 1).await;
    assert!(hub.stop().success());

    let without = Options {
        arguments: vec!["--no-bundled-plugins".to_owned()],
    };
    let mut hub = Hub::start_on(&folder, without).await;
    let list = hub.get("/v1/plugins").await.expect(200);
    let records = list["plugins"].as_array().unwrap();
    assert_eq!(records.len(), 1, "what no route uses is not kept: {list}");
    assert_eq!(
        (&records[0]["digest"], &records[0]["bundled"]),
        (&digest, &json!(false))
    );
    hub.accepted("in", &[event("2", json!({"n": 2}))]).await;
    assert_eq!(
        data(&hub.read_until("out", 0, 2).await)[1],
        json!({"was": 2})
    );
    assert_problem(&hub.delete(&at(&jq)).await, 409, "plugin-in-use");
    assert_eq!(hub.delete("/v1/routes/r").await.status, 204);
    assert_eq!(hub.delete(&at(&jq)).await.status, 204);
    assert!(hub.stop().success());

    let hub = Hub::start_on(&folder, Options::default()).await;
    assert_eq!(reference(&hub, "jq").await, jq, "and back again");
}

#[tokio::test]
async fn what_the_folder_holds_counts_before_what_the_hub_carries() {
    let temporary = tempfile::TempDir::new().unwrap();
    let folder = temporary.path().join("data");
    let mut hub = Hub::start_on(&folder, Options::default()).await;
    let jq = reference(&hub, "jq").await;
    assert!(hub.stop().success());
    // As if an earlier hub had carried other bytes under this version, or a user had uploaded them.
    let without = Options {
        arguments: vec!["--no-bundled-plugins".to_owned()],
    };
    let mut hub = Hub::start_on(&folder, without).await;
    let (_, version) = jq.split_once('@').unwrap();
    let own = hub
        .upload("jq", version, guest("guest-mapper"))
        .await
        .expect(201);
    assert!(hub.stop().success());
    let hub = Hub::start_on(&folder, Options::default()).await;
    assert_eq!(hub.get(&at(&jq)).await.expect(200), own);
    assert!(hub.log().contains("keeps them"), "{}", hub.log());
}

#[tokio::test]
async fn damaged_bytes_of_a_pinned_version_are_written_anew() {
    let mut hub = with_route("jq", json!({"program": "."})).await;
    assert!(hub.stop().success());
    let wasm = kept(&hub);
    let sound = fs::read(&wasm).unwrap();
    fs::write(&wasm, &sound[..1000]).unwrap();
    hub.restart().await;
    assert!(hub.log().contains("not sound"), "{}", hub.log());
    assert!(fs::read(&wasm).unwrap() == sound);
    hub.accepted("in", &[event("1", json!(1))]).await;
    let _ = hub.read_until("out", 0, 1).await;
}

/// The only module in the data folder.
fn kept(hub: &Hub) -> PathBuf {
    let files = hub.folder().join("plugins").read_dir().unwrap();
    let mut modules = files
        .map(|file| file.unwrap().path())
        .filter(|path| path.extension().is_some_and(|end| end == "wasm"));
    let module = modules.next().expect("the route pins its plugin");
    assert!(modules.next().is_none());
    module
}
