//! Opening a partition: what is there, what is torn, what is damaged.
//!
//! A torn tail is what a crash leaves of writes that were never acknowledged; it is cut off. The
//! proof that something had been acknowledged is either the index file, which covers only what was
//! on disk, or a sound frame behind it that was written when it was on disk (`synced` in the frame's
//! head). With such a proof it is damage, and nothing is cut.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    path::PathBuf,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use sandbar_types::{Offset, PartitionId};

use crate::{
    files::File,
    index::Covers,
    partition::{Active, Damage, Partition, Sealed, Shared, State, WriteSide},
    segment::{self, HEADER, Header},
    survey::{Hole, Survey, survey},
};

struct Opening<'a> {
    id: &'a PartitionId,
    folder: PathBuf,
    shared: &'a Shared,
    /// Bytes that may still be checked in full, over all partitions.
    budget: &'a AtomicU64,
    damage: Option<Damage>,
    /// The end and the last time of the segment before.
    before: Option<(Offset, u64)>,
}

/// Opens the partition in `folder`.
pub(crate) fn open(
    id: PartitionId,
    folder: PathBuf,
    shared: &Shared,
    budget: &AtomicU64,
) -> io::Result<Partition> {
    let mut bases = Vec::new();
    let mut indexes = Vec::new();
    for entry in shared.files.list(&folder)? {
        if entry.name.ends_with(".idx.new") {
            shared.files.remove_file(&folder.join(&entry.name))?;
        } else if let Some(base) = segment::parse_name(&entry.name, ".seg") {
            bases.push(base);
        } else if let Some(base) = segment::parse_name(&entry.name, ".idx") {
            indexes.push(base);
        }
    }
    bases.sort_unstable();
    let mut opening = Opening {
        id: &id,
        folder: folder.clone(),
        shared,
        budget,
        damage: None,
        before: None,
    };
    let mut sealed = VecDeque::new();
    let Some((&last, earlier)) = bases.split_last() else {
        opening.note(
            0,
            0,
            0,
            "the partition's folder holds no segment".to_owned(),
        );
        let active = Active {
            base: 0,
            file: None,
            length: 0,
            entries: Vec::new(),
            last_time: 0,
        };
        return Ok(opening.partition(id.clone(), sealed, active, 0, 0));
    };
    for base in indexes
        .into_iter()
        .filter(|base| bases.binary_search(base).is_err())
    {
        // The segment was trimmed, and its index was left by a crash.
        shared
            .files
            .remove_file(&segment::index_path(&folder, base))?;
    }
    for &base in earlier {
        let one = opening.sealed(base)?;
        opening.before = Some((one.end, one.last_time));
        sealed.push_back(one);
    }
    let (active, tail, covered) = opening.active(last)?;
    Ok(opening.partition(id.clone(), sealed, active, tail, covered))
}

