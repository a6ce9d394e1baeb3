//! Names of topics, routes, plugins and contracts, and the one rule for all of them.

use std::{fmt, str::FromStr, sync::Arc};

use serde::{Deserialize, Serialize};

/// The longest name, in bytes.
pub const MAX_LENGTH: usize = 128;

/// Names that start with this are the hub's own (`sandbar.dead-letters`); users cannot create them.
pub const RESERVED_PREFIX: &str = "sandbar.";

/// A checked name: 1 to 128 of `a-z A-Z 0-9 . _ -`, starting with a letter or digit.
///
/// The alphabet is safe in a URL path, in a file name and in a Prometheus label; `..` is refused.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Name(Arc<str>);

/// Why a text is not a [`Name`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NameError {
    #[error("a name must not be empty")]
    Empty,
    #[error("the name has {0} bytes; at most {MAX_LENGTH} are allowed")]
    TooLong(usize),
    #[error(
        "the name {name:?} has {found:?} at byte {at}; allowed are a-z A-Z 0-9 . _ - and it must start with a letter or digit"
    )]
    Illegal {
        name: String,
        at: usize,
        found: char,
    },
    #[error("the name {0:?} must not have two dots in a row")]
    DoubleDot(String),
}

impl Name {
    /// Checks and takes a name.
    ///
    /// # Errors
    /// When the text breaks the rule stated on [`Name`].
    pub fn new(text: &str) -> Result<Self, NameError> {
        if text.is_empty() {
            return Err(NameError::Empty);
        }
        if text.len() > MAX_LENGTH {
            return Err(NameError::TooLong(text.len()));
        }
        for (at, found) in text.char_indices() {
            let inside = found.is_ascii_alphanumeric() || matches!(found, '.' | '_' | '-');
            if !inside || (at == 0 && !found.is_ascii_alphanumeric()) {
                return Err(NameError::Illegal {
                    name: text.to_owned(),
                    at,
                    found,
                });
            }
        }
        if text.contains("..") {
            return Err(NameError::DoubleDot(text.to_owned()));
        }
        Ok(Self(text.into()))
    }

    /// The name as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Whether the name belongs to the hub itself.
    #[must_use]
    pub fn is_reserved(&self) -> bool {
        self.0.starts_with(RESERVED_PREFIX)
    }
}

impl FromStr for Name {
    type Err = NameError;
    fn from_str(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl TryFrom<&str> for Name {
    type Error = NameError;
    fn try_from(text: &str) -> Result<Self, NameError> {
        Self::new(text)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::new(&text).map_err(serde::de::Error::custom)
    }
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", &*self.0)
    }
}

impl AsRef<str> for Name {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl std::borrow::Borrow<str> for Name {
    fn borrow(&self) -> &str {
        &self.0
    }
}
