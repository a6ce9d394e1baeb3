//! The real hub against a model: a random but repeatable history of publishing, taking, settling,
//! extending, delaying, resetting, and restarts, by two clients, with everything compared after each step.
//!
//! `SANDBAR_SEED` says with which random numbers.

use std::collections::{BTreeMap, BTreeSet};

use fastrand::Rng;
use sandbar_tests::{Hub, json_event};
use serde_json::{Value, json};

use crate::{pull, settle, status, subscribe};

const KEYS: u64 = 6;
/// The type of events that the filter leaves out.
const OTHER: &str = "other";
/// A delay that no history outlasts; as long as one may be.
const FOR_EVER_MS: u64 = 43_200_000;

/// What an event is to the model.
struct Published {
    key: u64,
    /// The filter takes it.
    wanted: bool,
}

/// What a client has.
struct Out {
    client: usize,
    token: String,
}

/// What the model knows: one partition, long leases.
#[derive(Default)]
struct Model {
    /// By their offsets.
    events: Vec<Published>,
    settled: BTreeSet<u64>,
    dead: u64,
    letters: u64,
    out: BTreeMap<u64, Out>,
    /// Given back, not to be handed out before a time that never comes.
    delayed: BTreeSet<u64>,
    /// Tokens that are not the last word on their event: of before a restart or a reset, or of what was
    /// given back or lapsed. By offset; true: a reset was since.
    old: Vec<(u64, String, bool)>,
    held: BTreeSet<u64>,
}

impl Model {
    fn wanted(&self) -> impl Iterator<Item = u64> {
        let each = (0..).zip(&self.events);
        each.filter(|(_, event)| event.wanted)
            .map(|(offset, _)| offset)
    }

    /// What must come, in order: the first of each key that is not settled and of whose key none is
    /// out, held or delayed.
    fn ready(&self) -> Vec<u64> {
        let mut blocked: BTreeSet<u64> = BTreeSet::new();
        let mut ready = Vec::new();
        for offset in self.wanted() {
            let key = self.events[usize::try_from(offset).unwrap()].key;
            if !self.settled.contains(&offset) && blocked.insert(key) {
                let waits = self.out.contains_key(&offset)
                    || self.held.contains(&offset)
                    || self.delayed.contains(&offset);
                if !waits {
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
            self.delayed.clear();
        }
        let out = std::mem::take(&mut self.out);
        self.old.extend(
            out.into_iter()
                .map(|(offset, out)| (offset, out.token, reset)),
        );
    }

    fn hand_out(&mut self, client: usize, events: &[Value]) {
        for event in events {
            let token = token_of(event);
            self.out.insert(offset_of(event), Out { client, token });
        }
    }

    /// It is no longer with its client.
    fn give_back(&mut self, offset: u64) {
        if let Some(out) = self.out.remove(&offset) {
            self.old.push((offset, out.token, false));
        }
    }
}

fn offset_of(event: &Value) -> u64 {
    event["sandbaroffset"].as_str().unwrap().parse().unwrap()
}

fn token_of(event: &Value) -> String {
    event["sandbarlease"].as_str().unwrap().to_owned()
}

struct Run {
    hub: Hub,
    model: Model,
    random: Rng,
    hold: bool,
    filtered: bool,
}

impl Run {
    async fn step(&mut self) {
        match self.random.u8(0..28) {
            0..4 => self.publish().await,
            4..8 => self.take().await,
            8..10 => self.take_both().await,
            10..16 => self.settle().await,
            16..18 => self.settle_old().await,
            18..20 => self.extend().await,
            20..22 => self.delay().await,
            22 => self.await_delay().await,
            23 => self.await_lapse().await,
            24 => self.release().await,
            25 => self.reset().await,
            _ => self.restart().await,
        }
        self.compare().await;
    }

    async fn publish(&mut self) {
        let count = self.random.usize(1..12);
        let mut events = Vec::with_capacity(count);
        for _ in 0..count {
            let key = self.random.u64(0..KEYS);
            let wanted = !self.filtered || self.random.bool();
            let number = self.model.events.len();
            let mut event = json_event(
                &number.to_string(),
                &format!("k{key}"),
                json!({ "n": number }),
            );
            if !wanted {
                event["type"] = json!(OTHER);
            }
            events.push(event);
            self.model.events.push(Published { key, wanted });
        }
        self.hub.accepted("t", &events).await;
    }

    async fn take(&mut self) {
        let (client, limit) = (self.random.usize(0..2), self.random.usize(1..6));
        let mut expected = self.model.ready();
        expected.truncate(limit);
        let events = pull(&self.hub, "s", &format!("limit={limit}&lease=3600")).await;
        let got: Vec<u64> = events.iter().map(offset_of).collect();
        assert_eq!(got, expected);
        self.model.hand_out(client, &events);
    }

    /// Both clients at once: each gets its own.
    async fn take_both(&mut self) {
        let limits = [self.random.usize(1..4), self.random.usize(1..4)];
        let queries = limits.map(|limit| format!("limit={limit}&lease=3600"));
        let mut expected = self.model.ready();
        expected.truncate(limits[0] + limits[1]);
        let (one, other) = tokio::join!(
            pull(&self.hub, "s", &queries[0]),
            pull(&self.hub, "s", &queries[1])
        );
        let mut got: Vec<u64> = one.iter().chain(&other).map(offset_of).collect();
        got.sort_unstable();
        assert_eq!(got, expected);
        self.model.hand_out(0, &one);
        self.model.hand_out(1, &other);
    }

    /// One of the clients settles some of what it has.
    async fn settle(&mut self) {
        let client = self.random.usize(0..2);
        let mine = self
            .model
            .out
            .iter()
            .filter(|(_, out)| out.client == client);
        let mine: Vec<(u64, String)> = mine
            .map(|(offset, out)| (*offset, out.token.clone()))
            .collect();
        let (mut ack, mut nack, mut reject) = (Vec::new(), Vec::new(), Vec::new());
        for (offset, token) in mine {
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
            self.model.give_back(offset);
        }
        let mut expected = vec!["acknowledged"; ack.len()];
        expected.extend(vec!["retrying"; nack.len()]);
        expected.extend(vec!["dead"; reject.len()]);
        let request = json!({"ack": ack, "nack": nack, "reject": reject});
        assert_eq!(settle(&self.hub, "s", request).await, expected);
    }

    /// Old tokens are good as long as nobody else has had the event since; those of before a reset
    /// never are.
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
            model.delayed.remove(&offset);
        } else {
            // It may have been handed out once more meanwhile, and given back.
            assert_eq!(status, ["expired"], "{offset}");
        }
    }

