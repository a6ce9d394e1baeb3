//! Events that were settled and are to be delivered again, and held ones that are given up for good.

use std::sync::Arc;

use sandbar_types::{Offset, PartitionId};

use super::{Subscription, feed::key_of, lane::Lane};
use crate::problem::Problem;

/// An event to be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    pub offset: Offset,
    /// How often it was taken up again from a dead letter, this time included; 0 for a replay.
    pub redrives: u32,
}

impl Subscription {
    /// These events, which were settled, given up or are held, are to be delivered again. Durable
    /// when it returns. How many of them were looked at, from the first on: the rest has no room
    /// now. Those that wait anyway, were never read, or are gone are looked at and left alone.
    ///
    /// # Errors
    /// When the partition is none of this subscription's or cannot be read, or meta cannot be
    /// written.
    pub async fn offer_again(
        self: &Arc<Self>,
        partition: &PartitionId,
        events: &[Again],
    ) -> Result<usize, Problem> {
        let lane = self.lane(partition)?;
        let (this, events) = (self.clone(), events.to_vec());
        let offering = tokio::spawn(async move {
            let _gate = lane.gate.clone().write_owned().await;
            let offering = this.clone();
            let offered = tokio::task::spawn_blocking(move || offering.offer_now(&lane, &events));
            let offered = offered.await.map_err(Problem::internal)?;
            this.wake();
            offered
        });
        offering.await.map_err(Problem::internal)?
    }

    /// Blocks on the disk. Whoever calls holds the gate for writing.
    fn offer_now(&self, lane: &Lane, events: &[Again]) -> Result<usize, Problem> {
        let settings = self.settings();
        let most = settings.policy.max_waiting.saturating_mul(2);
        let mut looked_at = 0;
        for again in events {
            let found = lane.find(&self.shared, again.offset)?;
            let mut inner = lane.lock();
            if inner.group.waiting() >= most {
                break;
            }
            looked_at += 1;
            if let Some(chunk) = found {
                // What is replayed is for this subscription only if its filters take it.
                let replayed = again.redrives == 0;
                if replayed && !settings.takes(chunk.batch(), chunk.index(again.offset)) {
                    continue;
                }
                let key = key_of(&chunk, again.offset);
                inner.group.offer_again(again.offset, key, again.redrives);
            }
        }
        lane.save(&self.shared, true).map_err(storage)?;
        Ok(looked_at)
    }

    /// Whether an event is still to be delivered, or is held.
    #[must_use]
    pub fn waits(&self, partition: &PartitionId, offset: Offset) -> bool {
        let lane = self.lane(partition);
        lane.is_ok_and(|lane| lane.lock().group.has(offset))
    }

    /// Held events that are given up for good; their keys go on. `None`: all of them. How many there
    /// were.
    ///
    /// # Errors
    /// `storage-full`, `log-stopped`, `stopping`; nothing is released in that partition then.
    pub async fn release(
        self: &Arc<Self>,
        only: Option<Vec<(PartitionId, Offset)>>,
    ) -> Result<usize, Problem> {
        let this = self.clone();
        let releasing = tokio::spawn(async move { this.release_now(only).await });
        releasing.await.map_err(Problem::internal)?
    }

    async fn release_now(
        &self,
        only: Option<Vec<(PartitionId, Offset)>>,
    ) -> Result<usize, Problem> {
        let mut released = 0;
        for lane in &self.lanes().all {
            let _gate = lane.gate.read().await;
            let mut held = lane.lock().group.held_offsets();
            if let Some(only) = &only {
                let wanted = |offset: &Offset| {
                    let mut named = only.iter();
                    named.any(|(of, at)| *of == lane.partition && at == offset)
                };
                held.retain(wanted);
            }
            if held.is_empty() {
                continue;
            }
            let number = Lane::begun(&mut lane.lock(), self.shared.journal.tails());
            let frame = (lane.author(), held.clone());
            let written = self.shared.journal.settle(vec![frame]).await;
            let mut inner = lane.lock();
            if written.is_ok() {
                released += held.len();
                for offset in held {
                    inner.group.released(offset);
                }
            }
            Lane::ended(&mut inner, number);
            drop(inner);
            written?;
        }
        self.wake();
        Ok(released)
    }
}

/// What a caller is told of an error of meta.
pub(super) fn storage(error: crate::meta::Error) -> Problem {
    use crate::problem::Code;
    match error {
        crate::meta::Error::Full { .. } => {
            Problem::new(Code::StorageFull, error.to_string()).retry_after(5)
        }
        other => Problem::internal(other),
    }
}
