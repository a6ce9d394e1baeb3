//! Reads a partition ahead: which of its events are for the subscription, and in which lines they
//! stand. Payloads are let go again; what is handed out is read once more.

use std::sync::{Arc, PoisonError};

use sandbar_types::Offset;
use xxhash_rust::xxh3::xxh3_128;

use super::{
    Settings, Shared,
    chunk::{Chunk, Read},
    group::Key,
    lane::Lane,
};
use crate::problem::Problem;

/// What is known of an event before the lane is locked: its key, or that it is not for us.
type Seen = Option<Key>;

impl Lane {
    /// Reads on, once. Whether that may have brought something. Blocks on the disk.
    ///
    /// # Errors
    /// When the partition cannot be read.
    pub(super) fn fill(&self, shared: &Shared, settings: &Settings) -> Result<bool, Problem> {
        let _one = self.filling.lock().unwrap_or_else(PoisonError::into_inner);
        let (from, epoch, room) = {
            let mut inner = self.lock();
            inner.group.skip_settled();
            let room = inner.group.room(&settings.policy);
            (inner.group.next(), inner.epoch, room)
        };
        if room == 0 {
            return Ok(false);
        }
        let one = shared.reads.begin();
        let read = shared.cache.read(&*shared.log, &self.partition, from, true);
        let seen = match &read {
            Ok(Read::Events(chunk)) => look_at(chunk, from, room, settings),
            _ => Vec::new(),
        };
        let mut inner = self.lock();
        inner.trouble = read.as_ref().err().map(|problem| problem.detail.clone());
        let read = read?;
        if inner.epoch != epoch || inner.group.next() != from {
            // It was set elsewhere meanwhile.
            return Ok(true);
        }
        match read {
            Read::Nothing(upto) if upto > from => {
                inner.group.jump(upto);
                Self::touch(&mut inner);
                Ok(true)
            }
            Read::Nothing(_) => Ok(false),
            Read::Trimmed(earliest) => {
                inner.gap = Some(earliest);
                Ok(false)
            }
            Read::Events(chunk) => {
                let first = from.max(chunk.base);
                drop((chunk, one));
                inner.group.jump(first);
                for (offset, seen) in (first..).zip(seen) {
                    match seen {
                        Some(key) => inner.group.offer(offset, key),
                        None => inner.group.pass(offset),
                    }
                }
                Self::touch(&mut inner);
                Ok(true)
            }
        }
    }

    /// The event at an offset, for handing it out. Blocks on the disk.
    ///
    /// # Errors
    /// When the partition cannot be read.
    pub(super) fn find(
        &self,
        shared: &Shared,
        offset: Offset,
    ) -> Result<Option<Arc<Chunk>>, Problem> {
        let read = shared
            .cache
            .read(&*shared.log, &self.partition, offset, false)?;
        Ok(match read {
            Read::Events(chunk) if chunk.base <= offset => Some(chunk),
            Read::Events(_) | Read::Nothing(_) => None,
            Read::Trimmed(earliest) => {
                self.lock().gap = Some(earliest);
                None
            }
        })
    }
}

/// Filters and keys, up to `room` events that are for us.
fn look_at(chunk: &Chunk, from: Offset, room: usize, settings: &Settings) -> Vec<Seen> {
    let first = from.max(chunk.base);
    let count = usize::try_from(chunk.end().saturating_sub(first)).unwrap_or(0);
    let mut seen = Vec::with_capacity(count.min(room));
    let mut taken = 0;
    for offset in first..chunk.end() {
        let index = chunk.index(offset);
        if !settings.takes(chunk.batch(), index) {
            seen.push(None);
            continue;
        }
        if taken == room {
            break;
        }
        taken += 1;
        seen.push(Some(key_of(chunk, offset)));
    }
    seen
}

/// The hashed key.
#[must_use]
pub(super) fn key_of(chunk: &Chunk, offset: Offset) -> Key {
    xxh3_128(&chunk.key(offset))
}
