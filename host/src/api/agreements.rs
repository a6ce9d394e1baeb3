//! What contracts are besides their versions, and whether a new version may follow.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Shared,
    contracts::{ContractVersion, version_of},
    extract::{Json, JsonOrNothing},
    refusal::ProblemDocument,
    topics::status,
};
use crate::{
    catalog::ContractDocument,
    contract::{ContractReference, Definition, Format, Policy, Rule, infer::Draft},
    hub::{ContractImpact, ImpactQuestion, InferRequest},
    problem::Problem,
};

/// A contract with its versions, without their schemas.
#[derive(Serialize, ToSchema)]
pub(super) struct ContractDetail {
    name: String,
    /// `compatibility` is the rule that counts.
    #[serde(flatten)]
    document: ContractDocument,
    /// The rule is that of all contracts without one of their own.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    inherited: bool,
    versions: Vec<ContractVersion>,
}

fn detail(hub: &crate::hub::Hub, name: &str) -> Result<ContractDetail, Problem> {
    let (mut document, versions) = hub.catalog.agreement(name)?;
    let inherited = document.compatibility.is_none();
    document.compatibility = Some(hub.catalog.rule(&document));
    Ok(ContractDetail {
        name: name.to_owned(),
        inherited,
        document,
        versions: versions
            .iter()
            .map(|bound| version_of(hub, bound))
            .collect(),
    })
}

/// Sets what a contract's new versions have to keep, who owns it, and whether it is deprecated.
/// Versions that there are stay.
#[utoipa::path(put, path = "/v1/contracts/{name}", tag = "contracts", operation_id = "put_contract",
    params(("name" = String, Path)),
    request_body = ContractDocument,
    responses(
        (status = 201, description = "Made; it has no version yet", body = ContractDetail),
        (status = 200, description = "Changed", body = ContractDetail),
        (status = 422, description = "invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn put(
    State(hub): Shared,
    Path(name): Path<String>,
    Json(document): Json<ContractDocument>,
) -> Result<(StatusCode, Answer<ContractDetail>), Problem> {
    let answer = hub.blocking(move |hub| {
        let put = hub.catalog.put_agreement(&name, document)?;
        Ok((status(put), Answer(detail(hub, &name)?)))
    });
    answer.await
}

/// A contract: its rule, owner and versions.
#[utoipa::path(get, path = "/v1/contracts/{name}", tag = "contracts", operation_id = "show_contract",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = ContractDetail),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path(name): Path<String>,
) -> Result<Answer<ContractDetail>, Problem> {
    detail(&hub, &name).map(Answer)
}

/// Deletes a contract with all its versions, when no topic is bound to one and no other contract refers to one.
#[utoipa::path(delete, path = "/v1/contracts/{name}", tag = "contracts", operation_id = "drop_contract",
    params(("name" = String, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "contract-in-use", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path(name): Path<String>,
) -> Result<StatusCode, Problem> {
    hub.blocking(move |hub| hub.catalog.delete_agreement(&name))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// A new version that is not registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CompatibilityRequest {
    /// See registering.
    #[serde(default)]
    format: Format,
    /// See registering.
    schema: serde_json::Value,
    /// See registering.
    #[serde(default)]
    references: Vec<ContractReference>,
    /// See registering.
    types: Option<BTreeMap<String, String>>,
    /// Hold it against this version alone. Default: what the rule says.
    version: Option<u32>,
    /// Default: the contract's own; where that is `none`, both ways against the latest version.
    rule: Option<Rule>,
    /// Default: the contract's own.
    policy: Option<Policy>,
    /// How many of the last events of each bound topic are held against it; 100,000 at most.
    #[serde(default = "last_events")]
    events: u32,
}

/// How many of the last events of a topic are looked at where nothing else is asked for.
pub(super) fn last_events() -> u32 {
    1000
}

/// Says what registering a version would mean, without doing it: whether it is compatible, with data
/// that shows where it is not, and the topics, routes and stored events that it would touch.
#[utoipa::path(post, path = "/v1/contracts/{name}/compatibility", tag = "contracts", operation_id = "check_compatibility",
    params(("name" = String, Path)),
    request_body = CompatibilityRequest,
    responses(
        (status = 200, body = ContractImpact),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-schema, invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn compatibility(
    State(hub): Shared,
    Path(name): Path<String>,
    Json(request): Json<CompatibilityRequest>,
) -> Result<Answer<ContractImpact>, Problem> {
    let impact = hub.blocking(move |hub| {
        let definition = hub.catalog.complete(Definition {
            format: request.format,
            schema: request.schema,
            references: request.references,
            types: request.types,
            ..Definition::default()
        })?;
        let question = ImpactQuestion {
            version: request.version,
            rule: request.rule,
            policy: request.policy,
            events: request.events,
        };
        hub.contract_impact(&name, &definition, &question)
    });
    impact.await.map(Answer)
}

/// Drafts a contract from the events of a topic: a JSON Schema that takes the data of each of them, with the
/// evidence counted beside it. Avro and Protobuf are read as JSON by the schema that wrote them; what can
/// not be read is counted. Nothing is registered.
#[utoipa::path(post, path = "/v1/topics/{topic}/infer", tag = "contracts", operation_id = "infer_contract",
    params(("topic" = String, Path)),
    request_body(description = "Nothing is the same as an empty object", content = Option<InferRequest>),
    responses(
        (status = 200, description = "Register it with its schema and its types, edited or as it is", body = Draft),
        (status = 404, description = "unknown-topic", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 410, description = "offset-trimmed", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 416, description = "offset-past-tail", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "nothing-to-infer, invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn infer(
    State(hub): Shared,
    Path(topic): Path<String>,
    JsonOrNothing(request): JsonOrNothing<InferRequest>,
) -> Result<Answer<Draft>, Problem> {
    let draft = hub.blocking(move |hub| hub.infer_contract(&topic, &request));
    draft.await.map(Answer)
}
