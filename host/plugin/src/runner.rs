//! Passes batches through one instance of a plugin, and keeps harm to the event that causes it.
//!
//! When a call traps, takes too long, or answers nonsense, the instance is thrown away and the
//! batch is tried again in halves with a fresh one, down to the single event, which then is at
//! fault. Events before and behind it keep their order.
//!
//! # Time
//! A call with the whole batch has the deadline. A part of it gets its share of the deadline, but at
//! least a sixteenth, so that a batch that is merely slow is settled in parts. A single event
//! gets the whole deadline before it is given up, until the batch has taken [`PATIENCE`] deadlines;
//! then a sixty-fourth has to do. One endless loop in a thousand events so costs about 3 deadlines,
//! a thousand of them about 40, not 2000. A thread that stands back behind all others may be given no
//! core: there a call goes on for longer ([`crate::call_time`]).
//!
//! A plugin that calls out waits for others, and its requests cannot be taken back: it gets one
//! event a call and the whole deadline for each. Whoever runs it gives it few events at a time.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sandbar_types::{Batch, Name};
use time::{OffsetDateTime, format_description::well_known::Rfc3339};
use wasmtime::{Store, Trap, UpdateDeadline, WasmBacktrace, component::Func};
use xxhash_rust::xxh3::Xxh3;

use crate::{
    Answer, Capability, Fault, FaultKind, Grants, InstantiateError, Limits, LogLine, Plugin, Usage,
    Verdict, World,
    call_time::CallTime,
    columns,
    engine::Stop,
    last_words,
    memory::Config,
    page::{self, Page},
    records,
    resolve::{self, Piece, Raw},
    state::{EventBound, Forbidden, Moment, State},
    symbols::Symbols,
    ticker::{self, Left},
};

mod work;
use work::Work;

/// How many deadlines a batch may take before single events are hurried.
const PATIENCE: u32 = 8;
/// The least share of the deadline for a part of a batch, before and after patience runs out.
const SHARE: u32 = 16;
const HURRIED_SHARE: u32 = 64;
/// Frames kept of a guest's backtrace.
const FRAMES: usize = 24;
/// What a call may lift besides its outputs: lengths, ends, verdicts.
const LIFT_PER_EVENT: usize = 512;
const LIFT_BASE: usize = 64 << 10;

/// A plugin that was started for a step. Not shared: one batch at a time.
pub struct Runner {
    plugin: Plugin,
    config: Arc<str>,
    limits: Limits,
    grants: Grants,
    instance: Option<Instance>,
    /// Whether what the event says of time and randomness must be set for each call.
    asks_wasi: bool,
    /// The plugin asks for time or randomness, which differ from event to event, or calls out, which
    /// must not be done twice because another event is at fault: each call has one event.
    one_by_one: bool,
    made: u32,
    /// The most memory that an instance had which was thrown away during this batch.
    discarded_memory: usize,
}

struct Instance {
    store: Store<State>,
    /// By which it is stopped, where it has checks.
    page: Option<Page>,
    transform: Func,
    calls: u64,
}

/// A call that failed.
struct Failed {
    fault: Fault,
    logs: Vec<LogLine>,
}

// Lives for the length of one call.
#[allow(clippy::large_enum_variant)]
enum Attempt {
    Answered(Piece, Vec<LogLine>),
    Failed(Failed),
    /// The events are not to blame: no instance could be had.
    NoInstance(String),
    /// Nobody is to blame: several events were in a call that is only right for one.
    EventBound,
}

impl Runner {
    pub(crate) fn start(
        plugin: Plugin,
        config: Arc<str>,
        limits: Limits,
        grants: &Grants,
    ) -> Result<Self, InstantiateError> {
        let mut runner = Self {
            asks_wasi: plugin.capabilities().contains(&Capability::Wasi),
            one_by_one: plugin.calls_out(),
            plugin,
            config,
            limits,
            grants: grants.clone(),
            instance: None,
            made: 0,
            discarded_memory: 0,
        };
        runner.instance = Some(runner.make()?);
        Ok(runner)
    }

    /// The plugin that runs here.
    #[must_use]
    pub fn plugin(&self) -> &Plugin {
        &self.plugin
    }

