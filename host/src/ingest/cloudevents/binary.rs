//! Binary mode (CloudEvents HTTP binding §3.1): attributes in headers, data in the body.

use std::borrow::Cow;

use bytes::Bytes;
use http::{HeaderMap, header::CONTENT_TYPE};
use percent_encoding::percent_decode;
use sandbar_types::AttributeValue;

use super::{
    Decoded,
    rules::{Known, Reading},
};

/// The one event of a request. Extensions stay text: headers carry no types.
pub(super) fn decode(headers: &HeaderMap, body: Bytes) -> Decoded {
    let mut reading = Reading::default();
    if let Some(value) = headers.get(CONTENT_TYPE) {
        match value.to_str() {
            Ok(text) => reading.known(Known::DataContentType, "datacontenttype", text.into()),
            Err(_) => reading.fault("datacontenttype", "is not ASCII"),
        }
    }
    for (header, value) in headers {
        let Some(name) = header.as_str().strip_prefix("ce-") else {
            continue;
        };
        let known = Known::of(name);
        if known == Some(Known::DataContentType) {
            reading.fault(
                name,
                "is the Content-Type in binary mode; leave out ce-datacontenttype",
            );
            continue;
        }
        let Some(text) = text(value.as_bytes()) else {
            let reason = "is not UTF-8 after percent-decoding";
            match known {
                Some(known) => reading.unusable(known, name, reason),
                None => reading.fault(name, reason),
            }
            continue;
        };
        match known {
            Some(known) => reading.known(known, name, text.into()),
            None => reading.extension(name, AttributeValue::String(text)),
        }
    }
    reading.data(body);
    reading.finish()
}

/// Undoes the encoding of header values (HTTP binding §3.1.3.2): first a quoted string, then percent
/// signs, once.
fn text(value: &[u8]) -> Option<String> {
    let value = match value {
        [b'"', inner @ .., b'"'] => Cow::Owned(unquoted(inner)),
        value => Cow::Borrowed(value),
    };
    let decoded: Cow<'_, [u8]> = percent_decode(&value).into();
    String::from_utf8(decoded.into_owned()).ok()
}

fn unquoted(inner: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter();
    while let Some(&byte) = bytes.next() {
        out.push(if byte == b'\\' {
            *bytes.next().unwrap_or(&b'\\')
        } else {
            byte
        });
    }
    out
}
