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
    pub route: String,
    /// `topic/partition/offset`.
    pub position: String,
    pub index: u32,
    pub made_by: String,
}

impl Origin {
    /// What the provenance says of event `index` of a frame.
    #[must_use]
    pub fn of(provenance: &sandbar_types::Provenance, index: usize) -> Option<Self> {
        let (route, position) = super::page::origin(provenance, index)?;
        Some(Self {
            route: route.to_owned(),
            position,
            index: provenance.origins[index].1,
            made_by: provenance.made_by.clone(),
        })
    }
}

/// The outputs that `producer` made of the source event at `origin`, in one target partition.
/// Reads frame heads only, from `since` (milliseconds since the epoch) on. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read.
pub fn trace_outputs(
    log: &dyn sandbar_log::Log,
    producer: &str,
    origin: &Position,
    target: &PartitionId,
    since: u64,
) -> Result<Vec<OutputAt>, Problem> {
    let route = producer.split('/').nth(1).unwrap_or_default();
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
            let Some(provenance) = head
                .provenance
                .as_ref()
                .filter(|one| one.producer == producer)
            else {
                continue;
            };
            for (index, (offset, output)) in provenance.origins.iter().enumerate() {
                if *offset == origin.offset {
                    found.push(OutputAt {
                        route: route.to_owned(),
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
