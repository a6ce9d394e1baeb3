//! Receivers of webhooks: small HTTP servers that answer as a test says, and remember what came.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use axum::{
    Router,
    body::Body,
    extract::{Request, State},
    http::{HeaderName, HeaderValue, StatusCode},
    response::Response,
    serve::Listener,
};
use bytes::Bytes;
use futures_util::StreamExt;
use serde_json::{Value, json};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Notify,
    task::JoinHandle,
};
use tokio_rustls::{TlsAcceptor, server::TlsStream};

use crate::WATCHDOG;

/// A request that came in.
#[derive(Clone, Debug)]
pub struct Received {
    /// From 0.
    pub number: usize,
    pub method: String,
    pub path: String,
    pub headers: BTreeMap<String, String>,
    pub body: Bytes,
}

/// What a receiver does.
#[derive(Clone, Debug)]
pub enum Reply {
    Answer {
        status: u16,
        headers: Vec<(&'static str, String)>,
        body: String,
    },
    /// Never answers.
    Hang,
    /// Closes the connection in the middle of the answer.
    Break { status: u16 },
    /// Closes the connection behind so many bytes of the answer.
    BreakBehind { status: u16, bytes: usize },
    /// Answers after a while.
    Late { status: u16, after: Duration },
    /// Answers when the test says so: see [`Receiver::release`].
    Hold { status: u16 },
}

impl Reply {
    #[must_use]
    pub fn status(status: u16) -> Self {
        Self::Answer {
            status,
            headers: Vec::new(),
            body: String::new(),
        }
    }

    /// As the handshake of webhooks is answered.
    #[must_use]
    pub fn allowing(origin: &str, rate: &str) -> Self {
        Self::Answer {
            status: 200,
            headers: vec![
                ("webhook-allowed-origin", origin.to_owned()),
                ("webhook-allowed-rate", rate.to_owned()),
            ],
            body: String::new(),
        }
    }

    #[must_use]
    pub fn with(status: u16, header: &'static str, value: impl Into<String>) -> Self {
        Self::Answer {
            status,
            headers: vec![(header, value.into())],
            body: String::new(),
        }
    }
}

/// A part of a long answer, in bytes.
const CHUNK: usize = 16 * 1024;

type Behaviour = Box<dyn Fn(&Received) -> Reply + Send + Sync>;

struct Shared {
    behaviour: Mutex<Behaviour>,
    received: Mutex<Vec<Received>>,
    came: Notify,
    release: tokio::sync::watch::Sender<bool>,
}

/// A receiver at work. Ends with its value.
pub struct Receiver {
    address: SocketAddr,
    scheme: &'static str,
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl std::fmt::Debug for Receiver {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Receiver({})", self.url())
    }
}

impl Received {
    #[must_use]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map_or("", String::as_str)
    }

    /// The events of the request in the JSON format, whatever its mode. Attributes of binary mode
    /// are as they came: encoded, and all texts.
    #[must_use]
    pub fn events(&self) -> Vec<Value> {
        let json = || serde_json::from_slice(&self.body).unwrap_or(Value::Null);
        let media = self.header("content-type");
        if media.starts_with("application/cloudevents-batch+json") {
            return json().as_array().cloned().expect("a batch is an array");
        }
        if media.starts_with("application/cloudevents+json") {
            return vec![json()];
        }
        let attributes = self
            .headers
            .iter()
            .filter_map(|(name, value)| Some((name.strip_prefix("ce-")?, value)));
        let mut event: Value = attributes
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect();
        if !self.body.is_empty() {
            event["data"] = json();
        }
        vec![event]
    }

    /// What the verifiers of Standard Webhooks are handed.
    #[must_use]
    pub fn to_verify(&self, secret: &str) -> Value {
        use base64::Engine as _;
        let body = base64::engine::general_purpose::STANDARD.encode(&self.body);
        json!({"secret": secret, "headers": self.headers, "body": body})
    }
}

impl Receiver {
    /// Answers every request with 200.
    pub async fn start() -> Self {
        Self::answering(|_| Reply::status(200)).await
    }

    pub async fn answering(behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static) -> Self {
        Self::on((Ipv4Addr::LOCALHOST, 0).into(), behaviour).await
    }

    /// On a given address, for one that comes back after an outage.
    pub async fn on(
        address: SocketAddr,
        behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind(address).await.expect("a free port");
        let address = listener.local_addr().expect("an address");
        Self::serve(address, "http", listener, Box::new(behaviour))
    }

    /// Over TLS with this certificate and its key, in PEM.
    pub async fn tls(
        certificate: &str,
        key: &str,
        behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        use tokio_rustls::rustls::{
            ServerConfig,
            crypto::ring,
            pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
        };
        let certificates = CertificateDer::pem_slice_iter(certificate.as_bytes())
            .collect::<Result<Vec<_>, _>>()
            .expect("a certificate");
        let key = PrivateKeyDer::from_pem_slice(key.as_bytes()).expect("a key");
        let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(certificates, key)
            .expect("a certificate with its key");
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let tcp = tcp.expect("a free port");
        let address = tcp.local_addr().expect("an address");
        let acceptor = TlsAcceptor::from(Arc::new(config));
        Self::serve(address, "https", Tls { tcp, acceptor }, Box::new(behaviour))
    }

