//! Subscriptions: documents whose topics are there and whose filters can be read.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};

use sandbar_filter::Filter;
use sandbar_types::{Name, Offset, PartitionId};
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{Error as _, MapAccess, Visitor},
};
use utoipa::ToSchema;

use super::{Catalog, PushDocument, Put, State, Topic, invalid, topics, user_name};
use crate::{
    clock,
    dial::Targets,
    problem::{Code, Place, Problem},
};

mod planned;

pub use planned::{Change, PlannedSubscription};

const MOST_TOPICS: usize = 100;
const LONGEST_LEASE_SECONDS: u64 = 12 * 60 * 60;
const MOST_WAITING: u64 = 1_000_000;

/// A consumer group on one or more topics: its clients pull, or the hub pushes to a webhook.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SubscriptionDocument {
    /// What is read; topics may be added and taken out.
    #[schema(value_type = Vec<String>)]
    pub topics: Vec<Name>,
    /// Filter dialects of the CloudEvents Subscriptions API; an event is delivered when all hold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub filters: Vec<Filter>,
    /// Where a topic that is new to the subscription is read from.
    #[serde(default)]
    pub start: SubscriptionStart,
    /// Whether events that are not settled yet are kept from retention.
    #[serde(default)]
    pub keep: bool,
    /// How long an event is a client's own, unless it asks for another time.
    #[serde(default = "thirty")]
    pub lease_seconds: u64,
    /// So many events of a partition may be read and not settled; then reading waits.
    #[serde(default = "twenty_thousand")]
    pub max_waiting: u64,
    #[serde(default)]
    pub retry: SubscriptionRetry,
    #[serde(default)]
    pub on_failure: OnFailure,
    /// With `hold-key`: so many keys of a partition may be held; then reading waits.
    #[serde(default = "thousand")]
    pub max_held_keys: u64,
    /// Where the hub sends the events; without it clients pull.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub push: Option<PushDocument>,
}

impl SubscriptionDocument {
    /// As answers show it: see [`PushDocument::masked`].
    #[must_use]
    pub fn masked(&self) -> Self {
        Self {
            push: self.push.as_ref().map(PushDocument::masked),
            ..self.clone()
        }
    }

    /// Whether it gives values of headers, which no answer shows.
    #[must_use]
    pub fn hides_headers(&self) -> bool {
        let headers = self.push.iter().flat_map(|push| push.headers.values());
        headers.into_iter().any(|value| value.0 != super::MASK)
    }

    fn url(&self) -> Option<&str> {
        self.push.as_ref().map(|push| push.url.as_str())
    }
}

fn thirty() -> u64 {
    30
}

fn twenty_thousand() -> u64 {
    20_000
}

fn thousand() -> u64 {
    1000
}

/// Where to begin: `"earliest"`, `"latest"`, `{"time": "2026-…"}` or
/// `{"offsets": {"orders/0": 17}}` (partitions that are not named begin at the earliest event).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum SubscriptionStart {
    #[default]
    Earliest,
    Latest,
    /// RFC 3339, or milliseconds since 1970.
    Time(String),
    Offsets(BTreeMap<String, Offset>),
}

/// Read by hand: in YAML, what serde derives would want tags where JSON has objects.
impl<'de> Deserialize<'de> for SubscriptionStart {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(StartVisitor)
    }
}

struct StartVisitor;

impl<'de> Visitor<'de> for StartVisitor {
    type Value = SubscriptionStart;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(r#""earliest", "latest", {"time": …} or {"offsets": {…}}"#)
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Self::Value, E> {
        match text {
            "earliest" => Ok(SubscriptionStart::Earliest),
            "latest" => Ok(SubscriptionStart::Latest),
            other => Err(E::unknown_variant(
                other,
                &["earliest", "latest", "time", "offsets"],
            )),
        }
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let name: Option<String> = map.next_key()?;
        let start = match name.as_deref() {
            Some("time") => SubscriptionStart::Time(map.next_value()?),
            Some("offsets") => SubscriptionStart::Offsets(map.next_value()?),
            other => {
                let other = other.unwrap_or_default();
                return Err(M::Error::unknown_field(other, &["time", "offsets"]));
            }
        };
        match map.next_key::<String>()? {
            None => Ok(start),
            Some(second) => Err(M::Error::custom(format!(
                "one of time and offsets, and nothing beside it; here is {second:?} too"
            ))),
        }
    }
}

/// How often and how long the delivery of an event is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct SubscriptionRetry {
    /// Wait before the second attempt; doubled for each further one, and spread at random.
    pub initial_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
    /// Attempts in all, the first included; `null`: no limit.
    pub max_attempts: Option<u32>,
    /// From the first attempt on; `null`: no limit.
    pub max_age_seconds: Option<u64>,
}

impl Default for SubscriptionRetry {
    fn default() -> Self {
        Self {
            initial_ms: 1000,
            max_ms: 600_000,
            max_attempts: None,
            max_age_seconds: Some(24 * 60 * 60),
        }
    }
}

/// What becomes of the later events of a key when one could not be delivered and its dead letter is
/// written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum OnFailure {
    /// They are delivered.
    #[default]
    Park,
    /// They wait until the event is delivered again or released.
    HoldKey,
}

