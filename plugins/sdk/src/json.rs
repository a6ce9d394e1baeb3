//! JSON text looked at one level at a time, for plugins that do not know what they will meet. What is
//! not looked into stays the text that it is: the order of members, members of one name, and the
//! digits of numbers are kept.
//!
//! ```
//! use sandbar_sdk::json::{Kind, Raw};
//!
//! let order = Raw::parse(br#"{"id": 7, "total": 19.90}"#)?;
//! let members = order.members()?;
//! assert_eq!((&*members[1].0, members[1].1.as_str()), ("total", "19.90"));
//! assert_eq!(members[0].1.kind(), Kind::Number);
//! # Ok::<(), String>(())
//! ```

use std::{borrow::Cow, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer as _,
    de::{IgnoredAny, MapAccess, SeqAccess, Visitor},
};
use serde_json::value::RawValue;

/// How deep a value may be nested: as deep as most readers of JSON go.
pub const DEEPEST: usize = 128;

/// What a JSON value is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Null,
    Boolean,
    Number,
    Text,
    Array,
    Object,
}

impl Kind {
    /// In words: `an object`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "a boolean",
            Self::Number => "a number",
            Self::Text => "a text",
            Self::Array => "an array",
            Self::Object => "an object",
        }
    }
}

/// The text of one JSON value, without space around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Raw<'a>(&'a str);

impl<'a> Raw<'a> {
    /// Checks that bytes are one JSON value (RFC 8259), in UTF-8 and nested no deeper than
    /// [`DEEPEST`].
    ///
    /// # Errors
    /// What is wrong, with line and column.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, String> {
        let text = std::str::from_utf8(bytes).map_err(|error| {
            let (line, column) = place(bytes, error.valid_up_to());
            format!("not UTF-8 at line {line} column {column}")
        })?;
        serde_json::from_str::<IgnoredAny>(text).map_err(|error| error.to_string())?;
        if is_too_deep(bytes) {
            return Err(format!("nested deeper than {DEEPEST}"));
        }
        Ok(Self(text.trim_ascii()))
    }

    /// The value as it is written.
    #[must_use]
    pub fn as_str(self) -> &'a str {
        self.0
    }

    #[must_use]
    pub fn kind(self) -> Kind {
        match self.0.as_bytes().first() {
            Some(b'{') => Kind::Object,
            Some(b'[') => Kind::Array,
            Some(b'"') => Kind::Text,
            Some(b't' | b'f') => Kind::Boolean,
            Some(b'n') | None => Kind::Null,
            Some(_) => Kind::Number,
        }
    }

    /// A text without quotes and escapes.
    ///
    /// # Errors
    /// When it is no text, or holds half of a surrogate pair.
    pub fn text(self) -> Result<Cow<'a, str>, String> {
        serde_json::from_str::<Key<'a>>(self.0)
            .map(|key| key.0)
            .map_err(|error| error.to_string())
    }

    /// A text without quotes and escapes; any other value as it is written.
    ///
    /// # Errors
    /// When a text holds half of a surrogate pair.
    pub fn plain(self) -> Result<Cow<'a, str>, String> {
        match self.kind() {
            Kind::Text => self.text(),
            _ => Ok(Cow::Borrowed(self.0)),
        }
    }

    /// The members of an object in their order.
    ///
    /// # Errors
    /// When it is no object, or a name holds half of a surrogate pair.
    pub fn members(self) -> Result<Vec<(Cow<'a, str>, Self)>, String> {
        serde_json::Deserializer::from_str(self.0)
            .deserialize_map(Members(PhantomData))
            .map_err(|error| error.to_string())
    }

    /// The items of an array.
    ///
    /// # Errors
    /// When it is no array.
    pub fn items(self) -> Result<Vec<Self>, String> {
        serde_json::Deserializer::from_str(self.0)
            .deserialize_seq(Items(PhantomData))
            .map_err(|error| error.to_string())
    }
}

/// Line and column of the byte at `offset`, from 1; columns are counted in bytes.
#[must_use]
pub fn place(bytes: &[u8], offset: usize) -> (usize, usize) {
    let before = &bytes[..offset.min(bytes.len())];
    let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
    let start = before.iter().rposition(|byte| *byte == b'\n');
    (line, before.len() - start.map_or(0, |at| at + 1) + 1)
}

