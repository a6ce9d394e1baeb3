//! What streams of events look like to their clients: server-sent events, and lines of JSON.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::Stream;

use super::{
    super::{
        events::{limit_of, malformed},
        refusal::ProblemDocument,
    },
    PullQuery,
};
use crate::{
    deliver::{Form, Subscription, TakenEvent, stream},
    hub::Hub,
    problem::Problem,
};

/// Parts of a stream, of many events each, that wait for the one before to be sent.
const STREAM_QUEUE: usize = 1;
/// A stream of server-sent events that has nothing to say says so this often.
const KEEP_ALIVE: Duration = Duration::from_secs(15);

/// What a stream looks like.
pub(super) struct Looks {
    event: Form,
    problem: fn(Problem) -> Bytes,
    /// Sent now and then where nothing else is.
    keep_alive: Option<&'static str>,
}

pub(super) static SERVER_SENT: Looks = Looks {
    event: |cursor, event, out| {
        out.extend_from_slice(b"id: ");
        out.extend_from_slice(cursor.as_bytes());
        out.extend_from_slice(b"\nevent: ");
        let start = out.len();
        out.extend_from_slice(event.event().r#type.as_bytes());
        one_line(&mut out[start..]);
        out.extend_from_slice(b"\ndata: ");
        json_line(cursor, event, out);
        out.extend_from_slice(b"\n\n");
    },
    problem: |problem| {
        // JSON as it is written here has no ends of lines.
        format!("event: sandbar.problem\ndata: {}\n\n", document(problem)).into()
    },
    keep_alive: Some(":\n\n"),
};

pub(super) static LINES: Looks = Looks {
    event: |cursor, event, out| {
        json_line(cursor, event, out);
        out.push(b'\n');
    },
    problem: |problem| format!("{}\n", serde_json::json!({"problem": document(problem)})).into(),
    keep_alive: None,
};

/// What an answer would have as its body.
fn document(problem: Problem) -> serde_json::Value {
    serde_json::to_value(ProblemDocument::from(problem)).unwrap_or_default()
}

fn json_line(cursor: &str, event: &TakenEvent, out: &mut Vec<u8>) {
    let start = out.len();
    event.write_json(cursor, out);
    one_line(&mut out[start..]);
}

/// Outside of strings, where they must be escaped, ends of lines are but white space in JSON.
fn one_line(text: &mut [u8]) {
    for byte in text {
        if matches!(byte, b'\n' | b'\r') {
            *byte = b' ';
        }
    }
}

/// The parts of a stream, for the body of an answer.
///
/// # Errors
/// `malformed-request`, `offset-trimmed`, and what settling up to `Last-Event-ID` comes to.
pub(super) async fn streamed_events(
    hub: &Hub,
    subscription: &Arc<Subscription>,
    query: &PullQuery,
    lease: Duration,
    headers: &HeaderMap,
    looks: &'static Looks,
) -> Result<impl Stream<Item = Result<Bytes, Infallible>> + use<>, Problem> {
    let window = limit_of(query.limit, 1000)?;
    if let Some(last) = headers.get("last-event-id") {
        let last = last
            .to_str()
            .map_err(|_| malformed("Last-Event-ID is not text"))?;
        subscription.settle_up_to(last, true).await?;
    }
    // Once the head is sent there is no status any more to tell it by.
    subscription.look_for_gap().await?;
    let (sender, receiver) = mpsc::channel(STREAM_QUEUE);
    let subscription = subscription.clone();
    tokio::spawn(stream(subscription, window, lease, looks.event, sender));
    let events = futures_util::stream::unfold(receiver, move |mut receiver| async move {
        let part = match looks.keep_alive {
            None => receiver.recv().await?,
            Some(text) => match timeout(KEEP_ALIVE, receiver.recv()).await {
                Ok(part) => part?,
                Err(_) => Ok(Bytes::from_static(text.as_bytes())),
            },
        };
        let part = part.unwrap_or_else(|problem| (looks.problem)(problem));
        Some((Ok(part), receiver))
    });
    let stopping = hub.stopping.clone();
    Ok(futures_util::StreamExt::take_until(events, async move {
        stopping.cancelled().await;
    }))
}
