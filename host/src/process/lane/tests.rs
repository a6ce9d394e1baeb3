//! Lanes: order per key, what `low` means, backoff.

use super::*;

const POLICY: RetryPolicy = RetryPolicy {
    max_attempts: 3,
    initial_ms: 100,
    max_ms: 250,
};

fn again() -> Settlement {
    Settlement::Again {
        at: 0,
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

fn put_back(lane: &mut Lane, offset: Offset, key: &str, now: u64) {
    let event = PutBack {
        offset,
        key: key.to_owned(),
        redrives: 1,
    };
    lane.put_back(&event, now);
}

#[test]
fn what_is_put_back_stands_where_its_offset_belongs() {
    let mut lane = Lane::starting_at(0);
    for offset in 0..6 {
        lane.settle(offset, "a", &Settlement::Settled, &POLICY, 0);
    }
    lane.settle(6, "a", &again(), &POLICY, 0);
    lane.settle(6, "a", &again(), &POLICY, 0);
    for offset in [4, 2, 4] {
        put_back(&mut lane, offset, "a", 50);
    }
    put_back(&mut lane, 99, "b", 50);
    assert_eq!(lane.lines["a"].offsets, [2, 4, 6]);
    assert_eq!(
        (lane.low(), lane.waiting()),
        (2, 3),
        "what was never read is left alone"
    );
    assert_eq!(
        lane.due(50, 10),
        ["a"],
        "though the one behind waits longer"
    );
    assert_eq!(
        (lane.attempts("a", 2), lane.redrives(4), lane.redrives(6)),
        (0, 1, 0)
    );
    lane.settle(2, "a", &Settlement::Settled, &POLICY, 60);
    lane.settle(4, "a", &Settlement::Settled, &POLICY, 60);
    assert_eq!(lane.attempts("a", 6), 2, "its attempts are not forgotten");
    assert_eq!(lane.told("a", 6).len(), 2);
    assert_eq!(lane.due(60, 10), [""; 0], "nor when it is due");
    lane.settle(6, "a", &Settlement::Settled, &POLICY, 300);
    assert_eq!((lane.counts.read, lane.counts.redriven), (7, 2));
    assert!(lane.redrives.is_empty() && lane.lines.is_empty());
}

#[test]
fn what_retention_deleted_waits_no_longer() {
    let mut lane = Lane::starting_at(0);
    for offset in 0..5 {
        lane.settle(offset, "a", &Settlement::Settled, &POLICY, 0);
    }
    for (offset, key) in [(1, "a"), (3, "a"), (2, "b")] {
        put_back(&mut lane, offset, key, 0);
    }
    lane.skip_to(3);
    assert_eq!((lane.low(), lane.waiting(), lane.next), (3, 1, 5));
    lane.forget(3);
    assert_eq!((lane.low(), lane.redrives.len()), (5, 0));
}

#[test]
fn a_checkpoint_of_before_there_were_redrives_is_read() {
    let stored = r#"{"next":7,"lines":{"a":{"offsets":[3],"attempts":1,"due":9,"reason":"busy"}},
        "counts":{"read":6,"emitted":{},"dropped":{},"rejected":0,"dead_letters":0,"retries":1}}"#;
    let lane: Lane = serde_json::from_str(stored).expect("it is read");
    assert_eq!(
        (lane.low(), lane.attempts("a", 3), lane.counts.redriven),
        (3, 1, 0)
    );
    let mut lane = lane;
    put_back(&mut lane, 1, "b", 0);
    let text = serde_json::to_string(&lane).expect("it is written");
    assert_eq!(
        serde_json::from_str::<Lane>(&text).expect("it is read"),
        lane
    );
}
