//! A draft of a contract from events: what they have in common, with the evidence counted.
//!
//! Pure, and streaming: events are shown one after the other, and what is kept of them is bounded in
//! places, names, values and types, not by the events. Where a bound is reached the draft says less:
//! it never refuses an event that it was shown.
//!
//! What is drafted: types, required properties, formats that all texts have, enumerations of texts,
//! objects whose member names are data, items of arrays. Ranges and lengths are counted and not
//! asserted: the next event may be larger.

mod draft;
mod names;
mod observed;
mod texts;

use std::collections::{BTreeMap, BTreeSet};

use sandbar_types::event::is_json;
use serde::Serialize;
use serde_json::{Map, Value, json};
use utoipa::ToSchema;

use super::Definition;
pub use names::plain_name;

use draft::Writer;
use observed::{Limits, Node};
use texts::Known;

/// So many event types are drafted; others are counted.
const MOST_TYPES: usize = 500;
/// Longer types are counted among the others, in bytes.
const LONGEST_TYPE: usize = 1024;
/// So many events that are not JSON are named.
const MOST_NAMED: usize = 10;
/// The dialect of drafts.
const DIALECT: &str = "https://json-schema.org/draft/2020-12/schema";

/// How to draft.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Options {
    /// A schema for each event type, or one for all. Absent: for each when there are several.
    pub per_type: Option<bool>,
    /// Write into the schema, as `$comment`, what was counted.
    pub comments: bool,
}

/// A drafted contract and what it stands on.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct Draft {
    /// A JSON Schema of 2020-12.
    #[schema(value_type = Object)]
    pub schema: Value,
    /// For each event type the part of the schema that holds for it. Absent: the whole holds for all.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<String, String>>,
    pub evidence: Evidence,
}

impl Draft {
    /// As it is registered.
    #[must_use]
    pub fn definition(&self) -> Definition {
        Definition {
            schema: self.schema.clone(),
            types: self.types.clone(),
            ..Definition::default()
        }
    }
}

/// What a draft stands on.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Evidence {
    /// Events that were looked at.
    pub events: u64,
    /// Those of them whose data is JSON: the draft takes each of them.
    pub json: u64,
    /// Those of the latter whose data is Avro or Protobuf, and was read as JSON by the schema that wrote it.
    /// The draft says what that JSON looks like; a contract of it refuses the events as they are.
    #[serde(skip_serializing_if = "crate::omit::zero")]
    pub decoded: u64,
    /// Those whose data is not JSON, or that have none: the draft refuses them.
    pub not_json: u64,
    /// The first of those.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub not_json_examples: Vec<NotJson>,
    /// By event type.
    pub types: Vec<TypeCount>,
    /// By part of the schema.
    pub parts: Vec<PartEvidence>,
    /// What the draft leaves out, in words.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

fn parse(data: &[u8]) -> Result<Value, String> {
    serde_json::from_slice(data).map_err(|error| format!("the data is not JSON: {error}"))
}

/// An event whose data is not JSON.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct NotJson {
    /// `topic/partition/offset`.
    pub position: String,
    pub r#type: String,
    pub reason: String,
}

/// Events of one type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct TypeCount {
    pub r#type: String,
    pub events: u64,
    pub not_json: u64,
}

/// What a part of the schema was drafted from.
#[derive(Clone, Debug, PartialEq, Serialize, ToSchema)]
pub struct PartEvidence {
    /// A reference into the schema: `#`, `#/$defs/order`.
    pub schema: String,
    /// Events that it was drafted from.
    pub events: u64,
    pub places: Vec<Place>,
}

/// What was seen at one place of the data.
#[derive(Clone, Debug, Default, PartialEq, Serialize, ToSchema)]
pub struct Place {
    /// A JSON Pointer in which `*` stands for any item and for any member of a map.
    pub place: String,
    /// Values seen.
    pub seen: u64,
    /// Objects that might have had it; for other places as `seen`.
    pub of: u64,
    pub required: bool,
    /// How often each JSON type was seen.
    pub types: BTreeMap<&'static str, u64>,
    /// The smallest and the largest number.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub numbers: Option<(f64, f64)>,
    /// The fewest and the most characters of a text.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lengths: Option<(usize, usize)>,
    /// The fewest and the most items of an array.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub items: Option<(usize, usize)>,
    /// The texts and how often each was seen, where there are few.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub values: BTreeMap<String, u64>,
    /// The first few values.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<Object>)]
    pub examples: Vec<Value>,
    /// What was made of it, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
}

/// What was seen of the data of one event type.
#[derive(Debug, Default)]
struct Seen {
    root: Node,
    json: u64,
    not_json: u64,
}

/// Events, as they are shown one after the other.
#[derive(Debug)]
pub struct Inference {
    options: Options,
    types: BTreeMap<String, Seen>,
    /// Of all types together, where one schema is asked for.
    all: Option<Node>,
    limits: Limits,
    known: Known,
    not_json: Vec<NotJson>,
    /// Events of types beyond those that are drafted.
    beyond: u64,
    /// Events in another format.
    decoded: u64,
}

impl Inference {
    #[must_use]
    pub fn new(options: Options) -> Self {
        Self {
            options,
            types: BTreeMap::new(),
            all: (options.per_type == Some(false)).then(Node::default),
            limits: Limits::default(),
            known: Known::default(),
            not_json: Vec::new(),
            beyond: 0,
            decoded: 0,
        }
    }

