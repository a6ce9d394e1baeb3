//! JSON Pointers (RFC 6901).

/// A name as the token of a JSON Pointer.
#[must_use]
pub fn token(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
