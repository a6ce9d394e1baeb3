//! Which events of a topic: from one point to another, in each partition.

use std::collections::BTreeMap;

use sandbar_log::Log;
use sandbar_types::{Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use crate::{
    catalog::Topic,
    clock,
    problem::{Code, Problem},
};

/// A place in each partition of a topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Point {
    Earliest,
    /// The end, as it is at the time of the call.
    Latest,
    /// The first event stored at or after this time (RFC 3339, or milliseconds since the epoch).
    Time(String),
    /// By partition, as `0` or `orders/0`. As a beginning it names all partitions that are meant; as
    /// an end the others end where they end now.
    Offsets(BTreeMap<String, Offset>),
}

impl Point {
    pub(super) fn latest() -> Self {
        Self::Latest
    }
}

/// A part of a partition: the offsets `from..until`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    pub partition: PartitionId,
    pub from: Offset,
    pub until: Offset,
}

/// The parts between two points, those left out that have no events. Blocks on the disk.
///
/// # Errors
/// `invalid-document` when a point is none of this topic or the end is before the beginning,
/// `offset-trimmed`, `offset-past-tail`.
pub fn parts(log: &dyn Log, topic: &Topic, from: &Point, to: &Point) -> Result<Vec<Part>, Problem> {
    let begins = offsets(topic, "/from", from)?;
    let ends = offsets(topic, "/to", to)?;
    if let (Point::Time(first), Point::Time(last)) = (from, to)
        && let (Some(begin), Some(end)) = (clock::from_text(first), clock::from_text(last))
        && end < begin
    {
        return Err(invalid(
            "/to/time",
            format!("{last} is before {first}, where it begins"),
        ));
    }
    let mut parts = Vec::new();
    for partition in topic.partition_ids() {
        let bounds = log.bounds(&partition).map_err(Problem::internal)?;
        let at_time = |pointer: &str, text: &str| {
            let time = clock::from_text(text).ok_or_else(|| {
                invalid(
                    &format!("{pointer}/time"),
                    format!("{text:?} is neither RFC 3339 nor milliseconds since the epoch"),
                )
            })?;
            log.find_time(&partition, time).map_err(Problem::internal)
        };
        let number = partition.partition;
        let begin = match from {
            Point::Earliest => bounds.earliest,
            Point::Latest => bounds.tail,
            Point::Time(text) => at_time("/from", text)?,
            Point::Offsets(_) => match begins.get(&number) {
                Some(offset) => *offset,
                None => continue,
            },
        };
        let end = match to {
            Point::Earliest => bounds.earliest,
            Point::Latest => bounds.tail,
            Point::Time(text) => at_time("/to", text)?,
            Point::Offsets(_) => ends.get(&number).copied().unwrap_or(bounds.tail),
        };
        if begin < bounds.earliest {
            let detail = format!(
                "/from: the events of {partition} before offset {} are gone; asked from {begin}",
                bounds.earliest
            );
            return Err(Problem::new(Code::OffsetTrimmed, detail));
        }
        for (pointer, offset) in [("/from", begin), ("/to", end)] {
            if offset > bounds.tail {
                let detail = format!(
                    "{pointer}: offset {offset} of {partition} is past the tail {}",
                    bounds.tail
                );
                return Err(Problem::new(Code::OffsetPastTail, detail));
            }
        }
        if end < begin {
            let reason =
                format!("{partition} would end at offset {end}, before it begins at {begin}");
            return Err(invalid("/to", reason));
        }
        if begin < end {
            parts.push(Part {
                partition,
                from: begin,
                until: end,
            });
        }
    }
    Ok(parts)
}

fn offsets(topic: &Topic, pointer: &str, point: &Point) -> Result<BTreeMap<u32, Offset>, Problem> {
    let Point::Offsets(named) = point else {
        return Ok(BTreeMap::new());
    };
    if named.is_empty() {
        return Err(invalid(&format!("{pointer}/offsets"), "names no partition"));
    }
    let mut found = BTreeMap::new();
    for (name, offset) in named {
        let number = match name.rsplit_once('/') {
            Some((of, number)) if of == topic.name.as_str() => number,
            Some(_) => "",
            None => name,
        };
        let number: Option<u32> = number.parse().ok();
        let number = number.filter(|number| *number < topic.partitions);
        let number = number.ok_or_else(|| {
            let reason = format!(
                "topic {} has the partitions 0 to {}",
                topic.name,
                topic.partitions - 1
            );
            let place = crate::pointer::token(name);
            invalid(&format!("{pointer}/offsets/{place}"), reason)
        })?;
        found.insert(number, *offset);
    }
    Ok(found)
}

pub(super) fn invalid(pointer: &str, reason: impl std::fmt::Display) -> Problem {
    Problem::new(Code::InvalidDocument, format!("{pointer}: {reason}"))
}
