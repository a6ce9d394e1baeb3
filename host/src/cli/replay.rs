//! `sandbar replay …`

use std::collections::BTreeMap;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path},
    jobs::{self, Watch},
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum ReplayCommand {
    /// Pass what is stored of a route's source through the route once more.
    Route {
        route: String,
        #[command(flatten)]
        range: RangeArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Copy what is stored of a topic into another one.
    Topic {
        topic: String,
        #[command(flatten)]
        range: RangeArgs,
        #[command(flatten)]
        output: OutputArgs,
    },
    /// Offer what is stored to one subscription once more, and to nobody else.
    Subscription {
        subscription: String,
        /// Which of its topics; needed when it has several.
        #[arg(long)]
        topic: Option<String>,
        #[command(flatten)]
        range: RangeArgs,
    },
}

/// Which events, and how quickly.
#[derive(Debug, Args)]
pub(super) struct RangeArgs {
    /// earliest, latest, a time (RFC 3339), or PARTITION:OFFSET,… for some partitions.
    #[arg(long)]
    from: String,
    /// Where to end, in the same words; the event there is left out.
    #[arg(long, default_value = "latest")]
    to: String,
    /// Events a second at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Only tell what would happen.
    #[arg(long)]
    dry_run: bool,
    /// Kept with the job.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    watch: Watch,
}

/// What comes out.
#[derive(Debug, Args)]
pub(super) struct OutputArgs {
    /// A topic for what comes out, beside a route's own targets.
    #[arg(long)]
    into: Option<String>,
    /// Keep the ids, instead of giving new ones.
    #[arg(long)]
    keep_ids: bool,
    /// With --dry-run: ask the plugins about so many events.
    #[arg(long, default_value_t = 10)]
    sample: u32,
}

pub(super) fn run(client: &Client, command: &ReplayCommand) -> Outcome {
    let (address, mut request, range) = match command {
        ReplayCommand::Route {
            route,
            range,
            output,
        } => (
            path(&["routes", route, "replay"])?,
            with_output(document(range)?, output),
            range,
        ),
        ReplayCommand::Topic {
            topic,
            range,
            output,
        } => (
            path(&["topics", topic, "replay"])?,
            with_output(document(range)?, output),
            range,
        ),
        ReplayCommand::Subscription {
            subscription,
            topic,
            range,
        } => {
            let mut request = document(range)?;
            if let Some(topic) = topic {
                request["topic"] = json!(topic);
            }
            (
                path(&["subscriptions", subscription, "replay"])?,
                request,
                range,
            )
        }
    };
    if let Some(rate) = range.rate {
        request["rate"] = json!(rate);
    }
    let answer = client.post(&address, &request)?;
    if range.dry_run {
        client.print(&answer, plan);
        return Ok(());
    }
    jobs::begun(client, &answer, &range.watch)
}

fn document(range: &RangeArgs) -> Result<Value, Failure> {
    Ok(json!({
        "from": point(&range.from)?, "to": point(&range.to)?,
        "dry_run": range.dry_run, "reason": range.reason,
    }))
}

fn with_output(mut request: Value, output: &OutputArgs) -> Value {
    request["ids"] = json!(if output.keep_ids { "keep" } else { "new" });
    request["sample"] = json!(output.sample);
    if let Some(into) = &output.into {
        request["into"] = json!(into);
    }
    request
}

/// `earliest`, `latest`, `0:17,1:4`, or a time.
pub(super) fn point(text: &str) -> Result<Value, Failure> {
    if matches!(text, "earliest" | "latest") {
        return Ok(json!(text));
    }
    let pair = |part: &str| {
        let (partition, offset) = part.split_once(':')?;
        let partition: u32 = partition.trim().parse().ok()?;
        Some((partition.to_string(), offset.trim().parse::<u64>().ok()?))
    };
    let offsets: Option<BTreeMap<String, u64>> = text.split(',').map(pair).collect();
    if let Some(offsets) = offsets {
        return Ok(json!({"offsets": offsets}));
    }
    if crate::clock::from_text(text).is_some() {
        return Ok(json!({"time": text}));
    }
    Err(Failure::Usage(format!(
        "{text:?} is none of: earliest, latest, a time as 2026-05-01T08:00:00Z, PARTITION:OFFSET,…"
    )))
}

fn plan(plan: &Value) {
    match plan["into"].is_null() {
        true => say!(
            "{} events would be offered; the subscription's filters may leave some out",
            plan["events"]
        ),
        false => say!(
            "{} events, some {} KiB, would go to {}",
            plan["events"],
            plan["bytes"].as_u64().unwrap_or(0).div_ceil(1024),
            table::cell(&plan["into"])
        ),
    }
    let rows: Vec<_> = (plan["parts"].as_array().into_iter().flatten())
        .map(|part| {
            ["partition", "from", "to", "events"]
                .map(|name| table::cell(&part[name]))
                .into_iter()
                .chain([
                    table::cell(&part["first"]["id"]),
                    table::cell(&part["last"]["id"]),
                ])
                .collect()
        })
        .collect();
    table::print(
        &["partition", "from", "to", "events", "first", "last"],
        &rows,
    );
    for event in plan["sample"].as_array().into_iter().flatten() {
        let outputs = event["outputs"].as_array().map_or(0, Vec::len);
        say!(
            "  {} {}: {} {outputs} {}",
            table::cell(&event["position"]),
            table::plain(&table::cell(&event["id"])),
            table::cell(&event["verdict"]),
            table::plain(&table::cell(&event["reason"]))
        );
    }
    if plan["note"].is_string() {
        say!("{}", table::cell(&plan["note"]));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn points_are_read_as_they_are_typed() {
        let of = |text| point(text).ok();
        assert_eq!(of("earliest"), Some(json!("earliest")));
        assert_eq!(of("0:17,2:4"), Some(json!({"offsets": {"0": 17, "2": 4}})));
        let time = "2026-05-01T08:00:00Z";
        assert_eq!(of(time), Some(json!({"time": time})));
        for bad in ["", "yesterday", "0:", "0:1,x"] {
            assert_eq!(of(bad), None, "{bad:?}");
        }
    }
}
