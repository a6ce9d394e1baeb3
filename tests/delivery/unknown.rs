//! A redrive of what there is not: told, instead of a job that does nothing.

use sandbar_tests::{assert_problem, json_event};
use serde_json::{Value, json};

use super::jobs::{hub, route};

const REDRIVE: &str = "/v1/dead-letters/redrive";

/// Two that become dead letters.
fn rejected() -> Vec<Value> {
    let event = |n: u64| json_event(&n.to_string(), "key", json!({"n": n, "do": "reject"}));
    (0..2).map(event).collect()
}

#[tokio::test]
async fn what_is_named_and_is_not_there_is_told() {
    let hub = hub(1, route("old", json!({}))).await;
    hub.accepted("in", &rejected()).await;
    let letters = hub.dead_letters_until("", 2).await;
    let id = letters[0]["id"].as_str().unwrap();
    for (select, code) in [
        (json!({"ids": [id, "nope"]}), "unknown-dead-letter"),
        (json!({"subscription": "nope"}), "unknown-subscription"),
        (json!({"route": "nope"}), "unknown-route"),
    ] {
        for dry_run in [true, false] {
            let request = json!({"select": select, "dry_run": dry_run});
            assert_problem(&hub.post(REDRIVE, request).await, 404, code);
        }
    }
    let ran = hub.sandbar(&["dead-letter", "redrive", "nope"]);
    assert_eq!(ran.code, 4, "{ran:?}");
    assert!(ran.stderr.contains("\"nope\""), "{ran:?}");
    assert_eq!(hub.get("/v1/jobs").await.expect(200)["jobs"], json!([]));
    // What is there and fits nothing.
    let ran = hub.sandbar(&["dead-letter", "redrive", "--route", "r", "--cause", "trap"]);
    assert_eq!(ran.code, 0, "{ran:?}");
    assert!(ran.stdout.contains("No dead letter fits"), "{ran:?}");
    // A route that is gone has left letters, and these say so.
    let _ = hub.delete("/v1/routes/r").await.expect(204);
    let request = json!({"select": {"route": "r"}, "dry_run": true});
    let plan = hub.post(REDRIVE, request).await.expect(200);
    assert_eq!(plan["left_out"], json!({"route-gone": 2}), "{plan}");
}
