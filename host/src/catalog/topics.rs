//! Topics: documents bound to partitions of the log and to a contract.

use std::sync::{Arc, PoisonError, RwLock};

use sandbar_types::{Name, PartitionId};
use serde::{Deserialize, Serialize};

use super::{
    Affected, Basis, Binding, BoundContract, Catalog, DEAD_LETTERS, Dedupe, Durability, Put, Quota,
    State, TopicDocument, WentLive, invalid, looked_up, routes, user_name,
};
use crate::problem::{Code, Problem};

const MOST_PARTITIONS: u32 = 256;
const MOST_EVENT_BYTES: u64 = 16 * 1024 * 1024;
/// Of a quota, in seconds.
const LONGEST_BURST: u32 = 3600;

/// A topic as meta keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    document: TopicDocument,
    /// The deletion has begun and is to be finished.
    deleting: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation: Option<WentLive>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    binding: Option<Binding>,
}

/// A topic that events are written to and read from.
#[derive(Debug)]
pub struct Topic {
    pub name: Name,
    /// Fixed for the life of the topic.
    pub partitions: u32,
    settings: RwLock<Settings>,
    /// The schemas that events may be by.
    pub(super) writers: super::data::Writers,
}

#[derive(Debug, Clone)]
struct Settings {
    document: TopicDocument,
    contract: Option<Arc<BoundContract>>,
    activation: Option<WentLive>,
    binding: Option<Binding>,
}

/// A topic as it would be.
#[derive(Debug)]
pub struct PlannedTopic {
    /// The contract that would hold.
    pub contract: Option<Arc<BoundContract>>,
    /// Where another contract version would be bound: the routes that write to the topic.
    pub routes: Vec<Affected>,
    /// Whether the topic is there and would be bound to another contract version than now.
    pub rebinds: bool,
    name: Name,
    document: TopicDocument,
}

impl Topic {
    fn new(name: Name, settings: Settings, writers: super::data::Writers) -> Self {
        Self {
            name,
            partitions: settings.document.partitions,
            settings: RwLock::new(settings),
            writers,
        }
    }

    fn settings(&self) -> std::sync::RwLockReadGuard<'_, Settings> {
        self.settings.read().unwrap_or_else(PoisonError::into_inner)
    }

    #[must_use]
    pub fn document(&self) -> TopicDocument {
        self.settings().document.clone()
    }

    /// The contract that holds now.
    #[must_use]
    pub fn contract(&self) -> Option<Arc<BoundContract>> {
        self.settings().contract.clone()
    }

    /// How the contract came to hold for the routes that write here; absent where the gate had no say.
    #[must_use]
    pub fn activation(&self) -> Option<WentLive> {
        self.settings().activation.clone()
    }

    /// How it came to be bound to its contract; absent where it was made with it.
    #[must_use]
    pub fn binding(&self) -> Option<Binding> {
        self.settings().binding.clone()
    }

    #[must_use]
    pub fn dedupe(&self) -> Dedupe {
        self.settings().document.dedupe
    }

    #[must_use]
    pub fn quota(&self) -> Option<Quota> {
        self.settings().document.quota
    }

    #[must_use]
    pub fn max_event_bytes(&self) -> usize {
        usize::try_from(self.settings().document.max_event_bytes).unwrap_or(usize::MAX)
    }

    #[must_use]
    pub fn durability(&self) -> sandbar_log::Durability {
        match self.settings().document.durability {
            Durability::Sync => sandbar_log::Durability::Sync,
            Durability::Async => sandbar_log::Durability::Async,
        }
    }

    #[must_use]
    pub fn retention(&self) -> sandbar_log::Retention {
        let retention = self.settings().document.retention;
        sandbar_log::Retention {
            max_age_ms: retention
                .max_age_seconds
                .map(|seconds| seconds.saturating_mul(1000)),
            max_bytes: retention.max_bytes,
        }
    }

    /// All of its partitions.
    #[must_use]
    pub fn partition_ids(&self) -> Vec<PartitionId> {
        let numbers = 0..self.partitions;
        numbers
            .map(|partition| PartitionId::new(self.name.clone(), partition))
            .collect()
    }
}

impl Catalog {
    pub(super) fn load_topics(&self) -> Result<(), String> {
        for (key, record) in self
            .tables
            .topics
            .scan("")
            .map_err(|error| error.to_string())?
        {
            let name = Name::new(&key).map_err(|error| error.to_string())?;
            if record.deleting {
                self.finish_deletion(&name)
                    .map_err(|problem| problem.to_string())?;
                continue;
            }
            self.create_partitions(&name, record.document.partitions)
                .map_err(|problem| problem.to_string())?;
            let contract = match &record.document.contract {
                None => None,
                Some(reference) => {
                    let failed = |problem: Problem| format!("topic {name}: {problem}");
                    let found = super::contracts::find(&self.state(), reference);
                    let found = found.map_err(failed)?;
                    found.compiled().map_err(failed)?;
                    Some(found)
                }
            };
            let settings = Settings {
                document: record.document,
                contract,
                activation: record.activation,
                binding: record.binding,
            };
            let topic = Arc::new(Topic::new(name.clone(), settings, self.writers.clone()));
            self.state_mut().topics.insert(name, topic);
        }
        let dead_letters = Name::new(DEAD_LETTERS).map_err(|error| error.to_string())?;
        if !self.state().topics.contains_key(&dead_letters) {
            let dedupe = Dedupe {
                max_events: 0,
                max_age_seconds: 0,
            };
            let document = TopicDocument {
                dedupe,
                ..TopicDocument::default()
            };
            let settings = Settings {
                document,
                contract: None,
                activation: None,
                binding: None,
            };
            self.store_topic(&dead_letters, settings)
                .map_err(|problem| problem.to_string())?;
        }
        Ok(())
    }

