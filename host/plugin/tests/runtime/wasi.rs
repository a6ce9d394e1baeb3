//! WASI without the world: deterministic answers, and none that look at the machine.

use std::time::Duration;

use sandbar_plugin::{Capability, FaultKind, Grants, Level, Limits, Plugin, Verdict};
use sandbar_types::{Batch, BatchBuilder};

use crate::{engine, event, fault, guest, limits, targets};

fn plugin() -> Plugin {
    engine().compile(&guest("guest-wasi")).unwrap()
}

fn batch(asked: &[(&str, &str)]) -> Batch {
    let mut batch = BatchBuilder::new();
    for (index, (what, time)) in asked.iter().enumerate() {
        let mut event = event(what, index);
        event.time = (*time).to_owned();
        batch.push_event(&event);
    }
    batch.finish()
}

fn answers(plugin: &Plugin, batch: &Batch, grants: &[Capability]) -> Vec<String> {
    let mut runner = plugin
        .instantiate("null", limits(), &Grants::of(grants))
        .unwrap();
    let answer = runner.run(batch, &targets());
    answer
        .verdicts
        .into_iter()
        .map(|verdict| match verdict {
            Verdict::Drop(answer) => answer,
            other => panic!("{other:?}"),
        })
        .collect()
}

const TIME: &str = "2026-01-02T03:04:05.678Z";

#[test]
fn the_clock_stands_at_the_events_time() {
    let plugin = plugin();
    assert_eq!(plugin.capabilities(), [Capability::Wasi]);
    let batch = batch(&[
        ("time", TIME),
        ("preview1.time", TIME),
        ("time", ""),
        ("time", "2000-01-01T00:00:00+01:00"),
    ]);
    assert_eq!(
        answers(&plugin, &batch, &[]),
        [
            "1767323045.678000000",
            "0 1767323045678000000",
            "0.000000000",
            "946681200.000000000"
        ]
    );
}

#[test]
fn randomness_is_the_events_own() {
    let plugin = plugin();
    let asked = ["random", "random", "preview1.random", "random"].map(|what| (what, TIME));
    let whole = answers(&plugin, &batch(&asked), &[]);
    assert_eq!(whole, answers(&plugin, &batch(&asked), &[]), "made again");
    assert_ne!(whole[0], whole[1]);
    // The same event alone, in a batch of another shape, and asked through preview 1.
    let alone = answers(&plugin, &batch(&asked).slice(2, 3), &[]);
    assert_eq!(alone[0], whole[2]);
    let through_preview1 = answers(&plugin, &batch(&[("preview1.random", TIME)]), &[]);
    assert_eq!(through_preview1[0], format!("0 {}", whole[0]));
}

#[test]
fn what_the_route_grants_is_real() {
    let plugin = plugin();
    let grants = [Capability::Clock, Capability::Random];
    let asked = [("time", TIME), ("random", TIME)];
    let first = answers(&plugin, &batch(&asked), &grants);
    let second = answers(&plugin, &batch(&asked), &grants);
    assert!(!first[0].starts_with("1767323045"), "{first:?}");
    assert_ne!(first[1], second[1]);
}

#[test]
fn a_sleep_moves_the_clock_and_takes_no_time() {
    let asked = [("sleep", TIME), ("preview1.sleep", TIME)];
    // An hour each, within a deadline of less than a second.
    assert_eq!(
        answers(&plugin(), &batch(&asked), &[]),
        ["3600", "0 1 3600"]
    );
}

#[test]
fn there_is_no_environment_no_file_and_no_network() {
    let asked = [
        "environment",
        "preview1.environment",
        "preview1.files",
        "connect",
    ];
    assert_eq!(
        answers(&plugin(), &batch(&asked.map(|what| (what, TIME))), &[]),
        ["[]", "0 0 0", "8", "access-denied"]
    );
}

#[test]
fn what_cannot_say_no_by_its_type_is_named_in_a_trap() {
    let batch = batch(&[("network", TIME), ("preview1.exit", TIME), ("time", TIME)]);
    let answer = plugin()
        .instantiate("null", limits(), &Grants::default())
        .unwrap()
        .run(&batch, &targets());
    let faults: Vec<_> = answer.verdicts.iter().filter_map(fault).collect();
    assert_eq!(faults.len(), 2, "{:?}", answer.verdicts);
    assert!(faults.iter().all(|fault| fault.kind == FaultKind::Trap));
    assert!(
        faults[0]
            .message
            .contains("wasi:sockets/instance-network#instance-network")
    );
    assert!(faults[1].message.contains("exit with status 3"));
}

#[test]
fn what_is_printed_is_logged() {
    let batch = batch(&[("print", TIME), ("preview1.print", TIME)]);
    let answer = plugin()
        .instantiate("null", limits(), &Grants::default())
        .unwrap()
        .run(&batch, &targets());
    let lines: Vec<_> = (answer.logs.iter())
        .map(|line| (line.level, line.message.as_str()))
        .collect();
    assert_eq!(
        lines,
        [
            (Level::Error, "one line"),
            (Level::Info, "said by preview 1"),
            (Level::Error, "and another"),
        ]
    );
}

#[test]
fn a_batch_stays_whole_until_something_differs_from_event_to_event() {
    let plugin = plugin();
    let mut runner = plugin
        .instantiate("null", limits(), &Grants::default())
        .unwrap();
    let quiet = batch(&[("environment", TIME); 8]);
    assert_eq!(runner.run(&quiet, &targets()).usage.calls, 1);
    let mixed = batch(&[("environment", TIME), ("time", TIME), ("environment", TIME)]);
    assert_eq!(runner.run(&mixed, &targets()).usage.calls, 4);
    assert_eq!(runner.run(&quiet, &targets()).usage.calls, 8);
}

#[test]
fn a_slow_plugin_passes_within_its_deadline_and_not_beyond() {
    let plugin = plugin();
    // It takes 300 ms by the real clock.
    let batch = batch(&[("spin", TIME)]);
    for (deadline, passes) in [(10_000, true), (100, false)] {
        let limits = Limits {
            deadline: Duration::from_millis(deadline),
            ..limits()
        };
        let mut runner = plugin
            .instantiate("null", limits, &Grants::of(&[Capability::Clock]))
            .unwrap();
        let answer = runner.run(&batch, &targets());
        let kind = fault(&answer.verdicts[0]).map(|fault| fault.kind);
        assert_eq!(kind, (!passes).then_some(FaultKind::Deadline), "{answer:?}");
    }
}
