//! One subscription in one partition: which events are out, which wait, which are settled. Pure: no
//! IO, no clock, no randomness; times come in as milliseconds.
//!
//! ```text
//!  offsets   0 … 4 │ 5   6   7   8   9  10 │ 11 …
//!                  │ L   ✓   ✓   w   ✓   ✓ │
//!              low ┘                      └ next        L leased, w waiting in a line, ✓ settled
//! ```
//! Everything below `low` is settled; between `low` and `next` all is settled but what has a slot.
//! The slots of one key form a line, in the order of their offsets; only the head of a line may be
//! out. Offsets at or above `next` that are settled already (before a restart) are `settled_ahead`.
//!
//! A settlement has three steps, because it must be durable before it counts: `standing` says
//! whether a claim still holds, `begin` keeps the event from being handed out meanwhile, and
//! `acknowledged` (or `buried`) or `revert` ends it.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use sandbar_types::Offset;

use super::{ranges::Ranges, spread::Spread};
use crate::dead_letter::{Attempt, Cause, MOST_HISTORY};

mod claims;
mod leases;
mod lines;
mod policy;
mod saved;

use leases::{Leases, Timer};
pub use policy::Policy;
pub use saved::{Counts, Saved};

/// A key, hashed (xxh3-128): two keys of one partition with the same hash are not to be expected.
pub type Key = u128;

/// No offset: the end of a line.
const NONE: Offset = Offset::MAX;

/// The lease of claims that come of a mark: all below it is settled, whatever stands before what.
const COVERED: u64 = 0;

/// Where an event that is not settled stands.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum State {
    /// Another event of its key stands before it.
    Behind,
    /// Can be handed out.
    Ready,
    /// With a client until then.
    Leased { lease: u64, until: u64 },
    /// To be handed out again then.
    Delayed { due: u64 },
    /// Given up; its dead letter is to be written.
    Dying { cause: Cause, reason: String },
    /// Given up and its dead letter written; its key waits for it.
    Held,
}

#[derive(Clone, Debug)]
struct Slot {
    key: Key,
    /// The next of its key, or [`NONE`].
    next: Offset,
    state: State,
    /// Its settlement is on the way to the disk.
    settling: bool,
    /// It was settled and is to be delivered again.
    again: bool,
    /// How often it was handed out.
    attempts: u32,
    /// When it was first handed out; 0: never.
    first: u64,
    redrives: u32,
    /// How long it was asked to wait the last time, in milliseconds; 0: as the policy says.
    asked: u64,
    /// The attempts that failed, the oldest first.
    history: VecDeque<Attempt>,
}

#[derive(Clone, Copy, Debug)]
struct Line {
    head: Offset,
    last: Offset,
}

/// An event handed out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handed {
    pub offset: Offset,
    /// 1 for the first time.
    pub delivery: u32,
}

/// By what a client settles: it was handed the event under this lease as this delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Claim {
    pub offset: Offset,
    pub lease: u64,
    pub delivery: u32,
}

/// How a claim stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Standing {
    /// The event is the claimant's, or its lease ended and nobody else has had it since.
    Holds,
    /// It was handed out before a restart and is not read again yet.
    Unread,
    /// It is settled.
    Settled,
    /// Somebody else has it or has had it since, or it is given up.
    Lost,
}

/// An event that was given up, with its story.
#[derive(Clone, Debug)]
pub struct Dying {
    pub offset: Offset,
    pub cause: Cause,
    pub reason: String,
    pub attempts: u32,
    pub redrives: u32,
    pub history: Vec<Attempt>,
}

/// See the head of this module.
#[derive(Clone, Debug, Default)]
pub struct Group {
    next: Offset,
    slots: HashMap<Offset, Slot, Spread>,
    lines: HashMap<Key, Line, Spread>,
    /// Ready for the first time, in order. Entries may be out of date.
    fresh: VecDeque<Offset>,
    /// Ready otherwise. Entries may be out of date.
    ready: BTreeSet<Offset>,
    leases: Leases,
    dying: BTreeSet<Offset>,
    held: HashSet<Offset, Spread>,
    settled_ahead: Ranges,
    /// Held before a restart, not read again yet.
    held_ahead: BTreeSet<Offset>,
    /// Not read again yet, and a settlement is on its way.
    settling_ahead: HashSet<Offset, Spread>,
    /// How far it had read before a restart.
    read_before: Offset,
    out: usize,
    counts: Counts,
}

impl Group {
    #[must_use]
    pub fn starting_at(next: Offset) -> Self {
        Self {
            next,
            ..Self::default()
        }
    }

