//! What keeps the hub's memory and its topics within bounds: quotas, and the room for bodies.

use std::io::Write;

use sandbar_tests::{Answer, Hub, Options, Publish, WATCHDOG, assert_problem, event};
use serde_json::{Value, json};

fn events(from: u64, count: u64) -> Vec<Value> {
    let numbers = from..from + count;
    numbers
        .map(|n| event(&n.to_string(), json!({"n": n})))
        .collect()
}

fn assert_over(answer: &Answer) -> u64 {
    assert_problem(answer, 429, "quota-exceeded");
    let seconds = answer.header("retry-after").expect("when to come again");
    seconds.parse().expect("whole seconds")
}

#[tokio::test]
async fn what_goes_over_a_quota_is_refused_whole() {
    let hub = Hub::start().await;
    let quota = json!({"events_per_second": 1, "burst_seconds": 1000});
    hub.topic("t", json!({"quota": quota})).await;
    let publish = |from, count| hub.publish("t", Publish::batch(&events(from, count)));
    let _ = publish(0, 995).await.expect(200);
    let wait = assert_over(&publish(995, 100).await);
    assert!((1..=95).contains(&wait), "{wait}");
    let lenient = Publish::batch(&events(995, 100)).lenient();
    assert_over(&hub.publish("t", lenient).await);
    assert_eq!(hub.stored("t").await, 995, "all or nothing");
    // What fits still passes: a refusal costs nothing.
    let _ = publish(995, 3).await.expect(200);
    // What is refused for another reason is not charged either.
    let bad = Publish::structured(&json!({"specversion": "1.0"}));
    assert_problem(&hub.publish("t", bad).await, 422, "invalid-event");
    let metrics = hub.get("/metrics").await.text;
    assert!(
        metrics.contains("sandbar_events_refused_total{topic=\"t\",code=\"quota-exceeded\"} 2"),
        "{metrics}"
    );
    // Without a quota there is no limit.
    let _ = hub.put("/v1/topics/t", json!({})).await.expect(200);
    let _ = publish(1000, 2000).await.expect(200);
}

#[tokio::test]
async fn bytes_are_counted_and_time_gives_room_again() {
    let hub = Hub::start().await;
    let quota = json!({"bytes_per_second": 20_000});
    hub.topic("t", json!({"quota": quota})).await;
    let large = |id: &str| event(id, json!("x".repeat(15_000)));
    let _ = hub
        .publish("t", Publish::structured(&large("1")))
        .await
        .expect(200);
    // A batch larger than the burst waits until nothing is owed, and passes then.
    let batch = Publish::batch(&[large("2"), large("3"), large("4")]);
    let passing = async {
        loop {
            let answer = hub.publish("t", batch.clone()).await;
            if answer.status == 200 {
                break;
            }
            let wait = assert_over(&answer);
            tokio::time::sleep(std::time::Duration::from_secs(wait)).await;
        }
    };
    tokio::time::timeout(WATCHDOG, passing)
        .await
        .expect("it passes");
    assert!(assert_over(&hub.publish("t", Publish::structured(&large("5"))).await) >= 1);
}

#[tokio::test]
async fn a_quota_that_makes_no_sense_is_refused_with_its_place() {
    let hub = Hub::start().await;
    for (quota, place) in [
        (json!({}), "/quota"),
        (json!({"events_per_second": 0}), "/quota/events_per_second"),
        (json!({"bytes_per_second": -1}), "/quota/bytes_per_second"),
        (
            json!({"events_per_second": 1, "burst_seconds": 0}),
            "/quota/burst_seconds",
        ),
        (json!({"events_per_second": 1, "burst": 2}), "/quota"),
    ] {
        let refused = hub.put("/v1/topics/t", json!({ "quota": quota })).await;
        let problem = assert_problem(&refused, 422, "invalid-document");
        assert!(
            problem["detail"].as_str().unwrap().starts_with(place),
            "{problem}"
        );
    }
    let made = hub.sandbar(&[
        "topic",
        "create",
        "t",
        "--quota-events",
        "5",
        "--quota-burst-seconds",
        "2",
        "--json",
    ]);
    assert_eq!(
        made.json()["quota"],
        json!({"events_per_second": 5, "burst_seconds": 2})
    );
    let freed = hub.sandbar(&["topic", "create", "t", "--no-quota", "--json"]);
    assert_eq!(freed.json()["quota"], Value::Null);
}

