//! Requests of plugins to other services.
//!
//! What a grant does not cover is refused before anything is sent. Unless the grant says `private`,
//! only addresses of the public internet are dialled: names are resolved by [`Public`], which gives
//! the connector nothing else, so that the address that was checked is the one that is dialled,
//! each time anew. Redirects are answers like any other, there is no proxy, and no cookies. A request
//! with its answer never takes longer than the grant and the call of the plugin allow.

use std::{
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
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

use crate::catalog::HttpGrant;

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
        if let Ok(address) = host.trim_matches(['[', ']']).parse()
            && !self.grant.private
            && !is_public(address)
        {
            return Err(Error::NotGranted(Denied(address).to_string()));
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
            return Error::NotGranted(denied.to_string());
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

/// An address that the grant does not cover.
#[derive(Debug, thiserror::Error)]
#[error("{0} is not a public address; a grant with \"private\": true covers it")]
struct Denied(IpAddr);

/// Resolves names to public addresses only.
#[derive(Debug)]
struct Public;

impl Resolve for Public {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let found: Vec<_> = tokio::net::lookup_host((name.as_str(), 0)).await?.collect();
            let denied = found.iter().find(|address| !is_public(address.ip()));
            match denied {
                // One is enough: a name that mixes them is up to something.
                Some(address) => Err(Denied(address.ip()).into()),
                None => Ok(Box::new(found.into_iter()) as Addrs),
            }
        })
    }
}

/// Whether an address is one of the public internet (IANA's special-purpose registries).
fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => is_public_v4(address),
        IpAddr::V6(address) => is_public_v6(address),
    }
}

fn is_public_v4(address: Ipv4Addr) -> bool {
    let [a, b, c, _] = address.octets();
    !(address.is_private()
        || address.is_loopback()
        || address.is_link_local()
        || address.is_multicast()
        || address.is_documentation()
        || a == 0
        // Reserved, and broadcast.
        || a >= 240
        // Shared by carriers.
        || (a == 100 && (64..128).contains(&b))
        || (a == 192 && b == 0 && c == 0)
        // Benchmarks.
        || (a == 198 && (18..20).contains(&b)))
}

fn is_public_v6(address: Ipv6Addr) -> bool {
    let segments = address.segments();
    let embedded = |high: u16, low: u16| {
        let ([a, b], [c, d]) = (high.to_be_bytes(), low.to_be_bytes());
        is_public_v4(Ipv4Addr::new(a, b, c, d))
    };
    match segments {
        // Unspecified, loopback, IPv4-compatible and IPv4-mapped.
        [0, 0, 0, 0, 0, 0 | 0xffff, high, low] => embedded(high, low),
        // NAT64.
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] => embedded(high, low),
        [0x64, 0xff9b, ..] => false,
        // 6to4.
        [0x2002, high, low, ..] => embedded(high, low),
        // Teredo, benchmarks, ORCHID and the like.
        [0x2001, second, ..] if second < 0x200 => false,
        // Documentation.
        [0x2001, 0xdb8, ..] | [0x3fff, ..] => false,
        // Global unicast; what is left is discard-only, unique local, link-local, site-local,
        // multicast, or not given out.
        [first, ..] => (first & 0xe000) == 0x2000,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_internet_are_public() {
        for public in [
            "1.1.1.1",
            "100.63.0.1",
            "172.32.0.1",
            "198.20.0.1",
            "2606:4700::1111",
            "2001:4860:4860::8888",
            "::ffff:1.1.1.1",
            "64:ff9b::101:101",
        ] {
            assert!(is_public(public.parse().expect(public)), "{public}");
        }
        for other in [
            "0.0.0.0",
            "10.1.2.3",
            "100.64.0.1",
            "127.0.0.1",
            "127.9.9.9",
            "169.254.169.254",
            "172.16.0.1",
            "192.0.0.8",
            "192.168.1.1",
            "198.18.0.1",
            "224.0.0.1",
            "255.255.255.255",
            "::",
            "::1",
            "::127.0.0.1",
            "::ffff:10.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::1",
            "2002:7f00:1::1",
            "2001::1",
            "2001:db8::1",
            "fc00::1",
            "fd12:3456::1",
            "fe80::1",
            "fec0::1",
            "ff02::1",
            "100::1",
        ] {
            assert!(!is_public(other.parse().expect(other)), "{other}");
        }
    }
}
