//! Data folders that are damaged or taken, ports and addresses that are not to be had.

use std::{
    fs,
    path::{Path, PathBuf},
};

use sandbar_tests::{Hub, Options, Publish, Ran, event, run_to_failure};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A stopped hub's folder with the topics `a` and `b`, 300 events each, one publish per event.
async fn folder() -> (TempDir, PathBuf) {
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    let mut hub = Hub::start_on(&data, Options::default()).await;
    for topic in ["a", "b"] {
        hub.topic(topic, json!({})).await;
        for n in 0..300 {
            hub.accepted(
                topic,
                &[event(&n.to_string(), json!({"text": "x".repeat(200)}))],
            )
            .await;
        }
    }
    assert!(hub.stop().success());
    (temporary, data)
}

/// The largest file of the log that belongs to a topic.
fn segment(data: &Path, topic: &str) -> PathBuf {
    let mut files = Vec::new();
    let mut folders = vec![data.join("log")];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap().map(Result::unwrap) {
            let path = entry.path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.push((entry.metadata().unwrap().len(), path));
            }
        }
    }
    let of_topic = |path: &Path| {
        let inside = path.strip_prefix(data).unwrap();
        inside.components().any(|part| {
            let name = part.as_os_str().to_string_lossy().into_owned();
            name == topic
                || name.starts_with(&format!("{topic}-"))
                || name.starts_with(&format!("{topic}."))
        })
    };
    let found = files.iter().filter(|(_, path)| of_topic(path)).max();
    found
        .unwrap_or_else(|| panic!("no file of topic {topic} among {files:?}"))
        .1
        .clone()
}

/// Turns one bit in the middle of a file.
fn flip(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(path, bytes).unwrap();
}

/// `a` takes nothing any more; `b` has its 300 events and takes another.
async fn assert_only_b_goes_on(hub: &Hub) {
    let refused = hub
        .publish("a", Publish::structured(&event("new", json!(1))))
        .await;
    assert_eq!(
        (refused.status, refused.code().as_str()),
        (503, "log-stopped"),
        "{refused:?}"
    );
    assert_eq!(hub.read_all("b", 0).await.len(), 300);
    hub.accepted("b", &[event("new", json!(1))]).await;
}

#[tokio::test]
async fn damage_stops_its_partition_and_no_other() {
    let (_temporary, data) = folder().await;
    let damaged = segment(&data, "a");
    flip(&damaged);
    let before = fs::read(&damaged).unwrap();
    let verified = Ran::new(&["log", "verify", "--data", data.to_str().unwrap()], "");
    assert_ne!(verified.code, 0, "verify finds it: {verified:?}");
    assert_eq!(
        fs::read(&damaged).unwrap(),
        before,
        "verify changes nothing"
    );

    let mut hub = Hub::start_on(&data, Options::default()).await;
    let document = hub.get("/v1/topics/a").await.expect(200);
    // Where reading comes upon it, if not before.
    let read = hub.get("/v1/topics/a/events?limit=10000").await;
    if read.status == 200 {
        let next = read.header("sandbar-next-offset").unwrap();
        assert!(
            next.parse::<u64>().unwrap() < 300,
            "what is damaged is not served: {document}"
        );
        let at = hub.get(&format!("/v1/topics/a/events?offset={next}")).await;
        assert_eq!((at.status, at.code().as_str()), (500, "damaged"), "{at:?}");
    } else {
        assert_eq!(
            (read.status, read.code().as_str()),
            (500, "damaged"),
            "{read:?}"
        );
    }
    let document = hub.get("/v1/topics/a").await.expect(200);
    let status = document["state"]["partitions"][0]["status"]
        .as_str()
        .unwrap()
        .to_owned();
    assert!(status.contains("damaged"), "{document}");
    assert_only_b_goes_on(&hub).await;
    assert!(hub.stop().success());
    assert_eq!(
        fs::read(&damaged).unwrap(),
        before,
        "the hub changes nothing of what is damaged"
    );

    let repaired = Ran::new(
        &["log", "repair", "--json", "--data", data.to_str().unwrap()],
        "",
    );
    assert_eq!(repaired.code, 0, "{repaired:?}");
    let verified = Ran::new(&["log", "verify", "--data", data.to_str().unwrap()], "");
    assert_eq!(verified.code, 0, "{verified:?}");
    let hub = Hub::start_on(&data, Options::default()).await;
    hub.accepted("a", &[event("after", json!(1))]).await;
    let left = hub.read_all("a", 0).await;
    assert!(
        left.len() > 250,
        "one batch is lost, not all: {}; {}",
        left.len(),
        repaired.stdout
    );
    assert_eq!(left.last().unwrap()["id"], "after");
    assert!(
        status.starts_with("damaged: "),
        "the word for programs comes first: {status}"
    );
}

