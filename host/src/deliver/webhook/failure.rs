//! Why there is no whole answer of an endpoint, told from the errors of the layers below: resolver,
//! TCP, TLS and HTTP. Pure.

use std::{error::Error, io};

use super::connector::{ConnectFailed, ConnectTimeout};
use crate::{catalog::PRIVATE_TARGETS_HELP, dial::Refused};

/// What kind of trouble there was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FailureKind {
    /// The name has no address.
    Dns,
    /// The address may not be dialled.
    Denied,
    Connect,
    Tls,
    /// In connecting, until the first byte, or in all.
    Timeout,
    /// The connection ended before the answer did.
    Closed,
    /// What came is no HTTP.
    Protocol,
}

impl FailureKind {
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Dns => "dns",
            Self::Denied => "denied",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Timeout => "timeout",
            Self::Closed => "closed",
            Self::Protocol => "protocol",
        }
    }
}

/// Why there is no whole answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}")]
pub struct Failure {
    pub kind: FailureKind,
    pub reason: String,
    /// The status, when the head of the answer had come.
    pub status: Option<u16>,
}

impl Failure {
    pub fn new(kind: FailureKind, reason: impl Into<String>) -> Self {
        Self {
            kind,
            reason: reason.into(),
            status: None,
        }
    }
}

/// What an error in dialling, sending or reading means.
pub fn failure(error: &(dyn Error + 'static)) -> Failure {
    let mut at: &(dyn Error + 'static) = error;
    let mut closed = false;
    loop {
        if let Some(refused) = at.downcast_ref::<Refused>() {
            return match refused {
                Refused::Denied(denied) => Failure::new(
                    FailureKind::Denied,
                    format!("{denied}; {PRIVATE_TARGETS_HELP}"),
                ),
                Refused::Unresolved(unresolved) => {
                    Failure::new(FailureKind::Dns, unresolved.to_string())
                }
            };
        }
        if let Some(late) = at.downcast_ref::<ConnectTimeout>() {
            return Failure::new(FailureKind::Timeout, late.to_string());
        }
        if let Some(failed) = at.downcast_ref::<ConnectFailed>() {
            return Failure::new(FailureKind::Connect, failed.to_string());
        }
        if let Some(error) = at.downcast_ref::<rustls::Error>() {
            return Failure::new(FailureKind::Tls, tls_reason(error));
        }
        if let Some(error) = at.downcast_ref::<hyper::Error>() {
            closed |= error.is_incomplete_message() || error.is_closed() || error.is_canceled();
            if error.is_parse() {
                let reason = format!("the answer is no HTTP: {error}");
                return Failure::new(FailureKind::Protocol, reason);
            }
        }
        let inner = at.downcast_ref::<io::Error>().map(|error| {
            closed |= matches!(
                error.kind(),
                io::ErrorKind::ConnectionReset
                    | io::ErrorKind::ConnectionAborted
                    | io::ErrorKind::BrokenPipe
                    | io::ErrorKind::UnexpectedEof
            );
            error.get_ref()
        });
        // What stands in an io::Error is not its source, but the thing itself.
        match inner.flatten() {
            Some(inner) => at = inner,
            None => match at.source() {
                Some(source) => at = source,
                None => break,
            },
        }
    }
    if closed {
        let reason = "the endpoint closed the connection before its answer was whole";
        return Failure::new(FailureKind::Closed, reason);
    }
    Failure::new(FailureKind::Protocol, at.to_string())
}

fn tls_reason(error: &rustls::Error) -> String {
    use rustls::{CertificateError, Error};
    match error {
        Error::InvalidCertificate(
            CertificateError::UnknownIssuer | CertificateError::BadSignature,
        ) => {
            "the endpoint's certificate is signed by nobody that is trusted here; if it is self-signed \
             or of an authority of your own, put that certificate into push.ca_pem"
                .to_owned()
        }
        Error::InvalidCertificate(CertificateError::Other(other))
            if other.to_string().contains("CaUsedAsEndEntity") =>
        {
            "the endpoint's certificate is self-signed; put it into push.ca_pem".to_owned()
        }
        other => format!("TLS: {other}"),
    }
}
