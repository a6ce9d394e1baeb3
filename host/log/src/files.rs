//! The file system as the log uses it, so that faults can be played in tests. It knows nothing of
//! segments or frames.

use std::{
    fmt, fs,
    io::{self, IoSlice},
    path::Path,
    sync::Arc,
};

/// An open file. Positions and lengths are bytes.
pub trait File: Send + Sync + fmt::Debug {
    /// Writes all `parts`, one behind the other, from `at` on, in as few calls as the system allows.
    fn write_at(&self, parts: &mut [IoSlice<'_>], at: u64) -> io::Result<()>;
    /// Appends up to `length` bytes from `at` on to `out`; fewer only at the end of the file.
    fn read_at(&self, out: &mut Vec<u8>, at: u64, length: usize) -> io::Result<()>;
    /// fdatasync: the bytes and the length survive power loss when it returns.
    fn sync_data(&self) -> io::Result<()>;
    fn truncate(&self, length: u64) -> io::Result<()>;
    fn length(&self) -> io::Result<u64>;
}

/// A name in a folder.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Entry {
    pub name: String,
    pub directory: bool,
}

/// Files and folders. A change of names survives power loss once [`FileSystem::sync_dir`] of the
/// folder has returned.
pub trait FileSystem: Send + Sync + fmt::Debug {
    /// Opens a file that exists.
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Makes a file, or empties the one that is there.
    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>>;
    /// Makes a folder and those above it; no error when it is there.
    fn create_dir(&self, path: &Path) -> io::Result<()>;
    /// What a folder holds, sorted by name.
    fn list(&self, path: &Path) -> io::Result<Vec<Entry>>;
    /// Renames a file or folder, replacing a file of that name.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    fn remove_file(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
}

/// The real file system.
#[derive(Clone, Copy, Debug, Default)]
pub struct Disk;

impl Disk {
    #[must_use]
    pub fn new() -> Self {
        Self
    }
}

#[derive(Debug)]
struct DiskFile(fs::File);

/// What Linux takes in one gathered write.
const MOST_PARTS: usize = 1024;

impl File for DiskFile {
    fn write_at(&self, parts: &mut [IoSlice<'_>], mut at: u64) -> io::Result<()> {
        let mut parts = parts;
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() {
            let most = parts.len().min(MOST_PARTS);
            match rustix::io::pwritev(&self.0, &parts[..most], at) {
                Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
                Ok(written) => {
                    at += written as u64;
                    IoSlice::advance_slices(&mut parts, written);
                }
                Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    fn read_at(&self, out: &mut Vec<u8>, at: u64, length: usize) -> io::Result<()> {
        let start = out.len();
        out.reserve_exact(length);
        while out.len() - start < length {
            let position = at + (out.len() - start) as u64;
            match rustix::io::pread(&self.0, rustix::buffer::spare_capacity(out), position) {
                Ok(0) => break,
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        // The capacity may be more than was asked for.
        out.truncate(start + length);
        Ok(())
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }
}

impl FileSystem for Disk {
    fn open(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn create(&self, path: &Path) -> io::Result<Arc<dyn File>> {
        let mut options = fs::OpenOptions::new();
        let file = options
            .read(true)
            .write(true)
            .create(true)
            .truncate(true)
            .open(path)?;
        Ok(Arc::new(DiskFile(file)))
    }

    fn create_dir(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(path)? {
            let entry = entry?;
            // A name that is not UTF-8 is none of the log's.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry {
                    name,
                    directory: entry.file_type()?.is_dir(),
                });
            }
        }
        entries.sort();
        Ok(entries)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_all()
    }
}
