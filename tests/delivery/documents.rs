//! What a subscription's document may say, and what holds it and its topics together.

use sandbar_tests::{Hub, Publish, Ran, assert_problem, event};
use serde_json::{Value, json};

use crate::{consume, ids, publish, pull, status, subscribe};

#[tokio::test]
async fn a_document_is_kept_listed_changed_and_deleted() {
    let mut hub = Hub::start().await;
    hub.topic("orders", json!({})).await;
    let put = hub
        .put("/v1/subscriptions/s", json!({"topics": ["orders"]}))
        .await
        .expect(201);
    assert_eq!(put["name"], "s");
    assert_eq!(put["start"], "earliest");
    assert_eq!(put["lease_seconds"], 30);
    assert_eq!(put["on_failure"], "park");
    assert_eq!(put["status"]["state"], "running");
    let changed = json!({"topics": ["orders"], "lease_seconds": 5, "keep": true});
    let put = hub.put("/v1/subscriptions/s", changed).await.expect(200);
    assert_eq!(
        (&put["lease_seconds"], &put["keep"]),
        (&json!(5), &json!(true))
    );
    hub.stop();
    hub.restart().await;
    let list = hub.get("/v1/subscriptions").await.expect(200);
    assert_eq!(list["subscriptions"][0]["name"], "s");
    assert_eq!(list["subscriptions"][0]["lease_seconds"], 5);
    assert_eq!(hub.delete("/v1/subscriptions/s").await.status, 204);
    let gone = hub.get("/v1/subscriptions/s").await;
    assert_problem(&gone, 404, "unknown-subscription");
    let gone = hub.get("/v1/subscriptions/s/events").await;
    assert_problem(&gone, 404, "unknown-subscription");
}

#[tokio::test]
async fn what_is_wrong_is_named() {
    let hub = Hub::start().await;
    hub.topic("orders", json!({"partitions": 2})).await;
    for (document, place) in [
        (json!({"topics": []}), "/topics"),
        (json!({"topics": ["ordes"]}), "did you mean \"orders\""),
        (json!({"topics": ["orders", "orders"]}), "/topics/1"),
        (
            json!({"topics": ["orders"], "lease_seconds": 0}),
            "/lease_seconds",
        ),
        (
            json!({"topics": ["orders"], "leese_seconds": 1}),
            "leese_seconds",
        ),
        (
            json!({"topics": ["orders"], "max_waiting": 0}),
            "/max_waiting",
        ),
        (
            json!({"topics": ["orders"], "retry": {"initial_ms": 10, "max_ms": 5}}),
            "/retry/initial_ms",
        ),
        (
            json!({"topics": ["orders"], "retry": {"max_attempts": 0}}),
            "/retry/max_attempts",
        ),
        (
            json!({"topics": ["orders"], "start": {"time": "yesterday"}}),
            "/start/time",
        ),
        (
            json!({"topics": ["orders"], "start": {"offsets": {"orders/2": 1}}}),
            "/start/offsets/orders~12",
        ),
        (
            json!({"topics": ["orders"], "filters": [{"exakt": {"type": "a"}}]}),
            "exakt",
        ),
        (
            json!({"topics": ["orders"], "filters": [{"sql": "type = 'a"}]}),
            "/filters/0/sql",
        ),
        (
            json!({"topics": ["orders"], "filters": [{"exact": {"type": "a"}}, {"all": [{"sql": "amount >"}]}]}),
            "/filters/1/all/0/sql",
        ),
    ] {
        let refused = hub.put("/v1/subscriptions/s", document.clone()).await;
        let problem = assert_problem(&refused, 422, "invalid-document");
        let text = problem.to_string().replace("\\\"", "\"");
        assert!(text.contains(place), "{document}: {text}");
    }
    let reserved = hub
        .put("/v1/subscriptions/sandbar.x", json!({"topics": ["orders"]}))
        .await;
    assert_problem(&reserved, 403, "reserved-name");
    assert_eq!(hub.get("/v1/subscriptions/s").await.status, 404);
}

