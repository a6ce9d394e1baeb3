//! Trying a plugin on given events: nothing is stored.

use std::sync::Arc;

use sandbar_plugin::Capability;
use sandbar_types::{BatchBuilder, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Hub, calls::parse_events};
use crate::{
    catalog::{StepLimits, code_of_start},
    problem::{Code, Problem},
    trial::{self, TrialLog, TrialResult},
};

/// The most events of one trial: one call of the plugin.
const MOST_EVENTS: usize = 1000;

/// What to try.
#[derive(Debug)]
pub struct TrialRequest {
    pub events: Vec<Box<RawValue>>,
    pub config: serde_json::Value,
    pub targets: Vec<String>,
    pub grants: Vec<String>,
    pub limits: StepLimits,
}

/// What came of it.
#[derive(Debug, Serialize, ToSchema)]
pub struct Trial {
    /// One per event.
    pub results: Vec<TrialResult>,
    pub logs: Vec<TrialLog>,
    /// Of the call with all events, in nanoseconds.
    pub time_ns: u64,
    /// The most linear memory that an instance had, in bytes.
    pub memory_bytes: u64,
}

impl Hub {
    /// Runs a plugin version on events.
    ///
    /// # Errors
    /// When the plugin is not there, refuses its configuration, or an event cannot be read.
    pub async fn try_plugin(
        self: &Arc<Self>,
        name: &str,
        version: &str,
        request: TrialRequest,
    ) -> Result<Trial, Problem> {
        let plugin = self.catalog.plugin(name, version)?;
        let engine = self.engine.clone();
        if request.events.len() > MOST_EVENTS {
            let detail = format!(
                "/events: {} events; a trial takes at most {MOST_EVENTS}",
                request.events.len()
            );
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
        let events = parse_events(&request.events)?;
        let targets = targets(&request.targets)?;
        let grants = grants(&request.grants)?;
        let limits = request.limits.of_instance();
        let config = request.config.to_string();
        let tried = self.engine.run(move || {
            let mut runner = plugin
                .plugin(&engine)?
                .instantiate(&config, limits, &grants)
                .map_err(|error| Problem::new(code_of_start(&error), error.to_string()))?;
            let mut builder = BatchBuilder::new();
            for event in &events {
                builder.push_event(event);
            }
            let answer = runner.run(&builder.finish(), &targets);
            Ok(trial_of(&events, &answer, &targets))
        });
        tried.await.map_err(Problem::internal)?
    }
}

fn trial_of(
    events: &[sandbar_types::Event],
    answer: &sandbar_plugin::Answer,
    targets: &[Name],
) -> Trial {
    Trial {
        results: trial::results(events, answer, targets),
        logs: trial::logs(answer),
        time_ns: u64::try_from(answer.usage.time.as_nanos()).unwrap_or(u64::MAX),
        memory_bytes: answer.usage.memory_bytes as u64,
    }
}

fn targets(names: &[String]) -> Result<Vec<Name>, Problem> {
    if names.is_empty() {
        return Ok(vec![Name::new("output").map_err(Problem::internal)?]);
    }
    let parse = |(index, name): (usize, &String)| {
        Name::new(name).map_err(|error| {
            Problem::new(Code::InvalidDocument, format!("/targets/{index}: {error}"))
        })
    };
    names.iter().enumerate().map(parse).collect()
}

fn grants(names: &[String]) -> Result<Vec<Capability>, Problem> {
    let parse = |(index, name): (usize, &String)| {
        name.parse().map_err(|_| {
            Problem::new(
                Code::InvalidDocument,
                format!("/grants/{index}: {name:?} is not a capability"),
            )
        })
    };
    names.iter().enumerate().map(parse).collect()
}