    /// The next offset to be read.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.next
    }

    /// Everything below is settled.
    #[must_use]
    pub fn low(&self) -> Offset {
        // After a restart there may be slots above what is still to be read again.
        let lowest = self.slots.keys().copied().min();
        lowest.map_or(self.next, |lowest| lowest.min(self.next))
    }

    /// How many events were read and are not settled.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.slots.len()
    }

    /// Whether an event was read and is not settled.
    #[must_use]
    pub fn has(&self, offset: Offset) -> bool {
        self.slots.contains_key(&offset)
    }

    /// How many events are with clients.
    #[must_use]
    pub fn out(&self) -> usize {
        self.out
    }

    /// How many keys wait for an event that was given up.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len() + self.held_ahead.len()
    }

    #[must_use]
    pub fn counts(&self) -> &Counts {
        &self.counts
    }

    #[must_use]
    pub fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// How many more events may be read.
    #[must_use]
    pub fn room(&self, policy: &Policy) -> usize {
        if self.held() >= policy.max_held_keys {
            return 0;
        }
        policy.max_waiting.saturating_sub(self.slots.len())
    }

    /// After a restart: whether there may be older events than those that wait, read before and not
    /// yet again.
    #[must_use]
    pub fn is_catching_up(&self) -> bool {
        self.next < self.read_before
    }

    /// Takes note of the event at `offset`, which is to be delivered.
    pub fn offer(&mut self, offset: Offset, key: Key) {
        if offset < self.next {
            return;
        }
        self.next = offset + 1;
        if !self.settled_ahead.is_empty() {
            let settled = self.settled_ahead.contains(offset);
            self.settled_ahead.forget_below(self.next);
            if settled {
                return;
            }
        }
        self.counts.offered += 1;
        let held = self.held_ahead.remove(&offset);
        let mut slot = Slot::new(key);
        slot.settling = self.settling_ahead.remove(&offset);
        self.insert(offset, slot, true);
        if held {
            self.hold(offset);
        }
    }

    /// Takes note of the event at `offset`, which is not for this subscription.
    pub fn pass(&mut self, offset: Offset) {
        if offset < self.next {
            return;
        }
        self.next = offset + 1;
        if self.settled_ahead.is_empty() {
            self.counts.filtered += 1;
            return;
        }
        if !self.settled_ahead.contains(offset) {
            self.counts.filtered += 1;
        }
        self.settled_ahead.forget_below(self.next);
    }

    /// There is nothing up to `next`.
    pub fn jump(&mut self, next: Offset) {
        self.next = self.next.max(next);
        self.settled_ahead.forget_below(self.next);
        let next = self.next;
        self.settling_ahead.retain(|&offset| offset >= next);
    }

    /// Where reading goes on, past what is settled already.
    pub fn skip_settled(&mut self) {
        if let Some(end) = self.settled_ahead.end_of_run(self.next) {
            self.jump(end);
        }
    }

    /// Hands out up to `limit` events under a lease that ends at `until`, the oldest first; adds
    /// them to `handed`.
    pub fn take(
        &mut self,
        limit: usize,
        lease: u64,
        until: u64,
        now: u64,
        handed: &mut Vec<Handed>,
    ) {
        let mut offsets = Vec::new();
        while offsets.len() < limit {
            let Some(offset) = self.first_ready() else {
                break;
            };
            let Some(slot) = self.slots.get_mut(&offset) else {
                continue;
            };
            if slot.state != State::Ready || slot.settling {
                continue;
            }
            slot.state = State::Leased { lease, until };
            slot.attempts += 1;
            if slot.first == 0 {
                slot.first = now.max(1);
            }
            if slot.attempts > 1 {
                self.counts.retried += 1;
            }
            handed.push(Handed {
                offset,
                delivery: slot.attempts,
            });
            offsets.push(offset);
        }
        self.counts.delivered += offsets.len() as u64;
        self.out += offsets.len();
        self.leases.open(lease, until, offsets);
    }

    fn first_ready(&mut self) -> Option<Offset> {
        match (self.fresh.front(), self.ready.first()) {
            (Some(&fresh), Some(&ready)) if ready < fresh => self.ready.pop_first(),
            (Some(_), _) => self.fresh.pop_front(),
            (None, _) => self.ready.pop_first(),
        }
    }

    /// Whether [`Group::take`] would hand something out.
    pub fn has_ready(&mut self) -> bool {
        // What is out of date is dropped on the way.
        while let Some(offset) = self.first_ready() {
            let ready = (self.slots.get(&offset))
                .is_some_and(|slot| slot.state == State::Ready && !slot.settling);
            if ready {
                self.ready.insert(offset);
                return true;
            }
        }
        false
    }

    /// Ends the leases and the waits whose time has come.
    pub fn expire(&mut self, now: u64, policy: &Policy) {
        while let Some(timer) = self.leases.due(now) {
            match timer {
                Timer::Lease(offsets) => {
                    for offset in offsets {
                        self.expire_one(offset, now, policy);
                    }
                }
                Timer::Event(offset) => self.expire_one(offset, now, policy),
            }
        }
    }

    fn expire_one(&mut self, offset: Offset, now: u64, policy: &Policy) {
        let Some(slot) = self.slots.get(&offset) else {
            return;
        };
        match slot.state {
            _ if slot.settling => {}
            State::Leased { until, .. } if until <= now => self.lapse(offset, now, policy),
            State::Delayed { due } if due <= now => self.make_ready(offset),
            _ => {}
        }
    }

    /// A lease ended without a word of the client.
    fn lapse(&mut self, offset: Offset, now: u64, policy: &Policy) {
        self.leave(offset);
        self.counts.lapsed += 1;
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.note(Attempt {
                at: crate::clock::to_text(now),
                status: None,
                reason: "its lease ended".to_owned(),
                took_ms: 0,
            });
        }
        if !self.exhausted(offset, now, policy) {
            self.make_ready(offset);
        }
    }

    /// The first moment at which [`Group::expire`] does something.
    #[must_use]
    pub fn next_time(&self) -> Option<u64> {
        self.leases.first()
    }

    #[must_use]
    pub fn has_dying(&self) -> bool {
        !self.dying.is_empty()
    }

    /// The events that were given up and whose dead letters are to be written, up to `most`.
    #[must_use]
    pub fn dying(&self, most: usize) -> Vec<Dying> {
        let slots = self.dying.iter().take(most);
        slots
            .filter_map(|&offset| {
                let slot = self.slots.get(&offset)?;
                let State::Dying { cause, reason } = &slot.state else {
                    return None;
                };
                Some(Dying {
                    offset,
                    cause: *cause,
                    reason: reason.clone(),
                    attempts: slot.attempts,
                    redrives: slot.redrives,
                    history: slot.history.iter().cloned().collect(),
                })
            })
            .collect()
    }

    /// The events that hold their keys, in order.
    #[must_use]
    pub fn held_offsets(&self) -> Vec<Offset> {
        let held = self.held.iter().chain(&self.held_ahead);
        let mut offsets: Vec<_> = held.copied().collect();
        offsets.sort_unstable();
        offsets
    }

    /// An event that was settled, or is held, is to be delivered again. Whether it was taken: not
    /// when it waits already, nor when it was never read.
    pub fn offer_again(&mut self, offset: Offset, key: Key, redrives: u32) -> bool {
        if let Some(slot) = self.slots.get_mut(&offset) {
            if slot.state != State::Held || slot.settling {
                return false;
            }
            slot.attempts = 0;
            slot.first = 0;
            slot.history.clear();
            slot.redrives = redrives;
            self.held.remove(&offset);
            self.make_ready(offset);
            return true;
        }
        let known = offset < self.next || self.settled_ahead.contains(offset);
        if !known && !self.held_ahead.remove(&offset) {
            return false;
        }
        if offset >= self.next {
            // It has its slot now, and is not read once more.
            self.settled_ahead.insert(offset, offset + 1);
        }
        let mut slot = Slot::new(key);
        slot.again = true;
        slot.redrives = redrives;
        self.insert(offset, slot, false);
        self.counts.offered += 1;
        true
    }

    /// Gives up everything below `earliest`, which is not there any more; says how many events of
    /// which nothing was known but that they wait (those never read are counted by their offsets).
    pub fn skip_to(&mut self, earliest: Offset) -> u64 {
        let lost: Vec<_> = (self.slots.keys().copied())
            .filter(|&offset| offset < earliest)
            .collect();
        let mut count = lost.len() as u64;
        for offset in lost {
            self.settle(offset);
        }
        if self.next < earliest {
            let unread = self.unread_below(earliest);
            self.counts.offered += unread;
            count += unread;
            self.jump(earliest);
            self.held_ahead.retain(|&offset| offset >= earliest);
        }
        self.counts.trimmed += count;
        count
    }

    /// How many offsets from `next` to `earliest` are not settled.
    #[must_use]
    pub fn unread_below(&self, earliest: Offset) -> u64 {
        let settled: u64 = (self.settled_ahead.runs())
            .map(|(from, to)| to.min(earliest).saturating_sub(from.max(self.next)))
            .sum();
        earliest.saturating_sub(self.next).saturating_sub(settled)
    }

    /// The offsets that wait and stand below `earliest`.
    #[must_use]
    pub fn waiting_below(&self, earliest: Offset) -> usize {
        let below = self.slots.keys().filter(|&&offset| offset < earliest);
        below.count()
    }
}

impl Slot {
    fn new(key: Key) -> Self {
        Self {
            key,
            next: NONE,
            state: State::Ready,
            settling: false,
            again: false,
            attempts: 0,
            first: 0,
            redrives: 0,
            asked: 0,
            history: VecDeque::new(),
        }
    }

    fn note(&mut self, attempt: Attempt) {
        if self.history.len() == MOST_HISTORY {
            self.history.pop_front();
        }
        self.history.push_back(attempt);
    }
}

#[cfg(test)]
mod tests;
