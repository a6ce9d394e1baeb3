//! Inputs for the gate: events whose data is made from a contract, stored events, and events that are made of
//! those.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use bytes::Bytes;
use sandbar_compat::{Changer, Document, Generation, Part, generate};
use sandbar_types::{Event, Offset};
use serde_json::Value;

use crate::{catalog::BoundContract, contract::Format};

/// Documents of each event type, however many types there are.
const LEAST_OF_A_TYPE: usize = 3;
/// The work for each type, in the steps of `sandbar_compat`.
const STEPS: u64 = 100_000;
/// Types of real events that data is given where the contract names none.
const MOST_TYPES: usize = 8;
/// Bytes of all documents of a contract, and for each type at least.
const BYTES: usize = 16 << 20;
const LEAST_BYTES_OF_A_TYPE: usize = 128 << 10;
/// Stored events of a type that others are made of.
const MOST_OF_A_TYPE: usize = 10;
/// The type of events where nothing names one.
const ANY_TYPE: &str = "generated";

/// A stored event.
#[derive(Clone, Debug)]
pub struct Real {
    pub partition: u32,
    pub offset: Offset,
    pub event: Event,
}

/// Data made from a contract, small documents of each type first.
pub struct Made {
    /// The schema; or why nothing is made of it.
    document: Result<Document, String>,
    parts: Vec<MadePart>,
}

struct MadePart {
    /// `None`: any type.
    r#type: Option<String>,
    /// A JSON Pointer into the schema.
    pointer: String,
    /// As events carry it.
    data: Vec<(String, Bytes)>,
}

impl fmt::Debug for Made {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let each = self.parts.iter();
        let counts = each.map(|part| (&part.r#type, part.data.len()));
        f.debug_list().entries(counts).finish()
    }
}

/// Makes data for a contract: about so many documents, at least a few of each type. Takes a while for a
/// large contract.
#[must_use]
pub fn make(bound: &BoundContract, seed: u64, documents: usize) -> Made {
    let schema = schema(bound);
    let document =
        schema.and_then(|schema| Document::new(&schema).map_err(|error| error.to_string()));
    let mut made = Made {
        document,
        parts: Vec::new(),
    };
    let Ok(document) = &made.document else {
        return made;
    };
    let mut parts: Vec<MadePart> = match &bound.definition.types {
        None => vec![MadePart {
            r#type: None,
            pointer: String::new(),
            data: Vec::new(),
        }],
        Some(types) => {
            let each = types.iter().filter_map(|(name, reference)| {
                let pointer = crate::contract::pointer_of(reference).ok()?;
                Some(MadePart {
                    r#type: Some(name.clone()),
                    pointer,
                    data: Vec::new(),
                })
            });
            each.collect()
        }
    };
    let pointers: Vec<String> = parts.iter().map(|part| part.pointer.clone()).collect();
    let options = Generation {
        seed,
        documents: match parts.len() {
            1 => documents,
            many => (documents / many.max(1)).max(LEAST_OF_A_TYPE.min(documents)),
        },
        steps: STEPS,
        bytes: (BYTES / parts.len().max(1)).max(LEAST_BYTES_OF_A_TYPE),
    };
    let generated = generate(document, &pointers, &options);
    for (part, documents) in parts.iter_mut().zip(generated) {
        part.data = (documents.iter())
            .filter_map(|data| encode(bound, data))
            .collect();
    }
    made.parts = parts;
    made
}

impl Made {
    /// Why nothing was made; in words, where it is known.
    #[must_use]
    pub fn flaw(&self) -> Option<&str> {
        self.document.as_ref().err().map(String::as_str)
    }

