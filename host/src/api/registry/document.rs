//! The registry's documents: what clients send, and what they are shown.

use std::sync::Arc;

use axum::{
    extract::{FromRequest, Request},
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use utoipa::ToSchema;

use super::{MEDIA_TYPE, error::RegistryError};
use crate::{
    api::extract::{Body, parse},
    catalog::{BoundContract, Which},
    contract::{ContractReference, Definition, Format},
    hub::Hub,
};

/// What the handlers answer.
pub(super) type Outcome<T> = Result<Answer<T>, RegistryError>;

/// A document in the registry's media type.
pub(super) struct Answer<T>(pub T);

impl<T: Serialize> IntoResponse for Answer<T> {
    fn into_response(self) -> Response {
        let mut response = (StatusCode::OK, axum::Json(self.0)).into_response();
        let media_type = HeaderValue::from_static(MEDIA_TYPE);
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        response
    }
}

/// A JSON body under any of the media types that the clients use.
pub(super) struct Sent<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Hub>> for Sent<T> {
    type Rejection = RegistryError;

    async fn from_request(request: Request, hub: &Arc<Hub>) -> Result<Self, RegistryError> {
        let given = request
            .headers()
            .get(header::CONTENT_TYPE)
            .and_then(|value| value.to_str().ok())
            .unwrap_or("")
            .to_owned();
        let essence = given
            .split(';')
            .next()
            .unwrap_or("")
            .trim()
            .to_ascii_lowercase();
        let known = [
            MEDIA_TYPE,
            "application/vnd.schemaregistry+json",
            "application/json",
            "application/octet-stream",
        ];
        if !known.contains(&essence.as_str()) {
            let message = format!(
                "HTTP 415 Unsupported Media Type: Content-Type is {given:?}; send one of {}",
                known.join(", ")
            );
            return Err(RegistryError::new(415, message));
        }
        let Body(body) = Body::from_request(request, hub).await?;
        Ok(Self(parse(&body)?))
    }
}

/// The languages of schemas, as the registry calls them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "UPPERCASE")]
pub(super) enum SchemaType {
    #[default]
    Avro,
    Json,
    Protobuf,
}

impl SchemaType {
    fn format(self) -> Format {
        match self {
            Self::Avro => Format::Avro,
            Self::Json => Format::Json,
            Self::Protobuf => Format::Protobuf,
        }
    }

    fn of(format: Format) -> Self {
        match format {
            Format::Avro => Self::Avro,
            Format::Json => Self::Json,
            Format::Protobuf => Self::Protobuf,
        }
    }

    fn is_avro(&self) -> bool {
        *self == Self::Avro
    }
}

/// A version of another subject that a schema refers to.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub(super) struct SchemaReference {
    name: String,
    subject: String,
    /// -1 is the latest, when it is registered.
    version: i64,
}

/// A schema as clients send it. Members that are not known are passed over, as clients expect.
#[derive(Clone, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaRequest {
    /// The schema's text; of Protobuf also a `FileDescriptorProto` in base64.
    schema: Option<String>,
    #[serde(default)]
    schema_type: Option<SchemaType>,
    #[serde(default)]
    references: Option<Vec<SchemaReference>>,
    /// Taken in mode IMPORT.
    #[serde(default)]
    pub id: Option<i64>,
    /// Taken in mode IMPORT.
    #[serde(default)]
    pub version: Option<i64>,
    /// Not kept, and refused where it says something.
    #[serde(default)]
    metadata: Option<serde_json::Value>,
    /// Not kept, and refused where it says something.
    #[serde(default)]
    rule_set: Option<serde_json::Value>,
}

