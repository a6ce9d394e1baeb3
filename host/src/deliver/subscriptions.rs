//! All subscriptions at work: started, changed, saved now and then, stopped.

use std::{
    collections::{BTreeMap, HashMap},
    sync::{Arc, Mutex, PoisonError, RwLock},
    time::Duration,
};

use sandbar_log::{Log, Retention};
use sandbar_types::{Name, Offset, PartitionId};
use tokio_util::sync::CancellationToken;

use super::reads::Reads;
use super::subscription::{
    Author, Cache, Journal, Lane, Policy, Position, Positions, Settings, Shared, Subscription,
    Tails, Written, offset_of_start,
};
use crate::{
    catalog::{SubscriptionRecord, Topic},
    clock::Steady,
    meta,
    problem::Problem,
};

/// The topic of what is settled; no topic of the catalog.
pub const SETTLED: &str = "sandbar.settled";

/// How long a checkpoint may be behind: what was settled since is read at a restart after a kill.
const CHECKPOINT_EVERY: Duration = Duration::from_secs(1);

/// See the head of this module.
#[derive(Debug)]
pub struct Subscriptions {
    shared: Arc<Shared>,
    running: RwLock<BTreeMap<Name, Arc<Subscription>>>,
    /// What the log says was settled since the last checkpoints; for those that are still to start.
    written: Mutex<HashMap<Author, Written>>,
}

impl Subscriptions {
    /// Nothing runs yet. Reads what was settled since the last checkpoints of `names`. Blocks on the
    /// disk.
    ///
    /// # Errors
    /// In words, when the log or meta cannot be read.
    pub fn open(
        log: &Arc<dyn Log>,
        store: &Arc<dyn meta::Store>,
        dead_letters: PartitionId,
        names: impl Iterator<Item = Name>,
    ) -> Result<Self, String> {
        let name = Name::new(SETTLED).map_err(|error| error.to_string())?;
        let settled = PartitionId::new(name, 0);
        log.create(&settled).map_err(|error| error.to_string())?;
        let positions = Positions::new(store);
        let journal = Journal::new(log.clone(), settled, dead_letters);
        let mut from: Option<Tails> = None;
        for name in names {
            let known = positions.of(&name).map_err(|error| error.to_string())?;
            for (_, position) in known {
                let known = from.get_or_insert(position.tails);
                *known = known.earlier(position.tails);
            }
        }
        let written = match from {
            Some(from) => journal.written_since(from)?,
            None => HashMap::new(),
        };
        let shared = Shared {
            log: log.clone(),
            journal,
            positions,
            cache: Cache::default(),
            reads: Reads::default(),
            clock: Steady::default(),
        };
        Ok(Self {
            shared: Arc::new(shared),
            running: RwLock::default(),
            written: Mutex::new(written),
        })
    }

    fn running(&self) -> std::sync::RwLockReadGuard<'_, BTreeMap<Name, Arc<Subscription>>> {
        self.running.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// A subscription at work.
    #[must_use]
    pub fn get(&self, name: &Name) -> Option<Arc<Subscription>> {
        self.running().get(name).cloned()
    }

    /// All of them.
    #[must_use]
    pub fn all(&self) -> Vec<Arc<Subscription>> {
        self.running().values().cloned().collect()
    }

    /// Starts a subscription, or has a running one go on with a new document. Its positions are
    /// durable when it returns. Blocks on the disk.
    ///
    /// # Errors
    /// When the log or meta cannot be read or written.
    pub fn apply(
        &self,
        name: &Name,
        record: SubscriptionRecord,
        topics: &[Arc<Topic>],
    ) -> Result<Arc<Subscription>, Problem> {
        let settings = Settings::of(record)?;
        let running = self.get(name);
        let known = running.as_ref().map(|running| running.by_partition());
        let stored = match &known {
            Some(_) => Vec::new(),
            None => (self.shared.positions.of(name)).map_err(Problem::internal)?,
        };
        let stored: BTreeMap<PartitionId, Position> = stored.into_iter().collect();
        let mut known = known.unwrap_or_default();
        let mut lanes = Vec::new();
        let mut fresh = Vec::new();
        for partition in topics.iter().flat_map(|topic| topic.partition_ids()) {
            if let Some(lane) = known.remove(&partition) {
                lanes.push(lane);
                continue;
            }
            let position = stored
                .get(&partition)
                .filter(|position| position.id == settings.record.id);
            let lane = match position {
                Some(position) => self.recovered(name, partition, position, &settings.policy),
                None => {
                    let lane = self.begun(name, partition, &settings)?;
                    fresh.push(lane.clone());
                    lane
                }
            };
            lanes.push(lane);
        }
        lanes.sort_by(|one, other| one.partition.cmp(&other.partition));
        for lane in fresh {
            lane.save(&self.shared, true).map_err(Problem::internal)?;
        }
        let subscription = match running {
            Some(running) => {
                running.change(settings, lanes);
                running
            }
            None => {
                let made = Subscription::new(name.clone(), self.shared.clone(), settings, lanes);
                let made = Arc::new(made);
                let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
                running.insert(name.clone(), made.clone());
                made
            }
        };
        // What is read no more: its position is forgotten, and begins anew when it is added again.
        for (partition, lane) in known {
            lane.retire();
            self.forget(name, &partition)?;
        }
        for partition in stored.keys() {
            if !subscription.by_partition().contains_key(partition) {
                self.forget(name, partition)?;
            }
        }
        Ok(subscription)
    }

