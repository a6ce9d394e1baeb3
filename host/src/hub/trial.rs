//! Trying a plugin on given events: nothing is stored.

use std::{sync::Arc, time::Duration};

use sandbar_plugin::{Capability, InstantiateError, Limits, Verdict};
use sandbar_types::{BatchBuilder, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Hub, calls::parse_events};
use crate::{
    catalog::StepLimits,
    ingest::cloudevents,
    problem::{Code, Problem},
    process::cause_of,
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
        let limits = limits(&request.limits);
        let config = request.config.to_string();
        let tried = self.engine.run(move || {
            let mut runner = plugin
                .plugin(&engine)?
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
        level: format!("{:?}", line.level).to_lowercase(),
        message: line.message.clone(),
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
