//! Long work over the log: redrives of dead letters, replays of what is stored.
//!
//! A job is kept in meta with what it has still to do, shows its progress, can be cancelled, and goes
//! on after a restart, after kill -9 too. Jobs use `process` and `deliver`, which know nothing of
//! them, and know no HTTP.

mod entry;
mod job;
mod offer;
mod pace;
mod range;
mod redrive;
mod redriven;
mod replay;
mod tally;

use std::{
    collections::BTreeMap,
    ops::Deref,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use sandbar_log::Log;
use sandbar_types::{Name, Offset, PartitionId};
use tokio::sync::watch;
use tokio_util::{sync::CancellationToken, task::TaskTracker};

use crate::{
    catalog::{Because, Catalog},
    clock,
    deliver::{Again, Offered, Reader, Subscriptions},
    meta,
    problem::{Code, Problem},
    process::{NotTaken, Processor},
};

pub use job::{FailedEvent, Job, JobState, Kind, Progress};
pub use offer::{OfferPlan, OfferRequest};
pub use range::{Part, Point, parts};
pub use redrive::{RedrivePlan, RedriveRequest};
pub use redriven::{Redriven, RedrivenBy};
pub use replay::{Ids, ReplayPart, ReplayPlan, ReplayRequest, SampleEvent};

pub use tally::Tally;

use entry::{Ended, Entry};
use job::{Record, Work};
use range::invalid;
use tally::Tallies;

/// So many finished jobs are remembered.
const MOST_FINISHED: usize = 1000;
/// So many may be waiting or at work.
const MOST_UNFINISHED: usize = 100;
/// The fastest that can be asked for; faster is as quickly as it goes.
const MOST_RATE: u32 = 1_000_000;

/// What jobs work with.
#[derive(Clone, Debug)]
struct Shared(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    log: Arc<dyn Log>,
    catalog: Arc<Catalog>,
    processor: Arc<Processor>,
    subscriptions: Arc<Subscriptions>,
    reader: Reader,
    dead_letters: PartitionId,
    redriven: Redriven,
    table: meta::Table<Record>,
    stop: CancellationToken,
    /// Moves when a job is over, for those that wait for their turn.
    over: watch::Sender<u64>,
    all: Mutex<BTreeMap<String, Arc<Entry>>>,
    /// What the jobs came to that were forgotten since the hub began.
    forgotten: Mutex<Tallies>,
    since: std::time::Instant,
}

impl Deref for Shared {
    type Target = Inner;
    fn deref(&self) -> &Inner {
        &self.0
    }
}

impl Inner {
    fn all(&self) -> MutexGuard<'_, BTreeMap<String, Arc<Entry>>> {
        self.all.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Milliseconds of a clock that nobody sets.
    fn steady(&self) -> u64 {
        u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX)
    }

    /// The subscription, if there is one that reads this topic.
    fn subscription(&self, name: &str, topic: &Name) -> Option<Name> {
        let (name, record) = self.catalog.subscription(name).ok()?;
        record.document.topics.contains(topic).then_some(name)
    }

    /// What a subscription made of these events, from the first on; each with how often it was
    /// redriven, 0 for a replay.
    async fn offer_again(
        &self,
        name: &Name,
        partition: &PartitionId,
        events: impl Iterator<Item = (Offset, u32)>,
    ) -> Result<Offered, NotTaken> {
        let subscription = self.subscriptions.get(name);
        let subscription = subscription.ok_or(NotTaken::NoLane)?;
        let events: Vec<Again> = events
            .map(|(offset, redrives)| Again { offset, redrives })
            .collect();
        let offered = subscription.offer_again(partition, &events).await;
        let offered = offered.map_err(|problem| match problem.code {
            Code::InvalidDocument => NotTaken::NoLane,
            Code::Stopping => NotTaken::Stopping,
            _ => NotTaken::Failed(problem.detail),
        })?;
        if offered.looked_at == 0 && !events.is_empty() {
            return Err(NotTaken::Full);
        }
        Ok(offered)
    }
}

/// All jobs.
#[derive(Debug)]
pub struct Jobs {
    shared: Shared,
    tasks: TaskTracker,
}

