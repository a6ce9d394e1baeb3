//! Contracts as messages: what the events of a topic look like, once for all documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::embed::{Dialect, Embedded, embed};
use crate::{catalog::BoundContract, contract::Format};

/// The parts of a contract's schema that its types name, as JSON Pointers.
pub(super) fn parts_of(bound: &BoundContract) -> Option<BTreeMap<&str, String>> {
    let types = bound.definition.types.as_ref()?;
    let pointer = |reference: &str| {
        let fragment = reference.trim_start_matches('#');
        let decoded = percent_encoding::percent_decode_str(fragment).decode_utf8_lossy();
        decoded.into_owned()
    };
    let each = types.iter();
    Some(
        each.map(|(name, reference)| (name.as_str(), pointer(reference)))
            .collect(),
    )
}

/// A contract's schema as it stands at `base`; its types by the references to their parts.
pub(super) struct Payload {
    pub schema: Value,
    /// `None` where the whole schema holds for all types.
    pub types: Option<BTreeMap<String, String>>,
}

/// `None` where the contract is not a JSON Schema, or one that cannot stand in one document.
pub(super) fn payload(bound: &BoundContract, base: &str, dialect: Dialect) -> Option<Payload> {
    if bound.definition.format != Format::Json {
        return None;
    }
    let whole = bound.definition.bundled().ok()?;
    let parts = parts_of(bound);
    let pointers: Option<BTreeSet<String>> =
        (parts.as_ref()).map(|parts| parts.values().cloned().collect());
    let Embedded {
        schema,
        parts: references,
    } = embed(&whole, pointers.as_ref(), base, dialect);
    let types = parts.map(|parts| {
        let each = parts.into_iter();
        each.filter_map(|(name, pointer)| {
            Some((name.to_owned(), references.get(&pointer)?.clone()))
        })
        .collect()
    });
    Some(Payload { schema, types })
}

/// The attributes of a CloudEvent in the names of one binding: `ce-` of HTTP headers, none in JSON.
pub(super) fn attributes(prefix: &str, event_type: Option<&str>) -> Value {
    let named = |name: &str| format!("{prefix}{name}");
    let text =
        |description: &str| json!({"type": "string", "minLength": 1, "description": description});
    let mut event_type_schema = text("What happened");
    if let Some(event_type) = event_type {
        event_type_schema = json!({"type": "string", "const": event_type});
    }
    let members = [
        ("specversion", json!({"type": "string", "const": "1.0"})),
        ("id", text("Unique for its source")),
        (
            "source",
            json!({"type": "string", "format": "uri-reference", "minLength": 1, "description": "Where it comes from"}),
        ),
        ("type", event_type_schema),
        (
            "subject",
            text("What it is about; the key, unless partitionkey says otherwise"),
        ),
        (
            "time",
            json!({"type": "string", "format": "date-time", "description": "When it happened"}),
        ),
        ("dataschema", json!({"type": "string", "format": "uri"})),
        ("partitionkey", text("Events of one key stay in order")),
    ];
    let properties: serde_json::Map<String, Value> = members
        .into_iter()
        .map(|(name, schema)| (named(name), schema))
        .collect();
    let required: Vec<String> = ["specversion", "id", "source", "type"].map(named).to_vec();
    json!({"type": "object", "required": required, "properties": properties})
}
