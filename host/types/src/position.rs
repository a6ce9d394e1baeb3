//! Where an event stands: topic, partition, offset.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::Name;

/// A position in a partition: counts events from 0 without gaps.
pub type Offset = u64;

/// One ordered part of a topic.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct PartitionId {
    pub topic: Name,
    pub partition: u32,
}

impl PartitionId {
    #[must_use]
    pub fn new(topic: Name, partition: u32) -> Self {
        Self { topic, partition }
    }
}

impl fmt::Display for PartitionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.topic, self.partition)
    }
}

/// One event's place in the hub, for good.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Position {
    pub topic: Name,
    pub partition: u32,
    pub offset: Offset,
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.topic, self.partition, self.offset)
    }
}
