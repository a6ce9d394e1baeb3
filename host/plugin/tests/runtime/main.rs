//! The runtime against real guests: plugins that behave, plugins that do every harm that they can,
//! and uploads that are no plugins. Wants the guests: run `scripts/guests.sh` first.

#![allow(clippy::unwrap_used)]

mod abi;
mod backtrace;
mod instances;
mod lines;
mod outputs;
mod reaching;
mod sandbox;
mod seeds;
mod stopping;
mod threads;
mod upload;
mod wasi;

use std::time::Duration;

use sandbar_plugin::{
    Answer, Engine, EngineOptions, Fault, FaultKind, Grants, Limits, Plugin, Runner, Verdict,
};
use sandbar_types::{Batch, BatchBuilder, Event, Name};

fn guest(name: &str) -> Vec<u8> {
    let path = format!(
        "{}/../../target/guests/{name}.wasm",
        env!("CARGO_MANIFEST_DIR")
    );
    std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}; run scripts/guests.sh first"))
}

/// A small engine: address space for a few instances only.
fn engine() -> Engine {
    Engine::new(EngineOptions {
        max_instances: 8,
        worker_threads: 2,
        ..EngineOptions::default()
    })
    .unwrap()
}

fn hostile() -> Plugin {
    engine().compile(&guest("guest-hostile")).unwrap()
}

/// Short enough to wait for, long enough for any honest call.
fn limits() -> Limits {
    Limits {
        deadline: Duration::from_millis(400),
        ..Limits::default()
    }
}

fn start(plugin: &Plugin) -> Runner {
    plugin
        .instantiate("null", limits(), &Grants::default())
        .unwrap()
}

fn event(kind: &str, id: impl ToString) -> Event {
    Event {
        id: id.to_string(),
        source: "/test".to_owned(),
        r#type: kind.to_owned(),
        subject: "somewhere".to_owned(),
        data: format!("data of {}", id.to_string()).into(),
        ..Event::default()
    }
}

/// `count` events that pass unchanged, but for those at the places named, which have that type.
fn batch(count: usize, special: &[(usize, &str)]) -> Batch {
    let mut batch = BatchBuilder::new();
    for index in 0..count {
        let kind = special
            .iter()
            .find(|(place, _)| *place == index)
            .map_or("pass", |(_, kind)| *kind);
        batch.push_event(&event(kind, index));
    }
    batch.finish()
}

fn targets() -> Vec<Name> {
    ["first", "second"]
        .map(|name| Name::new(name).unwrap())
        .to_vec()
}

/// Passes a batch through a fresh runner of the hostile guest.
fn run(batch: &Batch) -> Answer {
    start(&hostile()).run(batch, &targets())
}

fn faults(answer: &Answer) -> Vec<(usize, FaultKind)> {
    let found = answer.verdicts.iter().enumerate();
    found
        .filter_map(|(index, verdict)| fault(verdict).map(|fault| (index, fault.kind)))
        .collect()
}

fn fault(verdict: &Verdict) -> Option<&Fault> {
    match verdict {
        Verdict::Fault(fault) => Some(fault),
        _ => None,
    }
}

/// The ids of all outputs, in order.
fn ids(answer: &Answer) -> Vec<String> {
    answer
        .outputs
        .iter()
        .map(|output| output.id.to_owned())
        .collect()
}

/// The ids of `0..count` without those named.
fn ids_without(count: usize, without: &[usize]) -> Vec<String> {
    (0..count)
        .filter(|index| !without.contains(index))
        .map(|index| index.to_string())
        .collect()
}

/// Whether verdicts, outputs and targets belong together: each emit's outputs follow the last one's.
fn assert_whole(answer: &Answer, batch: &Batch) {
    assert_eq!(answer.verdicts.len(), batch.len());
    assert_eq!(answer.outputs.len(), answer.targets.len());
    let mut next = 0;
    for verdict in &answer.verdicts {
        if let Verdict::Emit { first, count } = verdict {
            assert_eq!(*first, next);
            assert!(*count > 0);
            next += count;
        }
    }
    assert_eq!(next, answer.outputs.len());
}
