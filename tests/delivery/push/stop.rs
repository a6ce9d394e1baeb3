//! A stop in order: what is under way comes to its end, and is settled.

use super::*;

#[tokio::test]
async fn what_was_answered_before_the_end_is_not_sent_again() {
    let mut hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Hold { status: 200 }).await;
    pushed(&hub, &receiver, json!({"concurrency": 3})).await;
    let events: Vec<Value> = (0..10).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    receiver.requests(3).await;
    hub.terminate();
    // It takes no more publishes: it is stopping. Only then the answers come.
    while hub
        .try_send(hub.request(reqwest::Method::GET, "/healthz"))
        .await
        .is_ok()
    {}
    receiver.release();
    assert!(hub.ended().success());
    println!("{}", hub.log());
    let before = receiver.received();
    assert_eq!(before.len(), 3, "nothing new is begun");
    hub.restart().await;
    settled(&hub).await;
    let received = receiver.received();
    let mut ids: Vec<u64> = received
        .iter()
        .map(|one| one.header("ce-id").parse().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(ids, (0..10).collect::<Vec<_>>(), "each once");
}
