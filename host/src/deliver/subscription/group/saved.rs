//! What of a group is kept over restarts.
//!
//! An event without a story (never failed, not given up) needs no place of its own: it is read
//! again. So a checkpoint holds the lowest of those as `next`, what is settled above it as runs, and
//! the events with a story one by one; those stand in the runs too, so that they are not read twice.

use std::collections::VecDeque;

use sandbar_types::Offset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Group, Slot, State};
use crate::dead_letter::{Attempt, Cause};

/// So many of the last attempts are kept with a checkpoint.
const HISTORY: usize = 5;

/// What a subscription counted in one partition. As long as it is not reset,
/// `offered = acknowledged + dead + trimmed + waiting`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Events taken in, those that were offered again among them.
    pub offered: u64,
    /// Events that the filters left out.
    pub filtered: u64,
    /// Times that an event was handed out.
    pub delivered: u64,
    /// Those of them that were not the first of their event.
    pub retried: u64,
    /// Leases that ended without a word.
    pub lapsed: u64,
    pub acknowledged: u64,
    /// Events given up.
    pub dead: u64,
    /// Dead letters written.
    pub dead_letters: u64,
    /// Events that retention deleted before they were settled.
    pub trimmed: u64,
}

impl Counts {
    pub fn add(&mut self, other: &Self) {
        self.offered += other.offered;
        self.filtered += other.filtered;
        self.delivered += other.delivered;
        self.retried += other.retried;
        self.lapsed += other.lapsed;
        self.acknowledged += other.acknowledged;
        self.dead += other.dead;
        self.dead_letters += other.dead_letters;
        self.trimmed += other.trimmed;
    }

    /// Events that are done with.
    #[must_use]
    pub fn settled(&self) -> u64 {
        self.acknowledged + self.dead + self.trimmed
    }
}

/// A group as it is kept.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// Where reading goes on.
    pub next: Offset,
    /// What at or above `next` is not to be read again: from, and the offset behind.
    pub settled: Vec<(Offset, Offset)>,
    pub slots: Vec<SavedSlot>,
    /// What is read again and holds its key then.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held: Vec<Offset>,
    pub counts: Counts,
}

/// An event with a story.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SavedSlot {
    pub offset: Offset,
    /// The hashed key, in two halves.
    pub key: (u64, u64),
    #[serde(default)]
    pub attempts: u32,
    /// Milliseconds since the epoch; 0: never handed out.
    #[serde(default)]
    pub first: u64,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub due: Option<u64>,
    /// The wait that a client or an endpoint asked for, in milliseconds; 0: as the policy says.
    #[serde(default, skip_serializing_if = "crate::omit::zero")]
    pub asked: u64,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub again: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dying: Option<(Cause, String)>,
    #[serde(default)]
    pub redrives: u32,
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
}

impl Saved {
    /// The first offset that a restart would need.
    #[must_use]
    pub fn low(&self) -> Offset {
        let slots = self.slots.iter().map(|slot| slot.offset);
        slots.min().unwrap_or(self.next).min(self.next)
    }
}

impl Slot {
    fn has_story(&self) -> bool {
        let plain = matches!(
            self.state,
            State::Ready | State::Behind | State::Leased { .. }
        );
        !plain || self.again || self.redrives > 0 || !self.history.is_empty()
    }

    fn saved(&self, offset: Offset) -> SavedSlot {
        let skipped = self.history.len().saturating_sub(HISTORY);
        SavedSlot {
            offset,
            key: ((self.key >> 64) as u64, self.key as u64),
            attempts: self.attempts,
            first: self.first,
            due: match self.state {
                State::Delayed { due } => Some(due),
                _ => None,
            },
            asked: match self.state {
                State::Delayed { .. } => self.asked,
                _ => 0,
            },
            held: self.state == State::Held,
            again: self.again,
            dying: match &self.state {
                State::Dying { cause, reason } => Some((*cause, reason.clone())),
                _ => None,
            },
            redrives: self.redrives,
            history: self.history.iter().skip(skipped).cloned().collect(),
        }
    }
}

impl Group {
    #[must_use]
    pub fn save(&self) -> Saved {
        let mut plain = Vec::new();
        let mut slots = Vec::new();
        for (&offset, slot) in &self.slots {
            if slot.has_story() {
                slots.push(slot.saved(offset));
            } else {
                plain.push(offset);
            }
        }
        plain.sort_unstable();
        slots.sort_unstable_by_key(|slot| slot.offset);
        let next = plain.first().copied().unwrap_or(self.next);
        let mut settled = super::Ranges::default();
        let mut at = next;
        for offset in plain {
            settled.insert(at, offset);
            at = offset + 1;
        }
        settled.insert(at, self.next);
        for (from, to) in self.settled_ahead.runs() {
            settled.insert(from.max(next), to);
        }
        Saved {
            next,
            settled: settled.runs().collect(),
            slots,
            held: self.held_ahead.iter().copied().collect(),
            counts: self.counts.clone(),
        }
    }

    /// The group as it was saved: nothing is out, and what waits for a time waits on. The clock may
    /// have been set: so it waits at most `longest` milliseconds from `now`, or as long as it was
    /// asked to.
    #[must_use]
    pub fn restore(saved: &Saved, now: u64, longest: u64) -> Self {
        let mut group = Self::starting_at(saved.next);
        group.counts = saved.counts.clone();
        // What is read again is counted again.
        group.counts.offered = group.counts.settled() + saved.slots.len() as u64;
        group.settled_ahead = saved.settled.iter().copied().collect();
        group.held_ahead = saved.held.iter().copied().collect();
        let read = saved.settled.iter().map(|(_, to)| *to);
        group.read_before = read.max().unwrap_or(saved.next);
        // Heads that wait for something come first: nothing stood before them.
        let waits = |slot: &SavedSlot| slot.held || slot.dying.is_some() || slot.due.is_some();
        let (first, second): (Vec<_>, Vec<_>) = saved.slots.iter().partition(|slot| waits(slot));
        for saved in first.into_iter().chain(second) {
            let key = u128::from(saved.key.0) << 64 | u128::from(saved.key.1);
            let mut slot = Slot::new(key);
            slot.attempts = saved.attempts;
            slot.first = saved.first;
            slot.again = saved.again;
            slot.redrives = saved.redrives;
            slot.history = VecDeque::from(saved.history.clone());
            group.insert(saved.offset, slot, false);
            let is_head =
                (group.slots.get(&saved.offset)).is_some_and(|slot| slot.state == State::Ready);
            if saved.held {
                group.hold(saved.offset);
            } else if let Some((cause, reason)) = &saved.dying {
                group.give_up(saved.offset, *cause, reason.clone());
            } else if let Some(due) = saved.due
                && is_head
                && due > now
            {
                let due = due.min(now.saturating_add(longest.max(saved.asked)));
                if let Some(slot) = group.slots.get_mut(&saved.offset) {
                    slot.state = State::Delayed { due };
                    slot.asked = saved.asked;
                }
                group.leases.remember(due, saved.offset);
            }
        }
        group
    }
}
