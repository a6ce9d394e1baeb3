//! Events as filters see them: in memory, borrowed, and one row of a batch in columns.

use std::{borrow::Cow, fmt};

use sandbar_types::{AttributeValue, Batch, Event, EventRef, batch::COLUMN_NAMES};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::{Attribute, Attributes, Value};

/// All events in a hub are of this version.
const SPEC_VERSION: &str = "1.0";

/// An absent attribute is the empty string in the hub's events.
fn present(text: &str) -> Option<Value<'_>> {
    (!text.is_empty()).then_some(Value::text(text))
}

impl Attributes for EventRef<'_> {
    fn get<'a>(&'a self, attribute: &Attribute) -> Option<Value<'a>> {
        match attribute {
            Attribute::SpecVersion => present(SPEC_VERSION),
            Attribute::Id => present(self.id),
            Attribute::Source => present(self.source),
            Attribute::Type => present(self.r#type),
            Attribute::Subject => present(self.subject),
            Attribute::Time => present(self.time),
            Attribute::DataContentType => present(self.datacontenttype),
            Attribute::DataSchema => present(self.dataschema),
            Attribute::Extension(name) => extension(self.extensions, name),
        }
    }
}

impl Attributes for Event {
    fn get<'a>(&'a self, attribute: &Attribute) -> Option<Value<'a>> {
        match attribute {
            Attribute::SpecVersion => present(SPEC_VERSION),
            Attribute::Id => present(&self.id),
            Attribute::Source => present(&self.source),
            Attribute::Type => present(&self.r#type),
            Attribute::Subject => present(&self.subject),
            Attribute::Time => present(&self.time),
            Attribute::DataContentType => present(&self.datacontenttype),
            Attribute::DataSchema => present(&self.dataschema),
            Attribute::Extension(name) => self.extensions.get(&**name).map(|value| match value {
                AttributeValue::Boolean(value) => Value::Boolean(*value),
                AttributeValue::Integer(value) => Value::Integer(*value),
                AttributeValue::String(value) => Value::text(value),
            }),
        }
    }
}

/// One event of a batch, of which only the columns are read that a filter asks for.
/// [`Batch::get`] reads them all.
#[derive(Clone, Copy, Debug)]
pub struct Row<'b> {
    batch: &'b Batch,
    index: usize,
}

impl<'b> Row<'b> {
    /// Event `index` of the batch. Panics when it is past the end.
    #[must_use]
    pub fn new(batch: &'b Batch, index: usize) -> Self {
        assert!(index < batch.len(), "event {index} of {}", batch.len());
        Self { batch, index }
    }

    fn column(&self, column: usize) -> &'b str {
        // A batch's text columns were checked to be UTF-8 when it was made.
        std::str::from_utf8(self.batch.columns()[column].get(self.index)).unwrap_or_default()
    }
}

impl Attributes for Row<'_> {
    fn get<'a>(&'a self, attribute: &Attribute) -> Option<Value<'a>> {
        let column = match attribute {
            Attribute::SpecVersion => return present(SPEC_VERSION),
            Attribute::Id => 0,
            Attribute::Source => 1,
            Attribute::Type => 2,
            Attribute::Subject => 3,
            Attribute::Time => 4,
            Attribute::DataContentType => 5,
            Attribute::DataSchema => 6,
            Attribute::Extension(name) => return extension(self.column(EXTENSIONS), name),
        };
        debug_assert_eq!(COLUMN_NAMES[column], attribute.name());
        present(self.column(column))
    }
}

const EXTENSIONS: usize = 7;

/// The value of an extension in a JSON object of them. Reads no further than to its place, and
/// copies only a text with escapes.
fn extension<'a>(json: &'a str, name: &str) -> Option<Value<'a>> {
    if !json.contains(name) {
        return None;
    }
    let mut found = None;
    let find = Find {
        name,
        found: &mut found,
    };
    // Stopping in the middle of the object is an error to the reader, and no matter here.
    let _ = find.deserialize(&mut serde_json::Deserializer::from_str(json));
    found
}

struct Find<'n, 'f, 'a> {
    name: &'n str,
    found: &'f mut Option<Value<'a>>,
}

impl<'a> DeserializeSeed<'a> for Find<'_, '_, 'a> {
    type Value = ();

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Find<'_, '_, 'a> {
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of extensions")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while let Some(is_it) = map.next_key_seed(Is(self.name))? {
            if is_it {
                *self.found = map.next_value_seed(Read)?;
                break;
            }
            map.next_value::<IgnoredAny>()?;
        }
        Ok(())
    }
}

/// Whether a key is the one that is looked for.
struct Is<'n>(&'n str);

impl<'a> DeserializeSeed<'a> for Is<'_> {
    type Value = bool;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl Visitor<'_> for Is<'_> {
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_str<E>(self, key: &str) -> Result<bool, E> {
        Ok(key == self.0)
    }
}

/// Reads a value; null is none. An extension is a string, a boolean or a 32-bit integer; what else
/// a number may be is kept as its text.
struct Read;

impl<'a> DeserializeSeed<'a> for Read {
    type Value = Option<Value<'a>>;

    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Read {
    type Value = Option<Value<'a>>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the value of an extension")
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<Self::Value, E> {
        Ok(present(text))
    }

    fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
        Ok((!text.is_empty()).then(|| Value::String(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E>(self, value: bool) -> Result<Self::Value, E> {
        Ok(Some(Value::Boolean(value)))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Self::Value, E> {
        Ok(Some(i32::try_from(value).map_or_else(
            |_| Value::String(Cow::Owned(value.to_string())),
            Value::Integer,
        )))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Self::Value, E> {
        Ok(Some(i32::try_from(value).map_or_else(
            |_| Value::String(Cow::Owned(value.to_string())),
            Value::Integer,
        )))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Self::Value, E> {
        Ok(Some(Value::String(Cow::Owned(value.to_string()))))
    }

    fn visit_unit<E>(self) -> Result<Self::Value, E> {
        Ok(None)
    }
}
