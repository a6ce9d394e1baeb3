//! Options as text, in one order. Custom options come with their full names. Knows nothing of what an
//! option means.

use prost_reflect::{DynamicMessage, EnumDescriptor, Kind, Value};

use crate::encode::key_text;

/// Each option as `name = value`, sorted; one of several values stands several times.
pub(crate) fn statements(options: &DynamicMessage) -> Vec<String> {
    let mut all = Vec::new();
    for (field, value) in options.fields() {
        if field.name() == "uninterpreted_option" {
            continue;
        }
        push(&mut all, field.name(), value, &field.kind());
    }
    for (field, value) in options.extensions() {
        push(
            &mut all,
            &format!("(.{})", field.full_name()),
            value,
            &field.kind(),
        );
    }
    // Stable: the values of one option keep their order.
    all.sort_by(|a, b| a.0.cmp(&b.0));
    all.into_iter()
        .map(|(name, value)| format!("{name} = {value}"))
        .collect()
}

fn push(all: &mut Vec<(String, String)>, name: &str, value: &Value, kind: &Kind) {
    match value {
        Value::List(items) => {
            all.extend(items.iter().map(|item| (name.to_owned(), text(item, kind))));
        }
        _ => all.push((name.to_owned(), text(value, kind))),
    }
}

/// A value as it stands in a `.proto` text.
fn text(value: &Value, kind: &Kind) -> String {
    match value {
        Value::Bool(value) => value.to_string(),
        Value::I32(value) => value.to_string(),
        Value::I64(value) => value.to_string(),
        Value::U32(value) => value.to_string(),
        Value::U64(value) => value.to_string(),
        Value::F32(value) => float(f64::from(*value), format!("{value:?}")),
        Value::F64(value) => float(*value, format!("{value:?}")),
        Value::String(value) => quoted(value.as_bytes()),
        Value::Bytes(value) => quoted(value),
        Value::EnumNumber(number) => match kind {
            Kind::Enum(described) => enum_name(described, *number),
            _ => number.to_string(),
        },
        Value::Message(message) => format!("{{ {} }}", fields(message).join(", ")),
        Value::List(items) => {
            let items: Vec<_> = items.iter().map(|item| text(item, kind)).collect();
            format!("[{}]", items.join(", "))
        }
        Value::Map(entries) => {
            let Kind::Message(entry) = kind else {
                return String::new();
            };
            let value_kind = entry.map_entry_value_field().kind();
            let key_kind = entry.map_entry_key_field().kind();
            let mut entries: Vec<_> = entries.iter().collect();
            entries.sort_unstable_by(|a, b| a.0.cmp(b.0));
            let entries: Vec<_> = entries
                .into_iter()
                .map(|(key, value)| {
                    let key = match key_kind {
                        Kind::String => quoted(key_text(key).as_bytes()),
                        _ => key_text(key),
                    };
                    format!("{{ key: {key}, value: {} }}", text(value, &value_kind))
                })
                .collect();
            format!("[{}]", entries.join(", "))
        }
    }
}

/// The fields of a message in the text format.
fn fields(message: &DynamicMessage) -> Vec<String> {
    let own = message
        .fields()
        .map(|(field, value)| format!("{}: {}", field.name(), text(value, &field.kind())));
    let extensions = message
        .extensions()
        .map(|(field, value)| format!("[{}]: {}", field.full_name(), text(value, &field.kind())));
    own.chain(extensions).collect()
}

fn enum_name(described: &EnumDescriptor, number: i32) -> String {
    match described.get_value(number) {
        Some(value) => value.name().to_owned(),
        None => number.to_string(),
    }
}

fn float(value: f64, shown: String) -> String {
    if value.is_nan() {
        "nan".into()
    } else if value.is_infinite() {
        if value > 0.0 {
            "inf".into()
        } else {
            "-inf".into()
        }
    } else {
        shown
    }
}

/// A string literal; what is not printable in three octal digits.
pub(crate) fn quoted(bytes: &[u8]) -> String {
    let mut text = String::from("\"");
    for byte in bytes {
        match byte {
            b'"' => text.push_str("\\\""),
            b'\\' => text.push_str("\\\\"),
            b' '..=b'~' => text.push(char::from(*byte)),
            _ => text.push_str(&format!("\\{byte:03o}")),
        }
    }
    text.push('"');
    text
}
