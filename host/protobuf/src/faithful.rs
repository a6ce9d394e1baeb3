//! What a JSON document holds that its bytes could not say, and that the library passes over or does not
//! give the place of: fields that there are not, the same field or key twice, in two spellings, several of
//! a oneof, and numbers that would be rounded or cut. Everything else that does not fit is the library's
//! to find.

use std::collections::HashMap;

use prost_reflect::{Cardinality, Kind, MessageDescriptor};
use serde_json::{Map, Value};

use crate::{Flaw, schema::pointer, shape::is_well_known};

pub(crate) fn check(message: &MessageDescriptor, json: &Value) -> Result<(), Flaw> {
    let mut path = Vec::new();
    in_message(message, json, &mut path).map_err(|reason| Flaw {
        path: pointer(&path),
        reason,
    })
}

/// On an error the path stays where it is.
fn in_message(
    message: &MessageDescriptor,
    json: &Value,
    path: &mut Vec<String>,
) -> Result<(), String> {
    if is_well_known(message.full_name()) {
        return match message.full_name() {
            "google.protobuf.Any" => in_any(message, json, path),
            "google.protobuf.Struct" | "google.protobuf.Value" | "google.protobuf.ListValue" => {
                in_struct(json, path)
            }
            // The wrappers are as the value in them.
            _ => match message.get_field_by_name("value") {
                Some(field) => in_value(&field.kind(), json, path),
                None => Ok(()),
            },
        };
    }
    let Value::Object(members) = json else {
        return Ok(());
    };
    in_members(message, members, &[], path)
}

/// `also`: names that are no fields and may be there.
fn in_members(
    message: &MessageDescriptor,
    members: &Map<String, Value>,
    also: &[&str],
    path: &mut Vec<String>,
) -> Result<(), String> {
    let mut seen: HashMap<u32, &str> = HashMap::new();
    let mut chosen: HashMap<String, &str> = HashMap::new();
    for (key, value) in members {
        let field = message
            .get_field_by_json_name(key)
            .or_else(|| message.get_field_by_name(key));
        path.push(key.clone());
        if let Some(field) = field {
            if let Some(other) = seen.insert(field.number(), key) {
                return Err(format!(
                    "is the same field as {other:?}: one of them would be lost"
                ));
            }
            let set = !value.is_null() || takes_null(&field.kind());
            if let Some(oneof) = field.containing_oneof().filter(|_| set)
                && let Some(other) = chosen.insert(oneof.name().to_owned(), key)
            {
                return Err(format!(
                    "only one field of the oneof {} can be set, and {other:?} is",
                    oneof.name()
                ));
            }
            if value.is_null()
                && !field.supports_presence()
                && field.cardinality() != Cardinality::Repeated
                && !takes_null(&field.kind())
            {
                return Err("is null, and the field always has a value, so it would be read as its default: leave it out where that is meant, or make the field optional".into());
            }
            in_field(
                &field.kind(),
                field.cardinality(),
                field.is_map(),
                value,
                path,
            )?;
        } else if let Some(field) = message.get_extension_by_json_name(key) {
            in_field(
                &field.kind(),
                field.cardinality(),
                field.is_map(),
                value,
                path,
            )?;
        } else if !also.contains(&key.as_str()) {
            return Err(format!("is no field of {}", message.full_name()));
        }
        path.pop();
    }
    Ok(())
}

fn in_field(
    kind: &Kind,
    cardinality: Cardinality,
    map: bool,
    value: &Value,
    path: &mut Vec<String>,
) -> Result<(), String> {
    match (value, kind) {
        (Value::Object(entries), Kind::Message(entry)) if map => {
            let value_kind = entry.map_entry_value_field().kind();
            let key_kind = entry.map_entry_key_field().kind();
            let mut seen = HashMap::new();
            for (key, value) in entries {
                path.push(key.clone());
                // Of numbers +1, 01 and 1 are one key.
                let plain = match key_kind {
                    Kind::String => None,
                    _ => key.parse::<i128>().ok(),
                };
                if let Some(other) = plain.and_then(|number| seen.insert(number, key)) {
                    return Err(format!(
                        "is the same key as {other:?}: one of them would be lost"
                    ));
                }
                if value.is_null() && !takes_null(&value_kind) {
                    return Err("is null: a map has no entries without a value".into());
                }
                in_value(&value_kind, value, path)?;
                path.pop();
            }
            Ok(())
        }
        (Value::Array(items), _) if cardinality == Cardinality::Repeated => {
            for (nth, item) in items.iter().enumerate() {
                path.push(nth.to_string());
                if item.is_null() && !takes_null(kind) {
                    return Err("is null: a list has no items without a value".into());
                }
                in_value(kind, item, path)?;
                path.pop();
            }
            Ok(())
        }
        (Value::Null, _) => Ok(()),
        _ => in_value(kind, value, path),
    }
}

