//! What all jobs of a kind came to, for scrapes. Pure.

use std::collections::BTreeMap;

use super::job::{Job, Kind};

/// The jobs of one kind: those that are remembered, and those forgotten since the hub began.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tally {
    /// Jobs, by how they are doing or ended.
    pub states: BTreeMap<&'static str, u64>,
    /// Events that are done with, whatever came of them.
    pub done: u64,
    /// Events that a plugin or a contract did not let pass, by cause.
    pub failed: BTreeMap<String, u64>,
    /// Dead letters that were not taken, by reason.
    pub left_out: BTreeMap<String, u64>,
}

/// By kind; each kind is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Tallies(pub BTreeMap<Kind, Tally>);

impl Default for Tallies {
    fn default() -> Self {
        Self(Kind::ALL.map(|kind| (kind, Tally::default())).into())
    }
}

impl Tallies {
    pub fn add(&mut self, job: &Job) {
        let tally = self.0.entry(job.kind).or_default();
        *tally.states.entry(job.state.as_str()).or_default() += 1;
        tally.done += job.progress.done;
        for (name, count) in &job.progress.failed {
            *tally.failed.entry(name.clone()).or_default() += count;
        }
        for (name, count) in &job.progress.left_out {
            *tally.left_out.entry(name.clone()).or_default() += count;
        }
    }
}
