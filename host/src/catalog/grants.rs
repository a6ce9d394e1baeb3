//! What a step grants, as documents say it, checked and handed to those who stand behind it.
//!
//! An entry is the name of a capability (`"clock"`), or an object for one that reaches out of the
//! sandbox and needs to be told how far: `{"lookup": {…}}`, `{"http": {…}}`. Unknown fields are
//! refused.

use std::{fmt, sync::Arc, time::Duration};

use reqwest::{Method, Url};
use sandbar_plugin::{Capability, Grants, http::Http, lookup::Lookup};
use sandbar_types::Name;
use serde::{
    Deserialize, Deserializer, Serialize,
    de::{self, value::MapAccessDeserializer},
};
use utoipa::ToSchema;

use super::{State, invalid, topics};
use crate::{
    dial::{self, Targets},
    problem::Problem,
};

/// The longest that a request may take, whatever the grant.
const LONGEST_TIMEOUT_MS: u64 = 60_000;
/// The largest answer that a grant may allow.
const LARGEST_RESPONSE: u64 = 64 * 1024 * 1024;

/// One entry of a step's grants.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
#[serde(untagged)]
pub enum Grant {
    /// A capability that needs no more than its name: `clock`, `random`.
    Named(String),
    /// The latest events of topics.
    Lookup { lookup: LookupGrant },
    /// Requests to other services.
    Http { http: HttpGrant },
}

impl Grant {
    /// The name of what is other from call to call, where the grant is for such.
    #[must_use]
    pub fn varying(&self) -> Option<&str> {
        match self {
            Self::Named(name) => Some(name),
            Self::Lookup { .. } | Self::Http { .. } => None,
        }
    }
}

/// Which topics a plugin may look into. A route may look into topics that it, or a route behind it,
/// writes: reading leads no event in a circle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct LookupGrant {
    #[schema(value_type = Vec<String>)]
    pub topics: Vec<Name>,
}

/// Whom a plugin may ask, and how.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct HttpGrant {
    /// `api.example.com`, or `*.example.com` for all names below; with `:8443` that port, without
    /// one the port of the scheme.
    pub hosts: Vec<String>,
    #[serde(default = "default_methods")]
    pub methods: Vec<String>,
    /// One request with its answer, in milliseconds: 1 to 60000. It never outlasts the step's
    /// `deadline_ms`.
    #[serde(default = "default_timeout")]
    pub timeout_ms: u64,
    /// The body of an answer: at most 67108864.
    #[serde(default = "default_response")]
    pub max_response_bytes: u64,
    /// Whether addresses may be private, loopback or link-local.
    #[serde(default)]
    pub private: bool,
}

fn default_methods() -> Vec<String> {
    vec!["GET".to_owned()]
}

fn default_timeout() -> u64 {
    1000
}

fn default_response() -> u64 {
    1024 * 1024
}

impl<'de> Deserialize<'de> for Grant {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Entry)
    }
}

/// The entries that are objects.
#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
enum Detailed {
    Lookup(LookupGrant),
    Http(HttpGrant),
}

struct Entry;

impl<'de> de::Visitor<'de> for Entry {
    type Value = Grant;

    fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(
            "the name of a capability, {\"lookup\": {\"topics\": […]}} or {\"http\": {\"hosts\": […]}}",
        )
    }

    fn visit_str<E: de::Error>(self, name: &str) -> Result<Grant, E> {
        Ok(Grant::Named(name.to_owned()))
    }

    fn visit_map<A: de::MapAccess<'de>>(self, map: A) -> Result<Grant, A::Error> {
        Ok(
            match Detailed::deserialize(MapAccessDeserializer::new(map))? {
                Detailed::Lookup(lookup) => Grant::Lookup { lookup },
                Detailed::Http(http) => Grant::Http { http },
            },
        )
    }
}

/// What stands behind the capabilities that reach out of the sandbox. The hub has it; the catalog
/// only hands it on.
pub trait Services: Send + Sync + fmt::Debug {
    /// The latest events of these topics, and of no others.
    fn lookup(&self, topics: &[Name]) -> Arc<dyn Lookup>;

    /// Requests that the grant covers, and no others.
    fn http(&self, grant: &HttpGrant) -> Arc<dyn Http>;
}

/// Checks the grants at `pointer` and brings in what stands behind them.
pub(super) fn resolve(state: &State, pointer: &str, grants: &[Grant]) -> Result<Grants, Problem> {
    let mut granted = Grants::default();
    for (index, grant) in grants.iter().enumerate() {
        let pointer = format!("{pointer}/{index}");
        match grant {
            Grant::Named(name) => named(&mut granted, &pointer, name)?,
            Grant::Lookup { lookup } => {
                if granted.lookup.is_some() {
                    return Err(invalid(&pointer, "lookup is granted twice"));
                }
                let topics = lookup_topics(state, &pointer, lookup)?;
                granted.lookup = Some(state.services.lookup(&topics));
            }
            Grant::Http { http } => {
                if granted.http.is_some() {
                    return Err(invalid(&pointer, "http is granted twice"));
                }
                http.check(&format!("{pointer}/http"))?;
                granted.http = Some(state.services.http(http));
            }
        }
    }
    Ok(granted)
}

