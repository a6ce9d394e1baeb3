//! Whatever a guest does, it is stopped when its time is over: loops of every form, also those that a
//! compiler could think away, calls that multiply, and all of it in every function that the host calls.

use std::{fmt::Write as _, time::Duration};

use sandbar_plugin::{
    Engine, FaultKind, Grants, InstantiateError, Limits, Plugin, Runner, Verdict,
};

use crate::{batch, engine, fault, limits, targets};

/// A plugin of records whose functions run `$harm` where a mark stands for it. Without harm it drops one event.
fn plugin(engine: &Engine, harm: &str, place: &str) -> Plugin {
    let at = |wanted: &str| if wanted == place { "(call $harm)" } else { "" };
    let start = if place == "start" {
        "(start $harm)"
    } else {
        ""
    };
    let text = format!(
        r#"(module
            (memory (export "memory") 2)
            (global $next (mut i32) (i32.const 4096))
            (type $plain (func))
            (data (i32.const 16) "\20\00\00\00\01\00\00\00\00\00\00\00\00\00\00\00\01\00\00\00\40\00\00\00\02\00\00\00\00\00\00\00")
            {harm}
            (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                {}
                (global.set $next (i32.and (i32.add (global.get $next) (i32.const 15)) (i32.const -16)))
                (global.get $next)
                (global.set $next (i32.add (global.get $next) (local.get 3))))
            (func (export "configure") (param i32 i32) (result i32) {} (i32.const 0))
            (func (export "transform") (param i32 i32) (result i32) {} (i32.const 16))
            (func (export "cabi_post_transform") (param i32) {})
            {start})"#,
        at("realloc"),
        at("configure"),
        at("transform"),
        at("post"),
    );
    let module = wat::parse_str(&text).unwrap_or_else(|error| panic!("{text}\n{error}"));
    engine.compile(&module).unwrap()
}

fn begin(plugin: &Plugin) -> Result<Runner, InstantiateError> {
    let limits = Limits {
        deadline: Duration::from_millis(40),
        ..limits()
    };
    plugin.instantiate("null", limits, &Grants::default())
}

/// `$f0` calls `$f1` twice, and so on: no circle, and no end.
fn tower() -> String {
    let mut text = String::from("(func $harm (call $f0))");
    for floor in 0..60 {
        let next = floor + 1;
        let _ = write!(text, "(func $f{floor} (call $f{next}) (call $f{next}))");
    }
    text + "(func $f60)"
}

const ENDLESS: [(&str, &str); 14] = [
    ("an empty loop", "(func $harm (loop $l (br $l)))"),
    ("a loop with a condition", "(func $harm (loop $l (br_if $l (i32.const 1))))"),
    (
        "a loop by a table",
        "(func $harm (loop $l (br_table $l $l (i32.const 3))))",
    ),
    (
        "a loop out of blocks",
        "(func $harm (loop $l (block $b (block $c (br_if $c (i32.eqz (global.get $next))) (br $l)))))",
    ),
    (
        "a loop around one that ends",
        "(func $harm (local $i i32) (loop $l (local.set $i (i32.const 9))
            (loop $m (local.set $i (i32.sub (local.get $i) (i32.const 1))) (br_if $m (local.get $i))) (br $l)))",
    ),
    (
        "a loop in one that is not repeated",
        "(func $harm (loop $l (loop $m (br $m)) (br $l)))",
    ),
    (
        "a loop behind one that ends",
        "(func $harm (local $i i32) (loop $m (br_if $m (i32.lt_u (local.tee $i (i32.add (local.get $i) (i32.const 1))) (i32.const 9))))
            (loop $l (br $l)))",
    ),
    (
        "a loop that looks at the same place",
        "(func $harm (loop $l (br_if $l (i32.eqz (i32.load (i32.const 8))))))",
    ),
    (
        "a loop that writes the same place",
        "(func $harm (loop $l (i32.store (i32.const 8) (i32.const 0)) (br $l)))",
    ),
    (
        "a loop behind a call by a table",
        "(table funcref (elem $nothing)) (func $nothing)
         (func $harm (call_indirect (type $plain) (i32.const 0)) (loop $l (br $l)))",
    ),
    (
        "calls that multiply",
        "(func $f (param i32) (if (local.get 0) (then
            (call $f (i32.sub (local.get 0) (i32.const 1))) (call $f (i32.sub (local.get 0) (i32.const 1))))))
         (func $harm (call $f (i32.const 90)))",
    ),
    (
        "calls by a table that multiply",
        "(table funcref (elem $f)) (type $t (func (param i32)))
         (func $f (type $t) (if (local.get 0) (then
            (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0))
            (call_indirect (type $t) (i32.sub (local.get 0) (i32.const 1)) (i32.const 0)))))
         (func $harm (call $f (i32.const 90)))",
    ),
    (
        "calls that take each other's place",
        "(func $harm (return_call $other)) (func $other (return_call $harm))",
    ),
    (
        "calls by a table that take their own place",
        "(table funcref (elem $harm)) (func $harm (return_call_indirect (type $plain) (i32.const 0)))",
    ),
];

