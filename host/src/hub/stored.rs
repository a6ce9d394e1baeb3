//! The stored events of a topic, held against a contract that it is not bound to.

use sandbar_log::Log as _;
use sandbar_types::{Batch, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hub, calls::ViolationAt};
use crate::{
    catalog::{Topic, TopicData},
    contract::Contract,
    problem::{Code, Place, Problem},
};

/// Refused events that are shown of each topic.
const EXAMPLES: usize = 10;
/// Bytes read at once.
const BYTES_PER_READ: usize = 1024 * 1024;
/// The most events of a topic that are looked at.
pub const MOST_EVENTS: u32 = 100_000;

/// The last events of a topic, held against a contract.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct StoredEvents {
    pub checked: usize,
    /// How many the contract would refuse.
    pub refused: usize,
    /// The first of those.
    pub examples: Vec<RefusedEvent>,
}

/// A stored event that the contract would refuse.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedEvent {
    pub partition: u32,
    pub offset: u64,
    pub id: String,
    pub r#type: String,
    pub violations: Vec<ViolationAt>,
}

/// Refuses a number of events that is too large.
pub(super) fn check_events(events: u32) -> Result<(), Problem> {
    if events <= MOST_EVENTS {
        return Ok(());
    }
    let detail = format!("/events: {MOST_EVENTS} at most");
    Err(Problem::new(Code::InvalidDocument, detail))
}

impl Hub {
    /// The last events of a topic, in equal parts of its partitions.
    pub(super) fn hold_events(
        &self,
        topic: &Topic,
        contract: &Contract,
        events: u32,
    ) -> Result<StoredEvents, Problem> {
        let mut stored = StoredEvents::default();
        let data = topic.data();
        let each = u64::from(events.div_ceil(topic.partitions.max(1)));
        for partition in topic.partition_ids() {
            let bounds = self
                .log
                .bounds(&partition)
                .map_err(|error| unreadable(&error))?;
            let mut next = bounds.earliest.max(bounds.tail.saturating_sub(each));
            while next < bounds.tail {
                let frames = self
                    .log
                    .read(&partition, next, BYTES_PER_READ)
                    .map_err(|error| unreadable(&error))?;
                if frames.is_empty() {
                    break;
                }
                for frame in frames {
                    let batch = Batch::decode(&frame.body).map_err(|error| {
                        Problem::new(Code::Damaged, format!("{partition}: {error}"))
                    })?;
                    let skip =
                        usize::try_from(next.saturating_sub(frame.base)).unwrap_or(usize::MAX);
                    for index in skip.min(batch.len())..batch.len() {
                        let offset = frame.base + index as u64;
                        stored.hold((&data, contract), &partition, &batch, index, offset);
                    }
                    next = next.max(frame.base + batch.len() as u64);
                }
            }
        }
        Ok(stored)
    }
}

impl StoredEvents {
    /// The refusal to bind a topic to a contract that refuses its events.
    pub(super) fn refusal(self, topic: &Topic, contract: &str) -> Problem {
        let detail = format!(
            "of the last {} events of topic {} contract {contract} refuses {}",
            self.checked, topic.name, self.refused
        );
        let places = self.examples.into_iter().flat_map(|event| {
            let at = format!("{}/{}/{}", topic.name, event.partition, event.offset);
            event.violations.into_iter().map(move |violation| Place {
                pointer: violation.pointer,
                reason: format!("{at} ({}): {}", event.id, violation.reason),
                ..Place::default()
            })
        });
        Problem::new(Code::StoredEventsRefused, detail).errors(places.collect())
    }

    fn hold(
        &mut self,
        (data, contract): (&TopicData, &Contract),
        partition: &PartitionId,
        batch: &Batch,
        index: usize,
        offset: u64,
    ) {
        self.checked += 1;
        let event = batch.get(index);
        let Err(violations) = data.check_as(contract, event) else {
            return;
        };
        self.refused += 1;
        if self.examples.len() >= EXAMPLES {
            return;
        }
        let places = violations.violations.into_iter().map(|one| ViolationAt {
            pointer: one.pointer,
            reason: one.reason,
            schema_pointer: one.schema_pointer,
        });
        self.examples.push(RefusedEvent {
            partition: partition.partition,
            offset,
            id: event.id.to_owned(),
            r#type: event.r#type.to_owned(),
            violations: places.collect(),
        });
    }
}

fn unreadable(error: &sandbar_log::Error) -> Problem {
    Problem::new(Code::Damaged, error.to_string())
}
