//! `sandbar bench pull`: events of a warm log through a subscription, pulled in batches and as streams
//! of server-sent events, with acknowledgements, against a floor in the same run: a scan of the same
//! log, and as many bytes over HTTP.

mod floor;
mod streamed;

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use floor::Floor;
use serde_json::{Value, json};

use super::{process, report::median};

const TOPIC: &str = "bench.pull";
/// Events of a publish, and of a frame.
const BATCH: usize = 1000;

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    pub events: usize,
    /// Bytes of data of an event.
    pub bytes: usize,
    /// Different keys.
    pub keys: usize,
    /// Events of one pull.
    pub limit: usize,
    /// Clients at a time.
    pub clients: usize,
    pub partitions: u32,
    pub rounds: usize,
    /// On the disk to be measured.
    pub folder: PathBuf,
    pub json: bool,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    hub: Duration,
    streamed: Duration,
    floor: Duration,
    /// Of the hub: pulled, streamed.
    cpu_seconds: [f64; 2],
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    let numbers = [
        options.events,
        options.keys,
        options.limit,
        options.clients,
        options.rounds,
    ];
    if numbers.contains(&0) || options.partitions == 0 || options.bytes < 16 {
        return Err("all numbers must be at least 1, and an event has at least 16 bytes".into());
    }
    let folder = options
        .folder
        .join(format!("sandbar-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let measured = measure(options, &folder);
    let _ = std::fs::remove_dir_all(&folder);
    let (rounds, memory) = measured?;
    print(options, &rounds, memory);
    Ok(())
}

fn measure(options: &Options, folder: &Path) -> Result<(Vec<Round>, u64), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let mut hub = process::Hub::start(&folder.join("hub"))?;
    let client = Client {
        http: reqwest::Client::new(),
        url: hub.url.clone(),
    };
    let floor = Floor::start(options, &folder.join("floor"), &runtime)?;
    runtime.block_on(client.fill(options))?;
    let mut rounds = Vec::new();
    // One round that is not counted: the pages of the files are there then.
    for round in 0..=options.rounds {
        let before = hub.cpu_seconds();
        let pulled = client.round(options, format!("pull-{round}"), Way::Batches);
        let (took, bytes) = runtime.block_on(pulled)?;
        let between = hub.cpu_seconds();
        let streamed = client.round(options, format!("stream-{round}"), Way::Streams);
        let (streamed, _) = runtime.block_on(streamed)?;
        let cpu_seconds = [between - before, hub.cpu_seconds() - between];
        let scanned = runtime.block_on(floor.round(options, bytes))?;
        let kind = if round == 0 { " (warm-up)" } else { "" };
        eprintln!("round {round} of {}{kind}", options.rounds);
        if round > 0 {
            rounds.push(Round {
                hub: took,
                streamed,
                floor: scanned,
                cpu_seconds,
            });
        }
    }
    let memory = hub.peak_memory();
    hub.stop()?;
    Ok((rounds, memory))
}

