//! From events to the request of a webhook: CloudEvents HTTP binding 1.0.2 in binary, structured or
//! batched mode, the configured headers, and the three headers of Standard Webhooks. Pure.

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Uri,
    header::{CONTENT_TYPE, USER_AGENT},
};
use http_body_util::Full;
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};
use sandbar_types::{AttributeValue, EventRef, Name};

use super::{
    handshake,
    signature::{Identity, Place, Signer, webhook_id},
};
use crate::{
    catalog::{PushDocument, PushMode},
    ingest::cloudevents,
};

/// The headers of Standard Webhooks.
pub const WEBHOOK_ID: HeaderName = HeaderName::from_static("webhook-id");
const WEBHOOK_TIMESTAMP: HeaderName = HeaderName::from_static("webhook-timestamp");
const WEBHOOK_SIGNATURE: HeaderName = HeaderName::from_static("webhook-signature");

/// CloudEvents HTTP binding §3.1.3.1; parsed once.
const CE_SPECVERSION: HeaderName = HeaderName::from_static("ce-specversion");
const CE_ID: HeaderName = HeaderName::from_static("ce-id");
const CE_SOURCE: HeaderName = HeaderName::from_static("ce-source");
const CE_TYPE: HeaderName = HeaderName::from_static("ce-type");
const CE_SUBJECT: HeaderName = HeaderName::from_static("ce-subject");
const CE_TIME: HeaderName = HeaderName::from_static("ce-time");
const CE_DATASCHEMA: HeaderName = HeaderName::from_static("ce-dataschema");
const CE_TOPIC: HeaderName = HeaderName::from_static("ce-sandbartopic");
const CE_PARTITION: HeaderName = HeaderName::from_static("ce-sandbarpartition");
const CE_OFFSET: HeaderName = HeaderName::from_static("ce-sandbaroffset");
const CE_DELIVERY: HeaderName = HeaderName::from_static("ce-sandbardelivery");
const VERSION: HeaderValue = HeaderValue::from_static("1.0");

/// What is encoded in the values of `ce-*` headers, beside all that is not ASCII (CloudEvents HTTP
/// binding §3.1.3.2).
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'"').add(b'%');

const USER: HeaderValue = HeaderValue::from_static(concat!("sandbar/", env!("CARGO_PKG_VERSION")));
const BATCH: HeaderValue = HeaderValue::from_static("application/cloudevents-batch+json");
const STRUCTURED: HeaderValue =
    HeaderValue::from_static("application/cloudevents+json; charset=utf-8");
const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// So many headers a request has, unless its event has many extensions.
const HEADERS: usize = 20;

/// A request as it goes out.
pub type Outgoing = Request<Full<Bytes>>;

/// An event that is due.
#[derive(Clone, Copy, Debug)]
pub struct Due<'a> {
    pub event: EventRef<'a>,
    /// Its data again, where they can be sent without being copied.
    pub shared: Option<&'a Bytes>,
    /// Where it lies; a test event lies nowhere.
    pub place: Option<Place<'a>>,
    /// 1 is the first.
    pub delivery: u32,
}

/// What all requests of a webhook have in common.
#[derive(Clone, Debug)]
pub struct Template {
    subscription: Name,
    url: Uri,
    headers: HeaderMap,
    mode: PushMode,
    batched: bool,
    origin: HeaderValue,
    signer: Signer,
}

impl Template {
    /// # Errors
    /// When the document was not checked.
    pub fn new(subscription: &Name, document: &PushDocument) -> Result<Self, String> {
        let mut headers = HeaderMap::new();
        headers.insert(USER_AGENT, USER);
        for (name, value) in &document.headers {
            let wrong = |_| format!("the header {name} is malformed");
            let header: HeaderName = name.parse().map_err(|_| wrong(()))?;
            let mut value = HeaderValue::from_str(&value.0).map_err(|_| wrong(()))?;
            value.set_sensitive(true);
            headers.insert(header, value);
        }
        let url = document.url.parse();
        let origin = HeaderValue::from_str(&document.origin);
        Ok(Self {
            subscription: subscription.clone(),
            url: url.map_err(|error| format!("{}: {error}", document.url))?,
            headers,
            mode: document.mode,
            batched: document.batch.is_some(),
            origin: origin.map_err(|error| format!("{}: {error}", document.origin))?,
            signer: Signer::new(&document.secrets)?,
        })
    }

