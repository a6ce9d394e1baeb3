//! Raw answers of guests, made by hand, and what they are resolved to.
#![allow(clippy::unwrap_used)]

use bytes::Bytes;
use sandbar_types::EventRef;

use super::*;

fn batch(count: usize) -> Batch {
    let mut batch = BatchBuilder::new();
    for index in 0..count {
        batch.push(EventRef {
            id: &format!("id-{index}"),
            source: "/s",
            r#type: "t",
            subject: "",
            time: "",
            datacontenttype: "",
            dataschema: "",
            extensions: if index % 2 == 0 { r#"{"a":1}"# } else { "" },
            data: format!("data {index}").as_bytes(),
        });
    }
    batch.finish()
}

/// An answer that emits every event unchanged.
fn unchanged(count: usize) -> Raw {
    Raw {
        kinds: vec![Kind::Emit; count],
        counts: vec![1; count],
        reasons: Column::Empty,
        count,
        outputs: std::array::from_fn(|_| Column::Empty),
        targets: Column::Empty,
        has_data: vec![0; count],
    }
}

fn each(values: &[&str]) -> Column {
    let mut ends = Vec::new();
    let mut bytes = Vec::new();
    for value in values {
        bytes.extend_from_slice(value.as_bytes());
        ends.push(u32::try_from(bytes.len()).unwrap());
    }
    Column::Each {
        bytes: bytes.into(),
        ends,
    }
}

fn resolved(raw: Raw, batch: &Batch) -> Result<Piece, Fault> {
    resolve(
        raw,
        batch,
        &[Name::new("only").unwrap()],
        &Limits::default(),
    )
}

#[test]
fn untouched_columns_are_shared_not_copied() {
    let batch = batch(4);
    let piece = resolved(unchanged(4), &batch).unwrap();
    assert_eq!(piece.outputs, batch);
    let start = |batch: &Batch| match &batch.columns()[DATA] {
        Column::Each { bytes, .. } => bytes.as_ptr(),
        other => panic!("{other:?}"),
    };
    assert_eq!(start(&piece.outputs), start(&batch));
}

#[test]
fn outputs_inherit_from_their_own_event_when_others_are_dropped() {
    let batch = batch(4);
    let raw = Raw {
        kinds: vec![Kind::Drop, Kind::Emit, Kind::Retry, Kind::Emit],
        counts: vec![0, 2, 0, 1],
        reasons: each(&["why", "", "later", ""]),
        count: 3,
        has_data: vec![0, 1, 0],
        outputs: {
            let mut outputs: [Column; 9] = std::array::from_fn(|_| Column::Empty);
            outputs[3] = each(&["x", "", "\0"]);
            outputs[EXTENSIONS] = each(&["", r#"{"b":true}"#, ""]);
            outputs[DATA] = each(&["", "new", ""]);
            outputs
        },
        targets: Column::Same(Bytes::from_static(b"only")),
    };
    let piece = resolved(raw, &batch).unwrap();
    let expected = [
        Verdict::Drop("why".to_owned()),
        Verdict::Emit { first: 0, count: 2 },
        Verdict::Retry("later".to_owned()),
        Verdict::Emit { first: 2, count: 1 },
    ];
    assert_eq!(piece.verdicts, expected);
    let found: Vec<_> = piece
        .outputs
        .iter()
        .map(|output| (output.id, output.subject, output.extensions, output.data))
        .collect();
    let expected: [(&str, &str, &str, &[u8]); 3] = [
        ("id-1", "x", "", b"data 1"),
        ("id-1/1", "", r#"{"b":true}"#, b"new"),
        ("id-3", "", "", b"data 3"),
    ];
    assert_eq!(found, expected);
}

#[test]
fn emitting_nothing_is_a_drop_without_a_reason() {
    let raw = Raw {
        counts: vec![0],
        count: 0,
        has_data: Vec::new(),
        ..unchanged(1)
    };
    let piece = resolved(raw, &batch(1)).unwrap();
    assert_eq!(piece.verdicts, [Verdict::Drop(String::new())]);
    assert!(piece.outputs.is_empty());
}

#[test]
fn a_claim_of_billions_of_outputs_costs_nothing() {
    let raw = Raw {
        counts: vec![1, u32::MAX],
        count: u32::MAX as usize + 1,
        has_data: Vec::new(),
        ..unchanged(2)
    };
    let piece = resolved(raw, &batch(2)).unwrap();
    assert_eq!(piece.verdicts[0], Verdict::Emit { first: 0, count: 1 });
    assert!(matches!(&piece.verdicts[1], Verdict::Fault(fault) if fault.kind == FaultKind::FanOut));
    assert_eq!(piece.outputs.len(), 1);
}

#[test]
fn ends_inside_of_a_character_are_refused() {
    let mut raw = unchanged(2);
    raw.outputs[3] = Column::Each {
        bytes: Bytes::from_static("ü".as_bytes()),
        ends: vec![1, 2],
    };
    let fault = resolved(raw, &batch(2)).unwrap_err();
    assert!(
        fault.message.contains("subject is not UTF-8"),
        "{}",
        fault.message
    );
}

#[test]
fn outputs_of_events_that_are_not_emitted_are_refused() {
    let raw = Raw {
        kinds: vec![Kind::Drop],
        ..unchanged(1)
    };
    assert_eq!(
        resolved(raw, &batch(1)).unwrap_err().kind,
        FaultKind::BadAnswer
    );
}

#[test]
fn a_wrong_value_for_all_outputs_is_no_single_events() {
    let spoil: [fn(&mut Raw); 3] = [
        |raw| raw.outputs[EXTENSIONS] = Column::Same(Bytes::from_static(b"no")),
        |raw| raw.outputs[4] = Column::Same(Bytes::from_static(b"yesterday")),
        |raw| raw.targets = Column::Same(Bytes::from_static(b"elsewhere")),
    ];
    for spoil in spoil {
        for events in [1, 3] {
            let mut raw = unchanged(events);
            spoil(&mut raw);
            match resolved(raw, &batch(events)) {
                Ok(piece) => {
                    assert_eq!(events, 1, "{piece:?}");
                    assert!(matches!(piece.verdicts[0], Verdict::Fault(_)), "{piece:?}");
                }
                Err(_) => assert_eq!(events, 3),
            }
        }
    }
}
