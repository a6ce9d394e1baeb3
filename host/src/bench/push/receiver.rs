//! A receiver of webhooks that does as little as there is to do.

use std::{
    collections::BTreeMap,
    convert::Infallible,
    net::SocketAddr,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Empty};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::oneshot};

/// How long a case may take.
const LONGEST: Duration = Duration::from_secs(120);

/// See the head of this module.
pub struct Receiver {
    pub address: SocketAddr,
    shared: Arc<Shared>,
}

struct Shared {
    began: Instant,
    /// Endpoints with lower numbers hang.
    hanging: AtomicUsize,
    state: Mutex<State>,
}

struct State {
    last: Instant,
    waiting: Option<Waiting>,
    of: Option<WaitingOf>,
}

struct Waiting {
    left: usize,
    first: Option<Instant>,
    done: oneshot::Sender<Duration>,
}

/// Waits for one event at each of some endpoints.
struct WaitingOf {
    id: String,
    left: BTreeMap<usize, ()>,
    arrived: Vec<Instant>,
    done: oneshot::Sender<Vec<Instant>>,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Counts a request; whether it is to be answered.
    fn came(&self, request: &Request<Incoming>) -> bool {
        let now = Instant::now();
        let endpoint = request.uri().path().strip_prefix("/one/");
        let endpoint: Option<usize> = endpoint.and_then(|number| number.parse().ok());
        if endpoint.is_some_and(|number| number < self.hanging.load(Ordering::Relaxed)) {
            return false;
        }
        let mut state = self.lock();
        state.last = now;
        if let Some(waiting) = &mut state.waiting {
            waiting.first.get_or_insert(now);
            waiting.left -= 1;
            if waiting.left == 0
                && let Some(waiting) = state.waiting.take()
            {
                let first = waiting.first.unwrap_or(self.began);
                let _ = waiting.done.send(now - first);
            }
        }
        let id = request.headers().get("ce-id");
        if let (Some(of), Some(endpoint)) = (&mut state.of, endpoint)
            && id.is_some_and(|id| id.as_bytes() == of.id.as_bytes())
            && of.left.remove(&endpoint).is_some()
        {
            of.arrived.push(now);
            if of.left.is_empty()
                && let Some(of) = state.of.take()
            {
                let _ = of.done.send(of.arrived);
            }
        }
        true
    }
}

impl Receiver {
    pub async fn start() -> Result<Self, String> {
        let listener = TcpListener::bind(("127.0.0.1", 0)).await;
        let listener = listener.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        let now = Instant::now();
        let shared = Arc::new(Shared {
            began: now,
            hanging: AtomicUsize::new(0),
            state: Mutex::new(State {
                last: now,
                waiting: None,
                of: None,
            }),
        });
        let serving = shared.clone();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let _ = stream.set_nodelay(true);
                let shared = serving.clone();
                let answer = service_fn(move |request: Request<Incoming>| {
                    let answer = shared.came(&request);
                    async move {
                        if !answer {
                            std::future::pending::<()>().await;
                        }
                        let _ = request.into_body().collect().await;
                        Ok::<_, Infallible>(Response::new(Empty::<Bytes>::new()))
                    }
                });
                let connection = http1::Builder::new()
                    .timer(TokioTimer::new())
                    .serve_connection(TokioIo::new(stream), answer);
                tokio::spawn(connection);
            }
        });
        Ok(Self { address, shared })
    }

    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// Waits for so many requests from now on; from the first to the last of them.
    pub fn expect(&self, count: usize) -> impl Future<Output = Result<Duration, String>> + use<> {
        let (done, told) = oneshot::channel();
        self.shared.lock().waiting = Some(Waiting {
            left: count,
            first: None,
            done,
        });
        whole(told)
    }

    /// Waits until the event with this number has come to each of these endpoints.
    pub fn expect_of(
        &self,
        endpoints: Vec<usize>,
        number: usize,
    ) -> impl Future<Output = Result<Vec<Instant>, String>> + use<> {
        let (done, told) = oneshot::channel();
        self.shared.lock().of = Some(WaitingOf {
            id: number.to_string(),
            left: endpoints.into_iter().map(|one| (one, ())).collect(),
            arrived: Vec::new(),
            done,
        });
        whole(told)
    }

    /// When the last request came.
    pub fn last(&self) -> Instant {
        self.shared.lock().last
    }

    /// Endpoints below this number hang from now on.
    pub fn hang(&self, below: usize) {
        self.shared.hanging.store(below, Ordering::Relaxed);
    }
}

async fn whole<T>(told: oneshot::Receiver<T>) -> Result<T, String> {
    match tokio::time::timeout(LONGEST, told).await {
        Ok(Ok(told)) => Ok(told),
        _ => Err("the events do not arrive".to_owned()),
    }
}