    /// The request that delivers these events, of which there is one unless the webhook takes
    /// batches. `now` is milliseconds since the epoch.
    #[must_use]
    pub fn deliver(&self, events: &[Due<'_>], now: u64) -> Outgoing {
        // A clone of the map would have no room and be moved several times.
        let mut headers = HeaderMap::with_capacity(self.headers.len() + HEADERS);
        for (name, value) in &self.headers {
            headers.insert(name.clone(), value.clone());
        }
        let body = match events {
            [one] if !self.batched => match self.mode {
                PushMode::Binary => binary(*one, &mut headers),
                PushMode::Structured => {
                    headers.insert(CONTENT_TYPE, STRUCTURED);
                    let mut body = Vec::new();
                    structured(*one, &mut body);
                    Bytes::from(body)
                }
            },
            many => {
                headers.insert(CONTENT_TYPE, BATCH);
                let mut body = vec![b'['];
                for (index, one) in many.iter().enumerate() {
                    if index > 0 {
                        body.push(b',');
                    }
                    structured(*one, &mut body);
                }
                body.push(b']');
                Bytes::from(body)
            }
        };
        let identities = events.iter().map(|due| Identity {
            place: due.place,
            source: due.event.source,
            id: due.event.id,
        });
        let id = webhook_id(&self.subscription, identities);
        let seconds = now / 1000;
        if !self.signer.is_empty() {
            let signature = self.signer.sign(&id, seconds, &body);
            headers.insert(WEBHOOK_SIGNATURE, ascii(signature));
        }
        headers.insert(WEBHOOK_ID, ascii(id));
        headers.insert(WEBHOOK_TIMESTAMP, seconds.into());
        let mut request = Request::new(Full::new(body));
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        request
    }

    /// The request of the handshake.
    #[must_use]
    pub fn ask(&self) -> Outgoing {
        let mut headers = self.headers.clone();
        headers.insert(handshake::REQUEST_ORIGIN, self.origin.clone());
        let mut request = Request::new(Full::default());
        *request.method_mut() = Method::OPTIONS;
        *request.uri_mut() = self.url.clone();
        *request.headers_mut() = headers;
        request
    }
}

/// What the hub adds to an event. The delivery is told so that a receiver sees that it is tried again;
/// the body of an attempt therefore differs from that before, and so does its signature.
fn extensions(due: Due<'_>) -> Vec<(&'static str, AttributeValue)> {
    let number = |value: u32| AttributeValue::Integer(integer(value));
    let mut extensions = Vec::with_capacity(4);
    if let Some(place) = due.place {
        let topic = AttributeValue::String(place.partition.topic.to_string());
        let offset = AttributeValue::String(place.offset.to_string());
        extensions.push(("sandbartopic", topic));
        extensions.push(("sandbarpartition", number(place.partition.partition)));
        extensions.push(("sandbaroffset", offset));
    }
    extensions.push(("sandbardelivery", number(due.delivery)));
    extensions
}

/// CloudEvents integers have 32 bits, of which one is the sign.
fn integer(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

fn structured(due: Due<'_>, out: &mut Vec<u8>) {
    cloudevents::encode_structured(due.event, &extensions(due), out);
}

fn binary(due: Due<'_>, headers: &mut HeaderMap) -> Bytes {
    let event = due.event;
    headers.insert(CE_SPECVERSION, VERSION);
    for (name, value) in [
        (CE_ID, event.id),
        (CE_SOURCE, event.source),
        (CE_TYPE, event.r#type),
        (CE_SUBJECT, event.subject),
        (CE_TIME, event.time),
        (CE_DATASCHEMA, event.dataschema),
    ] {
        if !value.is_empty() {
            headers.insert(name, encoded(value));
        }
    }
    if !event.extensions.is_empty() {
        for (name, value) in event.extension_map() {
            extension(&name, &value, headers);
        }
    }
    // As in `extensions`, and in place of what the event has by the same names.
    if let Some(place) = due.place {
        headers.insert(CE_TOPIC, encoded(place.partition.topic.as_str()));
        headers.insert(CE_PARTITION, integer(place.partition.partition).into());
        headers.insert(CE_OFFSET, place.offset.into());
    }
    headers.insert(CE_DELIVERY, integer(due.delivery).into());
    if !event.data.is_empty() {
        let media = match event.datacontenttype {
            // CloudEvents JSON format §3.1: what is not said is JSON.
            "" => JSON,
            media => HeaderValue::from_str(media).unwrap_or_else(|_| encoded(media)),
        };
        headers.insert(CONTENT_TYPE, media);
    } else if let Ok(media) = HeaderValue::from_str(event.datacontenttype)
        && !media.is_empty()
    {
        headers.insert(CONTENT_TYPE, media);
    }
    match due.shared {
        Some(data) => data.clone(),
        None => Bytes::copy_from_slice(event.data),
    }
}

fn extension(name: &str, value: &AttributeValue, headers: &mut HeaderMap) {
    // Names of extensions are lower-case letters, digits and underscores.
    if let Ok(header) = HeaderName::from_bytes(format!("ce-{name}").as_bytes()) {
        headers.insert(header, encoded(&value.to_text()));
    }
}

fn encoded(text: &str) -> HeaderValue {
    let plain = text
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'%');
    if plain && let Ok(value) = HeaderValue::from_str(text) {
        return value;
    }
    ascii(utf8_percent_encode(text, ENCODED).to_string())
}

/// Of a text that has nothing but visible ASCII and spaces.
fn ascii(text: String) -> HeaderValue {
    HeaderValue::try_from(text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests;
