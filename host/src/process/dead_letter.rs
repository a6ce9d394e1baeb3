//! The event that is kept for one that could not be processed.
//!
//! A dead letter is an event of the topic `sandbar.dead-letters` with its story as JSON data and
//! the original event inside, so it can be read, tailed and found like any other.

use sandbar_types::{AttributeValue, Batch, Event, PartitionId, Position};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use super::step::Parked;
use crate::{catalog::Resolved, clock, ingest::cloudevents};

/// The `type` of dead letters.
pub const TYPE: &str = "sandbar.dead-letter";

/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 8 * 1024;

/// The data of a dead letter.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    pub route: String,
    /// The index of the step that failed.
    pub step: usize,
    /// `name@version` of that step, if the route has one.
    pub plugin: Option<String>,
    pub digest: Option<String>,
    pub cause: super::step::Cause,
    pub reason: String,
    pub attempts: u32,
    pub origin: Position,
    /// The original event in the CloudEvents JSON format.
    pub event: Box<RawValue>,
}

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
    let mut json = Vec::new();
    cloudevents::encode_structured(original, &[], &mut json);
    let event = String::from_utf8(json)
        .ok()
        .and_then(|text| RawValue::from_string(text).ok());
    let step = route.steps.get(parked.failure.step);
    let mut reason = parked.failure.reason.clone();
    if reason.len() > MAX_REASON {
        let end = (0..=MAX_REASON)
            .rev()
            .find(|&end| reason.is_char_boundary(end))
            .unwrap_or(0);
        reason.truncate(end);
        reason.push('…');
    }
    let letter = DeadLetter {
        route: route.name.to_string(),
        step: parked.failure.step,
        plugin: step.map(|step| step.reference.clone()),
        digest: step.map(|step| step.plugin.digest().to_owned()),
        cause: parked.failure.cause,
        reason,
        attempts: parked.attempts,
        origin: Position {
            topic: partition.topic.clone(),
            partition: partition.partition,
            offset: parked.offset,
        },
        event: event.unwrap_or_default(),
    };
    let key = AttributeValue::String(original.key().into_owned());
    Event {
        id: format!("{}/{}/{}", route.name, partition, parked.offset),
        source: format!("/sandbar/routes/{}", route.name),
        r#type: TYPE.to_owned(),
        subject: original.id.to_owned(),
        time: clock::to_text(now),
        datacontenttype: "application/json".to_owned(),
        extensions: [(sandbar_types::event::PARTITION_KEY.to_owned(), key)].into(),
        data: serde_json::to_vec(&letter).unwrap_or_default().into(),
        ..Event::default()
    }
}
