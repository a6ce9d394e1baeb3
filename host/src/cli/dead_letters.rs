//! `sandbar dead-letter …`

use clap::{Args, Subcommand};
use serde_json::Value;

use super::{Client, Outcome, client::Failure, output::say, table};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetterCommand {
    /// List dead letters, oldest first.
    List(ListArgs),
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[arg(long)]
    route: Option<String>,
    /// rejected, trap, deadline, memory, output-limit, contract, retries-exhausted,
    /// undeclared-target, bad-answer
    #[arg(long)]
    cause: Option<String>,
    /// The topic of the original event.
    #[arg(long)]
    topic: Option<String>,
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on after this offset (`next` of the page before).
    #[arg(long)]
    after: Option<u64>,
}

pub(super) fn run(client: &Client, command: &DeadLetterCommand) -> Outcome {
    let DeadLetterCommand::List(list) = command;
    let mut query: Vec<(&str, String)> = vec![("limit", list.limit.to_string())];
    let given = [
        ("route", &list.route),
        ("cause", &list.cause),
        ("topic", &list.topic),
    ];
    query.extend(
        given
            .into_iter()
            .filter_map(|(name, value)| Some((name, value.clone()?))),
    );
    query.extend(list.after.map(|after| ("after", after.to_string())));
    let request = client
        .request(reqwest::Method::GET, "/v1/dead-letters")
        .query(&query);
    let answer: Result<Value, Failure> = client.answer(request);
    client.print(&answer?, |answer| {
        let rows: Vec<_> = answer["dead_letters"]
            .as_array()
            .into_iter()
            .flatten()
            .map(row)
            .collect();
        table::print(
            &[
                "time", "route", "plugin", "cause", "attempts", "origin", "reason",
            ],
            &rows,
        );
        if let Some(next) = answer["next"].as_str() {
            say!("there are more: --after {next}");
        }
    });
    Ok(())
}

fn row(letter: &Value) -> Vec<String> {
    let origin = &letter["origin"];
    let reason = table::cell(&letter["reason"]);
    vec![
        table::cell(&letter["time"]),
        table::cell(&letter["route"]),
        table::cell(&letter["plugin"]),
        table::cell(&letter["cause"]),
        table::cell(&letter["attempts"]),
        format!(
            "{}/{}/{}",
            table::cell(&origin["topic"]),
            origin["partition"],
            origin["offset"]
        ),
        reason.lines().next().unwrap_or_default().to_owned(),
    ]
}
