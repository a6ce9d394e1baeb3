//! Tables in sled 0.34: the only place that names it.
//!
//! All tables lie in one tree under `<table> 0x00 <key>`, so that sled's own atomic batch is the
//! atomic commit over tables. The record `0x00 format` holds the version of this layout, and
//! `0x00 seal` the sum of all records ([`seal`]).
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
//! - Of other damage it says nothing, and opens with older records or without some. The seal tells.

mod seal;
mod sync;

use std::{
    collections::{BTreeMap, HashSet},
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    path::{Path, PathBuf},
    sync::{Mutex, MutexGuard, PoisonError},
};

use self::{
    seal::{Mark, Seal},
    sync::Syncer,
};
use super::{Change, Error, Result, Store};

const FORMAT_KEY: &[u8] = b"\0format";
const FORMAT: &str = "1";
const SEAL_KEY: &[u8] = b"\0seal";
/// sled's page cache, in bytes. Meta is small; the default of sled is 1 GiB.
const CACHE: u64 = 16 * 1024 * 1024;
/// What must be free on the disk before a change is begun, in bytes: several of sled's segments.
const ROOM: u64 = 2 * 1024 * 1024;

/// Tables on disk.
pub struct Sled {
    path: PathBuf,
    database: ::sled::Db,
    syncer: Syncer,
    /// The seal of what is committed; held over a change of the tree, so that commits have one order.
    seal: Mutex<Seal>,
}

impl fmt::Debug for Sled {
    /// sled's own would print every record.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sled")
            .field("path", &self.path)
            .field("seal", &self.seal)
            .finish_non_exhaustive()
    }
}

