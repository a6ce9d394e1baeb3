//! Talking to a hub, and telling what went wrong.

use std::{path::Path, time::Duration};

use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use reqwest::{
    Method,
    blocking::{RequestBuilder, Response},
};
use serde_json::{Value, value::RawValue};

pub(super) use super::failure::Failure;
use super::{Outcome, output::say};
use crate::diff;

/// How long an answer may take.
const LONGEST_CALL: Duration = Duration::from_secs(120);

/// What stays as it is in a part of a path (RFC 3986, section 2.3: unreserved).
const PART: &AsciiSet = &NON_ALPHANUMERIC
    .remove(b'-')
    .remove(b'.')
    .remove(b'_')
    .remove(b'~');

/// A hub as a command sees it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    url: String,
    /// Print what the API answered.
    pub json: bool,
}

impl Client {
    pub(super) fn new(url: &str, json: bool) -> Self {
        let built = reqwest::blocking::Client::builder()
            .timeout(LONGEST_CALL)
            .build();
        // Building fails only where there are no system resources at all; the default says so then.
        let http = built.unwrap_or_default();
        Self {
            http,
            url: url.trim_end_matches('/').to_owned(),
            json,
        }
    }

    /// A request to `path`, which starts with `/`.
    pub(super) fn request(&self, method: Method, path: &str) -> RequestBuilder {
        self.http.request(method, format!("{}{path}", self.url))
    }

    /// A request that may take for ever.
    pub(super) fn endless(&self, path: &str) -> Result<RequestBuilder, Failure> {
        let http = reqwest::blocking::Client::builder()
            .timeout(None)
            .build()
            .map_err(Failure::local)?;
        Ok(http.get(format!("{}{path}", self.url)))
    }

    /// Reads; `None` where the hub has no such thing.
    pub(super) fn find(&self, path: &str) -> Result<Option<Value>, Failure> {
        match self.get(path) {
            Ok(found) => Ok(Some(found)),
            Err(failure) if failure.is_not_found() => Ok(None),
            Err(failure) => Err(failure),
        }
    }

    pub(super) fn get(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::GET, path))
    }

    pub(super) fn put(&self, path: &str, document: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::PUT, path).json(document))
    }

    pub(super) fn post(&self, path: &str, document: &Value) -> Result<Value, Failure> {
        self.answer(self.request(Method::POST, path).json(document))
    }

    pub(super) fn delete(&self, path: &str) -> Result<Value, Failure> {
        self.answer(self.request(Method::DELETE, path))
    }

    /// Sends, and reads a JSON answer; nothing is `null`.
    pub(super) fn answer(&self, request: RequestBuilder) -> Result<Value, Failure> {
        parsed(&self.text(request)?)
    }

    /// Sends, and gives the answer as it is written: data in it keeps its digits and its order.
    pub(super) fn text(&self, request: RequestBuilder) -> Result<String, Failure> {
        self.send(request)?.text().map_err(Failure::local)
    }

    /// Sends; refusals become failures.
    pub(super) fn send(&self, request: RequestBuilder) -> Result<Response, Failure> {
        let response = request.send().map_err(|error| {
            let url = self.url.clone();
            let mut reason: &dyn std::error::Error = &error;
            while let Some(source) = reason.source() {
                reason = source;
            }
            let reason = reason.to_string();
            if error.is_builder() {
                Failure::Usage(format!("{url}: {reason}"))
            } else if error.is_connect() {
                Failure::Unreachable { url, reason }
            } else if error.is_timeout() {
                Failure::local(format!(
                    "{url} gave no answer within {} s; it may still have done what was asked",
                    LONGEST_CALL.as_secs()
                ))
            } else {
                Failure::local(format!("{url}: {reason}"))
            }
        })?;
        let status = response.status();
        if status.is_success() {
            return Ok(response);
        }
        let problem = response.json().unwrap_or(Value::Null);
        Err(Failure::Refused { status, problem })
    }

    /// Prints an answer: as JSON when that was asked for, else as `human` does.
    pub(super) fn print(&self, answer: &Value, human: impl FnOnce(&Value)) {
        if self.json {
            say!("{answer}");
        } else {
            human(answer);
        }
    }

    /// The same of an answer whose data a [`Value`] may not hold: as JSON it is printed as it is written.
    pub(super) fn print_written(
        &self,
        answer: &str,
        human: impl FnOnce(&str) -> Outcome,
    ) -> Outcome {
        if self.json {
            say!("{answer}");
            return Ok(());
        }
        human(answer)
    }
}

