//! `sandbar plugin check`: what a file is, whether a hub would take it, and whether it says the same
//! of the same events each time (promise 8).

use std::{collections::BTreeMap, path::PathBuf, time::Duration};

use clap::Args;
use sandbar_plugin::{Capability, Plugin, World};
use sandbar_types::Event;
use serde_json::{Value, json};

use super::{
    super::{
        Client, Outcome, changes,
        client::Failure,
        output::say,
        paint::{Paint, Tone},
        table::plain,
    },
    build,
    compare::{Difference, compare},
    runtime::{self, Runtime, Setup},
    samples,
    trial::{SetupArgs, Subject},
};
use crate::diff;

/// One call of a hub takes at most so many events.
const BATCH: usize = 1000;
/// So that a plugin that looks at a clock sees another time.
const APART: Duration = Duration::from_millis(5);

#[derive(Debug, Args)]
pub(in crate::cli) struct CheckArgs {
    /// A file, or a project's folder.
    #[arg(default_value = ".")]
    plugin: PathBuf,
    /// Events to run it on. Default: the project's events.json, else a few of every kind.
    #[arg(long)]
    events: Option<PathBuf>,
    #[command(flatten)]
    setup: SetupArgs,
}

pub(super) fn run(client: &Client, args: &CheckArgs) -> Outcome {
    let mut setup = args.setup.setup()?;
    // What a plugin imports is told; whether to grant it is the route's business.
    setup.grants = Capability::ALL.to_vec();
    let subject = Subject::find(&args.plugin)?;
    let events = match args.events.as_ref().or(subject.events.as_ref()) {
        Some(path) => samples::read_events(path)?,
        None => samples::built_in()?,
    };
    let loaded = Runtime::fresh()?.load(&subject.file)?;
    let plugin = match loaded.plugin {
        Ok(plugin) => plugin,
        Err(refusal) => {
            let report = json!({
                "path": subject.file.display().to_string(),
                "size": loaded.bytes,
                "refused": refusal.to_string(),
            });
            client.print(&report, |report| {
                say!("{:<13} {}", "path", subject.file.display());
                say!("{:<13} {} bytes", "size", loaded.bytes);
                show_refusal(Paint::for_stdout(), report);
            });
            return Err(Failure::Told(1));
        }
    };
    let mut report = build::describe(&subject.file, &plugin);
    report["exports"] = match plugin.world() {
        World::Transformer => json!(["configure", "transform"]),
        World::ColumnTransformer => json!(["configure", "transform-columns"]),
    };
    report["compile_ms"] = json!(loaded.compile_time.as_millis());
    let steadiness = steadiness(&plugin, &events, &setup);
    match &steadiness {
        Ok(steadiness) => {
            report["verdicts"] = json!(steadiness.verdicts);
            report["determinism"] = steadiness.report(events.len());
        }
        Err(refused) => report["refused"] = json!(refused),
    }
    client.print(&report, show);
    match steadiness {
        Err(_) => Err(Failure::Told(1)),
        Ok(found) if found.is_steady() => Ok(()),
        Ok(_) => Err(Failure::Told(6)),
    }
}

/// What was said, and what two runs more than the first said differently.
struct Steadiness {
    /// `emit` or `fault (trap)`, and how often.
    verdicts: BTreeMap<String, u64>,
    /// The same batches in another instance.
    again: Vec<Difference>,
    /// Each event alone.
    split: Vec<Difference>,
}

impl Steadiness {
    fn is_steady(&self) -> bool {
        self.again.is_empty() && self.split.is_empty()
    }

    fn report(&self, events: usize) -> Value {
        json!({
            "events": events,
            "deterministic": self.is_steady(),
            "differs_in_a_second_run": self.again,
            // Where runs differ anyway, this says nothing.
            "differs_in_another_split": if self.again.is_empty() { json!(self.split) } else { json!([]) },
        })
    }
}

