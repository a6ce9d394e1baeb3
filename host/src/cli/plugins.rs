//! `sandbar plugin …`

use std::path::PathBuf;

use clap::Subcommand;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{self, Failure, read, read_json, split_version},
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Upload a version. Versions never change.
    Push {
        /// NAME@VERSION
        plugin: String,
        file: PathBuf,
    },
    /// List all plugin versions.
    List,
    /// Show one version.
    Show {
        /// NAME@VERSION
        plugin: String,
    },
    /// Run a version on events (a JSON array, or one event); nothing is stored.
    Try {
        /// NAME@VERSION
        plugin: String,
        #[arg(long)]
        events: PathBuf,
        /// The step's config, as JSON.
        #[arg(long, default_value = "null")]
        config: String,
        /// A target that the plugin may name; may be given several times.
        #[arg(long = "target")]
        targets: Vec<String>,
    },
    /// Delete a version that no route uses.
    Delete {
        /// NAME@VERSION
        plugin: String,
    },
}

pub(super) fn run(client: &Client, command: &PluginCommand) -> Outcome {
    match command {
        PluginCommand::Push { plugin, file } => {
            let answer = push(client, plugin, read(file)?)?;
            client.print(&answer, |answer| table::print(HEAD, &[row(answer)]));
        }
        PluginCommand::List => {
            let answer = client.get("/v1/plugins")?;
            client.print(&answer, |answer| {
                let rows: Vec<_> = answer["plugins"]
                    .as_array()
                    .into_iter()
                    .flatten()
                    .map(row)
                    .collect();
                table::print(HEAD, &rows);
            });
        }
        PluginCommand::Show { plugin } => {
            let answer = client.get(&path(plugin)?)?;
            client.print(&answer, |answer| say!("{answer:#}"));
        }
        PluginCommand::Try {
            plugin,
            events,
            config,
            targets,
        } => {
            let config: Value = serde_json::from_str(config)
                .map_err(|error| Failure::Usage(format!("--config is not JSON: {error}")))?;
            let events = match read_json(events)? {
                Value::Array(events) => events,
                one => vec![one],
            };
            let request = json!({"events": events, "config": config, "targets": targets});
            let answer = client.post(&format!("{}/try", path(plugin)?), &request)?;
            client.print(&answer, show_trial);
        }
        PluginCommand::Delete { plugin } => {
            client.delete(&path(plugin)?)?;
        }
    }
    Ok(())
}

/// Uploads bytes as `name@version`.
pub(in crate::cli) fn push(
    client: &Client,
    plugin: &str,
    bytes: Vec<u8>,
) -> Result<Value, Failure> {
    let request = client.request(Method::PUT, &path(plugin)?);
    client.answer(
        request
            .header("content-type", "application/wasm")
            .body(bytes),
    )
}

fn path(plugin: &str) -> Result<String, Failure> {
    let (name, version) = split_version(plugin)?;
    client::path(&["plugins", name, "versions", version])
}

const HEAD: &[&str] = &[
    "plugin", "bundled", "world", "form", "imports", "size", "digest", "created",
];

fn row(plugin: &Value) -> Vec<String> {
    vec![
        format!(
            "{}@{}",
            table::cell(&plugin["name"]),
            table::cell(&plugin["version"])
        ),
        if plugin["bundled"] == true {
            "yes".to_owned()
        } else {
            String::new()
        },
        table::cell(&plugin["world"]),
        table::cell(&plugin["form"]),
        table::cell(&plugin["imports"]),
        table::cell(&plugin["size"]),
        table::short_digest(&plugin["digest"]),
        table::cell(&plugin["created"]),
    ]
}

fn show_trial(answer: &Value) {
    for result in answer["results"].as_array().into_iter().flatten() {
        let reason = table::cell(&result["reason"]);
        let colon = if reason.is_empty() { "" } else { ": " };
        say!(
            "{}  {}{colon}{reason}",
            table::cell(&result["id"]),
            table::cell(&result["verdict"])
        );
        for output in result["outputs"].as_array().into_iter().flatten() {
            say!(
                "  → {}  {}",
                table::cell(&output["target"]),
                output["event"]
            );
        }
    }
    for line in answer["logs"].as_array().into_iter().flatten() {
        say!(
            "log {}: {}",
            table::cell(&line["level"]),
            table::cell(&line["message"])
        );
    }
    let micros = answer["time_ns"].as_u64().unwrap_or(0) / 1000;
    say!(
        "{micros} µs, {} KiB of memory",
        answer["memory_bytes"].as_u64().unwrap_or(0) / 1024
    );
}
