//! The parts of endless answers: what was made for them, and a sign of life where nothing is.

use std::{convert::Infallible, time::Duration};

use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::Stream;

use super::refusal::ProblemDocument;
use crate::{hub::Hub, problem::Problem};

/// Parts, of many events each, that wait for the one before to be sent.
pub(super) const QUEUE: usize = 1;
/// An endless answer that has nothing to say says so this often.
const KEEP_ALIVE_EVERY: Duration = Duration::from_secs(15);
/// How server-sent events say it.
pub(super) const KEEP_ALIVE: &str = ":\n\n";

/// The body of an answer, until the hub stops.
pub(super) fn of(
    hub: &Hub,
    receiver: mpsc::Receiver<Result<Bytes, Problem>>,
    problem: fn(Problem) -> Bytes,
    keep_alive: Option<&'static str>,
) -> impl Stream<Item = Result<Bytes, Infallible>> + use<> {
    let parts = futures_util::stream::unfold(receiver, move |mut receiver| async move {
        let part = match keep_alive {
            None => receiver.recv().await?,
            Some(text) => match timeout(KEEP_ALIVE_EVERY, receiver.recv()).await {
                Ok(part) => part?,
                Err(_) => Ok(Bytes::from_static(text.as_bytes())),
            },
        };
        Some((Ok(part.unwrap_or_else(problem)), receiver))
    });
    let stopping = hub.stopping.clone();
    futures_util::StreamExt::take_until(parts, async move { stopping.cancelled().await })
}

/// A problem as a server-sent event.
pub(super) fn problem(problem: Problem) -> Bytes {
    // JSON as it is written here has no ends of lines.
    format!("event: sandbar.problem\ndata: {}\n\n", document(problem)).into()
}

/// What an answer would have as its body.
pub(super) fn document(problem: Problem) -> serde_json::Value {
    serde_json::to_value(ProblemDocument::from(problem)).unwrap_or_default()
}

/// Appends a server-sent event: its id, and its type with what writes its data, JSON. An id alone is no event
/// to a client, which keeps it for its Last-Event-ID.
pub(super) fn message(
    id: &str,
    event: Option<(&str, impl FnOnce(&mut Vec<u8>))>,
    out: &mut Vec<u8>,
) {
    out.extend_from_slice(b"id: ");
    out.extend_from_slice(id.as_bytes());
    if let Some((r#type, data)) = event {
        out.extend_from_slice(b"\nevent: ");
        on_one_line(|out| out.extend_from_slice(r#type.as_bytes()), out);
        out.extend_from_slice(b"\ndata: ");
        on_one_line(data, out);
    }
    out.extend_from_slice(b"\n\n");
}

/// Appends what is written without ends of lines: no field of a server-sent event may have one, and in JSON,
/// outside of strings, where they must be escaped, they are but white space.
pub(super) fn on_one_line(write: impl FnOnce(&mut Vec<u8>), out: &mut Vec<u8>) {
    let start = out.len();
    write(out);
    for byte in &mut out[start..] {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}
