//! Endpoints that hang and clients that do not read: the hub's memory stays bounded, others go on, and
//! everything arrives once they read.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use axum::{
    Router,
    extract::{Request, State},
};
use futures_util::StreamExt;
use sandbar_tests::{Hub, Options, WATCHDOG, assert_problem, json_event};
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{ack, ids, pull, settle, subscribe};

/// Bytes of data of an event, which is under the limit.
const LARGE: usize = 880_000;
const MIB: usize = 1024 * 1024;

async fn hub(outgoing: usize) -> Hub {
    let outgoing = outgoing.to_string();
    let arguments = ["--allow-private-targets", "--max-outgoing-bytes", &outgoing];
    let hub = Hub::start_with(Options {
        arguments: arguments.map(str::to_owned).into(),
    })
    .await;
    hub.topic("t", json!({})).await;
    hub
}

/// Publishes large events, of a key each, many a publish.
async fn publish(hub: &Hub, count: usize) {
    let text = "x".repeat(LARGE);
    let events: Vec<Value> = (0..count)
        .map(|number| {
            // Alike they would lie in the log once.
            let id = number.to_string();
            json_event(&id, &id, json!(format!("{id} {text}")))
        })
        .collect();
    for events in events.chunks(16) {
        hub.accepted("t", events).await;
    }
}