    fn serve<L>(
        address: SocketAddr,
        scheme: &'static str,
        listener: L,
        behaviour: Behaviour,
    ) -> Self
    where
        L: Listener<Addr = SocketAddr>,
    {
        let shared = Arc::new(Shared {
            behaviour: Mutex::new(behaviour),
            received: Mutex::default(),
            came: Notify::new(),
            release: tokio::sync::watch::Sender::new(false),
        });
        let router = Router::new().fallback(receive).with_state(shared.clone());
        let task = tokio::spawn(async move {
            axum::serve(listener, router).await.expect("it serves");
        });
        Self {
            address,
            scheme,
            shared,
            task,
        }
    }

    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    #[must_use]
    pub fn url(&self) -> String {
        format!("{}://{}/hook", self.scheme, self.address)
    }

    /// From now on it answers so.
    pub fn answer(&self, behaviour: impl Fn(&Received) -> Reply + Send + Sync + 'static) {
        *lock(&self.shared.behaviour) = Box::new(behaviour);
    }

    /// Whoever is held is answered, now and from now on.
    pub fn release(&self) {
        self.shared.release.send_replace(true);
    }

    /// All requests so far.
    #[must_use]
    pub fn received(&self) -> Vec<Received> {
        lock(&self.shared.received).clone()
    }

    /// Waits until what came is as wanted; gives it.
    pub async fn until(&self, wanted: impl Fn(&[Received]) -> bool) -> Vec<Received> {
        let waiting = async {
            loop {
                let came = self.shared.came.notified();
                tokio::pin!(came);
                came.as_mut().enable();
                let received = self.received();
                if wanted(&received) {
                    return received;
                }
                came.await;
            }
        };
        match tokio::time::timeout(WATCHDOG, waiting).await {
            Ok(received) => received,
            Err(_) => panic!("only {} requests came", self.received().len()),
        }
    }

    /// Waits for so many requests; gives all that came.
    pub async fn requests(&self, count: usize) -> Vec<Received> {
        self.until(|received| received.len() >= count).await
    }

    /// Ends; the port is free then.
    pub async fn stop(self) {
        self.task.abort();
        let mut task = self.task;
        let _ = (&mut task).await;
    }
}

async fn receive(State(shared): State<Arc<Shared>>, request: Request) -> Response {
    let (head, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, usize::MAX).await else {
        return Response::new(Body::empty());
    };
    let headers = head.headers.iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let received = {
        let mut all = lock(&shared.received);
        let received = Received {
            number: all.len(),
            method: head.method.to_string(),
            path: head.uri.path().to_owned(),
            headers: headers.collect(),
            body,
        };
        all.push(received.clone());
        received
    };
    let reply = (lock(&shared.behaviour))(&received);
    shared.came.notify_waiters();
    let (status, headers, body) = match reply {
        Reply::Answer {
            status,
            headers,
            body,
        } => (status, headers, Body::from(body)),
        Reply::Hang => std::future::pending().await,
        Reply::Break { status } => (
            status,
            Vec::new(),
            broken([Bytes::from_static(b"the start")]),
        ),
        Reply::BreakBehind { status, bytes } => {
            let parts = (0..bytes.div_ceil(CHUNK)).map(|_| Bytes::from_static(&[b'x'; CHUNK]));
            (status, Vec::new(), broken(parts))
        }
        Reply::Late { status, after } => {
            tokio::time::sleep(after).await;
            (status, Vec::new(), Body::empty())
        }
        Reply::Hold { status } => {
            let mut released = shared.release.subscribe();
            let _ = released.wait_for(|released| *released).await;
            (status, Vec::new(), Body::empty())
        }
    };
    let mut response = Response::new(body);
    *response.status_mut() = StatusCode::from_u16(status).expect("a status");
    for (name, value) in headers {
        let value = HeaderValue::try_from(value).expect("a value");
        response
            .headers_mut()
            .insert(HeaderName::from_static(name), value);
    }
    response
}

/// Connections that speak TLS; those that fail to are forgotten.
struct Tls {
    tcp: TcpListener,
    acceptor: TlsAcceptor,
}

impl Listener for Tls {
    type Io = TlsStream<TcpStream>;
    type Addr = SocketAddr;

    async fn accept(&mut self) -> (Self::Io, SocketAddr) {
        loop {
            if let Ok((stream, address)) = self.tcp.accept().await
                && let Ok(stream) = self.acceptor.accept(stream).await
            {
                return (stream, address);
            }
        }
    }

    fn local_addr(&self) -> std::io::Result<SocketAddr> {
        self.tcp.local_addr()
    }
}

/// These parts, and then no end.
fn broken(parts: impl IntoIterator<Item = Bytes, IntoIter: Send + 'static>) -> Body {
    let parts = futures_util::stream::iter(parts).map(Ok);
    let end = futures_util::stream::once(async {
        // The head is on its way before it breaks.
        tokio::time::sleep(Duration::from_millis(10)).await;
        Err(std::io::Error::other("broken on purpose"))
    });
    Body::from_stream(parts.chain(end))
}

fn lock<T: ?Sized>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
