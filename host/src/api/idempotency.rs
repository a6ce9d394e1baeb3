//! The header `Idempotency-Key` (draft-ietf-httpapi-idempotency-key-header-07): a request that is sent
//! again under the same key gets the answer of the first.
//!
//! A layer before all handlers, none of which knows of it. What is remembered, and for how long, is the
//! hub's business.

use std::sync::Arc;

use axum::{
    body::{Body as Stream, HttpBody, to_bytes},
    extract::{FromRequest, Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    middleware::Next,
    response::{IntoResponse, Response},
};
use utoipa::openapi::{
    OpenApi, Required,
    path::{Operation, Parameter, ParameterBuilder, ParameterIn},
    schema::{ObjectBuilder, Type},
};
use xxhash_rust::xxh3::Xxh3Default;

use super::{Caller, extract::Body};
use crate::{
    clock,
    hub::Hub,
    idempotency::{Answer, Begun, Keep, Running},
    problem::{Code, Problem},
};

const KEY: &str = "idempotency-key";
const REPLAYED: HeaderName = HeaderName::from_static("idempotency-replayed");
const LONGEST_KEY: usize = 255;
/// Answers that are longer are no answers that somebody waits for.
const LONGEST_ANSWER: u64 = 16 * 1024 * 1024;

/// Does a request once per key. Without a key, and for methods that change nothing, as ever.
pub(super) async fn once(State(hub): State<Arc<Hub>>, request: Request, next: Next) -> Response {
    let changes = matches!(
        *request.method(),
        Method::POST | Method::PUT | Method::PATCH | Method::DELETE
    );
    if !changes || !request.headers().contains_key(KEY) {
        return next.run(request).await;
    }
    match keyed(hub, request, next).await {
        Ok(response) => response,
        Err(problem) => problem.into_response(),
    }
}

async fn keyed(hub: Arc<Hub>, request: Request, next: Next) -> Result<Response, Problem> {
    let key = key_of(request.headers())?;
    let (mut parts, stream) = request.into_parts();
    let whole = Request::from_parts(parts.clone(), stream);
    let body = Body::from_request(whole, &hub).await?;
    let fingerprint = fingerprint(&parts, &body.0);
    let keep = keep(&parts);
    let caller = parts.extensions.get::<Caller>();
    let caller = caller.map_or_else(String::new, |caller| caller.name.clone());
    parts.extensions.insert(body);
    let request = Request::from_parts(parts, Stream::empty());
    // On a task of its own: who sends again because the connection broke finds what the first came to.
    let doing = tokio::spawn(async move {
        let owner = hub.idempotency.clone();
        let begin = move || owner.begin(&caller, &key, fingerprint, keep, clock::now());
        let begun = match keep {
            Keep::InMemory => begin()?,
            Keep::Durably { .. } => hub.blocking(move |_| begin()).await?,
        };
        match begun {
            Begun::Again(answer) => Ok(replayed(&answer)),
            Begun::First(running) => {
                let response = next.run(request).await;
                settle(&hub, running, keep, response).await
            }
        }
    });
    doing.await.map_err(Problem::internal)?
}

/// Keeps the answer, if it is one to keep, and passes it on.
async fn settle(
    hub: &Arc<Hub>,
    running: Running,
    keep: Keep,
    response: Response,
) -> Result<Response, Problem> {
    let length = response.body().size_hint().upper();
    let is_short = length.is_some_and(|length| length <= LONGEST_ANSWER);
    if !is_short || !is_final(response.status()) {
        on_disk(hub, keep, move || running.forgotten()).await?;
        return Ok(response);
    }
    let (parts, stream) = response.into_parts();
    let body = to_bytes(stream, usize::MAX)
        .await
        .map_err(Problem::internal)?;
    match std::str::from_utf8(&body) {
        Ok(text) => {
            let answer = Answer {
                status: parts.status.as_u16(),
                headers: headers_to_keep(&parts.headers),
                body: text.to_owned(),
            };
            on_disk(hub, keep, move || running.answered(answer, clock::now())).await?;
        }
        Err(_) => on_disk(hub, keep, move || running.forgotten()).await?,
    }
    Ok(Response::from_parts(parts, Stream::from(body)))
}

async fn on_disk(
    hub: &Arc<Hub>,
    keep: Keep,
    work: impl FnOnce() + Send + 'static,
) -> Result<(), Problem> {
    match keep {
        Keep::InMemory => {
            work();
            Ok(())
        }
        Keep::Durably { .. } => {
            hub.blocking(move |_| {
                work();
                Ok(())
            })
            .await
        }
    }
}

/// Whether the very same request would be answered alike for ever: it was done, or there is something
/// wrong with the request itself. What depends on the time, or on what else is there, is tried again.
fn is_final(status: StatusCode) -> bool {
    status.is_success()
        || matches!(
            status,
            StatusCode::BAD_REQUEST
                | StatusCode::PAYLOAD_TOO_LARGE
                | StatusCode::UNSUPPORTED_MEDIA_TYPE
                | StatusCode::UNPROCESSABLE_ENTITY
        )
}

/// Publishes and acknowledgements are many, and are told apart by other means after a restart.
fn keep(parts: &Parts) -> Keep {
    let path = parts.uri.path();
    if parts.method == Method::POST && (path.ends_with("/events") || path.ends_with("/ack")) {
        return Keep::InMemory;
    }
    Keep::Durably {
        repeatable: matches!(parts.method, Method::PUT | Method::DELETE),
    }
}

/// The key, which is a string of RFC 8941; one without quotes is taken as well.
fn key_of(headers: &HeaderMap) -> Result<String, Problem> {
    let malformed = |detail: &str| {
        Problem::new(
            Code::IdempotencyKeyMalformed,
            format!("Idempotency-Key {detail}"),
        )
    };
    let mut values = headers.get_all(KEY).iter();
    let (Some(value), None) = (values.next(), values.next()) else {
        return Err(malformed("is there more than once"));
    };
    let text = value
        .to_str()
        .map_err(|_| malformed("is not visible ASCII"))?;
    let key = match text.trim().strip_prefix('"') {
        Some(quoted) => unquoted(quoted).ok_or_else(|| malformed("has no end to its quotes"))?,
        None => text.trim().to_owned(),
    };
    let plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'"' | b',' | b';' | b'\\');
    if text.trim().starts_with('"') {
        if key.bytes().any(|byte| !(0x20..0x7f).contains(&byte)) {
            return Err(malformed("is not visible ASCII"));
        }
    } else if !key.bytes().all(plain) {
        return Err(malformed(
            "has spaces, quotes, commas or semicolons outside of quotes",
        ));
    }
    if key.is_empty() || key.len() > LONGEST_KEY {
        let length = key.len();
        return Err(malformed(&format!(
            "has {length} characters; 1 to {LONGEST_KEY} are taken"
        )));
    }
    Ok(key)
}

