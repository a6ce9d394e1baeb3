//! Bytes that may be in the hub at once: memory stays bounded whatever comes in and goes out. Who finds
//! no room waits. What the bytes are is not known here.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Code, Problem};

/// Counted in KiB: the permits of one call are 32 bits.
const UNIT: usize = 1024;
/// Nobody who takes a portion asks for less, in bytes.
const LEAST: usize = 64 * 1024;

/// Room for so many bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    units: usize,
}

/// Room that is taken, given back when this is dropped.
#[derive(Debug)]
pub struct Part(OwnedSemaphorePermit);

impl Room {
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        let most = Semaphore::MAX_PERMITS.min(u32::MAX as usize);
        let units = (bytes / UNIT).clamp(1, most);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
        }
    }

    /// Takes room for so many bytes, for more than there is at all all of it; waits until there is. Who
    /// came before comes first.
    pub async fn take(&self, bytes: usize) -> Part {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        match self.free.clone().acquire_many_owned(units).await {
            Ok(permit) => Part(permit),
            // It is never closed.
            Err(_) => std::future::pending().await,
        }
    }

    /// [`Room::take`], for a bounded time.
    ///
    /// # Errors
    /// `busy`, with this reason, when there was none in time.
    pub async fn take_within(
        &self,
        bytes: usize,
        longest_wait: Duration,
        reason: &str,
    ) -> Result<Part, Problem> {
        let taken = tokio::time::timeout(longest_wait, self.take(bytes)).await;
        taken.map_err(|_| Problem::new(Code::Busy, reason).retry_after(2))
    }

    /// How much to take for something of up to `most` bytes that may as well be smaller: a quarter of
    /// what is free, so that the more is taken the less each takes more, and others find some.
    #[must_use]
    pub fn portion(&self, most: usize) -> usize {
        let share = self.free.available_permits() * UNIT / 4;
        share.max(LEAST).min(most)
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.units.saturating_sub(self.free.available_permits()) * UNIT
    }
}

impl Part {
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.0.num_permits() * UNIT
    }

    /// Makes one of two of the same room.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }

    /// Room for so many bytes of it, as far as there is.
    #[must_use]
    pub fn split(&mut self, bytes: usize) -> Option<Self> {
        let units = bytes.div_ceil(UNIT).min(self.0.num_permits());
        self.0.split(units).map(Self)
    }

    /// Gives back what is not needed for so many bytes.
    pub fn shrink(&mut self, bytes: usize) {
        let needed = bytes.div_ceil(UNIT);
        drop(self.0.split(self.0.num_permits().saturating_sub(needed)));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    #[tokio::test]
    async fn what_is_taken_comes_back() {
        let room = Room::new(8 * LEAST);
        assert_eq!(room.portion(usize::MAX), 2 * LEAST);
        assert_eq!(room.portion(1000), 1000);
        let mut part = room.take(4 * LEAST).await;
        assert!(room.take(5 * LEAST).now_or_never().is_none());
        assert_eq!(part.bytes(), 4 * LEAST);
        let half = part.split(2 * LEAST).expect("half of it");
        assert_eq!(room.taken(), 4 * LEAST);
        part.shrink(1);
        assert_eq!(room.taken(), 2 * LEAST + UNIT);
        drop((part, half));
        let all = room.take(usize::MAX).now_or_never();
        assert_eq!(all.map(|all| all.bytes()), Some(8 * LEAST));
    }
}
