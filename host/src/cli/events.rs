//! `sandbar publish` and `sandbar tail`.

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
};

use clap::Args;
use reqwest::Method;
use serde_json::{Value, json};

use super::{
    Client, Outcome,
    client::{Failure, read},
    table,
};

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    topic: String,
    /// The event's type; with --ndjson the lines say it themselves.
    #[arg(
        long = "type",
        required_unless_present = "ndjson",
        conflicts_with = "ndjson"
    )]
    event_type: Option<String>,
    #[arg(long, default_value = "/sandbar/cli")]
    source: String,
    /// Default: a new one.
    #[arg(long)]
    id: Option<String>,
    #[arg(long)]
    subject: Option<String>,
    /// What order is kept by (the partitionkey extension).
    #[arg(long)]
    key: Option<String>,
    /// The payload; default: standard input.
    #[arg(long, conflicts_with = "file")]
    data: Option<String>,
    /// A file with the payload, or, with --ndjson, with events; - is standard input.
    #[arg(short, long, default_value = "-")]
    file: PathBuf,
    #[arg(long, default_value = "application/json")]
    content_type: String,
    /// The input has a CloudEvent in JSON on each line.
    #[arg(long)]
    ndjson: bool,
}

pub(super) fn publish(client: &Client, args: &PublishArgs) -> Outcome {
    let body = match &args.data {
        Some(data) => data.clone().into_bytes(),
        None => read(&args.file)?,
    };
    let request = client.request(Method::POST, &format!("/v1/topics/{}/events", args.topic));
    let request = if args.ndjson {
        request
            .header("content-type", "application/x-ndjson")
            .body(body)
    } else {
        let text = String::from_utf8(body).map_err(|_| {
            Failure::local("the payload is not UTF-8; publish it with curl in binary mode")
        })?;
        request
            .header("content-type", "application/cloudevents+json")
            .body(structured(args, &text)?.to_string())
    };
    let answer = client.answer(request)?;
    client.print(&answer, |answer| {
        let rows: Vec<_> = answer["accepted"]
            .as_array()
            .into_iter()
            .flatten()
            .map(accepted)
            .collect();
        table::print(&["id", "partition", "offset", "duplicate"], &rows);
    });
    Ok(())
}

fn accepted(one: &Value) -> Vec<String> {
    ["id", "partition", "offset", "duplicate"]
        .map(|name| table::cell(&one[name]))
        .to_vec()
}

fn structured(args: &PublishArgs, text: &str) -> Result<Value, Failure> {
    let data = if sandbar_types::event::is_json(&args.content_type) {
        serde_json::from_str(text)
            .map_err(|error| Failure::local(format!("the payload is not JSON: {error}")))?
    } else {
        Value::from(text)
    };
    let mut event = json!({
        "specversion": "1.0",
        "type": args.event_type,
        "source": args.source,
        "id": args.id.clone().unwrap_or_else(new_id),
        "datacontenttype": args.content_type,
        "data": data,
    });
    for (name, value) in [("subject", &args.subject), ("partitionkey", &args.key)] {
        if let Some(value) = value {
            event[name] = Value::from(value.clone());
        }
    }
    Ok(event)
}

/// Unlikely to be made twice: the time and this process.
fn new_id() -> String {
    format!("{}-{}", crate::clock::now(), std::process::id())
}

#[derive(Debug, Args)]
pub(super) struct TailArgs {
    topic: String,
    /// Default: all partitions.
    #[arg(long)]
    partition: Option<u32>,
    /// earliest, latest, an offset, or a time (RFC 3339).
    #[arg(long, default_value = "latest")]
    from: String,
    /// Stop after so many events.
    #[arg(short = 'n', long)]
    limit: Option<usize>,
    /// Stop at the end of what is there now, instead of waiting for more.
    #[arg(long)]
    no_follow: bool,
}

/// How often a broken stream is taken up again before the command gives up.
const MOST_RECONNECTS: u32 = 5;

pub(super) fn tail(client: &Client, args: &TailArgs) -> Outcome {
    if args.no_follow {
        return read_once(client, args);
    }
    let mut tail = Tail {
        client,
        args,
        last: None,
        seen: 0,
    };
    let mut failures = 0;
    loop {
        let before = tail.seen;
        match tail.stream() {
            Ok(true) => return Ok(()),
            Ok(false) if tail.last.is_none() => {}
            Ok(false) => {}
            Err(failure) if tail.last.is_none() => return Err(failure),
            Err(_) => {}
        }
        failures = if tail.seen > before { 0 } else { failures + 1 };
        if failures > MOST_RECONNECTS {
            return Err(Failure::local(
                "the stream ended and could not be taken up again",
            ));
        }
        std::thread::sleep(std::time::Duration::from_millis(200 << failures));
    }
}

