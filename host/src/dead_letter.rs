//! What is kept of an event that could not be processed or delivered: the data of the events of the
//! topic `sandbar.dead-letters`. Pure: it knows neither routes nor subscriptions at work, only how
//! their stories are told.

use sandbar_types::{AttributeValue, Event, EventRef, Name, PartitionId, Position};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use utoipa::ToSchema;

use crate::{clock, ingest::cloudevents};

/// The `type` of dead letters.
pub const TYPE: &str = "sandbar.dead-letter";

/// The longest reason that is kept, in bytes.
const MAX_REASON: usize = 8 * 1024;
/// So many of the last attempts are told.
pub const MOST_HISTORY: usize = 20;

/// Why an event became a dead letter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// The plugin, or the receiver of a subscription, said so.
    Rejected,
    /// The plugin panicked or did something that WebAssembly forbids.
    Trap,
    /// The plugin did not answer in time.
    Deadline,
    /// The plugin wanted more memory than its limit.
    Memory,
    /// Its outputs were larger, or more, than the limit.
    OutputLimit,
    /// An output does not fit the contract of its target.
    Contract,
    /// It was tried as often as the route or subscription allows.
    RetriesExhausted,
    /// The plugin named a target that the route does not declare.
    UndeclaredTarget,
    /// The plugin's answer made no sense.
    BadAnswer,
    /// It was tried for as long as the subscription allows.
    Expired,
    /// The receiver's answer says that trying again does not help.
    Refused,
}

impl Cause {
    /// As in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Rejected => "rejected",
            Self::Trap => "trap",
            Self::Deadline => "deadline",
            Self::Memory => "memory",
            Self::OutputLimit => "output-limit",
            Self::Contract => "contract",
            Self::RetriesExhausted => "retries-exhausted",
            Self::UndeclaredTarget => "undeclared-target",
            Self::BadAnswer => "bad-answer",
            Self::Expired => "expired",
            Self::Refused => "refused",
        }
    }
}

/// One attempt to deliver an event.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Attempt {
    /// RFC 3339.
    pub at: String,
    /// The receiver's HTTP status, where it answered with one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    pub reason: String,
    pub took_ms: u64,
}

/// The data of a dead letter.
#[derive(Debug, Serialize, Deserialize)]
pub struct DeadLetter {
    /// The route on which the event was processed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    /// The subscription by which it was delivered. One of the two is there.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// The index of the route's step that failed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub step: Option<usize>,
    /// `name@version` of that step, if the route has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    pub cause: Cause,
    pub reason: String,
    pub attempts: u32,
    /// The last attempts, the oldest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub history: Vec<Attempt>,
    /// Where the event stands.
    pub origin: Position,
    /// How often it was taken up again from a dead letter before this one.
    #[serde(default)]
    pub redrives: u32,
    /// The original event in the CloudEvents JSON format; `null` where it is gone.
    pub event: Option<Box<RawValue>>,
}

impl DeadLetter {
    /// Who could not do it: `/sandbar/routes/<name>` or `/sandbar/subscriptions/<name>`, and the
    /// name alone.
    fn owner(&self) -> (String, &str) {
        match (&self.route, &self.subscription) {
            (Some(route), _) => (format!("/sandbar/routes/{route}"), route),
            (None, Some(name)) => (format!("/sandbar/subscriptions/{name}"), name),
            (None, None) => ("/sandbar".to_owned(), ""),
        }
    }

    /// The event of the topic of dead letters. `key` and `subject` are the original's key and id;
    /// `now` is milliseconds since the epoch.
    #[must_use]
    pub fn into_event(mut self, key: String, subject: String, now: u64) -> Event {
        shorten(&mut self.reason);
        let (source, name) = self.owner();
        let place = format!("{name}/{}", self.origin);
        let id = match self.redrives {
            0 => place,
            redrives => format!("{place}/{redrives}"),
        };
        Event {
            id,
            source,
            r#type: TYPE.to_owned(),
            subject,
            time: clock::to_text(now),
            datacontenttype: "application/json".to_owned(),
            extensions: [(
                sandbar_types::event::PARTITION_KEY.to_owned(),
                AttributeValue::String(key),
            )]
            .into(),
            data: serde_json::to_vec(&self).unwrap_or_default().into(),
            ..Event::default()
        }
    }
}

/// Where an event of a partition stands.
#[must_use]
pub fn position(partition: &PartitionId, offset: u64) -> Position {
    Position {
        topic: Name::clone(&partition.topic),
        partition: partition.partition,
        offset,
    }
}

/// An event in the CloudEvents JSON format, to be put inside of a letter.
#[must_use]
pub fn enclosed(event: EventRef<'_>) -> Option<Box<RawValue>> {
    let mut json = Vec::new();
    cloudevents::encode_structured(event, &[], &mut json);
    let text = String::from_utf8(json).ok()?;
    RawValue::from_string(text).ok()
}

/// Cuts what is longer than is kept.
pub fn shorten(reason: &mut String) {
    if reason.len() > MAX_REASON {
        let end = (0..=MAX_REASON)
            .rev()
            .find(|&end| reason.is_char_boundary(end))
            .unwrap_or(0);
        reason.truncate(end);
        reason.push('…');
    }
}
