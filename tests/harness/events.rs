//! Events to publish.

use reqwest::RequestBuilder;
use serde_json::{Value, json};

/// A structured event with JSON data.
#[must_use]
pub fn event(id: &str, data: Value) -> Value {
    json!({
        "specversion": "1.0", "id": id, "source": "/tests", "type": "test.event",
        "datacontenttype": "application/json", "data": data,
    })
}

/// The same with a key.
#[must_use]
pub fn json_event(id: &str, key: &str, data: Value) -> Value {
    let mut event = event(id, data);
    event["partitionkey"] = json!(key);
    event
}

/// How to send what is published.
#[derive(Clone, Debug)]
pub struct Publish {
    pub content_type: String,
    pub body: Vec<u8>,
    pub headers: Vec<(String, String)>,
}

impl Publish {
    #[must_use]
    pub fn raw(content_type: &str, body: impl Into<Vec<u8>>) -> Self {
        Self {
            content_type: content_type.to_owned(),
            body: body.into(),
            headers: Vec::new(),
        }
    }

    #[must_use]
    pub fn structured(event: &Value) -> Self {
        Self::raw("application/cloudevents+json", event.to_string())
    }

    #[must_use]
    pub fn batch(events: &[Value]) -> Self {
        Self::raw(
            "application/cloudevents-batch+json",
            json!(events).to_string(),
        )
    }

    #[must_use]
    pub fn lines(events: &[Value]) -> Self {
        let lines: String = events.iter().map(|event| format!("{event}\n")).collect();
        Self::raw("application/x-ndjson", lines)
    }

    #[must_use]
    pub fn binary(content_type: &str, id: &str, body: impl Into<Vec<u8>>) -> Self {
        Self::raw(content_type, body)
            .header("ce-specversion", "1.0")
            .header("ce-id", id)
            .header("ce-source", "/tests")
            .header("ce-type", "test.event")
    }

    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.headers.retain(|(other, _)| other != name);
        self
    }

    #[must_use]
    pub fn lenient(self) -> Self {
        self.header("prefer", "handling=lenient")
    }

    pub(crate) fn onto(self, mut request: RequestBuilder) -> RequestBuilder {
        if !self.content_type.is_empty() {
            request = request.header("content-type", self.content_type);
        }
        for (name, value) in self.headers {
            request = request.header(name, value);
        }
        request.body(self.body)
    }
}