    fn any_out(&mut self) -> Option<(u64, String)> {
        let count = self.model.out.len();
        let index = (count > 0).then(|| self.random.usize(0..count))?;
        let (offset, out) = self.model.out.iter().nth(index)?;
        Some((*offset, out.token.clone()))
    }

    /// What a client has it keeps; what nobody has cannot be kept, nor what somebody else has.
    async fn extend(&mut self) {
        if let Some((_, token)) = self.any_out() {
            let request = json!({"extend": [{"lease": token, "seconds": 7200}]});
            assert_eq!(settle(&self.hub, "s", request).await, ["extended"]);
        }
        if self.model.old.is_empty() {
            return;
        }
        let index = self.random.usize(0..self.model.old.len());
        let (offset, token, was_reset) = &self.model.old[index];
        let request = json!({"extend": [{"lease": token, "seconds": 7200}]});
        let settled = !was_reset && self.model.settled.contains(offset);
        let expected = if settled { "already" } else { "expired" };
        assert_eq!(
            settle(&self.hub, "s", request).await,
            [expected],
            "{offset}"
        );
    }

    async fn nack(&mut self, offset: u64, token: &str, delay_ms: u64) {
        let nack = json!([{"lease": token, "delay_ms": delay_ms}]);
        let request = json!({ "nack": nack });
        assert_eq!(settle(&self.hub, "s", request).await, ["retrying"]);
        self.model.give_back(offset);
    }

    async fn delay(&mut self) {
        if let Some((offset, token)) = self.any_out() {
            self.nack(offset, &token, FOR_EVER_MS).await;
            self.model.delayed.insert(offset);
        }
    }

    /// Given back for a short time: it comes again by itself.
    async fn await_delay(&mut self) {
        if let Some((offset, token)) = self.any_out() {
            self.nack(offset, &token, 50).await;
            self.await_again(BTreeSet::from([offset])).await;
        }
    }

