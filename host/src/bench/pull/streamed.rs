//! A client of a stream of server-sent events that reads as little of them as there is to read: where
//! each ends, and its cursor. It acknowledges by cursors.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use memchr::memmem;
use serde_json::json;
use tokio::time::timeout;

use super::Client;

/// When nothing comes for so long, what came is acknowledged.
const PAUSE: Duration = Duration::from_millis(20);

/// What is not read yet.
#[derive(Default)]
struct Unread {
    bytes: Vec<u8>,
    /// Of the events that were read and are not acknowledged.
    count: usize,
    cursor: String,
}

impl Unread {
    /// Reads all whole events of what came.
    fn read(&mut self, part: &[u8]) -> Result<(), String> {
        self.bytes.extend_from_slice(part);
        let mut start = 0;
        let mut last = None;
        for end in memmem::find_iter(&self.bytes, b"\n\n") {
            // What begins with a colon keeps the connection alive.
            if self.bytes[start..end].starts_with(b"id: ") {
                self.count += 1;
                last = Some(start + 4);
            } else if !self.bytes[start..end].starts_with(b":") {
                return Err(String::from_utf8_lossy(&self.bytes[start..end]).into_owned());
            }
            start = end + 2;
        }
        if let Some(from) = last {
            let end = memchr::memchr(b'\n', &self.bytes[from..]).unwrap_or(0);
            self.cursor = String::from_utf8_lossy(&self.bytes[from..from + end]).into_owned();
        }
        self.bytes.drain(..start);
        Ok(())
    }
}

impl Client {
    /// Reads a stream and acknowledges `limit` events at a time, of which twice as many may be sent;
    /// until all clients together have `events`. How many bytes came.
    pub(super) async fn stream(
        &self,
        name: &str,
        limit: usize,
        events: usize,
        acknowledged: &AtomicUsize,
    ) -> Result<usize, String> {
        let window = (2 * limit).min(10_000);
        let url = format!("{}/v1/subscriptions/{name}/events?limit={window}", self.url);
        let request = self.http.get(url).header("accept", "text/event-stream");
        let response = request.send().await.map_err(|error| error.to_string())?;
        let mut response = response
            .error_for_status()
            .map_err(|error| error.to_string())?;
        let mut unread = Unread::default();
        let mut bytes = 0;
        while acknowledged.load(Ordering::Relaxed) < events {
            let idle = match timeout(PAUSE, response.chunk()).await {
                Ok(part) => {
                    let part = part.map_err(|error| error.to_string())?;
                    let part = part.ok_or("the stream has ended")?;
                    bytes += part.len();
                    unread.read(&part)?;
                    false
                }
                Err(_) => true,
            };
            if unread.count >= limit || (idle && unread.count > 0) {
                unread.count = 0;
                let upto = json!({ "upto": unread.cursor });
                let count = self.acknowledge(name, &upto).await?;
                acknowledged.fetch_add(count, Ordering::Relaxed);
            }
        }
        Ok(bytes)
    }
}