#[test]
fn endless_work_of_every_form_is_stopped() {
    let engine = engine();
    let tower = tower();
    let all = ENDLESS
        .into_iter()
        .chain([("a tower of calls", tower.as_str())]);
    for (form, harm) in all {
        let plugin = plugin(&engine, harm, "transform");
        let mut runner = begin(&plugin).unwrap();
        // Twice: the second time in a place of the pool that a stopped one had.
        for _ in 0..2 {
            let answer = runner.run(&batch(1, &[]), &targets());
            let fault = fault(&answer.verdicts[0]).unwrap_or_else(|| panic!("{form}: {answer:?}"));
            assert_eq!(fault.kind, FaultKind::Deadline, "{form}: {fault:?}");
        }
    }
}

/// What ends, but long after its time: without checks in it, it would answer as if nothing were wrong.
fn long() -> [(&'static str, String); 3] {
    // Each waits for the one before, and none can be worked out by the compiler.
    let step =
        "(i32.store (i32.const 8) (i32.load (i32.and (i32.load (i32.const 8)) (i32.const 1024))))";
    [
        (
            "straight code, called again and again",
            format!(
                "(func $work {}) (func $harm {})",
                step.repeat(3_000),
                "(call $work)".repeat(100_000)
            ),
        ),
        (
            "calls of what is little by itself",
            format!(
                "(func $work {}) (func $works {}) (func $harm {})",
                step.repeat(650),
                "(call $work)".repeat(4),
                "(call $works)".repeat(100_000)
            ),
        ),
        (
            "the whole memory filled, again and again",
            format!(
                "(func $harm (drop (memory.grow (i32.const 900))) {})",
                "(memory.fill (i32.const 65536) (i32.const 1) (i32.const 58000000))".repeat(1_000)
            ),
        ),
    ]
}

#[test]
fn long_work_is_stopped_in_its_midst() {
    let engine = engine();
    for (form, harm) in long() {
        let plugin = plugin(&engine, &harm, "transform");
        let answer = begin(&plugin).unwrap().run(&batch(1, &[]), &targets());
        let fault = fault(&answer.verdicts[0]).unwrap_or_else(|| panic!("{form}: {answer:?}"));
        assert_eq!(fault.kind, FaultKind::Deadline, "{form}: {fault:?}");
        assert!(fault.message.contains("within 40 ms"), "{form}: {fault:?}");
    }
}

#[test]
fn endless_work_is_stopped_wherever_the_host_calls() {
    let engine = engine();
    let (_, harm) = ENDLESS[0];
    for place in ["realloc", "post"] {
        let answer = match begin(&plugin(&engine, harm, place)) {
            Ok(mut runner) => runner.run(&batch(1, &[]), &targets()),
            // The config is placed by it too.
            Err(InstantiateError::Deadline(_)) if place == "realloc" => continue,
            Err(error) => panic!("{place}: {error}"),
        };
        let fault = fault(&answer.verdicts[0]).unwrap();
        assert_eq!(fault.kind, FaultKind::Deadline, "{place}: {fault:?}");
    }
    for place in ["configure", "start"] {
        let begun = begin(&plugin(&engine, harm, place));
        assert!(
            matches!(begun, Err(InstantiateError::Deadline(_))),
            "{place}"
        );
    }
}

#[test]
fn the_places_of_stopped_guests_serve_others() {
    let engine = engine();
    let (_, harm) = ENDLESS[0];
    let endless = plugin(&engine, harm, "transform");
    let harmless = plugin(&engine, "", "nowhere");
    // More of them than the pool has places.
    for _ in 0..12 {
        let mut stopped = begin(&endless).unwrap();
        stopped.run(&batch(1, &[]), &targets());
        drop(stopped);
        let answer = begin(&harmless).unwrap().run(&batch(1, &[]), &targets());
        assert!(matches!(answer.verdicts[0], Verdict::Drop(_)), "{answer:?}");
    }
}

#[test]
fn a_module_cannot_reach_the_memory_that_stops_it() {
    let reaches = r#"(module (memory (export "memory") 1)
        (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (i32.const 1024))
        (func (export "configure") (param i32 i32) (result i32) (i32.const 0))
        (func (export "transform") (param i32 i32) (result i32) (i32.load MEMORY (i32.const 0))))"#;
    let module = wat::parse_str(reaches.replace("MEMORY", "1")).unwrap();
    assert!(engine().compile(&module).is_err());
    let module = wat::parse_str(reaches.replace("MEMORY", "0")).unwrap();
    assert!(engine().compile(&module).is_ok());
}
