//! How frames of Confluent's serializers name a message: by its place in the file, and by the places of
//! the messages around it.
//!
//! Places count the messages that stand in the text: the entry messages that the compiler makes for maps
//! are not among them. On the wire: how many there are, then each, as zig-zag varints; the list that is
//! just a 0 (the file's first message) is a single byte 0.

use prost_reflect::{FileDescriptor, MessageDescriptor};

use crate::Flaw;

/// How deep messages may be declared in each other; the parser allows less.
const DEEPEST: usize = 64;

pub(crate) fn of(message: &MessageDescriptor) -> Vec<u32> {
    let mut indexes = Vec::new();
    let mut current = message.clone();
    loop {
        let parent = current.parent_message();
        let siblings: Vec<_> = match &parent {
            Some(parent) => parent.child_messages().collect(),
            None => current.parent_file().messages().collect(),
        };
        let place = siblings
            .iter()
            .filter(|one| !one.is_map_entry())
            .position(|one| *one == current);
        indexes.push(u32::try_from(place.unwrap_or_default()).unwrap_or(u32::MAX));
        match parent {
            Some(parent) => current = parent,
            None => break,
        }
    }
    indexes.reverse();
    indexes
}

pub(crate) fn find(file: &FileDescriptor, indexes: &[u32]) -> Option<MessageDescriptor> {
    let (first, rest) = indexes.split_first()?;
    let mut current = file.messages().nth(*first as usize)?;
    for index in rest {
        let next = current
            .child_messages()
            .filter(|one| !one.is_map_entry())
            .nth(*index as usize)?;
        current = next;
    }
    Some(current)
}

/// The indexes as they stand in a frame, behind the schema's id.
#[must_use]
pub fn encode_indexes(indexes: &[u32]) -> Vec<u8> {
    if indexes == [0] {
        return vec![0];
    }
    let mut bytes = Vec::new();
    let count = u32::try_from(indexes.len()).unwrap_or(u32::MAX);
    for number in std::iter::once(&count).chain(indexes) {
        let mut coded = u64::from(*number) << 1;
        while coded >= 0x80 {
            bytes.push((coded as u8 & 0x7f) | 0x80);
            coded >>= 7;
        }
        bytes.push(coded as u8);
    }
    bytes
}

/// Reads the indexes at the beginning of `data`; answers them and how many bytes they took.
///
/// # Errors
/// When the data ends before they do, or they are none (negative, too large, too many).
pub fn decode_indexes(data: &[u8]) -> Result<(Vec<u32>, usize), Flaw> {
    let mut at = 0;
    let count = number(data, &mut at)?;
    if count == 0 {
        return Ok((vec![0], at));
    }
    if count as usize > DEEPEST {
        return Err(flaw(format!(
            "the frame names {count} message indexes; at most {DEEPEST} are possible"
        )));
    }
    let mut indexes = Vec::new();
    for _ in 0..count {
        indexes.push(number(data, &mut at)?);
    }
    Ok((indexes, at))
}

/// A zig-zag varint of 32 bits that is not negative.
fn number(data: &[u8], at: &mut usize) -> Result<u32, Flaw> {
    let mut coded = 0u64;
    for nth in 0..5 {
        let Some(byte) = data.get(*at) else {
            return Err(flaw(
                "the data ends within the message indexes of its frame".into(),
            ));
        };
        *at += 1;
        coded |= u64::from(byte & 0x7f) << (7 * nth);
        if *byte < 0x80 {
            if coded & 1 == 1 {
                return Err(flaw("a message index of the frame is negative".into()));
            }
            return u32::try_from(coded >> 1)
                .map_err(|_| flaw("a message index of the frame is longer than 32 bits".into()));
        }
    }
    Err(flaw(
        "a message index of the frame is longer than 32 bits".into(),
    ))
}

fn flaw(reason: String) -> Flaw {
    Flaw {
        path: String::new(),
        reason,
    }
}
