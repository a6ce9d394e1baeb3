//! A segment's files: their names, the header, and reading frames out of them. It knows nothing of
//! partitions or of the writer.
//!
//! # Format of a segment, version 1 (little-endian)
//! ```text
//!  at size
//!   0   8  magic     "SANDBAR\n"
//!   8   4  version   1
//!  12   4  zero
//!  16   8  base      offset of the segment's first record; also the file's name, 20 digits
//!  24   8  follows   the offset at which the segment before it ends: `base`, unless a repair had to
//!                    give up what was between
//!  32   8  time      of the last frame before it, milliseconds since the epoch; 0 for none
//!  40   4  CRC32C    of bytes 0..40
//!  44      frames, one behind the other
//! ```

use std::{
    io::{self, IoSlice},
    path::{Path, PathBuf},
    sync::Arc,
};

use bytes::Bytes;
use sandbar_types::Offset;

use crate::{
    Frame, FrameHead,
    files::{File, FileSystem},
    frame::{Bad, Head},
    index::{self, Covers, Entry},
};

const MAGIC: &[u8; 8] = b"SANDBAR\n";
const VERSION: u32 = 1;
pub(crate) const HEADER: u64 = 44;

/// What a segment's header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Header {
    pub base: Offset,
    pub follows: Offset,
    pub time: u64,
}

impl Header {
    pub fn encode(self) -> Vec<u8> {
        let mut out = Vec::with_capacity(HEADER as usize);
        out.extend_from_slice(MAGIC);
        out.extend_from_slice(&VERSION.to_le_bytes());
        out.extend_from_slice(&[0; 4]);
        for value in [self.base, self.follows, self.time] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        let crc = crc32c::crc32c(&out);
        out.extend_from_slice(&crc.to_le_bytes());
        out
    }

    pub fn decode(bytes: &[u8]) -> Result<Self, String> {
        if bytes.len() < HEADER as usize || &bytes[..8] != MAGIC {
            return Err("the segment's header is missing".to_owned());
        }
        if bytes[40..44] != crc32c::crc32c(&bytes[..40]).to_le_bytes() {
            return Err("the segment header's checksum is wrong".to_owned());
        }
        if bytes[8..12] != VERSION.to_le_bytes() {
            return Err("the segment's version is not known to this version of sandbar".to_owned());
        }
        let value = |at: usize| {
            let mut raw = [0; 8];
            raw.copy_from_slice(&bytes[at..at + 8]);
            u64::from_le_bytes(raw)
        };
        Ok(Self {
            base: value(16),
            follows: value(24),
            time: value(32),
        })
    }
}

pub(crate) fn path(folder: &Path, base: Offset) -> PathBuf {
    folder.join(format!("{base:020}.seg"))
}

pub(crate) fn index_path(folder: &Path, base: Offset) -> PathBuf {
    folder.join(format!("{base:020}.idx"))
}

/// The base that a segment's file name says.
pub(crate) fn parse_name(name: &str, extension: &str) -> Option<Offset> {
    let digits = name.strip_suffix(extension)?;
    (digits.len() == 20 && digits.bytes().all(|byte| byte.is_ascii_digit()))
        .then(|| digits.parse().ok())
        .flatten()
}

/// Why a segment could not be made.
#[derive(Debug)]
pub(crate) enum NotMade {
    /// Nothing of it is left.
    Refused(io::Error),
    /// Whether it is on disk is unknown.
    Unsynced(io::Error),
}

impl From<NotMade> for io::Error {
    fn from(error: NotMade) -> Self {
        match error {
            NotMade::Refused(error) | NotMade::Unsynced(error) => error,
        }
    }
}

