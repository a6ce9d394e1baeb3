//! The names of attributes, and how an event is asked for one.

use crate::Value;

/// The longest name of an attribute that an event in this hub can have.
const LONGEST_NAME: usize = 64;

/// An attribute by its name, looked up once so that reading it from an event compares no names.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub enum Attribute {
    SpecVersion,
    Id,
    Source,
    Type,
    Subject,
    Time,
    DataContentType,
    DataSchema,
    /// Any other name: an extension.
    Extension(Box<str>),
}

impl Attribute {
    /// The attribute of this name (CloudEvents 1.0.2 "Naming conventions").
    ///
    /// # Errors
    /// Says why the text is no name of an attribute.
    pub fn new(name: &str) -> Result<Self, String> {
        if name.is_empty() {
            return Err("the name of an attribute must not be empty".to_owned());
        }
        let inside = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
        if let Some(found) = name.chars().find(|&c| !inside(c)) {
            let shown: String = name.chars().take(LONGEST_NAME).collect();
            return Err(format!(
                "{shown:?} is no name of an attribute: it has {found:?}, only a-z and 0-9 are allowed"
            ));
        }
        if name.len() > LONGEST_NAME {
            return Err(format!(
                "the name has {} characters; no attribute has more than {LONGEST_NAME}",
                name.len()
            ));
        }
        Ok(match name {
            "specversion" => Self::SpecVersion,
            "id" => Self::Id,
            "source" => Self::Source,
            "type" => Self::Type,
            "subject" => Self::Subject,
            "time" => Self::Time,
            "datacontenttype" => Self::DataContentType,
            "dataschema" => Self::DataSchema,
            "data" => {
                return Err(
                    "\"data\" is no attribute: filters see an event's attributes, not its data"
                        .to_owned(),
                );
            }
            extension => Self::Extension(extension.into()),
        })
    }

    /// Whether every event has it.
    #[must_use]
    pub fn is_required(&self) -> bool {
        matches!(
            self,
            Self::SpecVersion | Self::Id | Self::Source | Self::Type
        )
    }

    /// The name as it stands in an event.
    #[must_use]
    pub fn name(&self) -> &str {
        match self {
            Self::SpecVersion => "specversion",
            Self::Id => "id",
            Self::Source => "source",
            Self::Type => "type",
            Self::Subject => "subject",
            Self::Time => "time",
            Self::DataContentType => "datacontenttype",
            Self::DataSchema => "dataschema",
            Self::Extension(name) => name,
        }
    }
}

/// An event as a filter sees it.
pub trait Attributes {
    /// The value of an attribute, or nothing where the event does not have it. Values of the types
    /// URI, URI-reference, timestamp and binary come as their canonical string (CloudEvents 1.0.2
    /// "Type System").
    fn get<'a>(&'a self, attribute: &Attribute) -> Option<Value<'a>>;
}

impl<T: Attributes + ?Sized> Attributes for &T {
    fn get<'a>(&'a self, attribute: &Attribute) -> Option<Value<'a>> {
        (**self).get(attribute)
    }
}
