//! `sandbar contract …` as teams and their CI use it: what changed and by which rule, what a refusal says,
//! exit codes that tell findings from mistakes, and plans that say what would be refused.

use std::{fs, path::Path};

use sandbar_tests::{Hub, Ran, event};
use serde_json::{Value, json};
use tempfile::TempDir;

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(TempDir::new().unwrap())
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.path().join(name);
        fs::create_dir_all(path.parent().unwrap_or(Path::new(""))).unwrap();
        fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    fn json(&self, name: &str, document: &Value) -> String {
        self.write(name, &document.to_string())
    }

    fn path(&self, name: &str) -> String {
        self.0.path().join(name).to_str().unwrap().to_owned()
    }
}

/// Two event types in one schema.
fn typed(order: Value) -> Value {
    json!({"definitions": {"order": order, "note": {"type": "object", "properties": {"text": {"type": "string"}}}}})
}

fn total(kind: &str) -> Value {
    json!({"type": "object", "properties": {"total": {"type": kind}}})
}

#[tokio::test]
async fn a_diff_keeps_event_types_and_the_policy_of_the_contract() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    let types = folder.json(
        "types.json",
        &json!({"a.order": "#/definitions/order", "a.note": "#/definitions/note"}),
    );
    let one = folder.json("one.json", &typed(total("integer")));
    let two = folder.json("two.json", &typed(total("number")));
    let pushed = hub.sandbar(&["contract", "push", "typed", &one, "--types", &types]);
    assert_eq!(pushed.code, 0, "{pushed:?}");
    // Wider: what was valid is. What differs is one type alone.
    let diff = hub.sandbar(&["contract", "diff", "typed", &two, "--json"]);
    let answer: Value = serde_json::from_str(&diff.stdout).unwrap();
    assert_eq!(answer["backward"]["answer"], "compatible", "{answer:#}");
    let findings = answer["forward"]["findings"].as_array().unwrap();
    assert!(
        !findings.is_empty() && findings.iter().all(|one| one["type"] == "a.order"),
        "{answer:#}"
    );
    // Of two files they are said, also where the one before had fewer.
    let fewer = folder.json(
        "fewer.json",
        &json!({"definitions": {"order": total("number")}}),
    );
    let diff = hub.sandbar(&["contract", "diff", &fewer, &two, "--types", &types]);
    assert!(diff.stdout.contains("backward: compatible"), "{diff:?}");
    // A part that is gone is told, and then the whole is compared.
    let gone = folder.json(
        "gone.json",
        &json!({"definitions": {"order": total("number")}}),
    );
    let diff = hub.sandbar(&["contract", "diff", "typed", &gone]);
    assert!(
        diff.stderr.contains("/definitions/note") && diff.stderr.contains("--types"),
        "{diff:?}"
    );
    let wrong = hub.sandbar(&["contract", "diff", &two, "typed@1", "--types", &types]);
    assert_eq!(wrong.code, 2, "{wrong:?}");

    let open = json!({"type": "object", "properties": {"a": {"type": "string"}}});
    let more =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "string"}}});
    hub.contract("len", open).await;
    let more = folder.json("more.json", &more);
    assert_eq!(hub.sandbar(&["contract", "diff", "len", &more]).code, 1);
    let _ = hub
        .put("/v1/contracts/len", json!({"policy": "lenient"}))
        .await
        .expect(200);
    let diff = hub.sandbar(&["contract", "diff", "len", &more]);
    assert!(
        diff.stdout.contains("lenient") && diff.stdout.contains("backward: compatible"),
        "{diff:?}"
    );
    let strict = hub.sandbar(&["contract", "diff", "len", &more, "--policy", "strict"]);
    assert_eq!(strict.code, 1, "{strict:?}");
}

