//! What is known of a job, for those outside and, with what it has still to do, in meta.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{offer::Offering, redrive::Redriving, replay::Replaying};
use crate::process::Parked;

/// So many events that failed are told.
const MOST_EXAMPLES: usize = 50;
/// The longest reason among the examples, in characters.
const MAX_REASON: usize = 500;

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    Redrive,
    ReplayRoute,
    ReplayTopic,
    ReplaySubscription,
}

/// How a job is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum JobState {
    /// Others of its kind come first.
    Queued,
    Running,
    Done,
    Cancelled,
    Failed,
}

impl JobState {
    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Queued => "queued",
            Self::Running => "running",
            Self::Done => "done",
            Self::Cancelled => "cancelled",
            Self::Failed => "failed",
        }
    }

    #[must_use]
    pub fn is_over(self) -> bool {
        matches!(self, Self::Done | Self::Cancelled | Self::Failed)
    }
}

/// Long work: who wanted it and why, and how far it came.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Job {
    pub id: String,
    pub kind: Kind,
    /// The route, topic or subscription that is replayed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    pub state: JobState,
    /// What keeps it from going on, or why it failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// It was told to end, and finishes what it has in hand.
    #[serde(default)]
    pub cancelling: bool,
    pub by: String,
    pub reason: String,
    /// What was asked for.
    #[schema(value_type = Object)]
    pub request: serde_json::Value,
    /// RFC 3339.
    pub created: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub started: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ended: Option<String>,
    pub progress: Progress,
}

/// How far a job came. All numbers are events; of a redrive, dead letters.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(default)]
pub struct Progress {
    /// All that were selected.
    pub total: u64,
    /// Those that are done with.
    pub done: u64,
    /// Put back to be worked or delivered once more.
    pub redriven: u64,
    /// Events written, by topic.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub written: BTreeMap<String, u64>,
    /// Left out on purpose by a plugin, by reason.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub dropped: BTreeMap<String, u64>,
    /// Not taken: `already-redriven`, `too-often`, `gone`, `route-gone`, `subscription-gone`; of
    /// a replay to a subscription `filtered`: not for it.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left_out: BTreeMap<String, u64>,
    /// What to do about those that were left out.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub advice: Vec<String>,
    /// Of a replay: those that a plugin or a contract did not let pass, by cause.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub failed: BTreeMap<String, u64>,
    /// The first 50 of those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub examples: Vec<FailedEvent>,
}

/// An event that a replay could not process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FailedEvent {
    /// `topic/partition/offset`
    pub position: String,
    pub cause: String,
    pub reason: String,
}

impl Progress {
    /// Counts an event of `source` that failed.
    pub(super) fn fail(&mut self, source: &sandbar_types::PartitionId, parked: &Parked) {
        let cause = parked.failure.cause.as_str();
        *self.failed.entry(cause.to_owned()).or_default() += 1;
        if self.examples.len() < MOST_EXAMPLES {
            self.examples.push(FailedEvent {
                position: format!("{source}/{}", parked.offset),
                cause: cause.to_owned(),
                reason: parked.failure.reason.chars().take(MAX_REASON).collect(),
            });
        }
    }
}

/// A job as meta keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Record {
    pub job: Job,
    pub work: Work,
}

/// What is still to be done.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Work {
    Redrive(Redriving),
    Replay(Replaying),
    Offer(Offering),
    /// It is over.
    Nothing,
}

impl Kind {
    pub(super) const ALL: [Self; 4] = [
        Self::Redrive,
        Self::ReplayRoute,
        Self::ReplayTopic,
        Self::ReplaySubscription,
    ];

    /// As it is written.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Redrive => "redrive",
            Self::ReplayRoute => "replay-route",
            Self::ReplayTopic => "replay-topic",
            Self::ReplaySubscription => "replay-subscription",
        }
    }

    /// So many of its sort run at a time; of the others each waits for those before it.
    pub(super) fn at_a_time(self) -> usize {
        match self {
            // In the order in which they were asked for: each sees what the one before has redriven.
            Self::Redrive => 1,
            Self::ReplayRoute | Self::ReplayTopic | Self::ReplaySubscription => 2,
        }
    }

    /// Whether both wait for each other.
    pub(super) fn is_alike(self, other: Self) -> bool {
        (self == Self::Redrive) == (other == Self::Redrive)
    }
}
