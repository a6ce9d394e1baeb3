//! What a running instance carries on the host's side: its memory budget, its log lines, and the
//! functions that it may call.

use std::{
    ops::Range,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use wasmtime::{
    ResourceLimiter, StoreContextMut,
    component::{ComponentType, Lift, Linker, WasmStr},
};

use crate::{
    Grants, Level, LogLine, call_time::CallTime, http, lookup, memory::Memory, workers::Threads,
};

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
    /// Where that of the plugin lies, once it was configured.
    pub(crate) memory: Option<Memory>,
    /// Bytes of a memory that is not the plugin's own and does not count; 0 when there is none.
    not_counted: usize,
    table_elements: usize,
    /// Whether the limit was hit: tells a trap for want of memory from any other.
    pub(crate) memory_refused: bool,
    logs: Vec<LogLine>,
    lines_left_out: u64,
    /// Beginnings of lines on the standard output and on the standard error.
    unfinished: [Vec<u8>; 2],
    pub(crate) grants: Grants,
    /// When what the host does for the call must be over: the plugin is to have time left for its
    /// answer.
    pub(crate) until: Instant,
    /// The time of the call.
    pub(crate) time: CallTime,
    pub(crate) threads: Threads,
    moment: Moment,
    /// How many events are in the call; 0 while the plugin starts.
    events: usize,
    /// Nanoseconds on the monotonic clock, when it is not the real one.
    elapsed: u64,
    started: Instant,
}

/// What the event says of time and randomness.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    /// Of one event, or of none while the plugin starts.
    Of {
        /// Nanoseconds since the epoch.
        now: u64,
        /// Where the stream of randomness stands.
        random: u64,
    },
    /// Several events are in the call.
    Several,
}

/// Something asked for the event's own time or randomness while several events were in the call.
#[derive(Debug, thiserror::Error)]
#[error("the plugin asks for time or randomness, which differ from event to event")]
pub(crate) struct EventBound;

/// The plugin asked for what no plugin has.
#[derive(Debug, thiserror::Error)]
#[error("the plugin {0}")]
pub(crate) struct Forbidden(pub(crate) String);

impl Moment {
    pub(crate) const START: Self = Self::Of { now: 0, random: 0 };
}

/// The plugin keeps an eighth of its time for what it makes of an answer.
fn until(budget: Duration) -> Instant {
    Instant::now() + (budget - budget / 8)
}

impl State {
    /// Of an instance that has so much time for starting.
    pub(crate) fn new(
        memory_limit: usize,
        grants: Grants,
        time: CallTime,
        threads: Threads,
    ) -> Self {
        Self {
            memory_limit,
            memory_bytes: 0,
            memory: None,
            not_counted: 0,
            table_elements: 0,
            memory_refused: false,
            logs: Vec::new(),
            lines_left_out: 0,
            unfinished: Default::default(),
            grants,
            until: until(time.budget),
            time,
            threads,
            moment: Moment::START,
            events: 0,
            elapsed: 0,
            started: Instant::now(),
        }
    }

    /// One memory of exactly this many bytes does not count.
    pub(crate) fn leave_out(&mut self, bytes: usize) {
        self.not_counted = bytes;
    }

    /// Before a call: what its events say of time and randomness, and how many there are.
    pub(crate) fn enter(&mut self, moment: Moment, events: usize, time: CallTime) {
        self.moment = moment;
        self.events = events;
        self.until = until(time.budget);
        self.time = time;
    }

    /// Nanoseconds since the epoch.
    pub(crate) fn now(&self) -> Result<u64, EventBound> {
        match self.moment {
            _ if self.grants.clock => {
                Ok(u64::try_from(since_epoch().as_nanos()).unwrap_or(u64::MAX))
            }
            Moment::Of { now, .. } => Ok(now),
            Moment::Several => Err(EventBound),
        }
    }

    /// Nanoseconds since the instance was made.
    pub(crate) fn elapsed(&mut self) -> u64 {
        if self.grants.clock {
            return u64::try_from(self.started.elapsed().as_nanos()).unwrap_or(u64::MAX);
        }
        // Whoever waits for a time to come sees it come.
        self.elapsed = self.elapsed.saturating_add(1000);
        self.elapsed
    }

    pub(crate) fn sleep(&mut self, nanoseconds: u64) {
        self.elapsed = self.elapsed.saturating_add(nanoseconds);
    }

    pub(crate) fn sleep_until(&mut self, elapsed: u64) {
        self.elapsed = self.elapsed.max(elapsed);
    }

