//! The engine: wasmtime's configuration, the pool of instances, the ticker and the threads.

use std::{path::PathBuf, sync::Arc};

use wasmtime::{
    Config, InstanceAllocationStrategy, OptLevel, PoolingAllocationConfig, WasmBacktraceDetails,
    component::Linker,
};

use crate::{
    Compiler, Error, Plugin, Refusal, Standing,
    artifact::Artifacts,
    reaper::{self, Reaper},
    state::{self, State, TABLE_ELEMENTS},
    ticker::Ticker,
    workers::Workers,
};

/// How the engine is set up.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where compiled plugins are kept; `None` compiles at every start. The folder must belong to
    /// the hub alone: what lies there runs as native code.
    pub artifacts: Option<PathBuf>,
    /// Threads that run plugins.
    pub worker_threads: usize,
    /// Instances alive at a time, of each kind of plugin (with checks of our own, or with epochs).
    pub max_instances: u32,
    /// The largest memory that any step may grant an instance, in bytes. Address space, not memory:
    /// nothing is taken before a plugin touches it.
    pub max_memory_bytes: usize,
    /// The largest upload, in bytes.
    pub max_module_bytes: usize,
    /// Compiles in a process of its own; `None` compiles in this one, without limits.
    pub compiler: Option<Compiler>,
}

impl Default for EngineOptions {
    fn default() -> Self {
        Self {
            artifacts: None,
            worker_threads: std::thread::available_parallelism().map_or(2, std::num::NonZero::get),
            max_instances: 256,
            max_memory_bytes: 1 << 30,
            max_module_bytes: 64 << 20,
            compiler: None,
        }
    }
}

/// Compiles and runs plugins. Cheap to clone.
#[derive(Clone)]
pub struct Engine(pub(crate) Arc<Inner>);

/// How a guest is stopped when its time is over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stop {
    /// By checks of our own ([`crate::checks`]) and a page that is closed.
    Page,
    /// By wasmtime's epochs, which go with any component and cost more.
    Epoch,
}

impl Stop {
    pub(crate) const ALL: [Self; 2] = [Self::Page, Self::Epoch];
}

/// wasmtime, set up for one kind of guests. Whether there are epochs is a setting of the whole engine.
pub(crate) struct Runtime {
    pub(crate) wasmtime: wasmtime::Engine,
    pub(crate) linker: Linker<State>,
}

impl Runtime {
    fn new(options: &EngineOptions, stop: Stop) -> wasmtime::Result<Self> {
        let wasmtime = wasmtime::Engine::new(&config(options, stop))?;
        Ok(Self {
            linker: state::linker(&wasmtime)?,
            wasmtime,
        })
    }
}

pub(crate) struct Inner {
    page: Runtime,
    epoch: Runtime,
    pub(crate) ticker: Ticker,
    pub(crate) artifacts: Option<Artifacts>,
    pub(crate) options: EngineOptions,
    pub(crate) workers: Workers,
    pub(crate) reaper: Reaper,
}

