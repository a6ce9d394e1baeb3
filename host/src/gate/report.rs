//! What the gate found of one route, in the API's words.

use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use crate::contract::Violation;

/// What the gate found of one route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateReport {
    pub route: String,
    pub outcome: Outcome,
    /// Why nothing was checked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The same seed makes the same inputs of the same contract.
    pub seed: u64,
    /// Of the inputs that were made: from the contract of the source, and of its last events.
    pub generated: Tally,
    /// Of the last events of the source.
    pub real: Tally,
    /// At most three that differ in kind.
    pub failures: Vec<GateFailure>,
    /// What does not speak against it and is worth knowing.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub warnings: Vec<String>,
    /// The command that asks the same once more.
    pub again: String,
}

/// What came of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    Passed,
    Refused,
    /// There was nothing to check, or it could not be checked; `detail` says why.
    NotChecked,
}

impl Outcome {
    /// As in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Refused => "refused",
            Self::NotChecked => "not-checked",
        }
    }
}

/// Cases, by what the route said of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Tally {
    pub checked: u64,
    pub emitted: u64,
    pub dropped: u64,
    pub rejected: u64,
    pub retried: u64,
    pub failed: u64,
    /// Not run any more: enough had failed, or time was up.
    #[serde(skip_serializing_if = "crate::omit::zero")]
    pub left: u64,
    /// Events that the contract of the source would not take any more.
    #[serde(skip_serializing_if = "crate::omit::zero")]
    pub unfit: u64,
}

/// One way in which a route fails.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateFailure {
    /// In the words of a dead letter: `contract`, `trap`, `deadline`, `memory`, `output-limit`,
    /// `undeclared-target`, `bad-answer`.
    pub cause: String,
    pub reason: String,
    /// From 0; with `contract` the last one.
    pub step: usize,
    /// `name@version` of that step; empty in a route without steps.
    pub plugin: String,
    /// Where the input comes from.
    pub case: GateCase,
    /// The smallest input found that fails so, in the CloudEvents JSON format.
    #[schema(value_type = Object)]
    pub input: Value,
    /// Its data as JSON, where that is Avro or Protobuf.
    #[schema(value_type = Option<Object>)]
    #[serde(skip_serializing_if = "Option::is_none")]
    pub decoded: Option<Value>,
    /// With `contract`: what the route makes of the input.
    pub outputs: Vec<GateOutput>,
    /// With `contract`: the first output that is refused, from 0.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub output: Option<usize>,
    /// With `contract`: where that output does not fit.
    pub violations: Vec<Violation>,
    /// The plugin's functions, innermost first, one a line, where they are known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

/// What an input was made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum GateCase {
    /// The contract of the source, or a stored event and the contract.
    Generated {
        /// Its place among the inputs of this seed, from 0.
        number: usize,
    },
    /// An event of the source.
    Real {
        topic: String,
        partition: u32,
        offset: u64,
    },
}

/// What a route gives out.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct GateOutput {
    pub target: String,
    /// `name@version`, where the target has one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    /// In the CloudEvents JSON format.
    #[schema(value_type = Object)]
    pub event: Value,
}

impl GateReport {
    /// The first failure in a line.
    #[must_use]
    pub fn summary(&self) -> Option<String> {
        let first = self.failures.first()?;
        let data = first.decoded.as_ref().unwrap_or(&first.input["data"]);
        let mut input = data.to_string();
        if input.len() > 300 {
            let end = (0..=300).rev().find(|end| input.is_char_boundary(*end));
            input.truncate(end.unwrap_or(0));
            input.push('…');
        }
        let by = match first.plugin.as_str() {
            "" => String::new(),
            plugin => format!(" ({plugin})"),
        };
        Some(format!(
            "route {}{by}: {}: {}; smallest input found: {input}",
            self.route, first.cause, first.reason
        ))
    }
}