    /// A short lease ends, and one that was extended does not.
    async fn await_lapse(&mut self) {
        let mut expected = self.model.ready();
        expected.truncate(3);
        let events = pull(&self.hub, "s", "limit=3&lease=0.2").await;
        let got: Vec<u64> = events.iter().map(offset_of).collect();
        assert_eq!(got, expected);
        self.model.hand_out(0, &events);
        let mut lapsing: BTreeSet<u64> = got.into_iter().collect();
        if let Some(kept) = events.first() {
            let request = json!({"extend": [{"lease": token_of(kept), "seconds": 3600}]});
            // On a machine that is slow it may have lapsed before.
            if settle(&self.hub, "s", request).await == ["extended"] {
                lapsing.remove(&offset_of(kept));
            }
        }
        for offset in &lapsing {
            self.model.give_back(*offset);
        }
        self.await_again(lapsing).await;
    }

    /// Pulls until all of these have come; meanwhile whatever is ready comes, too, and nothing else.
    async fn await_again(&mut self, mut awaited: BTreeSet<u64>) {
        while !awaited.is_empty() {
            let ready: BTreeSet<u64> = self.model.ready().into_iter().collect();
            let events = pull(&self.hub, "s", "limit=1000&wait=30&lease=3600").await;
            assert!(!events.is_empty(), "{awaited:?} do not come");
            for offset in events.iter().map(offset_of) {
                assert!(
                    awaited.remove(&offset) || ready.contains(&offset),
                    "{offset}"
                );
            }
            let client = self.random.usize(0..2);
            self.model.hand_out(client, &events);
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
        let to = self.random.u64(0..=self.model.events.len() as u64);
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
        // A kill may forget of the last second that something was to wait.
        if self.random.bool() && self.model.delayed.is_empty() {
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
        let unsettled: Vec<u64> = model
            .wanted()
            .filter(|offset| !model.settled.contains(offset))
            .collect();
        let lag = usize::try_from(status["lag"].as_u64().unwrap()).unwrap();
        let low = status["partitions"][0]["low"].as_u64().unwrap();
        let first = unsettled
            .first()
            .copied()
            .unwrap_or(model.events.len() as u64);
        if self.filtered {
            // What is not read yet may be left out then.
            let most = model.events.len() - model.settled.len();
            assert!((unsettled.len()..=most).contains(&lag), "{status}");
            assert!(low <= first, "{first}: {status}");
        } else {
            assert_eq!((lag, low), (unsettled.len(), first), "{status}");
        }
        assert_eq!(status["out"], model.out.len(), "{status}");
        let counts = &status["counts"];
        assert_eq!(counts["dead"], model.dead, "{status}");
        assert_eq!(counts["dead_letters"], model.letters, "{status}");
        assert_eq!(
            self.hub.tail("sandbar.dead-letters", 0).await,
            model.letters
        );
    }
}

async fn history(hold: bool, filtered: bool) {
    let seed = std::env::var("SANDBAR_SEED")
        .ok()
        .map(|text| text.parse().expect("a number"));
    let seed = seed.unwrap_or_else(|| fastrand::u64(..));
    println!("SANDBAR_SEED={seed}");
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let on_failure = if hold { "hold-key" } else { "park" };
    let mut document = json!({"topics": ["t"], "on_failure": on_failure});
    if filtered {
        document["filters"] = json!([{"not": {"exact": {"type": OTHER}}}]);
    }
    subscribe(&hub, "s", document).await;
    let mut run = Run {
        hub,
        model: Model::default(),
        random: Rng::with_seed(seed),
        hold,
        filtered,
    };
    for _ in 0..250 {
        run.step().await;
    }
    // All that is ready comes; then all is read.
    while !run.model.ready().is_empty() {
        run.take().await;
    }
    assert!(pull(&run.hub, "s", "limit=1000").await.is_empty());
    let status = status(&run.hub, "s").await;
    let model = &run.model;
    let unsettled = model
        .wanted()
        .filter(|offset| !model.settled.contains(offset));
    assert_eq!(status["lag"], unsettled.count(), "{status}");
}

#[tokio::test]
async fn a_random_history_is_as_the_model_says() {
    history(false, false).await;
}

#[tokio::test]
async fn a_random_history_with_held_keys_is_as_the_model_says() {
    history(true, false).await;
}

#[tokio::test]
async fn a_random_history_with_filters_is_as_the_model_says() {
    history(false, true).await;
}

#[tokio::test]
async fn a_random_history_with_filters_and_held_keys_is_as_the_model_says() {
    history(true, true).await;
}
