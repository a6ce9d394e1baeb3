//! One stream of server-sent events (HTML standard, section 9.2.6), as the hub writes them.

use std::io::{BufRead, BufReader};

use super::{TailArgs, show, start};
use crate::cli::client::{Client, Failure, path};

/// How a stream ended.
pub(super) enum End {
    /// All that were asked for were seen, or nobody reads any more.
    Enough,
    /// The connection ended.
    Broken,
}

pub(super) struct Tail<'a> {
    client: &'a Client,
    args: &'a TailArgs,
    /// What to go on from.
    last: Option<String>,
    pub seen: usize,
    /// Whether the hub has ever taken the request.
    pub connected: bool,
}

impl<'a> Tail<'a> {
    pub(super) fn new(client: &'a Client, args: &'a TailArgs, last: Option<String>) -> Self {
        Self {
            client,
            args,
            last,
            seen: 0,
            connected: false,
        }
    }

    /// Prints events until the stream breaks or there were enough.
    pub(super) fn stream(&mut self) -> Result<End, Failure> {
        let path = path(&["topics", &self.args.topic, "events"])?;
        let mut request = self
            .client
            .endless(&path)?
            .header("accept", "text/event-stream");
        // Not both: the offset that was asked for first may be trimmed by now.
        request = match &self.last {
            Some(last) => request.header("last-event-id", last),
            None => request.query(&[start(&self.args.from)]),
        };
        if let Some(partition) = self.args.partition {
            request = request.query(&[("partition", partition)]);
        }
        let request = request.query(&self.args.filters.query()?.as_slice());
        let lines = BufReader::new(self.client.send(request)?).lines();
        self.connected = true;
        let mut message = Message::default();
        for line in lines {
            let Ok(line) = line else {
                return Ok(End::Broken);
            };
            let Some(Message { id, event, data }) = message.take_line(&line) else {
                continue;
            };
            if data.is_empty() {
                // Events that are not wanted were passed over.
                self.last = id.or(self.last.take());
                continue;
            }
            if event == PROBLEM {
                return Err(Failure::ended(&data));
            }
            if !show(self.client, &data)? {
                return Ok(End::Enough);
            }
            self.last = id.or(self.last.take());
            self.seen += 1;
            if self.args.limit.is_some_and(|limit| self.seen >= limit) {
                return Ok(End::Enough);
            }
        }
        Ok(End::Broken)
    }
}

/// The name of the event with which the hub says why it cannot go on; its data is a problem document.
const PROBLEM: &str = "sandbar.problem";

/// A message as far as it has come.
#[derive(Debug, Default, PartialEq, Eq)]
struct Message {
    id: Option<String>,
    event: String,
    data: String,
}

impl Message {
    /// Takes a line; the empty one ends the message, and one without data and id is nothing.
    fn take_line(&mut self, line: &str) -> Option<Message> {
        if line.is_empty() {
            let whole = std::mem::take(self);
            let is_one = !whole.data.is_empty() || whole.id.is_some();
            return is_one.then_some(whole);
        }
        let (field, value) = line.split_once(':').unwrap_or((line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "id" => self.id = Some(value.to_owned()),
            "event" => value.clone_into(&mut self.event),
            "data" => {
                if !self.data.is_empty() {
                    self.data.push('\n');
                }
                self.data.push_str(value);
            }
            // Comments (they have no field) keep the connection alive.
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn messages_are_told_from_comments_and_carry_id_and_name() {
        let mut message = Message::default();
        let text =
            ":\n\nid: 0:1\nevent: t\ndata: {\"a\": 1}\n\ndata:x\ndata: y\n\nid: 0:8\n\nid: 0:9\n";
        let whole: Vec<Message> = text
            .lines()
            .filter_map(|line| message.take_line(line))
            .collect();
        let first = Message {
            id: Some("0:1".into()),
            event: "t".into(),
            data: r#"{"a": 1}"#.into(),
        };
        let second = Message {
            data: "x\ny".into(),
            ..Message::default()
        };
        let passed_over = Message {
            id: Some("0:8".into()),
            ..Message::default()
        };
        assert_eq!(whole, [first, second, passed_over]);
    }
}
