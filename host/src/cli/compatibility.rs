//! `sandbar contract check --against …` and `sandbar contract diff`: whether a version may follow
//! another, asked of a hub or found out here.

mod diff;

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
use crate::contract::{Comparison, Definition, Format, Policy, Rule, Verdict, compare};

pub(super) use diff::{DiffArgs, show_diff};

/// The exit code when it is neither proven nor shown.
const UNKNOWN: u8 = 8;
/// When there is nothing to tell of: a schema or events that cannot be read.
const NOT_COMPARED: u8 = 2;
/// When there is no such file.
const NO_FILE: u8 = 4;

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

/// 1 says that something does not fit; so what else may fail has other exit codes here.
pub(super) fn told_apart(failure: Failure) -> Failure {
    match failure {
        Failure::Missing(_) => failure.coded(NO_FILE),
        Failure::Refused { .. } if failure.is_not_found() => failure,
        Failure::Refused { .. } | Failure::Local(_) | Failure::Invalid(_) => {
            failure.coded(NOT_COMPARED)
        }
        Failure::Unreachable { .. }
        | Failure::Usage(_)
        | Failure::Changes
        | Failure::ToolMissing(_)
        | Failure::Told(_)
        | Failure::Coded(..) => failure,
    }
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
    let bare = request.clone();
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
    let answer = client.post(&path(&["contracts", name, "compatibility"])?, &request);
    match answer {
        Err(failure)
            if failure.is_not_found()
                && version.is_none()
                && client.find(&path(&["contracts", name])?)?.is_none() =>
        {
            first(client, name, bare, args)
        }
        answer => answer,
    }
}

/// The answer of a hub that does not know the contract yet: nothing speaks against a schema that is valid.
fn first(
    client: &Client,
    name: &str,
    mut request: Value,
    args: &AgainstArgs,
) -> Result<Value, Failure> {
    request["events"] = json!([]);
    client.post(&path(&["contracts", name, "check"])?, &request)?;
    Ok(json!({
        "contract": name, "rule": args.rule, "policy": args.policy.unwrap_or_default(),
        "answer": Verdict::Compatible, "refused": false,
        "against": [], "topics": [], "contracts": [],
    }))
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
    let unreadable =
        |error: std::io::Error| Failure::unread(&error, format!("{}: {error}", folder.display()));
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
        return Err(Failure::Missing(format!(
            "{} holds no file of the format {} to compare with",
            folder.display(),
            format.as_str()
        )));
    }
    Ok(files)
}

fn outcome(answer: Option<&str>) -> Outcome {
    match answer {
        Some("compatible") => Ok(()),
        Some("unknown") => Err(Failure::Told(UNKNOWN)),
        _ => Err(Failure::Told(1)),
    }
}

fn show(answer: &Value) {
    if answer["against"].as_array().is_some_and(Vec::is_empty) {
        say!(
            "contract {} has no version yet: there is nothing to compare with, and the schema is valid",
            table::cell(&answer["contract"])
        );
    }
    for line in lines(answer) {
        say!("{line}");
    }
    for line in impact::lines(answer) {
        say!("{line}");
    }
    say!("{}", table::cell(&answer["answer"]));
}

/// What was found against each version, in lines.
pub(super) fn lines(answer: &Value) -> Vec<String> {
    let mut all = Vec::new();
    for one in answer["against"].as_array().into_iter().flatten() {
        let (version, outcome) = (table::cell(&one["version"]), table::cell(&one["answer"]));
        all.push(format!("against {version}: {outcome}"));
        all.extend(found(one));
    }
    all
}

/// What a comparison found, in lines.
fn found(comparison: &Value) -> Vec<String> {
    let mut lines = Vec::new();
    for direction in ["backward", "forward"] {
        let outcome = &comparison[direction];
        if outcome.is_null() {
            continue;
        }
        lines.push(format!(
            "  {direction}: {}",
            table::cell(&outcome["answer"])
        ));
        for finding in outcome["findings"].as_array().into_iter().flatten() {
            let of = finding["type"].as_str();
            let of = of.map(|name| format!(" [{}]", table::plain(name)));
            lines.push(format!(
                "    {}{}: {}",
                table::cell(&finding["rule"]),
                of.unwrap_or_default(),
                table::cell(&finding["message"])
            ));
            if finding["counterexample"].is_null() {
                // Avro and Protobuf: the place is one for both.
                if !pointer(&finding["instance"]).is_empty() {
                    lines.push(format!("      at {}", table::cell(&finding["instance"])));
                }
                continue;
            }
            lines.push(format!(
                "      old {:?}, new {:?}",
                pointer(&finding["old"]),
                pointer(&finding["new"])
            ));
            let shown = table::short(&finding["counterexample"]);
            lines.push(format!("      shown by {shown}"));
        }
        for undecided in outcome["undecided"].as_array().into_iter().flatten() {
            lines.push(format!(
                "    not decided, {} at {:?}: {}",
                table::cell(&undecided["rule"]),
                pointer(&undecided["new"]),
                table::cell(&undecided["reason"])
            ));
        }
    }
    lines
}

fn pointer(value: &Value) -> &str {
    value.as_str().unwrap_or_default()
}
