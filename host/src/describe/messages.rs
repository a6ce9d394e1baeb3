//! Contracts as messages: what the events of a topic look like, once for all documents.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use super::embed::{Dialect, Embedded, embed};
use crate::{catalog::BoundContract, contract::Format};

/// A contract's schema as it stands at `base`; its types by the references to their parts.
pub(super) struct Payload {
    pub schema: Value,
    /// `None` where the whole schema holds for all types.
    pub types: Option<BTreeMap<String, String>>,
}

/// What the data of a contract looks like as JSON. A contract of Protobuf without a message, which is there
/// for others to import, takes nothing.
pub(super) fn payload(bound: &BoundContract, base: &str, dialect: Dialect) -> Payload {
    let definition = &bound.definition;
    let (whole, parts) = match definition.json_form() {
        Ok(form) => {
            let parts = (form.places.into_iter()).map(|(name, pointer)| Some((name?, pointer)));
            (form.schema, parts.collect::<Option<BTreeMap<_, _>>>())
        }
        Err(error) => {
            let schema = match definition.format {
                Format::Protobuf => {
                    json!({"not": {}, "description": format!("No data fits: the contract {}.", error.reason)})
                }
                Format::Json | Format::Avro => {
                    json!({"description": format!("Not shown: {}.", error.reason)})
                }
            };
            return Payload {
                schema,
                types: None,
            };
        }
    };
    let pointers: Option<BTreeSet<String>> =
        (parts.as_ref()).map(|parts| parts.values().cloned().collect());
    let Embedded {
        mut schema,
        parts: references,
    } = embed(&whole, pointers.as_ref(), base, dialect);
    if definition.format != Format::Json {
        schema["description"] = as_json(bound).into();
    }
    let types = parts.map(|parts| {
        let each = parts.into_iter();
        each.filter_map(|(name, pointer)| Some((name, references.get(&pointer)?.clone())))
            .collect()
    });
    Payload { schema, types }
}

/// Says of a schema that it is not that of the bytes.
fn as_json(bound: &BoundContract) -> String {
    let format = bound.definition.format;
    let own = &bound.definition.description;
    let gap = if own.is_empty() { "" } else { "\n\n" };
    format!(
        "{own}{gap}The data as JSON. Events carry it in {} ({}); the schema itself is at /v1/contracts/{}/versions/{}.",
        format.title(),
        format.media_types()[0],
        bound.name,
        bound.version
    )
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
