//! The way of one event, put together from the log and from where the routes stand.

use std::sync::Arc;

use sandbar_log::Frame;
use sandbar_types::{Batch, Name, PartitionId, Position};

use super::Hub;
use crate::{
    deliver::{EventHead, Lineage, Origin, OutputAt, RouteFate, trace_outputs},
    problem::Problem,
    process::{self, LaneStatus},
};

impl Hub {
    /// Where an event came from and what became of it.
    ///
    /// # Errors
    /// `unknown-topic`, `unknown-event`, `offset-trimmed`.
    pub async fn lineage(
        self: &Arc<Self>,
        topic: String,
        partition: u32,
        offset: u64,
    ) -> Result<Lineage, Problem> {
        let hub = self.clone();
        // On a plugin thread: a dropped event's reason is found by asking the plugin again.
        let traced = self
            .engine
            .run(move || hub.trace(&topic, partition, offset))
            .await;
        traced.map_err(Problem::internal)?
    }

    fn trace(&self, topic: &str, partition: u32, offset: u64) -> Result<Lineage, Problem> {
        let topic = self.catalog.topic(topic)?;
        let source = PartitionId::new(topic.name.clone(), partition);
        let (batch, frame) = self.reader.event(&source, offset)?;
        let event = batch.get(0);
        let index = usize::try_from(offset - frame.base).unwrap_or(usize::MAX);
        let position = Position {
            topic: topic.name.clone(),
            partition,
            offset,
        };
        let mut lineage = Lineage {
            event: EventHead {
                topic: topic.name.to_string(),
                partition,
                offset,
                id: event.id.to_owned(),
                source: event.source.to_owned(),
                r#type: event.r#type.to_owned(),
            },
            origin: frame
                .provenance
                .as_ref()
                .and_then(|provenance| Origin::of(provenance, index)),
            outputs: Vec::new(),
            routes: Vec::new(),
        };
        for (name, route) in self.catalog.routes() {
            if route.document.from == topic.name {
                let (fate, outputs) = self.fate(&name, &position, &batch, &frame)?;
                lineage.routes.push(fate);
                lineage.outputs.extend(outputs);
            }
        }
        Ok(lineage)
    }

    fn fate(
        &self,
        route: &Name,
        position: &Position,
        batch: &Batch,
        frame: &Frame,
    ) -> Result<(RouteFate, Vec<OutputAt>), Problem> {
        let source = PartitionId::new(position.topic.clone(), position.partition);
        let fate = |verdict: &str, reason: Option<String>| RouteFate {
            route: route.to_string(),
            verdict: verdict.to_owned(),
            reason,
        };
        let lanes = self.processor.lanes(route);
        let Some(lane) = lanes.into_iter().find(|lane| lane.source == source) else {
            return Ok((fate("not-reached", None), Vec::new()));
        };
        let LaneStatus { snapshot, .. } = lane;
        if position.offset >= snapshot.next {
            return Ok((fate("not-reached", None), Vec::new()));
        }
        if snapshot.lines.contains(&position.offset) {
            return Ok((fate("waiting", None), Vec::new()));
        }
        let producer = format!("route/{route}/{source}");
        let dead = trace_outputs(
            &*self.log,
            &producer,
            position,
            &self.dead_letters,
            frame.time,
        )?;
        if let Some(letter) = dead.first() {
            let at = format!("{}/{}/{}", letter.topic, letter.partition, letter.offset);
            return Ok((fate("dead-letter", Some(at)), Vec::new()));
        }
        let Some(active) = snapshot.active else {
            return Ok((fate("not-reached", None), Vec::new()));
        };
        let mut outputs = Vec::new();
        for target in active
            .targets
            .iter()
            .flat_map(|topic| topic.partition_ids())
        {
            outputs.extend(trace_outputs(
                &*self.log, &producer, position, &target, frame.time,
            )?);
        }
        if outputs.is_empty() {
            let reason = process::reason_for_drop(&active, batch);
            return Ok((fate("dropped", reason), outputs));
        }
        outputs.sort_by_key(|output| output.index);
        Ok((fate("emitted", None), outputs))
    }
}
