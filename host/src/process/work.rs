//! One turn of a lane: read, run, decide, and make the frames to be written.
//!
//! Blocking: it runs on the plugin engine's own threads. Nothing is written here.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use sandbar_log::{Append, Durability, Frame, Log};
use sandbar_types::{Batch, BatchBuilder, Offset, PartitionId, Provenance};

use super::{
    dead_letter,
    guest_logs::GuestLogs,
    lane::Lane,
    mark::Mark,
    pipeline::Pipeline,
    step::{self, Decision, Parked, Placed, Processed, Target, Written},
};
use crate::catalog::{Resolved, Topic};

/// The most events that go through a plugin in one call.
const EVENTS_PER_CALL: usize = 1000;
/// The most that is read for one turn: bounds the memory, and how long the outputs wait.
const EVENTS_PER_TURN: usize = 4000;
/// Of a route whose plugins ask other services: each event may take a whole deadline, what is asked
/// in a turn that is not finished is asked again, and who stops the hub waits for the turn.
const EVENTS_PER_TURN_CALLING_OUT: u128 = 16;
const TURN_CALLING_OUT: Duration = Duration::from_secs(10);
const BYTES_PER_TURN: usize = 4 * 1024 * 1024;
/// A frame of outputs is cut at this size.
const BYTES_PER_FRAME: usize = 8 * 1024 * 1024;

/// What a turn is about.
#[derive(Clone, Debug)]
pub enum What {
    /// New events, from the lane's next offset on.
    Fresh,
    /// The lines of these keys.
    Lines(Vec<String>),
}

/// Everything that a turn needs.
pub struct Turn {
    pub log: Arc<dyn Log>,
    pub source: PartitionId,
    pub dead_letters: PartitionId,
    pub guest_logs: Arc<GuestLogs>,
    pub producer: String,
    pub route: Arc<Resolved>,
    pub pipeline: Option<Pipeline>,
    pub lane: Lane,
    pub written: Arc<Written>,
    pub what: What,
    /// None: it is the route's own turn.
    pub rerun: Option<Rerun>,
    /// Milliseconds since the epoch, of a clock that nobody sets: waits are counted by it.
    pub now: u64,
    /// Milliseconds since the epoch: for what is shown.
    pub wall: u64,
}

/// What is different when a route's steps run over a part of its source once more.
#[derive(Clone, Debug)]
pub struct Rerun {
    /// Where the part ends.
    pub until: Offset,
    /// The most events of this turn.
    pub most: usize,
    /// What marks its outputs.
    pub mark: Mark,
    /// Instead of the route's own targets.
    pub into: Option<Arc<Topic>>,
}

/// What a turn comes to.
pub struct Outcome {
    /// To be used again for the next turn.
    pub pipeline: Pipeline,
    pub frames: Vec<Append>,
    /// The lane once `frames` are durable.
    pub lane: Lane,
    /// How many source events were looked at.
    pub events: usize,
    /// Of a rerun: what could not be processed. It was settled by the route's own run before, so it
    /// becomes no dead letter once more.
    pub failed: Vec<Parked>,
}

/// Why a turn came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The source cannot be read.
    #[error(transparent)]
    Log(#[from] sandbar_log::Error),
    /// A plugin cannot be instantiated.
    #[error("{0}")]
    Plugin(String),
    #[error("the events at {partition}/{offset} cannot be decoded: {detail}")]
    Decode {
        partition: PartitionId,
        offset: Offset,
        detail: String,
    },
}

