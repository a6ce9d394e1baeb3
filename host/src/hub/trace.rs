//! The way of one event, put together from the log and from where the routes stand.

use std::sync::Arc;

use sandbar_log::Frame;
use sandbar_types::{Batch, Name, PartitionId, Position};

use super::Hub;
use crate::{
    deliver::{EventHead, Lineage, Origin, OutputAt, Producer, RouteFate, trace_outputs},
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
        for topic in self.jobs.side_topics(&topic.name) {
            let Ok(topic) = self.catalog.topic(topic.as_str()) else {
                continue;
            };
            let is_target = |route: &crate::catalog::Route| {
                route.document.from == source.topic && route.document.to.contains(&topic.name)
            };
            // What lies in targets of routes was found already, but for copies.
            let found = self.catalog.routes().values().any(is_target);
            let wanted = |producer: &Producer<'_>| {
                producer.replay.is_some() && (!found || producer.route == "-")
            };
            for target in topic.partition_ids() {
                let traced = trace_outputs(&*self.log, wanted, &position, &target, frame.time)?;
                lineage.outputs.extend(traced);
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
        let of_route = |producer: &Producer<'_>| producer.route == route.as_str();
        let dead = trace_outputs(
            &*self.log,
            of_route,
            position,
            &self.dead_letters,
            frame.time,
        )?;
        let dead_letter = || {
            let letter = dead.last()?;
            Some(format!(
                "{}/{}/{}",
                letter.topic, letter.partition, letter.offset
            ))
        };
        let Some(active) = snapshot.active else {
            return Ok((fate("not-reached", None), Vec::new()));
        };
        let mut outputs = Vec::new();
        for target in active
            .targets
            .iter()
            .flat_map(|topic| topic.partition_ids())
        {
            let traced = trace_outputs(&*self.log, of_route, position, &target, frame.time);
            outputs.extend(traced?);
        }
        let own = |output: &&OutputAt| output.replay.is_none();
        if outputs.iter().find(own).is_none() {
            // Of a letter that was redriven without coming back, the plugin made nothing.
            let settled = dead
                .last()
                .is_none_or(|letter| self.jobs.redriven(letter.offset).is_some());
            if !settled {
                return Ok((fate("dead-letter", dead_letter()), outputs));
            }
            let reason = process::reason_for_drop(&active, batch);
            return Ok((fate("dropped", reason), outputs));
        }
        outputs.sort_by(|a, b| (&a.replay, a.index).cmp(&(&b.replay, b.index)));
        Ok((fate("emitted", None), outputs))
    }
}
