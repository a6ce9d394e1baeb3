//! What the activation gate says, in words for people; and asking it.

use std::{collections::BTreeMap, path::PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path, read_json},
    output::say,
    table::{cell, plain},
};

/// The longest data of an input or output that is shown, in characters.
const LONGEST: usize = 2_000;

#[derive(Debug, Args)]
pub(super) struct CheckArgs {
    route: String,
    /// The route as it would be, as JSON; else it is looked at as it is.
    #[arg(short, long)]
    file: Option<PathBuf>,
    /// A version, NAME@VERSION, in place of the one in use.
    #[arg(long)]
    plugin: Option<String>,
    /// With --plugin: in which step, from 0; else in the one that runs this plugin.
    #[arg(long, requires = "plugin")]
    step: Option<usize>,
    /// TOPIC=NAME@VERSION: a contract version that a target would be bound to.
    #[arg(long = "contract", value_name = "TOPIC=CONTRACT")]
    contracts: Vec<String>,
    /// Another seed makes other inputs; default 1.
    #[arg(long)]
    seed: Option<u64>,
    /// How many inputs are made from the contract of the source.
    #[arg(long)]
    inputs: Option<usize>,
    /// How many of the last events of the source are taken.
    #[arg(long)]
    events: Option<usize>,
}

/// `sandbar route check`: exits with 1 when it would be refused.
pub(super) fn check(client: &Client, args: &CheckArgs) -> Outcome {
    let report = ask(client, &args.route, &request(args)?)?;
    client.print(&report, |report| {
        lines(report).iter().for_each(|line| say!("{line}"));
    });
    match report["outcome"].as_str() {
        Some("refused") => Err(Failure::Told(1)),
        _ => Ok(()),
    }
}

/// Asks the gate of a hub; nothing is changed.
pub(super) fn ask(client: &Client, route: &str, request: &Value) -> Result<Value, Failure> {
    client.post(&path(&["routes", route, "gate"])?, request)
}

fn request(args: &CheckArgs) -> Result<Value, Failure> {
    let mut request = json!({});
    if let Some(file) = &args.file {
        request["document"] = read_json(file)?;
    }
    let mut contracts = BTreeMap::new();
    for one in &args.contracts {
        let (topic, contract) = one
            .split_once('=')
            .ok_or_else(|| Failure::Usage(format!("--contract {one}: write TOPIC=NAME@VERSION")))?;
        contracts.insert(topic, contract);
    }
    if !contracts.is_empty() {
        request["contracts"] = json!(contracts);
    }
    let members = [
        ("plugin", args.plugin.as_ref().map(|plugin| json!(plugin))),
        ("step", args.step.map(|step| json!(step))),
        ("seed", args.seed.map(|seed| json!(seed))),
        ("generated", args.inputs.map(|count| json!(count))),
        ("real", args.events.map(|count| json!(count))),
    ];
    for (name, value) in members {
        if let Some(value) = value {
            request[name] = value;
        }
    }
    Ok(request)
}

/// A report, line by line.
pub(super) fn lines(report: &Value) -> Vec<String> {
    let mut all = vec![headline(report)];
    for failure in report["failures"].as_array().into_iter().flatten() {
        all.extend(failure_lines(failure));
    }
    for warning in report["warnings"].as_array().into_iter().flatten() {
        all.push(format!("  note: {}", plain(&cell(warning))));
    }
    if report["outcome"] == "refused" {
        all.push(format!("  again: {}", plain(&cell(&report["again"]))));
    }
    all
}

/// `route orders: passed; 203 inputs and 12 events, seed 1`
pub(super) fn headline(report: &Value) -> String {
    let route = plain(&cell(&report["route"]));
    let outcome = cell(&report["outcome"]).replace('-', " ");
    let checked = |kind: &str| report[kind]["checked"].as_u64().unwrap_or(0);
    let mut line = format!("route {route}: {outcome}");
    match report["detail"].as_str() {
        Some(detail) => line.push_str(&format!(": {}", plain(detail))),
        None => line.push_str(&format!(
            "; {} inputs and {} events, seed {}",
            checked("generated"),
            checked("real"),
            report["seed"]
        )),
    }
    let both = |what: &str| {
        let of = |kind: &str| report[kind][what].as_u64().unwrap_or(0);
        of("generated") + of("real")
    };
    for what in ["failed", "rejected", "retried"] {
        if both(what) > 0 {
            line.push_str(&format!(", {} {what}", both(what)));
        }
    }
    line
}

