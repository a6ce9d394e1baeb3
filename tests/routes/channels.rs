//! Channels: which version of a plugin is in use, and what moving it does.

use sandbar_tests::{Hub, assert_problem, event, guest, variant};
use serde_json::{Value, json};

use super::step;

/// A hub with `mapper` 1 and 2, the channel `stable` at 1, and the route `r` that runs with it.
async fn hub() -> Hub {
    let hub = Hub::start().await;
    for topic in ["in", "out"] {
        hub.topic(topic, json!({})).await;
    }
    hub.mapper().await;
    let second = variant("guest-mapper", "second");
    let _ = hub.upload("mapper", "2", second).await.expect(201);
    let made = activate(&hub, "1", "first").await.expect(201);
    assert_eq!(made["version"], "1");
    hub.route("r", json!({"from": "in", "steps": [{"plugin": "mapper@stable", "config": {"stamp": "s"}}], "to": ["out"]}))
        .await;
    hub
}

const STABLE: &str = "/v1/plugins/mapper/channels/stable";

async fn activate(hub: &Hub, version: &str, reason: &str) -> sandbar_tests::Answer {
    hub.put(STABLE, json!({"version": version, "reason": reason}))
        .await
}

/// The digest of the plugin that made an event of `out`.
async fn made_by(hub: &Hub, offset: u64) -> Value {
    let lineage = hub
        .get(&format!("/v1/events/out/0/{offset}/lineage"))
        .await
        .expect(200);
    lineage["origin"]["made_by"].clone()
}

async fn digest(hub: &Hub, version: &str) -> Value {
    let path = format!("/v1/plugins/mapper/versions/{version}");
    hub.get(&path).await.expect(200)["digest"].clone()
}

#[tokio::test]
async fn a_moved_channel_moves_its_routes_and_remembers_why() {
    let mut hub = hub().await;
    hub.accepted("in", &[event("a", json!({}))]).await;
    hub.read_until("out", 0, 1).await;
    let moved = activate(&hub, "2", "faster").await.expect(200);
    assert_eq!(moved["version"], "2");
    hub.route_until("r", "runs the old version", |status| {
        status["active"] == json!(["mapper@2"])
    })
    .await;
    hub.accepted("in", &[event("b", json!({}))]).await;
    hub.read_until("out", 0, 2).await;
    assert_eq!(made_by(&hub, 0).await, digest(&hub, "1").await);
    assert_eq!(made_by(&hub, 1).await, digest(&hub, "2").await);
    // The route's document says what was asked for.
    let route = hub.get("/v1/routes/r").await.expect(200);
    assert_eq!(route["steps"][0]["plugin"], "mapper@stable");

    let back = hub
        .post(&format!("{STABLE}/rollback"), json!({"reason": "slower"}))
        .await
        .expect(200);
    assert_eq!(back["version"], "1");
    hub.kill();
    hub.restart().await;
    let channel = hub.get(STABLE).await.expect(200);
    let history: Vec<_> = channel["history"].as_array().unwrap().iter().collect();
    let told: Vec<_> = (history.iter())
        .map(|one| (&one["from"], &one["version"], &one["reason"], &one["by"]))
        .map(|(from, version, reason, by)| json!([from, version, reason, by]))
        .collect();
    assert_eq!(
        json!(told),
        json!([
            [null, "1", "first", "anonymous"],
            ["1", "2", "faster", "anonymous"],
            ["2", "1", "slower", "anonymous"]
        ])
    );
    assert!(
        history
            .iter()
            .all(|one| one["at"].as_str().unwrap().ends_with('Z'))
    );
    hub.accepted("in", &[event("c", json!({}))]).await;
    hub.read_until("out", 0, 3).await;
    assert_eq!(made_by(&hub, 2).await, digest(&hub, "1").await);
}

#[tokio::test]
async fn a_version_that_a_route_cannot_run_with_is_not_activated() {
    let hub = hub().await;
    let _ = hub
        .upload("mapper", "3", guest("guest-capabilities"))
        .await
        .expect(201);
    let problem = assert_problem(&activate(&hub, "3", "").await, 422, "grant-missing");
    let detail = problem["detail"].as_str().unwrap();
    assert!(
        detail.contains("route r") && detail.contains("mapper@3"),
        "{detail}"
    );
    let channel = hub.get(STABLE).await.expect(200);
    assert_eq!(
        (
            &channel["version"],
            channel["history"].as_array().unwrap().len()
        ),
        (&json!("1"), 1)
    );
    assert_eq!(hub.route_status("r").await["active"], json!(["mapper@1"]));
}

