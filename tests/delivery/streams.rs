//! Events as they come: server-sent events and lines of JSON, with cursors.

use std::collections::BTreeSet;

use sandbar_tests::{Hub, WATCHDOG};
use serde_json::{Value, json};

use crate::{ids, leases, publish, pull, settle, status, subscribe};

/// One message of a stream: its cursor and its event.
type Message = (String, Value);

struct Stream {
    response: reqwest::Response,
    text: String,
}

impl Stream {
    async fn open(hub: &Hub, accept: &str, query: &str, last: Option<&str>) -> Self {
        let path = format!("/v1/subscriptions/s/events?{query}");
        let mut request = hub
            .request(reqwest::Method::GET, &path)
            .header("accept", accept);
        if let Some(last) = last {
            request = request.header("last-event-id", last);
        }
        let response = request.send().await.expect("it answers");
        assert_eq!(response.status(), 200);
        let media_type = response.headers()["content-type"].to_str().unwrap();
        assert!(media_type.starts_with(accept), "{media_type}");
        Self {
            response,
            text: String::new(),
        }
    }

    async fn events(hub: &Hub, query: &str, last: Option<&str>) -> Self {
        Self::open(hub, "text/event-stream", query, last).await
    }

    async fn lines(hub: &Hub, query: &str) -> Self {
        Self::open(hub, "application/x-ndjson", query, None).await
    }

    /// What stands before the next `end`; none when the stream ends.
    async fn until(&mut self, end: &str) -> Option<String> {
        loop {
            if let Some(at) = self.text.find(end) {
                let rest = self.text.split_off(at + end.len());
                let mut whole = std::mem::replace(&mut self.text, rest);
                whole.truncate(at);
                return Some(whole);
            }
            let chunk = tokio::time::timeout(WATCHDOG, self.response.chunk());
            let chunk = chunk.await.expect("something comes").ok()??;
            self.text
                .push_str(std::str::from_utf8(&chunk).expect("text"));
        }
    }

    async fn message(&mut self) -> Option<Message> {
        loop {
            let block = self.until("\n\n").await?;
            let field = |name: &str| {
                let mut lines = block.lines();
                lines
                    .find_map(|line| line.strip_prefix(name))
                    .map(str::to_owned)
            };
            if let Some(data) = field("data: ") {
                let event = serde_json::from_str(&data).unwrap_or(json!(data));
                return Some((field("id: ").unwrap_or_default(), event));
            }
        }
    }

    async fn messages(&mut self, count: usize) -> Vec<Message> {
        let mut messages = Vec::new();
        for _ in 0..count {
            messages.push(self.message().await.expect("a message"));
        }
        messages
    }
}

fn of(messages: &[Message]) -> Vec<String> {
    let events: Vec<Value> = messages.iter().map(|(_, event)| event.clone()).collect();
    ids(&events)
}

#[tokio::test]
async fn last_event_id_acknowledges_all_up_to_it_and_the_rest_comes_again() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c", "d"]).await;
    let mut stream = Stream::events(&hub, "lease=3600", None).await;
    let messages = stream.messages(4).await;
    publish(&hub, "t", 4, &["e"]).await;
    assert_eq!(of(&stream.messages(1).await), ["4"], "live");
    drop(stream);
    let (cursor, _) = &messages[1];
    let mut stream = Stream::events(&hub, "", Some(cursor)).await;
    let again = stream.messages(3).await;
    let expected: BTreeSet<_> = of(&messages[2..])
        .into_iter()
        .chain(["4".to_owned()])
        .collect();
    assert_eq!(of(&again).into_iter().collect::<BTreeSet<_>>(), expected);
    assert!(again.iter().all(|(_, event)| event["sandbardelivery"] == 2));
    assert_eq!(status(&hub, "s").await["counts"]["acknowledged"], 2);
}

