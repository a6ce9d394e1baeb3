//! The real hub against a model: a random but repeatable history of publishing, taking, settling,
//! resetting, and restarts, with everything compared after each step.
//!
//! `SANDBAR_SEED` says with which random numbers.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use sandbar_tests::Hub;
use serde_json::{Value, json};

use crate::{publish, pull, settle, status, subscribe};

const KEYS: u64 = 6;

/// What the model knows: one partition, long leases.
#[derive(Default)]
struct Model {
    /// The key of each event by its offset.
    keys: Vec<u64>,
    settled: BTreeSet<u64>,
    dead: u64,
    letters: u64,
    /// What is out, with its token.
    out: BTreeMap<u64, String>,
    /// Tokens of before a restart or a reset, by offset; true: a reset was since.
    old: Vec<(u64, String, bool)>,
    held: BTreeSet<u64>,
}

impl Model {
    /// What must come, in order: the first of each key that is not settled and of whose key none is
    /// out or held.
    fn ready(&self) -> Vec<u64> {
        let mut blocked: BTreeSet<u64> = BTreeSet::new();
        let mut ready = Vec::new();
        for (offset, key) in (0..).zip(&self.keys) {
            if !self.settled.contains(&offset) && blocked.insert(*key) {
                let is_out = self.out.contains_key(&offset) || self.held.contains(&offset);
                if !is_out {
                    ready.push(offset);
                }
            }
        }
        ready
    }

    fn forget_out(&mut self, reset: bool) {
        if reset {
            for old in &mut self.old {
                old.2 = true;
            }
        }
        let out = std::mem::take(&mut self.out);
        self.old.extend(
            out.into_iter()
                .map(|(offset, token)| (offset, token, reset)),
        );
    }
}

struct Run {
    hub: Hub,
    model: Model,
    random: Rng,
    hold: bool,
}

impl Run {
    async fn step(&mut self) {
        match self.random.u8(0..22) {
            0..4 => self.publish().await,
            4..10 => self.take().await,
            10..16 => self.settle().await,
            16..18 => self.settle_old().await,
            18 => self.release().await,
            19 => self.reset().await,
            _ => self.restart().await,
        }
        self.compare().await;
    }

    async fn publish(&mut self) {
        let keys: Vec<u64> = (0..self.random.usize(1..12))
            .map(|_| self.random.u64(0..KEYS))
            .collect();
        let names: Vec<String> = keys.iter().map(|key| format!("k{key}")).collect();
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        publish(&self.hub, "t", self.model.keys.len(), &names).await;
        self.model.keys.extend(keys);
    }

    async fn take(&mut self) {
        let limit = self.random.usize(1..6);
        let mut expected = self.model.ready();
        expected.truncate(limit);
        let events = pull(&self.hub, "s", &format!("limit={limit}&lease=3600")).await;
        let offset = |event: &Value| event["sandbaroffset"].as_str().unwrap().parse().unwrap();
        let got: Vec<u64> = events.iter().map(offset).collect();
        assert_eq!(got, expected);
        for event in &events {
            let token = event["sandbarlease"].as_str().unwrap().to_owned();
            self.model.out.insert(offset(event), token);
        }
    }

    async fn settle(&mut self) {
        let out: Vec<(u64, String)> = self.model.out.clone().into_iter().collect();
        let (mut ack, mut nack, mut reject) = (Vec::new(), Vec::new(), Vec::new());
        for (offset, token) in out {
            match self.random.u8(0..6) {
                0..3 => {
                    ack.push(token);
                    self.model.settled.insert(offset);
                }
                3 => nack.push(json!({"lease": token, "delay_ms": 0})),
                4 => {
                    reject.push(json!({"lease": token}));
                    self.model.letters += 1;
                    if self.hold {
                        self.model.held.insert(offset);
                    } else {
                        self.model.settled.insert(offset);
                        self.model.dead += 1;
                    }
                }
                _ => continue,
            }
            self.model.out.remove(&offset);
        }
        let mut expected = vec!["acknowledged"; ack.len()];
        expected.extend(vec!["retrying"; nack.len()]);
        expected.extend(vec!["dead"; reject.len()]);
        let request = json!({"ack": ack, "nack": nack, "reject": reject});
        assert_eq!(settle(&self.hub, "s", request).await, expected);
    }

