//! One partition: its segments, what of them may be read, and the changes that are made to it. It
//! knows nothing of the queue, of groups or of other partitions.
//!
//! Two locks: `write` is held by whoever changes the files (the writer for a whole group, a trim
//! that rolls, a deletion); `state` only for the moments in which the readable ends are moved or
//! looked up, so that readers never wait for the disk on account of a writer.

use std::{
    collections::VecDeque,
    io,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, RwLock},
};

use sandbar_types::{Offset, PartitionId};
use tokio::sync::watch;

use crate::{
    Bounds, Error, Frame, FrameHead, Options, Result, Retention,
    files::{File, FileSystem},
    index::{self, Covers, Entry},
    segment::{self, HEADER, Header, NotMade, Trouble, View},
    survey::survey,
};

/// A segment that is not written any more.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sealed {
    pub base: Offset,
    pub end: Offset,
    pub bytes: u64,
    pub last_time: u64,
}

/// The readable part of the segment that is written.
#[derive(Debug)]
pub(crate) struct Active {
    pub base: Offset,
    /// Missing only when the partition has no usable segment at all, and is damaged.
    pub file: Option<Arc<dyn File>>,
    pub length: u64,
    pub entries: Vec<Entry>,
    pub last_time: u64,
}

/// What was found to be wrong.
#[derive(Clone, Debug)]
pub(crate) struct Damage {
    pub file: String,
    pub byte: u64,
    pub offset: Offset,
    pub detail: String,
}

#[derive(Debug)]
pub(crate) struct State {
    pub sealed: VecDeque<Sealed>,
    pub active: Active,
    pub tail: Offset,
    pub damage: Option<Damage>,
}

impl State {
    fn earliest(&self) -> Offset {
        self.sealed
            .front()
            .map_or(self.active.base, |first| first.base)
    }

    fn bytes(&self) -> u64 {
        self.sealed.iter().map(|one| one.bytes).sum::<u64>() + self.active.length
    }
}

/// What only the holder of the write lock sees; ahead of [`State`] while a group is on its way.
#[derive(Debug)]
pub(crate) struct WriteSide {
    pub file: Option<Arc<dyn File>>,
    pub base: Offset,
    pub length: u64,
    /// Bytes of the file that are known to be on disk.
    pub synced: u64,
    pub next: Offset,
    pub last_time: u64,
    /// Bytes that the index file covers.
    pub checkpointed: u64,
    pub deleted: bool,
}

/// The file and the index of a sealed segment that was read lately.
#[derive(Debug)]
struct Loaded {
    base: Offset,
    file: Arc<dyn File>,
    entries: Vec<Entry>,
}

/// How many sealed segments of a partition are kept open, index and all.
const KEPT_OPEN: usize = 4;

#[derive(Debug)]
pub(crate) struct Partition {
    pub id: PartitionId,
    pub folder: PathBuf,
    files: Arc<dyn FileSystem>,
    options: Arc<Options>,
    /// Set for the whole log when a sync has failed.
    poison: Arc<OnceLock<String>>,
    state: RwLock<State>,
    write: Mutex<WriteSide>,
    trimming: Mutex<()>,
    loaded: Mutex<VecDeque<Arc<Loaded>>>,
    watch: watch::Sender<Offset>,
}

/// What the partitions of a log share.
#[derive(Clone, Debug)]
pub(crate) struct Shared {
    pub files: Arc<dyn FileSystem>,
    pub options: Arc<Options>,
    pub poison: Arc<OnceLock<String>>,
}

pub(crate) fn io_error(context: String, source: io::Error) -> Error {
    Error::Io {
        context,
        source: Arc::new(source),
    }
}

pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded | io::ErrorKind::FileTooLarge
    )
}

impl Partition {
    pub fn new(
        id: PartitionId,
        folder: PathBuf,
        shared: &Shared,
        state: State,
        write: WriteSide,
    ) -> Self {
        let watch = watch::Sender::new(state.tail);
        Self {
            id,
            folder,
            files: shared.files.clone(),
            options: shared.options.clone(),
            poison: shared.poison.clone(),
            state: RwLock::new(state),
            write: Mutex::new(write),
            trimming: Mutex::new(()),
            loaded: Mutex::default(),
            watch,
        }
    }

