//! Replay: what is stored of a topic once more through a route, or as a copy into another topic.
//!
//! The outputs are new events: they are marked with the job, have ids of their own, and their
//! provenance names the job. Each is written once, across kill -9, in the way of routes: see
//! [`crate::process::Reruns`].

mod plan;

use std::sync::Arc;

use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use tokio::time::{Duration, Instant};
use utoipa::ToSchema;

pub use plan::{ReplayPart, ReplayPlan, SampleEvent};

use super::{
    Ended, Entry, Jobs, Kind, Shared, check_rate,
    job::{Job, Progress, Work},
    pace::Pace,
    range::{Part, Point, invalid, parts},
};
use crate::{
    catalog::{Because, Resolved, RetryPolicy, RouteDocument, Start, Topic},
    problem::Problem,
    process::{Mark, RerunOf, RerunPoint, Reruns, Stepped},
};

/// How long what is kept in meta may be behind.
const SAVE_EVERY: Duration = Duration::from_secs(1);
/// The most events of one step.
const MOST_AT_ONCE: usize = 4000;
/// The most events of which a dry run asks the plugins.
const MOST_SAMPLE: usize = 100;

/// What is to be replayed, and how.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ReplayRequest {
    pub from: Point,
    /// Where to end; the event there is not replayed.
    #[serde(default = "Point::latest")]
    pub to: Point,
    /// A topic for what comes out, beside the route's own targets. Needed to replay a topic.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<String>)]
    pub into: Option<Name>,
    #[serde(default)]
    pub ids: Ids,
    /// Source events a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Only tell what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Of a dry run: the plugins are asked about so many events, 0 to 100.
    #[serde(default = "ten")]
    pub sample: usize,
    /// Kept with the job.
    #[serde(default)]
    pub reason: String,
}

fn ten() -> usize {
    10
}

/// The ids of what comes out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Ids {
    /// `<id>/replay/<job>`: readers that drop repeats take them for new events.
    #[default]
    New,
    /// As they are.
    Keep,
}

/// What a replay has still to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Replaying {
    /// None: a copy.
    route: Option<Name>,
    /// With versions, so that a restart goes on with the plugins that began.
    document: RouteDocument,
    into: Option<Name>,
    mark: Mark,
    rate: Option<u32>,
    parts: Vec<PartToDo>,
    /// What failed so far.
    failed: Progress,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct PartToDo {
    source: PartitionId,
    from: Offset,
    until: Offset,
    /// None: it is not begun.
    point: Option<RerunPoint>,
    done: bool,
}

/// A checked request.
pub(super) struct Prepared {
    route: Option<Name>,
    resolved: Arc<Resolved>,
    into: Option<Arc<Topic>>,
    parts: Vec<Part>,
}

impl Replaying {
    fn new(prepared: &Prepared, job: &str, request: &ReplayRequest) -> Self {
        let parts = prepared.parts.iter().map(|part| PartToDo {
            source: part.partition.clone(),
            from: part.from,
            until: part.until,
            point: None,
            done: false,
        });
        Self {
            route: prepared.route.clone(),
            document: prepared.resolved.document.clone(),
            into: request.into.clone(),
            mark: Mark {
                job: job.to_owned(),
                keep_ids: request.ids == Ids::Keep,
            },
            rate: request.rate,
            parts: parts.collect(),
            failed: Progress::default(),
        }
    }

    /// What retention must not reach.
    pub fn holds(&self) -> Vec<(PartitionId, Offset)> {
        let mut holds = Vec::new();
        for part in self.parts.iter().filter(|part| !part.done) {
            let low = part.point.as_ref().map(|point| point.lane.low());
            holds.push((part.source.clone(), low.unwrap_or(part.from)));
            let tails = part.point.iter().flat_map(|point| &point.tails);
            holds.extend(tails.cloned());
        }
        holds
    }

    pub fn uses(&self, topic: &Name) -> bool {
        self.document.from == *topic
            || self.into.as_ref() == Some(topic)
            || (self.into.is_none() && self.document.to.contains(topic))
    }

    /// Adds up what the parts came to.
    fn count(&self, progress: &mut Progress) {
        progress.done = 0;
        progress.written.clear();
        progress.dropped.clear();
        progress.failed.clone_from(&self.failed.failed);
        progress.examples.clone_from(&self.failed.examples);
        for part in &self.parts {
            let Some(point) = &part.point else { continue };
            let passed = point.lane.next.saturating_sub(part.from);
            progress.done += passed.saturating_sub(point.lane.waiting() as u64);
            let counts = &point.lane.counts;
            for (topic, count) in &counts.emitted {
                *progress.written.entry(topic.clone()).or_default() += count;
            }
            for (reason, count) in &counts.dropped {
                *progress.dropped.entry(reason.clone()).or_default() += count;
            }
        }
    }
}

