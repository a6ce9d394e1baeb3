//! Connections to one endpoint, which stay open between requests.
//!
//! A connection of HTTP/1.1 belongs to the exchange that uses it, and has no task of its own: whoever
//! waits for the answer moves its bytes. So a request costs no switch between tasks, and all
//! requests of a webhook are worked by the task of its driver. A connection of HTTP/2 is one for all
//! exchanges, on a task. What is sent and what it means is not known here.

use std::{
    future::Future,
    pin::{Pin, pin},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderValue, Response, Uri, header::HOST};
use http_body_util::Full;
use hyper::{
    body::{Body, Frame, Incoming},
    client::conn::{TrySendError, http1, http2},
};
use hyper_util::{client::legacy::connect::Connection as _, rt::TokioExecutor};
use tokio::time::{Instant, Sleep, sleep_until, timeout_at};

use super::{
    connector::{BoxError, Connector, Io},
    request::Outgoing,
};

/// A connection that nobody used for so long is closed: before the endpoint does it, which for many
/// servers is after 5 s, so that no request runs into the closing.
pub const IDLE: Duration = Duration::from_secs(4);

/// All connections to one endpoint.
#[derive(Debug)]
pub struct Connections {
    connector: Connector,
    url: Uri,
    /// The path and the query, as HTTP/1.1 sends them.
    path: Uri,
    host: HeaderValue,
    /// So many are kept.
    most: usize,
    kept: Mutex<Kept>,
}

#[derive(Debug, Default)]
struct Kept {
    /// The one used last is at the end.
    idle: Vec<(Box<Own>, Instant)>,
    shared: Option<Shared>,
}

/// A connection, for one exchange.
#[derive(Debug)]
pub enum Connection {
    Own(Box<Own>),
    Shared(Shared),
}

/// A connection of HTTP/1.1.
#[derive(Debug)]
pub struct Own {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Until it is over.
    io: Option<http1::Connection<Io, Full<Bytes>>>,
    /// Kept between exchanges: a timer that is only ever put off takes no lock.
    deadline: Pin<Box<Sleep>>,
}

/// A connection of HTTP/2.
#[derive(Clone, Debug)]
pub struct Shared {
    sender: http2::SendRequest<Full<Bytes>>,
    /// Held by all exchanges under way.
    users: Arc<()>,
    used: Instant,
}

/// What came of sending.
#[derive(Debug)]
pub enum Sent {
    Head(Response<Incoming>),
    /// The time is over.
    Late,
    /// With the request, if nothing of it was sent.
    Failed(hyper::Error, Option<Outgoing>),
}

/// The time is over.
#[derive(Clone, Copy, Debug)]
pub struct Late;

/// Of the body of an answer.
pub type Part = Option<hyper::Result<Frame<Bytes>>>;