    // No code that holds these locks panics half-way through a change.
    fn state(&self) -> std::sync::RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn state_mut(&self) -> std::sync::RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub fn lock_write(&self) -> MutexGuard<'_, WriteSide> {
        self.write.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The error of a damaged partition.
    pub fn damage(&self) -> Option<Error> {
        self.state().damage.as_ref().map(|damage| Error::Damaged {
            partition: self.id.clone(),
            offset: damage.offset,
            file: damage.file.clone(),
            byte: damage.byte,
            detail: damage.detail.clone(),
        })
    }

    pub fn bounds(&self) -> Bounds {
        let state = self.state();
        Bounds {
            earliest: state.earliest(),
            tail: state.tail,
            bytes: state.bytes(),
        }
    }

    pub fn subscribe(&self) -> watch::Receiver<Offset> {
        self.watch.subscribe()
    }

    /// Makes what was written readable.
    pub fn publish(&self, write: &WriteSide, entries: &[Entry]) {
        let mut state = self.state_mut();
        for entry in entries {
            let last = state.active.entries.last();
            if last
                .is_none_or(|last| entry.position - last.position >= self.options.index_every_bytes)
            {
                state.active.entries.push(*entry);
            }
        }
        state.active.length = write.length;
        state.active.last_time = write.last_time;
        state.tail = write.next;
        drop(state);
        self.watch.send_replace(write.next);
    }

    /// Seals the active segment and starts the next. Nothing changes on [`Error::Full`].
    pub fn roll(&self, write: &mut WriteSide) -> Result<()> {
        self.sync(write)?;
        let header = Header {
            base: write.next,
            follows: write.next,
            time: write.last_time,
        };
        let file =
            segment::create(&*self.files, &self.folder, header).map_err(|error| match error {
                NotMade::Refused(error) if is_full(&error) => Error::Full {
                    partition: self.id.clone(),
                },
                NotMade::Refused(error) => {
                    io_error(format!("cannot start a segment of {}", self.id), error)
                }
                NotMade::Unsynced(error) => self.poisoned(&format!(
                    "cannot sync a new segment of {}: {error}",
                    self.id
                )),
            })?;
        self.checkpoint(write);
        let mut state = self.state_mut();
        let sealed = Sealed {
            base: write.base,
            end: write.next,
            bytes: write.length,
            last_time: write.last_time,
        };
        state.sealed.push_back(sealed);
        state.active = Active {
            base: write.next,
            file: Some(file.clone()),
            length: HEADER,
            entries: Vec::new(),
            last_time: write.last_time,
        };
        write.base = write.next;
        write.file = Some(file);
        write.length = HEADER;
        write.synced = HEADER;
        write.checkpointed = 0;
        Ok(())
    }

    /// Brings all that was written to disk. A failure poisons the log.
    pub fn sync(&self, write: &mut WriteSide) -> Result<()> {
        if let Some(why) = self.poison.get() {
            return Err(Error::Poisoned(why.clone()));
        }
        if write.synced < write.length
            && let Some(file) = &write.file
        {
            file.sync_data()
                .map_err(|error| self.poisoned(&format!("cannot sync {}: {error}", self.id)))?;
            write.synced = write.length;
        }
        Ok(())
    }

    pub fn poisoned(&self, why: &str) -> Error {
        tracing::error!(partition = %self.id, why, "the log stops taking appends until it is opened again");
        Error::Poisoned(self.poison.get_or_init(|| why.to_owned()).clone())
    }

    /// Writes the active segment's index file, so that the next open need not go over what it
    /// covers. It is a convenience: a failure is told and forgotten.
    pub fn checkpoint(&self, write: &mut WriteSide) {
        if write.synced < write.length || write.file.is_none() || write.checkpointed == write.length
        {
            return;
        }
        let covers = Covers {
            base: write.base,
            end: write.next,
            bytes: write.length,
            last_time: write.last_time,
        };
        let entries = self.state().active.entries.clone();
        if let Err(error) = segment::write_index(&*self.files, &self.folder, covers, &entries) {
            tracing::warn!(partition = %self.id, %error, "cannot write an index; it will be made again");
        }
        write.checkpointed = write.length;
    }

