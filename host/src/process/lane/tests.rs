//! Lanes: order per key, what `low` means, backoff.

use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    initial_ms: 100,
    max_ms: 250,
};

fn again() -> Settlement {
    Settlement::Again {
        reason: "busy".into(),
    }
}

#[test]
fn low_stays_at_the_first_event_that_waits() {
    let mut lane = Lane::starting_at(5);
    lane.settle(5, "a", &again(), &POLICY, 0);
    lane.settle(6, "b", &Settlement::Settled, &POLICY, 0);
    lane.settle(7, "a", &Settlement::Behind, &POLICY, 0);
    assert_eq!((lane.low(), lane.next, lane.waiting()), (5, 8, 2));
    lane.settle(5, "a", &Settlement::Settled, &POLICY, 10);
    assert_eq!((lane.low(), lane.waiting()), (7, 1));
    assert_eq!(
        lane.first_due(),
        Some(("a", 10)),
        "the next of the key is due at once"
    );
    lane.settle(7, "a", &Settlement::Settled, &POLICY, 11);
    assert_eq!((lane.low(), lane.waiting(), lane.counts.read), (8, 0, 3));
}

#[test]
fn backoff_doubles_up_to_its_limit() {
    let mut lane = Lane::default();
    let mut waits = Vec::new();
    for _ in 0..4 {
        lane.settle(0, "a", &again(), &POLICY, 1000);
        waits.push(lane.first_due().map_or(0, |(_, due)| due - 1000));
    }
    assert_eq!(waits, [100, 200, 250, 250]);
    assert_eq!(lane.attempts("a", 0), 4);
    assert_eq!(lane.attempts("a", 1), 0);
}

#[test]
fn a_plugin_with_endless_reasons_cannot_fill_the_memory() {
    let mut counts = Counts::default();
    for index in 0..1000 {
        counts.drop_for(&format!("id {index}"), 1);
    }
    assert_eq!(counts.dropped.len(), MOST_REASONS + 1);
    assert_eq!(counts.dropped[OTHER_REASONS], 900);
    assert_eq!(counts.dropped.values().sum::<u64>(), 1000);
}