struct Tail<'a> {
    client: &'a Client,
    args: &'a TailArgs,
    /// The id of the last server-sent event.
    last: Option<String>,
    seen: usize,
}

impl Tail<'_> {
    /// Prints events until the stream breaks (false) or there were enough (true).
    fn stream(&mut self) -> Result<bool, Failure> {
        let path = format!("/v1/topics/{}/events", self.args.topic);
        let mut request = self
            .client
            .endless(&path)?
            .header("accept", "text/event-stream")
            .query(&start(&self.args.from));
        if let Some(partition) = self.args.partition {
            request = request.query(&[("partition", partition)]);
        }
        if let Some(last) = &self.last {
            request = request.header("last-event-id", last);
        }
        let lines = BufReader::new(self.client.send(request)?).lines();
        let mut data = String::new();
        let mut id = None;
        for line in lines {
            let Ok(line) = line else { return Ok(false) };
            if let Some(text) = line.strip_prefix("data: ") {
                data.push_str(text);
            } else if let Some(text) = line.strip_prefix("id: ") {
                id = Some(text.to_owned());
            } else if line.is_empty() && !data.is_empty() {
                show(self.client, &data)?;
                data.clear();
                self.last = id.take().or(self.last.take());
                self.seen += 1;
                if self.args.limit.is_some_and(|limit| self.seen >= limit) {
                    return Ok(true);
                }
            }
        }
        Ok(false)
    }
}

/// What a `--from` means as a query.
fn start(from: &str) -> [(&'static str, String); 1] {
    let is_offset =
        matches!(from, "earliest" | "latest") || from.bytes().all(|byte| byte.is_ascii_digit());
    [(if is_offset { "offset" } else { "time" }, from.to_owned())]
}

fn read_once(client: &Client, args: &TailArgs) -> Outcome {
    let topic = client.get(&format!("/v1/topics/{}", args.topic))?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    for state in topic["state"]["partitions"]
        .as_array()
        .into_iter()
        .flatten()
    {
        let partition = state["partition"].as_u64().unwrap_or(0);
        if args
            .partition
            .is_some_and(|wanted| u64::from(wanted) != partition)
        {
            continue;
        }
        let tail = state["tail"].as_u64().unwrap_or(0);
        let [(name, from)] = start(&args.from);
        let mut query = vec![(name, from)];
        loop {
            query.push(("partition", partition.to_string()));
            query.push(("limit", left.clamp(1, 1000).to_string()));
            let path = format!("/v1/topics/{}/events", args.topic);
            let response = client.send(client.request(Method::GET, &path).query(&query))?;
            let next = response
                .headers()
                .get("sandbar-next-offset")
                .and_then(|value| value.to_str().ok());
            let next: u64 = next.and_then(|text| text.parse().ok()).unwrap_or(tail);
            let events: Vec<Box<serde_json::value::RawValue>> =
                response.json().map_err(Failure::local)?;
            for event in &events {
                if left == 0 {
                    return Ok(());
                }
                show(client, event.get())?;
                left -= 1;
            }
            if next >= tail || left == 0 {
                break;
            }
            query = vec![("offset", next.to_string())];
        }
    }
    Ok(())
}

/// Prints an event: as it is, or its head and its data for people.
fn show(client: &Client, json: &str) -> Result<(), Failure> {
    let mut out = std::io::stdout().lock();
    let written = if client.json {
        writeln!(out, "{json}")
    } else {
        let event: Value = serde_json::from_str(json).map_err(Failure::local)?;
        let text = |name: &str| table::cell(&event[name]);
        let place = format!("{}/{}", text("sandbarpartition"), text("sandbaroffset"));
        let data = event.get("data").or_else(|| event.get("data_base64"));
        let data = data.map(ToString::to_string).unwrap_or_default();
        writeln!(
            out,
            "{place:<10} {}  {}  {}  {data}",
            text("type"),
            text("id"),
            text("subject")
        )
    };
    written.map_err(Failure::local)
}
