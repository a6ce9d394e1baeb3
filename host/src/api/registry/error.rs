//! Refusals in the registry's words: `{"error_code": 40401, "message": "…"}`. The codes are Confluent's;
//! the message says what is wrong, where, and what to do.

use axum::{
    Json,
    body::to_bytes,
    http::{HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use serde::Serialize;
use utoipa::ToSchema;

use super::{MEDIA_TYPE, compatibility::places, config::level};
use crate::{
    contract::Rule,
    problem::{Code, Problem},
};

/// A refusal of the registry API.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegistryError {
    /// The HTTP status, or that with two digits more.
    error_code: u32,
    message: String,
    #[serde(skip)]
    retry_after: Option<u32>,
}

impl RegistryError {
    pub fn new(error_code: u32, message: impl Into<String>) -> Self {
        Self {
            error_code,
            message: message.into(),
            retry_after: None,
        }
    }

    pub fn unknown_subject(subject: &str) -> Self {
        Self::new(40401, format!("Subject '{subject}' not found."))
    }

    pub fn unknown_version(version: &str) -> Self {
        Self::new(40402, format!("Version {version} not found."))
    }

    pub fn unknown_schema() -> Self {
        Self::new(40403, "Schema not found")
    }

    pub fn unknown_id(id: u32) -> Self {
        Self::new(40403, format!("Schema {id} not found"))
    }

    pub fn withdrawn_subject(subject: &str) -> Self {
        let message = format!(
            "Subject '{subject}' was soft deleted. Set permanent=true to delete permanently"
        );
        Self::new(40404, message)
    }

    pub fn present_subject(subject: &str) -> Self {
        let message =
            format!("Subject '{subject}' was not deleted first before being permanently deleted");
        Self::new(40405, message)
    }

    pub fn withdrawn_version(subject: &str, version: u32) -> Self {
        let message = format!(
            "Subject '{subject}' Version {version} was soft deleted. Set permanent=true to delete permanently"
        );
        Self::new(40406, message)
    }

    pub fn present_version(subject: &str, version: u32) -> Self {
        let message = format!(
            "Subject '{subject}' Version {version} was not deleted first before being permanently deleted"
        );
        Self::new(40407, message)
    }

    pub fn no_rule(subject: &str) -> Self {
        let message =
            format!("Subject '{subject}' does not have subject-level compatibility configured");
        Self::new(40408, message)
    }

    pub fn no_mode(subject: &str) -> Self {
        let message = format!("Subject '{subject}' does not have subject-level mode configured");
        Self::new(40409, message)
    }

    pub fn invalid_schema(message: impl Into<String>) -> Self {
        Self::new(42201, message)
    }

    pub fn invalid_version(version: &str) -> Self {
        let message = format!(
            "The specified version '{version}' is not a valid version id. Allowed values are between [1, 2^31-1] and the string \"latest\""
        );
        Self::new(42202, message)
    }

    pub fn invalid_subject(subject: &str) -> Self {
        let message = format!(
            "The specified subject '{subject}' is not a valid subject: a subject becomes the name of a contract, which has 128 bytes at most, begins with a letter or a digit, and does not begin with 'sandbar.'; there is no context but the default one"
        );
        Self::new(42208, message)
    }

    /// Why a version was not registered; what makes it incompatible in the form that clients know.
    pub fn of_registering(subject: &str, rule: Rule, problem: Problem) -> Self {
        if problem.code != Code::IncompatibleContract {
            return problem.into();
        }
        let mut details = places(&problem.errors);
        details.push(format!("{{compatibility: '{}'}}", level(rule)));
        let message = format!(
            "Schema being registered is incompatible with an earlier schema for subject \"{subject}\", details: [{}]. What cannot be decided counts as incompatible. Correct these places, register the schema under another subject, or set another level with PUT /config/{subject}",
            details.join(", ")
        );
        Self::new(409, message)
    }

    fn status(&self) -> StatusCode {
        let digits = if self.error_code > 999 {
            self.error_code / 100
        } else {
            self.error_code
        };
        u16::try_from(digits)
            .ok()
            .and_then(|code| StatusCode::from_u16(code).ok())
            .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }
}

impl From<Problem> for RegistryError {
    fn from(problem: Problem) -> Self {
        let code = match problem.code {
            Code::InvalidSchema => 42201,
            Code::InvalidName | Code::ReservedName => 42208,
            Code::UnknownContract => 40403,
            Code::IncompatibleContract => 409,
            Code::ContractMode => 42205,
            Code::ContractInUse => 42206,
            Code::SchemaIdTaken => 42207,
            Code::StorageFull | Code::Damaged => 50001,
            other => u32::from(other.status()),
        };
        if problem.code == Code::Internal {
            tracing::error!(detail = problem.detail, "a request failed inside the hub");
        }
        let own = advice(problem.code);
        let help = problem.help.as_deref().or(own);
        let help = help.unwrap_or_else(|| problem.code.advice());
        let message = format!("{}. {help}", problem.detail);
        Self {
            error_code: code,
            message,
            retry_after: problem.retry_after,
        }
    }
}

/// What to do, where the hub's own advice names calls and members that clients of this API do not have.
fn advice(code: Code) -> Option<&'static str> {
    Some(match code {
        Code::InvalidSchema => {
            "Correct the place that is named. Nothing is fetched: put what is referred to into the same schema, or register it under a subject of its own and name it in 'references'."
        }
        Code::UnknownContract => "GET /subjects lists what there is.",
        Code::InvalidName | Code::ReservedName => "Use another subject.",
        Code::IncompatibleContract => {
            "Correct the schema, register it under another subject, or set another level with PUT /config/{subject}."
        }
        Code::ContractInUse => {
            "Delete the versions that refer to it first; a topic of the hub that is bound to it has to be bound to another version."
        }
        Code::ContractMode => "GET /mode/{subject} says the mode, PUT sets it.",
        _ => return None,
    })
}

impl IntoResponse for RegistryError {
    fn into_response(self) -> Response {
        let (status, retry_after) = (self.status(), self.retry_after);
        let mut response = (status, Json(self)).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(MEDIA_TYPE));
        if let Some(seconds) = retry_after {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// Makes refusals of the framework, and of layers before the handlers, the registry's.
pub(super) async fn dress(response: Response, path: &str) -> Response {
    let status = response.status();
    let known = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value == MEDIA_TYPE);
    if known || !(status.is_client_error() || status.is_server_error()) {
        return response;
    }
    let retry_after = response.headers().get(header::RETRY_AFTER).cloned();
    let body = to_bytes(response.into_body(), 64 * 1024)
        .await
        .unwrap_or_default();
    let text = String::from_utf8_lossy(&body).into_owned();
    let detail = serde_json::from_str::<serde_json::Value>(&text)
        .ok()
        .and_then(|problem| problem["detail"].as_str().map(str::to_owned));
    let message = match status {
        StatusCode::NOT_FOUND => format!("HTTP 404 Not Found: there is nothing at {path}"),
        _ => detail.unwrap_or(text),
    };
    let mut response = RegistryError::new(u32::from(status.as_u16()), message).into_response();
    if let Some(seconds) = retry_after {
        response.headers_mut().insert(header::RETRY_AFTER, seconds);
    }
    response
}
