//! `sandbar contract infer TOPIC`: a draft of a contract from what a topic holds.
//!
//! The schema goes to standard output or to a file, what it stands on to standard error, so that the
//! schema can be piped on.

use std::path::{Path, PathBuf};

use clap::Args;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path},
    output::say,
    replay::point,
    table,
};

/// So many places are listed for people; `--json` has all.
const MOST_PLACES: usize = 200;

#[derive(Debug, Args)]
pub(super) struct InferArgs {
    topic: String,
    /// The last so many events, of all partitions together; 1000000 at most.
    #[arg(long, default_value_t = 10_000)]
    events: u64,
    /// Not before: earliest, latest, a time (RFC 3339), or PARTITION:OFFSET,… for some partitions.
    #[arg(long, default_value = "earliest")]
    from: String,
    /// Where to end, in the same words; the event there is left out.
    #[arg(long, default_value = "latest")]
    to: String,
    /// Only events of this type; may be given several times.
    #[arg(long = "type", value_name = "TYPE")]
    only: Vec<String>,
    /// One schema for all event types, instead of one for each when there are several.
    #[arg(long, conflicts_with_all = ["each", "types"])]
    one: bool,
    /// A schema for each event type, also when there is but one.
    #[arg(long)]
    each: bool,
    /// Write what was counted into the schema, as $comment.
    #[arg(long)]
    comments: bool,
    /// Write the schema to a file, as `contract push` takes it.
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Where to write which part holds for which event type, as `contract push --types` takes it.
    /// Default: beside --out, with .types.json at the end.
    #[arg(long, value_name = "FILE")]
    types: Option<PathBuf>,
}

pub(super) fn run(client: &Client, args: &InferArgs) -> Outcome {
    let mut request = json!({
        "events": args.events, "from": point(&args.from)?, "to": point(&args.to)?,
        "comments": args.comments,
    });
    if !args.only.is_empty() {
        request["types"] = json!(args.only);
    }
    if args.one || args.each || args.types.is_some() {
        request["per_type"] = json!(!args.one);
    }
    let draft = client.post(&path(&["topics", &args.topic, "infer"])?, &request)?;
    let types = draft.get("types").filter(|types| types.is_object());
    if let Some(out) = &args.out {
        write(out, &draft["schema"])?;
    }
    let types_file = match (&args.types, &args.out, types) {
        (_, _, None) => None,
        (Some(file), ..) => Some(file.clone()),
        (None, Some(out), _) => Some(beside(out)),
        (None, None, _) => None,
    };
    if let (Some(file), Some(types)) = (&types_file, types) {
        write(file, types)?;
    }
    if client.json {
        say!("{draft}");
        return Ok(());
    }
    if args.out.is_none() {
        say!("{:#}", draft["schema"]);
    }
    tell(&draft["evidence"]);
    match (&args.out, &types_file) {
        (Some(out), Some(types)) => eprintln!(
            "\nedit and register it: sandbar contract push NAME {} --types {}",
            out.display(),
            types.display()
        ),
        (Some(out), None) => eprintln!(
            "\nedit and register it: sandbar contract push NAME {}",
            out.display()
        ),
        (None, None) if types.is_some() => eprintln!(
            "\nthere are several event types: --types FILE keeps which part holds for which, --one makes one schema"
        ),
        (None, _) => {}
    }
    Ok(())
}

/// `orders.json` → `orders.types.json`.
fn beside(out: &Path) -> PathBuf {
    out.with_extension("types.json")
}

fn write(file: &Path, value: &Value) -> Outcome {
    std::fs::write(file, format!("{value:#}\n"))
        .map_err(|error| Failure::local(format!("cannot write {}: {error}", file.display())))
}

fn tell(evidence: &Value) {
    eprint!("{}", text_of(evidence));
}

fn text_of(evidence: &Value) -> String {
    let mut text = format!(
        "\n{} events, {} of them JSON\n",
        evidence["events"], evidence["json"]
    );
    for one in each(&evidence["not_json_examples"]) {
        text.push_str(&format!(
            "  not drafted from: {} of type {}: {}\n",
            table::plain(&table::cell(&one["position"])),
            table::plain(&table::cell(&one["type"])),
            table::plain(&table::cell(&one["reason"]))
        ));
    }
    for note in each(&evidence["notes"]) {
        text.push_str(&format!("  {}\n", table::plain(&table::cell(note))));
    }
    for part in each(&evidence["parts"]) {
        text.push_str(&format!(
            "\n{}  from {} events\n",
            table::cell(&part["schema"]),
            part["events"]
        ));
        let all = part["places"].as_array().map_or(0, Vec::len);
        let rows: Vec<Vec<String>> = each(&part["places"]).take(MOST_PLACES).map(row).collect();
        text.push_str(&table::render(
            &["place", "seen", "types", "drafted", "such as"],
            &rows,
        ));
        if all > MOST_PLACES {
            text.push_str(&format!(
                "and {} more; --json has them\n",
                all - MOST_PLACES
            ));
        }
    }
    text
}

fn row(place: &Value) -> Vec<String> {
    let name = match table::cell(&place["place"]) {
        root if root.is_empty() => "(all)".to_owned(),
        other => other,
    };
    let seen = if place["required"] == true {
        format!("{} always", place["seen"])
    } else if place["seen"] == place["of"] {
        place["seen"].to_string()
    } else {
        format!("{} of {}", place["seen"], place["of"])
    };
    let types = place["types"].as_object().into_iter().flatten();
    let types: Vec<String> = if types.clone().count() > 1 {
        types
            .map(|(name, count)| format!("{name} {count}"))
            .collect()
    } else {
        types.map(|(name, _)| name.clone()).collect()
    };
    let examples: Vec<String> = each(&place["examples"]).map(Value::to_string).collect();
    vec![
        name,
        seen,
        types.join(", "),
        each(&place["notes"])
            .map(table::cell)
            .collect::<Vec<_>>()
            .join("; "),
        examples.join(", "),
    ]
}

fn each(value: &Value) -> impl Iterator<Item = &Value> {
    value.as_array().into_iter().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_types_lie_beside_the_schema() {
        assert_eq!(
            beside(Path::new("a/order.json")),
            Path::new("a/order.types.json")
        );
        assert_eq!(beside(Path::new("order")), Path::new("order.types.json"));
        assert_eq!(
            beside(Path::new("order.schema.json")),
            Path::new("order.schema.types.json")
        );
    }

    #[test]
    fn the_evidence_is_a_table_of_places() {
        let evidence = json!({
            "events": 3, "json": 2,
            "not_json_examples": [{"position": "t/0/1", "type": "x", "reason": "the event has no data"}],
            "parts": [{"schema": "#", "events": 2, "places": [
                {"place": "", "seen": 2, "of": 2, "required": true, "types": {"object": 2}},
                {"place": "/n", "seen": 1, "of": 2, "types": {"null": 1, "string": 1},
                 "examples": ["a\n"], "notes": ["all 1 texts are date"]},
            ]}],
        });
        let text = text_of(&evidence);
        assert!(text.contains("3 events, 2 of them JSON"), "{text}");
        assert!(
            text.contains("t/0/1 of type x: the event has no data"),
            "{text}"
        );
        assert!(
            text.contains("/n     1 of 2    null 1, string 1  all 1 texts are date  \"a\\n\""),
            "{text}"
        );
    }
}
