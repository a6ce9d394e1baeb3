//! The load on the hub: publishers and a reader, over HTTP.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use serde_json::{Value, json};

use super::{Measured, Options, client::done};
use crate::contract::Definition;

const SOURCE: &str = "bench.orders";
const TARGET: &str = "bench.parcels";

/// The body of one publish.
#[derive(Clone, Debug)]
pub struct Body {
    /// A CloudEvents batch.
    pub json: Bytes,
    /// Bytes of event data in it.
    pub data_bytes: usize,
    /// Events of it that come out at the other end.
    pub outputs: usize,
}

/// The contract of the orders.
pub fn contract() -> Definition {
    definition(json!({
        "type": "object",
        "required": ["number", "customer", "lines"],
        "properties": {
            "number": {"type": "integer", "minimum": 0},
            "customer": {
                "type": "object",
                "required": ["name", "city"],
                "properties": {"name": {"type": "string"}, "city": {"type": "string"}}
            },
            "lines": {"type": "array", "items": {
                "type": "object",
                "required": ["article", "pieces", "cents"],
                "properties": {
                    "article": {"type": "string"},
                    "pieces": {"type": "integer", "minimum": 0},
                    "cents": {"type": "integer", "minimum": 0}
                }
            }},
            "note": {"type": ["string", "null"]}
        }
    }))
}

/// The contract of the parcels.
pub fn output_contract() -> Definition {
    definition(json!({
        "type": "object",
        "required": ["order", "to", "city", "pieces", "articles"],
        "properties": {
            "order": {"type": "integer"},
            "to": {"type": "string"},
            "city": {"type": "string"},
            "pieces": {"type": "integer", "minimum": 1},
            "value_cents": {"type": "integer"},
            "articles": {"type": "array", "items": {"type": "string"}},
            "note": {"type": ["string", "null"]}
        }
    }))
}

fn definition(schema: Value) -> Definition {
    Definition {
        schema,
        ..Definition::default()
    }
}

/// The bodies of one round; ids differ from round to round.
pub fn bodies(events: usize, batch: usize, round: usize) -> Vec<Body> {
    let numbers: Vec<usize> = (0..events).collect();
    numbers
        .chunks(batch)
        .map(|chunk| body(chunk, round))
        .collect()
}

fn body(numbers: &[usize], round: usize) -> Body {
    let mut json = vec![b'['];
    let (mut data_bytes, mut outputs) = (0, 0);
    for (place, number) in numbers.iter().enumerate() {
        let data = guest_orders::sample(*number as u64);
        if place > 0 {
            json.push(b',');
        }
        let head = format!(
            r#"{{"specversion":"1.0","id":"{round}-{number}","source":"/bench","type":"shop.order","subject":"customer-{}","data":"#,
            number % 1000
        );
        json.extend_from_slice(head.as_bytes());
        json.extend_from_slice(&data);
        json.push(b'}');
        data_bytes += data.len();
        outputs += usize::from(matches!(
            guest_orders::map(&data),
            Ok(guest_orders::Mapped::Parcel { .. })
        ));
    }
    json.push(b']');
    Body {
        json: json.into(),
        data_bytes,
        outputs,
    }
}

/// A client of the hub under test.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

/// What a round came to.
#[derive(Clone, Copy, Debug)]
pub struct Outcome {
    pub took: Duration,
    pub outputs: usize,
}

