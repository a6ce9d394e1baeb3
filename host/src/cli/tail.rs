//! `sandbar tail`: reads a topic to its end, or follows it.
//!
//! A stream that breaks is taken up again where it broke, also where nothing had come yet: the place
//! to begin is fixed before the stream is opened.

mod filters;
mod stream;

use std::time::Duration;

use clap::Args;
use reqwest::Method;
use serde_json::{Value, value::RawValue};

use super::{
    Client, Outcome,
    client::{Failure, path},
    output,
    paint::{Paint, Tone},
    table,
};
use crate::diff;
use filters::FilterArgs;
use stream::Tail;

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
    #[command(flatten)]
    filters: FilterArgs,
}

/// How often in a row a broken stream is taken up again before the command gives up.
const MOST_RECONNECTS: u32 = 5;

pub(super) fn run(client: &Client, args: &TailArgs) -> Outcome {
    if args.limit == Some(0) {
        return Ok(());
    }
    if args.no_follow {
        return read_once(client, args);
    }
    let mut tail = Tail::new(client, args, cursor_at_start(client, args)?);
    let mut failures = 0;
    loop {
        let before = tail.seen;
        match tail.stream() {
            Ok(stream::End::Enough) => return Ok(()),
            Ok(stream::End::Broken) => {}
            Err(failure) if !tail.connected || !failure.may_pass() => return Err(failure),
            Err(_) => {}
        }
        failures = if tail.seen > before { 0 } else { failures + 1 };
        if failures > MOST_RECONNECTS {
            return Err(Failure::local(
                "the stream ended and could not be taken up again",
            ));
        }
        std::thread::sleep(Duration::from_millis(200 << failures));
    }
}

/// Where "latest" is now, in the form of a Last-Event-ID: by the time of a reconnect it has moved.
fn cursor_at_start(client: &Client, args: &TailArgs) -> Result<Option<String>, Failure> {
    if args.from != "latest" {
        return Ok(None);
    }
    let topic = client.get(&path(&["topics", &args.topic])?)?;
    Ok(cursor(&tails(&topic), args.partition))
}

/// Each partition with its tail.
fn tails(topic: &Value) -> Vec<(u32, u64)> {
    let states = topic["state"]["partitions"]
        .as_array()
        .into_iter()
        .flatten();
    let pair = |state: &Value| {
        let partition = state["partition"].as_u64()?.try_into().ok()?;
        Some((partition, state["tail"].as_u64()?))
    };
    states.filter_map(pair).collect()
}

fn cursor(tails: &[(u32, u64)], only: Option<u32>) -> Option<String> {
    let parts: Vec<String> = tails
        .iter()
        .filter(|(partition, _)| only.is_none_or(|only| only == *partition))
        .map(|(partition, tail)| format!("{partition}:{tail}"))
        .collect();
    (!parts.is_empty()).then(|| parts.join(","))
}

/// What a `--from` means as a query.
fn start(from: &str) -> (&'static str, String) {
    let is_offset =
        matches!(from, "earliest" | "latest") || from.bytes().all(|byte| byte.is_ascii_digit());
    (if is_offset { "offset" } else { "time" }, from.to_owned())
}

fn read_once(client: &Client, args: &TailArgs) -> Outcome {
    let mut tails = tails(&client.get(&path(&["topics", &args.topic])?)?);
    if let Some(wanted) = args.partition {
        // One that is not there is asked for too: the hub says how many there are.
        let tail = tails
            .iter()
            .find(|one| one.0 == wanted)
            .map_or(0, |one| one.1);
        tails = vec![(wanted, tail)];
    }
    let path = path(&["topics", &args.topic, "events"])?;
    let mut left = args.limit.unwrap_or(usize::MAX);
    for (partition, tail) in tails {
        let mut from = start(&args.from);
        loop {
            let mut query = vec![
                from,
                ("partition", partition.to_string()),
                ("limit", left.min(1000).to_string()),
            ];
            query.extend(args.filters.query()?);
            let response = client.send(client.request(Method::GET, &path).query(&query))?;
            let next = response
                .headers()
                .get("sandbar-next-offset")
                .and_then(|value| value.to_str().ok());
            let next: u64 = next.and_then(|text| text.parse().ok()).unwrap_or(tail);
            let events: Vec<Box<RawValue>> = response.json().map_err(Failure::local)?;
            for event in &events {
                if !show(client, event.get())? {
                    return Ok(());
                }
                left -= 1;
                if left == 0 {
                    return Ok(());
                }
            }
            if next >= tail {
                break;
            }
            from = ("offset", next.to_string());
        }
    }
    Ok(())
}

/// Prints an event: as it is, or its head and its data for people. False when nobody reads any more.
pub(super) fn show(client: &Client, json: &str) -> Result<bool, Failure> {
    let line = if client.json {
        json.to_owned()
    } else {
        let event = diff::read(json.as_bytes());
        let text = |name: &str| table::cell(&event[name]);
        let paint = Paint::for_stdout();
        let plain = |name: &str| table::plain(&text(name));
        let place = format!("{}/{}", text("sandbarpartition"), text("sandbaroffset"));
        format!(
            "{} {}  {}  {}  {}",
            paint.text(Tone::Quiet, format_args!("{place:<10}")),
            paint.text(Tone::Good, plain("type")),
            paint.text(Tone::Strong, plain("id")),
            paint.text(Tone::Notice, plain("subject")),
            table::plain(data_as_written(json)?)
        )
    };
    output::try_write(&mut std::io::stdout().lock(), format_args!("{line}\n"))
        .map_err(Failure::local)
}

/// The data as the event has it: numbers keep all of their digits.
fn data_as_written(json: &str) -> Result<&str, Failure> {
    #[derive(serde::Deserialize)]
    struct Payload<'a> {
        #[serde(borrow)]
        data: Option<&'a RawValue>,
        #[serde(borrow)]
        data_base64: Option<&'a RawValue>,
    }
    let payload: Payload<'_> = serde_json::from_str(json).map_err(Failure::local)?;
    Ok(payload
        .data
        .or(payload.data_base64)
        .map_or("", RawValue::get))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_to_begin_names_each_partition_that_is_followed() {
        let topic = serde_json::json!({"state": {"partitions": [
            {"partition": 0, "tail": 17}, {"partition": 1, "tail": 4}
        ]}});
        let tails = tails(&topic);
        assert_eq!(cursor(&tails, None).as_deref(), Some("0:17,1:4"));
        assert_eq!(cursor(&tails, Some(1)).as_deref(), Some("1:4"));
        assert_eq!(cursor(&tails, Some(9)), None);
    }

    #[test]
    fn from_is_an_offset_or_a_time() {
        assert_eq!(start("earliest").0, "offset");
        assert_eq!(start("17").0, "offset");
        assert_eq!(start("2026-01-01T00:00:00Z").0, "time");
    }

    #[test]
    fn data_is_shown_as_it_is_written() {
        let shown = |json| data_as_written(json).expect("an event");
        assert_eq!(shown(r#"{"id":"1","data":{"a": 1.10}}"#), r#"{"a": 1.10}"#);
        assert_eq!(shown(r#"{"data_base64":"//4="}"#), r#""//4=""#);
        assert_eq!(shown(r#"{"id":"1"}"#), "");
    }
}
