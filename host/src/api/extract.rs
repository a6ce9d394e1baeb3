//! Bodies, queries and headers, taken out of requests with errors that name the place.

use std::{sync::Arc, time::Duration};

use axum::{
    extract::{FromRequest, FromRequestParts, Query, Request},
    http::{HeaderMap, header, request::Parts},
};
use bytes::{Bytes, BytesMut};
use futures_util::StreamExt;
use serde::de::DeserializeOwned;

use crate::{
    hub::Hub,
    problem::{Code, Place, Problem},
    room::{Part, Room},
};

/// A whole body; refusals are problems.
#[derive(Clone)]
pub(super) struct Body(pub Bytes);

impl FromRequest<Arc<Hub>> for Body {
    type Rejection = Problem;

    async fn from_request(mut request: Request, hub: &Arc<Hub>) -> Result<Self, Problem> {
        // A layer may have read it already.
        if let Some(body) = request.extensions_mut().remove::<Self>() {
            return Ok(body);
        }
        let limits = hub.config.api;
        let is_plugin = (request.headers().get(header::CONTENT_TYPE))
            .is_some_and(|value| value == "application/wasm");
        if !is_plugin {
            let whole = collect(request, limits.max_body_bytes, &hub.bodies).await;
            return whole.map(Self);
        }
        let whole = collect(request, limits.max_plugin_bytes, &hub.bodies).await;
        whole.map(Self).map_err(|problem| match problem.code {
            Code::BodyTooLarge => problem.help("No plugin may be larger. Leave out debug information and what is not used: wasm-opt and wasm-strip do."),
            _ => problem,
        })
    }
}

/// How much of a body that is too large is read and thrown away, in bytes: a client that is still
/// sending would see a broken connection instead of the answer.
const DRAINED: usize = 64 * 1024 * 1024;
/// So much of a body counts as part of its connection: small calls always come through.
const UNCOUNTED: usize = 8 * 1024;
/// How long a body waits for room among those of other requests.
const WAIT: Duration = Duration::from_secs(5);
const BUSY: &str = "the hub has its hands full of other requests";
/// Room is taken in steps of so many bytes.
const STEP: usize = 64 * 1024;

/// A body as it comes in. The room that it takes is given back with the last piece of its bytes.
struct Incoming {
    whole: BytesMut,
    room: Option<Part>,
    /// Bytes that there is room for.
    counted: usize,
}

impl Incoming {
    async fn add(&mut self, chunk: &[u8], bodies: &Room) -> Result<(), Problem> {
        let wanted = self.whole.len() + chunk.len();
        if wanted > self.counted {
            let more = (wanted - self.counted).next_multiple_of(STEP);
            let taken = bodies.take_within(more, WAIT, BUSY).await?;
            match &mut self.room {
                Some(room) => room.merge(taken),
                None => self.room = Some(taken),
            }
            self.counted += more;
        }
        self.whole.extend_from_slice(chunk);
        Ok(())
    }

    fn finish(self) -> Bytes {
        /// The bytes and their room.
        struct Held(
            Bytes,
            #[expect(dead_code, reason = "held while the bytes are")] Part,
        );
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.0
            }
        }
        let bytes = self.whole.freeze();
        match self.room {
            Some(room) => Bytes::from_owner(Held(bytes, room)),
            None => bytes,
        }
    }
}

async fn collect(request: Request, limit: usize, bodies: &Room) -> Result<Bytes, Problem> {
    let mut chunks = request.into_body().into_data_stream();
    let mut incoming = Incoming {
        whole: BytesMut::new(),
        room: None,
        counted: UNCOUNTED,
    };
    let mut size = 0;
    let mut busy = None;
    while let Some(chunk) = chunks.next().await {
        let chunk = chunk.map_err(|error| unreadable(&error))?;
        size += chunk.len();
        if size <= limit && busy.is_none() {
            busy = incoming.add(&chunk, bodies).await.err();
        } else if size > limit.saturating_add(DRAINED) {
            break;
        }
        if busy.is_some() || size > limit {
            incoming.whole = BytesMut::new();
            incoming.room = None;
        }
    }
    if size > limit {
        let detail = format!("the body has more than {limit} bytes, after decompression");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    match busy {
        Some(problem) => Err(problem),
        None => Ok(incoming.finish()),
    }
}

fn unreadable(error: &axum::Error) -> Problem {
    Problem::new(Code::MalformedBody, format!("the body cannot be read: {}", cause(error)))
        .help("Check Content-Length and Content-Encoding (gzip and zstd are taken), and that the body is sent whole.")
}

/// The innermost error.
fn cause(error: &dyn std::error::Error) -> String {
    let mut inner = error;
    while let Some(source) = inner.source() {
        inner = source;
    }
    inner.to_string()
}

/// A JSON document.
pub(super) struct Json<T>(pub T);

impl<T: DeserializeOwned> FromRequest<Arc<Hub>> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<Hub>) -> Result<Self, Problem> {
        // Asked for on purpose: a page in a browser cannot send it across sites without asking first.
        require_json(request.headers())?;
        let Body(body) = Body::from_request(request, state).await?;
        parse(&body).map(Self)
    }
}

