//! Listing the events that could not be processed or delivered.

use std::ops::ControlFlow;

use sandbar_types::{EventRef, Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    outgoing::Made,
    page::{Reader, decode, refusal},
};
use crate::{
    clock,
    dead_letter::{Cause, DeadLetter},
    problem::{Code, Problem},
};

/// What an entry has beside its letter, at most about.
const ENTRY_BYTES: usize = 1024;
/// The most ids of one selection.
const MOST_IDS: usize = 10_000;

/// Which dead letters: those that fit all that is given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Selection {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub route: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subscription: Option<String>,
    /// `name` or `name@version`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plugin: Option<String>,
    /// `rejected`, `trap`, `deadline`, `memory`, `output-limit`, `contract`, `retries-exhausted`,
    /// `undeclared-target`, `bad-answer`, `expired`, `refused`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The topic of the original event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub topic: Option<String>,
    /// The key of the original event.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key: Option<String>,
    /// Written at or after this time (RFC 3339, or milliseconds since the epoch).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// Written before this time.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
    /// Their ids, or their offsets in `sandbar.dead-letters`.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub ids: Vec<String>,
}

/// A selection that was checked.
#[derive(Clone, Debug, Default)]
pub struct Filter {
    selection: Selection,
    cause: Option<Cause>,
    since: Option<u64>,
    until: Option<u64>,
}

/// A dead letter as listed.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DeadLetterEntry {
    pub id: String,
    /// Its own offset in `sandbar.dead-letters`.
    pub offset: Offset,
    /// RFC 3339.
    pub time: String,
    /// The key of the original event.
    pub key: String,
    /// Absent: it was not redriven yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub redriven: Option<RedrivenEntry>,
    #[serde(flatten)]
    #[schema(value_type = Object)]
    pub letter: DeadLetter,
}

/// That a dead letter was redriven, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedrivenEntry {
    pub job: String,
    /// RFC 3339.
    pub at: String,
    /// `waiting`, `done` or `dead-letter`: it came back.
    pub outcome: String,
    /// With `dead-letter`, its offset.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dead_letter: Option<Offset>,
}

/// Some of them: as many as were asked for, or as there is room for.
#[derive(Debug, Serialize, ToSchema)]
pub struct DeadLetterPage {
    pub dead_letters: Vec<DeadLetterEntry>,
    /// Pass as `after` for the next page; `null` at the end.
    pub next: Option<String>,
}

impl DeadLetterEntry {
    /// The letter that `event` is, at `offset`.
    #[must_use]
    pub fn new(offset: Offset, event: EventRef<'_>, letter: DeadLetter) -> Self {
        Self {
            id: event.id.to_owned(),
            offset,
            time: event.time.to_owned(),
            key: event.key().into_owned(),
            redriven: None,
            letter,
        }
    }
}

impl Reader {
    /// Hands the dead letters that fit to `visit`, from offset `from` up to `until`, until it has
    /// enough; says where to go on. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read, and what `visit` says.
    pub fn visit_dead_letters(
        &self,
        partition: &PartitionId,
        filter: &Filter,
        from: Offset,
        until: Offset,
        mut visit: impl FnMut(Offset, EventRef<'_>, DeadLetter) -> Result<ControlFlow<()>, Problem>,
    ) -> Result<Offset, Problem> {
        let log = self.log();
        let bounds = log.bounds(partition).map_err(|error| refusal(&error))?;
        let until = until.min(bounds.tail);
        let mut at = from.max(bounds.earliest);
        if let Some(since) = filter.since {
            // A letter is stamped before it is written.
            let first = log.find_time(partition, since);
            at = at.max(first.map_err(|error| refusal(&error))?);
        }
        while at < until {
            let frames = log
                .read(partition, at, 1024 * 1024)
                .map_err(|error| refusal(&error))?;
            if frames.is_empty() {
                break;
            }
            for frame in frames {
                let batch = decode(partition, &frame)?;
                let skip = usize::try_from(at.saturating_sub(frame.base)).unwrap_or(usize::MAX);
                for index in skip..batch.len() {
                    at = frame.base + index as u64;
                    if at >= until {
                        return Ok(until);
                    }
                    let event = batch.get(index);
                    if filter.takes_event(at, event) {
                        let letter: DeadLetter =
                            serde_json::from_slice(event.data).map_err(Problem::internal)?;
                        if filter.takes(&letter) && visit(at, event, letter)?.is_break() {
                            return Ok(at);
                        }
                    }
                    at += 1;
                }
            }
        }
        Ok(until)
    }

    /// Up to `limit` dead letters that fit, of some `most` bytes, from offset `from` on. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn dead_letters(
        &self,
        partition: &PartitionId,
        filter: &Filter,
        from: Offset,
        limit: usize,
        most: usize,
        wanted: impl Fn(Offset) -> bool,
    ) -> Result<Made<DeadLetterPage>, Problem> {
        let mut page = DeadLetterPage {
            dead_letters: Vec::new(),
            next: None,
        };
        let (mut bytes, mut needs) = (0, None);
        let until = Offset::MAX;
        self.visit_dead_letters(partition, filter, from, until, |at, event, letter| {
            if !wanted(at) {
                return Ok(ControlFlow::Continue(()));
            }
            bytes += ENTRY_BYTES + event.data.len();
            if bytes > most && page.dead_letters.is_empty() {
                needs = Some(bytes);
                return Ok(ControlFlow::Break(()));
            }
            if bytes > most || page.dead_letters.len() == limit {
                page.next = Some(at.to_string());
                return Ok(ControlFlow::Break(()));
            }
            page.dead_letters
                .push(DeadLetterEntry::new(at, event, letter));
            Ok(ControlFlow::Continue(()))
        })?;
        Ok(Made::of(page, needs))
    }
}

