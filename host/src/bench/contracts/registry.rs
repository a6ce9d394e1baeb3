//! Thousands of contract versions in one hub, opened in this process: what a start takes more, and how long
//! the catalog takes to find one.

use std::{hint::black_box, path::Path, sync::Arc, time::Instant};

use serde_json::json;

use super::Options;
use crate::{
    bench::{in_folder, load, report::median, runtime},
    catalog::Registering,
    config::{Api, Config, Gate},
    contract::Definition,
    dial::Targets,
    hub::Hub,
};

/// Versions of one contract.
const EACH: usize = 100;
/// Look-ups of a round, of either kind.
const LOOKED_UP: usize = 100_000;

pub struct Measured {
    /// Seconds to open the hub with all versions.
    pub start: f64,
    /// Seconds beyond opening an empty one.
    pub start_more: f64,
    /// µs of one look-up.
    pub by_name: f64,
    pub by_id: f64,
}

pub fn measure(options: &Options) -> Result<Measured, String> {
    in_folder(&options.folder, |folder| {
        let runtime = runtime()?;
        let _inside = runtime.enter();
        let (empty, full) = (folder.join("empty"), folder.join("full"));
        fill(&runtime, &full, options.versions)?;
        let mut starts = Vec::new();
        let mut more = Vec::new();
        let (mut by_name, mut by_id) = (Vec::new(), Vec::new());
        for _ in 0..options.rounds {
            let (took, hub) = open(&empty)?;
            runtime.block_on(hub.close());
            drop(hub);
            let (with_all, hub) = open(&full)?;
            starts.push(with_all);
            more.push(with_all - took);
            by_name.push(look_up(options.versions, |number| {
                let reference = format!("contract-{}@{}", number / EACH, number % EACH + 1);
                hub.catalog.contract(&reference).is_ok()
            })?);
            by_id.push(look_up(options.versions, |number| {
                let id = u32::try_from(number + 1).unwrap_or(u32::MAX);
                hub.catalog.contract_by_id(id).is_ok()
            })?);
            runtime.block_on(hub.close());
        }
        Ok(Measured {
            start: median(starts),
            start_more: median(more),
            by_name: median(by_name),
            by_id: median(by_id),
        })
    })
}

/// Seconds, and the hub.
fn open(folder: &Path) -> Result<(f64, Arc<Hub>), String> {
    let config = Config {
        data: folder.to_owned(),
        listen: ([127, 0, 0, 1], 0).into(),
        allow_open: false,
        api: Api::default(),
        segment_bytes: 64 * 1024 * 1024,
        lookup_keys: 1000,
        worker_threads: 2,
        compiler: None,
        private_targets: Targets::default(),
        gate: Gate::default(),
        bundled_plugins: true,
    };
    let started = Instant::now();
    let hub = Hub::open(config)?;
    Ok((started.elapsed().as_secs_f64(), hub))
}

fn fill(runtime: &tokio::runtime::Runtime, folder: &Path, versions: usize) -> Result<(), String> {
    let (_, hub) = open(folder)?;
    for number in 0..versions {
        let name = format!("contract-{}", number / EACH);
        let definition = definition(number);
        let registering = Registering::default();
        let put = hub.catalog.register(&name, definition, registering);
        put.map_err(|problem| problem.to_string())?;
        if number % 1000 == 999 {
            eprintln!("{} of {versions} versions", number + 1);
        }
    }
    runtime.block_on(hub.close());
    Ok(())
}

/// A schema of some size; each another one.
fn definition(number: usize) -> Definition {
    let mut definition = load::contract();
    definition.schema["properties"][format!("property{number}")] =
        json!({"type": "string", "maxLength": number, "format": "date-time"});
    definition
}

/// µs of one.
fn look_up(versions: usize, found: impl Fn(usize) -> bool) -> Result<f64, String> {
    // Over all of them, and no neighbours one after the other.
    let numbers = (0..LOOKED_UP).map(|number| number.wrapping_mul(7919) % versions);
    let started = Instant::now();
    for number in numbers {
        if !black_box(found(number)) {
            return Err(format!("version {number} is not found"));
        }
    }
    Ok(started.elapsed().as_secs_f64() * 1e6 / LOOKED_UP as f64)
}
