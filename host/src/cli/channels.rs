//! `sandbar channel …`

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, split_version},
    gate,
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum ChannelCommand {
    /// List the channels of a plugin.
    List { plugin: String },
    /// Show a channel and its history.
    Show {
        /// NAME@CHANNEL
        channel: String,
    },
    /// Have a channel point at a version; routes take it over between two batches.
    Activate {
        /// NAME@CHANNEL
        channel: String,
        version: String,
        /// Kept in the channel's history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Activate it also where the activation gate refuses it; recorded.
        #[arg(long)]
        force: bool,
    },
    /// Have a channel point at the version before.
    Rollback {
        /// NAME@CHANNEL
        channel: String,
        /// Kept in the channel's history.
        #[arg(long, default_value = "")]
        reason: String,
        /// Activate it also where the activation gate refuses it; recorded.
        #[arg(long)]
        force: bool,
    },
    /// Delete a channel that no route names.
    Delete {
        /// NAME@CHANNEL
        channel: String,
    },
}

pub(super) fn run(client: &Client, command: &ChannelCommand) -> Outcome {
    match command {
        ChannelCommand::List { plugin } => {
            let answer = client.get(&path(&["plugins", plugin, "channels"])?)?;
            client.print(&answer, |answer| {
                let channels = answer["channels"].as_array().into_iter().flatten();
                let rows: Vec<_> = channels.map(row).collect();
                table::print(
                    &["channel", "version", "since", "by", "reason", "gate"],
                    &rows,
                );
            });
        }
        ChannelCommand::Show { channel } => {
            let answer = client.get(&address(channel, None)?)?;
            client.print(&answer, show);
        }
        ChannelCommand::Activate {
            channel,
            version,
            reason,
            force,
        } => {
            let request = json!({"version": version, "reason": reason});
            let address = address(channel, None)? + &gate::query(*force, "");
            let answer = client.put(&address, &request)?;
            client.print(&answer, show);
        }
        ChannelCommand::Rollback {
            channel,
            reason,
            force,
        } => {
            let address = address(channel, Some("rollback"))? + &gate::query(*force, "");
            let answer = client.post(&address, &json!({"reason": reason}))?;
            client.print(&answer, show);
        }
        ChannelCommand::Delete { channel } => {
            client.delete(&address(channel, None)?)?;
        }
    }
    Ok(())
}

fn address(channel: &str, call: Option<&str>) -> Result<String, Failure> {
    let (plugin, channel) = split_version(channel)?;
    let mut segments = vec!["plugins", plugin, "channels", channel];
    segments.extend(call);
    path(&segments)
}

fn row(channel: &Value) -> Vec<String> {
    let last = channel["history"].as_array().and_then(|all| all.last());
    let last = last.unwrap_or(&Value::Null);
    vec![
        format!(
            "{}@{}",
            table::cell(&channel["plugin"]),
            table::cell(&channel["channel"])
        ),
        table::cell(&channel["version"]),
        table::cell(&last["at"]),
        table::cell(&last["by"]),
        table::cell(&last["reason"]),
        gate::kept(&last["gate"]),
    ]
}

fn show(channel: &Value) {
    say!(
        "{}@{} is version {}",
        table::cell(&channel["plugin"]),
        table::cell(&channel["channel"]),
        table::cell(&channel["version"])
    );
    let history = channel["history"].as_array().into_iter().flatten().rev();
    let names = ["at", "version", "from", "by", "reason"];
    let rows: Vec<_> = history
        .map(|one| {
            let mut row = names.map(|name| table::cell(&one[name])).to_vec();
            row.push(gate::kept(&one["gate"]));
            row
        })
        .collect();
    table::print(&["at", "version", "from", "by", "reason", "gate"], &rows);
}