    fn forget(&self, name: &Name, partition: &PartitionId) -> Result<(), Problem> {
        self.shared
            .positions
            .delete(name, partition)
            .map_err(Problem::internal)
    }

    fn recovered(
        &self,
        name: &Name,
        partition: PartitionId,
        position: &Position,
        policy: &Policy,
    ) -> Arc<Lane> {
        let author = Lane::author_of(name, position.id, &partition);
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let written = written.remove(&author);
        let now = self.shared.clock.now();
        let lane = Lane::recovered(name, partition, position, written.as_ref(), policy, now);
        let bounds = self.shared.log.bounds(&lane.partition).unwrap_or_default();
        if lane.next() > bounds.tail {
            // Only an asynchronous topic can lose its end, with the machine's power.
            tracing::warn!(subscription = %name, partition = %lane.partition, next = lane.next(), tail = bounds.tail, "the partition is shorter than the subscription remembers");
            lane.reset(bounds.tail);
        }
        Arc::new(lane)
    }

    fn begun(
        &self,
        name: &Name,
        partition: PartitionId,
        settings: &Settings,
    ) -> Result<Arc<Lane>, Problem> {
        let start = &settings.record.document.start;
        let next = offset_of_start(&*self.shared.log, &partition, start)?;
        let (id, tails) = (settings.record.id, self.shared.journal.tails());
        Ok(Arc::new(Lane::starting_at(
            name, id, partition, next, tails,
        )))
    }

    /// Ends a subscription and forgets how far it came. Blocks on the disk.
    ///
    /// # Errors
    /// When meta cannot be written.
    pub fn remove(&self, name: &Name) -> Result<(), Problem> {
        let removed = {
            let mut running = self.running.write().unwrap_or_else(PoisonError::into_inner);
            running.remove(name)
        };
        if let Some(removed) = removed {
            removed.end();
        }
        self.shared
            .positions
            .delete_all(name)
            .map_err(Problem::internal)
    }

    /// Forgets what is kept in memory of a topic that was deleted.
    pub fn forget_topic(&self, topic: &Topic) {
        for partition in topic.partition_ids() {
            self.shared.cache.forget(&partition);
        }
    }

    /// Saves what is new, now and then, until told to stop; and writes dead letters that could not
    /// be written before.
    pub async fn keep_saving(self: Arc<Self>, stopping: CancellationToken) {
        loop {
            tokio::select! {
                () = stopping.cancelled() => return,
                () = tokio::time::sleep(CHECKPOINT_EVERY) => {}
            }
            for subscription in self.all() {
                subscription.tend();
            }
            let this = self.clone();
            if let Err(error) = tokio::task::spawn_blocking(move || this.save_all()).await {
                tracing::error!(%error, "saving the subscriptions failed");
            }
        }
    }

    /// Saves what is new, durably. Blocks on the disk.
    pub fn save_all(&self) {
        for subscription in self.all() {
            if let Err(detail) = subscription.save() {
                tracing::warn!(subscription = %subscription.name, detail, "the position could not be saved; it is tried again");
            }
        }
    }

    /// The first offset of `partition` that some subscription still needs, which retention must not
    /// reach.
    #[must_use]
    pub fn needs(&self, partition: &PartitionId) -> Option<Offset> {
        let journal = *partition == self.shared.journal.dead_letters;
        let each = self.all().into_iter();
        let needs = each.flat_map(|subscription| {
            let dead = subscription.journal_from().filter(|_| journal);
            [subscription.keeps(partition), dead.map(|tails| tails.dead)]
        });
        needs.flatten().min()
    }

    /// Deletes of the journal what all checkpoints are past. Blocks on the disk.
    pub fn trim_journal(&self) {
        let settled = &self.shared.journal.settled;
        let each = self.all().into_iter();
        let first = each
            .filter_map(|subscription| subscription.journal_from())
            .map(|tails| tails.settled)
            .min();
        let keep_from = first.unwrap_or_else(|| self.shared.journal.tails().settled);
        let all = Retention {
            max_age_ms: Some(0),
            max_bytes: Some(0),
        };
        if let Err(error) = (self.shared.log).trim(settled, all, keep_from, crate::clock::now()) {
            tracing::warn!(%error, "the journal of settlements could not be trimmed");
        }
    }
}
