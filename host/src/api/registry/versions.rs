//! The versions of a subject.

use std::sync::Arc;

use axum::{
    extract::{Path, Query, State},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    document::{
        Answer, Outcome, Page, SchemaRequest, SchemaString, Sent, Shown, SubjectVersion, flag,
        which,
    },
    error::RegistryError,
    schemas::text_answer,
    subjects::{DeleteQuery, name_of},
};
use crate::{
    api::Shared,
    catalog::{BoundContract, Import, Registering, Which},
    hub::Hub,
};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct VersionsQuery {
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    #[serde(default, deserialize_with = "flag")]
    deleted_only: bool,
    offset: Option<u32>,
    limit: Option<i64>,
}

/// The numbers of a subject's versions.
#[utoipa::path(get, path = "/registry/subjects/{subject}/versions", tag = "registry", operation_id = "registry_list_versions",
    params(("subject" = String, Path), VersionsQuery),
    responses(
        (status = 200, body = Vec<u32>, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn list(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<VersionsQuery>,
) -> Outcome<Vec<u32>> {
    let name = name_of(&hub, &subject)?;
    let which = which(query.deleted, query.deleted_only);
    let versions = hub.catalog.versions(&name, which);
    if versions.is_empty() {
        return Err(RegistryError::unknown_subject(&subject));
    }
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Answer(
        page.of(versions.iter().map(|(bound, _)| bound.version)),
    ))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct RegisterQuery {
    /// Keep the normal form, and take a version that means the same for the same.
    #[serde(default, deserialize_with = "flag")]
    normalize: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Registered {
    id: u32,
}

/// Registers a version; the same schema again is the version that there is.
#[utoipa::path(post, path = "/registry/subjects/{subject}/versions", tag = "registry", operation_id = "registry_register",
    params(("subject" = String, Path), RegisterQuery),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = Registered, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 409, description = "409 not compatible with an earlier version", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42201 the schema is not valid, 42205 the mode does not allow it, 42207 the id belongs to another schema, 42208 no contract can have the subject's name", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn register(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<RegisterQuery>,
    Sent(request): Sent<SchemaRequest>,
) -> Outcome<Registered> {
    let name = name_of(&hub, &subject)?;
    let number = |given: Option<i64>, what: &str| match given {
        None | Some(-1 | 0) => Ok(None),
        Some(given) => match u32::try_from(given) {
            Ok(number) if number <= i32::MAX as u32 => Ok(Some(number)),
            _ => Err(RegistryError::new(42202, format!("{given} is no {what}"))),
        },
    };
    let id = number(request.id, "id")?;
    let version = number(request.version, "version")?;
    let registering = Registering {
        accept_unknown: false,
        normalize: query.normalize || hub.catalog.normalizes(&name),
        import: id.map(|id| Import { id, version }),
    };
    let definition = request.definition(&hub)?;
    let wanted = name.clone();
    let registered = hub
        .blocking(move |hub| {
            hub.catalog
                .register(wanted.as_str(), definition, registering)
        })
        .await;
    let (bound, _) = registered.map_err(|problem| {
        let (rule, _) = hub.catalog.rule_and_policy(&name);
        RegistryError::of_registering(&subject, rule, problem)
    })?;
    Ok(Answer(Registered { id: bound.id }))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct VersionQuery {
    /// Also when it is deleted softly.
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    /// How the schema is shown: as it was registered, `resolved` (Avro) or `serialized` (Protobuf).
    #[serde(default)]
    #[param(inline)]
    format: Shown,
}

/// A version of a subject: a number, `latest`, or -1.
pub(super) fn find(
    hub: &Hub,
    subject: &str,
    version: &str,
    which: Which,
) -> Result<(Arc<BoundContract>, bool), RegistryError> {
    let number = match version {
        "latest" | "-1" => None,
        other => match other.parse::<u32>() {
            Ok(number) if (1..=i32::MAX as u32).contains(&number) => Some(number),
            _ => return Err(RegistryError::invalid_version(version)),
        },
    };
    let name = name_of(hub, subject)?;
    let versions = hub.catalog.versions(&name, which);
    if versions.is_empty() {
        return Err(RegistryError::unknown_subject(subject));
    }
    let found = match number {
        None => versions.last(),
        Some(number) => versions.iter().find(|(bound, _)| bound.version == number),
    };
    found
        .cloned()
        .ok_or_else(|| RegistryError::unknown_version(version))
}

/// One version: a number, `latest` or -1.
#[utoipa::path(get, path = "/registry/subjects/{subject}/versions/{version}", tag = "registry", operation_id = "registry_get_version",
    params(("subject" = String, Path), ("version" = String, Path), VersionQuery),
    responses(
        (status = 200, body = SubjectVersion, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40402 no such version", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42202 no version can have this number", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(query): Query<VersionQuery>,
) -> Outcome<SubjectVersion> {
    let (bound, deleted) = find(&hub, &subject, &version, which(query.deleted, false))?;
    Ok(Answer(SubjectVersion::of(
        &hub,
        &bound,
        deleted,
        query.format,
    )))
}

/// The schema of a version and nothing else.
#[utoipa::path(get, path = "/registry/subjects/{subject}/versions/{version}/schema", tag = "registry", operation_id = "registry_get_version_schema",
    params(("subject" = String, Path), ("version" = String, Path), VersionQuery),
    responses(
        (status = 200, body = String, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40402 no such version", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn schema(
    State(hub): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(query): Query<VersionQuery>,
) -> Response {
    match find(&hub, &subject, &version, which(query.deleted, false)) {
        Ok((bound, _)) => text_answer(SchemaString::of(&hub, &bound, query.format).text()),
        Err(error) => error.into_response(),
    }
}

/// The ids of the schemas that refer to a version.
#[utoipa::path(get, path = "/registry/subjects/{subject}/versions/{version}/referencedby", tag = "registry", operation_id = "registry_referenced_by",
    params(("subject" = String, Path), ("version" = String, Path)),
    responses(
        (status = 200, body = Vec<u32>, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40402 no such version", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn referenced_by(
    State(hub): Shared,
    Path((subject, version)): Path<(String, String)>,
) -> Outcome<Vec<u32>> {
    let (bound, _) = find(&hub, &subject, &version, Which::Both)?;
    let referrers = hub.catalog.referrers(&bound);
    let mut ids: Vec<u32> = referrers.iter().map(|one| one.id).collect();
    ids.sort_unstable();
    ids.dedup();
    Ok(Answer(ids))
}

/// Deletes a version: it is no longer listed or compared with, and still found by id. With `permanent`,
/// after that, for good.
#[utoipa::path(delete, path = "/registry/subjects/{subject}/versions/{version}", tag = "registry", operation_id = "registry_delete_version",
    params(("subject" = String, Path), ("version" = String, Path), DeleteQuery),
    responses(
        (status = 200, description = "The number of the version", body = u32, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40402 no such version, 40406 it is deleted softly, 40407 it is not yet", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42205 the mode does not allow it, 42206 it is in use", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(query): Query<DeleteQuery>,
) -> Outcome<u32> {
    let latest = matches!(version.as_str(), "latest" | "-1");
    let which = if latest && !query.permanent {
        Which::Present
    } else {
        Which::Both
    };
    let (bound, withdrawn) = find(&hub, &subject, &version, which)?;
    let number = bound.version;
    match (withdrawn, query.permanent) {
        (true, false) => return Err(RegistryError::withdrawn_version(&subject, number)),
        (false, true) => return Err(RegistryError::present_version(&subject, number)),
        _ => {}
    }
    hub.blocking(move |hub| {
        if query.permanent {
            hub.catalog.delete_withdrawn(&[bound])
        } else {
            hub.catalog.withdraw(&[bound])
        }
    })
    .await?;
    Ok(Answer(number))
}
