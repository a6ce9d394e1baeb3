//! `sandbar bench contracts`: what a contract costs, against the validator alone.
//!
//! - **check**: the hub's check of an event, in this process, beside parsing the data once with
//!   `serde_json` and asking `jsonschema`; in turns, by the thread's own CPU time.
//! - **publish**: the CPU time of a hub for publishes into a topic with the contract minus that into
//!   one without, in turns, against the same floor.
//! - **registry**: how much longer a hub takes to start with thousands of contract versions, and how long
//!   it takes to find one by its name and by its id.
//! - **compare**: the compatibility of a large schema with a changed copy, both ways, with documents
//!   that show it.

mod registry;

use std::{
    path::{Path, PathBuf},
    time::Instant,
};

use bytes::Bytes;
use jsonschema::Validator;
use reqwest::Method;
use sandbar_compat::{Document, Part};
use serde_json::{Value, json};

use super::{
    client::{Client, done},
    load,
    process::Hub,
    report::median,
};
use crate::{
    contract::Contract,
    ingest::cloudevents::{self, Decoded},
};

const FREE: &str = "bench.free";
const BOUND: &str = "bench.bound";

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events of one round.
    pub events: usize,
    /// Events of one publish.
    pub batch: usize,
    pub rounds: usize,
    /// Contract versions in the registry; 0 leaves it out.
    pub versions: usize,
    /// A large schema, to be compared with a changed copy; left out where the file is not there.
    pub schema: PathBuf,
    /// The definition of the schema in which a text becomes a number, as a JSON Pointer.
    pub change: String,
    pub folder: PathBuf,
    pub json: bool,
}

/// CPU time of each event, in µs.
#[derive(Clone, Debug, Default)]
struct Costs {
    /// Parse once and validate, nothing else.
    floor: Vec<f64>,
    /// [`Contract::check`] of the same bytes.
    check: Vec<f64>,
    /// Of the hub, for events of the topic with the contract and of the one without.
    bound: Vec<f64>,
    free: Vec<f64>,
}

impl Costs {
    fn ratio(&self, of: &dyn Fn(usize) -> f64) -> f64 {
        median((0..self.floor.len()).map(of).collect())
    }
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    if options.events == 0 || options.batch == 0 || options.rounds == 0 {
        return Err("events, batch and rounds must be at least 1".into());
    }
    let costs = super::in_folder(&options.folder, |folder| costs(options, folder))?;
    let registry = match options.versions {
        0 => None,
        _ => Some(registry::measure(options)?),
    };
    let compared = compared(options)?;
    print(options, &costs, registry, compared);
    Ok(())
}

fn costs(options: &Options, folder: &Path) -> Result<Costs, String> {
    let runtime = super::runtime()?;
    let mut hub = Hub::start(&folder.join("hub"))?;
    let client = Client::new(&hub.url)?;
    runtime.block_on(prepare(&client))?;
    let definition = load::contract();
    let contract = Contract::compile(&definition).map_err(|error| error.to_string())?;
    // As the contract sets it up.
    let validator = jsonschema::options()
        .should_validate_formats(true)
        .build(&definition.schema)
        .map_err(|error| error.to_string())?;
    let mut costs = Costs::default();
    // One round that is not counted.
    for round in 0..=options.rounds {
        let bodies = load::bodies(options.events, options.batch, round);
        let data = data_of(&bodies)?;
        // Each is first in every other round.
        let mut alone = [0.0; 2];
        for which in turns(round) {
            alone[which] = if which == 0 {
                floor(&validator, &data)?
            } else {
                check(&contract, &data)?
            };
        }
        let mut hubs = [0.0; 2];
        for which in turns(round) {
            let topic = [FREE, BOUND][which];
            let before = hub.cpu_seconds();
            runtime.block_on(publish(&client, topic, &bodies))?;
            hubs[which] = (hub.cpu_seconds() - before) * 1e6 / options.events as f64;
        }
        eprintln!(
            "round {round} of {}{}",
            options.rounds,
            if round == 0 { " (warm-up)" } else { "" }
        );
        if round > 0 {
            costs.floor.push(alone[0]);
            costs.check.push(alone[1]);
            costs.free.push(hubs[0]);
            costs.bound.push(hubs[1]);
        }
    }
    hub.stop()?;
    Ok(costs)
}

fn turns(round: usize) -> [usize; 2] {
    if round.is_multiple_of(2) {
        [0, 1]
    } else {
        [1, 0]
    }
}

/// The data of all events, as the hub has it: slices of the bodies.
fn data_of(bodies: &[load::Body]) -> Result<Vec<Bytes>, String> {
    let mut data = Vec::new();
    for body in bodies {
        let decoded = cloudevents::batch(&body.json, &cloudevents::Limits::default())
            .map_err(|error| error.to_string())?;
        for one in decoded {
            match one {
                Decoded::Event(event) => data.push(event.data),
                Decoded::Invalid { .. } => return Err("a bad event".into()),
            }
        }
    }
    Ok(data)
}

fn floor(validator: &Validator, data: &[Bytes]) -> Result<f64, String> {
    timed(data, |one| {
        let value: Value = serde_json::from_slice(one).map_err(|error| error.to_string())?;
        Ok(validator.is_valid(&value))
    })
}

fn check(contract: &Contract, data: &[Bytes]) -> Result<f64, String> {
    timed(data, |one| {
        Ok(contract
            .check("shop.order", "application/json", one)
            .is_ok())
    })
}

