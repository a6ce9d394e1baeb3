//! Drives one lane: waits for events, has a turn taken, appends what came of it, remembers how far
//! it came.
//!
//! ```text
//! wait ─→ turn (plugin threads) ─→ append (log) ─→ lane := decision ─→ checkpoint, now and then
//!   ↑                                 │ full, damaged: stalled, tried again
//!   └─────────────────────────────────┘
//! ```
//! The checkpoint is behind what is written, never ahead. At start the log itself is asked what was
//! written since: see [`recover`](Driver::recover).

use std::{sync::Arc, time::Duration};

use sandbar_log::{Append, Log};
use sandbar_plugin::Standing;
use sandbar_types::{Name, Offset, PartitionId};
use tokio::{
    sync::{mpsc, watch},
    time::Instant,
};

use super::{
    Shared,
    again::{Again, NotTaken, Taken},
    checkpoint::Checkpoint,
    doubt::{Doubt, Tails, tails_of},
    lane::Lane,
    pipeline::Pipeline,
    places::Held,
    view::{Saved, Snapshot, State, View},
    work::{Outcome, Turn, What},
};
use crate::{
    catalog::{Resolved, Start},
    clock,
};

/// How long a checkpoint may be behind: what was written since is looked through at a restart after
/// a kill, and kept from retention.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);
/// How long to wait before an append or a turn that failed is tried again.
const STALLED_FOR: Duration = Duration::from_millis(500);
/// So many events may wait in lines before the lane reads no further.
pub(super) const MOST_WAITING: usize = 10_000;
/// So many lines may be due in one turn.
pub(super) const LINES_PER_TURN: usize = 256;
/// A lane without events for so long gives its plugin instances back.
const IDLE_AFTER: Duration = Duration::from_secs(5);
/// How long the topics that plugins look into are read without a look at the control.
pub(super) const LOOKUPS_READ_FOR: Duration = Duration::from_millis(500);

/// What the lane is told to do.
#[derive(Clone, Debug)]
pub struct Control {
    pub route: Arc<Resolved>,
    pub paused: bool,
    pub stop: bool,
}

/// The driver of one lane.
pub struct Driver {
    pub shared: Arc<Shared>,
    pub name: Name,
    pub source: PartitionId,
    pub control: watch::Receiver<Control>,
    pub view: Arc<View>,
    /// Events to be worked once more.
    pub again: mpsc::Receiver<Again>,
    /// Taken from `again` and not answered yet.
    pub asked: Option<Again>,
    /// The last turn or append came to nothing.
    pub failing: bool,
    /// Whether its turns are long.
    pub standing: Standing,
}

/// What the driver knows between turns.
struct Progress {
    lane: Lane,
    /// What the lane runs; the control's route may be newer.
    active: Arc<Resolved>,
    pipeline: Option<Ready>,
    doubt: Doubt,
    saved_at: Instant,
    dirty: bool,
}

/// Instances, and the places that they take.
struct Ready {
    // Dropped first: the places are free when the instances are gone.
    pipeline: Option<Pipeline>,
    places: Held,
}

enum Stop {
    Asked,
}

impl Driver {
    /// `route/<route>/<topic>/<partition>`: the producer in the provenance of all that it writes.
    #[must_use]
    pub fn producer(&self) -> String {
        format!("route/{}/{}", self.name, self.source)
    }

    /// Runs until told to stop. All that it has written is then covered by a durable checkpoint.
    pub async fn run(mut self) {
        let Ok(mut progress) = self.begin().await else {
            return;
        };
        let Err(Stop::Asked) = self.drive(&mut progress).await;
        self.save(&mut progress).await;
    }

    /// Recovers, again and again until it works or the lane is told to stop.
    async fn begin(&mut self) -> Result<Progress, Stop> {
        loop {
            match self.recover().await {
                Ok(progress) => return Ok(progress),
                Err(detail) => self.stalled(&detail).await?,
            }
        }
    }

    /// Loads the checkpoint and asks the log what this producer wrote after it.
    async fn recover(&self) -> Result<Progress, String> {
        let (shared, source, producer) =
            (self.shared.clone(), self.source.clone(), self.producer());
        let control = self.control.borrow().route.clone();
        let name = self.name.clone();
        let recovered = tokio::task::spawn_blocking(move || {
            recover(&shared, &name, &source, &producer, &control)
        });
        let Recovered {
            lane,
            active,
            tails,
            doubt,
        } = recovered.await.map_err(|error| error.to_string())??;
        self.view.checkpointed(Saved {
            low: lane.low(),
            tails,
        });
        Ok(Progress {
            lane,
            active,
            pipeline: None,
            doubt,
            saved_at: Instant::now(),
            dirty: false,
        })
    }

