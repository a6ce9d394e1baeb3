//! Events as they are read for subscriptions: whole frames, small ones put together, and a cache of
//! the last ones that all subscriptions share. What is handed out is copied out of them, so that nothing
//! but the cache keeps a frame in memory.

use std::{
    borrow::Cow,
    collections::VecDeque,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use bytes::Bytes;
use sandbar_log::{Error, Frame, Log};
use sandbar_types::{Batch, EventRef, Offset, PartitionId, Provenance};

use super::super::page::{decode, origin_at, refusal};
use crate::{ingest::cloudevents, problem::Problem, room::Part};

/// Frames are put together up to so many bytes.
const CHUNK_BYTES: usize = 512 * 1024;
const CHUNK_EVENTS: usize = 4096;
/// What the cache keeps at most; one chunk more may be kept, however large.
const CACHE_BYTES: usize = 32 * 1024 * 1024;
const CACHE_CHUNKS: usize = 128;

/// Columns of a batch, in the order of `COLUMN_NAMES`.
const ID: usize = 0;
const SUBJECT: usize = 3;
const MEDIA: usize = 5;
const EXTENSIONS: usize = 7;
const DATA: usize = 8;

/// Events of a partition without a gap between them.
#[derive(Debug)]
pub struct Chunk {
    pub base: Offset,
    batch: Batch,
    /// The frames that it is put together of: the index of the first event of each.
    frames: Vec<(usize, Option<Provenance>)>,
}

/// Events that were copied out of a chunk.
#[derive(Debug)]
pub struct Copies {
    batch: Batch,
    /// Who made each, and of which event; none where nobody made any.
    origins: Vec<Option<(Arc<str>, Offset)>>,
    /// What they lie in.
    room: OnceLock<Part>,
}

impl Copies {
    #[must_use]
    pub fn event(&self, index: usize) -> EventRef<'_> {
        self.batch.get(index)
    }

    /// The data of an event, shared.
    #[must_use]
    pub fn data(&self, index: usize) -> Bytes {
        self.batch.data(index)
    }

    /// The route, unless it is a copy, and the position that the event came from.
    #[must_use]
    pub fn origin(&self, index: usize) -> Option<(Option<&str>, String)> {
        let (producer, offset) = self.origins.get(index)?.as_ref()?;
        origin_at(producer, *offset)
    }

    /// Keeps room for as long as they are there.
    pub fn lie_in(&self, room: Part) {
        // They get theirs once.
        let _ = self.room.set(room);
    }
}

/// What reading came to.
pub enum Read {
    Events(Arc<Chunk>),
    /// Nothing up to this offset: the tail, or the end of a gap that a repair left.
    Nothing(Offset),
    /// Retention deleted what was asked for; this is the first that is there.
    Trimmed(Offset),
}

impl Chunk {
    /// The offset behind the last event.
    #[must_use]
    pub fn end(&self) -> Offset {
        self.base + self.batch.len() as u64
    }

