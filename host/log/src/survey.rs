//! Goes over a segment's bytes and says which are frames and which are not. It decides nothing and
//! touches no file.

use sandbar_types::Offset;

use crate::{
    frame::{Bad, Head},
    index::Entry,
};

/// Frames that follow each other without a gap.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Run {
    /// Bytes of the segment.
    pub from: u64,
    pub to: u64,
    /// Offsets.
    pub base: Offset,
    pub end: Offset,
    pub frames: u64,
    pub first_time: u64,
    pub last_time: u64,
    /// The largest `synced` that a frame of the run tells.
    pub synced: u64,
}

/// Bytes that are no frames, or a jump in the offsets (`from == to`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Hole {
    pub from: u64,
    pub to: u64,
    /// The offset that should stand here.
    pub offset: Offset,
    pub detail: String,
}

/// What a segment holds: runs and holes in turn.
#[derive(Debug, Default)]
pub(crate) struct Survey {
    pub runs: Vec<Run>,
    pub holes: Vec<Hole>,
    pub entries: Vec<Entry>,
}

impl Survey {
    /// The offset after the last frame, or `start` without any.
    pub fn end(&self, start: Offset) -> Offset {
        self.runs.last().map_or(start, |run| run.end)
    }

    pub fn last_time(&self, start: u64) -> u64 {
        self.runs.last().map_or(start, |run| run.last_time)
    }
}

/// Surveys `bytes`, which start at position `origin` of the segment, where the frame of offset
/// `next` is expected. `index_every` spaces the index entries, in bytes.
pub(crate) fn survey(bytes: &[u8], origin: u64, next: Offset, index_every: u64) -> Survey {
    let mut found = Survey::default();
    let mut at = 0;
    let mut expected = next;
    let mut broken = false;
    while at < bytes.len() {
        let bad = match Head::check_whole(&bytes[at..]) {
            Ok(head) if head.base == expected || (broken && head.base > expected) => {
                take(&mut found, &head, origin + at as u64, broken, index_every);
                expected = head.end();
                at += head.size;
                broken = false;
                continue;
            }
            Ok(head) => Bad::Wrong(format!(
                "the frame says offset {}, expected is {expected}",
                head.base
            )),
            Err(bad) => bad,
        };
        let start = at;
        at = next_valid(bytes, at, expected).unwrap_or(bytes.len());
        found.holes.push(Hole {
            from: origin + start as u64,
            to: origin + at as u64,
            offset: expected,
            detail: bad.detail(),
        });
        broken = true;
    }
    found
}

fn take(found: &mut Survey, head: &Head, position: u64, broken: bool, index_every: u64) {
    let far = found
        .entries
        .last()
        .is_none_or(|last| position - last.position >= index_every);
    if far || broken {
        found.entries.push(Entry {
            offset: head.base,
            position,
            time: head.time,
        });
    }
    let to = position + head.size as u64;
    match found.runs.last_mut() {
        Some(run) if !broken => {
            run.to = to;
            run.end = head.end();
            run.frames += 1;
            run.last_time = head.time;
            run.synced = run.synced.max(head.synced);
        }
        _ => found.runs.push(Run {
            from: position,
            to,
            base: head.base,
            end: head.end(),
            frames: 1,
            first_time: head.time,
            last_time: head.time,
            synced: head.synced,
        }),
    }
}

/// Where the next whole frame of offset `expected` or later starts, after `bad`.
fn next_valid(bytes: &[u8], bad: usize, expected: Offset) -> Option<usize> {
    let valid = |at: usize| {
        let rest = &bytes[at..];
        Head::plausible(rest)
            && Head::check(rest).is_ok_and(|head| head.base >= expected)
            && Head::check_whole(rest).is_ok()
    };
    // A damaged body behind a sound head: its length leads to the next frame.
    if let Ok(head) = Head::check(&bytes[bad..])
        && bad + head.size < bytes.len()
        && valid(bad + head.size)
    {
        return Some(bad + head.size);
    }
    (bad + 1..bytes.len()).find(|&at| valid(at))
}
