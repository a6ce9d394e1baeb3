//! `sandbar shadow …`

mod follow;

use clap::{Args, Subcommand, ValueEnum};
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path},
    gate,
    output::say,
    paint::Paint,
    table,
};

pub(super) use follow::{Follower, show_news};

#[derive(Debug, Subcommand)]
pub(super) enum ShadowCommand {
    /// Compare a candidate with what a route runs; nothing that it gives out is written.
    Start(StartArgs),
    /// Show what the comparison found.
    Show { route: String },
    /// Show what differs, event by event, as events come; until Ctrl-C.
    Follow { route: String },
    /// Have the candidate take over.
    Promote {
        route: String,
        /// Kept with the report.
        #[arg(long, default_value = "")]
        reason: String,
        /// Have it take over also where the activation gate refuses it; recorded.
        #[arg(long)]
        force: bool,
    },
    /// End the comparison and forget its report.
    Stop { route: String },
}

#[derive(Debug, Args)]
pub(super) struct StartArgs {
    route: String,
    /// The candidate: NAME@VERSION.
    plugin: String,
    /// Which step it would replace, from 0.
    #[arg(long, default_value_t = 0)]
    step: usize,
    /// A config for the candidate, as JSON; else that of the step.
    #[arg(long)]
    config: Option<String>,
    /// Which events: those to come, or all stored ones first.
    #[arg(long, value_enum, default_value_t = From::Latest)]
    from: From,
    /// End after so many events.
    #[arg(long)]
    max_events: Option<u64>,
    /// Have the candidate take over by itself after so many events.
    #[arg(long)]
    promote_after: Option<u64>,
    /// … if at most this share of them differs, 0 to 1.
    #[arg(long, default_value_t = 0.0, requires = "promote_after")]
    max_differing: f64,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum From {
    Latest,
    Earliest,
}

pub(super) fn run(client: &Client, command: &ShadowCommand) -> Outcome {
    match command {
        ShadowCommand::Start(start) => {
            let answer = client.put(
                &path(&["routes", &start.route, "shadow"])?,
                &document(start)?,
            )?;
            client.print(&answer, show);
        }
        ShadowCommand::Show { route } => {
            let answer = client.get(&path(&["routes", route, "shadow"])?)?;
            client.print(&answer, show);
        }
        ShadowCommand::Follow { route } => return follow::run(client, route),
        ShadowCommand::Promote {
            route,
            reason,
            force,
        } => {
            let address = path(&["routes", route, "shadow", "promote"])?;
            let address = address + &gate::query(*force, "");
            let answer = client.post(&address, &json!({"reason": reason}))?;
            client.print(&answer, show);
        }
        ShadowCommand::Stop { route } => {
            client.delete(&path(&["routes", route, "shadow"])?)?;
        }
    }
    Ok(())
}

fn document(start: &StartArgs) -> Result<Value, Failure> {
    let mut document = json!({
        "step": start.step,
        "plugin": start.plugin,
        "start": match start.from { From::Latest => "latest", From::Earliest => "earliest" },
    });
    if let Some(config) = &start.config {
        document["config"] = serde_json::from_str(config)
            .map_err(|error| Failure::Usage(format!("--config is not JSON: {error}")))?;
    }
    if let Some(most) = start.max_events {
        document["max_events"] = json!(most);
    }
    if let Some(after) = start.promote_after {
        document["promote"] = json!({"after_events": after, "max_differing": start.max_differing});
    }
    Ok(document)
}

fn show(shadow: &Value) {
    let paint = Paint::for_stdout();
    let report = &shadow["report"];
    say!(
        "{} at step {}: {} {}",
        table::cell(&shadow["plugin"]),
        shadow["step"],
        table::cell(&report["state"]),
        table::cell(&report["detail"])
    );
    say!(
        "{} events compared, {} the same, {} differ",
        report["compared"],
        report["same"],
        report["differing"]
    );
    if let Some(restarted) = report["restarted"].as_u64() {
        say!("counted anew {restarted} times, because the route ran something else");
    }
    for (change, count) in report["verdicts"].as_object().into_iter().flatten() {
        say!("{count:>8} {change}");
    }
    let names = ["added", "removed", "changed"];
    let places = report["places"].as_object().into_iter().flatten();
    let rows: Vec<_> = places
        .map(|(place, counts)| {
            let mut row = names.map(|name| table::cell(&counts[name])).to_vec();
            row.push(place.clone());
            row
        })
        .collect();
    if !rows.is_empty() {
        table::print(&["added", "removed", "changed", "place"], &rows);
    }
    for side in ["active", "candidate"] {
        say!(
            "{side:<10} {} ns per event, {} KiB of memory",
            report[side]["nanoseconds_per_event"],
            report[side]["memory_bytes"].as_u64().unwrap_or(0) / 1024
        );
    }
    for example in report["examples"].as_array().into_iter().flatten().take(3) {
        follow::show_example(paint, example);
    }
    if let Some(promotion) = report.get("promotion") {
        say!(
            "promoted {} by {}: {}",
            table::cell(&promotion["at"]),
            table::cell(&promotion["by"]),
            table::cell(&promotion["reason"])
        );
    }
}
