//! The validation handshake of CloudEvents webhooks (HTTP 1.1 Web Hooks for Event Delivery §4): the
//! endpoint is asked with OPTIONS whether it wants events of this origin, and how many. Pure: the
//! answer is judged here, and asked for elsewhere.

use http::{HeaderMap, HeaderName, StatusCode};

/// Who wants to send.
pub const REQUEST_ORIGIN: HeaderName = HeaderName::from_static("webhook-request-origin");
const ALLOWED_ORIGIN: HeaderName = HeaderName::from_static("webhook-allowed-origin");
const ALLOWED_RATE: HeaderName = HeaderName::from_static("webhook-allowed-rate");

/// What an endpoint allows: requests per minute; `None`: as many as there are.
pub type Allowed = Option<u32>;

/// # Errors
/// When the answer allows nothing, and why.
pub fn judge(status: StatusCode, headers: &HeaderMap, origin: &str) -> Result<Allowed, String> {
    if !status.is_success() {
        return Err(format!(
            "the endpoint answered OPTIONS with {status}; it must answer 200 with WebHook-Allowed-Origin"
        ));
    }
    let text = |name: &HeaderName| {
        let value = headers.get(name).and_then(|value| value.to_str().ok());
        value.map(str::trim)
    };
    let Some(allowed) = text(&ALLOWED_ORIGIN) else {
        return Err("the endpoint's answer to OPTIONS has no WebHook-Allowed-Origin".to_owned());
    };
    let matches = allowed
        .split(',')
        .map(str::trim)
        .any(|one| one == "*" || one.eq_ignore_ascii_case(origin));
    if !matches {
        return Err(format!(
            "the endpoint allows events of {allowed:?}, and this hub's origin is {origin:?} (push.origin)"
        ));
    }
    match text(&ALLOWED_RATE) {
        None | Some("*") => Ok(None),
        Some(rate) => match rate.parse::<u32>() {
            Ok(rate) if rate > 0 => Ok(Some(rate)),
            _ => Err(format!(
                "the endpoint's WebHook-Allowed-Rate is {rate:?}, neither a number from 1 on nor *"
            )),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ask(status: u16, headers: &[(&HeaderName, &str)]) -> Result<Allowed, String> {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, value.parse().expect("a value"));
        }
        judge(
            StatusCode::from_u16(status).expect("a status"),
            &map,
            "hub.example",
        )
    }

    #[test]
    fn permission_is_what_the_answer_says() {
        assert_eq!(ask(200, &[(&ALLOWED_ORIGIN, "*")]), Ok(None));
        assert_eq!(ask(204, &[(&ALLOWED_ORIGIN, "Hub.Example")]), Ok(None));
        let limited = [(&ALLOWED_ORIGIN, "hub.example"), (&ALLOWED_RATE, "120")];
        assert_eq!(ask(200, &limited), Ok(Some(120)));
        assert_eq!(
            ask(200, &[(&ALLOWED_ORIGIN, "*"), (&ALLOWED_RATE, "*")]),
            Ok(None)
        );
    }

    #[test]
    fn what_allows_nothing_says_why() {
        for (answer, words) in [
            (ask(405, &[(&ALLOWED_ORIGIN, "*")]), "405"),
            (ask(200, &[]), "no WebHook-Allowed-Origin"),
            (
                ask(200, &[(&ALLOWED_ORIGIN, "other.example")]),
                "other.example",
            ),
            (
                ask(200, &[(&ALLOWED_ORIGIN, "*"), (&ALLOWED_RATE, "0")]),
                "\"0\"",
            ),
        ] {
            let reason = answer.expect_err("allows nothing");
            assert!(reason.contains(words), "{reason}");
        }
    }
}
