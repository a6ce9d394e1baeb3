//! `sandbar subscription test`, and what is shown of a webhook.

use std::path::PathBuf;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::{
    Client, Outcome,
    client::{Failure, path, read_json},
    output::say,
    table,
};

/// The exit code when the event would not have been delivered.
const NOT_DELIVERED: u8 = 1;

#[derive(Debug, Args)]
pub(in crate::cli) struct TestArgs {
    subscription: String,
    /// An event in the CloudEvents JSON format; default: one of the type `sandbar.test`.
    #[arg(short, long)]
    event: Option<PathBuf>,
}

pub(super) fn test(client: &Client, args: &TestArgs) -> Outcome {
    let request = match &args.event {
        Some(file) => json!({ "event": read_json(file)? }),
        None => json!({}),
    };
    let path = path(&["subscriptions", &args.subscription, "test"])?;
    let answer = client.post(&path, &request)?;
    client.print(&answer, show_test);
    match answer["delivered"] {
        Value::Bool(true) => Ok(()),
        _ => Err(Failure::Told(NOT_DELIVERED)),
    }
}

fn show_test(test: &Value) {
    let (request, answer) = (&test["request"], &test["answer"]);
    say!(
        "> {} {}",
        table::cell(&request["method"]),
        table::cell(&request["url"])
    );
    show_message(">", request);
    if answer.is_object() {
        say!("< {}", answer["status"]);
        show_message("<", answer);
    }
    let took = test["took_ms"].as_f64().unwrap_or_default();
    match test["delivered"] {
        Value::Bool(true) => say!("delivered in {took:.1} ms"),
        _ => say!(
            "not delivered after {took:.1} ms ({}): {}",
            table::cell(&test["outcome"]),
            table::cell(&test["reason"])
        ),
    }
}

fn show_message(arrow: &str, message: &Value) {
    for (name, value) in message["headers"].as_object().into_iter().flatten() {
        say!("{arrow} {name}: {}", table::cell(value));
    }
    let body = message["body"].as_str().unwrap_or_default();
    if !body.is_empty() {
        say!("{arrow}");
        for line in body.lines() {
            say!("{arrow} {line}");
        }
    }
    say!("");
}

/// How a webhook is doing, below its subscription.
pub(super) fn show_status(webhook: &Value) {
    let breaker = &webhook["breaker"];
    let until = match breaker["until"].as_str() {
        Some(until) => format!(" until {until}"),
        None => String::new(),
    };
    say!(
        "webhook       breaker {}{until}, {} under way",
        table::cell(&breaker["state"]),
        webhook["in_flight"]
    );
    if webhook["handshake"].is_object() {
        say!(
            "handshake     {} {}",
            table::cell(&webhook["handshake"]["state"]),
            table::cell(&webhook["handshake"]["reason"])
        );
    }
    let names = [
        "at", "event", "delivery", "outcome", "status", "took_ms", "reason",
    ];
    let attempts = webhook["attempts"].as_array().into_iter().flatten();
    let rows: Vec<_> = attempts
        .take(5)
        .map(|attempt| names.map(|name| table::cell(&attempt[name])).to_vec())
        .collect();
    if !rows.is_empty() {
        table::print(&names, &rows);
    }
}