/// # Errors
/// Why it cannot be started.
fn steadiness(plugin: &Plugin, events: &[Event], setup: &Setup) -> Result<Steadiness, String> {
    let run = |size: usize| -> Result<Vec<Value>, String> {
        let runner = runtime::start(plugin, setup);
        let mut runner = runner.map_err(|error| runtime::reason(&error, setup))?;
        let results = runtime::run_batched(&mut runner, events, size, setup);
        let texts = results.iter().map(serde_json::to_vec);
        texts
            .map(|text| Ok(diff::read(&text.map_err(|error| error.to_string())?)))
            .collect()
    };
    let first = run(BATCH)?;
    std::thread::sleep(APART);
    let again = run(BATCH)?;
    let split = run(1)?;
    Ok(Steadiness {
        verdicts: count_verdicts(&first),
        again: compare(&first, &again),
        split: compare(&first, &split),
    })
}

fn count_verdicts(results: &[Value]) -> BTreeMap<String, u64> {
    let mut counts = BTreeMap::new();
    for result in results {
        let verdict = result["verdict"].as_str().unwrap_or_default();
        let said = match result["fault"].as_str() {
            Some(fault) => format!("{verdict} ({fault})"),
            None => verdict.to_owned(),
        };
        *counts.entry(said).or_default() += 1;
    }
    counts
}

fn show_verdicts(paint: Paint, report: &Value) {
    let counts = report["verdicts"].as_object().into_iter().flatten();
    let words: Vec<String> = counts
        .map(|(said, count)| {
            let words = format!("{count} {said}");
            if said.starts_with("fault") {
                paint.text(Tone::Bad, words)
            } else {
                words
            }
        })
        .collect();
    if !words.is_empty() {
        say!("{:<13} {}", "verdicts", words.join(", "));
    }
}

fn show(report: &Value) {
    let paint = Paint::for_stdout();
    build::show(report);
    let exports = report["exports"].as_array().into_iter().flatten();
    let exports: Vec<&str> = exports.filter_map(Value::as_str).collect();
    say!("{:<13} {}", "exports", exports.join(", "));
    say!("{:<13} {} ms", "compiled in", report["compile_ms"]);
    show_refusal(paint, report);
    show_verdicts(paint, report);
    let found = &report["determinism"];
    if found.is_null() {
        return;
    }
    let events = &found["events"];
    if found["deterministic"] == true {
        say!(
            "{:<13} {} ({events} events in two instances and in another split)",
            "deterministic",
            paint.text(Tone::Good, "yes")
        );
        return;
    }
    let (why, differences) = match found["differs_in_a_second_run"].as_array() {
        Some(differences) if !differences.is_empty() => (
            "a second instance says other things of the same events",
            differences.as_slice(),
        ),
        _ => (
            "it depends on which events came in the same batch, or before",
            found["differs_in_another_split"]
                .as_array()
                .map_or(&[][..], Vec::as_slice),
        ),
    };
    say!(
        "{:<13} {}: {why}",
        "deterministic",
        paint.text(Tone::Bad, "no")
    );
    let granted = report["imports"].as_array().into_iter().flatten();
    let unsteady = |name: &str| matches!(name, "clock" | "random" | "http");
    if granted.filter_map(Value::as_str).any(unsteady) {
        say!("  it imports what is not deterministic; a hub runs it where the route grants that");
    }
    show_differences(paint, differences);
}

fn show_refusal(paint: Paint, report: &Value) {
    if let Some(refused) = report["refused"].as_str() {
        let mut lines = refused.lines();
        let reason = plain(lines.next().unwrap_or_default());
        // Padded first: what makes colours has a width of its own.
        let label = paint.text(Tone::Bad, format_args!("{:<13}", "refused"));
        say!("{label} {reason}");
        for line in lines {
            say!("{}", plain(line));
        }
    }
}

/// Each difference: the event, its verdicts, the places.
pub(super) fn show_differences(paint: Paint, differences: &[Value]) {
    for difference in differences {
        let id = difference["id"].as_str().unwrap_or_default();
        say!("  {}", paint.text(Tone::Strong, plain(id)));
        if let [before, after] = &difference["verdict"]
            .as_array()
            .map_or(&[][..], Vec::as_slice)
        {
            let word = |value: &Value| plain(value.as_str().unwrap_or_default());
            say!(
                "    {} → {}",
                paint.text(Tone::Bad, word(before)),
                paint.text(Tone::Good, word(after))
            );
        }
        for change in difference["outputs"].as_array().into_iter().flatten() {
            say!("    {}", changes::line(paint, change));
        }
    }
}
