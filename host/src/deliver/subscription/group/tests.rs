//! Random histories of a group against a simple model: every step in any order, clocks that jump,
//! restarts from an older checkpoint with what the log says since.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

const KEYS: u64 = 4;

fn key(offset: Offset) -> Key {
    Key::from(offset.wrapping_mul(0x9e37_79b9) >> 7) % Key::from(KEYS)
}

/// Some events are not for the subscription.
fn is_ours(offset: Offset) -> bool {
    offset % 7 != 3
}

fn policy(hold: bool) -> Policy {
    Policy {
        initial_ms: 10,
        max_ms: 80,
        max_attempts: Some(4),
        max_age_ms: Some(5_000),
        hold,
        max_waiting: 24,
        max_held_keys: 2,
    }
}

#[derive(Clone, Debug)]
enum Step {
    Publish(u64),
    Take { limit: usize, lease: u64 },
    Begin(usize),
    Finish { which: usize, durable: bool },
    Retry { which: usize, wait: Option<u64> },
    Fail(usize),
    Extend { which: usize, by: u64 },
    GiveBack(usize),
    Bury,
    Release,
    Again(u64),
    Forward(u64),
    Back(u64),
    Checkpoint,
    Restart(u8),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (1..12u64).prop_map(Step::Publish),
        6 => (1..8usize, 1..200u64).prop_map(|(limit, lease)| Step::Take { limit, lease }),
        6 => any::<usize>().prop_map(Step::Begin),
        6 => (any::<usize>(), prop::bool::weighted(0.85)).prop_map(|(which, durable)| Step::Finish { which, durable }),
        3 => (any::<usize>(), prop::option::of(0..150u64)).prop_map(|(which, wait)| Step::Retry { which, wait }),
        2 => any::<usize>().prop_map(Step::Fail),
        2 => (any::<usize>(), 0..300u64).prop_map(|(which, by)| Step::Extend { which, by }),
        1 => any::<usize>().prop_map(Step::GiveBack),
        2 => Just(Step::Bury),
        1 => Just(Step::Release),
        1 => any::<u64>().prop_map(Step::Again),
        4 => (1..250u64).prop_map(Step::Forward),
        1 => (1..400u64).prop_map(Step::Back),
        2 => Just(Step::Checkpoint),
        1 => any::<u8>().prop_map(Step::Restart),
    ]
}

/// What is durable of a settlement.
#[derive(Clone, Copy, Debug)]
enum Written {
    Settled(Offset),
    Letter(Offset, bool),
}

struct World {
    policy: Policy,
    group: Group,
    now: u64,
    tail: Offset,
    next_lease: u64,
    /// The model: what is settled, durably.
    settled: BTreeSet<Offset>,
    /// What is with whom until when.
    out: BTreeMap<Offset, (u64, u64)>,
    settling: Vec<Offset>,
    held: BTreeSet<Offset>,
    dying: BTreeSet<Offset>,
    again: BTreeSet<Offset>,
    /// All claims ever handed out.
    claims: Vec<Claim>,
    saved: Saved,
    journal: Vec<Written>,
}

impl World {
    fn new(hold: bool) -> Self {
        let group = Group::starting_at(0);
        Self {
            policy: policy(hold),
            saved: group.save(),
            group,
            now: 1000,
            tail: 0,
            next_lease: 1,
            settled: BTreeSet::new(),
            out: BTreeMap::new(),
            settling: Vec::new(),
            held: BTreeSet::new(),
            dying: BTreeSet::new(),
            again: BTreeSet::new(),
            claims: Vec::new(),
            journal: Vec::new(),
        }
    }

    /// As the feed does.
    fn feed(&mut self) {
        while self.group.next() < self.tail {
            self.group.skip_settled();
            let offset = self.group.next();
            if offset >= self.tail || self.group.room(&self.policy) == 0 {
                break;
            }
            if is_ours(offset) {
                self.group.offer(offset, key(offset));
            } else {
                self.group.pass(offset);
            }
        }
    }

    fn expire(&mut self) {
        self.group.expire(self.now, &self.policy);
        let (now, settling) = (self.now, &self.settling);
        self.out
            .retain(|offset, (_, until)| *until > now || settling.contains(offset));
        self.learn_of_dying();
    }

