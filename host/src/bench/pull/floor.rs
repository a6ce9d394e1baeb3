//! The floor of `sandbar bench pull`.

use std::{
    path::Path,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering},
    },
    time::{Duration, Instant},
};

use axum::{Router, body::Body, extract::State, routing::get};
use sandbar_log::{Append, Disk, Durability, Embedded, Log};
use sandbar_types::{BatchBuilder, Event, Name, PartitionId};

use super::{BATCH, Client, Options, TOPIC, event};

/// What it reads at once, in bytes.
const SCAN: usize = 512 * 1024;

/// The floor: the same events in a log of its own, behind a server that only scans and writes.
pub(super) struct Floor {
    url: String,
    client: Client,
    scan: Arc<Scan>,
}

struct Scan {
    log: Embedded,
    partition: PartitionId,
    next: Mutex<u64>,
    /// Sent for each event.
    bytes_per_event: AtomicUsize,
}

impl Scan {
    fn next(&self) -> std::sync::MutexGuard<'_, u64> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Floor {
    pub(super) fn start(
        options: &Options,
        folder: &Path,
        runtime: &tokio::runtime::Runtime,
    ) -> Result<Self, String> {
        let log = Embedded::open(folder, sandbar_log::Options::default(), Arc::new(Disk))
            .map_err(|error| error.to_string())?;
        let name = Name::new(TOPIC).map_err(|error| error.to_string())?;
        let partition = PartitionId::new(name, 0);
        log.create(&partition).map_err(|error| error.to_string())?;
        let numbers: Vec<usize> = (0..options.events).collect();
        for numbers in numbers.chunks(BATCH) {
            let mut batch = BatchBuilder::new();
            for number in numbers {
                let (key, data) = event(options, *number);
                batch.push_event(&Event {
                    id: number.to_string(),
                    source: "/bench".to_owned(),
                    r#type: "bench.event".to_owned(),
                    subject: key,
                    data: data.into(),
                    ..Event::default()
                });
            }
            log.append(vec![Append {
                partition: partition.clone(),
                count: u32::try_from(numbers.len()).unwrap_or(u32::MAX),
                body: batch.finish().encode().into(),
                provenance: None,
                durability: Durability::Async,
            }])
            .map_err(|error| error.to_string())?;
        }
        let scan = Arc::new(Scan {
            log,
            partition,
            next: Mutex::new(0),
            bytes_per_event: AtomicUsize::new(0),
        });
        let router = Router::new()
            .route("/", get(scanned))
            .with_state(scan.clone());
        let bound = runtime.block_on(tokio::net::TcpListener::bind("127.0.0.1:0"));
        let listener = bound.map_err(|error| error.to_string())?;
        let address = listener.local_addr().map_err(|error| error.to_string())?;
        runtime.spawn(async move { axum::serve(listener, router).await });
        let url = format!("http://{address}/");
        let client = Client {
            http: reqwest::Client::new(),
            url: url.clone(),
        };
        Ok(Self { url, client, scan })
    }

    pub(super) async fn round(&self, options: &Options, bytes: usize) -> Result<Duration, String> {
        let each = bytes / options.events;
        self.scan.bytes_per_event.store(each, Ordering::Relaxed);
        *self.scan.next() = 0;
        let started = Instant::now();
        let clients = (0..options.clients).map(|_| {
            let (http, url) = (self.client.http.clone(), self.url.clone());
            tokio::spawn(async move {
                loop {
                    let (body, _) = Client::done(http.get(&url)).await?;
                    if body.is_empty() {
                        return Ok::<_, String>(());
                    }
                }
            })
        });
        let clients: Vec<_> = clients.collect();
        for client in clients {
            client.await.map_err(|error| error.to_string())??;
        }
        Ok(started.elapsed())
    }
}

/// Reads on, and answers as many bytes as the hub does for as many events.
async fn scanned(State(scan): State<Arc<Scan>>) -> Body {
    let read = tokio::task::spawn_blocking(move || {
        let mut next = scan.next();
        let frames = scan.log.read(&scan.partition, *next, SCAN);
        let frames = frames.unwrap_or_default();
        let events: usize = frames.iter().map(|frame| frame.count as usize).sum();
        *next += events as u64;
        drop(next);
        let mut body = Vec::with_capacity(events * scan.bytes_per_event.load(Ordering::Relaxed));
        for frame in &frames {
            body.extend_from_slice(&frame.body);
        }
        body.resize(events * scan.bytes_per_event.load(Ordering::Relaxed), b' ');
        body
    });
    Body::from(read.await.unwrap_or_default())
}
