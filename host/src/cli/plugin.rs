//! `sandbar plugin …`: making, building, checking, trying and watching a plugin, which needs no hub;
//! and the plugins of a hub.

mod build;
mod check;
mod compare;
mod dev;
mod new;
mod project;
mod push;
mod runtime;
mod samples;
mod show;
mod trial;
mod watch;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Client, Outcome,
    client::{self, Failure, split_version},
    output::say,
    table,
};

pub(super) use push::push;

#[derive(Debug, Subcommand)]
pub(super) enum PluginCommand {
    /// Make a project that builds and passes its test at once.
    New(new::NewArgs),
    /// Build a project, as its sandbar-plugin.toml says, and look at what came out.
    Build(build::BuildArgs),
    /// Tell what a plugin is, whether a hub would take it, and whether it is deterministic.
    ///
    /// Exits with 1 when a hub would refuse it, with 6 when it is not deterministic.
    Check(check::CheckArgs),
    /// Run a plugin on events, here or in a hub; nothing is stored.
    Try(trial::TryArgs),
    /// Build at every change, and show what the plugin then says differently.
    Dev(dev::DevArgs),
    /// Upload a version. Versions never change.
    Push(push::PushArgs),
    /// List all plugin versions.
    List,
    /// Show one version.
    Show {
        /// NAME@VERSION
        plugin: String,
    },
    /// Delete a version that no route uses.
    Delete {
        /// NAME@VERSION
        plugin: String,
    },
}

pub(super) fn run(client: &Client, command: &PluginCommand) -> Outcome {
    match command {
        PluginCommand::New(args) => new::run(client, args),
        PluginCommand::Build(args) => build::run(client, args),
        PluginCommand::Check(args) => check::run(client, args),
        PluginCommand::Try(args) => trial::run(client, args),
        PluginCommand::Dev(args) => dev::run(client, args),
        PluginCommand::Push(args) => push::run(client, args),
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
            Ok(())
        }
        PluginCommand::Show { plugin } => {
            let answer = client.get(&path(plugin)?)?;
            client.print(&answer, |answer| say!("{answer:#}"));
            Ok(())
        }
        PluginCommand::Delete { plugin } => client.delete(&path(plugin)?).map(drop),
    }
}

fn path(plugin: &str) -> Result<String, Failure> {
    let (name, version) = split_version(plugin)?;
    client::path(&["plugins", name, "versions", version])
}

const HEAD: &[&str] = &[
    "plugin", "bundled", "world", "form", "imports", "size", "digest", "created", "forced",
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
        table::cell(&plugin["forced"]),
    ]
}
