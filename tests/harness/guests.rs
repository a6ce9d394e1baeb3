//! The modules that `scripts/guests.sh` built.

use crate::repository;

/// The bytes of `target/guests/<name>.wasm`.
#[must_use]
pub fn guest(name: &str) -> Vec<u8> {
    let path = repository().join(format!("target/guests/{name}.wasm"));
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{}: {error}; run scripts/guests.sh", path.display()))
}

/// The same module with other bytes: a custom section says `word`.
#[must_use]
pub fn variant(name: &str, word: &str) -> Vec<u8> {
    let mut bytes = guest(name);
    let section = [
        &[u8::try_from(word.len()).expect("a short word")],
        word.as_bytes(),
    ]
    .concat();
    bytes.push(0);
    bytes.push(u8::try_from(section.len()).expect("a short word"));
    bytes.extend(section);
    bytes
}
