//! `sandbar bench hostile`: what routes notice of plugins that misbehave on other routes of the same hub.
//!
//! Quiet routes get an event now and then; from sending it to having read its output is one sample. The
//! phases take turns: quiet alone, beside one kind of harm, alone, beside the next, and so on.

use std::{
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use hdrhistogram::Histogram;
use serde_json::{Value, json};
use tokio::task::JoinSet;

use super::{
    client::{Client, variant},
    process::Hub,
};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Hostile routes of each kind, and quiet ones.
    pub routes: usize,
    /// Of one phase.
    pub seconds: u64,
    pub rounds: usize,
    /// The kinds of harm; all when there are none.
    pub only: Vec<String>,
    /// The folder of the guests, built by `make guests`.
    pub guests: PathBuf,
    /// On the disk to be measured; a folder of its own is made in it and removed again.
    pub folder: PathBuf,
    pub json: bool,
}

/// A kind of harm: what is done to the hub while the quiet routes are measured.
struct Harm {
    name: &'static str,
    /// The type of the events that the hostile guest gets, how many at once and how often.
    kind: &'static str,
    events: usize,
    every: Duration,
}

/// Uploads instead of events.
const COMPILING: &str = "compiling";

const fn harm(name: &'static str, kind: &'static str, events: usize, every_ms: u64) -> Harm {
    Harm {
        name,
        kind,
        events,
        every: Duration::from_millis(every_ms),
    }
}

const HARMS: [Harm; 6] = [
    // Nothing: how far two equal phases are apart on this machine.
    harm("nothing", "", 0, 1000),
    // An event keeps its thread for a second, so there is always one under way on each route.
    harm("endless loops", "loop", 1, 500),
    harm("traps", "trap", 5, 100),
    harm("memory", "memory", 1, 100),
    harm("log floods", "chatter", 1, 200),
    harm(COMPILING, "", 0, 1),
];

/// Between two events of a quiet route.
const PAUSE: Duration = Duration::from_millis(10);

struct Measured {
    name: &'static str,
    alone: Histogram<u64>,
    beside: Histogram<u64>,
    /// p99 beside / p99 alone, of each round.
    ratios: Vec<f64>,
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    if options.routes == 0 || options.seconds == 0 || options.rounds == 0 {
        return Err("routes, seconds and rounds must be at least 1".into());
    }
    let measured = super::in_folder(&options.folder, |folder| measure(options, folder))?;
    print(options, &measured);
    Ok(())
}

fn measure(options: &Options, folder: &Path) -> Result<Vec<Measured>, String> {
    let guest = |name: &str| super::plugin(&options.guests.join(format!("{name}.wasm")));
    let (orders, hostile, large) = (
        guest("guest-orders-columns")?,
        guest("guest-hostile")?,
        guest("jq")?,
    );
    let runtime = super::runtime()?;
    let mut hub = Hub::start(&folder.join("hub"))?;
    let client = Client::new(&hub.url)?;
    runtime.block_on(prepare(&client, options, &orders, &hostile))?;
    let mut load = Load {
        client,
        options: options.clone(),
        large,
        sent: vec![0; options.routes],
        uploads: 0,
        events: 0,
    };
    let wanted = |harm: &&Harm| {
        options.only.is_empty()
            || options
                .only
                .iter()
                .any(|only| harm.name.contains(only.as_str()))
    };
    let mut measured = Vec::new();
    for harm in HARMS.iter().filter(wanted) {
        measured.push(Measured {
            name: harm.name,
            alone: super::histogram()?,
            beside: super::histogram()?,
            ratios: Vec::new(),
        });
    }
    // Connections, instances and pages are there then.
    runtime.block_on(load.quiet(Duration::from_secs(1)))?;
    for round in 1..=options.rounds {
        for (place, harm) in HARMS.iter().filter(wanted).enumerate() {
            let time = Duration::from_secs(options.seconds);
            let alone = runtime.block_on(load.quiet(time))?;
            let beside = runtime.block_on(load.beside(harm, time))?;
            hub.comes_to_rest(Duration::from_millis(500), 0.03)?;
            let found = &mut measured[place];
            let p99 = |histogram: &Histogram<u64>| histogram.value_at_quantile(0.99) as f64;
            found.ratios.push(p99(&beside) / p99(&alone));
            found.alone.add(&alone).map_err(|error| error.to_string())?;
            found
                .beside
                .add(&beside)
                .map_err(|error| error.to_string())?;
            eprintln!("round {round} of {}: {}", options.rounds, harm.name);
        }
    }
    hub.stop()?;
    Ok(measured)
}

async fn prepare(
    client: &Client,
    options: &Options,
    orders: &[u8],
    hostile: &[u8],
) -> Result<(), String> {
    client.upload("orders", "1", orders.to_vec()).await?;
    client.upload("hostile", "1", hostile.to_vec()).await?;
    for number in 0..options.routes {
        for (prefix, plugin) in [("quiet", "orders@1"), ("hostile", "hostile@1")] {
            let (from, to) = (
                format!("{prefix}.{number}"),
                format!("{prefix}.{number}.out"),
            );
            for topic in [&from, &to] {
                client
                    .put(&format!("/v1/topics/{topic}"), &json!({}))
                    .await?;
            }
            let route = json!({
                "from": from, "to": [to], "steps": [{"plugin": plugin}], "retry": {"max_attempts": 1}
            });
            client
                .put(&format!("/v1/routes/{prefix}-{number}"), &route)
                .await?;
        }
    }
    Ok(())
}

