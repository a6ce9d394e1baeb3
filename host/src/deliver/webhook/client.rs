//! One exchange with an endpoint: sends a request and reads the answer, within bounds of time and
//! size. Redirects are answers like any other, there is no proxy, and there are no cookies. It does
//! not judge the answer.

use std::{sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Response, StatusCode};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use super::{
    connections::{Connection, Connections, Late, Sent},
    connector::Connector,
    failure::{Failure, FailureKind, failure},
    request::Outgoing,
    trust,
};
use crate::{catalog::PushDocument, dial::Targets};

pub use super::connections::IDLE;

/// What is kept of an answer's body.
pub const KEPT: usize = 16 * 1024;
/// What is read of the body of a refusal so that the connection can be used again; behind it the rest
/// is let go. A success is read to its end: one that breaks off is none.
const READ: usize = 256 * 1024;

/// Sends to one endpoint.
#[derive(Debug)]
pub struct Client {
    connections: Connections,
    first_byte: Duration,
    total: Duration,
}

/// How an exchange ended, and how long it took.
#[derive(Debug)]
pub struct Exchange {
    pub ended: Result<Answer, Failure>,
    pub took: Duration,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Answer {
    pub status: StatusCode,
    pub headers: HeaderMap,
    /// The start of the body: [`KEPT`] bytes at most.
    pub body: Bytes,
    /// Whether there was more.
    pub more: bool,
}

impl Client {
    /// # Errors
    /// When the document was not checked.
    pub fn new(document: &PushDocument, targets: Arc<Targets>) -> Result<Self, String> {
        let timeouts = document.timeouts;
        let connector = Connector::new(
            targets,
            trust::tls(document.ca_pem.as_deref())?,
            Duration::from_millis(timeouts.connect_ms),
        );
        let url = document.url.parse();
        let url = url.map_err(|error| format!("{}: {error}", document.url))?;
        Ok(Self {
            connections: Connections::new(connector, url, document.concurrency as usize)?,
            first_byte: Duration::from_millis(timeouts.first_byte_ms),
            total: Duration::from_millis(timeouts.total_ms),
        })
    }

    /// Closes connections that nobody used for [`IDLE`]; says when there will be more to close.
    pub fn tidy(&self, now: Instant) -> Option<Instant> {
        self.connections.tidy(now)
    }

    /// Sends the request that `make` makes. It is made anew where the endpoint closed a connection
    /// that had been open: that is no attempt.
    pub async fn exchange(&self, make: impl Fn() -> Outgoing) -> Exchange {
        let begun = Instant::now();
        let ended = self.answer(make, begun).await;
        Exchange {
            ended,
            took: begun.elapsed(),
        }
    }

    async fn answer(&self, make: impl Fn() -> Outgoing, begun: Instant) -> Result<Answer, Failure> {
        let until = begun + self.first_byte.min(self.total);
        let mut unsent = None;
        let mut anew = false;
        loop {
            let open = if anew { None } else { self.connections.open() };
            let was_open = open.is_some();
            let mut connection = match open {
                Some(connection) => connection,
                None => match timeout_at(until, self.connections.dial()).await {
                    Ok(dialled) => dialled.map_err(|error| failure(&*error))?,
                    Err(_) => return Err(self.no_answer()),
                },
            };
            let request = unsent.take().unwrap_or_else(&make);
            let sent = self.connections.send(&mut connection, request, until).await;
            let (error, returned) = match sent {
                Sent::Head(response) => {
                    return self.read(connection, response, begun + self.total).await;
                }
                Sent::Late => {
                    self.connections.give_up(connection);
                    return Err(self.no_answer());
                }
                Sent::Failed(error, returned) => (error, returned),
            };
            self.connections.give_up(connection);
            let failed = failure(&error);
            // Most likely the endpoint had closed it, or was about to, when the request was sent.
            let again = was_open && (returned.is_some() || failed.kind == FailureKind::Closed);
            if !again {
                return Err(failed);
            }
            anew = returned.is_none();
            unsent = returned;
        }
    }

    fn no_answer(&self) -> Failure {
        let time = self.first_byte.min(self.total);
        let reason = format!("no answer within {} ms", time.as_millis());
        Failure::new(FailureKind::Timeout, reason)
    }

    async fn read(
        &self,
        mut connection: Connection,
        response: Response<Incoming>,
        until: Instant,
    ) -> Result<Answer, Failure> {
        let (head, body) = response.into_parts();
        let most = if head.status.is_success() {
            usize::MAX
        } else {
            READ
        };
        match self.start_of(&mut connection, body, most, until).await {
            Ok(start) => {
                if start.whole {
                    self.connections.put_back(connection);
                }
                Ok(Answer {
                    status: head.status,
                    headers: head.headers,
                    body: start.kept,
                    more: start.more,
                })
            }
            Err(failure) => {
                self.connections.give_up(connection);
                Err(Failure {
                    reason: format!("{} (status {})", failure.reason, head.status.as_u16()),
                    status: Some(head.status.as_u16()),
                    ..failure
                })
            }
        }
    }

    async fn start_of(
        &self,
        connection: &mut Connection,
        mut body: Incoming,
        most: usize,
        until: Instant,
    ) -> Result<Start, Failure> {
        let mut kept = BytesMut::new();
        let mut read: usize = 0;
        let mut whole = body.is_end_stream();
        while !whole && read <= most {
            let frame = match connection.frame(&mut body, until).await {
                Ok(Some(frame)) => frame.map_err(|error| failure(&error))?,
                Ok(None) => {
                    whole = true;
                    break;
                }
                Err(Late) => {
                    let reason = format!(
                        "the answer was not whole within {} ms",
                        self.total.as_millis()
                    );
                    return Err(Failure::new(FailureKind::Timeout, reason));
                }
            };
            let Ok(data) = frame.into_data() else {
                continue;
            };
            let room = KEPT.saturating_sub(kept.len());
            kept.extend_from_slice(&data[..data.len().min(room)]);
            read = read.saturating_add(data.len());
        }
        Ok(Start {
            kept: kept.freeze(),
            more: read > KEPT,
            whole,
        })
    }
}

/// The start of a body.
struct Start {
    kept: Bytes,
    /// There is more of it.
    more: bool,
    /// It was read to its end.
    whole: bool,
}
