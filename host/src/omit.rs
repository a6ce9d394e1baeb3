//! What documents leave out, as `skip_serializing_if` asks for it.

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde hands references")]
pub(crate) fn zero(count: &u64) -> bool {
    *count == 0
}
