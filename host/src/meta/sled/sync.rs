//! Brings sled's files to the disk: one caller at a time, for all who wait.

use std::{
    collections::HashSet,
    fs::{self, File},
    io,
    path::{Path, PathBuf},
    sync::{Condvar, Mutex, MutexGuard, PoisonError},
};

use super::{
    super::{Error, Result},
    seal::Mark,
};

/// Numbers the demands for a sync. A sync covers all demands that were made before it began.
#[derive(Debug)]
pub(super) struct Syncer {
    folder: PathBuf,
    mark: Mark,
    state: Mutex<State>,
    done: Condvar,
}

#[derive(Debug, Default)]
struct State {
    demanded: u64,
    covered: u64,
    running: bool,
    /// Why a sync or a change failed. What was then dropped is not known, so no later sync can make
    /// up for it.
    failed: Option<String>,
    /// Syncs made; fewer than demands when callers share them.
    syncs: u64,
    /// Files other than `db` that are on the disk. sled writes each once and never changes it.
    settled: HashSet<PathBuf>,
}

impl Syncer {
    pub fn new(folder: &Path, mark: Mark) -> Self {
        Self {
            folder: folder.to_owned(),
            mark,
            state: Mutex::default(),
            done: Condvar::new(),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// An error after a sync or a change has failed.
    pub fn healthy(&self) -> Result<()> {
        self.verdict(&self.state())
    }

    /// No sync succeeds from here on.
    pub fn stop(&self, reason: String) {
        self.state().failed.get_or_insert(reason);
    }

    fn verdict(&self, state: &State) -> Result<()> {
        match &state.failed {
            Some(reason) => Err(Error::Unsynced {
                path: self.folder.clone(),
                reason: reason.clone(),
            }),
            None => Ok(()),
        }
    }

    /// Returns when a sync that began after this call has ended. `write_out` hands sled's buffers to
    /// the system, and tells the generation that they hold at least.
    pub fn sync(&self, write_out: impl Fn() -> std::result::Result<u64, String>) -> Result<()> {
        let mut state = self.state();
        state.demanded += 1;
        let mine = state.demanded;
        loop {
            self.verdict(&state)?;
            if state.covered >= mine {
                return Ok(());
            }
            if state.running {
                state = self
                    .done
                    .wait(state)
                    .unwrap_or_else(PoisonError::into_inner);
                continue;
            }
            state.running = true;
            let covers = state.demanded;
            let mut settled = std::mem::take(&mut state.settled);
            drop(state);
            let outcome = write_out().and_then(|generation| {
                sync_files(&self.folder, &mut settled)
                    .and_then(|()| self.mark.write(generation))
                    .map_err(|error| error.to_string())
            });
            state = self.state();
            state.running = false;
            state.syncs += 1;
            state.settled = settled;
            match outcome {
                Ok(()) => state.covered = covers,
                Err(reason) => state.failed = Some(state.failed.take().unwrap_or(reason)),
            }
            self.done.notify_all();
        }
    }

    #[cfg(test)]
    pub fn demanded(&self) -> u64 {
        self.state().demanded
    }

    #[cfg(test)]
    pub fn syncs(&self) -> u64 {
        self.state().syncs
    }
}

/// Syncs `db`, and the blobs and snapshots that are new, and the folders that name them.
pub(super) fn sync_files(folder: &Path, settled: &mut HashSet<PathBuf>) -> io::Result<()> {
    File::open(folder.join("db"))?.sync_data()?;
    let mut present = HashSet::new();
    for folder in [folder.to_owned(), folder.join("blobs")] {
        let entries = match fs::read_dir(&folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
            Err(error) => return Err(error),
        };
        let mut news = false;
        for entry in entries {
            let path = entry?.path();
            if path.is_file() && !settled.contains(&path) {
                match File::open(&path).and_then(|file| file.sync_data()) {
                    // sled deletes old snapshots and blobs at any time.
                    Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                    outcome => outcome?,
                }
                news = true;
            }
            present.insert(path);
        }
        if news {
            File::open(&folder)?.sync_all()?;
        }
    }
    *settled = present;
    Ok(())
}
