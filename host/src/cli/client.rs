//! Talking to a hub, and telling what went wrong.

use std::{path::Path, process::ExitCode, time::Duration};

use reqwest::{
    Method, StatusCode,
    blocking::{RequestBuilder, Response},
};
use serde_json::Value;

/// A hub as a command sees it.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::blocking::Client,
    url: String,
    /// Print what the API answered.
    pub json: bool,
}

/// Why a command did not do what it was to.
#[derive(Debug)]
pub(super) enum Failure {
    /// The hub refused: a problem document, or whatever it sent.
    Refused {
        status: StatusCode,
        problem: Value,
    },
    Unreachable {
        url: String,
        reason: String,
    },
    /// Something on this side.
    Local(String),
    /// `apply --dry-run --exit-code` found changes.
    Changes,
}

impl Failure {
    pub(super) fn local(reason: impl std::fmt::Display) -> Self {
        Self::Local(reason.to_string())
    }

    /// Whether the hub has no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Prints the failure; the exit code says its kind.
    pub(super) fn report(&self) -> ExitCode {
        match self {
            Self::Changes => ExitCode::from(5),
            Self::Local(reason) => {
                eprintln!("sandbar: {reason}");
                ExitCode::from(1)
            }
            Self::Unreachable { url, reason } => {
                eprintln!("sandbar: no hub answers at {url}: {reason}");
                eprintln!(
                    "  start one with 'sandbar serve', or name another with --url or SANDBAR_URL"
                );
                ExitCode::from(3)
            }
            Self::Refused { status, problem } => {
                eprintln!("sandbar: {}", problem_text(*status, problem));
                ExitCode::from(if *status == StatusCode::NOT_FOUND {
                    4
                } else {
                    1
                })
            }
        }
    }
}

/// A problem document as lines of text.
fn problem_text(status: StatusCode, problem: &Value) -> String {
    let field = |name: &str| problem[name].as_str().unwrap_or_default();
    if field("title").is_empty() {
        return format!("the hub answered {status}");
    }
    let mut text = format!(
        "{} ({})\n  {}",
        field("title"),
        status.as_u16(),
        field("detail")
    );
    for place in problem["errors"].as_array().into_iter().flatten() {
        let index = place["index"]
            .as_u64()
            .map(|index| format!("event {index} "))
            .unwrap_or_default();
        let pointer = place["pointer"].as_str().unwrap_or_default();
        let reason = place["reason"].as_str().unwrap_or_default();
        text.push_str(&format!("\n  - {index}{pointer}: {reason}"));
    }
    if !field("help").is_empty() {
        text.push_str(&format!("\n  {}", field("help")));
    }
    text
}

impl Client {
    pub(super) fn new(url: &str, json: bool) -> Self {
        let built = reqwest::blocking::Client::builder()
            .timeout(Duration::from_secs(120))
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
        let body = self.send(request)?.text().map_err(Failure::local)?;
        if body.is_empty() {
            return Ok(Value::Null);
        }
        serde_json::from_str(&body)
            .map_err(|error| Failure::local(format!("the hub's answer is not JSON: {error}")))
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
            if error.is_connect() || error.is_timeout() {
                Failure::Unreachable { url, reason }
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
            println!("{answer}");
        } else {
            human(answer);
        }
    }
}

/// Reads a file, or standard input for `-`.
pub(super) fn read(path: &Path) -> Result<Vec<u8>, Failure> {
    if path.as_os_str() == "-" {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut std::io::stdin(), &mut bytes).map_err(Failure::local)?;
        return Ok(bytes);
    }
    std::fs::read(path)
        .map_err(|error| Failure::local(format!("cannot read {}: {error}", path.display())))
}

/// Reads a JSON file.
pub(super) fn read_json(path: &Path) -> Result<Value, Failure> {
    let bytes = read(path)?;
    serde_json::from_slice(&bytes)
        .map_err(|error| Failure::local(format!("{}: {error}", path.display())))
}

/// `name@version` in two.
pub(super) fn split_version(reference: &str) -> Result<(&str, &str), Failure> {
    reference
        .split_once('@')
        .ok_or_else(|| Failure::local(format!("{reference:?} has no version; write NAME@VERSION")))
}
