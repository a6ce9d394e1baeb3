//! Floats in JSON, where the library's output is not what the mapping says: one of four bytes has its own
//! shortest digits (0.1, not 0.10000000149011612), and a wrapped one that is no number has its name.

use prost_reflect::{DynamicMessage, ReflectMessage, Value as Field};
use serde_json::Value;

use crate::{encode::key_text, shape::is_well_known};

/// Puts the floats of a message into the JSON that was made of it.
pub(crate) fn mend(message: &DynamicMessage, json: &mut Value) {
    let descriptor = message.descriptor();
    match descriptor.full_name() {
        "google.protobuf.Any" => return in_any(message, json),
        "google.protobuf.FloatValue" | "google.protobuf.DoubleValue" => {
            if let Some(value) = message.get_field_by_name("value") {
                put(&value, json);
            }
            return;
        }
        name if is_well_known(name) => return,
        _ => {}
    }
    for (field, value) in message.fields() {
        if let Some(json) = json.get_mut(field.json_name()) {
            put(value, json);
        }
    }
    for (field, value) in message.extensions() {
        if let Some(json) = json.get_mut(field.json_name()) {
            put(value, json);
        }
    }
}

fn put(value: &Field, json: &mut Value) {
    match value {
        Field::F32(value) => *json = number(f64::from(*value), shortest(*value)),
        Field::F64(value) => *json = number(*value, *value),
        Field::Message(message) => mend(message, json),
        Field::List(items) => {
            let array = json.as_array_mut().into_iter().flatten();
            for (item, json) in items.iter().zip(array) {
                put(item, json);
            }
        }
        Field::Map(entries) => {
            for (key, value) in entries {
                if let Some(json) = json.get_mut(key_text(key)) {
                    put(value, json);
                }
            }
        }
        _ => {}
    }
}

fn in_any(any: &DynamicMessage, json: &mut Value) {
    let url = any.get_field_by_number(1);
    let name = url
        .as_ref()
        .and_then(|url| url.as_str()?.rsplit('/').next());
    let message = name.and_then(|name| any.descriptor().parent_pool().get_message_by_name(name));
    let bytes = any.get_field_by_number(2);
    let (Some(message), Some(bytes)) = (message, bytes.as_ref().and_then(|bytes| bytes.as_bytes()))
    else {
        return;
    };
    let wrapped = is_well_known(message.full_name());
    let Ok(inner) = DynamicMessage::decode(message, bytes.clone()) else {
        return;
    };
    if !wrapped {
        mend(&inner, json);
    } else if let Some(json) = json.get_mut("value") {
        mend(&inner, json);
    }
}

/// The double with the fewest digits that is read as this float. The digits of the largest are rounded up
/// to more than a float holds; it is written exactly.
fn shortest(value: f32) -> f64 {
    match value.to_string().parse::<f64>() {
        Ok(short) if short.abs() <= f64::from(f32::MAX) => short,
        _ => f64::from(value),
    }
}

fn number(value: f64, shown: f64) -> Value {
    if value.is_nan() {
        Value::from("NaN")
    } else if value.is_infinite() {
        Value::from(if value > 0.0 { "Infinity" } else { "-Infinity" })
    } else {
        Value::from(shown)
    }
}