    async fn drive(&mut self, progress: &mut Progress) -> Result<std::convert::Infallible, Stop> {
        let mut tail = loop {
            match self.shared.log.watch(&self.source) {
                Ok(tail) => break tail,
                Err(error) => self.stalled(&error.to_string()).await?,
            }
        };
        loop {
            let control = self.control.borrow_and_update().clone();
            if control.stop {
                return Err(Stop::Asked);
            }
            if progress.dirty && progress.saved_at.elapsed() >= CHECKPOINT_EVERY {
                self.save(progress).await;
            }
            self.switch(progress, &control).await;
            self.put_back_what_is_asked(progress).await;
            let state = if control.paused {
                State::Paused
            } else {
                State::Running
            };
            self.show(progress, state);
            let known_tail = *tail.borrow_and_update();
            match choose(
                &progress.lane,
                known_tail,
                control.paused,
                self.shared.clock.now(),
            ) {
                Some(what) => self.turn(progress, what, known_tail).await?,
                None => self.wait(progress, &mut tail, control.paused).await,
            }
        }
    }

    /// Takes over a newer route between two batches. The switch is durable before anything is
    /// written under the new route, so that a restart finishes what was begun under the old one
    /// with the old one.
    async fn switch(&self, progress: &mut Progress, control: &Control) {
        if Arc::ptr_eq(&progress.active, &control.route)
            || !progress.doubt.settle(progress.lane.low())
        {
            return;
        }
        progress.active = control.route.clone();
        progress.pipeline = None;
        progress.dirty = true;
        self.save(progress).await;
    }

    async fn wait(
        &mut self,
        progress: &mut Progress,
        tail: &mut watch::Receiver<Offset>,
        paused: bool,
    ) {
        let due = progress.lane.first_due().filter(|_| !paused);
        let due = due.map(|(_, due)| self.shared.clock.instant(due).into());
        let save = progress.dirty.then(|| progress.saved_at + CHECKPOINT_EVERY);
        let idle = progress
            .pipeline
            .is_some()
            .then(|| Instant::now() + IDLE_AFTER);
        let wake = [due, save, idle].into_iter().flatten().min();
        tokio::select! {
            changed = self.control.changed() => drop(changed),
            Some(again) = self.again.recv(), if self.asked.is_none() => self.asked = Some(again),
            changed = tail.changed(), if !paused => {
                if changed.is_err() {
                    // The partition is gone; the route's end is on its way.
                    tokio::time::sleep(STALLED_FOR).await;
                }
            }
            () = self.shared.places.wanted(), if idle.is_some() => progress.pipeline = None,
            () = sleep_until(wake) => {}
        }
        if idle.is_some_and(|idle| idle <= Instant::now()) {
            progress.pipeline = None;
        }
    }

    /// Before a turn: what the plugins may look up is there, at least as it is now. False: not yet,
    /// and there may be a word meanwhile.
    async fn look_up_to_date(&mut self, route: &Arc<Resolved>) -> Result<bool, Stop> {
        if route.looks_into().next().is_none() {
            return Ok(true);
        }
        let (tables, route) = (self.shared.tables.clone(), route.clone());
        let read = tokio::task::spawn_blocking(move || {
            tables.catch_up(route.looks_into(), LOOKUPS_READ_FOR)
        });
        match read.await {
            Ok(Ok(done)) => Ok(done),
            Ok(Err(detail)) => self.stalled(&detail).await.map(|()| false),
            Err(error) => self.stalled(&error.to_string()).await.map(|()| false),
        }
    }