#[tokio::test]
async fn what_is_wrong_with_a_channel_is_said() {
    let hub = hub().await;
    assert_problem(&activate(&hub, "9", "").await, 404, "unknown-plugin");
    let taken = hub
        .put("/v1/plugins/mapper/channels/2", json!({"version": "1"}))
        .await;
    assert_problem(&taken, 409, "name-taken");
    let uploaded = hub.upload("mapper", "stable", guest("guest-mapper")).await;
    assert_problem(&uploaded, 409, "name-taken");
    let rolled = hub.post(&format!("{STABLE}/rollback"), json!({})).await;
    assert_problem(&rolled, 409, "nothing-to-roll-back");
    let unknown = hub.get("/v1/plugins/mapper/channels/stabel").await;
    let problem = assert_problem(&unknown, 404, "unknown-channel");
    assert!(
        problem["detail"].as_str().unwrap().contains("stable"),
        "{problem}"
    );
    assert_problem(&hub.delete(STABLE).await, 409, "channel-in-use");
    let version = hub.delete("/v1/plugins/mapper/versions/1").await;
    let problem = assert_problem(&version, 409, "plugin-in-use");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("channel mapper@stable"),
        "{problem}"
    );
    assert_problem(
        &hub.put(STABLE, json!({"version": "1", "why": "x"})).await,
        422,
        "invalid-document",
    );
    let _ = hub.delete("/v1/routes/r").await;
    assert_eq!(hub.delete(STABLE).await.status, 204);
}

#[tokio::test]
async fn the_command_line_moves_channels() {
    let hub = hub().await;
    let moved = hub.sandbar(&[
        "channel",
        "activate",
        "mapper@stable",
        "2",
        "--reason",
        "tried",
    ]);
    assert!(moved.code == 0, "{moved:?}");
    assert!(
        moved.stdout.contains("mapper@stable is version 2"),
        "{moved:?}"
    );
    let back = hub.sandbar(&["--json", "channel", "rollback", "mapper@stable"]);
    assert_eq!(back.json()["version"], "1");
    let listed = hub.sandbar(&["channel", "list", "mapper"]);
    assert!(listed.stdout.contains("mapper@stable"), "{listed:?}");
}

#[tokio::test]
async fn a_route_is_rolled_back_and_tells_who_changed_it_and_why() {
    let mut hub = hub().await;
    let document = |version: &str| {
        let mut step = step("first");
        step["plugin"] = json!(format!("mapper@{version}"));
        json!({"from": "in", "steps": [step], "to": ["out"]})
    };
    let path = "/v1/routes/pinned";
    let nothing = hub.post(&format!("{path}/rollback"), json!({})).await;
    assert_problem(&nothing, 404, "unknown-route");
    let _ = hub
        .put(&format!("{path}?reason=first"), document("1"))
        .await
        .expect(201);
    let nothing = hub.post(&format!("{path}/rollback"), json!({})).await;
    assert_problem(&nothing, 409, "nothing-to-roll-back");
    let _ = hub
        .put(&format!("{path}?reason=second"), document("2"))
        .await
        .expect(200);
    // What does not change what it runs is no change.
    let _ = hub
        .put(&format!("{path}?reason=same"), document("2"))
        .await
        .expect(200);
    let ran = hub.sandbar(&["route", "rollback", "pinned", "--reason", "2 is wrong"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("mapper@1 2 is wrong"), "{ran:?}");
    hub.stop();
    hub.restart().await;
    let route = hub.get(path).await.expect(200);
    assert_eq!(route["steps"][0]["plugin"], "mapper@1");
    let history = route["history"].as_array().unwrap();
    let told: Vec<_> = history
        .iter()
        .map(|change| {
            let plugin = &change["document"]["steps"][0]["plugin"];
            assert!(
                change["at"].is_string() && change["by"].is_string(),
                "{change}"
            );
            (plugin.as_str().unwrap(), change["reason"].as_str().unwrap())
        })
        .collect();
    let wanted = [
        ("mapper@1", "first"),
        ("mapper@2", "second"),
        ("mapper@1", "2 is wrong"),
    ];
    assert_eq!(told, wanted);
    hub.route_until("pinned", "runs the new version", |status| {
        status["active"] == json!(["mapper@1"])
    })
    .await;
}
