//! `sandbar publish`.

use std::path::{Path, PathBuf};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use clap::Args;
use reqwest::Method;
use sandbar_types::event::is_json;
use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{
    Client, Outcome,
    client::{Failure, path, raw_events, read},
    table,
};

#[derive(Debug, Args)]
pub(super) struct PublishArgs {
    topic: String,
    /// The event's type; with --events they say it themselves.
    #[arg(
        long = "type",
        required_unless_present = "events",
        conflicts_with = "events"
    )]
    event_type: Option<String>,
    #[arg(long, default_value = "/sandbar/cli", conflicts_with = "events")]
    source: String,
    /// Default: a new one.
    #[arg(long, conflicts_with = "events")]
    id: Option<String>,
    #[arg(long, conflicts_with = "events")]
    subject: Option<String>,
    /// What order is kept by (the partitionkey extension).
    #[arg(long, conflicts_with = "events")]
    key: Option<String>,
    /// The payload; default: standard input.
    #[arg(long, conflicts_with = "file")]
    data: Option<String>,
    /// A file with the payload; - is standard input.
    #[arg(short, long, default_value = "-")]
    file: PathBuf,
    #[arg(long, default_value = "application/json", conflicts_with = "events")]
    content_type: String,
    /// A file with CloudEvents in JSON instead: an array of them, one, or one a line; - is standard input.
    #[arg(long, value_name = "FILE", conflicts_with_all = ["data", "file"])]
    events: Option<PathBuf>,
}

pub(super) fn run(client: &Client, args: &PublishArgs) -> Outcome {
    let (media_type, body) = match &args.events {
        Some(events) => ("application/cloudevents-batch+json", batch(events)?),
        None => (
            "application/cloudevents+json",
            structured(args, &payload(args)?)?,
        ),
    };
    let request = client
        .request(Method::POST, &path(&["topics", &args.topic, "events"])?)
        .header("content-type", media_type)
        .body(body);
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

/// An event in the CloudEvents JSON format.
#[derive(Serialize)]
struct Structured<'a> {
    specversion: &'static str,
    r#type: Option<&'a str>,
    source: &'a str,
    id: &'a str,
    datacontenttype: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    partitionkey: Option<&'a str>,
    #[serde(flatten)]
    data: Data<'a>,
}

/// JSON stays byte for byte what was given: numbers keep all of their digits.
#[derive(Serialize)]
enum Data<'a> {
    #[serde(rename = "data")]
    Json(&'a RawValue),
    #[serde(rename = "data")]
    Text(&'a str),
    #[serde(rename = "data_base64")]
    Bytes(String),
}

fn batch(file: &Path) -> Result<String, Failure> {
    let events = raw_events(file)?;
    if events.is_empty() {
        let said = format!("{}: there is no event in it", file.display());
        return Err(Failure::local(said));
    }
    serde_json::to_string(&events).map_err(Failure::local)
}

fn payload(args: &PublishArgs) -> Result<Vec<u8>, Failure> {
    match &args.data {
        Some(data) => Ok(data.clone().into_bytes()),
        None => read(&args.file),
    }
}

fn structured(args: &PublishArgs, body: &[u8]) -> Result<String, Failure> {
    let data = if is_json(&args.content_type) {
        let json = serde_json::from_slice(body);
        Data::Json(
            json.map_err(|error| Failure::local(format!("the payload is not JSON: {error}")))?,
        )
    } else {
        match std::str::from_utf8(body) {
            Ok(text) => Data::Text(text),
            Err(_) => Data::Bytes(STANDARD.encode(body)),
        }
    };
    let event = Structured {
        specversion: "1.0",
        r#type: args.event_type.as_deref(),
        source: &args.source,
        id: &args.id.clone().unwrap_or_else(new_id),
        datacontenttype: &args.content_type,
        subject: args.subject.as_deref(),
        partitionkey: args.key.as_deref(),
        data,
    };
    serde_json::to_string(&event).map_err(Failure::local)
}

/// Unlikely to be made twice: the time and this process.
fn new_id() -> String {
    format!("{}-{}", crate::clock::now(), std::process::id())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn data_of(content_type: &str, body: &[u8]) -> String {
        let args = PublishArgs {
            topic: "t".into(),
            event_type: Some("a.b".into()),
            source: "/s".into(),
            id: Some("1".into()),
            subject: None,
            key: Some("k".into()),
            data: None,
            file: "-".into(),
            content_type: content_type.into(),
            events: None,
        };
        let event = structured(&args, body).expect("an event");
        let head = format!(
            r#"{{"specversion":"1.0","type":"a.b","source":"/s","id":"1","datacontenttype":"{content_type}","partitionkey":"k","#
        );
        event.strip_prefix(&head).expect("the head").to_owned()
    }

    #[test]
    fn data_goes_out_as_it_came_in() {
        assert_eq!(
            data_of(
                "application/json",
                br#"{"z": 100000000000000000000000001, "a": 1.10}"#
            ),
            r#""data":{"z": 100000000000000000000000001, "a": 1.10}}"#
        );
        assert_eq!(data_of("text/plain", b"5"), r#""data":"5"}"#);
        assert_eq!(
            data_of("application/octet-stream", b"\xff\xfe"),
            r#""data_base64":"//4="}"#
        );
    }
}
