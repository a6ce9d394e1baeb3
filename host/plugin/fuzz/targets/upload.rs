//! The way of an upload: inspect, wrap, validate, compile; and what is accepted is started and gets
//! events, inside tight limits. Whatever the bytes are, this ends soon, without a panic, and with a verdict
//! for each event.
//!
//! Compiling happens in this process, so that its code is watched, too.

#![no_main]

use std::{sync::LazyLock, time::Duration};

use libfuzzer_sys::{fuzz_mutator, fuzz_target, fuzzer_mutate};
use sandbar_plugin::{Capability, Engine, EngineOptions, Grants, Limits};
use sandbar_types::{Batch, BatchBuilder, Event, Name};
use wasm_mutate::WasmMutate;

static ENGINE: LazyLock<Engine> = LazyLock::new(|| {
    Engine::new(EngineOptions {
        worker_threads: 1,
        max_instances: 4,
        max_memory_bytes: 32 << 20,
        max_module_bytes: 1 << 20,
        ..EngineOptions::default()
    })
    .expect("an engine")
});

const LIMITS: Limits = Limits {
    memory_bytes: 8 << 20,
    deadline: Duration::from_millis(20),
    output_bytes: 64 << 10,
    outputs_per_event: 10,
    recycle_after_calls: 3,
    recycle_memory_bytes: 4 << 20,
};

fn events() -> Batch {
    let mut batch = BatchBuilder::new();
    for index in 0..3 {
        batch.push_event(&Event {
            id: index.to_string(),
            source: "/fuzz".to_owned(),
            r#type: "shop.order".to_owned(),
            time: "2026-01-02T03:04:05Z".to_owned(),
            data: r#"{"number":1,"lines":[]}"#.into(),
            ..Event::default()
        });
    }
    batch.finish()
}

fuzz_target!(|bytes: &[u8]| {
    let Ok(plugin) = ENGINE.compile(bytes) else {
        return;
    };
    let grants = Grants::of(&[Capability::Clock, Capability::Random]);
    let Ok(mut runner) = plugin.instantiate("null", LIMITS, &grants) else {
        return;
    };
    let targets = ["first", "second"].map(|name| Name::new(name).expect("a name"));
    let batch = events();
    for _ in 0..2 {
        let answer = runner.run(&batch, &targets);
        assert_eq!(answer.verdicts.len(), batch.len());
        assert_eq!(answer.outputs.len(), answer.targets.len());
        assert!(answer.usage.memory_bytes <= LIMITS.memory_bytes);
    }
});

fuzz_mutator!(|data: &mut [u8], size: usize, max_size: usize, seed: u32| {
    if seed % 4 != 0
        && let Some(mutated) = by_structure(&data[..size], seed)
        && mutated.len() <= max_size
    {
        data[..mutated.len()].copy_from_slice(&mutated);
        return mutated.len();
    }
    fuzzer_mutate(data, size, max_size)
});

/// Another module of a module; none of anything else.
fn by_structure(module: &[u8], seed: u32) -> Option<Vec<u8>> {
    // wasm-mutate believes what a module says of itself.
    if !module.starts_with(b"\0asm\x01\0\0\0") || wasmparser::validate(module).is_err() {
        return None;
    }
    let mut mutate = WasmMutate::default();
    mutate.seed(seed.into()).fuel(300).preserve_semantics(false);
    mutate.run(module).ok()?.next()?.ok()
}
