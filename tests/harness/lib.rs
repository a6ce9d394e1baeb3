//! Starts the built hub and speaks to it as users do: processes, signals, files and HTTP.
//!
//! It links nothing of the hub; what it knows, the API's documents say.

mod answer;
mod api;
mod cli;
#[cfg(target_os = "linux")]
mod clock;
mod events;
mod guests;
mod process;
mod receiver;

pub use answer::{Answer, assert_problem};
pub use cli::{Ran, path_with_toolchains};
#[cfg(target_os = "linux")]
pub use clock::WallClock;
pub use events::{Publish, event, json_event};
pub use guests::{guest, variant};
pub use process::{Hub, Options, binary, repository, run_to_failure};
pub use receiver::{Received, Receiver, Reply};

/// How long anything may take before a test gives up. No test depends on how quick things are.
pub const WATCHDOG: std::time::Duration = std::time::Duration::from_secs(60);
