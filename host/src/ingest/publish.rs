//! A publish: check, tell repeats apart, append, answer.
//!
//! A batch is all or nothing, unless the caller asks for leniency. Events that another publish has
//! in its hands are waited for, so that no repeat is answered before its first is durable.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use bytes::Bytes;
use sandbar_log::{Append, Durability, Log};
use sandbar_types::{BatchBuilder, Event, Name, Offset, PartitionId};
use serde::Serialize;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use utoipa::ToSchema;

use super::{
    cloudevents::Decoded,
    dedupe::{Reservation, Ticket, Window},
};
use crate::{
    catalog::Topic,
    clock,
    problem::{Code, Place, Problem},
    process::partition_of,
};

/// Bytes of events that may be between being decoded and being durable, over all publishes.
const IN_FLIGHT_KIB: usize = 64 * 1024;
/// How long a publish waits for room among them before it is told to come back.
const WAIT_FOR_ROOM: Duration = Duration::from_secs(10);
/// A refusal lists so many events at most.
const MOST_LISTED: usize = 100;

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

/// An event that is not.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Rejected {
    /// Its place in the batch.
    pub index: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    pub code: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Place>,
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
    recents: RwLock<HashMap<Name, Arc<Recent>>>,
    room: Arc<Semaphore>,
}

/// The recent events of one topic.
#[derive(Debug)]
struct Recent {
    window: Mutex<Window>,
    settled: Notify,
}

impl Recent {
    fn window(&self) -> std::sync::MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The events of a request after all checks that need no log.
pub struct Checked {
    good: Vec<Good>,
    rejected: Vec<Rejected>,
    bytes: usize,
}

/// An event that passed all checks.
struct Good {
    index: usize,
    event: Event,
}

impl Publisher {
    #[must_use]
    pub fn new(log: Arc<dyn Log>) -> Self {
        Self {
            log,
            recents: RwLock::default(),
            room: Arc::new(Semaphore::new(IN_FLIGHT_KIB)),
        }
    }

    /// Reads back the recent events of a topic, so that repeats are known after a restart. Blocks on
    /// the disk.
    ///
    /// # Errors
    /// When the log cannot be read; what could be read is known then.
    pub fn load(&self, topic: &Topic) -> Result<(), String> {
        let recent = self.recent(topic);
        let dedupe = topic.dedupe();
        if dedupe.max_events == 0 {
            return Ok(());
        }
        let since = clock::now().saturating_sub(dedupe.max_age_seconds.saturating_mul(1000));
        let mut trouble = Ok(());
        let mut seen = Vec::new();
        for partition in topic.partition_ids() {
            if let Err(error) = self.load_partition(&partition, dedupe.max_events, since, &mut seen)
            {
                trouble = Err(format!(
                    "the recent events of {partition} could not be read: {error}"
                ));
            }
        }
        // The window forgets the oldest first: remember in the order of time.
        seen.sort_by_key(|one: &Seen| one.time);
        let mut window = recent.window();
        for one in seen {
            window.remember(one.key, one.content, one.partition, one.offset, one.time);
        }
        trouble
    }

    fn load_partition(
        &self,
        partition: &PartitionId,
        most: u64,
        since: u64,
        seen: &mut Vec<Seen>,
    ) -> Result<(), String> {
        let bounds = self
            .log
            .bounds(partition)
            .map_err(|error| error.to_string())?;
        let by_time = self
            .log
            .find_time(partition, since)
            .map_err(|error| error.to_string())?;
        let mut at = by_time
            .max(bounds.tail.saturating_sub(most))
            .max(bounds.earliest);
        while at < bounds.tail {
            let frames = self
                .log
                .read(partition, at, 1024 * 1024)
                .map_err(|error| error.to_string())?;
            if frames.is_empty() {
                // A gap up to the tail.
                break;
            }
            for frame in frames {
                let end = frame.base + u64::from(frame.count);
                // What a route wrote was never published, so it is no event's first.
                if frame.provenance.is_none() {
                    let batch = sandbar_types::Batch::decode(&frame.body)
                        .map_err(|error| error.to_string())?;
                    for (index, event) in batch.iter().enumerate() {
                        seen.push(Seen {
                            key: super::dedupe::key(event.source, event.id),
                            content: super::dedupe::content(event),
                            partition: partition.partition,
                            offset: frame.base + index as u64,
                            time: frame.time,
                        });
                    }
                }
                at = end;
            }
        }
        Ok(())
    }

    /// Forgets a deleted topic.
    pub fn forget(&self, topic: &Name) {
        self.recents
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(topic);
    }

