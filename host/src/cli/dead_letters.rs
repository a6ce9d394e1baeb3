//! `sandbar dead-letter …`

use clap::{Args, Subcommand};
use serde_json::{Value, json, value::RawValue};

use super::{
    Client, Outcome,
    client::{Failure, parsed, path},
    jobs::{self, Watch},
    output::{pretty, say},
    table,
};

#[derive(Debug, Subcommand)]
pub(super) enum DeadLetterCommand {
    /// List dead letters, oldest first.
    List(ListArgs),
    /// Show one: the event, the error, each attempt.
    Show {
        /// Its id, or its offset.
        id: String,
    },
    /// Put the events of dead letters back where they could not be processed or delivered.
    Redrive(RedriveArgs),
}

/// Which dead letters.
#[derive(Debug, Args)]
pub(super) struct SelectArgs {
    #[arg(long)]
    route: Option<String>,
    #[arg(long)]
    subscription: Option<String>,
    /// NAME or NAME@VERSION
    #[arg(long)]
    plugin: Option<String>,
    /// rejected, trap, deadline, memory, output-limit, contract, retries-exhausted,
    /// undeclared-target, bad-answer, expired, refused
    #[arg(long)]
    cause: Option<String>,
    /// The topic of the original event.
    #[arg(long)]
    topic: Option<String>,
    /// The key of the original event.
    #[arg(long)]
    key: Option<String>,
    /// Written at or after this time (RFC 3339).
    #[arg(long)]
    since: Option<String>,
    /// Written before this time.
    #[arg(long)]
    until: Option<String>,
}

impl SelectArgs {
    fn given(&self) -> impl Iterator<Item = (&'static str, String)> {
        let all = [
            ("route", &self.route),
            ("subscription", &self.subscription),
            ("plugin", &self.plugin),
            ("cause", &self.cause),
            ("topic", &self.topic),
            ("key", &self.key),
            ("since", &self.since),
            ("until", &self.until),
        ];
        all.map(|(name, value)| (name, value.clone()))
            .into_iter()
            .filter_map(|(name, value)| Some((name, value?)))
    }
}

#[derive(Debug, Args)]
pub(super) struct ListArgs {
    #[command(flatten)]
    select: SelectArgs,
    /// Only those that were redriven (true), or were not (false).
    #[arg(long)]
    redriven: Option<bool>,
    #[arg(long, default_value_t = 100)]
    limit: usize,
    /// Go on after this offset (`next` of the page before).
    #[arg(long)]
    after: Option<u64>,
}

#[derive(Debug, Args)]
pub(super) struct RedriveArgs {
    /// Ids or offsets; all that fit where none is given.
    ids: Vec<String>,
    #[command(flatten)]
    select: SelectArgs,
    /// All there are.
    #[arg(long)]
    all: bool,
    /// Only tell what would be redriven.
    #[arg(long)]
    dry_run: bool,
    /// Events a second at most.
    #[arg(long)]
    rate: Option<u32>,
    /// Leave out events that came back so often.
    #[arg(long, default_value_t = 3)]
    max_redrives: u32,
    /// Kept with the job.
    #[arg(long, default_value = "")]
    reason: String,
    #[command(flatten)]
    watch: Watch,
}

pub(super) fn run(client: &Client, command: &DeadLetterCommand) -> Outcome {
    match command {
        DeadLetterCommand::List(args) => list(client, args),
        DeadLetterCommand::Show { id } => {
            let request = client.request(reqwest::Method::GET, &path(&["dead-letters", id])?);
            let text = client.text(request)?;
            client.print_written(&text, |text| {
                let letter: Letter<'_> = serde_json::from_str(text).map_err(Failure::local)?;
                show(&parsed(text)?, letter.event.get());
                Ok(())
            })
        }
        DeadLetterCommand::Redrive(args) => redrive(client, args),
    }
}

fn list(client: &Client, list: &ListArgs) -> Outcome {
    let mut query: Vec<(&str, String)> = vec![("limit", list.limit.to_string())];
    query.extend(list.select.given());
    query.extend(
        list.redriven
            .map(|redriven| ("redriven", redriven.to_string())),
    );
    query.extend(list.after.map(|after| ("after", after.to_string())));
    let request = client
        .request(reqwest::Method::GET, "/v1/dead-letters")
        .query(&query);
    let text = client.text(request)?;
    client.print_written(&text, |text| {
        let answer = parsed(text)?;
        rows(&answer["dead_letters"]);
        if let Some(next) = answer["next"].as_str() {
            say!("there are more: --after {next}");
        }
        Ok(())
    })
}

