//! The way of one event: where it came from, and what became of it on each route.

use sandbar_types::{Offset, PartitionId, Position};
use serde::Serialize;
use utoipa::ToSchema;

use super::page::refusal;
use crate::problem::Problem;

/// How many frame heads are looked at in one go.
const HEADS: usize = 1024;

/// An event, named.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct EventHead {
    pub topic: String,
    pub partition: u32,
    pub offset: Offset,
    pub id: String,
    pub source: String,
    pub r#type: String,
}

/// An output of the event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct OutputAt {
    pub route: String,
    pub topic: String,
    pub partition: u32,
    pub offset: Offset,
    /// Its place among the outputs of the event.
    pub index: u32,
    /// The digests of the plugins that made it, joined by `,`.
    pub made_by: String,
    /// The job whose replay made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

/// What became of the event on one route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteFate {
    pub route: String,
    /// `emitted`, `dropped`, `dead-letter`, `waiting` or `not-reached`.
    pub verdict: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The whole way of one event, both ways.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Lineage {
    pub event: EventHead,
    /// The route and source event that it was made from; `null` for a published event.
    #[schema(value_type = Option<Object>)]
    pub origin: Option<Origin>,
    pub outputs: Vec<OutputAt>,
    pub routes: Vec<RouteFate>,
}

/// What an event was made from.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct Origin {
    /// `-` for a copy.
    pub route: String,
    /// `topic/partition/offset`.
    pub position: String,
    pub index: u32,
    pub made_by: String,
    /// The job whose replay made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<String>,
}

impl Origin {
    /// What the provenance says of event `index` of a frame.
    #[must_use]
    pub fn of(provenance: &sandbar_types::Provenance, index: usize) -> Option<Self> {
        let producer = Producer::parse(&provenance.producer)?;
        let (offset, output) = provenance.origins.get(index)?;
        Some(Self {
            route: producer.route.to_owned(),
            position: format!("{}/{offset}", producer.source),
            index: *output,
            made_by: provenance.made_by.clone(),
            replay: producer.replay.map(str::to_owned),
        })
    }
}

/// Who wrote a frame, from its provenance: `route/<route>/<topic>/<partition>` or
/// `replay/<job>/<route>/<topic>/<partition>`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Producer<'a> {
    /// `-` for a copy.
    pub route: &'a str,
    /// `topic/partition`
    pub source: &'a str,
    pub replay: Option<&'a str>,
}

impl<'a> Producer<'a> {
    /// None: what was written is not made from an event.
    #[must_use]
    pub fn parse(text: &'a str) -> Option<Self> {
        let (replay, rest) = match text.strip_prefix("replay/") {
            Some(rest) => {
                let (job, rest) = rest.split_once('/')?;
                (Some(job), rest)
            }
            None => (None, text.strip_prefix("route/")?),
        };
        let (route, source) = rest.split_once('/')?;
        Some(Self {
            route,
            source,
            replay,
        })
    }
}

/// What was made of the source event at `origin` by those who are `wanted`, in one target partition.
/// Reads frame heads only, from `since` (milliseconds since the epoch) on. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read.
pub fn trace_outputs(
    log: &dyn sandbar_log::Log,
    wanted: impl Fn(&Producer<'_>) -> bool,
    origin: &Position,
    target: &PartitionId,
    since: u64,
) -> Result<Vec<OutputAt>, Problem> {
    let source = format!("{}/{}", origin.topic, origin.partition);
    let mut from = log
        .find_time(target, since)
        .map_err(|error| refusal(&error))?;
    let mut found = Vec::new();
    loop {
        let heads = log
            .heads(target, from, HEADS)
            .map_err(|error| refusal(&error))?;
        let Some(last) = heads.last() else {
            return Ok(found);
        };
        from = last.base + u64::from(last.count);
        for head in &heads {
            let Some(provenance) = &head.provenance else {
                continue;
            };
            let producer = Producer::parse(&provenance.producer)
                .filter(|producer| producer.source == source && wanted(producer));
            let Some(producer) = producer else { continue };
            for (index, (offset, output)) in provenance.origins.iter().enumerate() {
                if *offset == origin.offset {
                    found.push(OutputAt {
                        route: producer.route.to_owned(),
                        replay: producer.replay.map(str::to_owned),
                        topic: target.topic.to_string(),
                        partition: target.partition,
                        offset: head.base + index as u64,
                        index: *output,
                        made_by: provenance.made_by.clone(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn producers_are_told_from_their_text() {
        let parsed = |text| Producer::parse(text).map(|one| (one.route, one.source, one.replay));
        assert_eq!(parsed("route/r/t/0"), Some(("r", "t/0", None)));
        assert_eq!(parsed("replay/j/r/t/0"), Some(("r", "t/0", Some("j"))));
        assert_eq!(parsed("replay/j/-/t/0"), Some(("-", "t/0", Some("j"))));
        for other in ["subscription/s/t/0", "redrive/j", "route/", ""] {
            assert_eq!(parsed(other), None, "{other}");
        }
    }
}
