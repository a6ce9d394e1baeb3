//! Whether a message that went through JSON is still the same, and where it is not.
//!
//! Asked only where well-known types are in play: their JSON is not their fields, so a message may hold
//! what it cannot say. Floats are the same by their bits, so that NaN is NaN.

use prost_reflect::{DynamicMessage, ReflectMessage, Value};

use crate::Unknown;

/// The path (names in JSON) and what is wrong there.
pub(crate) fn difference(
    before: &DynamicMessage,
    after: &DynamicMessage,
    unknown: Unknown,
) -> Option<(Vec<String>, String)> {
    let mut path = Vec::new();
    let reason = messages(before, after, unknown, &mut path)?;
    Some((path, reason))
}

const LOST: &str = "holds something that JSON cannot say";

fn messages(
    before: &DynamicMessage,
    after: &DynamicMessage,
    unknown: Unknown,
    path: &mut Vec<String>,
) -> Option<String> {
    if before.descriptor().full_name() == "google.protobuf.Any" {
        return anys(before, after, unknown, path);
    }
    for (field, value) in before.fields() {
        path.push(field.json_name().to_owned());
        let other = after.get_field(&field);
        if let Some(reason) = values(value, &other, unknown, path) {
            return Some(reason);
        }
        path.pop();
    }
    if let Some((field, _)) = after.fields().find(|(field, _)| !before.has_field(field)) {
        path.push(field.json_name().to_owned());
        return Some(LOST.into());
    }
    for (field, value) in before.extensions() {
        path.push(field.json_name().to_owned());
        let other = after.get_extension(&field);
        if let Some(reason) = values(value, &other, unknown, path) {
            return Some(reason);
        }
        path.pop();
    }
    let first = before
        .unknown_fields()
        .next()
        .filter(|_| unknown == Unknown::Refused);
    first.map(|field| {
        format!(
            "has a field {}, which its message does not have",
            field.number()
        )
    })
}

fn values(
    before: &Value,
    after: &Value,
    unknown: Unknown,
    path: &mut Vec<String>,
) -> Option<String> {
    let same = match (before, after) {
        (Value::Message(before), Value::Message(after)) => {
            return messages(before, after, unknown, path);
        }
        (Value::List(before), Value::List(after)) if before.len() == after.len() => {
            for (nth, (before, after)) in before.iter().zip(after).enumerate() {
                path.push(nth.to_string());
                if let Some(reason) = values(before, after, unknown, path) {
                    return Some(reason);
                }
                path.pop();
            }
            true
        }
        (Value::Map(before), Value::Map(after)) if before.len() == after.len() => {
            for (key, before) in before {
                path.push(crate::encode::key_text(key));
                let Some(after) = after.get(key) else {
                    return Some(LOST.into());
                };
                if let Some(reason) = values(before, after, unknown, path) {
                    return Some(reason);
                }
                path.pop();
            }
            true
        }
        (Value::F64(before), Value::F64(after)) => {
            before.to_bits() == after.to_bits() || (before.is_nan() && after.is_nan())
        }
        (Value::F32(before), Value::F32(after)) => {
            before.to_bits() == after.to_bits() || (before.is_nan() && after.is_nan())
        }
        _ => before == after,
    };
    (!same).then(|| LOST.to_owned())
}

/// The bytes in an Any may differ and mean the same, so what they hold is compared.
fn anys(
    before: &DynamicMessage,
    after: &DynamicMessage,
    unknown: Unknown,
    path: &mut Vec<String>,
) -> Option<String> {
    let (url, inside) = opened(before)?;
    let Some((other, outside)) = opened(after) else {
        return Some(LOST.into());
    };
    if url != other {
        return Some(LOST.into());
    }
    messages(&inside, &outside, unknown, path)
}

fn opened(any: &DynamicMessage) -> Option<(String, DynamicMessage)> {
    let url = any.get_field_by_number(1)?.as_str()?.to_owned();
    let bytes = any.get_field_by_number(2)?.as_bytes()?.clone();
    let name = url.rsplit('/').next()?;
    let message = any.descriptor().parent_pool().get_message_by_name(name)?;
    Some((url, DynamicMessage::decode(message, bytes).ok()?))
}
