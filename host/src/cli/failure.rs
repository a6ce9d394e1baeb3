//! Why a command did not do what it was to: for people on standard error, and for programs as a problem
//! document on standard output.

use std::process::ExitCode;

use reqwest::StatusCode;
use serde_json::{Value, json};

use super::{
    gate,
    output::{has_spoken, say},
    table::{cell, short},
};

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
    /// A file that is not there.
    Missing(String),
    /// A file that does not hold what it must.
    Invalid(String),
    /// Arguments that mean nothing.
    Usage(String),
    /// `apply --dry-run --exit-code` found changes.
    Changes,
    /// What a build needs is not here.
    ToolMissing(String),
    /// What was printed says it all; this is the exit code.
    Told(u8),
    /// Another failure, with an exit code that the command gives it.
    Coded(u8, Box<Failure>),
}

impl Failure {
    /// A file or folder cannot be read.
    pub(super) fn unread(error: &std::io::Error, reason: String) -> Self {
        match error.kind() {
            std::io::ErrorKind::NotFound => Self::Missing(reason),
            _ => Self::Local(reason),
        }
    }

    pub(super) fn local(reason: impl std::fmt::Display) -> Self {
        Self::Local(reason.to_string())
    }

    /// A stream was ended by the hub with this problem document.
    pub(super) fn ended(problem: &str) -> Self {
        let Ok(problem) = serde_json::from_str::<Value>(problem) else {
            return Self::local(format!("the hub ended the stream: {problem}"));
        };
        let status = problem["status"].as_u64();
        let status = status.and_then(|status| u16::try_from(status).ok());
        Self::Refused {
            status: status
                .and_then(|status| StatusCode::from_u16(status).ok())
                .unwrap_or(StatusCode::INTERNAL_SERVER_ERROR),
            problem,
        }
    }

