//! One subscription: a consumer group whose events are taken, settled and offered again. Clients that
//! pull and the driver of a webhook use the same calls.
//!
//! `group` decides (pure), `feed` reads ahead, `journal` makes settlements durable, `lane` joins the
//! three for one partition. This module is the face of all lanes. It knows no HTTP.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{
        Arc, PoisonError, RwLock,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use sandbar_filter::{Compiled, Row};
use sandbar_log::Log;
use sandbar_types::{Batch, Name, Offset, PartitionId};
use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;

use super::reads::Reads;
use crate::{
    catalog::SubscriptionRecord,
    clock::Steady,
    dead_letter::{Attempt, Cause},
    problem::{Code, Problem},
};

mod again;
mod bury;
mod chunk;
mod feed;
mod gap;
mod group;
mod journal;
mod lane;
mod positions;
mod ranges;
mod reset;
mod settle;
mod spread;
mod status;
mod stream;
mod taken;
mod token;
mod unclaimed;

pub use again::{Again, Offered};
pub use chunk::Cache;
pub use gap::Gap;
pub use group::{Counts, Policy};
pub use journal::{Author, Journal, Tails, Written};
pub use lane::Lane;
pub use positions::{Move, Position, Positions, Reset};
pub use reset::{ResetTarget, ResetTo, check_offsets, offset_of_start};
pub use settle::{Outcome, Settled};
pub use status::{LaneStatus, SubscriptionState, SubscriptionStatus};
pub use stream::{Form, stream};
pub use taken::{Taken, TakenEvent};
pub use token::Token;

use unclaimed::Unclaimed;

/// What all subscriptions share.
#[derive(Debug)]
pub struct Shared {
    pub log: Arc<dyn Log>,
    pub journal: Journal,
    pub positions: Positions,
    pub cache: Cache,
    pub reads: Reads,
    pub clock: Steady,
}

/// What holds for a subscription now.
#[derive(Debug)]
pub struct Settings {
    pub record: SubscriptionRecord,
    pub policy: Policy,
    filters: Compiled,
}

impl Settings {
    /// # Errors
    /// When the filters cannot be used: what meta holds was written by another version.
    pub fn of(record: SubscriptionRecord) -> Result<Self, Problem> {
        let filters = Compiled::all(&record.document.filters)
            .map_err(|errors| Problem::new(Code::InvalidDocument, errors.to_string()))?;
        Ok(Self {
            policy: Policy::of(&record.document),
            filters,
            record,
        })
    }

    /// Whether event `index` of a batch is for this subscription.
    fn takes(&self, batch: &Batch, index: usize) -> bool {
        self.filters.takes_everything() || self.filters.takes(&Row::new(batch, index))
    }

    fn is_pushed(&self) -> bool {
        self.record.document.push.is_some()
    }
}

/// What is asked of the lanes in one call.
#[derive(Clone, Copy)]
struct Want<'a> {
    settings: &'a Settings,
    lease: u64,
    /// Milliseconds since the epoch, as `now`.
    until: u64,
    now: u64,
}

/// The partitions of a subscription.
#[derive(Debug, Default)]
struct Lanes {
    all: Vec<Arc<Lane>>,
    /// By the tag of their tokens.
    by_tag: HashMap<u64, usize>,
}

impl Lanes {
    fn of(all: Vec<Arc<Lane>>) -> Self {
        let tags = all.iter().enumerate();
        let by_tag = tags.map(|(index, lane)| (lane.lock().tag, index)).collect();
        Self { all, by_tag }
    }
}

/// A subscription at work. See the head of this module.
#[derive(Debug)]
pub struct Subscription {
    pub name: Name,
    shared: Arc<Shared>,
    settings: RwLock<Arc<Settings>>,
    lanes: RwLock<Arc<Lanes>>,
    /// Something may be ready that was not before.
    changed: Notify,
    /// Which lane comes first in the next call.
    turn: AtomicUsize,
    streams: stream::Streams,
    /// It was deleted.
    ended: CancellationToken,
}

impl Subscription {
    /// A subscription with the given lanes.
    #[must_use]
    pub fn new(name: Name, shared: Arc<Shared>, settings: Settings, lanes: Vec<Arc<Lane>>) -> Self {
        Self {
            name,
            shared,
            settings: RwLock::new(Arc::new(settings)),
            lanes: RwLock::new(Arc::new(Lanes::of(lanes))),
            changed: Notify::new(),
            turn: AtomicUsize::new(0),
            streams: stream::Streams::default(),
            ended: CancellationToken::new(),
        }
    }

    /// The clock by which leases and waits are kept; nobody sets it.
    #[must_use]
    pub fn clock(&self) -> Steady {
        self.shared.clock
    }