fn named(granted: &mut Grants, pointer: &str, name: &str) -> Result<(), Problem> {
    match name.parse() {
        Ok(Capability::Log | Capability::Wasi) => {}
        Ok(Capability::Clock) => granted.clock = true,
        Ok(Capability::Random) => granted.random = true,
        Ok(Capability::Lookup) => {
            return Err(invalid(
                pointer,
                "lookup needs to be told the topics: write {\"lookup\": {\"topics\": [\"TOPIC\"]}}",
            ));
        }
        Ok(Capability::Http) => {
            return Err(invalid(
                pointer,
                "http needs to be told the hosts: write {\"http\": {\"hosts\": [\"api.example.com\"]}}",
            ));
        }
        Err(_) => {
            let known = Capability::ALL
                .map(|capability| capability.to_string())
                .join(", ");
            return Err(invalid(
                pointer,
                format_args!("{name:?} is not a capability; there are {known}"),
            ));
        }
    }
    Ok(())
}

fn lookup_topics(state: &State, pointer: &str, grant: &LookupGrant) -> Result<Vec<Name>, Problem> {
    if grant.topics.is_empty() {
        return Err(invalid(
            &format!("{pointer}/lookup/topics"),
            "name at least one topic",
        ));
    }
    for (index, topic) in grant.topics.iter().enumerate() {
        topics::find(state, topic.as_str()).map_err(|problem| {
            invalid(&format!("{pointer}/lookup/topics/{index}"), &problem.detail)
                .help(problem.code.advice())
        })?;
    }
    Ok(grant.topics.clone())
}

/// The topics that some of these grants look into.
pub fn looked_up(grants: &[Grant]) -> impl Iterator<Item = &Name> {
    let topics = grants.iter().map(|grant| match grant {
        Grant::Lookup { lookup } => lookup.topics.as_slice(),
        Grant::Named(_) | Grant::Http { .. } => &[],
    });
    topics.flatten()
}

impl HttpGrant {
    fn check(&self, pointer: &str) -> Result<(), Problem> {
        let at = |field: &str| format!("{pointer}/{field}");
        if self.hosts.is_empty() {
            return Err(invalid(&at("hosts"), "name at least one host"));
        }
        for (index, host) in self.hosts.iter().enumerate() {
            let wrong = |reason: String| invalid(&at(&format!("hosts/{index}")), reason);
            let pattern = HostPattern::parse(host).map_err(wrong)?;
            // Of a name only the resolver tells.
            if !self.private
                && let Some(address) = dial::literal(&pattern.host)
                && let Err(denied) = Targets::Public.check(address)
            {
                return Err(wrong(format!(
                    "{denied}, so no request would be made; grant \"private\": true for it"
                )));
            }
        }
        if self.methods.is_empty() {
            return Err(invalid(&at("methods"), "name at least one method"));
        }
        for (index, method) in self.methods.iter().enumerate() {
            let known = Method::from_bytes(method.as_bytes())
                .is_ok_and(|known| known != Method::CONNECT && method.to_uppercase() == *method);
            if !known {
                return Err(invalid(
                    &at(&format!("methods/{index}")),
                    format_args!("{method:?} is no method; write GET, POST, …"),
                ));
            }
        }
        if !(1..=LONGEST_TIMEOUT_MS).contains(&self.timeout_ms) {
            return Err(invalid(
                &at("timeout_ms"),
                format_args!("must be within 1 to {LONGEST_TIMEOUT_MS}"),
            ));
        }
        if !(1..=LARGEST_RESPONSE).contains(&self.max_response_bytes) {
            return Err(invalid(
                &at("max_response_bytes"),
                format_args!("must be within 1 to {LARGEST_RESPONSE}"),
            ));
        }
        Ok(())
    }

    /// How long one request with its answer may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        Duration::from_millis(self.timeout_ms)
    }

    /// Whether the grant covers this method.
    #[must_use]
    pub fn covers_method(&self, method: &Method) -> bool {
        self.methods.iter().any(|one| one == method.as_str())
    }

    /// Whether the grant covers the host and the port of this URL.
    #[must_use]
    pub fn covers_host(&self, url: &Url) -> bool {
        self.hosts
            .iter()
            .filter_map(|host| HostPattern::parse(host).ok())
            .any(|pattern| pattern.covers(url))
    }
}

/// `host`, `*.host`, either with `:port`.
#[derive(Debug, PartialEq, Eq)]
struct HostPattern {
    /// Below this name, not this name itself.
    below: bool,
    /// As a URL has it: lower case, Punycode, brackets around IPv6.
    host: String,
    port: Option<u16>,
}

