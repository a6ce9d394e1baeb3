//! What clients settle by: opaque texts that say which event was handed out, by which lease, and for
//! the how-many-eth time.
//!
//! A token holds all that is needed to judge it, so it is still good after a restart. The tag names
//! the subscription, the partition and how often it was reset: tokens of before are no good after.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use sandbar_types::{Offset, PartitionId};
use xxhash_rust::xxh3::xxh3_64;

use super::group::Claim;

/// One event, or all that was handed out in one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Token {
    Event { tag: u64, claim: Claim },
    Lease(u64),
}

const EVENT: usize = 28;
const LEASE: usize = 8;

impl Token {
    /// The tag of a partition of a subscription (by its `id`) after so many resets.
    #[must_use]
    pub fn tag(id: u64, partition: &PartitionId, epoch: u32) -> u64 {
        xxh3_64(format!("{id}/{epoch}/{partition}").as_bytes())
    }

    /// Reads the text form.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut bytes = [0; EVENT];
        if text.len() > base64::encoded_len(EVENT, false)? {
            return None;
        }
        let length = URL_SAFE_NO_PAD.decode_slice(text, &mut bytes).ok()?;
        let number = |from: usize| {
            let mut part = [0; 8];
            part.copy_from_slice(&bytes[from..from + 8]);
            u64::from_le_bytes(part)
        };
        match length {
            EVENT => Some(Self::Event {
                tag: number(0),
                claim: Claim {
                    offset: number(8) as Offset,
                    lease: number(16),
                    delivery: u32::from_le_bytes([bytes[24], bytes[25], bytes[26], bytes[27]]),
                },
            }),
            LEASE => Some(Self::Lease(number(0))),
            _ => None,
        }
    }

    /// Appends the text form: letters, digits, `-` and `_`.
    pub fn write(&self, out: &mut Vec<u8>) {
        let mut bytes = [0; EVENT];
        let length = match self {
            Self::Event { tag, claim } => {
                bytes[..8].copy_from_slice(&tag.to_le_bytes());
                bytes[8..16].copy_from_slice(&claim.offset.to_le_bytes());
                bytes[16..24].copy_from_slice(&claim.lease.to_le_bytes());
                bytes[24..].copy_from_slice(&claim.delivery.to_le_bytes());
                EVENT
            }
            Self::Lease(lease) => {
                bytes[..8].copy_from_slice(&lease.to_le_bytes());
                LEASE
            }
        };
        let start = out.len();
        out.resize(start + length.div_ceil(3) * 4, 0);
        let written = URL_SAFE_NO_PAD
            .encode_slice(&bytes[..length], &mut out[start..])
            .unwrap_or(0);
        out.truncate(start + written);
    }
}

impl std::fmt::Display for Token {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut text = Vec::new();
        self.write(&mut text);
        f.write_str(&String::from_utf8_lossy(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_survive_their_text() {
        let claim = Claim {
            offset: u64::MAX - 1,
            lease: 7,
            delivery: 3,
        };
        for token in [Token::Event { tag: 5, claim }, Token::Lease(u64::MAX)] {
            let text = token.to_string();
            assert!(
                text.bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte)),
                "{text}"
            );
            assert_eq!(Token::parse(&text), Some(token), "{text}");
        }
        for bad in [
            "",
            "x",
            "AAAA",
            "****",
            "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA",
        ] {
            assert_eq!(Token::parse(bad), None, "{bad:?}");
        }
    }
}
