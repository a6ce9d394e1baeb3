//! The wall clock. A plugin that calls this runs only on routes that grant `clock`, and its outputs
//! can no longer be made again from the same input.

/// Milliseconds since 1970-01-01T00:00:00Z. Natively, in tests, what [`crate::test::set_clock`] set.
#[must_use]
pub fn now() -> u64 {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::sandbar::transform::clock::now();
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::clock()
}