/// Makes an empty segment; its bytes and its name are on disk when it returns.
pub(crate) fn create(
    files: &dyn FileSystem,
    folder: &Path,
    header: Header,
) -> Result<Arc<dyn File>, NotMade> {
    let path = path(folder, header.base);
    let written = files.create(&path).and_then(|file| {
        file.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
        Ok(file)
    });
    let file = written.map_err(|error| {
        // Half a segment must not be met at the next open; when this fails too, open copes.
        let _ = files.remove_file(&path);
        NotMade::Refused(error)
    })?;
    file.sync_data()
        .and_then(|()| files.sync_dir(folder))
        .map_err(NotMade::Unsynced)?;
    Ok(file)
}

/// Puts an index next to its segment, whole or not at all as long as the machine stays up.
pub(crate) fn write_index(
    files: &dyn FileSystem,
    folder: &Path,
    covers: Covers,
    entries: &[Entry],
) -> io::Result<()> {
    let path = index_path(folder, covers.base);
    let new = path.with_extension("idx.new");
    let written = files.create(&new).and_then(|file| {
        file.write_at(&mut [IoSlice::new(&index::encode(covers, entries))], 0)?;
        files.rename(&new, &path)
    });
    if written.is_err() {
        let _ = files.remove_file(&new);
    }
    written
}

pub(crate) fn read_all(file: &dyn File, at: u64) -> io::Result<Vec<u8>> {
    let length = file.length()?.saturating_sub(at) as usize;
    let mut bytes = Vec::new();
    file.read_at(&mut bytes, at, length)?;
    Ok(bytes)
}

/// The index file of a segment, when it is there and sound.
pub(crate) fn read_index(
    files: &dyn FileSystem,
    folder: &Path,
    base: Offset,
) -> Option<(Covers, Vec<Entry>)> {
    let file = files.open(&index_path(folder, base)).ok()?;
    let bytes = read_all(&*file, 0).ok()?;
    index::decode(&bytes).filter(|(covers, _)| covers.base == base)
}

pub(crate) fn read_index_header(
    files: &dyn FileSystem,
    folder: &Path,
    base: Offset,
) -> Option<Covers> {
    let file = files.open(&index_path(folder, base)).ok()?;
    let mut bytes = Vec::new();
    file.read_at(&mut bytes, 0, index::HEADER).ok()?;
    index::decode_header(&bytes).filter(|covers| covers.base == base)
}

/// Why a segment could not be read.
#[derive(Debug)]
pub(crate) enum Trouble {
    Io(io::Error),
    /// At this byte of the segment, where the frame of this offset should be.
    Damaged {
        byte: u64,
        offset: Offset,
        detail: String,
    },
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

/// The readable part of a segment.
#[derive(Clone, Debug)]
pub(crate) struct View {
    pub file: Arc<dyn File>,
    /// A frame's start, at or before what is looked for.
    pub start: u64,
    /// The offset of that frame.
    pub offset: Offset,
    /// Bytes of the segment that may be read.
    pub limit: u64,
}

/// Heads are read through a window of this many bytes, or of [`SMALL_WINDOW`] when frames are so
/// large that most of it would be bodies.
const WINDOW: usize = 64 << 10;
const SMALL_WINDOW: usize = 4 << 10;
/// No single read is larger, whatever the caller asks for, but for one frame.
const LARGEST_READ: usize = 16 << 20;

impl View {
    fn damaged(&self, byte: u64, offset: Offset, bad: &Bad) -> Trouble {
        Trouble::Damaged {
            byte,
            offset,
            detail: bad.detail(),
        }
    }

    fn load(&self, at: u64, length: usize) -> Result<Vec<u8>, Trouble> {
        let length = length.min((self.limit - at) as usize);
        let mut bytes = Vec::new();
        self.file.read_at(&mut bytes, at, length)?;
        Ok(bytes)
    }

