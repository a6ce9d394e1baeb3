//! The capability `http`: one request, one answer. Who may be asked, and how long, the service
//! behind the grant decides; the plugin's deadline is the outer bound.

use std::time::Instant;

use wasmtime::{StoreContextMut, component::Linker};

use crate::state::State;

/// The interface, as components import it.
pub(crate) const INTERFACE: &str = "sandbar:transform/http@0.1.0";

/// A request of a plugin; nothing in it is trusted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Request {
    pub method: String,
    pub url: String,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// An answer, whatever its status.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Response {
    pub status: u16,
    pub headers: Vec<(String, String)>,
    pub body: Vec<u8>,
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// The grant does not cover it: the reason.
    #[error("not granted: {0}")]
    NotGranted(String),
    /// The request is none: what is wrong with it.
    #[error("the request is not valid: {0}")]
    InvalidRequest(String),
    /// No whole answer in time.
    #[error("no whole answer in time")]
    Timeout,
    /// The answer's body has more bytes than this limit.
    #[error("the answer has more than {0} bytes")]
    TooLarge(u64),
    /// No connection, or it broke: why.
    #[error("unreachable: {0}")]
    Unreachable(String),
}

/// What a step that grants `http` gives.
pub trait Http: Send + Sync {
    /// Sends a request and reads the whole answer. Called on a plugin thread; must return by
    /// `until`.
    ///
    /// # Errors
    /// When there is no answer.
    fn send(&self, request: Request, until: Instant) -> Result<Response, Error>;
}

// The derives write the unsafe code that lifting and lowering need; there is none of our own.
#[allow(unsafe_code)]
mod crossing {
    use wasmtime::component::{ComponentType, Lift, Lower};

    /// `request` of the WIT.
    #[derive(ComponentType, Lift)]
    #[component(record)]
    pub(super) struct Asked {
        pub(super) method: String,
        pub(super) url: String,
        pub(super) headers: Vec<(String, String)>,
        pub(super) body: Vec<u8>,
    }

    /// `response` of the WIT.
    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(super) struct Answered {
        pub(super) status: u16,
        pub(super) headers: Vec<(String, String)>,
        pub(super) body: Vec<u8>,
    }

    /// `http-error` of the WIT.
    #[derive(ComponentType, Lower)]
    #[component(variant)]
    pub(super) enum Refused {
        #[component(name = "not-granted")]
        NotGranted(String),
        #[component(name = "invalid-request")]
        InvalidRequest(String),
        #[component(name = "timeout")]
        Timeout,
        #[component(name = "too-large")]
        TooLarge(u64),
        #[component(name = "unreachable")]
        Unreachable(String),
    }
}
use crossing::{Answered, Asked, Refused};

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("send", send)
}

fn send(
    store: StoreContextMut<'_, State>,
    (asked,): (Asked,),
) -> wasmtime::Result<(Result<Answered, Refused>,)> {
    let state = store.data();
    let request = Request {
        method: asked.method,
        url: asked.url,
        headers: asked.headers,
        body: asked.body,
    };
    let answer = match &state.grants.http {
        // The thread waits, so another one takes its place.
        Some(http) => state
            .threads
            .while_blocked(|| http.send(request, state.until)),
        None => Err(Error::NotGranted("the step grants no http".to_owned())),
    };
    let answer = match answer {
        Ok(response) => Ok(Answered {
            status: response.status,
            headers: response.headers,
            body: response.body,
        }),
        Err(Error::NotGranted(reason)) => Err(Refused::NotGranted(reason)),
        Err(Error::InvalidRequest(reason)) => Err(Refused::InvalidRequest(reason)),
        Err(Error::Timeout) => Err(Refused::Timeout),
        Err(Error::TooLarge(limit)) => Err(Refused::TooLarge(limit)),
        Err(Error::Unreachable(reason)) => Err(Refused::Unreachable(reason)),
    };
    Ok((answer,))
}
