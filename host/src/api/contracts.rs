//! Contracts over HTTP.

use std::collections::BTreeMap;

use axum::{
    Json as Answer,
    extract::{Path, State},
    http::StatusCode,
};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{
    Shared,
    extract::{Json, Params},
    refusal::ProblemDocument,
    topics::status,
};
use crate::{
    catalog::{BoundContract, Registering},
    contract::{ContractReference, Definition, Format},
    hub::{ContractCheck, Hub},
    problem::{Code, Problem},
};

/// A version without its schema.
#[derive(Serialize, ToSchema)]
pub(super) struct ContractVersion {
    name: String,
    version: u32,
    /// Of the content: the same for the same content under any name.
    id: u32,
    format: Format,
    /// `sha256:…` over the content: format, schema, references and types.
    digest: String,
    /// RFC 3339.
    created: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    description: String,
    /// Its compatibility could not be decided when it was registered, and that was accepted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    accepted_unknown: bool,
    /// Nobody should begin to use the contract.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<ContractReference>,
}

/// A version with its schema.
#[derive(Serialize, ToSchema)]
pub(super) struct ContractAnswer {
    #[serde(flatten)]
    version: ContractVersion,
    /// JSON and Avro: the document. Protobuf: the text.
    schema: serde_json::Value,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<BTreeMap<String, String>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ContractList {
    contracts: Vec<ContractSummary>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct ContractSummary {
    name: String,
    versions: Vec<u32>,
    /// Nobody should begin to use it.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deprecated: bool,
}

#[derive(Serialize, ToSchema)]
pub(super) struct VersionList {
    versions: Vec<ContractVersion>,
}

pub(super) fn version_of(hub: &Hub, bound: &BoundContract) -> ContractVersion {
    ContractVersion {
        name: bound.name.to_string(),
        version: bound.version,
        id: bound.id,
        format: bound.definition.format,
        digest: bound.digest.clone(),
        created: bound.created.clone(),
        description: bound.definition.description.clone(),
        accepted_unknown: bound.accepted_unknown,
        deprecated: hub.catalog.is_deprecated(bound.name.as_str()),
        references: bound.definition.references.clone(),
    }
}

/// All contracts.
#[utoipa::path(get, path = "/v1/contracts", tag = "contracts", operation_id = "list_contracts",
    responses((status = 200, body = ContractList)))]
pub(super) async fn list(State(hub): Shared) -> Answer<ContractList> {
    let mut names: BTreeMap<String, Vec<u32>> = BTreeMap::new();
    for bound in hub.catalog.contracts() {
        names
            .entry(bound.name.to_string())
            .or_default()
            .push(bound.version);
    }
    for name in hub.catalog.agreed_names() {
        names.entry(name.to_string()).or_default();
    }
    let contracts = names.into_iter().map(|(name, versions)| ContractSummary {
        deprecated: hub.catalog.is_deprecated(&name),
        name,
        versions,
    });
    Answer(ContractList {
        contracts: contracts.collect(),
    })
}

#[derive(Deserialize, IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
pub(super) struct RegisterQuery {
    /// Take a version whose compatibility can neither be proven nor disproven; kept with it.
    #[serde(default)]
    accept_unknown: bool,
}

