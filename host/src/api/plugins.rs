//! Plugins over HTTP.

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::{HeaderMap, StatusCode, header},
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Shared,
    extract::{Body, Json},
    refusal::ProblemDocument,
    topics::status,
};
use crate::{
    catalog::{Grant, PluginRecord, StepLimits},
    hub::{Trial, TrialRequest},
    problem::{Code, Problem},
};

#[derive(Serialize, ToSchema)]
pub(super) struct PluginList {
    plugins: Vec<PluginEntry>,
}

/// A version as it is listed.
#[derive(Serialize, ToSchema)]
pub(super) struct PluginEntry {
    #[serde(flatten)]
    record: PluginRecord,
    /// Where it is in use though the activation gate refused it: routes and channels.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    forced: Vec<String>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct PluginVersions {
    versions: Vec<PluginRecord>,
}

/// All plugin versions.
#[utoipa::path(get, path = "/v1/plugins", tag = "plugins", operation_id = "list_plugins",
    responses((status = 200, body = PluginList)))]
pub(super) async fn list(State(hub): Shared) -> Answer<PluginList> {
    let entries = hub.catalog.plugins().into_iter().map(|record| PluginEntry {
        forced: hub.catalog.forced_uses(&record.reference()),
        record,
    });
    Answer(PluginList {
        plugins: entries.collect(),
    })
}

/// The versions of a plugin.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions", tag = "plugins", operation_id = "list_plugin_versions",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = PluginVersions),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn versions(
    State(hub): Shared,
    Path(name): Path<String>,
) -> Result<Answer<PluginVersions>, Problem> {
    let versions: Vec<_> = hub
        .catalog
        .plugins()
        .into_iter()
        .filter(|one| one.name == name)
        .collect();
    if versions.is_empty() {
        return Err(Problem::new(
            Code::UnknownPlugin,
            format!("there is no plugin {name:?}"),
        ));
    }
    Ok(Answer(PluginVersions { versions }))
}

/// Uploads a version: a component, or a core module that the hub wraps. Versions never change.
#[utoipa::path(put, path = "/v1/plugins/{name}/versions/{version}", tag = "plugins", operation_id = "upload_plugin",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body(content_type = "application/wasm", content = Vec<u8>),
    responses(
        (status = 201, description = "Taken and compiled", body = PluginRecord),
        (status = 200, description = "The same bytes were there", body = PluginRecord),
        (status = 409, description = "version-taken", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 413, description = "body-too-large", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 415, description = "unsupported-media-type", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-plugin: names what does not fit", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn upload(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
    headers: HeaderMap,
    Body(body): Body,
) -> Result<(StatusCode, Answer<PluginRecord>), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if given != "application/wasm" {
        let detail = format!("Content-Type is {given:?}; an upload is application/wasm");
        return Err(Problem::new(Code::UnsupportedMediaType, detail)
            .help("Send the header 'Content-Type: application/wasm' and the module's bytes (curl: --data-binary @FILE)."));
    }
    let (record, put) = hub.upload_plugin(name, version, body).await?;
    Ok((status(put), Answer(record)))
}

/// One version.
#[utoipa::path(get, path = "/v1/plugins/{name}/versions/{version}", tag = "plugins", operation_id = "get_plugin",
    params(("name" = String, Path), ("version" = String, Path)),
    responses(
        (status = 200, body = PluginRecord),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Answer<PluginRecord>, Problem> {
    hub.catalog
        .plugin(&name, &version)
        .map(|found| Answer(found.record))
}

/// Deletes a version that no route uses.
#[utoipa::path(delete, path = "/v1/plugins/{name}/versions/{version}", tag = "plugins", operation_id = "delete_plugin",
    params(("name" = String, Path), ("version" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "plugin-in-use, plugin-bundled", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    hub.blocking(move |hub| {
        hub.catalog
            .delete_plugin(&name, &version, &hub.processor.running_plugins())?;
        let reference = format!("{name}@{version}");
        hub.processor.guest_logs().forget(&reference);
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT)
}

#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct TryRequest {
    /// Events in the CloudEvents JSON format; at most 1000, or 16 where the plugin asks other services.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Box<serde_json::value::RawValue>>,
    /// As a step's `config`.
    #[serde(default)]
    config: serde_json::Value,
    /// The targets that the plugin may name; default: one, `output`.
    #[serde(default)]
    targets: Vec<String>,
    #[serde(default)]
    grants: Vec<Grant>,
    #[serde(default)]
    limits: StepLimits,
}

/// Runs a version on given events; nothing is stored.
#[utoipa::path(post, path = "/v1/plugins/{name}/versions/{version}/try", tag = "plugins", operation_id = "try_plugin",
    params(("name" = String, Path), ("version" = String, Path)),
    request_body = TryRequest,
    responses(
        (status = 200, description = "Verdicts, outputs, logs, time and memory", body = Trial),
        (status = 404, description = "unknown-plugin", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-event, plugin-config-refused, grant-missing", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn try_out(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
    Json(request): Json<TryRequest>,
) -> Result<Answer<Trial>, Problem> {
    let request = TrialRequest {
        events: request.events,
        config: request.config,
        targets: request.targets,
        grants: request.grants,
        limits: request.limits,
    };
    hub.try_plugin(&name, &version, request).await.map(Answer)
}
