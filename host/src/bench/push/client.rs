//! A client of the hub under test, and the floor: a minimal client of the receiver.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http1;
use hyper_util::rt::TokioIo;
use serde_json::Value;
use tokio::net::TcpStream;

/// Events of a publish.
const BATCH: usize = 1000;

fn data(number: usize, bytes: usize) -> String {
    let mut data = format!(r#"{{"n":{number},"p":""#);
    while data.len() < bytes.saturating_sub(2) {
        data.push('x');
    }
    data.push_str("\"}");
    data
}

#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(url: &str) -> Self {
        Self {
            http: reqwest::Client::new(),
            url: url.to_owned(),
        }
    }

    async fn done(request: reqwest::RequestBuilder) -> Result<(), String> {
        let response = request.send().await.map_err(|error| error.to_string())?;
        let status = response.status();
        let body = response.text().await.map_err(|error| error.to_string())?;
        match status.is_success() {
            true => Ok(()),
            false => Err(format!("{status}: {body}")),
        }
    }

    pub async fn put(&self, path: &str, document: Value) -> Result<(), String> {
        let request = self.http.put(format!("{}{path}", self.url));
        Self::done(request.json(&document)).await
    }

    pub async fn delete(&self, path: &str) -> Result<(), String> {
        Self::done(self.http.delete(format!("{}{path}", self.url))).await
    }

    /// Publishes `count` events with the numbers from `from` on, each of a key of its own.
    pub async fn publish(
        &self,
        topic: &str,
        from: usize,
        count: usize,
        bytes: usize,
    ) -> Result<(), String> {
        let numbers: Vec<usize> = (from..from + count).collect();
        for numbers in numbers.chunks(BATCH) {
            let events = numbers.iter().map(|number| {
                let data = data(*number, bytes);
                format!(
                    r#"{{"specversion":"1.0","id":"{number}","source":"/bench","type":"bench.event","data":{data}}}"#
                )
            });
            let body = format!("[{}]", events.collect::<Vec<_>>().join(","));
            let request = self
                .http
                .post(format!("{}/v1/topics/{topic}/events", self.url));
            let request = request.header("content-type", "application/cloudevents-batch+json");
            Self::done(request.body(body)).await?;
        }
        Ok(())
    }
}

/// Posts the data of all events, so many at a time, each over a connection of its own that stays.
pub async fn post_all(
    address: SocketAddr,
    events: usize,
    bytes: usize,
    concurrency: u32,
) -> Result<(), String> {
    let next = Arc::new(AtomicUsize::new(0));
    let tasks = (0..concurrency).map(|_| {
        let next = next.clone();
        tokio::spawn(async move { post(&next, events, bytes, address).await })
    });
    for task in tasks.collect::<Vec<_>>() {
        task.await
            .map_err(|error| error.to_string())?
            .map_err(|error| error.to_string())?;
    }
    Ok(())
}

async fn post(
    next: &AtomicUsize,
    events: usize,
    bytes: usize,
    address: SocketAddr,
) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
    tokio::spawn(connection);
    let host = address.to_string();
    loop {
        let number = next.fetch_add(1, Ordering::Relaxed);
        if number >= events {
            return Ok(());
        }
        let request = Request::builder()
            .method(Method::POST)
            .uri("/all")
            .header(header::HOST, &host)
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::new(Bytes::from(data(number, bytes))))?;
        sender.ready().await?;
        let answer = sender.send_request(request).await?;
        answer.into_body().collect().await?;
    }
}
