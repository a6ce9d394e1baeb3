//! Problems as HTTP answers: RFC 9457, `application/problem+json`.

use axum::{
    Json,
    http::{HeaderValue, Method, StatusCode, Uri, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use crate::{
    gate::GateReport,
    problem::{Code, Place, Problem},
};

/// A problem document (RFC 9457) with members of our own: `help`, `errors` and `gate`.
#[derive(Debug, Serialize, ToSchema)]
pub struct ProblemDocument {
    /// `/problems/<code>`: a page of the hub that says what to do.
    pub r#type: String,
    pub title: String,
    pub status: u16,
    pub detail: String,
    /// What to do.
    pub help: String,
    /// The places that are wrong, where there are several or where one can be pointed at.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<Place>,
    /// With `activation-refused`: what the gate found of each route that fails.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gate: Vec<GateReport>,
}

impl From<Problem> for ProblemDocument {
    fn from(problem: Problem) -> Self {
        let code = problem.code;
        Self {
            r#type: format!("/problems/{}", code.as_str()),
            title: code.title().to_owned(),
            status: code.status(),
            detail: problem.detail,
            help: problem.help.unwrap_or_else(|| code.advice().to_owned()),
            errors: problem.errors,
            gate: problem.gate,
        }
    }
}

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let status =
            StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if self.code == Code::Internal {
            tracing::error!(detail = self.detail, "a request failed inside the hub");
        }
        let retry_after = self.retry_after;
        let mut response = (status, Json(ProblemDocument::from(self))).into_response();
        let media_type = HeaderValue::from_static("application/problem+json");
        response
            .headers_mut()
            .insert(header::CONTENT_TYPE, media_type);
        if let Some(seconds) = retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

pub(super) async fn not_found(uri: Uri) -> Problem {
    Problem::new(
        Code::NotFound,
        format!("there is nothing at {}", uri.path()),
    )
}

pub(super) async fn method_not_allowed(method: Method, uri: Uri) -> Problem {
    Problem::new(
        Code::MethodNotAllowed,
        format!("{} does not take {method}", uri.path()),
    )
}

/// Makes problems of the refusals that come from the framework (a path that does not parse, an
/// encoding that is not supported).
pub(super) async fn dress(response: Response) -> Response {
    let status = response.status();
    let media_type = response.headers().get(header::CONTENT_TYPE);
    let dressed = media_type.is_some_and(|value| {
        value == "application/problem+json" || value == super::registry::MEDIA_TYPE
    });
    if dressed || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    if status == StatusCode::UNSUPPORTED_MEDIA_TYPE {
        return Problem::new(
            Code::UnsupportedMediaType,
            "the Content-Encoding is not supported",
        )
        .help("Send the body plain, or with Content-Encoding gzip or zstd.")
        .into_response();
    }
    let body = axum::body::to_bytes(response.into_body(), 64 * 1024)
        .await
        .unwrap_or_default();
    let detail = String::from_utf8_lossy(&body).into_owned();
    let code = if status.is_server_error() {
        Code::Internal
    } else {
        Code::MalformedRequest
    };
    Problem::new(code, detail).into_response()
}

pub(super) fn panicked(panic: Box<dyn std::any::Any + Send>) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("a handler panicked");
    Problem::internal(text).into_response()
}