    async fn turn(
        &mut self,
        progress: &mut Progress,
        what: What,
        tail: Offset,
    ) -> Result<(), Stop> {
        if !self.look_up_to_date(&progress.active).await? {
            return Ok(());
        }
        let Some(Ready { pipeline, places }) = self.ready(progress).await else {
            return Ok(());
        };
        let events = match what {
            What::Fresh => tail.saturating_sub(progress.lane.next),
            What::Lines(_) => progress.lane.waiting() as u64,
        };
        let events = usize::try_from(events).unwrap_or(usize::MAX);
        let turn = Turn {
            log: self.shared.log.clone(),
            source: self.source.clone(),
            dead_letters: self.shared.dead_letters.clone(),
            guest_logs: self.shared.guest_logs.clone(),
            producer: self.producer(),
            route: progress.active.clone(),
            pipeline,
            lane: progress.lane.clone(),
            written: progress.doubt.written().clone(),
            what,
            rerun: None,
            now: self.shared.clock.now(),
            wall: clock::now(),
        };
        let started = Instant::now();
        let standing = self.standing.clone();
        let turned = (self.shared.engine).run_as(&standing, events, move || turn.take());
        let outcome = match turned.await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(super::work::Error::Log(sandbar_log::Error::Trimmed { earliest, .. }))) => {
                tracing::warn!(route = %self.name, source = %self.source, from = progress.lane.next, to = earliest, "events were deleted before the route read them");
                progress.lane.skip_to(earliest);
                progress.dirty = true;
                return Ok(());
            }
            Ok(Err(error)) => {
                drop(places);
                return self.stalled(&error.to_string()).await;
            }
            Err(error) => {
                drop(places);
                return self.stalled(&format!("a turn failed: {error}")).await;
            }
        };
        self.shared
            .metrics
            .turn_took(&self.name, started.elapsed(), outcome.events);
        let Outcome {
            pipeline,
            frames,
            lane,
            ..
        } = outcome;
        let ready = Ready {
            pipeline: Some(pipeline),
            places,
        };
        // Who waits for places comes first; this lane then waits behind them.
        progress.pipeline = Some(ready).filter(|_| !self.shared.places.are_wanted());
        self.append(frames).await?;
        self.failing = false;
        progress.lane = lane;
        progress.dirty = true;
        progress.doubt.settle(progress.lane.low());
        Ok(())
    }

    /// Instances where there are some, else places for them. `None`: there was a word while it waited.
    async fn ready(&mut self, progress: &mut Progress) -> Option<Ready> {
        let count = progress.active.places();
        let kept = progress.pipeline.take();
        if let Some(ready) = kept.filter(|ready| ready.places.count() == count) {
            return Some(ready);
        }
        tokio::select! {
            places = self.shared.places.take(count) => Some(Ready { pipeline: None, places }),
            changed = self.control.changed() => {
                drop(changed);
                None
            }
        }
    }

    /// Appends until it works: nothing is given up because a disk is full.
    async fn append(&mut self, frames: Vec<Append>) -> Result<(), Stop> {
        if frames.is_empty() {
            return Ok(());
        }
        loop {
            match crate::ingest::append(&self.shared.log, frames.clone()).await {
                Ok(_) => return Ok(()),
                Err(error) => self.stalled(&error.to_string()).await?,
            }
        }
    }

    /// Shows why nothing moves, and waits a while or for a word.
    async fn stalled(&mut self, detail: &str) -> Result<(), Stop> {
        self.failing = true;
        if self.view.stall(detail) {
            tracing::error!(route = %self.name, source = %self.source, detail, "the route is stalled");
        }
        let deadline = Instant::now() + STALLED_FOR;
        tokio::select! {
            changed = self.control.changed() => drop(changed),
            () = tokio::time::sleep_until(deadline) => {}
        }
        if self.control.borrow().stop {
            Err(Stop::Asked)
        } else {
            Ok(())
        }
    }

    /// Takes up what was asked for. It is durable before any of it is worked, with tails behind all
    /// that was written so far: a restart must not take an earlier dead letter of an event for that
    /// of its new attempt. So it waits until nothing is in doubt.
    async fn put_back_what_is_asked(&mut self, progress: &mut Progress) {
        if self.asked.is_none() {
            self.asked = self.again.try_recv().ok();
        }
        if self.asked.is_none() || !progress.doubt.settle(progress.lane.low()) {
            return;
        }
        let Some(again) = self.asked.take() else {
            return;
        };
        let answer = self.put_back(progress, &again).await;
        // Whoever asked may be gone; it will ask again, and be told that it is done.
        let _ = again.answer.send(answer);
    }

    async fn put_back(&self, progress: &mut Progress, again: &Again) -> Result<Taken, NotTaken> {
        let before = progress.lane.clone();
        let bounds = self.shared.log.bounds(&self.source);
        let bounds = bounds.map_err(|error| NotTaken::Failed(error.to_string()))?;
        let taken = again.apply(&mut progress.lane, bounds.earliest, self.shared.clock.now())?;
        if progress.lane != before {
            progress.dirty = true;
            if let Err(detail) = self.try_save(progress).await {
                progress.lane = before;
                return Err(NotTaken::Failed(detail));
            }
        }
        Ok(taken)
    }

    async fn save(&self, progress: &mut Progress) {
        if let Err(detail) = self.try_save(progress).await {
            tracing::warn!(route = %self.name, source = %self.source, detail, "the checkpoint could not be saved; it is tried again");
        }
    }

    async fn try_save(&self, progress: &mut Progress) -> Result<(), String> {
        let shared = self.shared.clone();
        let (name, source) = (self.name.clone(), self.source.clone());
        let (lane, active) = (progress.lane.clone(), progress.active.clone());
        progress.doubt.settle(lane.low());
        let recovered = progress.doubt.tails().cloned();
        let saved = tokio::task::spawn_blocking(move || {
            let tails = match recovered {
                Some(recovered) => recovered,
                None => tails(&*shared.log, &active, &shared.dead_letters)?,
            };
            let checkpoint = Checkpoint {
                active: active.document.clone(),
                lane,
                tails,
            };
            shared.checkpoints.put(&name, &source, &checkpoint)?;
            Ok::<_, String>(Saved {
                low: checkpoint.lane.low(),
                tails: checkpoint.tails,
            })
        });
        progress.saved_at = Instant::now();
        let saved = saved.await.map_err(|error| error.to_string())??;
        self.view.checkpointed(saved);
        progress.dirty = false;
        Ok(())
    }

    fn show(&self, progress: &Progress, state: State) {
        // A lane that tries again stays stalled until it succeeds.
        let before = self.view.snapshot();
        let trouble = self.failing && before.state == State::Stalled;
        self.view.show(Snapshot {
            state: if trouble { State::Stalled } else { state },
            detail: if trouble { before.detail } else { None },
            next: progress.lane.next,
            low: progress.lane.low(),
            waiting: progress.lane.waiting(),
            counts: progress.lane.counts.clone(),
            lines: progress
                .lane
                .lines
                .values()
                .flat_map(|line| line.offsets.iter().copied())
                .collect(),
            active: Some(progress.active.clone()),
        });
    }
}

