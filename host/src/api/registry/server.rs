//! What clients ask about the registry itself.

use axum::extract::Query;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::document::{Answer, Outcome, Page};

#[derive(Serialize, ToSchema)]
pub(super) struct Nothing {}

/// An empty document: the registry is there.
#[utoipa::path(get, path = "/registry", tag = "registry", operation_id = "registry_root",
    responses((status = 200, body = Nothing, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn root() -> Answer<Nothing> {
    Answer(Nothing {})
}

#[derive(Serialize, ToSchema)]
pub(super) struct ServerId {
    scope: Scope,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Scope {
    path: Vec<String>,
    clusters: std::collections::BTreeMap<String, String>,
}

/// Which registry this is. There is one in a hub.
#[utoipa::path(get, path = "/registry/v1/metadata/id", tag = "registry", operation_id = "registry_id",
    responses((status = 200, body = ServerId, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn metadata_id() -> Answer<ServerId> {
    let clusters = [("schema-registry-cluster".to_owned(), "sandbar".to_owned())];
    Answer(ServerId {
        scope: Scope {
            path: Vec::new(),
            clusters: clusters.into(),
        },
    })
}

#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ServerVersion {
    version: String,
    commit_id: String,
}

/// The version of the hub.
#[utoipa::path(get, path = "/registry/v1/metadata/version", tag = "registry", operation_id = "registry_version",
    responses((status = 200, body = ServerVersion, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn metadata_version() -> Answer<ServerVersion> {
    Answer(ServerVersion {
        version: env!("CARGO_PKG_VERSION").to_owned(),
        commit_id: String::new(),
    })
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ContextsQuery {
    offset: Option<u32>,
    limit: Option<i64>,
}

/// The contexts: the default one.
#[utoipa::path(get, path = "/registry/contexts", tag = "registry", operation_id = "registry_contexts",
    params(ContextsQuery),
    responses((status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn contexts(Query(query): Query<ContextsQuery>) -> Outcome<Vec<String>> {
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Answer(page.of([".".to_owned()])))
}