#[tokio::test]
async fn a_refusal_says_the_rule_and_what_shows_it_and_is_a_document_with_json() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    hub.contract("order", total("number")).await;
    let _ = hub
        .put("/v1/contracts/order", json!({"compatibility": "backward"}))
        .await
        .expect(200);
    let narrow = folder.json("narrow.json", &total("integer"));
    let push = ["contract", "push", "order", &narrow];
    let refused = hub.sandbar(&push);
    assert_eq!(refused.code, 1, "{refused:?}");
    for words in [
        "/schema/properties/total/type",
        "type-narrowed, backward, against version 1",
        "shown by {\"total\":",
    ] {
        assert!(refused.stderr.contains(words), "{words}: {refused:?}");
    }
    assert_eq!(refused.stdout, "");
    // One document on standard output, whatever refuses.
    let document = |ran: &Ran, code: i32| -> Value {
        assert_eq!(ran.code, code, "{ran:?}");
        serde_json::from_str(&ran.stdout).unwrap_or_else(|error| panic!("{error}: {ran:?}"))
    };
    let problem = document(&hub.sandbar(&[&push[..], &["--json"]].concat()), 1);
    assert_eq!(
        problem["type"], "/problems/incompatible-contract",
        "{problem}"
    );
    assert_eq!(problem["errors"][0]["rule"], "type-narrowed", "{problem}");
    let bad = folder.json("bad.json", &json!({"type": "strin"}));
    for target in ["order", "new"] {
        let check = ["contract", "check", &bad, "--against", target, "--json"];
        let problem = document(&hub.sandbar(&check), 2);
        assert_eq!(problem["type"], "/problems/invalid-schema", "{problem}");
    }
    let folder_of = folder.path("");
    let check = ["contract", "check", &bad, "--folder", &folder_of, "--json"];
    let problem = document(&hub.sandbar(&check), 2);
    assert!(
        problem["detail"].as_str().unwrap().contains("bad.json"),
        "{problem}"
    );
    let problem = document(&hub.sandbar(&["topic", "show", "none", "--json"]), 4);
    assert_eq!(problem["status"], 404, "{problem}");
    let missing = ["contract", "push", "order", "/no/such/file.json", "--json"];
    let problem = document(&hub.sandbar(&missing), 1);
    assert_eq!(problem["title"], "There is no such file", "{problem}");
    let nobody = ["--url", "http://127.0.0.1:9", "topic", "list", "--json"];
    let problem = document(&Ran::new(&nobody, ""), 3);
    assert_eq!(problem["title"], "The hub cannot be reached", "{problem}");
    // What has answered already does not answer twice.
    let events = folder.json("events.json", &json!([event("1", json!({"total": "x"}))]));
    let checked = hub.sandbar(&["contract", "check", "order", &events, "--json"]);
    assert_eq!(document(&checked, 1)["results"][0]["valid"], false);
}

#[tokio::test]
async fn exit_codes_of_a_check_tell_what_does_not_fit_from_what_went_wrong() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    hub.contract("order", total("number")).await;
    let narrow = folder.json("narrow.json", &total("integer"));
    let bad = folder.json("bad.json", &json!({"type": "strin"}));
    let broken = folder.write("broken.json", "{");
    let earlier = folder.json("earlier/v1.json", &total("number"));
    let earlier = Path::new(&earlier).parent().unwrap().to_str().unwrap();
    fs::create_dir(folder.path("empty")).unwrap();
    let (empty, gone) = (folder.path("empty"), folder.path("gone"));
    for (arguments, code) in [
        (vec![narrow.as_str(), "--folder", earlier], 1),
        (vec![&bad, "--folder", earlier], 2),
        (vec![&broken, "--folder", earlier], 2),
        (vec![&gone, "--folder", earlier], 4),
        (vec![&narrow, "--folder", &gone], 4),
        (vec![&narrow, "--folder", &empty], 4),
        (vec![&narrow, "--against", "order", "--rule", "full"], 1),
        (vec![&bad, "--against", "order"], 2),
        (vec![&gone, "--against", "order"], 4),
        (vec![&narrow, "--against", "order@9"], 4),
        // Nobody's first version fails.
        (vec![&narrow, "--against", "first"], 0),
        (vec![&bad, "--against", "first"], 2),
        (vec!["order", &gone], 4),
        (vec!["order", &broken], 2),
    ] {
        let ran = hub.sandbar(&[&["contract", "check"], arguments.as_slice()].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    }
    for (arguments, code) in [
        ([narrow.as_str(), narrow.as_str()], 0),
        (["order", narrow.as_str()], 1),
        (["order", bad.as_str()], 2),
        (["none", narrow.as_str()], 4),
    ] {
        let ran = hub.sandbar(&[&["contract", "diff"], &arguments[..]].concat());
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
    }
    let first = hub.sandbar(&["contract", "check", &narrow, "--against", "first"]);
    assert!(
        first.stdout.contains("nothing to compare with"),
        "{first:?}"
    );
    let first = hub.sandbar(&["contract", "check", &narrow, "--against", "first", "--json"]);
    let answer = first.json();
    assert_eq!(
        (&answer["answer"], &answer["against"]),
        (&json!("compatible"), &json!([]))
    );
    assert_eq!(hub.get("/v1/contracts/first").await.status, 404);
    // A contract that has settings and no version yet.
    let _ = hub
        .put("/v1/contracts/first", json!({"compatibility": "full"}))
        .await
        .expect(201);
    let first = hub.sandbar(&["contract", "check", &narrow, "--against", "first"]);
    assert!(
        first.code == 0 && first.stdout.contains("nothing to compare with"),
        "{first:?}"
    );
}

