//! A lane: how far a route has come in one partition of its source topic. Pure: no IO, no clock.
//!
//! ```text
//!  offsets   0 … 4 │ 5   6   7   8   9  10 │ 11 …
//!                  │ w   ✓   ✓   w   ✓   ✓ │
//!                low ┘                      └ next
//! ```
//! Everything below `low` is settled; between `low` and `next` all is settled but what waits in a
//! line. A line holds the events of one key, the first of which is to be tried again; the others
//! stand behind it, so order per key is kept while other keys go on.

use std::collections::{BTreeMap, HashMap, VecDeque};

use sandbar_types::Offset;
use serde::{Deserialize, Serialize};

use crate::catalog::RetryPolicy;

/// The waiting events of one key, in order. The first is to be tried again at `due`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub offsets: VecDeque<Offset>,
    /// Attempts already made with the first.
    pub attempts: u32,
    /// Milliseconds since the epoch.
    pub due: u64,
    /// Why the first was not settled.
    pub reason: String,
}

/// What a route counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// Source events settled.
    pub read: u64,
    /// Outputs written, by target topic.
    pub emitted: BTreeMap<String, u64>,
    /// Source events left out on purpose, by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Dead letters of cause `rejected`.
    pub rejected: u64,
    /// Dead letters of any cause.
    pub dead_letters: u64,
    /// Attempts after the first.
    pub retries: u64,
}

/// Past this many reasons further ones are counted together, so that a plugin that puts ids into
/// its reasons cannot fill the memory.
const MOST_REASONS: usize = 100;

/// Where the reasons past the first hundred are counted.
pub const OTHER_REASONS: &str = "(other reasons)";

impl Counts {
    /// Counts a drop.
    pub fn drop_for(&mut self, reason: &str, times: u64) {
        let known = self.dropped.contains_key(reason) || self.dropped.len() < MOST_REASONS;
        let reason = if known { reason } else { OTHER_REASONS };
        *self.dropped.entry(reason.to_owned()).or_default() += times;
    }

    /// Adds what another counted.
    pub fn add(&mut self, other: &Self) {
        self.read += other.read;
        self.rejected += other.rejected;
        self.dead_letters += other.dead_letters;
        self.retries += other.retries;
        for (target, count) in &other.emitted {
            *self.emitted.entry(target.clone()).or_default() += count;
        }
        for (reason, count) in &other.dropped {
            self.drop_for(reason, *count);
        }
    }
}

/// How far a route has come in one partition.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The next offset to be read for the first time.
    pub next: Offset,
    /// Lines of waiting events, by key.
    pub lines: HashMap<String, Line>,
    pub counts: Counts,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its outputs (or its dead letter, or nothing, for a drop) are to be written.
    Settled,
    /// To be tried again.
    Again { reason: String },
    /// Another event of its key waits before it.
    Behind,
}

impl Lane {
    /// A lane that starts at `next`.
    #[must_use]
    pub fn starting_at(next: Offset) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// Everything below is settled.
    #[must_use]
    pub fn low(&self) -> Offset {
        let heads = self
            .lines
            .values()
            .filter_map(|line| line.offsets.front().copied());
        heads.min().unwrap_or(self.next).min(self.next)
    }

    /// How many events wait in lines.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.lines.values().map(|line| line.offsets.len()).sum()
    }

    /// Whether an event of this key waits.
    #[must_use]
    pub fn holds(&self, key: &str) -> bool {
        self.lines.contains_key(key)
    }

    /// The key of the line that is due first.
    #[must_use]
    pub fn first_due(&self) -> Option<(&str, u64)> {
        let lines = self
            .lines
            .iter()
            .map(|(key, line)| (key.as_str(), line.due));
        lines.min_by_key(|(_, due)| *due)
    }

    /// Attempts already made with the event at `offset` of `key`.
    #[must_use]
    pub fn attempts(&self, key: &str, offset: Offset) -> u32 {
        match self.lines.get(key) {
            Some(line) if line.offsets.front() == Some(&offset) => line.attempts,
            _ => 0,
        }
    }

    /// Takes note of what became of the events of one batch, in their order. `key` and `offset` say
    /// which event; `now` is milliseconds since the epoch.
    pub fn settle(
        &mut self,
        offset: Offset,
        key: &str,
        what: &Settlement,
        policy: &RetryPolicy,
        now: u64,
    ) {
        self.next = self.next.max(offset + 1);
        match what {
            Settlement::Settled => {
                self.counts.read += 1;
                if let Some(line) = self.lines.get_mut(key)
                    && line.offsets.front() == Some(&offset)
                {
                    line.offsets.pop_front();
                    line.attempts = 0;
                    line.due = now;
                    line.reason.clear();
                    if line.offsets.is_empty() {
                        self.lines.remove(key);
                    }
                }
            }
            Settlement::Again { reason } => {
                self.counts.retries += 1;
                let line = self.lines.entry(key.to_owned()).or_insert_with(|| Line {
                    offsets: VecDeque::from([offset]),
                    attempts: 0,
                    due: 0,
                    reason: String::new(),
                });
                line.attempts += 1;
                line.due = now + policy.backoff_ms(line.attempts);
                line.reason.clone_from(reason);
            }
            Settlement::Behind => {
                if let Some(line) = self.lines.get_mut(key)
                    && line.offsets.back().is_some_and(|&last| last < offset)
                {
                    line.offsets.push_back(offset);
                }
            }
        }
    }

    /// Takes note of `events` new events that are all settled, of whose keys none waits; the next to
    /// be read is `next`.
    pub fn settle_run(&mut self, events: u64, next: Offset) {
        self.counts.read += events;
        self.next = self.next.max(next);
    }
}

#[cfg(test)]
mod tests;