    /// Frames from the one that holds `from` on. A damaged frame ends the answer; it is an error
    /// only when it is the first.
    pub fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Frame>, Trouble> {
        let ask = max_bytes.saturating_add(WINDOW).min(LARGEST_READ);
        let mut position = self.start;
        let mut buffer = Bytes::from(self.load(position, ask)?);
        let mut at = 0;
        let mut expected = self.offset;
        let mut frames = Vec::new();
        let mut total = 0;
        while position + (at as u64) < self.limit {
            let rest = &buffer[at..];
            let here = position + at as u64;
            let checked = match Head::parse(rest) {
                Ok(head) if head.end() <= from && rest.len() >= head.length() => Head::check(rest),
                _ => Head::check_whole(rest),
            };
            let head = match checked {
                Ok(head) if head.base == expected => head,
                Ok(head) => {
                    let bad = Bad::Wrong(format!("the frame says offset {}", head.base));
                    return if frames.is_empty() {
                        Err(self.damaged(here, expected, &bad))
                    } else {
                        Ok(frames)
                    };
                }
                Err(Bad::Short(need)) if here + need as u64 <= self.limit => {
                    if !frames.is_empty() {
                        return Ok(frames);
                    }
                    position = here;
                    at = 0;
                    buffer = self.load(position, need.max(ask))?.into();
                    if buffer.len() < need {
                        return Err(self.damaged(here, expected, &Bad::Short(need)));
                    }
                    continue;
                }
                Err(bad) => {
                    return if frames.is_empty() {
                        Err(self.damaged(here, expected, &bad))
                    } else {
                        Ok(frames)
                    };
                }
            };
            expected = head.end();
            if head.end() > from {
                let made = head
                    .body(&buffer, at)
                    .and_then(|body| Ok((body, head.to_frame_head(rest)?)));
                let (body, said) = match made {
                    Ok(made) => made,
                    Err(bad) if frames.is_empty() => {
                        return Err(self.damaged(here, head.base, &bad));
                    }
                    Err(_) => return Ok(frames),
                };
                total += body.len();
                if total > max_bytes && !frames.is_empty() {
                    return Ok(frames);
                }
                frames.push(Frame {
                    base: said.base,
                    count: said.count,
                    time: said.time,
                    provenance: said.provenance,
                    body,
                });
                if total >= max_bytes {
                    return Ok(frames);
                }
            }
            at += head.size;
            if at > buffer.len() {
                // Skipped over a body that was not loaded.
                position += at as u64;
                at = 0;
                if position < self.limit {
                    buffer = self.load(position, ask)?.into();
                }
            }
        }
        Ok(frames)
    }

    /// Calls `visit` with every head, as long as it answers true. Bodies are stepped over.
    pub fn walk(&self, mut visit: impl FnMut(FrameHead) -> bool) -> Result<(), Trouble> {
        let mut position = self.start;
        let mut buffer = Vec::new();
        let mut buffer_at = position;
        let mut window = SMALL_WINDOW;
        let mut expected = self.offset;
        while position < self.limit {
            let offset_in = (position - buffer_at) as usize;
            let rest = buffer.get(offset_in..).unwrap_or_default();
            let head = match Head::check(rest) {
                Ok(head) => head,
                Err(Bad::Short(need))
                    if position + need as u64 <= self.limit && rest.len() < need =>
                {
                    buffer = self.load(position, window.max(need))?;
                    buffer_at = position;
                    if buffer.len() < need {
                        return Err(self.damaged(position, expected, &Bad::Short(need)));
                    }
                    continue;
                }
                Err(bad) => return Err(self.damaged(position, expected, &bad)),
            };
            if head.base != expected || position + head.size as u64 > self.limit {
                let bad = Bad::Wrong(format!("the frame says offset {}", head.base));
                return Err(self.damaged(position, expected, &bad));
            }
            let said = head
                .to_frame_head(rest)
                .map_err(|bad| self.damaged(position, expected, &bad))?;
            if !visit(said) {
                return Ok(());
            }
            expected = head.end();
            position += head.size as u64;
            window = if head.size > SMALL_WINDOW {
                SMALL_WINDOW
            } else {
                WINDOW
            };
        }
        Ok(())
    }
}