#[tokio::test]
async fn bare_data_is_checked_in_every_format() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    hub.contract("order", total("number")).await;
    let good = folder.json("good.json", &json!({"total": 1}));
    let several = folder.json("several.json", &json!([{"total": 1}, {"total": "x"}]));
    let told = hub.sandbar(&["contract", "check", "order", &good]);
    assert_eq!(told.code, 2, "{told:?}");
    assert!(
        told.stderr.contains("specversion") && told.stderr.contains("--data"),
        "{told:?}"
    );
    let check = |contract: &str, file: &str, more: &[&str]| {
        hub.sandbar(&[&["contract", "check", contract, file, "--data"], more].concat())
    };
    assert_eq!(check("order", &good, &[]).code, 0);
    let checked = check("order", &several, &["--json"]);
    assert_eq!(checked.code, 1, "{checked:?}");
    let answer: Value = serde_json::from_str(&checked.stdout).unwrap();
    assert_eq!(answer["results"][0]["valid"], true, "{answer}");
    assert_eq!(
        answer["results"][1]["violations"][0]["pointer"], "/total",
        "{answer}"
    );
    let avro = json!({"format": "avro", "schema": {"type": "record", "name": "O", "fields": [{"name": "total", "type": "int"}]}});
    let _ = hub
        .post("/v1/contracts/avro/versions", avro)
        .await
        .expect(201);
    assert_eq!(check("avro", &good, &[]).code, 0);
    let checked = check("avro@1", &several, &[]);
    assert!(
        checked.code == 1 && checked.stdout.contains("document 1: does not fit"),
        "{checked:?}"
    );
    let typed = json!({"schema": typed(total("number")), "types": {"a.order": "#/definitions/order", "a.note": "#/definitions/note"}});
    let _ = hub
        .post("/v1/contracts/typed/versions", typed)
        .await
        .expect(201);
    let which = check("typed", &good, &[]);
    assert!(
        which.code == 2 && which.stderr.contains("a.note, a.order"),
        "{which:?}"
    );
    assert_eq!(check("typed", &good, &["--type", "a.order"]).code, 0);
    assert_eq!(check("typed", &several, &["--type", "a.order"]).code, 1);
}

#[tokio::test]
async fn a_plan_says_that_a_contracts_rule_refuses_a_version() {
    let hub = Hub::start().await;
    let folder = Folder::new();
    let schema = |kind: &str| folder.json("order.json", &total(kind));
    let file = folder.write(
        "sandbar.yaml",
        "contracts:\n  order: {schema: order.json, compatibility: backward}\n  other: {schema: order.json}\n",
    );
    let apply = |more: &[&str]| hub.sandbar(&[&["apply", "-f", &file], more].concat());
    schema("number");
    assert_eq!(apply(&[]).code, 0);
    schema("integer");
    let dry = apply(&["--dry-run"]);
    assert_eq!(dry.code, 1, "{dry:?}");
    for words in [
        "~ contract     order",
        "the rule backward refuses it",
        "type-narrowed",
        "shown by {\"total\":",
    ] {
        assert!(dry.stdout.contains(words), "{words}: {dry:?}");
    }
    assert!(dry.stderr.contains("nothing was changed"), "{dry:?}");
    let refused = apply(&["--json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let plan: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert_eq!(plan["applied"], false, "{plan}");
    let items = plan["plan"].as_array().unwrap();
    let item = |name: &str| {
        let of_name = |one: &&Value| one["name"] == name && one["kind"] == "contract";
        items.iter().find(of_name).unwrap()
    };
    assert_eq!(item("order")["rule"]["answer"], "incompatible", "{plan}");
    assert_eq!(item("other")["rule"]["rule"], "none", "{plan}");
    for name in ["order", "other"] {
        let versions = hub.get(&format!("/v1/contracts/{name}/versions")).await;
        let versions = versions.expect(200)["versions"].as_array().unwrap().len();
        assert_eq!(versions, 1, "{name}: nothing was changed");
    }
    // The rule that the file sets is the one that counts.
    let loose = fs::read_to_string(&file).unwrap();
    fs::write(&file, loose.replace("backward", "forward")).unwrap();
    assert_eq!(apply(&["--dry-run"]).code, 0);
    assert_eq!(apply(&[]).code, 0);
    schema("strin");
    let invalid = apply(&["--dry-run"]);
    assert!(
        invalid.code == 1 && invalid.stderr.contains("sandbar.yaml:2"),
        "{invalid:?}"
    );
}
