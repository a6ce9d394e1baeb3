//! Events to run a plugin on: from a file, or a few of every kind.

use std::path::Path;

use bytes::Bytes;
use sandbar_types::Event;

use super::super::client::{Failure, read};
use crate::ingest::cloudevents::{self, Decoded, Limits};

/// Of every kind: an object, a list, text, bytes that are no text, nothing; two of one key.
const BUILT_IN: &str = r#"[
    {"specversion": "1.0", "id": "sample-1", "source": "/sandbar/samples", "type": "sample.object",
     "subject": "a", "time": "2026-01-02T03:04:05Z", "datacontenttype": "application/json",
     "partitionkey": "k", "data": {"number": 1, "name": "Zoë", "list": [1, 2.5, null], "nested": {"yes": true}}},
    {"specversion": "1.0", "id": "sample-2", "source": "/sandbar/samples", "type": "sample.object",
     "subject": "b", "partitionkey": "k", "data": {}},
    {"specversion": "1.0", "id": "sample-3", "source": "/sandbar/samples", "type": "sample.list", "data": [1, "two", {}]},
    {"specversion": "1.0", "id": "sample-4", "source": "/sandbar/samples", "type": "sample.text",
     "datacontenttype": "text/plain", "data": "plain text"},
    {"specversion": "1.0", "id": "sample-5", "source": "/sandbar/samples", "type": "sample.bytes",
     "datacontenttype": "application/octet-stream", "data_base64": "AAEC/v8="},
    {"specversion": "1.0", "id": "sample-6", "source": "/sandbar/samples", "type": "sample.nothing"}
]"#;

/// Events of a file: one CloudEvent in JSON, an array of them, or one a line. `-` is standard input.
pub(super) fn read_events(path: &Path) -> Result<Vec<Event>, Failure> {
    let bytes = read(path)?;
    parse(bytes.into()).map_err(|reason| Failure::local(format!("{}: {reason}", path.display())))
}

/// Events for a plugin of which nothing is known.
pub(super) fn built_in() -> Result<Vec<Event>, Failure> {
    parse(Bytes::from_static(BUILT_IN.as_bytes())).map_err(Failure::local)
}

fn parse(bytes: Bytes) -> Result<Vec<Event>, String> {
    let limits = Limits::default();
    let first = bytes.iter().find(|byte| !byte.is_ascii_whitespace());
    let decoded = match first {
        None => return Err("there is no event in it".to_owned()),
        Some(b'[') => cloudevents::batch(&bytes, &limits),
        // One event may stand on several lines. Where the first line is one, there are several.
        Some(_) => {
            let end = bytes.iter().position(|byte| *byte == b'\n');
            match cloudevents::structured(&bytes.slice(..end.unwrap_or(bytes.len()))) {
                Ok(_) => cloudevents::lines(&bytes, &limits),
                Err(_) => cloudevents::structured(&bytes).map(|one| vec![one]),
            }
        }
    };
    let decoded = decoded.map_err(|error| error.to_string())?;
    let events = decoded
        .into_iter()
        .enumerate()
        .map(|(index, decoded)| match decoded {
            Decoded::Event(event) => Ok(event),
            Decoded::Invalid { errors, .. } => {
                let places = errors
                    .iter()
                    .map(|error| format!("{}: {}", error.pointer, error.reason));
                let places: Vec<_> = places.collect();
                Err(format!("event {index}: {}", places.join("; ")))
            }
        });
    let events: Vec<Event> = events.collect::<Result<_, _>>()?;
    if events.is_empty() {
        return Err("there is no event in it".to_owned());
    }
    Ok(events)
}

#[cfg(test)]
mod tests {
    use super::*;

    const ONE: &str = r#"{"specversion":"1.0","id":"1","source":"/s","type":"t","data":{"n":1}}"#;

    fn count(text: &str) -> Result<usize, String> {
        parse(Bytes::copy_from_slice(text.as_bytes())).map(|events| events.len())
    }

    #[test]
    fn one_an_array_or_lines() {
        assert_eq!(count(ONE), Ok(1));
        assert_eq!(count(&ONE.replace(',', ",\n")), Ok(1));
        assert_eq!(count(&format!(" [{ONE},\n{ONE}]")), Ok(2));
        assert_eq!(count(&format!("{ONE}\n{ONE}\n{ONE}\n")), Ok(3));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        assert!(count(" \n").is_err());
        assert!(count("[]").is_err());
        let reason = count("[{\"specversion\":\"1.0\"}]").expect_err("refused");
        assert!(reason.starts_with("event 0: "), "{reason}");
        let reason = count(&format!("{ONE}\nnonsense\n")).expect_err("refused");
        assert!(reason.starts_with("line 2"), "{reason}");
    }

    #[test]
    fn the_built_in_ones_are_events() {
        assert_eq!(built_in().expect("events").len(), 6);
    }
}
