//! The connections of clients: each knows when its client last read something, and ends when others need
//! the room of what it does not read.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use axum::{
    extract::{ConnectInfo, FromRequestParts, connect_info::Connected},
    http::request::Parts,
    serve::{IncomingStream, Listener},
};
use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream},
};

use crate::{
    deliver::{Link, Outgoing, Way},
    hub::Hub,
};

/// Takes connections.
pub(super) struct Door {
    pub listener: TcpListener,
    pub outgoing: Arc<Outgoing>,
}

/// A connection.
pub(super) struct Linked {
    stream: TcpStream,
    link: Arc<Link>,
}

/// Which connection a request came on.
#[derive(Clone)]
pub(super) struct Came(Arc<Link>);

impl Listener for Door {
    type Io = Linked;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Linked, SocketAddr) {
        let (stream, address) = Listener::accept(&mut self.listener).await;
        // Answers are small and awaited: do not hold them back.
        let _ = stream.set_nodelay(true);
        let link = self.outgoing.connect();
        (Linked { stream, link }, address)
    }

    fn local_addr(&self) -> io::Result<SocketAddr> {
        self.listener.local_addr()
    }
}

impl Connected<IncomingStream<'_, Door>> for Came {
    fn connect_info(stream: IncomingStream<'_, Door>) -> Self {
        Self(stream.io().link.clone())
    }
}

impl FromRequestParts<Arc<Hub>> for Way {
    type Rejection = Infallible;

    async fn from_request_parts(parts: &mut Parts, hub: &Arc<Hub>) -> Result<Self, Infallible> {
        let came = parts.extensions.get::<ConnectInfo<Came>>();
        // A router that is called without a connection has one that does not move.
        let link = came.map_or_else(|| hub.outgoing.connect(), |came| came.0.0.clone());
        Ok(Self::new(hub.outgoing.clone(), link))
    }
}

impl Linked {
    /// What waits is woken when the connection is cut; what goes on has moved.
    fn seen<T>(&self, polled: Poll<T>, moved: bool, context: &Context<'_>) -> Poll<T> {
        match &polled {
            Poll::Pending => self.link.waits(context),
            Poll::Ready(_) if moved => self.link.moves(),
            Poll::Ready(_) => {}
        }
        polled
    }

    fn check(&self) -> io::Result<()> {
        if self.link.is_cut() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        Ok(())
    }
}

impl AsyncRead for Linked {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        self.check()?;
        let polled = Pin::new(&mut self.stream).poll_read(context, buffer);
        self.seen(polled, false, context)
    }
}

impl AsyncWrite for Linked {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = Pin::new(&mut self.stream).poll_write(context, bytes);
        self.seen(polled, true, context)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        slices: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.check()?;
        let polled = Pin::new(&mut self.stream).poll_write_vectored(context, slices);
        self.seen(polled, true, context)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
