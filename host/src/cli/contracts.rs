//! `sandbar contract …`

use std::path::PathBuf;

use clap::Subcommand;
use serde_json::Value;

use super::{
    Client, Outcome, check,
    client::{Failure, path},
    compatibility::{self, AgainstArgs},
    infer,
    output::say,
    schema_file::{self, SchemaArgs},
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum ContractCommand {
    /// Register a version; the same content again is the version that there is.
    Push {
        name: String,
        /// The schema: a .json, .avsc or .proto file.
        schema: PathBuf,
        #[command(flatten)]
        reading: SchemaArgs,
        /// A JSON object from event type to the part of the schema that holds for it: a reference such as
        /// #/definitions/order, or a Protobuf message.
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
    /// `check NAME[@VERSION] EVENTS` checks events (a JSON array, or one event); with --data the file holds
    /// no events but their data. `check FILE --against NAME[@VERSION]` and `check FILE --folder DIR` say
    /// whether the schema may follow.
    Check {
        /// NAME or NAME@VERSION; with --against or --folder the file with the new schema.
        contract: String,
        events: Option<PathBuf>,
        #[command(flatten)]
        bare: check::BareArgs,
        #[command(flatten)]
        against: AgainstArgs,
    },
    /// Draft a schema from the events of a topic: every one of them fits it, and the evidence is shown.
    ///
    /// Nothing is registered: edit the draft, then `contract push` it.
    Infer(infer::InferArgs),
    /// What changed between two versions, and what it means both ways: files, NAME or NAME@VERSION.
    Diff(compatibility::DiffArgs),
}

pub(super) fn run(client: &Client, command: &ContractCommand) -> Outcome {
    match command {
        ContractCommand::Push {
            name,
            schema,
            reading,
            types,
            description,
            accept_unknown,
        } => {
            let mut definition = schema_file::to_send(schema, reading, types.as_deref())?;
            definition.description.clone_from(description);
            let mut at = path(&["contracts", name, "versions"])?;
            if *accept_unknown {
                at.push_str("?accept_unknown=true");
            }
            let definition = serde_json::to_value(definition).map_err(Failure::local)?;
            let answer = client.post(&at, &definition)?;
            client.print(&answer, |answer| {
                say!(
                    "{}@{}  id {}  {}  {}",
                    table::cell(&answer["name"]),
                    answer["version"],
                    answer["id"],
                    table::cell(&answer["format"]),
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
        ContractCommand::Diff(args) => {
            return compatibility::show_diff(client, args).map_err(compatibility::told_apart);
        }
        ContractCommand::Infer(args) => return infer::run(client, args),
        ContractCommand::List => {
            let answer = client.get("/v1/contracts")?;
            client.print(&answer, |answer| {
                let each = answer["contracts"].as_array().into_iter().flatten();
                let rows: Vec<_> = each
                    .map(|one| {
                        vec![
                            table::cell(&one["name"]),
                            table::cell(&one["versions"]),
                            table::cell(&one["format"]),
                            table::cell(&one["id"]),
                            deprecated(one).to_owned(),
                        ]
                    })
                    .collect();
                table::print(&["contract", "versions", "format", "id", ""], &rows);
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
            client.print(&answer, show);
        }
        ContractCommand::Check {
            contract, against, ..
        } if against.against.is_some() || against.folder.is_some() => {
            let file = std::path::Path::new(contract);
            return compatibility::check(client, file, against).map_err(compatibility::told_apart);
        }
        ContractCommand::Check {
            contract,
            events,
            bare,
            ..
        } => {
            return check::run(client, contract, events.as_deref(), bare)
                .map_err(compatibility::told_apart);
        }
    }
    Ok(())
}

fn deprecated(one: &Value) -> &'static str {
    if one["deprecated"] == true {
        "deprecated"
    } else {
        ""
    }
}

fn show(answer: &Value) {
    say!(
        "{}@{}  id {}  {}  {}",
        table::cell(&answer["name"]),
        answer["version"],
        answer["id"],
        table::cell(&answer["format"]),
        deprecated(answer)
    );
    say!("registered {}", table::cell(&answer["created"]));
    if let Some(description) = answer["description"].as_str() {
        say!("{}", table::plain(description));
    }
    for reference in answer["references"].as_array().into_iter().flatten() {
        say!(
            "refers to {}@{} as {}",
            table::cell(&reference["contract"]),
            reference["version"],
            table::cell(&reference["name"])
        );
    }
    for (name, part) in answer["types"].as_object().into_iter().flatten() {
        say!("type {}: {}", table::plain(name), table::cell(part));
    }
    match answer["schema"].as_str() {
        Some(text) if answer["format"] == "protobuf" => {
            for line in text.lines() {
                say!("{}", table::plain(line));
            }
        }
        _ => say!("{:#}", answer["schema"]),
    }
}

/// The version that is named, or the latest.
pub(in crate::cli) fn version_of<'a>(
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
