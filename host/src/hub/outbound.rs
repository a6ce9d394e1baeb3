//! Requests of plugins to other services.
//!
//! What a grant does not cover is refused before anything is sent. Unless the grant says `private`,
//! only addresses of the public internet are dialled: names are resolved by [`Public`], which gives
//! the connector nothing else, so that the address that was checked is the one that is dialled,
//! each time anew. Redirects are answers like any other, there is no proxy, and no cookies. A request
//! with its answer never takes longer than the grant and the call of the plugin allow.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use reqwest::{
    Client, Method, Url,
    dns::{Addrs, Name, Resolve, Resolving},
    header::{HeaderMap, HeaderName, HeaderValue},
    redirect::Policy,
};
use sandbar_plugin::http::{Error, Http, Request, Response};
use tokio::runtime::Handle;

use crate::{
    catalog::HttpGrant,
    dial::{self, Denied, Targets},
};

/// A connection that nobody used for so long is closed.
const IDLE: Duration = Duration::from_secs(30);
const IDLE_PER_HOST: usize = 4;
/// Headers that are the connection's business, not the plugin's.
const OWN_HEADERS: [&str; 8] = [
    "host",
    "content-length",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "upgrade",
    "te",
    "trailer",
];

/// The clients that all grants share.
#[derive(Debug)]
pub(super) struct Outbound {
    runtime: Handle,
    /// Dials public addresses only.
    public: Client,
    any: Client,
}

/// Requests under one grant.
#[derive(Debug)]
pub(super) struct GrantedHttp {
    pub(super) outbound: Arc<Outbound>,
    pub(super) grant: HttpGrant,
}

impl Outbound {
    /// Must be called in the context of the runtime that is to do the work.
    pub(super) fn new() -> Result<Self, String> {
        let client = || {
            Client::builder()
                .user_agent(concat!("sandbar/", env!("CARGO_PKG_VERSION")))
                .redirect(Policy::none())
                .no_proxy()
                .referer(false)
                .pool_idle_timeout(IDLE)
                .pool_max_idle_per_host(IDLE_PER_HOST)
        };
        let wrong = |error: reqwest::Error| format!("cannot set up HTTP for plugins: {error}");
        Ok(Self {
            runtime: Handle::try_current().map_err(|error| error.to_string())?,
            public: client()
                .dns_resolver(Arc::new(Public))
                .build()
                .map_err(wrong)?,
            any: client().build().map_err(wrong)?,
        })
    }
}

impl Http for GrantedHttp {
    fn send(&self, request: Request, until: Instant) -> Result<Response, Error> {
        let Request {
            method,
            url,
            headers,
            body,
        } = request;
        let method = Method::from_bytes(method.as_bytes())
            .map_err(|_| Error::InvalidRequest(format!("{method:?} is no method")))?;
        let url = Url::parse(&url).map_err(|error| {
            Error::InvalidRequest(format!("{url:?} is no absolute URL: {error}"))
        })?;
        let headers = headers_of(headers)?;
        self.covers(&method, &url)?;
        let client = if self.grant.private {
            &self.outbound.any
        } else {
            &self.outbound.public
        };
        let time = until.saturating_duration_since(Instant::now());
        let time = time.min(self.grant.timeout());
        let exchange = exchange(
            client.request(method, url).headers(headers).body(body),
            self.grant.max_response_bytes,
        );
        // On the plugin's own thread, which is none of the runtime's.
        self.outbound.runtime.block_on(async {
            match tokio::time::timeout(time, exchange).await {
                Ok(answer) => answer,
                Err(_) => Err(Error::Timeout),
            }
        })
    }
}

impl GrantedHttp {
    fn covers(&self, method: &Method, url: &Url) -> Result<(), Error> {
        if !matches!(url.scheme(), "http" | "https") {
            let reason = format!("{} is neither http nor https", url.scheme());
            return Err(Error::InvalidRequest(reason));
        }
        if !url.username().is_empty() || url.password().is_some() {
            let reason = "no user and password in a URL; send the header authorization";
            return Err(Error::InvalidRequest(reason.to_owned()));
        }
        if !self.grant.covers_method(method) {
            let reason = format!(
                "the method {method} is not among {}",
                self.grant.methods.join(", ")
            );
            return Err(Error::NotGranted(reason));
        }
        let host = url.host_str().unwrap_or_default();
        if !self.grant.covers_host(url) {
            let port = url.port_or_known_default().unwrap_or_default();
            let reason = format!("{host}:{port} is not among {}", self.grant.hosts.join(", "));
            return Err(Error::NotGranted(reason));
        }
        // An address is not resolved, so nobody else would look at it.
        if let Some(address) = dial::literal(host)
            && !self.grant.private
        {
            Targets::Public
                .check(address)
                .map_err(|denied| not_granted(&denied))?;
        }
        Ok(())
    }
}

fn headers_of(pairs: Vec<(String, String)>) -> Result<HeaderMap, Error> {
    let mut headers = HeaderMap::new();
    for (name, value) in pairs {
        let wrong = |what: &str| Error::InvalidRequest(format!("the header {name:?} {what}"));
        let key: HeaderName = name.parse().map_err(|_| wrong("has no legal name"))?;
        if OWN_HEADERS.contains(&key.as_str()) {
            return Err(wrong("is set by the hub"));
        }
        let value = HeaderValue::from_str(&value).map_err(|_| wrong("has no legal value"))?;
        headers.append(key, value);
    }
    Ok(headers)
}

async fn exchange(request: reqwest::RequestBuilder, limit: u64) -> Result<Response, Error> {
    let mut answer = request.send().await.map_err(|error| failure(&error))?;
    let headers = answer.headers().iter().map(|(name, value)| {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        (name.to_string(), value)
    });
    let mut response = Response {
        status: answer.status().as_u16(),
        headers: headers.collect(),
        body: Vec::new(),
    };
    while let Some(chunk) = answer.chunk().await.map_err(|error| failure(&error))? {
        if (response.body.len() + chunk.len()) as u64 > limit {
            return Err(Error::TooLarge(limit));
        }
        response.body.extend_from_slice(&chunk);
    }
    Ok(response)
}

/// What a failed exchange is to the plugin.
fn failure(error: &reqwest::Error) -> Error {
    let mut inner: &dyn std::error::Error = error;
    loop {
        if let Some(denied) = inner.downcast_ref::<Denied>() {
            return not_granted(denied);
        }
        match inner.source() {
            Some(source) => inner = source,
            None => break,
        }
    }
    if error.is_timeout() {
        Error::Timeout
    } else if error.is_builder() {
        Error::InvalidRequest(inner.to_string())
    } else {
        Error::Unreachable(inner.to_string())
    }
}

fn not_granted(denied: &Denied) -> Error {
    Error::NotGranted(format!(
        "{denied}; a grant with \"private\": true covers it"
    ))
}

/// Resolves names to public addresses only.
#[derive(Debug)]
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            match Targets::Public.resolve(name.as_str(), 0).await {
                Ok(found) => Ok(Box::new(found.into_iter()) as Addrs),
                Err(dial::Refused::Denied(denied)) => Err(denied.into()),
                Err(dial::Refused::Unresolved(unresolved)) => Err(unresolved.into()),
            }
        })
    }
}
