//! A client of the hub under test.

use std::time::Duration;

use bytes::Bytes;
use serde_json::{Value, json};

/// Requests to one hub.
#[derive(Clone, Debug)]
pub struct Client {
    http: reqwest::Client,
    url: String,
}

impl Client {
    pub fn new(url: &str) -> Result<Self, String> {
        let http = reqwest::Client::builder()
            .build()
            .map_err(|error| error.to_string())?;
        Ok(Self {
            http,
            url: url.to_owned(),
        })
    }

    /// A request to `path`, which starts with `/`.
    pub fn request(&self, method: reqwest::Method, path: &str) -> reqwest::RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    pub async fn get(&self, path: &str) -> Result<Value, String> {
        let body = done(self.request(reqwest::Method::GET, path)).await?;
        serde_json::from_slice(&body).map_err(|error| error.to_string())
    }

    pub async fn put(&self, path: &str, document: &Value) -> Result<(), String> {
        let request = self.request(reqwest::Method::PUT, path).json(document);
        done(request).await.map(drop)
    }

    pub async fn upload(&self, name: &str, version: &str, bytes: Vec<u8>) -> Result<(), String> {
        let path = format!("/v1/plugins/{name}/versions/{version}");
        let request = self
            .request(reqwest::Method::PUT, &path)
            .header("content-type", "application/wasm");
        done(request.body(bytes)).await.map(drop)
    }

    /// Publishes events of one type; each has the id and the data given.
    pub async fn publish(
        &self,
        topic: &str,
        kind: &str,
        events: &[(String, Value)],
    ) -> Result<(), String> {
        let events: Vec<Value> = events
            .iter()
            .map(|(id, data)| {
                json!({"specversion": "1.0", "id": id, "source": "/bench", "type": kind, "subject": id, "data": data})
            })
            .collect();
        let body = serde_json::to_vec(&events).map_err(|error| error.to_string())?;
        let path = format!("/v1/topics/{topic}/events");
        let request = self
            .request(reqwest::Method::POST, &path)
            .header("content-type", "application/cloudevents-batch+json");
        done(request.body(body)).await.map(drop)
    }

    /// The events of partition 0 from `offset` on, at least one; waits for it.
    pub async fn read(&self, topic: &str, offset: u64) -> Result<Vec<Value>, String> {
        loop {
            let path = format!("/v1/topics/{topic}/events?offset={offset}&limit=10000&wait=5");
            if let Value::Array(events) = self.get(&path).await?
                && !events.is_empty()
            {
                return Ok(events);
            }
        }
    }

    /// Waits until partition 0 ends at `tail` at least.
    pub async fn tail_reaches(&self, topic: &str, tail: u64) -> Result<(), String> {
        loop {
            let document = self.get(&format!("/v1/topics/{topic}")).await?;
            let known = document["state"]["partitions"][0]["tail"]
                .as_u64()
                .ok_or_else(|| format!("no tail in {document}"))?;
            if known >= tail {
                return Ok(());
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

/// The body of an answer that is a success.
pub async fn done(request: reqwest::RequestBuilder) -> Result<Bytes, String> {
    let response = request.send().await.map_err(|error| error.to_string())?;
    let status = response.status();
    let body = response.bytes().await.map_err(|error| error.to_string())?;
    if status.is_success() {
        Ok(body)
    } else {
        Err(format!("{status}: {}", String::from_utf8_lossy(&body)))
    }
}

/// The same module with other bytes: a custom section says `number`.
pub fn variant(plugin: &[u8], number: u64) -> Vec<u8> {
    let section = [b"\x03nth".as_slice(), &number.to_le_bytes()].concat();
    // Shorter than 128 bytes: its length is one byte.
    [plugin, &[0, section.len() as u8], &section].concat()
}