/// What stands before the closing quote (RFC 8941, section 4.2.5). Behind it there may be parameters,
/// which mean nothing.
fn unquoted(text: &str) -> Option<String> {
    let mut key = String::new();
    let mut letters = text.chars();
    loop {
        match letters.next()? {
            '"' => break,
            '\\' => match letters.next()? {
                escaped @ ('"' | '\\') => key.push(escaped),
                _ => return None,
            },
            letter => key.push(letter),
        }
    }
    let rest = letters.as_str().trim_start();
    (rest.is_empty() || rest.starts_with(';')).then_some(key)
}

/// Of all that makes a request what it is: method, address, body, and the headers that say what the body
/// means or what is to be done with it.
fn fingerprint(parts: &Parts, body: &[u8]) -> u128 {
    let mut hash = Xxh3Default::new();
    let mut part = |bytes: &[u8]| {
        hash.update(&(bytes.len() as u64).to_le_bytes());
        hash.update(bytes);
    };
    part(parts.method.as_str().as_bytes());
    part(
        parts
            .uri
            .path_and_query()
            .map_or("", |address| address.as_str())
            .as_bytes(),
    );
    let mut headers: Vec<_> = (parts.headers.iter())
        .filter(|(name, _)| matters(name))
        .collect();
    // The order of headers of different names means nothing.
    headers.sort_by_key(|(name, _)| name.as_str());
    for (name, value) in headers {
        part(name.as_str().as_bytes());
        part(value.as_bytes());
    }
    part(body);
    hash.digest128()
}

fn matters(name: &HeaderName) -> bool {
    // A client that sends again may trace anew.
    let traces = matches!(name.as_str(), "ce-traceparent" | "ce-tracestate");
    let means =
        *name == header::CONTENT_TYPE || name == "prefer" || name.as_str().starts_with("ce-");
    means && !traces
}