#[tokio::test]
async fn a_topic_that_is_subscribed_cannot_be_deleted() {
    let hub = Hub::start().await;
    hub.topic("orders", json!({})).await;
    hub.topic("parcels", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["orders", "parcels"]})).await;
    let refused = hub.delete("/v1/topics/orders").await;
    let problem = assert_problem(&refused, 409, "topic-in-use");
    assert!(
        problem["detail"]
            .as_str()
            .unwrap()
            .contains("subscription s"),
        "{problem}"
    );
    let _ = hub
        .put("/v1/subscriptions/s", json!({"topics": ["parcels"]}))
        .await
        .expect(200);
    assert_eq!(hub.delete("/v1/topics/orders").await.status, 204);
    assert_eq!(hub.delete("/v1/subscriptions/s").await.status, 204);
    assert_eq!(hub.delete("/v1/topics/parcels").await.status, 204);
}

#[tokio::test]
async fn topics_come_and_go_and_each_begins_where_the_document_says() {
    let hub = Hub::start().await;
    hub.topic("a", json!({})).await;
    hub.topic("b", json!({})).await;
    publish(&hub, "a", 0, &["k", "l"]).await;
    publish(&hub, "b", 10, &["k", "l"]).await;
    subscribe(&hub, "s", json!({"topics": ["a"]})).await;
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["0", "1"]);
    // A topic that is added begins at `start`; the other stays where it is.
    let both = json!({"topics": ["a", "b"], "start": {"offsets": {"b/0": 1}}});
    let _ = hub.put("/v1/subscriptions/s", both).await.expect(200);
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["11"]);
    assert_eq!(status(&hub, "s").await["lag"], 0);
    let _ = hub
        .put("/v1/subscriptions/s", json!({"topics": ["b"]}))
        .await
        .expect(200);
    publish(&hub, "a", 2, &["k"]).await;
    publish(&hub, "b", 12, &["k"]).await;
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["12"]);
    // Taken out and added again: it begins anew.
    let both = json!({"topics": ["a", "b"]});
    let _ = hub.put("/v1/subscriptions/s", both).await.expect(200);
    let again = consume(&hub, "s", 3).await;
    assert_eq!(ids(&again), ["0", "1", "2"]);
}

#[tokio::test]
async fn it_begins_at_the_end_or_at_a_time() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    publish(&hub, "t", 0, &["k"]).await;
    subscribe(&hub, "latest", json!({"topics": ["t"], "start": "latest"})).await;
    let later = json!({"topics": ["t"], "start": {"time": "2999-01-01T00:00:00Z"}});
    subscribe(&hub, "later", later).await;
    let sooner = json!({"topics": ["t"], "start": {"time": "2001-01-01T00:00:00Z"}});
    subscribe(&hub, "sooner", sooner).await;
    publish(&hub, "t", 1, &["k"]).await;
    assert_eq!(ids(&consume(&hub, "latest", 1).await), ["1"]);
    assert_eq!(ids(&consume(&hub, "later", 1).await), ["1"]);
    assert_eq!(ids(&consume(&hub, "sooner", 2).await).len(), 2);
}

#[tokio::test]
async fn only_what_the_filters_take_is_delivered() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let typed = |id: &str, kind: &str, amount: i64| {
        let mut event = event(id, json!({}));
        event["type"] = json!(kind);
        event["amount"] = json!(amount);
        event
    };
    let filters = json!([{"prefix": {"type": "order."}}, {"sql": "amount > 10"}]);
    subscribe(&hub, "s", json!({"topics": ["t"], "filters": filters})).await;
    hub.accepted(
        "t",
        &[
            typed("1", "order.created", 5),
            typed("2", "order.created", 50),
            typed("3", "parcel.sent", 50),
            typed("4", "order.deleted", 11),
        ],
    )
    .await;
    assert_eq!(ids(&consume(&hub, "s", 2).await), ["2", "4"]);
    let status = status(&hub, "s").await;
    assert_eq!(status["lag"], 0);
    assert_eq!(status["counts"]["filtered"], 2);
    // What does not pass moves on by itself, and an ask that waits is not ended by it.
    let _ = hub
        .publish("t", Publish::structured(&typed("5", "order.x", 1)))
        .await
        .expect(200);
    assert!(pull(&hub, "s", "").await.is_empty());
}

