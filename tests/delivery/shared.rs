//! Several clients of one subscription.

use std::collections::BTreeSet;

use sandbar_tests::Hub;
use serde_json::json;

use crate::{ack, consume, ids, leases, publish, pull, settle, status, subscribe};

#[tokio::test]
async fn two_clients_share_and_none_gets_what_the_other_has() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..2_000).map(|key| format!("k{}", key % 300)).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let client = async || {
        let mut got = Vec::new();
        loop {
            let events = pull(&hub, "s", "limit=40").await;
            if events.is_empty() && status(&hub, "s").await["lag"] == 0 {
                return got;
            }
            ack(&hub, "s", &events).await;
            got.extend(ids(&events));
        }
    };
    let (one, other) = tokio::join!(client(), client());
    let all: BTreeSet<_> = one.iter().chain(&other).collect();
    assert_eq!(one.len() + other.len(), 2_000, "each event once");
    assert_eq!(all.len(), 2_000);
}

#[tokio::test]
async fn of_two_clients_at_once_none_goes_away_empty_while_there_is_something() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    for round in 0..200 {
        publish(&hub, "t", 2 * round, &["a", "b"]).await;
        let (one, other) = tokio::join!(pull(&hub, "s", "limit=1"), pull(&hub, "s", "limit=1"));
        assert_eq!((one.len(), other.len()), (1, 1), "round {round}");
        ack(&hub, "s", &[one, other].concat()).await;
    }
}

#[tokio::test]
async fn what_a_client_that_dies_had_is_handed_on() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "a", "b"]).await;
    let lost = pull(&hub, "s", "lease=0.05").await;
    assert_eq!(ids(&lost), ["0", "2"]);
    let mut handed_on = pull(&hub, "s", "wait=60&lease=600").await;
    while handed_on.len() < 2 {
        handed_on.extend(pull(&hub, "s", "wait=60&lease=600").await);
    }
    assert_eq!(ids(&handed_on), ["0", "2"]);
    assert!(handed_on.iter().all(|event| event["sandbardelivery"] == 2));
    // The dead come back and speak of what is no longer theirs.
    let late = settle(&hub, "s", json!({"ack": leases(&lost)})).await;
    assert_eq!(late, ["expired", "expired"]);
    let nack: Vec<_> = leases(&lost)
        .into_iter()
        .map(|lease| json!({"lease": lease}))
        .collect();
    assert_eq!(
        settle(&hub, "s", json!({ "nack": nack })).await,
        ["expired", "expired"]
    );
    ack(&hub, "s", &handed_on).await;
    assert_eq!(ids(&consume(&hub, "s", 1).await), ["1"]);
}

#[tokio::test]
async fn an_ack_after_the_lease_counts_as_long_as_nobody_else_has_the_event() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a"]).await;
    let events = pull(&hub, "s", "lease=0.001").await;
    let lapsed = |status: &serde_json::Value| status["counts"]["lapsed"] == 1;
    hub.until(
        "/v1/subscriptions/s",
        "status",
        "the lease does not end",
        lapsed,
    )
    .await;
    ack(&hub, "s", &events).await;
    assert!(pull(&hub, "s", "").await.is_empty());
    assert_eq!(status(&hub, "s").await["lag"], 0);
}

#[tokio::test]
async fn two_that_ack_the_same_lease_at_once_both_get_an_answer_and_it_counts_once() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..100).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let events = pull(&hub, "s", "limit=100").await;
    let tokens = json!({"ack": leases(&events)});
    let (one, other) = tokio::join!(
        settle(&hub, "s", tokens.clone()),
        settle(&hub, "s", tokens.clone())
    );
    for (one, other) in one.iter().zip(&other) {
        let both = [one.as_str(), other.as_str()];
        assert!(
            both.contains(&"acknowledged")
                && both
                    .iter()
                    .all(|one| ["acknowledged", "already"].contains(one)),
            "{both:?}"
        );
    }
    let twice = settle(
        &hub,
        "s",
        json!({"ack": [leases(&events)[0], leases(&events)[0]]}),
    )
    .await;
    assert_eq!(twice, ["already", "already"]);
    assert_eq!(status(&hub, "s").await["counts"]["acknowledged"], 100);
}

#[tokio::test]
async fn many_small_acks_at_a_time_share_their_syncs() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..500).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let events = pull(&hub, "s", "limit=500").await;
    let acks = events
        .iter()
        .map(|event| ack(&hub, "s", std::slice::from_ref(event)));
    let all: Vec<_> = acks.collect();
    futures_join(all).await;
    let status = status(&hub, "s").await;
    assert_eq!(
        (&status["lag"], &status["counts"]["acknowledged"]),
        (&json!(0), &json!(500))
    );
}

/// All at once.
async fn futures_join<F: Future<Output = ()>>(futures: Vec<F>) {
    let mut pinned: Vec<_> = futures.into_iter().map(Box::pin).collect();
    std::future::poll_fn(|context| {
        pinned.retain_mut(|one| one.as_mut().poll(context).is_pending());
        if pinned.is_empty() {
            std::task::Poll::Ready(())
        } else {
            std::task::Poll::Pending
        }
    })
    .await;
}