    /// All topics, the hub's own included, by name.
    #[must_use]
    pub fn topics(&self) -> Vec<Arc<Topic>> {
        self.state().topics.values().cloned().collect()
    }

    /// # Errors
    /// `unknown-topic`.
    pub fn topic(&self, name: &str) -> Result<Arc<Topic>, Problem> {
        find(&self.state(), name)
    }

    /// What making or changing a topic would come to. Nothing is stored.
    ///
    /// # Errors
    /// When the document is not valid, names a contract that there is not, or changes what is fixed.
    pub fn plan_topic(
        &self,
        name: &str,
        document: &TopicDocument,
    ) -> Result<PlannedTopic, Problem> {
        self.planned_topic(&self.state(), name, document)
    }

    fn planned_topic(
        &self,
        state: &State,
        name: &str,
        document: &TopicDocument,
    ) -> Result<PlannedTopic, Problem> {
        let name = if name == DEAD_LETTERS {
            retained(state, document)?
        } else {
            user_name(name)?
        };
        check(document)?;
        let mut document = document.clone();
        if let Some(own) = state.topics.get(&name).filter(|_| name.is_reserved()) {
            let retention = document.retention;
            document = TopicDocument {
                retention,
                ..own.document()
            };
        }
        let contract = match &document.contract {
            None => None,
            Some(reference) => {
                let found = super::contracts::find(state, reference).map_err(|problem| {
                    Problem::new(
                        Code::InvalidDocument,
                        format!("/contract: {}", problem.detail),
                    )
                    .help(Code::UnknownContract.advice())
                })?;
                document.contract = Some(found.reference());
                found.compiled()?;
                Some(found)
            }
        };
        let mut planned = PlannedTopic {
            contract,
            routes: Vec::new(),
            rebinds: false,
            name,
            document,
        };
        let Some(topic) = state.topics.get(&planned.name) else {
            return Ok(planned);
        };
        if topic.partitions != planned.document.partitions {
            let detail = format!(
                "topic {} has {} partitions; asked for {}",
                planned.name, topic.partitions, planned.document.partitions
            );
            return Err(Problem::new(Code::PartitionsFixed, detail));
        }
        let bound = topic.contract().map(|bound| bound.reference());
        if planned.contract.is_none() || bound == planned.document.contract {
            return Ok(planned);
        }
        planned.rebinds = true;
        for (route, known) in &state.routes {
            if known.document.to.contains(&planned.name) {
                let resolved = routes::resolve(state, &self.engine, route, &known.document)?;
                planned.routes.push(Affected {
                    basis: Basis::of(state, &resolved),
                    route: Arc::new(resolved),
                    paused: known.paused,
                });
            }
        }
        Ok(planned)
    }

    /// Makes a topic or changes one, as it was planned; nothing where what it stands on has changed since.
    ///
    /// # Errors
    /// As planning it.
    pub fn put_topic(
        &self,
        plan: &PlannedTopic,
        activation: Option<WentLive>,
        binding: Option<Binding>,
    ) -> Result<Option<(Arc<Topic>, Put)>, Problem> {
        let _changing = self.changing();
        let now = self.planned_topic(&self.state(), plan.name.as_str(), &plan.document)?;
        let bases = |plan: &PlannedTopic| -> Vec<_> {
            let each = plan.routes.iter();
            each.map(|one| (one.route.name.clone(), one.basis.clone()))
                .collect()
        };
        if bases(&now) != bases(plan) || now.rebinds != plan.rebinds {
            return Ok(None);
        }
        let existing = self.state().topics.get(&now.name).cloned();
        // What was said of another contract does not count any more.
        let same = existing.as_ref().filter(|topic| {
            topic.contract().map(|bound| bound.reference()) == now.document.contract
        });
        let before = same.map(|topic| (topic.activation(), topic.binding()));
        let (activation_before, binding_before) = before.unwrap_or_default();
        let settings = Settings {
            document: now.document,
            contract: now.contract,
            activation: activation.or(activation_before),
            binding: binding.or(binding_before),
        };
        let topic = self.store_topic(&now.name, settings)?;
        let put = if existing.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        Ok(Some((topic, put)))
    }

