//! What the hub knows besides events: topics, contracts, plugins, routes and checkpoints, as small
//! tables of JSON records.
//!
//! It knows nothing of what the records mean. [`Store`] is the trait; [`Memory`] and [`Sled`] are
//! the two that there are. All calls block, on the disk too: from async code they belong on a thread
//! for blocking work. Meta is never on the way of a single event.

mod memory;
mod sled;
mod table;

use std::{fmt, path::PathBuf};

pub use memory::Memory;
pub use sled::Sled;
pub use table::Table;

/// The names of all tables.
pub mod tables {
    pub const TOPICS: &str = "topics";
    pub const CONTRACTS: &str = "contracts";
    /// The ids of contents, by digest.
    pub const SCHEMA_IDS: &str = "schema-ids";
    /// How far the numbers of versions came.
    pub const CONTRACT_NUMBERS: &str = "contract-numbers";
    /// Rules and modes that the registry API set.
    pub const REGISTRY: &str = "registry";
    pub const AGREEMENTS: &str = "agreements";
    pub const PLUGINS: &str = "plugins";
    pub const CHANNELS: &str = "channels";
    pub const ROUTES: &str = "routes";
    pub const SHADOWS: &str = "shadows";
    pub const CHECKPOINTS: &str = "checkpoints";
    pub const JOBS: &str = "jobs";
    pub const SUBSCRIPTIONS: &str = "subscriptions";
    /// How far subscriptions came.
    pub const POSITIONS: &str = "positions";
    /// Who set which subscription to where, and why.
    pub const RESETS: &str = "resets";
    /// How long webhooks asked to be left alone.
    pub const PAUSES: &str = "webhook-pauses";
    pub const IDEMPOTENCY: &str = "idempotency";
}

/// One change of one record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Put {
        table: &'static str,
        key: String,
        value: Vec<u8>,
    },
    Delete {
        table: &'static str,
        key: String,
    },
}

/// Why meta could not do it. The path is the folder of the store.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the meta store in {} cannot be opened: {reason}", path.display())]
    Open { path: PathBuf, reason: String },
    #[error(
        "the meta store in {} is damaged: {reason}. Keep a copy of the folder and restore it from a backup, \
         or move it away and define topics, contracts, plugins and routes again; the log is not touched",
        path.display()
    )]
    Damaged { path: PathBuf, reason: String },
    #[error("the meta store in {} is in use by another process", path.display())]
    InUse { path: PathBuf },
    #[error(
        "the meta store in {} has format {found:?}; this version of sandbar reads format {known:?}",
        path.display()
    )]
    Format {
        path: PathBuf,
        found: String,
        known: &'static str,
    },
    #[error("the meta store in {} failed: {reason}", path.display())]
    Storage { path: PathBuf, reason: String },
    #[error(
        "the meta store in {} could not bring a change to the disk ({reason}) and takes no more changes; \
         see to the disk and restart the hub",
        path.display()
    )]
    Unsynced { path: PathBuf, reason: String },
    #[error(
        "the disk of the meta store in {} has {free} bytes left; a change needs {needed}",
        path.display()
    )]
    Full {
        path: PathBuf,
        free: u64,
        needed: u64,
    },
    #[error("record {key:?} of table {table} cannot be read: {reason}")]
    Record {
        table: &'static str,
        key: String,
        reason: String,
    },
}

/// What the calls of this module answer.
pub type Result<T> = std::result::Result<T, Error>;

/// Tables of records: key (text) → value (bytes).
///
/// A commit is atomic over all its tables: readers, and an opening after a crash, see all of its
/// changes or none. Commits are seen in the order in which they returned. A commit that has returned
/// is on the disk, and outlives a loss of power.
pub trait Store: fmt::Debug + Send + Sync {
    /// The value of a record.
    ///
    /// # Errors
    /// When the storage fails.
    fn get(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>>;

    /// All records whose key starts with `prefix`, in the byte order of the keys.
    ///
    /// # Errors
    /// When the storage fails.
    fn scan(&self, table: &'static str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>>;

    /// Makes all changes, in order, or none. Deleting what is not there is no error.
    ///
    /// # Errors
    /// When the storage fails. After [`Error::Unsynced`] it is not known whether the changes will
    /// outlive a loss of power.
    fn commit(&self, changes: Vec<Change>) -> Result<()>;
}

#[cfg(test)]
mod suite;
