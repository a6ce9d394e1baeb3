//! Runs made by hand, and what differs between them.
#![allow(clippy::unwrap_used)]

use sandbar_types::{BatchBuilder, Event};

use super::*;
use crate::process::Cause;

fn batch(data: &[&str]) -> Batch {
    let mut builder = BatchBuilder::new();
    for (index, data) in data.iter().enumerate() {
        builder.push_event(&Event {
            id: index.to_string(),
            source: "/test".to_owned(),
            r#type: "t".to_owned(),
            data: (*data).to_owned().into(),
            ..Event::default()
        });
    }
    builder.finish()
}

/// One output per event, to the first target.
fn emitted(data: &[&str]) -> Processed {
    Processed {
        verdicts: (0..data.len())
            .map(|first| Verdict::Emit { first, count: 1 })
            .collect(),
        outputs: batch(data),
        targets: vec![0; data.len()],
    }
}

fn differences(active: &Processed, candidate: &Processed) -> Vec<Difference> {
    let source = Source {
        partition: &PartitionId::new(Name::new("in").unwrap(), 3),
        offsets: &(100..).take(active.verdicts.len()).collect::<Vec<_>>(),
        batch: &batch(&vec!["{}"; active.verdicts.len()]),
        targets: &[Name::new("out").unwrap(), Name::new("other").unwrap()],
    };
    compare(&source, active, candidate)
}

#[test]
fn what_is_the_same_is_no_difference() {
    let one = emitted(&[r#"{"a":1,"b":[2]}"#]);
    assert!(differences(&one, &one).is_empty());
    let spaced = emitted(&[r#"{ "b": [2], "a": 1 }"#]);
    assert!(
        differences(&one, &spaced).is_empty(),
        "only the bytes differ"
    );
}

#[test]
fn what_a_value_does_not_hold_counts_too() {
    for (one, other) in [
        (r#"{"a":"\ud800","b":1}"#, r#"{"a":"\ud800","b":2}"#),
        (
            r#"{"n":12345678901234567890123}"#,
            r#"{"n":12345678901234567890124}"#,
        ),
        (r#"{"n":1e400}"#, r#"{"n":1e401}"#),
    ] {
        let (one, other) = (emitted(&[one]), emitted(&[other]));
        let found = differences(&one, &other);
        assert_eq!(found.len(), 1);
        let places: Vec<_> = found[0].places.keys().collect();
        assert_eq!(places.len(), 1, "{places:?}");
        assert!(
            places[0].starts_with("/outputs/*/event/data/"),
            "{places:?}"
        );
        assert!(differences(&one, &one).is_empty());
    }
}

#[test]
fn changed_fields_are_counted_by_place_with_any_index() {
    let active = emitted(&["{}", r#"{"lines":[{"n":1},{"n":2}],"old":true}"#]);
    let candidate = emitted(&["{}", r#"{"lines":[{"n":3},{"n":4}],"new":true}"#]);
    let found = differences(&active, &candidate);
    assert_eq!(found.len(), 1);
    let example = &found[0].example;
    assert_eq!(
        (
            example.topic.as_str(),
            example.partition,
            example.offset,
            example.id.as_str()
        ),
        ("in", 3, 101, "1")
    );
    let counts = |added, removed, changed| PlaceCounts {
        added,
        removed,
        changed,
    };
    let expected = [
        ("/outputs/*/event/data/lines/*/n", counts(0, 0, 2)),
        ("/outputs/*/event/data/new", counts(1, 0, 0)),
        ("/outputs/*/event/data/old", counts(0, 1, 0)),
    ];
    let expected: Vec<_> = expected
        .map(|(place, counts)| (place.to_owned(), counts))
        .into();
    assert_eq!(
        found[0].places.clone().into_iter().collect::<Vec<_>>(),
        expected
    );
}

#[test]
fn another_verdict_target_or_reason_is_a_difference() {
    let active = emitted(&["{}"]);
    let mut elsewhere = active.clone();
    elsewhere.targets = vec![1];
    let found = differences(&active, &elsewhere);
    assert_eq!(
        found[0].places.keys().collect::<Vec<_>>(),
        ["/outputs/*/target"]
    );
    let mut dropped = active.clone();
    dropped.verdicts = vec![Verdict::Drop("noise".to_owned())];
    let found = differences(&active, &dropped);
    assert_eq!(
        (
            found[0].example.active.as_str(),
            found[0].example.candidate.as_str()
        ),
        ("emit", "drop")
    );
    let mut otherwise = dropped.clone();
    otherwise.verdicts = vec![Verdict::Drop("other".to_owned())];
    assert_eq!(differences(&dropped, &otherwise).len(), 1);
}

#[test]
fn backtraces_do_not_count() {
    let failed = |reason: &str| Processed {
        verdicts: vec![Verdict::Fail(Failure {
            cause: Cause::Trap,
            reason: reason.to_owned(),
            step: 0,
        })],
        outputs: batch(&[]),
        targets: Vec::new(),
    };
    assert!(differences(&failed("boom\nf1\nf2"), &failed("boom\ng1")).is_empty());
    assert_eq!(differences(&failed("boom"), &failed("bang")).len(), 1);
}