/// All but those of the connection and the moment.
fn headers_to_keep(headers: &HeaderMap) -> Vec<(String, String)> {
    let passing = [
        header::CONNECTION,
        header::CONTENT_LENGTH,
        header::DATE,
        header::TRANSFER_ENCODING,
    ];
    let kept = headers.iter().filter(|(name, _)| !passing.contains(name));
    kept.filter_map(|(name, value)| Some((name.to_string(), value.to_str().ok()?.to_owned())))
        .collect()
}

fn replayed(answer: &Answer) -> Response {
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::OK);
    let mut response = (status, answer.body.clone()).into_response();
    let headers = response.headers_mut();
    headers.clear();
    for (name, value) in &answer.headers {
        if let (Ok(name), Ok(value)) = (name.parse::<HeaderName>(), HeaderValue::from_str(value)) {
            headers.append(name, value);
        }
    }
    headers.insert(REPLAYED, HeaderValue::from_static("true"));
    response
}

/// Adds the header to every call that takes it.
pub(super) fn describe(document: &mut OpenApi) {
    for item in document.paths.paths.values_mut() {
        let operations = [
            &mut item.post,
            &mut item.put,
            &mut item.patch,
            &mut item.delete,
        ];
        for operation in operations.into_iter().flatten() {
            take_key(operation);
        }
    }
}

fn take_key(operation: &mut Operation) {
    let text = "Sent again with the same key, the same request gets the answer of the first, with \
        `idempotency-replayed: true`, and is not done again. With another request: 422; while the first \
        is at work: 409. Kept for 24 hours; of publishes in memory, until the hub stops.";
    let parameter: Parameter = ParameterBuilder::new()
        .name("Idempotency-Key")
        .parameter_in(ParameterIn::Header)
        .required(Required::False)
        .description(Some(text))
        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
        .build();
    operation.parameters.get_or_insert_default().push(parameter);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(values: &[&str]) -> Option<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(KEY, value.parse().expect("a header"));
        }
        key_of(&headers).ok()
    }

    #[test]
    fn keys_are_strings_or_plain_words() {
        for (given, wanted) in [
            ("\"8e03978e-40d5\"", "8e03978e-40d5"),
            ("8e03978e-40d5", "8e03978e-40d5"),
            (" \"a b\" ;v=1 ", "a b"),
            (r#""a\"b\\c""#, r#"a"b\c"#),
        ] {
            assert_eq!(key(&[given]).as_deref(), Some(wanted), "{given}");
        }
        let long = "x".repeat(256);
        for bad in [
            "",
            "\"\"",
            "\"a",
            "a b",
            "a,b",
            "a;b",
            "\"a\"b",
            "\"a\\n\"",
            "\"a\" \"b\"",
            &long,
        ] {
            assert_eq!(key(&[bad]), None, "{bad:?}");
        }
        assert_eq!(key(&["a", "a"]), None);
    }

    fn parts(method: &str, uri: &str, headers: &[(&str, &str)]) -> Parts {
        let mut request = Request::builder().method(method).uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request
            .body(Stream::empty())
            .expect("a request")
            .into_parts()
            .0
    }

    #[test]
    fn a_request_is_told_by_all_that_makes_it_what_it_is() {
        let json = ("content-type", "application/json");
        let of = |method, uri, headers: &[_], body: &str| {
            fingerprint(&parts(method, uri, headers), body.as_bytes())
        };
        let one = of("PUT", "/a?x=1", &[json, ("ce-id", "1")], "{}");
        assert_eq!(
            one,
            of(
                "PUT",
                "/a?x=1",
                &[("ce-id", "1"), json, ("user-agent", "b")],
                "{}"
            )
        );
        for other in [
            of("POST", "/a?x=1", &[json, ("ce-id", "1")], "{}"),
            of("PUT", "/a?x=2", &[json, ("ce-id", "1")], "{}"),
            of("PUT", "/a?x=1", &[json, ("ce-id", "2")], "{}"),
            of("PUT", "/a?x=1", &[json], "{}"),
            of("PUT", "/a?x=1", &[json, ("ce-id", "1")], "{} "),
        ] {
            assert_ne!(one, other);
        }
    }
}
