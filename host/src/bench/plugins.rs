//! `sandbar bench plugins`: many plugins on many routes in one hub, and how long a new version takes from
//! its upload to the first event through it.

use std::{
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use serde_json::{Value, json};

use super::{
    client::{Client, variant},
    process::Hub,
};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Plugins, each with a route of its own.
    pub plugins: usize,
    /// Events that each route gets when all are at work at once.
    pub events: usize,
    /// New versions of one plugin.
    pub uploads: usize,
    /// How long the idle hub is watched.
    pub idle_seconds: u64,
    /// The orders plugin, built by `make guests`.
    pub plugin: PathBuf,
    /// On the disk to be measured; a folder of its own is made in it and removed again.
    pub folder: PathBuf,
    pub json: bool,
}

/// Topics that the routes share; each has its share of the routes.
const TOPICS: usize = 10;

/// Lanes that have nothing to do keep their instances for 5 s.
const INSTANCES_GO_AFTER: Duration = Duration::from_secs(6);

#[derive(Debug, Default)]
struct Measured {
    /// From starting the process to all routes being ready, of each start.
    starts: Vec<Duration>,
    /// Resident memory after the start, and at most, in bytes.
    memory: u64,
    peak: u64,
    /// CPU of the hub while nothing happens, in seconds per second.
    idle: f64,
    idle_after_work: f64,
    /// All routes at work at once, until the last output is in the log.
    work: Duration,
    /// Of each new version: upload, activation, first event.
    uploads: Vec<[Duration; 3]>,
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    let plugin = super::plugin(&options.plugin)?;
    let measured = super::in_folder(&options.folder, |folder| measure(options, &plugin, folder))?;
    print(options, &measured);
    Ok(())
}

fn measure(options: &Options, plugin: &[u8], folder: &Path) -> Result<Measured, String> {
    let runtime = super::runtime()?;
    let data = folder.join("hub");
    let mut measured = Measured::default();
    let mut hub = Hub::start(&data)?;
    let client = Client::new(&hub.url)?;
    measured.uploads = runtime.block_on(new_versions(&client, options.uploads, plugin))?;
    if options.plugins > 0 {
        runtime.block_on(prepare(&client, options.plugins, plugin))?;
        for _ in 0..3 {
            hub.stop()?;
            let started = Instant::now();
            hub = Hub::start(&data)?;
            let client = Client::new(&hub.url)?;
            runtime.block_on(ready(&client, options.plugins))?;
            measured.starts.push(started.elapsed());
        }
        measured.memory = hub.memory();
        measured.idle = idle(&hub, options.idle_seconds);
        let client = Client::new(&hub.url)?;
        let started = Instant::now();
        runtime.block_on(all_at_work(&client, options))?;
        measured.work = started.elapsed();
        measured.peak = hub.peak_memory();
        // Checkpoints are written, and then the lanes give their instances back, so that the counter
        // stands still in between.
        hub.comes_to_rest(INSTANCES_GO_AFTER, 0.01)?;
        measured.idle_after_work = idle(&hub, options.idle_seconds);
    }
    hub.stop()?;
    Ok(measured)
}

async fn prepare(client: &Client, plugins: usize, plugin: &[u8]) -> Result<(), String> {
    for topic in 0..TOPICS {
        client
            .put(&format!("/v1/topics/in.{topic}"), &json!({}))
            .await?;
        client
            .put(&format!("/v1/topics/out.{topic}"), &json!({}))
            .await?;
    }
    for number in 0..plugins {
        let name = format!("plugin-{number}");
        client
            .upload(&name, "1", variant(plugin, number as u64))
            .await?;
        let topic = number % TOPICS;
        let route = json!({
            "from": format!("in.{topic}"), "to": [format!("out.{topic}")],
            "steps": [{"plugin": format!("{name}@1")}]
        });
        client
            .put(&format!("/v1/routes/route-{number}"), &route)
            .await?;
        if (number + 1) % 100 == 0 {
            eprintln!("{} of {plugins} plugins", number + 1);
        }
    }
    Ok(())
}

