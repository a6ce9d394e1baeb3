//! `sandbar route …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{path, read_json},
    gate::{self, CheckArgs},
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum RouteCommand {
    /// List all routes.
    List,
    /// Show a route and how it is doing.
    Show { route: String },
    /// Make a route, or change one.
    Create {
        route: String,
        /// The route's document as JSON.
        #[arg(short, long)]
        file: PathBuf,
        /// Have it go live also where the activation gate refuses it; recorded.
        #[arg(long)]
        force: bool,
        /// Kept with what the activation gate said.
        #[arg(long, default_value = "")]
        reason: String,
    },
    /// Ask the activation gate about a route, or about a change to one; nothing is changed.
    ///
    /// Runs the plugins on inputs made from the contract of the source and on its last events, and holds
    /// what they give out against the contracts of the targets. Exits with 1 when it would be refused.
    Check(CheckArgs),
    /// Have a route run what it ran before its last change. Done twice, it leads back again.
    Rollback {
        route: String,
        /// Kept in the route's history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Have it go live also where the activation gate refuses it; recorded.
        #[arg(long)]
        force: bool,
    },
    /// Stop after the batch it is at.
    Pause { route: String },
    /// Go on where it stopped.
    Resume { route: String },
    /// Delete a route; what it wrote stays.
    Delete { route: String },
}

pub(super) fn run(client: &Client, command: &RouteCommand) -> Outcome {
    match command {
        RouteCommand::List => {
            let answer = client.get("/v1/routes")?;
            client.print(&answer, |answer| {
                let rows: Vec<_> = answer["routes"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(row)
                    .collect();
                table::print(
                    &[
                        "route", "from", "to", "state", "lag", "read", "emitted", "dropped", "dead",
                    ],
                    &rows,
                );
            });
        }
        RouteCommand::Show { route } => {
            let answer = client.get(&path(&["routes", route])?)?;
            client.print(&answer, show);
        }
        RouteCommand::Create {
            route,
            file,
            force,
            reason,
        } => {
            let address = path(&["routes", route])? + &gate::query(*force, reason);
            let answer = client.put(&address, &read_json(file)?)?;
            client.print(&answer, show);
        }
        RouteCommand::Rollback {
            route,
            reason,
            force,
        } => {
            let address = path(&["routes", route, "rollback"])? + &gate::query(*force, "");
            let answer = client.post(&address, &json!({"reason": reason}))?;
            client.print(&answer, show);
        }
        RouteCommand::Check(args) => return gate::check(client, args),
        RouteCommand::Pause { route } => {
            let answer = client.post(&path(&["routes", route, "pause"])?, &json!({}))?;
            client.print(&answer, show);
        }
        RouteCommand::Resume { route } => {
            let answer = client.post(&path(&["routes", route, "resume"])?, &json!({}))?;
            client.print(&answer, show);
        }
        RouteCommand::Delete { route } => {
            client.delete(&path(&["routes", route])?)?;
        }
    }
    Ok(())
}

fn sum(counts: &Value) -> u64 {
    counts
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(_, count)| count.as_u64())
        .sum()
}

fn row(route: &Value) -> Vec<String> {
    let status = &route["status"];
    let lanes = status["partitions"].as_array().into_iter().flatten();
    let lag: u64 = lanes.filter_map(|lane| lane["lag"].as_u64()).sum();
    let counts = &status["counts"];
    vec![
        table::cell(&route["name"]),
        table::cell(&route["from"]),
        table::cell(&route["to"]),
        table::cell(&status["state"]),
        lag.to_string(),
        table::cell(&counts["read"]),
        sum(&counts["emitted"]).to_string(),
        sum(&counts["dropped"]).to_string(),
        table::cell(&counts["dead_letters"]),
    ]
}

fn show(route: &Value) {
    let status = &route["status"];
    say!("route    {}", table::cell(&route["name"]));
    say!("from     {}", table::cell(&route["from"]));
    for step in route["steps"].as_array().into_iter().flatten() {
        say!("step     {}", table::cell(&step["plugin"]));
    }
    say!("to       {}", table::cell(&route["to"]));
    say!(
        "state    {} {}",
        table::cell(&status["state"]),
        table::cell(&status["detail"])
    );
    say!("running  {}", table::cell(&status["active"]));
    for change in route["history"]
        .as_array()
        .into_iter()
        .flatten()
        .rev()
        .take(5)
    {
        let steps = change["document"]["steps"].as_array().into_iter().flatten();
        let plugins: Vec<_> = steps.map(|step| table::cell(&step["plugin"])).collect();
        say!(
            "changed  {} by {}: {} {}",
            table::cell(&change["at"]),
            table::cell(&change["by"]),
            plugins.join(", "),
            table::plain(&table::cell(&change["reason"]))
        );
    }
    let kept = gate::kept(&route["activation"]["gate"]);
    if !kept.is_empty() {
        say!("gate     {kept}");
    }
    for line in gate::forced(route) {
        say!("FORCED   {line}");
    }
    let counts = &status["counts"];
    say!(
        "read {}, dead letters {} (rejected {}), retries {}",
        counts["read"],
        counts["dead_letters"],
        counts["rejected"],
        counts["retries"]
    );
    for (kind, label) in [("emitted", "emitted to"), ("dropped", "dropped:")] {
        for (name, count) in counts[kind].as_object().into_iter().flatten() {
            say!("{count:>8} {label} {name}");
        }
    }
    let names = ["partition", "next", "tail", "lag", "waiting"];
    let lanes = status["partitions"].as_array().into_iter().flatten();
    let rows: Vec<_> = lanes
        .map(|lane| names.map(|name| table::cell(&lane[name])).to_vec())
        .collect();
    table::print(&names, &rows);
}