/// What is to be done next, if anything.
fn choose(lane: &Lane, tail: Offset, paused: bool, now: u64) -> Option<What> {
    if paused {
        return None;
    }
    let due = lane.due(now, LINES_PER_TURN);
    if !due.is_empty() {
        return Some(What::Lines(due));
    }
    (lane.next < tail && lane.waiting() < MOST_WAITING).then_some(What::Fresh)
}

async fn sleep_until(wake: Option<Instant>) {
    match wake {
        Some(wake) => tokio::time::sleep_until(wake).await,
        None => std::future::pending().await,
    }
}

/// The tails of all partitions that a route writes to.
pub fn tails(log: &dyn Log, route: &Resolved, dead_letters: &PartitionId) -> Result<Tails, String> {
    let targets = route.targets.iter().flat_map(|topic| topic.partition_ids());
    tails_of(log, targets.chain([dead_letters.clone()]))
}

struct Recovered {
    lane: Lane,
    active: Arc<Resolved>,
    tails: Tails,
    doubt: Doubt,
}

fn recover(
    shared: &Shared,
    name: &Name,
    source: &PartitionId,
    producer: &str,
    current: &Arc<Resolved>,
) -> Result<Recovered, String> {
    let bounds = shared
        .log
        .bounds(source)
        .map_err(|error| error.to_string())?;
    let Some(mut checkpoint) = shared.checkpoints.get(name, source)? else {
        let next = match current.document.start {
            Start::Earliest => bounds.earliest,
            Start::Latest => bounds.tail,
        };
        let lane = Lane::starting_at(next);
        let tails = tails(&*shared.log, current, &shared.dead_letters)?;
        let first = Checkpoint {
            active: current.document.clone(),
            lane: lane.clone(),
            tails: tails.clone(),
        };
        // Durable before the first output, or a restart would not know where to look for it.
        shared.checkpoints.put(name, source, &first)?;
        return Ok(Recovered {
            lane,
            active: current.clone(),
            tails,
            doubt: Doubt::default(),
        });
    };
    let doubt = Doubt::behind(&*shared.log, producer, checkpoint.tails.clone())?;
    let active = if checkpoint.active == current.document {
        current.clone()
    } else {
        shared.resolve(name, &checkpoint.active)?
    };
    if checkpoint.lane.next > bounds.tail {
        // Only an asynchronous topic can lose its end, with the machine's power.
        tracing::warn!(route = %name, source = %source, next = checkpoint.lane.next, tail = bounds.tail, "the source is shorter than the route remembers");
        checkpoint.lane.next = bounds.tail;
        checkpoint.lane.lines.clear();
    }
    // The wall clock may have been set while nothing ran.
    let longest = active.document.retry.max_ms;
    checkpoint.lane.wait_at_most(shared.clock.now(), longest);
    Ok(Recovered {
        lane: checkpoint.lane,
        active,
        tails: checkpoint.tails,
        doubt,
    })
}
