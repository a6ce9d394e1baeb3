//! `sandbar contract check NAME EVENTS`: whether events fit a contract, or bare data does.

use std::path::Path;

use clap::Args;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    contracts::version_of,
    output::say,
    schema_file::Sources,
    table,
};
use crate::contract::{Contract, Violations};

/// What is checked where it is no events.
#[derive(Debug, Args)]
pub(super) struct BareArgs {
    /// EVENTS holds data alone: a JSON array of documents, or one that is no array. Of Avro and Protobuf
    /// what the data looks like as JSON.
    #[arg(long, conflicts_with_all = ["against", "folder"])]
    data: bool,
    /// The event type that the data is of; where the contract has types.
    #[arg(long = "type", value_name = "TYPE", requires = "data")]
    event_type: Option<String>,
}

pub(super) fn run(
    client: &Client,
    contract: &str,
    file: Option<&Path>,
    bare: &BareArgs,
) -> Outcome {
    let Some(file) = file else {
        let usage = "name a file of events, or --against or --folder for a schema";
        return Err(Failure::Usage(usage.to_owned()));
    };
    let (name, version) = version_of(client, contract)?;
    let documents = match read_json(file)? {
        Value::Array(documents) => documents,
        one => vec![one],
    };
    let answer = if bare.data {
        let target = format!("{name}@{version}");
        check_data(client, &target, &documents, bare.event_type.as_deref())?
    } else {
        let request = json!({"version": version, "events": documents});
        let answer = client.post(&path(&["contracts", name, "check"])?, &request);
        answer.inspect_err(|_| {
            // What an event must have is told; that it is none has to be told, too.
            if !has_events(&documents) {
                eprintln!("sandbar: {}", no_events(file));
            }
        })?
    };
    client.print(&answer, |answer| {
        show(answer, if bare.data { "document" } else { "event" });
    });
    let results = answer["results"].as_array().into_iter().flatten();
    let bad = results.filter(|one| one["valid"] == false).count();
    if bad == 0 {
        return Ok(());
    }
    let kind = if bare.data { "documents" } else { "events" };
    Err(Failure::Local(format!("{bad} of {} {kind} do not fit", documents.len())).coded(1))
}

/// Whether one of the documents is meant to be an event (CloudEvents, "specversion").
fn has_events(documents: &[Value]) -> bool {
    let event = |one: &Value| one.get("specversion").is_some();
    documents.is_empty() || documents.iter().any(event)
}

fn no_events(file: &Path) -> String {
    format!(
        "{} holds no CloudEvents: none of its documents has a specversion. If it holds the data alone, add --data",
        file.display()
    )
}

/// The same answer as for events; the places are in the data.
fn check_data(
    client: &Client,
    target: &str,
    documents: &[Value],
    event_type: Option<&str>,
) -> Result<Value, Failure> {
    let definition = Sources::new(client).version(target)?;
    if let (Some(types), None) = (&definition.types, event_type) {
        let known: Vec<&str> = types.keys().map(String::as_str).collect();
        let usage = format!(
            "{target} has event types: say with --type which the data is of: {}",
            known.join(", ")
        );
        return Err(Failure::Usage(usage));
    }
    let contract = Contract::compile(&definition).map_err(Failure::local)?;
    let results = documents.iter().enumerate().map(|(index, document)| {
        let checked = contract.check_value(event_type.unwrap_or_default(), document);
        let violations = checked.err().map(places).unwrap_or_default();
        json!({"index": index, "valid": violations.is_empty(), "violations": violations})
    });
    Ok(json!({"results": results.collect::<Vec<_>>()}))
}

fn places(violations: Violations) -> Vec<Value> {
    let each = violations.violations.into_iter().map(|mut one| {
        if let Some(inner) = one.pointer.strip_prefix("/data") {
            one.pointer = inner.to_owned();
        }
        json!(one)
    });
    each.collect()
}

fn show(answer: &Value, kind: &str) {
    for result in answer["results"].as_array().into_iter().flatten() {
        say!(
            "{kind} {}: {}",
            result["index"],
            if result["valid"] == true {
                "fits"
            } else {
                "does not fit"
            }
        );
        for violation in result["violations"].as_array().into_iter().flatten() {
            let place = match table::cell(&violation["pointer"]) {
                whole if whole.is_empty() => "(all)".to_owned(),
                place => place,
            };
            say!("  {place}: {}", table::cell(&violation["reason"]));
        }
    }
}
