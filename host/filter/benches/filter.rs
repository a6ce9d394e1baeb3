//! Filters against the least that could do their work: a comparison of the two texts that is written
//! out in code, on the same rows of the same batch. Contenders take turns, several rounds; the
//! medians count, and their difference is what a filter costs.

use std::{collections::BTreeMap, hint::black_box, time::Instant};

use sandbar_filter::{Attribute, Attributes as _, Compiled, Filter, Row, Value};
use sandbar_types::{AttributeValue, Batch, BatchBuilder, Event};

const EVENTS: usize = 1000;
const REPEATS: usize = 300;
const ROUNDS: usize = 9;

fn batch() -> Batch {
    let mut builder = BatchBuilder::new();
    for index in 0..EVENTS {
        builder.push_event(&Event {
            id: format!("order-{index}"),
            source: "https://shop.example/orders".into(),
            r#type: if index % 2 == 0 {
                "order.created"
            } else {
                "order.changed"
            }
            .into(),
            subject: format!("customer/{}", index % 10),
            extensions: BTreeMap::from([
                ("amount".into(), AttributeValue::Integer(index as i32)),
                ("region".into(), AttributeValue::String("eu-west".into())),
            ]),
            ..Event::default()
        });
    }
    builder.finish()
}

fn main() {
    let batch = batch();
    let kind = Attribute::new("type").expect("a name");
    let plain = |row: &Row<'_>| matches!(row.get(&kind), Some(Value::String(text)) if text == black_box("order.created"));
    let filters = [
        r#"{"exact":{"type":"order.created"}}"#,
        r#"{"prefix":{"type":"order.cr"}}"#,
        r#"{"suffix":{"type":".created"}}"#,
        r#"{"exact":{"region":"eu-west"}}"#,
        r#"{"sql":"type = 'order.created'"}"#,
        r#"{"sql":"type LIKE 'order.%'"}"#,
        r#"{"sql":"type IN ('a', 'b', 'c', 'order.created')"}"#,
        r#"{"sql":"amount > 10 AND region = 'eu-west'"}"#,
        r#"{"sql":"price > 10"}"#,
    ];
    let compiled: Vec<Compiled> = filters
        .iter()
        .map(|json| {
            let filter: Filter = serde_json::from_str(json).expect("a filter");
            Compiled::all(&[filter]).expect("valid")
        })
        .collect();
    let mut times = vec![Vec::new(); filters.len() + 2];
    for _ in 0..ROUNDS {
        times[0].push(time(|| {
            (0..EVENTS)
                .filter(|&at| plain(&Row::new(&batch, at)))
                .count()
        }));
        for (index, filter) in compiled.iter().enumerate() {
            times[index + 1].push(time(|| {
                (0..EVENTS)
                    .filter(|&at| filter.takes(&Row::new(&batch, at)))
                    .count()
            }));
        }
        let whole = || {
            batch
                .iter()
                .filter(|event| compiled[0].takes(event))
                .count()
        };
        times[filters.len() + 1].push(time(whole));
    }
    let names = ["the texts compared in code"].into_iter().chain(filters);
    for (name, times) in names.chain(["exact, on Batch::get"]).zip(&mut times) {
        times.sort_by(f64::total_cmp);
        println!("{:8.1} ns an event  {name}", times[ROUNDS / 2]);
    }
}

/// Nanoseconds an event.
fn time(mut ask: impl FnMut() -> usize) -> f64 {
    let start = Instant::now();
    for _ in 0..REPEATS {
        black_box(ask());
    }
    start.elapsed().as_nanos() as f64 / (REPEATS * EVENTS) as f64
}