/// The most memory that the hub had at any time, in MiB.
fn most_memory(hub: &Hub) -> usize {
    let status = std::fs::read_to_string(format!("/proc/{}/status", hub.process_id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().trim_end_matches(" kB");
    kib.parse::<usize>().unwrap() / 1024
}

/// The bytes of answers that nobody has read yet.
async fn held(hub: &Hub) -> usize {
    let metrics = hub.get("/metrics").await.text;
    let gauge = |line: &str| {
        let value = line.strip_prefix("sandbar_http_answers_in_flight_bytes ")?;
        value.parse().ok()
    };
    metrics.lines().find_map(gauge).expect("the gauge is there")
}

/// What many endpoints have in common: they count what comes, keep none of it, and answer once they may.
#[derive(Clone)]
struct Endpoints {
    came: Arc<watch::Sender<usize>>,
    bytes: Arc<AtomicUsize>,
    open: watch::Receiver<bool>,
}

async fn receive(State(mut endpoints): State<Endpoints>, request: Request) {
    let mut body = request.into_body().into_data_stream();
    while let Some(Ok(chunk)) = body.next().await {
        endpoints.bytes.fetch_add(chunk.len(), Ordering::Relaxed);
    }
    endpoints.came.send_modify(|came| *came += 1);
    let _ = endpoints.open.wait_for(|open| *open).await;
}

#[tokio::test]
async fn webhooks_that_hang_hold_little_memory() {
    const SUBSCRIPTIONS: usize = 16;
    const EVENTS: usize = 64;
    let (open, opened) = watch::channel(false);
    let (came, mut coming) = watch::channel(0);
    let endpoints = Endpoints {
        came: Arc::new(came),
        bytes: Arc::default(),
        open: opened,
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let router = Router::new()
        .fallback(receive)
        .with_state(endpoints.clone());
    let serving = tokio::spawn(async { axum::serve(listener, router).await.unwrap() });

    let hub = hub(64 * MIB).await;
    publish(&hub, EVENTS).await;
    for number in 0..SUBSCRIPTIONS {
        let push = json!({"url": url, "timeouts": {"first_byte_ms": 60_000, "total_ms": 60_000}});
        let document = json!({"topics": ["t"], "push": push});
        subscribe(&hub, &format!("s{number}"), document).await;
    }
    let come = tokio::time::timeout(WATCHDOG, coming.wait_for(|came| *came >= SUBSCRIPTIONS)).await;
    let _ = come.expect("requests come").unwrap();
    // Half of 64 MiB for what webhooks took, the hub itself, what it keeps of the log, and what the
    // allocator keeps.
    let most = most_memory(&hub);
    assert!(most < 600, "{most} MiB while all hang");
    open.send_replace(true);
    let wanted = SUBSCRIPTIONS * EVENTS;
    let all = tokio::time::timeout(WATCHDOG, coming.wait_for(|came| *came >= wanted)).await;
    let _ = all.expect("all events come").unwrap();
    // Each of them reads the log for itself meanwhile. Whole frames that waited to be sent were more.
    let most = most_memory(&hub);
    assert!(most < 900, "{most} MiB");
    for number in 0..SUBSCRIPTIONS {
        let path = format!("/v1/subscriptions/s{number}");
        hub.until(&path, "status", "it is behind", |status| status["lag"] == 0)
            .await;
    }
    assert_eq!(*coming.borrow(), wanted, "each event came once");
    assert!(endpoints.bytes.load(Ordering::Relaxed) >= wanted * LARGE);
    serving.abort();
}

/// Follows the topic and reads the head of the answer, and no more yet.
fn follow(hub: &Hub, last: Option<&str>) -> BufReader<TcpStream> {
    let address = hub.url().trim_start_matches("http://");
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(WATCHDOG)).unwrap();
    let last = last.map_or_else(String::new, |last| format!("last-event-id: {last}\r\n"));
    // By HTTP/1.0 the body is as it is.
    let head = format!(
        "GET /v1/topics/t/events HTTP/1.0\r\nhost: {address}\r\naccept: text/event-stream\r\n{last}\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    let mut reader = BufReader::with_capacity(64 * 1024, stream);
    let mut line = String::new();
    assert!(reader.read_line(&mut line).unwrap() > 0);
    assert!(line.contains("200"), "{line}");
    while line.trim_end() != "" {
        line.clear();
        assert!(reader.read_line(&mut line).unwrap() > 0);
    }
    reader
}

/// The cursors of whole events that are read, up to so many, or to the end of the stream.
fn cursors(mut reader: BufReader<TcpStream>, most: usize) -> Vec<String> {
    let (mut cursors, mut cursor) = (Vec::new(), String::new());
    let mut line = Vec::new();
    while cursors.len() < most {
        line.clear();
        if !matches!(reader.read_until(b'\n', &mut line), Ok(1..)) || !line.ends_with(b"\n") {
            break;
        }
        if let Some(id) = line.strip_prefix(b"id: ") {
            cursor = String::from_utf8(id.trim_ascii().to_vec()).unwrap();
        }
        if line.starts_with(b"data: ") {
            assert!(line.len() > LARGE, "the whole event");
            cursors.push(cursor.clone());
        }
    }
    cursors
}

fn expected(from: usize, upto: usize) -> Vec<String> {
    (from..upto)
        .map(|offset| format!("0:{}", offset + 1))
        .collect()
}

#[tokio::test]
async fn followers_that_do_not_read_hold_little_memory() {
    const EVENTS: usize = 64;
    const FOLLOWERS: usize = 20;
    let hub = hub(256 * MIB).await;
    publish(&hub, EVENTS).await;
    let followers: Vec<_> = (0..FOLLOWERS).map(|_| follow(&hub, None)).collect();
    // Others read meanwhile.
    let all = hub.read_all("t", 0).await;
    assert_eq!(all.len(), EVENTS);
    let reading = followers
        .into_iter()
        .map(|follower| tokio::task::spawn_blocking(move || cursors(follower, EVENTS)));
    for read in reading.collect::<Vec<_>>() {
        assert_eq!(read.await.unwrap(), expected(0, EVENTS));
    }
    // A quarter of 256 MiB for streams, the hub itself, and what the allocator keeps. A queue of 64
    // events each were 1.3 GB.
    let most = most_memory(&hub);
    assert!(most < 700, "{most} MiB");
}

#[tokio::test]
async fn who_does_not_read_is_cut_off_when_others_need_the_room() {
    const EVENTS: usize = 24;
    // Room for one event at a time in streams, and for one in pages.
    let hub = hub(4 * MIB).await;
    publish(&hub, EVENTS).await;
    let asleep = follow(&hub, None);
    let full = async { while held(&hub).await < LARGE {} };
    let filled = tokio::time::timeout(WATCHDOG, full).await;
    filled.expect("it fills the room");
    // Pages have room of their own.
    let page = hub.get("/v1/topics/t/events?limit=1").await.expect(200);
    assert_eq!(ids(page.as_array().unwrap()), ["0"]);
    let awake = follow(&hub, None);
    let read = tokio::task::spawn_blocking(move || cursors(awake, EVENTS));
    assert_eq!(read.await.unwrap(), expected(0, EVENTS), "it has its turn");
    // The other was cut off, in the middle; it goes on where it was.
    let read = tokio::task::spawn_blocking(move || cursors(asleep, EVENTS));
    let read = read.await.unwrap();
    assert!(read.len() < EVENTS, "it made room");
    assert_eq!(read, expected(0, read.len()));
    let again = follow(&hub, read.last().map(String::as_str));
    let left = EVENTS - read.len();
    let rest = tokio::task::spawn_blocking(move || cursors(again, left));
    assert_eq!(rest.await.unwrap(), expected(read.len(), EVENTS));
}

#[tokio::test]
async fn pages_that_nobody_reads_leave_others_a_refusal() {
    let hub = hub(4 * MIB).await;
    publish(&hub, 1).await;
    letters(&hub, 1).await;
    for path in [
        "/v1/topics/t/events",
        "/v1/dead-letters",
        "/v1/dead-letters/0",
    ] {
        leave_others_a_refusal(&hub, path).await;
    }
}

async fn leave_others_a_refusal(hub: &Hub, path: &str) {
    // Each asks for the same page over and over, and reads no answer.
    let address = hub.url().trim_start_matches("http://");
    let request = format!("GET {path} HTTP/1.1\r\nhost: {address}\r\n\r\n");
    let asleep: Vec<TcpStream> = (0..2)
        .map(|_| {
            let mut client = TcpStream::connect(address).unwrap();
            client.write_all(request.repeat(32).as_bytes()).unwrap();
            client
        })
        .collect();
    let refused = async {
        loop {
            let answer = hub.get(path).await;
            if answer.status != 200 {
                return answer;
            }
        }
    };
    let answer = tokio::time::timeout(WATCHDOG, refused).await;
    let answer = answer.unwrap_or_else(|_| panic!("{path}: there is no end of room"));
    assert_problem(&answer, 503, "busy");
    assert!(answer.header("retry-after").is_some(), "{answer:?}");
    drop(asleep);
    let _ = hub.get(path).await.expect(200);
}

/// Makes dead letters of the first events, all of them large.
async fn letters(hub: &Hub, count: usize) {
    subscribe(hub, "s", json!({"topics": ["t"]})).await;
    for _ in 0..count {
        let events = pull(hub, "s", "limit=1&wait=30").await;
        let reject = json!([{"lease": events[0]["sandbarlease"], "reason": "no"}]);
        assert_eq!(
            settle(hub, "s", json!({ "reject": reject })).await,
            ["dead"]
        );
    }
}

#[tokio::test]
async fn large_dead_letters_come_in_pages_of_the_room_that_there_is() {
    let hub = hub(4 * MIB).await;
    publish(&hub, 3).await;
    letters(&hub, 3).await;
    let page = hub.get("/v1/dead-letters?limit=1000").await.expect(200);
    assert_eq!(page["dead_letters"].as_array().unwrap().len(), 1);
    assert_eq!(page["next"], "1");
    let letters = hub.dead_letters("").await;
    let offsets: Vec<&Value> = letters.iter().map(|letter| &letter["offset"]).collect();
    assert_eq!(offsets, [0, 1, 2]);
}

#[tokio::test]
async fn an_event_that_is_larger_than_all_room_goes_alone() {
    let hub = hub(MIB).await;
    publish(&hub, 3).await;
    let page = hub.get("/v1/topics/t/events?limit=10").await;
    assert_eq!(page.header("sandbar-next-offset"), Some("1"));
    assert_eq!(ids(page.expect(200).as_array().unwrap()), ["0"]);
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    for number in 0..2 {
        let events = pull(&hub, "s", "limit=10&wait=30").await;
        assert_eq!(ids(&events), [number.to_string()]);
        ack(&hub, "s", &events).await;
    }
    let mut stream = hub
        .request(reqwest::Method::GET, "/v1/subscriptions/s/events")
        .header("accept", "application/x-ndjson")
        .send()
        .await
        .unwrap();
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let chunk = tokio::time::timeout(WATCHDOG, stream.chunk()).await;
        line.extend(chunk.expect("it comes").unwrap().expect("it goes on"));
    }
    let event: Value = serde_json::from_slice(&line).unwrap();
    assert_eq!(event["id"], "2");
    let receiver = sandbar_tests::Receiver::start().await;
    let push = json!({"url": receiver.url(), "mode": "structured"});
    subscribe(&hub, "pushed", json!({"topics": ["t"], "push": push})).await;
    let received = receiver.requests(3).await;
    let sizes: Vec<usize> = received.iter().map(|one| one.body.len()).collect();
    assert!(sizes.iter().all(|size| *size > LARGE), "{sizes:?}");
}
