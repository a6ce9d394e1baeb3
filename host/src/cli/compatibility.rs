//! `sandbar contract check --against …` and `sandbar contract diff`: whether a version may follow
//! another, asked of a hub or found out here.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    impact,
    output::say,
    schema_file::{self, SchemaArgs, Sources},
    table,
};
use crate::{
    contract::{Comparison, Definition, Format, Policy, Rule, Verdict, compare},
    diff::{Change, diff, lines},
};

/// The exit code when it is neither proven nor shown.
const UNKNOWN: u8 = 8;

/// What a new version is held against.
#[derive(Debug, Args)]
pub(super) struct AgainstArgs {
    /// Hold the schema FILE against this contract of a hub: NAME or NAME@VERSION.
    #[arg(long, conflicts_with = "folder")]
    pub against: Option<String>,
    /// Hold it against a schema file, or the files of its format in a folder (by name, the last is the latest); no hub is needed.
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
    #[command(flatten)]
    pub reading: SchemaArgs,
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
    let types = args.types.as_deref().map(read_json).transpose()?;
    let answer = match (&args.against, &args.folder) {
        (Some(contract), _) => ask(client, contract, file, args)?,
        (None, Some(folder)) => {
            let mut sources = Sources::new(client);
            let new = sources.file(file, &args.reading, types.clone())?;
            offline(sources, &new, types.as_ref(), folder, args)?
        }
        (None, None) => return Err(Failure::Usage("give --against or --folder".to_owned())),
    };
    client.print(&answer, show);
    outcome(answer["answer"].as_str())
}

fn ask(client: &Client, contract: &str, file: &Path, args: &AgainstArgs) -> Result<Value, Failure> {
    let (name, version) = match contract.split_once('@') {
        Some((name, version)) => {
            let number: u32 = version
                .parse()
                .map_err(|_| Failure::Usage(format!("{version:?} is not a version number")))?;
            (name, Some(number))
        }
        None => (contract, None),
    };
    let definition = schema_file::to_send(file, &args.reading, args.types.as_deref())?;
    let mut request = json!(definition);
    request["events"] = json!(args.last);
    for (member, value) in [
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
    mut sources: Sources<'_>,
    new: &Definition,
    types: Option<&Value>,
    folder: &Path,
    args: &AgainstArgs,
) -> Result<Value, Failure> {
    let rule = args.rule.unwrap_or(Rule::Backward);
    let policy = args.policy.unwrap_or_default();
    let mut files = earlier(folder, new.format)?;
    if !rule.is_transitive() {
        files.drain(..files.len() - 1);
    }
    files.reverse();
    let mut against = Vec::new();
    let mut worst = Verdict::Compatible;
    for file in files {
        let reading = SchemaArgs {
            format: Some(new.format),
            ..args.reading.clone()
        };
        let old = sources.file(&file, &reading, types.cloned())?;
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
fn earlier(folder: &Path, format: Format) -> Result<Vec<PathBuf>, Failure> {
    let unreadable = |error| Failure::local(format!("{}: {error}", folder.display()));
    if folder.is_file() {
        return Ok(vec![folder.to_owned()]);
    }
    let mut files = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(unreadable)? {
        let file = entry.map_err(unreadable)?.path();
        if schema_file::format_of(&file) == Some(format) {
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
            "{} holds no file of the format {}",
            folder.display(),
            format.as_str()
        )));
    }
    Ok(files)
}

/// `contract diff A B`: what changed, and what it means both ways.
pub(super) fn show_diff(
    client: &Client,
    old: &str,
    new: &str,
    policy: Policy,
    reading: &SchemaArgs,
    last: u32,
) -> Outcome {
    let mut sources = Sources::new(client);
    let before = named(&mut sources, client, old, reading)?;
    let after = named(&mut sources, client, new, reading)?;
    let comparison = compare(&before, &after, Rule::Full.directions(), policy);
    let changes = diff(&before.schema, &after.schema);
    let mut answer = told(json!(old), &comparison);
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
    if !Path::new(old).is_file() && !reading.references.iter().any(from_files) {
        let touched = touched(client, old, &after, last)?;
        for member in ["topics", "contracts"] {
            answer[member] = touched[member].clone();
        }
    }
    client.print(&answer, |answer| {
        for line in told.iter().flatten() {
            say!("{}", table::plain(line));
        }
        for change in changes.iter().filter(|_| told.is_none()) {
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
        for line in impact::lines(answer) {
            say!("{line}");
        }
    });
    outcome(answer["answer"].as_str())
}

/// What of a hub a definition would touch as the next version of a contract.
fn touched(client: &Client, contract: &str, new: &Definition, last: u32) -> Result<Value, Failure> {
    let (name, version) = super::contracts::version_of(client, contract)?;
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
    let file = Path::new(text);
    if file.is_file() {
        return sources.file(file, reading, None);
    }
    let (name, version) = super::contracts::version_of(client, text)?;
    let found = sources.version(&format!("{name}@{version}"))?;
    Ok((*found).clone())
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
    for line in impact::lines(answer) {
        say!("{line}");
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
            if finding["counterexample"].is_null() {
                // Avro and Protobuf: the place is one for both.
                if !pointer(&finding["instance"]).is_empty() {
                    say!("      at {}", table::cell(&finding["instance"]));
                }
                continue;
            }
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
