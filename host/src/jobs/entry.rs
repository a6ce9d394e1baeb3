//! One job at work: its turn, its end, and how it is kept.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use sandbar_types::{Offset, PartitionId};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    job::{Job, JobState, Progress, Record, Work},
    offer, redrive, replay,
};
use crate::clock;

/// How long to wait before something that failed is tried again, in milliseconds.
const STALLED_FOR: u64 = 500;

/// A job.
#[derive(Debug)]
pub(super) struct Entry {
    pub id: String,
    record: Mutex<Record>,
    cancelled: CancellationToken,
    /// Held from looking at the record until it is saved, so that saves keep their order.
    saving: tokio::sync::Mutex<()>,
    /// What the saved record needs of the log.
    holds: Mutex<Vec<(PartitionId, Offset)>>,
}

/// How a job's work ended.
#[derive(Debug)]
pub(super) enum Ended {
    Done,
    Cancelled,
    /// For good.
    Failed(String),
    /// With the hub; it goes on after the next start.
    Stopped,
}

impl Entry {
    pub fn new(record: Record) -> Self {
        let cancelled = CancellationToken::new();
        if record.job.cancelling {
            cancelled.cancel();
        }
        Self {
            id: record.job.id.clone(),
            holds: Mutex::new(holds(&record.work)),
            record: Mutex::new(record),
            cancelled,
            saving: tokio::sync::Mutex::default(),
        }
    }

    fn record(&self) -> MutexGuard<'_, Record> {
        self.record.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn job(&self) -> Job {
        self.record().job.clone()
    }

    pub fn look<T>(&self, look: impl FnOnce(&Job) -> T) -> T {
        look(&self.record().job)
    }

    pub fn work(&self) -> Work {
        self.record().work.clone()
    }

    pub fn state_text(&self) -> String {
        self.record().job.state.as_str().to_owned()
    }

    pub fn progress<T>(&self, change: impl FnOnce(&mut Progress) -> T) -> T {
        change(&mut self.record().job.progress)
    }

    pub fn is_cancelled(&self) -> bool {
        self.cancelled.is_cancelled()
    }

    pub fn needs(&self, partition: &PartitionId) -> Option<Offset> {
        let holds = self.holds.lock().unwrap_or_else(PoisonError::into_inner);
        let held = holds.iter().filter(|(of, _)| of == partition);
        held.map(|(_, offset)| *offset).min()
    }

    /// Shows what keeps the job from going on.
    pub fn stall(&self, detail: &str) {
        let mut record = self.record();
        if record.job.detail.as_deref() != Some(detail) {
            tracing::warn!(job = %self.id, detail, "the job waits");
            record.job.detail = Some(detail.to_owned());
        }
    }

    pub fn goes_on(&self) {
        self.record().job.detail = None;
    }

    /// Waits so many milliseconds, or until the job is cancelled. False: the hub stops.
    pub async fn pause(&self, shared: &Shared, milliseconds: u64) -> bool {
        let wait = Duration::from_millis(milliseconds);
        tokio::select! {
            () = shared.stop.cancelled() => false,
            () = self.cancelled.cancelled(), if !self.is_cancelled() => true,
            () = tokio::time::sleep(wait) => true,
        }
    }

    pub async fn pause_stalled(&self, shared: &Shared) -> bool {
        self.pause(shared, STALLED_FOR).await
    }

    /// Takes note of what is still to be done and of what was, in memory.
    pub fn keep(&self, work: Work, change: impl FnOnce(&mut Progress)) {
        let mut record = self.record();
        record.work = work;
        change(&mut record.job.progress);
    }

    /// Takes note of what is still to be done, durably. After an error nothing has changed.
    pub async fn save(&self, shared: &Shared, work: Work) -> Result<(), String> {
        self.save_as(shared, |record| record.work = work).await
    }