/// Appends a text as JSON.
pub fn write_text(text: &str, out: &mut Vec<u8>) {
    // Writing a text into memory cannot fail.
    serde_json::to_writer(out, text).unwrap_or_default();
}

/// Whether the brackets of what is known to be JSON go too deep.
fn is_too_deep(json: &[u8]) -> bool {
    let mut depth = 0_usize;
    let mut bytes = json.iter();
    while let Some(byte) = bytes.next() {
        match byte {
            b'[' | b'{' => {
                depth += 1;
                if depth > DEEPEST {
                    return true;
                }
            }
            b']' | b'}' => depth = depth.saturating_sub(1),
            b'"' => loop {
                match bytes.next() {
                    Some(b'\\') => drop(bytes.next()),
                    Some(b'"') | None => break,
                    Some(_) => {}
                }
            },
            _ => {}
        }
    }
    false
}

/// A text, borrowed where it has no escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> Deserialize<'de> for Key<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;

        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;

            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a text")
            }

            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Borrowed(text)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Key<'de>, E> {
                Ok(Key(Cow::Owned(text.to_owned())))
            }
        }

        deserializer.deserialize_str(KeyVisitor)
    }
}

struct Members<'a>(PhantomData<&'a ()>);

impl<'de> Visitor<'de> for Members<'de> {
    type Value = Vec<(Cow<'de, str>, Raw<'de>)>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Vec::new();
        while let Some((Key(name), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
            members.push((name, Raw(value.get())));
        }
        Ok(members)
    }
}

struct Items<'a>(PhantomData<&'a ()>);

impl<'de> Visitor<'de> for Items<'de> {
    type Value = Vec<Raw<'de>>;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("an array")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut sequence: A) -> Result<Self::Value, A::Error> {
        let mut items = Vec::new();
        while let Some(value) = sequence.next_element::<&'de RawValue>()? {
            items.push(Raw(value.get()));
        }
        Ok(items)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_keep_order_digits_and_repeats() {
        let raw = Raw::parse(b" {\"b\": 1.10, \"a\\n\": [ 1, {} ], \"b\": null} ").unwrap();
        let members: Vec<(String, &str)> = raw
            .members()
            .unwrap()
            .into_iter()
            .map(|(name, value)| (name.into_owned(), value.as_str()))
            .collect();
        let expected = [("b", "1.10"), ("a\n", "[ 1, {} ]"), ("b", "null")];
        assert_eq!(
            members,
            expected.map(|(name, value)| (name.to_owned(), value))
        );
        let items = raw.members().unwrap()[1].1.items().unwrap();
        assert_eq!(
            items.iter().map(|item| item.kind()).collect::<Vec<_>>(),
            [Kind::Number, Kind::Object]
        );
        assert!(raw.items().is_err() && raw.text().is_err());
        assert_eq!(Raw::parse(br#" "a\u0041" "#).unwrap().text().unwrap(), "aA");
    }

    #[test]
    fn what_is_not_json_is_refused_with_the_place() {
        for (bytes, part) in [
            (&b"{\"a\":\n 1,}"[..], "line 2 column 4"),
            (b"1 2", "line 1 column 3"),
            (b"", "EOF"),
            (b"[1,\n\"\xff\"]", "not UTF-8 at line 2 column 2"),
        ] {
            let found = Raw::parse(bytes).unwrap_err();
            assert!(found.contains(part), "{part}: {found}");
        }
        let nested = |depth: usize| "[".repeat(depth) + "\"[\\\"[\"" + &"]".repeat(depth);
        assert!(Raw::parse(nested(DEEPEST).as_bytes()).is_ok());
        let found = Raw::parse(nested(DEEPEST + 1).as_bytes()).unwrap_err();
        assert!(found.contains("deeper than 128"), "{found}");
    }

    #[test]
    fn half_a_surrogate_pair_is_refused_where_it_is_read() {
        let raw = Raw::parse(br#"["\ud800"]"#).unwrap();
        assert!(raw.items().unwrap()[0].text().is_err());
    }
}
