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

mod leases;
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

    /// Puts a slot into its line.
    fn insert(&mut self, offset: Offset, mut slot: Slot, fresh: bool) {
        let key = slot.key;
        match self.lines.get_mut(&key) {
            None => {
                self.lines.insert(
                    key,
                    Line {
                        head: offset,
                        last: offset,
                    },
                );
            }
            Some(line) if line.last < offset => {
                let last = std::mem::replace(&mut line.last, offset);
                slot.state = State::Behind;
                if let Some(before) = self.slots.get_mut(&last) {
                    before.next = offset;
                }
            }
            Some(line) => {
                let head = line.head;
                let free = (self.slots.get(&head))
                    .is_some_and(|head| matches!(head.state, State::Ready) && !head.settling);
                if offset < head && free {
                    line.head = offset;
                    slot.next = head;
                    if let Some(head) = self.slots.get_mut(&head) {
                        head.state = State::Behind;
                    }
                } else {
                    // Not before a head that is out or has a story.
                    slot.state = State::Behind;
                    self.thread(head, offset, &mut slot);
                }
            }
        }
        let is_head = slot.state == State::Ready;
        self.slots.insert(offset, slot);
        if is_head {
            if fresh {
                self.fresh.push_back(offset);
            } else {
                self.ready.insert(offset);
            }
        }
    }

    /// Puts `slot` into the line of `head`, behind the head and those before `offset`.
    fn thread(&mut self, head: Offset, offset: Offset, slot: &mut Slot) {
        let mut before = head;
        loop {
            let Some(at) = self.slots.get_mut(&before) else {
                return;
            };
            if at.next == NONE || at.next > offset {
                slot.next = std::mem::replace(&mut at.next, offset);
                break;
            }
            before = at.next;
        }
        if slot.next == NONE
            && let Some(line) = self.lines.get_mut(&slot.key)
        {
            line.last = offset;
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

    /// Takes back an event that was handed out and did not reach anybody.
    pub fn give_back(&mut self, claim: &Claim) {
        if let Some(slot) = self.slots.get_mut(&claim.offset)
            && matches!(slot.state, State::Leased { lease, .. } if lease == claim.lease)
            && !slot.settling
        {
            slot.attempts -= 1;
            if slot.attempts == 0 {
                slot.first = 0;
            } else {
                self.counts.retried -= 1;
            }
            self.counts.delivered -= 1;
            self.leave(claim.offset);
            self.make_ready(claim.offset);
        }
    }

    /// How a claim stands.
    #[must_use]
    pub fn standing(&self, claim: &Claim) -> Standing {
        let Some(slot) = self.slots.get(&claim.offset) else {
            let settled = claim.offset < self.next || self.settled_ahead.contains(claim.offset);
            return match settled {
                true => Standing::Settled,
                false if self.held_ahead.contains(&claim.offset) => Standing::Lost,
                false => Standing::Unread,
            };
        };
        let holds = match &slot.state {
            State::Leased { lease, .. } => *lease == claim.lease,
            // Attempts may have been forgotten at a restart: then the claim knows of more.
            State::Ready | State::Delayed { .. } => claim.delivery >= slot.attempts,
            State::Behind => claim.lease == COVERED,
            State::Dying { .. } | State::Held => false,
        };
        if holds {
            Standing::Holds
        } else {
            Standing::Lost
        }
    }

    /// The claims under a lease that still hold.
    pub fn claims_of(&self, lease: u64) -> Vec<Claim> {
        let offsets = self.leases.offsets(lease).iter();
        offsets
            .filter_map(|offset| {
                let slot = self.slots.get(offset)?;
                let claim = Claim {
                    offset: *offset,
                    lease,
                    delivery: slot.attempts,
                };
                (self.standing(&claim) == Standing::Holds
                    && matches!(slot.state, State::Leased { .. }))
                .then_some(claim)
            })
            .collect()
    }

    /// The settlement of an event is on its way: it is not handed out until it is known.
    pub fn begin(&mut self, offset: Offset) {
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.settling = true;
        } else if offset >= self.next {
            self.settling_ahead.insert(offset);
        }
    }

    /// The settlement came to nothing: all is as before, but for time.
    pub fn revert(&mut self, offset: Offset, now: u64, policy: &Policy) {
        let Some(slot) = self.slots.get_mut(&offset) else {
            self.settling_ahead.remove(&offset);
            return;
        };
        if !std::mem::take(&mut slot.settling) {
            return;
        }
        match slot.state {
            State::Ready => {
                self.ready.insert(offset);
            }
            State::Leased { until, .. } if until <= now => self.lapse(offset, now, policy),
            State::Delayed { due } if due <= now => self.make_ready(offset),
            // Its timer may have gone off meanwhile.
            State::Leased { until: time, .. } | State::Delayed { due: time } => {
                self.leases.remember(time, offset);
            }
            _ => {}
        }
    }

    /// The event is settled, durably. Whether it was not before.
    pub fn acknowledged(&mut self, offset: Offset) -> bool {
        let news = self.settle(offset);
        self.counts.acknowledged += u64::from(news);
        news
    }

    /// After a restart: the log says that the event is settled.
    pub fn settled_since(&mut self, offset: Offset) {
        if self.held.contains(&offset) || self.held_ahead.contains(&offset) {
            self.released(offset);
        } else {
            self.acknowledged(offset);
        }
    }

    /// The dead letter of the event is durable.
    pub fn buried(&mut self, offset: Offset, hold: bool) {
        if !hold {
            if self.settle(offset) {
                self.counts.dead += 1;
                self.counts.dead_letters += 1;
            }
        } else if self.slots.contains_key(&offset) {
            if !self.held.contains(&offset) {
                self.counts.dead_letters += 1;
                self.hold(offset);
            }
        } else if offset >= self.next
            && !self.settled_ahead.contains(offset)
            && self.held_ahead.insert(offset)
        {
            self.counts.dead_letters += 1;
        }
    }

    /// A held event is given up for good, durably: its key goes on.
    pub fn released(&mut self, offset: Offset) {
        if self.settle(offset) {
            self.counts.dead += 1;
        }
    }

    fn hold(&mut self, offset: Offset) {
        self.leave(offset);
        self.dying.remove(&offset);
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Held;
            slot.settling = false;
            self.held.insert(offset);
        }
    }

    /// Whether it was not settled before.
    fn settle(&mut self, offset: Offset) -> bool {
        if !self.slots.contains_key(&offset) {
            if offset < self.next || self.settled_ahead.contains(offset) {
                return false;
            }
            self.settled_ahead.insert(offset, offset + 1);
            self.held_ahead.remove(&offset);
            self.settling_ahead.remove(&offset);
            self.counts.offered += 1;
            return true;
        }
        self.leave(offset);
        self.dying.remove(&offset);
        self.held.remove(&offset);
        let Some(slot) = self.slots.remove(&offset) else {
            return false;
        };
        let Some(line) = self.lines.get_mut(&slot.key) else {
            return true;
        };
        if line.head == offset {
            if slot.next == NONE {
                self.lines.remove(&slot.key);
            } else {
                line.head = slot.next;
                if (self.slots.get(&slot.next)).is_some_and(|next| next.state == State::Behind) {
                    self.make_ready(slot.next);
                }
            }
        } else {
            let head = line.head;
            self.unthread(head, offset, &slot);
        }
        true
    }

    /// Takes a slot out of the middle of its line.
    fn unthread(&mut self, head: Offset, offset: Offset, slot: &Slot) {
        let mut before = head;
        while let Some(at) = self.slots.get_mut(&before) {
            if at.next == offset {
                at.next = slot.next;
                break;
            }
            before = at.next;
        }
        if slot.next == NONE
            && let Some(line) = self.lines.get_mut(&slot.key)
        {
            line.last = before;
        }
    }

    /// Takes note that the event is no longer with a client, nor waits for a time.
    fn leave(&mut self, offset: Offset) {
        let Some(slot) = self.slots.get_mut(&offset) else {
            return;
        };
        match slot.state {
            State::Leased { lease, until } => {
                self.out -= 1;
                self.leases.close(lease, until, offset);
            }
            State::Delayed { due } => self.leases.forget(due, offset),
            _ => {}
        }
    }

    fn make_ready(&mut self, offset: Offset) {
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Ready;
            self.ready.insert(offset);
        }
    }

    /// The event is to be tried again: after `wait` milliseconds, or as the policy says. `jitter` is
    /// any number, at random.
    pub fn retry(
        &mut self,
        claim: &Claim,
        wait: Option<u64>,
        note: Attempt,
        jitter: u64,
        now: u64,
        policy: &Policy,
    ) -> Standing {
        let standing = self.standing(claim);
        if standing != Standing::Holds {
            return standing;
        }
        let Some(slot) = self.slots.get_mut(&claim.offset) else {
            return standing;
        };
        if slot.settling {
            return Standing::Settled;
        }
        slot.note(note);
        self.leave(claim.offset);
        if self.exhausted(claim.offset, now, policy) {
            return standing;
        }
        let Some(slot) = self.slots.get_mut(&claim.offset) else {
            return standing;
        };
        let wait = wait.unwrap_or_else(|| policy.backoff_ms(slot.attempts, jitter));
        let due = now.saturating_add(wait);
        if wait == 0 {
            self.make_ready(claim.offset);
        } else {
            slot.state = State::Delayed { due };
            self.leases.remember(due, claim.offset);
        }
        standing
    }

    /// The event cannot be delivered.
    pub fn fail(&mut self, claim: &Claim, cause: Cause, note: Attempt) -> Standing {
        let standing = self.standing(claim);
        let Some(slot) = self.slots.get_mut(&claim.offset) else {
            return standing;
        };
        if standing != Standing::Holds {
            return standing;
        }
        if slot.settling {
            return Standing::Settled;
        }
        let reason = note.reason.clone();
        slot.note(note);
        self.give_up(claim.offset, cause, reason);
        standing
    }

    fn give_up(&mut self, offset: Offset, cause: Cause, reason: String) {
        self.leave(offset);
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Dying { cause, reason };
            self.dying.insert(offset);
        }
    }

    /// Gives up an event whose attempts or time are used up.
    fn exhausted(&mut self, offset: Offset, now: u64, policy: &Policy) -> bool {
        let Some(slot) = self.slots.get(&offset) else {
            return false;
        };
        let last = slot.history.back().map_or("", |attempt| &attempt.reason);
        let (cause, reason) = if policy
            .max_attempts
            .is_some_and(|most| slot.attempts >= most)
        {
            let reason = format!("it was tried {} times; last: {last}", slot.attempts);
            (Cause::RetriesExhausted, reason)
        } else if policy
            .max_age_ms
            .is_some_and(|most| now.saturating_sub(slot.first) >= most)
        {
            let seconds = now.saturating_sub(slot.first) / 1000;
            let reason = format!("it was tried for {seconds} s; last: {last}");
            (Cause::Expired, reason)
        } else {
            return false;
        };
        // Whoever calls has taken it from its client already.
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Ready;
        }
        self.give_up(offset, cause, reason);
        true
    }

    /// A lease goes on until `until`.
    pub fn extend(&mut self, claim: &Claim, until: u64) -> Standing {
        let standing = self.standing(claim);
        let Some(slot) = self.slots.get_mut(&claim.offset) else {
            return standing;
        };
        if standing == Standing::Holds
            && let State::Leased { until: before, .. } = &mut slot.state
        {
            let before = std::mem::replace(before, until);
            self.leases.extend(claim.lease, before, until, claim.offset);
            return standing;
        }
        // What nobody has cannot be kept: it may be handed out at any moment.
        if standing == Standing::Holds {
            Standing::Lost
        } else {
            standing
        }
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

    /// Whether the event is out by this claim.
    #[must_use]
    pub fn is_out(&self, claim: &Claim) -> bool {
        let slot = self.slots.get(&claim.offset);
        slot.is_some_and(
            |slot| matches!(slot.state, State::Leased { lease, .. } if lease == claim.lease),
        )
    }

    /// Ends the lease of an event before its time.
    pub fn end(&mut self, claim: &Claim, now: u64, policy: &Policy) {
        let settling = (self.slots.get(&claim.offset)).is_some_and(|slot| slot.settling);
        if self.is_out(claim) && !settling {
            self.lapse(claim.offset, now, policy);
        }
    }

    /// Claims for the events below `mark` that wait, as if their last delivery were the claimant's.
    /// Those of which something else is known (given up, offered again) are left out, and so are
    /// those that are out.
    #[must_use]
    pub fn claims_below(&self, mark: Offset) -> Vec<Claim> {
        let below = self.slots.iter().filter(|(offset, slot)| {
            let waits = matches!(
                slot.state,
                State::Ready | State::Delayed { .. } | State::Behind
            );
            **offset < mark && waits && !slot.again
        });
        let mut claims: Vec<_> = below
            .map(|(&offset, slot)| Claim {
                offset,
                lease: COVERED,
                delivery: slot.attempts,
            })
            .collect();
        claims.sort_unstable_by_key(|claim| claim.offset);
        claims
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

    /// The first offset that is not settled and not out under one of `leases`.
    #[must_use]
    pub fn low_without(&self, leases: &HashSet<u64>) -> Offset {
        let others = self.slots.iter().filter(|(_, slot)| {
            slot.again
                || !matches!(slot.state, State::Leased { lease, .. } if leases.contains(&lease))
        });
        let lowest = others.map(|(&offset, _)| offset).min();
        lowest.map_or(self.next, |lowest| lowest.min(self.next))
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