impl Sled {
    /// Opens the store in the folder `path`, or makes it. Reads all of it.
    ///
    /// # Errors
    /// When the folder cannot be used, another process has it open, it is damaged, or another
    /// version of this layout wrote it.
    pub fn open(path: &Path) -> Result<Self> {
        let place = path.to_owned();
        let marked = Mark::read(path).map_err(|error| match error.kind() {
            std::io::ErrorKind::InvalidData => damaged(path, error.to_string()),
            _ => Error::Open {
                path: place.clone(),
                reason: error.to_string(),
            },
        })?;
        let config = ::sled::Config::new()
            .path(path)
            .cache_capacity(CACHE)
            .flush_every_ms(None);
        let database = guarded(|| config.open()).map_err(|failure| match failure {
            Failure::Sled(::sled::Error::Io(error))
                if error.to_string().contains("acquire lock") =>
            {
                Error::InUse { path: place }
            }
            failure => opening(path, failure),
        })?;
        let seal = match guarded(|| database.get(FORMAT_KEY))
            .map_err(|failure| opening(path, failure))?
        {
            Some(found) if found.as_ref() == FORMAT.as_bytes() => verify(path, &database, marked)?,
            Some(found) => {
                return Err(Error::Format {
                    path: path.to_owned(),
                    found: String::from_utf8_lossy(&found).into_owned(),
                    known: FORMAT,
                });
            }
            None if database.is_empty() && marked.is_none() => {
                begin(path, &database).map_err(|failure| opening(path, failure))?
            }
            None => return Err(damaged(path, "the format record is missing".into())),
        };
        let mark = Mark::open(path, seal.generation).map_err(|error| Error::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
        let store = Self {
            path: path.to_owned(),
            database,
            syncer: Syncer::new(path, mark),
            seal: Mutex::new(seal),
        };
        store.sync()?;
        Ok(store)
    }

    fn seal(&self) -> MutexGuard<'_, Seal> {
        self.seal.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Puts `batch` into the tree, with the seal that it makes.
    fn apply(&self, batch: BTreeMap<Vec<u8>, Option<Vec<u8>>>) -> Result<()> {
        let mut seal = self.seal();
        let mut next = *seal;
        let mut changes = ::sled::Batch::default();
        for (key, value) in batch {
            if let Some(old) = self.call(|| self.database.get(&key))? {
                next.remove(&key, &old);
            }
            match value {
                Some(value) => {
                    next.add(&key, &value);
                    changes.insert(key, value);
                }
                None => changes.remove(key),
            }
        }
        next.generation += 1;
        changes.insert(SEAL_KEY, &next.to_bytes());
        self.call(|| self.database.apply_batch(changes))
            .inspect_err(|error| self.syncer.stop(error.to_string()))?;
        *seal = next;
        Ok(())
    }

    /// Returns when all that is committed is on the disk.
    fn sync(&self) -> Result<()> {
        self.syncer.sync(|| {
            let generation = self.seal().generation;
            match guarded(|| self.database.flush()) {
                Ok(_) => Ok(generation),
                Err(Failure::Sled(error)) => Err(error.to_string()),
                Err(Failure::Panic(reason)) => Err(reason),
            }
        })
    }

    fn call<T>(&self, work: impl FnOnce() -> ::sled::Result<T>) -> Result<T> {
        guarded(work).map_err(|failure| match failure {
            Failure::Sled(error) => Error::Storage {
                path: self.path.clone(),
                reason: error.to_string(),
            },
            Failure::Panic(reason) => damaged(&self.path, reason),
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

    fn commit(&self, changes: Vec<Change>) -> Result<()> {
        self.syncer.healthy()?;
        self.check_room()?;
        // The last change of a record is the one that counts.
        let batch = changes.into_iter().map(|change| match change {
            Change::Put { table, key, value } => (place(table, &key), Some(value)),
            Change::Delete { table, key } => (place(table, &key), None),
        });
        self.apply(batch.collect())?;
        self.sync()
    }
}

/// Makes a new store of an empty database. It is on the disk before the first mark can be.
fn begin(path: &Path, database: &::sled::Db) -> std::result::Result<Seal, Failure> {
    let mut seal = Seal::default();
    seal.add(FORMAT_KEY, FORMAT.as_bytes());
    let mut changes = ::sled::Batch::default();
    changes.insert(FORMAT_KEY, FORMAT);
    changes.insert(SEAL_KEY, &seal.to_bytes());
    guarded(|| {
        database.apply_batch(changes)?;
        database.flush()
    })?;
    sync::sync_files(path, &mut HashSet::new()).map_err(|error| Failure::Sled(error.into()))?;
    Ok(seal)
}

/// Reads every record.
///
/// # Errors
/// When they are not what the seal says, or the seal is older than the mark.
fn verify(path: &Path, database: &::sled::Db, marked: Option<u64>) -> Result<Seal> {
    let mut written = None;
    let mut found = Seal::default();
    guarded(|| {
        for record in database.iter() {
            let (key, value) = record?;
            if key.as_ref() == SEAL_KEY {
                written = Seal::from_bytes(&value);
            } else {
                found.add(&key, &value);
            }
        }
        Ok(())
    })
    .map_err(|failure| opening(path, failure))?;
    let seal = written.ok_or_else(|| damaged(path, "the seal is missing".into()))?;
    let marked = match marked {
        Some(marked) => marked,
        // Killed before the new store had its mark.
        None if seal.generation == 0 => 0,
        None => return Err(damaged(path, format!("{} is missing", Mark::FILE))),
    };
    if !seal.agrees(&found) {
        return Err(damaged(
            path,
            format!(
                "{} records were found that do not give the sum of the {} that were written",
                found.records, seal.records
            ),
        ));
    }
    if seal.generation < marked {
        return Err(damaged(
            path,
            format!(
                "it ends with change {}, and change {marked} was synced",
                seal.generation
            ),
        ));
    }
    Ok(seal)
}

fn opening(path: &Path, failure: Failure) -> Error {
    match failure {
        Failure::Sled(::sled::Error::Corruption { at, .. }) => {
            damaged(path, format!("corruption at {at:?}"))
        }
        Failure::Sled(error) => Error::Open {
            path: path.to_owned(),
            reason: error.to_string(),
        },
        Failure::Panic(reason) => damaged(path, reason),
    }
}

fn damaged(path: &Path, reason: String) -> Error {
    Error::Damaged {
        path: path.to_owned(),
        reason,
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