/// An answer; nothing is `null`. Data in it may be JSON that a [`Value`] does not hold.
pub(super) fn parsed(body: &str) -> Result<Value, Failure> {
    if body.is_empty() {
        return Ok(Value::Null);
    }
    serde_json::from_str(body).or_else(|error| match serde_json::from_str::<&RawValue>(body) {
        Ok(_) => Ok(diff::read(body.as_bytes())),
        Err(_) => Err(Failure::local(format!(
            "the hub's answer is not JSON: {error}"
        ))),
    })
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map_err(Failure::local)?;
        return Ok(bytes);
    }
    std::fs::read(path).map_err(|error| {
        Failure::unread(&error, format!("cannot read {}: {error}", path.display()))
    })
}

/// Reads a JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value, Failure> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::Invalid(format!("{}: {error}", path.display())))
}

/// CloudEvents as they stand in the file, one, an array of them, or one a line: the hub judges them. `-` is standard
/// input.
pub(super) fn raw_events(path: &Path) -> Result<Vec<Box<RawValue>>, Failure> {
    let bytes = read(path)?;
    let wrong = |error| Failure::local(format!("{}: {error}", path.display()));
    let values = serde_json::Deserializer::from_slice(&bytes).into_iter::<Box<RawValue>>();
    let mut events = Vec::new();
    for value in values {
        let value = value.map_err(wrong)?;
        if value.get().starts_with('[') {
            let several: Vec<Box<RawValue>> = serde_json::from_str(value.get()).map_err(wrong)?;
            events.extend(several);
        } else {
            events.push(value);
        }
    }
    Ok(events)
}

/// `name@version` in two.
pub(super) fn split_version(reference: &str) -> Result<(&str, &str), Failure> {
    reference
        .split_once('@')
        .ok_or_else(|| Failure::Usage(format!("{reference:?} has no version; write NAME@VERSION")))
}

/// `/v1` and the parts. Each stays one part whatever a user has typed: `orders#old` must not come
/// out as `orders`, nor `x/../orders`.
pub(super) fn path(parts: &[&str]) -> Result<String, Failure> {
    let mut path = "/v1".to_owned();
    for part in parts {
        // To URLs these are steps, even percent-encoded.
        if matches!(*part, "" | "." | "..") {
            return Err(Failure::Usage(format!("{part:?} is not a name")));
        }
        path.push('/');
        path.extend(utf8_percent_encode(part, PART));
    }
    Ok(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_typed_stays_one_part_of_the_path() {
        let of = |name: &str| path(&["topics", name]).ok();
        assert_eq!(
            of("orders.v1_a-b").as_deref(),
            Some("/v1/topics/orders.v1_a-b")
        );
        assert_eq!(of("orders#old").as_deref(), Some("/v1/topics/orders%23old"));
        assert_eq!(of("orders?x").as_deref(), Some("/v1/topics/orders%3Fx"));
        assert_eq!(
            of("x/../orders").as_deref(),
            Some("/v1/topics/x%2F..%2Forders")
        );
        assert_eq!(of("%2e%2e").as_deref(), Some("/v1/topics/%252e%252e"));
        for step in ["", ".", ".."] {
            assert_eq!(of(step), None, "{step:?}");
        }
    }
}
