//! The dead letter of an event that a route could not process.

use sandbar_types::{Batch, Event, PartitionId};

use super::step::Parked;
use crate::{
    catalog::Resolved,
    clock,
    dead_letter::{Attempt, DeadLetter, MOST_HISTORY, enclosed, position},
};

/// The longest reason of one attempt among several, in characters.
const MAX_TOLD: usize = 500;

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
        history: history(parked, now),
        origin: position(partition, parked.offset),
        redrives: parked.redrives,
        event: enclosed(original),
    };
    letter.into_event(original.key().into_owned(), original.id.to_owned(), now)
}

fn history(parked: &Parked, now: u64) -> Vec<Attempt> {
    let attempt = |at, reason: &str| Attempt {
        at: clock::to_text(at),
        reason: reason.chars().take(MAX_TOLD).collect(),
        ..Attempt::default()
    };
    let told = parked
        .told
        .iter()
        .map(|told| attempt(told.at, &told.reason));
    let mut history: Vec<Attempt> = told.chain([attempt(now, &parked.failure.reason)]).collect();
    history.drain(..history.len().saturating_sub(MOST_HISTORY));
    history
}