impl Jobs {
    /// Loads all jobs; none is at work before [`Jobs::resume`]. Blocks on the disk.
    ///
    /// # Errors
    /// When meta or the log cannot be read, in words.
    pub fn open(
        log: Arc<dyn Log>,
        store: Arc<dyn meta::Store>,
        catalog: Arc<Catalog>,
        processor: Arc<Processor>,
        subscriptions: Arc<Subscriptions>,
        dead_letters: PartitionId,
    ) -> Result<Self, String> {
        let table: meta::Table<Record> = meta::Table::new(store, meta::tables::JOBS);
        let stored = table.scan("").map_err(|error| error.to_string())?;
        let all = stored.into_iter().map(|(id, record)| {
            let entry = Arc::new(Entry::new(record));
            (id, entry)
        });
        let inner = Inner {
            reader: Reader::new(log.clone()),
            redriven: Redriven::open(log.clone())?,
            all: Mutex::new(all.collect()),
            forgotten: Mutex::default(),
            log,
            catalog,
            processor,
            subscriptions,
            dead_letters,
            table,
            stop: CancellationToken::new(),
            over: watch::Sender::new(0),
            since: std::time::Instant::now(),
        };
        Ok(Self {
            shared: Shared(Arc::new(inner)),
            tasks: TaskTracker::new(),
        })
    }

    /// Goes on with all that are not over.
    pub fn resume(&self) {
        let all: Vec<_> = self.shared.all().values().cloned().collect();
        for entry in all {
            if !entry.job().state.is_over() {
                self.start(entry);
            }
        }
    }

    fn start(&self, entry: Arc<Entry>) {
        self.tasks.spawn(entry::run(self.shared.clone(), entry));
    }

    /// Stops all at a place from which they go on after the next start.
    pub async fn stop(&self) {
        self.shared.stop.cancel();
        self.tasks.close();
        self.tasks.wait().await;
    }

    /// All jobs, the newest first.
    #[must_use]
    pub fn list(&self) -> Vec<Job> {
        let all = self.shared.all();
        all.values().rev().map(|entry| entry.job()).collect()
    }

    /// # Errors
    /// `unknown-job`.
    pub fn get(&self, id: &str) -> Result<Job, Problem> {
        self.entry(id).map(|entry| entry.job())
    }

    fn entry(&self, id: &str) -> Result<Arc<Entry>, Problem> {
        let found = self.shared.all().get(id).cloned();
        found.ok_or_else(|| Problem::new(Code::UnknownJob, format!("there is no job {id:?}")))
    }

    /// Tells a job to end; it finishes what it has in hand. Durable when it returns.
    ///
    /// # Errors
    /// `unknown-job`, `job-over`.
    pub async fn cancel(&self, id: &str) -> Result<Job, Problem> {
        let entry = self.entry(id)?;
        if entry.job().state.is_over() {
            let detail = format!("job {id} is {}", entry.state_text());
            return Err(Problem::new(Code::JobOver, detail));
        }
        entry
            .cancel(&self.shared)
            .await
            .map_err(Problem::internal)?;
        Ok(entry.job())
    }

    /// Who redrove a dead letter, if anybody did.
    #[must_use]
    pub fn redriven(&self, letter: Offset) -> Option<RedrivenBy> {
        self.shared.redriven.by(letter)
    }

    /// What a redrive would do. Blocks on the disk.
    ///
    /// # Errors
    /// `invalid-document`.
    pub fn plan_redrive(&self, request: &RedriveRequest) -> Result<RedrivePlan, Problem> {
        self.shared.plan_redrive(request)
    }

    /// Begins a redrive. Blocks on the disk.
    ///
    /// # Errors
    /// `invalid-document`, `unknown-dead-letter`, `unknown-route`, `unknown-subscription`,
    /// `too-many-jobs`.
    pub fn redrive(&self, request: RedriveRequest, by: String) -> Result<Job, Problem> {
        let bounds = self.shared.log.bounds(&self.shared.dead_letters);
        let end = bounds.map_err(Problem::internal)?.tail;
        let plan = self.shared.plan_redrive(&request)?;
        let because = Because {
            by,
            reason: request.reason.clone(),
        };
        let asked = serde_json::json!(request);
        let work = Work::Redrive(redrive::Redriving::new(request, end));
        self.begin(Kind::Redrive, None, because, asked, plan.selected, work)
    }

    /// Makes a job and starts it. Blocks on the disk.
    fn begin(
        &self,
        kind: Kind,
        of: Option<String>,
        because: Because,
        request: serde_json::Value,
        total: u64,
        work: Work,
    ) -> Result<Job, Problem> {
        let id = self.fresh_id()?;
        self.begin_as(id, kind, of, because, request, total, work)
    }

