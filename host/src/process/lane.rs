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

use super::again::{PutBack, Ticket};
use crate::catalog::RetryPolicy;

/// So many attempts with an event are remembered, the last ones.
const MOST_TOLD: usize = 20;

/// The waiting events of one key, in order. The first is to be tried again at `due`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Line {
    pub offsets: VecDeque<Offset>,
    /// Attempts already made with the first.
    pub attempts: u32,
    /// Milliseconds since the epoch.
    pub due: u64,
    /// Why the first was not settled.
    pub reason: String,
    /// The last attempts with the first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub told: Vec<Told>,
    /// What was begun with events before which another was put.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub begun: BTreeMap<Offset, Begun>,
}

/// An attempt that settled nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Told {
    /// Milliseconds since the epoch.
    pub at: u64,
    pub reason: String,
}

/// How far one came with an event that no longer is the first of its line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Begun {
    pub attempts: u32,
    pub due: u64,
    pub reason: String,
    pub told: Vec<Told>,
}

impl Line {
    /// The first is settled; the next is due at once, or when it was due before.
    fn pop(&mut self, now: u64) {
        self.offsets.pop_front();
        let next = self.offsets.front();
        let begun = next.and_then(|offset| self.begun.remove(offset));
        let Begun {
            attempts,
            due,
            reason,
            told,
        } = begun.unwrap_or(Begun {
            attempts: 0,
            due: now,
            reason: String::new(),
            told: Vec::new(),
        });
        (self.attempts, self.due, self.reason, self.told) = (attempts, due, reason, told);
    }

    /// Puts an event where its offset belongs; false when it is there already.
    fn insert(&mut self, offset: Offset, now: u64) -> bool {
        let Err(at) = self.offsets.binary_search(&offset) else {
            return false;
        };
        if at == 0 {
            if let Some(&first) = self.offsets.front()
                && self.attempts > 0
            {
                let begun = Begun {
                    attempts: self.attempts,
                    due: self.due,
                    reason: std::mem::take(&mut self.reason),
                    told: std::mem::take(&mut self.told),
                };
                self.begun.insert(first, begun);
            }
            (self.attempts, self.due) = (0, now);
        }
        self.offsets.insert(at, offset);
        true
    }
}

/// What a route counted since it was made.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
pub struct Counts {
    /// Source events settled; one that was put back counts once.
    pub read: u64,
    /// Source events settled after they were put back.
    #[serde(default)]
    pub redriven: u64,
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
        self.redriven += other.redriven;
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
    /// The waiting events that were put back, each with how often.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub redrives: BTreeMap<Offset, u32>,
    /// The last request to put events back that was taken.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub taken: Option<Ticket>,
}

/// What became of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Settlement {
    /// Its outputs (or its dead letter, or nothing, for a drop) are to be written.
    Settled,
    /// To be tried again; `at` is when that was found, by the wall clock.
    Again { reason: String, at: u64 },
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

    /// The keys of lines that are due at `now`, the longest due first: at most so many.
    #[must_use]
    pub fn due(&self, now: u64, most: usize) -> Vec<String> {
        let due = self.lines.iter().filter(|(_, line)| line.due <= now);
        let mut due: Vec<(u64, &String)> = due.map(|(key, line)| (line.due, key)).collect();
        if due.len() > most {
            due.select_nth_unstable(most);
            due.truncate(most);
        }
        due.sort_unstable();
        due.into_iter().map(|(_, key)| key.clone()).collect()
    }

    /// Puts an event that was settled back into the line of its key, in the order of the offsets.
    /// One that waits already, or that is to be read for the first time yet, is left as it is.
    pub fn put_back(&mut self, event: &PutBack, now: u64) {
        if event.offset >= self.next {
            return;
        }
        let line = self.lines.entry(event.key.clone()).or_default();
        if line.insert(event.offset, now) {
            self.redrives.insert(event.offset, event.redrives);
        }
    }

    /// How often the event at `offset`, which waits, was put back.
    #[must_use]
    pub fn redrives(&self, offset: Offset) -> u32 {
        self.redrives.get(&offset).copied().unwrap_or(0)
    }

    /// No line waits longer than so many milliseconds from `now`.
    pub fn wait_at_most(&mut self, now: u64, longest: u64) {
        let last = now.saturating_add(longest);
        for line in self.lines.values_mut() {
            line.due = line.due.min(last);
            for begun in line.begun.values_mut() {
                begun.due = begun.due.min(last);
            }
        }
    }

    /// Takes note that all before `earliest` is no longer there.
    pub fn skip_to(&mut self, earliest: Offset) {
        self.next = self.next.max(earliest);
        for line in self.lines.values_mut() {
            while line.offsets.front().is_some_and(|&first| first < earliest) {
                line.pop(0);
            }
        }
        self.lines.retain(|_, line| !line.offsets.is_empty());
        self.redrives.retain(|offset, _| *offset >= earliest);
    }

    /// Takes note that a waiting event is no longer there.
    pub fn forget(&mut self, offset: Offset) {
        for line in self.lines.values_mut() {
            if line.offsets.front() == Some(&offset) {
                line.pop(0);
            } else {
                line.offsets.retain(|known| *known != offset);
            }
        }
        self.lines.retain(|_, line| !line.offsets.is_empty());
        self.redrives.remove(&offset);
    }

    /// The attempts with the event at `offset` of `key` that settled nothing, the last ones.
    #[must_use]
    pub fn told(&self, key: &str, offset: Offset) -> &[Told] {
        match self.lines.get(key) {
            Some(line) if line.offsets.front() == Some(&offset) => &line.told,
            _ => &[],
        }
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
    /// which event; `now` is milliseconds since the epoch, of a clock that nobody sets.
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
                if self.redrives.remove(&offset).is_some() {
                    self.counts.redriven += 1;
                } else {
                    self.counts.read += 1;
                }
                if let Some(line) = self.lines.get_mut(key)
                    && line.offsets.front() == Some(&offset)
                {
                    line.pop(now);
                    if line.offsets.is_empty() {
                        self.lines.remove(key);
                    }
                }
            }
            Settlement::Again { reason, at } => {
                self.counts.retries += 1;
                let line = self.lines.entry(key.to_owned()).or_insert_with(|| Line {
                    offsets: VecDeque::from([offset]),
                    ..Line::default()
                });
                line.attempts += 1;
                line.due = now + policy.backoff_ms(line.attempts);
                line.reason.clone_from(reason);
                line.told.push(Told {
                    at: *at,
                    reason: reason.clone(),
                });
                if line.told.len() > MOST_TOLD {
                    line.told.remove(0);
                }
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
