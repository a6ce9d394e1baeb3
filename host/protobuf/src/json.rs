//! Bytes to JSON and back, by the library's mapping; what the library would lose in silence is refused
//! before (`faithful`) or found after (`same`).

use prost_reflect::{DeserializeOptions, DynamicMessage};
use serde_json::Value;
use serde_path_to_error::Segment;

use crate::{Flaw, Schema, Unknown, encode, faithful, float, same, schema::pointer};

pub(crate) fn to_json(schema: &Schema, data: &[u8], unknown: Unknown) -> Result<Value, Flaw> {
    schema.check_with(data, unknown)?;
    let message = DynamicMessage::decode(schema.descriptor(), data)
        .map_err(|error| whole(error.to_string()))?;
    let mut json = serde_json::to_value(&message).map_err(|error| whole(error.to_string()))?;
    if schema.reach().float {
        float::mend(&message, &mut json);
    }
    if schema.reach().well_known {
        let back = deserialize(schema, &json)?;
        if let Some((path, reason)) = same::difference(&message, &back, unknown) {
            return Err(Flaw {
                path: pointer(&path),
                reason,
            });
        }
    }
    Ok(json)
}

pub(crate) fn to_bytes(schema: &Schema, json: &Value) -> Result<Vec<u8>, Flaw> {
    faithful::check(&schema.descriptor(), json)?;
    let message = deserialize(schema, json)?;
    let bytes = encode::message(&message, schema.reach());
    // Required fields, closed enums, depth: what is written is always taken.
    schema.check(&bytes)?;
    Ok(bytes)
}

fn deserialize(schema: &Schema, json: &Value) -> Result<DynamicMessage, Flaw> {
    let mut track = serde_path_to_error::Track::new();
    let deserializer = serde_path_to_error::Deserializer::new(json, &mut track);
    let options = DeserializeOptions::new();
    DynamicMessage::deserialize_with_options(schema.descriptor(), deserializer, &options).map_err(
        |error| {
            let path = track.path();
            let segments = path.iter().filter_map(|segment| match segment {
                Segment::Seq { index } => Some(index.to_string()),
                Segment::Map { key } => Some(key.clone()),
                Segment::Enum { .. } | Segment::Unknown => None,
            });
            Flaw {
                path: pointer(&segments.collect::<Vec<_>>()),
                reason: error.to_string(),
            }
        },
    )
}

fn whole(reason: String) -> Flaw {
    Flaw {
        path: String::new(),
        reason,
    }
}