    /// Shows an event. `position` is asked for only where the event is named.
    pub fn observe(
        &mut self,
        event_type: &str,
        datacontenttype: &str,
        data: &[u8],
        position: impl FnOnce() -> String,
    ) {
        let parsed = if data.is_empty() {
            Err("the event has no data".to_owned())
        } else if is_json(datacontenttype) {
            parse(data)
        } else {
            Err(format!(
                "datacontenttype is {:?}",
                super::violation::shortened(datacontenttype)
            ))
        };
        self.add(event_type, parsed, position);
    }

    /// Shows an event whose data is in another format, as JSON; or why it cannot be read.
    pub fn observe_decoded(
        &mut self,
        event_type: &str,
        decoded: Result<&[u8], String>,
        position: impl FnOnce() -> String,
    ) {
        let parsed = decoded.and_then(parse);
        let read = parsed.is_ok();
        if self.add(event_type, parsed, position) && read {
            self.decoded += 1;
        }
    }

    /// Whether the event is of a type that is drafted.
    fn add(
        &mut self,
        event_type: &str,
        parsed: Result<Value, String>,
        position: impl FnOnce() -> String,
    ) -> bool {
        if !self.types.contains_key(event_type) {
            if self.types.len() >= MOST_TYPES || event_type.len() > LONGEST_TYPE {
                self.beyond += 1;
                return false;
            }
            self.types.insert(event_type.to_owned(), Seen::default());
        }
        let Some(seen) = self.types.get_mut(event_type) else {
            return false;
        };
        match parsed {
            Ok(value) => {
                seen.json += 1;
                let root = self.all.as_mut().unwrap_or(&mut seen.root);
                root.observe(&value, 0, &mut self.limits, &self.known);
            }
            Err(reason) => {
                seen.not_json += 1;
                if self.not_json.len() < MOST_NAMED {
                    self.not_json.push(NotJson {
                        position: position(),
                        r#type: event_type.to_owned(),
                        reason,
                    });
                }
            }
        }
        true
    }

    /// Drafts from what was shown; `None` when no event was JSON.
    #[must_use]
    pub fn finish(self) -> Option<Draft> {
        let mut notes = Vec::new();
        if self.beyond > 0 {
            notes.push(format!(
                "{} events are of other types than the first {MOST_TYPES}, or of types longer than {LONGEST_TYPE} bytes; the draft says nothing of them",
                self.beyond
            ));
        }
        if self.decoded > 0 {
            notes.push(format!(
                "{} events are Avro or Protobuf and were read as JSON by the schema that wrote them; the draft says what that JSON looks like, and a contract of it refuses the events as they are",
                self.decoded
            ));
        }
        if self.limits.exhausted() {
            notes.push(
                "the data has more places than are kept; what came after them is left open"
                    .to_owned(),
            );
        }
        let types: Vec<TypeCount> = (self.types.iter())
            .map(|(name, seen)| TypeCount {
                r#type: name.clone(),
                events: seen.json + seen.not_json,
                not_json: seen.not_json,
            })
            .collect();
        for one in types.iter().filter(|one| one.events == one.not_json) {
            notes.push(format!(
                "no event of type {:?} is JSON; {}",
                one.r#type,
                if self.options.per_type == Some(false) {
                    "a contract refuses them"
                } else {
                    "the draft has no part for it, and a contract refuses them"
                }
            ));
        }
        let not_json = types.iter().map(|one| one.not_json).sum();
        let events: u64 = types.iter().map(|one| one.events).sum();
        let mut evidence = Evidence {
            events: events + self.beyond,
            json: events - not_json,
            decoded: self.decoded,
            not_json,
            not_json_examples: self.not_json,
            types,
            parts: Vec::new(),
            notes,
        };
        if evidence.json == 0 {
            return None;
        }
        let comments = self.options.comments;
        let mut seen: Vec<(String, Seen)> = (self.types.into_iter())
            .filter(|(_, seen)| seen.json > 0)
            .collect();
        let whole = match (self.all, seen.as_slice(), self.options.per_type) {
            (Some(all), ..) => Some(all),
            (None, [_], None) => seen.pop().map(|(_, seen)| seen.root),
            _ => None,
        };
        if let Some(mut root) = whole {
            let mut writer = Writer::new(&self.known, comments);
            let schema = writer.schema(&mut root, String::new());
            evidence.parts.push(PartEvidence {
                schema: "#".to_owned(),
                events: evidence.json,
                places: writer.places,
            });
            return Some(Draft {
                schema: with_dialect(schema),
                types: None,
                evidence,
            });
        }
        let mut definitions = Map::new();
        let mut references = BTreeMap::new();
        let mut taken = BTreeSet::new();
        for (name, mut seen) in seen {
            let key = names::plain_name(&name, &mut taken);
            let mut writer = Writer::new(&self.known, comments);
            let schema = writer.schema(&mut seen.root, String::new());
            let reference = format!("#/$defs/{key}");
            evidence.parts.push(PartEvidence {
                schema: reference.clone(),
                events: seen.json,
                places: writer.places,
            });
            definitions.insert(key, Value::Object(schema));
            references.insert(name, reference);
        }
        // Alone, without its types, the schema takes what any of the types takes.
        let distinct: Vec<Value> = (references.values())
            .map(|reference| json!({"$ref": reference}))
            .collect();
        let mut schema = Map::new();
        schema.insert("anyOf".to_owned(), Value::Array(distinct));
        schema.insert("$defs".to_owned(), Value::Object(definitions));
        Some(Draft {
            schema: with_dialect(schema),
            types: Some(references),
            evidence,
        })
    }
}

fn with_dialect(mut schema: Map<String, Value>) -> Value {
    schema.insert("$schema".to_owned(), DIALECT.into());
    Value::Object(schema)
}

#[cfg(test)]
mod tests;