    /// Which are given up is for the policy to say; the model only follows.
    fn learn_of_dying(&mut self) {
        for one in self.group.dying(usize::MAX) {
            assert!(
                !self.settled.contains(&one.offset),
                "{one:?} is settled and given up"
            );
            assert!(!self.settling.contains(&one.offset), "{one:?} is settling");
            self.dying.insert(one.offset);
            self.out.remove(&one.offset);
        }
    }

    fn take(&mut self, limit: usize, lease: u64) {
        self.expire();
        self.feed();
        let name = self.next_lease;
        self.next_lease += 1;
        let until = self.now + lease;
        let mut handed = Vec::new();
        self.group.take(limit, name, until, self.now, &mut handed);
        assert!(handed.len() <= limit);
        for one in handed {
            self.check_handed(one.offset);
            self.out.insert(one.offset, (name, until));
            self.claims.push(Claim {
                offset: one.offset,
                lease: name,
                delivery: one.delivery,
            });
        }
    }

    /// Order per key, one of a key at a time, and never after it is settled.
    fn check_handed(&self, offset: Offset) {
        assert!(offset < self.tail && is_ours(offset), "{offset}");
        assert!(!self.settled.contains(&offset), "{offset} is settled");
        let same = |other: &Offset| key(*other) == key(offset);
        assert!(!self.out.keys().any(same), "two of a key out: {offset}");
        assert!(!self.settling.contains(&offset), "{offset} is settling");
        // Offered again, it may go before a later one that held its key and is not read again yet.
        let again = self.again.contains(&offset);
        let holds = |held: &&Offset| same(held) && !(again && offset < **held);
        assert_eq!(self.held.iter().find(holds), None, "holds {offset}");
        let behind = self.dying.iter().find(|other| same(other));
        assert_eq!(behind, None, "its key waits for a dead letter: {offset}");
        if !again {
            // Offered again, it goes before later ones that somebody had before a restart.
            assert!(
                !self
                    .settling
                    .iter()
                    .any(|one| same(one) && !self.settled.contains(one)),
                "one of its key is settling: {offset}"
            );
            let before = (0..offset).find(|other| {
                is_ours(*other)
                    && same(other)
                    && !self.settled.contains(other)
                    && !self.again.contains(other)
            });
            assert_eq!(before, None, "before {offset} in its key");
        }
    }

    fn claim(&self, which: usize) -> Option<Claim> {
        let recent = self.claims.len().saturating_sub(24);
        let recent = &self.claims[recent..];
        (!recent.is_empty()).then(|| recent[which % recent.len()])
    }

    /// What the model says of a claim: what it must be, if that is sure.
    fn check_standing(&self, claim: &Claim) -> Standing {
        let standing = self.group.standing(claim);
        let offset = claim.offset;
        if self.settled.contains(&offset) {
            assert_eq!(standing, Standing::Settled, "{claim:?}");
        } else if self.held.contains(&offset) || self.dying.contains(&offset) {
            assert_eq!(standing, Standing::Lost, "{claim:?}");
        } else if let Some((lease, _)) = self.out.get(&offset) {
            let holds = *lease == claim.lease;
            let expected = if holds {
                Standing::Holds
            } else {
                Standing::Lost
            };
            assert_eq!(standing, expected, "{claim:?}");
        } else {
            assert_ne!(standing, Standing::Settled, "{claim:?}");
        }
        standing
    }

    fn begin(&mut self, claim: Claim) {
        self.expire();
        let standing = self.check_standing(&claim);
        if matches!(standing, Standing::Holds | Standing::Unread) {
            self.group.begin(claim.offset);
            self.settling.push(claim.offset);
        }
    }

    fn finish(&mut self, which: usize, durable: bool) {
        if self.settling.is_empty() {
            return;
        }
        let offset = self.settling.remove(which % self.settling.len());
        if durable {
            self.journal.push(Written::Settled(offset));
            let news = self.group.acknowledged(offset);
            assert_eq!(news, self.settled.insert(offset), "{offset}");
            self.out.remove(&offset);
            self.again.remove(&offset);
            self.dying.remove(&offset);
            self.held.remove(&offset);
        } else {
            self.group.revert(offset, self.now, &self.policy);
            // A second settlement of the same event keeps it from nobody any more.
            self.settling.retain(|other| *other != offset);
            if self
                .out
                .get(&offset)
                .is_some_and(|(_, until)| *until <= self.now)
            {
                self.out.remove(&offset);
            }
            self.learn_of_dying();
        }
    }

