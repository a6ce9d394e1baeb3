//! The values that filters compute with, and the casts between their types (CESQL 1.0 §3.1, §3.7).

use std::{borrow::Cow, fmt};

/// A value: of an attribute, or of an expression. Borrowed from the event or the filter where it
/// can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    String(Cow<'a, str>),
    Integer(i32),
    Boolean(bool),
}

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Type {
    String,
    Integer,
    Boolean,
}

impl fmt::Display for Type {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::String => "a String",
            Self::Integer => "an Integer",
            Self::Boolean => "a Boolean",
        })
    }
}

impl Type {
    /// The value that stands where there is none (CESQL 1.0 §3.1).
    #[must_use]
    pub fn zero(self) -> Value<'static> {
        match self {
            Self::String => Value::text(""),
            Self::Integer => Value::Integer(0),
            Self::Boolean => Value::Boolean(false),
        }
    }
}

impl<'a> Value<'a> {
    /// A borrowed text.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
    }

    #[must_use]
    pub fn value_type(&self) -> Type {
        match self {
            Self::String(_) => Type::String,
            Self::Integer(_) => Type::Integer,
            Self::Boolean(_) => Type::Boolean,
        }
    }

    /// The value as an integer: of a string with an optional sign and digits, 1 for true and 0 for
    /// false. Nothing for any other string, or past 32 bits.
    pub(crate) fn integer(&self) -> Option<i32> {
        match self {
            Self::String(text) => text.parse().ok(),
            Self::Integer(value) => Some(*value),
            Self::Boolean(value) => Some(i32::from(*value)),
        }
    }

    /// The value as a boolean: of a string that is `true` or `false` in any case; all integers but 0
    /// are true. Nothing for any other string.
    pub(crate) fn boolean(&self) -> Option<bool> {
        match self {
            Self::String(text) if text.eq_ignore_ascii_case("true") => Some(true),
            Self::String(text) if text.eq_ignore_ascii_case("false") => Some(false),
            Self::String(_) => None,
            Self::Integer(value) => Some(*value != 0),
            Self::Boolean(value) => Some(*value),
        }
    }

    /// The value as a string, which every value has.
    pub(crate) fn into_text(self) -> Cow<'a, str> {
        match self {
            Self::String(text) => text,
            Self::Integer(value) => Cow::Owned(value.to_string()),
            Self::Boolean(true) => Cow::Borrowed("true"),
            Self::Boolean(false) => Cow::Borrowed("false"),
        }
    }

    /// Asks about the canonical string form without making a string.
    pub(crate) fn with_text<T>(&self, ask: impl FnOnce(&str) -> T) -> T {
        match self {
            Self::String(text) => ask(text),
            Self::Integer(value) => ask(decimal(*value, &mut [0; DECIMAL])),
            Self::Boolean(true) => ask("true"),
            Self::Boolean(false) => ask("false"),
        }
    }
}

/// The most characters that a 32-bit integer has: a sign and ten digits.
const DECIMAL: usize = 11;

/// An integer in base 10, written from the end of the room for it.
fn decimal(value: i32, room: &mut [u8; DECIMAL]) -> &str {
    let mut rest = value.unsigned_abs();
    let mut at = DECIMAL;
    loop {
        at -= 1;
        room[at] = b'0' + (rest % 10) as u8;
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    if value < 0 {
        at -= 1;
        room[at] = b'-';
    }
    std::str::from_utf8(&room[at..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_are_written_as_they_are_everywhere() {
        for value in [0, 7, -7, 10, 1_000_000, i32::MAX, i32::MIN, i32::MIN + 1] {
            let text = Value::Integer(value).with_text(str::to_owned);
            assert_eq!(text, value.to_string());
        }
    }
}
