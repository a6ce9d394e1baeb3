//! Compiled plugins on disk, so that a start of the hub compiles nothing.
//!
//! # Format of a file `<sha256 of the upload>-<engine key>.plugin`
//! ```text
//! 8 bytes   "SBPLUG01"
//! 32 bytes  sha256 of the file's name and all that follows
//! rest      the component as wasmtime serialises it
//! ```
//! The engine key is a hash of wasmtime's own of its version and settings, and of the version of our
//! checks for what has them, so another version of the hub finds nothing and compiles anew. A file that is damaged, or that wasmtime does not accept, counts
//! as absent and is written again.

use std::{
    fmt::Write as _,
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    path::{Path, PathBuf},
};

use sha2::{Digest, Sha256};
use wasmtime::component::Component;

use crate::{Error, checks, engine::Stop};

const MAGIC: &[u8; 8] = b"SBPLUG01";
const HEAD: usize = 8 + 32;
const SUFFIX: &str = "plugin";

pub(crate) struct Artifacts {
    folder: PathBuf,
    /// As [`Stop::ALL`] lists what they are for.
    keys: [String; 2],
}

impl Artifacts {
    /// `engines` in the order of [`Stop::ALL`].
    pub(crate) fn open(folder: PathBuf, engines: [&wasmtime::Engine; 2]) -> Result<Self, Error> {
        fs::create_dir_all(&folder).map_err(|error| Error::Artifacts {
            path: folder.display().to_string(),
            error,
        })?;
        let key = |stop: Stop| {
            let mut hasher = DefaultHasher::new();
            engines[stop as usize]
                .precompile_compatibility_hash()
                .hash(&mut hasher);
            if stop == Stop::Page {
                checks::VERSION.hash(&mut hasher);
            }
            format!("{:016x}", hasher.finish())
        };
        Ok(Self {
            folder,
            keys: Stop::ALL.map(key),
        })
    }

    fn path(&self, digest: &str, stop: Stop) -> PathBuf {
        let key = &self.keys[stop as usize];
        self.folder.join(format!("{digest}-{key}.{SUFFIX}"))
    }

    /// What was compiled before for these uploaded bytes (hex of their sha256), if it is sound.
    pub(crate) fn load<'a>(
        &self,
        engine: impl Fn(Stop) -> &'a wasmtime::Engine,
        digest: &str,
    ) -> Option<(Stop, Component)> {
        Stop::ALL.into_iter().find_map(|stop| {
            let component = self.load_one(engine(stop), &self.path(digest, stop))?;
            Some((stop, component))
        })
    }

    fn load_one(&self, engine: &wasmtime::Engine, path: &Path) -> Option<Component> {
        let bytes = fs::read(path).ok()?;
        let loaded = checked(path, &bytes).and_then(|compiled| deserialize(engine, compiled));
        if loaded.is_none() {
            tracing::warn!(path = %path.display(), "a compiled plugin is damaged; it is compiled again");
        }
        loaded
    }

    /// Keeps a compiled component. A failure costs the next start some time and nothing else.
    pub(crate) fn store(&self, digest: &str, stop: Stop, component: &Component) {
        let path = self.path(digest, stop);
        let stored = component
            .serialize()
            .map_err(|error| format!("{error:#}"))
            .and_then(|compiled| {
                let file = [MAGIC.as_slice(), &checksum(&path, &compiled), &compiled].concat();
                // No fsync: a file torn by a power cut fails its checksum.
                let unfinished = path.with_extension(format!("{}.new", std::process::id()));
                fs::write(&unfinished, file)
                    .and_then(|()| fs::rename(&unfinished, &path))
                    .map_err(|error| error.to_string())
            });
        match stored {
            Ok(()) => self.remove_outdated(digest, &path),
            Err(error) => {
                tracing::warn!(path = %path.display(), %error, "a compiled plugin cannot be kept")
            }
        }
    }

    /// Removes what other versions of the hub compiled for the same upload.
    fn remove_outdated(&self, digest: &str, current: &Path) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path != current && name.starts_with(digest) && name.ends_with(SUFFIX) {
                let _ = fs::remove_file(&path);
            }
        }
    }
}

/// Covers the name as well, so that a file under another's name is not taken for it.
fn checksum(path: &Path, compiled: &[u8]) -> [u8; 32] {
    let mut hasher = Sha256::new();
    hasher.update(path.file_name().unwrap_or_default().as_encoded_bytes());
    hasher.update(compiled);
    hasher.finalize().into()
}

fn checked<'a>(path: &Path, bytes: &'a [u8]) -> Option<&'a [u8]> {
    let (head, compiled) = bytes.split_at_checked(HEAD)?;
    let sound = head.starts_with(MAGIC) && head[MAGIC.len()..] == checksum(path, compiled);
    sound.then_some(compiled)
}

/// The one place where machine code comes in from outside of this process.
#[allow(unsafe_code)]
pub(crate) fn deserialize(engine: &wasmtime::Engine, compiled: &[u8]) -> Option<Component> {
    // SAFETY: wasmtime trusts these bytes to be its own output. They are: either the compiling process,
    // which is this program, has just written them into a pipe; or they lie in the folder into which
    // only `store` writes and which belongs to the hub's user alone; the checksum has just shown that they are
    // what it wrote; the file's name carries the digest and the engine's compatibility hash, and
    // wasmtime checks its version and settings once more. Whoever can forge a file here, checksum
    // and all, can already write the hub's data and run code as the hub's user.
    unsafe { Component::deserialize(engine, compiled) }.ok()
}

/// What a plugin of these bytes is known by: `sha256:` and the sha256 in hex.
#[must_use]
pub fn digest(bytes: &[u8]) -> String {
    format!("sha256:{}", hex(bytes))
}

/// The sha256 of bytes in hex.
pub(crate) fn hex(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(64);
    for byte in Sha256::digest(bytes) {
        // Writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
    }
    text
}