/// Waits until every route runs.
async fn ready(client: &Client, plugins: usize) -> Result<(), String> {
    loop {
        let list = client.get("/v1/routes").await?;
        let routes = list["routes"]
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default();
        let running = routes.iter().filter(|route| {
            let status = &route["status"];
            let recovered = status["active"]
                .as_array()
                .is_some_and(|all| !all.is_empty());
            recovered && status["state"] == "running"
        });
        if running.count() >= plugins {
            return Ok(());
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn idle(hub: &Hub, seconds: u64) -> f64 {
    let before = hub.cpu_seconds();
    std::thread::sleep(Duration::from_secs(seconds));
    (hub.cpu_seconds() - before) / seconds.max(1) as f64
}

async fn all_at_work(client: &Client, options: &Options) -> Result<(), String> {
    let mut expected = vec![0; TOPICS];
    for (topic, expected) in expected.iter_mut().enumerate() {
        let events: Vec<(String, Value)> = (0..options.events)
            .map(|number| Ok((number.to_string(), order(number as u64)?)))
            .collect::<Result<_, String>>()?;
        client
            .publish(&format!("in.{topic}"), "shop.order", &events)
            .await?;
        let routes = options.plugins / TOPICS + usize::from(topic < options.plugins % TOPICS);
        *expected = (routes * options.events) as u64;
    }
    for (topic, expected) in expected.into_iter().enumerate() {
        client
            .tail_reaches(&format!("out.{topic}"), expected)
            .await?;
    }
    Ok(())
}

fn order(number: u64) -> Result<Value, String> {
    serde_json::from_slice(&guest_orders::sample(number)).map_err(|error| error.to_string())
}

async fn new_versions(
    client: &Client,
    uploads: usize,
    plugin: &[u8],
) -> Result<Vec<[Duration; 3]>, String> {
    let mut measured = Vec::new();
    client.put("/v1/topics/new", &json!({})).await?;
    client.put("/v1/topics/new.out", &json!({})).await?;
    for number in 0..=uploads as u64 {
        let version = number.to_string();
        // Bytes of its own, which the plugins of the routes do not have.
        let bytes = variant(plugin, u64::MAX - number);
        let activation = json!({"version": version});
        let started = Instant::now();
        client.upload("new", &version, bytes).await?;
        let uploaded = started.elapsed();
        client
            .put("/v1/plugins/new/channels/stable", &activation)
            .await?;
        let activated = started.elapsed();
        if number == 0 {
            let route =
                json!({"from": "new", "to": ["new.out"], "steps": [{"plugin": "new@stable"}]});
            client.put("/v1/routes/new", &route).await?;
        }
        let began = started.elapsed();
        client
            .publish("new", "shop.order", &[(version, order(number)?)])
            .await?;
        client.read("new.out", number).await?;
        // The first is not counted: the route was not there.
        if number > 0 {
            measured.push([uploaded, activated - uploaded, started.elapsed() - began]);
        }
    }
    Ok(measured)
}

fn print(options: &Options, measured: &Measured) {
    let milliseconds = |time: &Duration| time.as_secs_f64() * 1000.0;
    let whole: Vec<f64> = measured
        .uploads
        .iter()
        .map(|parts| parts.iter().map(milliseconds).sum())
        .collect();
    let part = |place: usize| -> Vec<f64> {
        (measured.uploads.iter())
            .map(|parts| milliseconds(&parts[place]))
            .collect()
    };
    let of = |values: Vec<f64>| {
        let most = values.iter().copied().fold(0.0, f64::max);
        [super::report::median(values), most]
    };
    let (whole, parts) = (of(whole), [0, 1, 2].map(|place| of(part(place))));
    let starts = of(measured.starts.iter().map(milliseconds).collect());
    if options.json {
        let pair = |[median, most]: [f64; 2]| json!({"median": median, "max": most});
        let document = json!({
            "plugins": options.plugins, "start_ms": pair(starts),
            "memory_bytes": measured.memory, "peak_memory_bytes": measured.peak,
            "idle_cpu": measured.idle, "idle_cpu_after_work": measured.idle_after_work,
            "work_events": options.plugins * options.events, "work_ms": milliseconds(&measured.work),
            "uploads": options.uploads, "upload_to_first_event_ms": pair(whole),
            "upload_ms": pair(parts[0]), "activate_ms": pair(parts[1]), "event_ms": pair(parts[2]),
        });
        println!("{document}");
        return;
    }
    if options.plugins > 0 {
        println!("{} plugins on {} routes", options.plugins, options.plugins);
        println!(
            "  start, all routes ready   {:>9.0} ms    {:.0} at most, of {}",
            starts[0],
            starts[1],
            measured.starts.len()
        );
        println!(
            "  memory then               {:>9.0} MB",
            measured.memory as f64 / 1e6
        );
        println!(
            "  CPU while idle            {:>9.2} %",
            measured.idle * 100.0
        );
        println!(
            "  all at work at once       {:>9.0} ms    for {} events each",
            milliseconds(&measured.work),
            options.events
        );
        println!(
            "  memory at most            {:>9.0} MB",
            measured.peak as f64 / 1e6
        );
        println!(
            "  CPU while idle, after it  {:>9.2} %",
            measured.idle_after_work * 100.0
        );
    }
    if options.uploads > 0 {
        println!(
            "upload to the first event through the new version, {} versions",
            options.uploads
        );
        println!("                               median        max");
        for (name, [median, most]) in [
            ("whole, ms", whole),
            ("  upload", parts[0]),
            ("  activate", parts[1]),
            ("  event", parts[2]),
        ] {
            println!("  {name:<24} {median:>10.1} {most:>10.1}");
        }
    }
}
