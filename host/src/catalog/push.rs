//! The part of a subscription's document that has its events sent to a webhook, and its checks.
//!
//! Secrets and the values of headers go one way: answers show a mask in their place
//! ([`PushDocument::masked`]), and a document that repeats the mask keeps what is there
//! ([`PushDocument::unmask`]). It knows no HTTP client and sends nothing.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use reqwest::{
    Url,
    header::{HeaderName, HeaderValue},
};
use rustls::{
    RootCertStore,
    pki_types::{CertificateDer, pem::PemObject},
};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use utoipa::ToSchema;

use super::invalid;
use crate::{
    dial::{self, Targets},
    problem::Problem,
};

/// What a secret starts with (Standard Webhooks, "Signature scheme": symmetric).
pub const SECRET_PREFIX: &str = "whsec_";
/// Stands in place of what is not shown.
pub const MASK: &str = "…";
/// Bytes of a secret, decoded (Standard Webhooks: 24 to 64).
const SECRET_BYTES: std::ops::RangeInclusive<usize> = 24..=64;
const MOST_SECRETS: usize = 8;
const MOST_HEADERS: usize = 64;
const LONGEST_HEADER: usize = 8 * 1024;
const LONGEST_URL: usize = 4 * 1024;
const LONGEST_PEM: usize = 256 * 1024;

/// Headers that the hub sets, or that belong to the connection.
const OWN_HEADERS: [&str; 15] = [
    "host",
    "content-type",
    "content-length",
    "content-encoding",
    "transfer-encoding",
    "connection",
    "keep-alive",
    "proxy-connection",
    "upgrade",
    "te",
    "trailer",
    "expect",
    "webhook-id",
    "webhook-timestamp",
    "webhook-signature",
];

/// How a request carries one event (CloudEvents HTTP binding §3).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PushMode {
    /// Attributes in `ce-*` headers, the body is the data.
    #[default]
    Binary,
    /// The event as a JSON object.
    Structured,
}

/// Several events in one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushBatch {
    /// 1 to 1000. A request goes out with what is due; it waits for no more.
    pub max_events: u32,
}

/// How long the parts of an exchange may take.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PushTimeouts {
    /// To resolve the name, connect and agree on TLS: at most 60000.
    pub connect_ms: u64,
    /// From the start of the request to the head of the answer: at most 300000.
    pub first_byte_ms: u64,
    /// The whole exchange: at most 600000.
    pub total_ms: u64,
}

impl Default for PushTimeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5_000,
            first_byte_ms: 15_000,
            total_ms: 30_000,
        }
    }
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(MASK)
    }
}

/// Where and how the events of a subscription are sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushDocument {
    /// `https://…` or `http://…`. Redirects are not followed.
    pub url: String,
    #[serde(default)]
    pub mode: PushMode,
    /// With it, requests are `application/cloudevents-batch+json`, whatever the mode.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<PushBatch>,
    /// Sent with every request. Values are never shown again; a document that repeats the mask
    /// keeps them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schema(value_type = BTreeMap<String, String>)]
    pub headers: BTreeMap<String, Secret>,
    /// Standard Webhooks secrets, `whsec_` and 24 to 64 bytes in base64. Every request is signed
    /// with each of them. Never shown again; a document that repeats the mask keeps them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schema(value_type = Vec<String>)]
    pub secrets: Vec<Secret>,
    /// Requests under way at a time: 1 to 256.
    #[serde(default = "default_concurrency")]
    pub concurrency: u32,
    #[serde(default)]
    pub timeouts: PushTimeouts,
    /// Ask the endpoint for its permission first (CloudEvents HTTP Webhook §4).
    #[serde(default)]
    pub handshake: bool,
    /// Who asks: `WebHook-Request-Origin`.
    #[serde(default = "default_origin")]
    pub origin: String,
    /// The certificates that the endpoint's may be signed by, in place of the public ones; or its
    /// own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

fn default_concurrency() -> u32 {
    8
}

fn default_origin() -> String {
    "sandbar".to_owned()
}

impl PushDocument {
    /// Checks the document, which stands at `pointer`, and gives the URL its normal form.
    ///
    /// # Errors
    /// `invalid-document`; no text of it shows a secret.
    pub fn check(&mut self, pointer: &str, targets: &Targets) -> Result<(), Problem> {
        let url = check_url(&format!("{pointer}/url"), &self.url, targets)?;
        self.url = url.as_str().to_owned();
        self.check_headers(&format!("{pointer}/headers"))?;
        self.check_secrets(&format!("{pointer}/secrets"))?;
        self.check_numbers(pointer)?;
        if self.origin.is_empty()
            || self.origin.len() > 255
            || HeaderValue::from_str(&self.origin).is_err()
        {
            let pointer = format!("{pointer}/origin");
            return Err(invalid(&pointer, "is no name such as hub.example.com"));
        }
        if let Some(pem) = &self.ca_pem {
            let pointer = format!("{pointer}/ca_pem");
            if url.scheme() != "https" {
                return Err(invalid(&pointer, "has no use with an http URL"));
            }
            roots(pem).map_err(|reason| invalid(&pointer, reason))?;
        }
        Ok(())
    }

