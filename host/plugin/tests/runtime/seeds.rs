//! What the fuzzer begins with (`host/plugin/fuzz/seeds`) and what it found, on the way of an upload.
//!
//! The seeds are made here. After a change, `SANDBAR_SEEDS=write cargo test` writes them; files beside
//! them, which made something break once, are not touched.

use std::{fs, path::PathBuf, time::Duration};

use sandbar_plugin::{Capability, Grants, Limits};
use wit_component::{ComponentEncoder, StringEncoding, embed_component_metadata};

use crate::{batch, engine, targets};

const REALLOC: &str = r#"(func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
    (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
    (global.get $next)
    (global.set $next (i32.add (global.get $next) (local.get 3))))"#;
const CONFIGURE: &str = r#"(func (export "configure") (param i32 i32) (result i32) (i32.const 0))"#;

/// A plugin of records that answers with what stands at 16.
fn records(imports: &str, extra: &str, before: &str, data: &[u32]) -> String {
    let data: String = data
        .iter()
        .flat_map(|word| word.to_le_bytes())
        .map(|byte| format!("\\{byte:02x}"))
        .collect();
    format!(
        r#"(module {imports} (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (data (i32.const 16) "{data}") {extra} {REALLOC} {CONFIGURE}
            (func (export "transform") (param i32 i32) (result i32) {before} (i32.const 16)))"#
    )
}

/// Three verdicts: drop, drop, drop.
const DROPS: [u32; 14] = [32, 3, 0, 0, 1, 96, 0, 0, 1, 96, 0, 0, 1, 96];

fn columns(body: &str) -> String {
    format!(
        r#"(module (memory (export "memory") 2) (global $next (mut i32) (i32.const 4096))
            {REALLOC} {CONFIGURE}
            (func (export "transform-columns") (param i32) (result i32) {body}))"#
    )
}

fn component(mut module: Vec<u8>, world: &str) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve
        .push_source("t.wit", include_str!("../../../../wit/transform.wit"))
        .unwrap();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    embed_component_metadata(&mut module, &resolve, world, StringEncoding::UTF8).unwrap();
    let mut encoder = ComponentEncoder::default().module(&module).unwrap();
    encoder.encode().unwrap()
}

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("fuzz/seeds")
}

