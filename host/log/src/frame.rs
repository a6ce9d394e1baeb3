//! The bytes of one frame. It knows nothing of files.
//!
//! # Format, version 1 (little-endian)
//! ```text
//!  at size
//!   0   4  length       how many bytes follow the first 8
//!   4   4  CRC32C       of the body as stored, then of the bytes from 8 to the end of the provenance
//!   8   4  head CRC32C  of bytes 0..4, then of the bytes from 12 to the end of the provenance
//!  12   1  version      1
//!  13   1  codec        0 none, 1 LZ4 block
//!  14   2  zero
//!  16   4  count        records in the body, at least 1
//!  20   8  base         offset of the first record
//!  28   8  time         milliseconds since the epoch; never less than in the frame before
//!  36   8  synced       bytes of this file that were known to be on disk when the frame was written
//!  44   4  p            length of the provenance; 0 for none
//!  48   4  body length  before compression
//!  52   p  provenance
//!  52+p    body as stored, to the end
//! ```
//! The body's checksum comes first so that the caller's thread can work it out before the writer
//! knows the offset. The head's own checksum lets heads be read without bodies, and lets a scan step
//! over a damaged body. `synced` tells a torn group of writes (all that follows it was never
//! acknowledged) from damage in what was.
//!
//! Provenance: all numbers are varints (LEB128). Length and bytes of the producer; the same of
//! made_by; the number of origins; for each origin its offset's distance from the origin before it
//! (from 0 for the first; zigzag, so that it may go backwards), and its index.

use bytes::Bytes;
use sandbar_types::{Offset, Provenance};

use crate::{Codec, FrameHead};

pub(crate) const HEAD: usize = 52;
pub(crate) const VERSION: u8 = 1;
/// The longest frame, in bytes.
pub(crate) const LARGEST: usize = 64 << 20;

/// A frame before the writer knows where it goes.
#[derive(Debug)]
pub(crate) struct Prepared {
    pub count: u32,
    codec: u8,
    body_length: u32,
    pub stored: Bytes,
    stored_crc: u32,
    provenance: Vec<u8>,
}

impl Prepared {
    pub fn new(count: u32, body: Bytes, provenance: Option<&Provenance>, codec: Codec) -> Self {
        let body_length = body.len() as u32;
        let (codec, stored) = match codec {
            Codec::None => (0, body),
            Codec::Lz4 => {
                let packed = lz4_flex::block::compress(&body);
                if packed.len() < body.len() {
                    (1, packed.into())
                } else {
                    (0, body)
                }
            }
        };
        Self {
            count,
            codec,
            body_length,
            stored_crc: crc32c::crc32c(&stored),
            stored,
            provenance: provenance.map(encode_provenance).unwrap_or_default(),
        }
    }

    pub fn size(&self) -> usize {
        HEAD + self.provenance.len() + self.stored.len()
    }

    /// Appends all bytes before the stored body to `out`.
    pub fn write_head(&self, out: &mut Vec<u8>, base: Offset, time: u64, synced: u64) {
        let start = out.len();
        let length = (self.size() - 8) as u32;
        out.extend_from_slice(&length.to_le_bytes());
        out.extend_from_slice(&[0; 8]);
        out.extend_from_slice(&[VERSION, self.codec, 0, 0]);
        out.extend_from_slice(&self.count.to_le_bytes());
        out.extend_from_slice(&base.to_le_bytes());
        out.extend_from_slice(&time.to_le_bytes());
        out.extend_from_slice(&synced.to_le_bytes());
        out.extend_from_slice(&(self.provenance.len() as u32).to_le_bytes());
        out.extend_from_slice(&self.body_length.to_le_bytes());
        out.extend_from_slice(&self.provenance);
        let head = &mut out[start..];
        let head_crc = crc32c::crc32c_append(crc32c::crc32c(&head[..4]), &head[12..]);
        head[8..12].copy_from_slice(&head_crc.to_le_bytes());
        let crc = crc32c::crc32c_append(self.stored_crc, &head[8..]);
        head[4..8].copy_from_slice(&crc.to_le_bytes());
    }
}

/// A frame's head, as found on disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    /// Of the whole frame, in bytes.
    pub size: usize,
    crc: u32,
    codec: u8,
    pub count: u32,
    pub base: Offset,
    pub time: u64,
    pub synced: u64,
    provenance: usize,
    body_length: u32,
}

/// Why bytes are not a frame.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Bad {
    /// The bytes end before the frame does; it would need this many.
    Short(usize),
    Wrong(String),
}

impl Bad {
    pub fn detail(&self) -> String {
        match self {
            Self::Short(need) => format!("the frame of {need} bytes is cut short"),
            Self::Wrong(detail) => detail.clone(),
        }
    }
}

fn u32_at(bytes: &[u8], at: usize) -> u32 {
    let mut raw = [0; 4];
    raw.copy_from_slice(&bytes[at..at + 4]);
    u32::from_le_bytes(raw)
}

fn u64_at(bytes: &[u8], at: usize) -> u64 {
    let mut raw = [0; 8];
    raw.copy_from_slice(&bytes[at..at + 8]);
    u64::from_le_bytes(raw)
}