    fn check_headers(&self, pointer: &str) -> Result<(), Problem> {
        if self.headers.len() > MOST_HEADERS {
            return Err(invalid(pointer, format!("at most {MOST_HEADERS} headers")));
        }
        let mut seen: Vec<HeaderName> = Vec::new();
        for (name, value) in &self.headers {
            let pointer = format!("{pointer}/{}", crate::pointer::token(name));
            let wrong = |reason: &str| Err(invalid(&pointer, reason));
            let Ok(header) = name.parse::<HeaderName>() else {
                return wrong("is no legal name of a header");
            };
            if OWN_HEADERS.contains(&header.as_str()) || header.as_str().starts_with("ce-") {
                return wrong("is set by the hub; leave it out");
            }
            if seen.contains(&header) {
                return wrong("is there twice: names of headers do not tell case apart");
            }
            seen.push(header);
            if value.0.len() > LONGEST_HEADER || HeaderValue::from_str(&value.0).is_err() {
                return wrong("has no legal value: visible ASCII, spaces and tabs, at most 8 KiB");
            }
        }
        Ok(())
    }

    fn check_secrets(&self, pointer: &str) -> Result<(), Problem> {
        if self.secrets.len() > MOST_SECRETS {
            return Err(invalid(pointer, format!("at most {MOST_SECRETS} secrets")));
        }
        for (index, secret) in self.secrets.iter().enumerate() {
            let pointer = format!("{pointer}/{index}");
            secret.key().map_err(|reason| invalid(&pointer, reason))?;
            if self.secrets[..index].contains(secret) {
                return Err(invalid(&pointer, "is the same as an earlier one"));
            }
        }
        Ok(())
    }

    fn check_numbers(&self, pointer: &str) -> Result<(), Problem> {
        let timeouts = &self.timeouts;
        let batch = self.batch.map_or(1, |batch| batch.max_events);
        for (name, value, most) in [
            ("concurrency", u64::from(self.concurrency), 256),
            ("batch/max_events", u64::from(batch), 1000),
            ("timeouts/connect_ms", timeouts.connect_ms, 60_000),
            ("timeouts/first_byte_ms", timeouts.first_byte_ms, 300_000),
            ("timeouts/total_ms", timeouts.total_ms, 600_000),
        ] {
            if !(1..=most).contains(&value) {
                let reason = format!("{value} is not within 1 and {most}");
                return Err(invalid(&format!("{pointer}/{name}"), reason));
            }
        }
        // Who names the whole only means a part of it by the others, too: `total_ms` ends them all.
        let named = timeouts.connect_ms != PushTimeouts::default().connect_ms;
        if named && timeouts.connect_ms > timeouts.total_ms {
            let reason = format!(
                "{} is more than timeouts/total_ms, {}: a connection could never be given so long",
                timeouts.connect_ms, timeouts.total_ms
            );
            return Err(invalid(&format!("{pointer}/timeouts/connect_ms"), reason));
        }
        Ok(())
    }

    /// As answers show it: a secret as `whsec_…` with the first 8 hex digits of its SHA-256, so that
    /// the mask says which; the value of a header as `…`; the URL in its normal form.
    #[must_use]
    pub fn masked(&self) -> Self {
        let mut shown = self.clone();
        if let Ok(mut url) = Url::parse(&shown.url) {
            url.set_fragment(None);
            shown.url = url.into();
        }
        for secret in &mut shown.secrets {
            if !secret.0.contains(MASK) {
                *secret = Secret(secret.mask());
            }
        }
        for value in shown.headers.values_mut() {
            MASK.clone_into(&mut value.0);
        }
        shown
    }

