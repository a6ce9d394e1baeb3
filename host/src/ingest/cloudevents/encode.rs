//! Events in the JSON format, written straight into a buffer.
//!
//! Data is written in the most readable form that gives its bytes back: JSON data as it is, text as
//! a string, all else as `data_base64`. Whether data of a JSON type is JSON is looked at each time,
//! because a topic without a contract takes any bytes. Space around a JSON value is the one thing
//! that a reader does not get back.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sandbar_types::{AttributeValue, EventRef, event::is_json};
use serde::de::IgnoredAny;

use super::media;

/// Appends one event as a JSON object. `extra` are extensions on top of the event's own, and stand
/// in place of any that it has by the same name.
pub fn encode_structured(event: EventRef<'_>, extra: &[(&str, AttributeValue)], out: &mut Vec<u8>) {
    write_attributes(event, out);
    write_extensions(event, extra, out);
    for (name, value) in extra {
        write_value(name, value, out);
    }
    write_data(event, out);
    out.push(b'}');
}

/// What the names of the hub's own extensions start with.
const OWN: &str = "sandbar";

/// Appends one event as a JSON object with members that `own` writes: each after a comma, all with
/// names that start with `sandbar`. Extensions of the event with such names are left out.
pub fn encode_within(event: EventRef<'_>, out: &mut Vec<u8>, own: impl FnOnce(&mut Vec<u8>)) {
    write_attributes(event, out);
    if event.extensions.contains(OWN) {
        let extensions = event.extension_map();
        for (name, value) in extensions.iter().filter(|(name, _)| !name.starts_with(OWN)) {
            write_value(name, value, out);
        }
    } else {
        write_extensions(event, &[], out);
    }
    own(out);
    write_data(event, out);
    out.push(b'}');
}

fn write_attributes(event: EventRef<'_>, out: &mut Vec<u8>) {
    out.reserve(512 + event.data.len() + event.extensions.len());
    out.extend_from_slice(b"{\"specversion\":\"1.0\"");
    let attributes = [
        ("id", event.id),
        ("source", event.source),
        ("type", event.r#type),
        ("subject", event.subject),
        ("time", event.time),
        ("datacontenttype", event.datacontenttype),
        ("dataschema", event.dataschema),
    ];
    for (name, value) in attributes {
        if !value.is_empty() {
            write_name(name, out);
            write_text(value, out);
        }
    }
}

/// Appends events as a JSON array.
pub fn encode_batch<'a>(events: impl IntoIterator<Item = EventRef<'a>>, out: &mut Vec<u8>) {
    out.push(b'[');
    for (index, event) in events.into_iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        encode_structured(event, &[], out);
    }
    out.push(b']');
}

fn write_extensions(event: EventRef<'_>, extra: &[(&str, AttributeValue)], out: &mut Vec<u8>) {
    let object = event.extensions.trim();
    let Some(members) = object
        .strip_prefix('{')
        .and_then(|rest| rest.strip_suffix('}'))
    else {
        return;
    };
    if members.trim().is_empty() {
        return;
    }
    let named = |name: &str| extra.iter().any(|(of, _)| *of == name);
    if extra.iter().any(|(name, _)| members.contains(name)) {
        for (name, value) in event
            .extension_map()
            .iter()
            .filter(|(name, _)| !named(name))
        {
            write_value(name, value, out);
        }
    } else {
        out.push(b',');
        out.extend_from_slice(members.as_bytes());
    }
}

fn write_data(event: EventRef<'_>, out: &mut Vec<u8>) {
    if event.data.is_empty() {
        return;
    }
    if let Ok(text) = std::str::from_utf8(event.data) {
        if is_json(event.datacontenttype) {
            if serde_json::from_str::<IgnoredAny>(text).is_ok() {
                write_name("data", out);
                out.extend_from_slice(event.data);
                return;
            }
        } else if is_text(event.datacontenttype) {
            write_name("data", out);
            write_text(text, out);
            return;
        }
    }
    write_name("data_base64", out);
    out.push(b'"');
    let start = out.len();
    out.resize(
        start + base64::encoded_len(event.data.len(), true).unwrap_or(0),
        0,
    );
    let written = STANDARD
        .encode_slice(event.data, &mut out[start..])
        .unwrap_or(0);
    out.truncate(start + written);
    out.push(b'"');
}

/// The most bytes that data takes in the JSON format, with its name.
#[must_use]
pub fn most_data_bytes(datacontenttype: &[u8], data: &[u8]) -> usize {
    const NAMES: usize = 32;
    let escaped = |byte: &u8| match byte {
        b'"' | b'\\' => 2,
        0..0x20 => 6,
        _ => 1,
    };
    // What most are, without a look at its parts.
    let json = matches!(datacontenttype, b"" | b"application/json");
    let media = || std::str::from_utf8(datacontenttype).unwrap_or_default();
    let text = if !json && !is_json(media()) && is_text(media()) {
        data.iter().map(escaped).sum()
    } else {
        0
    };
    // It may turn out to be no text, and is written in base64 then.
    NAMES + text.max(data.len() + data.len() / 3)
}

/// Whether a media type, not a JSON one, is made to be read as text.
fn is_text(datacontenttype: &str) -> bool {
    let essence = media::essence(datacontenttype);
    let named = [
        "application/xml",
        "application/yaml",
        "application/x-www-form-urlencoded",
        "application/graphql",
    ];
    essence.starts_with("text/")
        || essence.ends_with("+xml")
        || essence.ends_with("+yaml")
        || named.contains(&essence.as_str())
}

fn write_value(name: &str, value: &AttributeValue, out: &mut Vec<u8>) {
    write_name(name, out);
    match value {
        AttributeValue::Boolean(value) => {
            out.extend_from_slice(if *value { b"true" } else { b"false" })
        }
        AttributeValue::Integer(value) => out.extend_from_slice(value.to_string().as_bytes()),
        AttributeValue::String(value) => write_text(value, out),
    }
}

/// The name, and the comma before it: no member is the first. Names are lower-case letters, digits
/// and underscores.
fn write_name(name: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"");
    out.extend_from_slice(name.as_bytes());
    out.extend_from_slice(b"\":");
}

fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a string into memory cannot fail.
    serde_json::to_writer(out, text).unwrap_or_default();
}
