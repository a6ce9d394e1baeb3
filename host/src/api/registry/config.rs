//! Compatibility levels, the rules of contracts in the registry's words; and whether schemas are kept in their
//! normal form.

use axum::extract::{Path, Query, State};
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    document::{Answer, Outcome, Sent, flag},
    error::RegistryError,
    subjects::name_of,
};
use crate::{api::Shared, contract::Rule, hub::Hub, problem::Problem};

/// What is set.
#[derive(Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct Config {
    /// Missing where the subject has none of its own.
    #[serde(skip_serializing_if = "Option::is_none")]
    compatibility_level: Option<&'static str>,
    /// Missing where nothing is set.
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<bool>,
}

impl Config {
    fn of(rule: Option<Rule>, normalize: Option<bool>) -> Self {
        Self {
            compatibility_level: rule.map(level),
            normalize,
        }
    }

    /// What holds for all.
    fn of_all(hub: &Hub) -> Self {
        let rule = hub.catalog.default_rule().unwrap_or_default();
        Self::of(Some(rule), hub.catalog.own_normalize(None))
    }
}

/// What was set.
#[derive(Serialize, ToSchema)]
pub(super) struct ConfigUpdated {
    #[serde(skip_serializing_if = "Option::is_none")]
    compatibility: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    normalize: Option<bool>,
}

/// What is to be set. Other members than these are refused where they say something: they would have no
/// effect.
#[derive(Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct ConfigUpdate {
    /// NONE, BACKWARD, FORWARD, FULL, or one of the last three with _TRANSITIVE.
    #[serde(alias = "compatibilityLevel")]
    compatibility: Option<String>,
    /// Whether schemas are kept and looked up in their normal form, as with `normalize=true`.
    normalize: Option<bool>,
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

/// What an update sets; the other stays as it is.
struct Wanted {
    rule: Option<Rule>,
    normalize: Option<bool>,
}

impl Wanted {
    /// Of a subject, or for all.
    fn set(&self, hub: &Hub, subject: Option<&Name>) -> Result<(), Problem> {
        if self.rule.is_some() {
            match subject {
                Some(name) => hub.catalog.set_rule(name, self.rule)?,
                None => hub.catalog.set_default_rule(self.rule)?,
            }
        }
        if self.normalize.is_some() {
            hub.catalog.set_normalize(subject, self.normalize)?;
        }
        Ok(())
    }

    fn answer(&self) -> ConfigUpdated {
        ConfigUpdated {
            compatibility: self.rule.map(level),
            normalize: self.normalize,
        }
    }
}

impl ConfigUpdate {
    fn wanted(self) -> Result<Wanted, RegistryError> {
        let says = |value: &serde_json::Value| !(value.is_null() || *value == false);
        if let Some((member, _)) = self.others.iter().find(|(_, value)| says(value)) {
            let message = format!(
                "'{member}' is not supported here; only 'compatibility' and 'normalize' can be set"
            );
            return Err(RegistryError::new(422, message));
        }
        let normalize = self.normalize;
        if self.compatibility.is_none() && normalize.is_some() {
            return Ok(Wanted {
                rule: None,
                normalize,
            });
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
        let rule = found.ok_or_else(|| {
            let levels: Vec<_> = all.into_iter().map(level).collect();
            let message = format!(
                "Invalid compatibility level {given:?}. Valid values are {}",
                levels.join(", ")
            );
            RegistryError::new(42203, message)
        })?;
        Ok(Wanted {
            rule: Some(rule),
            normalize,
        })
    }
}

#[derive(Deserialize, IntoParams)]
#[serde(rename_all = "camelCase")]
#[into_params(parameter_in = Query)]
pub(super) struct ConfigQuery {
    /// What holds for all, where the subject has nothing of its own.
    #[serde(default, deserialize_with = "flag")]
    pub default_to_global: bool,
}

/// The level of subjects that have none of their own. NONE unless it was set.
#[utoipa::path(get, path = "/registry/config", tag = "registry", operation_id = "registry_get_config",
    responses((status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn get_all(State(hub): Shared) -> Answer<Config> {
    Answer(Config::of_all(&hub))
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
    let wanted = update.wanted()?;
    let answer = wanted.answer();
    hub.blocking(move |hub| wanted.set(hub, None)).await?;
    Ok(Answer(answer))
}

/// Sets the level of subjects that have none of their own back to NONE; answers what it was.
#[utoipa::path(delete, path = "/registry/config", tag = "registry", operation_id = "registry_delete_config",
    responses((status = 200, body = Config, content_type = "application/vnd.schemaregistry.v1+json")))]
pub(super) async fn delete_all(State(hub): Shared) -> Outcome<Config> {
    let before = Config::of_all(&hub);
    hub.blocking(|hub| {
        hub.catalog.set_normalize(None, None)?;
        hub.catalog.set_default_rule(None)
    })
    .await?;
    Ok(Answer(before))
}

/// What a subject has of its own.
fn own(hub: &Hub, name: &Name) -> Option<Config> {
    let rule = hub.catalog.own_rule(name);
    let normalize = hub.catalog.own_normalize(Some(name));
    (rule.is_some() || normalize.is_some()).then(|| Config::of(rule, normalize))
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
    let own = own(&hub, &name);
    if query.default_to_global {
        let all = Config::of_all(&hub);
        let own = own.unwrap_or(Config::of(None, None));
        return Ok(Answer(Config {
            compatibility_level: own.compatibility_level.or(all.compatibility_level),
            normalize: own.normalize.or(all.normalize),
        }));
    }
    own.map(Answer)
        .ok_or_else(|| RegistryError::no_rule(&subject))
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
    let wanted = update.wanted()?;
    let answer = wanted.answer();
    hub.blocking(move |hub| wanted.set(hub, Some(&name)))
        .await?;
    Ok(Answer(answer))
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
    let Some(before) = own(&hub, &name) else {
        return Err(RegistryError::no_rule(&subject));
    };
    hub.blocking(move |hub| {
        hub.catalog.set_normalize(Some(&name), None)?;
        hub.catalog.set_rule(&name, None)
    })
    .await?;
    Ok(Answer(before))
}
