//! What a check answers.

use serde::Serialize;
use serde_json::Value;

/// Whether all documents of one schema fit another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Answer {
    /// Proven.
    Compatible,
    /// Shown by a document.
    Incompatible,
    /// Neither proven nor shown.
    Unknown,
}

/// A way in which the schemas are not compatible, with a document that shows it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// A stable name, such as `type-narrowed`.
    pub rule: &'static str,
    /// In words.
    pub message: String,
    /// A JSON Pointer into the old schema.
    pub old: String,
    /// A JSON Pointer into the new schema.
    pub new: String,
    /// The place in the document, a JSON Pointer.
    pub instance: String,
    /// A document that one version takes and the other refuses; both validators were asked.
    pub counterexample: Value,
}

/// What could neither be proven nor shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Undecided {
    /// The rule whose proof failed, or `not-comparable`, `stopped`.
    pub rule: &'static str,
    pub reason: String,
    /// A JSON Pointer into the old schema.
    pub old: String,
    /// A JSON Pointer into the new schema.
    pub new: String,
}

/// The answer for one direction.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Direction {
    pub answer: Answer,
    /// At least one when the answer is `Incompatible`.
    pub findings: Vec<Finding>,
    /// At least one when the answer is `Unknown`.
    pub undecided: Vec<Undecided>,
}

/// The answers that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Report {
    /// Every document of the old schema fits the new one: those who know the new one can read old data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward: Option<Direction>,
    /// Every document of the new schema fits the old one: those who know the old one can read new data.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Direction>,
}

impl Report {
    /// The worst of the answers.
    #[must_use]
    pub fn answer(&self) -> Answer {
        let each = self.directions();
        let has = |answer| each.iter().any(|one| one.answer == answer);
        if has(Answer::Incompatible) {
            Answer::Incompatible
        } else if has(Answer::Unknown) {
            Answer::Unknown
        } else {
            Answer::Compatible
        }
    }

    /// The directions that were asked for.
    #[must_use]
    pub fn directions(&self) -> Vec<&Direction> {
        self.backward.iter().chain(&self.forward).collect()
    }
}