impl HostPattern {
    fn parse(text: &str) -> Result<Self, String> {
        let (below, rest) = match text.strip_prefix("*.") {
            Some(rest) => (true, rest),
            None => (false, text),
        };
        let wrong = || {
            format!(
                "{text:?} is no host; write api.example.com, *.example.com or one with a port: api.example.com:8443"
            )
        };
        if rest.is_empty() || rest.contains(['/', '@', '?', '#', '*', ' ', '\\']) {
            return Err(wrong());
        }
        // Read as a URL reads it, so that the two can be compared.
        let url = Url::parse(&format!("http://{rest}/")).map_err(|_| wrong())?;
        let host = url
            .host_str()
            .filter(|host| !host.is_empty())
            .ok_or_else(wrong)?;
        // The scheme's own port is left out of a URL.
        let port = match rest.rsplit_once(':') {
            Some((_, digits)) if !rest.ends_with(']') => Some(digits.parse().map_err(|_| wrong())?),
            _ => None,
        };
        Ok(Self {
            below,
            host: host.to_owned(),
            port,
        })
    }

    fn covers(&self, url: &Url) -> bool {
        let (Some(host), Some(port)) = (url.host_str(), url.port_or_known_default()) else {
            return false;
        };
        let fits = match host.strip_suffix(&self.host) {
            Some("") => !self.below,
            Some(labels) => self.below && labels.len() > 1 && labels.ends_with('.'),
            None => false,
        };
        let expected = self.port.or(match url.scheme() {
            "http" => Some(80),
            "https" => Some(443),
            _ => None,
        });
        fits && expected == Some(port)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn covers(pattern: &str, url: &str) -> bool {
        let pattern = HostPattern::parse(pattern).expect(pattern);
        pattern.covers(&Url::parse(url).expect(url))
    }

    #[test]
    fn a_host_is_itself_and_nothing_else() {
        for (pattern, url) in [
            ("api.example.com", "https://api.example.com/x"),
            ("api.example.com", "http://API.example.com/"),
            ("API.Example.com", "http://api.example.com/"),
            ("api.example.com:8443", "https://api.example.com:8443/"),
            ("api.example.com:443", "https://api.example.com/"),
            ("*.example.com", "https://a.b.example.com/"),
            ("bücher.example", "http://xn--bcher-kva.example/"),
            ("127.0.0.1:80", "http://2130706433/"),
            ("[::1]:8080", "http://[0:0:0:0:0:0:0:1]:8080/"),
        ] {
            assert!(covers(pattern, url), "{pattern} {url}");
        }
        for (pattern, url) in [
            ("api.example.com", "https://api.example.com:8443/"),
            ("api.example.com", "https://xapi.example.com/"),
            ("api.example.com", "https://api.example.com.evil.test/"),
            ("api.example.com", "https://evil.test/api.example.com"),
            ("api.example.com", "https://api.example.com@evil.test/"),
            ("*.example.com", "https://example.com/"),
            ("*.example.com", "https://badexample.com/"),
            ("*.example.com:8443", "https://a.example.com/"),
            ("example.com", "ftp://example.com/"),
        ] {
            assert!(!covers(pattern, url), "{pattern} {url}");
        }
    }

    #[test]
    fn what_is_no_host_is_refused() {
        for text in [
            "", "*", "*.", "a b", "http://a", "a/b", "u@a", "a:port", "*.*.a", "a:99999",
        ] {
            assert!(HostPattern::parse(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn entries_are_names_or_objects() {
        // As the version before wrote them.
        let read = |text: &str| serde_json::from_str::<Vec<Grant>>(text);
        let before = read(r#"["clock","random"]"#).expect("names");
        assert_eq!(before[0], Grant::Named("clock".to_owned()));
        let text = r#"["clock",{"lookup":{"topics":["customers"]}},{"http":{"hosts":["a.test"],"methods":["POST"],"timeout_ms":5,"max_response_bytes":7,"private":true}}]"#;
        let grants = read(text).expect("names and objects");
        assert_eq!(serde_json::to_string(&grants).expect("JSON"), text);
        assert_eq!(
            looked_up(&grants).map(Name::as_str).collect::<Vec<_>>(),
            ["customers"]
        );
        // As in sandbar.yaml, too.
        let yaml = "[clock, {lookup: {topics: [customers]}}, {http: {hosts: [a.test], methods: [POST], timeout_ms: 5, max_response_bytes: 7, private: true}}]";
        assert_eq!(
            serde_yaml_ng::from_str::<Vec<Grant>>(yaml).expect("YAML"),
            grants
        );
        for (text, words) in [
            (r#"[{"lookup":{"topic":["a"]}}]"#, "topic"),
            (
                r#"[{"http":{"hosts":["a"],"redirects":true}}]"#,
                "redirects",
            ),
            (r#"[{"clock":{}}]"#, "clock"),
            (
                r#"[{"lookup":{"topics":["a"]},"http":{"hosts":["b"]}}]"#,
                "",
            ),
            ("[7]", "the name of a capability"),
        ] {
            let error = read(text).expect_err(text).to_string();
            assert!(error.contains(words), "{text}: {error}");
        }
    }
}
