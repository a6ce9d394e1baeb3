//! The log: bytes in, offsets out; durable, ordered, recoverable.
//!
//! It knows nothing of events, plugins, HTTP or sled. A topic's partition is a sequence of frames,
//! each holding `count` records as one opaque body; offsets count records.
//!
//! The modules stand in the order of a frame's way: the trait, the writer that takes frames, the
//! partition that they land in, the bytes on disk, the file system below.

pub mod api;
pub mod check;
mod embedded;
pub mod fault;
pub mod files;
mod frame;
mod index;
pub mod options;
mod partition;
mod partitions;
mod recovery;
mod segment;
pub mod suite;
mod survey;
mod writer;

pub use api::{
    Append, Appended, Bounds, Done, Durability, Error, Frame, FrameHead, Log, Result, Retention,
};
pub use check::{Report, repair, verify};
pub use embedded::{Embedded, Status};
pub use files::{Disk, FileSystem};
pub use options::{Codec, Options};
