//! A publish: check, tell repeats apart, append, answer.
//!
//! A batch is all or nothing, unless the caller asks for leniency. Events that another publish has
//! in its hands are waited for, so that no repeat is answered before its first is durable.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use bytes::Bytes;
use sandbar_log::{Append, Durability, Log};
use sandbar_types::{BatchBuilder, Name, Offset, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    check::{Checked, Good, Rejected, conflicts, refusal},
    dedupe::{self, Reservation, Ticket},
    quota::Buckets,
    recent::{Recent, Recents},
};
use crate::{
    catalog::Topic,
    clock,
    metrics::QuotaReading,
    problem::{Code, Problem},
    room::Room,
};

/// Bytes of events that may be between being decoded and being durable, over all publishes.
const IN_FLIGHT_BYTES: usize = 64 * 1024 * 1024;
/// How long a publish waits for room among them before it is told to come back.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(10);
const BUSY: &str = "the disk does not keep up with what is published";

/// What to do with a batch of which some events are bad.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Handling {
    /// Refuse it whole.
    #[default]
    Strict,
    /// Keep the good ones (RFC 7240, `Prefer: handling=lenient`).
    Lenient,
}

/// An event that is stored.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Accepted {
    pub id: String,
    pub partition: u32,
    pub offset: Offset,
    /// It was stored before; this is where.
    pub duplicate: bool,
}

/// The answer to a publish.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
pub struct Published {
    pub accepted: Vec<Accepted>,
    /// Only with `Prefer: handling=lenient`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rejected: Option<Vec<Rejected>>,
    /// `async` where the topic does not wait for the disk.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub durability: Option<&'static str>,
}

/// Takes publishes.
#[derive(Debug)]
pub struct Publisher {
    log: Arc<dyn Log>,
    recents: Recents,
    room: Room,
    /// Of topics with a quota.
    buckets: Mutex<HashMap<Name, Buckets>>,
    started: Instant,
}

impl Publisher {
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self {
            recents: Recents::new(log.clone()),
            log,
            room: Room::new(IN_FLIGHT_BYTES),
            buckets: Mutex::default(),
            started: Instant::now(),
        }
    }

    /// Reads back the recent events of a topic, so that repeats are known after a restart. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// When the log cannot be read; what could be read is known then.
    pub fn load(&self, topic: &Topic) -> Result<(), String> {
        self.recents.load(topic)
    }

    /// Forgets a deleted topic.
    pub fn forget(&self, topic: &Name) {
        self.recents.forget(topic);
        self.buckets().remove(topic);
    }

    /// Stores the events of one request.
    ///
    /// # Errors
    /// With [`Handling::Strict`], when any event is bad: nothing is stored then. In either case when
    /// the log cannot take them.
    pub async fn publish(
        &self,
        topic: &Arc<Topic>,
        checked: Checked,
        handling: Handling,
    ) -> Result<Published, Problem> {
        let Checked {
            good,
            mut rejected,
            bytes,
        } = checked;
        if handling == Handling::Strict && !rejected.is_empty() {
            return Err(refusal(rejected));
        }
        self.within_quota(topic, &good)?;
        let room = self.room.take_within(bytes, WAIT_FOR_ROOM, BUSY);
        let _room = room.await?;
        let mut published = self.store(topic, good, handling, &mut rejected).await?;
        if handling == Handling::Lenient {
            rejected.sort_by_key(|one| one.index);
            published.rejected = Some(rejected);
        }
        if topic.durability() == Durability::Async {
            published.durability = Some("async");
        }
        Ok(published)
    }

    fn buckets(&self) -> MutexGuard<'_, HashMap<Name, Buckets>> {
        self.buckets.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn nanoseconds(&self) -> u64 {
        u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX)
    }

    /// How near a topic is to its quota, if it has one.
    #[must_use]
    pub fn quota_readings(&self, topic: &Topic) -> Vec<QuotaReading> {
        let Some(quota) = topic.quota() else {
            return Vec::new();
        };
        let buckets = self.buckets().get(&topic.name).copied();
        let [events, bytes] = buckets.unwrap_or_default().used(&quota, self.nanoseconds());
        let limits = [
            ("events", quota.events_per_second, events),
            ("bytes", quota.bytes_per_second, bytes),
        ];
        let readings = limits.into_iter().filter_map(|(of, limit, used)| {
            Some(QuotaReading {
                topic: topic.name.clone(),
                of,
                limit: limit?,
                used: used?,
            })
        });
        readings.collect()
    }

    /// Charges the good events to the topic's quota: all of them, or none.
    fn within_quota(&self, topic: &Topic, good: &[Good]) -> Result<(), Problem> {
        let Some(quota) = topic.quota() else {
            return Ok(());
        };
        if good.is_empty() {
            return Ok(());
        }
        let bytes: u64 = good.iter().map(|one| one.bytes as u64).sum();
        let now = self.nanoseconds();
        let mut buckets = self.buckets();
        let buckets = buckets.entry(topic.name.clone()).or_default();
        buckets
            .take(&quota, good.len() as u64, bytes, now)
            .map_err(|seconds| {
                let detail = format!(
                    "topic {} takes {quota}; these are {} events of {bytes} bytes",
                    topic.name,
                    good.len()
                );
                // Whole seconds are all that the header knows.
                let seconds = seconds.ceil().clamp(1.0, f64::from(u32::MAX)) as u32;
                Problem::new(Code::QuotaExceeded, detail).retry_after(seconds)
            })
    }

    async fn store(
        &self,
        topic: &Arc<Topic>,
        good: Vec<Good>,
        handling: Handling,
        rejected: &mut Vec<Rejected>,
    ) -> Result<Published, Problem> {
        if good.is_empty() {
            return Ok(Published::default());
        }
        let recent = self.recents.of(topic);
        let keys: Vec<_> = good
            .iter()
            .map(|one| dedupe::identify(&one.event))
            .collect();
        let (ticket, reservations) = loop {
            let settled = recent.settled.notified();
            tokio::pin!(settled);
            settled.as_mut().enable();
            match recent.window().reserve(&keys, clock::now()) {
                Ok(reserved) => break reserved,
                // Another publish has one of these events in its hands.
                Err(_pending) => {}
            }
            settled.await;
        };
        let conflicts = conflicts(&good, &reservations);
        if !conflicts.is_empty() {
            if handling == Handling::Strict {
                recent.window().abandon(ticket);
                recent.settled.notify_waiters();
                return Err(refusal(conflicts));
            }
            rejected.extend(conflicts);
        }
        self.append(topic, recent, ticket, good, reservations).await
    }

    async fn append(
        &self,
        topic: &Arc<Topic>,
        recent: Arc<Recent>,
        ticket: Ticket,
        good: Vec<Good>,
        reservations: Vec<Reservation>,
    ) -> Result<Published, Problem> {
        let Placed { frames, places } = place(topic, &good, &reservations);
        let log = self.log.clone();
        // On a task of its own: when the caller goes away, the events are settled all the same.
        let appending = tokio::spawn(async move {
            let appended = if frames.is_empty() {
                Ok(Vec::new())
            } else {
                super::append(&log, frames).await
            };
            let stored = appended.map(|appended| stored(&places, &appended));
            let mut window = recent.window();
            match &stored {
                Ok(stored) => window.settle(ticket, stored, clock::now()),
                Err(_) => window.abandon(ticket),
            }
            drop(window);
            recent.settled.notify_waiters();
            stored
        });
        let stored = appending
            .await
            .map_err(Problem::internal)?
            .map_err(|error| log_refusal(&error))?;
        let mut fresh = stored.into_iter();
        let mut places: Vec<Option<(u32, Offset)>> = Vec::with_capacity(good.len());
        let mut accepted = Vec::with_capacity(good.len());
        for (one, reservation) in good.into_iter().zip(&reservations) {
            let place = match reservation {
                Reservation::New => fresh.next(),
                Reservation::Duplicate { partition, offset } => Some((*partition, *offset)),
                Reservation::Repeat { first } => places[*first],
                Reservation::Conflict { .. } => None,
            };
            places.push(place);
            if let Some((partition, offset)) = place {
                let duplicate = *reservation != Reservation::New;
                accepted.push(Accepted {
                    id: one.event.id,
                    partition,
                    offset,
                    duplicate,
                });
            }
        }
        Ok(Published {
            accepted,
            ..Published::default()
        })
    }
}

