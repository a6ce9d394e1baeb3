//! The commands that are no clients: `serve` and `log`.

use std::{net::SocketAddr, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Args, Subcommand, ValueEnum};
use ipnet::IpNet;
use sandbar_plugin::Compiler;

use super::{Outcome, client::Failure, output::say};
use crate::{
    config::{self, Config},
    dial::{self, Targets},
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
    /// Send to webhooks at private, loopback and link-local addresses: all of them, or those of the
    /// networks that are named, such as 10.0.0.0/8,::1.
    #[arg(long, value_name = "NETWORKS", num_args = 0..=1, require_equals = true, value_delimiter = ',', value_parser = dial::network)]
    allow_private_targets: Option<Vec<IpNet>>,
    #[arg(long, value_enum, default_value = "text")]
    log_format: Format,
    /// error, warn, info, debug or trace; RUST_LOG goes before.
    #[arg(long, default_value = "info")]
    log_level: String,
    /// The largest request body after decompression, in bytes.
    #[arg(long, default_value_t = 32 * 1024 * 1024)]
    max_body_bytes: usize,
    /// The bodies of all requests at work together, in bytes; more are answered 503 after a while.
    /// Decoded and on their way to the disk they may take some times as much memory.
    #[arg(long, default_value_t = 256 * 1024 * 1024)]
    max_inflight_bytes: usize,
    /// Events on their way out together, in bytes: half for webhooks, half for clients, of which streams
    /// have half. As it fills, pages and batches become smaller; when it is full, reads and pulls are answered 503 after a
    /// while, streams and webhooks wait, and clients that have read nothing for 10 seconds are cut off.
    #[arg(long, default_value_t = 256 * 1024 * 1024)]
    max_outgoing_bytes: usize,
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
    /// Inputs that are made from a source's contract, on which plugins must hold before they go live.
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(..=10_000))]
    gate_inputs: u32,
    /// The last events of a source on which plugins must hold before they go live; with neither of both
    /// nothing is checked.
    #[arg(long, default_value_t = 100, value_parser = clap::value_parser!(u32).range(..=10_000))]
    gate_events: u32,
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
            max_inflight_bytes: args.max_inflight_bytes,
            max_outgoing_bytes: args.max_outgoing_bytes,
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
        private_targets: match args.allow_private_targets {
            None => Targets::Public,
            Some(networks) if networks.is_empty() => Targets::Any,
            Some(networks) => Targets::PublicAnd(networks),
        },
        gate: config::Gate {
            generated: args.gate_inputs as usize,
            real: args.gate_events as usize,
        },
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