impl Shared {
    /// Checks a replay through a route. Blocks on the disk.
    fn prepare_route(&self, route: &str, request: &ReplayRequest) -> Result<Prepared, Problem> {
        check(request)?;
        let (name, route) = self.catalog.route(route)?;
        let into = self.side_topic(request, &route.document.from)?;
        if let Some(topic) = &into
            && topic.contract().is_some()
        {
            let reason = format!(
                "topic {} is bound to a contract, for which the route's outputs are not made; name a topic without one",
                topic.name
            );
            return Err(invalid("/into", reason));
        }
        let source = self.catalog.topic(route.document.from.as_str())?;
        Ok(Prepared {
            resolved: Arc::new(self.catalog.resolve(&name, &route.document)?),
            route: Some(name),
            into,
            parts: parts(&*self.log, &source, &request.from, &request.to)?,
        })
    }

    /// Checks a copy of a topic into another one. Blocks on the disk.
    fn prepare_topic(&self, topic: &str, request: &ReplayRequest) -> Result<Prepared, Problem> {
        check(request)?;
        let source = self.catalog.topic(topic)?;
        let into = self.side_topic(request, &source.name)?.ok_or_else(|| {
            invalid(
                "/into",
                "name the topic into which the events are to be copied",
            )
        })?;
        let copy = copying(&source.name, &into.name);
        Ok(Prepared {
            resolved: Arc::new(self.catalog.resolve(&source.name, &copy)?),
            route: None,
            into: None,
            parts: parts(&*self.log, &source, &request.from, &request.to)?,
        })
    }

    fn side_topic(
        &self,
        request: &ReplayRequest,
        source: &Name,
    ) -> Result<Option<Arc<Topic>>, Problem> {
        let Some(name) = &request.into else {
            return Ok(None);
        };
        if name.is_reserved() {
            return Err(invalid(
                "/into",
                format_args!("{name} is written by the hub alone"),
            ));
        }
        if name == source {
            return Err(invalid(
                "/into",
                format_args!("{name} is where the events come from"),
            ));
        }
        let found = self.catalog.topic(name.as_str());
        let found = found
            .map_err(|problem| invalid("/into", &problem.detail).help(problem.code.advice()))?;
        Ok(Some(found))
    }
}

fn check(request: &ReplayRequest) -> Result<(), Problem> {
    check_rate(request.rate)?;
    if request.sample > MOST_SAMPLE {
        return Err(invalid("/sample", format_args!("at most {MOST_SAMPLE}")));
    }
    Ok(())
}

/// A route without steps, which copies.
fn copying(from: &Name, into: &Name) -> RouteDocument {
    RouteDocument {
        decode: None,
        from: from.clone(),
        steps: Vec::new(),
        to: vec![into.clone()],
        retry: RetryPolicy::default(),
        start: Start::default(),
    }
}

impl Jobs {
    /// Begins a replay through a route. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-route`, `invalid-document`, `offset-trimmed`, `offset-past-tail`, `too-many-jobs`.
    pub fn replay_route(
        &self,
        route: &str,
        request: &ReplayRequest,
        by: String,
    ) -> Result<Job, Problem> {
        let prepared = self.shared.prepare_route(route, request)?;
        self.begin_replay(Kind::ReplayRoute, route, &prepared, request, by)
    }

    /// Begins a copy of a topic into another one. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-topic`, `invalid-document`, `offset-trimmed`, `offset-past-tail`, `too-many-jobs`.
    pub fn replay_topic(
        &self,
        topic: &str,
        request: &ReplayRequest,
        by: String,
    ) -> Result<Job, Problem> {
        let prepared = self.shared.prepare_topic(topic, request)?;
        self.begin_replay(Kind::ReplayTopic, topic, &prepared, request, by)
    }

    fn begin_replay(
        &self,
        kind: Kind,
        of: &str,
        prepared: &Prepared,
        request: &ReplayRequest,
        by: String,
    ) -> Result<Job, Problem> {
        let id = self.fresh_id()?;
        let total = prepared.parts.iter().map(|part| part.until - part.from);
        let work = Work::Replay(Replaying::new(prepared, &id, request));
        let because = Because {
            by,
            reason: request.reason.clone(),
        };
        let asked = serde_json::json!(request);
        let of = Some(of.to_owned());
        self.begin_as(id, kind, of, because, asked, total.sum(), work)
    }
}