fn failure_lines(failure: &Value) -> Vec<String> {
    let plugin = cell(&failure["plugin"]);
    let by = match plugin.as_str() {
        "" => String::new(),
        plugin => format!(" {}", plain(plugin)),
    };
    let mut all = vec![format!(
        "  {}{by}: {}",
        cell(&failure["cause"]),
        plain(&cell(&failure["reason"]))
    )];
    let case = &failure["case"];
    let from = match case["kind"].as_str() {
        Some("real") => format!(
            "{}/{}/{}",
            cell(&case["topic"]),
            case["partition"],
            case["offset"]
        ),
        _ => format!("made, number {}", case["number"]),
    };
    let input = &failure["input"];
    all.push(format!(
        "    input ({}, {})  {}",
        plain(&from),
        plain(&cell(&input["type"])),
        data(input)
    ));
    for output in failure["outputs"].as_array().into_iter().flatten() {
        let contract = match output["contract"].as_str() {
            Some(contract) => format!(" ({})", plain(contract)),
            None => String::new(),
        };
        all.push(format!(
            "    → {}{contract}  {}",
            plain(&cell(&output["target"])),
            data(&output["event"])
        ));
    }
    for one in failure["violations"].as_array().into_iter().flatten() {
        all.push(format!(
            "    - {}: {}",
            plain(&cell(&one["pointer"])),
            plain(&cell(&one["reason"]))
        ));
    }
    for line in cell(&failure["backtrace"]).lines().take(8) {
        all.push(format!("    in {}", plain(line)));
    }
    all
}

fn data(event: &Value) -> String {
    let data = event.get("data").or_else(|| event.get("data_base64"));
    let text = data.map(Value::to_string).unwrap_or_default();
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", plain(&text[..end])),
        None => plain(&text),
    }
}

/// What is kept of the gate with something that is live: `passed`, `forced: …`.
pub(super) fn kept(gate: &Value) -> String {
    match gate["outcome"].as_str() {
        Some("passed") => format!(
            "passed: {} inputs and {} events, seed {}",
            gate["generated"], gate["real"], gate["seed"]
        ),
        Some("forced") => {
            let failures = gate["failures"].as_array();
            let first = failures.and_then(|all| all.first()).unwrap_or(&Value::Null);
            format!("FORCED: {}", reason(first))
        }
        Some(_) => format!("not checked: {}", plain(&cell(&gate["detail"]))),
        None => String::new(),
    }
}

/// A failure as it is kept.
fn reason(failure: &Value) -> String {
    format!(
        "route {}: {}: {}",
        plain(&cell(&failure["route"])),
        cell(&failure["cause"]),
        plain(&cell(&failure["reason"]))
    )
}

/// What of a route is live against the gate.
pub(super) fn forced(route: &Value) -> Vec<String> {
    let each = route["forced"].as_array().into_iter().flatten();
    let lines = each.map(|one| {
        let why = match cell(&one["reason"]).as_str() {
            "" => String::new(),
            reason => format!(" ({})", plain(reason)),
        };
        let first = one["failures"].as_array().and_then(|all| all.first());
        format!(
            "{} by {} at {}{why}: {}",
            plain(&cell(&one["what"])),
            plain(&cell(&one["by"])),
            cell(&one["at"]),
            reason(first.unwrap_or(&Value::Null))
        )
    });
    lines.collect()
}

/// `?force=true` and a reason, for what goes live.
pub(super) fn query(force: bool, reason: &str) -> String {
    let mut query = String::new();
    if force {
        query.push_str("?force=true");
    }
    if !reason.is_empty() {
        let encoded =
            percent_encoding::utf8_percent_encode(reason, percent_encoding::NON_ALPHANUMERIC);
        let separator = if query.is_empty() { '?' } else { '&' };
        query.push_str(&format!("{separator}reason={encoded}"));
    }
    query
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_with_input_output_and_place() {
        let report = json!({
            "route": "r", "outcome": "refused", "seed": 7, "again": "sandbar route check r --seed 7",
            "generated": {"checked": 9, "failed": 2, "rejected": 1}, "real": {"checked": 3},
            "failures": [{
                "cause": "contract", "reason": "does not fit", "plugin": "p@1", "step": 0,
                "case": {"kind": "generated", "number": 4},
                "input": {"type": "t", "data": {"a": 1}},
                "outputs": [{"target": "out", "contract": "c@2", "event": {"data": {"b": "\u{1b}[31m"}}}],
                "violations": [{"pointer": "/data/b", "reason": "no number", "schema_pointer": ""}],
            }],
            "warnings": ["slow"],
        });
        assert_eq!(
            lines(&report),
            [
                "route r: refused; 9 inputs and 3 events, seed 7, 2 failed, 1 rejected",
                "  contract p@1: does not fit",
                "    input (made, number 4, t)  {\"a\":1}",
                "    → out (c@2)  {\"b\":\"\\u001b[31m\"}",
                "    - /data/b: no number",
                "  note: slow",
                "  again: sandbar route check r --seed 7",
            ]
        );
    }

    #[test]
    fn a_reason_goes_into_the_query_as_it_is() {
        assert_eq!(query(false, ""), "");
        assert_eq!(query(true, ""), "?force=true");
        assert_eq!(query(true, "a&b"), "?force=true&reason=a%26b");
        assert_eq!(query(false, "x"), "?reason=x");
    }
}
