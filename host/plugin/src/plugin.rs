//! A compiled plugin.

use std::sync::Arc;

use wasmtime::component::{Component, InstancePre, Linker};

use crate::{
    Capability, Engine, Form, Grants, InstantiateError, Limits, Refusal, Runner, World, artifact,
    aside, compiler,
    engine::{Stop, TABLES_PER_PLACE},
    inspect,
    state::{State, TABLE_ELEMENTS},
    symbols::Symbols,
    wasi,
};

/// A compiled plugin: immutable, known by the digest of what was uploaded. Cheap to clone.
#[derive(Clone)]
pub struct Plugin(Arc<Inner>);

struct Inner {
    engine: Engine,
    digest: String,
    size: usize,
    form: Form,
    world: World,
    capabilities: Vec<Capability>,
    reused: bool,
    places: u32,
    stop: Stop,
    instance: InstancePre<State>,
    symbols: Symbols,
}

impl Plugin {
    pub(crate) fn compile(engine: &Engine, bytes: &[u8]) -> Result<Self, Refusal> {
        let form = inspect::form(bytes, engine.0.options.max_module_bytes)?;
        let digest = artifact::hex(bytes);
        let kept =
            engine.0.artifacts.as_ref().and_then(|artifacts| {
                artifacts.load(|stop| &engine.0.runtime(stop).wasmtime, &digest)
            });
        // Who compiles in a process of its own has something to serve meanwhile.
        if kept.is_none() && engine.0.options.compiler.is_some() {
            aside::run(|| Self::make(engine, bytes, form, &digest, None))
        } else {
            Self::make(engine, bytes, form, &digest, kept)
        }
    }

    /// `kept` is what was compiled before, where it was.
    fn make(
        engine: &Engine,
        bytes: &[u8],
        form: Form,
        digest: &str,
        kept: Option<(Stop, Component)>,
    ) -> Result<Self, Refusal> {
        let reused = kept.is_some();
        let wasmtime = |stop| Ok(engine.0.runtime(stop).wasmtime.clone());
        let (stop, component) = match kept {
            Some(kept) => kept,
            None => match &engine.0.options.compiler {
                Some(outside) => {
                    compiler::translate_outside(wasmtime, outside, &engine.0.options, form, bytes)?
                }
                None => compiler::translate(wasmtime, form, bytes)?,
            },
        };
        let (world, capabilities) = inspect::component(&component)?;
        fits(engine, &component)?;
        let linker = &engine.0.runtime(stop).linker;
        let instance = bind(linker, &component, capabilities.contains(&Capability::Wasi)).map_err(
            |error| Refusal::WrongType {
                export: "an import".to_owned(),
                detail: format!("{error:#}"),
            },
        )?;
        if !reused && let Some(artifacts) = &engine.0.artifacts {
            artifacts.store(digest, stop, &component);
        }
        Ok(Self(Arc::new(Inner {
            engine: engine.clone(),
            digest: format!("sha256:{digest}"),
            size: bytes.len(),
            form,
            world,
            capabilities,
            reused,
            places: places(&component, stop),
            stop,
            instance,
            symbols: Symbols::read(bytes, form, stop),
        })))
    }

    /// `sha256:` and the hex digest of the uploaded bytes.
    #[must_use]
    pub fn digest(&self) -> &str {
        &self.0.digest
    }

    /// Bytes that were uploaded.
    #[must_use]
    pub fn size(&self) -> usize {
        self.0.size
    }

    /// Whether a component or a core module was uploaded.
    #[must_use]
    pub fn form(&self) -> Form {
        self.0.form
    }

    /// Which world it has.
    #[must_use]
    pub fn world(&self) -> World {
        self.0.world
    }

    /// The capabilities that it imports, in order.
    #[must_use]
    pub fn capabilities(&self) -> &[Capability] {
        &self.0.capabilities
    }

    /// Whether it asks other services: what it did cannot be made undone, and each event may take
    /// its whole deadline.
    #[must_use]
    pub fn calls_out(&self) -> bool {
        self.0.capabilities.contains(&Capability::Http)
    }

    /// Whether it was compiled before and came from the artifact folder.
    #[must_use]
    pub fn is_reused(&self) -> bool {
        self.0.reused
    }

    /// How many of the engine's [places](Engine::places) an instance takes.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.0.places
    }

    /// Starts the plugin for a step: makes an instance and calls `configure` with `config`, which is
    /// JSON text (`null` when the step has none). Blocks for up to twice the deadline.
    ///
    /// # Errors
    /// When a capability that it imports is not granted, when it refuses the config, or when it
    /// breaks, takes too long or wants too much memory while starting.
    pub fn instantiate(
        &self,
        config: &str,
        limits: Limits,
        grants: &Grants,
    ) -> Result<Runner, InstantiateError> {
        let missing: Vec<Capability> = (self.0.capabilities.iter().copied())
            .filter(|capability| !grants.has(*capability))
            .collect();
        if !missing.is_empty() {
            return Err(InstantiateError::GrantMissing(missing));
        }
        let limit = self.0.engine.0.options.max_memory_bytes;
        if limits.memory_bytes > limit {
            return Err(InstantiateError::LimitTooHigh {
                wanted: limits.memory_bytes,
                limit,
            });
        }
        Runner::start(self.clone(), config.into(), limits, grants)
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.0.engine
    }

    pub(crate) fn stop(&self) -> Stop {
        self.0.stop
    }

    pub(crate) fn instance(&self) -> &InstancePre<State> {
        &self.0.instance
    }

    pub(crate) fn symbols(&self) -> &Symbols {
        &self.0.symbols
    }
}

impl std::fmt::Debug for Plugin {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Plugin")
            .field("digest", &self.0.digest)
            .field("world", &self.0.world)
            .finish()
    }
}

/// Ties the component's imports to the hub's functions.
fn bind(
    linker: &Linker<State>,
    component: &Component,
    wasi: bool,
) -> wasmtime::Result<InstancePre<State>> {
    if !wasi {
        return linker.instantiate_pre(component);
    }
    let mut linker = linker.clone();
    wasi::link(&mut linker, component)?;
    linker.instantiate_pre(component)
}

/// Whether the pool can hold an instance at all.
fn fits(engine: &Engine, component: &Component) -> Result<(), Refusal> {
    // None: the component instantiates components that it imports; the linker offers none.
    let Some(resources) = component.resources_required() else {
        return Ok(());
    };
    let limit = engine.0.options.max_memory_bytes as u64;
    let checks = [
        (
            "memory bytes",
            resources.max_initial_memory_size.unwrap_or(0),
            limit,
        ),
        (
            "table elements",
            resources.max_initial_table_size.unwrap_or(0),
            TABLE_ELEMENTS as u64,
        ),
    ];
    match checks.into_iter().find(|(_, wanted, limit)| wanted > limit) {
        Some((what, wanted, limit)) => Err(Refusal::Resources {
            what: what.to_owned(),
            wanted,
            limit,
        }),
        None => Ok(()),
    }
}

/// One for each of its memories, or for each few of its tables. The page that stops it comes with its
/// place.
fn places(component: &Component, stop: Stop) -> u32 {
    let pages = u32::from(stop == Stop::Page);
    let resources = component.resources_required();
    resources.map_or(1, |resources| {
        let for_tables = resources.num_tables.div_ceil(TABLES_PER_PLACE);
        (resources.num_memories.saturating_sub(pages))
            .max(for_tables)
            .max(1)
    })
}
