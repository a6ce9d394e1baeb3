//! A draft of a contract from the events of a topic.

use sandbar_log::Log as _;
use sandbar_types::{Batch, EventRef};
use serde::Deserialize;
use utoipa::ToSchema;

use super::Hub;
use crate::{
    catalog::TopicData,
    contract::infer::{Draft, Inference, Options},
    jobs::{Part, Point, parts},
    problem::{Code, Problem},
};

/// Bytes read at once.
const BYTES_PER_READ: usize = 1024 * 1024;
/// The most events that are looked at.
const MOST_EVENTS: u64 = 1_000_000;

/// Which events to draft from, and how. Unknown members are refused.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct InferRequest {
    /// The last so many events of the range, of all partitions together: 1 to 1,000,000.
    pub events: u64,
    pub from: Point,
    pub to: Point,
    /// Only events of these types. Absent: all.
    pub types: Option<Vec<String>>,
    /// A schema for each event type, or one for all. Absent: for each when there are several.
    pub per_type: Option<bool>,
    /// Write into the schema, as `$comment`, what was counted.
    pub comments: bool,
}

impl Default for InferRequest {
    fn default() -> Self {
        Self {
            events: 10_000,
            from: Point::Earliest,
            to: Point::Latest,
            types: None,
            per_type: None,
            comments: false,
        }
    }
}

impl Hub {
    /// Drafts a contract from stored events. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-topic`, `invalid-document`, `offset-trimmed`, `offset-past-tail`, `damaged`, and
    /// `nothing-to-infer` when no event can be read as JSON.
    pub fn infer_contract(&self, topic: &str, request: &InferRequest) -> Result<Draft, Problem> {
        if !(1..=MOST_EVENTS).contains(&request.events) {
            let detail = format!(
                "/events: {} is not within 1 to {MOST_EVENTS}",
                request.events
            );
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
        if request.types.as_ref().is_some_and(Vec::is_empty) {
            let detail = "/types: names no type; leave it out for all";
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
        let topic = self.catalog.topic(topic)?;
        let mut ranges = parts(self.log.as_ref(), &topic, &request.from, &request.to)?;
        take_last(&mut ranges, request.events);
        let mut inference = Inference::new(Options {
            per_type: request.per_type,
            comments: request.comments,
        });
        let mut looked_at = 0;
        let data = topic.data();
        for range in &ranges {
            let types = request.types.as_deref();
            self.show(range, types, &data, &mut inference, &mut looked_at)?;
        }
        inference.finish().ok_or_else(|| {
            let detail = match (looked_at, &request.types) {
                (0, _) => format!("topic {} has no events there", topic.name),
                (_, Some(types)) => format!(
                    "none of the {looked_at} events of topic {} there is of type {} and can be read as JSON",
                    topic.name,
                    types.join(", ")
                ),
                (_, None) => {
                    format!(
                        "none of the {looked_at} events of topic {} there can be read as JSON",
                        topic.name
                    )
                }
            };
            Problem::new(Code::NothingToInfer, detail)
        })
    }

    fn show(
        &self,
        range: &Part,
        types: Option<&[String]>,
        data: &TopicData,
        inference: &mut Inference,
        looked_at: &mut u64,
    ) -> Result<(), Problem> {
        let unreadable =
            |error: &sandbar_log::Error| Problem::new(Code::Damaged, error.to_string());
        let partition = &range.partition;
        let mut next = range.from;
        while next < range.until {
            let frames = self.log.read(partition, next, BYTES_PER_READ);
            let frames = frames.map_err(|error| unreadable(&error))?;
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let batch = Batch::decode(&frame.body).map_err(|error| {
                    Problem::new(Code::Damaged, format!("{partition}: {error}"))
                })?;
                for index in 0..batch.len() {
                    let offset = frame.base + index as u64;
                    if offset < next || offset >= range.until {
                        continue;
                    }
                    *looked_at += 1;
                    let event = batch.get(index);
                    if types.is_some_and(|types| !types.iter().any(|one| one == event.r#type)) {
                        continue;
                    }
                    let position = || format!("{partition}/{offset}");
                    observe(inference, data, event, position);
                }
                next = next.max(frame.base + batch.len() as u64);
            }
        }
        Ok(())
    }
}

/// Shows an event; what is Avro or Protobuf as JSON.
fn observe(
    inference: &mut Inference,
    data: &TopicData,
    event: EventRef<'_>,
    position: impl FnOnce() -> String,
) {
    let unreadable = match data.decode(event) {
        Ok(Some(json)) => {
            return inference.observe_decoded(event.r#type, Ok(&json), position);
        }
        Ok(None) => None,
        Err(violations) => violations.violations.into_iter().next(),
    };
    match unreadable {
        // Of another format than these: what it says by itself tells enough.
        Some(one) if one.pointer != "/datacontenttype" => {
            let reason = format!("{}: {}", one.pointer, one.reason);
            inference.observe_decoded(event.r#type, Err(reason), position);
        }
        _ => inference.observe(event.r#type, event.datacontenttype, event.data, position),
    }
}

/// Shortens the ranges, from their beginnings, to so many events in all: each partition gives the same
/// number, and those that have fewer leave theirs to the others.
fn take_last(ranges: &mut [Part], events: u64) {
    let mut left = events;
    let mut by_length: Vec<&mut Part> = ranges.iter_mut().collect();
    by_length.sort_by_key(|range| range.until - range.from);
    let mut others = by_length.len() as u64;
    for range in by_length {
        let share = left.div_ceil(others.max(1));
        let length = (range.until - range.from).min(share);
        range.from = range.until - length;
        left -= length;
        others -= 1;
    }
}

#[cfg(test)]
mod tests {
    use sandbar_types::{Name, PartitionId};

    use super::*;

    #[test]
    fn the_last_events_come_from_all_partitions() {
        let lasts = |lengths: &[u64], events| {
            let name = Name::new("t").expect("a name");
            let part = |(number, length): (usize, &u64)| Part {
                partition: PartitionId::new(name.clone(), number as u32),
                from: 100,
                until: 100 + length,
            };
            let mut ranges: Vec<Part> = lengths.iter().enumerate().map(part).collect();
            take_last(&mut ranges, events);
            let each = ranges.iter().map(|range| range.until - range.from);
            each.collect::<Vec<_>>()
        };
        assert_eq!(lasts(&[10, 10], 100), [10, 10]);
        assert_eq!(lasts(&[1000, 10, 1000], 110), [50, 10, 50]);
        assert_eq!(lasts(&[5, 5], 1), [1, 0]);
        assert_eq!(lasts(&[], 7), [0; 0]);
    }
}