/// A webhook that asked not to be called any more.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Disabled {
    /// RFC 3339.
    pub at: String,
    pub reason: String,
}

/// A subscription as meta keeps it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SubscriptionRecord {
    pub document: SubscriptionDocument,
    pub paused: bool,
    #[serde(default)]
    pub disabled: Option<Disabled>,
    /// Told apart from one of the same name that was deleted.
    pub id: u64,
    /// Milliseconds since the epoch.
    pub made: u64,
}

impl SubscriptionRecord {
    /// Whether nothing is handed out.
    #[must_use]
    pub fn rests(&self) -> bool {
        self.paused || self.disabled.is_some()
    }
}

impl Catalog {
    pub(super) fn load_subscriptions(&self) -> Result<(), String> {
        let stored = self.tables.subscriptions.scan("");
        for (key, record) in stored.map_err(|error| error.to_string())? {
            let name = Name::new(&key).map_err(|error| error.to_string())?;
            self.state_mut().subscriptions.insert(name, record);
        }
        Ok(())
    }

    /// All subscriptions by name.
    #[must_use]
    pub fn subscriptions(&self) -> BTreeMap<Name, SubscriptionRecord> {
        self.state().subscriptions.clone()
    }

    /// # Errors
    /// `unknown-subscription`.
    pub fn subscription(&self, name: &str) -> Result<(Name, SubscriptionRecord), Problem> {
        let state = self.state();
        match state.subscriptions.get_key_value(name) {
            Some((name, record)) => Ok((name.clone(), record.clone())),
            None => {
                let known: Vec<&str> = state.subscriptions.keys().map(Name::as_str).collect();
                let near = super::nearest(name, &known);
                Err(Problem::new(
                    Code::UnknownSubscription,
                    format!("there is no subscription {name:?}{near}"),
                ))
            }
        }
    }

    /// The topics of a subscription.
    ///
    /// # Errors
    /// `invalid-document` when one is not there.
    pub fn subscribed(&self, document: &SubscriptionDocument) -> Result<Vec<Arc<Topic>>, Problem> {
        subscribed(&self.state(), document)
    }

    /// Makes a subscription or changes one.
    ///
    /// # Errors
    /// When the document is not valid or names a topic that there is not.
    pub fn put_subscription(
        &self,
        name: &str,
        mut document: SubscriptionDocument,
        targets: &Targets,
    ) -> Result<(Name, SubscriptionRecord, Put), Problem> {
        let _changing = self.changing();
        let (name, existing) = self.checked_subscription(name, &mut document, targets)?;
        let put = if existing.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        let record = match existing {
            Some(known) => {
                let same_url = known.document.url() == document.url();
                SubscriptionRecord {
                    document,
                    // Another endpoint has said nothing of that kind.
                    disabled: known.disabled.filter(|_| same_url),
                    ..known
                }
            }
            None => SubscriptionRecord {
                document,
                paused: false,
                disabled: None,
                id: fastrand::u64(..),
                made: clock::now(),
            },
        };
        self.store_subscription(&name, &record)?;
        Ok((name, record, put))
    }

    /// Checks a document and puts what is there in place of its masks; what is there under the name.
    fn checked_subscription(
        &self,
        name: &str,
        document: &mut SubscriptionDocument,
        targets: &Targets,
    ) -> Result<(Name, Option<SubscriptionRecord>), Problem> {
        let name = user_name(name)?;
        check(document)?;
        let existing = self.state().subscriptions.get(&name).cloned();
        if let Some(push) = &mut document.push {
            let known = existing.as_ref().map(|known| &known.document);
            push.unmask("/push", known.and_then(|known| known.push.as_ref()))?;
            push.check("/push", targets)?;
        }
        let topics = subscribed(&self.state(), document)?;
        check_start(&document.start, &topics)?;
        Ok((name, existing))
    }

    /// # Errors
    /// `unknown-subscription`.
    pub fn set_subscription_paused(
        &self,
        name: &str,
        paused: bool,
    ) -> Result<(Name, SubscriptionRecord), Problem> {
        self.change_subscription(name, |record| record.paused = paused)
    }

    /// Stops a subscription for a reason of the receiver's, or lets it go on (`None`).
    ///
    /// # Errors
    /// `unknown-subscription`.
    pub fn set_subscription_disabled(
        &self,
        name: &str,
        reason: Option<String>,
    ) -> Result<(Name, SubscriptionRecord), Problem> {
        let disabled = reason.map(|reason| Disabled {
            at: clock::to_text(clock::now()),
            reason,
        });
        self.change_subscription(name, |record| record.disabled = disabled)
    }

    fn change_subscription(
        &self,
        name: &str,
        change: impl FnOnce(&mut SubscriptionRecord),
    ) -> Result<(Name, SubscriptionRecord), Problem> {
        let _changing = self.changing();
        let (name, mut record) = self.subscription(name)?;
        change(&mut record);
        self.store_subscription(&name, &record)?;
        Ok((name, record))
    }

