//! A wall clock that a test sets, for a hub that is started under it. Needs a C compiler, as building
//! the hub does.

use std::{ffi::OsString, fs::OpenOptions, os::unix::fs::FileExt, path::PathBuf, process::Command};

use tempfile::TempDir;

use crate::repository;

/// See the head of this module.
#[derive(Debug)]
pub struct WallClock {
    folder: TempDir,
}

impl WallClock {
    /// One that is right.
    #[must_use]
    pub fn new() -> Self {
        let folder = TempDir::new().expect("a temporary folder can be made");
        let clock = Self { folder };
        std::fs::write(clock.file(), 0_i64.to_ne_bytes()).expect("it can be written");
        let compiler = std::env::var_os("CC").unwrap_or_else(|| "cc".into());
        let compiled = Command::new(compiler)
            .args(["-shared", "-fPIC", "-O1", "-o"])
            .arg(clock.library())
            .arg(repository().join("tests/harness/clock.c"))
            .status();
        assert!(compiled.expect("a C compiler runs").success());
        clock
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("seconds")
    }

    fn library(&self) -> PathBuf {
        self.folder.path().join("clock.so")
    }

    pub(crate) fn environment(&self) -> Vec<(&'static str, OsString)> {
        vec![
            ("LD_PRELOAD", self.library().into()),
            ("SANDBAR_TEST_CLOCK", self.file().into()),
        ]
    }

    /// From now on it is off by so many seconds.
    pub fn set(&self, seconds: i64) {
        let file = OpenOptions::new().write(true).open(self.file());
        let file = file.expect("it is there");
        // In place: hubs look into it.
        (file.write_all_at(&seconds.to_ne_bytes(), 0)).expect("it can be written");
    }
}

impl Default for WallClock {
    fn default() -> Self {
        Self::new()
    }
}