    #[expect(clippy::too_many_arguments, reason = "each is a member of the job")]
    fn begin_as(
        &self,
        id: String,
        kind: Kind,
        of: Option<String>,
        because: Because,
        request: serde_json::Value,
        total: u64,
        work: Work,
    ) -> Result<Job, Problem> {
        let job = Job {
            id: id.clone(),
            kind,
            of,
            state: JobState::Queued,
            detail: None,
            cancelling: false,
            by: because.by,
            reason: because.reason,
            request,
            created: clock::to_text(clock::now()),
            started: None,
            ended: None,
            progress: Progress {
                total,
                ..Progress::default()
            },
        };
        let record = Record { job, work };
        let entry = Arc::new(Entry::new(record.clone()));
        self.shared
            .table
            .put(&id, &record)
            .map_err(Problem::internal)?;
        self.shared.all().insert(id, entry.clone());
        self.forget_oldest();
        let job = entry.job();
        self.start(entry);
        Ok(job)
    }

    /// An id that sorts behind all others: the milliseconds since the epoch in base 36.
    fn fresh_id(&self) -> Result<String, Problem> {
        let all = self.shared.all();
        let unfinished = all.values().filter(|entry| !entry.job().state.is_over());
        let unfinished = unfinished.count();
        if unfinished >= MOST_UNFINISHED {
            let detail = format!("{unfinished} jobs are waiting or at work");
            return Err(Problem::new(Code::TooManyJobs, detail));
        }
        let mut stamp = clock::now();
        if let Some((last, _)) = all.last_key_value()
            && let Ok(last) = u64::from_str_radix(last, 36)
        {
            stamp = stamp.max(last + 1);
        }
        Ok(base36(stamp))
    }

    fn forget_oldest(&self) {
        let mut all = self.shared.all();
        let over: Vec<String> = (all.iter())
            .filter(|(_, entry)| entry.job().state.is_over())
            .map(|(id, _)| id.clone())
            .collect();
        for id in &over[..over.len().saturating_sub(MOST_FINISHED)] {
            match self.shared.table.delete(id) {
                Ok(()) => {
                    if let Some(entry) = all.remove(id) {
                        let forgotten = self.shared.forgotten.lock();
                        let mut forgotten = forgotten.unwrap_or_else(PoisonError::into_inner);
                        entry.look(|job| forgotten.add(job));
                    }
                }
                Err(error) => {
                    tracing::warn!(job = %id, %error, "an old job could not be forgotten")
                }
            }
        }
    }

    /// The first offset of `partition` that a job still needs, which retention must not reach.
    #[must_use]
    pub fn needs(&self, partition: &PartitionId) -> Option<Offset> {
        let all = self.shared.all();
        all.values()
            .filter_map(|entry| entry.needs(partition))
            .min()
    }

    /// What the jobs of each kind came to.
    #[must_use]
    pub fn tallies(&self) -> BTreeMap<Kind, Tally> {
        let all = self.shared.all();
        let forgotten = self.shared.forgotten.lock();
        let mut tallies = forgotten.unwrap_or_else(PoisonError::into_inner).clone();
        for entry in all.values() {
            entry.look(|job| tallies.add(job));
        }
        tallies.0
    }

    /// The unfinished jobs that read or write this topic.
    #[must_use]
    pub fn users_of(&self, topic: &Name) -> Vec<String> {
        let all = self.shared.all();
        let using = all.values().filter(|entry| match entry.work() {
            Work::Replay(replaying) => replaying.uses(topic),
            _ => false,
        });
        using.map(|entry| entry.id.clone()).collect()
    }

    /// The topics beside the targets of routes into which replays may have written what they made of
    /// this topic's events, as far as jobs are remembered.
    #[must_use]
    pub fn side_topics(&self, source: &Name) -> Vec<Name> {
        let all = self.shared.all();
        let jobs = all.values().map(|entry| entry.job());
        let mut topics: Vec<Name> = jobs
            .filter(|job| {
                job.kind == Kind::ReplayRoute || job.of.as_deref() == Some(source.as_str())
            })
            .filter_map(|job| Name::new(job.request["into"].as_str()?).ok())
            .collect();
        topics.sort();
        topics.dedup();
        topics
    }
}

fn check_rate(rate: Option<u32>) -> Result<(), Problem> {
    if rate.is_some_and(|rate| !(1..=MOST_RATE).contains(&rate)) {
        return Err(invalid(
            "/rate",
            format_args!("must be within 1 and {MOST_RATE} events a second; absent: no cap"),
        ));
    }
    Ok(())
}

fn base36(mut number: u64) -> String {
    const DIGITS: &[u8; 36] = b"0123456789abcdefghijklmnopqrstuvwxyz";
    let mut text = Vec::new();
    while number > 0 || text.is_empty() {
        text.push(DIGITS[usize::try_from(number % 36).unwrap_or(0)] as char);
        number /= 36;
    }
    text.iter().rev().collect()
}