impl Selection {
    /// Whether it selects all there are.
    #[must_use]
    pub fn is_everything(&self) -> bool {
        *self == Self::default()
    }

    /// Checks it; `pointer` is its place in a document, empty for a query.
    ///
    /// # Errors
    /// `invalid-document` or, for a query, `malformed-request`.
    pub fn checked(self, pointer: Option<&str>) -> Result<Filter, Problem> {
        let refuse = |field: &str, reason: String| match pointer {
            Some(pointer) => Problem::new(
                Code::InvalidDocument,
                format!("{pointer}/{field}: {reason}"),
            ),
            None => Problem::new(Code::MalformedRequest, format!("{field}={reason}")),
        };
        let time = |field: &str, text: &Option<String>| match text {
            None => Ok(None),
            Some(text) => clock::from_text(text).map(Some).ok_or_else(|| {
                let reason =
                    format!("{text:?} is neither RFC 3339 nor milliseconds since the epoch");
                refuse(field, reason)
            }),
        };
        let cause = match &self.cause {
            None => None,
            Some(text) => {
                let parsed = serde_json::from_value(serde_json::json!(text));
                Some(parsed.map_err(|error| refuse("cause", error.to_string()))?)
            }
        };
        for (field, name) in [
            ("route", &self.route),
            ("subscription", &self.subscription),
            ("topic", &self.topic),
        ] {
            if let Some(Err(error)) = name.as_deref().map(Name::new) {
                return Err(refuse(field, error.to_string()));
            }
        }
        if self.route.is_some() && self.subscription.is_some() {
            let reason = "a dead letter is of a route or of a subscription; name one of them";
            return Err(refuse("subscription", reason.to_owned()));
        }
        if self.ids.len() > MOST_IDS {
            let reason = format!("{} ids; at most {MOST_IDS}", self.ids.len());
            return Err(refuse("ids", reason));
        }
        let (since, until) = (time("since", &self.since)?, time("until", &self.until)?);
        if let (Some(since), Some(until)) = (since, until)
            && until <= since
        {
            return Err(refuse("until", "not after 'since'".to_owned()));
        }
        Ok(Filter {
            cause,
            since,
            until,
            selection: self,
        })
    }
}

impl Filter {
    /// What can be told without reading the letter.
    fn takes_event(&self, offset: Offset, event: EventRef<'_>) -> bool {
        let Selection { key, ids, .. } = &self.selection;
        if !ids.is_empty() {
            let offset = offset.to_string();
            if !ids.iter().any(|id| *id == offset || id == event.id) {
                return false;
            }
        }
        if key.as_deref().is_some_and(|key| key != event.key()) {
            return false;
        }
        if self.since.is_none() && self.until.is_none() {
            return true;
        }
        let time = clock::from_text(event.time).unwrap_or(0);
        self.since.is_none_or(|since| since <= time) && self.until.is_none_or(|until| time < until)
    }

    fn takes(&self, letter: &DeadLetter) -> bool {
        let Selection {
            route,
            subscription,
            plugin,
            topic,
            ..
        } = &self.selection;
        let fits = |wanted: &Option<String>, found: Option<&str>| {
            wanted.as_deref().is_none_or(|wanted| found == Some(wanted))
        };
        let name = letter
            .plugin
            .as_deref()
            .and_then(|one| one.split('@').next());
        fits(route, letter.route.as_deref())
            && fits(subscription, letter.subscription.as_deref())
            && (fits(plugin, letter.plugin.as_deref()) || fits(plugin, name))
            && self.cause.is_none_or(|cause| cause == letter.cause)
            && fits(topic, Some(letter.origin.topic.as_str()))
    }
}
