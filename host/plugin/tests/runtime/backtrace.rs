//! A trap tells where it happened: functions always, file and line where the module has debug
//! information.

use sandbar_plugin::Plugin;

use crate::{batch, engine, fault, start, targets};

/// The module as text, and as `wasm-tools parse -g order.wat -o order.wasm` makes it (the crate `wat`
/// with its feature `dwarf`, which would have wasmtime compiled a second time).
const TEXT: &str = include_str!("debug/order.wat");
const WITH_DEBUG: &[u8] = include_bytes!("debug/order.wasm");

fn module(debug: bool) -> Vec<u8> {
    if debug {
        WITH_DEBUG.to_vec()
    } else {
        wat::parse_str(TEXT).unwrap()
    }
}

/// What an author's tools would make of the module.
fn component(mut module: Vec<u8>) -> Vec<u8> {
    let mut resolve = wit_parser::Resolve::default();
    let package = resolve
        .push_source("t.wit", include_str!("../../../../wit/transform.wit"))
        .unwrap();
    let world = resolve
        .select_world(&[package], Some("column-transformer"))
        .unwrap();
    let utf8 = wit_component::StringEncoding::UTF8;
    wit_component::embed_component_metadata(&mut module, &resolve, world, utf8).unwrap();
    let mut encoder = wit_component::ComponentEncoder::default()
        .module(&module)
        .unwrap();
    encoder.encode().unwrap()
}

fn backtrace(plugin: &Plugin) -> String {
    let answer = start(plugin).run(&batch(1, &[]), &targets());
    fault(&answer.verdicts[0]).unwrap().backtrace.clone()
}

#[test]
fn a_module_with_debug_information_tells_file_and_line() {
    let engine = engine();
    let module = module(true);
    for bytes in [component(module.clone()), module] {
        let told = backtrace(&engine.compile(&bytes).unwrap());
        let lines: Vec<&str> = told.lines().collect();
        assert!(
            lines[0].starts_with("not_an_order at ") && lines[0].contains("order.wat:6:"),
            "{told}"
        );
        assert!(lines[1].contains("order.wat:8:"), "{told}");
    }
}

#[test]
fn a_module_without_tells_the_names() {
    let told = backtrace(&engine().compile(&module(false)).unwrap());
    assert_eq!(told.lines().next(), Some("not_an_order"), "{told}");
    assert!(!told.contains(" at "), "{told}");
}

#[test]
fn lines_are_still_there_when_the_plugin_was_compiled_before() {
    let folder = tempfile::tempdir().unwrap();
    let told: Vec<String> = (0..2)
        .map(|_| {
            let engine = sandbar_plugin::Engine::new(sandbar_plugin::EngineOptions {
                artifacts: Some(folder.path().to_owned()),
                max_instances: 2,
                ..Default::default()
            });
            let plugin = engine.unwrap().compile(&module(true)).unwrap();
            format!("{} {}", plugin.is_reused(), backtrace(&plugin))
        })
        .collect();
    assert!(
        told[1].starts_with("true") && told[1].contains("order.wat:6:"),
        "{told:?}"
    );
}
