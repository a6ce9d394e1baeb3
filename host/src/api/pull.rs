//! Pulling the events of a subscription over HTTP: batches, streams, and settling.

mod streamed;

use std::{sync::Arc, time::Duration};

use axum::{
    Json as Answer,
    body::Body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    events::{limit_of, malformed, wait_of},
    extract::{Json, Params},
    refusal::ProblemDocument,
};
use crate::{
    clock,
    dead_letter::Cause,
    deliver::{Made, Outcome, Patience, Settled, Subscription, Taken, Token, Way, attempt},
    hub::Hub,
    problem::{Code, Place, Problem},
};
use streamed::{LINES, SERVER_SENT, streamed_events};

const LONGEST_LEASE: f64 = 12.0 * 60.0 * 60.0;
/// As long as a lease may be.
const LONGEST_DELAY_MS: u64 = LONGEST_LEASE as u64 * 1000;
/// A batch has no more bytes, unless its one event has; less where there is little room for answers.
const BATCH_BYTES: usize = 16 * 1024 * 1024;

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct PullQuery {
    /// 1 to 10000; default 100. Of a stream: so many events may be sent and not settled; default
    /// 1000.
    limit: Option<usize>,
    /// Seconds to wait for an event when there is none; up to 60, fractions allowed.
    wait: Option<f64>,
    /// Seconds for which the events are the client's; default: `lease_seconds` of the subscription.
    lease: Option<f64>,
}

impl PullQuery {
    fn lease(&self, subscription: &Subscription) -> Result<Duration, Problem> {
        let Some(lease) = self.lease else {
            let seconds = subscription.settings().record.document.lease_seconds;
            return Ok(Duration::from_secs(seconds));
        };
        if (0.001..=LONGEST_LEASE).contains(&lease) {
            return Ok(Duration::from_secs_f64(lease));
        }
        Err(malformed(format!(
            "lease={lease} is not within 0.001 to {LONGEST_LEASE} seconds"
        )))
    }
}

