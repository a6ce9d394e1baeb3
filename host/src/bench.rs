//! `sandbar bench`: the whole way of an event, measured against a floor in the same run.
//!
//! The hub: publish in batches over HTTP → contract → log (synced) → plugin → contract → log
//! (synced) → read over HTTP. The floor: the same parsing, checking and mapping natively in one
//! loop, plus two raw synced writes. Both take the same events, in turn, on the same disk.

mod client;
pub mod contracts;
mod floor;
pub mod hostile;
mod load;
pub mod plugins;
mod process;
pub mod pull;
pub mod push;
mod report;

use std::{
    path::{Path, PathBuf},
    time::Duration,
};

/// What to measure.
#[derive(Clone, Debug)]
pub struct Options {
    /// Events of one round.
    pub events: usize,
    /// Events of one publish.
    pub batch: usize,
    /// Publishes under way at a time.
    pub concurrency: usize,
    pub partitions: u32,
    /// Rounds; the medians of all are reported.
    pub rounds: usize,
    /// The orders plugin, built by `make guests`.
    pub plugin: PathBuf,
    /// On the disk to be measured; a folder of its own is made in it and removed again.
    pub folder: PathBuf,
    pub json: bool,
}

/// One round of the hub.
#[derive(Clone, Debug, Default)]
pub struct Round {
    /// From the first publish to the last output read.
    pub took: Duration,
    /// The same events on the floor.
    pub floor: Duration,
    /// Bytes of event data published.
    pub bytes: usize,
    pub outputs: usize,
    /// CPU time of the hub, in seconds.
    pub cpu_seconds: f64,
}

/// Runs the benchmark and prints what it found.
///
/// # Errors
/// In words for the person at the terminal.
pub fn run(options: &Options) -> Result<(), String> {
    if options.events == 0 || options.batch == 0 || options.concurrency == 0 || options.rounds == 0
    {
        return Err("events, batch, concurrency and rounds must be at least 1".into());
    }
    let plugin = plugin(&options.plugin)?;
    let measured = in_folder(&options.folder, |folder| measure(options, &plugin, folder))?;
    report::print(options, &measured);
    Ok(())
}

/// The bytes of a guest.
fn plugin(path: &Path) -> Result<Vec<u8>, String> {
    std::fs::read(path).map_err(|error| {
        format!(
            "cannot read the plugin {}: {error}; build it with 'make guests', or say where it is (--help)",
            path.display()
        )
    })
}

/// In a folder of its own inside `parent`, which is removed again.
fn in_folder<T>(
    parent: &Path,
    measure: impl FnOnce(&Path) -> Result<T, String>,
) -> Result<T, String> {
    let folder = parent.join(format!("sandbar-bench-{}", std::process::id()));
    std::fs::create_dir_all(&folder)
        .map_err(|error| format!("cannot make {}: {error}", folder.display()))?;
    let measured = measure(&folder);
    let _ = std::fs::remove_dir_all(&folder);
    measured
}

fn runtime() -> Result<tokio::runtime::Runtime, String> {
    tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(|error| format!("cannot start the runtime: {error}"))
}

/// All that was measured.
#[derive(Debug)]
pub struct Measured {
    pub rounds: Vec<Round>,
    /// From sending a publish to its answer.
    pub publish: hdrhistogram::Histogram<u64>,
    /// From sending a publish to having read the last of its outputs.
    pub whole_way: hdrhistogram::Histogram<u64>,
    /// The hub's largest resident memory, in bytes.
    pub peak_memory: u64,
}

fn measure(options: &Options, plugin: &[u8], folder: &Path) -> Result<Measured, String> {
    let runtime = runtime()?;
    let mut hub = process::Hub::start(&folder.join("hub"))?;
    let client = load::Client::new(&hub.url)?;
    runtime.block_on(client.prepare(options, plugin))?;
    let mut measured = Measured {
        rounds: Vec::new(),
        publish: histogram()?,
        whole_way: histogram()?,
        peak_memory: 0,
    };
    // One round that is not counted: the pages of the files and the plugin's instance are there then.
    for round in 0..=options.rounds {
        let bodies = load::bodies(options.events, options.batch, round);
        let floor = floor::run(&bodies, &folder.join(format!("floor-{round}")))?;
        let cpu_before = hub.cpu_seconds();
        let outcome = runtime.block_on(client.round(options, &bodies, round, &mut measured))?;
        let cpu_seconds = hub.cpu_seconds() - cpu_before;
        if outcome.outputs != floor.outputs {
            return Err(format!(
                "the hub gave out {} events, the floor {}",
                outcome.outputs, floor.outputs
            ));
        }
        eprintln!(
            "round {round} of {}{}",
            options.rounds,
            if round == 0 { " (warm-up)" } else { "" }
        );
        if round == 0 {
            measured.publish.reset();
            measured.whole_way.reset();
        } else {
            measured.rounds.push(Round {
                took: outcome.took,
                floor: floor.took,
                bytes: bodies.iter().map(|body| body.data_bytes).sum(),
                outputs: outcome.outputs,
                cpu_seconds,
            });
        }
    }
    measured.peak_memory = hub.peak_memory();
    hub.stop()?;
    Ok(measured)
}

/// Microseconds, up to a minute, three digits.
fn histogram() -> Result<hdrhistogram::Histogram<u64>, String> {
    hdrhistogram::Histogram::new_with_bounds(1, 60_000_000, 3).map_err(|error| error.to_string())
}
