//! `sandbar contract …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::{Value, json};

use crate::contract::Policy;

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    compatibility::{self, AgainstArgs},
    infer,
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
        /// Also when it cannot be decided whether the version keeps the contract's rule.
        #[arg(long)]
        accept_unknown: bool,
    },
    /// Say what new versions of a contract have to keep, and who owns it.
    Set {
        name: String,
        /// none, backward, forward, full, or one of the last three with -transitive.
        #[arg(long)]
        compatibility: Option<String>,
        /// strict or lenient.
        #[arg(long)]
        policy: Option<String>,
        #[arg(long)]
        owner: Option<String>,
        #[arg(long)]
        description: Option<String>,
        /// true or false.
        #[arg(long)]
        deprecated: Option<bool>,
    },
    /// List all contracts.
    List,
    /// Show a version with its schema: NAME or NAME@VERSION.
    Show { contract: String },
    /// Check events against a contract, or a new schema against earlier versions; nothing is stored.
    ///
    /// `check NAME[@VERSION] EVENTS` checks events (a JSON array, or one event). `check FILE --against
    /// NAME[@VERSION]` and `check FILE --folder DIR` say whether the schema may follow.
    Check {
        /// NAME or NAME@VERSION; with --against or --folder the file with the new schema.
        contract: String,
        events: Option<PathBuf>,
        #[command(flatten)]
        against: AgainstArgs,
    },
    /// Draft a schema from the events of a topic: every one of them fits it, and the evidence is shown.
    ///
    /// Nothing is registered: edit the draft, then `contract push` it.
    Infer(infer::InferArgs),
    /// What changed between two versions, and what it means both ways: files, NAME or NAME@VERSION.
    Diff {
        old: String,
        new: String,
        /// strict or lenient.
        #[arg(long, default_value = "strict", value_parser = compatibility::policy)]
        policy: Policy,
    },
}

pub(super) fn run(client: &Client, command: &ContractCommand) -> Outcome {
    match command {
        ContractCommand::Push {
            name,
            schema,
            types,
            description,
            accept_unknown,
        } => {
            let mut definition = json!({"schema": read_json(schema)?, "description": description});
            if let Some(types) = types {
                definition["types"] = read_json(types)?;
            }
            let mut at = path(&["contracts", name, "versions"])?;
            if *accept_unknown {
                at.push_str("?accept_unknown=true");
            }
            let answer = client.post(&at, &definition)?;
            client.print(&answer, |answer| {
                say!(
                    "{}@{}  {}",
                    table::cell(&answer["name"]),
                    answer["version"],
                    table::cell(&answer["digest"])
                );
            });
        }
        ContractCommand::Set {
            name,
            compatibility,
            policy,
            owner,
            description,
            deprecated,
        } => {
            let at = path(&["contracts", name])?;
            let mut document = match client.find(&at)? {
                Some(Value::Object(members)) => members,
                _ => serde_json::Map::new(),
            };
            if document.get("inherited") == Some(&Value::Bool(true)) {
                document.remove("compatibility");
            }
            document
                .retain(|member, _| !matches!(member.as_str(), "name" | "versions" | "inherited"));
            for (member, value) in [
                ("compatibility", compatibility.clone().map(Value::from)),
                ("policy", policy.clone().map(Value::from)),
                ("owner", owner.clone().map(Value::from)),
                ("description", description.clone().map(Value::from)),
                ("deprecated", deprecated.map(Value::from)),
            ] {
                if let Some(value) = value {
                    document.insert(member.to_owned(), value);
                }
            }
            let answer = client.put(&at, &Value::Object(document))?;
            client.print(&answer, |answer| {
                say!(
                    "{}  {} {}",
                    table::cell(&answer["name"]),
                    table::cell(&answer["compatibility"]),
                    table::cell(&answer["policy"])
                );
            });
        }
        ContractCommand::Diff { old, new, policy } => {
            return compatibility::show_diff(client, old, new, *policy);
        }
        ContractCommand::Infer(args) => return infer::run(client, args),
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
        ContractCommand::Check {
            contract, against, ..
        } if against.against.is_some() || against.folder.is_some() => {
            return compatibility::check(client, std::path::Path::new(contract), against);
        }
        ContractCommand::Check {
            contract, events, ..
        } => {
            let Some(events) = events else {
                let usage = "name a file of events, or --against or --folder for a schema";
                return Err(Failure::Usage(usage.to_owned()));
            };
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
pub(super) fn version_of<'a>(
    client: &Client,
    contract: &'a str,
) -> Result<(&'a str, u64), Failure> {
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