/// Takes events of a subscription: they are the client's until their lease ends.
///
/// Each event carries its place in the hub in `sandbartopic`, `sandbarpartition` and
/// `sandbaroffset`, in `sandbarlease` the token to settle it by, and in `sandbardelivery` how often
/// it was handed out. The header `sandbar-lease` holds one token for all of the batch. Of each key
/// one event at most is out at a time. With `Accept: text/event-stream` or `application/x-ndjson`
/// events are sent as they come; the id of a server-sent event (`sandbarcursor` in a line) covers
/// all up to it, and `Last-Event-ID` acknowledges them when the client comes back.
#[utoipa::path(get, path = "/v1/subscriptions/{subscription}/events", tag = "subscriptions", operation_id = "pull",
    params(("subscription" = String, Path), PullQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Streams: acknowledges all up to this one; what was sent after it comes again")),
    responses(
        (status = 200, description = "A batch, or a stream",
            content(
                (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
                (String = "text/event-stream"),
                (String = "application/x-ndjson"),
            ),
            headers(("sandbar-lease" = String, description = "Settles all events of the batch"))),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "pushed-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "busy, stopping", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn events(
    State(hub): Shared,
    way: Way,
    Path(subscription): Path<String>,
    headers: HeaderMap,
    Params(query): Params<PullQuery>,
) -> Result<Response, Problem> {
    let subscription = hub.pulled(&subscription)?;
    let lease = query.lease(&subscription)?;
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default();
    let streamed = ["text/event-stream", "application/x-ndjson"]
        .into_iter()
        .find(|media_type| accepted.contains(media_type));
    match streamed {
        None => batch(&hub, &subscription, &query, lease, &way).await,
        Some(media_type) => {
            let form = match media_type {
                "text/event-stream" => &SERVER_SENT,
                _ => &LINES,
            };
            let events =
                streamed_events(&hub, &subscription, &query, lease, &headers, way, form).await?;
            let headers = [
                (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
                (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
            ];
            Ok((headers, Body::from_stream(events)).into_response())
        }
    }
}

async fn batch(
    hub: &Hub,
    subscription: &Arc<Subscription>,
    query: &PullQuery,
    lease: Duration,
    way: &Way,
) -> Result<Response, Problem> {
    let limit = limit_of(query.limit, 100)?;
    let until = Instant::now() + wait_of(query.wait)?;
    let (body, token) = loop {
        if let Some(taken) = take(subscription, limit, lease, way).await? {
            break taken;
        }
        if Instant::now() >= until {
            break (Bytes::from_static(b"[]"), String::new());
        }
        tokio::select! {
            _ = subscription.wait_ready(until) => {}
            () = hub.stopping.cancelled() => {
                return Err(Problem::new(Code::Stopping, "the hub shuts down while waiting for events").retry_after(2));
            }
        }
    };
    let media_type = HeaderValue::from_static("application/cloudevents-batch+json");
    let headers = [(header::CONTENT_TYPE, media_type)];
    let mut response = (headers, Body::from(body)).into_response();
    if let Ok(token) = HeaderValue::from_str(&token)
        && !token.is_empty()
    {
        let name = HeaderName::from_static("sandbar-lease");
        response.headers_mut().insert(name, token);
    }
    Ok(response)
}

/// What is due, in the room that there is for it, with the token of all; nothing if nothing is.
async fn take(
    subscription: &Arc<Subscription>,
    limit: usize,
    lease: Duration,
    way: &Way,
) -> Result<Option<(Bytes, String)>, Problem> {
    let take = async |most| {
        let make = |taken: Taken| {
            let token = Token::Lease(taken.lease).to_string();
            let body = (!taken.events.is_empty()).then(|| taken.to_json());
            Made::of(body.map(|body| (body, token)), taken.needs)
        };
        subscription.take_with(limit, most, lease, make).await
    };
    let (taken, room) = way.make(BATCH_BYTES, Patience::Answer, take).await?;
    Ok(taken.map(|(body, token)| (way.hold(body, room, Patience::Answer), token)))
}

/// What became of events. Each token is that of an event (`sandbarlease`) or of a whole batch (the
/// header `sandbar-lease`).
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct AckRequest {
    /// Done with.
    #[serde(default)]
    ack: Vec<String>,
    /// To be tried again.
    #[serde(default)]
    nack: Vec<Nack>,
    /// To stay the client's for longer.
    #[serde(default)]
    extend: Vec<Extend>,
    /// Never to be tried again: they become dead letters.
    #[serde(default)]
    reject: Vec<Reject>,
    /// A cursor of a stream: all up to there is done with.
    #[serde(default)]
    upto: Option<String>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Nack {
    lease: String,
    /// Up to 43200000, twelve hours. Absent: as the subscription's `retry` says.
    delay_ms: Option<u64>,
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Extend {
    lease: String,
    /// From now on.
    seconds: f64,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Reject {
    lease: String,
    #[serde(default)]
    reason: String,
}

/// What became of each token, in the order of the request: `ack`, `nack`, `extend`, `reject`.
#[derive(Serialize, ToSchema)]
pub(super) struct AckAnswer {
    /// Events acknowledged by this call, durably.
    acknowledged: usize,
    results: Vec<TokenResult>,
}

#[derive(Serialize, ToSchema)]
struct TokenResult {
    lease: String,
    /// `acknowledged`, `retrying`, `extended` or `dead`; `already`: it was settled before;
    /// `expired`: the lease ended and somebody else has or had the event, or it was given up, or the
    /// subscription was reset.
    status: &'static str,
    /// More than one for the token of a batch.
    #[serde(skip_serializing_if = "is_one")]
    events: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_one(events: &usize) -> bool {
    *events == 1
}

/// Settles events. Durable when it is answered.
#[utoipa::path(post, path = "/v1/subscriptions/{subscription}/ack", tag = "subscriptions", operation_id = "ack",
    params(("subscription" = String, Path)),
    request_body = AckRequest,
    responses(
        (status = 200, description = "Each token is answered", body = AckAnswer),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "pushed-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "storage-full", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn ack(
    State(hub): Shared,
    Path(subscription): Path<String>,
    Json(request): Json<AckRequest>,
) -> Result<Answer<AckAnswer>, Problem> {
    let subscription = hub.pulled(&subscription)?;
    let mut acknowledged = 0;
    let upto = request.upto.clone();
    let (tokens, outcomes) = request.outcomes()?;
    if let Some(upto) = upto {
        acknowledged += subscription.settle_up_to(&upto, false).await?;
    }
    let settled = if outcomes.is_empty() {
        Vec::new()
    } else {
        subscription.settle(outcomes).await?
    };
    let mut results = Vec::with_capacity(tokens.len());
    for (lease, settled) in tokens.into_iter().zip(settled) {
        let (status, events) = match settled {
            Settled::Acknowledged(events) => {
                acknowledged += events;
                ("acknowledged", events)
            }
            Settled::Retrying(events) => ("retrying", events),
            Settled::Dead(events) => ("dead", events),
            Settled::Extended(events) => ("extended", events),
            Settled::Already => ("already", 1),
            Settled::Expired => ("expired", 1),
        };
        results.push(TokenResult {
            lease,
            status,
            events,
        });
    }
    Ok(Answer(AckAnswer {
        acknowledged,
        results,
    }))
}

impl AckRequest {
    /// The tokens as they were written, and what is to become of each.
    #[expect(clippy::type_complexity, reason = "two columns of one list")]
    fn outcomes(self) -> Result<(Vec<String>, Vec<(Token, Outcome)>), Problem> {
        let now = clock::now();
        let count = self.ack.len() + self.nack.len() + self.extend.len() + self.reject.len();
        let mut read = Reading {
            tokens: Vec::with_capacity(count),
            outcomes: Vec::with_capacity(count),
            places: Vec::new(),
        };
        for (index, lease) in self.ack.into_iter().enumerate() {
            read.add(|| format!("/ack/{index}"), lease, Outcome::Ack);
        }
        for (index, nack) in self.nack.into_iter().enumerate() {
            if let Some(delay) = nack.delay_ms.filter(|delay| *delay > LONGEST_DELAY_MS) {
                read.places.push(Place {
                    pointer: format!("/nack/{index}/delay_ms"),
                    reason: format!("{delay} is more than {LONGEST_DELAY_MS}, twelve hours"),
                    ..Place::default()
                });
                continue;
            }
            let outcome = Outcome::Retry {
                after: nack.delay_ms.map(Duration::from_millis),
                note: attempt(now, nack.reason),
            };
            read.add(|| format!("/nack/{index}/lease"), nack.lease, outcome);
        }
        for (index, extend) in self.extend.into_iter().enumerate() {
            if !(0.001..=LONGEST_LEASE).contains(&extend.seconds) {
                read.places.push(Place {
                    pointer: format!("/extend/{index}/seconds"),
                    reason: format!("{} is not within 0.001 to {LONGEST_LEASE}", extend.seconds),
                    ..Place::default()
                });
                continue;
            }
            let outcome = Outcome::Extend(Duration::from_secs_f64(extend.seconds));
            read.add(|| format!("/extend/{index}/lease"), extend.lease, outcome);
        }
        for (index, reject) in self.reject.into_iter().enumerate() {
            let outcome = Outcome::Fail {
                cause: Cause::Rejected,
                note: attempt(now, reject.reason),
            };
            read.add(|| format!("/reject/{index}/lease"), reject.lease, outcome);
        }
        if read.places.is_empty() {
            return Ok((read.tokens, read.outcomes));
        }
        let first = &read.places[0];
        let detail = format!("{}: {}", first.pointer, first.reason);
        Err(Problem::new(Code::InvalidDocument, detail)
            .help("Nothing was settled. Send the texts of 'sandbarlease' or of the header sandbar-lease as they came, and times within their bounds.")
            .errors(read.places))
    }
}

struct Reading {
    tokens: Vec<String>,
    outcomes: Vec<(Token, Outcome)>,
    places: Vec<Place>,
}

impl Reading {
    fn add(&mut self, pointer: impl FnOnce() -> String, lease: String, outcome: Outcome) {
        match Token::parse(&lease) {
            Some(token) => {
                self.outcomes.push((token, outcome));
                self.tokens.push(lease);
            }
            None => self.places.push(Place {
                pointer: pointer(),
                reason: format!("{lease:?} is no token of an event"),
                ..Place::default()
            }),
        }
    }
}
