//! The latest event of a key in another topic. A plugin that calls this runs only on routes that
//! grant `{"lookup": {"topics": ["…"]}}`, and its outputs can no longer be made again from the same
//! input.
//!
//! ```
//! use sandbar_sdk::{Event, Output, Problem, Verdict, lookup, test};
//!
//! fn transform(event: &Event<'_>) -> Result<Verdict, Problem> {
//!     let key = event.subject().unwrap_or_default();
//!     match lookup::get("customers", key) {
//!         Ok(Some(customer)) => Ok(Verdict::emit(Output::inherit().data(customer.data))),
//!         Ok(None) => Ok(Verdict::drop("no such customer")),
//!         // Not now: the hub calls again later.
//!         Err(error @ lookup::Error::Unavailable(_)) => Ok(Verdict::retry(error.to_string())),
//!         Err(error) => Err(error.into()),
//!     }
//! }
//!
//! test::put("customers", "7", &test::Sample::new("customer").data("Ada"));
//! let verdict = test::Sample::new("order").subject("7").run(transform);
//! assert_eq!(verdict.outputs()[0].data_bytes(), Some(&b"Ada"[..]));
//! ```

use std::fmt;

use serde::Deserialize;

use crate::Problem;

/// An event that was found.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub r#type: String,
    pub subject: Option<String>,
    /// RFC 3339.
    pub time: Option<String>,
    pub datacontenttype: Option<String>,
    pub dataschema: Option<String>,
    /// In their text form.
    pub extensions: Vec<(String, String)>,
    /// Empty when there is none.
    pub data: Vec<u8>,
}

impl Event {
    /// An extension attribute in its text form.
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<&str> {
        let found = self.extensions.iter().find(|(other, _)| other == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The payload read as JSON.
    ///
    /// # Errors
    /// [`Problem::Other`] with what serde has to say: it is not the event at hand that does not fit.
    pub fn json<'a, T: Deserialize<'a>>(&'a self) -> Result<T, Problem> {
        serde_json::from_slice(&self.data).map_err(|error| {
            Problem::Other(format!(
                "the data of the event {} looked up: {error}",
                self.id
            ))
        })
    }
}

/// Why there is no answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// The step's grant does not name the topic.
    NotGranted,
    /// Not now: the reason. Worth a retry.
    Unavailable(String),
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotGranted => formatter.write_str("the step's grant does not name the topic"),
            Self::Unavailable(reason) => {
                write!(formatter, "the topic cannot be asked now: {reason}")
            }
        }
    }
}

impl std::error::Error for Error {}

impl From<Error> for Problem {
    fn from(error: Error) -> Self {
        Self::Other(format!("lookup: {error}"))
    }
}

/// The latest event of `key` in `topic`: its `partitionkey`, else its `subject`, else its `id`. At
/// least all that was stored in that topic before the hub began with the batch is seen.
///
/// Natively, in tests, what [`crate::test::put`] put there.
///
/// # Errors
/// When the step's grant does not name the topic, or it cannot be read now.
pub fn get(topic: &str, key: &str) -> Result<Option<Event>, Error> {
    #[cfg(target_arch = "wasm32")]
    {
        use crate::bindings::sandbar::transform::lookup::{LookupError, get};
        match get(topic, key) {
            Ok(found) => Ok(found.map(Event::from)),
            Err(LookupError::NotGranted) => Err(Error::NotGranted),
            Err(LookupError::Unavailable(reason)) => Err(Error::Unavailable(reason)),
        }
    }
    #[cfg(not(target_arch = "wasm32"))]
    crate::test::lookup(topic, key)
}

#[cfg(target_arch = "wasm32")]
impl From<crate::bindings::sandbar::transform::records::Event> for Event {
    fn from(event: crate::bindings::sandbar::transform::records::Event) -> Self {
        Self {
            id: event.id,
            source: event.source,
            r#type: event.type_,
            subject: event.subject,
            time: event.time,
            datacontenttype: event.datacontenttype,
            dataschema: event.dataschema,
            extensions: event.extensions,
            data: event.data,
        }
    }
}
