//! What comes back from a plugin, with everything inherited filled in.

use std::{ops::Range, time::Duration};

use sandbar_types::Batch;

/// The answer to a batch.
#[derive(Clone, Debug, PartialEq)]
pub struct Answer {
    /// One per event of the batch, in its order.
    pub verdicts: Vec<Verdict>,
    /// All outputs in the order of their events, complete: what a plugin did not set is inherited.
    pub outputs: Batch,
    /// Per output: an index into the targets that were given.
    pub targets: Vec<u16>,
    /// What the plugin logged, with a last line telling how many lines were left out.
    pub logs: Vec<LogLine>,
    pub usage: Usage,
}

/// What a plugin, or its sandbox, says of one event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The outputs `first..first + count` of [`Answer::outputs`]; `count` is at least 1.
    Emit { first: usize, count: usize },
    /// Left out on purpose, with the reason (which may be empty).
    Drop(String),
    /// Cannot be processed: the class of the problem, a colon, the reason.
    Reject(String),
    /// Not now, with the reason.
    Retry(String),
    /// The plugin broke on this event; none of its outputs stands.
    Fault(Fault),
}

/// How a plugin broke.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    pub kind: FaultKind,
    /// What happened, in words for the operator.
    pub message: String,
    /// The guest's functions at that moment, innermost first, one a line; may be empty.
    pub backtrace: String,
}

/// The ways in which a plugin breaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum FaultKind {
    /// It panicked or did what WebAssembly forbids.
    Trap,
    /// It did not answer in time.
    Deadline,
    /// It wanted more memory than its limit.
    Memory,
    /// Its outputs have more bytes than the limit.
    OutputLimit,
    /// One event has more outputs than the limit.
    FanOut,
    /// It named a target that is not among those given.
    UndeclaredTarget,
    /// Its answer makes no sense, or an output is no legal CloudEvent.
    BadAnswer,
}

/// How much a line matters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    /// All of them, from the least on.
    pub const ALL: [Self; 5] = [
        Self::Trace,
        Self::Debug,
        Self::Info,
        Self::Warn,
        Self::Error,
    ];

    /// As in the API: `trace`, `debug`, `info`, `warn`, `error`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// A line that a plugin logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    pub level: Level,
    pub message: String,
    /// The events of the batch that it belongs to: one where the plugin said which or the call had
    /// but one, else all of the call; none when the plugin was starting.
    pub events: Range<usize>,
}

/// What a batch cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Usage {
    /// Calls into the guest: 1, or more when the batch had to be split.
    pub calls: u32,
    /// Time spent in the plugin, with starting instances.
    pub time: Duration,
    /// Linear memory of the instance at the end, or of the largest that was thrown away before, in
    /// bytes.
    pub memory_bytes: usize,
    /// Instances started for this batch.
    pub instances_made: u32,
}
