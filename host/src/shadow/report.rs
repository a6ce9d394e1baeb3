//! What a comparison has found so far.

use std::collections::BTreeMap;

use sandbar_types::Offset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::recent::Recent;
use crate::catalog::{Runs, ShadowDocument};

/// Places that are counted one by one.
const MOST_PLACES: usize = 500;
/// Events that are kept as examples.
const MOST_EXAMPLES: usize = 20;

/// How a shadow is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShadowState {
    #[default]
    Comparing,
    /// Something keeps it from going on; it is tried again.
    Stalled,
    /// `max_events` were compared.
    Done,
    /// The candidate has taken over.
    Promoted,
}

impl ShadowState {
    /// Whether nothing more will be compared.
    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Promoted)
    }
}

/// What a comparison found.
#[derive(Clone, Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct ShadowReport {
    pub state: ShadowState,
    /// What stalls it, or why the candidate did not take over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Events that both have seen.
    pub compared: u64,
    /// Events of which both said the same.
    pub same: u64,
    pub differing: u64,
    /// Events of which the verdict changed, as in `emit → drop`.
    pub verdicts: BTreeMap<String, u64>,
    /// Changed places of verdicts and outputs, by JSON Pointer into
    /// `{"verdict", "reason", "outputs": [{"target", "event"}]}`; `*` stands for any index.
    pub places: BTreeMap<String, PlaceCounts>,
    /// Changes at places beyond the first 500.
    pub other_places: u64,
    /// The first events that differ.
    pub examples: Vec<Example>,
    /// What the route's own plugins cost.
    pub active: Cost,
    /// What the candidate costs.
    pub candidate: Cost,
    /// How often the count began anew because the route ran something else.
    #[serde(skip_serializing_if = "crate::omit::zero")]
    pub restarted: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub promotion: Option<Promotion>,
}

/// How often a place differs, and how.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PlaceCounts {
    pub added: u64,
    pub removed: u64,
    pub changed: u64,
}

/// What running costs.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Cost {
    /// Of all steps and the check of contracts.
    pub nanoseconds: u64,
    pub nanoseconds_per_event: u64,
    /// The most linear memory that the steps' instances had together.
    pub memory_bytes: u64,
}

/// An event that differs.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Example {
    pub topic: String,
    pub partition: u32,
    pub offset: Offset,
    pub id: String,
    /// `emit`, `drop`, `fail` or `retry`.
    pub active: String,
    pub candidate: String,
    /// The first 20 changes; each has `kind`, `pointer` and the values.
    #[schema(value_type = Vec<Object>)]
    pub changes: serde_json::Value,
}

/// Who had the candidate take over.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Promotion {
    /// RFC 3339.
    pub at: String,
    pub by: String,
    pub reason: String,
}

/// What differs at one event.
pub struct Difference {
    pub places: BTreeMap<String, PlaceCounts>,
    pub example: Example,
}

/// A report, and where it goes on.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(super) struct Progress {
    /// The next offset by partition.
    pub next: BTreeMap<u32, Offset>,
    /// What the candidate is compared with, its steps naming versions.
    #[serde(default)]
    pub against: Option<Runs>,
    pub report: ShadowReport,
    #[serde(skip)]
    pub recent: Recent,
}

impl Progress {
    /// Counts anew where the route runs something else than what was compared; where reading goes on stays.
    pub(super) fn compare_with(&mut self, against: Runs) {
        if self.against.as_ref() == Some(&against) {
            return;
        }
        if self.against.replace(against).is_some() && self.report.compared > 0 {
            self.report = ShadowReport {
                restarted: self.report.restarted + 1,
                ..ShadowReport::default()
            };
            self.recent = Recent::default();
        }
    }

    /// Takes in what a part of the source came to.
    pub(super) fn add(&mut self, events: usize, differences: Vec<Difference>) {
        let compared = self.report.compared + events as u64;
        let examples = differences.iter().map(|difference| &difference.example);
        self.recent.add(compared, examples);
        self.report.add(events, differences);
    }
}

impl ShadowReport {
    /// Counts what a part of the source came to.
    pub(super) fn add(&mut self, events: usize, differences: Vec<Difference>) {
        let differing = differences.len() as u64;
        self.compared += events as u64;
        self.differing += differing;
        self.same += events as u64 - differing;
        for difference in differences {
            self.add_difference(difference);
        }
    }

    fn add_difference(&mut self, difference: Difference) {
        if difference.example.active != difference.example.candidate {
            let change = format!(
                "{} → {}",
                difference.example.active, difference.example.candidate
            );
            *self.verdicts.entry(change).or_default() += 1;
        }
        for (place, how) in difference.places {
            if self.places.len() >= MOST_PLACES && !self.places.contains_key(&place) {
                self.other_places += 1;
                continue;
            }
            let counts = self.places.entry(place).or_default();
            counts.added += how.added;
            counts.removed += how.removed;
            counts.changed += how.changed;
        }
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(difference.example);
        }
    }

    /// Whether the candidate is to take over by the document's policy.
    #[must_use]
    pub fn is_ripe(&self, document: &ShadowDocument) -> bool {
        let share = self.differing as f64 / self.compared.max(1) as f64;
        document.promote.is_some_and(|policy| {
            self.compared >= policy.after_events && share <= policy.max_differing
        })
    }
}

impl Cost {
    pub(super) fn add(&mut self, nanoseconds: u64, memory_bytes: u64, compared: u64) {
        self.nanoseconds += nanoseconds;
        self.nanoseconds_per_event = self.nanoseconds / compared.max(1);
        self.memory_bytes = self.memory_bytes.max(memory_bytes);
    }
}
