//! The capability `lookup`: the latest event of a key in a topic. What a topic is, and which may be
//! asked, only the service behind the grant knows.

use std::time::Instant;

use sandbar_types::Event;
use wasmtime::{
    StoreContextMut,
    component::{Linker, WasmStr},
};

use crate::state::State;

/// The interface, as components import it.
pub(crate) const INTERFACE: &str = "sandbar:transform/lookup@0.1.0";

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    #[error("the step's grant does not name the topic")]
    NotGranted,
    /// Not now: what is in the way.
    #[error("{0}")]
    Unavailable(String),
}

/// What a step that grants `lookup` gives.
pub trait Lookup: Send + Sync {
    /// The latest event of `key` in `topic`, if there is one. Called on a plugin thread; must answer
    /// by `until`.
    ///
    /// # Errors
    /// When the topic may not be asked, or cannot be read now.
    fn get(&self, topic: &str, key: &str, until: Instant) -> Result<Option<Event>, Error>;
}

// The derives write the unsafe code that lowering needs; there is none of our own.
#[allow(unsafe_code)]
mod lowered {
    use wasmtime::component::{ComponentType, Lower};

    /// `records.event` of the WIT, owned.
    #[derive(ComponentType, Lower)]
    #[component(record)]
    pub(super) struct Found {
        pub(super) id: String,
        pub(super) source: String,
        #[component(name = "type")]
        pub(super) r#type: String,
        pub(super) subject: Option<String>,
        pub(super) time: Option<String>,
        pub(super) datacontenttype: Option<String>,
        pub(super) dataschema: Option<String>,
        pub(super) extensions: Vec<(String, String)>,
        pub(super) data: Vec<u8>,
    }

    /// `lookup-error` of the WIT.
    #[derive(ComponentType, Lower)]
    #[component(variant)]
    pub(super) enum Refused {
        #[component(name = "not-granted")]
        NotGranted,
        #[component(name = "unavailable")]
        Unavailable(String),
    }
}
use lowered::{Found, Refused};

pub(crate) fn link(linker: &mut Linker<State>) -> wasmtime::Result<()> {
    linker.instance(INTERFACE)?.func_wrap("get", get)
}

fn get(
    store: StoreContextMut<'_, State>,
    (topic, key): (WasmStr, WasmStr),
) -> wasmtime::Result<(Result<Option<Found>, Refused>,)> {
    let (topic, key) = (topic.to_str(&store)?, key.to_str(&store)?);
    let state = store.data();
    let found = match &state.grants.lookup {
        Some(lookup) => lookup.get(&topic, &key, state.until),
        None => Err(Error::NotGranted),
    };
    let answer = match found {
        Ok(event) => Ok(event.map(Found::from)),
        Err(Error::NotGranted) => Err(Refused::NotGranted),
        Err(Error::Unavailable(reason)) => Err(Refused::Unavailable(reason)),
    };
    Ok((answer,))
}

impl From<Event> for Found {
    fn from(event: Event) -> Self {
        let present = |text: String| Some(text).filter(|text| !text.is_empty());
        let extensions = event.extensions.into_iter();
        Self {
            id: event.id,
            source: event.source,
            r#type: event.r#type,
            subject: present(event.subject),
            time: present(event.time),
            datacontenttype: present(event.datacontenttype),
            dataschema: present(event.dataschema),
            extensions: extensions
                .map(|(name, value)| (name, value.to_text()))
                .collect(),
            data: event.data.into(),
        }
    }
}
