//! The dead letter of an event that a route could not process.

use sandbar_types::{Batch, Event, PartitionId};

use super::step::Parked;
use crate::{
    catalog::Resolved,
    dead_letter::{DeadLetter, enclosed, position},
};

/// Makes the dead letter of `parked`, an event of `source`. `now` is milliseconds since the epoch.
#[must_use]
pub fn event(
    route: &Resolved,
    partition: &PartitionId,
    parked: &Parked,
    source: &Batch,
    now: u64,
) -> Event {
    let original = source.get(parked.event);
    let step = route.steps.get(parked.failure.step);
    let letter = DeadLetter {
        route: Some(route.name.to_string()),
        subscription: None,
        step: Some(parked.failure.step),
        plugin: step.map(|step| step.reference.clone()),
        digest: step.map(|step| step.plugin.digest().to_owned()),
        cause: parked.failure.cause,
        reason: parked.failure.reason.clone(),
        attempts: parked.attempts,
        history: Vec::new(),
        origin: position(partition, parked.offset),
        redrives: 0,
        event: enclosed(original),
    };
    letter.into_event(original.key().into_owned(), original.id.to_owned(), now)
}
