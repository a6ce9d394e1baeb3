//! Channels of plugins over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Caller, Shared,
    extract::{Json, Params},
    refusal::ProblemDocument,
    routes::ForceQuery,
    topics::status,
};
use crate::{catalog::Channel, hub::Asking, problem::Problem};

#[derive(Serialize, ToSchema)]
pub(super) struct ChannelList {
    channels: Vec<Channel>,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct ActivateRequest {
    /// The version to be used from now on.
    version: String,
    /// Kept in the channel's history.
    #[serde(default)]
    reason: String,
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct RollBackRequest {
    /// Kept in the channel's history.
    #[serde(default)]
    reason: String,
}

/// The channels of a plugin, each with its history.
#[utoipa::path(get, path = "/v1/plugins/{name}/channels", tag = "plugins", operation_id = "list_channels",
    params(("name" = String, Path)),
    responses((status = 200, body = ChannelList)))]
pub(super) async fn list(State(hub): Shared, Path(name): Path<String>) -> Answer<ChannelList> {
    Answer(ChannelList {
        channels: hub.catalog.channels(&name),
    })
}

/// One channel.
#[utoipa::path(get, path = "/v1/plugins/{name}/channels/{channel}", tag = "plugins", operation_id = "get_channel",
    params(("name" = String, Path), ("channel" = String, Path)),
    responses(
        (status = 200, body = Channel),
        (status = 404, description = "unknown-channel", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((name, channel)): Path<(String, String)>,
) -> Result<Answer<Channel>, Problem> {
    hub.catalog.channel(&name, &channel).map(Answer)
}

/// Activates a version: the routes that name the channel take it over between two batches, or, where
/// one of them cannot run with it or the activation gate refuses it for one, nothing changes.
#[utoipa::path(put, path = "/v1/plugins/{name}/channels/{channel}", tag = "plugins", operation_id = "activate_plugin",
    params(("name" = String, Path), ("channel" = String, Path), ForceQuery),
    request_body = ActivateRequest,
    responses(
        (status = 201, description = "The channel was made", body = Channel),
        (status = 200, description = "The channel points at the version", body = Channel),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "name-taken, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-name, plugin-config-refused, grant-missing, invalid-plugin", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    caller: Caller,
    Path((name, channel)): Path<(String, String)>,
    Params(query): Params<ForceQuery>,
    Json(request): Json<ActivateRequest>,
) -> Result<(StatusCode, Answer<Channel>), Problem> {
    let asking = Asking {
        because: caller.because(request.reason),
        force: query.force,
    };
    let (channel, put) = hub
        .move_channel(name, channel, Some(request.version), asking)
        .await?;
    Ok((status(put), Answer(channel)))
}

/// Activates the version before. Done twice, it leads back again.
#[utoipa::path(post, path = "/v1/plugins/{name}/channels/{channel}/rollback", tag = "plugins", operation_id = "roll_back_plugin",
    params(("name" = String, Path), ("channel" = String, Path), ForceQuery),
    request_body = RollBackRequest,
    responses(
        (status = 200, body = Channel),
        (status = 404, description = "unknown-channel, unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "nothing-to-roll-back, activation-refused", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "plugin-config-refused, grant-missing, invalid-plugin", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn roll_back(
    State(hub): Shared,
    caller: Caller,
    Path((name, channel)): Path<(String, String)>,
    Params(query): Params<ForceQuery>,
    Json(request): Json<RollBackRequest>,
) -> Result<Answer<Channel>, Problem> {
    let asking = Asking {
        because: caller.because(request.reason),
        force: query.force,
    };
    let (channel, _) = hub.move_channel(name, channel, None, asking).await?;
    Ok(Answer(channel))
}

/// Deletes a channel that no route names.
#[utoipa::path(delete, path = "/v1/plugins/{name}/channels/{channel}", tag = "plugins", operation_id = "delete_channel",
    params(("name" = String, Path), ("channel" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-channel", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "channel-in-use", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path((name, channel)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    hub.blocking(move |hub| hub.catalog.delete_channel(&name, &channel))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}
