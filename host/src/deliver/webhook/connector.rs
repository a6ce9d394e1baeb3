//! Connections to endpoints: resolved and checked at every dial, with a bound on the time until
//! there is something to send on, TLS included.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use futures_util::{StreamExt, stream::FuturesUnordered};
use http::Uri;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, MaybeHttpsStream};
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::dial::Targets;

pub type BoxError = Box<dyn std::error::Error + Send + Sync>;
type Connecting<T> = Pin<Box<dyn Future<Output = Result<T, BoxError>> + Send>>;

/// The next address of a name is tried when the one before has not answered for so long (RFC 8305
/// §8 recommends 250 ms).
const NEXT_ADDRESS: Duration = Duration::from_millis(250);

/// No connection within the time that the document allows.
#[derive(Clone, Copy, Debug, thiserror::Error)]
#[error("no connection within {} ms", .0.as_millis())]
pub struct ConnectTimeout(pub Duration);

/// No address of the host takes a connection.
#[derive(Debug, thiserror::Error)]
#[error("cannot connect to {address}: {reason}")]
pub struct ConnectFailed {
    pub address: std::net::SocketAddr,
    #[source]
    pub reason: std::io::Error,
}

/// Dials plain TCP.
#[derive(Clone, Debug)]
pub struct Dialer {
    targets: Arc<Targets>,
}

impl Service<Uri> for Dialer {
    type Response = TokioIo<TcpStream>;
    type Error = BoxError;
    type Future = Connecting<Self::Response>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, url: Uri) -> Self::Future {
        let targets = self.targets.clone();
        Box::pin(async move {
            let host = url.host().unwrap_or_default();
            let default = if url.scheme_str() == Some("https") {
                443
            } else {
                80
            };
            let port = url.port_u16().unwrap_or(default);
            let addresses = targets.resolve(host, port).await?;
            let stream = connect(addresses).await?;
            stream.set_nodelay(true)?;
            Ok(TokioIo::new(stream))
        })
    }
}

/// The first address that answers.
async fn connect(addresses: Vec<std::net::SocketAddr>) -> Result<TcpStream, ConnectFailed> {
    let mut rest = addresses.into_iter();
    let mut under_way = FuturesUnordered::new();
    let mut failed = None;
    loop {
        let next = rest.next();
        let more = next.is_some();
        if let Some(address) = next {
            under_way.push(async move {
                let connected = TcpStream::connect(address).await;
                connected.map_err(|reason| ConnectFailed { address, reason })
            });
        }
        tokio::select! {
            connected = under_way.next() => match connected {
                Some(Ok(stream)) => return Ok(stream),
                Some(Err(error)) => failed = Some(error),
                None => return Err(failed.unwrap_or_else(nothing)),
            },
            () = tokio::time::sleep(NEXT_ADDRESS), if more => {}
        }
    }
}

/// Never the case: a name without addresses is an error before.
fn nothing() -> ConnectFailed {
    ConnectFailed {
        address: ([0, 0, 0, 0], 0).into(),
        reason: std::io::ErrorKind::AddrNotAvailable.into(),
    }
}

/// What is sent on.
pub type Io = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Dials, and speaks TLS where the URL is `https`.
#[derive(Clone, Debug)]
pub struct Connector {
    inner: HttpsConnector<Dialer>,
    timeout: Duration,
}

impl Connector {
    #[must_use]
    pub fn new(targets: Arc<Targets>, tls: ClientConfig, timeout: Duration) -> Self {
        let inner = HttpsConnectorBuilder::new()
            .with_tls_config(tls)
            .https_or_http()
            .enable_all_versions()
            .wrap_connector(Dialer { targets });
        Self { inner, timeout }
    }

    /// # Errors
    /// [`crate::dial::Refused`], [`ConnectFailed`], [`ConnectTimeout`], and what TLS says.
    pub async fn connect(&self, url: &Uri) -> Result<Io, BoxError> {
        let connecting = self.inner.clone().call(url.clone());
        match tokio::time::timeout(self.timeout, connecting).await {
            Ok(connected) => connected,
            Err(_) => Err(ConnectTimeout(self.timeout).into()),
        }
    }
}
