//! Modes: whether versions may be registered and deleted, and how.

use axum::extract::{Path, Query, State};
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    config::ConfigQuery,
    document::{Answer, Outcome, Sent},
    error::RegistryError,
    subjects::name_of,
};
use crate::{api::Shared, catalog::Mode, hub::Hub};

/// READWRITE, READONLY, READONLY_OVERRIDE or IMPORT.
#[derive(Serialize, Deserialize, ToSchema)]
pub(super) struct ModeDocument {
    mode: String,
}

impl ModeDocument {
    fn of(mode: Mode) -> Self {
        Self {
            mode: mode.as_str().to_owned(),
        }
    }

    fn mode(&self) -> Result<Mode, RegistryError> {
        let all = [
            Mode::ReadWrite,
            Mode::ReadOnly,
            Mode::ReadOnlyOverride,
            Mode::Import,
        ];
        let found = all
            .into_iter()
            .find(|mode| mode.as_str().eq_ignore_ascii_case(&self.mode));
        found.ok_or_else(|| {
            let known = all.map(Mode::as_str).join(", ");
            let message = format!("Invalid mode {:?}. Valid values are {known}", self.mode);
            RegistryError::new(42204, message)
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct ModeQuery {
    /// IMPORT also where there are versions.
    #[serde(default)]
    force: bool,
}

async fn set(
    hub: std::sync::Arc<Hub>,
    name: Option<Name>,
    mode: Option<Mode>,
    force: bool,
) -> Result<(), RegistryError> {
    hub.blocking(move |hub| hub.catalog.set_mode(name.as_ref(), mode, force))
        .await?;
    Ok(())
}

/// The mode of subjects that have none of their own.
#[utoipa::path(get, path = "/registry/mode", tag = "registry", operation_id = "registry_get_mode",
    responses((status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn get_all(State(hub): Shared) -> Answer<ModeDocument> {
    Answer(ModeDocument::of(
        hub.catalog.own_mode(None).unwrap_or_default(),
    ))
}

/// Sets the mode of subjects that have none of their own; READONLY_OVERRIDE also of those that have. It
/// holds for `/v1/contracts`, too.
#[utoipa::path(put, path = "/registry/mode", tag = "registry", operation_id = "registry_put_mode",
    params(ModeQuery),
    request_body(content = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42204 no such mode, 42205 IMPORT where there are versions", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn put_all(
    State(hub): Shared,
    Query(query): Query<ModeQuery>,
    Sent(document): Sent<ModeDocument>,
) -> Outcome<ModeDocument> {
    let mode = document.mode()?;
    set(hub, None, Some(mode), query.force).await?;
    Ok(Answer(ModeDocument::of(mode)))
}

/// Sets the mode of all back to READWRITE; answers what it was.
#[utoipa::path(delete, path = "/registry/mode", tag = "registry", operation_id = "registry_delete_mode",
    responses((status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn delete_all(State(hub): Shared) -> Outcome<ModeDocument> {
    let before = hub.catalog.own_mode(None).unwrap_or_default();
    set(hub, None, None, false).await?;
    Ok(Answer(ModeDocument::of(before)))
}

/// The mode of a subject.
#[utoipa::path(get, path = "/registry/mode/{subject}", tag = "registry", operation_id = "registry_get_subject_mode",
    params(("subject" = String, Path), ConfigQuery),
    responses(
        (status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40409 it has none of its own", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<ConfigQuery>,
) -> Outcome<ModeDocument> {
    let name = name_of(&hub, &subject)?;
    match hub.catalog.own_mode(Some(&name)) {
        Some(mode) => Ok(Answer(ModeDocument::of(mode))),
        None if query.default_to_global => Ok(Answer(ModeDocument::of(hub.catalog.mode(&name)))),
        None => Err(RegistryError::no_mode(&subject)),
    }
}

/// Sets the mode of a subject.
#[utoipa::path(put, path = "/registry/mode/{subject}", tag = "registry", operation_id = "registry_put_subject_mode",
    params(("subject" = String, Path), ModeQuery),
    request_body(content = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42204 no such mode, 42205 IMPORT where there are versions", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<ModeQuery>,
    Sent(document): Sent<ModeDocument>,
) -> Outcome<ModeDocument> {
    let name = name_of(&hub, &subject)?;
    let mode = document.mode()?;
    set(hub, Some(name), Some(mode), query.force).await?;
    Ok(Answer(ModeDocument::of(mode)))
}

/// Takes a subject's own mode away; answers what it was.
#[utoipa::path(delete, path = "/registry/mode/{subject}", tag = "registry", operation_id = "registry_delete_subject_mode",
    params(("subject" = String, Path)),
    responses(
        (status = 200, body = ModeDocument, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40409 it has none of its own", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(subject): Path<String>,
) -> Outcome<ModeDocument> {
    let name = name_of(&hub, &subject)?;
    let Some(before) = hub.catalog.own_mode(Some(&name)) else {
        return Err(RegistryError::no_mode(&subject));
    };
    set(hub, Some(name), None, false).await?;
    Ok(Answer(ModeDocument::of(before)))
}
