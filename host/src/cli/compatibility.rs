//! `sandbar contract check --against …` and `sandbar contract diff`: whether a version may follow
//! another, asked of a hub or found out here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    output::say,
    table,
};
use crate::{
    contract::{Comparison, Contract, Definition, Policy, Rule, Verdict, compare, flaw},
    diff::{Change, diff},
};

/// The exit code when it is neither proven nor shown.
const UNKNOWN: u8 = 8;

/// What a new version is held against.
#[derive(Debug, Args)]
pub(super) struct AgainstArgs {
    /// Hold the schema FILE against this contract of a hub: NAME or NAME@VERSION.
    #[arg(long, conflicts_with = "folder")]
    pub against: Option<String>,
    /// Hold it against a schema file, or the files of a folder (by name, the last is the latest); no hub is needed.
    #[arg(long)]
    pub folder: Option<PathBuf>,
    /// none, backward, forward, full, or one of the last three with -transitive [default: the contract's own, else backward].
    #[arg(long, value_parser = rule)]
    pub rule: Option<Rule>,
    /// strict or lenient [default: the contract's own, else strict].
    #[arg(long, value_parser = policy)]
    pub policy: Option<Policy>,
    /// A JSON object from event type to the part of the schema that holds for it.
    #[arg(long)]
    pub types: Option<PathBuf>,
    /// How many of the last events of each bound topic are held against it.
    #[arg(long, default_value_t = 1000, value_name = "EVENTS")]
    pub last: u32,
}

fn rule(text: &str) -> Result<Rule, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

pub(super) fn policy(text: &str) -> Result<Policy, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

/// `contract check FILE --against … | --folder …`.
pub(super) fn check(client: &Client, file: &Path, args: &AgainstArgs) -> Outcome {
    let schema = read_json(file)?;
    let types = args.types.as_deref().map(read_json).transpose()?;
    let answer = match (&args.against, &args.folder) {
        (Some(contract), _) => ask(client, contract, &schema, types.as_ref(), args)?,
        (None, Some(folder)) => {
            let new = definition(file, schema, types.clone())?;
            offline(&new, types.as_ref(), folder, args)?
        }
        (None, None) => return Err(Failure::Usage("give --against or --folder".to_owned())),
    };
    client.print(&answer, show);
    outcome(answer["answer"].as_str())
}

fn ask(
    client: &Client,
    contract: &str,
    schema: &Value,
    types: Option<&Value>,
    args: &AgainstArgs,
) -> Result<Value, Failure> {
    let (name, version) = match contract.split_once('@') {
        Some((name, version)) => {
            let number: u32 = version
                .parse()
                .map_err(|_| Failure::Usage(format!("{version:?} is not a version number")))?;
            (name, Some(number))
        }
        None => (contract, None),
    };
    let mut request = json!({"schema": schema, "events": args.last});
    for (member, value) in [
        ("types", types.cloned()),
        ("version", version.map(Value::from)),
        ("rule", args.rule.map(|rule| json!(rule))),
        ("policy", args.policy.map(|policy| json!(policy))),
    ] {
        if let Some(value) = value {
            request[member] = value;
        }
    }
    client.post(&path(&["contracts", name, "compatibility"])?, &request)
}

/// Without a hub: the same answer, without topics.
fn offline(
    new: &Definition,
    types: Option<&Value>,
    folder: &Path,
    args: &AgainstArgs,
) -> Result<Value, Failure> {
    let rule = args.rule.unwrap_or(Rule::Backward);
    let policy = args.policy.unwrap_or_default();
    let mut files = earlier(folder)?;
    if !rule.is_transitive() {
        files.drain(..files.len() - 1);
    }
    files.reverse();
    let mut against = Vec::new();
    let mut worst = Verdict::Compatible;
    for file in files {
        let old = definition(&file, read_json(&file)?, types.cloned())?;
        let comparison = compare(&old, new, rule.directions(), policy);
        worst = worst.max(comparison.answer());
        against.push(told(json!(file.display().to_string()), &comparison));
    }
    Ok(json!({"rule": rule, "policy": policy, "answer": worst, "against": against}))
}

fn told(version: Value, comparison: &Comparison) -> Value {
    let mut told = json!(comparison);
    told["version"] = version;
    told["answer"] = json!(comparison.answer());
    told
}

/// The schema files of a folder in the order of their names, numbers by their value; or one file.
fn earlier(folder: &Path) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::local(format!("{}: {error}", folder.display()));
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if file
            .extension()
            .is_some_and(|extension| extension == "json")
        {
            files.push(file);
        }
    }
    files.sort_by_key(|file| {
        let stem = file
            .file_stem()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        let digits: String = stem.chars().filter(char::is_ascii_digit).collect();
        (digits.parse::<u64>().unwrap_or(0), stem)
    });
    if files.is_empty() {
        return Err(Failure::local(format!(
            "{} holds no .json file",
            folder.display()
        )));
    }
    Ok(files)
}

