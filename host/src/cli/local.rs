//! The commands that are no clients: `serve`, `log`, `bench`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use sandbar_plugin::Compiler;

use super::{Outcome, client::Failure, output::say};
use crate::{
    bench,
    config::{self, Config},
    serve::{self, LogFormat},
};

#[derive(Debug, Args)]
pub(super) struct ServeArgs {
    /// Where everything is kept; made when it is not there.
    #[arg(long, env = "SANDBAR_DATA", default_value = "sandbar-data")]
    data: PathBuf,
    /// Address and port; port 0 takes a free one.
    #[arg(long, env = "SANDBAR_LISTEN", default_value = "127.0.0.1:7400")]
    listen: SocketAddr,
    /// Allow an address that other machines reach, though callers are not authenticated.
    #[arg(long)]
    allow_open: bool,
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
    /// error, warn, info, debug or trace; RUST_LOG goes before.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// The largest request body after decompression, in bytes.
    #[arg(long, default_value_t = 32 * 1024 * 1024)]
    max_body_bytes: usize,
    /// Size at which a segment of the log is closed, in bytes.
    #[arg(long, default_value_t = 64 * 1024 * 1024)]
    segment_bytes: u64,
    /// The most keys of a topic that plugins look into; about 100 bytes of memory each when short.
    #[arg(long, default_value_t = 1_000_000)]
    lookup_keys: usize,
    /// Threads that run plugins; default: one per core.
    #[arg(long)]
    worker_threads: Option<usize>,
    /// What compiling an upload may allocate, in bytes.
    #[arg(long, default_value_t = 2 * 1024 * 1024 * 1024)]
    compile_memory_bytes: u64,
    /// How long compiling an upload may take, in seconds.
    #[arg(long, default_value_t = 120)]
    compile_seconds: u64,
    /// Do not offer the plugins that ship with the hub; versions that routes use stay.
    #[arg(long)]
    no_bundled_plugins: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Format {
    Text,
    Json,
}

pub(super) fn serve(args: ServeArgs) -> ExitCode {
    let cores = std::thread::available_parallelism().map_or(2, std::num::NonZero::get);
    let config = Config {
        data: args.data,
        listen: args.listen,
        allow_open: args.allow_open,
        api: config::Api {
            max_body_bytes: args.max_body_bytes,
            ..config::Api::default()
        },
        segment_bytes: args.segment_bytes.max(64 * 1024),
        lookup_keys: args.lookup_keys,
        worker_threads: args.worker_threads.unwrap_or(cores).max(1),
        compiler: Some(Compiler {
            program: this_program(),
            arguments: vec![COMPILE.into()],
            memory_bytes: args.compile_memory_bytes,
            time: Duration::from_secs(args.compile_seconds),
        }),
        bundled_plugins: !args.no_bundled_plugins,
    };
    let format = match args.log_format {
        Format::Text => LogFormat::Text,
        Format::Json => LogFormat::Json,
    };
    serve::run(config, format, &args.log_level)
}

/// The command of the process that compiles.
pub(super) const COMPILE: &str = "compile-plugin";

/// This very program, also when its file was replaced by another version meanwhile.
fn this_program() -> PathBuf {
    let link = PathBuf::from("/proc/self/exe");
    match link.exists() {
        true => link,
        false => std::env::current_exe().unwrap_or_else(|_| "sandbar".into()),
    }
}

#[derive(Debug, Subcommand)]
pub(super) enum LogCommand {
    /// Read everything and say what is damaged. Changes nothing.
    Verify {
        #[arg(long, env = "SANDBAR_DATA", default_value = "sandbar-data")]
        data: PathBuf,
    },
    /// Cut out what is damaged and say what is lost; damaged files are kept aside.
    Repair {
        #[arg(long, env = "SANDBAR_DATA", default_value = "sandbar-data")]
        data: PathBuf,
        /// Only say what would be done.
        #[arg(long)]
        dry_run: bool,
    },
}

pub(super) fn log(command: &LogCommand, json: bool) -> Outcome {
    let (data, repair, dry_run) = match command {
        LogCommand::Verify { data } => (data, false, true),
        LogCommand::Repair { data, dry_run } => (data, true, *dry_run),
    };
    let folder = data.join("log");
    if !folder.is_dir() {
        return Err(Failure::local(format!(
            "{} holds no log; name the hub's data folder with --data",
            data.display()
        )));
    }
    // No hub may write meanwhile.
    let _lock = crate::hub::lock(&data.join("LOCK"), data).map_err(Failure::local)?;
    let disk = sandbar_log::Disk;
    let report = if repair {
        sandbar_log::repair(&folder, &disk, dry_run)
    } else {
        sandbar_log::verify(&folder, &disk)
    };
    let report = report.map_err(Failure::local)?;
    if json {
        say!(
            "{}",
            serde_json::to_string(&report).map_err(Failure::local)?
        );
    } else {
        show(&report);
    }
    if report.is_sound() || (repair && !dry_run) {
        return Ok(());
    }
    Err(Failure::local(
        "the log is damaged; 'sandbar log repair' cuts the damage out (try --dry-run first)",
    ))
}

fn show(report: &sandbar_log::Report) {
    for one in &report.partitions {
        say!(
            "{}: {} segments, {} frames, {} records, offsets {} to {}",
            one.partition,
            one.segments,
            one.frames,
            one.records,
            one.earliest,
            one.tail
        );
        for gap in &one.gaps {
            say!(
                "  offsets {} to {} were given up by an earlier repair",
                gap.start,
                gap.end
            );
        }
        for damage in &one.damage {
            say!(
                "  DAMAGED {} bytes {} to {}: {}",
                damage.file,
                damage.bytes.start,
                damage.bytes.end,
                damage.detail
            );
            if damage.lost.is_empty() {
                say!("    no acknowledged record is lost, as far as can be told");
            } else {
                say!(
                    "    lost: offsets {} to {} (the last not included)",
                    damage.lost.start,
                    damage.lost.end
                );
            }
        }
    }
    say!(
        "{}",
        if report.is_sound() {
            "sound"
        } else {
            "damaged"
        }
    );
}

#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub(super) struct BenchArgs {
    #[command(subcommand)]
    part: Option<BenchPart>,
    /// Events of one round.
    #[arg(long, default_value_t = 200_000)]
    events: usize,
    /// Events of one publish.
    #[arg(long, default_value_t = 1000)]
    batch: usize,
    /// Publishes under way at a time.
    #[arg(long, default_value_t = 4)]
    concurrency: usize,
    #[arg(long, default_value_t = 1)]
    partitions: u32,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// The orders plugin (built by 'make guests').
    #[arg(long, default_value = "target/guests/guest-orders-columns.wasm")]
    plugin: PathBuf,
    /// A folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

/// A part of the way, for itself.
#[derive(Debug, Subcommand)]
enum BenchPart {
    /// Events of a warm log through a pull subscription, with acknowledgements.
    Pull(PullBenchArgs),
}

#[derive(Debug, Args)]
struct PullBenchArgs {
    #[arg(long, default_value_t = 500_000)]
    events: usize,
    /// Bytes of data of an event.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Different keys: of each one event is out at a time.
    #[arg(long, default_value_t = 10_000)]
    keys: usize,
    /// Events of one pull.
    #[arg(long, default_value_t = 1000)]
    limit: usize,
    /// Clients that share the subscription.
    #[arg(long, default_value_t = 4)]
    clients: usize,
    #[arg(long, default_value_t = 1)]
    partitions: u32,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// A folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

fn bench_pull(args: &PullBenchArgs, json: bool) -> Outcome {
    let options = bench::pull::Options {
        events: args.events,
        bytes: args.bytes,
        keys: args.keys,
        limit: args.limit,
        clients: args.clients,
        partitions: args.partitions,
        rounds: args.rounds,
        folder: args.folder.clone(),
        json,
    };
    bench::pull::run(&options).map_err(Failure::Local)
}

pub(super) fn bench(args: &BenchArgs, json: bool) -> Outcome {
    if let Some(BenchPart::Pull(pull)) = &args.part {
        return bench_pull(pull, json);
    }
    let options = bench::Options {
        events: args.events,
        batch: args.batch,
        concurrency: args.concurrency,
        partitions: args.partitions,
        rounds: args.rounds,
        plugin: args.plugin.clone(),
        folder: args.folder.clone(),
        json,
    };
    bench::run(&options).map_err(Failure::Local)
}