    /// Whether the hub has no such thing.
    pub(super) fn is_not_found(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND)
    }

    /// Whether the same call may succeed a little later, with nobody doing anything.
    pub(super) fn may_pass(&self) -> bool {
        match self {
            Self::Unreachable { .. } => true,
            Self::Refused { status, .. } => status.is_server_error(),
            Self::Coded(_, failure) => failure.may_pass(),
            Self::Local(_)
            | Self::Missing(_)
            | Self::Invalid(_)
            | Self::Usage(_)
            | Self::Changes
            | Self::ToolMissing(_)
            | Self::Told(_) => false,
        }
    }

    /// The same failure with another exit code.
    pub(super) fn coded(self, code: u8) -> Self {
        Self::Coded(code, Box::new(self))
    }

    /// As a problem document (RFC 9457): the hub's own, or one of the same form. None where what was
    /// printed says it all.
    fn problem(&self) -> Option<Value> {
        let (title, detail) = match self {
            Self::Changes | Self::Told(_) => return None,
            Self::Coded(_, failure) => return failure.problem(),
            Self::Refused { problem, .. } if problem.is_object() => return Some(problem.clone()),
            Self::Refused { status, .. } => {
                let title = format!("the hub answered {status}");
                let status = status.as_u16();
                return Some(json!({"type": "about:blank", "title": title, "status": status}));
            }
            Self::Unreachable { .. } => ("The hub cannot be reached", self.to_string()),
            Self::Local(reason) => ("The command failed", reason.clone()),
            Self::Missing(reason) => ("There is no such file", reason.clone()),
            Self::Invalid(reason) => ("The file is not valid", reason.clone()),
            Self::Usage(reason) => ("Wrong usage", reason.clone()),
            Self::ToolMissing(reason) => ("A tool is missing", reason.clone()),
        };
        Some(json!({"type": "about:blank", "title": title, "detail": detail}))
    }

    /// Prints the failure; the exit code says its kind. With `json` standard output has a document in any
    /// case: the answer, or why there is none.
    pub(super) fn report(&self, json: bool) -> ExitCode {
        if let Some(problem) = self.problem().filter(|_| json && !has_spoken()) {
            say!("{problem}");
        }
        self.tell();
        ExitCode::from(self.code())
    }

    /// Tells people.
    pub(super) fn tell(&self) {
        let text = self.to_string();
        if !text.is_empty() {
            eprintln!("sandbar: {text}");
        }
    }

    fn code(&self) -> u8 {
        match self {
            Self::Refused { status, .. } if *status == StatusCode::NOT_FOUND => 4,
            Self::Refused { .. } | Self::Local(_) | Self::Missing(_) | Self::Invalid(_) => 1,
            Self::Usage(_) => 2,
            Self::Unreachable { .. } => 3,
            Self::Changes => 5,
            Self::ToolMissing(_) => 7,
            Self::Told(code) | Self::Coded(code, _) => *code,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Changes | Self::Told(_) => Ok(()),
            Self::Coded(_, failure) => failure.fmt(formatter),
            Self::Local(reason)
            | Self::Missing(reason)
            | Self::Invalid(reason)
            | Self::Usage(reason)
            | Self::ToolMissing(reason) => formatter.write_str(reason),
            Self::Unreachable { url, reason } => write!(
                formatter,
                "no hub answers at {url}: {reason}\n  start one with 'sandbar serve', or name another with --url or SANDBAR_URL"
            ),
            Self::Refused { status, problem } => {
                formatter.write_str(&problem_text(*status, problem))
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
        if let Some(rule) = place["rule"].as_str() {
            let (direction, version) = (cell(&place["direction"]), &place["version"]);
            text.push_str(&format!(
                "\n    {rule}, {direction}, against version {version}"
            ));
        }
        if let Some(document) = place.get("counterexample") {
            text.push_str(&format!("\n    shown by {}", short(document)));
        }
    }
    for report in problem["gate"].as_array().into_iter().flatten() {
        for line in gate::lines(report) {
            text.push_str(&format!("\n  {line}"));
        }
    }
    if !field("help").is_empty() {
        text.push_str(&format!("\n  {}", field("help")));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_problem_is_told_with_each_place_and_the_help() {
        let problem = json!({
            "title": "Data does not fit", "detail": "2 events", "help": "See the contract.",
            "errors": [{"index": 1, "pointer": "/data/n", "reason": "is no number"}, {"reason": "odd"}]
        });
        assert_eq!(
            problem_text(StatusCode::UNPROCESSABLE_ENTITY, &problem),
            "Data does not fit (422)\n  2 events\n  - event 1 /data/n: is no number\n  - : odd\n  See the contract."
        );
        assert_eq!(
            problem_text(StatusCode::BAD_GATEWAY, &Value::Null),
            "the hub answered 502 Bad Gateway"
        );
    }

    #[test]
    fn a_version_that_may_not_follow_is_told_with_the_rule_and_what_shows_it() {
        let problem = json!({"title": "No", "detail": "it breaks", "errors": [{
            "pointer": "/schema/type", "reason": "number became integer", "rule": "type-narrowed",
            "direction": "backward", "version": 2, "counterexample": {"n": 0.5},
        }]});
        assert_eq!(
            problem_text(StatusCode::CONFLICT, &problem),
            "No (409)\n  it breaks\n  - /schema/type: number became integer\n    type-narrowed, backward, against version 2\n    shown by {\"n\":0.5}"
        );
    }

    #[test]
    fn every_failure_is_a_document() {
        let refused = |problem: Value| Failure::Refused {
            status: StatusCode::BAD_GATEWAY,
            problem,
        };
        let own = json!({"title": "No"});
        assert_eq!(refused(own.clone()).coded(2).problem(), Some(own));
        assert_eq!(
            refused(Value::Null)
                .problem()
                .map(|one| one["status"].clone()),
            Some(json!(502))
        );
        assert_eq!(
            Failure::Missing("x".to_owned())
                .problem()
                .map(|one| one["detail"].clone()),
            Some(json!("x"))
        );
        assert_eq!(Failure::Told(8).problem(), None);
    }
}
