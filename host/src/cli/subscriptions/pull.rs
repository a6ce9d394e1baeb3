//! `sandbar subscription pull`: takes batches, prints them, acknowledges what was printed.

use clap::Args;
use reqwest::Method;
use serde_json::{json, value::RawValue};

use crate::cli::{
    Client, Outcome,
    client::{Failure, path},
    tail,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct PullArgs {
    subscription: String,
    /// Stop after so many events.
    #[arg(short = 'n', long)]
    limit: Option<usize>,
    /// Go on when there is nothing more, and wait for it.
    #[arg(short, long)]
    follow: bool,
    /// Do not acknowledge: the events come again when their lease ends.
    #[arg(long)]
    keep: bool,
    /// Seconds for which the events are yours; default: as the subscription says.
    #[arg(long)]
    lease: Option<f64>,
}

/// The most that is taken at once.
const BATCH: usize = 1000;
/// How long the hub is asked to wait for an event, in seconds.
const WAIT: u32 = 30;

pub(super) fn run(client: &Client, args: &PullArgs) -> Outcome {
    let events = path(&["subscriptions", &args.subscription, "events"])?;
    let ack = path(&["subscriptions", &args.subscription, "ack"])?;
    let mut printed = false;
    let mut left = args.limit.unwrap_or(usize::MAX);
    if args.follow {
        say_why(client, &args.subscription)?;
    }
    while left > 0 {
        let mut query = vec![("limit", left.min(BATCH).to_string())];
        if args.follow {
            query.push(("wait", WAIT.to_string()));
        }
        if let Some(lease) = args.lease {
            query.push(("lease", lease.to_string()));
        }
        let response = client.send(client.request(Method::GET, &events).query(&query))?;
        let lease = response
            .headers()
            .get("sandbar-lease")
            .and_then(|value| value.to_str().ok())
            .map(str::to_owned);
        let batch: Vec<Box<RawValue>> = response.json().map_err(Failure::local)?;
        for event in &batch {
            if !tail::show(client, event.get())? {
                // What nobody read is not acknowledged.
                return Ok(());
            }
        }
        left -= batch.len();
        printed |= !batch.is_empty();
        match lease {
            Some(lease) if !args.keep => {
                client.post(&ack, &json!({ "ack": [lease] }))?;
            }
            Some(_) => {}
            None if args.follow => {}
            None => {
                if !printed {
                    say_why(client, &args.subscription)?;
                }
                return Ok(());
            }
        }
    }
    Ok(())
}

/// Says on standard error why nothing comes where somebody keeps it from coming.
fn say_why(client: &Client, subscription: &str) -> Outcome {
    let answer = client.get(&path(&["subscriptions", subscription])?)?;
    let state = answer["status"]["state"].as_str().unwrap_or_default();
    if matches!(state, "paused" | "disabled") {
        let go_on = match state {
            "paused" => "resume",
            _ => "enable",
        };
        eprintln!(
            "subscription {subscription} is {state}: nothing is handed out before 'sandbar subscription {go_on} {subscription}'"
        );
    }
    Ok(())
}