impl Client {
    pub fn new(url: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            url: url.to_owned(),
        })
    }

    /// Topics, contracts, plugin and route.
    pub async fn prepare(&self, options: &Options, plugin: &[u8]) -> Result<(), String> {
        for (name, definition) in [("order", contract()), ("parcel", output_contract())] {
            let request = self
                .http
                .post(format!("{}/v1/contracts/{name}/versions", self.url))
                .json(&definition);
            done(request).await?;
        }
        for (name, contract) in [(SOURCE, "order"), (TARGET, "parcel")] {
            let document = json!({"partitions": options.partitions, "contract": contract});
            done(
                self.http
                    .put(format!("{}/v1/topics/{name}", self.url))
                    .json(&document),
            )
            .await?;
        }
        let upload = self
            .http
            .put(format!("{}/v1/plugins/orders/versions/1", self.url));
        done(
            upload
                .header("content-type", "application/wasm")
                .body(plugin.to_vec()),
        )
        .await?;
        let route = json!({"from": SOURCE, "to": [TARGET], "steps": [{"plugin": "orders@1"}]});
        done(
            self.http
                .put(format!("{}/v1/routes/orders", self.url))
                .json(&route),
        )
        .await?;
        Ok(())
    }

    /// Publishes all bodies and reads all outputs.
    pub async fn round(
        &self,
        options: &Options,
        bodies: &[Body],
        round: usize,
        measured: &mut Measured,
    ) -> Result<Outcome, String> {
        let expected: usize = bodies.iter().map(|body| body.outputs).sum();
        let sent: Arc<Mutex<Vec<Option<Instant>>>> = Arc::new(Mutex::new(vec![None; bodies.len()]));
        let bodies: Arc<[Body]> = bodies.into();
        let next = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let mut publishers = Vec::new();
        for _ in 0..options.concurrency {
            let (client, bodies, next, sent) =
                (self.clone(), bodies.clone(), next.clone(), sent.clone());
            publishers.push(tokio::spawn(async move {
                client.publish(&bodies, &next, &sent).await
            }));
        }
        let mut readers = Vec::new();
        let arrived = Arc::new(AtomicUsize::new(0));
        for partition in 0..options.partitions {
            let reader = Reader {
                client: self.clone(),
                partition,
                round,
                batch: options.batch,
                expected,
                arrived: arrived.clone(),
            };
            readers.push(tokio::spawn(reader.read(self.tail(partition).await?)));
        }
        for publisher in publishers {
            for micros in publisher.await.map_err(|error| error.to_string())?? {
                measured.publish.saturating_record(micros);
            }
        }
        let mut outputs = 0;
        let mut last_of_body: BTreeMap<usize, Instant> = BTreeMap::new();
        for reader in readers {
            let (count, seen) = reader.await.map_err(|error| error.to_string())??;
            outputs += count;
            for (body, moment) in seen {
                let last = last_of_body.entry(body).or_insert(moment);
                *last = (*last).max(moment);
            }
        }
        let took = started.elapsed();
        let sent = sent.lock().unwrap_or_else(PoisonError::into_inner);
        for (body, moment) in last_of_body {
            if let Some(Some(sent)) = sent.get(body) {
                measured
                    .whole_way
                    .saturating_record(micros(moment.duration_since(*sent)));
            }
        }
        Ok(Outcome { took, outputs })
    }

    async fn publish(
        &self,
        bodies: &[Body],
        next: &AtomicUsize,
        sent: &Mutex<Vec<Option<Instant>>>,
    ) -> Result<Vec<u64>, String> {
        let mut took = Vec::new();
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            let Some(body) = bodies.get(number) else {
                return Ok(took);
            };
            let started = Instant::now();
            sent.lock().unwrap_or_else(PoisonError::into_inner)[number] = Some(started);
            let request = self
                .http
                .post(format!("{}/v1/topics/{SOURCE}/events", self.url));
            let request = request.header("content-type", "application/cloudevents-batch+json");
            done(request.body(body.json.clone())).await?;
            took.push(micros(started.elapsed()));
        }
    }

    /// Where a partition of the target ends before the round.
    async fn tail(&self, partition: u32) -> Result<u64, String> {
        let text = done(self.http.get(format!("{}/v1/topics/{TARGET}", self.url))).await?;
        let topic: Value = serde_json::from_slice(&text).map_err(|error| error.to_string())?;
        let tail = &topic["state"]["partitions"][partition as usize]["tail"];
        tail.as_u64().ok_or_else(|| format!("no tail in {topic}"))
    }
}

struct Reader {
    client: Client,
    partition: u32,
    round: usize,
    batch: usize,
    /// Outputs over all partitions.
    expected: usize,
    arrived: Arc<AtomicUsize>,
}

impl Reader {
    /// Reads until all outputs of the round are read; when the last output of each body was seen.
    async fn read(self, from: u64) -> Result<(usize, BTreeMap<usize, Instant>), String> {
        let mut at = from;
        let mut count = 0;
        let mut seen = BTreeMap::new();
        let prefix = format!("\"id\":\"{}-", self.round);
        let finder = memchr::memmem::Finder::new(prefix.as_bytes());
        while self.arrived.load(Ordering::Relaxed) < self.expected {
            let (url, partition) = (&self.client.url, self.partition);
            let url = format!(
                "{url}/v1/topics/{TARGET}/events?partition={partition}&offset={at}&limit=10000&wait=0.2"
            );
            let page = done(self.client.http.get(url)).await?;
            let now = Instant::now();
            let mut events = 0;
            for place in finder.find_iter(&page) {
                let digits = &page[place + prefix.len()..];
                let number: usize = digits
                    .iter()
                    .take_while(|byte| byte.is_ascii_digit())
                    .fold(0, |number, digit| number * 10 + usize::from(digit - b'0'));
                seen.insert(number / self.batch, now);
                events += 1;
            }
            at += events as u64;
            count += events;
            self.arrived.fetch_add(events, Ordering::Relaxed);
        }
        Ok((count, seen))
    }
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}
