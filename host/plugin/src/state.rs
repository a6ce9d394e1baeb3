//! What a running instance carries on the host's side: its memory budget, its log lines, and the
//! functions that it may call.

use std::time::{SystemTime, UNIX_EPOCH};

use wasmtime::{
    ResourceLimiter, StoreContextMut,
    component::{ComponentType, Lift, Linker, WasmStr},
};

use crate::{Level, LogLine};

/// Lines kept of one batch.
const LINES: usize = 100;
/// Bytes kept of one line.
const LINE_BYTES: usize = 4096;
/// Bytes that one `random.bytes` call gives at most.
const RANDOM_BYTES: u32 = 1 << 20;
/// Elements of all tables of an instance.
pub(crate) const TABLE_ELEMENTS: usize = 100_000;

/// The interfaces that a plugin may import, as the linker knows them.
pub(crate) const LOG: &str = "sandbar:transform/log@0.1.0";
pub(crate) const CLOCK: &str = "sandbar:transform/clock@0.1.0";
pub(crate) const RANDOM: &str = "sandbar:transform/random@0.1.0";

pub(crate) struct State {
    memory_limit: usize,
    /// Linear memory of all memories of the instance.
    pub(crate) memory_bytes: usize,
    table_elements: usize,
    /// Whether the limit was hit: tells a trap for want of memory from any other.
    pub(crate) memory_refused: bool,
    pub(crate) logs: Vec<LogLine>,
    pub(crate) lines_left_out: u64,
}

impl State {
    pub(crate) fn new(memory_limit: usize) -> Self {
        Self {
            memory_limit,
            memory_bytes: 0,
            table_elements: 0,
            memory_refused: false,
            logs: Vec::new(),
            lines_left_out: 0,
        }
    }
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .memory_bytes
            .saturating_add(desired.saturating_sub(current));
        if total > self.memory_limit || maximum.is_some_and(|maximum| desired > maximum) {
            self.memory_refused = true;
            return Ok(false);
        }
        self.memory_bytes = total;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let total = self
            .table_elements
            .saturating_add(desired.saturating_sub(current));
        if total > TABLE_ELEMENTS || maximum.is_some_and(|maximum| desired > maximum) {
            return Ok(false);
        }
        self.table_elements = total;
        Ok(true)
    }
}

// The derive writes the unsafe code that lifting needs; there is none of our own.
#[allow(unsafe_code)]
mod lifted {
    use super::{ComponentType, Lift};

    /// `log.level` of the WIT.
    #[derive(Clone, Copy, ComponentType, Lift)]
    #[component(enum)]
    #[expect(dead_code, reason = "the lifting writes the discriminant")]
    #[repr(u8)]
    pub(super) enum WitLevel {
        #[component(name = "trace")]
        Trace,
        #[component(name = "debug")]
        Debug,
        #[component(name = "info")]
        Info,
        #[component(name = "warn")]
        Warn,
        #[component(name = "error")]
        Error,
    }
}
use lifted::WitLevel;

/// All capabilities. Whether a step grants what a plugin imports is checked before it is
/// instantiated, so the linker may offer them all.
pub(crate) fn linker(engine: &wasmtime::Engine) -> wasmtime::Result<Linker<State>> {
    let mut linker = Linker::new(engine);
    linker.instance(LOG)?.func_wrap("log", log)?;
    linker
        .instance(CLOCK)?
        .func_wrap("now", |_: StoreContextMut<'_, State>, (): ()| {
            #[expect(
                clippy::disallowed_methods,
                reason = "the clock that the route granted"
            )]
            let now = SystemTime::now()
                .duration_since(UNIX_EPOCH)
                .unwrap_or_default();
            Ok((u64::try_from(now.as_millis()).unwrap_or(u64::MAX),))
        })?;
    linker.instance(RANDOM)?.func_wrap(
        "bytes",
        |_: StoreContextMut<'_, State>, (length,): (u32,)| {
            if length > RANDOM_BYTES {
                wasmtime::bail!(
                    "random.bytes gives at most {RANDOM_BYTES} bytes a call, not {length}"
                );
            }
            let mut bytes = vec![0; length as usize];
            getrandom::fill(&mut bytes)
                .map_err(|error| wasmtime::format_err!("no randomness: {error}"))?;
            Ok((bytes,))
        },
    )?;
    Ok(linker)
}

fn log(
    mut store: StoreContextMut<'_, State>,
    (level, message): (WitLevel, WasmStr),
) -> wasmtime::Result<()> {
    if store.data().logs.len() >= LINES {
        store.data_mut().lines_left_out += 1;
        return Ok(());
    }
    let mut message = message.to_str(&store)?.into_owned();
    if message.len() > LINE_BYTES {
        message.truncate(message.floor_char_boundary(LINE_BYTES));
        message.push('…');
    }
    let level = match level {
        WitLevel::Trace => Level::Trace,
        WitLevel::Debug => Level::Debug,
        WitLevel::Info => Level::Info,
        WitLevel::Warn => Level::Warn,
        WitLevel::Error => Level::Error,
    };
    store.data_mut().logs.push(LogLine { level, message });
    Ok(())
}