    /// Linear memory of the instance, in bytes; 0 when there is none at the moment.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.instance
            .as_ref()
            .map_or(0, |instance| instance.store.data().memory_bytes)
    }

    /// Passes a batch through the plugin. Blocks, at most some 40 deadlines long; with a plugin that
    /// [calls out](Plugin::calls_out), a deadline per event.
    ///
    /// `targets` are those that outputs may name; the first is where outputs go that name none.
    pub fn run(&mut self, batch: &Batch, targets: &[Name]) -> Answer {
        let started = Instant::now();
        self.made = 0;
        self.discarded_memory = 0;
        self.recycle();
        let mut work = Work {
            batch,
            targets,
            started,
            calls: 0,
            verdicts: Vec::with_capacity(batch.len()),
            outputs: Vec::new(),
            output_count: 0,
            output_targets: Vec::new(),
            logs: Vec::new(),
            lines_left_out: 0,
        };
        if !batch.is_empty() {
            self.part(&mut work, 0, batch.len());
        }
        let usage = Usage {
            calls: work.calls,
            time: started.elapsed(),
            memory_bytes: self.memory_bytes().max(self.discarded_memory),
            instances_made: self.made,
        };
        work.answer(usage)
    }

    /// Between batches, so that no batch sees two instances unless something broke.
    fn recycle(&mut self) {
        let worn = self.instance.as_ref().is_some_and(|instance| {
            instance.calls >= self.limits.recycle_after_calls
                || instance.store.data().memory_bytes >= self.limits.recycle_memory_bytes
        });
        if worn {
            self.end();
        }
    }

    /// Takes the instance apart, where there is one.
    fn end(&mut self) {
        if let Some(instance) = self.instance.take() {
            self.take_apart(instance.store, Left::default());
        }
    }

    /// Its instance is not to be called again. A store whose page cannot be opened never goes back to the pool,
    /// which would touch it.
    fn take_apart(&self, store: Store<State>, left: Left) {
        if left.stuck {
            std::mem::forget(store);
        } else {
            self.plugin.engine().0.reaper.take_apart(store);
        }
    }

    /// Settles the events `from..to`, in halves when it must.
    fn part(&mut self, work: &mut Work<'_>, from: usize, to: usize) {
        if self.one_by_one && to - from > 1 {
            return (from..to).for_each(|index| self.part(work, index, index + 1));
        }
        let mut budget = self.budget(work, to - from);
        loop {
            match self.attempt(work, from, to, budget) {
                Attempt::Answered(piece, logs) => return work.add(piece, logs),
                Attempt::EventBound => {
                    self.one_by_one = true;
                    return self.part(work, from, to);
                }
                Attempt::NoInstance(reason) => {
                    return work.add_all(to - from, &Verdict::Retry(reason));
                }
                Attempt::Failed(failed) => {
                    if to - from > 1 {
                        let middle = from + (to - from) / 2;
                        self.part(work, from, middle);
                        return self.part(work, middle, to);
                    }
                    let whole = self.patient_budget(work);
                    if failed.fault.kind == FaultKind::Deadline && budget < whole {
                        budget = whole;
                        continue;
                    }
                    work.keep_logs(failed.logs);
                    return work.add_all(1, &Verdict::Fault(failed.fault));
                }
            }
        }
    }

    fn budget(&self, work: &Work<'_>, events: usize) -> Duration {
        let deadline = self.limits.deadline;
        if self.plugin.calls_out() {
            return deadline;
        }
        let share = deadline.mul_f64(events as f64 / work.batch.len().max(1) as f64);
        let least = if self.is_patient(work) {
            SHARE
        } else {
            HURRIED_SHARE
        };
        share.max(deadline / least).max(ticker::TICK)
    }

    fn patient_budget(&self, work: &Work<'_>) -> Duration {
        if self.is_patient(work) {
            self.limits.deadline
        } else {
            Duration::ZERO
        }
    }

    fn is_patient(&self, work: &Work<'_>) -> bool {
        work.started.elapsed() < self.limits.deadline * PATIENCE
    }

    fn attempt(
        &mut self,
        work: &mut Work<'_>,
        from: usize,
        to: usize,
        budget: Duration,
    ) -> Attempt {
        let mut instance = match self.instance.take() {
            Some(instance) => instance,
            None => match self.make() {
                Ok(instance) => instance,
                Err(error) => return Attempt::NoInstance(error.to_string()),
            },
        };
        let part;
        let batch = if from == 0 && to == work.batch.len() {
            work.batch
        } else {
            part = work.batch.slice(from, to);
            &part
        };
        work.calls += 1;
        instance.calls += 1;
        let moment = if self.asks_wasi {
            moment(batch)
        } else {
            Moment::START
        };
        let time = CallTime::begin(budget);
        instance.store.data_mut().enter(moment, batch.len(), time);
        let lift = LIFT_BASE + LIFT_PER_EVENT * batch.len();
        instance
            .store
            .set_hostcall_fuel(self.limits.output_bytes.saturating_add(lift));
        let (called, left) = {
            let active = (self.plugin.engine().0.ticker).enter(instance.page, time);
            instance.store.set_epoch_deadline(ticker::epochs(budget));
            let called = match self.plugin.world() {
                World::ColumnTransformer => {
                    columns::call(&instance.transform, &mut instance.store, batch)
                }
                World::Transformer => {
                    records::call(&instance.transform, &mut instance.store, batch)
                }
            };
            (called, active.leave())
        };
        let logs = instance.take_logs(from);
        let raw: Raw = match called {
            Ok(raw) => raw,
            Err(error) if error.is::<EventBound>() => {
                self.discarded_memory = self
                    .discarded_memory
                    .max(instance.store.data().memory_bytes);
                self.take_apart(instance.store, left);
                return Attempt::EventBound;
            }
            Err(error) => {
                let state = instance.store.data();
                let fault = self.fault(&error, state, &logs, budget, left);
                self.discarded_memory = self.discarded_memory.max(state.memory_bytes);
                self.take_apart(instance.store, left);
                return Attempt::Failed(Failed { fault, logs });
            }
        };
        let resolved = resolve::resolve(raw, batch, work.targets, &self.limits);
        // It answered in order, so it can be called again, whatever it answered.
        if left.stuck {
            self.take_apart(instance.store, left);
        } else {
            self.instance = Some(instance);
        }
        match resolved {
            Ok(piece) => Attempt::Answered(piece, logs),
            Err(fault) => Attempt::Failed(Failed { fault, logs }),
        }
    }

    /// A fresh, configured instance.
    fn make(&mut self) -> Result<Instance, InstantiateError> {
        let engine = &self.plugin.engine().0;
        let stop = self.plugin.stop();
        let time = CallTime::begin(self.limits.deadline);
        let mut store = Store::new(
            &engine.runtime(stop).wasmtime,
            State::new(
                self.limits.memory_bytes,
                self.grants.clone(),
                time,
                engine.workers.threads(),
            ),
        );
        store.limiter(|state| state);
        store.set_hostcall_fuel(LIFT_BASE + (1 << 20));
        if stop == Stop::Epoch {
            store.epoch_deadline_callback(|context| {
                Ok(match context.data().time.more() {
                    Some(more) => UpdateDeadline::Continue(ticker::epochs(more)),
                    None => UpdateDeadline::Interrupt,
                })
            });
        }
        let _active = engine.ticker.enter(None, time);
        store.set_epoch_deadline(ticker::epochs(self.limits.deadline));
        self.made += 1;
        if stop == Stop::Page {
            store.data_mut().leave_out(page::BYTES);
        }
        let instance = match self.plugin.instance().instantiate(&mut store) {
            Ok(instance) => instance,
            Err(error) => return Err(self.no_start(&error, &mut store, Left::default())),
        };
        // Nothing of the guest's own has run until now: a module with a start has no checks.
        let page = match stop {
            Stop::Page => match Page::of(&instance, &mut store) {
                Ok(page) => Some(page),
                Err(error) => return Err(self.no_start(&error, &mut store, Left::default())),
            },
            Stop::Epoch => None,
        };
        let name = match self.plugin.world() {
            World::ColumnTransformer => columns::EXPORT,
            World::Transformer => records::EXPORT,
        };
        let missing = |name: &str| InstantiateError::Trap {
            message: format!("the export {name} is not there"),
            backtrace: String::new(),
        };
        let configure = instance
            .get_func(&mut store, "configure")
            .ok_or_else(|| missing("configure"))?;
        let transform = instance
            .get_func(&mut store, name)
            .ok_or_else(|| missing(name))?;
        store.set_epoch_deadline(ticker::epochs(self.limits.deadline));
        let time = CallTime::begin(self.limits.deadline);
        store.data_mut().time = time;
        let active = engine.ticker.enter(page, time);
        let config = Config::new(&self.config);
        let configured = configure
            .typed::<(&Config<'_>,), (Result<(), records::Problem>,)>(&store)
            .and_then(|configure| configure.call(&mut store, (&config,)));
        let left = active.leave();
        store.data_mut().memory = config.memory();
        let made = match configured {
            Ok((Ok(()),)) => Ok(Instance {
                store,
                page,
                transform,
                calls: 0,
            }),
            Ok((Err(problem),)) => {
                let refused = InstantiateError::ConfigRefused(problem.text().into_owned());
                Err((refused, store))
            }
            Err(error) => Err((self.no_start(&error, &mut store, left), store)),
        };
        made.map_err(|(error, store)| {
            self.take_apart(store, left);
            error
        })
    }

    fn no_start(
        &self,
        error: &wasmtime::Error,
        store: &mut Store<State>,
        left: Left,
    ) -> InstantiateError {
        if error.is::<wasmtime::PoolConcurrencyLimitError>() {
            return InstantiateError::Exhausted(format!("{error:#}"));
        }
        let logs = store.data_mut().take_lines();
        let fault = self.fault(error, store.data(), &logs, self.limits.deadline, left);
        match fault.kind {
            FaultKind::Deadline => InstantiateError::Deadline(self.limits.deadline),
            FaultKind::Memory => InstantiateError::Memory(self.limits.memory_bytes),
            _ => InstantiateError::Trap {
                message: fault.message,
                backtrace: fault.backtrace,
            },
        }
    }

    /// Puts a name to a failed call.
    fn fault(
        &self,
        error: &wasmtime::Error,
        state: &State,
        logs: &[LogLine],
        budget: Duration,
        left: Left,
    ) -> Fault {
        let trap = error.downcast_ref::<Trap>();
        // A check meets its closed page as it would meet the end of a memory.
        let stopped = trap == Some(&Trap::Interrupt)
            || left.stopped && trap == Some(&Trap::MemoryOutOfBounds);
        let mut backtrace = error
            .downcast_ref::<WasmBacktrace>()
            .map(|error| backtrace(error, self.plugin.symbols()))
            .unwrap_or_default();
        let root = error.root_cause().to_string();
        let (kind, message) = if stopped {
            (
                FaultKind::Deadline,
                format!("no answer within {} ms", budget.as_millis()),
            )
        } else if state.memory_refused {
            let limit = self.limits.memory_bytes;
            (
                FaultKind::Memory,
                format!("more memory wanted than the limit of {limit} bytes; {root}"),
            )
        } else if root.contains("fuel allocated for hostcalls has been exhausted") {
            let limit = self.limits.output_bytes;
            (
                FaultKind::OutputLimit,
                format!("the outputs have more bytes than the limit of {limit}"),
            )
        } else {
            // A guest that panics says why on its way out, where its language lets it.
            let said = last_words::of(logs).filter(|_| trap.is_some());
            let message = match said {
                Some(said) => {
                    backtrace.insert_str(0, &said.trace);
                    format!("{root}: {}", said.reason)
                }
                None => root.clone(),
            };
            let kind = if trap.is_some() || error.is::<Forbidden>() {
                FaultKind::Trap
            } else {
                FaultKind::BadAnswer
            };
            (kind, message)
        };
        Fault {
            kind,
            message,
            backtrace,
        }
    }
}