/// Works a replay to its end.
pub(super) async fn run(shared: &Shared, entry: &Entry) -> Result<Ended, String> {
    let Work::Replay(mut work) = entry.work() else {
        return Ok(Ended::Done);
    };
    let (route, into) = match resolve(shared, &work) {
        Ok(resolved) => resolved,
        Err(problem) => return Ok(Ended::Failed(problem.detail)),
    };
    let mut pace = Pace::new(work.rate, shared.steady());
    for index in 0..work.parts.len() {
        if work.parts[index].done {
            continue;
        }
        let of = RerunOf {
            route: route.clone(),
            route_name: work.route.clone(),
            source: work.parts[index].source.clone(),
            until: work.parts[index].until,
            mark: work.mark.clone(),
            into: into.clone(),
        };
        let targets: Vec<Name> = of.targets().map(|topic| topic.name.clone()).collect();
        if let Some(gone) = (targets.iter().chain([&work.document.from]))
            .find(|name| shared.catalog.topic(name.as_str()).is_err())
        {
            return Ok(Ended::Failed(format!("topic {gone} was deleted")));
        }
        let mut reruns = open(shared, entry, &mut work, index, of).await?;
        let ended = part(shared, entry, &mut work, index, &mut reruns, &mut pace).await;
        if let Err(detail) | Ok(Some(Ended::Failed(detail))) = &ended {
            tracing::debug!(job = %entry.id, detail, "a replay stops for now");
        }
        // What is kept may be behind what is written; from there it goes on.
        keep(
            shared,
            entry,
            &mut work,
            index,
            &mut reruns,
            matches!(ended, Ok(None)),
        )
        .await?;
        if let Some(ended) = ended? {
            return Ok(ended);
        }
    }
    Ok(Ended::Done)
}

type Sides = (Arc<Resolved>, Option<Arc<Topic>>);

fn resolve(shared: &Shared, work: &Replaying) -> Result<Sides, Problem> {
    let name = work.route.as_ref().unwrap_or(&work.document.from);
    let route = shared.catalog.resolve(name, &work.document)?;
    let into = match (&work.into, &work.route) {
        (Some(topic), Some(_)) => Some(shared.catalog.topic(topic.as_str())?),
        _ => None,
    };
    Ok((Arc::new(route), into))
}

/// A rerun of a part, from where it was; durably begun.
async fn open(
    shared: &Shared,
    entry: &Entry,
    work: &mut Replaying,
    index: usize,
    of: RerunOf,
) -> Result<Reruns, String> {
    if work.parts[index].point.is_none() {
        let (shared, of, from) = (shared.clone(), of.clone(), work.parts[index].from);
        let begun = tokio::task::spawn_blocking(move || shared.processor.begin_rerun(&of, from));
        let begun = begun.await.map_err(|error| error.to_string())??;
        work.parts[index].point = Some(begun);
    }
    entry.save(shared, Work::Replay(work.clone())).await?;
    let point = work.parts[index].point.clone();
    let point = point.ok_or("the part has no beginning")?;
    let shared = shared.clone();
    let opened = tokio::task::spawn_blocking(move || shared.processor.rerun(of, point));
    opened.await.map_err(|error| error.to_string())?
}

/// Works a part; none: it is done.
async fn part(
    shared: &Shared,
    entry: &Entry,
    work: &mut Replaying,
    index: usize,
    reruns: &mut Reruns,
    pace: &mut Pace,
) -> Result<Option<Ended>, String> {
    let mut saved = Instant::now();
    loop {
        if shared.stop.is_cancelled() {
            return Ok(Some(Ended::Stopped));
        }
        if entry.is_cancelled() {
            return Ok(Some(Ended::Cancelled));
        }
        let most = match pace.allows(MOST_AT_ONCE, shared.steady()) {
            Ok(most) => most,
            Err(wait) => {
                entry.pause(shared, wait).await;
                continue;
            }
        };
        match reruns.step(most).await? {
            Stepped::Done => return Ok(None),
            Stepped::Waits(wait) => {
                entry.pause(shared, wait.max(1)).await;
            }
            Stepped::Worked { events, failed } => {
                pace.took(events);
                let part = &mut work.parts[index];
                if let Some(point) = &mut part.point {
                    // The tails stay those of the last that was saved.
                    point.lane = reruns.lane().clone();
                }
                for parked in &failed {
                    work.failed.fail(&part.source, parked);
                }
                entry.progress(|progress| work.count(progress));
                entry.goes_on();
            }
        }
        if saved.elapsed() >= SAVE_EVERY {
            keep(shared, entry, work, index, reruns, false).await?;
            saved = Instant::now();
        }
    }
}

/// Saves how far a part came.
async fn keep(
    shared: &Shared,
    entry: &Entry,
    work: &mut Replaying,
    index: usize,
    reruns: &mut Reruns,
    done: bool,
) -> Result<(), String> {
    work.parts[index].point = Some(reruns.point()?);
    work.parts[index].done = done;
    entry.save(shared, Work::Replay(work.clone())).await
}
