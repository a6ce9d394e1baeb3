//! What is to be done with a batch once the plugins have spoken. Pure: verdicts in, a decision out.
//!
//! It knows nothing of the log, of wasmtime or of time; the driver acts on the decision and, when
//! the outputs are durable, applies it to the lane.

use std::collections::{HashMap, HashSet};

use sandbar_types::{Batch, Offset, PartitionId};

use super::lane::{Lane, Settlement, Told};
use crate::catalog::RetryPolicy;
pub use crate::dead_letter::Cause;

/// Which event could not be processed, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    pub cause: Cause,
    pub reason: String,
    /// The index of the step that failed.
    pub step: usize,
}

/// What all steps together say of one source event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The outputs `first..first + count` of [`Processed::outputs`].
    Emit {
        first: usize,
        count: usize,
    },
    Drop(String),
    Fail(Failure),
    Retry {
        reason: String,
        step: usize,
    },
}

/// A batch after its last step.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Processed {
    /// One per source event.
    pub verdicts: Vec<Verdict>,
    /// All outputs, in the order of their events.
    pub outputs: Batch,
    /// Per output: which of the route's targets.
    pub targets: Vec<u16>,
}

/// What of a producer is already in the log behind its checkpoint.
pub type Written = HashMap<PartitionId, HashSet<(Offset, u32)>>;

/// An output to be written: index into [`Processed::outputs`] and its origin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Placed {
    pub output: usize,
    pub offset: Offset,
    pub index: u32,
}

/// A dead letter to be written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parked {
    /// Index into the source batch.
    pub event: usize,
    pub offset: Offset,
    pub attempts: u32,
    pub failure: Failure,
    /// The attempts before the last one.
    pub told: Vec<Told>,
    /// How often the event was put back before.
    pub redrives: u32,
}

/// What is to be written, and what is then true of the lane.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decision {
    pub writes: Vec<(PartitionId, Vec<Placed>)>,
    pub parked: Vec<Parked>,
    /// The lane once the writes are durable.
    pub lane: Lane,
}

/// What [`decide`] looks at.
pub struct Input<'a> {
    pub lane: &'a Lane,
    /// The source events; `offsets` has as many entries.
    pub batch: &'a Batch,
    pub offsets: &'a [Offset],
    pub processed: &'a Processed,
    pub targets: &'a [Target],
    pub policy: &'a RetryPolicy,
    /// Outputs found in the log at recovery; empty in the ordinary course.
    pub written: &'a Written,
    /// Where dead letters go.
    pub dead_letters: &'a PartitionId,
    /// Milliseconds since the epoch, of a clock that nobody sets: waits are counted by it.
    pub now: u64,
    /// Milliseconds since the epoch: for what is shown.
    pub wall: u64,
}

/// A target topic, as far as placing outputs goes.
#[derive(Clone, Debug)]
pub struct Target {
    pub topic: sandbar_types::Name,
    pub partitions: u32,
}

/// Decides over a batch.
#[must_use]
pub fn decide(input: &Input<'_>) -> Decision {
    let mut deciding = Deciding::new(input);
    let held = !input.lane.lines.is_empty()
        || input
            .processed
            .verdicts
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Retry { .. }));
    if held {
        deciding.with_lines();
    } else {
        for (index, verdict) in input.processed.verdicts.iter().enumerate() {
            deciding.settled(index, verdict, 1);
        }
        if let Some(&last) = input.offsets.last() {
            deciding
                .decision
                .lane
                .settle_run(input.offsets.len() as u64, last + 1);
        }
    }
    deciding.finish()
}

struct Deciding<'a> {
    input: &'a Input<'a>,
    decision: Decision,
    /// One per partition of each target, in the order of the targets.
    places: Vec<Vec<Vec<Placed>>>,
    /// Outputs per target, in the order of the targets.
    emitted: Vec<u64>,
}

impl<'a> Deciding<'a> {
    fn new(input: &'a Input<'a>) -> Self {
        let places = input.targets.iter();
        Self {
            input,
            decision: Decision {
                lane: input.lane.clone(),
                ..Decision::default()
            },
            places: places
                .map(|target| vec![Vec::new(); target.partitions as usize])
                .collect(),
            emitted: vec![0; input.targets.len()],
        }
    }

