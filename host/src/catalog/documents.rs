//! The documents in which users say what there is: topics and routes, as in the API and in
//! `sandbar.yaml`. Unknown fields are refused everywhere.

use std::{fmt, time::Duration};

use sandbar_plugin::Limits;
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::Grant;

/// When a publish is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Durability {
    /// After the events are on disk (fdatasync): they survive a power cut.
    #[default]
    Sync,
    /// After the operating system has them: they survive the hub, not the machine.
    Async,
}

/// What a topic keeps. Events that a route has not read yet are kept in any case.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Retention {
    /// Seconds; absent: forever.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_age_seconds: Option<u64>,
    /// Bytes per partition; absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_bytes: Option<u64>,
}

/// How far back a publish is compared with what is already stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Dedupe {
    /// Events per topic; 0 switches it off.
    pub max_events: u64,
    pub max_age_seconds: u64,
}

impl Default for Dedupe {
    fn default() -> Self {
        Self {
            max_events: 100_000,
            max_age_seconds: 600,
        }
    }
}

/// How much may be published into a topic; at least one of the two rates. What goes over it is answered
/// 429. What routes write is not counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Quota {
    /// Of all partitions together, repeats included.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub events_per_second: Option<u64>,
    /// Data and attributes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_per_second: Option<u64>,
    /// After a pause what comes in so many seconds may come at once: 1 to 3600. A batch that is larger
    /// passes when nothing is owed, and is paid for by the pause after it.
    #[serde(default = "one_second")]
    pub burst_seconds: u32,
}

fn one_second() -> u32 {
    1
}

impl fmt::Display for Quota {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = [
            (self.events_per_second, "events"),
            (self.bytes_per_second, "bytes"),
        ];
        let known = rates
            .iter()
            .filter_map(|(rate, unit)| Some(((*rate)?, unit)));
        for (index, (rate, unit)) in known.enumerate() {
            let and = if index > 0 { " and " } else { "" };
            write!(f, "{and}{rate} {unit}")?;
        }
        write!(f, " a second, {} s of it at once", self.burst_seconds)
    }
}

/// A topic.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct TopicDocument {
    /// 1 to 256; fixed once the topic is made. Events of one key are in one partition.
    pub partitions: u32,
    pub durability: Durability,
    pub retention: Retention,
    /// `name@version`, or `name` for the latest version at the time of the call.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub contract: Option<String>,
    pub dedupe: Dedupe,
    /// The largest event taken, data and attributes together, in bytes; at most 16 MiB.
    pub max_event_bytes: u64,
    /// Absent: no limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub quota: Option<Quota>,
}

impl Default for TopicDocument {
    fn default() -> Self {
        Self {
            partitions: 1,
            durability: Durability::default(),
            retention: Retention::default(),
            contract: None,
            dedupe: Dedupe::default(),
            max_event_bytes: 1024 * 1024,
            quota: None,
        }
    }
}

/// What a plugin may use up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct StepLimits {
    /// Linear memory of one instance, in bytes.
    pub memory_bytes: u64,
    /// One call with a batch of up to 1000 events, in milliseconds; where the plugin asks other
    /// services a call has one event.
    pub deadline_ms: u64,
    /// All outputs of one call, in bytes.
    pub output_bytes: u64,
    pub outputs_per_event: u64,
}

impl StepLimits {
    /// As the plugin runtime takes them. The deadline is held within 1 ms and a minute.
    #[must_use]
    pub fn of_instance(&self) -> Limits {
        let bytes = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Limits {
            memory_bytes: bytes(self.memory_bytes),
            deadline: Duration::from_millis(self.deadline_ms.clamp(1, 60_000)),
            output_bytes: bytes(self.output_bytes),
            outputs_per_event: bytes(self.outputs_per_event),
            ..Limits::default()
        }
    }
}

impl Default for StepLimits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 * 1024 * 1024,
            deadline_ms: 1000,
            output_bytes: 16 * 1024 * 1024,
            outputs_per_event: 1000,
        }
    }
}

/// One step of a route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct StepDocument {
    /// `name@version`, or `name@channel` for the version that the channel points at.
    pub plugin: String,
    /// Handed to the plugin's `configure` as JSON.
    #[serde(default, skip_serializing_if = "serde_json::Value::is_null")]
    pub config: serde_json::Value,
    /// Capabilities beyond `log`: `"clock"`, `"random"`, `{"lookup": {…}}`, `{"http": {…}}`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub grants: Vec<Grant>,
    #[serde(default)]
    pub limits: StepLimits,
}

/// How often and how long an event is tried again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct RetryPolicy {
    /// Attempts in all, the first included; at least 1.
    pub max_attempts: u32,
    /// Wait before the second attempt; doubled for each further one.
    pub initial_ms: u64,
    /// The longest wait.
    pub max_ms: u64,
}

impl Default for RetryPolicy {
    fn default() -> Self {
        Self {
            max_attempts: 5,
            initial_ms: 100,
            max_ms: 30_000,
        }
    }
}

impl RetryPolicy {
    /// The wait after `attempts` attempts.
    #[must_use]
    pub fn backoff_ms(&self, attempts: u32) -> u64 {
        let doublings = attempts.saturating_sub(1).min(32);
        self.initial_ms
            .saturating_mul(1 << doublings)
            .min(self.max_ms)
    }
}

/// Where a new route begins.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Start {
    #[default]
    Earliest,
    Latest,
}

/// What plugins see of data that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Decode {
    /// Avro and Protobuf events come as JSON, by the schema that wrote them; what steps emit is JSON and
    /// is encoded by the contract of the topic that it goes to.
    Json,
}

/// A route.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RouteDocument {
    /// The source topic; fixed once the route is made.
    #[schema(value_type = String)]
    pub from: Name,
    /// `json`: steps see Avro and Protobuf events as JSON, and emit JSON. Without it they see the bytes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decode: Option<Decode>,
    /// Each event passes through these in order. None copies every event to every target.
    #[serde(default)]
    pub steps: Vec<StepDocument>,
    /// The target topics; the first is where an output goes that names none.
    #[schema(value_type = Vec<String>)]
    pub to: Vec<Name>,
    #[serde(default)]
    pub retry: RetryPolicy,
    #[serde(default)]
    pub start: Start,
}

/// What a route runs: what it gives out depends on nothing else of its document.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Runs {
    steps: Vec<StepDocument>,
    to: Vec<Name>,
    decode: Option<Decode>,
}

impl RouteDocument {
    /// The same for documents that run the same.
    #[must_use]
    pub fn runs(&self) -> Runs {
        Runs {
            steps: self.steps.clone(),
            to: self.to.clone(),
            decode: self.decode,
        }
    }

    /// Whether a step names this plugin version or channel.
    #[must_use]
    pub fn names(&self, reference: &str) -> bool {
        self.steps.iter().any(|step| step.plugin == reference)
    }
}
