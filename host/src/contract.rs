//! Contracts: what the data of a topic's events must look like, as JSON Schema, Avro or Protobuf.
//!
//! Pure: no HTTP, no disk, and nothing is ever fetched; a schema may refer to other contracts, which are
//! handed in with it, and to nothing else. Either the whole schema holds for every event, or `types` says
//! which part of it holds for which CloudEvents type; other types are refused then.

mod avro;
mod binary;
mod bundle;
mod compatibility;
mod definition;
mod elsewhere;
mod flat;
pub mod infer;
mod json;
mod lazy;
mod protobuf;
mod schema;
mod violation;

use schema::pointer_of;
use serde_json::Value;

pub use compatibility::{
    Comparison, Finding, Outcome, Policy, Rule, Undecided, Verdict, compare, flaw,
};
pub use definition::{ContractReference, Definition, Format, JsonForm};
pub use infer::plain_name;
pub use lazy::Lazy;
pub use violation::{Violation, Violations};

/// Why a definition is no contract.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct InvalidSchema {
    /// JSON Pointer into the definition: `/schema/…`, `/types/…` or `/references/…`.
    pub pointer: String,
    pub reason: String,
}

/// A compiled contract.
#[derive(Debug)]
pub struct Contract(Compiled);

#[derive(Debug)]
enum Compiled {
    Json(Box<json::Schema>),
    Avro(avro::Schema),
    Protobuf(Box<protobuf::Schema>),
}

impl Contract {
    /// Checks a definition and makes it ready for events.
    ///
    /// # Errors
    /// When the schema breaks the rules of its format, a reference leads nowhere or to what is not listed,
    /// a pattern cannot be run, or a type names no part of the schema. The first fault is told.
    pub fn compile(definition: &Definition) -> Result<Self, InvalidSchema> {
        let compiled = match definition.format {
            Format::Json => Compiled::Json(Box::new(json::Schema::compile(definition)?)),
            Format::Avro => Compiled::Avro(avro::Schema::compile(definition)?),
            Format::Protobuf => {
                Compiled::Protobuf(Box::new(protobuf::Schema::compile(definition)?))
            }
        };
        Ok(Self(compiled))
    }

    /// The format of the schema.
    #[must_use]
    pub fn format(&self) -> Format {
        match &self.0 {
            Compiled::Json(_) => Format::Json,
            Compiled::Avro(_) => Format::Avro,
            Compiled::Protobuf(_) => Format::Protobuf,
        }
    }

    /// The draft of JSON Schema that the contract is checked by.
    #[must_use]
    pub fn draft(&self) -> Option<jsonschema::Draft> {
        match &self.0 {
            Compiled::Json(schema) => Some(schema.draft()),
            Compiled::Avro(_) | Compiled::Protobuf(_) => None,
        }
    }

    /// The schema of an Avro contract.
    #[must_use]
    pub fn avro(&self) -> Option<&sandbar_avro::Schema> {
        match &self.0 {
            Compiled::Avro(avro) => Some(&avro.schema),
            Compiled::Json(_) | Compiled::Protobuf(_) => None,
        }
    }

    /// The schema of a Protobuf contract, with the message that holds for a type of events; `None` of
    /// other formats.
    ///
    /// # Errors
    /// When no message holds for the type.
    pub fn protobuf(
        &self,
        event_type: &str,
    ) -> Option<Result<&sandbar_protobuf::Schema, Violations>> {
        match &self.0 {
            Compiled::Protobuf(protobuf) => Some(protobuf.of_type(event_type)),
            Compiled::Json(_) | Compiled::Avro(_) => None,
        }
    }

    /// Checks the data of an event.
    ///
    /// # Errors
    /// When the type is not listed, the data is not in the contract's format, or it breaks the schema.
    pub fn check(
        &self,
        event_type: &str,
        datacontenttype: &str,
        data: &[u8],
    ) -> Result<(), Violations> {
        match &self.0 {
            Compiled::Json(schema) => schema.check(event_type, datacontenttype, data),
            Compiled::Avro(schema) => schema.check(datacontenttype, data),
            Compiled::Protobuf(schema) => schema.check(event_type, datacontenttype, data),
        }
    }

    /// Checks data that is parsed already; in Avro and Protobuf its JSON form.
    ///
    /// # Errors
    /// When the type is not listed, or the data breaks the schema.
    pub fn check_value(&self, event_type: &str, data: &Value) -> Result<(), Violations> {
        match &self.0 {
            Compiled::Json(schema) => schema.check_value(event_type, data),
            Compiled::Avro(schema) => schema.check_value(data),
            Compiled::Protobuf(schema) => schema.check_value(event_type, data),
        }
    }
}

fn no_types() -> InvalidSchema {
    InvalidSchema {
        pointer: "/types".into(),
        reason:
            "names no type, so no event could pass; leave it out to check all with the whole schema"
                .into(),
    }
}

fn type_pointer(name: &str) -> String {
    format!("/types/{}", crate::pointer::token(name))
}

#[cfg(test)]
mod conformance;
#[cfg(test)]
mod tests;