/// All seeds, by name.
fn seeds() -> Vec<(String, Vec<u8>)> {
    let mut seeds = Vec::new();
    let mut write = |name: &str, bytes: &[u8]| seeds.push((name.to_owned(), bytes.to_vec()));
    let log = r#"(import "sandbar:transform/log@0.1.0" "log" (func $log (param i32 i32 i32)))"#;
    let wasi = r#"(import "wasi_snapshot_preview1" "clock_time_get" (func $now (param i32 i64 i32) (result i32)))
        (import "wasi_snapshot_preview1" "random_get" (func $random (param i32 i32) (result i32)))"#;
    let many: String = (0..300)
        .map(|number| format!("(func (result i32) (i32.const {number}))"))
        .collect();
    let texts = [
        ("drops", records("", "", "", &DROPS)),
        ("columns", columns("(i32.const 16)")),
        ("logs", records(log, "", "(call $log (i32.const 2) (i32.const 16) (i32.const 8))", &DROPS)),
        ("wasi", records(wasi, "", "(drop (call $now (i32.const 0) (i64.const 0) (i32.const 512))) (drop (call $random (i32.const 512) (i32.const 8)))", &DROPS)),
        ("unknown-import", records(r#"(import "env" "abort" (func))"#, "", "", &DROPS)),
        ("endless", records("", "", "(loop (br 0))", &DROPS)),
        ("endless-start", records("", "(func $endless (loop (br 0))) (start $endless)", "", &DROPS)),
        ("trap", records("", "", "(unreachable)", &DROPS)),
        ("recursion", records("", "(func $deep (call $deep))", "(call $deep)", &DROPS)),
        ("grows", records("", "", "(loop (br_if 0 (i32.ne (memory.grow (i32.const 1)) (i32.const -1))))", &DROPS)),
        ("table", records("", "(table $t 1 funcref)", "(loop (br_if 0 (i32.ne (table.grow $t (ref.null func) (i32.const 1000)) (i32.const -1))))", &DROPS)),
        ("large-memory", records("", "", "", &DROPS).replace("\"memory\") 2", "\"memory\") 65536")),
        ("large-table", records("", "(table 4000000 funcref)", "", &DROPS)),
        ("outside", records("", "", "", &[0x7fff_fff0, 3])),
        ("too-long", records("", "", "", &[32, 0x0fff_ffff])),
        ("no-such-verdict", records("", "", "", &[32, 3, 0, 0, 9])),
        ("outputs-outside", records("", "", "", &[32, 3, 0, 0, 0, 0x7fff_fff0, 9])),
        ("many-functions", records("", &many, "", &DROPS)),
        ("simd", records("", "(func (result v128) (i8x16.swizzle (v128.const i64x2 1 2) (v128.const i64x2 3 4)))", "", &DROPS)),
        ("no-exports", "(module)".to_owned()),
        ("empty-component", "(component)".to_owned()),
        ("wrong-type", r#"(component (core module $m (func (export "f") (result i32) (i32.const 1)))
            (core instance $i (instantiate $m)) (func $f (result u32) (canon lift (core func $i "f")))
            (export "configure" (func $f)) (export "transform" (func $f)))"#.to_owned()),
        ("other-world", r#"(component (import "wasi:http/types@0.2.0" (instance))
            (import "wasi:keyvalue/store@0.2.0" (instance (export "open" (func (result (option string)))))))"#.to_owned()),
    ];
    for (name, text) in &texts {
        let bytes = wat::parse_str(text).unwrap_or_else(|error| panic!("{name}: {error}"));
        write(name, &bytes);
    }
    let module = |name: &str| {
        let text = &texts.iter().find(|(known, _)| *known == name).unwrap().1;
        wat::parse_str(text).unwrap()
    };
    let drops = component(module("drops"), "transformer");
    write("component", &drops);
    write(
        "component-columns",
        &component(module("columns"), "column-transformer"),
    );
    write("component-logs", &component(module("logs"), "transformer"));
    for (name, bytes) in [("drops", module("drops")), ("component", drops)] {
        for part in 1..4 {
            write(
                &format!("{name}-cut-{part}"),
                &bytes[..bytes.len() * part / 4],
            );
        }
    }
    write("debug", include_bytes!("debug/order.wasm"));
    write("nothing", b"");
    write("head", b"\0asm\x01\0\0\0");
    write("other-version", b"\0asm\x09\0\0\0");
    seeds
}

#[test]
fn the_seeds_are_as_they_are_made() {
    let write = std::env::var("SANDBAR_SEEDS").is_ok_and(|what| what == "write");
    for (name, bytes) in seeds() {
        let path = folder().join(format!("{name}.wasm"));
        if write {
            fs::write(&path, &bytes).unwrap();
        }
        let kept = fs::read(&path).unwrap_or_default();
        assert!(
            kept == bytes,
            "{} is another; SANDBAR_SEEDS=write writes it",
            path.display()
        );
    }
}

/// As `fuzz/targets/upload.rs` does it.
#[test]
fn every_seed_and_every_find_ends_well() {
    let engine = engine();
    let limits = Limits {
        memory_bytes: 8 << 20,
        deadline: Duration::from_millis(20),
        output_bytes: 64 << 10,
        ..Limits::default()
    };
    let grants = Grants::of(&[Capability::Clock, Capability::Random]);
    let (mut accepted, mut started) = (0, 0);
    for entry in fs::read_dir(folder()).unwrap() {
        let bytes = fs::read(entry.unwrap().path()).unwrap();
        let Ok(plugin) = engine.compile(&bytes) else {
            continue;
        };
        accepted += 1;
        let Ok(mut runner) = plugin.instantiate("null", limits, &grants) else {
            continue;
        };
        started += 1;
        let batch = batch(3, &[]);
        assert_eq!(runner.run(&batch, &targets()).verdicts.len(), 3);
    }
    assert!(accepted >= 15 && started >= 13, "{accepted} {started}");
}
