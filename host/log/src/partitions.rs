//! The partitions that are open, shared by the log's callers and its writer.

use std::{
    collections::BTreeMap,
    sync::{Arc, PoisonError, RwLock},
};

use sandbar_types::PartitionId;

use crate::{Error, Result, partition::Partition};

/// The partitions that are open.
#[derive(Debug, Default)]
pub(crate) struct Partitions(RwLock<BTreeMap<PartitionId, Arc<Partition>>>);

impl Partitions {
    pub fn get(&self, id: &PartitionId) -> Result<Arc<Partition>> {
        let map = self.0.read().unwrap_or_else(PoisonError::into_inner);
        map.get(id)
            .cloned()
            .ok_or_else(|| Error::NoSuchPartition(id.clone()))
    }

    pub fn all(&self) -> Vec<Arc<Partition>> {
        self.0
            .read()
            .unwrap_or_else(PoisonError::into_inner)
            .values()
            .cloned()
            .collect()
    }

    pub fn insert(&self, partition: Partition) {
        let mut map = self.0.write().unwrap_or_else(PoisonError::into_inner);
        map.insert(partition.id.clone(), Arc::new(partition));
    }

    pub fn remove(&self, id: &PartitionId) {
        self.0
            .write()
            .unwrap_or_else(PoisonError::into_inner)
            .remove(id);
    }
}
