//! How far a lane has come, as it is kept in meta.
//!
//! A checkpoint is never ahead of the log. Together with the provenance in the log behind `tails`
//! it tells exactly which outputs are written.

use std::sync::Arc;

use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};

use super::lane::Lane;
use crate::{catalog::RouteDocument, meta};

/// One lane's checkpoint.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Checkpoint {
    /// The route that everything since was processed with.
    pub active: RouteDocument,
    pub lane: Lane,
    /// Where the partitions that the route writes to ended: what is behind is to be looked at.
    pub tails: Vec<(PartitionId, Offset)>,
}

/// All checkpoints.
#[derive(Clone, Debug)]
pub struct Checkpoints {
    table: meta::Table<Checkpoint>,
}

impl Checkpoints {
    #[must_use]
    pub fn new(store: Arc<dyn meta::Store>) -> Self {
        Self {
            table: meta::Table::new(store, meta::tables::CHECKPOINTS),
        }
    }

    pub fn get(&self, route: &Name, source: &PartitionId) -> Result<Option<Checkpoint>, String> {
        self.table
            .get(&key(route, source))
            .map_err(|error| error.to_string())
    }

    /// Durable when it returns.
    pub fn put(
        &self,
        route: &Name,
        source: &PartitionId,
        checkpoint: &Checkpoint,
    ) -> Result<(), String> {
        self.table
            .put(&key(route, source), checkpoint)
            .map_err(|error| error.to_string())
    }

    /// Forgets all of a route's.
    pub fn delete(&self, route: &Name, sources: &[PartitionId]) -> Result<(), String> {
        for source in sources {
            self.table
                .delete(&key(route, source))
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

fn key(route: &Name, source: &PartitionId) -> String {
    format!("{route}/{source}")
}
