//! Why the runtime says no. Each text says what, where, and what to do.

use std::time::Duration;

use crate::Capability;

/// Why the engine cannot work.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("the WebAssembly engine cannot be set up: {0}")]
    Setup(String),
    #[error("the folder for compiled plugins, {path}: {error}")]
    Artifacts { path: String, error: std::io::Error },
    #[error("a plugin thread panicked: {0}")]
    Panicked(String),
    #[error("the engine is stopping")]
    Stopping,
}

/// Why uploaded bytes are no plugin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error, serde::Serialize, serde::Deserialize)]
pub enum Refusal {
    #[error(
        "these bytes are not WebAssembly: they do not start with \\0asm; upload a component or a core module"
    )]
    NotWasm,
    #[error("the module has {size} bytes; at most {limit} are allowed")]
    TooLarge { size: usize, limit: usize },
    #[error(
        "WebAssembly of version {0} is not known; upload a component (layer 1) or a core module (version 1)"
    )]
    Version(String),
    #[error("the WebAssembly is damaged or uses what this hub does not support: {0}")]
    Invalid(String),
    #[error(
        "the plugin does not export {0}; a plugin exports configure and either transform (world transformer) or transform-columns (world column-transformer) of sandbar:transform@0.1.0"
    )]
    MissingExport(String),
    #[error("the plugin imports {}; a plugin may import only sandbar:transform/log, /clock, /random, /lookup and /http at 0.1.0, and WASI 0.2 or wasi_snapshot_preview1", .0.join(", "))]
    UnknownImport(Vec<String>),
    #[error("the plugin has neither the exports nor the imports of a Sandbar plugin: it does not export {missing}, and it imports {}; build it against sandbar:transform@0.1.0", unknown.join(", "))]
    OtherWorld {
        missing: String,
        unknown: Vec<String>,
    },
    #[error("{export} has another type than in sandbar:transform@0.1.0: {detail}")]
    WrongType { export: String, detail: String },
    #[error("the core module cannot be made a component: {0}")]
    Unwrappable(String),
    #[error("{0}; these are the hub's limits, see --compile-memory-bytes and --compile-seconds")]
    Compiler(String),
    #[error("the plugin needs {what} of {wanted} at its start; at most {limit} is allowed")]
    Resources {
        what: String,
        wanted: u64,
        limit: u64,
    },
}

/// Why a plugin cannot be started for a step.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InstantiateError {
    #[error("the plugin imports {}, which the step does not grant; add to the step's grants: {}", names(.0), to_write(.0))]
    GrantMissing(Vec<Capability>),
    #[error("the plugin refuses its config: {0}")]
    ConfigRefused(String),
    #[error("the plugin broke while starting: {message}")]
    Trap { message: String, backtrace: String },
    #[error("the plugin did not start within {} ms", .0.as_millis())]
    Deadline(Duration),
    #[error("the plugin needs more memory at its start than its limit of {0} bytes")]
    Memory(usize),
    #[error("a memory limit of {wanted} bytes is more than this hub allows, {limit}")]
    LimitTooHigh { wanted: usize, limit: usize },
    #[error("no room for another plugin instance: {0}")]
    Exhausted(String),
}

fn names(capabilities: &[Capability]) -> String {
    let names: Vec<&str> = capabilities
        .iter()
        .map(|capability| capability.as_str())
        .collect();
    names.join(", ")
}

/// What the grants would be, as JSON.
fn to_write(capabilities: &[Capability]) -> String {
    let entries: Vec<String> = capabilities
        .iter()
        .map(|capability| match capability {
            Capability::Lookup => r#"{"lookup": {"topics": ["TOPIC"]}}"#.to_owned(),
            Capability::Http => r#"{"http": {"hosts": ["HOST"]}}"#.to_owned(),
            other => format!("\"{other}\""),
        })
        .collect();
    entries.join(", ")
}
