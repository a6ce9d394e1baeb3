//! Filters as users write them: one object per filter, with one member that names the dialect
//! (CloudEvents Subscriptions API §3.2.4.1). Here the shape is checked; what the values mean is
//! checked by [`crate::Compiled`].

use std::{collections::BTreeMap, fmt};

use serde::{
    Deserialize, Serialize,
    de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Unexpected, Visitor},
};

/// One filter.
///
/// Reading refuses an object with no, several or unknown members and values that are not strings.
/// A reader that tracks the path, as `serde_path_to_error` does, gets the exact place of the fault.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[cfg_attr(feature = "utoipa", derive(utoipa::ToSchema))]
#[cfg_attr(feature = "utoipa", schema(no_recursion))]
#[serde(rename_all = "lowercase")]
pub enum Filter {
    /// Each of these attributes has exactly this value.
    Exact(BTreeMap<String, String>),
    /// The value of each of these attributes starts with this text.
    Prefix(BTreeMap<String, String>),
    /// The value of each of these attributes ends with this text.
    Suffix(BTreeMap<String, String>),
    /// Every one of these filters takes the event.
    All(Vec<Filter>),
    /// At least one of these filters takes the event.
    Any(Vec<Filter>),
    /// This filter does not take the event.
    Not(Box<Filter>),
    /// This CloudEvents SQL expression is true for the event, and evaluates without an error.
    Sql(String),
}

impl Filter {
    /// The names of the dialects.
    pub const DIALECTS: [&'static str; 7] =
        ["exact", "prefix", "suffix", "all", "any", "not", "sql"];

    /// The name of this filter's dialect.
    #[must_use]
    pub fn dialect(&self) -> &'static str {
        match self {
            Self::Exact(_) => "exact",
            Self::Prefix(_) => "prefix",
            Self::Suffix(_) => "suffix",
            Self::All(_) => "all",
            Self::Any(_) => "any",
            Self::Not(_) => "not",
            Self::Sql(_) => "sql",
        }
    }
}

impl<'de> Deserialize<'de> for Filter {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(FilterVisitor)
    }
}

struct FilterVisitor;

impl<'de> Visitor<'de> for FilterVisitor {
    type Value = Filter;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a filter: an object with one member, such as {\"exact\": {\"type\": \"…\"}}")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Filter, M::Error> {
        let Some(dialect) = map.next_key::<String>()? else {
            return Err(M::Error::custom(format!(
                "a filter has one member that names its dialect ({}); this one is empty",
                Filter::DIALECTS.join(", ")
            )));
        };
        let filter = map.next_value_seed(Dialect(&dialect))?;
        match map.next_key::<String>()? {
            None => Ok(filter),
            Some(second) => Err(M::Error::custom(format!(
                "a filter has exactly one member; this one has {dialect:?} and {second:?}. Put each into \
                 a filter of its own: all filters of an array must hold"
            ))),
        }
    }
}

/// The value under the dialect's name.
struct Dialect<'n>(&'n str);

impl<'de> DeserializeSeed<'de> for Dialect<'_> {
    type Value = Filter;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Filter, D::Error> {
        Ok(match self.0 {
            "exact" => Filter::Exact(deserializer.deserialize_map(Texts)?),
            "prefix" => Filter::Prefix(deserializer.deserialize_map(Texts)?),
            "suffix" => Filter::Suffix(deserializer.deserialize_map(Texts)?),
            "all" => Filter::All(deserializer.deserialize_seq(Filters)?),
            "any" => Filter::Any(deserializer.deserialize_seq(Filters)?),
            "not" => Filter::Not(Box::new(Filter::deserialize(deserializer)?)),
            "sql" => Filter::Sql(String::deserialize(deserializer)?),
            unknown => {
                let meant = crate::nearest(unknown, Filter::DIALECTS)
                    .map(|near| format!("; did you mean {near:?}?"))
                    .unwrap_or_default();
                return Err(D::Error::custom(format!(
                    "there is no filter dialect {unknown:?}{meant} (there are {})",
                    Filter::DIALECTS.join(", ")
                )));
            }
        })
    }
}

/// The filters in an array.
struct Filters;

impl<'de> Visitor<'de> for Filters {
    type Value = Vec<Filter>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an array of filters")
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Vec<Filter>, S::Error> {
        let mut filters = Vec::new();
        while let Some(filter) = seq.next_element()? {
            filters.push(filter);
        }
        Ok(filters)
    }
}

/// Attributes with the texts to compare them with.
struct Texts;

impl<'de> Visitor<'de> for Texts {
    type Value = BTreeMap<String, String>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of attribute names and the texts to compare with")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
        let mut texts = BTreeMap::new();
        while let Some(name) = map.next_key::<String>()? {
            let text = map.next_value_seed(Text {
                twice: texts.contains_key(&name),
            })?;
            texts.insert(name, text);
        }
        Ok(texts)
    }
}

/// A text to compare with.
struct Text {
    /// The attribute stands in the object a second time.
    twice: bool,
}

impl<'de> DeserializeSeed<'de> for Text {
    type Value = String;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<String, D::Error> {
        if self.twice {
            return Err(D::Error::custom("this attribute is given twice"));
        }
        deserializer.deserialize_any(self)
    }
}

impl Visitor<'_> for Text {
    type Value = String;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string")
    }

    fn visit_str<E>(self, text: &str) -> Result<String, E> {
        Ok(text.to_owned())
    }

    fn visit_bool<E: serde::de::Error>(self, value: bool) -> Result<String, E> {
        Err(quote_it(Unexpected::Bool(value), value))
    }

    fn visit_i64<E: serde::de::Error>(self, value: i64) -> Result<String, E> {
        Err(quote_it(Unexpected::Signed(value), value))
    }

    fn visit_u64<E: serde::de::Error>(self, value: u64) -> Result<String, E> {
        Err(quote_it(Unexpected::Unsigned(value), value))
    }
}

fn quote_it<E: serde::de::Error>(unexpected: Unexpected<'_>, value: impl fmt::Display) -> E {
    E::invalid_type(
        unexpected,
        &&*format!("a string; write \"{value}\", which is compared with the attribute's text"),
    )
}
