//! What becomes of one value.

use std::{borrow::Cow, fmt::Write as _};

use sandbar_sdk::json::{self, Kind, Raw};
use sha2::{Digest as _, Sha256};

/// Bytes that SHA-256 takes in at a time.
const BLOCK: usize = 64;

/// HMAC-SHA256 (RFC 2104) with one key, which is already taken in by both hashes.
#[derive(Clone)]
pub(crate) struct Hasher {
    inner: Sha256,
    outer: Sha256,
}

impl Hasher {
    pub(crate) fn new(key: &[u8]) -> Self {
        let mut block = [0; BLOCK];
        if key.len() > BLOCK {
            block[..32].copy_from_slice(&Sha256::digest(key));
        } else {
            block[..key.len()].copy_from_slice(key);
        }
        Self {
            inner: Sha256::new().chain_update(block.map(|byte| byte ^ 0x36)),
            outer: Sha256::new().chain_update(block.map(|byte| byte ^ 0x5c)),
        }
    }

    fn hash(&self, text: &str, length: usize) -> String {
        let inner = self.inner.clone().chain_update(text).finalize();
        let mut hex = String::with_capacity(64);
        for byte in self.outer.clone().chain_update(inner).finalize() {
            // Writing to a String cannot fail.
            let _ = write!(hex, "{byte:02x}");
        }
        hex.truncate(length);
        hex
    }
}

/// What is done with a value.
pub(crate) enum Action {
    /// `text`, then the last characters, but never more than half of all.
    Mask { keep_last: usize, text: String },
    /// HMAC-SHA256 of the value's text, in hex, behind `prefix`.
    Hash {
        hasher: Box<Hasher>,
        prefix: String,
        length: usize,
    },
    /// The first `length` characters.
    Truncate { length: usize },
    /// It is gone.
    Drop,
}

impl Action {
    /// The text in place of `text`; `None` drops it.
    pub(crate) fn on_text<'a>(&self, text: &'a str) -> Option<Cow<'a, str>> {
        Some(match self {
            Self::Mask {
                keep_last,
                text: mask,
            } => {
                let count = text.chars().count();
                let keep = (*keep_last).min(count / 2);
                let start = text.char_indices().nth(count - keep);
                let kept = start.map_or("", |(at, _)| &text[at..]);
                Cow::Owned(format!("{mask}{kept}"))
            }
            Self::Hash {
                hasher,
                prefix,
                length,
            } => Cow::Owned(format!("{prefix}{}", hasher.hash(text, *length))),
            Self::Truncate { length } => match text.char_indices().nth(*length) {
                Some((end, _)) => Cow::Borrowed(&text[..end]),
                None => Cow::Borrowed(text),
            },
            Self::Drop => return None,
        })
    }

    /// Appends what comes in place of a value; answers false, and appends nothing, when it is
    /// dropped.
    ///
    /// # Errors
    /// When the value is an object or array, and only a text can be hashed or shortened.
    pub(crate) fn on_value(&self, value: Raw<'_>, out: &mut Vec<u8>) -> Result<bool, String> {
        let kind = value.kind();
        match (self, kind) {
            (Self::Drop, _) => return Ok(false),
            // Nothing to hide.
            (_, Kind::Null) => out.extend_from_slice(value.as_str().as_bytes()),
            (Self::Mask { text, .. }, Kind::Array | Kind::Object) => json::write_text(text, out),
            (_, Kind::Array | Kind::Object) => {
                return Err(format!(
                    "is {}; a rule for what is in it ends with /*",
                    kind.as_str()
                ));
            }
            (Self::Truncate { .. }, Kind::Number | Kind::Boolean) => {
                out.extend_from_slice(value.as_str().as_bytes());
            }
            _ => {
                let text = value.plain()?;
                json::write_text(&self.on_text(&text).unwrap_or_default(), out);
            }
        }
        Ok(true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hashes_are_those_of_rfc_4231() {
        for (key, text, expected) in [
            (
                &b"Jefe"[..],
                "what do ya want for nothing?",
                "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843",
            ),
            (
                &[0xaa; 131],
                "Test Using Larger Than Block-Size Key - Hash Key First",
                "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54",
            ),
        ] {
            assert_eq!(Hasher::new(key).hash(text, 64), expected);
        }
    }
}
