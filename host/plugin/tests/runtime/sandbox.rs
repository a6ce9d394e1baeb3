//! Every harm is kept to the event that causes it.

use std::time::{Duration, Instant};

use sandbar_plugin::{FaultKind, Grants, Level, Limits, Verdict};

use crate::{
    assert_whole, batch, fault, faults, hostile, ids, ids_without, limits, run, start, targets,
};

#[test]
fn a_trap_parks_only_the_event_that_causes_it() {
    let batch = batch(1000, &[(0, "trap"), (437, "trap"), (999, "trap")]);
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    assert_eq!(
        faults(&answer),
        [
            (0, FaultKind::Trap),
            (437, FaultKind::Trap),
            (999, FaultKind::Trap)
        ]
    );
    assert_eq!(ids(&answer), ids_without(1000, &[0, 437, 999]));
    assert!(
        answer.usage.calls < 70,
        "{} calls for 3 traps in 1000",
        answer.usage.calls
    );
}

#[test]
fn a_trap_tells_what_the_guest_said() {
    let answer = run(&batch(1, &[(0, "trap")]));
    let fault = fault(&answer.verdicts[0]).unwrap();
    assert!(
        fault.message.contains("trapped as asked by 0"),
        "{}",
        fault.message
    );
    assert!(fault.backtrace.contains("transform"), "{}", fault.backtrace);
    assert_eq!(
        answer.logs.len(),
        1,
        "the panic's line, once: {:?}",
        answer.logs
    );
}

#[test]
fn a_trap_at_every_seventh_event_parks_every_seventh() {
    let nth: Vec<usize> = (0..200).filter(|index| index % 7 == 3).collect();
    let traps: Vec<(usize, &str)> = nth.iter().map(|index| (*index, "trap")).collect();
    let batch = batch(200, &traps);
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    let expected: Vec<_> = nth.iter().map(|index| (*index, FaultKind::Trap)).collect();
    assert_eq!(faults(&answer), expected);
    assert_eq!(ids(&answer), ids_without(200, &nth));
}

