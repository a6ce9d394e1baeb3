//! Batches through a plugin, as the hub passes them.
#![allow(clippy::unwrap_used)]

use super::*;
use crate::{Verdict, column, log};

fn batch(types: &[&str]) -> Batch {
    let mut kinds = ColumnBuilder::default();
    let mut ids = ColumnBuilder::default();
    for (index, kind) in types.iter().enumerate() {
        kinds.push(kind.as_bytes());
        ids.push(index.to_string().as_bytes());
    }
    let empty = || Column {
        bytes: Vec::new(),
        ends: Vec::new(),
    };
    Batch {
        count: types.len() as u32,
        id: ids.finish(),
        source: Column {
            bytes: b"/test".to_vec(),
            ends: Vec::new(),
        },
        type_: kinds.finish(),
        subject: empty(),
        time: empty(),
        datacontenttype: empty(),
        dataschema: empty(),
        extensions: Column {
            bytes: br#"{"flag":true,"count":7,"name":"n"}"#.to_vec(),
            ends: Vec::new(),
        },
        data: Column {
            bytes: b"[1,2]".to_vec(),
            ends: Vec::new(),
        },
    }
}

fn transform(event: &Event<'_>) -> Result<Verdict, crate::Problem> {
    match event.r#type() {
        "drop" => Ok(Verdict::drop("dropped")),
        "retry" => Ok(Verdict::retry("later")),
        "reject" => Err("no good".into()),
        "json" => {
            let numbers: Vec<u32> = event.json()?;
            Ok(Verdict::emit(Output::json(&numbers.len())?))
        }
        "wrong" => event.json::<String>().map(|_| Verdict::drop("")),
        "two" => Ok(Verdict::emit_all([
            Output::inherit().subject("").target("other"),
            Output::inherit().extension("a", "1"),
        ])),
        "log" => {
            log::info("seen");
            Ok(Verdict::emit(Output::inherit()))
        }
        _ => Ok(Verdict::emit(Output::inherit())),
    }
}

#[test]
fn verdicts_and_reasons_stand_in_the_order_of_the_events() {
    let verdicts = run(
        batch(&["drop", "pass", "reject", "retry", "wrong"]),
        transform,
    );
    let kinds: Vec<u8> = verdicts.kinds.iter().map(|kind| *kind as u8).collect();
    assert_eq!(kinds, [1, 0, 2, 3, 2]);
    assert_eq!(verdicts.counts, [0, 1, 0, 0, 0]);
    let reason = |index| column::text(&verdicts.reasons, index);
    assert_eq!(
        [reason(0), reason(1), reason(2), reason(3)],
        ["dropped", "", "invalid-event: no good", "later"]
    );
    assert!(
        reason(4).starts_with("invalid-event: data: "),
        "{}",
        reason(4)
    );
}

#[test]
fn outputs_go_into_columns_and_what_is_not_set_stays_empty() {
    let verdicts = run(batch(&["json", "two", "pass"]), transform);
    assert_eq!(
        (verdicts.outputs.count, verdicts.counts.as_slice()),
        (4, &[1, 2, 1][..])
    );
    assert_eq!(verdicts.has_data, [1, 0, 0, 0]);
    assert_eq!(column::value(&verdicts.outputs.data, 0), b"2");
    assert!(verdicts.outputs.id.bytes.is_empty() && verdicts.outputs.id.ends.is_empty());
    assert_eq!(column::text(&verdicts.outputs.subject, 1), REMOVED);
    assert_eq!(
        column::text(&verdicts.outputs.extensions, 2),
        r#"{"a":"1"}"#
    );
    assert_eq!(column::text(&verdicts.targets, 1), "other");
    assert_eq!(column::text(&verdicts.targets, 3), "");
}

#[test]
fn a_batch_that_sets_all_data_says_nothing_about_it() {
    assert!(run(batch(&["json", "json"]), transform).has_data.is_empty());
}

#[test]
fn extensions_are_read_in_their_text_form() {
    let batch = batch(&["pass"]);
    let event = Event::new(&batch, 0);
    let read = ["flag", "count", "name", "none"].map(|name| event.extension(name));
    assert_eq!(
        read,
        [
            Some("true".to_owned()),
            Some("7".to_owned()),
            Some("n".to_owned()),
            None
        ]
    );
    assert_eq!((event.source(), event.subject()), ("/test", None));
}

#[test]
fn lines_are_collected_natively() {
    let _ = crate::test::log_lines();
    let _ = run(batch(&["log"]), transform);
    assert_eq!(
        crate::test::log_lines(),
        [(log::Level::Info, "seen".to_owned())]
    );
}

#[test]
fn a_config_that_does_not_fit_is_refused_with_the_reason() {
    let refused = read_config::<Vec<u32>>("{}").unwrap_err();
    assert!(
        matches!(refused, Problem::InvalidConfig(reason) if reason.contains("expected a sequence"))
    );
}
