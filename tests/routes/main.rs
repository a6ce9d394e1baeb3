//! Routes, plugins and dead letters.
#![allow(clippy::unwrap_used)]

mod bundled;
mod capabilities;
mod channels;
mod decoded;
mod documents;
mod flow;
mod gate;
mod gate_formats;
mod hostile;
mod logs;
mod plugins;
mod shadows;
mod troubles;

use serde_json::{Value, json};

/// A step with `mapper@1`, which puts `stamp` into each trail.
fn step(stamp: &str) -> Value {
    json!({"plugin": "mapper@1", "config": {"stamp": stamp}})
}

/// The data of events.
fn data(events: &[Value]) -> Vec<Value> {
    events.iter().map(|one| one["data"].clone()).collect()
}
