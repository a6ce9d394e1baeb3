//! Dead letters over HTTP.

use axum::{Json as Answer, extract::State};
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, extract::Params, refusal::ProblemDocument};
use crate::{
    deliver::{DeadLetterPage, Filter},
    problem::{Code, Problem},
};

#[derive(Debug, Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ListQuery {
    route: Option<String>,
    subscription: Option<String>,
    /// `rejected`, `trap`, `deadline`, `memory`, `output-limit`, `contract`, `retries-exhausted`,
    /// `undeclared-target`, `bad-answer`, `expired`, `refused`, `trimmed`.
    cause: Option<String>,
    /// The topic of the original event.
    topic: Option<String>,
    /// `next` of the page before.
    after: Option<u64>,
    /// 1 to 1000; default 100.
    limit: Option<usize>,
}

/// Events that could not be processed, with cause, reason and the original event.
#[utoipa::path(get, path = "/v1/dead-letters", tag = "events", operation_id = "list_dead_letters",
    params(ListQuery),
    responses(
        (status = 200, body = DeadLetterPage),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn list(
    State(hub): Shared,
    Params(query): Params<ListQuery>,
) -> Result<Answer<DeadLetterPage>, Problem> {
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::new(
            Code::MalformedRequest,
            format!("limit={limit} is not within 1 to 1000"),
        ));
    }
    let filter = Filter {
        route: query.route,
        subscription: query.subscription,
        cause: query.cause,
        topic: query.topic,
    };
    let from = query.after.unwrap_or(0);
    hub.blocking(move |hub| {
        hub.reader
            .dead_letters(&hub.dead_letters, &filter, from, limit)
    })
    .await
    .map(Answer)
}