/// Registers a version. The same content again is the version that there is.
#[utoipa::path(post, path = "/v1/contracts/{name}/versions", tag = "contracts", operation_id = "register_contract",
    params(("name" = String, Path), RegisterQuery),
    request_body = Definition,
    responses(
        (status = 201, description = "Registered", body = ContractVersion),
        (status = 200, description = "This content is a version already", body = ContractVersion),
        (status = 409, description = "incompatible-contract, contract-mode", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-schema, invalid-document, invalid-name", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn register(
    State(hub): Shared,
    Path(name): Path<String>,
    Params(query): Params<RegisterQuery>,
    Json(definition): Json<Definition>,
) -> Result<(StatusCode, Answer<ContractVersion>), Problem> {
    let registering = Registering {
        accept_unknown: query.accept_unknown,
        ..Registering::default()
    };
    let (bound, put) = hub
        .blocking(move |hub| hub.catalog.register(&name, definition, registering))
        .await?;
    Ok((status(put), Answer(version_of(&hub, &bound))))
}

/// The versions of a contract.
#[utoipa::path(get, path = "/v1/contracts/{name}/versions", tag = "contracts", operation_id = "list_contract_versions",
    params(("name" = String, Path)),
    responses(
        (status = 200, body = VersionList),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn versions(
    State(hub): Shared,
    Path(name): Path<String>,
) -> Result<Answer<VersionList>, Problem> {
    hub.catalog.contract(&name)?;
    let all = hub.catalog.contracts();
    let versions = all
        .iter()
        .filter(|bound| bound.name.as_str() == name)
        .map(|bound| version_of(&hub, bound));
    Ok(Answer(VersionList {
        versions: versions.collect(),
    }))
}

/// One version with its schema.
#[utoipa::path(get, path = "/v1/contracts/{name}/versions/{version}", tag = "contracts", operation_id = "get_contract",
    params(("name" = String, Path), ("version" = u32, Path)),
    responses(
        (status = 200, body = ContractAnswer),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn get(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<Answer<ContractAnswer>, Problem> {
    let bound = hub.catalog.contract(&format!("{name}@{version}"))?;
    Ok(Answer(answer_of(&hub, &bound)))
}

fn answer_of(hub: &Hub, bound: &BoundContract) -> ContractAnswer {
    ContractAnswer {
        version: version_of(hub, bound),
        schema: bound.definition.schema.clone(),
        types: bound.definition.types.clone(),
    }
}

/// The version of a contract with this content, by what registering takes; nothing is stored.
#[utoipa::path(post, path = "/v1/contracts/{name}/lookup", tag = "contracts", operation_id = "find_contract_version",
    params(("name" = String, Path)),
    request_body = Definition,
    responses(
        (status = 200, body = ContractVersion),
        (status = 404, description = "unknown-contract: no version has this content", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-schema, invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn lookup(
    State(hub): Shared,
    Path(name): Path<String>,
    Json(definition): Json<Definition>,
) -> Result<Answer<ContractVersion>, Problem> {
    let bound = hub
        .blocking(move |hub| hub.catalog.find_content(&name, definition))
        .await?;
    Ok(Answer(version_of(&hub, &bound)))
}

/// A content, and the contract versions that have it.
#[derive(Serialize, ToSchema)]
pub(super) struct SchemaAnswer {
    id: u32,
    format: Format,
    digest: String,
    /// JSON and Avro: the document. Protobuf: the text.
    schema: serde_json::Value,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<ContractReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    types: Option<BTreeMap<String, String>>,
    /// `name@version`. Empty when all are deleted softly.
    contracts: Vec<String>,
}

/// The schema that an id stands for. An id never comes to mean another schema.
#[utoipa::path(get, path = "/v1/schemas/{id}", tag = "contracts", operation_id = "get_schema",
    params(("id" = u32, Path)),
    responses(
        (status = 200, body = SchemaAnswer),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn schema(
    State(hub): Shared,
    Path(id): Path<u32>,
) -> Result<Answer<SchemaAnswer>, Problem> {
    let bound = hub.catalog.contract_by_id(id)?;
    let holders = hub.catalog.holders(id).into_iter();
    let present = holders.filter(|(_, withdrawn)| !withdrawn);
    let contracts = present.map(|(bound, _)| bound.reference()).collect();
    Ok(Answer(SchemaAnswer {
        id,
        format: bound.definition.format,
        digest: bound.digest.clone(),
        schema: bound.definition.schema.clone(),
        references: bound.definition.references.clone(),
        types: bound.definition.types.clone(),
        contracts,
    }))
}

/// Deletes a version that no topic is bound to and no contract refers to. Its number is not used again.
#[utoipa::path(delete, path = "/v1/contracts/{name}/versions/{version}", tag = "contracts", operation_id = "delete_contract",
    params(("name" = String, Path), ("version" = u32, Path)),
    responses(
        (status = 204, description = "Gone"),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 409, description = "contract-in-use", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn delete(
    State(hub): Shared,
    Path((name, version)): Path<(String, String)>,
) -> Result<StatusCode, Problem> {
    hub.blocking(move |hub| hub.catalog.delete_contract(&format!("{name}@{version}")))
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Events to be checked, against a version that there is or a schema that is not registered.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct CheckRequest {
    /// Default: the latest.
    version: Option<u32>,
    /// Checked against instead of a registered version.
    schema: Option<serde_json::Value>,
    /// With `schema`: see registering.
    #[serde(default)]
    format: Format,
    /// With `schema`: see registering.
    #[serde(default)]
    references: Vec<ContractReference>,
    /// With `schema`: see registering.
    types: Option<BTreeMap<String, String>>,
    /// Events in the CloudEvents JSON format.
    #[schema(value_type = Vec<Object>)]
    events: Vec<Box<serde_json::value::RawValue>>,
}

#[derive(Serialize, ToSchema)]
pub(super) struct CheckAnswer {
    results: Vec<ContractCheck>,
}

/// Checks events without storing anything.
#[utoipa::path(post, path = "/v1/contracts/{name}/check", tag = "contracts", operation_id = "check_contract",
    params(("name" = String, Path)),
    request_body = CheckRequest,
    responses(
        (status = 200, body = CheckAnswer),
        (status = 404, description = "unknown-contract", body = ProblemDocument, content_type = "application/problem+json"),
        (status = 422, description = "invalid-schema, invalid-document", body = ProblemDocument, content_type = "application/problem+json"),
    ))]
pub(super) async fn check(
    State(hub): Shared,
    Path(name): Path<String>,
    Json(request): Json<CheckRequest>,
) -> Result<Answer<CheckAnswer>, Problem> {
    let results = hub
        .blocking(move |hub| {
            let definition = match (request.schema, request.version) {
                (Some(_), Some(_)) => {
                    return Err(Problem::new(
                        Code::InvalidDocument,
                        "give version or schema, not both",
                    ));
                }
                (Some(schema), None) => Some(hub.catalog.complete(Definition {
                    format: request.format,
                    schema,
                    references: request.references,
                    types: request.types,
                    ..Definition::default()
                })?),
                (None, _) => None,
            };
            hub.check_contract(&name, request.version, definition.as_ref(), &request.events)
        })
        .await?;
    Ok(Answer(CheckAnswer { results }))
}