impl Connections {
    /// To the endpoint of `url`, which has a scheme and a host; at most `most` are kept open.
    ///
    /// # Errors
    /// When the URL was not checked.
    pub fn new(connector: Connector, url: Uri, most: usize) -> Result<Self, String> {
        let authority = url.authority().ok_or("no host")?;
        let default = match url.scheme_str() {
            Some("https") => 443,
            _ => 80,
        };
        let host = match authority.port_u16() {
            Some(port) if port != default => authority.as_str(),
            _ => authority.host(),
        };
        let path = url.path_and_query().map_or("/", |path| path.as_str());
        Ok(Self {
            host: HeaderValue::from_str(host).map_err(|error| error.to_string())?,
            path: path.parse().map_err(|error| format!("{path}: {error}"))?,
            connector,
            url,
            most,
            kept: Mutex::default(),
        })
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One that is open and was used before.
    pub fn open(&self) -> Option<Connection> {
        let mut kept = self.kept();
        if let Some(shared) = &mut kept.shared {
            if !shared.sender.is_closed() {
                shared.used = Instant::now();
                return Some(Connection::Shared(shared.clone()));
            }
            kept.shared = None;
        }
        let (own, since) = kept.idle.pop()?;
        if since.elapsed() < IDLE {
            return Some(Connection::Own(own));
        }
        // Those before it are older still.
        kept.idle.clear();
        None
    }

    /// A new one.
    ///
    /// # Errors
    /// As the connector, and when HTTP cannot be begun on it.
    pub async fn dial(&self) -> Result<Connection, BoxError> {
        let io = self.connector.connect(&self.url).await?;
        if !io.connected().is_negotiated_h2() {
            let (sender, io) = http1::handshake(io).await?;
            return Ok(Connection::Own(Box::new(Own {
                sender,
                io: Some(io),
                deadline: Box::pin(sleep_until(Instant::now())),
            })));
        }
        let (sender, io) = http2::handshake(TokioExecutor::new(), io).await?;
        let mut kept = self.kept();
        // Others may have dialled at the same time.
        if let Some(shared) = &kept.shared
            && !shared.sender.is_closed()
        {
            return Ok(Connection::Shared(shared.clone()));
        }
        tokio::spawn(async move {
            if let Err(error) = io.await {
                tracing::debug!(%error, "a connection to a webhook ended badly");
            }
        });
        let shared = Shared {
            sender,
            users: Arc::new(()),
            used: Instant::now(),
        };
        kept.shared = Some(shared.clone());
        Ok(Connection::Shared(shared))
    }

    /// Sends a request, as the protocol of the connection wants it, and waits for the head of its
    /// answer.
    pub async fn send(
        &self,
        connection: &mut Connection,
        mut request: Outgoing,
        until: Instant,
    ) -> Sent {
        match connection {
            Connection::Own(own) => {
                *request.uri_mut() = self.path.clone();
                let headers = request.headers_mut();
                headers.entry(HOST).or_insert_with(|| self.host.clone());
                own.send(request, until).await
            }
            Connection::Shared(shared) => {
                *request.uri_mut() = self.url.clone();
                match timeout_at(until, shared.sender.try_send_request(request)).await {
                    Ok(Ok(response)) => Sent::Head(response),
                    Ok(Err(error)) => failed(error),
                    Err(_) => Sent::Late,
                }
            }
        }
    }

    /// The exchange is over, and the whole answer was read.
    pub fn put_back(&self, connection: Connection) {
        let Connection::Own(mut own) = connection else {
            return;
        };
        if own.is_ready() {
            let mut kept = self.kept();
            if kept.idle.len() < self.most {
                kept.idle.push((own, Instant::now()));
            }
        }
    }

    /// The exchange failed: nobody else is to use the connection. One of its own ends with its value.
    pub fn give_up(&self, connection: Connection) {
        if let Connection::Shared(failed) = connection {
            let mut kept = self.kept();
            if let Some(shared) = &kept.shared
                && Arc::ptr_eq(&shared.users, &failed.users)
            {
                kept.shared = None;
            }
        }
    }

    /// Closes what nobody used for a while; says when there will be more to close.
    pub fn tidy(&self, now: Instant) -> Option<Instant> {
        let mut kept = self.kept();
        let old = kept.idle.partition_point(|(_, since)| *since + IDLE <= now);
        kept.idle.drain(..old);
        if let Some(shared) = &mut kept.shared {
            if Arc::strong_count(&shared.users) > 1 {
                shared.used = now;
            } else if shared.used + IDLE <= now {
                kept.shared = None;
            }
        }
        let own = kept.idle.first().map(|(_, since)| *since + IDLE);
        let shared = kept.shared.as_ref().map(|shared| shared.used + IDLE);
        [own, shared].into_iter().flatten().min()
    }
}

impl Connection {
    /// The next part of an answer's body; `None` behind the last.
    ///
    /// # Errors
    /// When the time is over.
    pub async fn frame(&mut self, body: &mut Incoming, until: Instant) -> Result<Part, Late> {
        match self {
            Self::Own(own) => own.frame(body, until).await,
            Self::Shared(_) => {
                let next = std::future::poll_fn(|context| Pin::new(&mut *body).poll_frame(context));
                timeout_at(until, next).await.map_err(|_| Late)
            }
        }
    }
}

impl Own {
    async fn send(&mut self, request: Outgoing, until: Instant) -> Sent {
        let mut answer = pin!(self.sender.try_send_request(request));
        std::future::poll_fn(|context| {
            if let Some(io) = &mut self.io
                && Pin::new(io).poll(context).is_ready()
            {
                // Its error is that of the answer.
                self.io = None;
            }
            if let Poll::Ready(answer) = answer.as_mut().poll(context) {
                return Poll::Ready(answer.map_or_else(failed, Sent::Head));
            }
            late(&mut self.deadline, until, context).map(|()| Sent::Late)
        })
        .await
    }

    async fn frame(&mut self, body: &mut Incoming, until: Instant) -> Result<Part, Late> {
        std::future::poll_fn(|context| {
            // What is there; then what the connection brings.
            if let Poll::Ready(part) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(Ok(part));
            }
            self.advance(context);
            if let Poll::Ready(part) = Pin::new(&mut *body).poll_frame(context) {
                return Poll::Ready(Ok(part));
            }
            late(&mut self.deadline, until, context).map(|()| Err(Late))
        })
        .await
    }

    /// Moves the bytes.
    fn advance(&mut self, context: &mut Context<'_>) {
        if let Some(io) = &mut self.io
            && Pin::new(io).poll(context).is_ready()
        {
            self.io = None;
        }
    }

    /// Whether another request can be sent on it.
    fn is_ready(&mut self) -> bool {
        if !self.sender.is_ready() {
            // It has still to see that the answer was read.
            self.advance(&mut Context::from_waker(Waker::noop()));
        }
        self.io.is_some() && self.sender.is_ready()
    }
}

fn late(deadline: &mut Pin<Box<Sleep>>, until: Instant, context: &mut Context<'_>) -> Poll<()> {
    if deadline.deadline() != until {
        deadline.as_mut().reset(until);
    }
    deadline.as_mut().poll(context)
}

fn failed(mut error: TrySendError<Outgoing>) -> Sent {
    let request = error.take_message();
    Sent::Failed(error.into_error(), request)
}
