//! Events over HTTP: publish, read, follow.

use std::time::Duration;

use axum::{
    Json as Answer, body,
    extract::{Path, State},
    http::{HeaderMap, HeaderName, HeaderValue, header},
    response::{IntoResponse, Response},
};
use sandbar_types::PartitionId;
use serde::Deserialize;
use tokio::sync::mpsc;
use utoipa::IntoParams;

use super::{
    Shared,
    extract::{Body, Params},
    parts,
    refusal::ProblemDocument,
};
use crate::{
    catalog::Topic,
    clock,
    deliver::{Cursor, EventFilter, Follower, Patience, Start, Way, Written, follow},
    hub::Hub,
    ingest::{Handling, Published},
    problem::{Code, Problem},
};

/// The longest wait for an event, in seconds.
const LONGEST_WAIT: f64 = 60.0;
const MOST_EVENTS: usize = 10_000;

/// Publishes one event (binary or structured mode) or several (batch mode, NDJSON).
#[utoipa::path(post, path = "/v1/topics/{topic}/events", tag = "events", operation_id = "publish",
    params(
        ("topic" = String, Path),
        ("Prefer" = Option<String>, Header, description = "`handling=lenient`: keep the good events of a batch, list the bad ones"),
        ("ce-id" = Option<String>, Header, description = "Binary mode: attributes as ce-* headers"),
    ),
    request_body(description = "An event in CloudEvents 1.0 HTTP binding: any content type with ce-* headers (binary mode), application/cloudevents+json, application/cloudevents-batch+json, or application/x-ndjson with a structured event a line. Content-Encoding gzip and zstd are taken.",
        content(
            (serde_json::Value = "application/cloudevents+json"),
            (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
            (String = "application/x-ndjson"),
        )),
    responses(
        (status = 200, description = "Stored, durably unless the topic says otherwise", body = Published),
        (status = 400, description = "malformed-body", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "id-conflict", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "body-too-large, event-too-large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-event, contract-violation", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "busy, log-stopped, stopping", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 507, description = "storage-full", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn publish(
    State(hub): Shared,
    Path(topic): Path<String>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<Answer<Published>, Problem> {
    let topic = hub.catalog.topic(&topic)?;
    let handling = handling(&headers);
    hub.publish(topic, headers, body, handling)
        .await
        .map(Answer)
}

fn handling(headers: &HeaderMap) -> Handling {
    let preferences = headers
        .get_all("prefer")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut each = preferences
        .flat_map(|value| value.split([',', ';']))
        .map(str::trim);
    if each.any(|one| one.eq_ignore_ascii_case("handling=lenient")) {
        Handling::Lenient
    } else {
        Handling::Strict
    }
}

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ReadQuery {
    /// Default 0; an event stream follows all partitions when it is absent.
    partition: Option<u32>,
    /// `earliest` (default), `latest`, or a number.
    offset: Option<String>,
    /// Start at the first event stored at or after this time: RFC 3339 or milliseconds.
    time: Option<String>,
    /// 1 to 10000; default 100.
    limit: Option<usize>,
    /// Seconds to wait for an event when there is none; up to 60, fractions allowed.
    wait: Option<f64>,
    /// Only events that it takes: an expression in CloudEvents SQL, or a filter of the CloudEvents
    /// Subscriptions API (or an array of them) as JSON. Where few events fit, a page may be empty
    /// although `sandbar-next-offset` is before the tail: read on there.
    filter: Option<String>,
}

/// Reads events, or follows them with `Accept: text/event-stream`.
///
/// Each event carries its place in `sandbartopic`, `sandbarpartition` and `sandbaroffset`, and, when
/// a route made it, `sandbarroute` and `sandbarorigin`. The header `sandbar-next-offset` says where
/// to read on.
#[utoipa::path(get, path = "/v1/topics/{topic}/events", tag = "events", operation_id = "read",
    params(("topic" = String, Path), ReadQuery,
        ("Last-Event-ID" = Option<String>, Header, description = "Event stream: go on after this one")),
    responses(
        (status = 200, description = "A batch, or a stream of server-sent events",
            content(
                (Vec<serde_json::Value> = "application/cloudevents-batch+json"),
                (String = "text/event-stream"),
            ),
            headers(("sandbar-next-offset" = String, description = "Where to read on"))),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "busy, stopping", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn read(
    State(hub): Shared,
    way: Way,
    Path(topic): Path<String>,
    headers: HeaderMap,
    Params(query): Params<ReadQuery>,
) -> Result<Response, Problem> {
    let topic = hub.catalog.topic(&topic)?;
    let start = query.start()?;
    if accepts_stream(&headers) {
        return stream(&hub, way, &topic, &query, start, &headers).await;
    }
    let limit = limit_of(query.limit, 100)?;
    let wait = wait_of(query.wait)?;
    let partition = PartitionId::new(topic.name.clone(), query.partition.unwrap_or(0));
    check_partition(&topic, partition.partition)?;
    let wanted = query.selection()?;
    let reading = (hub.reader).page(&partition, start, limit, &wanted, wait, &way);
    let page = tokio::select! {
        page = reading => page?,
        () = hub.stopping.cancelled() => {
            return Err(Problem::new(Code::Stopping, "the hub shuts down while waiting for events").retry_after(2));
        }
    };
    let media_type = HeaderValue::from_static("application/cloudevents-batch+json");
    let next = HeaderValue::from(page.next);
    let names = [
        (header::CONTENT_TYPE, media_type),
        (HeaderName::from_static("sandbar-next-offset"), next),
    ];
    let body = match page.room {
        Some(room) => way.hold(page.body, room, Patience::Answer),
        None => page.body.into(),
    };
    Ok((names, body::Body::from(body)).into_response())
}

/// What a `limit` in a query means.
pub(super) fn limit_of(limit: Option<usize>, default: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(default);
    if !(1..=MOST_EVENTS).contains(&limit) {
        return Err(malformed(format!(
            "limit={limit} is not within 1 to {MOST_EVENTS}"
        )));
    }
    Ok(limit)
}

/// What a `wait` in a query means.
pub(super) fn wait_of(seconds: Option<f64>) -> Result<Duration, Problem> {
    let seconds = seconds.unwrap_or(0.0);
    if !(0.0..=LONGEST_WAIT).contains(&seconds) {
        return Err(malformed(format!(
            "wait={seconds} is not within 0 to {LONGEST_WAIT} seconds"
        )));
    }
    Ok(Duration::from_secs_f64(seconds))
}

impl ReadQuery {
    fn selection(&self) -> Result<EventFilter, Problem> {
        let filter = self.filter.as_deref().map(EventFilter::parse);
        Ok(filter.transpose()?.unwrap_or_default())
    }

    fn start(&self) -> Result<Start, Problem> {
        match (self.offset.as_deref(), self.time.as_deref()) {
            (Some(_), Some(_)) => Err(malformed("give offset or time, not both")),
            (None, Some(time)) => clock::from_text(time).map(Start::Time).ok_or_else(|| {
                malformed(format!(
                    "time={time:?} is neither RFC 3339 nor milliseconds since 1970"
                ))
            }),
            (None | Some("earliest"), None) => Ok(Start::Earliest),
            (Some("latest"), None) => Ok(Start::Latest),
            (Some(offset), None) => offset.parse().map(Start::Offset).map_err(|_| {
                malformed(format!(
                    "offset={offset:?} is not earliest, latest or a number"
                ))
            }),
        }
    }
}

pub(super) fn malformed(detail: impl Into<String>) -> Problem {
    Problem::new(Code::MalformedRequest, detail)
}

fn check_partition(topic: &Topic, partition: u32) -> Result<(), Problem> {
    if partition < topic.partitions {
        return Ok(());
    }
    let last = topic.partitions - 1;
    Err(malformed(format!(
        "topic {} has the partitions 0 to {last}, not {partition}",
        topic.name
    )))
}

fn accepts_stream(headers: &HeaderMap) -> bool {
    let accepted = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    accepted.is_some_and(|accepted| accepted.contains("text/event-stream"))
}

async fn stream(
    hub: &std::sync::Arc<Hub>,
    way: Way,
    topic: &Topic,
    query: &ReadQuery,
    start: Start,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let partitions = match query.partition {
        Some(partition) => {
            check_partition(topic, partition)?;
            vec![PartitionId::new(topic.name.clone(), partition)]
        }
        None => topic.partition_ids(),
    };
    let mut cursor = Cursor::default();
    let (wanted, reader) = (partitions.clone(), hub.reader.clone());
    let offsets = hub
        .blocking(move |_| {
            wanted
                .iter()
                .map(|one| reader.offset_of(one, start))
                .collect::<Result<Vec<_>, _>>()
        })
        .await?;
    for (partition, offset) in partitions.iter().zip(offsets) {
        cursor.0.insert(partition.partition, offset);
    }
    if let Some(last) = headers
        .get("last-event-id")
        .and_then(|value| value.to_str().ok())
    {
        let resumed = Cursor::parse(last).ok_or_else(|| {
            malformed(format!(
                "Last-Event-ID {last:?} is not of the form partition:offset,…"
            ))
        })?;
        cursor.0.extend(resumed.0);
    }
    let wanted = query.selection()?;
    let (sender, receiver) = mpsc::channel(parts::QUEUE);
    let follower = Follower {
        partitions,
        cursor,
        wanted,
        form: sent,
        way,
    };
    tokio::spawn(follow(hub.reader.clone(), follower, sender));
    let events = parts::of(hub, receiver, parts::problem, Some(parts::KEEP_ALIVE));
    let headers = [
        (
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/event-stream"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-cache")),
    ];
    Ok((headers, body::Body::from_stream(events)).into_response())
}

/// As a server-sent event.
fn sent(written: Written<'_>, out: &mut Vec<u8>) {
    let event = written.event.map(|(r#type, json)| {
        let data = |out: &mut Vec<u8>| out.extend_from_slice(json);
        (r#type, data)
    });
    parts::message(written.cursor, event, out);
}
