//! Who calls: established here, once, for every request. Handlers take [`Caller`] and need not
//! change when callers are authenticated.

use axum::{
    extract::{FromRequestParts, Request},
    http::request::Parts,
    middleware::Next,
    response::Response,
};

use crate::catalog::Because;

/// The identity behind a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Caller {
    /// `anonymous`: the hub listens on loopback and asks nobody for credentials.
    pub name: String,
}

impl Caller {
    /// For what is recorded with who and why.
    pub(super) fn because(self, reason: String) -> Because {
        Because {
            by: self.name,
            reason,
        }
    }
}

/// Puts the caller into the request.
pub(super) async fn establish(mut request: Request, next: Next) -> Response {
    let caller = Caller {
        name: "anonymous".to_owned(),
    };
    request.extensions_mut().insert(caller);
    next.run(request).await
}

impl<S: Send + Sync> FromRequestParts<S> for Caller {
    type Rejection = std::convert::Infallible;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Self::Rejection> {
        let known = parts.extensions.get::<Self>().cloned();
        Ok(known.unwrap_or_else(|| Self {
            name: "anonymous".to_owned(),
        }))
    }
}
