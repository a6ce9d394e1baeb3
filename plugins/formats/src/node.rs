//! What lies between two formats: JSON's kinds of values, borrowed from the data where they can be.

use std::borrow::Cow;

use sandbar_sdk::json::{self, Kind, Raw};

/// A value.
#[derive(Clone, Debug)]
pub(crate) enum Node<'a> {
    Null,
    /// JSON that is not looked into yet, and is written as it is.
    Json(Raw<'a>),
    /// A number or boolean as JSON writes it.
    Literal(Cow<'a, str>),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// A value, looked at one level deep.
#[derive(Debug)]
pub(crate) enum View<'a> {
    Null,
    /// A text; a number or boolean in its text form.
    Scalar(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

impl View<'_> {
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Scalar(_) => "a single value",
            Self::Array(_) => "an array",
            Self::Object(_) => "an object",
        }
    }
}

impl<'a> Node<'a> {
    /// # Errors
    /// When a text holds half of a surrogate pair.
    pub(crate) fn view(&self) -> Result<View<'a>, String> {
        Ok(match self {
            Self::Null => View::Null,
            Self::Text(text) | Self::Literal(text) => View::Scalar(text.clone()),
            Self::Array(items) => View::Array(items.clone()),
            Self::Object(members) => View::Object(members.clone()),
            Self::Json(raw) => match raw.kind() {
                Kind::Null => View::Null,
                Kind::Boolean | Kind::Number | Kind::Text => View::Scalar(raw.plain()?),
                Kind::Array => View::Array(raw.items()?.into_iter().map(Self::Json).collect()),
                Kind::Object => {
                    let members = raw.members()?.into_iter();
                    View::Object(members.map(|(name, raw)| (name, Self::Json(raw))).collect())
                }
            },
        })
    }

    pub(crate) fn write_json(&self, out: &mut Vec<u8>) {
        match self {
            Self::Null => out.extend_from_slice(b"null"),
            Self::Json(raw) => out.extend_from_slice(raw.as_str().as_bytes()),
            Self::Literal(literal) => out.extend_from_slice(literal.as_bytes()),
            Self::Text(text) => json::write_text(text, out),
            Self::Array(items) => {
                out.push(b'[');
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    item.write_json(out);
                }
                out.push(b']');
            }
            Self::Object(members) => {
                out.push(b'{');
                for (index, (name, value)) in members.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    json::write_text(name, out);
                    out.push(b':');
                    value.write_json(out);
                }
                out.push(b'}');
            }
        }
    }
}

/// Bytes as text.
///
/// # Errors
/// The place of the first byte that is not UTF-8.
pub(crate) fn text(bytes: &[u8]) -> Result<&str, String> {
    // A byte order mark says nothing in UTF-8.
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes).map_err(|error| {
        let (line, column) = json::place(bytes, error.valid_up_to());
        format!("line {line} column {column}: not UTF-8")
    })
}
