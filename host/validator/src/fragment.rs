//! JSON Pointers as fragments (RFC 6901 §6).

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};

/// What must be encoded in a fragment (RFC 3986 §3.5).
const FRAGMENT: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$');

/// The fragment that a JSON Pointer is, without its `#`.
#[must_use]
pub fn fragment(pointer: &str) -> String {
    utf8_percent_encode(pointer, FRAGMENT).collect()
}

/// The JSON Pointer that a fragment is, as far as it is UTF-8.
pub(crate) fn pointer(fragment: &str) -> String {
    percent_decode_str(fragment)
        .decode_utf8_lossy()
        .into_owned()
}
