//! The values that filters compute with, and the casts between their types (CESQL 1.0 §3.1, §3.7).

use std::borrow::Cow;

/// A value: of an attribute, or of an expression. Borrowed from the event or the filter where it
/// can be.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value<'a> {
    String(Cow<'a, str>),
    Integer(i32),
    Boolean(bool),
}

impl<'a> Value<'a> {
    /// A borrowed text.
    #[must_use]
    pub fn text(text: &'a str) -> Self {
        Self::String(Cow::Borrowed(text))
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
