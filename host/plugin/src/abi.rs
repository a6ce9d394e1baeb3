//! Types of our own that the canonical ABI knows as another.

/// `$ours` is laid out, and goes by the rules, of `$theirs`: how it is lowered or lifted is for it to say.
macro_rules! known_as {
    ($ours:ty, $theirs:ty) => {
        // SAFETY: all that the canonical ABI knows of the one is the other's.
        #[allow(unsafe_code)]
        unsafe impl ::wasmtime::component::ComponentType for $ours {
            type Lower = <$theirs as ::wasmtime::component::ComponentType>::Lower;

            const ABI: ::wasmtime::component::__internal::CanonicalAbiInfo =
                <$theirs as ::wasmtime::component::ComponentType>::ABI;

            fn typecheck(
                ty: &::wasmtime::component::__internal::InterfaceType,
                types: &::wasmtime::component::__internal::InstanceType<'_>,
            ) -> ::wasmtime::Result<()> {
                <$theirs as ::wasmtime::component::ComponentType>::typecheck(ty, types)
            }
        }
    };
}
pub(crate) use known_as;
