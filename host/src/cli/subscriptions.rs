//! `sandbar subscription …`

mod pull;
mod webhook;

use std::path::PathBuf;

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum SubscriptionCommand {
    /// List all subscriptions.
    List,
    /// Show a subscription and how it is doing.
    Show { subscription: String },
    /// Make a subscription, or change one.
    Create {
        subscription: String,
        /// The subscription's document as JSON.
        #[arg(short, long)]
        file: PathBuf,
    },
    /// Take events, print them, and acknowledge what was printed.
    Pull(pull::PullArgs),
    /// Settle events by the tokens that came with them (`sandbarlease`).
    Ack(AckArgs),
    /// Set it to another place, or show who did so.
    Offsets(OffsetsArgs),
    /// Hand out nothing until it is resumed.
    Pause { subscription: String },
    /// Go on after a pause.
    Resume { subscription: String },
    /// Go on after its webhook asked not to be called any more, or not for a while.
    Enable { subscription: String },
    /// Send an event to its webhook, once, and show the whole exchange.
    Test(webhook::TestArgs),
    /// Give up events that hold their keys; the later events of each key go on.
    Release {
        subscription: String,
        /// topic/partition/offset; default: all that are held.
        events: Vec<String>,
    },
    /// Delete a subscription; the events stay.
    Delete { subscription: String },
}

#[derive(Debug, Args)]
pub(super) struct AckArgs {
    subscription: String,
    /// `sandbarlease` of events, or the header `sandbar-lease` of a batch.
    #[arg(required_unless_present = "upto")]
    leases: Vec<String>,
    /// Have them delivered again.
    #[arg(long)]
    nack: bool,
    /// With --nack: not before so many milliseconds; default: as the subscription's retry says.
    #[arg(long, value_name = "MS", requires = "nack")]
    delay: Option<u64>,
    /// Keep them for so many seconds from now on.
    #[arg(long, value_name = "SECONDS", conflicts_with_all = ["nack", "reject"])]
    extend: Option<f64>,
    /// Never deliver them again: they become dead letters.
    #[arg(long, conflicts_with = "nack")]
    reject: bool,
    /// Acknowledge all of a stream up to this cursor (`id` of a server-sent event, `sandbarcursor` of a
    /// line).
    #[arg(long, value_name = "CURSOR")]
    upto: Option<String>,
    /// Kept with the event's story.
    #[arg(long, default_value = "")]
    reason: String,
}

#[derive(Debug, Args)]
pub(super) struct OffsetsArgs {
    subscription: String,
    /// earliest, latest, a time (RFC 3339), +N or -N events, topic/partition=offset (with commas
    /// between several), or skip-gap. Without it the resets of the past are shown.
    #[arg(long, allow_hyphen_values = true)]
    to: Option<String>,
    /// Only show what would come of it.
    #[arg(long)]
    dry_run: bool,
    /// Remembered with the reset.
    #[arg(long, default_value = "")]
    reason: String,
}

pub(super) fn run(client: &Client, command: &SubscriptionCommand) -> Outcome {
    match command {
        SubscriptionCommand::List => {
            let answer = client.get("/v1/subscriptions")?;
            client.print(&answer, list);
        }
        SubscriptionCommand::Show { subscription } => {
            let answer = client.get(&path(&["subscriptions", subscription])?)?;
            client.print(&answer, show);
        }
        SubscriptionCommand::Create { subscription, file } => {
            let path = path(&["subscriptions", subscription])?;
            let answer = client.put(&path, &read_json(file)?)?;
            client.print(&answer, show);
        }
        SubscriptionCommand::Pull(args) => pull::run(client, args)?,
        SubscriptionCommand::Ack(args) => ack(client, args)?,
        SubscriptionCommand::Offsets(args) => offsets(client, args)?,
        SubscriptionCommand::Pause { subscription } => post(client, subscription, "pause")?,
        SubscriptionCommand::Resume { subscription } => post(client, subscription, "resume")?,
        SubscriptionCommand::Enable { subscription } => post(client, subscription, "enable")?,
        SubscriptionCommand::Test(args) => webhook::test(client, args)?,
        SubscriptionCommand::Release {
            subscription,
            events,
        } => release(client, subscription, events)?,
        SubscriptionCommand::Delete { subscription } => {
            client.delete(&path(&["subscriptions", subscription])?)?;
        }
    }
    Ok(())
}

