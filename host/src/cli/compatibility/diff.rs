//! `sandbar contract diff OLD NEW`: what changed, and what it means both ways.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use clap::Args;
use serde_json::{Value, json};

use super::{found, outcome, policy, told};
use crate::{
    cli::{
        Client, Outcome,
        client::{Failure, path, read_json},
        contracts::version_of,
        impact,
        output::say,
        schema_file::{SchemaArgs, Sources},
        table,
    },
    contract::{Contract, Definition, Format, Policy, Rule, compare},
    diff::{Change, diff, lines},
};

#[derive(Debug, Args)]
pub(in crate::cli) struct DiffArgs {
    old: String,
    new: String,
    /// strict or lenient [default: that of OLD's contract, where it is a hub's; else strict].
    #[arg(long, value_parser = policy)]
    policy: Option<Policy>,
    /// A JSON object from event type to the part of the schema that holds for it, for NEW, and for OLD where
    /// that is a file, too [default: the types of OLD, where NEW has all their parts].
    #[arg(long, value_name = "FILE")]
    types: Option<PathBuf>,
    #[command(flatten)]
    reading: SchemaArgs,
    /// How many of the last events of each bound topic are held against NEW, where OLD is a hub's.
    #[arg(long, default_value_t = 1000, value_name = "EVENTS")]
    last: u32,
}

pub(in crate::cli) fn show_diff(client: &Client, args: &DiffArgs) -> Outcome {
    let (old, new) = (args.old.as_str(), args.new.as_str());
    let mut sources = Sources::new(client);
    let mut before = named(&mut sources, client, old, &args.reading)?;
    let mut after = named(&mut sources, client, new, &args.reading)?;
    give_types(&mut before, &mut after, args)?;
    let of_hub = !is_file(old);
    let policy = match args.policy {
        Some(policy) => policy,
        None if of_hub => own_policy(client, old)?,
        None => Policy::default(),
    };
    let comparison = compare(&before, &after, Rule::Full.directions(), policy);
    let changes = diff(&before.schema, &after.schema);
    let mut answer = told(json!(old), &comparison);
    answer["policy"] = json!(policy);
    answer["changes"] = json!(changes);
    let texts = (before.format, after.format) == (Format::Protobuf, Format::Protobuf);
    let told = match (texts, before.schema.as_str(), after.schema.as_str()) {
        (true, Some(before), Some(after)) => Some(lines(before, after)),
        _ => None,
    };
    if let Some(told) = &told {
        answer["lines"] = json!(told);
    }
    // A hub cannot be asked about what refers to files.
    let from_files = |(_, target): &(String, String)| !target.contains('@');
    if of_hub && !args.reading.references.iter().any(from_files) {
        let touched = touched(client, old, &after, args.last)?;
        for member in ["topics", "contracts"] {
            answer[member] = touched[member].clone();
        }
    }
    client.print(&answer, |answer| {
        for line in told.iter().flatten() {
            say!("{}", table::plain(line));
        }
        for change in changes.iter().filter(|_| told.is_none()) {
            show_change(change);
        }
        if changes.is_empty() {
            say!("the schemas are the same");
        }
        if policy != Policy::default() {
            say!("  by the policy {}", table::cell(&answer["policy"]));
        }
        for line in found(answer).into_iter().chain(impact::lines(answer)) {
            say!("{line}");
        }
    });
    outcome(answer["answer"].as_str())
}

fn show_change(change: &Change) {
    let short = table::short;
    match change {
        Change::Added { pointer, value } => say!("+ {pointer}: {}", short(value)),
        Change::Removed { pointer, value } => say!("- {pointer}: {}", short(value)),
        Change::Changed {
            pointer,
            before,
            after,
        } => {
            say!("~ {pointer}: {} -> {}", short(before), short(after));
        }
    }
}

fn is_file(text: &str) -> bool {
    Path::new(text).is_file()
}

/// A schema in a file says nothing of event types. Without them everything would be held against
/// everything, so they come from `--types`, or from the version before.
fn give_types(before: &mut Definition, after: &mut Definition, args: &DiffArgs) -> Outcome {
    if let Some(file) = &args.types {
        if !is_file(&args.new) {
            let usage = "--types is for a schema in a file, and NEW is a hub's";
            return Err(Failure::Usage(usage.to_owned()));
        }
        let invalid = |reason: String| Failure::Invalid(format!("{}: {reason}", file.display()));
        let types: BTreeMap<String, String> =
            serde_json::from_value(read_json(file)?).map_err(|error| invalid(error.to_string()))?;
        *after = with_types(after, types.clone()).map_err(invalid)?;
        if is_file(&args.old) {
            // It may have had fewer.
            let known = types.into_iter().filter(|(name, part)| {
                let one = BTreeMap::from([(name.clone(), part.clone())]);
                with_types(before, one).is_ok()
            });
            let known: BTreeMap<_, _> = known.collect();
            if !known.is_empty() {
                *before = with_types(before, known).map_err(invalid)?;
            }
        }
        return Ok(());
    }
    if let Some(types) = before.types.clone()
        && is_file(&args.new)
    {
        match with_types(after, types) {
            Ok(typed) => *after = typed,
            Err(reason) => eprintln!(
                "sandbar: the event types of {} are not those of {}: {reason}; --types says which part holds for which",
                args.old, args.new
            ),
        }
    }
    Ok(())
}

fn with_types(
    definition: &Definition,
    types: BTreeMap<String, String>,
) -> Result<Definition, String> {
    let typed = Definition {
        types: Some(types),
        ..definition.clone()
    };
    Contract::compile(&typed).map_err(|error| error.to_string())?;
    Ok(typed)
}

fn own_policy(client: &Client, contract: &str) -> Result<Policy, Failure> {
    let name = contract.split('@').next().unwrap_or(contract);
    let found = client.get(&path(&["contracts", name])?)?;
    serde_json::from_value(found["policy"].clone()).map_err(Failure::local)
}

/// What of a hub a definition would touch as the next version of a contract.
fn touched(client: &Client, contract: &str, new: &Definition, last: u32) -> Result<Value, Failure> {
    let (name, version) = version_of(client, contract)?;
    let mut request = serde_json::to_value(new).map_err(Failure::local)?;
    if let Some(members) = request.as_object_mut() {
        members.remove("description");
    }
    request["version"] = json!(version);
    request["events"] = json!(last);
    client.post(&path(&["contracts", name, "compatibility"])?, &request)
}

/// A file, or NAME or NAME@VERSION of a hub.
fn named(
    sources: &mut Sources<'_>,
    client: &Client,
    text: &str,
    reading: &SchemaArgs,
) -> Result<Definition, Failure> {
    if is_file(text) {
        return sources.file(Path::new(text), reading, None);
    }
    let (name, version) = version_of(client, text)?;
    let found = sources.version(&format!("{name}@{version}"))?;
    Ok((*found).clone())
}
