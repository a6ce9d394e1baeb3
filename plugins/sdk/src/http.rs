//! Requests to other services. A plugin that calls this runs only on routes that grant
//! `{"http": {"hosts": ["…"]}}`, gets one event a call, and must bear that the same event, and with
//! it the same request, comes again after the hub was stopped.
//!
//! ```
//! use sandbar_sdk::{Event, Output, Problem, Verdict, http, test};
//!
//! fn transform(event: &Event<'_>) -> Result<Verdict, Problem> {
//!     let request = http::Request::post("https://api.example.com/score", event.data())
//!         .header("content-type", "application/json")
//!         .header("idempotency-key", event.id());
//!     match http::send(&request) {
//!         Ok(answer) if answer.status == 200 => {
//!             Ok(Verdict::emit(Output::inherit().data(answer.body)))
//!         }
//!         Ok(answer) => Ok(Verdict::retry(format!("status {}", answer.status))),
//!         Err(error) if error.may_pass() => Ok(Verdict::retry(error.to_string())),
//!         Err(error) => Err(error.into()),
//!     }
//! }
//!
//! test::serve_http(|request| Ok(http::Response::new(200, request.url.as_bytes())));
//! let verdict = test::Sample::new("order").run(transform);
//! assert_eq!(verdict.outputs()[0].data_bytes(), Some(&b"https://api.example.com/score"[..]));
//! ```

use std::fmt;

use serde::Deserialize;

use crate::Problem;

/// A request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Request {
    /// A request of any method.
    #[must_use]
    pub fn new(method: impl Into<String>, url: impl Into<String>) -> Self {
        Self {
            method: method.into(),
            url: url.into(),
            ..Self::default()
        }
    }

    /// A GET request.
    #[must_use]
    pub fn get(url: impl Into<String>) -> Self {
        Self::new("GET", url)
    }

    /// A POST request.
    #[must_use]
    pub fn post(url: impl Into<String>, body: impl Into<Vec<u8>>) -> Self {
        Self {
            body: body.into(),
            ..Self::new("POST", url)
        }
    }

    /// Adds a header.
    #[must_use]
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }
}

/// An answer, whatever its status. Redirects are not followed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

impl Response {
    /// An answer without headers, for tests.
    #[must_use]
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self {
            status,
            headers: Vec::new(),
            body: body.into(),
        }
    }

    /// The first header of this name, in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The body read as JSON.
    ///
    /// # Errors
    /// [`Problem::Other`] with what serde has to say.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        serde_json::from_slice(&self.body)
            .map_err(|error| Problem::Other(format!("the answer's body: {error}")))
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The step's grant does not cover the host, its address or the method: the reason.
    NotGranted(String),
    /// The request is none: what is wrong with it.
    InvalidRequest(String),
    /// No whole answer in the time that the grant, or the plugin's deadline, leaves.
    Timeout,
    /// The answer's body has more bytes than the grant allows: the limit.
    TooLarge(u64),
    /// No connection, or it broke: the reason.
    Unreachable(String),
}

impl Error {
    /// Whether the same request may be answered a little later.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        matches!(self, Self::Timeout | Self::Unreachable(_))
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted(reason) => write!(formatter, "not granted: {reason}"),
            Self::InvalidRequest(reason) => write!(formatter, "the request is not valid: {reason}"),
            Self::Timeout => formatter.write_str("no whole answer in time"),
            Self::TooLarge(limit) => write!(formatter, "the answer has more than {limit} bytes"),
            Self::Unreachable(reason) => write!(formatter, "unreachable: {reason}"),
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Other(format!("http: {error}"))
    }
}

/// Sends a request and reads the whole answer, which may take as long as the step's grant and the
/// plugin's deadline allow.
///
/// Natively, in tests, what [`crate::test::serve_http`] set answers.
///
/// # Errors
/// When there is no answer.
pub fn send(request: &Request) -> Result<Response, Error> {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::sandbar::transform::http::{self, HttpError};
        let answer = http::send(&http::Request {
            method: request.method.clone(),
            url: request.url.clone(),
            headers: request.headers.clone(),
            body: request.body.clone(),
        });
        match answer {
            Ok(answer) => Ok(Response {
                status: answer.status,
                headers: answer.headers,
                body: answer.body,
            }),
            Err(HttpError::NotGranted(reason)) => Err(Error::NotGranted(reason)),
            Err(HttpError::InvalidRequest(reason)) => Err(Error::InvalidRequest(reason)),
            Err(HttpError::Timeout) => Err(Error::Timeout),
            Err(HttpError::TooLarge(limit)) => Err(Error::TooLarge(limit)),
            Err(HttpError::Unreachable(reason)) => Err(Error::Unreachable(reason)),
        }
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::send(request)
}
