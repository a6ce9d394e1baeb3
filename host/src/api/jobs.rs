//! Jobs and replays over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Caller, Shared, dead_letters::answer, extract::Json, refusal::ProblemDocument};
use crate::{
    jobs::{Job, OfferPlan, OfferRequest, ReplayPlan, ReplayRequest},
    problem::Problem,
};

#[derive(Serialize, ToSchema)]
pub(super) struct JobList {
    jobs: Vec<Job>,
}

/// All jobs that wait or are at work, and the last 1000 that are over; the newest first.
#[utoipa::path(get, path = "/v1/jobs", tag = "jobs", operation_id = "list_jobs",
    responses((status = 200, body = JobList)))]
pub(super) async fn list(State(hub): Shared) -> Answer<JobList> {
    Answer(JobList {
        jobs: hub.jobs.list(),
    })
}

/// One job, and how far it came.
#[utoipa::path(get, path = "/v1/jobs/{id}", tag = "jobs", operation_id = "get_job",
    params(("id" = String, Path)),
    responses(
        (status = 200, body = Job),
        (status = 404, description = "unknown-job", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(id): Path<String>,
) -> Result<Answer<Job>, Problem> {
    hub.jobs.get(&id).map(Answer)
}

/// Ends a job. What it did stays; it finishes what it has in hand.
#[utoipa::path(post, path = "/v1/jobs/{id}/cancel", tag = "jobs", operation_id = "cancel_job",
    params(("id" = String, Path)),
    responses(
        (status = 202, description = "It ends soon", body = Job),
        (status = 404, description = "unknown-job", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "job-over", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn cancel(
    State(hub): Shared,
    Path(id): Path<String>,
) -> Result<(StatusCode, Answer<Job>), Problem> {
    let job = hub.jobs.cancel(&id).await?;
    Ok((StatusCode::ACCEPTED, Answer(job)))
}

/// Passes what is stored of a route's source through the route once more, into its targets or into
/// another topic. The outputs are new events, marked with the extension `sandbarreplay`; what cannot
/// be processed is counted by the job and becomes no dead letter once more.
#[utoipa::path(post, path = "/v1/routes/{route}/replay", tag = "jobs", operation_id = "replay_route",
    params(("route" = String, Path)),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "With dry_run: what would be replayed; nothing is written", body = ReplayPlan),
        (status = 202, description = "Begun", body = Job),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "too-many-jobs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn replay_route(
    State(hub): Shared,
    caller: Caller,
    Path(route): Path<String>,
    Json(request): Json<ReplayRequest>,
) -> Result<Response, Problem> {
    let begun = hub.replay_route(route, request, caller.name).await?;
    Ok(answer(begun))
}

/// Copies what is stored of a topic into another topic (`into`). The copies are marked with the
/// extension `sandbarreplay`.
#[utoipa::path(post, path = "/v1/topics/{topic}/replay", tag = "jobs", operation_id = "replay_topic",
    params(("topic" = String, Path)),
    request_body = ReplayRequest,
    responses(
        (status = 200, description = "With dry_run: what would be copied; nothing is written", body = ReplayPlan),
        (status = 202, description = "Begun", body = Job),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "too-many-jobs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn replay_topic(
    State(hub): Shared,
    caller: Caller,
    Path(topic): Path<String>,
    Json(request): Json<ReplayRequest>,
) -> Result<Response, Problem> {
    let begun = hub.replay_topic(topic, request, caller.name).await?;
    Ok(answer(begun))
}

/// Offers what is stored of one of its topics to a subscription once more, and to nobody else. Its
/// filters hold, and so does the order per key.
#[utoipa::path(post, path = "/v1/subscriptions/{name}/replay", tag = "jobs", operation_id = "replay_subscription",
    params(("name" = String, Path)),
    request_body = OfferRequest,
    responses(
        (status = 200, description = "With dry_run: what would be offered; nothing has changed", body = OfferPlan),
        (status = 202, description = "Begun", body = Job),
        (status = 404, description = "unknown-subscription", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "too-many-jobs", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn replay_subscription(
    State(hub): Shared,
    caller: Caller,
    Path(name): Path<String>,
    Json(request): Json<OfferRequest>,
) -> Result<Response, Problem> {
    let begun = hub.replay_subscription(name, request, caller.name).await?;
    Ok(answer(begun))
}
