//! A table with records of one type, kept as JSON.

use std::{fmt, marker::PhantomData, sync::Arc};

use serde::{Serialize, de::DeserializeOwned};

use super::{Change, Error, Result, Store};

/// One table of a store. Cheap to clone.
pub struct Table<T> {
    store: Arc<dyn Store>,
    name: &'static str,
    record: PhantomData<fn() -> T>,
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self {
            store: self.store.clone(),
            name: self.name,
            record: PhantomData,
        }
    }
}

impl<T> fmt::Debug for Table<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

impl<T> Table<T> {
    /// The table `name` (one of [`super::tables`]) of `store`.
    #[must_use]
    pub fn new(store: Arc<dyn Store>, name: &'static str) -> Self {
        Self {
            store,
            name,
            record: PhantomData,
        }
    }

    /// Removes a record; it is no error when there is none.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn delete(&self, key: &str) -> Result<()> {
        self.store.commit(vec![self.deletion(key)])
    }

    /// Commits changes of this and of other tables together.
    ///
    /// # Errors
    /// When the storage fails.
    pub fn commit(&self, changes: Vec<Change>) -> Result<()> {
        self.store.commit(changes)
    }

    /// The removal of a record, to be committed together with others.
    #[must_use]
    pub fn deletion(&self, key: &str) -> Change {
        Change::Delete {
            table: self.name,
            key: key.to_owned(),
        }
    }

    fn unreadable(&self, key: &str, error: &serde_json::Error) -> Error {
        Error::Record {
            table: self.name,
            key: key.to_owned(),
            reason: error.to_string(),
        }
    }
}

impl<T: Serialize + DeserializeOwned> Table<T> {
    /// The record of a key.
    ///
    /// # Errors
    /// When the storage fails, or the record is not a `T`.
    pub fn get(&self, key: &str) -> Result<Option<T>> {
        let Some(value) = self.store.get(self.name, key)? else {
            return Ok(None);
        };
        serde_json::from_slice(&value)
            .map(Some)
            .map_err(|error| self.unreadable(key, &error))
    }

    /// All records whose key starts with `prefix`, in the byte order of the keys.
    ///
    /// # Errors
    /// When the storage fails, or a record is not a `T`.
    pub fn scan(&self, prefix: &str) -> Result<Vec<(String, T)>> {
        let records = self.store.scan(self.name, prefix)?.into_iter();
        let parsed = records.map(|(key, value)| match serde_json::from_slice(&value) {
            Ok(record) => Ok((key, record)),
            Err(error) => Err(self.unreadable(&key, &error)),
        });
        parsed.collect()
    }

    /// Puts a record in place of what the key had.
    ///
    /// # Errors
    /// When the storage fails, or the record has no JSON form.
    pub fn put(&self, key: &str, record: &T) -> Result<()> {
        self.store.commit(vec![self.change(key, record)?])
    }

    /// The putting of a record, to be committed together with others.
    ///
    /// # Errors
    /// When the record has no JSON form.
    pub fn change(&self, key: &str, record: &T) -> Result<Change> {
        let value = serde_json::to_vec(record).map_err(|error| self.unreadable(key, &error))?;
        Ok(Change::Put {
            table: self.name,
            key: key.to_owned(),
            value,
        })
    }
}
