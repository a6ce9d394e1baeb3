//! What a plugin said of events that were only tried: the same words from the hub, from the command
//! line without a hub, and in every comparison.
//!
//! Pure: it runs nothing and stores nothing.

use sandbar_plugin::{Answer, Verdict};
use sandbar_types::{Event, Name};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{ingest::cloudevents, process::cause_of};

/// Of one event.
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
    /// With `fault`, where it is known: the plugin's functions, innermost first, one a line; with file
    /// and line where the plugin has debug information.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
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

/// The results of a call with these events and targets.
#[must_use]
pub fn results(events: &[Event], answer: &Answer, targets: &[Name]) -> Vec<TrialResult> {
    let results = answer.verdicts.iter().zip(events).map(|(verdict, event)| {
        let mut result = TrialResult {
            id: event.id.clone(),
            verdict: "emit",
            reason: None,
            fault: None,
            backtrace: None,
            outputs: Vec::new(),
        };
        match verdict {
            Verdict::Emit { first, count } => {
                let outputs = *first..*first + *count;
                result.outputs = outputs
                    .map(|index| output(answer, index, targets))
                    .collect();
            }
            Verdict::Drop(reason) => {
                (result.verdict, result.reason) = ("drop", Some(reason.clone()));
            }
            Verdict::Reject(reason) => {
                (result.verdict, result.reason) = ("reject", Some(reason.clone()));
            }
            Verdict::Retry(reason) => {
                (result.verdict, result.reason) = ("retry", Some(reason.clone()));
            }
            Verdict::Fault(fault) => {
                (result.verdict, result.reason) = ("fault", Some(fault.message.clone()));
                result.fault = Some(cause_of(fault.kind).as_str().to_owned());
                result.backtrace = Some(fault.backtrace.clone()).filter(|text| !text.is_empty());
            }
        }
        result
    });
    results.collect()
}

fn output(answer: &Answer, index: usize, targets: &[Name]) -> TrialOutput {
    let mut json = Vec::new();
    cloudevents::encode_structured(answer.outputs.get(index), &[], &mut json);
    let text = String::from_utf8(json)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok());
    TrialOutput {
        target: targets[usize::from(answer.targets[index])].to_string(),
        event: text.unwrap_or_default(),
    }
}

/// What the plugin logged during a call.
#[must_use]
pub fn logs(events: &[Event], answer: &Answer) -> Vec<TrialLog> {
    let logs = answer.logs.iter().map(|line| TrialLog {
        level: line.level.as_str().to_owned(),
        message: line.message.clone(),
        event: match events.get(line.events.clone()) {
            Some([event]) => Some(event.id.clone()),
            _ => None,
        },
    });
    logs.collect()
}