    /// Events of a contract, at most `most_bytes` of data each: the small ones of each type first. Attributes
    /// that a contract does not speak of are those of the last event of the type that is there.
    #[must_use]
    pub fn events(
        &self,
        bound: &BoundContract,
        seed: u64,
        real: &[Real],
        most_bytes: usize,
    ) -> Vec<Event> {
        let mut like: BTreeMap<&str, &Event> = BTreeMap::new();
        for one in real {
            like.insert(&one.event.r#type, &one.event);
        }
        let seen: Vec<&str> = like.keys().copied().take(MOST_TYPES).collect();
        let longest = self.parts.iter().map(|part| part.data.len()).max();
        let mut events = Vec::new();
        for index in 0..longest.unwrap_or(0) {
            for part in &self.parts {
                let Some((datacontenttype, bytes)) = part.data.get(index) else {
                    continue;
                };
                let number = events.len();
                let r#type = match (&part.r#type, seen.as_slice()) {
                    (Some(named), _) => named.as_str(),
                    (None, []) => ANY_TYPE,
                    (None, seen) => seen[number % seen.len()],
                };
                let id = format!("gate-{seed}-{number}");
                let fits = bound.contract.check(r#type, datacontenttype, bytes).is_ok();
                if fits && bytes.len() <= most_bytes {
                    let like = like.get(r#type).copied();
                    let (kind, bytes) = (datacontenttype.clone(), bytes.clone());
                    events.push(event(id, r#type, like, kind, bytes));
                }
            }
        }
        events
    }

    /// Events like stored ones, each changed in a few places, within the contract: at most `most`.
    #[must_use]
    pub fn like(
        &self,
        bound: &BoundContract,
        seed: u64,
        real: &[&Real],
        most: usize,
        most_bytes: usize,
    ) -> Vec<Event> {
        // Of each type as many as of the others, the last ones first.
        let mut by_type: BTreeMap<&str, Vec<&Event>> = BTreeMap::new();
        for one in real.iter().rev() {
            let of_type = by_type.entry(&one.event.r#type).or_default();
            if of_type.len() < MOST_OF_A_TYPE {
                of_type.push(&one.event);
            }
        }
        let each = most / by_type.len().max(1);
        let mut events = Vec::new();
        for (r#type, of_type) in by_type {
            let documents: Vec<Value> = of_type
                .iter()
                .filter_map(|event| decode(bound, event))
                .collect();
            let Some(changer) = self.changer(r#type) else {
                continue;
            };
            for data in changer.vary(&documents, seed, each.max(1)) {
                let encoded = encode(bound, &data).filter(|(_, bytes)| bytes.len() <= most_bytes);
                if let (Some((datacontenttype, bytes)), Some(like)) = (encoded, of_type.first())
                    && events.len() < most
                {
                    let id = format!("gate-{seed}-like-{}", events.len());
                    events.push(event(id, r#type, Some(like), datacontenttype, bytes));
                }
            }
        }
        events.sort_by_key(|event| event.data.len());
        events
    }

    /// What makes other data of a type's, within the contract.
    #[must_use]
    pub fn changer(&self, r#type: &str) -> Option<Changer> {
        let named = |part: &&MadePart| part.r#type.as_deref().is_none_or(|named| named == r#type);
        let part = self.parts.iter().find(named)?;
        Changer::new(Part {
            document: self.document.as_ref().ok()?,
            pointer: &part.pointer,
        })
    }
}

/// What data of a contract is as JSON, as a JSON Schema with all that it refers to. This, [`encode`] and
/// [`decode`] are all that the gate knows of formats.
fn schema(bound: &BoundContract) -> Result<Cow<'_, Value>, String> {
    match bound.definition.format {
        Format::Json => bound
            .definition
            .bundled()
            .map_err(|error| error.to_string()),
        other => Err(format!(
            "inputs are not made from {} schemas",
            other.title()
        )),
    }
}

/// Data as an event carries it: its content type and its bytes.
pub(super) fn encode(_: &BoundContract, data: &Value) -> Option<(String, Bytes)> {
    let bytes = serde_json::to_vec(data).ok()?;
    Some(("application/json".to_owned(), bytes.into()))
}

/// Data of an event as JSON.
pub(super) fn decode(_: &BoundContract, event: &Event) -> Option<Value> {
    serde_json::from_slice(&event.data).ok()
}

fn event(
    id: String,
    r#type: &str,
    like: Option<&Event>,
    datacontenttype: String,
    data: Bytes,
) -> Event {
    let mut event = like.cloned().unwrap_or_else(|| Event {
        id: String::new(),
        source: "urn:sandbar:gate".to_owned(),
        r#type: String::new(),
        subject: "generated".to_owned(),
        time: "2026-01-01T00:00:00Z".to_owned(),
        datacontenttype: String::new(),
        dataschema: String::new(),
        extensions: BTreeMap::new(),
        data: Bytes::new(),
    });
    event.id = id;
    event.r#type = r#type.to_owned();
    event.datacontenttype = datacontenttype;
    event.data = data;
    event
}
