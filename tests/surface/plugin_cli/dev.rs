//! `sandbar plugin dev`: each change is built and compared with what was there, alone or beside a route.

use std::{
    fs,
    io::{BufRead, BufReader},
    path::Path,
    process::{Command, Stdio},
    sync::mpsc,
};

use sandbar_tests::{Hub, WATCHDOG, binary, guest, repository};
use serde_json::{Value, json};
use tempfile::TempDir;

use super::{copying, event, in_folder};

#[tokio::test]
async fn dev_builds_at_every_change_and_shows_what_differs() {
    let hub = Hub::start().await;
    let folder = TempDir::new().unwrap();
    copying(folder.path(), &guest("guest-orders-columns"));
    let order = json!({"number": 1, "customer": {"name": "Ada", "city": "Husum"}, "lines": [{"article": "rope", "pieces": 2, "cents": 1850}]});
    let events = json!([event("1", "order", &order)]).to_string();
    fs::write(folder.path().join("events.json"), events).unwrap();
    let dev = Dev::start(folder.path(), &hub, &["--push"]);
    let next = || dev.next();

    let first = next();
    assert_eq!(
        (&first["build"], &first["differences"]),
        (&json!(1), &Value::Null)
    );
    assert_eq!(first["pushed"], "copied@1.2.3-dev.1");
    assert_eq!(first["results"][0]["verdict"], "emit", "{first}");

    // Another plugin with the same source file: it passes events unchanged.
    let source = folder.path().join("src/plugin.wasm");
    fs::write(&source, guest("guest-mapper")).unwrap();
    let second = next();
    assert_eq!(second["pushed"], "copied@1.2.3-dev.2", "{second}");
    let changes = second["differences"][0]["outputs"].as_array().unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change["pointer"] == "/0/event/type" && change["kind"] == "changed"),
        "{second}"
    );

    // A build that fails is shown, and the watch goes on.
    fs::write(&source, b"no module").unwrap();
    let failed = next();
    assert!(
        (failed["failed"].as_str().unwrap()).contains("not WebAssembly"),
        "{failed}"
    );
    fs::write(&source, guest("guest-mapper")).unwrap();
    let third = next();
    assert_eq!(
        (&third["build"], &third["differences"]),
        (&json!(3), &json!([])),
        "{third}"
    );

    dev.stop();
}

/// `sandbar plugin dev` and what it tells, one JSON line after the other.
struct Dev {
    child: std::process::Child,
    lines: mpsc::Receiver<String>,
}

impl Dev {
    fn start(folder: &Path, hub: &Hub, arguments: &[&str]) -> Self {
        let mut child = Command::new(binary())
            .current_dir(folder)
            .args(["plugin", "dev", "--json", "--url", hub.url()])
            .args(arguments)
            .env("XDG_CACHE_HOME", repository().join("target/cache"))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let (sender, lines) = mpsc::channel();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = sender.send(line);
            }
        });
        Self { child, lines }
    }

    fn next(&self) -> Value {
        let line = self.lines.recv_timeout(WATCHDOG);
        serde_json::from_str(&line.expect("dev says something")).unwrap()
    }

    /// Ctrl-C; it must end cleanly.
    fn stop(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-INT", &pid]).status().unwrap();
        assert!(sent.success());
        assert_eq!(self.child.wait().unwrap().code(), Some(0));
    }
}

/// The versions of `copied` that the hub has.
async fn versions(hub: &Hub) -> Vec<String> {
    let listed = hub.get("/v1/plugins").await.expect(200);
    let all = listed["plugins"].as_array().unwrap().iter();
    let mine = all.filter(|plugin| plugin["name"] == "copied");
    mine.map(|plugin| plugin["version"].as_str().unwrap().to_owned())
        .collect()
}