impl Turn {
    /// Takes the turn.
    ///
    /// # Errors
    /// When the source cannot be read or a plugin cannot be instantiated; nothing has changed then.
    pub fn take(mut self) -> Result<Outcome, Error> {
        let mut pipeline = match self.pipeline.take() {
            Some(pipeline) if pipeline.is_for(&self.route) => pipeline,
            _ => Pipeline::new(self.route.clone()).map_err(Error::Plugin)?,
        };
        let chunks = match self.what.clone() {
            What::Fresh => self.read_fresh()?,
            What::Lines(keys) => self.read_lines(&keys)?,
        };
        let into = self.rerun.as_ref().and_then(|rerun| rerun.into.clone());
        let targets: Vec<Target> = (self.route.targets.iter())
            .map(|topic| {
                let topic = into.as_ref().unwrap_or(topic);
                Target {
                    topic: topic.name.clone(),
                    partitions: topic.partitions,
                }
            })
            .collect();
        let mut failed = Vec::new();
        let mut frames = Vec::new();
        let mut events = 0;
        let mut lane = std::mem::take(&mut self.lane);
        for (offsets, batch) in chunks {
            let processed = pipeline.run(&batch);
            self.guest_logs.keep(
                &self.route,
                &self.source,
                &offsets,
                &batch,
                pipeline.take_said(),
            );
            let mut decision = step::decide(&step::Input {
                lane: &lane,
                batch: &batch,
                offsets: &offsets,
                processed: &processed,
                targets: &targets,
                policy: &self.route.document.retry,
                written: &self.written,
                dead_letters: &self.dead_letters,
                now: self.now,
                wall: self.wall,
            });
            if let Some(rerun) = &self.rerun {
                failed.append(&mut decision.parked);
                merge_writes(&mut decision);
                let marked = Processed {
                    outputs: rerun.mark.apply(&processed.outputs),
                    ..processed
                };
                self.frames_of(&decision, &marked, &batch, &mut frames);
            } else {
                self.frames_of(&decision, &processed, &batch, &mut frames);
            }
            events += offsets.len();
            lane = decision.lane;
        }
        Ok(Outcome {
            pipeline,
            frames,
            lane,
            events,
            failed,
        })
    }

    fn decode(&self, frame: &Frame) -> Result<Batch, Error> {
        Batch::decode(&frame.body).map_err(|error| Error::Decode {
            partition: self.source.clone(),
            offset: frame.base,
            detail: error.to_string(),
        })
    }

    /// How many events go into one call, and into the turn.
    fn most_events(&self) -> (usize, usize) {
        let most = self.rerun.as_ref().map_or(usize::MAX, |rerun| rerun.most);
        if !self.route.calls_out() {
            return (EVENTS_PER_CALL.min(most), EVENTS_PER_TURN.min(most));
        }
        let each: Duration = self
            .route
            .steps
            .iter()
            .map(|step| step.limits.deadline)
            .sum();
        let events = TURN_CALLING_OUT.as_millis() / each.as_millis().max(1);
        let events = usize::try_from(events.clamp(1, EVENTS_PER_TURN_CALLING_OUT)).unwrap_or(1);
        let events = events.min(most);
        (events, events)
    }

    /// New events in chunks of at most [`EVENTS_PER_CALL`]; small frames are put together.
    fn read_fresh(&mut self) -> Result<Vec<(Vec<Offset>, Batch)>, Error> {
        let until = self.rerun.as_ref().map_or(Offset::MAX, |rerun| rerun.until);
        let tail = self.log.bounds(&self.source)?.tail.min(until);
        let frames = self
            .log
            .read(&self.source, self.lane.next, BYTES_PER_TURN)?;
        if frames.is_empty() {
            // A gap up to the tail, which a repair left.
            self.lane.next = self.lane.next.max(tail);
        }
        let (per_call, per_turn) = self.most_events();
        let mut chunks = Vec::new();
        let mut gathered: Vec<Batch> = Vec::new();
        let mut offsets: Vec<Offset> = Vec::new();
        for frame in frames {
            if chunks.len() * per_call + offsets.len() >= per_turn {
                break;
            }
            if frame.base >= until {
                if chunks.is_empty() && offsets.is_empty() {
                    // What was left of the part lay in a gap.
                    self.lane.next = self.lane.next.max(until);
                }
                break;
            }
            let whole = self.decode(&frame)?;
            let length = usize::try_from(until - frame.base).unwrap_or(usize::MAX);
            let length = whole.len().min(length);
            let skip = self.lane.next.saturating_sub(frame.base);
            let mut at = usize::try_from(skip).unwrap_or(length);
            while at < length && chunks.len() * per_call + offsets.len() < per_turn {
                let end = length.min(at + per_call - offsets.len());
                gathered.push(whole.slice(at, end));
                offsets.extend(frame.base + at as u64..frame.base + end as u64);
                at = end;
                if offsets.len() == per_call {
                    chunks.push((std::mem::take(&mut offsets), Batch::concat(&gathered)));
                    gathered.clear();
                }
            }
        }
        if !offsets.is_empty() {
            chunks.push((offsets, Batch::concat(&gathered)));
        }
        Ok(chunks)
    }

