//! Events that were settled and are to be delivered again, and held ones that are given up for good.

use std::sync::Arc;

use sandbar_types::{Offset, PartitionId};

use super::{Subscription, feed::key_of, lane::Lane};
use crate::problem::{Code, Place, Problem};

/// An event to be delivered again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Again {
    pub offset: Offset,
    /// How often it was taken up again from a dead letter, this time included; 0 for a replay.
    pub redrives: u32,
}

/// What became of events that were offered again.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Offered {
    /// So many were looked at, from the first on; the others had no room.
    pub looked_at: usize,
    /// Those of them that are not for this subscription.
    pub filtered: usize,
}

impl Subscription {
    /// These events, which were settled, given up or are held, are to be delivered again. Durable
    /// when it returns. Those of them are looked at, from the first on, for which there is room now;
    /// those that wait anyway, were never read, or are gone are left alone.
    ///
    /// # Errors
    /// When the partition is none of this subscription's or cannot be read, or meta cannot be
    /// written.
    pub async fn offer_again(
        self: &Arc<Self>,
        partition: &PartitionId,
        events: &[Again],
    ) -> Result<Offered, Problem> {
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
    fn offer_now(&self, lane: &Lane, events: &[Again]) -> Result<Offered, Problem> {
        let settings = self.settings();
        let most = settings.policy.max_waiting.saturating_mul(2);
        let mut offered = Offered::default();
        for again in events {
            let found = lane.find(&self.shared, again.offset)?;
            let mut inner = lane.lock();
            if inner.group.waiting() >= most {
                break;
            }
            offered.looked_at += 1;
            if let Some(chunk) = found {
                // What is replayed is for this subscription only if its filters take it.
                let replayed = again.redrives == 0;
                if replayed && !settings.takes(chunk.batch(), chunk.index(again.offset)) {
                    offered.filtered += 1;
                    continue;
                }
                let key = key_of(&chunk, again.offset);
                inner.group.offer_again(again.offset, key, again.redrives);
            }
        }
        lane.save(&self.shared, true).map_err(storage)?;
        Ok(offered)
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
    /// `invalid-document` when one of `only` is not held: nothing is released then. `storage-full`,
    /// `log-stopped`, `stopping`; nothing is released in that partition then.
    pub async fn release(
        self: &Arc<Self>,
        only: Option<Vec<(PartitionId, Offset)>>,
    ) -> Result<usize, Problem> {
        let this = self.clone();
        let releasing = tokio::spawn(async move { this.release_now(only).await });
        releasing.await.map_err(Problem::internal)?
    }

    fn check_held(&self, only: &[(PartitionId, Offset)]) -> Result<(), Problem> {
        let places = only
            .iter()
            .enumerate()
            .filter_map(|(index, (partition, offset))| {
                let (member, reason) = match self.lane(partition) {
                    Err(problem) => ("/partition", problem.detail),
                    Ok(lane) => {
                        if lane.lock().group.held_offsets().contains(offset) {
                            return None;
                        }
                        ("", format!("{partition}/{offset} is not held"))
                    }
                };
                Some(Place {
                    pointer: format!("/events/{index}{member}"),
                    reason,
                    ..Place::default()
                })
            });
        let places: Vec<Place> = places.collect();
        let Some(first) = places.first() else {
            return Ok(());
        };
        let detail = format!("{}: {}", first.pointer, first.reason);
        Err(Problem::new(Code::InvalidDocument, detail)
            .help("Nothing was released. The status of the subscription has the held_offsets of each partition.")
            .errors(places))
    }

    async fn release_now(
        &self,
        only: Option<Vec<(PartitionId, Offset)>>,
    ) -> Result<usize, Problem> {
        if let Some(only) = &only {
            self.check_held(only)?;
        }
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
    match error {
        crate::meta::Error::Full { .. } => {
            Problem::new(Code::StorageFull, error.to_string()).retry_after(5)
        }
        other => Problem::internal(other),
    }
}
