//! A test event, sent once, with the whole exchange to look at.

use std::collections::BTreeMap;

use bytes::Bytes;
use http::{HeaderMap, request::Parts};
use http_body_util::BodyExt;
use sandbar_types::{BatchBuilder, Event};
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Webhook,
    client::{Answer, KEPT},
    outcome::judge,
    record::start_of,
    request::{Due, Outgoing},
};
use crate::{catalog::MASK, clock};

/// The `type` of test events.
const TEST_TYPE: &str = "sandbar.test";

/// What was sent. Values of configured headers are masked.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShownRequest {
    pub method: String,
    pub url: String,
    pub headers: BTreeMap<String, String>,
    /// Its start.
    pub body: String,
}

/// What came back.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ShownAnswer {
    pub status: u16,
    pub headers: BTreeMap<String, String>,
    /// Its start.
    pub body: String,
}

/// A test of a webhook.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct PushTest {
    /// Whether an event would have been delivered.
    pub delivered: bool,
    /// `delivered`, `status`, `redirect`, `gone`, `dns`, `denied`, `connect`, `tls`, `timeout`,
    /// `closed`, `protocol`, or `handshake`: the endpoint did not allow events when it was asked.
    pub outcome: &'static str,
    /// Why it was not delivered.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub took_ms: f64,
    pub request: ShownRequest,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub answer: Option<ShownAnswer>,
}

impl Webhook {
    /// Sends an event once, outside of the subscription: nothing is settled, the breaker is not
    /// asked and learns nothing. Without an event of the caller's one of the type `sandbar.test`
    /// is made up. An endpoint that has yet to allow events (`handshake`) is asked first, and that
    /// is shown where it does not.
    pub async fn test(&self, event: Option<Event>) -> PushTest {
        if self.records.awaits_handshake()
            && let Some(refused) = self.ask().await
        {
            return refused;
        }
        let now = clock::now();
        let event = event.unwrap_or_else(|| self.made_up(now));
        let mut builder = BatchBuilder::new();
        builder.push_event(&event);
        let batch = builder.finish();
        let due = Due {
            event: batch.get(0),
            shared: None,
            place: None,
            delivery: 1,
        };
        let request = self.template.deliver(&[due], now);
        let shown = show_request(&request).await;
        let exchange = self.client.exchange(|| request.clone()).await;
        let judged = judge(&exchange, now);
        let answer = exchange.ended.ok().map(show_answer);
        PushTest {
            delivered: judged.reason.is_empty(),
            outcome: judged.outcome,
            reason: judged.reason,
            took_ms: exchange.took.as_secs_f64() * 1000.0,
            request: shown,
            answer,
        }
    }

    /// Asks whether events are wanted; what came of it where they are not.
    async fn ask(&self) -> Option<PushTest> {
        let request = self.template.ask();
        let shown = show_request(&request).await;
        let exchange = self.client.exchange(|| request.clone()).await;
        let reason = self.allowed(&exchange).err()?;
        Some(PushTest {
            delivered: false,
            outcome: "handshake",
            reason: format!("no event was sent: {reason}"),
            took_ms: exchange.took.as_secs_f64() * 1000.0,
            request: shown,
            answer: exchange.ended.ok().map(show_answer),
        })
    }

    fn made_up(&self, now: u64) -> Event {
        let data = serde_json::json!({
            "message": "A test of this webhook; no event of a topic.",
            "subscription": self.name.as_str(),
        });
        Event {
            id: format!("test-{now}-{:08x}", fastrand::u32(..)),
            source: format!("/sandbar/subscriptions/{}", self.name),
            r#type: TEST_TYPE.to_owned(),
            time: clock::to_text(now),
            datacontenttype: "application/json".to_owned(),
            data: data.to_string().into(),
            ..Event::default()
        }
    }
}

fn show_answer(answer: Answer) -> ShownAnswer {
    ShownAnswer {
        status: answer.status.as_u16(),
        headers: show_headers(&answer.headers),
        body: start_of(&answer.body, KEPT) + if answer.more { "…" } else { "" },
    }
}

async fn show_request(request: &Outgoing) -> ShownRequest {
    // Its body is there as a whole.
    let body = request.body().clone().collect().await;
    let body: Bytes = body.map(|body| body.to_bytes()).unwrap_or_default();
    let (
        Parts {
            method,
            uri,
            headers,
            ..
        },
        _,
    ) = request.clone().into_parts();
    ShownRequest {
        method: method.to_string(),
        url: uri.to_string(),
        headers: show_headers(&headers),
        body: start_of(&body, KEPT),
    }
}

fn show_headers(headers: &HeaderMap) -> BTreeMap<String, String> {
    let mut shown: BTreeMap<String, String> = BTreeMap::new();
    for (name, value) in headers {
        let text = match value.is_sensitive() {
            true => MASK.into(),
            false => String::from_utf8_lossy(value.as_bytes()),
        };
        let known = shown.entry(name.to_string()).or_default();
        if !known.is_empty() {
            known.push_str(", ");
        }
        known.push_str(&text);
    }
    shown
}