    fn bury(&mut self) {
        for one in self.group.dying(2) {
            let held = self.policy.hold;
            self.journal.push(Written::Letter(one.offset, held));
            self.group.buried(one.offset, held);
            self.dying.remove(&one.offset);
            if held {
                self.held.insert(one.offset);
            } else {
                self.settled.insert(one.offset);
                self.again.remove(&one.offset);
            }
        }
    }

    fn offer_again(&mut self, offset: Offset) {
        // Nothing is on its way to the disk then.
        while !self.settling.is_empty() {
            self.finish(0, true);
        }
        if !is_ours(offset) || offset >= self.tail {
            return;
        }
        let known = self.settled.contains(&offset) || self.held.contains(&offset);
        let taken = self.group.offer_again(offset, key(offset), 1);
        assert_eq!(taken, known, "{offset}");
        if taken {
            if self.settled.remove(&offset) {
                self.again.insert(offset);
            }
            self.held.remove(&offset);
        }
        self.checkpoint();
    }

    fn checkpoint(&mut self) {
        let text = serde_json::to_string(&self.group.save()).expect("it has a JSON form");
        self.saved = serde_json::from_str(&text).expect("and is read back");
        self.journal.clear();
        // What is on its way stands behind the tails.
    }

    /// Of what was on its way some is written and some is not, as `which` says.
    fn restart(&mut self, which: u8) {
        for (index, offset) in std::mem::take(&mut self.settling).into_iter().enumerate() {
            if which >> (index % 8) & 1 == 1 {
                self.journal.push(Written::Settled(offset));
                self.settled.insert(offset);
                self.again.remove(&offset);
                self.held.remove(&offset);
            }
        }
        self.out.clear();
        self.dying.clear();
        self.group = Group::restore(&self.saved, self.now, self.policy.max_ms);
        for written in &self.journal {
            if let Written::Letter(offset, held) = written {
                self.group.buried(*offset, *held);
            }
        }
        for written in &self.journal {
            if let Written::Settled(offset) = written {
                self.group.settled_since(*offset);
            }
        }
        self.learn_of_dying();
    }

    fn run(&mut self, step: Step) {
        match step {
            Step::Publish(events) => self.tail += events,
            Step::Take { limit, lease } => self.take(limit, lease),
            Step::Begin(which) => {
                if let Some(claim) = self.claim(which) {
                    self.begin(claim);
                }
            }
            Step::Finish { which, durable } => self.finish(which, durable),
            Step::Retry { which, wait } => {
                if let Some(claim) = self.claim(which) {
                    self.expire();
                    let before = self.check_standing(&claim);
                    let settling = self.settling.contains(&claim.offset);
                    let note = Attempt::default();
                    self.group
                        .retry(&claim, wait, note, 7, self.now, &self.policy);
                    if before == Standing::Holds && !settling {
                        self.out.remove(&claim.offset);
                        self.learn_of_dying();
                    }
                }
            }
            Step::Fail(which) => {
                if let Some(claim) = self.claim(which) {
                    self.expire();
                    self.check_standing(&claim);
                    self.group.fail(&claim, Cause::Rejected, Attempt::default());
                    self.learn_of_dying();
                }
            }
            Step::Extend { which, by } => {
                if let Some(claim) = self.claim(which) {
                    self.expire();
                    let until = self.now + by;
                    if self.group.extend(&claim, until) == Standing::Holds
                        && let Some(out) = self.out.get_mut(&claim.offset)
                    {
                        assert_eq!(out.0, claim.lease);
                        out.1 = until;
                    }
                }
            }
            Step::GiveBack(which) => {
                if let Some(claim) = self.claim(which) {
                    let ours = (self.out.get(&claim.offset))
                        .is_some_and(|(lease, _)| *lease == claim.lease);
                    self.group.give_back(&claim);
                    if ours && !self.settling.contains(&claim.offset) {
                        self.out.remove(&claim.offset);
                    }
                }
            }
            Step::Bury => self.bury(),
            Step::Release => {
                for offset in self.group.held_offsets() {
                    assert!(self.held.remove(&offset));
                    self.journal.push(Written::Settled(offset));
                    self.group.released(offset);
                    self.settled.insert(offset);
                    self.again.remove(&offset);
                }
            }
            Step::Again(offset) => self.offer_again(offset % self.tail.max(1)),
            Step::Forward(by) => self.now += by,
            Step::Back(by) => self.now = self.now.saturating_sub(by),
            Step::Checkpoint => {
                if self.settling.is_empty() {
                    self.checkpoint();
                }
            }
            Step::Restart(which) => self.restart(which),
        }
        self.check();
    }

