//! The pauses that endpoints asked for (Retry-After), kept over restarts: nothing is sent to one
//! before its time, though the hub was started anew meanwhile. It knows nothing of breakers.

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::retry_after::LONGEST;
use crate::meta;

/// Whom a pause is of: another subscription of that name, or another URL, is another endpoint.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Endpoint {
    /// Of the subscription.
    pub id: u64,
    pub url: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Pause {
    endpoint: Endpoint,
    /// Milliseconds since the epoch.
    until: u64,
}

/// All of them.
#[derive(Clone, Debug)]
pub(super) struct Pauses {
    table: meta::Table<Pause>,
}

impl Pauses {
    pub fn new(store: &Arc<dyn meta::Store>) -> Self {
        Self {
            table: meta::Table::new(store.clone(), meta::tables::PAUSES),
        }
    }

    /// Until when the endpoint is to be left alone, as milliseconds since the epoch; at most as long
    /// from `now` on as any endpoint is waited for, since the clock may have been set. Blocks on the
    /// disk.
    pub fn of(
        &self,
        name: &Name,
        endpoint: &Endpoint,
        now: u64,
    ) -> Result<Option<u64>, meta::Error> {
        let known = self.table.get(name.as_str())?;
        let longest = u64::try_from(LONGEST.as_millis()).unwrap_or(u64::MAX);
        Ok(known
            .filter(|pause| pause.endpoint == *endpoint)
            .map(|pause| pause.until.min(now.saturating_add(longest))))
    }

    /// Durable when it returns; without a time there is no pause any more. Blocks on the disk.
    pub fn keep(
        &self,
        name: &Name,
        endpoint: &Endpoint,
        until: Option<u64>,
    ) -> Result<(), meta::Error> {
        match until {
            Some(until) => {
                let endpoint = endpoint.clone();
                self.table.put(name.as_str(), &Pause { endpoint, until })
            }
            None => self.forget(name),
        }
    }

    /// There is no pause any more. Blocks on the disk.
    pub fn forget(&self, name: &Name) -> Result<(), meta::Error> {
        self.table.delete(name.as_str())
    }
}
