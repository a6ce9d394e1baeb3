//! Tables in sled 0.34: the only place that names it.
//!
//! All tables lie in one tree under `<table> 0x00 <key>`, so that sled's own atomic batch is the
//! atomic commit over tables. The record `0x00 format` holds the version of this layout.
//!
//! sled's traps and what is done about each:
//! - `flush()` hands the bytes to the system and asks for write-out with `sync_file_range`, which a
//!   loss of power undoes. After it the data file, new blob files and their folders are synced here,
//!   by one caller at a time for all who wait (group commit).
//! - Only sled's background flusher would call fsync. It is switched off: it would sync at its own
//!   times, and it logs a failed sync where a writer must stop.
//! - `flush_async` can deadlock with several callers. It is not used.
//! - A write that finds the disk full leaves sled in error until it is opened again. So no change is
//!   begun unless there is room to spare.
//! - On damage sled may panic. Every call into it is guarded, and a panic becomes an error.

mod sync;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::Mutex,
};

use self::sync::Syncer;
use super::{Change, Durability, Error, Result, Store};

const FORMAT_KEY: &[u8] = b"\0format";
const FORMAT: &str = "1";
/// A file that says that the format record was written once: sled opens some damaged folders as
/// empty ones, which must not pass for a new store.
const MARKER: &str = "sandbar-format";
/// sled's page cache, in bytes. Meta is small; the default of sled is 1 GiB.
const CACHE: u64 = 16 * 1024 * 1024;
/// What must be free on the disk before a change is begun, in bytes: several of sled's segments.
const ROOM: u64 = 2 * 1024 * 1024;

/// Tables on disk.
#[derive(Debug)]
pub struct Sled {
    path: PathBuf,
    database: ::sled::Db,
    syncer: Syncer,
    /// Held over a change of the tree, so that commits have one order.
    changing: Mutex<()>,
}

impl Sled {
    /// Opens the store in the folder `path`, or makes it.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it open, it is damaged, or another
    /// version of this layout wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        let config = ::sled::Config::new()
            .path(path)
            .cache_capacity(CACHE)
            .flush_every_ms(None);
        let opened = guarded(|| config.open()).map_err(|failure| match failure {
            Failure::Sled(::sled::Error::Io(error))
                if error.to_string().contains("acquire lock") =>
            {
                Error::InUse {
                    path: path.to_owned(),
                }
            }
            Failure::Sled(::sled::Error::Corruption { at, .. }) => Error::Damaged {
                path: path.to_owned(),
                reason: format!("corruption at {at:?}"),
            },
            Failure::Sled(error) => Error::Open {
                path: path.to_owned(),
                reason: error.to_string(),
            },
            Failure::Panic(reason) => Error::Damaged {
                path: path.to_owned(),
                reason,
            },
        })?;
        let store = Self {
            path: path.to_owned(),
            database: opened,
            syncer: Syncer::new(path),
            changing: Mutex::new(()),
        };
        store.check_format()?;
        Ok(store)
    }

    fn check_format(&self) -> Result<()> {
        match self.call(|| self.database.get(FORMAT_KEY))? {
            Some(found) if found.as_ref() == FORMAT.as_bytes() => Ok(()),
            Some(found) => Err(Error::Format {
                path: self.path.clone(),
                found: String::from_utf8_lossy(&found).into_owned(),
                known: FORMAT,
            }),
            None if self.database.is_empty() && !self.path.join(MARKER).exists() => {
                self.call(|| self.database.insert(FORMAT_KEY, FORMAT))?;
                self.flush()?;
                // The flush after it syncs the marker with the folder's other new files.
                std::fs::write(self.path.join(MARKER), FORMAT).map_err(|error| Error::Storage {
                    path: self.path.clone(),
                    reason: error.to_string(),
                })?;
                self.flush()
            }
            None => Err(Error::Damaged {
                path: self.path.clone(),
                reason: "the format record is missing".into(),
            }),
        }
    }

    fn call<T>(&self, work: impl FnOnce() -> ::sled::Result<T>) -> Result<T> {
        guarded(work).map_err(|failure| match failure {
            Failure::Sled(error) => Error::Storage {
                path: self.path.clone(),
                reason: error.to_string(),
            },
            Failure::Panic(reason) => Error::Damaged {
                path: self.path.clone(),
                reason,
            },
        })
    }

    /// # Errors
    /// [`Error::Full`] when a change might find the disk full half-way.
    fn check_room(&self) -> Result<()> {
        let free = fs4::available_space(&self.path).map_err(|error| Error::Storage {
            path: self.path.clone(),
            reason: error.to_string(),
        })?;
        if free >= ROOM {
            return Ok(());
        }
        Err(Error::Full {
            path: self.path.clone(),
            free,
            needed: ROOM,
        })
    }

    fn flush_to_system(&self) -> std::result::Result<(), String> {
        match guarded(|| self.database.flush()) {
            Ok(_) => Ok(()),
            Err(Failure::Sled(error)) => Err(error.to_string()),
            Err(Failure::Panic(reason)) => Err(reason),
        }
    }
}

impl Store for Sled {
    fn get(&self, table: &'static str, key: &str) -> Result<Option<Vec<u8>>> {
        let value = self.call(|| self.database.get(place(table, key)))?;
        Ok(value.map(|value| value.to_vec()))
    }

    fn scan(&self, table: &'static str, prefix: &str) -> Result<Vec<(String, Vec<u8>)>> {
        let skipped = table.len() + 1;
        self.call(|| {
            let records = self.database.scan_prefix(place(table, prefix));
            records
                .map(|record| {
                    let (key, value) = record?;
                    Ok((
                        String::from_utf8_lossy(&key[skipped..]).into_owned(),
                        value.to_vec(),
                    ))
                })
                .collect()
        })
    }

    fn commit(&self, changes: Vec<Change>, durability: Durability) -> Result<()> {
        self.syncer.healthy()?;
        self.check_room()?;
        let mut batch = ::sled::Batch::default();
        for change in changes {
            match change {
                Change::Put { table, key, value } => batch.insert(place(table, &key), value),
                Change::Delete { table, key } => batch.remove(place(table, &key)),
            }
        }
        {
            let _changing = self
                .changing
                .lock()
                .unwrap_or_else(std::sync::PoisonError::into_inner);
            self.call(|| self.database.apply_batch(batch))?;
        }
        match durability {
            Durability::Sync => self.flush(),
            Durability::Lazy => Ok(()),
        }
    }

    fn flush(&self) -> Result<()> {
        self.syncer.sync(|| self.flush_to_system())
    }
}

fn place(table: &str, key: &str) -> Vec<u8> {
    let mut place = Vec::with_capacity(table.len() + 1 + key.len());
    place.extend_from_slice(table.as_bytes());
    place.push(0);
    place.extend_from_slice(key.as_bytes());
    place
}

enum Failure {
    Sled(::sled::Error),
    Panic(String),
}

fn guarded<T>(work: impl FnOnce() -> ::sled::Result<T>) -> std::result::Result<T, Failure> {
    // sled's own state may be inconsistent after a panic; the error says that the store is damaged.
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(done) => done.map_err(Failure::Sled),
        Err(panic) => {
            let text = panic.downcast_ref::<String>().map(String::as_str);
            let text = text.or_else(|| panic.downcast_ref::<&str>().copied());
            Err(Failure::Panic(text.unwrap_or("sled panicked").to_owned()))
        }
    }
}

#[cfg(test)]
mod tests;