struct Load {
    client: Client,
    options: Options,
    large: Vec<u8>,
    /// Events sent to each quiet route so far; as many outputs came.
    sent: Vec<u64>,
    uploads: u64,
    /// Hostile events so far.
    events: u64,
}

impl Load {
    /// An event after the other on each quiet route.
    async fn quiet(&mut self, time: Duration) -> Result<Histogram<u64>, String> {
        let until = Instant::now() + time;
        let mut routes = JoinSet::new();
        for (number, sent) in self.sent.iter().copied().enumerate() {
            routes.spawn(one_route(self.client.clone(), number, sent, until));
        }
        let mut all = super::histogram()?;
        while let Some(route) = routes.join_next().await {
            let (number, sent, took) = route.map_err(|error| error.to_string())??;
            self.sent[number] = sent;
            all.add(&took).map_err(|error| error.to_string())?;
        }
        Ok(all)
    }

    /// The same, while harm is done.
    async fn beside(&mut self, harm: &Harm, time: Duration) -> Result<Histogram<u64>, String> {
        let over = Arc::new(AtomicBool::new(false));
        let harming = tokio::spawn(do_harm(
            self.client.clone(),
            (harm.name, harm.kind, harm.events, harm.every),
            self.options.routes,
            (self.events, self.uploads, self.large.clone()),
            over.clone(),
        ));
        // The harm is under way when the measuring begins.
        tokio::time::sleep(Duration::from_millis(500)).await;
        let measured = self.quiet(time).await;
        over.store(true, Ordering::Relaxed);
        (self.events, self.uploads) = harming.await.map_err(|error| error.to_string())??;
        measured
    }
}

async fn one_route(
    client: Client,
    number: usize,
    mut sent: u64,
    until: Instant,
) -> Result<(usize, u64, Histogram<u64>), String> {
    let mut took = super::histogram()?;
    while Instant::now() < until {
        let data: Value = serde_json::from_slice(&guest_orders::sample(sent))
            .map_err(|error| error.to_string())?;
        let event = [(sent.to_string(), data)];
        let started = Instant::now();
        client
            .publish(&format!("quiet.{number}"), "shop.order", &event)
            .await?;
        client.read(&format!("quiet.{number}.out"), sent).await?;
        took.saturating_record(u64::try_from(started.elapsed().as_micros()).unwrap_or(u64::MAX));
        sent += 1;
        tokio::time::sleep(PAUSE).await;
    }
    Ok((number, sent, took))
}

/// Until `over`. Gives back how many events and uploads there were by then.
async fn do_harm(
    client: Client,
    (name, kind, count, every): (&str, &'static str, usize, Duration),
    routes: usize,
    (mut events, mut uploads, large): (u64, u64, Vec<u8>),
    over: Arc<AtomicBool>,
) -> Result<(u64, u64), String> {
    while !over.load(Ordering::Relaxed) {
        if name == COMPILING {
            let version = uploads.to_string();
            client
                .upload("large", &version, variant(&large, uploads))
                .await?;
            uploads += 1;
        }
        for number in 0..if count == 0 { 0 } else { routes } {
            let batch: Vec<(String, Value)> = (0..count as u64)
                .map(|nth| ((events + nth).to_string(), json!({})))
                .collect();
            events += count as u64;
            client
                .publish(&format!("hostile.{number}"), kind, &batch)
                .await?;
        }
        tokio::time::sleep(every).await;
    }
    Ok((events, uploads))
}

fn print(options: &Options, measured: &[Measured]) {
    let quantiles = |histogram: &Histogram<u64>| {
        [0.5, 0.99].map(|quantile| histogram.value_at_quantile(quantile) as f64 / 1000.0)
    };
    if options.json {
        let rows: Vec<Value> = measured
            .iter()
            .map(|one| {
                let (alone, beside) = (quantiles(&one.alone), quantiles(&one.beside));
                json!({
                    "beside": one.name, "samples": one.beside.len(),
                    "alone_ms": {"p50": alone[0], "p99": alone[1]},
                    "beside_ms": {"p50": beside[0], "p99": beside[1]},
                    "p99_ratios": one.ratios,
                })
            })
            .collect();
        println!(
            "{}",
            json!({"routes": options.routes, "rounds": options.rounds, "harms": rows})
        );
        return;
    }
    println!(
        "publish → output of {} quiet routes, ms, alone and beside {} hostile ones; {} rounds of {} s",
        options.routes, options.routes, options.rounds, options.seconds
    );
    println!("                       alone           beside         p99 beside / alone");
    println!("                    p50     p99      p50     p99     median   range   samples");
    for one in measured {
        let (alone, beside) = (quantiles(&one.alone), quantiles(&one.beside));
        let mut ratios = one.ratios.clone();
        ratios.sort_by(f64::total_cmp);
        println!(
            "  {:<14} {:>7.2} {:>7.2}  {:>7.2} {:>7.2}  {:>7.2}   {:.2}–{:.2}  {}",
            one.name,
            alone[0],
            alone[1],
            beside[0],
            beside[1],
            ratios[ratios.len() / 2],
            ratios[0],
            ratios[ratios.len() - 1],
            one.beside.len(),
        );
    }
}
