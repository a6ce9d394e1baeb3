//! What plugins logged, over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
};
use sandbar_plugin::Level;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{Shared, extract::Params, refusal::ProblemDocument};
use crate::{
    problem::{Code, Problem},
    process::{GuestLines, WantedLines},
};

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct LogQuery {
    /// `trace` (default), `debug`, `info`, `warn` or `error`: this level and those above it.
    level: Option<String>,
    /// Only lines of this route.
    route: Option<String>,
    /// Only lines with a greater `number`.
    after: Option<u64>,
    /// The newest that many: 1 to 1000, default 100.
    limit: Option<usize>,
}

/// What a plugin version logged on routes, each line with the event that it belongs to. The last
/// 1000 lines are kept, in memory; a plugin version may write 100 lines a second, 200 at once, and
/// what is left out is counted and told.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions/{version}/logs", tag = "plugins", operation_id = "plugin_logs",
    params(("name" = String, Path), ("version" = String, Path), LogQuery),
    responses(
        (status = 200, body = GuestLines),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 400, description = "malformed-request", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
    Params(query): Params<LogQuery>,
) -> Result<Answer<GuestLines>, Problem> {
    let plugin = hub.catalog.plugin(&name, &version)?.record.reference();
    let asked = query.level.as_deref().unwrap_or("trace");
    let level = Level::ALL.into_iter().find(|level| level.as_str() == asked);
    let level = level.ok_or_else(|| {
        let known = Level::ALL.map(Level::as_str).join(", ");
        Problem::new(
            Code::MalformedRequest,
            format!("level={asked} is not one of {known}"),
        )
    })?;
    let limit = query.limit.unwrap_or(100);
    if !(1..=1000).contains(&limit) {
        return Err(Problem::new(
            Code::MalformedRequest,
            format!("limit={limit} is not within 1 to 1000"),
        ));
    }
    let wanted = WantedLines {
        level,
        route: query.route.as_deref(),
        after: query.after.unwrap_or(0),
        limit,
    };
    Ok(Answer(hub.processor.guest_logs().read(&plugin, &wanted)))
}
