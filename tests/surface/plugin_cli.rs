//! From an idea to a plugin that runs: `sandbar plugin new`, `build`, `check`, `try`, `push`.

use std::{fs, path::Path, process::Command};

use sandbar_tests::{Hub, Ran, binary, guest, path_with_toolchains, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

mod dev;

/// A folder with a made project in it, `name`.
fn project(name: &str, language: &str) -> TempDir {
    let folder = TempDir::new().unwrap();
    let made = in_folder(folder.path(), &["plugin", "new", name, "--lang", language]);
    assert_eq!(made.code, 0, "{made:?}");
    folder
}

fn in_folder(folder: &Path, arguments: &[&str]) -> Ran {
    Ran::of(
        Command::new(binary()).current_dir(folder).args(arguments),
        "",
    )
}

/// A project that builds by copying a module.
fn copying(folder: &Path, module: &[u8]) {
    fs::create_dir_all(folder.join("src")).unwrap();
    fs::write(folder.join("src/plugin.wasm"), module).unwrap();
    let manifest = "[plugin]\nname = \"copied\"\nversion = \"1.2.3\"\n[build]\ncommand = \"mkdir -p out && cp src/plugin.wasm out/\"\noutput = \"out/plugin.wasm\"\n";
    fs::write(folder.join("sandbar-plugin.toml"), manifest).unwrap();
}

fn event(id: &str, kind: &str, data: &Value) -> Value {
    json!({"specversion": "1.0", "id": id, "source": "/t", "type": kind, "datacontenttype": "application/json", "data": data})
}

/// What the templates' README promises of `events.json`.
fn assert_invoices(answer: &Value, currency: &str) {
    let results = answer["results"].as_array().unwrap();
    let verdicts: Vec<_> = results.iter().map(|one| &one["verdict"]).collect();
    assert_eq!(verdicts, ["emit", "drop", "reject", "reject"], "{answer}");
    let output = &results[0]["outputs"][0];
    assert_eq!(output["target"], "output");
    assert_eq!(
        (
            &output["event"]["type"],
            &output["event"]["id"],
            &output["event"]["subject"]
        ),
        (&json!("invoice.due"), &json!("1"), &json!("A-1001"))
    );
    assert_eq!(
        output["event"]["data"],
        json!({"order": "A-1001", "customer": "Ada Brandt", "currency": currency, "total_cents": 4199})
    );
    assert_eq!(results[1]["reason"], "nothing to invoice");
    assert!(
        (results[2]["reason"].as_str().unwrap()).ends_with("the order has no number"),
        "{answer}"
    );
    assert!(results[0]["time_ns"].as_u64().unwrap() > 0);
    assert!(results[0]["memory_bytes"].as_u64().unwrap() > 0);
}

/// Runs the project's own test, as its manifest says.
fn own_test(folder: &Path) {
    let manifest = fs::read_to_string(folder.join("sandbar-plugin.toml")).unwrap();
    let (_, after) = manifest.split_once("[test]\ncommand = \"").unwrap();
    let command = after.lines().next().unwrap().trim_end_matches('"');
    let tested = Ran::of(
        Command::new("sh")
            .current_dir(folder)
            .args(["-c", command])
            .env("CARGO_TARGET_DIR", repository().join("target/templates"))
            .env("PATH", path_with_toolchains()),
        "",
    );
    assert_eq!(tested.code, 0, "{command}: {tested:?}");
}

/// A made project built, tested, checked and tried: the way of a newcomer. Gives the folder around it
/// and what the build told.
fn the_whole_way(language: &str) -> (TempDir, Value) {
    let made = project("order-invoice", language);
    let folder = made.path().join("order-invoice");
    let early = in_folder(&folder, &["plugin", "try", "."]);
    assert_eq!(early.code, 1, "{early:?}");
    assert!(early.stderr.contains("sandbar plugin build"), "{early:?}");

    let built = Ran::building(&folder, &["plugin", "build", "--json"]).json();
    assert_eq!(
        (&built["name"], &built["world"]),
        (&json!("order-invoice"), &json!("transformer"))
    );
    assert!(built["digest"].as_str().unwrap().starts_with("sha256:"));
    own_test(&folder);

    let checked = in_folder(&folder, &["plugin", "check", "--json"]).json();
    assert_eq!(checked["determinism"]["deterministic"], true, "{checked}");
    assert_eq!(checked["determinism"]["events"], 4);
    assert_eq!(checked["exports"], json!(["configure", "transform"]));

    let tried = in_folder(&folder, &["plugin", "try", ".", "--json"]).json();
    assert_invoices(&tried, "EUR");
    fs::write(folder.join("config.json"), r#"{"currency": "DKK"}"#).unwrap();
    let configured = [
        "plugin",
        "try",
        "build/plugin.wasm",
        "--events",
        "events.json",
        "--config",
        "@config.json",
        "--json",
    ];
    assert_invoices(&in_folder(&folder, &configured).json(), "DKK");
    let refused = in_folder(&folder, &["plugin", "try", ".", "--config", r#"{"x": 1}"#]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("refuses its config"), "{refused:?}");
    (made, built)
}

#[tokio::test]
async fn rust() {
    let (made, built) = the_whole_way("rust");
    let hub = Hub::start().await;
    let at = made.path().join("order-invoice");
    let at = at.to_str().unwrap();
    let pushed = hub.sandbar(&["plugin", "push", at, "--json"]).json();
    assert_eq!(
        (&pushed["name"], &pushed["version"], &pushed["digest"]),
        (&json!("order-invoice"), &json!("0.1.0"), &built["digest"])
    );

    // As the README goes on.
    let readme = fs::read_to_string(format!("{at}/README.md")).unwrap();
    let (_, declaration) = readme.split_once("```yaml\n").unwrap();
    let (declaration, _) = declaration.split_once("```").unwrap();
    fs::write(format!("{at}/sandbar.yaml"), declaration).unwrap();
    let applied = hub.sandbar(&["apply", "-f", &format!("{at}/sandbar.yaml")]);
    assert_eq!(applied.code, 0, "{applied:?}");
    let events = format!("{at}/events.json");
    let published = hub.sandbar(&["publish", "orders", "--events", &events]);
    assert_eq!(published.code, 0, "{published:?}");
    let invoices = hub.read_until("invoices", 0, 1).await;
    assert_eq!(invoices[0]["data"]["currency"], "EUR");
    assert_eq!(hub.dead_letters_until("", 2).await.len(), 2);
}

#[test]
fn javascript() {
    let _ = the_whole_way("javascript");
}

#[test]
fn typescript() {
    let _ = the_whole_way("typescript");
}

#[test]
fn assemblyscript() {
    let _ = the_whole_way("assemblyscript");
}

#[test]
fn python() {
    let _ = the_whole_way("python");
}

#[test]
fn go() {
    let _ = the_whole_way("go");
}

#[test]
fn c() {
    let _ = the_whole_way("c");
}

/// With a shell and nothing else on the search path, each says what to install, and builds nothing.
#[test]
fn a_template_without_its_tools_says_what_to_install() {
    let bare = TempDir::new().unwrap();
    let shell = ["/bin/sh", "/usr/bin/sh"];
    let shell = shell.iter().find(|path| Path::new(path).exists()).unwrap();
    std::os::unix::fs::symlink(shell, bare.path().join("sh")).unwrap();
    for (language, install) in [
        ("rust", "rustup"),
        ("javascript", "https://nodejs.org"),
        ("typescript", "https://nodejs.org"),
        ("assemblyscript", "https://nodejs.org"),
        ("python", "https://www.python.org"),
        ("go", "https://go.dev"),
        ("c", "https://ziglang.org"),
    ] {
        let made = project("bare", language);
        let folder = made.path().join("bare");
        let refused = Ran::of(
            Command::new(binary())
                .current_dir(&folder)
                .args(["plugin", "build"])
                .env("PATH", bare.path()),
            "",
        );
        assert_eq!(refused.code, 7, "{language}: {refused:?}");
        assert!(refused.stderr.contains(install), "{language}: {refused:?}");
        assert!(!folder.join("build/plugin.wasm").exists());
    }
}

#[tokio::test]
async fn a_panic_tells_file_and_line_here_and_in_the_hub() {
    let made = project("panics", "rust");
    let folder = made.path().join("panics");
    let path = folder.join("src/invoice.rs");
    let source = fs::read_to_string(&path).unwrap();
    let broken = source.replace(
        "    if order.lines.is_empty() {\n",
        "    if order.lines.is_empty() {\n        assert!(order.number.is_none(), \"broken on purpose\");\n",
    );
    let line = 1 + broken
        .lines()
        .position(|line| line.contains("broken on purpose"))
        .unwrap();
    fs::write(&path, broken).unwrap();
    let built = Ran::building(&folder, &["plugin", "build"]);
    assert_eq!(built.code, 0, "{built:?}");
    let place = format!("src/invoice.rs:{line}:");

    let tried = in_folder(&folder, &["plugin", "try", "."]);
    assert_eq!(
        tried.code, 1,
        "a plugin that breaks is no success: {tried:?}"
    );
    assert!(tried.stdout.contains("fault (trap)"), "{tried:?}");
    assert!(tried.stdout.contains("broken on purpose"), "{tried:?}");
    let frames = |line: &&str| line.starts_with("    in ") && line.contains(&place);
    assert!(tried.stdout.lines().any(|line| frames(&line)), "{tried:?}");
    assert!(!tried.stdout.contains('\u{1b}'), "no colours in a pipe");

    let hub = Hub::start().await;
    let at = folder.to_str().unwrap();
    assert_eq!(hub.sandbar(&["plugin", "push", at]).code, 0);
    let events = folder.join("events.json");
    let arguments = [
        "plugin",
        "try",
        "panics@0.1.0",
        "--events",
        events.to_str().unwrap(),
    ];
    let told = hub.sandbar(&arguments);
    assert!(told.stdout.lines().any(|line| frames(&line)), "{told:?}");
    hub.topic("in", json!({})).await;
    hub.topic("out", json!({})).await;
    let route = json!({"from": "in", "to": ["out"], "steps": [{"plugin": "panics@0.1.0"}]});
    hub.route("r", route).await;
    let all: Vec<Value> = serde_json::from_slice(&fs::read(&events).unwrap()).unwrap();
    let _ = hub.accepted("in", &all[1..2]).await;
    let letters = hub.dead_letters_until("route=r", 1).await;
    assert!(letters[0].to_string().contains(&place), "{}", letters[0]);
}

#[test]
fn a_language_that_is_not_there_lists_those_that_are() {
    let folder = TempDir::new().unwrap();
    let refused = in_folder(folder.path(), &["plugin", "new", "x", "--lang", "cobol"]);
    assert_eq!(refused.code, 2, "{refused:?}");
    for language in ["rust", "javascript", "python"] {
        assert!(refused.stderr.contains(language), "{refused:?}");
    }
    assert!(!folder.path().join("x").exists());
}

#[test]
fn nothing_is_written_over() {
    let made = project("mine", "rust");
    let again = in_folder(made.path(), &["plugin", "new", "mine", "--lang", "rust"]);
    assert_eq!(again.code, 1, "{again:?}");
    assert!(again.stderr.contains("not empty"), "{again:?}");
    fs::create_dir(made.path().join("empty")).unwrap();
    let arguments = ["plugin", "new", "mine", "-l", "rust", "--dir", "empty"];
    assert_eq!(in_folder(made.path(), &arguments).code, 0);
    for name in ["../x", "Mine", "a b", ""] {
        let refused = in_folder(made.path(), &["plugin", "new", name, "--lang", "rust"]);
        assert_eq!(refused.code, 2, "{name:?}: {refused:?}");
    }
}

#[test]
fn a_slip_in_the_manifest_is_told_with_line_and_suggestion() {
    let folder = TempDir::new().unwrap();
    copying(folder.path(), b"");
    let path = folder.path().join("sandbar-plugin.toml");
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replace("output =", "outputs =")).unwrap();
    let refused = in_folder(folder.path(), &["plugin", "build"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused
            .stderr
            .contains("sandbar-plugin.toml:6: unknown field `outputs`")
            && refused.stderr.contains("did you mean `output`?"),
        "{refused:?}"
    );
    let none = in_folder(folder.path(), &["plugin", "build", "src"]);
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stderr.contains("sandbar plugin new"), "{none:?}");
}

#[test]
fn a_missing_tool_is_named_with_what_to_do() {
    let folder = TempDir::new().unwrap();
    copying(folder.path(), &guest("guest-mapper"));
    let path = folder.path().join("sandbar-plugin.toml");
    let text = fs::read_to_string(&path).unwrap();
    let tools = "\n[[tools]]\nname = \"there\"\ncheck = \"true\"\ninstall = \"-\"\n[[tools]]\nname = \"quern\"\ncheck = \"quern --version\"\ninstall = \"ask the miller\"\n";
    fs::write(&path, format!("{text}{tools}")).unwrap();
    let refused = in_folder(folder.path(), &["plugin", "build"]);
    assert_eq!(refused.code, 7, "{refused:?}");
    assert!(
        refused.stderr.contains("quern") && refused.stderr.contains("ask the miller"),
        "{refused:?}"
    );
    assert!(!refused.stderr.contains("there ("), "{refused:?}");
    assert!(!folder.path().join("out").exists(), "nothing was built");
}

#[test]
fn a_build_that_fails_or_makes_no_plugin_is_told() {
    let folder = TempDir::new().unwrap();
    copying(folder.path(), b"no module");
    let refused = in_folder(folder.path(), &["plugin", "build"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(
        refused.stderr.contains("a hub would refuse") && refused.stderr.contains("not WebAssembly"),
        "{refused:?}"
    );
    fs::remove_file(folder.path().join("src/plugin.wasm")).unwrap();
    let failed = in_folder(folder.path(), &["plugin", "build"]);
    assert_eq!(failed.code, 1, "{failed:?}");
    assert!(failed.stderr.contains("failed"), "{failed:?}");
}

#[test]
fn check_says_what_a_hub_would_refuse() {
    let folder = TempDir::new().unwrap();
    let file = folder.path().join("empty.wasm");
    // A module with nothing in it.
    fs::write(&file, b"\0asm\x01\0\0\0").unwrap();
    let refused = in_folder(folder.path(), &["plugin", "check", "empty.wasm", "--json"]);
    assert_eq!(refused.code, 1, "{refused:?}");
    let report: Value = serde_json::from_str(&refused.stdout).unwrap();
    assert!(
        (report["refused"].as_str().unwrap()).contains("does not export"),
        "{report}"
    );
}

#[test]
fn check_finds_what_is_not_deterministic() {
    let guests = repository().join("target/guests");
    let random = in_folder(
        &guests,
        &["plugin", "check", "guest-capabilities.wasm", "--json"],
    );
    assert_eq!(random.code, 6, "{random:?}");
    let report: Value = serde_json::from_str(&random.stdout).unwrap();
    assert_eq!(report["determinism"]["deterministic"], false);
    assert_eq!(report["imports"], json!(["log", "clock", "random"]));
    let differences = report["determinism"]["differs_in_a_second_run"].as_array();
    let pointer = &differences.unwrap()[0]["outputs"][0]["pointer"];
    assert!(
        pointer.as_str().unwrap().starts_with("/0/event/data"),
        "{report}"
    );

    // It counts its calls: the same in any instance, another in another split.
    let folder = TempDir::new().unwrap();
    let calls: Vec<Value> = (0..3)
        .map(|id| event(&id.to_string(), "calls", &json!({})))
        .collect();
    let events = folder.path().join("events.json");
    fs::write(&events, json!(calls).to_string()).unwrap();
    let arguments = ["plugin", "check", "guest-hostile.wasm", "--events"];
    let counting = in_folder(
        &guests,
        &[&arguments[..], &[events.to_str().unwrap(), "--json"]].concat(),
    );
    assert_eq!(counting.code, 6, "{counting:?}");
    let report: Value = serde_json::from_str(&counting.stdout).unwrap();
    let found = &report["determinism"];
    assert_eq!(found["differs_in_a_second_run"], json!([]), "{report}");
    assert_ne!(found["differs_in_another_split"], json!([]), "{report}");

    let steady = in_folder(&guests, &["plugin", "check", "guest-mapper.wasm"]);
    assert_eq!(steady.code, 0, "{steady:?}");
    assert!(steady.stdout.contains("column-transformer"), "{steady:?}");
}

#[test]
fn try_shows_each_event_with_its_own_logs_and_cost() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.wasm"), guest("guest-hostile")).unwrap();
    let lines = [
        event("1", "log", &json!(1)),
        event("2", "drop", &json!(2)),
        event("3", "target", &json!(3)),
    ];
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("events.ndjson"), text).unwrap();
    let arguments = [
        "plugin",
        "try",
        "p.wasm",
        "--events",
        "events.ndjson",
        "--target",
        "first",
        "--json",
    ];
    let tried = in_folder(folder.path(), &arguments);
    assert_eq!(
        tried.code, 1,
        "the third names no declared target: {tried:?}"
    );
    let answer: Value = serde_json::from_str(&tried.stdout).unwrap();
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results[0]["logs"][0]["message"], "seen 1");
    assert_eq!(results[0]["outputs"][0]["target"], "first");
    assert_eq!(results[1]["logs"], json!([]));
    assert_eq!(results[1]["reason"], "dropped as asked");
    assert_eq!(results[2]["fault"], "undeclared-target", "{answer}");
    let usage = in_folder(folder.path(), &["plugin", "try", "p.wasm"]);
    assert_eq!(usage.code, 2, "{usage:?}");
}

#[tokio::test]
async fn push_takes_what_is_not_said_from_the_project() {
    let hub = Hub::start().await;
    let folder = TempDir::new().unwrap();
    copying(folder.path(), &guest("guest-mapper"));
    let at = folder.path().to_str().unwrap();
    let early = hub.sandbar(&["plugin", "push", at]);
    assert!(early.stderr.contains("sandbar plugin build"), "{early:?}");
    assert_eq!(in_folder(folder.path(), &["plugin", "build"]).code, 0);
    let version = |ran: Ran| {
        let answer = ran.json();
        format!("{}@{}", answer["name"], answer["version"]).replace('"', "")
    };
    let pushed = hub.sandbar(&["plugin", "push", at, "--json"]);
    assert_eq!(version(pushed), "copied@1.2.3");
    let pushed = hub.sandbar(&["plugin", "push", "other@7", at, "--json"]);
    assert_eq!(version(pushed), "other@7");
    let file = folder.path().join("out/plugin.wasm");
    let file = file.to_str().unwrap();
    let pushed = hub.sandbar(&["plugin", "push", "other@8", file, "--json"]);
    assert_eq!(version(pushed), "other@8");
    let nameless = hub.sandbar(&["plugin", "push", file]);
    assert_eq!(nameless.code, 2, "{nameless:?}");
    let here = Ran::of(
        Command::new(binary()).current_dir(folder.path()).args([
            "plugin",
            "push",
            "other@9",
            "--json",
            "--url",
            hub.url(),
        ]),
        "",
    );
    assert_eq!(version(here), "other@9");
}

/// What reaches out of the sandbox has stand-ins here: files for look-ups, and nobody for requests.
#[test]
fn look_ups_are_answered_from_files_and_requests_go_nowhere() {
    let folder = TempDir::new().unwrap();
    fs::write(folder.path().join("p.wasm"), guest("guest-reaching")).unwrap();
    let customer = |id: &str, name: &str| {
        let mut customer = event(id, "customer", &json!({"name": name}));
        customer["subject"] = json!("c1");
        customer
    };
    let customers = json!([customer("1", "Ada"), customer("2", "Zoë")]);
    fs::write(folder.path().join("customers.json"), customers.to_string()).unwrap();
    let asks = json!([
        event("1", "t", &json!({"topic": "customers", "key": "c1"})),
        event("2", "t", &json!({"topic": "others", "key": "c1"})),
        event("3", "t", &json!({"url": "http://127.0.0.1:1/"})),
    ]);
    fs::write(folder.path().join("asks.json"), asks.to_string()).unwrap();

    // A hub would take it: what it imports is the route's business.
    let checked = in_folder(folder.path(), &["plugin", "check", "p.wasm", "--json"]).json();
    assert_eq!(checked["imports"], json!(["log", "lookup", "http"]));
    assert_eq!(checked["refused"], Value::Null, "{checked}");
    assert_eq!(checked["verdicts"], json!({"reject": 6}));

    let asking = ["plugin", "try", "p.wasm", "--events", "asks.json"];
    let refused = in_folder(folder.path(), &asking);
    assert_eq!(refused.code, 1, "{refused:?}");
    assert!(refused.stderr.contains("lookup, http"), "{refused:?}");
    let given = [
        "--lookup",
        "customers=customers.json",
        "--grant",
        "http",
        "--json",
    ];
    let tried = in_folder(folder.path(), &[&asking[..], &given].concat()).json();
    let said = |index: usize| &tried["results"][index]["outputs"][0]["event"]["data"];
    assert_eq!(said(0)["found"]["name"], "Zoë", "the latest: {tried}");
    assert_eq!(said(1)["error"], "not-granted", "{tried}");
    assert_eq!(said(2)["error"], "unreachable", "{tried}");
}

#[test]
fn check_tells_what_was_said_and_what_a_config_is_needed_for() {
    let guests = repository().join("target/guests");
    let folder = TempDir::new().unwrap();
    let events = folder.path().join("events.json");
    let all = json!([event("1", "trap", &json!(1)), event("2", "drop", &json!(2))]);
    fs::write(&events, all.to_string()).unwrap();
    let arguments = ["plugin", "check", "guest-hostile.wasm", "--events"];
    let at = [events.to_str().unwrap()];
    let checked = in_folder(&guests, &[&arguments[..], &at].concat());
    assert_eq!(checked.code, 0, "{checked:?}");
    assert!(
        checked.stdout.contains("1 drop, 1 fault (trap)"),
        "{checked:?}"
    );
    let none = in_folder(&guests, &["plugin", "check", "jq.wasm"]);
    assert_eq!(none.code, 1, "{none:?}");
    assert!(none.stdout.contains("--config"), "{none:?}");
    let trapping = [&arguments[..3], &["--config", "\"trap\""]].concat();
    let broken = in_folder(&guests, &trapping);
    assert_eq!(broken.code, 1, "{broken:?}");
    assert!(
        broken
            .stdout
            .lines()
            .any(|line| line.starts_with("    in ")),
        "one frame a line: {broken:?}"
    );
}