/// Makes a definition of a file, and refuses what a hub would refuse.
fn definition(file: &Path, schema: Value, types: Option<Value>) -> Result<Definition, Failure> {
    let wrong = |reason: String| Failure::local(format!("{}: {reason}", file.display()));
    let types = types
        .map(serde_json::from_value)
        .transpose()
        .map_err(|error| wrong(format!("--types: {error}")))?;
    let definition = Definition {
        schema,
        types,
        ..Definition::default()
    };
    if let Some((pointer, reason)) = flaw(&definition) {
        return Err(wrong(format!("{pointer}: {reason}")));
    }
    Contract::compile(&definition).map_err(|error| wrong(error.to_string()))?;
    Ok(definition)
}

/// `contract diff A B`: what changed, and what it means both ways.
pub(super) fn show_diff(client: &Client, old: &str, new: &str, policy: Policy) -> Outcome {
    let (before, after) = (named(client, old)?, named(client, new)?);
    let comparison = compare(&before, &after, Rule::Full.directions(), policy);
    let changes = diff(&before.schema, &after.schema);
    let mut answer = told(json!(old), &comparison);
    answer["changes"] = json!(changes);
    client.print(&answer, |answer| {
        for change in &changes {
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
        if changes.is_empty() {
            say!("the schemas are the same");
        }
        show_comparison(answer);
    });
    outcome(answer["answer"].as_str())
}

/// A file, or NAME or NAME@VERSION of a hub.
fn named(client: &Client, text: &str) -> Result<Definition, Failure> {
    let file = Path::new(text);
    if file.is_file() {
        return definition(file, read_json(file)?, None);
    }
    let (name, version) = super::contracts::version_of(client, text)?;
    let parts = ["contracts", name, "versions", &version.to_string()];
    let found = client.get(&path(&parts)?)?;
    let definition = json!({"schema": found["schema"], "types": found["types"]});
    serde_json::from_value(definition).map_err(Failure::local)
}

fn outcome(answer: Option<&str>) -> Outcome {
    match answer {
        Some("compatible") => Ok(()),
        Some("unknown") => Err(Failure::Told(UNKNOWN)),
        _ => Err(Failure::Told(1)),
    }
}

fn short(value: &Value) -> String {
    const LONGEST: usize = 300;
    let text = value.to_string();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}

fn show(answer: &Value) {
    for one in answer["against"].as_array().into_iter().flatten() {
        say!(
            "against {}: {}",
            table::cell(&one["version"]),
            table::cell(&one["answer"])
        );
        show_comparison(one);
    }
    for topic in answer["topics"].as_array().into_iter().flatten() {
        let events = &topic["events"];
        say!(
            "topic {} (bound to version {}): {} of the last {} events would be refused",
            table::cell(&topic["topic"]),
            topic["version"],
            events["refused"],
            events["checked"]
        );
        for route in topic["routes"].as_array().into_iter().flatten() {
            say!("  written by route {}", table::cell(route));
        }
        for event in events["examples"].as_array().into_iter().flatten() {
            let first = &event["violations"][0];
            say!(
                "  {}/{} {}: {} {}",
                event["partition"],
                event["offset"],
                table::cell(&event["id"]),
                table::cell(&first["pointer"]),
                table::cell(&first["reason"])
            );
        }
    }
    say!("{}", table::cell(&answer["answer"]));
}

fn show_comparison(comparison: &Value) {
    for direction in ["backward", "forward"] {
        let outcome = &comparison[direction];
        if outcome.is_null() {
            continue;
        }
        say!("  {direction}: {}", table::cell(&outcome["answer"]));
        for finding in outcome["findings"].as_array().into_iter().flatten() {
            let of = finding["type"].as_str().map(|name| format!(" [{name}]"));
            say!(
                "    {}{}: {}",
                table::cell(&finding["rule"]),
                of.unwrap_or_default(),
                table::cell(&finding["message"])
            );
            say!(
                "      old {:?}, new {:?}",
                pointer(&finding["old"]),
                pointer(&finding["new"])
            );
            say!("      shown by {}", short(&finding["counterexample"]));
        }
        for undecided in outcome["undecided"].as_array().into_iter().flatten() {
            say!(
                "    not decided, {} at {:?}: {}",
                table::cell(&undecided["rule"]),
                pointer(&undecided["new"]),
                table::cell(&undecided["reason"])
            );
        }
    }
}

fn pointer(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
