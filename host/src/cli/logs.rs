//! `sandbar logs`: what a plugin version logged, with the events that the lines belong to.

use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::Method;
use serde_json::Value;

use super::{
    Client, Outcome,
    client::{Failure, path, split_version},
    output::{self, say},
    table,
};

#[derive(Debug, Args)]
pub(super) struct LogsArgs {
    /// NAME@VERSION
    plugin: String,
    /// This level and those above it.
    #[arg(long, value_enum, default_value = "trace")]
    level: Level,
    /// Only lines of this route.
    #[arg(long)]
    route: Option<String>,
    /// The newest that many; at most 1000.
    #[arg(short = 'n', long, default_value_t = 100)]
    limit: u32,
    /// Go on with the lines that come.
    #[arg(short, long)]
    follow: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    fn as_str(self) -> &'static str {
        match self {
            Self::Trace => "trace",
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }
}

/// How often new lines are asked for.
const ASK_EVERY: Duration = Duration::from_millis(500);

pub(super) fn run(client: &Client, args: &LogsArgs) -> Outcome {
    let (name, version) = split_version(&args.plugin)?;
    let path = path(&["plugins", name, "versions", version, "logs"])?;
    let mut answer = ask(client, &path, args, None)?;
    if client.json && !args.follow {
        client.print(&answer, |_| {});
        return Ok(());
    }
    loop {
        for line in answer["lines"].as_array().into_iter().flatten() {
            let text = if client.json {
                line.to_string()
            } else {
                text_of(line)
            };
            let more = output::try_write(&mut std::io::stdout().lock(), format_args!("{text}\n"))
                .map_err(Failure::local)?;
            if !more {
                return Ok(());
            }
        }
        if !args.follow {
            if let left_out @ 1.. = answer["left_out"].as_u64().unwrap_or(0) {
                say!(
                    "({left_out} lines were left out since the hub started: a plugin may write 100 a second)"
                );
            }
            return Ok(());
        }
        let last = answer["last"].as_u64().unwrap_or(0);
        std::thread::sleep(ASK_EVERY);
        answer = match ask(client, &path, args, Some(last)) {
            Ok(answer) => answer,
            // Numbers begin anew with the hub: from where this one is.
            Err(failure) if failure.may_pass() => continue_from(client, &path, args)?,
            Err(failure) => return Err(failure),
        };
        if answer["last"].as_u64().unwrap_or(0) < last {
            answer = ask(client, &path, args, Some(0))?;
        }
    }
}

/// Waits for a hub that is away.
fn continue_from(client: &Client, path: &str, args: &LogsArgs) -> Result<Value, Failure> {
    let mut tries = 0;
    loop {
        match ask(client, path, args, Some(0)) {
            Err(failure) if failure.may_pass() && tries < 20 => tries += 1,
            other => return other,
        }
        std::thread::sleep(ASK_EVERY);
    }
}

fn ask(client: &Client, path: &str, args: &LogsArgs, after: Option<u64>) -> Result<Value, Failure> {
    let mut query = vec![("level", args.level.as_str().to_owned())];
    query.extend(args.route.clone().map(|route| ("route", route)));
    match after {
        Some(after) => query.extend([("after", after.to_string()), ("limit", "1000".to_owned())]),
        None => query.push(("limit", args.limit.to_string())),
    }
    client.answer(client.request(Method::GET, path).query(&query))
}

fn text_of(line: &Value) -> String {
    let cell = |value: &Value| table::cell(value);
    let event = &line["event"];
    let events = &line["events"];
    let about = if event.is_object() {
        format!(
            "{}/{}/{} {}",
            cell(&event["topic"]),
            cell(&event["partition"]),
            cell(&event["offset"]),
            cell(&event["id"])
        )
    } else if events.is_object() {
        format!(
            "{}/{}/{}-{}",
            cell(&events["topic"]),
            cell(&events["partition"]),
            cell(&events["first_offset"]),
            cell(&events["last_offset"])
        )
    } else {
        "-".to_owned()
    };
    table::plain(&format!(
        "{} {:<5} {}#{} {about}  {}",
        cell(&line["time"]),
        cell(&line["level"]),
        cell(&line["route"]),
        cell(&line["step"]),
        cell(&line["message"])
    ))
}
