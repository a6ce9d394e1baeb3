//! The rules as they are written, and as they are run.

use std::fmt;

use serde::Deserialize;

use crate::{
    action::{Action, Hasher},
    pattern::{Pattern, Patterns},
};

/// A key shorter than this can be guessed together with the values.
const SHORTEST_KEY: usize = 16;
/// The hex digits of a whole hash.
const WHOLE_HASH: usize = 64;
/// Fewer digits than this are the same for different values now and then.
const SHORTEST_HASH: usize = 16;

#[derive(Deserialize)]
#[serde(
    deny_unknown_fields,
    expecting = "an object with \"rules\", a list of rules"
)]
struct Document {
    rules: Vec<RuleDocument>,
    key: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "action", rename_all = "lowercase", deny_unknown_fields)]
enum RuleDocument {
    Mask {
        data: Option<String>,
        attribute: Option<String>,
        #[serde(default)]
        strict: bool,
        #[serde(default)]
        keep_last: usize,
        text: Option<String>,
    },
    Hash {
        data: Option<String>,
        attribute: Option<String>,
        #[serde(default)]
        strict: bool,
        #[serde(default)]
        prefix: String,
        length: Option<usize>,
    },
    Truncate {
        data: Option<String>,
        attribute: Option<String>,
        #[serde(default)]
        strict: bool,
        length: usize,
    },
    Drop {
        data: Option<String>,
        attribute: Option<String>,
        #[serde(default)]
        strict: bool,
    },
}

/// Where a rule holds.
pub(crate) enum Place {
    Data(String),
    Attribute(String),
}

impl fmt::Display for Place {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Data(pattern) => write!(formatter, "{pattern} of the data"),
            Self::Attribute(name) => write!(formatter, "the attribute {name}"),
        }
    }
}

/// What is done where.
pub(crate) struct Rule {
    pub(crate) place: Place,
    pub(crate) action: Action,
    pub(crate) strict: bool,
}

/// All rules. Not shown by `Debug`: it holds the key.
#[derive(Deserialize)]
#[serde(try_from = "Document")]
pub(crate) struct Config {
    pub(crate) rules: Vec<Rule>,
    /// Of the rules on data, by their index in `rules`.
    pub(crate) patterns: Patterns,
}

impl TryFrom<Document> for Config {
    type Error = String;

    fn try_from(document: Document) -> Result<Self, String> {
        if document.rules.is_empty() {
            return Err("/rules: there are none".to_owned());
        }
        let hasher = document.key.as_deref().map(hasher).transpose()?;
        let mut rules = Vec::with_capacity(document.rules.len());
        let mut patterns = Patterns::default();
        for (index, document) in document.rules.into_iter().enumerate() {
            let rule = rule(document, hasher.as_ref())
                .map_err(|reason| format!("/rules/{index}: {reason}"))?;
            if let Place::Data(text) = &rule.place {
                let pattern = Pattern::parse(text)
                    .map_err(|reason| format!("/rules/{index}/data: {reason}"))?;
                patterns.add(index, pattern);
            }
            rules.push(rule);
        }
        Ok(Self { rules, patterns })
    }
}

fn hasher(key: &str) -> Result<Hasher, String> {
    if key.len() < SHORTEST_KEY {
        return Err(format!("/key: is shorter than {SHORTEST_KEY} bytes"));
    }
    Ok(Hasher::new(key.as_bytes()))
}

fn rule(document: RuleDocument, hasher: Option<&Hasher>) -> Result<Rule, String> {
    let (data, attribute, strict, action) = match document {
        RuleDocument::Mask {
            data,
            attribute,
            strict,
            keep_last,
            text,
        } => {
            let text = text.unwrap_or_else(|| "***".to_owned());
            (data, attribute, strict, Action::Mask { keep_last, text })
        }
        RuleDocument::Hash {
            data,
            attribute,
            strict,
            prefix,
            length,
        } => {
            let length = length.unwrap_or(WHOLE_HASH);
            if !(SHORTEST_HASH..=WHOLE_HASH).contains(&length) {
                return Err(format!(
                    "length: must be within {SHORTEST_HASH} and {WHOLE_HASH} hex digits"
                ));
            }
            let Some(hasher) = hasher.cloned() else {
                return Err("hash needs a \"key\" beside \"rules\"".to_owned());
            };
            let action = Action::Hash {
                hasher: Box::new(hasher),
                prefix,
                length,
            };
            (data, attribute, strict, action)
        }
        RuleDocument::Truncate {
            data,
            attribute,
            strict,
            length,
        } => (data, attribute, strict, Action::Truncate { length }),
        RuleDocument::Drop {
            data,
            attribute,
            strict,
        } => (data, attribute, strict, Action::Drop),
    };
    let place = match (data, attribute) {
        (Some(pattern), None) => Place::Data(pattern),
        (None, Some(name)) => Place::Attribute(name),
        _ => return Err("has either \"data\" or \"attribute\"".to_owned()),
    };
    if let Place::Attribute(name) = &place {
        check_attribute(name, &action)?;
    }
    Ok(Rule {
        place,
        action,
        strict,
    })
}

/// An event is no event without some attributes, and others have a form that a mask would break.
fn check_attribute(name: &str, action: &Action) -> Result<(), String> {
    let allowed = match name {
        "subject" => true,
        "id" | "source" => matches!(action, Action::Hash { .. }),
        "time" | "dataschema" => matches!(action, Action::Drop),
        "specversion" | "type" | "datacontenttype" | "data" => false,
        _ => {
            let inside = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit();
            if name.is_empty() || !name.bytes().all(inside) {
                return Err(format!("{name:?} is no name of an attribute: a-z and 0-9"));
            }
            true
        }
    };
    if allowed {
        Ok(())
    } else {
        Err(format!(
            "the attribute {name} cannot be changed in this way"
        ))
    }
}