impl Opening<'_> {
    fn partition(
        self,
        id: PartitionId,
        sealed: VecDeque<Sealed>,
        active: Active,
        tail: Offset,
        checkpointed: u64,
    ) -> Partition {
        if let Some(damage) = &self.damage {
            tracing::error!(
                partition = %id, file = damage.file, byte = damage.byte, offset = damage.offset,
                detail = damage.detail, "the partition is damaged and takes no appends; run `sandbar log verify`"
            );
        }
        let write = WriteSide {
            file: active.file.clone(),
            base: active.base,
            length: active.length,
            synced: active.length,
            next: tail,
            last_time: active.last_time,
            checkpointed,
            deleted: false,
        };
        let state = State {
            sealed,
            active,
            tail,
            damage: self.damage,
        };
        Partition::new(id, self.folder, self.shared, state, write)
    }

    fn note(&mut self, base: Offset, byte: u64, offset: Offset, detail: String) {
        if self.damage.is_none() {
            let file = segment::path(&self.folder, base).display().to_string();
            self.damage = Some(Damage {
                file,
                byte,
                offset,
                detail,
            });
        }
    }

    fn note_hole(&mut self, base: Offset, hole: &Hole) {
        let Hole {
            from,
            to,
            offset,
            detail,
        } = hole;
        self.note(
            base,
            *from,
            *offset,
            format!("{detail} ({} bytes are unreadable)", to - from),
        );
    }

    /// Checks a header against the name and the segment before.
    fn header(&mut self, base: Offset, file: &dyn File) -> io::Result<Option<Header>> {
        let mut bytes = Vec::new();
        file.read_at(&mut bytes, 0, HEADER as usize)?;
        match Header::decode(&bytes) {
            Ok(header) => {
                if header.base != base {
                    self.note(
                        base,
                        16,
                        base,
                        format!("the header says base {}", header.base),
                    );
                }
                if let Some((end, _)) = self.before
                    && end != header.follows
                {
                    let follows = header.follows;
                    self.note(
                        base,
                        24,
                        end,
                        format!("records from {end} to {follows} are missing before it"),
                    );
                }
                Ok(Some(header))
            }
            Err(detail) => {
                self.note(base, 0, base, detail);
                Ok(None)
            }
        }
    }

    fn sealed(&mut self, base: Offset) -> io::Result<Sealed> {
        let file = self.shared.files.open(&segment::path(&self.folder, base))?;
        let bytes = file.length()?;
        let header = self.header(base, &*file)?;
        if let Some(covers) = segment::read_index_header(&*self.shared.files, &self.folder, base)
            && covers.bytes == bytes
        {
            return Ok(Sealed {
                base,
                end: covers.end,
                bytes,
                last_time: covers.last_time,
            });
        }
        let every = self.shared.options.index_every_bytes;
        let found = survey(&segment::read_all(&*file, HEADER)?, HEADER, base, every);
        let before = header.map_or(0, |header| header.time);
        let one = Sealed {
            base,
            end: found.end(base),
            bytes,
            last_time: found.last_time(before),
        };
        match found.holes.first() {
            Some(hole) => self.note_hole(base, hole),
            None => {
                let covers = Covers {
                    base,
                    end: one.end,
                    bytes,
                    last_time: one.last_time,
                };
                let files = &*self.shared.files;
                if let Err(error) =
                    segment::write_index(files, &self.folder, covers, &found.entries)
                {
                    tracing::warn!(partition = %self.id, %error, "cannot write an index; it will be made again");
                }
            }
        }
        Ok(one)
    }

    /// The last segment, the tail, and how many bytes its index file covers.
    fn active(&mut self, base: Offset) -> io::Result<(Active, Offset, u64)> {
        let file = self.shared.files.open(&segment::path(&self.folder, base))?;
        let length = file.length()?;
        let (before_end, before_time) = self.before.unwrap_or((base, 0));
        if length <= HEADER
            && self.before.is_some()
            && before_end == base
            && self.torn_header(&*file)?
        {
            // The crash came while the segment was being started; no frame was in it.
            tracing::warn!(partition = %self.id, base, "finishing a segment that a crash left half made");
            let header = Header {
                base,
                follows: base,
                time: before_time,
            };
            file.truncate(0)?;
            file.write_at(&mut [IoSlice::new(&header.encode())], 0)?;
            file.sync_data()?;
            self.shared.files.sync_dir(&self.folder)?;
        }
        let header = self.header(base, &*file)?;
        let time = header.map_or(before_time, |header| header.time);
        let (covers, mut entries) = segment::read_index(&*self.shared.files, &self.folder, base)
            .unwrap_or((
                Covers {
                    base,
                    end: base,
                    bytes: HEADER,
                    last_time: time,
                },
                Vec::new(),
            ));
        let length = file.length()?;
        if covers.bytes > length {
            let (end, bytes) = (covers.end, covers.bytes);
            self.note(
                base,
                length,
                base,
                format!(
                    "the segment has {length} bytes; {bytes}, up to offset {end}, had been stored"
                ),
            );
        }
        let budget = self
            .budget
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(length)
            });
        let skip = covers.bytes <= length && budget.is_err();
        let every = self.shared.options.index_every_bytes;
        let found = if skip {
            let bytes = segment::read_all(&*file, covers.bytes)?;
            let mut found = survey(&bytes, covers.bytes, covers.end, every);
            entries.append(&mut found.entries);
            found
        } else {
            let mut found = survey(&segment::read_all(&*file, HEADER)?, HEADER, base, every);
            entries = std::mem::take(&mut found.entries);
            found
        };
        let start = if skip {
            (covers.end, covers.last_time, covers.bytes)
        } else {
            (base, time, HEADER)
        };
        let (mut end, mut last_time) = (found.end(start.0), found.last_time(start.1));
        let mut readable = found.runs.last().map_or(start.2.min(length), |run| run.to);
        if let Some(hole) = found.holes.first() {
            if self.damage.is_none() && is_torn(hole, &found, covers.bytes) {
                tracing::warn!(
                    partition = %self.id, bytes = length - hole.from, offset = hole.offset,
                    detail = hole.detail, "cutting off a torn write that was never acknowledged"
                );
                file.truncate(hole.from)?;
                let kept = found.runs.iter().rfind(|run| run.to <= hole.from);
                (end, last_time, readable) =
                    kept.map_or(start, |run| (run.end, run.last_time, run.to));
                entries.retain(|entry| entry.position < hole.from);
                file.sync_data()?;
            } else {
                self.note_hole(base, hole);
                end = end.max(covers.end);
            }
        }
        if self.damage.is_none() {
            let proven = found
                .runs
                .iter()
                .map(|run| run.synced)
                .max()
                .unwrap_or_default();
            let proven = proven.max(if covers.bytes > HEADER {
                covers.bytes
            } else {
                0
            });
            self.settle(&*file, proven, readable)?;
            if proven == 0 {
                // Not even the segment's name is known to be on disk.
                self.shared.files.sync_dir(&self.folder)?;
            }
        }
        let active = Active {
            base,
            file: Some(file),
            length: readable,
            entries,
            last_time,
        };
        Ok((active, end, covers.bytes.min(readable)))
    }

    fn torn_header(&self, file: &dyn File) -> io::Result<bool> {
        let mut bytes = Vec::new();
        file.read_at(&mut bytes, 0, HEADER as usize)?;
        Ok(Header::decode(&bytes).is_err())
    }

    /// What is readable from now on must be on disk. What no index and no later frame proves to be
    /// there is written again before the sync: after a
    /// sync that failed, the system may take pages for clean that never got there.
    fn settle(&self, file: &dyn File, from: u64, to: u64) -> io::Result<()> {
        const STEP: usize = 1 << 20;
        if from >= to {
            return Ok(());
        }
        let mut at = from;
        while at < to {
            let mut bytes = Vec::new();
            file.read_at(&mut bytes, at, STEP.min((to - at) as usize))?;
            file.write_at(&mut [IoSlice::new(&bytes)], at)?;
            at += bytes.len() as u64;
        }
        file.sync_data()
    }
}

/// Whether all from `hole` on was never acknowledged.
fn is_torn(hole: &Hole, found: &Survey, covered: u64) -> bool {
    let later = found.runs.iter().filter(|run| run.from >= hole.to);
    hole.from >= covered && later.into_iter().all(|run| run.synced <= hole.from)
}

/// What the partitions of one log may be checked in full.
pub(crate) fn budget(shared: &Shared) -> Arc<AtomicU64> {
    Arc::new(AtomicU64::new(shared.options.open_scan_bytes))
}
