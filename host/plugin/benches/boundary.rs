//! What the plugin boundary costs: the same mapping of 256-byte JSON orders natively and in a guest,
//! in both worlds, with the deadline on.
//!
//! Rounds alternate between the variants, so that a drifting machine drifts under all of them; what
//! counts is the median of the ratios to the native round beside it. Wants the guests: run
//! `scripts/guests.sh` first.

use std::{hint::black_box, time::Instant};

use guest_orders::Mapped;
use sandbar_plugin::{Engine, EngineOptions, Grants, Limits, Runner, Verdict};
use sandbar_types::{Batch, BatchBuilder, Column, ColumnBuilder, EventRef};

const ROUNDS: usize = 21;
const EVENTS_PER_ROUND: usize = 50_000;

fn main() {
    let engine = Engine::new(EngineOptions::default()).expect("the engine starts");
    println!("nanoseconds an event (median), and the median ratio to native in the same round");
    println!("{:<44} {:>10} {:>7}", "variant", "ns/event", "ratio");
    for size in [1000, 100] {
        let batch = batch(size);
        let mut columns = runner(&engine, "guest-orders-columns");
        let mut records = runner(&engine, "guest-orders-records");
        let mut times: [Vec<f64>; 3] = Default::default();
        for _ in 0..ROUNDS {
            times[0].push(round(size, || native(&batch)));
            times[1].push(round(size, || guest(&mut columns, &batch)));
            times[2].push(round(size, || guest(&mut records, &batch)));
        }
        for (index, name) in ["native", "columns", "records"].into_iter().enumerate() {
            let ratios = times[index]
                .iter()
                .zip(&times[0])
                .map(|(time, native)| time / native)
                .collect();
            println!(
                "{:<44} {:>10.0} {:>7.2}",
                format!("{name}, batches of {size}"),
                median(times[index].clone()),
                median(ratios)
            );
        }
    }
}

fn runner(engine: &Engine, guest: &str) -> Runner {
    let path = format!(
        "{}/../../target/guests/{guest}.wasm",
        env!("CARGO_MANIFEST_DIR")
    );
    let bytes = std::fs::read(&path)
        .unwrap_or_else(|error| panic!("{path}: {error}; run scripts/guests.sh first"));
    let plugin = engine.compile(&bytes).expect("the guest is a plugin");
    plugin
        .instantiate("null", Limits::default(), &Grants::default())
        .expect("the guest starts")
}

fn batch(size: usize) -> Batch {
    let mut batch = BatchBuilder::new();
    for number in 0..size {
        let data = guest_orders::sample(number as u64);
        batch.push(EventRef {
            id: &format!("order-{number}"),
            source: "https://shop.example/orders",
            r#type: "shop.order.paid",
            subject: &format!("customer-{}", number % 17),
            time: "2026-01-31T12:00:00Z",
            datacontenttype: "application/json",
            dataschema: "",
            extensions: "",
            data: &data,
        });
    }
    batch.finish()
}

/// Nanoseconds an event.
fn round(size: usize, mut pass: impl FnMut() -> usize) -> f64 {
    let started = Instant::now();
    let mut events = 0;
    while events < EVENTS_PER_ROUND {
        assert_eq!(black_box(pass()), size, "every order becomes a parcel");
        events += size;
    }
    started.elapsed().as_nanos() as f64 / events as f64
}

/// The same work without a sandbox: the batch in, a batch of outputs out.
fn native(batch: &Batch) -> usize {
    let mut subjects = ColumnBuilder::default();
    let mut data = ColumnBuilder::default();
    let mut verdicts = Vec::with_capacity(batch.len());
    for (index, event) in batch.iter().enumerate() {
        verdicts.push(match guest_orders::map(event.data) {
            Ok(Mapped::Parcel {
                parcel,
                data: bytes,
            }) => {
                subjects.push(parcel.as_bytes());
                data.push(&bytes);
                Verdict::Emit {
                    first: index,
                    count: 1,
                }
            }
            Ok(Mapped::Nothing) => Verdict::Drop("nothing to send".to_owned()),
            Err(reason) => Verdict::Reject(reason),
        });
    }
    let mut columns = batch.columns().clone();
    columns[2] = Column::Same(bytes::Bytes::from_static(b"dispatch.parcel"));
    columns[3] = subjects.finish();
    columns[8] = data.finish();
    let outputs = Batch::from_columns(batch.len(), columns).expect("the columns hold together");
    black_box(&verdicts);
    black_box(outputs).len()
}

fn guest(runner: &mut Runner, batch: &Batch) -> usize {
    let answer = runner.run(batch, &[]);
    assert_eq!(answer.usage.calls, 1);
    black_box(answer).outputs.len()
}

fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
