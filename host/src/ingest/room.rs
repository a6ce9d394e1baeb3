//! Bytes that may be in the hub at once. Who finds no room waits, and after a while is told to come
//! back: memory stays bounded whatever is sent.

use std::{sync::Arc, time::Duration};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::problem::{Code, Problem};

/// Counted in KiB: the permits of one call are 32 bits.
const UNIT: usize = 1024;

/// Room for so many bytes. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Room {
    free: Arc<Semaphore>,
    units: usize,
    longest_wait: Duration,
    /// What a refusal says.
    reason: &'static str,
}

/// Room that is taken, given back when this is dropped.
#[derive(Debug)]
pub struct Taken(OwnedSemaphorePermit);

impl Room {
    #[must_use]
    pub fn new(bytes: usize, longest_wait: Duration, reason: &'static str) -> Self {
        let units = (bytes / UNIT).clamp(1, Semaphore::MAX_PERMITS);
        Self {
            free: Arc::new(Semaphore::new(units)),
            units,
            longest_wait,
            reason,
        }
    }

    /// Takes room for so many bytes; for more than there is at all, all of it.
    ///
    /// # Errors
    /// `busy` when there was none in time.
    pub async fn take(&self, bytes: usize) -> Result<Taken, Problem> {
        let units = bytes.div_ceil(UNIT).clamp(1, self.units);
        let units = u32::try_from(units).unwrap_or(u32::MAX);
        let taking = self.free.clone().acquire_many_owned(units);
        match tokio::time::timeout(self.longest_wait, taking).await {
            Ok(Ok(permit)) => Ok(Taken(permit)),
            Ok(Err(_)) => Err(Problem::new(Code::Stopping, "the hub takes no more")),
            Err(_) => Err(Problem::new(Code::Busy, self.reason).retry_after(2)),
        }
    }

    /// Bytes that are taken.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.units.saturating_sub(self.free.available_permits()) * UNIT
    }
}

impl Taken {
    /// Makes one of two of the same room.
    pub fn merge(&mut self, other: Self) {
        self.0.merge(other.0);
    }
}