    fn store_topic(&self, name: &Name, settings: Settings) -> Result<Arc<Topic>, Problem> {
        self.create_partitions(name, settings.document.partitions)?;
        let record = Record {
            document: settings.document.clone(),
            deleting: false,
            activation: settings.activation.clone(),
            binding: settings.binding.clone(),
        };
        self.tables
            .topics
            .put(name.as_str(), &record)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        if let Some(topic) = state.topics.get(name) {
            *topic
                .settings
                .write()
                .unwrap_or_else(PoisonError::into_inner) = settings;
            return Ok(topic.clone());
        }
        let topic = Arc::new(Topic::new(name.clone(), settings, self.writers.clone()));
        state.topics.insert(name.clone(), topic.clone());
        Ok(topic)
    }

    fn create_partitions(&self, name: &Name, partitions: u32) -> Result<(), Problem> {
        for partition in 0..partitions {
            self.log
                .create(&PartitionId::new(name.clone(), partition))
                .map_err(|error| match error {
                    sandbar_log::Error::Full { .. } => {
                        Problem::new(Code::StorageFull, error.to_string())
                    }
                    other => Problem::internal(other),
                })?;
        }
        Ok(())
    }

    /// Deletes a topic with all its events.
    ///
    /// # Errors
    /// `unknown-topic`, or `topic-in-use` by a route or a subscription.
    pub fn delete_topic(&self, name: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        let topic = self.topic(name)?;
        user_name(name)?;
        let mut users: Vec<String> = (self.state().routes.iter())
            .filter(|(_, route)| {
                route.document.from == topic.name
                    || route.document.to.contains(&topic.name)
                    || (route.document.steps.iter())
                        .any(|step| looked_up(&step.grants).any(|name| *name == topic.name))
            })
            .map(|(route, _)| route.to_string())
            .collect();
        users.extend(self.state().subscribers_of(&topic.name));
        if !users.is_empty() {
            let detail = format!(
                "topic {name} is read, written or looked into by: {}",
                users.join(", ")
            );
            return Err(Problem::new(Code::TopicInUse, detail));
        }
        let record = Record {
            document: topic.document(),
            deleting: true,
            activation: None,
            binding: None,
        };
        self.tables
            .topics
            .put(topic.name.as_str(), &record)
            .map_err(super::storage)?;
        self.state_mut().topics.remove(&topic.name);
        self.finish_deletion(&topic.name)
    }

    fn finish_deletion(&self, name: &Name) -> Result<(), Problem> {
        for partition in self.log.partitions() {
            if partition.topic == *name {
                self.log.delete(&partition).map_err(Problem::internal)?;
            }
        }
        self.tables
            .topics
            .delete(name.as_str())
            .map_err(super::storage)
    }
}

pub(super) fn find(state: &State, name: &str) -> Result<Arc<Topic>, Problem> {
    state.topics.get(name).cloned().ok_or_else(|| {
        let known: Vec<&str> = state.topics.keys().map(Name::as_str).collect();
        Problem::new(
            Code::UnknownTopic,
            format!("there is no topic {name:?}{}", super::nearest(name, &known)),
        )
    })
}

fn check(document: &TopicDocument) -> Result<(), Problem> {
    if !(1..=MOST_PARTITIONS).contains(&document.partitions) {
        return Err(invalid(
            "/partitions",
            format_args!(
                "{} is not within 1 to {MOST_PARTITIONS}",
                document.partitions
            ),
        ));
    }
    if !(1..=MOST_EVENT_BYTES).contains(&document.max_event_bytes) {
        let reason = format!(
            "{} is not within 1 to {MOST_EVENT_BYTES}",
            document.max_event_bytes
        );
        return Err(invalid("/max_event_bytes", reason));
    }
    if document.dedupe.max_events > 10_000_000 {
        return Err(invalid(
            "/dedupe/max_events",
            "at most 10000000: each takes some 60 bytes of memory",
        ));
    }
    if let Some(quota) = &document.quota {
        let rates = [
            ("/quota/events_per_second", quota.events_per_second),
            ("/quota/bytes_per_second", quota.bytes_per_second),
        ];
        for (place, rate) in rates {
            if rate == Some(0) {
                return Err(invalid(
                    place,
                    "must be at least 1; leave it out for no limit",
                ));
            }
        }
        if rates.iter().all(|(_, rate)| rate.is_none()) {
            return Err(invalid(
                "/quota",
                "give events_per_second, bytes_per_second or both",
            ));
        }
        if !(1..=LONGEST_BURST).contains(&quota.burst_seconds) {
            let reason = format!("{} is not within 1 to {LONGEST_BURST}", quota.burst_seconds);
            return Err(invalid("/quota/burst_seconds", reason));
        }
    }
    Ok(())
}

/// The name of the topic of dead letters, of which nothing may be changed but how long they are kept.
fn retained(state: &State, document: &TopicDocument) -> Result<Name, Problem> {
    let topic = find(state, DEAD_LETTERS)?;
    let retention = document.retention;
    // What was left out, or is as it was told.
    let fits = [TopicDocument::default(), topic.document()]
        .map(|base| TopicDocument { retention, ..base });
    if fits.contains(document) {
        return Ok(topic.name.clone());
    }
    let detail = format!("of {DEAD_LETTERS} nothing can be changed but 'retention'");
    Err(Problem::new(Code::ReservedName, detail).help("Send a document with 'retention' alone."))
}
