//! The JSON format (CloudEvents JSON format 1.0.2), read in one pass without a tree of values.
//!
//! JSON data is not parsed and not written anew: it stays the slice of the body that it is. A member
//! `data` of another content type must be a string, whose content is the data; `data_base64` holds
//! bytes.

use std::{borrow::Cow, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use sandbar_types::{AttributeValue, event::is_json};
use serde::de::{DeserializeSeed, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use super::{
    Decoded, Limits, Refusal,
    rules::{Known, Reading},
};

/// Reads one event: a JSON object.
///
/// # Errors
/// When the body is not JSON in UTF-8.
pub fn structured(body: &Bytes) -> Result<Decoded, Refusal> {
    parse(body, EventSeed { body })
}

/// Reads a JSON array of events.
///
/// # Errors
/// When the body is not a JSON array in UTF-8, or has too many events.
pub fn batch(body: &Bytes, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    let (events, whole) = parse(
        body,
        BatchSeed {
            body,
            most: limits.max_events,
        },
    )?;
    if whole {
        Ok(events)
    } else {
        Err(Refusal::TooManyEvents {
            max_events: limits.max_events,
        })
    }
}

/// Reads one event per line; empty lines are skipped.
///
/// # Errors
/// When a line is not JSON in UTF-8, or there are too many events.
pub fn lines(body: &Bytes, limits: &Limits) -> Result<Vec<Decoded>, Refusal> {
    let mut events = Vec::new();
    let mut start = 0;
    let ends = memchr::memchr_iter(b'\n', body).chain([body.len()]);
    for (number, end) in ends.enumerate() {
        let line = body.slice(start..end);
        start = end + 1;
        if line.iter().all(u8::is_ascii_whitespace) {
            continue;
        }
        if events.len() == limits.max_events {
            return Err(Refusal::TooManyEvents {
                max_events: limits.max_events,
            });
        }
        events.push(structured(&line).map_err(|refusal| match refusal {
            Refusal::Malformed { column, reason, .. } => Refusal::Malformed {
                line: number + 1,
                column,
                reason,
            },
            other => other,
        })?);
    }
    Ok(events)
}

fn parse<'de, S: DeserializeSeed<'de>>(body: &'de Bytes, seed: S) -> Result<S::Value, Refusal> {
    // Once over the whole is faster than string by string.
    let text = std::str::from_utf8(body).map_err(|error| {
        let before = &body[..error.valid_up_to()];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        Refusal::Malformed {
            line: memchr::memchr_iter(b'\n', before).count() + 1,
            column: before.len() - line_start + 1,
            reason: "the body is not UTF-8".to_owned(),
        }
    })?;
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let value = seed
        .deserialize(&mut deserializer)
        .and_then(|value| deserializer.end().map(|()| value));
    value.map_err(|error| {
        let text = error.to_string();
        let place = format!(" at line {} column {}", error.line(), error.column());
        Refusal::Malformed {
            line: error.line().max(1),
            column: error.column().max(1),
            reason: text.strip_suffix(&place).unwrap_or(&text).to_owned(),
        }
    })
}

struct BatchSeed<'a> {
    body: &'a Bytes,
    most: usize,
}

impl<'de> DeserializeSeed<'de> for BatchSeed<'_> {
    /// The events, and whether these are all.
    type Value = (Vec<Decoded>, bool);

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_seq(self)
    }
}

impl<'de> Visitor<'de> for BatchSeed<'_> {
    type Value = (Vec<Decoded>, bool);

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON array of events")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut events = Vec::new();
        while events.len() < self.most {
            match sequence.next_element_seed(EventSeed { body: self.body })? {
                Some(event) => events.push(event),
                None => return Ok((events, true)),
            }
        }
        let mut whole = true;
        while sequence.next_element::<IgnoredAny>()?.is_some() {
            whole = false;
        }
        Ok((events, whole))
    }
}

#[derive(Clone, Copy)]
struct EventSeed<'a> {
    body: &'a Bytes,
}

impl EventSeed<'_> {
    fn not_an_object(found: &str) -> Decoded {
        let mut reading = Reading::default();
        reading.fault("", format!("an event must be a JSON object, not {found}"));
        let Decoded::Invalid { id, mut errors } = reading.finish() else {
            unreachable!("it has a fault")
        };
        errors.truncate(1);
        Decoded::Invalid { id, errors }
    }
}

