//! Looks things up and asks other services, as the event's payload says; what comes back, also an
//! error, is what it emits.
//!
//! - `{"topic": …, "key": …}`: the event looked up, under `found`;
//! - `{"url": …, "method": …, "headers": {…}}`: the answer, under `status`, `headers` and `body`.
//!
//! With the config `{"start": {…}}` the same is done while the plugin starts, and logged.

use std::collections::BTreeMap;

use sandbar_sdk::{Event, Output, Problem, Verdict, http, log, lookup};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
#[serde(try_from = "Given")]
struct Config;

#[derive(Deserialize)]
struct Given {
    start: Option<Wish>,
}

impl TryFrom<Given> for Config {
    type Error = String;

    fn try_from(given: Given) -> Result<Self, String> {
        if let Some(wish) = given.start {
            log::info(format!("at the start: {}", wish.fulfil()));
        }
        Ok(Self)
    }
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Wish {
    Lookup {
        topic: String,
        key: String,
    },
    Http {
        url: String,
        #[serde(default = "get")]
        method: String,
        #[serde(default)]
        headers: BTreeMap<String, String>,
    },
}

fn get() -> String {
    "GET".to_owned()
}

impl Wish {
    fn fulfil(self) -> Value {
        match self {
            Self::Lookup { topic, key } => match lookup::get(&topic, &key) {
                Ok(None) => json!({"found": null}),
                Ok(Some(event)) => json!({
                    "found": event.json::<Value>().unwrap_or_default(),
                    "id": event.id,
                    "type": event.r#type,
                    "extensions": event.extensions,
                }),
                Err(lookup::Error::NotGranted) => json!({"error": "not-granted"}),
                Err(lookup::Error::Unavailable(reason)) => {
                    json!({"error": "unavailable", "reason": reason})
                }
            },
            Self::Http {
                url,
                method,
                headers,
            } => {
                let request = headers
                    .into_iter()
                    .fold(http::Request::new(method, url), |request, (name, value)| {
                        request.header(name, value)
                    });
                answer(http::send(&request))
            }
        }
    }
}

fn answer(answer: Result<http::Response, http::Error>) -> Value {
    let (error, reason) = match answer {
        Ok(answer) => {
            return json!({
                "status": answer.status,
                "headers": answer.headers.into_iter().collect::<BTreeMap<_, _>>(),
                "body": String::from_utf8_lossy(&answer.body),
            });
        }
        Err(http::Error::NotGranted(reason)) => ("not-granted", reason),
        Err(http::Error::InvalidRequest(reason)) => ("invalid-request", reason),
        Err(http::Error::Timeout) => ("timeout", String::new()),
        Err(http::Error::TooLarge(limit)) => ("too-large", limit.to_string()),
        Err(http::Error::Unreachable(reason)) => ("unreachable", reason),
    };
    json!({"error": error, "reason": reason})
}

fn transform(event: &Event<'_>, _: &Option<Config>) -> Result<Verdict, Problem> {
    let wish: Wish = event.json()?;
    Ok(Verdict::emit(Output::json(&wish.fulfil())?))
}

sandbar_sdk::plugin!(transform, config: Option<Config>);
