//! `sandbar contract …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    output::say,
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// Register a version; the same content again is the version that there is.
    Push {
        name: String,
        /// The JSON Schema.
        schema: PathBuf,
        /// A JSON object from event type to the part of the schema that holds for it.
        #[arg(long)]
        types: Option<PathBuf>,
        #[arg(long, default_value = "")]
        description: String,
    },
    /// List all contracts.
    List,
    /// Show a version with its schema: NAME or NAME@VERSION.
    Show { contract: String },
    /// Check events (a JSON array, or one event) against NAME or NAME@VERSION; nothing is stored.
    Check { contract: String, events: PathBuf },
}

pub(super) fn run(client: &Client, command: &ContractCommand) -> Outcome {
    match command {
        ContractCommand::Push {
            name,
            schema,
            types,
            description,
        } => {
            let mut definition = json!({"schema": read_json(schema)?, "description": description});
            if let Some(types) = types {
                definition["types"] = read_json(types)?;
            }
            let answer = client.post(&path(&["contracts", name, "versions"])?, &definition)?;
            client.print(&answer, |answer| {
                say!(
                    "{}@{}  {}",
                    table::cell(&answer["name"]),
                    answer["version"],
                    table::cell(&answer["digest"])
                );
            });
        }
        ContractCommand::List => {
            let answer = client.get("/v1/contracts")?;
            client.print(&answer, |answer| {
                let each = answer["contracts"].as_array().into_iter().flatten();
                let rows: Vec<_> = each
                    .map(|one| vec![table::cell(&one["name"]), table::cell(&one["versions"])])
                    .collect();
                table::print(&["contract", "versions"], &rows);
            });
        }
        ContractCommand::Show { contract } => {
            let (name, version) = version_of(client, contract)?;
            let answer = client.get(&path(&[
                "contracts",
                name,
                "versions",
                &version.to_string(),
            ])?)?;
            client.print(&answer, |answer| say!("{answer:#}"));
        }
        ContractCommand::Check { contract, events } => {
            let (name, version) = version_of(client, contract)?;
            let events = match read_json(events)? {
                Value::Array(events) => events,
                one => vec![one],
            };
            let request = json!({"version": version, "events": events});
            let answer = client.post(&path(&["contracts", name, "check"])?, &request)?;
            client.print(&answer, show_check);
            let results = answer["results"].as_array().into_iter().flatten();
            let bad = results.filter(|one| one["valid"] == false).count();
            if bad > 0 {
                return Err(Failure::local(format!(
                    "{bad} of {} events do not fit",
                    events.len()
                )));
            }
        }
    }
    Ok(())
}

/// The version that is named, or the latest.
fn version_of<'a>(client: &Client, contract: &'a str) -> Result<(&'a str, u64), Failure> {
    if let Some((name, version)) = contract.split_once('@') {
        let version = version
            .parse()
            .map_err(|_| Failure::Usage(format!("{version:?} is not a version number")))?;
        return Ok((name, version));
    }
    let answer = client.get(&path(&["contracts", contract, "versions"])?)?;
    let versions = answer["versions"].as_array().into_iter().flatten();
    let latest = versions.filter_map(|one| one["version"].as_u64()).max();
    Ok((contract, latest.unwrap_or(1)))
}

fn show_check(answer: &Value) {
    for result in answer["results"].as_array().into_iter().flatten() {
        say!(
            "event {}: {}",
            result["index"],
            if result["valid"] == true {
                "fits"
            } else {
                "does not fit"
            }
        );
        for violation in result["violations"].as_array().into_iter().flatten() {
            say!(
                "  {}: {}",
                table::cell(&violation["pointer"]),
                table::cell(&violation["reason"])
            );
        }
    }
}
