//! The seal: what the store must hold, so that damage is seen when it is opened.
//!
//! sled checks single messages of its own log, and takes a bad one for a write that a crash cut off:
//! it goes back to what stood there before, and opens. So the store keeps, changed with every commit
//! in the same atomic batch, the number and the sum of its records ([`Seal`]), and outside of sled a
//! file with the last commit that was synced ([`Mark`]). Records that do not give the sum, or a seal
//! older than the mark, are damage.

use std::{
    fs::{File, OpenOptions},
    io::{self, Read},
    os::unix::fs::FileExt,
    path::Path,
};

/// Sums up all records but its own.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Seal {
    /// Commits so far.
    pub generation: u64,
    pub records: u64,
    /// The wrapping sum of each record's hash, in any order.
    sum: u128,
}

impl Seal {
    pub const BYTES: usize = 32;

    pub fn add(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_add(1);
        self.sum = self.sum.wrapping_add(hash(key, value));
    }

    pub fn remove(&mut self, key: &[u8], value: &[u8]) {
        self.records = self.records.wrapping_sub(1);
        self.sum = self.sum.wrapping_sub(hash(key, value));
    }

    /// Whether both stand for the same records, whatever their generations.
    pub fn agrees(&self, with: &Self) -> bool {
        (self.records, self.sum) == (with.records, with.sum)
    }

    pub fn to_bytes(self) -> [u8; Self::BYTES] {
        let mut bytes = [0; Self::BYTES];
        bytes[..8].copy_from_slice(&self.generation.to_le_bytes());
        bytes[8..16].copy_from_slice(&self.records.to_le_bytes());
        bytes[16..].copy_from_slice(&self.sum.to_le_bytes());
        bytes
    }

    /// `None` when the bytes are no seal.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let bytes: &[u8; Self::BYTES] = bytes.try_into().ok()?;
        let (generation, rest) = bytes.split_first_chunk()?;
        let (records, rest) = rest.split_first_chunk()?;
        Some(Self {
            generation: u64::from_le_bytes(*generation),
            records: u64::from_le_bytes(*records),
            sum: u128::from_le_bytes(*rest.first_chunk()?),
        })
    }
}

/// The key's length goes in, so that no two records have the same bytes.
fn hash(key: &[u8], value: &[u8]) -> u128 {
    let mut hasher = xxhash_rust::xxh3::Xxh3::new();
    hasher.update(&(key.len() as u64).to_le_bytes());
    hasher.update(key);
    hasher.update(value);
    hasher.digest128()
}

/// The file with the generation of the last sync: one line of fixed length, overwritten in place.
///
/// It is written after a sync and synced itself only at opening: a loss of power may leave an older
/// mark, which asks for less.
#[derive(Debug)]
pub(super) struct Mark(File);

impl Mark {
    /// It is also what tells a folder that was once a store from a new one: sled opens some damaged
    /// folders as empty.
    pub const FILE: &str = "sandbar-format";

    /// The generation in the folder's mark; `None` when the folder has no mark, or an empty one: its
    /// making was cut off.
    ///
    /// # Errors
    /// When it cannot be read, or is no mark.
    pub fn read(folder: &Path) -> io::Result<Option<u64>> {
        let mut text = String::new();
        match File::open(folder.join(Self::FILE)) {
            Ok(mut file) => file.read_to_string(&mut text)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.trim_end().rsplit(' ').next();
        let generation = number.and_then(|number| number.parse().ok());
        match generation.filter(|generation| line(*generation) == text) {
            Some(generation) => Ok(Some(generation)),
            None => Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("{} holds {text:?}", Self::FILE),
            )),
        }
    }

    /// Opens the mark, or makes it, writes `generation` and syncs it; the folder that names it is the
    /// caller's to sync.
    pub fn open(folder: &Path, generation: u64) -> io::Result<Self> {
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .open(folder.join(Self::FILE))?;
        let mark = Self(file);
        mark.write(generation)?;
        mark.0.sync_all()?;
        Ok(mark)
    }

    pub fn write(&self, generation: u64) -> io::Result<()> {
        self.0.write_all_at(line(generation).as_bytes(), 0)
    }
}

fn line(generation: u64) -> String {
    format!("sandbar meta 1, synced {generation:020}\n")
}
