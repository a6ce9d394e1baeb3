//! What a plugin says is what comes out, in both worlds alike.

use sandbar_plugin::{Answer, Form, Grants, Verdict, World};
use sandbar_types::{Batch, BatchBuilder, Event};

use crate::{batch, engine, event, guest, ids, limits, run, start, targets};

fn orders() -> Batch {
    let mut batch = BatchBuilder::new();
    for number in 0..300_u64 {
        let data = match number {
            100 => b"no json".to_vec(),
            200 => br#"{"number":1,"customer":{"name":"a","city":"b"},"lines":[],"note":null}"#
                .to_vec(),
            number => guest_orders::sample(number),
        };
        let mut order = Event {
            data: data.into(),
            ..event("shop.order.paid", number)
        };
        if number % 3 == 0 {
            order.subject.clear();
            order.extensions.insert(
                "partitionkey".to_owned(),
                sandbar_types::AttributeValue::Integer(7),
            );
        }
        batch.push_event(&order);
    }
    batch.finish()
}

fn without_usage(mut answer: Answer) -> Answer {
    answer.usage = sandbar_plugin::Usage::default();
    answer
}

#[test]
fn both_worlds_give_the_same() {
    let engine = engine();
    let columns = engine.compile(&guest("guest-orders-columns")).unwrap();
    let records = engine.compile(&guest("guest-orders-records")).unwrap();
    assert_eq!(
        (columns.world(), columns.form()),
        (World::ColumnTransformer, Form::CoreModule)
    );
    assert_eq!(
        (records.world(), records.form()),
        (World::Transformer, Form::CoreModule)
    );
    let batch = orders();
    let columns = without_usage(start(&columns).run(&batch, &targets()));
    let records = without_usage(start(&records).run(&batch, &targets()));
    assert_eq!(columns.verdicts, records.verdicts);
    assert_eq!(columns.targets, records.targets);
    assert!(columns.outputs.iter().eq(records.outputs.iter()));
    assert_eq!(columns.outputs.len(), 298);
    assert!(
        matches!(&columns.verdicts[100], Verdict::Reject(reason) if reason.starts_with("invalid-event: "))
    );
    assert_eq!(
        columns.verdicts[200],
        Verdict::Drop("nothing to send".to_owned())
    );
    let output = columns.outputs.get(0).to_event();
    assert_eq!(
        (output.id.as_str(), output.r#type.as_str()),
        ("0", "dispatch.parcel")
    );
    assert_eq!(
        (output.subject.as_str(), output.extensions.len()),
        ("parcel-0", 1)
    );
}

#[test]
fn the_same_batch_gives_the_same_answer() {
    let plugin = engine().compile(&guest("guest-orders-columns")).unwrap();
    let batch = orders();
    let mut runner = start(&plugin);
    let first = without_usage(runner.run(&batch, &targets()));
    assert_eq!(first, without_usage(runner.run(&batch, &targets())));
    assert_eq!(first, without_usage(start(&plugin).run(&batch, &targets())));
}

#[test]
fn an_unchanged_event_passes_with_everything_that_it_has() {
    let mut batch = BatchBuilder::new();
    let mut full = event("pass", "1");
    full.time = "2026-01-31T12:00:00Z".to_owned();
    full.datacontenttype = "text/plain".to_owned();
    full.dataschema = "https://example.org/schema".to_owned();
    full.extensions.insert(
        "trace".to_owned(),
        sandbar_types::AttributeValue::Boolean(true),
    );
    batch.push_event(&full);
    batch.push_event(&event("pass", "2"));
    let batch = batch.finish();
    assert_eq!(run(&batch).outputs, batch);
}

#[test]
fn later_outputs_of_an_event_get_ids_of_their_own() {
    let answer = run(&batch(3, &[(1, "three")]));
    assert_eq!(ids(&answer), ["0", "1", "1/1", "1/2", "2"]);
    assert_eq!(answer.verdicts[1], Verdict::Emit { first: 1, count: 3 });
    assert_eq!(answer.verdicts[2], Verdict::Emit { first: 4, count: 1 });
    assert!(answer.outputs.iter().all(|output| output.source == "/test"));
    assert_eq!(answer.outputs.data(3), "data of 1");
}

#[test]
fn attributes_are_set_removed_and_inherited_one_by_one() {
    let mut input = BatchBuilder::new();
    let mut first = event("set", "old");
    first.extensions.insert(
        "trace".to_owned(),
        sandbar_types::AttributeValue::Integer(1),
    );
    first
        .extensions
        .insert("kept".to_owned(), sandbar_types::AttributeValue::Integer(2));
    input.push_event(&first);
    input.push_event(&event("no-subject", "b"));
    input.push_event(&event("no-data", "c"));
    let answer = run(&input.finish());
    let [set, no_subject, no_data] = [0, 1, 2].map(|index| answer.outputs.get(index).to_event());
    assert_eq!(
        (set.id.as_str(), set.source.as_str(), set.r#type.as_str()),
        ("new", "/new", "new")
    );
    assert_eq!(set.extensions_json(), r#"{"added":"1","kept":2}"#);
    assert_eq!(set.subject, "somewhere");
    assert_eq!(
        (no_subject.subject.as_str(), no_subject.id.as_str()),
        ("", "b")
    );
    assert_eq!(
        (no_data.data.len(), no_data.subject.as_str()),
        (0, "somewhere")
    );
}

#[test]
fn verdicts_come_with_their_reasons() {
    let answer = run(&batch(4, &[(0, "drop"), (1, "reject"), (2, "retry")]));
    let expected = [
        Verdict::Drop("dropped as asked".to_owned()),
        Verdict::Reject("invalid-event: rejected as asked".to_owned()),
        Verdict::Retry("not now".to_owned()),
        Verdict::Emit { first: 0, count: 1 },
    ];
    assert_eq!(answer.verdicts, expected);
    assert_eq!(ids(&answer), ["3"]);
}

#[test]
fn outputs_go_to_the_targets_that_they_name() {
    let mut input = BatchBuilder::new();
    for subject in ["second", "first", "second"] {
        input.push_event(&Event {
            subject: subject.to_owned(),
            ..event("target", subject)
        });
    }
    input.push_event(&event("pass", "p"));
    assert_eq!(run(&input.finish()).targets, [1, 0, 1, 0]);
}

#[test]
fn no_events_no_call() {
    let answer = run(&Batch::empty());
    assert_eq!(
        (
            answer.verdicts.len(),
            answer.outputs.len(),
            answer.usage.calls
        ),
        (0, 0, 0)
    );
}

#[test]
fn granted_capabilities_work() {
    let plugin = engine().compile(&guest("guest-capabilities")).unwrap();
    let grants = [
        sandbar_plugin::Capability::Clock,
        sandbar_plugin::Capability::Random,
    ];
    let answer = plugin
        .instantiate("null", limits(), &Grants::of(&grants))
        .unwrap()
        .run(&batch(2, &[]), &targets());
    let text = String::from_utf8(answer.outputs.data(0).to_vec()).unwrap();
    let (now, random) = text.split_once(' ').unwrap();
    assert!(now.parse::<u64>().unwrap() > 1_700_000_000_000);
    assert_eq!(random.split(',').count(), 8);
    assert_ne!(answer.outputs.data(0), answer.outputs.data(1));
}
