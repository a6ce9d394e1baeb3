//! Compatibility levels: the rules of contracts, in the registry's words.

use axum::extract::{Path, Query, State};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    document::{Answer, Outcome, Sent},
    error::RegistryError,
    subjects::name_of,
};
use crate::{api::Shared, contract::Rule};

/// What is set.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    compatibility_level: &'static str,
}

impl Config {
    fn of(rule: Rule) -> Self {
        Self {
            compatibility_level: level(rule),
        }
    }
}

/// What was set.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigUpdated {
    compatibility: &'static str,
}

/// What is to be set. Other members than these are refused where they say something: they would have no
/// effect.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigUpdate {
    /// NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE.
    #[serde(alias = "compatibilityLevel")]
    compatibility: Option<String>,
    #[serde(flatten)]
    #[schema(ignore)]
    others: serde_json::Map<String, serde_json::Value>,
}

pub(super) fn level(rule: Rule) -> &'static str {
    match rule {
        Rule::None => "NONE",
        Rule::Backward => "BACKWARD",
        Rule::Forward => "FORWARD",
        Rule::Full => "FULL",
        Rule::BackwardTransitive => "BACKWARD_TRANSITIVE",
        Rule::ForwardTransitive => "FORWARD_TRANSITIVE",
        Rule::FullTransitive => "FULL_TRANSITIVE",
    }
}

impl ConfigUpdate {
    fn rule(self) -> Result<Rule, RegistryError> {
        let says = |value: &serde_json::Value| !(value.is_null() || *value == false);
        if let Some((member, _)) = self.others.iter().find(|(_, value)| says(value)) {
            let message =
                format!("'{member}' is not supported here; only 'compatibility' can be set");
            return Err(RegistryError::new(422, message));
        }
        let given = self.compatibility.unwrap_or_default();
        let all = [
            Rule::None,
            Rule::Backward,
            Rule::Forward,
            Rule::Full,
            Rule::BackwardTransitive,
            Rule::ForwardTransitive,
            Rule::FullTransitive,
        ];
        let found = all
            .into_iter()
            .find(|rule| level(*rule).eq_ignore_ascii_case(&given));
        found.ok_or_else(|| {
            let levels: Vec<_> = all.into_iter().map(level).collect();
            let message = format!(
                "Invalid compatibility level {given:?}. Valid values are {}",
                levels.join(", ")
            );
            RegistryError::new(42203, message)
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ConfigQuery {
    /// What holds for all, where the subject has nothing of its own.
    #[serde(default)]
    pub default_to_global: bool,
}

/// The level of subjects that have none of their own. NONE unless it was set.
#[utoipa::path(get, path = "/registry/config", tag = "registry", operation_id = "registry_get_config",
    responses((status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn get_all(State(hub): Shared) -> Answer<Config> {
    Answer(Config::of(hub.catalog.default_rule().unwrap_or_default()))
}

/// Sets the level of subjects that have none of their own.
#[utoipa::path(put, path = "/registry/config", tag = "registry", operation_id = "registry_put_config",
    request_body(content = ConfigUpdate, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ConfigUpdated, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42203 no such level", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn put_all(
    State(hub): Shared,
    Sent(update): Sent<ConfigUpdate>,
) -> Outcome<ConfigUpdated> {
    let rule = update.rule()?;
    hub.blocking(move |hub| hub.catalog.set_default_rule(Some(rule)))
        .await?;
    Ok(Answer(ConfigUpdated {
        compatibility: level(rule),
    }))
}

/// Sets the level of subjects that have none of their own back to NONE; answers what it was.
#[utoipa::path(delete, path = "/registry/config", tag = "registry", operation_id = "registry_delete_config",
    responses((status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn delete_all(State(hub): Shared) -> Outcome<Config> {
    let before = hub.catalog.default_rule().unwrap_or_default();
    hub.blocking(|hub| hub.catalog.set_default_rule(None))
        .await?;
    Ok(Answer(Config::of(before)))
}

/// The level of a subject: the rule of the contract.
#[utoipa::path(get, path = "/registry/config/{subject}", tag = "registry", operation_id = "registry_get_subject_config",
    params(("subject" = String, Path), ConfigQuery),
    responses(
        (status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40408 it has none of its own", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(subject): Path<String>,
    Query(query): Query<ConfigQuery>,
) -> Outcome<Config> {
    let name = name_of(&hub, &subject)?;
    let own = hub.catalog.own_rule(&name);
    match own {
        Some(rule) => Ok(Answer(Config::of(rule))),
        None if query.default_to_global => Ok(get_all(State(hub)).await),
        None => Err(RegistryError::no_rule(&subject)),
    }
}

/// Sets the level of a subject: the rule of the contract.
#[utoipa::path(put, path = "/registry/config/{subject}", tag = "registry", operation_id = "registry_put_subject_config",
    params(("subject" = String, Path)),
    request_body(content = ConfigUpdate, content_type = "application/vnd.schemaregistry.v1+json"),
    responses(
        (status = 200, body = ConfigUpdated, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 422, description = "42203 no such level, 42208 no contract can have the subject's name", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    Path(subject): Path<String>,
    Sent(update): Sent<ConfigUpdate>,
) -> Outcome<ConfigUpdated> {
    let name = name_of(&hub, &subject)?;
    let rule = update.rule()?;
    hub.blocking(move |hub| hub.catalog.set_rule(&name, Some(rule)))
        .await?;
    Ok(Answer(ConfigUpdated {
        compatibility: level(rule),
    }))
}

/// Takes a subject's own level away; answers what it was.
#[utoipa::path(delete, path = "/registry/config/{subject}", tag = "registry", operation_id = "registry_delete_subject_config",
    params(("subject" = String, Path)),
    responses(
        (status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json"),
        (status = 404, description = "40408 it has none of its own", body = RegistryError, content_type = "application/vnd.schemaregistry.v1+json"),
    ))]
pub(super) async fn delete(State(hub): Shared, Path(subject): Path<String>) -> Outcome<Config> {
    let name = name_of(&hub, &subject)?;
    let Some(before) = hub.catalog.own_rule(&name) else {
        return Err(RegistryError::no_rule(&subject));
    };
    hub.blocking(move |hub| hub.catalog.set_rule(&name, None))
        .await?;
    Ok(Answer(Config::of(before)))
}
