//! Tables in memory: for tests, and for hubs that are thrown away.

use std::{
    collections::BTreeMap,
    sync::{PoisonError, RwLock},
};

use super::{Change, Result, Store};

/// Keeps nothing beyond the process.
#[derive(Debug, Default)]
pub struct Memory {
    records: RwLock<BTreeMap<(&'static str, String), Vec<u8>>>,
}

impl Memory {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }
}

impl Store for Memory {
    fn get(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        Ok(records.get(&(table, key.to_owned())).cloned())
    }

    fn scan(&self, table: &'static str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let records = self.records.read().unwrap_or_else(PoisonError::into_inner);
        let found = records
            .range((table, prefix.to_owned())..)
            .take_while(|((of, key), _)| *of == table && key.starts_with(prefix))
            .map(|((_, key), value)| (key.clone(), value.clone()));
        Ok(found.collect())
    }

    fn commit(&self, changes: Vec<Change>) -> Result<()> {
        let mut records = self.records.write().unwrap_or_else(PoisonError::into_inner);
        for change in changes {
            match change {
                Change::Put { table, key, value } => records.insert((table, key), value),
                Change::Delete { table, key } => records.remove(&(table, key)),
            };
        }
        Ok(())
    }
}
