//! Inputs for the gate: events whose data is made from a contract, stored events, and events that are made of
//! those.

use std::{collections::BTreeMap, fmt};

use bytes::Bytes;
use sandbar_compat::{Changer, Document, Generation, Part, generate};
use sandbar_types::{Event, Offset};
use serde_json::Value;

use crate::{catalog::TopicData, contract::Definition};

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
const JSON: &str = "application/json";
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
    /// As JSON.
    data: Vec<Bytes>,
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
pub fn make(contract: &Definition, seed: u64, documents: usize) -> Made {
    let prepared = contract.json_form().map_err(|error| error.to_string());
    let prepared = prepared.and_then(|form| {
        let document = Document::new(&form.schema).map_err(|error| error.to_string())?;
        Ok((document, form.places))
    });
    let (document, places) = match prepared {
        Ok(prepared) => prepared,
        Err(why) => {
            return Made {
                document: Err(why),
                parts: Vec::new(),
            };
        }
    };
    let mut parts: Vec<MadePart> = (places.into_iter())
        .map(|(r#type, pointer)| MadePart {
            r#type,
            pointer,
            data: Vec::new(),
        })
        .collect();
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
    let generated = generate(&document, &pointers, &options);
    document.release();
    for (part, documents) in parts.iter_mut().zip(generated) {
        let texts = documents.iter().map(|data| data.to_string().into());
        part.data = texts.collect();
    }
    Made {
        document: Ok(document),
        parts,
    }
}

impl Made {
    /// Why nothing was made; in words, where it is known.
    #[must_use]
    pub fn flaw(&self) -> Option<&str> {
        self.document.as_ref().err().map(String::as_str)
    }

    /// Gives back memory that only work takes. The next who works takes it again.
    pub fn release(&self) {
        if let Ok(document) = &self.document {
            document.release();
        }
    }

    /// Events as the source takes them, at most `most_bytes` of data each: the small ones of each type first. Attributes
    /// that a contract does not speak of are those of the last event of the type that is there.
    #[must_use]
    pub fn events(
        &self,
        source: &TopicData,
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
                let Some(data) = part.data.get(index) else {
                    continue;
                };
                let number = events.len();
                let r#type = match (&part.r#type, seen.as_slice()) {
                    (Some(named), _) => named.as_str(),
                    (None, []) => ANY_TYPE,
                    (None, seen) => seen[number % seen.len()],
                };
                let id = format!("gate-{seed}-{number}");
                let made = event(id, r#type, like.get(r#type).copied(), data.clone());
                let made = encoded(source, made);
                events.extend(made.filter(|event| event.data.len() <= most_bytes));
            }
        }
        events
    }

    /// Events like stored ones, each changed in a few places, as the source takes them: at most `most`.
    #[must_use]
    pub fn like(
        &self,
        source: &TopicData,
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
                .filter_map(|event| decoded(source, event))
                .collect();
            let Some(changer) = self.changer(r#type) else {
                continue;
            };
            for data in changer.vary(&documents, seed, each.max(1)) {
                if events.len() >= most {
                    break;
                }
                let id = format!("gate-{seed}-like-{}", events.len());
                let like = of_type.first().copied();
                let made = encoded(source, event(id, r#type, like, data.to_string().into()));
                events.extend(made.filter(|event| event.data.len() <= most_bytes));
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

/// An event with JSON data as the source takes it: in the format of its contract. None where it does not fit.
pub(super) fn encoded(source: &TopicData, mut event: Event) -> Option<Event> {
    let encoded = source.encode(event.payload()).ok()?;
    if let Some(encoded) = encoded {
        event.datacontenttype = encoded.datacontenttype.to_owned();
        event.dataschema = encoded.dataschema;
        event.data = encoded.data.into();
    }
    Some(event)
}

/// Data of an event of the source as JSON.
pub(super) fn decoded(source: &TopicData, event: &Event) -> Option<Value> {
    let decoded = source.decode(event.payload()).ok()?;
    serde_json::from_slice(&decoded.unwrap_or_else(|| event.data.clone())).ok()
}

/// An event like another, with other data.
pub(super) fn with_data(like: &Event, data: &Value) -> Event {
    Event {
        datacontenttype: JSON.to_owned(),
        data: data.to_string().into(),
        ..like.clone()
    }
}

fn event(id: String, r#type: &str, like: Option<&Event>, data: Bytes) -> Event {
    let mut event = like.cloned().unwrap_or_else(|| Event {
        source: "urn:sandbar:gate".to_owned(),
        subject: "generated".to_owned(),
        time: "2026-01-01T00:00:00Z".to_owned(),
        ..Event::default()
    });
    event.id = id;
    event.r#type = r#type.to_owned();
    event.datacontenttype = JSON.to_owned();
    event.data = data;
    event
}
