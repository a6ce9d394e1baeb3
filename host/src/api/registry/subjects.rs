//! Subjects: listed, looked into, deleted.

use axum::extract::{Path, Query, State};
use sandbar_types::Name;
use serde::Deserialize;
use utoipa::IntoParams;

use super::{
    document::{Answer, Outcome, Page, SchemaRequest, Sent, Shown, SubjectVersion, flag, which},
    error::RegistryError,
};
use crate::{api::Shared, catalog::Which, hub::Hub};

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct SubjectsQuery {
    subject_prefix: Option<String>,
    /// Those that are deleted softly, too.
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    /// Those that are deleted softly, and no others.
    #[serde(default, deserialize_with = "flag")]
    deleted_only: bool,
    offset: Option<u32>,
    limit: Option<i64>,
}

/// What a prefix stands for: subjects of other contexts there are none.
pub(super) fn prefix_of(given: Option<&str>) -> &str {
    match given.unwrap_or("") {
        ":*:" => "",
        other => other.strip_prefix(":.:").unwrap_or(other),
    }
}

/// All subjects.
#[utoipa::path(get, path = "/registry/subjects", tag = "registry", operation_id = "registry_list_subjects",
    params(SubjectsQuery),
    responses((status = 200, body = Vec<String>, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn list(
    State(hub): Shared,
    Query(query): Query<SubjectsQuery>,
) -> Outcome<Vec<String>> {
    let mut names = hub.catalog.names(which(query.deleted, query.deleted_only));
    if query.deleted_only {
        // A subject counts as deleted when none of its versions is left.
        names.retain(|name| hub.catalog.versions(name, Which::Present).is_empty());
    }
    let prefix = prefix_of(query.subject_prefix.as_deref());
    let subjects = names.iter().map(|name| hub.catalog.subject_of(name));
    let page = Page {
        offset: query.offset,
        limit: query.limit,
    };
    Ok(Answer(page.of(
        subjects.filter(|subject| subject.starts_with(prefix)),
    )))
}

/// The contract of a subject.
pub(super) fn name_of(hub: &Hub, subject: &str) -> Result<Name, RegistryError> {
    let name = hub.catalog.name_of_subject(subject);
    name.ok_or_else(|| RegistryError::invalid_subject(subject))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct LookUpQuery {
    /// By the normal form, where no version is the same to the letter.
    #[serde(default, deserialize_with = "flag")]
    normalize: bool,
    /// Among those that are deleted softly, too.
    #[serde(default, deserialize_with = "flag")]
    deleted: bool,
    /// How the schema is shown.
    #[serde(default)]
    #[param(inline)]
    format: Shown,
}

/// The version of a subject with this schema.
#[utoipa::path(post, path = "/registry/subjects/{subject}", tag = "registry", operation_id = "registry_look_up",
    params(("subject" = String, Path), LookUpQuery),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = SubjectVersion, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40403 it has no such schema", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42201 the schema is not valid", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn look_up(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<LookUpQuery>,
    Sent(request): Sent<SchemaRequest>,
) -> Outcome<SubjectVersion> {
    let name = name_of(&hub, &subject)?;
    let which = which(query.deleted, false);
    if hub.catalog.versions(&name, which).is_empty() {
        return Err(RegistryError::unknown_subject(&subject));
    }
    let definition = request.definition(&hub)?;
    let normalize = query.normalize || hub.catalog.normalizes(&name);
    let found = hub
        .blocking(move |hub| hub.catalog.find_same(&name, definition, normalize, which))
        .await?;
    let (bound, deleted) = found.ok_or_else(RegistryError::unknown_schema)?;
    Ok(Answer(SubjectVersion::of(
        &hub,
        &bound,
        deleted,
        query.format,
    )))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct DeleteQuery {
    /// For good; what is deleted so must be deleted softly before.
    #[serde(default, deserialize_with = "flag")]
    pub permanent: bool,
}

/// Deletes a subject: its versions are no longer listed or compared with, and still found by id. With
/// `permanent`, after that, for good. Numbers and ids are not used again.
#[utoipa::path(delete, path = "/registry/subjects/{subject}", tag = "registry", operation_id = "registry_delete_subject",
    params(("subject" = String, Path), DeleteQuery),
    responses(
        (status = 200, description = "The numbers of the versions", body = Vec<u32>, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40404 it is deleted softly, 40405 it is not yet", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42205 the mode does not allow it, 42206 it is in use", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<DeleteQuery>,
) -> Outcome<Vec<u32>> {
    let name = name_of(&hub, &subject)?;
    let of = |which| {
        let versions = hub.catalog.versions(&name, which);
        versions
            .into_iter()
            .map(|(bound, _)| bound)
            .collect::<Vec<_>>()
    };
    let (present, withdrawn) = (of(Which::Present), of(Which::Withdrawn));
    let chosen = match (present.is_empty(), withdrawn.is_empty(), query.permanent) {
        (true, true, _) => return Err(RegistryError::unknown_subject(&subject)),
        (true, false, false) => return Err(RegistryError::withdrawn_subject(&subject)),
        (false, _, true) => return Err(RegistryError::present_subject(&subject)),
        (false, _, false) => present,
        (true, false, true) => withdrawn,
    };
    let numbers = chosen.iter().map(|bound| bound.version).collect();
    hub.blocking(move |hub| {
        if query.permanent {
            hub.catalog.delete_withdrawn(&chosen)
        } else {
            hub.catalog.withdraw(&chosen)
        }
    })
    .await?;
    Ok(Answer(numbers))
}
