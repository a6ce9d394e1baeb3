//! A group at work: what is out and waits in one partition, behind a lock that is never held while
//! the disk is waited for.

use std::{
    collections::BTreeMap,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use sandbar_log::Bounds;
use sandbar_types::{Name, Offset, PartitionId};
use tokio::sync::RwLock;

use super::{
    Shared,
    group::{Group, Handed, Policy},
    journal::{Author, Entry, Tails, Written},
    positions::Position,
    token::Token,
};
use crate::problem::Problem;

/// One subscription in one partition.
#[derive(Debug)]
pub struct Lane {
    pub partition: PartitionId,
    name: Name,
    /// Of the subscription.
    id: u64,
    inner: Mutex<Inner>,
    /// Held for reading while a settlement is on its way to the disk, and for writing by what must
    /// know that none is.
    pub(super) gate: Arc<RwLock<()>>,
    /// Held while the partition is read ahead.
    pub(super) filling: Mutex<()>,
    /// Held while a checkpoint is written.
    saving: Mutex<()>,
    /// Held while dead letters are written.
    pub(super) burying: tokio::sync::Mutex<()>,
    gone: AtomicBool,
}

/// What changes of a lane.
#[derive(Debug)]
pub(super) struct Inner {
    pub group: Group,
    pub epoch: u32,
    pub tag: u64,
    /// Events that were not settled were deleted; this is the first that is there.
    pub gap: Option<Offset>,
    /// The partition cannot be read.
    pub trouble: Option<String>,
    /// Settlements on their way, each with where the journal ended when it began.
    under_way: BTreeMap<u64, Tails>,
    last_number: u64,
    dirty: bool,
    saved: Saved,
}

/// What the last checkpoint holds.
#[derive(Clone, Copy, Debug, Default)]
struct Saved {
    low: Offset,
    tails: Tails,
}

impl Lane {
    fn new(
        name: &Name,
        id: u64,
        partition: PartitionId,
        epoch: u32,
        group: Group,
        tails: Tails,
    ) -> Self {
        let inner = Inner {
            epoch,
            tag: Token::tag(id, &partition, epoch),
            gap: None,
            trouble: None,
            under_way: BTreeMap::new(),
            last_number: 0,
            dirty: true,
            saved: Saved {
                low: group.save().low(),
                tails,
            },
            group,
        };
        Self {
            name: name.clone(),
            id,
            partition,
            inner: Mutex::new(inner),
            gate: Arc::default(),
            filling: Mutex::default(),
            saving: Mutex::default(),
            burying: tokio::sync::Mutex::default(),
            gone: AtomicBool::new(false),
        }
    }

    /// Who settles what was handed out of a partition.
    #[must_use]
    pub fn author_of(name: &Name, id: u64, partition: &PartitionId) -> Author {
        Author {
            producer: format!("subscription/{name}/{partition}"),
            id,
        }
    }

    pub(super) fn author(&self) -> Author {
        Self::author_of(&self.name, self.id, &self.partition)
    }

    /// A lane that begins at `next`.
    #[must_use]
    pub fn starting_at(
        name: &Name,
        id: u64,
        partition: PartitionId,
        next: Offset,
        tails: Tails,
    ) -> Self {
        Self::new(name, id, partition, 0, Group::starting_at(next), tails)
    }

    /// The lane as it was saved, with what the log says was settled since.
    #[must_use]
    pub fn recovered(
        name: &Name,
        partition: PartitionId,
        position: &Position,
        written: Option<&Written>,
        policy: &Policy,
        now: u64,
    ) -> Self {
        let mut group = Group::restore(&position.group, now, policy.max_ms);
        for entry in written.into_iter().flat_map(|written| &written.entries) {
            let tail = if entry.dead {
                position.tails.dead
            } else {
                position.tails.settled
            };
            if entry.at < tail {
                continue;
            }
            for &(offset, index) in &entry.origins {
                if entry.dead {
                    group.buried(offset, Entry::holds(index));
                } else {
                    group.settled_since(offset);
                }
            }
        }
        Self::new(
            name,
            position.id,
            partition,
            position.epoch,
            group,
            position.tails,
        )
    }

    /// The next offset to be read.
    #[must_use]
    pub fn next(&self) -> Offset {
        self.lock().group.next()
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands out up to `limit` events, reading ahead as far as there is room. Blocks on the disk.
    pub(super) fn take(
        &self,
        shared: &Shared,
        want: &super::Want<'_>,
        limit: usize,
        handed: &mut Vec<Handed>,
    ) -> Result<u64, Problem> {
        let policy = &want.settings.policy;
        // The oldest first, also right after a restart.
        while self.lock().group.is_catching_up() && self.fill(shared, want.settings)? {}
        loop {
            let (tag, next) = {
                let mut inner = self.lock();
                let before = handed.len();
                inner.group.expire(want.now, policy);
                inner
                    .group
                    .take(limit - before, want.lease, want.until, want.now, handed);
                inner.dirty |= handed.len() > before;
                (inner.tag, inner.group.next())
            };
            if handed.len() >= limit {
                return Ok(tag);
            }
            // Where nothing is left to read, another taker may have read it since this one looked.
            if !self.fill(shared, want.settings)? && self.next() == next {
                return Ok(tag);
            }
        }
    }

    /// Where the partition begins and ends.
    pub(super) fn bounds(&self, shared: &Shared) -> Bounds {
        shared.log.bounds(&self.partition).unwrap_or_default()
    }

    /// Whether something could be handed out now, and the first moment at which there may be more.
    pub(super) fn readiness(
        &self,
        shared: &Shared,
        now: u64,
        policy: &Policy,
    ) -> (bool, Option<u64>) {
        let tail = self.bounds(shared).tail;
        let mut inner = self.lock();
        inner.group.expire(now, policy);
        let unread = inner.group.next() < tail && inner.group.room(policy) > 0;
        let ready = inner.group.has_ready() || (unread && inner.trouble.is_none());
        (ready || inner.gap.is_some(), inner.group.next_time())
    }

    /// A settlement begins; the number is for [`Lane::ended`]. Under the lane's lock.
    pub(super) fn begun(inner: &mut Inner, tails: Tails) -> u64 {
        inner.last_number += 1;
        let number = inner.last_number;
        inner.under_way.insert(number, tails);
        number
    }

    /// It is over, one way or the other.
    pub(super) fn ended(inner: &mut Inner, number: u64) {
        inner.under_way.remove(&number);
        inner.dirty = true;
    }

    pub(super) fn touch(inner: &mut Inner) {
        inner.dirty = true;
    }

    /// Begins anew at `next`, as another epoch. Whoever calls holds the gate for writing.
    pub fn reset(&self, next: Offset) {
        let mut inner = self.lock();
        let counts = inner.group.counts().clone();
        inner.group = Group::starting_at(next);
        *inner.group.counts_mut() = counts;
        inner.group.counts_mut().offered = inner.group.counts().settled();
        inner.epoch += 1;
        inner.tag = Token::tag(self.id, &self.partition, inner.epoch);
        inner.gap = None;
        inner.dirty = true;
    }

    /// Writes a checkpoint if there is something new, or `always`. Durable when it returns. Blocks
    /// on the disk.
    ///
    /// # Errors
    /// When meta cannot be written.
    pub fn save(&self, shared: &Shared, always: bool) -> Result<(), crate::meta::Error> {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        if self.gone.load(Ordering::Acquire) {
            return Ok(());
        }
        let tails_now = shared.journal.tails();
        let position = {
            let mut inner = self.lock();
            // What is on its way may or may not be in the group: it is looked at once more.
            let tails = inner
                .under_way
                .values()
                .fold(tails_now, |one, other| one.earlier(*other));
            let stale = tails.settled.saturating_sub(inner.saved.tails.settled)
                + tails.dead.saturating_sub(inner.saved.tails.dead)
                > FAR_BEHIND;
            if !(always || inner.dirty || stale) {
                return Ok(());
            }
            inner.dirty = false;
            Position {
                id: self.id,
                epoch: inner.epoch,
                tails,
                group: inner.group.save(),
            }
        };
        let saved = Saved {
            low: position.group.low(),
            tails: position.tails,
        };
        let put = shared.positions.put(&self.name, &self.partition, &position);
        let mut inner = self.lock();
        match put {
            Ok(()) => {
                inner.saved = saved;
                Ok(())
            }
            Err(error) => {
                inner.dirty = true;
                Err(error)
            }
        }
    }

    /// Nothing more is saved of it, from when this returns.
    pub fn retire(&self) {
        let _one = self.saving.lock().unwrap_or_else(PoisonError::into_inner);
        self.gone.store(true, Ordering::Release);
    }

    /// The first event that a restart would need, and from where on the journal.
    pub(super) fn needs(&self) -> (Offset, Tails) {
        let inner = self.lock();
        (inner.saved.low, inner.saved.tails)
    }
}

/// A checkpoint is written anew when the journal is so many settlements further, so that it can be
/// trimmed.
const FAR_BEHIND: u64 = 100_000;