    /// The next of the event's stream of random numbers.
    pub(crate) fn random(&mut self) -> wasmtime::Result<u64> {
        if self.grants.random {
            let mut bytes = [0; 8];
            fill_random(&mut bytes)?;
            return Ok(u64::from_le_bytes(bytes));
        }
        match &mut self.moment {
            Moment::Of { random, .. } => {
                // SplitMix64, by its published constants.
                *random = random.wrapping_add(0x9e37_79b9_7f4a_7c15);
                let mixed = (*random ^ (*random >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
                let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
                Ok(mixed ^ (mixed >> 31))
            }
            Moment::Several => Err(EventBound.into()),
        }
    }

    /// Takes what is written to a standard stream: each line becomes a log line.
    pub(crate) fn print(&mut self, error: bool, bytes: &[u8]) {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            let line = &mut self.unfinished[usize::from(error)];
            let room = (LINE_BYTES + 1).saturating_sub(line.len());
            line.extend(piece.iter().filter(|byte| **byte != b'\n').take(room));
            if piece.ends_with(b"\n") {
                self.finish_line(error);
            }
        }
    }

    /// At the end of a call: what has no line end is a line all the same.
    fn finish_lines(&mut self) {
        for error in [false, true] {
            if !self.unfinished[usize::from(error)].is_empty() {
                self.finish_line(error);
            }
        }
    }

    fn finish_line(&mut self, error: bool) {
        let line = std::mem::take(&mut self.unfinished[usize::from(error)]);
        if !self.has_room_for_a_line() {
            return;
        }
        let level = if error { Level::Error } else { Level::Info };
        let events = 0..self.events;
        self.keep_line(events, level, String::from_utf8_lossy(&line).into_owned());
    }

    /// Counts the line as left out where there is none, so that a flood costs nothing but the calls.
    fn has_room_for_a_line(&mut self) -> bool {
        let room = self.logs.len() < LINES;
        self.lines_left_out += u64::from(!room);
        room
    }

    /// Where there is [room](Self::has_room_for_a_line).
    fn keep_line(&mut self, events: Range<usize>, level: Level, mut message: String) {
        if message.len() > LINE_BYTES {
            message.truncate(message.floor_char_boundary(LINE_BYTES));
            message.push('…');
        }
        self.logs.push(LogLine {
            level,
            message,
            events,
        });
    }

    /// After a call: its lines, with a last one that tells how many there is no room for.
    pub(crate) fn take_lines(&mut self) -> Vec<LogLine> {
        self.finish_lines();
        let mut lines = std::mem::take(&mut self.logs);
        let left_out = std::mem::take(&mut self.lines_left_out);
        if left_out > 0 {
            lines.push(LogLine {
                level: Level::Warn,
                message: format!("{left_out} more lines were left out"),
                events: 0..self.events,
            });
        }
        lines
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the clock that the route granted"
)]
fn since_epoch() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

fn fill_random(bytes: &mut [u8]) -> wasmtime::Result<()> {
    getrandom::fill(bytes).map_err(|error| wasmtime::format_err!("no randomness: {error}"))
}

impl ResourceLimiter for State {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        maximum: Option<usize>,
    ) -> wasmtime::Result<bool> {
        if self.not_counted > 0
            && (current, desired, maximum) == (0, self.not_counted, Some(self.not_counted))
        {
            self.not_counted = 0;
            return Ok(true);
        }
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
    linker.instance(LOG)?.func_wrap("log-for", log_for)?;
    linker
        .instance(CLOCK)?
        .func_wrap("now", |_: StoreContextMut<'_, State>, (): ()| {
            Ok((u64::try_from(since_epoch().as_millis()).unwrap_or(u64::MAX),))
        })?;
    linker.instance(RANDOM)?.func_wrap(
        "bytes",
        |_: StoreContextMut<'_, State>, (length,): (u32,)| {
            if length > RANDOM_BYTES {
                let reason = format!(
                    "wants {length} random bytes at once; there are at most {RANDOM_BYTES} a call"
                );
                return Err(Forbidden(reason).into());
            }
            let mut bytes = vec![0; length as usize];
            fill_random(&mut bytes)?;
            Ok((bytes,))
        },
    )?;
    lookup::link(&mut linker)?;
    http::link(&mut linker)?;
    Ok(linker)
}

fn log(
    store: StoreContextMut<'_, State>,
    (level, message): (WitLevel, WasmStr),
) -> wasmtime::Result<()> {
    let events = 0..store.data().events;
    keep(store, events, level, &message)
}

fn log_for(
    store: StoreContextMut<'_, State>,
    (event, level, message): (u32, WitLevel, WasmStr),
) -> wasmtime::Result<()> {
    let (all, event) = (store.data().events, event as usize);
    let events = if event < all {
        event..event + 1
    } else {
        0..all
    };
    keep(store, events, level, &message)
}

fn keep(
    mut store: StoreContextMut<'_, State>,
    events: Range<usize>,
    level: WitLevel,
    message: &WasmStr,
) -> wasmtime::Result<()> {
    if !store.data_mut().has_room_for_a_line() {
        return Ok(());
    }
    let message = message.to_str(&store)?.into_owned();
    let level = match level {
        WitLevel::Trace => Level::Trace,
        WitLevel::Debug => Level::Debug,
        WitLevel::Info => Level::Info,
        WitLevel::Warn => Level::Warn,
        WitLevel::Error => Level::Error,
    };
    store.data_mut().keep_line(events, level, message);
    Ok(())
}
