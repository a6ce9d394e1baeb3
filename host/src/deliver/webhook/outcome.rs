//! What an exchange means for its events and for the endpoint. Pure.
//!
//! | answer | means |
//! |---|---|
//! | 2xx, whole | delivered |
//! | 410 | the endpoint is gone: nothing more is sent until somebody says so |
//! | 400, 406, 409, 411, 413, 414, 415, 422, 428, 431 | the endpoint is up and does not want this request; tried again |
//! | 3xx, other 4xx, 5xx, no answer | the endpoint does not do its work; tried again |

use std::time::Duration;

use http::{StatusCode, header::LOCATION};

use super::{
    client::{Answer, Exchange},
    retry_after::retry_after,
};

/// The longest part of an answer's body in a reason, in characters.
const IN_REASON: usize = 200;

/// What becomes of the events of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    Delivered,
    /// To be tried again, not before so long.
    Again {
        after: Option<Duration>,
        of: Concern,
    },
    Gone,
}

/// What a failure tells of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Concern {
    /// Of these events: others may fare better.
    Events,
    /// Of the endpoint: the next request would fare no better.
    Endpoint,
}

/// An exchange, judged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    pub verdict: Verdict,
    /// `delivered`, `status`, `redirect`, `gone`, or the kind of error.
    pub outcome: &'static str,
    pub status: Option<u16>,
    /// Empty for what was delivered.
    pub reason: String,
}

/// `now` is milliseconds since the epoch.
#[must_use]
pub fn judge(exchange: &Exchange, now: u64) -> Judged {
    let answer = match &exchange.ended {
        Ok(answer) => answer,
        Err(failure) => {
            return Judged {
                verdict: Verdict::Again {
                    after: None,
                    of: Concern::Endpoint,
                },
                outcome: failure.kind.as_str(),
                status: failure.status,
                reason: failure.reason.clone(),
            };
        }
    };
    let status = answer.status;
    let judged = |verdict, outcome, reason| Judged {
        verdict,
        outcome,
        status: Some(status.as_u16()),
        reason,
    };
    if status.is_success() {
        return judged(Verdict::Delivered, "delivered", String::new());
    }
    if status == StatusCode::GONE {
        let reason = with_body("the endpoint answered 410 Gone", answer);
        return judged(Verdict::Gone, "gone", reason);
    }
    let after = retry_after(&answer.headers, now);
    let again = |of| Verdict::Again { after, of };
    if status.is_redirection() {
        let location = answer.headers.get(LOCATION);
        let location = location.map(|value| String::from_utf8_lossy(value.as_bytes()));
        let reason = match location {
            Some(location) => format!(
                "the endpoint answered {status} and points to {location}; redirects are not followed: \
                 put the final address into push.url"
            ),
            None => format!("the endpoint answered {status}; redirects are not followed"),
        };
        return judged(again(Concern::Endpoint), "redirect", reason);
    }
    let of = match status.as_u16() {
        400 | 406 | 409 | 411 | 413 | 414 | 415 | 422 | 428 | 431 => Concern::Events,
        _ => Concern::Endpoint,
    };
    let reason = with_body(&format!("the endpoint answered {status}"), answer);
    judged(again(of), "status", reason)
}

fn with_body(text: &str, answer: &Answer) -> String {
    let body = String::from_utf8_lossy(&answer.body);
    let body = body.trim();
    if body.is_empty() {
        return text.to_owned();
    }
    let mut start: String = body.chars().take(IN_REASON).collect();
    if start.len() < body.len() || answer.more {
        start.push('…');
    }
    format!("{text}: {start}")
}

#[cfg(test)]
mod tests {
    use http::{HeaderMap, HeaderValue, header::RETRY_AFTER};

    use super::{
        super::failure::{Failure, FailureKind},
        *,
    };

    fn answer(status: u16, headers: HeaderMap, body: &'static str) -> Judged {
        let answer = Answer {
            status: StatusCode::from_u16(status).expect("a status"),
            headers,
            body: body.into(),
            more: false,
        };
        let exchange = Exchange {
            ended: Ok(answer),
            took: Duration::ZERO,
        };
        judge(&exchange, 0)
    }

    #[test]
    fn each_status_has_its_meaning() {
        let again = |of| Verdict::Again { after: None, of };
        for (status, verdict) in [
            (200, Verdict::Delivered),
            (202, Verdict::Delivered),
            (204, Verdict::Delivered),
            (301, again(Concern::Endpoint)),
            (304, again(Concern::Endpoint)),
            (400, again(Concern::Events)),
            (401, again(Concern::Endpoint)),
            (404, again(Concern::Endpoint)),
            (410, Verdict::Gone),
            (413, again(Concern::Events)),
            (422, again(Concern::Events)),
            (429, again(Concern::Endpoint)),
            (500, again(Concern::Endpoint)),
            (503, again(Concern::Endpoint)),
        ] {
            let judged = answer(status, HeaderMap::new(), "");
            assert_eq!(judged.verdict, verdict, "{status}");
            assert_eq!(judged.status, Some(status));
            assert_eq!(judged.reason.is_empty(), verdict == Verdict::Delivered);
        }
    }

    #[test]
    fn reasons_say_what_came() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, HeaderValue::from_static("https://new.example/"));
        let redirect = answer(308, headers, "");
        assert!(
            redirect.reason.contains("https://new.example/"),
            "{}",
            redirect.reason
        );
        assert_eq!(redirect.outcome, "redirect");

        let mut headers = HeaderMap::new();
        headers.insert(RETRY_AFTER, HeaderValue::from_static("3"));
        let busy = answer(503, headers, " too busy \n");
        assert!(busy.reason.ends_with(": too busy"), "{}", busy.reason);
        let after = Some(Duration::from_secs(3));
        let of = Concern::Endpoint;
        assert_eq!(busy.verdict, Verdict::Again { after, of });

        let exchange = Exchange {
            ended: Err(Failure {
                kind: FailureKind::Timeout,
                reason: "no answer".to_owned(),
                status: None,
            }),
            took: Duration::ZERO,
        };
        let late = judge(&exchange, 0);
        assert_eq!(
            (late.outcome, late.reason.as_str()),
            ("timeout", "no answer")
        );
    }
}
