//! CloudEvents 1.0.2: from an HTTP request to events, and from events to the JSON format.
//!
//! Pure over headers and bytes. A body that cannot be read at all is a [`Refusal`]; an event that
//! breaks a rule is a [`Decoded::Invalid`] beside the good ones, so that the caller decides whether
//! to keep those.

mod binary;
mod encode;
mod json;
mod media;
mod rules;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use sandbar_types::Event;

pub use encode::{encode_batch, encode_structured, encode_within, most_data_bytes};
pub use json::{batch, lines, structured};

/// The content types that a publish may have.
pub const SUPPORTED: &str = "application/cloudevents+json, application/cloudevents-batch+json, \
    application/x-ndjson, or any content type together with ce-* headers (binary mode)";

/// Extensions that the hub adds when events are read. On publish they are dropped, so that what was
/// read can be published again.
pub const HUB_EXTENSIONS: [&str; 8] = [
    "sandbartopic",
    "sandbarpartition",
    "sandbaroffset",
    "sandbarroute",
    "sandbarorigin",
    "sandbarlease",
    "sandbardelivery",
    "sandbarcursor",
];

/// How a request carries its events (CloudEvents HTTP binding §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// Attributes in `ce-*` headers, the body is the data.
    Binary,
    /// One event as a JSON object.
    Structured,
    /// A JSON array of events.
    Batch,
    /// A structured event per line.
    Lines,
}

/// Bounds on what a body may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Events in one body.
    pub max_events: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            max_events: 100_000,
        }
    }
}

/// What is wrong with one attribute.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttributeError {
    /// JSON Pointer into the event in its structured form, such as `/specversion`.
    pub pointer: String,
    pub reason: String,
}

/// One event of a body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Decoded {
    Event(Event),
    /// Never without errors.
    Invalid {
        /// The id, when it could be read.
        id: Option<String>,
        errors: Vec<AttributeError>,
    },
}

impl Decoded {
    /// The bytes of all attributes and the data; 0 for an invalid event.
    #[must_use]
    pub fn byte_length(&self) -> usize {
        let Self::Event(event) = self else { return 0 };
        let texts = [
            &event.id,
            &event.source,
            &event.r#type,
            &event.subject,
            &event.time,
            &event.datacontenttype,
            &event.dataschema,
        ];
        let extensions = event.extensions.iter().map(|(name, value)| {
            name.len()
                + match value {
                    sandbar_types::AttributeValue::String(text) => text.len(),
                    _ => 4,
                }
        });
        texts.iter().map(|text| text.len()).sum::<usize>()
            + extensions.sum::<usize>()
            + event.data.len()
    }
}

/// Why no event could be read from a request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// Line and column count from 1; the column in bytes.
    #[error("line {line}, column {column}: {reason}")]
    Malformed {
        line: usize,
        column: usize,
        reason: String,
    },
    #[error("{found}; supported are {SUPPORTED}")]
    UnsupportedMediaType { found: String },
    #[error("the body has more than {max_events} events; send it in parts")]
    TooManyEvents { max_events: usize },
}

/// Tells the mode by the Content-Type, and by whether there are `ce-*` headers.
///
/// # Errors
/// When the request is in none of the modes.
pub fn mode(headers: &HeaderMap) -> Result<Mode, Refusal> {
    let unsupported = |found: String| Err(Refusal::UnsupportedMediaType { found });
    let has_attributes = headers.keys().any(|name| name.as_str().starts_with("ce-"));
    let Some(value) = headers.get(CONTENT_TYPE) else {
        if has_attributes {
            return Ok(Mode::Binary);
        }
        return unsupported("the request has no Content-Type".to_owned());
    };
    let Ok(text) = value.to_str() else {
        return unsupported("the Content-Type is not ASCII".to_owned());
    };
    let essence = media::essence(text);
    let mode = match essence.as_str() {
        "application/cloudevents+json" => Mode::Structured,
        "application/cloudevents-batch+json" => Mode::Batch,
        "application/x-ndjson" | "application/ndjson" if !has_attributes => Mode::Lines,
        other if other.starts_with("application/cloudevents") => {
            return unsupported(format!("the CloudEvents format {other:?} is not supported"));
        }
        _ if has_attributes => return Ok(Mode::Binary),
        other => {
            return unsupported(format!(
                "the Content-Type is {other:?} and there are no ce-* headers"
            ));
        }
    };
    match media::parameter(text, "charset") {
        Some(charset) if !charset.eq_ignore_ascii_case("utf-8") => {
            unsupported(format!("the charset is {charset:?}; JSON is read in utf-8"))
        }
        _ => Ok(mode),
    }
}

/// Reads the events of a request, in any mode. JSON data shares the body's bytes.
///
/// # Errors
/// When the body cannot be read as the Content-Type says.
pub fn decode(headers: &HeaderMap, body: Bytes, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    match mode(headers)? {
        Mode::Binary => Ok(vec![binary::decode(headers, body)]),
        Mode::Structured => Ok(vec![structured(&body)?]),
        Mode::Batch => batch(&body, limits),
        Mode::Lines => lines(&body, limits),
    }
}

#[cfg(test)]
mod tests;