fn redrive(client: &Client, args: &RedriveArgs) -> Outcome {
    let mut select: serde_json::Map<String, Value> = (args.select.given())
        .map(|(name, value)| (name.to_owned(), json!(value)))
        .collect();
    if !args.ids.is_empty() {
        select.insert("ids".into(), json!(args.ids));
    }
    let mut request = json!({
        "select": select, "all": args.all, "dry_run": args.dry_run,
        "max_redrives": args.max_redrives, "reason": args.reason,
    });
    if let Some(rate) = args.rate {
        request["rate"] = json!(rate);
    }
    let answer = client.post("/v1/dead-letters/redrive", &request)?;
    if args.dry_run {
        client.print(&answer, plan);
        return Ok(());
    }
    jobs::begun(client, &answer, &args.watch)
}

fn plan(plan: &Value) {
    say!(
        "{} selected, {} would be redriven",
        plan["selected"],
        plan["redrive"]
    );
    for (title, counts) in [
        ("left out", "left_out"),
        ("cause", "by_cause"),
        ("route", "by_route"),
        ("subscription", "by_subscription"),
        ("key", "by_key"),
    ] {
        for (name, count) in plan[counts].as_object().into_iter().flatten() {
            say!("{:>8} {title} {}", count.to_string(), table::plain(name));
        }
    }
    for advice in plan["advice"].as_array().into_iter().flatten() {
        say!("  {}", table::cell(advice));
    }
    if plan["examples"]
        .as_array()
        .is_some_and(|all| !all.is_empty())
    {
        say!("the first:");
        rows(&plan["examples"]);
    }
}

fn rows(letters: &Value) {
    let rows: Vec<_> = letters.as_array().into_iter().flatten().map(row).collect();
    table::print(
        &[
            "offset", "time", "of", "plugin", "cause", "attempts", "origin", "redriven", "reason",
        ],
        &rows,
    );
}

fn row(letter: &Value) -> Vec<String> {
    let reason = table::cell(&letter["reason"]);
    vec![
        table::cell(&letter["offset"]),
        table::cell(&letter["time"]),
        owner(letter),
        table::cell(&letter["plugin"]),
        table::cell(&letter["cause"]),
        table::cell(&letter["attempts"]),
        position(&letter["origin"]),
        table::cell(&letter["redriven"]["outcome"]),
        reason.lines().next().unwrap_or_default().to_owned(),
    ]
}

fn owner(letter: &Value) -> String {
    match letter["subscription"].as_str() {
        Some(name) => format!("subscription {name}"),
        None => format!("route {}", table::cell(&letter["route"])),
    }
}

fn position(origin: &Value) -> String {
    format!(
        "{}/{}/{}",
        table::cell(&origin["topic"]),
        origin["partition"],
        origin["offset"]
    )
}

/// A dead letter with its event as it was.
#[derive(serde::Deserialize)]
struct Letter<'a> {
    #[serde(borrow)]
    event: &'a RawValue,
}

fn show(letter: &Value, event: &str) {
    let line = |name: &str, text: String| {
        if !text.is_empty() {
            say!("{name:<10} {}", table::plain(&text));
        }
    };
    line("id", table::cell(&letter["id"]));
    line("offset", table::cell(&letter["offset"]));
    line("time", table::cell(&letter["time"]));
    line("of", owner(letter));
    line("plugin", table::cell(&letter["plugin"]));
    line("cause", table::cell(&letter["cause"]));
    line("origin", position(&letter["origin"]));
    line("key", table::cell(&letter["key"]));
    line("attempts", table::cell(&letter["attempts"]));
    line("redrives", table::cell(&letter["redrives"]));
    let redriven = &letter["redriven"];
    if redriven.is_object() {
        let back = match redriven["dead_letter"].as_u64() {
            Some(offset) => format!(" {offset}"),
            None => String::new(),
        };
        let text = format!(
            "{} by job {} at {}",
            table::cell(&redriven["outcome"]) + &back,
            table::cell(&redriven["job"]),
            table::cell(&redriven["at"])
        );
        line("redriven", text);
    }
    for reason in table::cell(&letter["reason"]).lines() {
        say!("  {}", table::plain(reason));
    }
    for attempt in letter["history"].as_array().into_iter().flatten() {
        let reason = table::cell(&attempt["reason"]);
        say!(
            "  {} {} {}",
            table::cell(&attempt["at"]),
            table::cell(&attempt["status"]),
            table::plain(reason.lines().next().unwrap_or_default())
        );
    }
    for text in pretty(event).lines() {
        say!("{}", table::plain(text));
    }
}
