//! The trait that any log backend fulfils, and the words it is said in.
//!
//! ```text
//!            trim point          a frame: base 7, count 3          tail
//!                │               ┌───────────┐                      │
//!  offsets  0 1 2│3 4 5 6        │ 7   8   9 │      10  11  12      │13
//!                └ earliest      └ base      └ base + count - 1     └ next offset to be written
//! ```

use std::{fmt, sync::Arc};

use bytes::Bytes;
use sandbar_types::{Offset, PartitionId, Provenance};

/// When an append is answered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// After fdatasync: survives power loss.
    #[default]
    Sync,
    /// After the write: survives the process, not the machine.
    Async,
}

/// A frame to be written.
#[derive(Clone, Debug)]
pub struct Append {
    pub partition: PartitionId,
    /// How many records `body` holds; at least 1.
    pub count: u32,
    pub body: Bytes,
    pub provenance: Option<Provenance>,
    pub durability: Durability,
}

/// Where a frame was written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Appended {
    /// The offset of the frame's first record.
    pub base: Offset,
    /// When, in milliseconds since the epoch; never goes backwards within a partition.
    pub time: u64,
}

/// A frame as read back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    pub base: Offset,
    pub count: u32,
    pub time: u64,
    pub provenance: Option<Provenance>,
    pub body: Bytes,
}

/// A frame's head without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FrameHead {
    pub base: Offset,
    pub count: u32,
    pub time: u64,
    pub provenance: Option<Provenance>,
}

/// The ends of a partition.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Bounds {
    /// The first offset still there.
    pub earliest: Offset,
    /// The next offset to be written: `earliest == tail` is an empty partition.
    pub tail: Offset,
    /// Bytes on disk.
    pub bytes: u64,
}

/// What to keep. `None` keeps forever.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Retention {
    pub max_age_ms: Option<u64>,
    pub max_bytes: Option<u64>,
}

/// Classed by what the caller must do.
#[derive(Debug, Clone, thiserror::Error)]
pub enum Error {
    #[error("partition {0} does not exist")]
    NoSuchPartition(PartitionId),
    /// The records were deleted by retention: go on at `earliest`.
    #[error("offset {asked} of {partition} was trimmed; the earliest is {earliest}")]
    Trimmed {
        partition: PartitionId,
        asked: Offset,
        earliest: Offset,
    },
    #[error("offset {asked} of {partition} is past the tail {tail}")]
    PastTail {
        partition: PartitionId,
        asked: Offset,
        tail: Offset,
    },
    /// The disk is full: nothing of the call was stored. Appends work again when space returns.
    #[error("no space left on the device for {partition}")]
    Full { partition: PartitionId },
    /// A frame's checksum or structure is wrong. The partition is stopped for writing; reads before
    /// the damage go on. `sandbar log verify` and `repair` handle it.
    #[error("partition {partition} is damaged at offset {offset}, byte {byte} of {file}: {detail}")]
    Damaged {
        partition: PartitionId,
        offset: Offset,
        file: String,
        byte: u64,
        detail: String,
    },
    /// An fsync failed before: what is on disk is unknown, the writer takes nothing until restart.
    #[error("the log's writer stopped after a failed sync: {0}; restart the hub to recover")]
    Poisoned(String),
    #[error("the append is too large: {size} bytes, at most {limit}")]
    TooLarge { size: usize, limit: usize },
    #[error("{context}: {source}")]
    Io {
        context: String,
        source: Arc<std::io::Error>,
    },
    #[error("the log is closed")]
    Closed,
}

pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Called with the outcome of an append, once, from the log's own thread: must not block.
pub type Done = Box<dyn FnOnce(Result<Vec<Appended>>) + Send>;

/// A log of many partitions.
///
/// All calls but [`Log::submit`] may block on the disk; they are quick enough for a reader thread.
pub trait Log: Send + Sync + fmt::Debug {
    /// Makes a partition; one that exists is left as it is. Durable when it returns.
    fn create(&self, partition: &PartitionId) -> Result<()>;

    /// Deletes a partition and all that is in it. Durable when it returns.
    fn delete(&self, partition: &PartitionId) -> Result<()>;

    /// All partitions, sorted.
    fn partitions(&self) -> Vec<PartitionId>;

    /// Hands frames to the writer and returns at once; `done` is called when all are durable, or
    /// with the error that kept them from it. Frames of one call stand or fall together as far as
    /// the running process is concerned: after an error none of them is readable. Calls are written
    /// in the order in which they were submitted. Blocks only when the writer's bounded queue is full.
    fn submit(&self, frames: Vec<Append>, done: Done);

    /// [`Log::submit`], waited for.
    fn append(&self, frames: Vec<Append>) -> Result<Vec<Appended>> {
        let (sender, receiver) = std::sync::mpsc::sync_channel(1);
        self.submit(frames, Box::new(move |result| drop(sender.send(result))));
        receiver.recv().unwrap_or(Err(Error::Closed))
    }

    /// Frames from the one that holds `from` on, until `max_bytes` of bodies are reached (at least
    /// one frame, if there is one). `from == tail` answers nothing. Only what is acknowledged is
    /// ever read. Where a repair had to give up records, bases jump: a read from inside such a gap
    /// goes on at the first record behind it, or answers nothing when there is none.
    fn read(&self, partition: &PartitionId, from: Offset, max_bytes: usize) -> Result<Vec<Frame>>;

    /// As [`Log::read`], without the bodies and without reading them where that can be helped: at
    /// most `max_frames`.
    fn heads(
        &self,
        partition: &PartitionId,
        from: Offset,
        max_frames: usize,
    ) -> Result<Vec<FrameHead>>;

    /// The offset of the first record written at or after `time` (milliseconds since the epoch), or
    /// the tail.
    fn find_time(&self, partition: &PartitionId, time: u64) -> Result<Offset>;

    fn bounds(&self, partition: &PartitionId) -> Result<Bounds>;

    /// A receiver that changes whenever the partition's tail moves; its value is the tail.
    fn watch(&self, partition: &PartitionId) -> Result<tokio::sync::watch::Receiver<Offset>>;

    /// Deletes whole segments that `retention` no longer wants at time `now`, never reaching past
    /// `keep_from`. Returns the new earliest offset.
    fn trim(
        &self,
        partition: &PartitionId,
        retention: Retention,
        keep_from: Offset,
        now: u64,
    ) -> Result<Offset>;

    /// Waits for everything submitted, syncs, and takes nothing more.
    fn close(&self);
}