    /// The first events of lines, as many as go into one call.
    fn read_lines(&mut self, keys: &[String]) -> Result<Vec<(Vec<Offset>, Batch)>, Error> {
        let lines = keys.iter().filter_map(|key| self.lane.lines.get(key));
        let mut wanted: Vec<Offset> = lines
            .flat_map(|line| line.offsets.iter().copied())
            .take(self.most_events().0)
            .collect();
        // Neighbours lie in one frame; the order of a key is that of the offsets.
        wanted.sort_unstable();
        let mut offsets = Vec::with_capacity(wanted.len());
        let mut builder = BatchBuilder::new();
        let mut last: Option<(Offset, Batch)> = None;
        for offset in wanted {
            let held =
                |base: Offset, batch: &Batch| (base..base + batch.len() as u64).contains(&offset);
            if !last
                .as_ref()
                .is_some_and(|(base, batch)| held(*base, batch))
            {
                let frames = self.log.read(&self.source, offset, 1)?;
                last = match frames.first() {
                    Some(frame) => Some((frame.base, self.decode(frame)?)),
                    None => None,
                };
            }
            match &last {
                Some((base, batch)) if held(*base, batch) => {
                    let index = usize::try_from(offset - base).unwrap_or_default();
                    builder.push(batch.get(index));
                    offsets.push(offset);
                }
                // In a gap that a repair left.
                _ => self.lane.forget(offset),
            }
        }
        Ok(vec![(offsets, builder.finish())])
    }

    fn frames_of(
        &self,
        decision: &Decision,
        processed: &Processed,
        source: &Batch,
        frames: &mut Vec<Append>,
    ) {
        let made_by = self.route.made_by();
        let mut push =
            |partition: &PartitionId, batch: &Batch, origins: Vec<(Offset, u32)>, durability| {
                frames.push(Append {
                    partition: partition.clone(),
                    count: u32::try_from(batch.len()).unwrap_or(u32::MAX),
                    body: Bytes::from(batch.encode()),
                    provenance: Some(Provenance {
                        producer: self.producer.clone(),
                        made_by: made_by.clone(),
                        origins,
                    }),
                    durability,
                });
            };
        for (partition, placed) in &decision.writes {
            let into = self.rerun.as_ref().and_then(|rerun| rerun.into.as_ref());
            let durability = (self.route.targets.iter().chain(into))
                .find(|topic| topic.name == partition.topic)
                .map_or(Durability::Sync, |topic| topic.durability());
            let whole = placed.len() == processed.outputs.len()
                && processed.outputs.byte_length() <= BYTES_PER_FRAME;
            if whole {
                push(
                    partition,
                    &processed.outputs,
                    origins_of(placed),
                    durability,
                );
                continue;
            }
            for part in cut(placed, &processed.outputs) {
                let mut builder = BatchBuilder::with_capacity(part.len(), 0);
                for placed in part {
                    builder.push(processed.outputs.get(placed.output));
                }
                push(partition, &builder.finish(), origins_of(part), durability);
            }
        }
        if !decision.parked.is_empty() {
            let mut builder = BatchBuilder::new();
            for parked in &decision.parked {
                builder.push_event(&dead_letter::event(
                    &self.route,
                    &self.source,
                    parked,
                    source,
                    self.wall,
                ));
            }
            let origins = decision
                .parked
                .iter()
                .map(|parked| (parked.offset, 0))
                .collect();
            push(
                &self.dead_letters,
                &builder.finish(),
                origins,
                Durability::Sync,
            );
        }
    }
}

/// Puts together what goes into one partition: several targets may have become one.
fn merge_writes(decision: &mut Decision) {
    let mut merged: Vec<(PartitionId, Vec<Placed>)> = Vec::new();
    for (partition, placed) in decision.writes.drain(..) {
        match merged.iter_mut().find(|(known, _)| *known == partition) {
            Some((_, known)) => known.extend(placed),
            None => merged.push((partition, placed)),
        }
    }
    for (_, placed) in &mut merged {
        placed.sort_unstable_by_key(|one| one.output);
    }
    decision.writes = merged;
}

fn origins_of(placed: &[Placed]) -> Vec<(Offset, u32)> {
    placed
        .iter()
        .map(|placed| (placed.offset, placed.index))
        .collect()
}

/// Cuts outputs into runs of at most about [`BYTES_PER_FRAME`].
fn cut<'a>(placed: &'a [Placed], outputs: &Batch) -> Vec<&'a [Placed]> {
    let mut parts = Vec::new();
    let (mut start, mut size) = (0, 0);
    for (index, one) in placed.iter().enumerate() {
        let length = outputs.get(one.output).data.len() + 256;
        if size + length > BYTES_PER_FRAME && index > start {
            parts.push(&placed[start..index]);
            (start, size) = (index, 0);
        }
        size += length;
    }
    parts.push(&placed[start..]);
    parts
}
