//! A CloudEvents 1.0 event in memory.

use std::collections::BTreeMap;

use bytes::Bytes;
use serde::{Deserialize, Serialize};

/// A value of an extension attribute. CloudEvents 1.0.2 §"Type System"; URI, timestamp and binary
/// have string forms and are kept as strings.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(untagged)]
pub enum AttributeValue {
    Boolean(bool),
    Integer(i32),
    String(String),
}

impl AttributeValue {
    /// The canonical string form (CloudEvents 1.0.2 §"Type System").
    #[must_use]
    pub fn to_text(&self) -> String {
        match self {
            Self::Boolean(value) => value.to_string(),
            Self::Integer(value) => value.to_string(),
            Self::String(value) => value.clone(),
        }
    }
}

/// One event. An attribute that is absent is the empty string (CloudEvents forbids empty
/// attributes, so nothing is lost), absent data is empty.
///
/// `data` holds the payload's bytes as its `datacontenttype` says; an empty `datacontenttype`
/// means JSON, as the CloudEvents JSON format does.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Event {
    pub id: String,
    pub source: String,
    pub r#type: String,
    pub subject: String,
    /// RFC 3339.
    pub time: String,
    pub datacontenttype: String,
    pub dataschema: String,
    pub extensions: BTreeMap<String, AttributeValue>,
    pub data: Bytes,
}

/// One event of a [`crate::Batch`], borrowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EventRef<'a> {
    pub id: &'a str,
    pub source: &'a str,
    pub r#type: &'a str,
    pub subject: &'a str,
    pub time: &'a str,
    pub datacontenttype: &'a str,
    pub dataschema: &'a str,
    /// A JSON object of extension attributes, or empty for none.
    pub extensions: &'a str,
    pub data: &'a [u8],
}

/// The extension attribute that names the key (CloudEvents "Partitioning" extension).
pub const PARTITION_KEY: &str = "partitionkey";

/// Whether a media type carries JSON: `application/json`, `*/json`, `*+json`, or nothing at all
/// (CloudEvents JSON format §3.1: a missing `datacontenttype` is `application/json`).
#[must_use]
pub fn is_json(datacontenttype: &str) -> bool {
    if datacontenttype.is_empty() {
        return true;
    }
    let essence = datacontenttype
        .split(';')
        .next()
        .unwrap_or_default()
        .trim()
        .to_ascii_lowercase();
    essence.ends_with("/json") || essence.ends_with("+json")
}

impl Event {
    /// What order is kept by: `partitionkey`, else `subject`, else the id.
    #[must_use]
    pub fn key(&self) -> &str {
        match self.extensions.get(PARTITION_KEY) {
            Some(AttributeValue::String(key)) if !key.is_empty() => key,
            _ if !self.subject.is_empty() => &self.subject,
            _ => &self.id,
        }
    }

    /// The event as far as a contract looks at it: without extensions.
    #[must_use]
    pub fn payload(&self) -> EventRef<'_> {
        EventRef {
            id: &self.id,
            source: &self.source,
            r#type: &self.r#type,
            subject: &self.subject,
            time: &self.time,
            datacontenttype: &self.datacontenttype,
            dataschema: &self.dataschema,
            extensions: "",
            data: &self.data,
        }
    }

    /// The extensions as a JSON object, or nothing when there are none.
    #[must_use]
    pub fn extensions_json(&self) -> String {
        if self.extensions.is_empty() {
            String::new()
        } else {
            serde_json::to_string(&self.extensions).unwrap_or_default()
        }
    }
}

impl EventRef<'_> {
    /// Copies the event out of its batch.
    #[must_use]
    pub fn to_event(&self) -> Event {
        Event {
            id: self.id.to_owned(),
            source: self.source.to_owned(),
            r#type: self.r#type.to_owned(),
            subject: self.subject.to_owned(),
            time: self.time.to_owned(),
            datacontenttype: self.datacontenttype.to_owned(),
            dataschema: self.dataschema.to_owned(),
            extensions: self.extension_map(),
            data: Bytes::copy_from_slice(self.data),
        }
    }

    /// The extensions, parsed.
    #[must_use]
    pub fn extension_map(&self) -> BTreeMap<String, AttributeValue> {
        if self.extensions.is_empty() {
            BTreeMap::new()
        } else {
            serde_json::from_str(self.extensions).unwrap_or_default()
        }
    }

    /// What order is kept by: see [`Event::key`].
    #[must_use]
    pub fn key(&self) -> std::borrow::Cow<'_, str> {
        if self.extensions.contains(PARTITION_KEY)
            && let Some(AttributeValue::String(key)) = self.extension_map().remove(PARTITION_KEY)
            && !key.is_empty()
        {
            return key.into();
        }
        if self.subject.is_empty() {
            self.id.into()
        } else {
            self.subject.into()
        }
    }
}
