//! Where outputs came from: written into the log in the same frame as the outputs themselves.
//!
//! This is what makes a route exactly-once: after a restart the frames behind the route's
//! checkpoint say which outputs are already there, and it is the lineage that people query.

use serde::{Deserialize, Serialize};

use crate::Offset;

/// The origin of every event of one frame.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Who wrote the frame: `route/<route>/<source topic>/<source partition>`.
    pub producer: String,
    /// Which code made the outputs: the plugin digests of the route's steps, joined by `,`
    /// (empty for a route without steps).
    pub made_by: String,
    /// For each event of the frame, in order: the source offset and the index of the output among
    /// the outputs of that source event. As many entries as the frame has events.
    pub origins: Vec<(Offset, u32)>,
}
