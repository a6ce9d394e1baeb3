//! A route's steps over a part of one partition of its source, beside the route's own run: for
//! replays. Each output is written once, whatever is killed when, in the same way as the route's.
//!
//! Who drives it keeps its [`RerunPoint`] and knows when to stop; nothing here is kept by itself.

use std::sync::Arc;

use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};

use super::{
    Shared,
    doubt::{Doubt, Tails, tails_of},
    driver::{LINES_PER_TURN, LOOKUPS_READ_FOR, MOST_WAITING},
    lane::Lane,
    mark::Mark,
    pipeline::Pipeline,
    step::Parked,
    work::{self, Outcome, Turn, What},
};
use crate::{
    catalog::{Resolved, Topic},
    clock,
};

/// What is to be run.
#[derive(Clone, Debug)]
pub struct RerunOf {
    pub route: Arc<Resolved>,
    /// `-` in the provenance: no route, a copy.
    pub route_name: Option<Name>,
    pub source: PartitionId,
    /// Where the part ends.
    pub until: Offset,
    pub mark: Mark,
    /// Instead of the route's own targets.
    pub into: Option<Arc<Topic>>,
}

/// How far it came, to be kept durably: at first before anything is written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct RerunPoint {
    pub lane: Lane,
    /// Where the partitions that it writes to ended.
    pub tails: Tails,
}

/// A rerun at work.
pub struct Reruns {
    shared: Arc<Shared>,
    of: RerunOf,
    producer: String,
    lane: Lane,
    doubt: Doubt,
    pipeline: Option<Pipeline>,
}

/// What a step came to.
#[derive(Debug)]
pub enum Stepped {
    /// So many events were looked at; what of them could not be processed.
    Worked { events: usize, failed: Vec<Parked> },
    /// Nothing is to be done for so many milliseconds.
    Waits(u64),
    /// The part is done.
    Done,
}

impl Reruns {
    /// Goes on from `point`. Blocks on the disk.
    pub(super) fn open(
        shared: Arc<Shared>,
        of: RerunOf,
        point: RerunPoint,
    ) -> Result<Self, String> {
        let producer = of.producer();
        let mut lane = point.lane;
        // The wall clock may have been set while nothing ran.
        lane.wait_at_most(shared.clock.now(), of.route.document.retry.max_ms);
        let doubt = Doubt::behind(&*shared.log, &producer, point.tails)?;
        Ok(Self {
            shared,
            of,
            producer,
            lane,
            doubt,
            pipeline: None,
        })
    }

    #[must_use]
    pub fn lane(&self) -> &Lane {
        &self.lane
    }

    /// At most `most` events further; what they come to is durable when it returns. Nothing has
    /// changed after an error.
    ///
    /// # Errors
    /// When the log or a plugin does not work, in words.
    pub async fn step(&mut self, most: usize) -> Result<Stepped, String> {
        let now = self.shared.clock.now();
        let due = self.lane.due(now, LINES_PER_TURN);
        let what = if !due.is_empty() {
            What::Lines(due)
        } else if self.lane.next < self.of.until && self.lane.waiting() < MOST_WAITING {
            What::Fresh
        } else if let Some((_, due)) = self.lane.first_due() {
            return Ok(Stepped::Waits(due.saturating_sub(now)));
        } else {
            return Ok(Stepped::Done);
        };
        self.look_up_to_date().await?;
        let turn = Turn {
            log: self.shared.log.clone(),
            source: self.of.source.clone(),
            dead_letters: self.shared.dead_letters.clone(),
            guest_logs: self.shared.guest_logs.clone(),
            producer: self.producer.clone(),
            route: self.of.route.clone(),
            pipeline: self.pipeline.take(),
            lane: self.lane.clone(),
            written: self.doubt.written().clone(),
            what,
            rerun: Some(work::Rerun {
                until: self.of.until,
                most: most.max(1),
                mark: self.of.mark.clone(),
                into: self.of.into.clone(),
            }),
            now,
            wall: clock::now(),
        };
        let taken = self.shared.engine.run(move || turn.take()).await;
        let outcome = match taken.map_err(|error| format!("a turn failed: {error}"))? {
            Ok(outcome) => outcome,
            Err(work::Error::Log(sandbar_log::Error::Trimmed { earliest, .. })) => {
                self.lane.skip_to(earliest.min(self.of.until));
                return Ok(Stepped::Worked {
                    events: 0,
                    failed: Vec::new(),
                });
            }
            Err(error) => return Err(error.to_string()),
        };
        let Outcome {
            pipeline,
            frames,
            lane,
            events,
            failed,
        } = outcome;
        self.pipeline = Some(pipeline);
        if !frames.is_empty() {
            let appended = crate::ingest::append(&self.shared.log, frames).await;
            appended.map_err(|error| error.to_string())?;
        }
        self.lane = lane;
        self.doubt.settle(self.lane.low());
        Ok(Stepped::Worked { events, failed })
    }

    async fn look_up_to_date(&self) -> Result<(), String> {
        let route = self.of.route.clone();
        if route.looks_into().next().is_none() {
            return Ok(());
        }
        let tables = self.shared.tables.clone();
        loop {
            let (tables, route) = (tables.clone(), route.clone());
            let read = tokio::task::spawn_blocking(move || {
                tables.catch_up(route.looks_into(), LOOKUPS_READ_FOR)
            });
            if read.await.map_err(|error| error.to_string())?? {
                return Ok(());
            }
        }
    }

    /// How far it is now. Blocks on the disk for a moment.
    ///
    /// # Errors
    /// When a partition is gone, in words.
    pub fn point(&mut self) -> Result<RerunPoint, String> {
        self.doubt.settle(self.lane.low());
        let tails = match self.doubt.tails() {
            Some(recovered) => recovered.clone(),
            None => self.of.tails(&self.shared)?,
        };
        Ok(RerunPoint {
            lane: self.lane.clone(),
            tails,
        })
    }
}

impl RerunOf {
    /// `replay/<job>/<route>/<topic>/<partition>`: the producer in the provenance.
    #[must_use]
    pub fn producer(&self) -> String {
        let route = self.route_name.as_ref().map_or("-", Name::as_str);
        format!("replay/{}/{route}/{}", self.mark.job, self.source)
    }

    /// The topics that it writes to.
    pub fn targets(&self) -> impl Iterator<Item = &Arc<Topic>> {
        let own = self.into.is_none().then_some(&self.route.targets);
        own.into_iter().flatten().chain(&self.into)
    }

    fn tails(&self, shared: &Shared) -> Result<Tails, String> {
        let partitions = self.targets().flat_map(|topic| topic.partition_ids());
        tails_of(&*shared.log, partitions)
    }

    /// Where one begins that reads from `next` on. Blocks on the disk for a moment.
    pub(super) fn begin(&self, shared: &Shared, next: Offset) -> Result<RerunPoint, String> {
        Ok(RerunPoint {
            lane: Lane::starting_at(next),
            tails: self.tails(shared)?,
        })
    }
}