fn post(client: &Client, subscription: &str, action: &str) -> Outcome {
    let path = path(&["subscriptions", subscription, action])?;
    let answer = client.post(&path, &json!({}))?;
    client.print(&answer, show);
    Ok(())
}

fn ack(client: &Client, args: &AckArgs) -> Outcome {
    let noted = || -> Vec<Value> {
        let leases = args.leases.iter();
        leases
            .map(|lease| json!({"lease": lease, "reason": args.reason}))
            .collect()
    };
    let request = if args.reject {
        json!({ "reject": noted() })
    } else if args.nack {
        let mut nack = noted();
        if let Some(delay) = args.delay {
            for one in &mut nack {
                one["delay_ms"] = json!(delay);
            }
        }
        json!({ "nack": nack })
    } else if let Some(seconds) = args.extend {
        let leases = args.leases.iter();
        let extend: Vec<Value> = leases
            .map(|lease| json!({"lease": lease, "seconds": seconds}))
            .collect();
        json!({ "extend": extend })
    } else {
        json!({ "ack": args.leases })
    };
    let mut request = request;
    if let Some(upto) = &args.upto {
        request["upto"] = json!(upto);
    }
    let path = path(&["subscriptions", &args.subscription, "ack"])?;
    let answer = client.post(&path, &request)?;
    client.print(&answer, |answer| {
        let results = answer["results"].as_array().into_iter().flatten();
        let rows: Vec<_> = results
            .map(|one| {
                vec![
                    table::cell(&one["lease"]),
                    table::cell(&one["status"]),
                    one["events"].as_u64().unwrap_or(1).to_string(),
                ]
            })
            .collect();
        if !rows.is_empty() {
            table::print(&["lease", "status", "events"], &rows);
        }
        if args.upto.is_some() {
            say!("{} acknowledged", answer["acknowledged"]);
        }
    });
    Ok(())
}

fn offsets(client: &Client, args: &OffsetsArgs) -> Outcome {
    let path = path(&["subscriptions", &args.subscription, "offsets"])?;
    let Some(to) = &args.to else {
        let answer = client.get(&path)?;
        client.print(&answer, |answer| {
            let resets = answer["resets"].as_array().into_iter().flatten();
            let rows: Vec<_> = resets
                .flat_map(|reset| {
                    let moves = reset["partitions"].as_array().into_iter().flatten();
                    moves.map(|one| {
                        let names = ["at", "by", "reason"].map(|name| table::cell(&reset[name]));
                        let places =
                            ["partition", "from", "to"].map(|name| table::cell(&one[name]));
                        names.into_iter().chain(places).collect()
                    })
                })
                .collect();
            table::print(&["at", "by", "reason", "partition", "from", "to"], &rows);
        });
        return Ok(());
    };
    let request = json!({"to": target(to)?, "dry_run": args.dry_run, "reason": args.reason});
    let answer = client.post(&path, &request)?;
    client.print(&answer, |answer| {
        let names = ["partition", "from", "to"];
        let moves = answer["partitions"].as_array().into_iter().flatten();
        let rows: Vec<_> = moves
            .map(|one| names.map(|name| table::cell(&one[name])).to_vec())
            .collect();
        table::print(&names, &rows);
        if args.dry_run {
            say!("nothing was changed");
        }
    });
    Ok(())
}

/// Where to, as the API wants it.
fn target(to: &str) -> Result<Value, Failure> {
    if matches!(to, "earliest" | "latest") {
        return Ok(json!(to));
    }
    if to == "skip-gap" {
        return Ok(json!({"skip_gap": true}));
    }
    if to.starts_with(['+', '-']) {
        let by: i64 = to
            .parse()
            .map_err(|_| Failure::Usage(format!("{to:?} is no number of events")))?;
        return Ok(json!({ "shift": by }));
    }
    if !to.contains('=') {
        return Ok(json!({ "time": to }));
    }
    let pairs = to.split(',').map(|pair| {
        let (partition, offset) = pair.split_once('=')?;
        Some((
            partition.trim().to_owned(),
            json!(offset.trim().parse::<u64>().ok()?),
        ))
    });
    let offsets: Option<serde_json::Map<String, Value>> = pairs.collect();
    let offsets = offsets.ok_or_else(|| {
        Failure::Usage(format!(
            "{to:?} is not of the form topic/partition=offset,…"
        ))
    })?;
    Ok(json!({ "offsets": offsets }))
}

