//! Hashing of keys that are spread already (offsets and hashes): one multiplication instead of a
//! hash that withstands chosen keys, which these are not.

use std::hash::{BuildHasherDefault, Hasher};

/// For maps with offsets, leases or hashed keys as keys.
pub type Spread = BuildHasherDefault<Folded>;

#[derive(Clone, Copy, Debug, Default)]
pub struct Folded(u64);

/// 2^64 divided by the golden ratio: neighbours come to lie far apart.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

impl Hasher for Folded {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for part in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..part.len()].copy_from_slice(part);
            self.write_u64(u64::from_le_bytes(word));
        }
    }

    fn write_u64(&mut self, value: u64) {
        let mixed = u128::from(self.0 ^ value) * u128::from(GOLDEN);
        // Both halves: a map takes its place from the low bits and its tag from the high ones.
        self.0 = (mixed >> 64) as u64 ^ mixed as u64;
    }

    fn write_u128(&mut self, value: u128) {
        self.write_u64((value >> 64) as u64 ^ value as u64);
    }
}
