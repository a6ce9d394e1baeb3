//! Messages to bytes, with the entries of maps in order: the library's maps have none, and the same JSON
//! must have the same bytes. Messages without maps are left to the library.

use prost::{
    Message,
    bytes::BufMut,
    encoding::{self, WireType},
};
use prost_reflect::{DynamicMessage, Kind, MapKey, ReflectMessage, Value};

use crate::shape::Reach;

pub(crate) fn message(message: &DynamicMessage, reach: &Reach) -> Vec<u8> {
    if !reach.map {
        return message.encode_to_vec();
    }
    let mut bytes = Vec::new();
    fields(message, &mut bytes);
    bytes
}

/// A key as JSON has it.
pub(crate) fn key_text(key: &MapKey) -> String {
    match key {
        MapKey::Bool(value) => value.to_string(),
        MapKey::I32(value) => value.to_string(),
        MapKey::I64(value) => value.to_string(),
        MapKey::U32(value) => value.to_string(),
        MapKey::U64(value) => value.to_string(),
        MapKey::String(value) => value.clone(),
    }
}

struct Place {
    number: u32,
    kind: Kind,
    group: bool,
    packed: bool,
}

fn fields(message: &DynamicMessage, bytes: &mut Vec<u8>) {
    if message.descriptor().full_name() == "google.protobuf.Any" {
        any(message, bytes);
        return;
    }
    for (field, value) in message.fields() {
        let place = Place {
            number: field.number(),
            kind: field.kind(),
            group: field.is_group(),
            packed: field.is_packed(),
        };
        one(&place, value, bytes);
    }
    for (field, value) in message.extensions() {
        let place = Place {
            number: field.number(),
            kind: field.kind(),
            group: field.is_group(),
            packed: field.is_packed(),
        };
        one(&place, value, bytes);
    }
}

/// What an Any holds may have maps too.
fn any(message: &DynamicMessage, bytes: &mut Vec<u8>) {
    let url = message.get_field_by_number(1);
    let url = url
        .as_ref()
        .and_then(|value| value.as_str())
        .unwrap_or_default();
    let name = url.rsplit('/').next().unwrap_or_default();
    let inner = message.descriptor().parent_pool().get_message_by_name(name);
    let value = message.get_field_by_number(2);
    let value = value.as_ref().and_then(|value| value.as_bytes());
    let (Some(inner), Some(value)) = (inner, value) else {
        bytes.extend(message.encode_to_vec());
        return;
    };
    let Ok(inner) = DynamicMessage::decode(inner, value.clone()) else {
        bytes.extend(message.encode_to_vec());
        return;
    };
    let mut content = Vec::new();
    fields(&inner, &mut content);
    encoding::string::encode(1, &url.to_owned(), bytes);
    if !content.is_empty() {
        encoding::bytes::encode(2, &content, bytes);
    }
}

fn one(place: &Place, value: &Value, bytes: &mut Vec<u8>) {
    match value {
        Value::List(items) if place.packed => {
            let mut packed = Vec::new();
            for item in items {
                bare(&place.kind, item, &mut packed);
            }
            long(place.number, &packed, bytes);
        }
        Value::List(items) => {
            for item in items {
                one(place, item, bytes);
            }
        }
        Value::Map(entries) => {
            let Kind::Message(entry) = &place.kind else {
                return;
            };
            let number = place.number;
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
            for (key, value) in entries {
                let mut content = Vec::new();
                let key_field = entry.map_entry_key_field();
                let value_field = entry.map_entry_value_field();
                let place = |number, kind| Place {
                    number,
                    kind,
                    group: false,
                    packed: false,
                };
                // Both stand in every entry, as the generated code of Google writes them.
                one(
                    &place(1, key_field.kind()),
                    &Value::from(key.clone()),
                    &mut content,
                );
                one(&place(2, value_field.kind()), value, &mut content);
                long(number, &content, bytes);
            }
        }
        Value::Message(message) if place.group => {
            encoding::encode_key(place.number, WireType::StartGroup, bytes);
            fields(message, bytes);
            encoding::encode_key(place.number, WireType::EndGroup, bytes);
        }
        Value::Message(message) => {
            let mut content = Vec::new();
            fields(message, &mut content);
            long(place.number, &content, bytes);
        }
        Value::String(text) => long(place.number, text.as_bytes(), bytes),
        Value::Bytes(content) => long(place.number, content, bytes),
        _ => {
            encoding::encode_key(place.number, place.kind.wire_type(), bytes);
            bare(&place.kind, value, bytes);
        }
    }
}

fn long(number: u32, content: &[u8], bytes: &mut Vec<u8>) {
    encoding::encode_key(number, WireType::LengthDelimited, bytes);
    encoding::encode_varint(content.len() as u64, bytes);
    bytes.extend_from_slice(content);
}

/// A number without its key.
fn bare(kind: &Kind, value: &Value, bytes: &mut Vec<u8>) {
    match (kind, value) {
        (Kind::Sint32, Value::I32(value)) => {
            let coded = ((value << 1) ^ (value >> 31)) as u32;
            encoding::encode_varint(u64::from(coded), bytes);
        }
        (Kind::Sint64, Value::I64(value)) => {
            encoding::encode_varint(((value << 1) ^ (value >> 63)) as u64, bytes);
        }
        (Kind::Sfixed32, Value::I32(value)) => bytes.put_i32_le(*value),
        (Kind::Sfixed64, Value::I64(value)) => bytes.put_i64_le(*value),
        (Kind::Fixed32, Value::U32(value)) => bytes.put_u32_le(*value),
        (Kind::Fixed64, Value::U64(value)) => bytes.put_u64_le(*value),
        (_, Value::F32(value)) => bytes.put_f32_le(*value),
        (_, Value::F64(value)) => bytes.put_f64_le(*value),
        (_, Value::Bool(value)) => encoding::encode_varint(u64::from(*value), bytes),
        (_, Value::I32(value) | Value::EnumNumber(value)) => {
            encoding::encode_varint(i64::from(*value) as u64, bytes);
        }
        (_, Value::I64(value)) => encoding::encode_varint(*value as u64, bytes),
        (_, Value::U32(value)) => encoding::encode_varint(u64::from(*value), bytes),
        (_, Value::U64(value)) => encoding::encode_varint(*value, bytes),
        _ => unreachable!("texts, bytes and messages have a length"),
    }
}