fn release(client: &Client, subscription: &str, events: &[String]) -> Outcome {
    let named = events.iter().map(|event| {
        let parts = event.rsplit_once('/');
        let parsed = parts.and_then(|(partition, offset)| {
            Some(json!({"partition": partition, "offset": offset.parse::<u64>().ok()?}))
        });
        parsed.ok_or_else(|| {
            Failure::Usage(format!(
                "{event:?} is not of the form topic/partition/offset"
            ))
        })
    });
    let named = named.collect::<Result<Vec<_>, _>>()?;
    let request = if named.is_empty() {
        json!({})
    } else {
        json!({ "events": named })
    };
    let path = path(&["subscriptions", subscription, "release"])?;
    let answer = client.post(&path, &request)?;
    client.print(&answer, |answer| say!("{} released", answer["released"]));
    Ok(())
}

fn list(answer: &Value) {
    let rows: Vec<_> = answer["subscriptions"]
        .as_array()
        .into_iter()
        .flatten()
        .map(|one| {
            let status = &one["status"];
            vec![
                table::cell(&one["name"]),
                table::cell(&one["topics"]),
                if one["push"].is_null() {
                    "pull"
                } else {
                    "push"
                }
                .to_owned(),
                table::cell(&status["state"]),
                table::cell(&status["lag"]),
                seconds(&status["lag_seconds"]),
                table::cell(&status["out"]),
                table::cell(&status["held"]),
                table::cell(&status["counts"]["acknowledged"]),
                table::cell(&status["counts"]["dead_letters"]),
            ]
        })
        .collect();
    let names = [
        "subscription",
        "topics",
        "kind",
        "state",
        "lag",
        "behind",
        "out",
        "held",
        "acknowledged",
        "dead",
    ];
    table::print(&names, &rows);
}

fn seconds(value: &Value) -> String {
    match value.as_f64() {
        Some(seconds) if seconds > 0.0 => format!("{seconds:.1} s"),
        _ => "-".to_owned(),
    }
}

fn show(one: &Value) {
    let status = &one["status"];
    say!("subscription  {}", table::cell(&one["name"]));
    say!("topics        {}", table::cell(&one["topics"]));
    for filter in one["filters"].as_array().into_iter().flatten() {
        say!("filter        {filter}");
    }
    if !one["push"].is_null() {
        say!("push          {}", table::cell(&one["push"]["url"]));
    }
    say!(
        "state         {} {}",
        table::cell(&status["state"]),
        table::cell(&status["detail"])
    );
    say!(
        "lag           {} events, {}",
        status["lag"],
        seconds(&status["lag_seconds"])
    );
    let counts = &status["counts"];
    say!(
        "acknowledged {}, delivered {} (again {}), filtered {}, dead letters {}",
        counts["acknowledged"],
        counts["delivered"],
        counts["retried"],
        counts["filtered"],
        counts["dead_letters"]
    );
    let names = [
        "partition",
        "low",
        "next",
        "tail",
        "lag",
        "out",
        "waiting",
        "held",
    ];
    let lanes = status["partitions"].as_array().into_iter().flatten();
    let rows: Vec<_> = lanes
        .map(|lane| names.map(|name| table::cell(&lane[name])).to_vec())
        .collect();
    table::print(&names, &rows);
    if one["webhook"].is_object() {
        webhook::show_status(&one["webhook"]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_told_apart() {
        let of = |to| target(to).ok();
        assert_eq!(of("earliest"), Some(json!("earliest")));
        assert_eq!(of("-100"), Some(json!({"shift": -100})));
        assert_eq!(of("+7"), Some(json!({"shift": 7})));
        assert_eq!(of("skip-gap"), Some(json!({"skip_gap": true})));
        assert_eq!(
            of("2026-01-01T00:00:00Z"),
            Some(json!({"time": "2026-01-01T00:00:00Z"}))
        );
        assert_eq!(
            of("a/0=5, b/1=6"),
            Some(json!({"offsets": {"a/0": 5, "b/1": 6}}))
        );
        assert_eq!(of("-x"), None);
        assert_eq!(of("a/0=x"), None);
    }
}
