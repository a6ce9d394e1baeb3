//! Probes, metrics and documents.

use std::sync::Arc;

use axum::{
    Json as Answer,
    extract::{MatchedPath, Path, Request, State},
    http::{HeaderMap, StatusCode, header, uri::Authority},
    middleware::Next,
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Shared, refusal::ProblemDocument};
use crate::{
    clock,
    describe::{self, Defined},
    hub::Hub,
    problem::{Code, Problem},
};

/// The hub at a glance.
#[derive(Serialize, ToSchema)]
pub(super) struct StatusAnswer {
    version: String,
    /// RFC 3339.
    started: String,
    uptime_seconds: u64,
    data_folder: String,
    topics: usize,
    contracts: usize,
    plugins: usize,
    routes: usize,
}

/// The hub at a glance.
#[utoipa::path(get, path = "/v1/status", tag = "system", operation_id = "status",
    responses((status = 200, body = StatusAnswer)))]
pub(super) async fn status(State(hub): Shared) -> Answer<StatusAnswer> {
    Answer(StatusAnswer {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        started: clock::to_text(hub.started),
        uptime_seconds: clock::now().saturating_sub(hub.started) / 1000,
        data_folder: hub.config.data.display().to_string(),
        topics: hub.catalog.topics().len(),
        contracts: hub.catalog.contracts().len(),
        plugins: hub.catalog.plugins().len(),
        routes: hub.catalog.routes().len(),
    })
}

/// Whether the process lives.
#[utoipa::path(get, path = "/healthz", tag = "system", operation_id = "healthz",
    responses((status = 200, description = "It does", body = String, content_type = "text/plain")))]
pub(super) async fn healthz() -> &'static str {
    "ok\n"
}

/// Whether the hub takes events.
#[utoipa::path(get, path = "/readyz", tag = "system", operation_id = "readyz",
    responses(
        (status = 200, description = "It does", body = String, content_type = "text/plain"),
        (status = 503, description = "stopping, log-stopped", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn readyz(State(hub): Shared) -> Result<&'static str, Problem> {
    if hub.stopping.is_cancelled() {
        return Err(Problem::new(Code::Stopping, "the hub is shutting down"));
    }
    hub.ready()?;
    Ok("ready\n")
}

/// Counters and histograms in the Prometheus text format.
#[utoipa::path(get, path = "/metrics", tag = "system", operation_id = "metrics",
    responses((status = 200, description = "OpenMetrics text", body = String, content_type = "application/openmetrics-text")))]
pub(super) async fn metrics(State(hub): Shared) -> Result<impl IntoResponse, Problem> {
    let text = hub.blocking(|hub| Ok(hub.metrics_text())).await?;
    let media_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    Ok(([(header::CONTENT_TYPE, media_type)], text))
}

/// What a problem means and what to do about it.
#[utoipa::path(get, path = "/problems/{code}", tag = "system", operation_id = "problem",
    params(("code" = String, Path)),
    responses(
        (status = 200, description = "A page of plain text", body = String, content_type = "text/plain"),
        (status = 404, description = "not-found", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn problem_page(Path(code): Path<String>) -> Result<String, Problem> {
    let found = Code::ALL.iter().find(|known| known.as_str() == code);
    let found = found
        .ok_or_else(|| Problem::new(Code::NotFound, format!("there is no problem {code:?}")))?;
    Ok(format!(
        "{} ({})\n{}\n\nWhat to do: {}\n",
        found.as_str(),
        found.status(),
        found.title(),
        found.advice()
    ))
}

/// The AsyncAPI 3.0 document of this hub: topics as channels, contracts as messages, routes and
/// subscriptions as operations.
#[utoipa::path(get, path = "/asyncapi.json", tag = "system", operation_id = "asyncapi",
    responses((status = 200, description = "As it is now", body = Object)))]
pub(super) async fn asyncapi(
    State(hub): Shared,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let text = hub.blocking(move |hub| {
        let document = describe::asyncapi(&defined(hub, &headers));
        Ok(format!("{document:#}\n"))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], text.await?))
}

/// The calls, with the events of this hub's topics.
pub(super) async fn openapi_document(
    State(hub): Shared,
    headers: HeaderMap,
) -> Result<impl IntoResponse, Problem> {
    let text = hub.blocking(move |hub| {
        let mut document = super::openapi_value();
        describe::with_events(&mut document, &defined(hub, &headers));
        Ok(format!("{document:#}\n"))
    });
    Ok(([(header::CONTENT_TYPE, "application/json")], text.await?))
}

fn defined(hub: &Hub, headers: &HeaderMap) -> Defined {
    Defined::of(&hub.catalog, host(hub, headers))
}

/// Where the caller reached the hub; else where it listens.
fn host(hub: &Hub, headers: &HeaderMap) -> String {
    let asked = headers
        .get(header::HOST)
        .and_then(|value| value.to_str().ok());
    let asked = asked.and_then(|text| text.parse::<Authority>().ok());
    // Without what comes before an @: it has no meaning in Host.
    asked.map_or_else(
        || hub.config.listen.to_string(),
        |authority| match authority.port() {
            Some(port) => format!("{}:{port}", authority.host()),
            None => authority.host().to_owned(),
        },
    )
}

pub(super) async fn index() -> &'static str {
    concat!(
        "Sandbar ",
        env!("CARGO_PKG_VERSION"),
        "\n\n",
        "/v1/status     the hub at a glance\n",
        "/v1/topics     topics, and their events under /v1/topics/{topic}/events\n",
        "/v1/routes     routes and how they are doing\n",
        "/v1/plugins    plugins\n",
        "/v1/contracts  contracts\n",
        "/v1/dead-letters  events that could not be processed\n",
        "/metrics       Prometheus\n",
        "/openapi.json  every call, and the events of topics with a contract\n",
        "/asyncapi.json  topics, contracts, routes and subscriptions as AsyncAPI\n",
    )
}

/// Counts every request by its template.
pub(super) async fn count_request(
    State(hub): State<Arc<Hub>>,
    matched: Option<MatchedPath>,
    request: Request,
    next: Next,
) -> Response {
    let method = request.method().to_string();
    let path = matched.map_or_else(|| "(none)".to_owned(), |path| path.as_str().to_owned());
    let response = next.run(request).await;
    let status: StatusCode = response.status();
    hub.metrics.request(&method, &path, status.as_u16());
    response
}