impl Inner {
    pub(crate) fn runtime(&self, stop: Stop) -> &Runtime {
        match stop {
            Stop::Page => &self.page,
            Stop::Epoch => &self.epoch,
        }
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("options", &self.0.options)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Sets the engine up and starts its threads.
    ///
    /// # Errors
    /// When the address space for the pool, the threads or the artifact folder cannot be had.
    pub fn new(options: EngineOptions) -> Result<Self, Error> {
        let setup = |error: String| Error::Setup(error);
        let runtime =
            |stop| Runtime::new(&options, stop).map_err(|error| setup(format!("{error:#}")));
        let (page, epoch) = (runtime(Stop::Page)?, runtime(Stop::Epoch)?);
        let artifacts = match &options.artifacts {
            Some(folder) => {
                let engines = [&page.wasmtime, &epoch.wasmtime];
                Some(Artifacts::open(folder.clone(), engines)?)
            }
            None => None,
        };
        let inner = Inner {
            ticker: Ticker::start(epoch.wasmtime.clone())
                .map_err(|error| setup(error.to_string()))?,
            workers: Workers::start(options.worker_threads)
                .map_err(|error| setup(error.to_string()))?,
            reaper: Reaper::start().map_err(|error| setup(error.to_string()))?,
            page,
            epoch,
            artifacts,
            options,
        };
        Ok(Self(Arc::new(inner)))
    }

    /// Makes a plugin of uploaded bytes: checks them, wraps a core module into a component, compiles
    /// it, or takes what was compiled before from the artifact folder. Blocks for some 10 ms to
    /// minutes, so it belongs on no thread that serves or runs plugins.
    ///
    /// # Errors
    /// When the bytes are no plugin, with the missing or unknown name.
    pub fn compile(&self, bytes: &[u8]) -> Result<Plugin, Refusal> {
        Plugin::compile(self, bytes)
    }

    /// How many instances the pool holds; one with several memories takes [several](Plugin::places).
    #[must_use]
    pub fn places(&self) -> u32 {
        self.0.options.max_instances.max(1)
    }

    /// Runs a job on one of the engine's threads.
    ///
    /// # Errors
    /// When the job panics or the engine is being dropped.
    pub async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.run_as(&Standing::default(), usize::MAX, job).await
    }

    /// Runs a job of someone who has run others before: who kept a thread for long gives way to
    /// those who did not. What is long depends on how many `events` it has.
    ///
    /// # Errors
    /// When the job panics or the engine is being dropped.
    pub async fn run_as<T: Send + 'static>(
        &self,
        standing: &Standing,
        events: usize,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        self.0.workers.run(standing, events, job).await
    }
}

/// Instances in the core of one component: adapters and shims count; a Python component has 38.
const CORE_INSTANCES_PER_COMPONENT: u32 = 64;
/// Tables for each memory that there is room for.
pub(crate) const TABLES_PER_PLACE: u32 = 4;
/// A guest's stack; the engine's threads have 8 times as much.
const STACK_BYTES: usize = 512 << 10;

pub(crate) fn config(options: &EngineOptions, stop: Stop) -> Config {
    let mut config = Config::new();
    config
        .wasm_component_model(true)
        // Nothing in `wit/` is async; without it stores are lighter.
        .concurrency_support(false)
        .epoch_interruption(stop == Stop::Epoch)
        .max_wasm_stack(STACK_BYTES)
        // Files and lines are found in symbols.rs; wasmtime's own way is slow, whatever the
        // environment says.
        .wasm_backtrace_details(WasmBacktraceDetails::Disable)
        .cranelift_opt_level(OptLevel::Speed)
        // A plugin's output must not depend on the machine (promise 8).
        .cranelift_nan_canonicalization(true)
        .relaxed_simd_deterministic(true)
        .allocation_strategy(InstanceAllocationStrategy::Pooling(pool(options, stop)));
    config
}

fn pool(options: &EngineOptions, stop: Stop) -> PoolingAllocationConfig {
    let instances = options.max_instances.max(1);
    // The page is a memory too.
    let pages = u32::from(stop == Stop::Page);
    let mut pool = PoolingAllocationConfig::new();
    pool.total_component_instances(instances)
        // Memories and tables have room of their own and are counted (`Plugin::places`); core instances have none.
        .total_core_instances(instances.saturating_mul(CORE_INSTANCES_PER_COMPONENT))
        .total_memories(instances.saturating_mul(1 + pages))
        .total_tables(instances.saturating_mul(TABLES_PER_PLACE))
        .max_core_instances_per_component(CORE_INSTANCES_PER_COMPONENT)
        .max_memories_per_component(4 + pages)
        .max_tables_per_component(16)
        .max_memories_per_module(1 + pages)
        .max_tables_per_module(4)
        .table_elements(TABLE_ELEMENTS)
        .max_memory_size(options.max_memory_bytes)
        // A slot given back keeps this much for the next instance; the rest goes back to the
        // system, and so does all of a slot beyond a few idle ones.
        .linear_memory_keep_resident(reaper::KEPT)
        .table_keep_resident(16 << 10)
        .max_unused_warm_slots(8);
    pool
}
