//! `sandbar bench push`: webhooks. Three questions: how many requests a second one hub makes to one
//! receiver, against a minimal client that posts the same bodies; how much later than its publish an
//! event is on its way when nothing else goes on; and what 200 endpoints that hang do to 800 others.
//!
//! The receiver is in this process, hub and floor each in one of their own; they share the machine.

mod client;
mod receiver;

use std::{
    net::SocketAddr,
    path::{Path, PathBuf},
    process::Stdio,
    time::{Duration, Instant},
};

use client::Client;
use receiver::Receiver;
use serde_json::json;

use super::{histogram, process, report::median};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events of one round.
    pub events: usize,
    /// Bytes of data of an event.
    pub bytes: usize,
    /// Requests under way at a time.
    pub concurrency: u32,
    pub rounds: usize,
    /// Events of the idle case.
    pub idle: usize,
    /// Subscriptions of the last case; 0 leaves it out.
    pub subscriptions: usize,
    /// Those of them whose endpoints hang.
    pub hanging: usize,
    /// On the disk to be measured.
    pub folder: PathBuf,
    pub json: bool,
}

#[derive(Clone, Copy, Debug)]
struct Round {
    hub: Duration,
    signed: Duration,
    floor: Duration,
}

/// Latencies in microseconds.
type Latencies = hdrhistogram::Histogram<u64>;