#[tokio::test]
async fn dev_beside_a_route_shows_what_differs_on_live_events_and_leaves_nothing() {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({})).await;
    }
    let folder = TempDir::new().unwrap();
    copying(folder.path(), &guest("guest-orders-columns"));
    let at = folder.path().to_str().unwrap();
    assert_eq!(in_folder(folder.path(), &["plugin", "build"]).code, 0);
    assert_eq!(hub.sandbar(&["plugin", "push", at]).code, 0);
    let route = json!({"from": "in", "to": ["out"], "steps": [{"plugin": "copied@1.2.3"}]});
    hub.route("r", route).await;
    let order = |id: &str| {
        let order = json!({"number": 1, "customer": {"name": "Ada", "city": "Husum"}, "lines": [{"article": "rope", "pieces": 2, "cents": 1850}]});
        event(id, "order", &order)
    };
    let events = json!([order("1")]).to_string();
    fs::write(folder.path().join("events.json"), events).unwrap();

    let dev = Dev::start(folder.path(), &hub, &["--route", "r"]);
    let first = dev.next();
    assert_eq!(first["pushed"], "copied@1.2.3-dev.1", "{first}");
    assert_eq!(
        first["results"][0]["outputs"][0]["target"], "out",
        "the route's own targets: {first}"
    );
    hub.accepted("in", &[order("a")]).await;
    let same = &dev.next()["shadow"];
    assert_eq!(
        (&same["plugin"], &same["same"], &same["differences"]),
        (&json!("copied@1.2.3-dev.1"), &json!(1), &json!([])),
        "{same}"
    );

    // The mapper passes events unchanged.
    fs::write(folder.path().join("src/plugin.wasm"), guest("guest-mapper")).unwrap();
    let second = dev.next();
    assert_eq!(second["pushed"], "copied@1.2.3-dev.2", "{second}");
    assert_eq!(versions(&hub).await, ["1.2.3", "1.2.3-dev.2"]);
    hub.accepted("in", &[order("b")]).await;
    let news = dev.next();
    let news = &news["shadow"];
    assert_eq!(
        (&news["compared"], &news["differing"], &news["forgotten"]),
        (&json!(1), &json!(1), &json!(0)),
        "{news}"
    );
    let difference = &news["differences"][0];
    assert_eq!(difference["id"], "b");
    let changes = difference["changes"].as_array().unwrap();
    assert!(
        changes
            .iter()
            .any(|change| change["pointer"] == "/outputs/0/event/type"),
        "{news}"
    );
    hub.accepted("in", &[order("c")]).await;
    let news = dev.next();
    assert_eq!(
        news["shadow"]["differences"].as_array().map(Vec::len),
        Some(1),
        "only what is new: {news}"
    );
    assert_eq!(news["shadow"]["differences"][0]["id"], "c");

    dev.stop();
    assert_eq!(hub.get("/v1/routes/r/shadow").await.status, 404);
    assert_eq!(versions(&hub).await, ["1.2.3"]);
    hub.settled("r").await;
    assert_eq!(hub.stored("out").await, 3, "what the route itself gave out");
}

#[tokio::test]
async fn dev_spoils_no_shadow_of_somebody_else() {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    let _ = hub
        .upload("mapper", "2", guest("guest-mapper"))
        .await
        .expect(201);
    let route = json!({"from": "in", "to": ["out"], "steps": [{"plugin": "mapper@1"}]});
    hub.route("r", route).await;
    let shadow = json!({"plugin": "mapper@2"});
    let _ = hub.put("/v1/routes/r/shadow", shadow).await.expect(201);
    let folder = TempDir::new().unwrap();
    copying(folder.path(), &guest("guest-mapper"));
    let at = folder.path().to_str().unwrap();
    for (arguments, code, told) in [
        (&["--route", "r"][..], 1, "sandbar shadow stop r"),
        (&["--route", "nowhere"], 4, "nowhere"),
        (&["--route", "r", "--step", "3"], 2, "1 steps"),
        (&["--route", "r", "--push"], 2, "--push"),
    ] {
        let all = [&["plugin", "dev", at], arguments].concat();
        let refused = hub.sandbar(&all);
        assert_eq!(refused.code, code, "{refused:?}");
        assert!(refused.stderr.contains(told), "{refused:?}");
    }
    let kept = hub.get("/v1/routes/r/shadow").await.expect(200);
    assert_eq!(kept["plugin"], "mapper@2");
}
