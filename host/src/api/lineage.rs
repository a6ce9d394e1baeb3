//! The way of an event over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
};

use super::{Shared, refusal::ProblemDocument};
use crate::{deliver::Lineage, problem::Problem};

/// Where an event came from, and what became of it on each route.
#[utoipa::path(get, path = "/v1/events/{topic}/{partition}/{offset}/lineage", tag = "events", operation_id = "lineage",
    params(("topic" = String, Path), ("partition" = u32, Path), ("offset" = u64, Path)),
    responses(
        (status = 200, body = Lineage),
        (status = 404, description = "unknown-topic, unknown-event", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((topic, partition, offset)): Path<(String, u32, u64)>,
) -> Result<Answer<Lineage>, Problem> {
    hub.lineage(topic, partition, offset).await.map(Answer)
}
