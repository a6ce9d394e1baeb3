//! What a replay would do.

use std::sync::Arc;

use sandbar_types::{Batch, Offset, PartitionId};
use serde::Serialize;
use serde_json::value::RawValue;
use utoipa::ToSchema;

use super::{Prepared, ReplayRequest, Shared};
use crate::{
    catalog::Resolved,
    dead_letter::enclosed,
    deliver::EventHead,
    jobs::{Jobs, range::Part},
    problem::Problem,
    process::{Processed, Verdict},
};

/// What a replay would do.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayPlan {
    /// Source events.
    pub events: u64,
    /// About, as they lie on disk.
    pub bytes: u64,
    pub parts: Vec<ReplayPart>,
    /// Where the outputs would go.
    pub into: Vec<String>,
    /// What the plugins say of the first events of each part.
    pub sample: Vec<SampleEvent>,
    /// Why there is no sample.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
}

/// Of one partition.
#[derive(Debug, Serialize, ToSchema)]
pub struct ReplayPart {
    pub partition: u32,
    pub from: Offset,
    /// Where it ends; this one is not replayed.
    pub to: Offset,
    pub events: u64,
    /// The first and the last event, where they can be read.
    pub first: Option<EventHead>,
    pub last: Option<EventHead>,
}

/// What would become of an event.
#[derive(Debug, Serialize, ToSchema)]
pub struct SampleEvent {
    /// `topic/partition/offset`
    pub position: String,
    pub id: String,
    /// `emit`, `drop`, `retry` or `fail`.
    pub verdict: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// In the CloudEvents JSON format, before they are marked.
    #[schema(value_type = Vec<Object>)]
    pub outputs: Vec<Box<RawValue>>,
}

/// Events of which the plugins are to be asked.
struct Sample {
    positions: Vec<String>,
    batch: Batch,
}

impl Jobs {
    /// What a replay through a route would do.
    ///
    /// # Errors
    /// `unknown-route`, `invalid-document`, `offset-trimmed`, `offset-past-tail`.
    pub async fn plan_route_replay(
        &self,
        route: String,
        request: ReplayRequest,
    ) -> Result<ReplayPlan, Problem> {
        self.plan(request, move |shared, request| {
            shared.prepare_route(&route, request)
        })
        .await
    }

    /// What a copy would do.
    ///
    /// # Errors
    /// `unknown-topic`, `invalid-document`, `offset-trimmed`, `offset-past-tail`.
    pub async fn plan_topic_replay(
        &self,
        topic: String,
        request: ReplayRequest,
    ) -> Result<ReplayPlan, Problem> {
        self.plan(request, move |shared, request| {
            shared.prepare_topic(&topic, request)
        })
        .await
    }

    async fn plan(
        &self,
        request: ReplayRequest,
        prepare: impl FnOnce(&Shared, &ReplayRequest) -> Result<Prepared, Problem> + Send + 'static,
    ) -> Result<ReplayPlan, Problem> {
        let shared = self.shared.clone();
        let looked = tokio::task::spawn_blocking(move || {
            let prepared = prepare(&shared, &request)?;
            let plan = shared.plan_of(&prepared)?;
            let sample = shared.sample(&prepared.parts, request.sample)?;
            Ok::<_, Problem>((plan, sample, prepared.resolved))
        });
        let (mut plan, sample, route) = looked.await.map_err(Problem::internal)??;
        if route.calls_out() {
            plan.note = Some(
                "a step asks other services, which would be asked once more; so it was not tried"
                    .to_owned(),
            );
        } else if !sample.batch.is_empty() {
            plan.sample = self.ask(route, sample).await?;
        }
        Ok(plan)
    }

    async fn ask(&self, route: Arc<Resolved>, sample: Sample) -> Result<Vec<SampleEvent>, Problem> {
        let Sample { positions, batch } = sample;
        let processor = &self.shared.processor;
        let processed = processor.try_out(route, batch.clone()).await;
        let processed = processed.map_err(Problem::internal)?;
        let events = positions.into_iter().enumerate();
        Ok(events
            .map(|(index, position)| told(position, batch.get(index).id, &processed, index))
            .collect())
    }
}

impl Shared {
    fn plan_of(&self, prepared: &Prepared) -> Result<ReplayPlan, Problem> {
        let mut plan = ReplayPlan {
            events: 0,
            bytes: 0,
            parts: Vec::new(),
            into: match &prepared.into {
                Some(topic) => vec![topic.name.to_string()],
                None => (prepared.resolved.document.to.iter())
                    .map(ToString::to_string)
                    .collect(),
            },
            sample: Vec::new(),
            note: None,
        };
        for part in &prepared.parts {
            let bounds = self
                .log
                .bounds(&part.partition)
                .map_err(Problem::internal)?;
            let events = part.until - part.from;
            let all = u128::from((bounds.tail - bounds.earliest).max(1));
            let share = u128::from(bounds.bytes) * u128::from(events) / all;
            plan.events += events;
            plan.bytes += u64::try_from(share).unwrap_or(u64::MAX);
            plan.parts.push(self.part_of(part));
        }
        Ok(plan)
    }

    /// A part, for those outside. Blocks on the disk.
    pub(in crate::jobs) fn part_of(&self, part: &Part) -> ReplayPart {
        ReplayPart {
            partition: part.partition.partition,
            from: part.from,
            to: part.until,
            events: part.until - part.from,
            first: self.head(&part.partition, part.from),
            last: self.head(&part.partition, part.until - 1),
        }
    }

    fn head(&self, partition: &PartitionId, offset: Offset) -> Option<EventHead> {
        let (batch, _) = self.reader.event(partition, offset).ok()?;
        let event = batch.get(0);
        Some(EventHead {
            topic: partition.topic.to_string(),
            partition: partition.partition,
            offset,
            id: event.id.to_owned(),
            source: event.source.to_owned(),
            r#type: event.r#type.to_owned(),
        })
    }

    /// Up to `most` events, as many of each part.
    fn sample(&self, parts: &[Part], most: usize) -> Result<Sample, Problem> {
        let mut positions = Vec::new();
        let mut batches = Vec::new();
        let each = most.div_ceil(parts.len().max(1)) as u64;
        for part in parts {
            for offset in (part.from..part.until).take(usize::try_from(each).unwrap_or(0)) {
                if positions.len() == most {
                    break;
                }
                if let Ok((batch, _)) = self.reader.event(&part.partition, offset) {
                    positions.push(format!("{}/{offset}", part.partition));
                    batches.push(batch);
                }
            }
        }
        Ok(Sample {
            positions,
            batch: Batch::concat(&batches),
        })
    }
}

fn told(position: String, id: &str, processed: &Processed, index: usize) -> SampleEvent {
    let mut outputs = Vec::new();
    let (verdict, reason) = match &processed.verdicts[index] {
        Verdict::Emit { first, count } => {
            let events = (*first..first + count).map(|output| processed.outputs.get(output));
            outputs.extend(events.filter_map(enclosed));
            ("emit", None)
        }
        Verdict::Drop(reason) => ("drop", Some(reason.clone())),
        Verdict::Retry { reason, .. } => ("retry", Some(reason.clone())),
        Verdict::Fail(failure) => {
            let reason = format!("{}: {}", failure.cause.as_str(), failure.reason);
            ("fail", Some(reason))
        }
    };
    SampleEvent {
        position,
        id: id.to_owned(),
        verdict,
        reason,
        outputs,
    }
}
