//! One shadow at work: reads the source, asks both, counts.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use futures_util::future::select_all;
use sandbar_log::Log;
use sandbar_plugin::Standing;
use sandbar_types::{Batch, Name, Offset, PartitionId};
use tokio::{
    sync::watch,
    time::{Instant, timeout},
};
use tokio_util::sync::CancellationToken;

use super::{
    Shared,
    compare::{Source, compare},
    report::{Difference, Progress, ShadowState},
    sources,
};
use crate::{
    catalog::{Resolved, ShadowDocument},
    process::{Control, Held, Pipeline, Processed},
};

/// How long the topics that plugins look into are read at a time.
const LOOKUPS_READ_FOR: Duration = Duration::from_secs(2);
/// The most events of one call.
const EVENTS_PER_CALL: usize = 1000;
/// Bytes read at once.
const BYTES_PER_CALL: usize = 1 << 20;
/// How long the report in meta may be behind.
const SAVE_EVERY: Duration = Duration::from_secs(2);
/// How long to wait before something that failed is tried again.
const STALLED_FOR: Duration = Duration::from_millis(500);
/// Without events for so long, instances are given back.
const IDLE_AFTER: Duration = Duration::from_secs(5);

pub(super) struct Task {
    pub shared: Arc<Shared>,
    pub name: Name,
    pub document: ShadowDocument,
    /// What the route runs with.
    pub route: watch::Receiver<Control>,
    pub progress: Arc<Mutex<Progress>>,
    pub stop: CancellationToken,
    /// Told whenever the report has changed.
    pub told: watch::Sender<()>,
    /// Whether its calls are long.
    pub standing: Standing,
}

/// Both sides, ready to run.
struct Pair {
    active: Pipeline,
    candidate: Pipeline,
    /// Of both; given back with them.
    _places: Held,
}

/// What came of a part of the source.
struct Part {
    pair: Pair,
    events: usize,
    next: Offset,
    differences: Vec<Difference>,
    active: Took,
    candidate: Took,
}

/// What a run took.
#[derive(Clone, Copy, Default)]
struct Took {
    nanoseconds: u64,
    memory_bytes: u64,
}

impl Task {
    /// Compares until the end that the document sets, or until stopped.
    pub async fn run(mut self) {
        let stop = self.stop.clone();
        let ended = tokio::select! {
            () = stop.cancelled() => false,
            () = self.go_on() => true,
        };
        self.save().await;
        if ended && self.is_ripe() {
            // Whoever stops the shadow waits for this task, and may keep the listener waiting.
            tokio::select! {
                () = stop.cancelled() => {}
                // Whoever listens may be gone: the hub is closing.
                _ = self.shared.ripe.send(self.name.clone()) => {}
            }
        }
    }

