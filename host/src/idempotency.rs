//! Idempotency keys: what was answered under a key, so that a request that is sent again is answered
//! alike and does its work once (draft-ietf-httpapi-idempotency-key-header).
//!
//! `window` decides; it is pure, and times come in. [`Idempotency`] keeps answers durably where a call
//! makes something, and in memory where it publishes: events are told apart by source and id after a
//! restart, and meta stays off their way. It knows nothing of HTTP beyond status, headers and bytes.

mod window;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};

use crate::{
    meta,
    problem::{Code, Problem},
};
use window::{Found, Window};

/// How long an answer is kept, in milliseconds.
pub const KEPT_FOR_MS: u64 = 24 * 60 * 60 * 1000;

/// Where an answer is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Keep {
    /// Until the hub stops.
    InMemory,
    /// Over restarts.
    Durably {
        /// Whether doing it twice is the same as doing it once (PUT, DELETE). Where it is not, a hub
        /// that stopped in the middle says so instead of doing it again.
        repeatable: bool,
    },
}

/// An answer, whatever its status.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answer {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: String,
}

/// What is on record of a key.
#[derive(Debug, Serialize, Deserialize)]
struct Record {
    /// Of method, address, headers that matter, and body: hexadecimal.
    request: String,
    /// Milliseconds since the epoch.
    at: u64,
    /// Nothing: it was begun.
    answer: Option<Answer>,
}

/// All keys that are remembered.
#[derive(Debug)]
pub struct Idempotency {
    store: Arc<dyn meta::Store>,
    table: meta::Table<Record>,
    window: Mutex<Window>,
}

/// What to do with a request that has a key.
#[derive(Debug)]
pub enum Begun {
    /// It is the first: do it, then tell.
    First(Running),
    /// This was answered.
    Again(Arc<Answer>),
}

/// A key whose request is at work. Dropped without an answer, its outcome is unknown.
#[derive(Debug)]
pub struct Running {
    owner: Arc<Idempotency>,
    key: String,
    request: u128,
    keep: Keep,
    /// Milliseconds since the epoch.
    begun: u64,
    marked: bool,
    done: bool,
}

impl Idempotency {
    /// Reads what is on record. Blocks on the disk.
    ///
    /// # Errors
    /// When meta cannot be read, in words.
    pub fn open(store: Arc<dyn meta::Store>, now: u64) -> Result<Self, String> {
        let table: meta::Table<Record> = meta::Table::new(store.clone(), meta::tables::IDEMPOTENCY);
        let mut records = table.scan("").map_err(|error| error.to_string())?;
        records.sort_by_key(|(_, record)| record.at);
        let mut window = Window::default();
        let mut forgotten = Vec::new();
        for (key, record) in records {
            let Ok(request) = u128::from_str_radix(&record.request, 16) else {
                forgotten.push(key);
                continue;
            };
            match record.answer {
                Some(answer) => window.restore(key, request, record.at, Arc::new(answer)),
                None => window.restore_unknown(key, request, record.at),
            }
        }
        forgotten.extend(window.prune(now));
        if !forgotten.is_empty() {
            let changes = forgotten.iter().map(|key| table.deletion(key)).collect();
            store.commit(changes).map_err(|error| error.to_string())?;
        }
        Ok(Self {
            store,
            table,
            window: Mutex::new(window),
        })
    }

    fn window(&self) -> MutexGuard<'_, Window> {
        self.window.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Begins a request under a key of a caller. `request` is its fingerprint. Blocks on the disk where
    /// answers are kept durably.
    ///
    /// # Errors
    /// `idempotency-key-reused`, `idempotency-key-in-use`, `idempotency-outcome-unknown`; and when meta
    /// cannot be written.
    pub fn begin(
        self: &Arc<Self>,
        caller: &str,
        key: &str,
        request: u128,
        keep: Keep,
        now: u64,
    ) -> Result<Begun, Problem> {
        // Neither has a line break in it.
        let whole = format!("{caller}\n{key}");
        let refusal = |code: Code, detail: &str| {
            Problem::new(code, format!("Idempotency-Key {key:?}: {detail}"))
        };
        match self.window().begin(&whole, request, now) {
            Found::New => {}
            Found::Answered(answer) => return Ok(Begun::Again(answer)),
            Found::Other => {
                let detail = "it was sent with another request (method, address, headers or body)";
                return Err(refusal(Code::IdempotencyKeyReused, detail));
            }
            Found::Running => {
                let detail = "the first request with it has no answer yet";
                return Err(refusal(Code::IdempotencyKeyInUse, detail).retry_after(1));
            }
            Found::Unknown => {
                let detail =
                    "the hub stopped before it had answered, and does not know whether it was done";
                return Err(refusal(Code::IdempotencyOutcomeUnknown, detail));
            }
        }
        let mut running = Running {
            owner: self.clone(),
            key: whole,
            request,
            keep,
            begun: now,
            marked: false,
            done: false,
        };
        if keep == (Keep::Durably { repeatable: false }) {
            let record = running.record(now, None);
            if let Err(error) = self.table.put(&running.key, &record) {
                running.done = true;
                self.window().forget(&running.key);
                return Err(crate::catalog::storage(error));
            }
            running.marked = true;
        }
        Ok(Begun::First(running))
    }
}

impl Running {
    fn record(&self, at: u64, answer: Option<Answer>) -> Record {
        Record {
            request: format!("{:032x}", self.request),
            at,
            answer,
        }
    }

    /// Keeps the answer for whoever sends the request again. Blocks on the disk where answers are kept
    /// durably.
    pub fn answered(mut self, answer: Answer, now: u64) {
        self.done = true;
        let durable = self.keep != Keep::InMemory;
        let record = durable.then(|| self.record(now, Some(answer.clone())));
        let mut forgotten = Vec::new();
        let kept = (self.owner.window()).answered(
            &self.key,
            self.request,
            durable,
            now,
            Arc::new(answer),
            &mut forgotten,
        );
        let mut changes: Vec<_> = (forgotten.iter())
            .map(|key| self.owner.table.deletion(key))
            .collect();
        match record {
            Some(record) if kept => match self.owner.table.change(&self.key, &record) {
                Ok(change) => changes.push(change),
                Err(error) => {
                    tracing::warn!(%error, "an answer under an idempotency key cannot be kept")
                }
            },
            Some(_) => changes.push(self.owner.table.deletion(&self.key)),
            None => {}
        }
        self.commit(changes);
    }

    /// Forgets the key: nothing was done that another try would do twice.
    pub fn forgotten(mut self) {
        self.done = true;
        self.owner.window().forget(&self.key);
        if self.marked {
            self.commit(vec![self.owner.table.deletion(&self.key)]);
        }
    }

    /// What was done is done: a record that cannot be written is told, and counts until the hub stops.
    fn commit(&self, changes: Vec<meta::Change>) {
        if changes.is_empty() {
            return;
        }
        if let Err(error) = self.owner.store.commit(changes) {
            tracing::warn!(%error, "an answer under an idempotency key will not outlive a restart");
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.done {
            return;
        }
        let mut window = self.owner.window();
        if self.marked {
            window.unknown(&self.key, self.begun);
        } else {
            window.forget(&self.key);
        }
    }
}

#[cfg(test)]
mod tests;
