//! What the rest of the hub may see of a lane: its state, its counts, and what it holds back from
//! retention.

use std::sync::{Arc, Mutex, PoisonError};

use sandbar_types::{Offset, PartitionId};

use super::lane::Counts;
use crate::catalog::Resolved;

/// How a lane is doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    #[default]
    Running,
    Paused,
    /// Something keeps it from going on; it is tried again.
    Stalled,
}

/// A lane at one moment.
#[derive(Clone, Debug, Default)]
pub struct Snapshot {
    pub state: State,
    pub detail: Option<String>,
    pub next: Offset,
    pub low: Offset,
    pub waiting: usize,
    pub counts: Counts,
    /// The offsets that wait in lines.
    pub lines: Vec<Offset>,
    /// What it runs; the route's document may be newer.
    pub active: Option<Arc<Resolved>>,
}

/// A lane as others see it.
#[derive(Debug, Default)]
pub struct View {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    snapshot: Snapshot,
    /// The last saved checkpoint; `None` before the lane has recovered.
    saved: Option<Saved>,
}

/// What a restart would begin with.
#[derive(Clone, Debug)]
pub struct Saved {
    /// The first source offset that would be read again.
    pub low: Offset,
    /// Where the search for outputs would begin; nothing behind may be deleted.
    pub tails: Vec<(PartitionId, Offset)>,
}

impl View {
    fn inner(&self) -> std::sync::MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn show(&self, snapshot: Snapshot) {
        self.inner().snapshot = snapshot;
    }

    /// Shows that the lane is stalled; true when that is news.
    pub fn stall(&self, detail: &str) -> bool {
        let mut inner = self.inner();
        let news = inner.snapshot.detail.as_deref() != Some(detail);
        inner.snapshot.state = State::Stalled;
        inner.snapshot.detail = Some(detail.to_owned());
        news
    }

    pub fn checkpointed(&self, saved: Saved) {
        self.inner().saved = Some(saved);
    }

    #[must_use]
    pub fn snapshot(&self) -> Snapshot {
        self.inner().snapshot.clone()
    }

    /// The first offset of `partition` that this lane still needs: as its source or, until the next
    /// checkpoint, for its outputs. `None`: it needs nothing of it.
    #[must_use]
    pub fn needs(&self, source: &PartitionId, partition: &PartitionId) -> Option<Offset> {
        let inner = self.inner();
        let Some(saved) = &inner.saved else {
            // Not recovered yet: everything may be needed.
            return Some(0);
        };
        if source == partition {
            return Some(saved.low);
        }
        let tail = saved.tails.iter().find(|(known, _)| known == partition);
        tail.map(|(_, tail)| *tail)
    }
}