    fn progress(&self) -> MutexGuard<'_, Progress> {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner)
    }

    async fn go_on(&mut self) {
        let mut pair = None;
        let mut saved = Instant::now();
        loop {
            if let Err(detail) = self.steps(&mut pair, &mut saved).await {
                pair = None;
                {
                    let report = &mut self.progress().report;
                    report.state = ShadowState::Stalled;
                    report.detail = Some(detail);
                }
                self.told.send_replace(());
                // A new version of the route may mend it.
                let _ = timeout(STALLED_FOR, self.route.changed()).await;
            } else {
                return;
            }
        }
    }

    /// Compares part after part; comes back when it is at its end.
    async fn steps(&mut self, pair: &mut Option<Pair>, saved: &mut Instant) -> Result<(), String> {
        loop {
            let route = self.route.borrow_and_update().route.clone();
            let partitions = sources(&self.shared, &route.document.from)?;
            {
                let mut progress = self.progress();
                progress.compare_with(route.document.runs());
                let report = &mut progress.report;
                if report.state == ShadowState::Stalled {
                    report.state = ShadowState::Comparing;
                    report.detail = None;
                }
                if let Some(most) = self.document.max_events
                    && report.compared >= most
                {
                    if !report.is_ripe(&self.document) {
                        report.state = ShadowState::Done;
                    }
                    self.told.send_replace(());
                    return Ok(());
                }
            }
            if self.is_ripe() {
                return Ok(());
            }
            let Some((partition, next)) = self.unread(&partitions)? else {
                self.wait(&partitions, pair).await?;
                continue;
            };
            let part = self.part(pair.take(), route, &partition, next).await?;
            {
                let mut progress = self.progress();
                progress.next.insert(partition.partition, part.next);
                progress.add(part.events, part.differences);
                let report = &mut progress.report;
                let compared = report.compared;
                let (active, candidate) = (part.active, part.candidate);
                (report.active).add(active.nanoseconds, active.memory_bytes, compared);
                (report.candidate).add(candidate.nanoseconds, candidate.memory_bytes, compared);
            }
            self.told.send_replace(());
            *pair = Some(part.pair);
            if saved.elapsed() >= SAVE_EVERY {
                self.save().await;
                *saved = Instant::now();
            }
        }
    }

    fn is_ripe(&self) -> bool {
        self.progress().report.is_ripe(&self.document)
    }

    /// A partition with events that were not compared yet.
    fn unread(&self, partitions: &[PartitionId]) -> Result<Option<(PartitionId, Offset)>, String> {
        for partition in partitions {
            let bounds = self.shared.log.bounds(partition);
            let bounds = bounds.map_err(|error| error.to_string())?;
            let known = self.progress().next.get(&partition.partition).copied();
            // What retention deleted is not compared.
            let next = known.unwrap_or(0).max(bounds.earliest);
            if next < bounds.tail {
                return Ok(Some((partition.clone(), next)));
            }
        }
        Ok(None)
    }

    /// Waits for an event or a change of the route.
    async fn wait(
        &mut self,
        partitions: &[PartitionId],
        pair: &mut Option<Pair>,
    ) -> Result<(), String> {
        let mut tails = Vec::new();
        for partition in partitions {
            let tail = self.shared.log.watch(partition);
            tails.push(tail.map_err(|error| error.to_string())?);
        }
        // An event that came before the watch began.
        if self.unread(partitions)?.is_some() {
            return Ok(());
        }
        self.save().await;
        let any = select_all(tails.iter_mut().map(|tail| Box::pin(tail.changed())));
        tokio::select! {
            _ = any => {}
            _ = self.route.changed() => {}
            () = self.shared.places.wanted(), if pair.is_some() => *pair = None,
            () = tokio::time::sleep(IDLE_AFTER), if pair.is_some() => *pair = None,
        }
        Ok(())
    }

    async fn part(
        &self,
        pair: Option<Pair>,
        route: Arc<Resolved>,
        partition: &PartitionId,
        next: Offset,
    ) -> Result<Part, String> {
        let pair = pair.filter(|pair| pair.active.is_for(&route));
        let (shared, name, document) = (
            self.shared.clone(),
            self.name.clone(),
            self.document.clone(),
        );
        let most = self.document.max_events.map_or(EVENTS_PER_CALL, |most| {
            let left = most.saturating_sub(self.progress().report.compared);
            EVENTS_PER_CALL.min(usize::try_from(left).unwrap_or(usize::MAX))
        });
        let partition = partition.clone();
        // The candidate differs in one step; what that takes more is had from the room left to others.
        let places = match &pair {
            Some(_) => None,
            None => Some(self.shared.places.take(route.places() * 2).await),
        };
        // Both sides see them.
        let events = 2 * most;
        let ran = self.shared.engine.run_as(&self.standing, events, move || {
            let pair = match (pair, places) {
                (Some(pair), _) => pair,
                (None, Some(places)) => make(&shared, &name, &route, &document, places)?,
                (None, None) => return Err("no places were taken".to_owned()),
            };
            run(&shared, pair, &route, &partition, next, most)
        });
        ran.await.map_err(|error| error.to_string())?
    }

    async fn save(&self) {
        let progress = serde_json::json!(*self.progress());
        let (shared, name) = (self.shared.clone(), self.name.clone());
        let saved =
            tokio::task::spawn_blocking(move || shared.catalog.save_shadow(&name, progress)).await;
        if let Ok(Err(error)) = saved {
            tracing::warn!(route = %self.name, error, "the shadow's report could not be saved");
        }
    }
}

