//! Routes over HTTP.

use std::sync::Arc;

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Caller, Shared,
    extract::{Json, JsonOrNothing, Params},
    refusal::ProblemDocument,
    topics::status,
};
use crate::{
    catalog::{Forced, RouteChange, RouteDocument, WentLive},
    gate::GateReport,
    hub::{Asking, GateRequest, RouteStatus},
    problem::Problem,
};

/// A route and how it is doing.
#[derive(Serialize, ToSchema)]
pub(super) struct RouteAnswer {
    name: String,
    #[serde(flatten)]
    document: RouteDocument,
    paused: bool,
    /// When, by whom and why its steps and targets went live, and what the activation gate said.
    #[serde(skip_serializing_if = "Option::is_none")]
    activation: Option<WentLive>,
    /// Who changed what it runs, when and why, oldest first; the last 20. Not in a list of routes.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    history: Vec<RouteChange>,
    /// What of it is live though the activation gate refused it: the route itself, the version of a channel,
    /// the contract of a target.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forced: Vec<Forced>,
    status: RouteStatus,
}

/// Whether to go live against the activation gate, and why.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ActivationQuery {
    /// Go live also where the activation gate refuses it; recorded.
    #[serde(default)]
    force: bool,
    /// Kept with what the gate said, and in the history of a route.
    #[serde(default)]
    reason: String,
}

impl ActivationQuery {
    pub(super) fn asked_by(self, caller: Caller) -> Asking {
        Asking {
            because: caller.because(self.reason),
            force: self.force,
        }
    }
}

/// Whether to go live against the activation gate.
#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct ForceQuery {
    /// Go live also where the activation gate refuses it; recorded.
    #[serde(default)]
    pub force: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct RouteList {
    routes: Vec<RouteAnswer>,
}

fn answer(
    hub: &crate::hub::Hub,
    name: &sandbar_types::Name,
    route: crate::catalog::Route,
) -> RouteAnswer {
    RouteAnswer {
        name: name.to_string(),
        status: hub.route_status(name, route.paused),
        forced: hub.catalog.forced(name, &route),
        document: route.document,
        paused: route.paused,
        activation: route.activation,
        history: Arc::unwrap_or_clone(route.history),
    }
}

/// Why a route is rolled back.
#[derive(Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBackRouteRequest {
    /// Kept in the route's history.
    #[serde(default)]
    reason: String,
}

/// All routes.
#[utoipa::path(get, path = "/v1/routes", tag = "routes", operation_id = "list_routes",
    responses((status = 200, body = RouteList)))]
pub(super) async fn list(State(hub): Shared) -> Answer<RouteList> {
    let routes = hub.catalog.routes().into_iter().map(|(name, route)| {
        let history = Arc::default();
        answer(&hub, &name, crate::catalog::Route { history, ..route })
    });
    Answer(RouteList {
        routes: routes.collect(),
    })
}

/// Makes a route, or changes one; a change takes effect between two batches. Where steps or targets are
/// new, the activation gate runs the plugins before: on inputs made from the contract of the source, and on
/// its last events.
#[utoipa::path(put, path = "/v1/routes/{route}", tag = "routes", operation_id = "put_route",
    params(("route" = String, Path), ActivationQuery),
    request_body = RouteDocument,
    responses(
        (status = 201, description = "Made and running", body = RouteAnswer),
        (status = 200, description = "Was there; now as asked", body = RouteAnswer),
        (status = 409, description = "route-source-fixed, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, route-circle, plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    caller: Caller,
    Path(route): Path<String>,
    Params(query): Params<ActivationQuery>,
    Json(document): Json<RouteDocument>,
) -> Result<(StatusCode, Answer<RouteAnswer>), Problem> {
    let asking = query.asked_by(caller);
    let (name, put) = hub.put_route(route, document, asking).await?;
    let (name, route) = hub.catalog.route(name.as_str())?;
    Ok((status(put), Answer(answer(&hub, &name, route))))
}

/// One route.
#[utoipa::path(get, path = "/v1/routes/{route}", tag = "routes", operation_id = "get_route",
    params(("route" = String, Path)),
    responses(
        (status = 200, body = RouteAnswer),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<Answer<RouteAnswer>, Problem> {
    let (name, route) = hub.catalog.route(&route)?;
    Ok(Answer(answer(&hub, &name, route)))
}

/// Has a route run what it ran before its last change, between two batches. Done twice, it leads back again.
#[utoipa::path(post, path = "/v1/routes/{route}/rollback", tag = "routes", operation_id = "roll_back_route",
    params(("route" = String, Path), ForceQuery),
    request_body = RollBackRouteRequest,
    responses(
        (status = 200, body = RouteAnswer),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "nothing-to-roll-back, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, route-circle, plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn roll_back(
    State(hub): Shared,
    caller: Caller,
    Path(route): Path<String>,
    Params(query): Params<ForceQuery>,
    JsonOrNothing(request): JsonOrNothing<RollBackRouteRequest>,
) -> Result<Answer<RouteAnswer>, Problem> {
    let asking = Asking {
        because: caller.because(request.reason),
        force: query.force,
    };
    let (name, _) = hub.roll_back_route(route, asking).await?;
    let (name, route) = hub.catalog.route(name.as_str())?;
    Ok(Answer(answer(&hub, &name, route)))
}

/// What the activation gate says of a route, or of a change to one. Nothing is changed, whatever it says.
#[utoipa::path(post, path = "/v1/routes/{route}/gate", tag = "routes", operation_id = "check_route",
    params(("route" = String, Path)),
    request_body = GateRequest,
    responses(
        (status = 200, description = "What was found; `outcome` says whether it would be refused", body = GateReport),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "route-source-fixed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-document, route-circle, plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn gate(
    State(hub): Shared,
    Path(route): Path<String>,
    JsonOrNothing(request): JsonOrNothing<GateRequest>,
) -> Result<Answer<GateReport>, Problem> {
    hub.ask_gate(route, request).await.map(Answer)
}

/// Stops a route and forgets how far it came. What it wrote stays.
#[utoipa::path(delete, path = "/v1/routes/{route}", tag = "routes", operation_id = "delete_route",
    params(("route" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<StatusCode, Problem> {
    hub.delete_route(route).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pauses a route after the batch it is at. Publishing goes on.
#[utoipa::path(post, path = "/v1/routes/{route}/pause", tag = "routes", operation_id = "pause_route",
    params(("route" = String, Path)),
    responses(
        (status = 200, body = RouteAnswer),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn pause(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<Answer<RouteAnswer>, Problem> {
    set_paused(hub, route, true).await
}

/// Lets a paused route go on where it stopped.
#[utoipa::path(post, path = "/v1/routes/{route}/resume", tag = "routes", operation_id = "resume_route",
    params(("route" = String, Path)),
    responses(
        (status = 200, body = RouteAnswer),
        (status = 404, description = "unknown-route", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn resume(
    State(hub): Shared,
    Path(route): Path<String>,
) -> Result<Answer<RouteAnswer>, Problem> {
    set_paused(hub, route, false).await
}

async fn set_paused(
    hub: std::sync::Arc<crate::hub::Hub>,
    route: String,
    paused: bool,
) -> Result<Answer<RouteAnswer>, Problem> {
    let (name, route) = hub.set_route_paused(route, paused).await?;
    Ok(Answer(answer(&hub, &name, route)))
}