    fn check(&self) {
        let counts = self.group.counts();
        assert_eq!(
            counts.offered,
            counts.settled() + self.group.waiting() as u64,
            "{counts:?}"
        );
        // Offered again, it may be one more than may be read.
        assert!(
            self.group.waiting() <= self.policy.max_waiting + self.again.len() + self.held.len()
        );
        assert!(self.group.held() <= self.policy.max_held_keys + KEYS as usize);
        let out: BTreeSet<_> = self.out.keys().copied().collect();
        let really: BTreeSet<_> = (self.group.slots.iter())
            .filter(|(_, slot)| matches!(slot.state, State::Leased { .. }))
            .map(|(&offset, _)| offset)
            .collect();
        // Time is looked at in the next step; until then the group may know of more.
        assert!(out.is_subset(&really), "{out:?} {really:?}");
        assert_eq!(self.group.out(), really.len());
        for offset in 0..self.group.next() {
            let waits = self.group.slots.contains_key(&offset);
            assert_eq!(
                waits,
                is_ours(offset) && !self.settled.contains(&offset),
                "{offset}"
            );
        }
    }

    /// Whoever takes and acknowledges for long enough gets everything.
    fn drain(&mut self) {
        let mut idle = 0;
        while idle < 3 {
            self.now += 10_000;
            let before = self.settled.len();
            while !self.settling.is_empty() {
                self.finish(0, true);
            }
            self.take(100, 1_000_000);
            let out: Vec<_> = self.out.clone().into_iter().collect();
            for (offset, (lease, _)) in out {
                let claim = (self.claims.iter().rev())
                    .find(|claim| claim.offset == offset && claim.lease == lease);
                let claim = *claim.expect("what is out was claimed");
                self.begin(claim);
            }
            while !self.settling.is_empty() {
                self.finish(0, true);
            }
            self.bury();
            self.run(Step::Release);
            idle = if self.settled.len() == before {
                idle + 1
            } else {
                0
            };
        }
        assert_eq!(self.group.waiting(), 0);
        assert_eq!(self.group.next(), self.tail);
        let all: BTreeSet<_> = (0..self.tail).filter(|&one| is_ours(one)).collect();
        assert_eq!(self.settled, all);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn any_history_keeps_the_promises(hold: bool, steps in prop::collection::vec(step(), 1..150)) {
        let mut world = World::new(hold);
        for step in steps {
            world.run(step);
        }
        world.drain();
    }
}

#[test]
fn a_key_waits_while_others_go_on() {
    let mut group = Group::starting_at(0);
    for offset in 0..10_000 {
        group.offer(offset, 1);
    }
    group.offer(10_000, 2);
    let mut handed = Vec::new();
    group.take(100, 1, 50, 10, &mut handed);
    let offsets: Vec<_> = handed.iter().map(|one| one.offset).collect();
    assert_eq!(offsets, [0, 10_000]);
    group.begin(0);
    group.acknowledged(0);
    handed.clear();
    group.take(100, 2, 50, 10, &mut handed);
    assert_eq!(
        handed,
        [Handed {
            offset: 1,
            delivery: 1
        }]
    );
}

#[test]
fn a_checkpoint_of_a_healthy_group_is_small() {
    let mut group = Group::starting_at(0);
    for offset in 0..5_000 {
        group.offer(offset, Key::from(offset));
    }
    let mut handed = Vec::new();
    group.take(5_000, 1, 50, 10, &mut handed);
    for offset in 0..3_000 {
        group.acknowledged(offset);
    }
    let saved = group.save();
    assert_eq!(saved.next, 3_000);
    assert!(
        saved.slots.is_empty() && saved.settled.is_empty(),
        "{saved:?}"
    );
}

#[test]
fn waits_double_up_to_the_longest_and_are_spread() {
    let policy = policy(false);
    let waits: Vec<_> = (1..6)
        .map(|attempts| policy.backoff_ms(attempts, u64::MAX))
        .collect();
    assert!(
        waits
            .iter()
            .zip([10, 20, 40, 80, 80])
            .all(|(wait, most)| *wait <= most && *wait * 2 >= most),
        "{waits:?}"
    );
    let spread: BTreeSet<_> = (0..100)
        .map(|jitter| policy.backoff_ms(4, jitter))
        .collect();
    assert_eq!((spread.first(), spread.last()), (Some(&40), Some(&80)));
}
