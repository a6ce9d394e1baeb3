//! Reading: from an offset, from a time, waiting, and following a stream.

use sandbar_tests::{Hub, WATCHDOG, assert_problem, event, json_event};
use serde_json::{Value, json};

async fn with_numbers(count: u64) -> Hub {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let events: Vec<Value> = (0..count)
        .map(|n| event(&n.to_string(), json!(n)))
        .collect();
    for part in events.chunks(7) {
        hub.accepted("t", part).await;
    }
    hub
}

fn ids(batch: &Value) -> Vec<String> {
    let events = batch.as_array().expect("a batch");
    events
        .iter()
        .map(|one| one["id"].as_str().expect("an id").to_owned())
        .collect()
}

#[tokio::test]
async fn an_offset_and_a_limit_choose_a_page() {
    let hub = with_numbers(50).await;
    let page = hub.get("/v1/topics/t/events?offset=10&limit=5").await;
    assert_eq!(page.content_type, "application/cloudevents-batch+json");
    assert_eq!(ids(&page.expect(200)), ["10", "11", "12", "13", "14"]);
    assert_eq!(page.header("sandbar-next-offset"), Some("15"));
    let all = hub.get("/v1/topics/t/events").await;
    assert_eq!(ids(&all.expect(200)).len(), 50);
    let latest = hub.get("/v1/topics/t/events?offset=latest").await;
    assert_eq!(
        (
            ids(&latest.expect(200)).len(),
            latest.header("sandbar-next-offset")
        ),
        (0, Some("50"))
    );
    let tail = hub.get("/v1/topics/t/events?offset=50").await;
    assert_eq!(tail.expect(200), json!([]));
    let past = assert_problem(
        &hub.get("/v1/topics/t/events?offset=51").await,
        416,
        "offset-past-tail",
    );
    assert!(
        past["detail"].as_str().unwrap().contains("50"),
        "it names the tail: {past}"
    );
}