    pub fn checkpoint_if_due(&self, write: &mut WriteSide) {
        if write.length - write.checkpointed >= self.options.checkpoint_bytes {
            self.checkpoint(write);
        }
    }

    fn load(&self, base: Offset) -> Result<Arc<Loaded>, Trouble> {
        let kept = |loaded: &mut VecDeque<Arc<Loaded>>| {
            let index = loaded.iter().position(|one| one.base == base)?;
            let found = loaded.remove(index)?;
            loaded.push_back(found.clone());
            Some(found)
        };
        let lock = || self.loaded.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = kept(&mut lock()) {
            return Ok(found);
        }
        let file = self.files.open(&segment::path(&self.folder, base))?;
        let length = file.length()?;
        let entries = match segment::read_index(&*self.files, &self.folder, base) {
            Some((covers, entries)) if covers.bytes == length => entries,
            _ => {
                let bytes = segment::read_all(&*file, HEADER)?;
                let found = survey(&bytes, HEADER, base, self.options.index_every_bytes);
                if found.holes.is_empty() {
                    let (end, last_time) = (found.end(base), found.last_time(0));
                    let covers = Covers {
                        base,
                        end,
                        bytes: length,
                        last_time,
                    };
                    if let Err(error) =
                        segment::write_index(&*self.files, &self.folder, covers, &found.entries)
                    {
                        tracing::warn!(partition = %self.id, %error, "cannot write an index");
                    }
                }
                found.entries
            }
        };
        let found = Arc::new(Loaded {
            base,
            file,
            entries,
        });
        let mut loaded = lock();
        loaded.push_back(found.clone());
        if loaded.len() > KEPT_OPEN {
            loaded.pop_front();
        }
        Ok(found)
    }

    /// Runs `act` on the segment that holds `from`, or on the next behind a loss; its base is the
    /// least offset that it can answer. Nothing when `from` is the tail.
    fn in_segment<T>(
        &self,
        from: Offset,
        floor: impl Fn(&[Entry]) -> Option<Entry>,
        act: impl FnOnce(&View) -> Result<T, Trouble>,
    ) -> Result<Option<T>> {
        let (base, active) = {
            let state = self.state();
            if from > state.tail {
                return Err(Error::PastTail {
                    partition: self.id.clone(),
                    asked: from,
                    tail: state.tail,
                });
            }
            if from < state.earliest() {
                return Err(self.trimmed(from, state.earliest()));
            }
            if from == state.tail {
                return Ok(None);
            }
            let after = state.sealed.partition_point(|one| one.end <= from);
            match state.sealed.get(after) {
                Some(sealed) => (sealed.base, None),
                None => {
                    let start = floor(&state.active.entries);
                    (
                        state.active.base,
                        Some((state.active.file.clone(), start, state.active.length)),
                    )
                }
            }
        };
        let view = match active {
            Some((Some(file), start, limit)) => Ok(view(file, start, base, limit)),
            Some((None, ..)) => return Err(self.damage().unwrap_or(Error::Closed)),
            None => self.load(base).and_then(|loaded| {
                let limit = loaded.file.length()?;
                Ok(view(
                    loaded.file.clone(),
                    floor(&loaded.entries),
                    base,
                    limit,
                ))
            }),
        };
        match view.and_then(|view| act(&view)) {
            Ok(answer) => Ok(Some(answer)),
            Err(Trouble::Io(error)) => {
                let earliest = self.state().earliest();
                if from < earliest {
                    return Err(self.trimmed(from, earliest));
                }
                Err(io_error(
                    format!("cannot read segment {base} of {}", self.id),
                    error,
                ))
            }
            Err(Trouble::Damaged {
                byte,
                offset,
                detail,
            }) => {
                let file = segment::path(&self.folder, base).display().to_string();
                self.report(Damage {
                    file: file.clone(),
                    byte,
                    offset,
                    detail: detail.clone(),
                });
                Err(Error::Damaged {
                    partition: self.id.clone(),
                    offset,
                    file,
                    byte,
                    detail,
                })
            }
        }
    }

    /// Remembers the first damage: the partition takes no appends from now on.
    pub fn report(&self, damage: Damage) {
        let mut state = self.state_mut();
        if state.damage.is_none() {
            tracing::error!(
                partition = %self.id, file = damage.file, byte = damage.byte, offset = damage.offset,
                detail = damage.detail, "damage found; run `sandbar log verify`"
            );
            state.damage = Some(damage);
        }
    }

