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
/// The longest reason of one attempt among several.
const MAX_TOLD: usize = 512;
/// So many attempts are told.
const MOST_ATTEMPTS: usize = 20;

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
    /// The last attempts, up to 20, the one that led here last.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// How often the event was redriven before.
    #[serde(default)]
    pub redrives: u32,
    pub origin: Position,
    /// The original event in the CloudEvents JSON format.
    pub event: Box<RawValue>,
}

/// One attempt with an event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Attempt {
    /// RFC 3339.
    pub at: String,
    pub reason: String,
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
    let reason = cut(&parked.failure.reason, MAX_REASON);
    let told = parked.told.iter().map(|told| Attempt {
        at: clock::to_text(told.at),
        reason: cut(&told.reason, MAX_TOLD),
    });
    let last = Attempt {
        at: clock::to_text(now),
        reason: cut(&reason, MAX_TOLD),
    };
    let mut history: Vec<Attempt> = told.chain([last]).collect();
    history.drain(..history.len().saturating_sub(MOST_ATTEMPTS));
    let letter = DeadLetter {
        route: route.name.to_string(),
        step: parked.failure.step,
        plugin: step.map(|step| step.reference.clone()),
        digest: step.map(|step| step.plugin.digest().to_owned()),
        cause: parked.failure.cause,
        reason,
        attempts: parked.attempts,
        history,
        redrives: parked.redrives,
        origin: Position {
            topic: partition.topic.clone(),
            partition: partition.partition,
            offset: parked.offset,
        },
        event: event.unwrap_or_default(),
    };
    let mut id = format!("{}/{}/{}", route.name, partition, parked.offset);
    if parked.redrives > 0 {
        // Its earlier dead letter is another event.
        id.push_str(&format!("/{}", parked.redrives));
    }
    let key = AttributeValue::String(original.key().into_owned());
    Event {
        id,
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

fn cut(reason: &str, most: usize) -> String {
    if reason.len() <= most {
        return reason.to_owned();
    }
    let end = (0..=most)
        .rev()
        .find(|&end| reason.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}…", &reason[..end])
}