impl SchemaRequest {
    pub fn definition(self, hub: &Hub) -> Result<Definition, RegistryError> {
        let says = |value: &Option<serde_json::Value>| match value {
            None | Some(serde_json::Value::Null) => false,
            Some(serde_json::Value::Object(members)) => !members.values().all(|one| {
                one.is_null()
                    || one.as_array().is_some_and(Vec::is_empty)
                    || one.as_object().is_some_and(serde_json::Map::is_empty)
            }),
            Some(_) => true,
        };
        if says(&self.metadata) {
            return Err(RegistryError::invalid_schema(
                "'metadata' is not kept by this registry; leave it out",
            ));
        }
        if says(&self.rule_set) {
            let message =
                "'ruleSet' is not kept by this registry, and its rules would not run; leave it out";
            return Err(RegistryError::new(42210, message));
        }
        let Some(schema) = self.schema else {
            return Err(RegistryError::invalid_schema(
                "Empty schema: 'schema' is missing",
            ));
        };
        let mut references = Vec::new();
        for (index, reference) in self.references.unwrap_or_default().into_iter().enumerate() {
            let invalid = |reason: String| {
                RegistryError::invalid_schema(format!("/references/{index}: {reason}"))
            };
            let name = hub
                .catalog
                .name_of_subject(&reference.subject)
                .ok_or_else(|| invalid(format!("subject '{}' is not valid", reference.subject)))?;
            let version = match u32::try_from(reference.version) {
                Ok(version) if version > 0 => version,
                _ if reference.version == -1 => {
                    let versions = hub.catalog.versions(&name, Which::Present);
                    let latest = versions.last().map(|(bound, _)| bound.version);
                    latest.ok_or_else(|| {
                        invalid(format!("subject '{}' has no version", reference.subject))
                    })?
                }
                _ => return Err(invalid(format!("{} is no version", reference.version))),
            };
            references.push(ContractReference {
                name: reference.name,
                contract: name,
                version,
            });
        }
        Ok(Definition {
            format: self.schema_type.unwrap_or_default().format(),
            schema: serde_json::Value::String(schema),
            references,
            ..Definition::default()
        })
    }
}

/// How a schema's text is to be shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(super) enum Shown {
    /// As it was registered.
    #[default]
    #[serde(alias = "")]
    Default,
    /// Avro: with the types of its references in it.
    Resolved,
    /// Protobuf: the `FileDescriptorProto` in base64.
    Serialized,
    /// Protobuf: as it was registered; nothing is left out.
    #[serde(alias = "ignore_extensions", alias = "no_metadata")]
    Whole,
}

fn text_of(bound: &BoundContract, shown: Shown) -> String {
    let resolved = match shown {
        Shown::Resolved => bound.definition.resolved_text(),
        Shown::Serialized => bound.definition.serialized(),
        Shown::Default | Shown::Whole => None,
    };
    resolved.unwrap_or_else(|| bound.definition.text().into_owned())
}

/// A schema without a subject.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "camelCase")]
pub(super) struct SchemaString {
    /// Missing for Avro.
    #[serde(skip_serializing_if = "SchemaType::is_avro")]
    schema_type: SchemaType,
    schema: String,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    references: Vec<SchemaReference>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub max_id: Option<u32>,
}

impl SchemaString {
    pub fn of(hub: &Hub, bound: &BoundContract, shown: Shown) -> Self {
        let references = bound.definition.references.iter();
        Self {
            schema_type: SchemaType::of(bound.definition.format),
            schema: text_of(bound, shown),
            references: references
                .map(|one| SchemaReference {
                    name: one.name.clone(),
                    subject: hub.catalog.subject_of(&one.contract),
                    version: i64::from(one.version),
                })
                .collect(),
            max_id: None,
        }
    }

    pub fn text(self) -> String {
        self.schema
    }
}

/// A version of a subject.
#[derive(Debug, Serialize, ToSchema)]
pub(super) struct SubjectVersion {
    subject: String,
    version: u32,
    id: u32,
    #[serde(flatten)]
    schema: SchemaString,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl SubjectVersion {
    pub fn of(hub: &Hub, bound: &BoundContract, deleted: bool, shown: Shown) -> Self {
        Self {
            subject: hub.catalog.subject_of(&bound.name),
            version: bound.version,
            id: bound.id,
            schema: SchemaString::of(hub, bound, shown),
            deleted,
        }
    }
}

/// A switch in a query: clients write `true` and `True`; all else is off.
pub(super) fn flag<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    let text = String::deserialize(deserializer)?;
    Ok(text.eq_ignore_ascii_case("true"))
}

/// A part of a list.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub(super) struct Page {
    pub offset: Option<u32>,
    /// All where it is missing or negative.
    pub limit: Option<i64>,
}

impl Page {
    pub fn of<T>(self, items: impl IntoIterator<Item = T>) -> Vec<T> {
        let limit = self.limit.and_then(|limit| usize::try_from(limit).ok());
        let skipped = items.into_iter().skip(self.offset.unwrap_or(0) as usize);
        skipped.take(limit.unwrap_or(usize::MAX)).collect()
    }
}

/// Present, or with what was deleted softly.
pub(super) fn which(deleted: bool, deleted_only: bool) -> Which {
    match (deleted, deleted_only) {
        (_, true) => Which::Withdrawn,
        (true, false) => Which::Both,
        (false, false) => Which::Present,
    }
}
