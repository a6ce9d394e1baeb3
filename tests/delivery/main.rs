//! Dead letters, redrive and replay.
#![allow(clippy::unwrap_used)]

mod jobs;
mod redrive;
mod replay;
