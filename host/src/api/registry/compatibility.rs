//! Whether a schema may follow, without registering it.

use axum::extract::{Path, Query, State};
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    config::level,
    document::{Answer, Outcome, SchemaRequest, Sent},
    error::RegistryError,
    subjects::name_of,
    versions,
};
use crate::{
    api::Shared,
    catalog::{Held, Which},
    contract::{Definition, Rule, Verdict},
    hub::Hub,
    problem::{Place, Problem},
};

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(super) struct CompatibilityQuery {
    /// With the reasons.
    #[serde(default)]
    verbose: bool,
    /// Taken and not looked at: what schemas mean is compared, not how they are written.
    #[serde(default, rename = "normalize")]
    _normalize: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct Compatible {
    /// Proven to be; what cannot be decided is not.
    is_compatible: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    messages: Option<Vec<String>>,
}

/// Whether a schema may follow those that the subject's level names.
#[utoipa::path(post, path = "/registry/compatibility/subjects/{subject}/versions", tag = "registry", operation_id = "registry_check_all",
    params(("subject" = String, Path), CompatibilityQuery),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = Compatible, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42201 the schema is not valid", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn check_all(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<CompatibilityQuery>,
    Sent(request): Sent<SchemaRequest>,
) -> Outcome<Compatible> {
    let name = name_of(&hub, &subject)?;
    let definition = request.definition(&hub)?;
    let held = hub
        .blocking(move |hub| judge(hub, &name, definition, None))
        .await?;
    Ok(Answer(told(&held, query.verbose)))
}

/// Whether a schema may follow one version, by the subject's level. No version is before the first.
#[utoipa::path(post, path = "/registry/compatibility/subjects/{subject}/versions/{version}", tag = "registry", operation_id = "registry_check",
    params(("subject" = String, Path), ("version" = String, Path), CompatibilityQuery),
    request_body(content = SchemaRequest, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = Compatible, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40401 no such subject, 40402 no such version", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42201 the schema is not valid, 42202 no version can have this number", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn check(
    State(hub): Shared,
    Path((subject, version)): Path<(String, String)>,
    Query(query): Query<CompatibilityQuery>,
    Sent(request): Sent<SchemaRequest>,
) -> Outcome<Compatible> {
    let name = name_of(&hub, &subject)?;
    let latest = matches!(version.as_str(), "latest" | "-1");
    let against = if latest && hub.catalog.versions(&name, Which::Present).is_empty() {
        None
    } else {
        let (bound, _) = versions::find(&hub, &subject, &version, Which::Present)?;
        Some(bound.version)
    };
    let definition = request.definition(&hub)?;
    let held = hub
        .blocking(move |hub| judge(hub, &name, definition, against))
        .await?;
    Ok(Answer(told(&held, query.verbose)))
}

/// By the contract's own rule; with a version by what it says of one version.
fn judge(
    hub: &Hub,
    name: &Name,
    definition: Definition,
    against: Option<u32>,
) -> Result<(Rule, Vec<Held>), Problem> {
    let definition = hub.catalog.complete(definition)?;
    crate::catalog::check(&definition)?;
    let (rule, policy) = hub.catalog.rule_and_policy(name);
    if rule == Rule::None || hub.catalog.versions(name, Which::Present).is_empty() {
        return Ok((rule, Vec::new()));
    }
    let held = hub
        .catalog
        .hold(name.as_str(), &definition, against, rule, policy)?;
    Ok((rule, held))
}

fn told((rule, held): &(Rule, Vec<Held>), verbose: bool) -> Compatible {
    let compatible = |one: &Held| one.comparison.answer() == Verdict::Compatible;
    let messages = verbose.then(|| {
        let mut messages: Vec<String> = held
            .iter()
            .filter(|one| !compatible(one))
            .flat_map(|one| places(&one.places()))
            .collect();
        if !messages.is_empty() {
            messages.push(format!("{{compatibility: '{}'}}", level(*rule)));
        }
        messages
    });
    Compatible {
        is_compatible: held.iter().all(compatible),
        messages,
    }
}

/// What makes a version incompatible, a line each.
pub(super) fn places(places: &[Place]) -> Vec<String> {
    let line = |place: &Place| {
        let Some(one) = place.incompatibility.as_deref() else {
            return format!("{}: {}", place.pointer, place.reason);
        };
        let at = if one.path.is_empty() {
            &place.pointer
        } else {
            &one.path
        };
        let shown = one
            .counterexample
            .as_ref()
            .map(|document| format!("; shown by {document}"))
            .unwrap_or_default();
        format!(
            "{{errorType: '{}', description: '{} ({} of version {}, at {at}){shown}'}}",
            one.rule, place.reason, one.direction, one.version
        )
    };
    places.iter().map(line).collect()
}
