//! Trying a plugin on given events: nothing is stored.

use std::{sync::Arc, time::Duration};

use sandbar_types::{BatchBuilder, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Hub, calls::parse_events};
use crate::{
    catalog::{self, Grant, StepLimits, code_of_start},
    problem::{Code, Problem},
    trial::{self, TrialLog, TrialResult},
};

/// How long a trial waits for topics that are looked into and that no route looks into yet. What it
/// does not come to is `unavailable` for the plugin.
const LOOKUPS_READ_FOR: Duration = Duration::from_secs(60);
/// The most events of one trial: one call of the plugin.
const MOST_EVENTS: usize = 1000;
/// Of a plugin that asks other services: each event may take a whole deadline.
const MOST_EVENTS_CALLING_OUT: usize = 16;

/// What to try.
#[derive(Debug)]
pub struct TrialRequest {
    pub events: Vec<Box<RawValue>>,
    pub config: serde_json::Value,
    pub targets: Vec<String>,
    pub grants: Vec<Grant>,
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
        let calls_out = (plugin.record.imports.iter()).any(|import| import == "http");
        let most = if calls_out {
            MOST_EVENTS_CALLING_OUT
        } else {
            MOST_EVENTS
        };
        if request.events.len() > most {
            let detail = format!(
                "/events: {} events; a trial of this plugin takes at most {most}",
                request.events.len()
            );
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
        let events = parse_events(&request.events)?;
        let targets = targets(&request.targets)?;
        let grants = self.catalog.resolve_grants("/grants", &request.grants)?;
        let looked_up: Vec<Name> = catalog::looked_up(&request.grants).cloned().collect();
        self.blocking(move |hub| {
            let read = hub.tables.catch_up(&looked_up, LOOKUPS_READ_FOR);
            read.map_err(|detail| Problem::new(Code::InvalidDocument, format!("/grants: {detail}")))
        })
        .await?;
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
        logs: trial::logs(events, answer),
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
