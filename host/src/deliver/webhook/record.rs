//! What is remembered of a webhook's attempts, and how it is shown. Memory only: it begins anew with
//! the hub.

use std::{
    collections::VecDeque,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use sandbar_types::{Offset, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::breaker::BreakerState;
use crate::clock::{self, Steady};

/// So many of the last attempts are shown.
const MOST_ATTEMPTS: usize = 20;
/// The start of an answer's body that is kept with an attempt, in bytes.
const BODY_KEPT: usize = 1024;

/// One request to the endpoint.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PushAttempt {
    /// RFC 3339.
    pub at: String,
    /// `topic/partition/offset` of the event, the first of a batch.
    pub event: String,
    /// How many events the request had.
    pub events: usize,
    /// The delivery of that event: 1 is the first.
    pub delivery: u32,
    /// `delivered`, `status`, `redirect`, `gone`, `dns`, `denied`, `connect`, `tls`, `timeout`,
    /// `closed` or `protocol`.
    pub outcome: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub took_ms: u64,
    /// The start of the answer's body.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub body: String,
}

/// The endpoint's circuit breaker.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PushBreaker {
    pub state: BreakerState,
    /// RFC 3339: when a request is tried again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub until: Option<String>,
}

/// Whether the endpoint allowed to be sent events (`handshake`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(tag = "state", rename_all = "kebab-case")]
pub enum PushHandshake {
    /// It was not asked yet, or did not allow it.
    Pending {
        #[serde(skip_serializing_if = "Option::is_none")]
        reason: Option<String>,
    },
    Allowed {
        /// Requests per minute; absent: as many as there are.
        #[serde(skip_serializing_if = "Option::is_none")]
        rate: Option<u32>,
    },
}

/// How a webhook is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PushStatus {
    pub breaker: PushBreaker,
    /// Requests under way.
    pub in_flight: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub handshake: Option<PushHandshake>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_failure: Option<PushAttempt>,
    /// The last ones, the newest first.
    pub attempts: Vec<PushAttempt>,
}

/// An attempt as it is kept: texts are made of it only when somebody looks.
#[derive(Clone, Debug)]
pub(super) struct Kept {
    /// Milliseconds since the epoch.
    pub at: u64,
    /// Of the event, the first of a batch.
    pub partition: PartitionId,
    pub offset: Offset,
    pub delivery: u32,
    /// Of the request.
    pub events: usize,
    pub outcome: &'static str,
    pub status: Option<u16>,
    pub reason: String,
    pub took_ms: u64,
    /// The start of the answer's body, one byte longer than what is shown if there is more.
    pub body: Bytes,
}

impl Kept {
    fn show(&self) -> PushAttempt {
        PushAttempt {
            at: clock::to_text(self.at),
            event: format!("{}/{}", self.partition, self.offset),
            events: self.events,
            delivery: self.delivery,
            outcome: self.outcome,
            status: self.status,
            reason: self.reason.clone(),
            took_ms: self.took_ms,
            body: start_of(&self.body, BODY_KEPT),
        }
    }
}

/// So much of a body as [`Kept`] has; a large one is not kept alive by its start.
pub(super) fn start_to_keep(body: &Bytes) -> Bytes {
    if body.len() <= BODY_KEPT {
        return body.clone();
    }
    Bytes::copy_from_slice(&body[..=BODY_KEPT])
}

/// What is remembered.
#[derive(Debug)]
pub(super) struct Records {
    inner: Mutex<Inner>,
    pub in_flight: AtomicUsize,
}

#[derive(Debug)]
struct Inner {
    attempts: VecDeque<Kept>,
    last_failure: Option<Kept>,
    breaker: BreakerState,
    /// A moment of the steady clock.
    until: Option<u64>,
    handshake: Option<PushHandshake>,
}

impl Default for Records {
    fn default() -> Self {
        Self {
            inner: Mutex::new(Inner {
                attempts: VecDeque::with_capacity(MOST_ATTEMPTS),
                last_failure: None,
                breaker: BreakerState::Closed,
                until: None,
                handshake: None,
            }),
            in_flight: AtomicUsize::new(0),
        }
    }
}

impl Records {
    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn keep(&self, kept: Kept) {
        let mut inner = self.lock();
        if kept.outcome != "delivered" {
            inner.last_failure = Some(kept.clone());
        }
        if inner.attempts.len() == MOST_ATTEMPTS {
            inner.attempts.pop_front();
        }
        inner.attempts.push_back(kept);
    }

    pub fn set_breaker(&self, state: BreakerState, until: Option<u64>) {
        let mut inner = self.lock();
        (inner.breaker, inner.until) = (state, until);
    }

    pub fn set_handshake(&self, handshake: Option<PushHandshake>) {
        self.lock().handshake = handshake;
    }

    pub fn breaker(&self) -> BreakerState {
        self.lock().breaker
    }

    /// Whether the endpoint, which is to be asked, has not allowed anything yet.
    pub fn awaits_handshake(&self) -> bool {
        matches!(self.lock().handshake, Some(PushHandshake::Pending { .. }))
    }

    pub fn status(&self, clock: &Steady) -> PushStatus {
        let inner = self.lock();
        PushStatus {
            breaker: PushBreaker {
                state: inner.breaker,
                until: inner
                    .until
                    .map(|until| clock::to_text(clock.to_wall(until))),
            },
            in_flight: self.in_flight.load(Ordering::Relaxed),
            handshake: inner.handshake.clone(),
            last_failure: inner.last_failure.as_ref().map(Kept::show),
            attempts: inner.attempts.iter().rev().map(Kept::show).collect(),
        }
    }
}

/// The start of a body as text.
pub(super) fn start_of(body: &[u8], most: usize) -> String {
    let start = &body[..body.len().min(most)];
    let mut text = String::from_utf8_lossy(start).into_owned();
    if body.len() > most {
        // A character that was cut.
        while text.ends_with(char::REPLACEMENT_CHARACTER) {
            text.pop();
        }
        text.push('…');
    }
    text
}
