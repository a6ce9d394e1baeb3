//! `wasi_snapshot_preview1` for core modules: an adapter that the wrapping puts between the module
//! and an interface of the hub's own, which passes nothing but numbers and bytes.
//! Its monotonic clock is never the real one.

use std::sync::LazyLock;

use wasmtime::{
    StoreContextMut,
    component::{LinkerInstance, WasmList},
};
use wit_component::StringEncoding;
use wit_parser::Resolve;

use crate::state::{Forbidden, State};

/// The module whose imports the adapter meets.
pub(crate) const MODULE: &str = "wasi_snapshot_preview1";
pub(crate) const PACKAGE: &str = "sandbar:preview1/";

const WIT: &str = "
    package sandbar:preview1@0.1.0;
    interface system {
        now: func() -> u64;
        random: func() -> u64;
        print: func(error: bool, bytes: list<u8>);
        exit: func(status: u32);
    }
    world adapter { import system; }
";

/// The adapter, as the wrapping takes it.
pub(crate) fn adapter() -> Result<&'static [u8], String> {
    static ADAPTER: LazyLock<Result<Vec<u8>, String>> = LazyLock::new(|| {
        let mut module =
            wat::parse_str(include_str!("preview1.wat")).map_err(|error| error.to_string())?;
        let mut resolve = Resolve::default();
        let embedded = resolve
            .push_source("preview1.wit", WIT)
            .and_then(|package| resolve.select_world(&[package], Some("adapter")))
            .and_then(|world| {
                wit_component::embed_component_metadata(
                    &mut module,
                    &resolve,
                    world,
                    StringEncoding::UTF8,
                )
            });
        embedded.map_err(|error| format!("{error:#}"))?;
        Ok(module)
    });
    ADAPTER.as_deref().map_err(Clone::clone)
}

/// Defines the functions behind the adapter.
pub(crate) fn link(linker: &mut LinkerInstance<'_, State>) -> wasmtime::Result<()> {
    type Caller<'a> = StoreContextMut<'a, State>;
    linker.func_wrap("now", |mut store: Caller<'_>, (): ()| {
        Ok((store.data_mut().now()?,))
    })?;
    linker.func_wrap("random", |mut store: Caller<'_>, (): ()| {
        Ok((store.data_mut().random()?,))
    })?;
    linker.func_wrap(
        "print",
        |mut store: Caller<'_>, (error, bytes): (bool, WasmList<u8>)| {
            let bytes = bytes.as_le_slice(&store).to_vec();
            store.data_mut().print(error, &bytes);
            Ok(())
        },
    )?;
    linker.func_wrap(
        "exit",
        |_: Caller<'_>, (status,): (u32,)| -> wasmtime::Result<()> {
            Err(Forbidden(format!("called exit with status {status}")).into())
        },
    )
}
