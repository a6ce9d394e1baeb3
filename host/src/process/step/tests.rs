//! Decisions: where outputs go, what waits, what is not written twice.

use sandbar_types::{BatchBuilder, Event, Name};

use super::*;

fn name(text: &str) -> Name {
    Name::new(text).expect("a name")
}

fn batch(keys: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new();
    for (index, key) in keys.iter().enumerate() {
        builder.push_event(&Event {
            id: format!("e{index}"),
            source: "/test".into(),
            r#type: "t".into(),
            subject: (*key).to_owned(),
            ..Event::default()
        });
    }
    builder.finish()
}

struct Case {
    lane: Lane,
    batch: Batch,
    offsets: Vec<Offset>,
    verdicts: Vec<Verdict>,
    written: Written,
}

impl Case {
    fn new(keys: &[&str], verdicts: Vec<Verdict>) -> Self {
        Self {
            lane: Lane::default(),
            batch: batch(keys),
            offsets: (0..keys.len() as u64).collect(),
            verdicts,
            written: Written::new(),
        }
    }

    /// Every output goes to `out`; there are as many as the verdicts name.
    fn decide(&self) -> Decision {
        let outputs = (self.verdicts.iter())
            .map(|verdict| {
                if let Verdict::Emit { count, .. } = verdict {
                    *count
                } else {
                    0
                }
            })
            .sum::<usize>();
        let processed = Processed {
            verdicts: self.verdicts.clone(),
            outputs: batch(&vec!["k"; outputs]),
            targets: vec![0; outputs],
        };
        decide(&Input {
            lane: &self.lane,
            batch: &self.batch,
            offsets: &self.offsets,
            processed: &processed,
            targets: &[Target {
                topic: name("out"),
                partitions: 1,
            }],
            policy: &RetryPolicy {
                max_attempts: 2,
                initial_ms: 10,
                max_ms: 10,
            },
            written: &self.written,
            dead_letters: &PartitionId::new(name("sandbar.dead-letters"), 0),
            now: 1000,
            wall: 1000,
        })
    }
}

fn retry() -> Verdict {
    Verdict::Retry {
        reason: "busy".into(),
        step: 0,
    }
}

fn emit(first: usize, count: usize) -> Verdict {
    Verdict::Emit { first, count }
}

fn origins(decision: &Decision) -> Vec<(Offset, u32)> {
    let writes = decision.writes.iter().flat_map(|(_, placed)| placed);
    writes.map(|placed| (placed.offset, placed.index)).collect()
}

#[test]
fn later_events_of_a_key_wait_behind_the_one_that_is_tried_again() {
    let mut case = Case::new(
        &["a", "b", "a", "b"],
        vec![retry(), emit(0, 1), emit(1, 1), emit(2, 2)],
    );
    let decision = case.decide();
    assert_eq!(
        origins(&decision),
        [(1, 0), (3, 0), (3, 1)],
        "b goes on, a waits"
    );
    assert_eq!(decision.lane.lines["a"].offsets, [0, 2]);
    assert_eq!((decision.lane.low(), decision.lane.next), (0, 4));

    // The line is due: its two events come back, and now the plugin takes them.
    case.lane = decision.lane;
    case.batch = batch(&["a", "a"]);
    case.offsets = vec![0, 2];
    case.verdicts = vec![emit(0, 1), emit(1, 1)];
    let decision = case.decide();
    assert_eq!(origins(&decision), [(0, 0), (2, 0)]);
    assert!(decision.lane.lines.is_empty());
    assert_eq!((decision.lane.low(), decision.lane.counts.read), (4, 4));
}

#[test]
fn an_event_that_is_tried_too_often_becomes_a_dead_letter_and_lets_its_key_go() {
    let mut case = Case::new(&["a", "a"], vec![retry(), emit(0, 1)]);
    case.lane = case.decide().lane;
    let decision = case.decide();
    assert_eq!(decision.parked.len(), 1);
    assert_eq!(decision.parked[0].failure.cause, Cause::RetriesExhausted);
    assert_eq!(
        (decision.parked[0].offset, decision.parked[0].attempts),
        (0, 2)
    );
    assert_eq!(origins(&decision), [(1, 0)]);
    assert_eq!(decision.lane.low(), 2);
}

#[test]
fn what_the_log_already_has_is_counted_but_not_written_again() {
    let mut case = Case::new(&["a", "b"], vec![emit(0, 2), emit(2, 1)]);
    let found = HashSet::from([(0, 0), (1, 0)]);
    case.written.insert(PartitionId::new(name("out"), 0), found);
    let decision = case.decide();
    assert_eq!(origins(&decision), [(0, 1)]);
    assert_eq!(decision.lane.counts.emitted["out"], 3);
}

#[test]
fn an_event_that_was_given_up_before_a_restart_stays_given_up() {
    let mut case = Case::new(&["a"], vec![emit(0, 1)]);
    let parked = PartitionId::new(name("sandbar.dead-letters"), 0);
    case.written.insert(parked, HashSet::from([(0, 0)]));
    let decision = case.decide();
    assert_eq!((origins(&decision).len(), decision.parked.len()), (0, 0));
    assert_eq!(decision.lane.counts.dead_letters, 1);
}

#[test]
fn drops_and_failures_are_counted() {
    let failure = Failure {
        cause: Cause::Rejected,
        reason: "no".into(),
        step: 0,
    };
    let verdicts = vec![
        Verdict::Drop("noise".into()),
        Verdict::Fail(failure),
        emit(0, 0),
    ];
    let decision = Case::new(&["a", "b", "c"], verdicts).decide();
    let counts = &decision.lane.counts;
    assert_eq!(
        (counts.read, counts.rejected, counts.dead_letters),
        (3, 1, 1)
    );
    assert_eq!(counts.dropped["noise"], 1);
    assert!(decision.writes.is_empty());
}