/// A JSON document, or no body at all.
pub(super) struct JsonOrNothing<T>(pub T);

impl<T: DeserializeOwned + Default> FromRequest<Arc<Hub>> for JsonOrNothing<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, state: &Arc<Hub>) -> Result<Self, Problem> {
        let json = require_json(request.headers());
        let Body(body) = Body::from_request(request, state).await?;
        if body.is_empty() {
            return Ok(Self(T::default()));
        }
        json?;
        parse(&body).map(Self)
    }
}

fn require_json(headers: &HeaderMap) -> Result<(), Problem> {
    let given = headers
        .get(header::CONTENT_TYPE)
        .and_then(|value| value.to_str().ok())
        .unwrap_or("");
    if !given.is_empty() && sandbar_types::event::is_json(given) {
        return Ok(());
    }
    let said = if given.is_empty() {
        "nothing".to_owned()
    } else {
        format!("{given:?}")
    };
    Err(Problem::new(
        Code::UnsupportedMediaType,
        format!("Content-Type is {said}; this call takes application/json"),
    )
    .help("Send the header 'Content-Type: application/json'."))
}

/// Reads a document; errors carry the JSON Pointer of the place.
pub(super) fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut deserializer = serde_json::Deserializer::from_slice(body);
    let document = serde_path_to_error::deserialize(&mut deserializer).map_err(|error| {
        let pointer = pointer(error.path());
        let inner = error.inner();
        if inner.is_data() {
            let reason = inner.to_string();
            let place = Place {
                index: None,
                pointer: pointer.clone(),
                reason: reason.clone(),
                incompatibility: None,
            };
            let at = if pointer.is_empty() {
                String::new()
            } else {
                format!("{pointer}: ")
            };
            Problem::new(Code::InvalidDocument, format!("{at}{reason}")).errors(vec![place])
        } else {
            // An object where an enum has exactly one member is taken for a mistake in the JSON.
            let is_json = serde_json::from_slice::<serde::de::IgnoredAny>(body).is_ok();
            if is_json {
                let reason = "an object with exactly one member is wanted here";
                let place = Place {
                    pointer: pointer.clone(),
                    reason: reason.to_owned(),
                    ..Place::default()
                };
                let detail = format!("{pointer}: {reason}");
                return Problem::new(Code::InvalidDocument, detail).errors(vec![place]);
            }
            Problem::new(
                Code::MalformedBody,
                format!("the body is not JSON: {inner}"),
            )
        }
    })?;
    deserializer.end().map_err(|error| {
        Problem::new(
            Code::MalformedBody,
            format!("the body is not JSON: {error}"),
        )
    })?;
    Ok(document)
}

fn pointer(path: &serde_path_to_error::Path) -> String {
    use serde_path_to_error::Segment;
    let mut pointer = String::new();
    for segment in path {
        pointer.push('/');
        match segment {
            Segment::Seq { index } => pointer.push_str(&index.to_string()),
            Segment::Map { key } => pointer.push_str(&crate::pointer::token(key)),
            Segment::Enum { variant } => pointer.push_str(variant),
            Segment::Unknown => pointer.push('?'),
        }
    }
    // A path that ends in the unknown is that of the object around it.
    pointer.trim_end_matches("/?").to_owned()
}

/// The query; unknown parameters are refused by the types that are read.
pub(super) struct Params<T>(pub T);

impl<S: Send + Sync, T: DeserializeOwned> FromRequestParts<S> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        let Query(query) = Query::from_request_parts(parts, state)
            .await
            .map_err(|rejection| {
                Problem::new(
                    Code::MalformedRequest,
                    format!("the query: {}", cause(&rejection)),
                )
            })?;
        Ok(Self(query))
    }
}