struct Measured {
    rounds: Vec<Round>,
    idle: Latencies,
    quiet: Latencies,
    hung: Latencies,
    memory: u64,
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    if options.events == 0 || options.rounds == 0 || options.concurrency == 0 || options.bytes < 16
    {
        return Err("all numbers must be at least 1, and an event has at least 16 bytes".into());
    }
    if options.subscriptions > 0 && options.hanging >= options.subscriptions {
        return Err("some endpoints must not hang".into());
    }
    let folder = options
        .folder
        .join(format!("sandbar-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    let measured = runtime.block_on(measure(options, &folder));
    runtime.shutdown_background();
    let _ = std::fs::remove_dir_all(&folder);
    print(options, &measured?);
    Ok(())
}

async fn measure(options: &Options, folder: &Path) -> Result<Measured, String> {
    let receiver = Receiver::start().await?;
    let mut hub = process::Hub::start_with(&folder.join("hub"), &["--allow-private-targets"])?;
    let client = Client::new(&hub.url);
    let rounds = throughput(options, &client, &receiver).await?;
    let idle = idle(options, &client, &receiver).await?;
    let (mut quiet, mut hung) = (histogram()?, histogram()?);
    let mut memory = hub.peak_memory();
    if options.subscriptions > 0 {
        // A hub of its own: its memory is that of this case.
        hub.stop()?;
        let folder = folder.join("many");
        let mut hub = process::Hub::start_with(&folder, &["--allow-private-targets"])?;
        let client = Client::new(&hub.url);
        many(options, &client, &receiver, &mut quiet, &mut hung).await?;
        memory = hub.peak_memory();
        hub.stop()?;
    }
    Ok(Measured {
        rounds,
        idle,
        quiet,
        hung,
        memory,
    })
}

/// Hub, hub with signatures, and floor in turns.
async fn throughput(
    options: &Options,
    client: &Client,
    receiver: &Receiver,
) -> Result<Vec<Round>, String> {
    client
        .put("/v1/topics/bench", json!({"dedupe": {"max_events": 0}}))
        .await?;
    client
        .publish("bench", 0, options.events, options.bytes)
        .await?;
    let mut rounds = Vec::new();
    // One round that is not counted.
    for round in 0..=options.rounds {
        let hub = push_all(options, client, receiver, json!([])).await?;
        let floor = receiver.expect(options.events);
        run_floor(options, receiver.address).await?;
        let floor = floor.await?;
        let secret = json!(["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]);
        let signed = push_all(options, client, receiver, secret).await?;
        eprintln!("round {round} of {}", options.rounds);
        if round > 0 {
            rounds.push(Round { hub, signed, floor });
        }
    }
    Ok(rounds)
}

/// The floor, in a process of its own as the hub is.
async fn run_floor(options: &Options, address: SocketAddr) -> Result<(), String> {
    let program = std::env::current_exe().map_err(|error| error.to_string())?;
    let mut command = std::process::Command::new(program);
    command
        .args(["bench", FLOOR])
        .arg(address.to_string())
        .args([options.events, options.bytes].map(|number| number.to_string()))
        .arg(options.concurrency.to_string())
        .stdin(Stdio::null());
    let ended = tokio::task::spawn_blocking(move || command.status()).await;
    match ended.map_err(|error| error.to_string())? {
        Ok(status) if status.success() => Ok(()),
        Ok(status) => Err(format!("the floor ended with {status}")),
        Err(error) => Err(format!("the floor cannot be started: {error}")),
    }
}

/// The command of the process that is the floor.
pub const FLOOR: &str = "push-floor";

/// Posts the data of so many events, so many at a time.
///
/// # Errors
/// In words, when the receiver does not answer.
pub fn floor(
    address: SocketAddr,
    events: usize,
    bytes: usize,
    concurrency: u32,
) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))?;
    runtime.block_on(client::post_all(address, events, bytes, concurrency))
}

/// From the first to the last request of a subscription that is new.
async fn push_all(
    options: &Options,
    client: &Client,
    receiver: &Receiver,
    secrets: serde_json::Value,
) -> Result<Duration, String> {
    let came = receiver.expect(options.events);
    let push = json!({"url": receiver.url("/all"), "concurrency": options.concurrency, "secrets": secrets});
    let document = json!({"topics": ["bench"], "push": push});
    client.put("/v1/subscriptions/bench", document).await?;
    let took = came.await?;
    client.delete("/v1/subscriptions/bench").await?;
    Ok(took)
}

/// How long after the answer to a publish its event arrives; 0 when it arrives before.
async fn idle(
    options: &Options,
    client: &Client,
    receiver: &Receiver,
) -> Result<Latencies, String> {
    let mut latencies = histogram()?;
    client
        .put("/v1/topics/idle", json!({"dedupe": {"max_events": 0}}))
        .await?;
    let push = json!({"url": receiver.url("/one/0")});
    let document = json!({"topics": ["idle"], "push": push});
    client.put("/v1/subscriptions/idle", document).await?;
    for number in 0..options.idle {
        let came = receiver.expect(1);
        client.publish("idle", number, 1, options.bytes).await?;
        let answered = Instant::now();
        came.await?;
        let arrived = receiver.last().saturating_duration_since(answered);
        latencies.saturating_record(micros(arrived).max(1));
        // Nothing else goes on: also the settlement is over.
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    client.delete("/v1/subscriptions/idle").await?;
    Ok(latencies)
}

/// Events for a few subscriptions at a time, in turns with all endpoints well and with some that
/// hang.
async fn many(
    options: &Options,
    client: &Client,
    receiver: &Receiver,
    quiet: &mut Latencies,
    hung: &mut Latencies,
) -> Result<(), String> {
    const PER_TOPIC: usize = 10;
    const EVENTS: usize = 400;
    let topics = options.subscriptions.div_ceil(PER_TOPIC);
    for topic in 0..topics {
        client
            .put(
                &format!("/v1/topics/many-{topic}"),
                json!({"dedupe": {"max_events": 0}}),
            )
            .await?;
    }
    for number in 0..options.subscriptions {
        // Spread over the topics, so that each has some that hang.
        let push = json!({
            "url": receiver.url(&format!("/one/{number}")),
            "timeouts": {"first_byte_ms": 2000, "total_ms": 2000}
        });
        let topic = format!("many-{}", number % topics);
        let document = json!({"topics": [topic], "push": push});
        client
            .put(&format!("/v1/subscriptions/many-{number}"), document)
            .await?;
    }
    for round in 0..2 * options.rounds {
        let hangs = round % 2 == 1;
        receiver.hang(if hangs { options.hanging } else { 0 });
        // What hung before is delivered first, and what is to hang hangs.
        tokio::time::sleep(Duration::from_secs(3)).await;
        for number in 0..EVENTS {
            let topic = fastrand::usize(..topics);
            let healthy = (0..options.subscriptions)
                .filter(|one| one % topics == topic && *one >= options.hanging);
            let came = receiver.expect_of(healthy.collect(), round * EVENTS + number);
            client
                .publish(
                    &format!("many-{topic}"),
                    round * EVENTS + number,
                    1,
                    options.bytes,
                )
                .await?;
            let answered = Instant::now();
            for arrived in came.await? {
                let late = micros(arrived.saturating_duration_since(answered)).max(1);
                if round > 1 {
                    if hangs {
                        hung.saturating_record(late)
                    } else {
                        quiet.saturating_record(late)
                    }
                }
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        eprintln!(
            "{} of {} with {} that hang",
            round / 2,
            options.rounds,
            if hangs { options.hanging } else { 0 }
        );
    }
    receiver.hang(0);
    Ok(())
}

fn micros(duration: Duration) -> u64 {
    u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)
}

fn print(options: &Options, measured: &Measured) {
    let each = |take: &dyn Fn(&Round) -> f64| median(measured.rounds.iter().map(take).collect());
    let seconds = |duration: Duration| duration.as_secs_f64();
    let events = options.events as f64;
    let rate = each(&|round| events / seconds(round.hub));
    let signed = each(&|round| events / seconds(round.signed));
    let floor = each(&|round| events / seconds(round.floor));
    let ratio = each(&|round| seconds(round.floor) / seconds(round.hub));
    let signed_ratio = each(&|round| seconds(round.floor) / seconds(round.signed));
    let quantiles = |latencies: &Latencies| {
        [0.5, 0.99].map(|quantile| latencies.value_at_quantile(quantile) as f64 / 1000.0)
    };
    let (idle, quiet, hung) = (
        quantiles(&measured.idle),
        quantiles(&measured.quiet),
        quantiles(&measured.hung),
    );
    let memory = measured.memory as f64 / 1e6;
    if options.json {
        let document = json!({
            "requests_per_second": rate, "signed_per_second": signed, "floor_per_second": floor,
            "ratio": ratio, "signed_ratio": signed_ratio,
            "idle_ms": {"p50": idle[0], "p99": idle[1]},
            "quiet_ms": {"p50": quiet[0], "p99": quiet[1]},
            "hanging_ms": {"p50": hung[0], "p99": hung[1]},
            "hanging_quiet_p99": hung[1] / quiet[1],
            "hub_peak_memory_bytes": measured.memory,
        });
        println!("{document}");
        return;
    }
    println!(
        "{} events of {} bytes, {} requests at a time; medians of {} rounds",
        options.events, options.bytes, options.concurrency, options.rounds
    );
    println!("  hub                 {rate:>10.0} requests/s   of the floor {ratio:>6.2}");
    println!("  hub, signed         {signed:>10.0} requests/s   of the floor {signed_ratio:>6.2}");
    println!("  floor               {floor:>10.0} requests/s");
    println!(
        "  idle, ms            p50 {:>8.2}   p99 {:>8.2}",
        idle[0], idle[1]
    );
    if options.subscriptions > 0 {
        println!(
            "{} subscriptions, of which {} hang or none:",
            options.subscriptions, options.hanging
        );
        println!(
            "  none, ms            p50 {:>8.2}   p99 {:>8.2}",
            quiet[0], quiet[1]
        );
        println!(
            "  some, ms            p50 {:>8.2}   p99 {:>8.2}",
            hung[0], hung[1]
        );
        println!("  p99, some / none    {:>10.2}", hung[1] / quiet[1]);
    }
    println!("  memory of the hub   {memory:>10.0} MB at most");
}
