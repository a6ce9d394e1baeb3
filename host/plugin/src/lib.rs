//! The plugin runtime: takes uploaded bytes, makes runnable plugins of them, and passes batches of
//! events through, inside limits that no plugin can step over.
//!
//! ```text
//! bytes ─ inspect ─ (checks; wrap a core module) ─ compile ─ artifact on disk ─▶ Plugin
//! Plugin ─ instantiate(config, limits, grants) ─▶ Runner ─ run(batch, targets) ─▶ Answer
//! ```
//!
//! It knows nothing of the log, of routes, of storage and of HTTP. Which of the two worlds of
//! `wit/` a plugin uses is known in here only. Calls block: they belong on the threads that
//! [`Engine::run`] offers, never on the workers of an async runtime.

mod abi;
mod answer;
mod artifact;
mod aside;
mod attributes;
mod call_time;
mod checks;
mod columns;
mod compiler;
mod engine;
mod footing;
mod grants;
pub mod http;
mod inspect;
mod last_words;
mod limits;
pub mod lookup;
mod memory;
mod page;
mod pauses;
mod plugin;
mod reaper;
mod records;
mod refusal;
mod resolve;
mod runner;
mod state;
mod symbols;
mod ticker;
mod wasi;
mod workers;
mod wrap;

pub use answer::{Answer, Fault, FaultKind, Level, LogLine, Usage, Verdict};
pub use artifact::digest;
pub use compiler::{Compiler, compiler_process};
pub use engine::{Engine, EngineOptions};
pub use grants::Grants;
pub use inspect::{Form, World};
pub use limits::{Capability, Limits};
pub use plugin::Plugin;
pub use refusal::{Error, InstantiateError, Refusal};
pub use runner::Runner;
pub use workers::Standing;