    /// Tokens of before a restart are good as long as nobody else has had the event since; those of
    /// before a reset never are.
    async fn settle_old(&mut self) {
        if self.model.old.is_empty() {
            return;
        }
        let index = self.random.usize(0..self.model.old.len());
        let (offset, token, was_reset) = self.model.old.swap_remove(index);
        let status = settle(&self.hub, "s", json!({"ack": [token]})).await;
        let model = &mut self.model;
        if was_reset {
            assert_eq!(status, ["expired"], "{offset}");
        } else if model.settled.contains(&offset) {
            assert_eq!(status, ["already"], "{offset}");
        } else if model.out.contains_key(&offset) || model.held.contains(&offset) {
            assert_eq!(status, ["expired"], "{offset}");
        } else if status == ["acknowledged"] {
            model.settled.insert(offset);
        } else {
            // It may have been handed out once more meanwhile, and given back.
            assert_eq!(status, ["expired"], "{offset}");
        }
    }

    async fn release(&mut self) {
        let released = self
            .hub
            .post("/v1/subscriptions/s/release", json!({}))
            .await
            .expect(200);
        let held = std::mem::take(&mut self.model.held);
        assert_eq!(released["released"], held.len());
        self.model.dead += held.len() as u64;
        self.model.settled.extend(held);
    }

    async fn reset(&mut self) {
        let to = self.random.u64(0..=self.model.keys.len() as u64);
        let request = json!({"to": {"offsets": {"t/0": to}}});
        let moved = self
            .hub
            .post("/v1/subscriptions/s/offsets", request)
            .await
            .expect(200);
        assert_eq!(moved["partitions"][0]["to"], to);
        self.model.forget_out(true);
        self.model.held.clear();
        self.model.settled = (0..to).collect();
    }

    async fn restart(&mut self) {
        if self.random.bool() {
            self.hub.kill();
        } else {
            self.hub.stop();
        }
        self.hub.restart().await;
        self.model.forget_out(false);
    }

    async fn compare(&self) {
        let status = status(&self.hub, "s").await;
        let model = &self.model;
        let lag = model.keys.len() - model.settled.len();
        assert_eq!(status["lag"], lag, "{status}");
        assert_eq!(status["out"], model.out.len(), "{status}");
        let low = (0..)
            .find(|offset| !model.settled.contains(offset))
            .unwrap();
        assert_eq!(status["partitions"][0]["low"], low, "{status}");
        let counts = &status["counts"];
        assert_eq!(counts["dead"], model.dead, "{status}");
        assert_eq!(counts["dead_letters"], model.letters, "{status}");
        assert_eq!(
            self.hub.tail("sandbar.dead-letters", 0).await,
            model.letters
        );
    }
}

async fn history(hold: bool) {
    let seed = std::env::var("SANDBAR_SEED")
        .ok()
        .map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SANDBAR_SEED={seed}");
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let on_failure = if hold { "hold-key" } else { "park" };
    subscribe(
        &hub,
        "s",
        json!({"topics": ["t"], "on_failure": on_failure}),
    )
    .await;
    let mut run = Run {
        hub,
        model: Model::default(),
        random: Rng::with_seed(seed),
        hold,
    };
    for _ in 0..250 {
        run.step().await;
    }
}

#[tokio::test]
async fn a_random_history_is_as_the_model_says() {
    history(false).await;
}

#[tokio::test]
async fn a_random_history_with_held_keys_is_as_the_model_says() {
    history(true).await;
}
