//! Schemas by id, and all of them.

use axum::{
    extract::{Path, Query, State},
    http::{HeaderValue, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    MEDIA_TYPE,
    document::{Answer, Outcome, Page, SchemaString, SchemaType, Shown, SubjectVersion, which},
    error::RegistryError,
    subjects::prefix_of,
};
use crate::{api::Shared, catalog::Which};

/// A schema's text as it stands, not in quotes.
pub(super) fn text_answer(text: String) -> Response {
    let mut response = text.into_response();
    let media_type = HeaderValue::from_static(MEDIA_TYPE);
    response
        .headers_mut()
        .insert(header::CONTENT_TYPE, media_type);
    response
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct SchemasQuery {
    subject_prefix: Option<String>,
    #[serde(default)]
    deleted: bool,
    /// Of each subject the latest version alone.
    #[serde(default)]
    latest_only: bool,
    offset: Option<u32>,
    limit: Option<i64>,
}

/// The versions of all subjects.
#[utoipa::path(get, path = "/registry/schemas", tag = "registry", operation_id = "registry_list_schemas",
    params(SchemasQuery),
    responses((status = 200, body = Vec<SubjectVersion>, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn list(
    State(hub): Shared,
    Query(query): Query<SchemasQuery>,
) -> Outcome<Vec<SubjectVersion>> {
    let which = which(query.deleted, false);
    let prefix = prefix_of(query.subject_prefix.as_deref());
    let names = hub.catalog.names(which);
    let named = names
        .iter()
        .filter(|name| hub.catalog.subject_of(name).starts_with(prefix));
    let versions = named.flat_map(|name| {
        let mut versions = hub.catalog.versions(name, which);
        if query.latest_only {
            versions.drain(..versions.len().saturating_sub(1));
        }
        versions
    });
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    let shown = page
        .of(versions)
        .into_iter()
        .map(|(bound, deleted)| SubjectVersion::of(&hub, &bound, deleted, Shown::Default));
    Ok(Answer(shown.collect()))
}

/// The languages that schemas may be written in.
#[utoipa::path(get, path = "/registry/schemas/types", tag = "registry", operation_id = "registry_schema_types",
    responses((status = 200, body = Vec<SchemaType>, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn types() -> Answer<[SchemaType; 3]> {
    Answer([SchemaType::Json, SchemaType::Protobuf, SchemaType::Avro])
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct IdQuery {
    /// Taken and not looked at: there is one context.
    #[serde(rename = "subject")]
    _subject: Option<String>,
    /// How the schema is shown: as it was registered, `resolved` (Avro) or `serialized` (Protobuf).
    #[serde(default)]
    #[param(inline)]
    format: Shown,
    /// Also the highest id that there is.
    #[serde(default)]
    fetch_max_id: bool,
}

/// The schema with an id, also when it is deleted softly.
#[utoipa::path(get, path = "/registry/schemas/ids/{id}", tag = "registry", operation_id = "registry_schema_by_id",
    params(("id" = u32, Path), IdQuery),
    responses(
        (status = 200, body = SchemaString, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40403 no such schema", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn by_id(
    State(hub): Shared,
    Path(id): Path<u32>,
    Query(query): Query<IdQuery>,
) -> Outcome<SchemaString> {
    let holders = hub.catalog.holders(id);
    let Some((bound, _)) = holders.first() else {
        return Err(RegistryError::unknown_id(id));
    };
    let mut schema = SchemaString::of(&hub, bound, query.format);
    schema.max_id = query.fetch_max_id.then(|| hub.catalog.last_id());
    Ok(Answer(schema))
}

/// The text of the schema with an id and nothing else.
#[utoipa::path(get, path = "/registry/schemas/ids/{id}/schema", tag = "registry", operation_id = "registry_schema_text_by_id",
    params(("id" = u32, Path), IdQuery),
    responses(
        (status = 200, body = String, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40403 no such schema", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn text_by_id(
    State(hub): Shared,
    Path(id): Path<u32>,
    Query(query): Query<IdQuery>,
) -> Response {
    match hub.catalog.holders(id).first() {
        Some((bound, _)) => text_answer(SchemaString::of(&hub, bound, query.format).text()),
        None => RegistryError::unknown_id(id).into_response(),
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct HoldersQuery {
    /// This subject alone.
    subject: Option<String>,
    #[serde(default)]
    deleted: bool,
    offset: Option<u32>,
    limit: Option<i64>,
}

/// The subjects that have the schema with an id.
#[utoipa::path(get, path = "/registry/schemas/ids/{id}/subjects", tag = "registry", operation_id = "registry_schema_subjects",
    params(("id" = u32, Path), HoldersQuery),
    responses(
        (status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40403 no such schema", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn subjects(
    State(hub): Shared,
    Path(id): Path<u32>,
    Query(query): Query<HoldersQuery>,
) -> Outcome<Vec<String>> {
    let mut subjects: Vec<String> = held(&hub, id, &query)?
        .into_iter()
        .map(|one| one.subject)
        .collect();
    subjects.dedup();
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Answer(page.of(subjects)))
}

#[derive(Serialize, ToSchema)]
pub(super) struct SubjectNumber {
    subject: String,
    version: u32,
}

/// The versions of subjects that have the schema with an id.
#[utoipa::path(get, path = "/registry/schemas/ids/{id}/versions", tag = "registry", operation_id = "registry_schema_versions",
    params(("id" = u32, Path), HoldersQuery),
    responses(
        (status = 200, body = Vec<SubjectNumber>, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40403 no such schema", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn versions(
    State(hub): Shared,
    Path(id): Path<u32>,
    Query(query): Query<HoldersQuery>,
) -> Outcome<Vec<SubjectNumber>> {
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Answer(page.of(held(&hub, id, &query)?)))
}

fn held(
    hub: &crate::hub::Hub,
    id: u32,
    query: &HoldersQuery,
) -> Result<Vec<SubjectNumber>, RegistryError> {
    let mut holders = hub.catalog.holders(id);
    if holders.is_empty() {
        return Err(RegistryError::unknown_id(id));
    }
    let which = which(query.deleted, false);
    holders.retain(|(_, withdrawn)| which == Which::Both || !withdrawn);
    holders.sort_by(|(one, _), (other, _)| {
        (&one.name, one.version).cmp(&(&other.name, other.version))
    });
    let all = holders.iter().map(|(bound, _)| SubjectNumber {
        subject: hub.catalog.subject_of(&bound.name),
        version: bound.version,
    });
    let wanted = query.subject.as_deref();
    Ok(all
        .filter(|one| wanted.is_none_or(|subject| one.subject == subject))
        .collect())
}