const MIB: usize = 1024 * 1024;

/// The bytes of bodies that the hub says it holds.
async fn held(hub: &Hub) -> usize {
    let metrics = hub.get("/metrics").await.text;
    let line = metrics
        .lines()
        .find_map(|line| line.strip_prefix("sandbar_http_bodies_in_flight_bytes "));
    line.expect("the gauge is there").parse().expect("a number")
}

async fn until_held(hub: &Hub, wanted: impl Fn(usize) -> bool) {
    let waiting = async { while !wanted(held(hub).await) {} };
    let waited = tokio::time::timeout(WATCHDOG, waiting).await;
    waited.expect("the hub holds what was sent");
}

#[tokio::test]
async fn bodies_together_take_no_more_room_than_was_given_to_them() {
    let most = (64 * MIB).to_string();
    let hub = Hub::start_with(Options {
        arguments: vec!["--max-inflight-bytes".into(), most],
    })
    .await;
    hub.topic("t", json!({})).await;
    // Two clients that send most of a large body, and then nothing more.
    let address = hub.url().trim_start_matches("http://").to_owned();
    let head = format!(
        "POST /v1/topics/t/events HTTP/1.1\r\nhost: {address}\r\ncontent-type: application/cloudevents-batch+json\r\ncontent-length: {}\r\n\r\n",
        31 * MIB
    );
    let mut clients = Vec::new();
    for _ in 0..2 {
        let mut client = std::net::TcpStream::connect(&address).unwrap();
        let (head, address) = (head.clone(), address.clone());
        let sending = tokio::task::spawn_blocking(move || {
            client
                .write_all(head.as_bytes())
                .unwrap_or_else(|error| panic!("{address}: {error}"));
            client.write_all(&vec![b' '; 30 * MIB]).unwrap();
            client
        });
        clients.push(sending.await.unwrap());
    }
    until_held(&hub, |held| held >= 59 * MIB).await;
    let batch = vec![event("large", json!("x".repeat(900_000))); 1];
    let many: Vec<Value> = (0..8)
        .map(|n| {
            let mut one = batch[0].clone();
            one["id"] = json!(n.to_string());
            one
        })
        .collect();
    let busy = hub.publish("t", Publish::batch(&many)).await;
    assert_problem(&busy, 503, "busy");
    assert!(busy.header("retry-after").is_some(), "{busy:?}");
    // Small calls come through all the while.
    let _ = hub.accepted("t", &[event("small", json!(1))]).await;
    hub.topic("another", json!({})).await;
    drop(clients);
    until_held(&hub, |held| held < MIB).await;
    let _ = hub.publish("t", Publish::batch(&many)).await.expect(200);
    until_held(&hub, |held| held == 0).await;
}

#[tokio::test]
async fn a_limit_with_no_room_for_one_body_is_told_at_the_start() {
    let folder = tempfile::TempDir::new().unwrap();
    let options = Options {
        arguments: vec!["--max-inflight-bytes".into(), "1000".into()],
    };
    let refused = Hub::try_start_on(&folder.path().join("data"), options).await;
    let reason = refused.map(drop).expect_err("it does not start");
    assert!(reason.contains("--max-inflight-bytes 1000"), "{reason}");
    assert!(reason.contains("--max-body-bytes"), "{reason}");
    // A limit that nobody set has a name, too.
    let options = Options {
        arguments: [
            "--max-inflight-bytes",
            "1000000",
            "--max-body-bytes",
            "300000",
        ]
        .map(str::to_owned)
        .to_vec(),
    };
    let refused = Hub::try_start_on(&folder.path().join("data"), options).await;
    let reason = refused.map(drop).expect_err("it does not start");
    assert!(
        reason.contains("which --max-plugin-bytes allows"),
        "{reason}"
    );
}
