//! Starting, replacing and refusing instances.

use std::time::Duration;

use sandbar_plugin::{Capability, FaultKind, Grants, InstantiateError, Limits, Verdict};

use crate::{batch, engine, fault, faults, guest, hostile, limits, start, targets};

fn calls(runner: &mut sandbar_plugin::Runner) -> String {
    let answer = runner.run(&batch(1, &[(0, "calls")]), &targets());
    String::from_utf8(answer.outputs.data(0).to_vec()).unwrap()
}

#[test]
fn an_instance_is_kept_between_batches_and_replaced_after_a_trap() {
    let mut runner = start(&hostile());
    assert_eq!(calls(&mut runner), "1");
    assert_eq!(calls(&mut runner), "2");
    let answer = runner.run(&batch(1, &[(0, "trap")]), &targets());
    assert_eq!(faults(&answer), [(0, FaultKind::Trap)]);
    assert_eq!(
        calls(&mut runner),
        "1",
        "nothing of the broken instance is left"
    );
}

#[test]
fn an_instance_is_replaced_after_its_calls() {
    let limits = Limits {
        recycle_after_calls: 2,
        ..limits()
    };
    let mut runner = hostile()
        .instantiate("null", limits, &Grants::default())
        .unwrap();
    let seen: Vec<String> = (0..5).map(|_| calls(&mut runner)).collect();
    assert_eq!(seen, ["1", "2", "1", "2", "1"]);
}

#[test]
fn an_instance_is_replaced_when_it_has_grown() {
    let mut runner = start(&hostile());
    let grown: Vec<usize> = (0..12)
        .map(|_| runner.run(&batch(1, &[(0, "keep")]), &targets()))
        .inspect(|answer| assert!(matches!(answer.verdicts[0], Verdict::Emit { .. })))
        .map(|answer| answer.usage.memory_bytes)
        .collect();
    assert!(
        grown.windows(2).any(|pair| pair[1] < pair[0]),
        "memory came back: {grown:?}"
    );
    assert!(grown.iter().all(|memory| *memory <= limits().memory_bytes));
}

#[test]
fn a_config_that_the_plugin_refuses_comes_with_its_reason() {
    let refused = hostile()
        .instantiate("\"refuse\"", limits(), &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        refused,
        InstantiateError::ConfigRefused("invalid-config: /mode: refused as asked".to_owned())
    );
}

#[test]
fn a_plugin_that_breaks_or_hangs_in_configure_is_refused() {
    match hostile()
        .instantiate("\"trap\"", limits(), &Grants::default())
        .map(|_| ())
    {
        Err(InstantiateError::Trap { message, .. }) => {
            assert!(
                message.contains("trapped in configure as asked"),
                "{message}"
            );
        }
        other => panic!("{other:?}"),
    }
    let limits = Limits {
        deadline: Duration::from_millis(30),
        ..limits()
    };
    let hung = hostile()
        .instantiate("\"loop\"", limits, &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(hung, InstantiateError::Deadline(limits.deadline));
}

#[test]
fn what_is_imported_and_not_granted_is_named() {
    let plugin = engine().compile(&guest("guest-capabilities")).unwrap();
    assert_eq!(
        plugin.capabilities(),
        [Capability::Log, Capability::Clock, Capability::Random]
    );
    let missing = plugin
        .instantiate("null", limits(), &Grants::of(&[Capability::Clock]))
        .map(|_| ())
        .unwrap_err();
    assert_eq!(
        missing,
        InstantiateError::GrantMissing(vec![Capability::Random])
    );
    assert!(missing.to_string().contains("random"));
}

#[test]
fn a_plugin_asks_only_for_what_it_calls() {
    let plugin = engine().compile(&guest("guest-orders-columns")).unwrap();
    assert_eq!(plugin.capabilities(), [Capability::Log]);
}

#[test]
fn a_memory_limit_below_what_the_plugin_starts_with_is_refused() {
    let limits = Limits {
        memory_bytes: 64 << 10,
        ..limits()
    };
    let refused = hostile()
        .instantiate("null", limits, &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert_eq!(refused, InstantiateError::Memory(64 << 10));
}

#[test]
fn a_memory_limit_above_the_engines_is_refused() {
    let limits = Limits {
        memory_bytes: usize::MAX,
        ..limits()
    };
    let refused = hostile()
        .instantiate("null", limits, &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert!(matches!(refused, InstantiateError::LimitTooHigh { .. }));
}

#[test]
fn a_full_pool_blames_no_event() {
    let plugin = hostile();
    let mut runners: Vec<_> = (0..8).map(|_| start(&plugin)).collect();
    let refused = plugin
        .instantiate("null", limits(), &Grants::default())
        .map(|_| ())
        .unwrap_err();
    assert!(
        matches!(refused, InstantiateError::Exhausted(_)),
        "{refused:?}"
    );
    // A runner that lost its instance, and then its place in the pool, asks for a retry.
    let mut broken = runners.pop().unwrap();
    let answer = broken.run(&batch(1, &[(0, "trap")]), &targets());
    assert!(fault(&answer.verdicts[0]).is_some());
    let taker = start(&plugin);
    let answer = broken.run(&batch(2, &[]), &targets());
    assert!(
        matches!(
            answer.verdicts.as_slice(),
            [Verdict::Retry(_), Verdict::Retry(_)]
        ),
        "{answer:?}"
    );
    drop(taker);
    let answer = broken.run(&batch(2, &[]), &targets());
    assert_eq!(answer.outputs.len(), 2);
}