    fn recent(&self, topic: &Topic) -> Arc<Recent> {
        let dedupe = topic.dedupe();
        let (most, age) = (
            dedupe.max_events,
            dedupe.max_age_seconds.saturating_mul(1000),
        );
        let found = self
            .recents
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .get(&topic.name)
            .cloned();
        let recent = found.unwrap_or_else(|| {
            let mut recents = self.recents.write().unwrap_or_else(PoisonError::into_inner);
            let fresh = || {
                Arc::new(Recent {
                    window: Mutex::new(Window::new(most, age)),
                    settled: Notify::new(),
                })
            };
            recents
                .entry(topic.name.clone())
                .or_insert_with(fresh)
                .clone()
        });
        recent.window().resize(most, age);
        recent
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
        let _room = self.room(bytes).await?;
        if handling == Handling::Strict && !rejected.is_empty() {
            return Err(refusal(rejected));
        }
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

    async fn room(&self, bytes: usize) -> Result<OwnedSemaphorePermit, Problem> {
        let kib = u32::try_from((bytes / 1024 + 1).min(IN_FLIGHT_KIB)).unwrap_or(u32::MAX);
        match tokio::time::timeout(WAIT_FOR_ROOM, self.room.clone().acquire_many_owned(kib)).await {
            Ok(Ok(permit)) => Ok(permit),
            Ok(Err(_)) => Err(Problem::new(Code::Stopping, "the hub takes no more events")),
            Err(_) => {
                let detail = "the disk does not keep up with what is published";
                Err(Problem::new(Code::Busy, detail).retry_after(2))
            }
        }
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
        let recent = self.recent(topic);
        let keys: Vec<_> = good
            .iter()
            .map(|one| super::dedupe::identify(&one.event))
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

struct Seen {
    key: super::dedupe::Key,
    content: u64,
    partition: u32,
    offset: Offset,
    time: u64,
}

/// Checks size and contract of each event.
#[must_use]
pub fn check(topic: &Topic, decoded: Vec<Decoded>) -> Checked {
    let bytes = decoded.iter().map(Decoded::byte_length).sum();
    let contract = topic.contract();
    let limit = topic.max_event_bytes();
    let mut good = Vec::with_capacity(decoded.len());
    let mut rejected = Vec::new();
    for (index, decoded) in decoded.into_iter().enumerate() {
        let size = decoded.byte_length();
        let event = match decoded {
            Decoded::Event(event) => event,
            Decoded::Invalid { id, errors } => {
                let errors = errors
                    .into_iter()
                    .map(|error| place_of(index, error.pointer, error.reason));
                rejected.push(Rejected {
                    index,
                    id,
                    code: Code::InvalidEvent.as_str().into(),
                    reason: "the event breaks the CloudEvents rules".into(),
                    errors: errors.collect(),
                });
                continue;
            }
        };
        if size > limit {
            rejected.push(Rejected {
                index,
                id: Some(event.id),
                code: Code::EventTooLarge.as_str().into(),
                reason: format!(
                    "the event has {size} bytes; topic {} takes at most {limit}",
                    topic.name
                ),
                errors: Vec::new(),
            });
            continue;
        }
        if let Some(bound) = &contract
            && let Err(violations) =
                bound
                    .contract
                    .check(&event.r#type, &event.datacontenttype, &event.data)
        {
            let errors = violations.violations.iter();
            rejected.push(Rejected {
                index,
                id: Some(event.id),
                code: Code::ContractViolation.as_str().into(),
                reason: format!(
                    "the event does not fit contract {}: {violations}",
                    bound.reference()
                ),
                errors: errors
                    .map(|one| place_of(index, one.pointer.clone(), one.reason.clone()))
                    .collect(),
            });
            continue;
        }
        good.push(Good { index, event });
    }
    Checked {
        good,
        rejected,
        bytes,
    }
}

fn place_of(index: usize, pointer: String, reason: String) -> Place {
    Place {
        index: Some(index),
        pointer,
        reason,
    }
}

/// A refusal of a whole batch, classed by its first bad event.
fn refusal(rejected: Vec<Rejected>) -> Problem {
    let code = rejected
        .first()
        .and_then(|first| Code::ALL.iter().find(|code| code.as_str() == first.code));
    let code = *code.unwrap_or(&Code::InvalidEvent);
    let count = rejected.len();
    let detail = match rejected.first() {
        Some(first) if count == 1 => first.reason.clone(),
        Some(first) => {
            format!(
                "{count} events are refused and nothing is stored; event {}: {}",
                first.index, first.reason
            )
        }
        None => String::new(),
    };
    let places = rejected.into_iter().take(MOST_LISTED).flat_map(|one| {
        if one.errors.is_empty() {
            vec![place_of(one.index, "/id".into(), one.reason)]
        } else {
            one.errors
        }
    });
    Problem::new(code, detail).errors(places.collect())
}

fn conflicts(good: &[Good], reservations: &[Reservation]) -> Vec<Rejected> {
    let conflict = |(one, reservation): (&Good, &Reservation)| match reservation {
        Reservation::Conflict { partition, offset } => Some(Rejected {
            index: one.index,
            id: Some(one.event.id.clone()),
            code: Code::IdConflict.as_str().into(),
            reason: match offset {
                Some(offset) => format!(
                    "source {:?} and id {:?} are those of the event at partition {partition}, offset {offset}, which has other data",
                    one.event.source, one.event.id
                ),
                None => format!(
                    "source {:?} and id {:?} are those of another event of this batch, which has other data",
                    one.event.source, one.event.id
                ),
            },
            errors: Vec::new(),
        }),
        _ => None,
    };
    good.iter().zip(reservations).filter_map(conflict).collect()
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
            let partition = partition_of(one.event.key(), topic.partitions);
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
