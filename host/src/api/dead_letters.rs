//! Dead letters over HTTP.

use std::future::Future;

use axum::{
    Json as Answer,
    body::Body,
    extract::{Path, State},
    http::{StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::IntoParams;

use super::{
    Caller, Shared,
    extract::{Json, Params},
    refusal::ProblemDocument,
};
use crate::{
    deliver::{DeadLetterEntry, DeadLetterPage, Made, PAGE_BYTES, Patience, Selection, Way},
    hub::{Begun, Hub},
    jobs::{Job, RedrivePlan, RedriveRequest},
    problem::{Code, Problem},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    route: Option<String>,
    subscription: Option<String>,
    /// `name` or `name@version`.
    plugin: Option<String>,
    /// `rejected`, `trap`, `deadline`, `memory`, `output-limit`, `contract`, `retries-exhausted`,
    /// `undeclared-target`, `bad-answer`, `expired`, `refused`.
    cause: Option<String>,
    /// The topic of the original event.
    topic: Option<String>,
    /// The key of the original event.
    key: Option<String>,
    /// Written at or after this time (RFC 3339, or milliseconds since the epoch).
    since: Option<String>,
    /// Written before this time.
    until: Option<String>,
    /// One id, or the offset of one.
    id: Option<String>,
    /// `true`: only those that were redriven; `false`: only those that were not.
    redriven: Option<bool>,
    /// `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; default 100. A page of large letters has fewer.
    limit: Option<usize>,
}

/// Events that could not be processed or delivered, with cause, reason and the original event.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "events", operation_id = "list_dead_letters",
    params(ListQuery),
    responses(
        (status = 200, body = DeadLetterPage),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "busy", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    State(hub): Shared,
    way: Way,
    Params(query): Params<ListQuery>,
) -> Result<Response, Problem> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::new(
            Code::MalformedRequest,
            format!("limit={limit} is not within 1 to 1000"),
        ));
    }
    let selection = Selection {
        route: query.route,
        subscription: query.subscription,
        plugin: query.plugin,
        cause: query.cause,
        topic: query.topic,
        key: query.key,
        since: query.since,
        until: query.until,
        ids: query.id.into_iter().collect(),
    };
    let filter = selection.checked(None)?;
    let (from, redriven) = (query.after.unwrap_or(0), query.redriven);
    in_room(&way, async |most| {
        let filter = filter.clone();
        let list = move |hub: &Hub| hub.list_dead_letters(&filter, redriven, from, limit, most);
        hub.blocking(move |hub| match list(hub)? {
            Made::Fits(page) => json(&page).map(Made::Fits),
            Made::Needs(bytes) => Ok(Made::Needs(bytes)),
        })
        .await
    })
    .await
}

/// An answer in the room that there is for it.
async fn in_room<F>(way: &Way, make: impl Fn(usize) -> F) -> Result<Response, Problem>
where
    F: Future<Output = Result<Made<Vec<u8>>, Problem>>,
{
    let (body, room) = way.make(PAGE_BYTES, Patience::Answer, make).await?;
    let body = Body::from(way.hold(body, room, Patience::Answer));
    Ok(([(header::CONTENT_TYPE, "application/json")], body).into_response())
}

fn json(answer: &impl Serialize) -> Result<Vec<u8>, Problem> {
    serde_json::to_vec(answer).map_err(Problem::internal)
}

/// One dead letter: the event, the error, each attempt, and whether it was redriven.
#[utoipa::path(get, path = "/v1/dead-letters/{id}", tag = "events", operation_id = "get_dead_letter",
    params(("id" = String, Path, description = "Its id, with / as %2F, or its offset in sandbar.dead-letters")),
    responses(
        (status = 200, body = DeadLetterEntry),
        (status = 404, description = "unknown-dead-letter", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "busy", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    way: Way,
    Path(id): Path<String>,
) -> Result<Response, Problem> {
    in_room(&way, async |most| {
        let id = id.clone();
        let body = hub
            .blocking(move |hub| json(&hub.dead_letter(&id)?))
            .await?;
        let needs = (body.len() > most).then_some(body.len());
        Ok(Made::of(body, needs))
    })
    .await
}

/// Puts the events of dead letters back where they could not be processed or delivered, once the
/// cause is mended. Each letter is redriven once; an event that comes back has a newer one. Events of
/// a key are worked in their order, and later ones that wait stay behind them.
#[utoipa::path(post, path = "/v1/dead-letters/redrive", tag = "events", operation_id = "redrive_dead_letters",
    request_body = RedriveRequest,
    responses(
        (status = 200, description = "With dry_run: what would be redriven; nothing has changed", body = RedrivePlan),
        (status = 202, description = "Begun", body = Job),
        (status = 404, description = "unknown-dead-letter, unknown-route, unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "too-many-jobs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn redrive(
    State(hub): Shared,
    caller: Caller,
    Json(request): Json<RedriveRequest>,
) -> Result<Response, Problem> {
    hub.redrive(request, caller.name).await.map(answer)
}

/// 200 with a plan, or 202 with the job.
pub(super) fn answer<P: Serialize>(begun: Begun<P>) -> Response {
    match begun {
        Begun::Plan(plan) => Answer(plan).into_response(),
        Begun::Job(job) => (StatusCode::ACCEPTED, Answer(job)).into_response(),
    }
}
