//! Ids of contents: every distinct content of a contract version has one number, from 1, the same under
//! any name. What had a number keeps it when the last version with it is deleted, so a number never comes
//! to mean something else.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

/// The id of a content as meta keeps it; the key is the content's digest.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Record {
    pub id: u32,
}

/// All ids, and who has them.
#[derive(Clone, Debug, Default)]
pub(super) struct SchemaIds {
    by_digest: HashMap<String, u32>,
    /// Each id that was ever given, with the contract versions that have its content now.
    holders: BTreeMap<u32, BTreeSet<(Name, u32)>>,
}

impl SchemaIds {
    pub fn of(&self, digest: &str) -> Option<u32> {
        self.by_digest.get(digest).copied()
    }

    /// The number that the next content gets.
    pub fn next(&self) -> u32 {
        let last = self.holders.keys().next_back().copied();
        last.unwrap_or(0).saturating_add(1)
    }

    /// Whether the number was given to a content.
    pub fn is_given(&self, id: u32) -> bool {
        self.holders.contains_key(&id)
    }

    pub fn give(&mut self, digest: String, id: u32) {
        self.by_digest.insert(digest, id);
        self.holders.entry(id).or_default();
    }

    pub fn hold(&mut self, id: u32, name: Name, version: u32) {
        self.holders.entry(id).or_default().insert((name, version));
    }

    pub fn release(&mut self, id: u32, name: &Name, version: u32) {
        if let Some(holders) = self.holders.get_mut(&id) {
            holders.remove(&(name.clone(), version));
        }
    }

    /// The contract versions with this content, by name and version.
    pub fn holders(&self, id: u32) -> impl Iterator<Item = &(Name, u32)> {
        self.holders.get(&id).into_iter().flatten()
    }
}
