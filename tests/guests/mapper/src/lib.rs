//! Does with each event what its payload says, so that a test decides by publishing.
//!
//! The payload is an object; `do` is one of the words of `transform`, and emits when it is
//! absent. With `at` only the step whose config has that `stamp` obeys; other steps pass the event
//! on. With `log` it first logs that, `lines` times. What is emitted is the payload with `trail` (the stamps that it went through), `copy` and
//! `target` added.

use std::{cell::RefCell, collections::HashMap};

use sandbar_sdk::{Event, Output, Problem, Verdict, log};
use serde::Deserialize;
use serde_json::{Map, Value, json};

/// The step's config.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Config {
    stamp: String,
}

thread_local! {
    /// How often this instance has seen an event that asks for a retry, by id.
    static SEEN: RefCell<HashMap<String, u64>> = RefCell::default();
}

fn transform(event: &Event<'_>, config: &Option<Config>) -> Result<Verdict, Problem> {
    let mut payload: Map<String, Value> = event.json()?;
    let stamp = config.as_ref().map_or("", |config| config.stamp.as_str());
    if !stamp.is_empty() {
        let trail = payload.entry("trail").or_insert_with(|| json!([]));
        if let Value::Array(trail) = trail {
            trail.push(json!(stamp));
        }
    }
    let text = |name: &str| payload.get(name).and_then(Value::as_str);
    if text("at").is_some_and(|at| at != stamp) {
        return Ok(Verdict::emit(Output::json(&payload)?));
    }
    let reason = text("reason").unwrap_or("as asked").to_owned();
    if let Some(line) = text("log") {
        let times = payload.get("lines").and_then(Value::as_u64).unwrap_or(1);
        (0..times).for_each(|_| log::warn(line));
    }
    match text("do").unwrap_or("emit") {
        "emit" => emit(&payload),
        "drop" => Ok(Verdict::drop(reason)),
        "reject" => Ok(Verdict::reject(reason.as_str())),
        "retry" => {
            let times = payload
                .get("times")
                .and_then(Value::as_u64)
                .unwrap_or(u64::MAX);
            let seen = SEEN.with_borrow_mut(|seen| {
                let count = seen.entry(event.id().to_owned()).or_default();
                *count += 1;
                *count
            });
            if seen <= times {
                return Ok(Verdict::retry(reason));
            }
            emit(&payload)
        }
        "trap" => panic!("trapped as asked by {}", event.id()),
        "loop" => loop {
            std::hint::black_box(&payload);
        },
        "allocate" => {
            let mut hoard = Vec::new();
            loop {
                hoard.push(vec![1_u8; 1 << 20]);
                std::hint::black_box(&hoard);
            }
        }
        "swell" => Ok(Verdict::emit(Output::inherit().data(vec![b'x'; 4 << 20]))),
        other => Ok(Verdict::reject(
            format!("{other} is nothing to do").as_str(),
        )),
    }
}

/// `copies` (default 1) outputs to each of `targets` (default: none named).
fn emit(payload: &Map<String, Value>) -> Result<Verdict, Problem> {
    let copies = payload.get("copies").and_then(Value::as_u64).unwrap_or(1);
    let targets = match payload.get("targets") {
        Some(Value::Array(targets)) => targets.iter().map(Value::as_str).collect(),
        _ => vec![None],
    };
    let mut outputs = Vec::new();
    for copy in 0..copies {
        for &target in &targets {
            let mut data = payload.clone();
            data.insert("copy".to_owned(), json!(copy));
            let output = match target {
                Some(target) => {
                    data.insert("target".to_owned(), json!(target));
                    Output::json(&data)?.target(target)
                }
                None => Output::json(&data)?,
            };
            outputs.push(match payload.get("type").and_then(Value::as_str) {
                Some(kind) => output.r#type(kind),
                None => output,
            });
        }
    }
    Ok(Verdict::emit_all(outputs))
}

sandbar_sdk::plugin!(transform, config: Option<Config>);