    /// The careful way: some key waits, or will.
    fn with_lines(&mut self) {
        let input = self.input;
        for (index, verdict) in input.processed.verdicts.iter().enumerate() {
            let offset = input.offsets[index];
            let event = input.batch.get(index);
            let key = event.key();
            let lane = &self.decision.lane;
            let first_of_line = lane
                .lines
                .get(key.as_ref())
                .is_none_or(|line| line.offsets.front() == Some(&offset));
            let attempts = lane.attempts(&key, offset) + 1;
            let settlement = match verdict {
                _ if !first_of_line => Settlement::Behind,
                Verdict::Retry { reason, step } if attempts >= input.policy.max_attempts => {
                    let failure = Failure {
                        cause: Cause::RetriesExhausted,
                        reason: format!(
                            "the plugin asked for a retry {attempts} times; last: {reason}"
                        ),
                        step: *step,
                    };
                    self.settled(index, &Verdict::Fail(failure), attempts);
                    Settlement::Settled
                }
                Verdict::Retry { reason, .. } => Settlement::Again {
                    reason: reason.clone(),
                    at: input.wall,
                },
                settled => {
                    self.settled(index, settled, attempts);
                    Settlement::Settled
                }
            };
            self.decision
                .lane
                .settle(offset, &key, &settlement, input.policy, input.now);
        }
    }

    fn settled(&mut self, index: usize, verdict: &Verdict, attempts: u32) {
        let offset = self.input.offsets[index];
        match verdict {
            Verdict::Emit { first, count } => self.place(index, offset, *first, *count),
            Verdict::Drop(reason) => self.decision.lane.counts.drop_for(reason, 1),
            Verdict::Fail(failure) => self.park(index, offset, attempts, failure.clone()),
            Verdict::Retry { .. } => {}
        }
    }

    fn place(&mut self, event: usize, offset: Offset, first: usize, count: usize) {
        let already_parked = (self.input.written.get(self.input.dead_letters))
            .is_some_and(|found| found.contains(&(offset, 0)));
        if already_parked {
            // Before the restart the event was given up; it stays so.
            let failure = Failure {
                cause: Cause::RetriesExhausted,
                reason: String::new(),
                step: 0,
            };
            self.park(event, offset, 0, failure);
            return;
        }
        for output in first..first + count {
            let target = self.input.processed.targets[output] as usize;
            let Target { topic, partitions } = &self.input.targets[target];
            let partition = if *partitions == 1 {
                0
            } else {
                PartitionId::number_of(&self.input.processed.outputs.get(output).key(), *partitions)
            };
            self.emitted[target] += 1;
            let index = u32::try_from(output - first).unwrap_or(u32::MAX);
            if !self.is_written(topic, partition, offset, index) {
                self.places[target][partition as usize].push(Placed {
                    output,
                    offset,
                    index,
                });
            }
        }
    }

    fn is_written(
        &self,
        topic: &sandbar_types::Name,
        partition: u32,
        offset: Offset,
        index: u32,
    ) -> bool {
        !self.input.written.is_empty()
            && self
                .input
                .written
                .get(&PartitionId::new(topic.clone(), partition))
                .is_some_and(|found| found.contains(&(offset, index)))
    }

    fn park(&mut self, event: usize, offset: Offset, attempts: u32, failure: Failure) {
        let lane = &mut self.decision.lane;
        lane.counts.dead_letters += 1;
        lane.counts.rejected += u64::from(failure.cause == Cause::Rejected);
        let written = self.input.written.get(self.input.dead_letters);
        if !written.is_some_and(|found| found.contains(&(offset, 0))) {
            let told = if lane.lines.is_empty() {
                Vec::new()
            } else {
                lane.told(&self.input.batch.get(event).key(), offset)
                    .to_vec()
            };
            self.decision.parked.push(Parked {
                event,
                offset,
                attempts,
                failure,
                told,
                redrives: lane.redrives(offset),
            });
        }
    }

    fn finish(mut self) -> Decision {
        for (target, count) in self.input.targets.iter().zip(self.emitted) {
            if count > 0 {
                let counts = &mut self.decision.lane.counts;
                *counts.emitted.entry(target.topic.to_string()).or_default() += count;
            }
        }
        for (target, partitions) in self.input.targets.iter().zip(self.places) {
            for (partition, placed) in partitions.into_iter().enumerate() {
                if !placed.is_empty() {
                    let partition = u32::try_from(partition).unwrap_or(u32::MAX);
                    self.decision
                        .writes
                        .push((PartitionId::new(target.topic.clone(), partition), placed));
                }
            }
        }
        self.decision
    }
}

#[cfg(test)]
mod tests;