#[test]
fn an_endless_loop_parks_only_its_event_and_costs_few_deadlines() {
    let batch = batch(1000, &[(321, "loop")]);
    let started = Instant::now();
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    assert_eq!(faults(&answer), [(321, FaultKind::Deadline)]);
    assert_eq!(ids(&answer), ids_without(1000, &[321]));
    assert!(
        started.elapsed() < limits().deadline * 6,
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn nothing_but_endless_loops_is_bounded_too() {
    let all: Vec<(usize, &str)> = (0..64).map(|index| (index, "loop")).collect();
    let limits = Limits {
        deadline: Duration::from_millis(160),
        ..limits()
    };
    let mut runner = hostile()
        .instantiate("null", limits, &Grants::default())
        .unwrap();
    let started = Instant::now();
    let answer = runner.run(&batch(64, &all), &targets());
    assert_eq!(faults(&answer).len(), 64);
    assert!(
        started.elapsed() < limits.deadline * 40,
        "{:?}",
        started.elapsed()
    );
}

#[test]
fn memory_is_capped() {
    let batch = batch(10, &[(4, "memory")]);
    // Long enough to come to the cap on a machine with other work.
    let limits = Limits {
        deadline: Duration::from_secs(20),
        ..limits()
    };
    let mut runner = hostile()
        .instantiate("null", limits, &Grants::default())
        .unwrap();
    let answer = runner.run(&batch, &targets());
    assert_whole(&answer, &batch);
    assert_eq!(faults(&answer), [(4, FaultKind::Memory)]);
    assert!(answer.usage.memory_bytes <= limits.memory_bytes);
}

#[test]
fn the_stack_is_capped() {
    assert_eq!(
        faults(&run(&batch(3, &[(1, "recurse")]))),
        [(1, FaultKind::Trap)]
    );
}

#[test]
fn output_bytes_are_capped() {
    let batch = batch(10, &[(7, "huge")]);
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    assert_eq!(faults(&answer), [(7, FaultKind::OutputLimit)]);
    assert_eq!(ids(&answer), ids_without(10, &[7]));
}

#[test]
fn what_is_inherited_counts_as_output_too() {
    let limits = Limits {
        output_bytes: 1000,
        ..limits()
    };
    let mut runner = hostile()
        .instantiate("null", limits, &Grants::default())
        .unwrap();
    let mut big = sandbar_types::BatchBuilder::new();
    big.push_event(&crate::event("pass", "small"));
    big.push_event(&sandbar_types::Event {
        data: vec![b'x'; 400].into(),
        ..crate::event("three", "big")
    });
    let answer = runner.run(&big.finish(), &targets());
    assert_eq!(faults(&answer), [(1, FaultKind::OutputLimit)]);
    assert_eq!(ids(&answer), ["small"]);
}

#[test]
fn a_batch_whose_outputs_are_too_much_together_passes_in_parts() {
    let limits = Limits {
        output_bytes: 1000,
        ..limits()
    };
    let mut runner = hostile()
        .instantiate("null", limits, &Grants::default())
        .unwrap();
    let all: Vec<(usize, &str)> = (0..40).map(|index| (index, "three")).collect();
    let batch = batch(40, &all);
    let answer = runner.run(&batch, &targets());
    assert_whole(&answer, &batch);
    assert_eq!((faults(&answer).len(), answer.outputs.len()), (0, 120));
    assert!(answer.usage.calls > 1);
}

#[test]
fn fan_out_is_capped_and_pinned_without_a_second_call() {
    let batch = batch(10, &[(2, "fan-out")]);
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    assert_eq!(faults(&answer), [(2, FaultKind::FanOut)]);
    assert_eq!(answer.usage.calls, 1);
}

#[test]
fn an_undeclared_target_is_named_and_none_of_the_outputs_stands() {
    let batch = batch(5, &[(1, "target"), (3, "half")]);
    let answer = run(&batch);
    assert_whole(&answer, &batch);
    assert_eq!(
        faults(&answer),
        [
            (1, FaultKind::UndeclaredTarget),
            (3, FaultKind::UndeclaredTarget)
        ]
    );
    assert_eq!(ids(&answer), ids_without(5, &[1, 3]));
    let message = &fault(&answer.verdicts[3]).unwrap().message;
    assert!(
        message.contains("\"nowhere\"") && message.contains("first, second"),
        "{message}"
    );
}

#[test]
fn answers_that_make_no_sense_park_only_the_event_that_causes_them() {
    for lie in ["fewer", "counts", "ends", "backwards", "utf8", "has-data"] {
        let kind = format!("lie-{lie}");
        let batch = batch(20, &[(13, &kind)]);
        let answer = run(&batch);
        assert_whole(&answer, &batch);
        assert_eq!(faults(&answer), [(13, FaultKind::BadAnswer)], "{lie}");
        assert_eq!(ids(&answer), ids_without(20, &[13]), "{lie}");
    }
}

#[test]
fn illegal_attributes_are_named() {
    for (kind, name) in [
        ("no-id", "id"),
        ("bad-time", "time"),
        ("bad-extension", "Not-Legal"),
        ("control", "subject"),
    ] {
        let batch = batch(6, &[(2, kind)]);
        let answer = run(&batch);
        assert_whole(&answer, &batch);
        assert_eq!(faults(&answer), [(2, FaultKind::BadAnswer)], "{kind}");
        let message = &fault(&answer.verdicts[2]).unwrap().message;
        assert!(message.contains(name), "{message}");
        assert_eq!(answer.usage.calls, 1, "{kind}");
    }
}

#[test]
fn a_spoiled_extension_column_is_pinned() {
    // The guest spoils the column of all outputs: halves tell which event led to it.
    let answer = run(&batch(9, &[(4, "lie-extensions")]));
    assert_eq!(faults(&answer), [(4, FaultKind::BadAnswer)]);
}

#[test]
fn log_lines_come_back_and_a_flood_is_cut() {
    let answer = run(&batch(3, &[(1, "log")]));
    assert_eq!(answer.logs.len(), 1);
    assert_eq!(
        (answer.logs[0].level, answer.logs[0].message.as_str()),
        (Level::Warn, "seen 1")
    );
    let answer = run(&batch(3, &[(1, "chatter")]));
    assert_eq!(answer.logs.len(), 101);
    assert_eq!(answer.logs[100].message, "99900 more lines were left out");
    assert!(matches!(answer.verdicts[1], Verdict::Emit { .. }));
}

#[test]
fn harm_of_every_kind_in_one_batch() {
    let special = [
        (3, "trap"),
        (10, "loop"),
        (20, "drop"),
        (30, "fan-out"),
        (40, "reject"),
        (50, "huge"),
        (60, "three"),
    ];
    let batch = batch(100, &special);
    let answer = start(&hostile()).run(&batch, &targets());
    assert_whole(&answer, &batch);
    let expected = [
        (3, FaultKind::Trap),
        (10, FaultKind::Deadline),
        (30, FaultKind::FanOut),
        (50, FaultKind::OutputLimit),
    ];
    assert_eq!(faults(&answer), expected);
    assert_eq!(answer.outputs.len(), 100 - 6 + 2);
}
