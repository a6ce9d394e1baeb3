//! A plugin as its author writes and tests it.

#![allow(clippy::unwrap_used)]

use sandbar_sdk::{Event, Output, Problem, Verdict, test::Sample};
use serde::Deserialize;
use serde_json::json;

#[derive(Deserialize)]
struct Config {
    at_least: u64,
}

fn transform(event: &Event<'_>, config: &Config) -> Result<Verdict, Problem> {
    #[derive(Deserialize)]
    struct Order {
        cents: u64,
    }
    let order: Order = event.json()?;
    if order.cents < config.at_least {
        return Ok(Verdict::drop("too small"));
    }
    let output = Output::json(&json!({ "euros": order.cents / 100 }))?;
    Ok(Verdict::emit(output.r#type("big").target("ledger")))
}

sandbar_sdk::plugin!(transform, config: Config);

#[test]
fn a_function_runs_natively() {
    let config = Config { at_least: 500 };
    let sample = Sample::new("order");
    let verdict = sample
        .clone()
        .json(&json!({ "cents": 900 }))
        .run_with(&config, transform);
    assert_eq!(verdict.outputs()[0].json_value(), json!({ "euros": 9 }));
    assert_eq!(verdict.outputs()[0].target_name(), Some("ledger"));
    assert_eq!(
        sample
            .clone()
            .json(&json!({ "cents": 9 }))
            .run_with(&config, transform)
            .dropped(),
        Some("too small")
    );
    assert!(
        sample
            .clone()
            .json(&json!([]))
            .run_with(&config, transform)
            .rejected()
            .is_some()
    );
    assert!(
        sample
            .run_with(&config, transform)
            .rejected()
            .unwrap()
            .reason()
            .contains("no data")
    );
}