impl Head {
    /// The fixed part, not checked against any checksum.
    pub fn parse(bytes: &[u8]) -> Result<Self, Bad> {
        if bytes.len() < HEAD {
            return Err(Bad::Short(HEAD));
        }
        let size = u32_at(bytes, 0) as usize + 8;
        let provenance = u32_at(bytes, 44) as usize;
        if !(HEAD..=LARGEST).contains(&size) || provenance > size - HEAD {
            return Err(Bad::Wrong(format!(
                "the length field says {size} bytes, which cannot be"
            )));
        }
        let head = Self {
            size,
            crc: u32_at(bytes, 4),
            codec: bytes[13],
            count: u32_at(bytes, 16),
            base: u64_at(bytes, 20),
            time: u64_at(bytes, 28),
            synced: u64_at(bytes, 36),
            provenance,
            body_length: u32_at(bytes, 48),
        };
        Ok(head)
    }

    fn check_version(&self, bytes: &[u8]) -> Result<(), Bad> {
        // Said apart from damage: the checksum is right, the writer was another.
        if bytes[12] != VERSION {
            let found = bytes[12];
            return Err(Bad::Wrong(format!(
                "frame format version {found} is not known to this version of sandbar"
            )));
        }
        if self.codec > 1
            || self.count == 0
            || self.base.checked_add(u64::from(self.count)).is_none()
        {
            return Err(Bad::Wrong("the head's fields cannot be".to_owned()));
        }
        Ok(())
    }

    /// Bytes before the body.
    pub fn length(&self) -> usize {
        HEAD + self.provenance
    }

    pub fn end(&self) -> Offset {
        self.base + u64::from(self.count)
    }

    /// Parses a head and checks the head's checksum; `bytes` need not hold the body.
    pub fn check(bytes: &[u8]) -> Result<Self, Bad> {
        let head = Self::parse(bytes)?;
        if bytes.len() < head.length() {
            return Err(Bad::Short(head.length()));
        }
        let crc = crc32c::crc32c_append(crc32c::crc32c(&bytes[..4]), &bytes[12..head.length()]);
        if crc != u32_at(bytes, 8) {
            return Err(Bad::Wrong("the head's checksum is wrong".to_owned()));
        }
        head.check_version(bytes)?;
        Ok(head)
    }

    /// Parses a whole frame and checks the frame's checksum.
    pub fn check_whole(bytes: &[u8]) -> Result<Self, Bad> {
        let head = Self::parse(bytes)?;
        if bytes.len() < head.size {
            return Err(Bad::Short(head.size));
        }
        let crc = crc32c::crc32c(&bytes[head.length()..head.size]);
        let crc = crc32c::crc32c_append(crc, &bytes[8..head.length()]);
        if crc != head.crc {
            return Err(Bad::Wrong("the checksum is wrong".to_owned()));
        }
        head.check_version(bytes)?;
        Ok(head)
    }

    /// Whether a frame could start here: a quick test before a checksum is worked out.
    pub fn plausible(bytes: &[u8]) -> bool {
        bytes.len() >= HEAD
            && bytes[12] == VERSION
            && bytes[13] <= 1
            && bytes[14] == 0
            && bytes[15] == 0
    }

    /// The body of a checked frame that starts at `at` of `buffer`.
    pub fn body(&self, buffer: &Bytes, at: usize) -> Result<Bytes, Bad> {
        let stored = buffer.slice(at + self.length()..at + self.size);
        if self.codec == 0 {
            return Ok(stored);
        }
        lz4_flex::block::decompress(&stored, self.body_length as usize)
            .map(Bytes::from)
            .map_err(|error| Bad::Wrong(format!("the body cannot be unpacked: {error}")))
    }

    /// `bytes` start at the frame and have passed a check.
    pub fn to_frame_head(self, bytes: &[u8]) -> Result<FrameHead, Bad> {
        let provenance = match &bytes[HEAD..self.length()] {
            [] => None,
            raw => Some(
                decode_provenance(raw)
                    .ok_or_else(|| Bad::Wrong("the provenance cannot be read".to_owned()))?,
            ),
        };
        Ok(FrameHead {
            base: self.base,
            count: self.count,
            time: self.time,
            provenance,
        })
    }
}

fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

fn take_varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let (&byte, rest) = bytes.split_first()?;
        *bytes = rest;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Some(value);
        }
    }
    None
}

fn encode_provenance(provenance: &Provenance) -> Vec<u8> {
    let mut out = Vec::with_capacity(64 + provenance.origins.len() * 3);
    for text in [&provenance.producer, &provenance.made_by] {
        put_varint(&mut out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
    put_varint(&mut out, provenance.origins.len() as u64);
    let mut before = 0_u64;
    for &(offset, index) in &provenance.origins {
        let distance = offset.wrapping_sub(before) as i64;
        put_varint(&mut out, ((distance << 1) ^ (distance >> 63)) as u64);
        put_varint(&mut out, u64::from(index));
        before = offset;
    }
    out
}

fn decode_provenance(mut bytes: &[u8]) -> Option<Provenance> {
    let bytes = &mut bytes;
    let mut text = || {
        let length = usize::try_from(take_varint(bytes)?).ok()?;
        let (text, rest) = bytes.split_at_checked(length)?;
        *bytes = rest;
        String::from_utf8(text.to_vec()).ok()
    };
    let (producer, made_by) = (text()?, text()?);
    let count = usize::try_from(take_varint(bytes)?).ok()?;
    // Each origin takes at least two bytes: no count from disk makes more room than that.
    if count > bytes.len() / 2 {
        return None;
    }
    let mut origins = Vec::with_capacity(count);
    let mut before = 0_u64;
    for _ in 0..count {
        let distance = take_varint(bytes)?;
        let distance = (distance >> 1) as i64 ^ -((distance & 1) as i64);
        before = before.wrapping_add(distance as u64);
        origins.push((before, u32::try_from(take_varint(bytes)?).ok()?));
    }
    Some(Provenance {
        producer,
        made_by,
        origins,
    })
}