/// CPU time of this thread for each, in µs.
fn timed(
    data: &[Bytes],
    mut fits: impl FnMut(&Bytes) -> Result<bool, String>,
) -> Result<f64, String> {
    let before = thread_cpu_nanos()?;
    for one in data {
        if !fits(one)? {
            return Err("an event does not fit".into());
        }
    }
    Ok((thread_cpu_nanos()? - before) / 1e3 / data.len() as f64)
}

/// The time that this thread was on a CPU (`/proc/thread-self/schedstat`, first field).
fn thread_cpu_nanos() -> Result<f64, String> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat")
        .map_err(|error| format!("cannot read the CPU time of a thread: {error}"))?;
    let first = text.split(' ').next().and_then(|text| text.parse().ok());
    first.ok_or_else(|| format!("no CPU time in {text:?}"))
}

async fn prepare(client: &Client) -> Result<(), String> {
    let versions = client.request(Method::POST, "/v1/contracts/order/versions");
    done(versions.json(&load::contract())).await?;
    for (topic, document) in [
        (FREE, json!({"durability": "async"})),
        (BOUND, json!({"durability": "async", "contract": "order"})),
    ] {
        client
            .put(&format!("/v1/topics/{topic}"), &document)
            .await?;
    }
    Ok(())
}

async fn publish(client: &Client, topic: &str, bodies: &[load::Body]) -> Result<(), String> {
    for body in bodies {
        let request = client.request(Method::POST, &format!("/v1/topics/{topic}/events"));
        let request = request.header("content-type", "application/cloudevents-batch+json");
        done(request.body(body.json.clone())).await?;
    }
    Ok(())
}

/// What comparing came to.
struct Compared {
    /// Seconds of each round: with the preparation of both documents.
    seconds: Vec<f64>,
    counterexamples: usize,
}

fn compared(options: &Options) -> Result<Option<Compared>, String> {
    let Ok(bytes) = std::fs::read(&options.schema) else {
        eprintln!(
            "{} is not there; node examples/github/setup.mjs makes it",
            options.schema.display()
        );
        return Ok(None);
    };
    let old: Value = serde_json::from_slice(&bytes).map_err(|error| error.to_string())?;
    let mut new = old.clone();
    match new.pointer_mut(&options.change) {
        Some(part) => *part = json!({"type": "integer"}),
        None => return Err(format!("{} is not in the schema", options.change)),
    }
    let mut compared = Compared {
        seconds: Vec::new(),
        counterexamples: 0,
    };
    for _ in 0..options.rounds {
        let started = Instant::now();
        let documents = (Document::new(&old), Document::new(&new));
        let (Ok(old), Ok(new)) = documents else {
            return Err("the schema cannot be compared".into());
        };
        let whole = |document| Part {
            document,
            pointer: "",
        };
        let report = sandbar_compat::check(
            whole(&old),
            whole(&new),
            &sandbar_compat::Options::default(),
        );
        compared.seconds.push(started.elapsed().as_secs_f64());
        let directions = report.directions();
        let found = directions.iter().map(|one| one.findings.len());
        compared.counterexamples = found.sum();
        if directions.iter().any(|one| one.findings.is_empty()) {
            return Err("one way has no counterexample".into());
        }
    }
    Ok(Some(compared))
}

fn print(
    options: &Options,
    costs: &Costs,
    registry: Option<registry::Measured>,
    compared: Option<Compared>,
) {
    let check = costs.ratio(&|round| costs.floor[round] / costs.check[round]);
    let publish =
        costs.ratio(&|round| costs.floor[round] / (costs.bound[round] - costs.free[round]));
    let floor = median(costs.floor.clone());
    let compare = compared.as_ref().map(|one| median(one.seconds.clone()));
    if options.json {
        println!(
            "{}",
            json!({
                "events": options.events, "batch": options.batch, "rounds": options.rounds,
                "floor_us": floor,
                "check_us": median(costs.check.clone()),
                "check_ratio": check,
                "publish_free_us": median(costs.free.clone()),
                "publish_bound_us": median(costs.bound.clone()),
                "publish_ratio": publish,
                "versions": options.versions,
                "start_more_seconds": registry.as_ref().map(|one| one.start_more),
                "by_name_us": registry.as_ref().map(|one| one.by_name),
                "by_id_us": registry.as_ref().map(|one| one.by_id),
                "compare_seconds": compare,
                "counterexamples": compared.map(|one| one.counterexamples),
            })
        );
        return;
    }
    println!(
        "{} events of some 260 bytes, {} a publish; CPU time of an event, medians of {} rounds",
        options.events, options.batch, options.rounds
    );
    println!("  parse and validate       {floor:>8.2} µs");
    println!(
        "  the hub's check          {:>8.2} µs   {check:.2} of the floor's rate",
        median(costs.check.clone())
    );
    println!(
        "  publish, with contract   {:>8.2} µs",
        median(costs.bound.clone())
    );
    println!(
        "  publish, without         {:>8.2} µs   the difference: {publish:.2} of the floor's rate",
        median(costs.free.clone())
    );
    if let Some(registry) = registry {
        println!(
            "  {} contract versions: a start takes {:.2} s more ({:.2} s in all); found by name in {:.2} µs, by id in {:.2} µs",
            options.versions, registry.start_more, registry.start, registry.by_name, registry.by_id
        );
    }
    if let (Some(seconds), Some(compared)) = (compare, compared) {
        println!(
            "  {} with a changed copy, both ways: {seconds:.2} s, {} counterexamples",
            options.schema.display(),
            compared.counterexamples
        );
    }
}
