//! What may be uploaded, and how the rest is refused.

use sandbar_plugin::{Engine, EngineOptions, FaultKind, Form, Refusal, World};

use crate::{batch, engine, faults, guest, hostile, start, targets};

fn refusal(bytes: &[u8]) -> Refusal {
    engine().compile(bytes).map(|_| ()).unwrap_err()
}

fn wat(text: &str) -> Vec<u8> {
    wat::parse_str(text).unwrap()
}

/// A module by hand, without any description of its world.
fn by_hand(extra: &str, transform: &str) -> Vec<u8> {
    wat(&format!(
        r#"(module {extra}
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
            {transform})"#
    ))
}

const COLUMNS: &str =
    r#"(func (export "transform-columns") (param i32) (result i32) (i32.const 16))"#;

#[test]
fn a_core_module_by_hand_is_wrapped() {
    let plugin = engine().compile(&by_hand("", COLUMNS)).unwrap();
    assert_eq!(
        (plugin.world(), plugin.form()),
        (World::ColumnTransformer, Form::CoreModule)
    );
    assert!(plugin.capabilities().is_empty());
    // It answers with no verdicts at all.
    let answer = start(&plugin).run(&batch(2, &[]), &targets());
    assert_eq!(
        faults(&answer),
        [(0, FaultKind::BadAnswer), (1, FaultKind::BadAnswer)]
    );
    let records = r#"(func (export "transform") (param i32 i32) (result i32) (i32.const 16))"#;
    assert_eq!(
        engine().compile(&by_hand("", records)).unwrap().world(),
        World::Transformer
    );
}

#[test]
fn bytes_that_are_no_webassembly_are_refused() {
    assert_eq!(refusal(b""), Refusal::NotWasm);
    assert_eq!(refusal(b"#!/bin/sh"), Refusal::NotWasm);
    assert!(matches!(refusal(b"\0asm\x01"), Refusal::Invalid(_)));
    assert!(matches!(refusal(b"\0asm\x09\0\0\0"), Refusal::Version(_)));
    let whole = guest("guest-hostile");
    for cut in [9, 100, whole.len() / 2, whole.len() - 1] {
        let refused = refusal(&whole[..cut]);
        assert!(
            matches!(refused, Refusal::Invalid(_) | Refusal::MissingExport(_)),
            "{cut}: {refused:?}"
        );
    }
}

#[test]
fn an_upload_that_is_too_large_is_refused() {
    let options = EngineOptions {
        max_module_bytes: 1000,
        max_instances: 1,
        ..EngineOptions::default()
    };
    let refused = Engine::new(options)
        .unwrap()
        .compile(&guest("guest-hostile"))
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, Refusal::TooLarge { limit: 1000, .. }));
}

#[test]
fn a_missing_export_is_named() {
    assert_eq!(
        refusal(&by_hand("", "")),
        Refusal::MissingExport("transform or transform-columns".to_owned())
    );
    assert_eq!(
        refusal(&wat(&format!("(module {COLUMNS})"))),
        Refusal::MissingExport("configure".to_owned())
    );
    assert_eq!(
        refusal(&wat("(component)")),
        Refusal::MissingExport("transform or transform-columns".to_owned())
    );
}

#[test]
fn an_unknown_import_is_named() {
    let import = r#"(import "env" "abort" (func (param i32)))
        (import "wasi_unstable" "fd_write" (func (param i32 i32 i32 i32) (result i32)))"#;
    let expected = ["env::abort", "wasi_unstable::fd_write"]
        .map(str::to_owned)
        .to_vec();
    assert_eq!(
        refusal(&by_hand(import, COLUMNS)),
        Refusal::UnknownImport(expected)
    );
}

#[test]
fn a_component_of_another_world_is_refused_with_both_names() {
    let other = r#"(component
        (import "wasi:keyvalue/store@0.2.0" (instance (export "open" (func (result (option string))))))
        (import "wasi:http/types@0.2.0" (instance)))"#;
    let refused = refusal(&wat(other));
    let text = refused.to_string();
    for name in [
        "transform-columns",
        "wasi:keyvalue/store@0.2.0",
        "wasi:http/types@0.2.0",
    ] {
        assert!(text.contains(name), "{text}");
    }
    assert!(matches!(refused, Refusal::OtherWorld { .. }));
}

