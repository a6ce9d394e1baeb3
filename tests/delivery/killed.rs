//! kill -9 while clients pull and acknowledge: nothing comes after its ack was answered, the order of
//! each key is kept, and everything comes.
//!
//! `SANDBAR_KILLS` says how often (default 6), `SANDBAR_SEED` with which random numbers.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
};

use fastrand::Rng;
use sandbar_tests::Hub;
use serde_json::{Value, json};
use tokio::sync::watch;

use crate::{publish, status, subscribe};

const EVENTS: usize = 3_000;
const CLIENTS: usize = 3;
/// Event n has the key n modulo this.
const KEYS: u64 = 40;

#[derive(Default)]
struct Seen {
    /// Answered.
    acknowledged: BTreeSet<String>,
    /// By key: the highest number that was received.
    highest: BTreeMap<String, u64>,
}

struct Client {
    url: watch::Receiver<String>,
    http: reqwest::Client,
    seen: Arc<Mutex<Seen>>,
    over: Arc<AtomicBool>,
    random: Rng,
}

impl Client {
    async fn run(mut self) {
        while !self.over.load(Ordering::SeqCst) {
            if self.turn().await.is_none() {
                // The hub is gone; another one comes.
                tokio::task::yield_now().await;
            }
        }
    }

    /// None when the hub did not answer.
    async fn turn(&mut self) -> Option<()> {
        let before = self.seen.lock().unwrap().acknowledged.clone();
        let url = format!("{}/v1/subscriptions/s", self.url.borrow().clone());
        let limit = self.random.usize(1..60);
        let request = self
            .http
            .get(format!("{url}/events?limit={limit}&wait=0.2&lease=1"));
        let events: Vec<Value> = request.send().await.ok()?.json().await.ok()?;
        let mut tokens = Vec::new();
        for event in &events {
            let id = event["id"].as_str()?.to_owned();
            assert!(
                !before.contains(&id),
                "{id} comes after its ack was answered"
            );
            self.check_order(event);
            if self.random.u8(0..10) > 0 {
                tokens.push((id, event["sandbarlease"].clone()));
            }
        }
        let leases: Vec<_> = tokens.iter().map(|(_, lease)| lease).collect();
        let request = self.http.post(format!("{url}/ack"));
        let request = request.json(&json!({ "ack": leases }));
        let answer: Value = request.send().await.ok()?.json().await.ok()?;
        let mut seen = self.seen.lock().unwrap();
        for ((id, _), result) in tokens.into_iter().zip(answer["results"].as_array()?) {
            if result["status"] != "expired" {
                seen.acknowledged.insert(id);
            }
        }
        Some(())
    }

    /// All earlier events of the key have been received before: whether their acks are on disk, who
    /// was killed cannot say.
    fn check_order(&self, event: &Value) {
        let key = event["partitionkey"].as_str().unwrap().to_owned();
        let number = event["data"]["n"].as_u64().unwrap();
        let mut seen = self.seen.lock().unwrap();
        let highest = seen.highest.entry(key).or_insert(number % KEYS);
        assert!(
            number <= *highest + KEYS,
            "{number} comes before {}",
            *highest + KEYS
        );
        *highest = (*highest).max(number);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn killed_while_clients_are_at_work_it_keeps_its_promises() {
    let number = |name: &str| {
        let text = std::env::var(name).ok()?;
        Some(text.parse::<u64>().expect("a number"))
    };
    let kills = number("SANDBAR_KILLS").unwrap_or(6);
    let seed = number("SANDBAR_SEED").unwrap_or_else(|| fastrand::u64(..));
    println!("{kills} kills, SANDBAR_SEED={seed}");
    let mut random = Rng::with_seed(seed);
    let mut hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 2})).await;
    subscribe(&hub, "s", json!({"topics": ["t"]})).await;
    let keys: Vec<String> = (0..EVENTS as u64)
        .map(|event| format!("k{}", event % KEYS))
        .collect();
    let keys: Vec<&str> = keys.iter().map(String::as_str).collect();
    publish(&hub, "t", 0, &keys).await;
    let (tell, url) = watch::channel(hub.url().to_owned());
    let (seen, over) = (Arc::<Mutex<Seen>>::default(), Arc::<AtomicBool>::default());
    let clients: Vec<_> = (0..CLIENTS)
        .map(|_| {
            let client = Client {
                url: url.clone(),
                http: reqwest::Client::new(),
                seen: seen.clone(),
                over: over.clone(),
                random: Rng::with_seed(random.u64(..)),
            };
            tokio::spawn(client.run())
        })
        .collect();
    let known = || seen.lock().unwrap().acknowledged.len();
    for kill in 1..=kills {
        let goal = (EVENTS as u64 * kill / (kills + 2)) as usize;
        while known() < goal && clients.iter().all(|client| !client.is_finished()) {
            hub.wait_at("sandbar.dead-letters", 0, 0, 0.01).await;
        }
        hub.kill();
        hub.restart().await;
        tell.send_replace(hub.url().to_owned());
    }
    let done = |status: &Value| status["lag"] == 0;
    hub.until(
        "/v1/subscriptions/s",
        "status",
        "it does not come to its end",
        done,
    )
    .await;
    over.store(true, Ordering::SeqCst);
    for client in clients {
        client.await.expect("a client that found nothing wrong");
    }
    let now = status(&hub, "s").await;
    assert_eq!(now["counts"]["acknowledged"], EVENTS, "{now}");
    assert_eq!(now["counts"]["dead"], 0);
    hub.kill();
    hub.restart().await;
    assert!(crate::pull(&hub, "s", "").await.is_empty());
    assert_eq!(status(&hub, "s").await["counts"]["acknowledged"], EVENTS);
}
