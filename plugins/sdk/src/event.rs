//! The event that a plugin looks at.

use serde::Deserialize;

use crate::{Problem, column, guest::Batch};

/// A CloudEvents 1.0 event, borrowed from the batch that it came in. Reading an attribute costs
/// two index lookups; nothing is parsed before it is asked for.
#[derive(Clone, Copy)]
pub struct Event<'a> {
    batch: &'a Batch,
    index: usize,
}

impl<'a> Event<'a> {
    pub(crate) fn new(batch: &'a Batch, index: usize) -> Self {
        Self { batch, index }
    }

    /// The attribute `id`.
    #[must_use]
    pub fn id(&self) -> &'a str {
        column::text(&self.batch.id, self.index)
    }

    /// The attribute `source`.
    #[must_use]
    pub fn source(&self) -> &'a str {
        column::text(&self.batch.source, self.index)
    }

    /// The attribute `type`.
    #[must_use]
    pub fn r#type(&self) -> &'a str {
        column::text(&self.batch.type_, self.index)
    }

    /// The attribute `subject`.
    #[must_use]
    pub fn subject(&self) -> Option<&'a str> {
        present(column::text(&self.batch.subject, self.index))
    }

    /// The attribute `time`, RFC 3339.
    #[must_use]
    pub fn time(&self) -> Option<&'a str> {
        present(column::text(&self.batch.time, self.index))
    }

    /// The media type of the data; without one it is JSON.
    #[must_use]
    pub fn datacontenttype(&self) -> Option<&'a str> {
        present(column::text(&self.batch.datacontenttype, self.index))
    }

    /// The attribute `dataschema`, a URI.
    #[must_use]
    pub fn dataschema(&self) -> Option<&'a str> {
        present(column::text(&self.batch.dataschema, self.index))
    }

    /// An extension attribute in its text form (`true`, `42`, `text`).
    #[must_use]
    pub fn extension(&self, name: &str) -> Option<String> {
        let extensions = column::text(&self.batch.extensions, self.index);
        if extensions.is_empty() {
            return None;
        }
        let extensions: serde_json::Map<String, serde_json::Value> =
            serde_json::from_str(extensions).ok()?;
        match extensions.get(name)? {
            serde_json::Value::String(text) => Some(text.clone()),
            other => Some(other.to_string()),
        }
    }

    /// All extension attributes by name: texts, integers and booleans.
    #[must_use]
    pub fn extensions(&self) -> serde_json::Map<String, serde_json::Value> {
        let extensions = column::text(&self.batch.extensions, self.index);
        serde_json::from_str(extensions).unwrap_or_default()
    }

    /// Whether the data is JSON by its media type, see [`crate::media::is_json`].
    #[must_use]
    pub fn is_json(&self) -> bool {
        crate::media::is_json(self.datacontenttype().unwrap_or_default())
    }

    /// The payload as it came in; empty when there is none.
    #[must_use]
    pub fn data(&self) -> &'a [u8] {
        column::value(&self.batch.data, self.index)
    }

    /// The payload read as JSON.
    ///
    /// # Errors
    /// [`Problem::InvalidEvent`] with what serde has to say, or that there is no data.
    pub fn json<T: Deserialize<'a>>(&self) -> Result<T, Problem> {
        let data = self.data();
        if data.is_empty() {
            return Err(Problem::InvalidEvent("the event has no data".to_owned()));
        }
        serde_json::from_slice(data)
            .map_err(|error| Problem::InvalidEvent(format!("data: {error}")))
    }
}

impl std::fmt::Debug for Event<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Event")
            .field("id", &self.id())
            .field("source", &self.source())
            .field("type", &self.r#type())
            .finish_non_exhaustive()
    }
}

fn present(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}