    fn store_subscription(&self, name: &Name, record: &SubscriptionRecord) -> Result<(), Problem> {
        self.tables
            .subscriptions
            .put(name.as_str(), record)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        state.subscriptions.insert(name.clone(), record.clone());
        Ok(())
    }

    /// # Errors
    /// `unknown-subscription`.
    pub fn delete_subscription(&self, name: &str) -> Result<(Name, SubscriptionRecord), Problem> {
        let _changing = self.changing();
        let (name, record) = self.subscription(name)?;
        self.tables
            .subscriptions
            .delete(name.as_str())
            .map_err(super::storage)?;
        self.state_mut().subscriptions.remove(&name);
        Ok((name, record))
    }
}

impl State {
    /// The subscriptions that read a topic.
    pub(super) fn subscribers_of(&self, topic: &Name) -> Vec<String> {
        (self.subscriptions.iter())
            .filter(|(_, record)| record.document.topics.contains(topic))
            .map(|(name, _)| format!("subscription {name}"))
            .collect()
    }
}

fn subscribed(state: &State, document: &SubscriptionDocument) -> Result<Vec<Arc<Topic>>, Problem> {
    let named = document.topics.iter().enumerate();
    named
        .map(|(index, topic)| {
            topics::find(state, topic.as_str()).map_err(|problem| {
                invalid(&format!("/topics/{index}"), problem.detail)
                    .help(Code::UnknownTopic.advice())
            })
        })
        .collect()
}

fn check(document: &SubscriptionDocument) -> Result<(), Problem> {
    if document.topics.is_empty() || document.topics.len() > MOST_TOPICS {
        return Err(invalid(
            "/topics",
            format_args!("name 1 to {MOST_TOPICS} topics"),
        ));
    }
    let mut seen = BTreeSet::new();
    for (index, topic) in document.topics.iter().enumerate() {
        if !seen.insert(topic) {
            let reason = format!("{topic} stands here twice");
            return Err(invalid(&format!("/topics/{index}"), reason));
        }
    }
    let within = |pointer: &str, value: u64, from: u64, to: u64| {
        if (from..=to).contains(&value) {
            Ok(())
        } else {
            Err(invalid(
                pointer,
                format_args!("{value} is not within {from} to {to}"),
            ))
        }
    };
    within(
        "/lease_seconds",
        document.lease_seconds,
        1,
        LONGEST_LEASE_SECONDS,
    )?;
    within("/max_waiting", document.max_waiting, 1, MOST_WAITING)?;
    within("/max_held_keys", document.max_held_keys, 1, MOST_WAITING)?;
    let retry = &document.retry;
    within("/retry/max_ms", retry.max_ms, 1, 24 * 60 * 60 * 1000)?;
    within("/retry/initial_ms", retry.initial_ms, 1, retry.max_ms)?;
    if let Some(attempts) = retry.max_attempts {
        within(
            "/retry/max_attempts",
            attempts.into(),
            1,
            u64::from(u32::MAX),
        )?;
    }
    if let Some(seconds) = retry.max_age_seconds {
        within("/retry/max_age_seconds", seconds, 1, 366 * 24 * 60 * 60)?;
    }
    if let SubscriptionStart::Time(time) = &document.start
        && clock::from_text(time).is_none()
    {
        let reason = format!("{time:?} is neither RFC 3339 nor milliseconds since 1970");
        return Err(invalid("/start/time", reason));
    }
    check_filters(&document.filters)
}

/// Every filter can be used.
fn check_filters(filters: &[Filter]) -> Result<(), Problem> {
    let Err(errors) = sandbar_filter::Compiled::all(filters) else {
        return Ok(());
    };
    let places: Vec<Place> = (errors.into_vec().into_iter())
        .map(|error| Place {
            pointer: format!("/filters{}", error.pointer),
            reason: error.reason,
            ..Place::default()
        })
        .collect();
    let detail = places.first().map_or_else(String::new, |first| {
        format!("{}: {}", first.pointer, first.reason)
    });
    Err(Problem::new(Code::InvalidDocument, detail).errors(places))
}

/// Every partition that is named is there.
fn check_start(start: &SubscriptionStart, topics: &[Arc<Topic>]) -> Result<(), Problem> {
    if let SubscriptionStart::Offsets(offsets) = start {
        for named in offsets.keys() {
            check_partition("/start/offsets", named, topics)?;
        }
    }
    Ok(())
}

/// The partition of one of `topics` that a text such as `orders/0` names.
///
/// # Errors
/// `invalid-document`, with `pointer`.
pub fn check_partition(
    pointer: &str,
    named: &str,
    topics: &[Arc<Topic>],
) -> Result<PartitionId, Problem> {
    let all = topics.iter().flat_map(|topic| topic.partition_ids());
    let mut known = Vec::new();
    for partition in all {
        if partition.to_string() == named {
            return Ok(partition);
        }
        known.push(partition.to_string());
    }
    known.truncate(10);
    let pointer = format!("{pointer}/{}", crate::pointer::token(named));
    let reason = format!(
        "the subscription has no partition {named:?}; it has {}",
        known.join(", ")
    );
    Err(invalid(&pointer, reason))
}
