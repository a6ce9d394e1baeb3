//! The rules for attributes (CloudEvents 1.0.2 §3.1 "Required", §3.2 "Optional", "Naming
//! conventions", "Type System"), gathered per event so that all faults are told at once.

use std::borrow::Cow;

use bytes::Bytes;
use sandbar_types::{AttributeValue, Event};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};

use super::{AttributeError, Decoded, HUB_EXTENSIONS, media};

/// The longest name of an extension. The specification asks for no more than 20.
const LONGEST_NAME: usize = 64;
/// No more faults than this are told of one event.
const MOST_ERRORS: usize = 20;

/// The attributes that the specification defines.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Known {
    SpecVersion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataContentType,
    DataSchema,
}

impl Known {
    pub fn of(name: &str) -> Option<Self> {
        Some(match name {
            "specversion" => Self::SpecVersion,
            "id" => Self::Id,
            "source" => Self::Source,
            "type" => Self::Type,
            "subject" => Self::Subject,
            "time" => Self::Time,
            "datacontenttype" => Self::DataContentType,
            "dataschema" => Self::DataSchema,
            _ => return None,
        })
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

/// An event that is being read.
#[derive(Debug, Default)]
pub(super) struct Reading {
    event: Event,
    errors: Vec<AttributeError>,
    /// One bit per [`Known`] attribute that was given, rightly or not.
    given: u8,
}

impl Reading {
    /// Takes note of a fault. `name` is the attribute's, or empty for the event as a whole.
    pub fn fault(&mut self, name: &str, reason: impl Into<String>) {
        if self.errors.len() < MOST_ERRORS {
            let pointer = match name {
                "" => String::new(),
                name => format!("/{}", crate::pointer::token(name)),
            };
            self.errors.push(AttributeError {
                pointer,
                reason: reason.into(),
            });
        }
    }

    /// The attribute is there, but its value cannot be used.
    pub fn unusable(&mut self, known: Known, name: &str, reason: impl Into<String>) {
        self.given |= known.bit();
        self.fault(name, reason);
    }

    /// Takes an attribute of the specification.
    pub fn known(&mut self, known: Known, name: &str, value: Cow<'_, str>) {
        if self.given & known.bit() != 0 {
            return self.fault(name, "is given twice");
        }
        self.given |= known.bit();
        if value.is_empty() {
            return self.fault(
                name,
                "must not be empty; leave out an optional attribute without a value",
            );
        }
        if let Err(reason) = check_text(&value) {
            return self.fault(name, reason);
        }
        if let Err(reason) = check_known(known, &value) {
            return self.fault(name, reason);
        }
        let event = &mut self.event;
        let slot = match known {
            Known::SpecVersion => return,
            Known::Id => &mut event.id,
            Known::Source => &mut event.source,
            Known::Type => &mut event.r#type,
            Known::Subject => &mut event.subject,
            Known::Time => &mut event.time,
            Known::DataContentType => &mut event.datacontenttype,
            Known::DataSchema => &mut event.dataschema,
        };
        *slot = value.into_owned();
    }

    /// Takes an extension.
    pub fn extension(&mut self, name: &str, value: AttributeValue) {
        if HUB_EXTENSIONS.contains(&name) {
            return;
        }
        if let Err(reason) = check_extension_name(name) {
            return self.fault(name, reason);
        }
        if let AttributeValue::String(text) = &value
            && let Err(reason) = check_text(text)
        {
            return self.fault(name, reason);
        }
        if self
            .event
            .extensions
            .insert(name.to_owned(), value)
            .is_some()
        {
            self.fault(name, "is given twice");
        }
    }

    pub fn datacontenttype(&self) -> &str {
        &self.event.datacontenttype
    }

    pub fn data(&mut self, data: Bytes) {
        self.event.data = data;
    }

    pub fn finish(mut self) -> Decoded {
        let required = [
            (Known::SpecVersion, "specversion", "is required: \"1.0\""),
            (
                Known::Id,
                "id",
                "is required: a text that is unique within the source",
            ),
            (
                Known::Source,
                "source",
                "is required: a URI reference that says where the event is from",
            ),
            (
                Known::Type,
                "type",
                "is required: what kind of event this is",
            ),
        ];
        for (known, name, reason) in required {
            if self.given & known.bit() == 0 {
                self.fault(name, reason);
            }
        }
        if self.errors.is_empty() {
            return Decoded::Event(self.event);
        }
        let id = Some(self.event.id).filter(|id| !id.is_empty());
        Decoded::Invalid {
            id,
            errors: self.errors,
        }
    }
}

fn check_known(known: Known, value: &str) -> Result<(), String> {
    match known {
        Known::SpecVersion if value != "1.0" => Err(format!(
            "is {:?}; this hub reads CloudEvents \"1.0\"",
            shortened(value)
        )),
        Known::Source => match fluent_uri::UriRef::parse(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("is not a URI reference (RFC 3986): {error}")),
        },
        Known::DataSchema => match fluent_uri::Uri::parse(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!("is not an absolute URI (RFC 3986): {error}")),
        },
        Known::Time => match OffsetDateTime::parse(value, &Rfc3339) {
            Ok(_) => Ok(()),
            Err(error) => Err(format!(
                "is not a time as in RFC 3339, such as 2026-01-31T12:00:00Z: {error}"
            )),
        },
        Known::DataContentType if !media::is_valid(value) => Err(format!(
            "{:?} is not a media type (RFC 2046), such as application/json",
            shortened(value)
        )),
        _ => Ok(()),
    }
}

/// Control characters may not be in a String ("Type System").
fn check_text(text: &str) -> Result<(), String> {
    let bytes = text.as_bytes();
    // C1 controls are 0xC2 0x80 to 0xC2 0x9F in UTF-8; the first test keeps the common case to one
    // pass that the compiler turns into vector code.
    let suspect = bytes.iter().fold(false, |any, &byte| {
        any | (byte < 0x20) | (byte == 0x7f) | (byte == 0xc2)
    });
    if suspect && let Some((at, found)) = text.char_indices().find(|(_, found)| found.is_control())
    {
        return Err(format!(
            "has the control character U+{:04X} at byte {at}",
            found as u32
        ));
    }
    Ok(())
}

fn check_extension_name(name: &str) -> Result<(), String> {
    let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
    if name.is_empty() || !name.bytes().all(inside) {
        return Err("is no name for an attribute: only a-z and 0-9 are allowed".to_owned());
    }
    if name.len() > LONGEST_NAME {
        return Err(format!(
            "has a name of {} bytes; at most {LONGEST_NAME} are allowed",
            name.len()
        ));
    }
    if name == "data" {
        return Err("is no name for an attribute: it is the data's".to_owned());
    }
    if name.starts_with("sandbar") {
        return Err("is reserved: names that start with \"sandbar\" are the hub's".to_owned());
    }
    Ok(())
}

fn shortened(text: &str) -> &str {
    let end = (0..=text.len().min(80))
        .rev()
        .find(|&end| text.is_char_boundary(end));
    &text[..end.unwrap_or(0)]
}