#[tokio::test]
async fn a_torn_last_write_is_cut_off() {
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    let mut hub = Hub::start_on(&data, Options::default()).await;
    hub.topic("a", json!({})).await;
    let numbered = |n: usize| event(&n.to_string(), json!({"text": "x".repeat(200)}));
    for n in 0..50 {
        hub.accepted("a", &[numbered(n)]).await;
    }
    for stored in 50..54 {
        hub.kill();
        // The beginning of a write that was never answered: of a frame, and of what a file system may
        // leave in its place.
        let last = segment(&data, "a");
        let mut bytes = fs::read(&last).unwrap();
        let torn = match stored % 2 {
            0 => bytes[bytes.len() - 200..bytes.len() - 50].to_vec(),
            _ => vec![0; 150],
        };
        bytes.extend(torn);
        fs::write(&last, bytes).unwrap();
        hub.restart().await;
        assert_eq!(
            hub.read_all("a", 0).await.len(),
            stored,
            "only the torn one is gone"
        );
        let next = hub.accepted("a", &[numbered(stored)]).await;
        assert_eq!(
            next[0],
            json!({"id": stored.to_string(), "partition": 0, "offset": stored, "duplicate": false})
        );
    }
}

#[tokio::test]
async fn a_segment_that_lost_its_end_is_damage_and_no_torn_write() {
    let (_temporary, data) = folder().await;
    let last = segment(&data, "a");
    let bytes = fs::read(&last).unwrap();
    fs::write(&last, &bytes[..bytes.len() - 5]).unwrap();
    // The hub had ended in order, so all of it had been there.
    let hub = Hub::start_on(&data, Options::default()).await;
    assert_only_b_goes_on(&hub).await;
}

#[tokio::test]
async fn a_damaged_plugin_is_named_and_the_folder_stays_as_it_is() {
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    let mut hub = Hub::start_on(&data, Options::default()).await;
    hub.mapper().await;
    assert!(hub.stop().success());
    let plugins: Vec<PathBuf> = fs::read_dir(data.join("plugins"))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    let wasm = plugins
        .iter()
        .find(|path| path.extension().is_some_and(|end| end == "wasm"))
        .expect("the plugin's bytes are kept");
    flip(wasm);
    let written = run_to_failure(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(
        written.contains("mapper@1") && written.contains("sandbar:"),
        "{written}"
    );
    assert!(!written.contains("panicked"), "{written}");
}

#[tokio::test]
async fn a_damaged_meta_folder_is_told() {
    let (_temporary, data) = folder().await;
    let meta = data.join("meta");
    let mut any = false;
    for entry in fs::read_dir(&meta).unwrap().map(Result::unwrap) {
        if entry.metadata().unwrap().is_file() {
            let length = entry.metadata().unwrap().len();
            fs::write(entry.path(), vec![0xa5; usize::try_from(length).unwrap()]).unwrap();
            any = true;
        }
    }
    assert!(any, "there is something in {}", meta.display());
    let written = run_to_failure(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(
        written.contains("meta") && !written.contains("panicked at"),
        "{written}"
    );
}

#[tokio::test]
async fn a_folder_serves_one_hub() {
    let hub = Hub::start().await;
    let data = hub.folder().to_str().unwrap().to_owned();
    let written = run_to_failure(&["serve", "--listen", "127.0.0.1:0", "--data", &data]);
    assert!(
        written.contains("in use by another hub") && written.contains(&data),
        "{written}"
    );
    let verified = Ran::new(&["log", "verify", "--data", &data], "");
    assert_eq!(verified.code, 1, "{verified:?}");
    assert!(verified.stderr.contains("in use"), "{verified:?}");
    hub.topic("t", json!({})).await;
    assert_eq!(
        hub.get("/readyz").await.status,
        200,
        "the first is not disturbed"
    );
}

#[tokio::test]
async fn a_port_in_use_is_named_and_no_folder_is_made() {
    let hub = Hub::start().await;
    let address = hub.url().trim_start_matches("http://").to_owned();
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    let written = run_to_failure(&[
        "serve",
        "--listen",
        &address,
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(
        written.contains(&address) && written.contains("in use"),
        "{written}"
    );
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn an_open_address_needs_consent() {
    let temporary = TempDir::new().unwrap();
    let data = temporary.path().join("data");
    for address in ["0.0.0.0:0", "[::]:0"] {
        let written = run_to_failure(&[
            "serve",
            "--listen",
            address,
            "--data",
            data.to_str().unwrap(),
        ]);
        assert!(written.contains("--allow-open"), "{written}");
    }
    assert!(!data.exists(), "nothing was made");
}

#[test]
fn a_folder_that_cannot_be_made_is_named() {
    let temporary = TempDir::new().unwrap();
    let file = temporary.path().join("file");
    fs::write(&file, "no folder").unwrap();
    let data = file.join("data");
    let written = run_to_failure(&[
        "serve",
        "--listen",
        "127.0.0.1:0",
        "--data",
        data.to_str().unwrap(),
    ]);
    assert!(written.contains(data.to_str().unwrap()), "{written}");
    let missing = Ran::new(&["log", "verify", "--data", data.to_str().unwrap()], "");
    assert_eq!(missing.code, 1, "{missing:?}");
}

#[tokio::test]
async fn allowed_it_listens_on_an_open_address_and_warns() {
    let mut hub = Hub::start_with(Options {
        arguments: vec!["--allow-open".into()],
    })
    .await;
    let topics: Value = hub.get("/v1/topics").await.expect(200);
    assert!(topics["topics"].is_array());
    assert!(hub.stop().success());
}
