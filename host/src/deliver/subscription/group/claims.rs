//! Settling by claims: whether one still holds, and what becomes of its event.

use std::collections::HashSet;

use super::{COVERED, Claim, Group, Offset, Policy, Standing, State};
use crate::dead_letter::{Attempt, Cause};

impl Group {
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
        slot.asked = wait.unwrap_or(0);
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

    /// All that waits for a time may be handed out now.
    pub fn hurry(&mut self) {
        let waits = |slot: &super::Slot| matches!(slot.state, State::Delayed { .. });
        let waiting = self
            .slots
            .iter()
            .filter(|(_, slot)| waits(slot) && !slot.settling);
        let waiting: Vec<Offset> = waiting.map(|(&offset, _)| offset).collect();
        for offset in waiting {
            self.leave(offset);
            self.make_ready(offset);
        }
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

    pub(super) fn give_up(&mut self, offset: Offset, cause: Cause, reason: String) {
        self.leave(offset);
        if let Some(slot) = self.slots.get_mut(&offset) {
            slot.state = State::Dying { cause, reason };
            self.dying.insert(offset);
        }
    }

    /// Gives up an event whose attempts or time are used up.
    pub(super) fn exhausted(&mut self, offset: Offset, now: u64, policy: &Policy) -> bool {
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