    fn trimmed(&self, asked: Offset, earliest: Offset) -> Error {
        Error::Trimmed {
            partition: self.id.clone(),
            asked,
            earliest,
        }
    }

    pub fn read(&self, from: Offset, max_bytes: usize) -> Result<Vec<Frame>> {
        let floor = |entries: &[Entry]| index::floor(entries, from);
        let found = self.in_segment(from, floor, |view| view.read(from, max_bytes))?;
        Ok(found.unwrap_or_default())
    }

    pub fn heads(&self, from: Offset, max_frames: usize) -> Result<Vec<FrameHead>> {
        let mut heads = Vec::new();
        let mut next = from;
        while heads.len() < max_frames {
            let floor = |entries: &[Entry]| index::floor(entries, next);
            let before = heads.len();
            let walked = self.in_segment(next, floor, |view| {
                match view.walk(|head| {
                    if head.base + u64::from(head.count) > next {
                        heads.push(head);
                    }
                    heads.len() < max_frames
                }) {
                    // What stands before the damage is answered; the next call meets it.
                    Err(Trouble::Damaged { .. }) if !heads.is_empty() => Ok(()),
                    other => other,
                }
            })?;
            match heads.last() {
                Some(last) if walked.is_some() && heads.len() > before => {
                    next = last.base + u64::from(last.count);
                }
                _ => break,
            }
        }
        Ok(heads)
    }

    pub fn find_time(&self, time: u64) -> Result<Offset> {
        let (base, tail) = {
            let state = self.state();
            let after = state.sealed.partition_point(|one| one.last_time < time);
            match state.sealed.get(after) {
                Some(sealed) => (sealed.base, state.tail),
                None if state.active.last_time >= time => (state.active.base, state.tail),
                None => return Ok(state.tail),
            }
        };
        let floor = |entries: &[Entry]| index::floor_time(entries, time);
        let mut found = None;
        self.in_segment(base, floor, |view| {
            view.walk(|head| {
                if head.time >= time {
                    found = Some(head.base);
                }
                found.is_none()
            })
        })?;
        Ok(found.unwrap_or(tail))
    }

    pub fn trim(&self, retention: Retention, keep_from: Offset, now: u64) -> Result<Offset> {
        let _one_at_a_time = self.trimming.lock().unwrap_or_else(PoisonError::into_inner);
        if self.damage().is_some() {
            // A repair may still need what is there.
            return Ok(self.bounds().earliest);
        }
        let old = |last_time: u64| {
            retention
                .max_age_ms
                .is_some_and(|age| now.saturating_sub(last_time) > age)
        };
        {
            let mut write = self.lock_write();
            let whole = write.length > HEADER && old(write.last_time) && write.next <= keep_from;
            if whole && !write.deleted {
                self.roll(&mut write)?;
            }
        }
        loop {
            let base = {
                let mut state = self.state_mut();
                let heavy = retention.max_bytes.is_some_and(|most| state.bytes() > most);
                match state.sealed.front() {
                    Some(first) if first.end <= keep_from && (heavy || old(first.last_time)) => {
                        let base = first.base;
                        state.sealed.pop_front();
                        base
                    }
                    _ => return Ok(state.earliest()),
                }
            };
            self.loaded
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .retain(|one| one.base != base);
            // The folder is synced after each: were a later removal to survive a crash that an
            // earlier one did not, a hole would be found.
            let removed = self.files.remove_file(&segment::path(&self.folder, base));
            removed
                .and_then(|()| self.files.sync_dir(&self.folder))
                .map_err(|error| {
                    io_error(
                        format!("cannot delete segment {base} of {}", self.id),
                        error,
                    )
                })?;
            let _ = self
                .files
                .remove_file(&segment::index_path(&self.folder, base));
        }
    }
}

fn view(file: Arc<dyn File>, start: Option<Entry>, base: Offset, limit: u64) -> View {
    let start = start.map_or((HEADER, base), |entry| (entry.position, entry.offset));
    View {
        file,
        start: start.0,
        offset: start.1,
        limit,
    }
}
