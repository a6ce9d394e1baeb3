//! What streams of events look like to their clients: server-sent events, and lines of JSON.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::http::HeaderMap;
use bytes::Bytes;
use tokio::sync::mpsc;
use tokio_stream::Stream;

use super::{
    super::{
        events::{limit_of, malformed},
        parts,
    },
    PullQuery,
};
use crate::{
    deliver::{Form, Subscription, Way, stream},
    hub::Hub,
    problem::Problem,
};

/// What a stream looks like.
pub(super) struct Looks {
    event: Form,
    problem: fn(Problem) -> Bytes,
    /// Sent now and then where nothing else is.
    keep_alive: Option<&'static str>,
}

pub(super) static SERVER_SENT: Looks = Looks {
    event: |cursor, event, out| {
        let data = |out: &mut Vec<u8>| event.write_json(cursor, out);
        parts::message(cursor, Some((event.event().r#type, data)), out);
    },
    problem: parts::problem,
    keep_alive: Some(parts::KEEP_ALIVE),
};

pub(super) static LINES: Looks = Looks {
    event: |cursor, event, out| {
        parts::on_one_line(|out| event.write_json(cursor, out), out);
        out.push(b'\n');
    },
    problem: |problem| {
        format!(
            "{}\n",
            serde_json::json!({"problem": parts::document(problem)})
        )
        .into()
    },
    keep_alive: None,
};

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
    way: Way,
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
    let (sender, receiver) = mpsc::channel(parts::QUEUE);
    let subscription = subscription.clone();
    let form = looks.event;
    tokio::spawn(stream(subscription, window, lease, form, way, sender));
    Ok(parts::of(hub, receiver, looks.problem, looks.keep_alive))
}
