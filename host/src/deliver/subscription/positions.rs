//! How far subscriptions came, as kept in meta; and who set one to where.

use std::sync::Arc;

use sandbar_types::{Name, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{group::Saved, journal::Tails};
use crate::meta;

/// So many resets of a subscription are remembered.
const MOST_RESETS: usize = 100;

/// One subscription in one partition. Never ahead of the log: what was settled since is found behind
/// `tails`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Position {
    /// Of the subscription.
    pub id: u64,
    /// Raised by each reset: what was handed out before is no good after.
    pub epoch: u32,
    pub tails: Tails,
    pub group: Saved,
}

/// A reset, as it is remembered.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Reset {
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(default)]
    pub reason: String,
    /// As it was asked for.
    #[schema(value_type = Object)]
    pub to: serde_json::Value,
    pub partitions: Vec<Move>,
}

/// A partition's part of a reset.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Move {
    /// `topic/partition`.
    pub partition: String,
    /// The first offset that was not settled.
    pub from: u64,
    pub to: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub struct Positions {
    positions: meta::Table<Position>,
    resets: meta::Table<Reset>,
}

impl Positions {
    #[must_use]
    pub fn new(store: &Arc<dyn meta::Store>) -> Self {
        Self {
            positions: meta::Table::new(store.clone(), meta::tables::POSITIONS),
            resets: meta::Table::new(store.clone(), meta::tables::RESETS),
        }
    }

    /// The partitions of a subscription that have a position.
    pub fn of(&self, name: &Name) -> Result<Vec<(PartitionId, Position)>, meta::Error> {
        let prefix = format!("{name}:");
        let found = self.positions.scan(&prefix)?.into_iter();
        let parsed = found.filter_map(|(key, position)| {
            let (topic, partition) = key.strip_prefix(&prefix)?.rsplit_once('/')?;
            let topic = Name::new(topic).ok()?;
            Some((PartitionId::new(topic, partition.parse().ok()?), position))
        });
        Ok(parsed.collect())
    }

    /// Durable when it returns.
    pub fn put(
        &self,
        name: &Name,
        partition: &PartitionId,
        position: &Position,
    ) -> Result<(), meta::Error> {
        self.positions.put(&key(name, partition), position)
    }

    pub fn delete(&self, name: &Name, partition: &PartitionId) -> Result<(), meta::Error> {
        self.positions.delete(&key(name, partition))
    }

    /// Forgets all of a subscription.
    pub fn delete_all(&self, name: &Name) -> Result<(), meta::Error> {
        for (partition, _) in self.of(name)? {
            self.delete(name, &partition)?;
        }
        for (key, _) in self.resets.scan(&format!("{name}:"))? {
            self.resets.delete(&key)?;
        }
        Ok(())
    }

    /// Remembers a reset at `now` (milliseconds since the epoch).
    pub fn remember(&self, name: &Name, now: u64, reset: &Reset) -> Result<(), meta::Error> {
        let known = self.resets.scan(&format!("{name}:"))?;
        let number = known
            .last()
            .and_then(|(key, _)| key.rsplit_once(':')?.1.parse::<u64>().ok())
            .map_or(0, |last| last + 1);
        self.resets
            .put(&format!("{name}:{now:020}:{number:010}"), reset)?;
        let surplus = (known.len() + 1).saturating_sub(MOST_RESETS);
        for (key, _) in known.into_iter().take(surplus) {
            self.resets.delete(&key)?;
        }
        Ok(())
    }

    /// The resets, the last one first.
    pub fn resets(&self, name: &Name) -> Result<Vec<Reset>, meta::Error> {
        let mut found = self.resets.scan(&format!("{name}:"))?;
        found.reverse();
        Ok(found.into_iter().map(|(_, reset)| reset).collect())
    }
}

/// Names hold no colon.
fn key(name: &Name, partition: &PartitionId) -> String {
    format!("{name}:{partition}")
}