fn takes_null(kind: &Kind) -> bool {
    match kind {
        Kind::Message(message) => message.full_name() == "google.protobuf.Value",
        Kind::Enum(described) => described.full_name() == "google.protobuf.NullValue",
        _ => false,
    }
}

fn in_value(kind: &Kind, value: &Value, path: &mut Vec<String>) -> Result<(), String> {
    match kind {
        Kind::Message(message) => in_message(message, value, path),
        Kind::Double => float(value, f64::MANTISSA_DIGITS, f64::INFINITY),
        Kind::Float => float(value, f32::MANTISSA_DIGITS, f64::from(f32::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => whole(value, i128::from(i64::MAX)),
        Kind::Uint64 | Kind::Fixed64 => whole(value, i128::from(u64::MAX)),
        _ => Ok(()),
    }
}

/// Whether a float takes a number as it is. Decimal fractions are rounded as everywhere; whole numbers
/// are not.
fn float(value: &Value, digits: u32, largest: f64) -> Result<(), String> {
    match value {
        Value::Number(number) => {
            let whole = number
                .as_i64()
                .map(i64::unsigned_abs)
                .or_else(|| number.as_u64());
            let Some(whole) = whole.filter(|whole| *whole != 0) else {
                return Ok(());
            };
            let used = 64 - whole.leading_zeros() - whole.trailing_zeros();
            if used > digits {
                return Err(format!("{number} has more digits than the field keeps"));
            }
            Ok(())
        }
        Value::String(text) => match text.as_str() {
            "NaN" | "Infinity" | "-Infinity" => Ok(()),
            _ => match text.parse::<f64>() {
                Ok(number) if !number.is_finite() || number.abs() > largest => {
                    Err(format!("{text:?} is out of range"))
                }
                _ => Ok(()),
            },
        },
        _ => Ok(()),
    }
}

/// Whether a float that stands for a whole number of 64 bits is in range: the library compares it as a
/// float, in which the largest is one too many.
fn whole(value: &Value, largest: i128) -> Result<(), String> {
    match value {
        Value::Number(number) if number.is_f64() => match number.as_f64() {
            Some(float) if float.fract() == 0.0 && float as i128 > largest => {
                Err(format!("{number} is out of range"))
            }
            _ => Ok(()),
        },
        _ => Ok(()),
    }
}

/// The numbers of a Struct are doubles.
fn in_struct(json: &Value, path: &mut Vec<String>) -> Result<(), String> {
    match json {
        Value::Number(_) => float(json, f64::MANTISSA_DIGITS, f64::INFINITY),
        Value::Array(items) => {
            for (nth, item) in items.iter().enumerate() {
                path.push(nth.to_string());
                in_struct(item, path)?;
                path.pop();
            }
            Ok(())
        }
        Value::Object(members) => {
            for (key, value) in members {
                path.push(key.clone());
                in_struct(value, path)?;
                path.pop();
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

fn in_any(any: &MessageDescriptor, json: &Value, path: &mut Vec<String>) -> Result<(), String> {
    let url = json
        .get("@type")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let name = url.rsplit('/').next().unwrap_or_default();
    let Some(message) = any.parent_pool().get_message_by_name(name) else {
        return Ok(());
    };
    if !is_well_known(name) {
        return match json {
            Value::Object(members) => in_members(&message, members, &["@type"], path),
            _ => Ok(()),
        };
    }
    let Some(value) = json.get("value") else {
        return Ok(());
    };
    path.push("value".into());
    in_message(&message, value, path)?;
    path.pop();
    Ok(())
}