impl<'de> DeserializeSeed<'de> for EventSeed<'_> {
    type Value = Decoded;

    fn deserialize<D: serde::Deserializer<'de>>(
        self,
        deserializer: D,
    ) -> Result<Decoded, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for EventSeed<'_> {
    type Value = Decoded;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event as a JSON object")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Decoded, E> {
        Ok(Self::not_an_object("a boolean"))
    }

    fn visit_i64<E>(self, _: i64) -> Result<Decoded, E> {
        Ok(Self::not_an_object("a number"))
    }

    fn visit_u64<E>(self, _: u64) -> Result<Decoded, E> {
        Ok(Self::not_an_object("a number"))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Decoded, E> {
        Ok(Self::not_an_object("a number"))
    }

    fn visit_str<E>(self, _: &str) -> Result<Decoded, E> {
        Ok(Self::not_an_object("a string"))
    }

    fn visit_unit<E>(self) -> Result<Decoded, E> {
        Ok(Self::not_an_object("null"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Decoded, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Self::not_an_object("an array"))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Decoded, A::Error> {
        let mut reading = Reading::default();
        let mut data: Option<&'de RawValue> = None;
        let mut base64: Option<Scalar<'de>> = None;
        while let Some(Text(name)) = members.next_key::<Text<'de>>()? {
            match &*name {
                "data" => {
                    if data.replace(members.next_value()?).is_some() {
                        reading.fault("data", "is given twice");
                    }
                }
                "data_base64" => {
                    if base64.replace(members.next_value()?).is_some() {
                        reading.fault("data_base64", "is given twice");
                    }
                }
                name => attribute(&mut reading, name, members.next_value()?),
            }
        }
        take_data(&mut reading, self.body, data, base64).map_err(A::Error::custom)?;
        Ok(reading.finish())
    }
}

fn attribute(reading: &mut Reading, name: &str, value: Scalar<'_>) {
    match (Known::of(name), value) {
        // Null is the same as absent (JSON format §2.2).
        (_, Scalar::Null) => {}
        (Some(known), Scalar::Text(text)) => reading.known(known, name, text),
        (Some(known), other) => reading.unusable(
            known,
            name,
            format!("must be a string, not {}", other.kind()),
        ),
        (None, Scalar::Text(text)) => {
            reading.extension(name, AttributeValue::String(text.into_owned()))
        }
        (None, Scalar::Boolean(value)) => reading.extension(name, AttributeValue::Boolean(value)),
        (None, Scalar::Integer(value)) => match i32::try_from(value) {
            Ok(value) => reading.extension(name, AttributeValue::Integer(value)),
            Err(_) => reading.fault(
                name,
                "is no 32-bit integer; write larger numbers as strings",
            ),
        },
        (None, other) => {
            reading.fault(
                name,
                format!(
                    "must be a string, a boolean or a 32-bit integer, not {}",
                    other.kind()
                ),
            );
        }
    }
}

fn take_data(
    reading: &mut Reading,
    body: &Bytes,
    data: Option<&RawValue>,
    base64: Option<Scalar<'_>>,
) -> Result<(), serde_json::Error> {
    let base64 = base64.filter(|value| !matches!(value, Scalar::Null));
    match (data, base64) {
        (None, None) => {}
        (Some(_), Some(_)) => reading.fault(
            "data_base64",
            "must not stand beside data: an event has one of them",
        ),
        (None, Some(Scalar::Text(text))) => match STANDARD.decode(text.as_bytes()) {
            Ok(bytes) => reading.data(bytes.into()),
            Err(error) => reading.fault(
                "data_base64",
                format!("is not base64 (RFC 4648 §4): {error}"),
            ),
        },
        (None, Some(other)) => reading.fault(
            "data_base64",
            format!("must be a string, not {}", other.kind()),
        ),
        (Some(raw), None) => {
            let text = raw.get();
            if is_json(reading.datacontenttype()) {
                reading.data(body.slice_ref(text.as_bytes()));
            } else if text.starts_with('"') {
                let content: String = serde_json::from_str(text)?;
                reading.data(content.into());
            } else if text != "null" {
                let kind = reading.datacontenttype().to_owned();
                let reason =
                    format!("must be a string, because datacontenttype {kind:?} is not JSON");
                reading.fault("data", reason);
            }
        }
    }
    Ok(())
}

/// A name or text, borrowed from the body where it has no escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Text<'de>, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// The value of an attribute, of whatever type.
enum Scalar<'a> {
    Null,
    Boolean(bool),
    Integer(i128),
    Float,
    Text(Cow<'a, str>),
    Array,
    Object,
}

impl Scalar<'_> {
    fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean(_) => "a boolean",
            Self::Integer(_) => "an integer",
            Self::Float => "a number with a fraction or exponent",
            Self::Text(_) => "a string",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

impl<'de> serde::Deserialize<'de> for Scalar<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ScalarVisitor)
    }
}

struct ScalarVisitor;

impl<'de> Visitor<'de> for ScalarVisitor {
    type Value = Scalar<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of an attribute")
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(Scalar::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Scalar::Boolean(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(value.into()))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Scalar::Integer(value.into()))
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self::Value, E> {
        Ok(Scalar::Float)
    }

    fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok(Scalar::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        while sequence.next_element::<IgnoredAny>()?.is_some() {}
        Ok(Scalar::Array)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Self::Value, A::Error> {
        while members.next_entry::<IgnoredAny, IgnoredAny>()?.is_some() {}
        Ok(Scalar::Object)
    }
}
