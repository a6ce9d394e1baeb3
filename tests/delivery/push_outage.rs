//! An unreliable receiver and kill -9 of the hub at once: every event arrives at least once, never
//! out of order within its key, and what did not is a dead letter.
//!
//! `SANDBAR_KILLS` says how often (default 6), `SANDBAR_SEED` with which random numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use fastrand::Rng;
use sandbar_tests::{Hub, Options, Receiver, Reply, json_event};
use serde_json::{Value, json};

const KEYS: u64 = 20;
const PER_ROUND: u64 = 200;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everything_published_is_acknowledged_or_dead() {
    let number = |name: &str| {
        std::env::var(name)
            .ok()
            .map(|text| text.parse::<u64>().expect("a number"))
    };
    let kills = number("SANDBAR_KILLS").unwrap_or(6);
    let seed = number("SANDBAR_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, SANDBAR_SEED={seed}");
    let mut random = Rng::with_seed(seed);

    let moods = Arc::new(Mutex::new(Rng::with_seed(random.u64(..))));
    let receiver = Receiver::answering(move |one| {
        // Every twentieth is never taken.
        if one.header("ce-id").parse::<u64>().expect("a number") % 20 == 7 {
            return Reply::status(422);
        }
        match moods.lock().expect("no panic").u32(0..100) {
            0..70 => Reply::status(200),
            70..80 => Reply::status(500),
            80..84 => Reply::status(429),
            84..88 => Reply::Hang,
            88..94 => Reply::Break { status: 200 },
            // Answers, but after the timeout.
            94..97 => Reply::Late {
                status: 200,
                after: Duration::from_millis(150),
            },
            _ => Reply::with(503, "retry-after", "0"),
        }
    })
    .await;
    let options = Options {
        arguments: vec!["--allow-private-targets".to_owned()],
    };
    let mut hub = Hub::start_with(options).await;
    hub.topic("t", json!({"partitions": 3})).await;
    let document = json!({
        "topics": ["t"],
        "retry": {"initial_ms": 1, "max_ms": 20, "max_attempts": 8},
        "push": {
            "url": receiver.url(),
            "concurrency": 6,
            "timeouts": {"connect_ms": 200, "first_byte_ms": 100, "total_ms": 200}
        }
    });
    let _ = hub.put("/v1/subscriptions/s", document).await.expect(201);

    let mut published = BTreeSet::new();
    for round in 0..=kills {
        let numbers = round * PER_ROUND..(round + 1) * PER_ROUND;
        let events: Vec<Value> = numbers
            .clone()
            .map(|n| json_event(&n.to_string(), &(n % KEYS).to_string(), json!(n)))
            .collect();
        hub.accepted("t", &events).await;
        published.extend(numbers);
        if round == kills {
            break;
        }
        // Somewhere in the middle of it.
        let goal = receiver.received().len() + usize::try_from(random.u64(1..150)).expect("few");
        receiver.until(|received| received.len() >= goal).await;
        hub.kill();
        hub.restart().await;
    }
    let status = hub
        .until("/v1/subscriptions/s", "status", "s is behind", |status| {
            status["lag"] == 0 && status["waiting"] == 0
        })
        .await;

    let letters = hub.dead_letters("").await;
    let dead: BTreeSet<u64> = letters
        .iter()
        .map(|letter| number_of(&letter["event"]))
        .collect();
    assert_eq!(dead.len(), letters.len(), "each has one dead letter");
    let mut arrived = BTreeSet::new();
    let mut last = BTreeMap::new();
    for one in receiver.received() {
        let number: u64 = one.header("ce-id").parse().expect("a number");
        arrived.insert(number);
        let last = last.entry(number % KEYS).or_insert(number);
        assert!(*last <= number, "{number} came after {last} of its key");
        *last = number;
    }
    assert_eq!(arrived, published, "each was sent at least once");
    for poison in published.iter().filter(|number| *number % 20 == 7) {
        assert!(
            dead.contains(poison),
            "{poison} is not among the dead letters"
        );
    }
    // Published = acknowledged + dead + waiting.
    let count = |name: &str| status["counts"][name].as_u64().expect("a count");
    assert_eq!(count("dead"), dead.len() as u64, "{status}");
    assert_eq!(
        count("acknowledged") + count("dead"),
        published.len() as u64,
        "{status}"
    );
}

fn number_of(event: &Value) -> u64 {
    event["id"]
        .as_str()
        .expect("an id")
        .parse()
        .expect("a number")
}