    /// Puts what `old` has in place of masks. To be called before [`PushDocument::check`].
    ///
    /// # Errors
    /// `invalid-document`, when a mask stands for nothing that is there.
    pub fn unmask(&mut self, pointer: &str, old: Option<&Self>) -> Result<(), Problem> {
        for (index, secret) in self.secrets.iter_mut().enumerate() {
            let Some(print) = secret.0.strip_prefix(SECRET_PREFIX) else {
                continue;
            };
            if !print.starts_with(MASK) {
                continue;
            }
            let known = old.map_or(&[][..], |old| &old.secrets);
            let found = match known {
                [only] if print == MASK => Some(only),
                _ => known.iter().find(|known| known.mask() == secret.0),
            };
            let Some(found) = found else {
                return Err(invalid(
                    &format!("{pointer}/secrets/{index}"),
                    "is a mask, and there is no such secret to keep; give the secret itself",
                ));
            };
            *secret = found.clone();
        }
        for (name, value) in &mut self.headers {
            if value.0 != MASK {
                continue;
            }
            let known = old.into_iter().flat_map(|old| &old.headers);
            let known = known
                .into_iter()
                .find(|known| known.0.eq_ignore_ascii_case(name));
            let Some((_, known)) = known else {
                return Err(invalid(
                    &format!("{pointer}/headers/{name}"),
                    "is a mask, and there is no such header to keep; give the value itself",
                ));
            };
            *value = known.clone();
        }
        Ok(())
    }
}

impl Secret {
    /// The key that a secret of signatures holds.
    ///
    /// # Errors
    /// What is wrong with its form, without showing it.
    pub fn key(&self) -> Result<Vec<u8>, String> {
        let Some(encoded) = self.0.strip_prefix(SECRET_PREFIX) else {
            return Err(format!("does not start with {SECRET_PREFIX:?}"));
        };
        let key = STANDARD.decode(encoded).map_err(|error| {
            // The error's own text would show a byte of the secret.
            match error {
                base64::DecodeError::InvalidByte(place, _) => {
                    format!("is not base64 behind {SECRET_PREFIX:?}: see character {place}")
                }
                _ => format!("is not base64 behind {SECRET_PREFIX:?}: its length or padding"),
            }
        })?;
        if !SECRET_BYTES.contains(&key.len()) {
            return Err(format!(
                "holds {} bytes; it must be {} to {} (openssl rand -base64 32)",
                key.len(),
                SECRET_BYTES.start(),
                SECRET_BYTES.end()
            ));
        }
        Ok(key)
    }

    fn mask(&self) -> String {
        let digest = Sha256::digest(self.0.as_bytes());
        let print: String = digest[..4]
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect();
        format!("{SECRET_PREFIX}{MASK}{print}")
    }
}

fn check_url(pointer: &str, text: &str, targets: &Targets) -> Result<Url, Problem> {
    let wrong = |reason: String| invalid(pointer, reason);
    if text.len() > LONGEST_URL {
        return Err(wrong(format!("is longer than {LONGEST_URL} bytes")));
    }
    let mut url = Url::parse(text).map_err(|error| {
        wrong(format!(
            "is no URL such as https://example.com/hook: {error}"
        ))
    })?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(wrong(format!("{} is neither http nor https", url.scheme())));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(wrong(
            "holds a user or a password; send the header authorization instead (push.headers)"
                .to_owned(),
        ));
    }
    let host = url.host_str().unwrap_or_default();
    if host.is_empty() {
        return Err(wrong("names no host".to_owned()));
    }
    if url.port() == Some(0) {
        return Err(wrong("port 0 cannot be dialled".to_owned()));
    }
    if let Some(address) = dial::literal(host) {
        targets
            .check(address)
            .map_err(|denied| wrong(format!("{denied}; {PRIVATE_TARGETS_HELP}")))?;
    }
    url.set_fragment(None);
    Ok(url)
}

/// How private addresses are allowed, for error texts.
pub const PRIVATE_TARGETS_HELP: &str =
    "the hub sends to private addresses when it is started with --allow-private-targets";

/// The certificates of a PEM text.
///
/// # Errors
/// In words.
pub fn roots(pem: &str) -> Result<(RootCertStore, Vec<CertificateDer<'static>>), String> {
    if pem.len() > LONGEST_PEM {
        return Err(format!("is longer than {LONGEST_PEM} bytes"));
    }
    let mut store = RootCertStore::empty();
    let mut certificates = Vec::new();
    for certificate in CertificateDer::pem_slice_iter(pem.as_bytes()) {
        let certificate = certificate.map_err(|error| format!("is no PEM: {error}"))?;
        store.add(certificate.clone()).map_err(|error| {
            format!(
                "certificate {} cannot be used: {error}",
                certificates.len() + 1
            )
        })?;
        certificates.push(certificate);
    }
    if certificates.is_empty() {
        return Err("holds no certificate (-----BEGIN CERTIFICATE-----)".to_owned());
    }
    Ok((store, certificates))
}

#[cfg(test)]
mod tests;
