//! What a route says of events, and whether that is a failure. It asks a pipeline, and holds the outputs
//! against the contracts that will be in force.

use std::sync::Arc;

use sandbar_types::{BatchBuilder, Event};
use serde_json::Value;

use super::report::GateOutput;
use crate::{
    catalog::{BoundContract, Resolved},
    contract::Violations,
    ingest::cloudevents,
    process::{Cause, Pipeline, Verdict},
};

/// Outputs of one event that are told.
const MOST_OUTPUTS: usize = 10;

/// A route as it would run: its plugins, and the contract of each target.
pub(super) struct Judge {
    pipeline: Pipeline,
    contracts: Vec<Option<Arc<BoundContract>>>,
}

/// What a route says of one event.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Judgement {
    Emitted,
    Dropped,
    Rejected(String),
    Retried(String),
    Failed(Box<Failed>),
}

/// How an event fails.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Failed {
    pub cause: Cause,
    pub step: usize,
    pub reason: String,
    pub backtrace: Option<String>,
    pub outputs: Vec<GateOutput>,
    pub refused: Option<Refused>,
}

/// An output that the contract of its target refuses.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Refused {
    /// From 0, among the outputs of the event.
    pub output: usize,
    /// From 0, among the targets of the route.
    pub target: usize,
    pub violations: Violations,
}

/// Failures that are alike have the same.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Signature {
    cause: Cause,
    step: usize,
    /// Target and keyword of its contract's schema.
    place: Option<(usize, String)>,
}

impl Failed {
    pub fn signature(&self) -> Signature {
        let place = self.refused.as_ref().map(|refused| {
            let first = refused.violations.violations.first();
            let keyword = first.map(|one| one.schema_pointer.clone());
            (refused.target, keyword.unwrap_or_default())
        });
        Signature {
            cause: self.cause,
            step: self.step,
            place,
        }
    }
}

impl Judge {
    /// Instantiates the route's plugins.
    ///
    /// # Errors
    /// When one cannot be, in words.
    pub fn new(
        route: Arc<Resolved>,
        contracts: Vec<Option<Arc<BoundContract>>>,
    ) -> Result<Self, String> {
        Ok(Self {
            pipeline: Pipeline::new(route)?,
            contracts,
        })
    }

    /// What the route says of each of some events.
    pub fn ask(&mut self, events: &[&Event]) -> Vec<Judgement> {
        let mut batch = BatchBuilder::new();
        for event in events {
            batch.push_event(event);
        }
        let processed = self.pipeline.run_unchecked(&batch.finish());
        drop(self.pipeline.take_said());
        let route = self.pipeline.route().clone();
        let verdicts = processed.verdicts.iter().map(|verdict| match verdict {
            Verdict::Drop(_) => Judgement::Dropped,
            Verdict::Retry { reason, .. } => Judgement::Retried(reason.clone()),
            Verdict::Fail(failure) if failure.cause == Cause::Rejected => {
                Judgement::Rejected(failure.reason.clone())
            }
            Verdict::Fail(failure) => {
                let (reason, backtrace) = told(&failure.reason);
                Judgement::Failed(Box::new(Failed {
                    cause: failure.cause,
                    step: failure.step,
                    reason,
                    backtrace,
                    outputs: Vec::new(),
                    refused: None,
                }))
            }
            Verdict::Emit { first, count } => {
                let outputs = *first..*first + *count;
                let refused = outputs.clone().find_map(|index| {
                    let target = usize::from(processed.targets[index]);
                    let event = processed.outputs.get(index);
                    let data = route.targets[target].data_by(self.contracts[target].clone());
                    let violations = match route.document.decode {
                        Some(_) => data.encode(event).err()?,
                        None => data.check(event).err()?,
                    };
                    Some(Refused {
                        output: index - first,
                        target,
                        violations,
                    })
                });
                let Some(refused) = refused else {
                    return Judgement::Emitted;
                };
                let shown = outputs.take(MOST_OUTPUTS.max(refused.output + 1));
                let outputs = shown.map(|index| {
                    let target = usize::from(processed.targets[index]);
                    GateOutput {
                        target: route.targets[target].name.to_string(),
                        contract: self.contracts[target].as_ref().map(|one| one.reference()),
                        event: json_of(&processed.outputs.get(index).to_event()),
                    }
                });
                let reason = format!(
                    "output {} to {} does not fit contract {}: {}",
                    refused.output,
                    route.targets[refused.target].name,
                    self.contracts[refused.target]
                        .as_ref()
                        .map(|one| one.reference())
                        .unwrap_or_default(),
                    refused.violations,
                );
                Judgement::Failed(Box::new(Failed {
                    cause: Cause::Contract,
                    step: route.steps.len().saturating_sub(1),
                    reason,
                    backtrace: None,
                    outputs: outputs.collect(),
                    refused: Some(refused),
                }))
            }
        });
        verdicts.collect()
    }
}

/// A reason in a line, and the backtrace behind it. What a panic says stands on the line below its place.
fn told(reason: &str) -> (String, Option<String>) {
    let mut lines = reason.lines();
    let mut first = lines.next().unwrap_or_default().to_owned();
    if first.contains("panicked at ")
        && first.ends_with(':')
        && let Some(said) = lines.next()
    {
        first.push(' ');
        first.push_str(said);
    }
    let rest: Vec<&str> = lines.collect();
    (first, (!rest.is_empty()).then(|| rest.join("\n")))
}

/// An event in the CloudEvents JSON format.
pub(super) fn json_of(event: &Event) -> Value {
    let mut batch = BatchBuilder::new();
    batch.push_event(event);
    let batch = batch.finish();
    let mut json = Vec::new();
    cloudevents::encode_structured(batch.get(0), &[], &mut json);
    // Numbers beyond a float's range are data that JSON allows and `Value` does not hold.
    serde_json::from_slice(&json)
        .unwrap_or_else(|_| Value::from(String::from_utf8_lossy(&json).into_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_is_a_line_and_a_panic_says_why() {
        let told = |text: &str| {
            let (reason, backtrace) = told(text);
            (reason, backtrace.unwrap_or_default())
        };
        assert_eq!(told("no answer"), ("no answer".into(), String::new()));
        assert_eq!(
            told("trap: panicked at src/lib.rs:5:2:\nno index 3\nfirst\nsecond"),
            (
                "trap: panicked at src/lib.rs:5:2: no index 3".into(),
                "first\nsecond".into()
            )
        );
        assert_eq!(told("trap\nfirst"), ("trap".into(), "first".into()));
    }
}