#[tokio::test]
async fn a_cursor_is_good_after_the_hub_was_killed() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b", "c", "a", "d", "e"]).await;
    let mut stream = Stream::events(&hub, "lease=3600", None).await;
    // "a" is out: its second event does not come before the first is settled.
    let messages = stream.messages(5).await;
    let (cursor, _) = messages[2].clone();
    drop(stream);
    hub.kill();
    hub.restart().await;
    let mut stream = Stream::events(&hub, "", Some(&cursor)).await;
    let again = stream.messages(3).await;
    let (before, after) = (of(&messages), of(&again));
    let covered: BTreeSet<_> = before[..3].iter().collect();
    for id in &after {
        assert!(
            !covered.contains(id),
            "{id} was covered by the cursor; before {before:?}, after {after:?}"
        );
    }
    assert_eq!(status(&hub, "s").await["counts"]["acknowledged"], 3);
}

#[tokio::test]
async fn a_stream_waits_when_too_much_is_not_settled_and_goes_on_with_a_cursor() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..30).map(|key| format!("k{key}")).collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let mut stream = Stream::events(&hub, "limit=10&lease=3600", None).await;
    let mut all = stream.messages(10).await;
    assert_eq!(status(&hub, "s").await["out"], 10);
    while all.len() < 30 {
        let (cursor, _) = all.last().unwrap().clone();
        let acked = hub
            .post("/v1/subscriptions/s/ack", json!({"upto": cursor}))
            .await
            .expect(200);
        assert_eq!(acked["acknowledged"], 10, "{acked}");
        all.extend(stream.messages(10).await);
    }
    let numbers: Vec<String> = (0..30).map(|number| number.to_string()).collect();
    assert_eq!(of(&all), numbers);
    // Single tokens do as well.
    let rest: Vec<Value> = all[20..].iter().map(|(_, event)| event.clone()).collect();
    settle(&hub, "s", json!({"ack": leases(&rest)})).await;
    publish(&hub, "t", 30, &["x"]).await;
    assert_eq!(of(&stream.messages(1).await), ["30"]);
}

#[tokio::test]
async fn a_stream_and_a_client_that_pulls_share() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let pulled = pull(&hub, "s", "limit=1&lease=3600").await;
    let mut stream = Stream::events(&hub, "", None).await;
    let (cursor, event) = stream.message().await.unwrap();
    assert_eq!(
        (ids(&pulled), event["id"].as_str()),
        (vec!["0".to_owned()], Some("1"))
    );
    // The cursor speaks of its own stream only.
    let acked = hub
        .post("/v1/subscriptions/s/ack", json!({"upto": cursor}))
        .await
        .expect(200);
    assert_eq!(acked["acknowledged"], 1);
    let now = status(&hub, "s").await;
    assert_eq!((&now["out"], &now["lag"]), (&json!(1), &json!(1)));
}

#[tokio::test]
async fn lines_carry_their_cursors() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a", "b"]).await;
    let mut stream = Stream::lines(&hub, "").await;
    let mut events = Vec::new();
    for _ in 0..2 {
        let line = stream.until("\n").await.unwrap();
        events.push(serde_json::from_str::<Value>(&line).expect("an event a line"));
    }
    assert_eq!(ids(&events), ["0", "1"]);
    let acked = hub
        .post(
            "/v1/subscriptions/s/ack",
            json!({"upto": events[1]["sandbarcursor"]}),
        )
        .await
        .expect(200);
    assert_eq!(acked["acknowledged"], 2);
    assert_eq!(status(&hub, "s").await["lag"], 0);
}

#[tokio::test]
async fn streams_end_with_their_subscription() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    publish(&hub, "t", 0, &["a"]).await;
    let mut stream = Stream::events(&hub, "", None).await;
    stream.message().await.unwrap();
    let mut lines = Stream::lines(&hub, "").await;
    assert_eq!(hub.delete("/v1/subscriptions/s").await.status, 204);
    let (_, told) = stream.message().await.expect("a word");
    assert!(told.to_string().contains("deleted"), "{told}");
    assert!(stream.message().await.is_none(), "and the end");
    let told = lines.until("\n").await.expect("a word");
    assert!(told.contains("unknown-subscription"), "{told}");
}