// The hub's clock is the machine's: a test from outside can look only at that.
#[allow(clippy::disallowed_methods)]
#[tokio::test]
async fn a_time_chooses_where_to_begin() {
    let hub = with_numbers(20).await;
    let early = hub
        .get("/v1/topics/t/events?time=2001-01-01T00:00:00Z&limit=1")
        .await;
    assert_eq!(ids(&early.expect(200)), ["0"]);
    let late = hub
        .get("/v1/topics/t/events?time=2999-01-01T00:00:00Z")
        .await;
    assert_eq!(
        (late.expect(200), late.header("sandbar-next-offset")),
        (json!([]), Some("20"))
    );
    // The clock in milliseconds between two publishes, which must not fall into one millisecond.
    let begin = std::time::SystemTime::now();
    let millis = |time: std::time::SystemTime| {
        time.duration_since(std::time::UNIX_EPOCH)
            .unwrap()
            .as_millis()
    };
    while millis(std::time::SystemTime::now()) <= millis(begin) + 1 {
        tokio::task::yield_now().await;
    }
    hub.accepted("t", &[event("after", json!(1))]).await;
    let between = hub
        .get(&format!("/v1/topics/t/events?time={}", millis(begin) + 1))
        .await;
    assert_eq!(ids(&between.expect(200)), ["after"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_read_waits_for_the_next_event() {
    let hub = with_numbers(3).await;
    let reading = hub.get("/v1/topics/t/events?offset=3&wait=30");
    let publishing = async { hub.accepted("t", &[event("new", json!(1))]).await };
    let (read, _) = tokio::join!(reading, publishing);
    assert_eq!(ids(&read.expect(200)), ["new"]);
    assert_eq!(
        hub.get("/v1/topics/t/events?offset=4&wait=0.01")
            .await
            .expect(200),
        json!([])
    );
}

#[tokio::test]
async fn what_cannot_be_read_is_refused() {
    let hub = with_numbers(1).await;
    for query in [
        "partition=1",
        "partition=x",
        "offset=-1",
        "offset=abc",
        "time=yesterday",
        "limit=0",
        "limit=10001",
        "limit=x",
        "wait=61",
        "wait=-1",
        "offset=0&time=0",
        "unknown=1",
    ] {
        assert_problem(
            &hub.get(&format!("/v1/topics/t/events?{query}")).await,
            400,
            "malformed-request",
        );
    }
    let problem = assert_problem(&hub.get("/v1/topics/u/events").await, 404, "unknown-topic");
    assert!(
        problem["detail"].as_str().unwrap().contains("\"u\""),
        "{problem}"
    );
}

/// An event of a stream: id, event, data.
type Sent = (String, String, Value);

/// Reads so many events of a stream and leaves it.
async fn follow(hub: &Hub, query: &str, last: Option<&str>, count: usize) -> Vec<Sent> {
    let path = format!("/v1/topics/t/events?{query}");
    let mut request = hub
        .request(reqwest::Method::GET, &path)
        .header("accept", "text/event-stream");
    if let Some(last) = last {
        request = request.header("last-event-id", last);
    }
    let following = async {
        let mut response = request.send().await.unwrap();
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        let (mut text, mut sent) = (String::new(), Vec::new());
        while sent.len() < count {
            let chunk = response.chunk().await.unwrap().expect("the stream goes on");
            text.push_str(std::str::from_utf8(&chunk).unwrap());
            while let Some(end) = text.find("\n\n") {
                let block: String = text.drain(..end + 2).collect();
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name))
                        .map(|value| value.trim_start().to_owned())
                };
                if let Some(data) = field("data:") {
                    let id = field("id:").expect("each has an id");
                    sent.push((
                        id,
                        field("event:").expect("each has a type"),
                        serde_json::from_str(&data).unwrap(),
                    ));
                }
            }
        }
        sent
    };
    tokio::time::timeout(WATCHDOG, following)
        .await
        .expect("the events come")
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_follows_and_resumes() {
    let hub = with_numbers(10).await;
    let sent = follow(&hub, "offset=earliest", None, 10).await;
    assert!(
        sent[9].0.starts_with("0:"),
        "an id names the partition: {sent:?}"
    );
    assert_eq!(sent[9].1, "test.event");
    assert_eq!(sent[9].2["id"], "9");
    assert_eq!(sent[9].2["sandbaroffset"], "9");
    let (resumed, _) = tokio::join!(follow(&hub, "partition=0", Some(&sent[7].0), 3), async {
        hub.accepted("t", &[event("live", json!(1))]).await
    });
    let ids: Vec<&str> = resumed
        .iter()
        .map(|one| one.2["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["8", "9", "live"]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stream_over_all_partitions_resumes_where_each_was() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 3})).await;
    let events: Vec<Value> = (0..60)
        .map(|n| json_event(&n.to_string(), &n.to_string(), json!(n)))
        .collect();
    hub.accepted("t", &events).await;
    let first = follow(&hub, "offset=earliest", None, 25).await;
    let last = first[24].0.clone();
    let rest = follow(&hub, "offset=earliest", Some(&last), 35).await;
    let mut ids: Vec<u64> = first[..25]
        .iter()
        .chain(&rest)
        .map(|one| one.2["data"].as_u64().unwrap())
        .collect();
    ids.sort_unstable();
    assert_eq!(
        ids,
        (0..60).collect::<Vec<_>>(),
        "each once, over both connections"
    );
}

#[tokio::test]
async fn trimmed_offsets_are_gone_and_the_earliest_is_named() {
    let hub = Hub::start_with(sandbar_tests::Options {
        arguments: vec!["--segment-bytes".into(), "65536".into()],
    })
    .await;
    hub.topic("t", json!({"retention": {"max_bytes": 65536}}))
        .await;
    let text = "x".repeat(8000);
    let mut n = 0;
    let begin = std::time::Instant::now();
    // Retention works by itself now and then; what is published meanwhile makes segments to drop.
    let earliest = loop {
        let events: Vec<Value> = (n..n + 20)
            .map(|n| event(&n.to_string(), json!(text)))
            .collect();
        hub.accepted("t", &events).await;
        n += 20;
        let document = hub.get("/v1/topics/t").await.expect(200);
        let earliest = document["state"]["partitions"][0]["earliest"]
            .as_u64()
            .unwrap();
        if earliest > 0 {
            break earliest;
        }
        assert!(begin.elapsed() < WATCHDOG, "nothing is trimmed: {document}");
        hub.wait_at("t", 0, n, 0.2).await;
    };
    let problem = assert_problem(
        &hub.get("/v1/topics/t/events?offset=0").await,
        410,
        "offset-trimmed",
    );
    // Segments go one by one: it may be further on by now.
    let detail = problem["detail"].as_str().unwrap();
    let named = detail.split("the earliest is ").nth(1);
    let named: u64 = named.and_then(|text| text.parse().ok()).expect(detail);
    assert!(named >= earliest, "{problem}");
    let first = hub
        .get("/v1/topics/t/events?offset=earliest&limit=1")
        .await
        .expect(200);
    assert!(
        first[0]["sandbaroffset"]
            .as_str()
            .unwrap()
            .parse::<u64>()
            .unwrap()
            >= earliest
    );
}
