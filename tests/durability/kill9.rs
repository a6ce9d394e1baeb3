//! kill -9 under load, again and again; then everything acknowledged is there once, in order per
//! key, and every output exactly once.
//!
//! `SANDBAR_KILLS` says how often (default 50), `SANDBAR_SEED` with which random numbers.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use fastrand::Rng;
use sandbar_tests::{Hub, Publish, WATCHDOG, json_event};
use serde_json::{Value, json};
use tokio::sync::watch;

const PUBLISHERS: u64 = 4;
const KEYS: u64 = 5;
const PARTITIONS: u32 = 4;
/// Partitions of the two targets.
const TARGETS: [(&str, u32); 2] = [("out.a", 2), ("out.b", 1)];

/// What a publisher was told of one event: the event, partition, offset.
type Acknowledged = (Value, u64, u64);

struct Shared {
    url: watch::Receiver<String>,
    ended: AtomicBool,
    acknowledged: AtomicU64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_at_random_moments_it_keeps_every_promise() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let kills = number("SANDBAR_KILLS").unwrap_or(50);
    let seed = number("SANDBAR_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, SANDBAR_SEED={seed}");
    let mut random = Rng::with_seed(seed);

    let mut hub = Hub::start().await;
    hub.topic("in", json!({"partitions": PARTITIONS, "dedupe": {"max_events": 1_000_000, "max_age_seconds": 86_400}})).await;
    for (target, partitions) in TARGETS {
        hub.topic(target, json!({"partitions": partitions})).await;
    }
    hub.mapper().await;
    let retry = json!({"max_attempts": 1000, "initial_ms": 1, "max_ms": 20});
    hub.route("r", json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out.a", "out.b"], "retry": retry})).await;

    let (tell, url) = watch::channel(hub.url().to_owned());
    let shared = Arc::new(Shared {
        url,
        ended: AtomicBool::new(false),
        acknowledged: AtomicU64::new(0),
    });
    let publishers: Vec<_> = (0..PUBLISHERS)
        .map(|publisher| {
            tokio::spawn(publish(
                shared.clone(),
                publisher,
                Rng::with_seed(random.u64(..)),
            ))
        })
        .collect();

    for kill in 0..kills {
        // So many acknowledgements further on, and then anywhere within a few milliseconds.
        let goal = shared.acknowledged.load(Ordering::SeqCst) + random.u64(0..400);
        let begin = Instant::now();
        while shared.acknowledged.load(Ordering::SeqCst) < goal {
            assert!(
                begin.elapsed() < WATCHDOG,
                "kill {kill}: nothing is acknowledged any more:\n{}",
                hub.log()
            );
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        tokio::time::sleep(Duration::from_micros(random.u64(0..5000))).await;
        // A route saves how far it is once a second. Some lives last, so that the next one begins from
        // there and not from the start; and is killed itself while it is not yet sure what was written.
        if random.u8(..) < 64 {
            tokio::time::sleep(Duration::from_millis(random.u64(900..1800))).await;
        }
        hub.kill();
        if random.u8(..) < 50 {
            hub.start_and_kill(Duration::from_micros(random.u64(0..60_000)));
        }
        hub.restart().await;
        tell.send_replace(hub.url().to_owned());
    }
    shared.ended.store(true, Ordering::SeqCst);
    let mut acknowledged = Vec::new();
    for publisher in publishers {
        acknowledged.extend(publisher.await.expect("the publisher saw no contradiction"));
    }
    println!("{} events acknowledged", acknowledged.len());
    hub.settled("r").await;

    let stored = check_source(&hub, &acknowledged).await;
    check_outputs(&hub, &stored).await;
    check_dead_letters(&hub, &stored).await;
    publish_all_again(&hub, &acknowledged).await;
    assert!(hub.stop().success());
}

/// Publishes in order per key until told to end; whatever is not answered is sent again until it is.
async fn publish(shared: Arc<Shared>, publisher: u64, mut random: Rng) -> Vec<Acknowledged> {
    let http = reqwest::Client::builder()
        .timeout(WATCHDOG)
        .build()
        .unwrap();
    let mut url = shared.url.clone();
    let mut next = 0;
    let mut kept: Vec<Acknowledged> = Vec::new();
    while !shared.ended.load(Ordering::SeqCst) {
        // Now and then something again that was acknowledged.
        let again = (!kept.is_empty() && random.u8(..) < 40).then(|| {
            let recent = kept.len().saturating_sub(2000);
            random.usize(recent..kept.len())
        });
        let mut events: Vec<Value> = Vec::new();
        for _ in 0..random.u64(1..8) {
            events.push(load(publisher, next, &mut random));
            next += 1;
        }
        if let Some(again) = again {
            events.push(kept[again].0.clone());
        }
        let begin = Instant::now();
        let accepted = loop {
            let address = format!("{}/v1/topics/in/events", url.borrow_and_update().clone());
            let publish = Publish::batch(&events);
            let request = http
                .post(address)
                .header("content-type", publish.content_type)
                .body(publish.body);
            let sent = async {
                let response = request.send().await?;
                let status = response.status().as_u16();
                Ok::<_, reqwest::Error>((status, response.text().await?))
            };
            match sent.await {
                Ok((200, text)) => {
                    let answer: Value = serde_json::from_str(&text).expect("a whole answer");
                    break answer["accepted"].as_array().expect("accepted").clone();
                }
                Ok((503, _)) | Err(_) => {}
                Ok((status, text)) => panic!("{status}: {text}"),
            }
            assert!(
                begin.elapsed() < WATCHDOG,
                "publisher {publisher} gets no answer"
            );
            // Until the hub is back; it may also be that only this connection broke.
            let _ = tokio::time::timeout(Duration::from_millis(20), url.changed()).await;
        };
        assert_eq!(accepted.len(), events.len());
        for (event, answer) in events.iter().zip(&accepted) {
            assert_eq!(answer["id"], event["id"]);
        }
        let place = |answer: &Value| {
            (
                answer["partition"].as_u64().unwrap(),
                answer["offset"].as_u64().unwrap(),
            )
        };
        if let Some(again) = again {
            events.pop();
            let answer = accepted.last().unwrap();
            let (event, partition, offset) = &kept[again];
            assert_eq!(
                place(answer),
                (*partition, *offset),
                "{event} was answered differently before"
            );
            assert_eq!(answer["duplicate"], true, "{event}");
        }
        shared
            .acknowledged
            .fetch_add(events.len() as u64, Ordering::SeqCst);
        for (event, answer) in events.into_iter().zip(&accepted) {
            let (partition, offset) = place(answer);
            kept.push((event, partition, offset));
        }
    }
    kept
}

/// Everything that was acknowledged is known still, at the place that was answered first.
async fn publish_all_again(hub: &Hub, acknowledged: &[Acknowledged]) {
    for part in acknowledged.chunks(500) {
        let events: Vec<Value> = part.iter().map(|(event, _, _)| event.clone()).collect();
        let answers = hub.accepted("in", &events).await;
        assert_eq!(answers.len(), part.len());
        for ((event, partition, offset), answer) in part.iter().zip(&answers) {
            let first = json!({"id": event["id"], "partition": partition, "offset": offset, "duplicate": true});
            assert_eq!(*answer, first);
        }
    }
}

/// The `sequence`th event of a publisher: most are mapped to one or both targets, some are dropped,
/// rejected or tried again first.
fn load(publisher: u64, sequence: u64, random: &mut Rng) -> Value {
    let key = format!("{publisher}-{}", random.u64(0..KEYS));
    let mut data = json!({"n": sequence, "text": "x".repeat(random.usize(0..300))});
    match random.u8(0..100) {
        0..60 => {}
        60..70 => data["do"] = json!("drop"),
        70..75 => data["do"] = json!("reject"),
        _ => {
            data["do"] = json!("retry");
            data["times"] = json!(random.u64(1..3));
        }
    }
    // A few hold up their key, and with it what counts as done, for longer than the route saves.
    if random.u16(0..400) == 0 {
        data["do"] = json!("retry");
        data["times"] = json!(random.u64(60..100));
    }
    if random.bool() {
        data["copies"] = json!(random.u64(0..4));
    }
    match random.u8(0..4) {
        0 => {}
        1 => data["targets"] = json!(["out.a"]),
        2 => data["targets"] = json!(["out.b"]),
        _ => data["targets"] = json!(["out.a", "out.b"]),
    }
    json_event(&format!("{publisher}/{sequence}"), &key, data)
}

/// By place: the events of the source topic.
type Stored = BTreeMap<(u64, u64), Value>;

/// Everything acknowledged is where the answer said, nothing is there twice, keys are in order.
async fn check_source(hub: &Hub, acknowledged: &[Acknowledged]) -> Stored {
    let mut stored = Stored::new();
    let mut ids: HashMap<String, (u64, u64)> = HashMap::new();
    let mut last: HashMap<String, (u64, u64)> = HashMap::new();
    for partition in 0..PARTITIONS {
        for (offset, event) in hub.read_all("in", partition).await.into_iter().enumerate() {
            let place = (u64::from(partition), offset as u64);
            assert_eq!(
                event["sandbaroffset"],
                offset.to_string(),
                "offsets have no gaps"
            );
            let id = event["id"].as_str().unwrap().to_owned();
            if let Some(first) = ids.insert(id.clone(), place) {
                panic!("{id} is stored at {first:?} and at {place:?}");
            }
            let key = event["partitionkey"].as_str().unwrap().to_owned();
            let n = event["data"]["n"].as_u64().unwrap();
            if let Some((other, before)) = last.insert(key.clone(), (place.0, n)) {
                assert!(
                    other == place.0 && before < n,
                    "key {key}: {n} at {place:?} comes after {before} of {other}"
                );
            }
            stored.insert(place, event);
        }
    }
    for (event, partition, offset) in acknowledged {
        let found = stored.get(&(*partition, *offset));
        let found = found.unwrap_or_else(|| {
            panic!(
                "{} was acknowledged at {partition}/{offset} and is not there",
                event["id"]
            )
        });
        for attribute in event.as_object().unwrap().keys() {
            assert_eq!(
                found[attribute], event[attribute],
                "{attribute} of {}",
                event["id"]
            );
        }
    }
    stored
}

/// What the plugin makes of an event: target, data.
fn expected(event: &Value) -> Vec<(String, Value)> {
    let data = &event["data"];
    if data["do"] == "drop" || data["do"] == "reject" {
        return Vec::new();
    }
    let mut outputs = Vec::new();
    for copy in 0..data["copies"].as_u64().unwrap_or(1) {
        let mut data = data.clone();
        data["copy"] = json!(copy);
        match event["data"]["targets"].as_array() {
            // None named: the first target of the route.
            None => outputs.push(("out.a".to_owned(), data)),
            Some(targets) => {
                for target in targets {
                    data["target"] = target.clone();
                    outputs.push((target.as_str().unwrap().to_owned(), data.clone()));
                }
            }
        }
    }
    outputs
}

async fn check_outputs(hub: &Hub, stored: &Stored) {
    // Per target and origin: the outputs in their order.
    let mut found: HashMap<(String, String), Vec<Value>> = HashMap::new();
    for (target, partitions) in TARGETS {
        // Per key: the partition and the place of the last origin.
        let mut last: HashMap<String, (u32, u64)> = HashMap::new();
        for partition in 0..partitions {
            for output in hub.read_all(target, partition).await {
                assert_eq!(output["sandbarroute"], "r", "{output}");
                let origin = output["sandbarorigin"]
                    .as_str()
                    .expect("an output has its origin")
                    .to_owned();
                let offset: u64 = origin.rsplit('/').next().unwrap().parse().unwrap();
                let key = output["partitionkey"].as_str().unwrap().to_owned();
                if let Some((other, before)) = last.insert(key.clone(), (partition, offset)) {
                    assert!(
                        other == partition && before <= offset,
                        "{target}: of key {key}, {origin} comes after offset {before}"
                    );
                }
                found
                    .entry((target.to_owned(), origin))
                    .or_default()
                    .push(output["data"].clone());
            }
        }
    }
    let mut count = 0;
    for ((partition, offset), event) in stored {
        let origin = format!("in/{partition}/{offset}");
        for (target, _) in TARGETS {
            let wanted = expected(event).into_iter().filter(|(to, _)| to == target);
            let wanted: Vec<Value> = wanted.map(|(_, data)| data).collect();
            let got = found
                .remove(&(target.to_owned(), origin.clone()))
                .unwrap_or_default();
            assert_eq!(
                got, wanted,
                "{target}: outputs of {origin}, {}",
                event["id"]
            );
            count += wanted.len();
        }
    }
    assert!(
        found.is_empty(),
        "outputs of events that are not there: {:?}",
        found.keys()
    );
    println!("{count} outputs, each once");
}

async fn check_dead_letters(hub: &Hub, stored: &Stored) {
    let mut found: HashMap<String, u64> = HashMap::new();
    for letter in hub.dead_letters("").await {
        assert_eq!(letter["cause"], "rejected", "{letter}");
        let origin = &letter["origin"];
        let place = (
            origin["partition"].as_u64().unwrap(),
            origin["offset"].as_u64().unwrap(),
        );
        assert_eq!(letter["event"]["id"], stored[&place]["id"]);
        *found.entry(format!("{place:?}")).or_default() += 1;
    }
    for (place, event) in stored {
        let wanted = u64::from(event["data"]["do"] == "reject");
        let got = found
            .get(&format!("{place:?}"))
            .copied()
            .unwrap_or_default();
        assert_eq!(got, wanted, "dead letters of {place:?}, {}", event["id"]);
    }
    println!("{} dead letters, each once", found.len());
}