/// New events, laid out as one frame per partition.
struct Placed {
    frames: Vec<Append>,
    /// Per new event: which frame, and its place in it.
    places: Vec<(usize, u32, u64)>,
}

fn place(topic: &Topic, good: &[Good], reservations: &[Reservation]) -> Placed {
    let mut builders: HashMap<u32, (usize, BatchBuilder)> = HashMap::new();
    let mut places = Vec::with_capacity(good.len());
    for (one, reservation) in good.iter().zip(reservations) {
        if *reservation == Reservation::New {
            let partition = PartitionId::number_of(one.event.key(), topic.partitions);
            let frame = builders.len();
            let (frame, builder) = builders
                .entry(partition)
                .or_insert_with(|| (frame, BatchBuilder::new()));
            places.push((*frame, partition, builder.len() as u64));
            builder.push_event(&one.event);
        }
    }
    let mut frames: Vec<(usize, Append)> = (builders.into_iter())
        .map(|(partition, (frame, builder))| {
            let batch = builder.finish();
            let append = Append {
                partition: PartitionId::new(topic.name.clone(), partition),
                count: u32::try_from(batch.len()).unwrap_or(u32::MAX),
                body: Bytes::from(batch.encode()),
                provenance: None,
                durability: topic.durability(),
            };
            (frame, append)
        })
        .collect();
    frames.sort_by_key(|(frame, _)| *frame);
    Placed {
        frames: frames.into_iter().map(|(_, append)| append).collect(),
        places,
    }
}

fn stored(places: &[(usize, u32, u64)], appended: &[sandbar_log::Appended]) -> Vec<(u32, Offset)> {
    places
        .iter()
        .map(|(frame, partition, index)| (*partition, appended[*frame].base + index))
        .collect()
}

/// What a publisher is told of an error of the log.
fn log_refusal(error: &sandbar_log::Error) -> Problem {
    use sandbar_log::Error;
    let detail = error.to_string();
    match error {
        Error::Full { .. } => Problem::new(Code::StorageFull, detail).retry_after(5),
        Error::Damaged { .. } | Error::Poisoned(_) => Problem::new(Code::LogStopped, detail),
        Error::Closed => Problem::new(Code::Stopping, detail).retry_after(5),
        Error::NoSuchPartition(_) => Problem::new(Code::UnknownTopic, detail),
        Error::TooLarge { .. } => Problem::new(Code::BodyTooLarge, detail),
        _ => Problem::internal(detail),
    }
}
