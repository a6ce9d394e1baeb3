//! What a plugin may use.

use std::{fmt, str::FromStr, time::Duration};

/// Caps on one instance and on one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Linear memory of an instance, in bytes, over all its memories.
    pub memory_bytes: usize,
    /// Time for one call with a batch, for starting, and for `configure`.
    pub deadline: Duration,
    /// Bytes of all outputs of one call.
    pub output_bytes: usize,
    /// Outputs of one event.
    pub outputs_per_event: usize,
    /// After so many calls the instance is replaced before the next batch.
    pub recycle_after_calls: u64,
    /// An instance with at least so much linear memory is replaced before the next batch.
    pub recycle_memory_bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            memory_bytes: 64 << 20,
            deadline: Duration::from_secs(1),
            output_bytes: 16 << 20,
            outputs_per_event: 1000,
            recycle_after_calls: 100_000,
            recycle_memory_bytes: 48 << 20,
        }
    }
}

/// What a plugin may ask of the hub.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Capability {
    /// Log lines; always granted.
    Log,
    /// The deterministic part of WASI; always granted.
    Wasi,
    /// The wall clock.
    Clock,
    /// Random bytes.
    Random,
    /// The latest event of a key in another topic.
    Lookup,
    /// Requests to other services.
    Http,
}

impl Capability {
    /// All of them.
    pub const ALL: [Self; 6] = [
        Self::Log,
        Self::Wasi,
        Self::Clock,
        Self::Random,
        Self::Lookup,
        Self::Http,
    ];

    /// Whether every step has it: nothing comes in by it that is not in the event.
    #[must_use]
    pub fn is_free(self) -> bool {
        matches!(self, Self::Log | Self::Wasi)
    }

    /// As in grants and in the API: `log`, `wasi`, `clock`, `random`, `lookup`, `http`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Log => "log",
            Self::Wasi => "wasi",
            Self::Clock => "clock",
            Self::Random => "random",
            Self::Lookup => "lookup",
            Self::Http => "http",
        }
    }
}

impl fmt::Display for Capability {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.as_str())
    }
}

impl FromStr for Capability {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let found = Self::ALL
            .into_iter()
            .find(|capability| capability.as_str() == text);
        found.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            format!("{text:?} is no capability; there are {known}")
        })
    }
}
