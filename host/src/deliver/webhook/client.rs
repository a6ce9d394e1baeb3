//! One exchange with an endpoint: sends a request and reads the answer, within bounds of time and
//! size. Redirects are answers like any other, there is no proxy, and there are no cookies. It does
//! not judge the answer.

use std::{error::Error, io, sync::Arc, time::Duration};

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, StatusCode};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper_util::{
    client::legacy,
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::{Instant, timeout, timeout_at};

use super::{
    connector::{ConnectFailed, ConnectTimeout, Connector},
    request::Outgoing,
    trust,
};
use crate::{
    catalog::{PRIVATE_TARGETS_HELP, PushDocument},
    dial::{Refused, Targets},
};

/// A connection that nobody used for so long is closed: before the endpoint does it, which for many
/// servers is after 5 s, so that no request runs into the closing.
const IDLE: Duration = Duration::from_secs(4);
/// What is kept of an answer's body.
pub const KEPT: usize = 16 * 1024;
/// What is read of a body so that the connection can be used again; behind it the rest is let go.
const READ: usize = 256 * 1024;

/// Sends to one endpoint. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Client {
    inner: legacy::Client<Connector, Full<Bytes>>,
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

/// What kind of trouble there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The name has no address.
    Dns,
    /// The address may not be dialled.
    Denied,
    Connect,
    Tls,
    /// In connecting, until the first byte, or in all.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// What came is no HTTP.
    Protocol,
}

impl FailureKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Denied => "denied",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
        }
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    pub reason: String,
    /// The status, when the head of the answer had come.
    pub status: Option<u16>,
}

impl Failure {
    fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            status: None,
        }
    }
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
        let inner = legacy::Client::builder(TokioExecutor::new())
            .pool_timer(TokioTimer::new())
            .pool_idle_timeout(IDLE)
            .pool_max_idle_per_host(document.concurrency as usize)
            .build(connector);
        Ok(Self {
            inner,
            first_byte: Duration::from_millis(timeouts.first_byte_ms),
            total: Duration::from_millis(timeouts.total_ms),
        })
    }

    pub async fn exchange(&self, request: Outgoing) -> Exchange {
        let begun = Instant::now();
        let ended = self.answer(request, begun).await;
        Exchange {
            ended,
            took: begun.elapsed(),
        }
    }

    async fn answer(&self, request: Outgoing, begun: Instant) -> Result<Answer, Failure> {
        let until_head = self.first_byte.min(self.total);
        let Ok(head) = timeout(until_head, self.inner.request(request)).await else {
            let reason = format!("no answer within {} ms", until_head.as_millis());
            return Err(Failure::new(FailureKind::Timeout, reason));
        };
        let (head, body) = head.map_err(|error| failure(&error))?.into_parts();
        let read = timeout_at(begun + self.total, start_of(body)).await;
        let read = read.unwrap_or_else(|_| {
            let reason = format!(
                "the answer was not whole within {} ms",
                self.total.as_millis()
            );
            Err(Failure::new(FailureKind::Timeout, reason))
        });
        match read {
            Ok((body, more)) => Ok(Answer {
                status: head.status,
                headers: head.headers,
                body,
                more,
            }),
            Err(failure) => Err(Failure {
                reason: format!("{} (status {})", failure.reason, head.status.as_u16()),
                status: Some(head.status.as_u16()),
                ..failure
            }),
        }
    }
}

/// The start of a body, and whether there is more.
async fn start_of(mut body: Incoming) -> Result<(Bytes, bool), Failure> {
    if body.is_end_stream() {
        return Ok((Bytes::new(), false));
    }
    let mut kept = BytesMut::new();
    let mut read = 0;
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|error| failure(&error))?;
        let Ok(data) = frame.into_data() else {
            continue;
        };
        let room = KEPT.saturating_sub(kept.len());
        kept.extend_from_slice(&data[..data.len().min(room)]);
        read += data.len();
        if read > READ {
            break;
        }
    }
    Ok((kept.freeze(), read > KEPT))
}

/// What an error of the client means.
fn failure(error: &(dyn Error + 'static)) -> Failure {
    let mut at: &(dyn Error + 'static) = error;
    let mut closed = false;
    loop {
        if let Some(refused) = at.downcast_ref::<Refused>() {
            return match refused {
                Refused::Denied(denied) => Failure::new(
                    FailureKind::Denied,
                    format!("{denied}; {PRIVATE_TARGETS_HELP}"),
                ),
                Refused::Unresolved(unresolved) => {
                    Failure::new(FailureKind::Dns, unresolved.to_string())
                }
            };
        }
        if let Some(late) = at.downcast_ref::<ConnectTimeout>() {
            return Failure::new(FailureKind::Timeout, late.to_string());
        }
        if let Some(failed) = at.downcast_ref::<ConnectFailed>() {
            return Failure::new(FailureKind::Connect, failed.to_string());
        }
        if let Some(error) = at.downcast_ref::<rustls::Error>() {
            return Failure::new(FailureKind::Tls, tls_reason(error));
        }
        if let Some(error) = at.downcast_ref::<hyper::Error>() {
            closed |= error.is_incomplete_message() || error.is_closed() || error.is_canceled();
            if error.is_parse() {
                let reason = format!("the answer is no HTTP: {error}");
                return Failure::new(FailureKind::Protocol, reason);
            }
        }
        let inner = at.downcast_ref::<io::Error>().map(|error| {
            closed |= matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            );
            error.get_ref()
        });
        // What stands in an io::Error is not its source, but the thing itself.
        match inner.flatten() {
            Some(inner) => at = inner,
            None => match at.source() {
                Some(source) => at = source,
                None => break,
            },
        }
    }
    if closed {
        let reason = "the endpoint closed the connection before its answer was whole";
        return Failure::new(FailureKind::Closed, reason);
    }
    Failure::new(FailureKind::Protocol, at.to_string())
}

fn tls_reason(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "the endpoint's certificate is signed by nobody that is trusted here; if it is self-signed \
             or of an authority of your own, put that certificate into push.ca_pem"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "the endpoint's certificate is self-signed; put it into push.ca_pem".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}
