//! Shadows over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};

use super::{
    Caller, Shared,
    events::wait_of,
    extract::{Json, Params},
    refusal::ProblemDocument,
    routes::ForceQuery,
    topics::status,
};
use crate::{
    catalog::ShadowDocument,
    hub::{Asking, ShadowDifferences, ShadowStatus},
    problem::Problem,
};

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct PromoteRequest {
    /// Kept with the report, and in the history of the channel that is moved.
    #[serde(default)]
    reason: String,
}

/// Sets a candidate beside a step of a route: it runs on the same events, its outputs are compared
/// and never written. Takes the place of an earlier one.
#[utoipa::path(put, path = "/v1/routes/{route}/shadow", tag = "routes", operation_id = "put_shadow",
    params(("route" = String, Path)),
    request_body = ShadowDocument,
    responses(
        (status = 201, description = "Comparing", body = ShadowStatus),
        (status = 200, description = "Comparing, in place of the earlier one", body = ShadowStatus),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    Path(route): Path<String>,
    Json(document): Json<ShadowDocument>,
) -> Result<(StatusCode, Answer<ShadowStatus>), Problem> {
    let (shadow, put) = hub.start_shadow(route, document).await?;
    Ok((status(put), Answer(shadow)))
}

/// What the comparison found so far.
#[utoipa::path(get, path = "/v1/routes/{route}/shadow", tag = "routes", operation_id = "get_shadow",
    params(("route" = String, Path)),
    responses(
        (status = 200, body = ShadowStatus),
        (status = 404, description = "unknown-route, unknown-shadow", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<Answer<ShadowStatus>, Problem> {
    hub.shadow(&route).map(Answer)
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct DifferencesQuery {
    /// The `compared` of the answer before; default 0.
    after: Option<u64>,
    /// Seconds to wait for something to tell; up to 60, fractions allowed.
    wait: Option<f64>,
}

/// Which events differ, as they are compared: call again with `after`.
#[utoipa::path(get, path = "/v1/routes/{route}/shadow/differences", tag = "routes", operation_id = "shadow_differences",
    params(("route" = String, Path), DifferencesQuery),
    responses(
        (status = 200, body = ShadowDifferences),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 404, description = "unknown-route, unknown-shadow", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 503, description = "stopping", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn differences(
    State(hub): Shared,
    Path(route): Path<String>,
    Params(query): Params<DifferencesQuery>,
) -> Result<Answer<ShadowDifferences>, Problem> {
    let wait = wait_of(query.wait)?;
    hub.shadow_differences(&route, query.after.unwrap_or(0), wait)
        .await
        .map(Answer)
}

/// Ends the comparison and forgets its report.
#[utoipa::path(delete, path = "/v1/routes/{route}/shadow", tag = "routes", operation_id = "delete_shadow",
    params(("route" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-route, unknown-shadow", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<StatusCode, Problem> {
    hub.stop_shadow(route).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Has the candidate take over between two batches: where the step names a channel and the shadow has no
/// config of its own, the channel is moved. Else the route's step is changed: it names the candidate's version
/// then, or goes on naming a channel that leads to it. Refused where the route runs something else than what
/// was compared.
#[utoipa::path(post, path = "/v1/routes/{route}/shadow/promote", tag = "routes", operation_id = "promote_shadow",
    params(("route" = String, Path), ForceQuery),
    request_body = PromoteRequest,
    responses(
        (status = 200, body = ShadowStatus),
        (status = 404, description = "unknown-route, unknown-shadow", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "shadow-over, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn promote(
    State(hub): Shared,
    caller: Caller,
    Path(route): Path<String>,
    Params(query): Params<ForceQuery>,
    Json(request): Json<PromoteRequest>,
) -> Result<Answer<ShadowStatus>, Problem> {
    let asking = Asking {
        because: caller.because(request.reason),
        force: query.force,
    };
    hub.promote_shadow(route, asking).await.map(Answer)
}