fn event(options: &Options, number: usize) -> (String, String) {
    let mut data = format!(r#"{{"n":{number},"p":""#);
    while data.len() < options.bytes.saturating_sub(2) {
        data.push('x');
    }
    data.push_str("\"}");
    (format!("key-{}", number % options.keys), data)
}

#[derive(Clone)]
struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    async fn done(request: reqwest::RequestBuilder) -> Result<(Bytes, Option<String>), String> {
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let lease = response
            .headers()
            .get("sandbar-lease")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let body = response.bytes().await.map_err(|error| error.to_string())?;
        if status.is_success() {
            Ok((body, lease))
        } else {
            Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
        }
    }

    async fn put(&self, path: &str, document: Value) -> Result<(), String> {
        let request = self.http.put(format!("{}{path}", self.url));
        Self::done(request.json(&document)).await.map(drop)
    }

    async fn fill(&self, options: &Options) -> Result<(), String> {
        let topic = json!({"partitions": options.partitions, "dedupe": {"max_events": 0}});
        self.put(&format!("/v1/topics/{TOPIC}"), topic).await?;
        let numbers: Vec<usize> = (0..options.events).collect();
        for numbers in numbers.chunks(BATCH) {
            let mut body = String::from("[");
            for (place, number) in numbers.iter().enumerate() {
                let (key, data) = event(options, *number);
                let comma = if place > 0 { "," } else { "" };
                body.push_str(&format!(
                    r#"{comma}{{"specversion":"1.0","id":"{number}","source":"/bench","type":"bench.event","subject":"{key}","data":{data}}}"#
                ));
            }
            body.push(']');
            let request = self
                .http
                .post(format!("{}/v1/topics/{TOPIC}/events", self.url));
            let request = request.header("content-type", "application/cloudevents-batch+json");
            Self::done(request.body(body)).await?;
        }
        Ok(())
    }

    /// Takes and acknowledges everything by a subscription of this name; how long it took, and how
    /// many bytes came.
    async fn round(
        &self,
        options: &Options,
        name: String,
        way: Way,
    ) -> Result<(Duration, usize), String> {
        let document = json!({"topics": [TOPIC], "lease_seconds": 600});
        self.put(&format!("/v1/subscriptions/{name}"), document)
            .await?;
        let acknowledged = Arc::new(AtomicUsize::new(0));
        let started = Instant::now();
        let clients = (0..options.clients).map(|_| {
            let (client, name, acknowledged) = (self.clone(), name.clone(), acknowledged.clone());
            let (limit, events) = (options.limit, options.events);
            tokio::spawn(async move {
                match way {
                    Way::Batches => client.pull(&name, limit, events, &acknowledged).await,
                    Way::Streams => client.stream(&name, limit, events, &acknowledged).await,
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        let mut bytes = 0;
        for client in clients {
            bytes += client.await.map_err(|error| error.to_string())??;
        }
        let took = started.elapsed();
        let request = self
            .http
            .delete(format!("{}/v1/subscriptions/{name}", self.url));
        Self::done(request).await?;
        Ok((took, bytes))
    }

    async fn pull(
        &self,
        name: &str,
        limit: usize,
        events: usize,
        acknowledged: &AtomicUsize,
    ) -> Result<usize, String> {
        let mut bytes = 0;
        let url = format!("{}/v1/subscriptions/{name}", self.url);
        while acknowledged.load(Ordering::Relaxed) < events {
            let request = self
                .http
                .get(format!("{url}/events?limit={limit}&wait=0.2"));
            let (body, lease) = Self::done(request).await?;
            let Some(lease) = lease else { continue };
            bytes += body.len();
            let count = self.acknowledge(name, &json!({ "ack": [lease] })).await?;
            acknowledged.fetch_add(count, Ordering::Relaxed);
        }
        Ok(bytes)
    }

    /// How many events were acknowledged.
    async fn acknowledge(&self, name: &str, request: &Value) -> Result<usize, String> {
        let url = format!("{}/v1/subscriptions/{name}/ack", self.url);
        let (answer, _) = Self::done(self.http.post(url).json(request)).await?;
        let answer: Value = serde_json::from_slice(&answer).map_err(|error| error.to_string())?;
        let count = answer["acknowledged"].as_u64().unwrap_or(0);
        Ok(usize::try_from(count).unwrap_or(0))
    }
}

/// How events come to the client.
#[derive(Clone, Copy)]
enum Way {
    Batches,
    Streams,
}

fn print(options: &Options, rounds: &[Round], memory: u64) {
    let events = options.events as f64;
    let each = |take: &dyn Fn(&Round) -> f64| median(rounds.iter().map(take).collect());
    let per_second = |took: Duration| events / took.as_secs_f64();
    let hub = each(&|round| per_second(round.hub));
    let streamed = each(&|round| per_second(round.streamed));
    let floor = each(&|round| per_second(round.floor));
    let share = |took: Duration, floor: Duration| floor.as_secs_f64() / took.as_secs_f64();
    let ratio = each(&|round| share(round.hub, round.floor));
    let streamed_ratio = each(&|round| share(round.streamed, round.floor));
    let cpu = [0, 1].map(|way| each(&|round| round.cpu_seconds[way] * 1e6 / events));
    if options.json {
        let document = json!({
            "events": options.events, "bytes": options.bytes, "keys": options.keys, "limit": options.limit,
            "clients": options.clients, "partitions": options.partitions, "rounds": options.rounds,
            "events_per_second": hub, "streamed_events_per_second": streamed,
            "floor_events_per_second": floor, "ratio": ratio, "streamed_ratio": streamed_ratio,
            "hub_cpu_us_per_event": cpu[0], "streamed_hub_cpu_us_per_event": cpu[1],
            "hub_peak_memory_bytes": memory,
        });
        println!("{document}");
        return;
    }
    println!(
        "{} events of {} bytes, {} keys, {} a pull, {} client(s), {} partition(s); medians of {} rounds",
        options.events,
        options.bytes,
        options.keys,
        options.limit,
        options.clients,
        options.partitions,
        options.rounds
    );
    println!(
        "  pulled and acknowledged   {hub:>10.0} events/s   of the floor {ratio:>5.2}   CPU of the hub {:>5.2} µs/event",
        cpu[0]
    );
    println!(
        "  streamed and acknowledged {streamed:>10.0} events/s   of the floor {streamed_ratio:>5.2}   CPU of the hub {:>5.2} µs/event",
        cpu[1]
    );
    println!("  floor                     {floor:>10.0} events/s");
    println!(
        "  memory of the hub         {:>10.0} MB at most",
        memory as f64 / 1e6
    );
}
