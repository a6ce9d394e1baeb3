//! An event that a plugin gives out.

use serde::Serialize;

use crate::Problem;

/// Stands in a column for "the output does not have this attribute"; no CloudEvents attribute may
/// hold it (CloudEvents 1.0.2, "Type System": no control characters).
pub(crate) const REMOVED: &str = "\0";

/// An event that the plugin gives out. It inherits from the event every attribute that it does not
/// set, and the data. An attribute set to the empty text is left out instead of inherited.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[must_use = "an output is given out with Verdict::emit"]
pub struct Output {
    pub(crate) target: Option<String>,
    pub(crate) id: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) r#type: Option<String>,
    pub(crate) subject: Option<String>,
    pub(crate) time: Option<String>,
    pub(crate) datacontenttype: Option<String>,
    pub(crate) dataschema: Option<String>,
    pub(crate) extensions: Vec<(String, String)>,
    pub(crate) data: Option<Vec<u8>>,
}

impl Output {
    /// The event itself, unchanged until something is set.
    pub fn inherit() -> Self {
        Self::default()
    }

    /// An output with this value as its JSON data. `datacontenttype` is inherited.
    ///
    /// # Errors
    /// [`Problem::Other`] when the value cannot be written as JSON (a map with keys that are no
    /// texts, for one).
    pub fn json<T: Serialize + ?Sized>(value: &T) -> Result<Self, Problem> {
        let mut data = Vec::with_capacity(256);
        serde_json::to_writer(&mut data, value).map_err(|error| {
            Problem::Other(format!("the output cannot be written as JSON: {error}"))
        })?;
        Ok(Self {
            data: Some(data),
            ..Self::default()
        })
    }

    /// Sends the output to this one of the route's targets; without it, to the first.
    pub fn target(mut self, target: impl Into<String>) -> Self {
        self.target = Some(target.into());
        self
    }

    /// Sets `id`. An inherited id of a second output gets `/1` appended, of a third `/2`, and so on.
    pub fn id(mut self, id: impl Into<String>) -> Self {
        self.id = Some(id.into());
        self
    }

    /// Sets `source`, a URI reference.
    pub fn source(mut self, source: impl Into<String>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// Sets `type`.
    pub fn r#type(mut self, r#type: impl Into<String>) -> Self {
        self.r#type = Some(r#type.into());
        self
    }

    /// Sets `subject`; an empty one leaves it out.
    pub fn subject(mut self, subject: impl Into<String>) -> Self {
        self.subject = Some(subject.into());
        self
    }

    /// Sets `time`, RFC 3339; an empty one leaves it out.
    pub fn time(mut self, time: impl Into<String>) -> Self {
        self.time = Some(time.into());
        self
    }

    /// Sets the media type of the data; an empty one leaves it out, which means JSON.
    pub fn datacontenttype(mut self, datacontenttype: impl Into<String>) -> Self {
        self.datacontenttype = Some(datacontenttype.into());
        self
    }

    /// Sets `dataschema`, a URI; an empty one leaves it out.
    pub fn dataschema(mut self, dataschema: impl Into<String>) -> Self {
        self.dataschema = Some(dataschema.into());
        self
    }

    /// Sets one extension attribute (its name of `a-z 0-9`) over the inherited ones; an empty value
    /// leaves it out.
    pub fn extension(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.extensions.push((name.into(), value.into()));
        self
    }

    /// Sets the data, as `datacontenttype` says. Empty: the output has no data.
    pub fn data(mut self, data: impl Into<Vec<u8>>) -> Self {
        self.data = Some(data.into());
        self
    }

    /// The target that was set.
    #[must_use]
    pub fn target_name(&self) -> Option<&str> {
        self.target.as_deref()
    }

    /// What was set for an attribute, by its CloudEvents name; `None` is inherited.
    #[must_use]
    pub fn attribute(&self, name: &str) -> Option<&str> {
        match name {
            "id" => self.id.as_deref(),
            "source" => self.source.as_deref(),
            "type" => self.r#type.as_deref(),
            "subject" => self.subject.as_deref(),
            "time" => self.time.as_deref(),
            "datacontenttype" => self.datacontenttype.as_deref(),
            "dataschema" => self.dataschema.as_deref(),
            extension => {
                let found = self
                    .extensions
                    .iter()
                    .rev()
                    .find(|(name, _)| name == extension);
                found.map(|(_, value)| value.as_str())
            }
        }
    }

    /// The data that was set; `None` is inherited.
    #[must_use]
    pub fn data_bytes(&self) -> Option<&[u8]> {
        self.data.as_deref()
    }

    /// The data that was set, as JSON; `Null` when it is inherited or no JSON.
    #[must_use]
    pub fn json_value(&self) -> serde_json::Value {
        let data = self.data.as_deref().unwrap_or_default();
        serde_json::from_slice(data).unwrap_or_default()
    }

    /// The extensions as the column world spells them: a JSON object, empty when none is set.
    pub(crate) fn extensions_json(&self) -> String {
        if self.extensions.is_empty() {
            return String::new();
        }
        let object: serde_json::Map<String, serde_json::Value> = (self.extensions.iter())
            .map(|(name, value)| (name.clone(), serde_json::Value::String(value.clone())))
            .collect();
        serde_json::Value::Object(object).to_string()
    }
}
