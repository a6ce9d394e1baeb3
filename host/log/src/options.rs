//! What the embedded log can be told.

use std::{
    fmt,
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// How bodies are stored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Codec {
    /// As they are: reads share the read buffer, nothing is copied.
    #[default]
    None,
    /// LZ4 block. A body that does not get smaller is stored as it is.
    Lz4,
}

/// Milliseconds since the epoch.
pub type Clock = Arc<dyn Fn() -> u64 + Send + Sync>;

/// Options of the embedded log.
#[derive(Clone)]
pub struct Options {
    /// A segment that has reached this many bytes is sealed before the next write. It may be longer
    /// by one group of appends.
    pub segment_bytes: u64,
    /// [`crate::Log::submit`] blocks while this many frames wait for the writer.
    pub queue_frames: usize,
    /// [`crate::Log::submit`] blocks while this many bytes of bodies wait for the writer.
    pub queue_bytes: usize,
    /// At most this many bytes lie between two entries of the sparse index, but for larger frames.
    pub index_every_bytes: u64,
    /// How new bodies are stored; what is there is read whatever its codec.
    pub codec: Codec,
    /// How many bytes of last segments are checked from their beginning at open, over all
    /// partitions together. Past that, only what follows each one's last checkpoint is; the rest is
    /// checked when it is read, as sealed segments are.
    pub open_scan_bytes: u64,
    /// How many bytes the last segment grows between two checkpoints of its index.
    pub checkpoint_bytes: u64,
    /// Where the times of frames come from.
    pub clock: Clock,
}

impl Default for Options {
    #[expect(
        clippy::disallowed_methods,
        reason = "the log's own clock, where the caller has none"
    )]
    fn default() -> Self {
        Self {
            segment_bytes: 64 << 20,
            queue_frames: 4096,
            queue_bytes: 64 << 20,
            index_every_bytes: 16 << 10,
            codec: Codec::None,
            open_scan_bytes: 256 << 20,
            checkpoint_bytes: 4 << 20,
            clock: Arc::new(|| {
                SystemTime::now()
                    .duration_since(UNIX_EPOCH)
                    .map_or(0, |since| since.as_millis() as u64)
            }),
        }
    }
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options")
            .field("segment_bytes", &self.segment_bytes)
            .field("queue_frames", &self.queue_frames)
            .field("queue_bytes", &self.queue_bytes)
            .field("index_every_bytes", &self.index_every_bytes)
            .field("codec", &self.codec)
            .field("open_scan_bytes", &self.open_scan_bytes)
            .field("checkpoint_bytes", &self.checkpoint_bytes)
            .finish_non_exhaustive()
    }
}
