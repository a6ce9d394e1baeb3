//! A plugin run here, with the runtime that a hub has, and no hub.

mod cache;
mod stand_ins;

use std::{
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use sandbar_plugin::{
    Capability, Engine, EngineOptions, Grants, InstantiateError, Limits, Plugin, Refusal, Runner,
    http::Http, lookup::Lookup,
};
use sandbar_types::{BatchBuilder, Event, Name};
use serde::Serialize;

use super::super::client::{Failure, read};
use crate::trial::{self, TrialLog, TrialResult};

/// How a plugin is started: as a step of a route would.
#[derive(Clone, Debug)]
pub(super) struct Setup {
    /// JSON text.
    pub config: String,
    pub targets: Vec<Name>,
    pub grants: Vec<Capability>,
    /// What look-ups find, by topic, the latest event last. Without any topic they find nothing.
    pub tables: Vec<(String, Vec<Event>)>,
}

impl Setup {
    fn grants(&self) -> Grants {
        let has = |capability| self.grants.contains(&capability);
        Grants {
            lookup: has(Capability::Lookup)
                .then(|| Arc::new(stand_ins::Tables::of(&self.tables)) as Arc<dyn Lookup>),
            http: has(Capability::Http).then(|| Arc::new(stand_ins::NoNetwork) as Arc<dyn Http>),
            ..Grants::of(&self.grants)
        }
    }
}

/// A compiled plugin of a file.
pub(super) struct Loaded {
    pub bytes: usize,
    pub compile_time: Duration,
    pub plugin: Result<Plugin, Refusal>,
}

/// What came of one event that was passed alone.
#[derive(Debug, Serialize)]
pub(super) struct Ran {
    #[serde(flatten)]
    pub result: TrialResult,
    pub logs: Vec<TrialLog>,
    pub time_ns: u64,
    pub memory_bytes: u64,
}

/// Compiles and runs plugins of this command.
pub(super) struct Runtime {
    engine: Engine,
}

impl Runtime {
    /// Takes what it compiled before from the user's cache: a plugin with an interpreter inside
    /// takes some 10 s.
    pub(super) fn start() -> Result<Self, Failure> {
        Self::with(cache::folder())
    }

    /// Compiles anew, always.
    pub(super) fn fresh() -> Result<Self, Failure> {
        Self::with(None)
    }

    fn with(artifacts: Option<PathBuf>) -> Result<Self, Failure> {
        let options = EngineOptions {
            artifacts,
            // A few instances at a time are enough here.
            max_instances: 8,
            worker_threads: 1,
            ..EngineOptions::default()
        };
        Engine::new(options)
            .map(|engine| Self { engine })
            .map_err(Failure::local)
    }

    pub(super) fn load(&self, path: &Path) -> Result<Loaded, Failure> {
        let bytes = read(path)?;
        let started = Instant::now();
        let plugin = self.engine.compile(&bytes);
        Ok(Loaded {
            bytes: bytes.len(),
            compile_time: started.elapsed(),
            plugin,
        })
    }

    /// The plugin of a file that must be one.
    pub(super) fn plugin(&self, path: &Path) -> Result<Plugin, Failure> {
        self.load(path)?.plugin.map_err(|refusal| {
            Failure::local(format!("a hub would refuse {}: {refusal}", path.display()))
        })
    }
}

/// Starts an instance.
pub(super) fn start(plugin: &Plugin, setup: &Setup) -> Result<Runner, InstantiateError> {
    plugin.instantiate(&setup.config, Limits::default(), &setup.grants())
}

/// Why there is no instance, in words for the person at the terminal: the reason, and in further lines
/// where the plugin broke.
pub(super) fn reason(error: &InstantiateError, setup: &Setup) -> String {
    let here = match error {
        InstantiateError::GrantMissing(_) => " (here with --grant)",
        InstantiateError::ConfigRefused(_) if setup.config == "null" => " (--config gives it one)",
        _ => "",
    };
    let backtrace = match error {
        InstantiateError::Trap { backtrace, .. } => backtrace.lines(),
        _ => "".lines(),
    };
    let frames: String = backtrace.map(|line| format!("\n    in {line}")).collect();
    format!("{error}{here}{frames}")
}

/// Passes events one by one, so that each has its own logs, time and memory.
pub(super) fn run_singly(runner: &mut Runner, events: &[Event], setup: &Setup) -> Vec<Ran> {
    let ran = events.iter().map(|event| {
        let (mut results, answer) = call(runner, std::slice::from_ref(event), setup);
        Some(Ran {
            result: results.pop()?,
            logs: trial::logs(std::slice::from_ref(event), &answer),
            time_ns: u64::try_from(answer.usage.time.as_nanos()).unwrap_or(u64::MAX),
            memory_bytes: answer.usage.memory_bytes as u64,
        })
    });
    ran.flatten().collect()
}

/// Passes events in batches of this size.
pub(super) fn run_batched(
    runner: &mut Runner,
    events: &[Event],
    size: usize,
    setup: &Setup,
) -> Vec<TrialResult> {
    let batches = events.chunks(size.max(1));
    batches
        .flat_map(|batch| call(runner, batch, setup).0)
        .collect()
}

fn call(
    runner: &mut Runner,
    events: &[Event],
    setup: &Setup,
) -> (Vec<TrialResult>, sandbar_plugin::Answer) {
    let mut builder = BatchBuilder::new();
    for event in events {
        builder.push_event(event);
    }
    let answer = runner.run(&builder.finish(), &setup.targets);
    (trial::results(events, &answer, &setup.targets), answer)
}
