//! A stop in order: what is under way comes to its end, and is settled.

use sandbar_tests::WATCHDOG;

use super::*;

// The wait for the end blocks a thread; the receiver answers on another.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_answered_before_the_end_is_not_sent_again() {
    let mut hub = hub().await;
    let receiver = Receiver::answering(|_| Reply::Hold { status: 200 }).await;
    pushed(&hub, &receiver, json!({"concurrency": 3})).await;
    let events: Vec<Value> = (0..10).map(|n| event(&n.to_string(), json!(n))).collect();
    hub.accepted("t", &events).await;
    receiver.requests(3).await;
    hub.terminate();
    // It says that it stops; only then the answers come.
    let begin = std::time::Instant::now();
    while !hub.log().contains("stopping: ") {
        assert!(begin.elapsed() < WATCHDOG, "{}", hub.log());
        tokio::time::sleep(std::time::Duration::from_millis(5)).await;
    }
    receiver.release();
    assert!(hub.ended().success());
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