#[test]
fn an_export_of_another_type_is_named() {
    let wrong = r#"(component
        (core module $m (func (export "f") (result i32) (i32.const 1)))
        (core instance $i (instantiate $m))
        (func $f (result u32) (canon lift (core func $i "f")))
        (export "configure" (func $f))
        (export "transform" (func $f)))"#;
    assert!(
        matches!(refusal(&wat(wrong)), Refusal::WrongType { export, .. } if export == "configure")
    );
    let wrong = r#"(func (export "transform-columns") (param i64) (result i32) (i32.const 16))"#;
    let text = refusal(&by_hand("", wrong)).to_string();
    assert!(text.contains("transform-columns"), "{text}");
}

#[test]
fn a_plugin_that_starts_with_more_memory_than_the_pool_has_is_refused() {
    let options = EngineOptions {
        max_memory_bytes: 1 << 20,
        max_instances: 1,
        ..EngineOptions::default()
    };
    let refused = Engine::new(options)
        .unwrap()
        .compile(&guest("guest-hostile"))
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, Refusal::Resources { .. } | Refusal::Invalid(_)),
        "{refused:?}"
    );
}

#[test]
fn the_digest_is_that_of_the_upload() {
    let plugin = engine().compile(&by_hand("", COLUMNS)).unwrap();
    let again = engine().compile(&by_hand("", COLUMNS)).unwrap();
    assert_eq!(plugin.digest(), again.digest());
    assert_eq!(plugin.digest().len(), "sha256:".len() + 64);
    assert_ne!(plugin.digest(), hostile().digest());
}

mod artifacts {
    use std::{fs, path::PathBuf};

    use super::*;

    fn with(folder: &tempfile::TempDir) -> Engine {
        let options = EngineOptions {
            artifacts: Some(folder.path().into()),
            max_instances: 2,
            ..EngineOptions::default()
        };
        Engine::new(options).unwrap()
    }

    fn only_file(folder: &tempfile::TempDir) -> PathBuf {
        let files: Vec<PathBuf> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().path())
            .collect();
        assert_eq!(files.len(), 1, "{files:?}");
        files[0].clone()
    }

    #[test]
    fn what_was_compiled_is_taken_at_the_next_start() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = guest("guest-hostile");
        assert!(!with(&folder).compile(&bytes).unwrap().is_reused());
        let plugin = with(&folder).compile(&bytes).unwrap();
        assert!(plugin.is_reused());
        assert_eq!(plugin.world(), World::ColumnTransformer);
        assert_eq!(
            start(&plugin).run(&batch(3, &[]), &targets()).outputs.len(),
            3
        );
    }

    #[test]
    fn a_damaged_artifact_is_compiled_again() {
        let bytes = guest("guest-hostile");
        let folder = tempfile::tempdir().unwrap();
        with(&folder).compile(&bytes).unwrap();
        let path = only_file(&folder);
        let sound = fs::read(&path).unwrap();
        let mut flipped = sound.clone();
        *flipped.last_mut().unwrap() ^= 1;
        for damaged in [
            flipped.as_slice(),
            &sound[..sound.len() / 2],
            b"",
            &sound[8..],
        ] {
            fs::write(&path, damaged).unwrap();
            let plugin = with(&folder).compile(&bytes).unwrap();
            assert!(!plugin.is_reused());
            assert_eq!(
                start(&plugin).run(&batch(3, &[]), &targets()).outputs.len(),
                3
            );
            assert!(
                with(&folder).compile(&bytes).unwrap().is_reused(),
                "it was written again"
            );
        }
    }

    #[test]
    fn an_artifact_under_another_name_is_not_taken() {
        let folder = tempfile::tempdir().unwrap();
        with(&folder).compile(&guest("guest-hostile")).unwrap();
        let hostile = only_file(&folder);
        let kept = fs::read(&hostile).unwrap();
        fs::remove_file(&hostile).unwrap();
        with(&folder).compile(&guest("guest-capabilities")).unwrap();
        fs::write(only_file(&folder), kept).unwrap();
        assert!(
            !with(&folder)
                .compile(&guest("guest-capabilities"))
                .unwrap()
                .is_reused()
        );
    }

    #[test]
    fn what_another_version_compiled_is_removed() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = guest("guest-hostile");
        with(&folder).compile(&bytes).unwrap();
        let current = only_file(&folder);
        let name = current.file_name().unwrap().to_str().unwrap();
        let digest = name.split('-').next().unwrap();
        fs::rename(
            &current,
            folder
                .path()
                .join(format!("{digest}-0123456789abcdef.plugin")),
        )
        .unwrap();
        assert!(!with(&folder).compile(&bytes).unwrap().is_reused());
        assert_eq!(only_file(&folder), current);
    }
}
