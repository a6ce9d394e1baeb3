//! The log: bytes in, offsets out; durable, ordered, recoverable.
//!
//! It knows nothing of events, plugins, HTTP or sled. A topic's partition is a sequence of frames,
//! each holding `count` records as one opaque body; offsets count records.

pub mod api;
pub use api::*;
