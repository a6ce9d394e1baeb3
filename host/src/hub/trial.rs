//! Trying a plugin on given events: nothing is stored.

use std::{sync::Arc, time::Duration};

use sandbar_plugin::{InstantiateError, Limits, Verdict};
use sandbar_types::{BatchBuilder, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Hub, calls::parse_events};
use crate::{
    catalog::{self, Grant, StepLimits},
    ingest::cloudevents,
    problem::{Code, Problem},
    process::cause_of,
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

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialResult {
    pub id: String,
    /// `emit`, `drop`, `reject`, `retry` or `fault`.
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// With `fault`: what kind, in the words of a dead letter's `cause`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fault: Option<String>,
    pub outputs: Vec<TrialOutput>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialOutput {
    pub target: String,
    /// In the CloudEvents JSON format.
    #[schema(value_type = Object)]
    pub event: Box<RawValue>,
}

#[derive(Debug, Serialize, ToSchema)]
pub struct TrialLog {
    pub level: String,
    pub message: String,
    /// The id of the event that it belongs to, where it is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub event: Option<String>,
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
        let plugin = self.catalog.plugin(name, version)?.plugin;
        let most = if plugin.calls_out() {
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
        let limits = limits(&request.limits);
        let config = request.config.to_string();
        let tried = self.engine.run(move || {
            let mut runner = plugin
                .instantiate(&config, limits, &grants)
                .map_err(|error| refusal(&error))?;
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
    let results = answer.verdicts.iter().zip(events).map(|(verdict, event)| {
        let (name, reason, fault) = match verdict {
            Verdict::Emit { .. } => ("emit", None, None),
            Verdict::Drop(reason) => ("drop", Some(reason.clone()), None),
            Verdict::Reject(reason) => ("reject", Some(reason.clone()), None),
            Verdict::Retry(reason) => ("retry", Some(reason.clone()), None),
            Verdict::Fault(fault) => (
                "fault",
                Some(fault.message.clone()),
                Some(cause_of(fault.kind).as_str().to_owned()),
            ),
        };
        let outputs = if let Verdict::Emit { first, count } = verdict {
            *first..*first + *count
        } else {
            0..0
        };
        let outputs = outputs.map(|output| {
            let mut json = Vec::new();
            cloudevents::encode_structured(answer.outputs.get(output), &[], &mut json);
            let text = String::from_utf8(json)
                .ok()
                .and_then(|text| RawValue::from_string(text).ok());
            TrialOutput {
                target: targets[usize::from(answer.targets[output])].to_string(),
                event: text.unwrap_or_default(),
            }
        });
        TrialResult {
            id: event.id.clone(),
            verdict: name,
            reason,
            fault,
            outputs: outputs.collect(),
        }
    });
    let logs = answer.logs.iter().map(|line| TrialLog {
        level: line.level.as_str().to_owned(),
        message: line.message.clone(),
        event: match events.get(line.events.clone()) {
            Some([event]) => Some(event.id.clone()),
            _ => None,
        },
    });
    Trial {
        results: results.collect(),
        logs: logs.collect(),
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

fn limits(limits: &StepLimits) -> Limits {
    let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
    Limits {
        memory_bytes: bytes(limits.memory_bytes),
        deadline: Duration::from_millis(limits.deadline_ms.clamp(1, 60_000)),
        output_bytes: bytes(limits.output_bytes),
        outputs_per_event: bytes(limits.outputs_per_event),
        ..Limits::default()
    }
}

fn refusal(error: &InstantiateError) -> Problem {
    let code = match error {
        InstantiateError::GrantMissing(_) => Code::GrantMissing,
        InstantiateError::ConfigRefused(_) => Code::PluginConfigRefused,
        _ => Code::InvalidPlugin,
    };
    Problem::new(code, error.to_string())
}