#[tokio::test]
async fn dead_letters_can_be_subscribed_and_a_rejected_one_makes_no_other() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    subscribe(&hub, "letters", json!({"topics": ["sandbar.dead-letters"]})).await;
    publish(&hub, "t", 0, &["k"]).await;
    for name in ["s", "letters"] {
        let events = pull(&hub, name, "wait=30").await;
        assert_eq!(events.len(), 1, "{name}");
        let reject = json!([{"lease": events[0]["sandbarlease"], "reason": "no"}]);
        let statuses = crate::settle(&hub, name, json!({ "reject": reject })).await;
        assert_eq!(statuses, ["dead"]);
    }
    assert_eq!(hub.tail("sandbar.dead-letters", 0).await, 1);
    assert_eq!(status(&hub, "letters").await["lag"], 0);
    let letters = hub.dead_letters("subscription=s").await;
    assert_eq!(letters[0]["cause"], "rejected");
    assert_eq!(letters[0]["reason"], "no");
    assert_eq!(letters[0]["attempts"], 1);
    assert_eq!(letters[0]["event"]["id"], "0");
    assert_eq!(letters[0]["history"][0]["reason"], "no");
    assert_eq!(
        hub.dead_letters("subscription=other").await,
        Vec::<Value>::new()
    );
}

#[tokio::test]
async fn apply_and_the_command_line_know_subscriptions() {
    let hub = Hub::start().await;
    let folder = tempfile::TempDir::new().unwrap();
    let file = folder.path().join("sandbar.yaml");
    std::fs::write(
        &file,
        "topics:\n  t: {partitions: 2}\nsubscriptions:\n  s:\n    topics: [t]\n    filters:\n      - prefix: {type: test.}\n",
    )
    .unwrap();
    let file = file.to_str().unwrap();
    let run = |arguments: &[&str], input: &str| {
        let mut all = vec!["--url", hub.url()];
        all.extend(arguments);
        Ran::new(&all, input)
    };
    let applied = run(&["apply", "-f", file], "");
    assert_eq!(applied.code, 0, "{applied:?}");
    assert!(applied.stdout.contains("subscription"), "{applied:?}");
    let again = run(&["apply", "-f", file, "--dry-run", "--exit-code"], "");
    assert_eq!(again.code, 0, "nothing is left to do: {again:?}");
    std::fs::write(file, "subscriptions: {s: {topic: [t]}}\n").unwrap();
    let slip = run(&["apply", "-f", file], "");
    assert!(slip.stderr.contains("did you mean `topics`"), "{slip:?}");

    publish(&hub, "t", 0, &["a", "b", "c"]).await;
    let listed = run(&["subscription", "list"], "");
    assert!(
        listed.stdout.contains("SUBSCRIPTION") && listed.stdout.contains("running"),
        "{listed:?}"
    );
    let pulled = run(&["subscription", "pull", "s", "-n", "3"], "");
    assert_eq!(pulled.stdout.lines().count(), 3, "{pulled:?}");
    let shown = run(&["subscription", "show", "s"], "");
    assert!(shown.stdout.contains("acknowledged"), "{shown:?}");
    assert_eq!(
        run(&["--json", "subscription", "show", "s"], "").json()["status"]["lag"],
        0
    );
    let dry = run(
        &[
            "subscription",
            "offsets",
            "s",
            "--to",
            "earliest",
            "--dry-run",
        ],
        "",
    );
    assert!(dry.stdout.contains("t/0"), "{dry:?}");
    assert_eq!(
        run(&["--json", "subscription", "show", "s"], "").json()["status"]["lag"],
        0
    );
    let reset = run(
        &[
            "subscription",
            "offsets",
            "s",
            "--to",
            "earliest",
            "--reason",
            "again",
        ],
        "",
    );
    assert_eq!(reset.code, 0, "{reset:?}");
    let resets = run(&["subscription", "offsets", "s"], "");
    assert!(resets.stdout.contains("again"), "{resets:?}");
    assert_eq!(run(&["subscription", "pause", "s"], "").code, 0);
    assert_eq!(
        run(&["--json", "subscription", "show", "s"], "").json()["status"]["state"],
        "paused"
    );
    assert_eq!(run(&["subscription", "resume", "s"], "").code, 0);
    let lines = run(
        &["--json", "subscription", "pull", "s", "-n", "2", "--keep"],
        "",
    );
    let lease = serde_json::from_str::<Value>(lines.stdout.lines().next().unwrap()).unwrap();
    let lease = lease["sandbarlease"].as_str().unwrap().to_owned();
    let acked = run(&["subscription", "ack", "s", &lease], "");
    assert!(acked.stdout.contains("acknowledged"), "{acked:?}");
    assert_eq!(run(&["subscription", "delete", "s"], "").code, 0);
    assert_eq!(run(&["subscription", "show", "s"], "").code, 4);
}