    /// Hands out at once what waits for a time: somebody knows that it will fare better now.
    pub fn hurry(&self) {
        for lane in &self.lanes().all {
            let mut inner = lane.lock();
            inner.group.hurry();
            Lane::touch(&mut inner);
        }
        self.wake();
    }

    /// What holds now.
    #[must_use]
    pub fn settings(&self) -> Arc<Settings> {
        self.settings
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    fn lanes(&self) -> Arc<Lanes> {
        self.lanes
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// All lanes, in the order of their partitions.
    #[must_use]
    pub fn all_lanes(&self) -> Vec<Arc<Lane>> {
        self.lanes().all.clone()
    }

    /// From now on these hold, for what is read from now on; what waits goes on waiting.
    pub fn change(&self, settings: Settings, lanes: Vec<Arc<Lane>>) {
        *self
            .settings
            .write()
            .unwrap_or_else(PoisonError::into_inner) = Arc::new(settings);
        self.set_lanes(lanes);
    }

    fn set_lanes(&self, lanes: Vec<Arc<Lane>>) {
        *self.lanes.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(Lanes::of(lanes));
        self.changed.notify_waiters();
    }

    /// It is no more: whoever waits for it is told so.
    pub fn end(&self) {
        self.ended.cancel();
        for lane in &self.lanes().all {
            lane.retire();
        }
    }

    /// Cancelled when the subscription is deleted.
    #[must_use]
    pub fn ended(&self) -> &CancellationToken {
        &self.ended
    }

    fn unknown(&self) -> Problem {
        let detail = format!("subscription {} was deleted", self.name);
        Problem::new(Code::UnknownSubscription, detail)
    }

    fn lane(&self, partition: &PartitionId) -> Result<Arc<Lane>, Problem> {
        let lanes = self.lanes();
        let found = lanes.all.iter().find(|lane| lane.partition == *partition);
        found.cloned().ok_or_else(|| {
            Problem::new(
                Code::InvalidDocument,
                format!("subscription {} does not read {partition}", self.name),
            )
        })
    }

    /// Up to `limit` events that are due, the oldest of each partition first, together at most
    /// `max_bytes` in the JSON format. Where the first has more, nothing but how many. They are the
    /// caller's for `lease`. Nothing while the subscription is paused or disabled.
    ///
    /// # Errors
    /// `offset-trimmed` when events are gone that were not settled (of pulled subscriptions), and
    /// whatever keeps all partitions from being read.
    pub async fn take(
        self: &Arc<Self>,
        limit: usize,
        max_bytes: usize,
        lease: Duration,
    ) -> Result<Taken, Problem> {
        self.take_with(limit, max_bytes, lease, |taken| taken).await
    }

    /// [`Subscription::take`], and something made of what was taken on the same thread, which may
    /// block. When the caller has gone away meanwhile, the events are given back.
    ///
    /// # Errors
    /// As [`Subscription::take`].
    pub async fn take_with<T: Send + 'static>(
        self: &Arc<Self>,
        limit: usize,
        max_bytes: usize,
        lease: Duration,
        make: impl FnOnce(Taken) -> T + Send + 'static,
    ) -> Result<T, Problem> {
        let this = self.clone();
        let (sender, receiver) = tokio::sync::oneshot::channel();
        tokio::task::spawn_blocking(move || {
            let taken = this.take_now(limit, max_bytes, lease);
            let unclaimed = Unclaimed {
                claims: taken.as_ref().map(Taken::claims).unwrap_or_default(),
                subscription: this,
            };
            // Whether it is refused or never looked at: what is dropped gives back.
            drop(sender.send((taken.map(make), unclaimed)));
        });
        let (taken, unclaimed) = receiver.await.map_err(Problem::internal)?;
        unclaimed.claim();
        self.bury_some();
        taken
    }

    fn take_now(&self, limit: usize, max_bytes: usize, lease: Duration) -> Result<Taken, Problem> {
        if self.ended.is_cancelled() {
            return Err(self.unknown());
        }
        let settings = self.settings();
        let now = self.shared.clock.now();
        let lease_ms = u64::try_from(lease.as_millis()).unwrap_or(u64::MAX);
        let want = Want {
            settings: &settings,
            lease: fastrand::u64(..),
            until: now.saturating_add(lease_ms),
            now,
        };
        let mut taken = Taken::new(want.lease);
        if settings.record.rests() {
            return Ok(taken);
        }
        if let Some(problem) = self.gap_problem(&settings) {
            return Err(problem);
        }
        let lanes = self.lanes();
        let first = self.turn.fetch_add(1, Ordering::Relaxed);
        let mut trouble = None;
        for index in 0..lanes.all.len() {
            if taken.events.len() >= limit || taken.full {
                break;
            }
            let lane = &lanes.all[(first + index) % lanes.all.len()];
            let left = limit - taken.events.len();
            if let Err(problem) = taken.add(&self.shared, lane, &want, left, max_bytes) {
                trouble = Some(problem);
            }
        }
        if taken.events.is_empty() && taken.needs.is_none() {
            if let Some(problem) = self.gap_problem(&settings) {
                return Err(problem);
            }
            if let Some(problem) = trouble {
                return Err(problem);
            }
        }
        Ok(taken)
    }

    /// Waits until [`Subscription::take`] may hand something out, at most until then. Whether it
    /// may.
    pub async fn wait_ready(&self, until: tokio::time::Instant) -> bool {
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            changed.as_mut().enable();
            let lanes = self.lanes();
            let mut tails = Vec::with_capacity(lanes.all.len());
            for lane in &lanes.all {
                if let Ok(mut tail) = self.shared.log.watch(&lane.partition) {
                    tail.borrow_and_update();
                    tails.push(tail);
                }
            }
            let settings = self.settings();
            let rests = settings.record.rests();
            let (ready, due) = self.readiness(&lanes, &settings);
            if ready && !rests {
                return true;
            }
            if tokio::time::Instant::now() >= until {
                return false;
            }
            let wake = due.filter(|_| !rests).map_or(until, |due| {
                let wait = due.saturating_sub(self.shared.clock.now()).max(1);
                until.min(tokio::time::Instant::now() + Duration::from_millis(wait))
            });
            let any = tails.iter_mut().map(|tail| Box::pin(tail.changed()));
            let moved = async {
                if rests || lanes.all.is_empty() {
                    std::future::pending::<()>().await;
                }
                if futures_util::future::select_all(any).await.0.is_err() {
                    // The partition is gone; the lane is on its way out.
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
            };
            tokio::select! {
                () = changed => {}
                () = moved => {}
                () = tokio::time::sleep_until(wake) => {}
                () = self.ended.cancelled() => return true,
            }
        }
    }

    fn readiness(&self, lanes: &Lanes, settings: &Settings) -> (bool, Option<u64>) {
        let now = self.shared.clock.now();
        let mut first = None;
        for lane in &lanes.all {
            let (ready, due) = lane.readiness(&self.shared, now, &settings.policy);
            if ready {
                return (true, None);
            }
            first = [first, due].into_iter().flatten().min();
        }
        (false, first)
    }

    /// Wakes whoever waits for events.
    pub fn wake(&self) {
        self.changed.notify_waiters();
    }

    /// What is to be done now and then, whether somebody asks for events or not: leases end, and
    /// dead letters are written.
    pub fn tend(self: &Arc<Self>) {
        let (now, policy) = (self.shared.clock.now(), self.settings().policy);
        for lane in &self.lanes().all {
            lane.lock().group.expire(now, &policy);
        }
        self.bury_some();
    }

    /// Saves what is new, durably. Blocks on the disk.
    ///
    /// # Errors
    /// In words, when meta cannot be written.
    pub fn save(&self) -> Result<(), String> {
        for lane in &self.lanes().all {
            lane.save(&self.shared, false)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }

    /// The first offset of a partition that a restart would need, if the document says that it is
    /// to be kept.
    #[must_use]
    pub fn keeps(&self, partition: &PartitionId) -> Option<Offset> {
        if !self.settings().record.document.keep {
            return None;
        }
        let lanes = self.lanes();
        let lane = lanes.all.iter().find(|lane| lane.partition == *partition)?;
        Some(lane.needs().0)
    }

    /// From where on the journal is still needed.
    #[must_use]
    pub fn journal_from(&self) -> Option<Tails> {
        let lanes = self.lanes();
        let tails = lanes.all.iter().map(|lane| lane.needs().1);
        tails.reduce(Tails::earlier)
    }

    /// The lanes by partition.
    #[must_use]
    pub fn by_partition(&self) -> BTreeMap<PartitionId, Arc<Lane>> {
        let lanes = self.lanes();
        let each = lanes.all.iter();
        each.map(|lane| (lane.partition.clone(), lane.clone()))
            .collect()
    }
}

/// The note of an attempt that a client gave back with a reason.
#[must_use]
pub fn attempt(now: u64, reason: String) -> Attempt {
    Attempt {
        at: crate::clock::to_text(now),
        status: None,
        reason,
        took_ms: 0,
    }
}

/// What is said of an event that was given up without words.
fn unsaid(cause: Cause) -> String {
    format!("no reason was given ({})", cause.as_str())
}