impl Drop for Runner {
    fn drop(&mut self) {
        self.end();
    }
}

impl Instance {
    /// The lines of a call with the events from `from` on.
    fn take_logs(&mut self, from: usize) -> Vec<LogLine> {
        let mut logs = self.store.data_mut().take_lines();
        for line in &mut logs {
            line.events = line.events.start + from..line.events.end + from;
        }
        logs
    }
}

/// What a call with these events says of time and randomness.
fn moment(batch: &Batch) -> Moment {
    if batch.len() != 1 {
        return Moment::Several;
    }
    let event = batch.get(0);
    let time = OffsetDateTime::parse(event.time, &Rfc3339).unwrap_or(OffsetDateTime::UNIX_EPOCH);
    let mut seed = Xxh3::new();
    seed.update(event.source.as_bytes());
    seed.update(&[0]);
    seed.update(event.id.as_bytes());
    Moment::Of {
        // Before 1970 there is no time that the interface could tell.
        now: u64::try_from(time.unix_timestamp_nanos()).unwrap_or(0),
        random: seed.digest(),
    }
}

/// The guest's functions, innermost first, one a line. Where the module has debug information a line
/// says file, line and column too, and functions that were inlined have lines of their own.
fn backtrace(backtrace: &WasmBacktrace, symbols: &Symbols) -> String {
    let mut lines = Vec::new();
    for frame in backtrace.frames() {
        let function = frame.func_name().map_or_else(
            || format!("function {}", frame.func_index()),
            // Without the hashes of crates.
            |name| format!("{:#}", rustc_demangle::demangle(name)),
        );
        let places = symbols.places(frame);
        if places.is_empty() {
            lines.push(function.clone());
        }
        let count = places.len();
        for (index, place) in places.into_iter().enumerate() {
            // The last one is the function itself, and the name section knows its whole path.
            let name = (place.function)
                .filter(|_| index + 1 < count)
                .unwrap_or_else(|| function.clone());
            lines.push(match place.location {
                Some(location) => format!("{name} at {location}"),
                None => name,
            });
        }
        if lines.len() >= FRAMES {
            break;
        }
    }
    lines.truncate(FRAMES);
    lines.join("\n")
}
