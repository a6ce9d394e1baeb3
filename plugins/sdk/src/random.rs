//! Randomness. A plugin that calls this runs only on routes that grant `random`, and its outputs
//! can no longer be made again from the same input.

/// This many random bytes. Natively, in tests, the same sequence on every thread: 0, 1, 2, …
#[must_use]
pub fn bytes(length: u32) -> Vec<u8> {
    #[cfg(target_arch = "wasm32")]
    return crate::bindings::sandbar::transform::random::bytes(length);
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::random(length)
}
