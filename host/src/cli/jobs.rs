//! `sandbar job …`, and how commands follow the jobs that they begin.

use std::{
    io::{IsTerminal, Write},
    time::Duration,
};

use clap::{Args, Subcommand};
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, path},
    output::say,
    table,
};

/// How often a job is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(250);
/// The width of a bar, in characters.
const BAR: usize = 30;

#[derive(Debug, Subcommand)]
pub(super) enum JobCommand {
    /// List jobs, newest first.
    List,
    /// Show a job and how far it came.
    Show { id: String },
    /// Follow a job to its end.
    Watch { id: String },
    /// End a job; what it did stays.
    Cancel { id: String },
}

/// Whether a command stays until its job is over.
#[derive(Debug, Args)]
pub(super) struct Watch {
    /// Do not wait for the end of the job.
    #[arg(long)]
    no_wait: bool,
}

pub(super) fn run(client: &Client, command: &JobCommand) -> Outcome {
    match command {
        JobCommand::List => {
            let answer = client.get("/v1/jobs")?;
            client.print(&answer, |answer| {
                let rows: Vec<_> = (answer["jobs"].as_array().into_iter().flatten())
                    .map(row)
                    .collect();
                table::print(
                    &[
                        "job", "kind", "of", "state", "done", "failed", "created", "by", "reason",
                    ],
                    &rows,
                );
            });
            Ok(())
        }
        JobCommand::Show { id } => {
            let answer = client.get(&path(&["jobs", id])?)?;
            client.print(&answer, show);
            Ok(())
        }
        JobCommand::Watch { id } => watch(client, id),
        JobCommand::Cancel { id } => {
            let answer = client.post(&path(&["jobs", id, "cancel"])?, &json!({}))?;
            client.print(&answer, |job| {
                say!("{} {}", table::cell(&job["id"]), state(job));
            });
            Ok(())
        }
    }
}

/// Tells of a job that was begun, and follows it unless that is not wanted.
pub(super) fn begun(client: &Client, job: &Value, wait: &Watch) -> Outcome {
    let id = table::cell(&job["id"]);
    if wait.no_wait {
        client.print(job, |_| {
            say!("job {id}; follow it with 'sandbar job watch {id}'")
        });
        return Ok(());
    }
    if !client.json {
        eprintln!("job {id}; Ctrl-C leaves it running, 'sandbar job cancel {id}' ends it");
    }
    watch(client, &id)
}

/// Shows the progress on standard error where that is a terminal, and the end on standard output.
fn watch(client: &Client, id: &str) -> Outcome {
    let address = path(&["jobs", id])?;
    let bar = std::io::stderr().is_terminal();
    let job = loop {
        let job = client.get(&address)?;
        let over = matches!(job["state"].as_str(), Some("done" | "cancelled" | "failed"));
        if bar {
            let line = bar_of(&job);
            // Over what stood there before.
            eprint!("\r{line}\u{1b}[K");
            let _ = std::io::stderr().flush();
        }
        if over {
            break job;
        }
        std::thread::sleep(LOOK_EVERY);
    };
    if bar {
        eprintln!();
    }
    client.print(&job, show);
    match job["state"].as_str() {
        Some("failed") => Err(Failure::Told(1)),
        _ => Ok(()),
    }
}

fn bar_of(job: &Value) -> String {
    let progress = &job["progress"];
    let number = |name: &str| progress[name].as_u64().unwrap_or(0);
    let (done, total) = (number("done"), number("total"));
    let share = (done.min(total) * 100).checked_div(total).unwrap_or(0);
    let full = BAR * usize::try_from(share).unwrap_or(0) / 100;
    let detail = table::plain(&table::cell(&job["detail"]));
    let detail: String = detail.chars().take(60).collect();
    format!(
        "{}{} {share:>3} % {done}/{total} {} {detail}",
        "█".repeat(full),
        "░".repeat(BAR - full),
        state(job)
    )
}

fn state(job: &Value) -> String {
    let state = table::cell(&job["state"]);
    if job["cancelling"] == true && !matches!(state.as_str(), "done" | "cancelled" | "failed") {
        return format!("{state}, ends soon");
    }
    state
}

fn row(job: &Value) -> Vec<String> {
    let progress = &job["progress"];
    vec![
        table::cell(&job["id"]),
        table::cell(&job["kind"]),
        table::cell(&job["of"]),
        state(job),
        format!("{}/{}", progress["done"], progress["total"]),
        failed(progress),
        table::cell(&job["created"]),
        table::cell(&job["by"]),
        table::cell(&job["reason"]),
    ]
}

/// How many events failed; empty for none.
fn failed(progress: &Value) -> String {
    let counts = progress["failed"].as_object().into_iter().flatten();
    match counts.filter_map(|(_, count)| count.as_u64()).sum::<u64>() {
        0 => String::new(),
        count => count.to_string(),
    }
}

fn show(job: &Value) {
    let progress = &job["progress"];
    say!(
        "job {}  {} {}: {}  {}",
        table::cell(&job["id"]),
        table::cell(&job["kind"]),
        table::cell(&job["of"]),
        state(job),
        table::plain(&table::cell(&job["detail"]))
    );
    say!(
        "by {} at {}  {}",
        table::cell(&job["by"]),
        table::cell(&job["created"]),
        table::plain(&table::cell(&job["reason"]))
    );
    say!("{} of {} done", progress["done"], progress["total"]);
    if progress["redriven"].as_u64().is_some_and(|count| count > 0) {
        say!("{:>8} redriven", progress["redriven"].to_string());
    }
    for (title, counts) in [
        ("written to", "written"),
        ("dropped:", "dropped"),
        ("left out:", "left_out"),
        ("failed:", "failed"),
    ] {
        for (name, count) in progress[counts].as_object().into_iter().flatten() {
            say!("{:>8} {title} {}", count.to_string(), table::plain(name));
        }
    }
    for advice in progress["advice"].as_array().into_iter().flatten() {
        say!("  {}", table::cell(advice));
    }
    for example in progress["examples"].as_array().into_iter().flatten() {
        let reason = table::cell(&example["reason"]);
        say!(
            "  {} {} {}",
            table::cell(&example["position"]),
            table::cell(&example["cause"]),
            table::plain(reason.lines().next().unwrap_or_default())
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bar_is_as_full_as_the_job() {
        let job =
            |done, total| json!({"state": "running", "progress": {"done": done, "total": total}});
        assert!(bar_of(&job(0, 0)).contains("  0 % 0/0 running"));
        let half = bar_of(&job(50, 100));
        assert_eq!(half.matches('█').count(), BAR / 2, "{half}");
        let full = bar_of(&job(7, 7));
        assert!(full.contains("100 %") && !full.contains('░'), "{full}");
    }
}