fn make(
    shared: &Shared,
    name: &Name,
    route: &Arc<Resolved>,
    document: &ShadowDocument,
    places: Held,
) -> Result<Pair, String> {
    let candidate = shared
        .catalog
        .candidate(name, &route.document, document)
        .map_err(|problem| problem.detail)?;
    if route.calls_out() || candidate.calls_out() {
        return Err("a step asks other services, which a shadow would ask once more".to_owned());
    }
    Ok(Pair {
        active: Pipeline::new(route.clone())?,
        candidate: Pipeline::new(Arc::new(candidate))?,
        _places: places,
    })
}

fn run(
    shared: &Shared,
    mut pair: Pair,
    route: &Resolved,
    partition: &PartitionId,
    from: Offset,
    most: usize,
) -> Result<Part, String> {
    let looked_up = route
        .looks_into()
        .chain(pair.candidate.route().looks_into());
    if !shared.tables.catch_up(looked_up, LOOKUPS_READ_FOR)? {
        return Err("the topics that are looked into are still being read".to_owned());
    }
    let (offsets, batch, next) = read(&*shared.log, partition, from, most)?;
    let (active, active_took) = timed(&mut pair.active, &batch);
    let (candidate, candidate_took) = timed(&mut pair.candidate, &batch);
    // What the route's own plugins say was told when the route ran.
    drop(pair.active.take_said());
    let said = pair.candidate.take_said();
    (shared.guest_logs).keep(pair.candidate.route(), partition, &offsets, &batch, said);
    let targets: Vec<Name> = (route.targets.iter())
        .map(|topic| topic.name.clone())
        .collect();
    let source = Source {
        partition,
        offsets: &offsets,
        batch: &batch,
        targets: &targets,
    };
    Ok(Part {
        pair,
        events: batch.len(),
        next,
        differences: compare(&source, &active, &candidate),
        active: active_took,
        candidate: candidate_took,
    })
}

fn timed(pipeline: &mut Pipeline, batch: &Batch) -> (Processed, Took) {
    let started = Instant::now();
    let processed = pipeline.run(batch);
    let took = Took {
        nanoseconds: u64::try_from(started.elapsed().as_nanos()).unwrap_or(u64::MAX),
        memory_bytes: pipeline.memory_bytes() as u64,
    };
    (processed, took)
}

/// Events from `from` on, their offsets, and where to go on.
fn read(
    log: &dyn Log,
    partition: &PartitionId,
    from: Offset,
    most: usize,
) -> Result<(Vec<Offset>, Batch, Offset), String> {
    let bounds = log.bounds(partition).map_err(|error| error.to_string())?;
    let frames = log.read(partition, from, BYTES_PER_CALL);
    let mut offsets = Vec::new();
    let mut gathered = Vec::new();
    // A gap up to the tail, which a repair left, has no frames.
    let mut next = bounds.tail;
    for frame in frames.map_err(|error| error.to_string())? {
        let whole = Batch::decode(&frame.body).map_err(|error| error.to_string())?;
        let at = usize::try_from(from.saturating_sub(frame.base)).unwrap_or(usize::MAX);
        let at = at.min(whole.len());
        let end = whole.len().min(at + most - offsets.len());
        gathered.push(whole.slice(at, end));
        offsets.extend(frame.base + at as u64..frame.base + end as u64);
        next = frame.base + end as u64;
        if offsets.len() >= most {
            break;
        }
    }
    Ok((offsets, Batch::concat(&gathered), next))
}
