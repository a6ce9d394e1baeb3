//! The activation gate: before something goes live, its plugins run on inputs that are made from the
//! contract of the source and on the last events that are there, and what they give out is held against the
//! contracts of the targets.
//!
//! It decides, and asks a [`Pipeline`](crate::process::Pipeline) what plugins say; it stores nothing, reads no
//! log, and knows no HTTP. Work is counted in cases, so the same question has the same answer; only a plugin
//! that is so slow that [`check`] runs out of time is looked at less, and the report says so.

mod check;
mod inputs;
mod judge;
mod report;

pub use check::{Question, check};
pub use inputs::{Made, Real, make};
pub use report::{GateCase, GateFailure, GateOutput, GateReport, Outcome, Tally};