    async fn save_as(
        &self,
        shared: &Shared,
        change: impl FnOnce(&mut Record),
    ) -> Result<(), String> {
        let _saving = self.saving.lock().await;
        let mut record = self.record().clone();
        change(&mut record);
        let (shared, id, saved) = (shared.clone(), self.id.clone(), record.clone());
        let put = tokio::task::spawn_blocking(move || shared.table.put(&id, &saved)).await;
        put.map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
        *self.holds.lock().unwrap_or_else(PoisonError::into_inner) = holds(&record.work);
        let mut known = self.record();
        // What others may have changed meanwhile is in memory and is saved with the next.
        known.work = record.work;
        known.job.state = record.job.state;
        known.job.started = record.job.started;
        known.job.ended = record.job.ended;
        known.job.cancelling |= record.job.cancelling;
        Ok(())
    }

    pub async fn cancel(&self, shared: &Shared) -> Result<(), String> {
        self.save_as(shared, |record| record.job.cancelling = true)
            .await?;
        self.cancelled.cancel();
        Ok(())
    }
}

fn holds(work: &Work) -> Vec<(PartitionId, Offset)> {
    match work {
        Work::Replay(replaying) => replaying.holds(),
        Work::Offer(offering) => offering.holds(),
        Work::Redrive(_) | Work::Nothing => Vec::new(),
    }
}

/// Runs a job to its end, or until the hub stops.
pub(super) async fn run(shared: Shared, entry: Arc<Entry>) {
    let ended = match wait_for_turn(&shared, &entry).await {
        Ended::Done => work(&shared, &entry).await,
        other => other,
    };
    let (state, detail) = match ended {
        Ended::Stopped => {
            // What is known in memory alone; without it a subscription's last chunk is offered twice.
            if let Err(detail) = entry.save_as(&shared, |_| {}).await {
                tracing::warn!(job = %entry.id, detail, "the job could not be saved at the stop");
            }
            return;
        }
        Ended::Done => (JobState::Done, None),
        Ended::Cancelled => (JobState::Cancelled, None),
        Ended::Failed(detail) => (JobState::Failed, Some(detail)),
    };
    loop {
        let saved = entry.save_as(&shared, |record| {
            record.job.state = state;
            record.job.ended = Some(clock::to_text(clock::now()));
            record.job.detail.clone_from(&detail);
            record.work = Work::Nothing;
        });
        match saved.await {
            Ok(()) => break,
            Err(problem) => {
                entry.stall(&problem);
                if !entry.pause_stalled(&shared).await {
                    return;
                }
            }
        }
    }
    entry.record().job.detail = detail;
    shared.over.send_modify(|over| *over += 1);
}

/// [`Ended::Done`] when it is this job's turn.
async fn wait_for_turn(shared: &Shared, entry: &Entry) -> Ended {
    let mut over = shared.over.subscribe();
    loop {
        over.borrow_and_update();
        if is_turn(shared, entry) {
            return Ended::Done;
        }
        tokio::select! {
            () = shared.stop.cancelled() => return Ended::Stopped,
            () = entry.cancelled.cancelled() => return Ended::Cancelled,
            changed = over.changed() => {
                if changed.is_err() {
                    return Ended::Stopped;
                }
            }
        }
    }
}

fn is_turn(shared: &Shared, entry: &Entry) -> bool {
    let kind = entry.job().kind;
    let all = shared.all();
    let before = all.range(..entry.id.clone()).filter(|(_, other)| {
        let job = other.job();
        job.kind.is_alike(kind) && !job.state.is_over()
    });
    before.count() < kind.at_a_time()
}

async fn work(shared: &Shared, entry: &Entry) -> Ended {
    let begun = entry.save_as(shared, |record| {
        record.job.state = JobState::Running;
        let now = || clock::to_text(clock::now());
        record.job.started.get_or_insert_with(now);
    });
    if let Err(detail) = begun.await {
        // It is shown as queued for a little longer.
        tracing::warn!(job = %entry.id, detail, "the job's begin could not be saved");
    }
    loop {
        let ended = match entry.work() {
            Work::Redrive(_) => redrive::run(shared, entry).await,
            Work::Replay(_) => replay::run(shared, entry).await,
            Work::Offer(_) => offer::run(shared, entry).await,
            Work::Nothing => Ok(Ended::Done),
        };
        match ended {
            Ok(ended) => return ended,
            Err(detail) => {
                entry.stall(&detail);
                if !entry.pause_stalled(shared).await {
                    return Ended::Stopped;
                }
                if entry.is_cancelled() {
                    return Ended::Cancelled;
                }
            }
        }
    }
}
