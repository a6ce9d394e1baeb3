//! What is told of events before the log is asked: rules, size, contract; and how a refusal reads.

use serde::Serialize;
use utoipa::ToSchema;

use super::{cloudevents::Decoded, dedupe::Reservation};
use crate::{
    catalog::Topic,
    problem::{Code, Place, Problem},
};
use sandbar_types::Event;

/// A refusal lists so many events at most.
const MOST_LISTED: usize = 100;

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

/// The events of a request after all checks that need no log.
pub struct Checked {
    pub(super) good: Vec<Good>,
    pub(super) rejected: Vec<Rejected>,
    pub(super) bytes: usize,
}

/// An event that passed all checks.
pub(super) struct Good {
    pub index: usize,
    pub event: Event,
    /// Data and attributes.
    pub bytes: usize,
}

/// Checks size and contract of each event.
#[must_use]
pub fn check(topic: &Topic, decoded: Vec<Decoded>) -> Checked {
    let bytes = decoded.iter().map(Decoded::byte_length).sum();
    let data = topic.data();
    let limit = topic.max_event_bytes();
    let mut good = Vec::with_capacity(decoded.len());
    let mut rejected = Vec::new();
    for (index, decoded) in decoded.into_iter().enumerate() {
        let size = decoded.byte_length();
        let event = match decoded {
            Decoded::Event(mut event) => {
                data.stamp(&mut event);
                event
            }
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
        if let Some(bound) = data.contract()
            && let Err(violations) = data.check(event.payload())
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
        good.push(Good {
            index,
            event,
            bytes: size,
        });
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
        incompatibility: None,
    }
}

/// A refusal of a whole batch, classed by its first bad event.
pub(super) fn refusal(rejected: Vec<Rejected>) -> Problem {
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

/// The events whose id belongs to other data.
pub(super) fn conflicts(good: &[Good], reservations: &[Reservation]) -> Vec<Rejected> {
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
