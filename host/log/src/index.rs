//! The sparse index of a segment, and the file next to it that keeps it.
//!
//! The file is a convenience: it is written without waiting for the disk, and made again from the
//! segment when it is missing or wrong. What it says to be covered was on disk before it was written.
//!
//! # Format, version 1 (little-endian)
//! ```text
//!  at size
//!   0   8  magic        "SANDINDX"
//!   8   4  version      1
//!  12   4  n            number of entries
//!  16   8  base         offset of the segment
//!  24   8  end          the offset after the last frame that is covered
//!  32   8  bytes        how many bytes of the segment are covered
//!  40   8  last time    of the last frame that is covered, milliseconds since the epoch
//!  48   4  CRC32C       of the entries
//!  52   4  CRC32C       of bytes 0..52
//!  56 24n  entries      each: u64 offset, u64 position in the segment, u64 time of a frame
//! ```

use sandbar_types::Offset;

const MAGIC: &[u8; 8] = b"SANDINDX";
const VERSION: u32 = 1;
pub(crate) const HEADER: usize = 56;
const ENTRY: usize = 24;

/// A frame's place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    pub offset: Offset,
    pub position: u64,
    pub time: u64,
}

/// What an index file covers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Covers {
    pub base: Offset,
    pub end: Offset,
    pub bytes: u64,
    pub last_time: u64,
}

/// Where to start looking for `offset`.
pub(crate) fn floor(entries: &[Entry], offset: Offset) -> Option<Entry> {
    let after = entries.partition_point(|entry| entry.offset <= offset);
    after.checked_sub(1).map(|index| entries[index])
}

/// Where to start looking for the first frame written at or after `time`.
pub(crate) fn floor_time(entries: &[Entry], time: u64) -> Option<Entry> {
    let after = entries.partition_point(|entry| entry.time < time);
    entries.get(after.saturating_sub(1)).copied()
}

pub(crate) fn encode(covers: Covers, entries: &[Entry]) -> Vec<u8> {
    let mut out = Vec::with_capacity(HEADER + entries.len() * ENTRY);
    out.extend_from_slice(MAGIC);
    out.extend_from_slice(&VERSION.to_le_bytes());
    out.extend_from_slice(&(entries.len() as u32).to_le_bytes());
    for value in [covers.base, covers.end, covers.bytes, covers.last_time] {
        out.extend_from_slice(&value.to_le_bytes());
    }
    out.extend_from_slice(&[0; 8]);
    for entry in entries {
        for value in [entry.offset, entry.position, entry.time] {
            out.extend_from_slice(&value.to_le_bytes());
        }
    }
    let crc = crc32c::crc32c(&out[HEADER..]);
    out[48..52].copy_from_slice(&crc.to_le_bytes());
    let crc = crc32c::crc32c(&out[..52]);
    out[52..56].copy_from_slice(&crc.to_le_bytes());
    out
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

/// The header alone, or nothing when it is wrong.
pub(crate) fn decode_header(bytes: &[u8]) -> Option<Covers> {
    let sound = bytes.len() >= HEADER
        && &bytes[..8] == MAGIC
        && bytes[8..12] == VERSION.to_le_bytes()
        && bytes[52..56] == crc32c::crc32c(&bytes[..52]).to_le_bytes();
    sound.then(|| Covers {
        base: u64_at(bytes, 16),
        end: u64_at(bytes, 24),
        bytes: u64_at(bytes, 32),
        last_time: u64_at(bytes, 40),
    })
}

/// The whole file, or nothing when it is wrong.
pub(crate) fn decode(bytes: &[u8]) -> Option<(Covers, Vec<Entry>)> {
    let covers = decode_header(bytes)?;
    let body = &bytes[HEADER..];
    if bytes[48..52] != crc32c::crc32c(body).to_le_bytes() || !body.len().is_multiple_of(ENTRY) {
        return None;
    }
    let entries = body
        .chunks_exact(ENTRY)
        .map(|raw| Entry {
            offset: u64_at(raw, 0),
            position: u64_at(raw, 8),
            time: u64_at(raw, 16),
        })
        .collect();
    Some((covers, entries))
}
