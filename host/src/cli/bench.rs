//! `sandbar bench`: what is measured, and with how much.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, Subcommand};

use super::{Outcome, client::Failure};
use crate::bench;

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
#[derive(Clone, Debug, Subcommand)]
enum BenchPart {
    /// What a contract costs: a publish, against the validator alone; and comparing a large schema.
    Contracts {
        /// Events of one round.
        #[arg(long, default_value_t = 200_000)]
        events: usize,
        /// Events of one publish.
        #[arg(long, default_value_t = 1000)]
        batch: usize,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Contract versions in the registry; 0 leaves that out.
        #[arg(long, default_value_t = 10_000)]
        versions: usize,
        /// A large schema, to be compared with a changed copy.
        #[arg(
            long,
            default_value = "examples/github/build/github-webhooks.schema.json"
        )]
        schema: PathBuf,
        /// What is changed of it: this part becomes an integer.
        #[arg(long, default_value = "/definitions/user/properties/login")]
        change: String,
        /// A folder on the disk to be measured.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
    /// Events of a warm log through a pull subscription, with acknowledgements.
    Pull(PullBenchArgs),
    /// Webhooks: requests a second against a minimal client, latency, and endpoints that hang.
    Push(PushBenchArgs),
    /// The floor of `push`, which that starts.
    #[command(name = bench::push::FLOOR, hide = true)]
    PushFloor {
        address: SocketAddr,
        events: usize,
        bytes: usize,
        concurrency: u32,
    },
    /// What routes notice of plugins that misbehave on other routes of the same hub.
    Hostile {
        /// Hostile routes, and quiet ones.
        #[arg(long, default_value_t = 4)]
        routes: usize,
        /// Of one phase.
        #[arg(long, default_value_t = 4)]
        seconds: u64,
        #[arg(long, default_value_t = 5)]
        rounds: usize,
        /// Only the kinds of harm whose names have this in them; may be repeated.
        #[arg(long)]
        only: Vec<String>,
        /// The folder of the guests (built by 'make guests').
        #[arg(long, default_value = "target/guests")]
        guests: PathBuf,
        /// A folder on the disk to be measured.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
    /// Many plugins on many routes in one hub, and how long a new version takes to its first event.
    Plugins {
        /// Plugins, each with a route of its own; 0: only new versions.
        #[arg(long, default_value_t = 1000)]
        plugins: usize,
        /// Events for each route when all are at work at once.
        #[arg(long, default_value_t = 20)]
        events: usize,
        /// New versions.
        #[arg(long, default_value_t = 20)]
        uploads: usize,
        /// How long the idle hub is watched.
        #[arg(long, default_value_t = 10)]
        idle_seconds: u64,
        /// The orders plugin (built by 'make guests').
        #[arg(long, default_value = "target/guests/guest-orders-columns.wasm")]
        plugin: PathBuf,
        /// A folder on the disk to be measured.
        #[arg(long, default_value = ".")]
        folder: PathBuf,
    },
}

#[derive(Clone, Debug, Args)]
struct PushBenchArgs {
    #[arg(long, default_value_t = 20_000)]
    events: usize,
    /// Bytes of data of an event.
    #[arg(long, default_value_t = 256)]
    bytes: usize,
    /// Requests under way at a time.
    #[arg(long, default_value_t = 8)]
    concurrency: u32,
    #[arg(long, default_value_t = 5)]
    rounds: usize,
    /// Events that are sent when nothing else goes on.
    #[arg(long, default_value_t = 500)]
    idle: usize,
    /// Subscriptions of the case in which some endpoints hang; 0 leaves it out.
    #[arg(long, default_value_t = 1000)]
    subscriptions: usize,
    /// Endpoints that hang.
    #[arg(long, default_value_t = 200)]
    hanging: usize,
    /// A folder on the disk to be measured.
    #[arg(long, default_value = ".")]
    folder: PathBuf,
}

impl PushBenchArgs {
    fn options(&self, json: bool) -> bench::push::Options {
        bench::push::Options {
            events: self.events,
            bytes: self.bytes,
            concurrency: self.concurrency,
            rounds: self.rounds,
            idle: self.idle,
            subscriptions: self.subscriptions,
            hanging: self.hanging,
            folder: self.folder.clone(),
            json,
        }
    }
}

#[derive(Clone, Debug, Args)]
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

impl PullBenchArgs {
    fn options(&self, json: bool) -> bench::pull::Options {
        bench::pull::Options {
            events: self.events,
            bytes: self.bytes,
            keys: self.keys,
            limit: self.limit,
            clients: self.clients,
            partitions: self.partitions,
            rounds: self.rounds,
            folder: self.folder.clone(),
            json,
        }
    }
}

impl BenchPart {
    fn run(&self, json: bool) -> Result<(), String> {
        match self.clone() {
            Self::Contracts {
                events,
                batch,
                rounds,
                versions,
                schema,
                change,
                folder,
            } => bench::contracts::run(&bench::contracts::Options {
                events,
                batch,
                rounds,
                versions,
                schema,
                change,
                folder,
                json,
            }),
            Self::Pull(args) => bench::pull::run(&args.options(json)),
            Self::Push(args) => bench::push::run(&args.options(json)),
            Self::PushFloor {
                address,
                events,
                bytes,
                concurrency,
            } => bench::push::floor(address, events, bytes, concurrency),
            Self::Hostile {
                routes,
                seconds,
                rounds,
                only,
                guests,
                folder,
            } => bench::hostile::run(&bench::hostile::Options {
                routes,
                seconds,
                rounds,
                only,
                guests,
                folder,
                json,
            }),
            Self::Plugins {
                plugins,
                events,
                uploads,
                idle_seconds,
                plugin,
                folder,
            } => bench::plugins::run(&bench::plugins::Options {
                plugins,
                events,
                uploads,
                idle_seconds,
                plugin,
                folder,
                json,
            }),
        }
    }
}

pub(super) fn bench(args: &BenchArgs, json: bool) -> Outcome {
    if let Some(part) = &args.part {
        return part.run(json).map_err(Failure::Local);
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