    /// The event at an offset of this chunk.
    #[must_use]
    pub fn event(&self, offset: Offset) -> EventRef<'_> {
        self.batch.get(self.index(offset))
    }

    /// The most bytes that the event takes in the JSON format, besides what the hub adds.
    #[must_use]
    pub fn most_json_bytes(&self, offset: Offset) -> usize {
        let (index, columns) = (self.index(offset), self.batch.columns());
        let attributes: usize = columns[..EXTENSIONS]
            .iter()
            .map(|one| one.get(index).len())
            .sum();
        let data = columns[DATA].get(index);
        // Quotes and backslashes are escaped; control characters they have none.
        2 * attributes
            + columns[EXTENSIONS].get(index).len()
            + cloudevents::most_data_bytes(columns[MEDIA].get(index), data)
    }

    /// Copies of the events at these offsets.
    #[must_use]
    pub fn copy(&self, offsets: &[Offset]) -> Copies {
        let indexes: Vec<usize> = offsets.iter().map(|&offset| self.index(offset)).collect();
        let made = self
            .frames
            .iter()
            .any(|(_, provenance)| provenance.is_some());
        let mut origins = Vec::new();
        let mut last: Option<Arc<str>> = None;
        for &index in indexes.iter().filter(|_| made) {
            let origin = self.frame_of(index).and_then(|(first, provenance)| {
                let (offset, _) = provenance.origins.get(index - first)?;
                let known = last.take().filter(|last| **last == *provenance.producer);
                let producer = known.unwrap_or_else(|| provenance.producer.as_str().into());
                last = Some(producer.clone());
                Some((producer, *offset))
            });
            origins.push(origin);
        }
        Copies {
            batch: self.batch.copy(&indexes),
            origins,
            room: OnceLock::new(),
        }
    }

    fn frame_of(&self, index: usize) -> Option<(usize, &Provenance)> {
        let after = self.frames.partition_point(|(first, _)| *first <= index);
        let (first, provenance) = self.frames.get(after.checked_sub(1)?)?;
        Some((*first, provenance.as_ref()?))
    }

    /// What order is kept by: see [`EventRef::key`]. Reads the columns that it needs.
    #[must_use]
    pub fn key(&self, offset: Offset) -> Cow<'_, [u8]> {
        let index = self.index(offset);
        let columns = self.batch.columns();
        if !columns[EXTENSIONS].get(index).is_empty() {
            let key = self.batch.get(index).key().into_owned();
            return Cow::Owned(key.into_bytes());
        }
        match columns[SUBJECT].get(index) {
            [] => Cow::Borrowed(columns[ID].get(index)),
            subject => Cow::Borrowed(subject),
        }
    }

    #[must_use]
    pub fn batch(&self) -> &Batch {
        &self.batch
    }

    #[must_use]
    pub fn index(&self, offset: Offset) -> usize {
        usize::try_from(offset - self.base).unwrap_or(usize::MAX)
    }

    fn of(partition: &PartitionId, frames: Vec<Frame>) -> Result<Option<Self>, Problem> {
        let mut batches = Vec::with_capacity(frames.len());
        let mut heads = Vec::with_capacity(frames.len());
        let mut base = None;
        let mut count = 0;
        for frame in frames {
            let start = *base.get_or_insert(frame.base);
            if frame.base != start + count as u64 || count >= CHUNK_EVENTS {
                break;
            }
            let batch = decode(partition, &frame)?;
            heads.push((count, frame.provenance));
            count += batch.len();
            batches.push(batch);
        }
        Ok(base.map(|base| Self {
            base,
            batch: Batch::concat(&batches),
            frames: heads,
        }))
    }
}

/// The chunks read last.
#[derive(Debug, Default)]
pub struct Cache {
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one used last comes first.
    chunks: VecDeque<(PartitionId, Arc<Chunk>, usize)>,
    bytes: usize,
}

impl Cache {
    fn kept(&self) -> std::sync::MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn find(&self, partition: &PartitionId, offset: Offset) -> Option<Arc<Chunk>> {
        let mut kept = self.kept();
        let at = kept.chunks.iter().position(|(of, chunk, _)| {
            chunk.base <= offset && offset < chunk.end() && of == partition
        })?;
        if at > 0 {
            let found = kept.chunks.remove(at)?;
            kept.chunks.push_front(found);
        }
        kept.chunks.front().map(|(_, chunk, _)| chunk.clone())
    }

    fn keep(&self, partition: &PartitionId, chunk: &Arc<Chunk>) {
        let size = chunk.batch.byte_length();
        let mut kept = self.kept();
        kept.bytes += size;
        kept.chunks
            .push_front((partition.clone(), chunk.clone(), size));
        while kept.chunks.len() > 1
            && (kept.bytes > CACHE_BYTES || kept.chunks.len() > CACHE_CHUNKS)
        {
            if let Some((_, _, size)) = kept.chunks.pop_back() {
                kept.bytes -= size;
            }
        }
    }

    /// Forgets what was read of a partition.
    pub fn forget(&self, partition: &PartitionId) {
        let mut kept = self.kept();
        kept.chunks.retain(|(of, _, _)| of != partition);
        kept.bytes = kept.chunks.iter().map(|(_, _, size)| size).sum();
    }

    /// The events from `offset` on, together with those of its frame before it. With `ahead`, small
    /// frames behind it come with it. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn read(
        &self,
        log: &dyn Log,
        partition: &PartitionId,
        offset: Offset,
        ahead: bool,
    ) -> Result<Read, Problem> {
        if let Some(chunk) = self.find(partition, offset) {
            return Ok(Read::Events(chunk));
        }
        let bytes = if ahead { CHUNK_BYTES } else { 1 };
        let tail = log.bounds(partition).map_err(|error| refusal(&error))?.tail;
        let frames = match log.read(partition, offset, bytes) {
            Ok(frames) => frames,
            Err(Error::Trimmed { earliest, .. }) => return Ok(Read::Trimmed(earliest)),
            Err(Error::PastTail { tail, .. }) => return Ok(Read::Nothing(tail)),
            Err(error) => return Err(refusal(&error)),
        };
        let Some(chunk) = Chunk::of(partition, frames)? else {
            return Ok(Read::Nothing(tail));
        };
        let chunk = Arc::new(chunk);
        self.keep(partition, &chunk);
        Ok(Read::Events(chunk))
    }
}
