//! A full disk: publishes are refused with the reason, reads go on, and when there is room again so
//! do publishes. Nothing acknowledged is lost.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use sandbar_tests::{Hub, Options, Publish, assert_problem, event};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A file system of 12 MiB in memory, mounted here.
struct Small {
    folder: PathBuf,
    _temporary: TempDir,
}

impl Small {
    /// None where this process may not mount.
    fn mount() -> Option<Self> {
        let temporary = TempDir::new().unwrap();
        let folder = temporary.path().join("disk");
        fs::create_dir(&folder).unwrap();
        let mount = ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs"];
        let mounted = [&[] as &[&str], &["sudo", "-n"]].into_iter().any(|before| {
            let words = [before, &mount].concat();
            let run = Command::new(words[0])
                .args(&words[1..])
                .arg(&folder)
                .output();
            run.is_ok_and(|run| run.status.success())
        });
        mounted.then(|| Self {
            folder,
            _temporary: temporary,
        })
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        for before in [&[] as &[&str], &["sudo", "-n"]] {
            let words = [before, &["umount", "-l"]].concat();
            let run = Command::new(words[0])
                .args(&words[1..])
                .arg(&self.folder)
                .output();
            if run.is_ok_and(|run| run.status.success()) {
                return;
            }
        }
    }
}

/// Takes all the room there is.
fn fill(path: &Path) {
    use std::io::Write;
    let mut file = fs::File::options()
        .create(true)
        .append(true)
        .open(path)
        .unwrap();
    for size in [1 << 20, 1 << 12, 1] {
        while file.write_all(&vec![0; size]).is_ok() {}
    }
}

/// Runs a test of this module as root of a user namespace, where it may mount.
fn in_a_namespace(test: &str) {
    const MARK: &str = "SANDBAR_TEST_IN_NAMESPACE";
    let needs = "this test mounts a small tmpfs: run it as root, with passwordless sudo, or where \
                 `unshare -Urm` works";
    assert!(std::env::var_os(MARK).is_none(), "{needs}");
    let run = Command::new("unshare")
        .arg("-Urm")
        .arg(std::env::current_exe().unwrap())
        .args(["--exact", test, "--nocapture"])
        .env(MARK, "1")
        .output()
        .unwrap_or_else(|error| panic!("unshare: {error}; {needs}"));
    let written =
        String::from_utf8_lossy(&run.stdout).into_owned() + &String::from_utf8_lossy(&run.stderr);
    assert!(
        run.status.success() && written.contains("1 passed"),
        "{written}\n{needs}"
    );
}

#[tokio::test]
async fn a_full_disk_refuses_publishes_and_recovers() {
    let Some(disk) = Small::mount() else {
        return in_a_namespace("full_disk::a_full_disk_refuses_publishes_and_recovers");
    };
    let arguments = vec!["--segment-bytes".to_owned(), "1048576".to_owned()];
    let mut hub = Hub::start_on(&disk.folder.join("data"), Options { arguments }).await;
    hub.topic("in", json!({"partitions": 2})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out"]}),
    )
    .await;
    let text = "x".repeat(4000);
    let numbered = |n: u64| event(&n.to_string(), json!({"n": n, "text": text}));
    let mut acknowledged: Vec<(u64, Value)> = Vec::new();
    let mut next = 0;
    for _ in 0..50 {
        acknowledged.push((next, hub.accepted("in", &[numbered(next)]).await.remove(0)));
        next += 1;
    }
    hub.settled("r").await;

    let filler = disk.folder.join("filler");
    fill(&filler);
    // What is set aside for the files that are open may take a few more.
    let refused = loop {
        let answer = hub
            .publish("in", Publish::structured(&numbered(next)))
            .await;
        if answer.status != 200 {
            break answer;
        }
        acknowledged.push((next, answer.json()["accepted"][0].clone()));
        next += 1;
        assert!(next < 5000, "the disk does not become full");
    };
    let problem = assert_problem(&refused, 507, "storage-full");
    assert!(problem["detail"].as_str().unwrap().len() > 10, "{problem}");
    for _ in 0..20 {
        let answer = hub
            .publish("in", Publish::structured(&numbered(next)))
            .await;
        assert_problem(&answer, 507, "storage-full");
    }
    // Reads go on, and see nothing of what was refused.
    let read = all(&hub).await;
    check(&read, &acknowledged);
    assert_eq!(hub.get("/v1/status").await.status, 200);
    // Definitions need the disk as well; a refusal leaves nothing behind.
    let wider = json!({"max_event_bytes": 2_000_000});
    let refused = hub.put("/v1/topics/out", wider.clone()).await;
    assert_problem(&refused, 507, "storage-full");

    fs::remove_file(&filler).unwrap();
    let changed = hub.put("/v1/topics/out", wider.clone()).await;
    assert_eq!(changed.status, 200, "{changed:?}");
    for _ in 0..20 {
        acknowledged.push((next, hub.accepted("in", &[numbered(next)]).await.remove(0)));
        next += 1;
    }
    hub.settled("r").await;
    let read = all(&hub).await;
    check(&read, &acknowledged);
    let outputs = hub.read_all("out", 0).await;
    let mut numbers: Vec<u64> = outputs
        .iter()
        .map(|one| one["data"]["n"].as_u64().unwrap())
        .collect();
    numbers.sort_unstable();
    assert_eq!(
        numbers,
        (0..next).collect::<Vec<_>>(),
        "each came out once, also those that met the full disk"
    );

    // Killed while the disk is full, it comes up again and reads.
    fill(&filler);
    hub.kill();
    if let Err(reason) = hub.try_restart().await {
        assert!(
            reason.contains("No space left") || reason.contains("full"),
            "{reason}"
        );
        fs::remove_file(&filler).unwrap();
        hub.restart().await;
    }
    check(&all(&hub).await, &acknowledged);
    let _ = fs::remove_file(&filler);
    let more = hub.accepted("in", &[numbered(next)]).await.remove(0);
    acknowledged.push((next, more));
    check(&all(&hub).await, &acknowledged);
}

async fn all(hub: &Hub) -> Vec<Value> {
    let mut events = hub.read_all("in", 0).await;
    events.extend(hub.read_all("in", 1).await);
    events
}

fn check(stored: &[Value], acknowledged: &[(u64, Value)]) {
    assert_eq!(
        stored.len(),
        acknowledged.len(),
        "what was refused is not stored, what was acknowledged is"
    );
    for (n, answer) in acknowledged {
        let found: Vec<_> = stored.iter().filter(|one| one["data"]["n"] == *n).collect();
        assert_eq!(found.len(), 1, "event {n}");
        assert_eq!(found[0]["sandbarpartition"], answer["partition"]);
        assert_eq!(found[0]["sandbaroffset"], answer["offset"].to_string());
    }
}
