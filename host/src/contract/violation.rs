//! What is wrong with an event's data.

use std::fmt;

use sandbar_validator::{Validator, message};
use serde_json::Value;

use super::Format;

/// So many violations are listed of one event.
const MOST: usize = 20;
/// The longest reason, in bytes.
const LONGEST: usize = 200;
/// Why data is refused of which nobody can tell whether it fits.
pub(super) const STOPPED: &str = "whether the data fits takes too many steps to tell: the schema leads to the same parts in too many ways; use fewer alternatives that lead to the same, or tell them apart by type";

/// One place in an event that breaks the contract.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, utoipa::ToSchema)]
pub struct Violation {
    /// JSON Pointer into the event in its structured form: `/data/…`, `/type`.
    pub pointer: String,
    pub reason: String,
    /// JSON Pointer into the contract's schema: the keyword that is broken. Empty when it is none.
    pub schema_pointer: String,
}

impl Violation {
    pub(super) fn new(pointer: &str, schema_pointer: &str, reason: impl Into<String>) -> Self {
        Self {
            pointer: pointer.to_owned(),
            reason: reason.into(),
            schema_pointer: schema_pointer.to_owned(),
        }
    }
}

/// An event of a type that the contract does not have.
pub(super) fn unlisted<'a>(
    event_type: &str,
    types: impl Iterator<Item = &'a String> + Clone,
) -> Violations {
    let known: Vec<&str> = types.clone().take(5).map(String::as_str).collect();
    let more = match types.count().saturating_sub(known.len()) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let reason = format!(
        "type {:?} is not in the contract; it has {}{more}",
        shortened(event_type),
        known.join(", ")
    );
    Violation::new("/type", "/types", reason).into()
}

/// Whether an event says that its data is in the contract's format.
pub(super) fn of_format(format: Format, datacontenttype: &str) -> Result<(), Violations> {
    if format.is_said_by(datacontenttype) {
        return Ok(());
    }
    let reason = format!(
        "the contract is for {}, which events say as {}; the event says {:?}",
        format.title(),
        format.media_types().join(" or "),
        shortened(datacontenttype)
    );
    Err(Violation::new("/datacontenttype", "", reason).into())
}

/// The violations of one event: at least one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Violations {
    pub violations: Vec<Violation>,
    /// How many there are beyond those listed.
    pub more: usize,
}

impl From<Violation> for Violations {
    fn from(one: Violation) -> Self {
        Self {
            violations: vec![one],
            more: 0,
        }
    }
}

impl Violations {
    pub(super) fn gather(validator: &Validator, data: &Value) -> Self {
        let found = validator.errors(data, MOST, |error| Violation {
            pointer: format!("/data{}", error.instance_path().as_str()),
            reason: shortened(&message(error, &place(error))),
            schema_pointer: schema_pointer(error),
        });
        let mut gathered = Self {
            violations: found.listed,
            more: found.more,
        };
        if !found.complete {
            let reason = match gathered.violations.len() {
                0 => "the data does not fit the schema; where takes too many steps to tell",
                _ => "there may be more; to find them all takes too many steps",
            };
            gathered
                .violations
                .push(Violation::new("/data", "", reason));
        }
        if gathered.violations.is_empty() {
            // The two ways to ask a validator should agree; if not, the event is refused all the same.
            gathered.violations.push(Violation::new(
                "/data",
                "",
                "the data does not fit the schema",
            ));
        }
        gathered
    }
}

/// A small value is shown; of a large one only what it is.
fn place(error: &jsonschema::ValidationError<'_>) -> String {
    match &**error.instance() {
        Value::Object(_) => "the object".to_owned(),
        Value::Array(_) => "the array".to_owned(),
        Value::String(text) if text.len() > 64 => "the text".to_owned(),
        scalar => scalar.to_string(),
    }
}

fn schema_pointer(error: &jsonschema::ValidationError<'_>) -> String {
    let location = error
        .absolute_keyword_location()
        .map(|uri| uri.as_str().to_owned());
    match location.as_deref().and_then(|uri| uri.split_once('#')) {
        Some((_, fragment)) => percent_encoding::percent_decode_str(fragment)
            .decode_utf8_lossy()
            .into_owned(),
        None => {
            let path = error.schema_path().as_str();
            path.strip_prefix("/$ref").unwrap_or(path).to_owned()
        }
    }
}

/// At most [`LONGEST`] bytes of a text.
pub(super) fn shortened(text: &str) -> String {
    if text.len() <= LONGEST {
        return text.to_owned();
    }
    let end = (0..=LONGEST)
        .rev()
        .find(|&end| text.is_char_boundary(end))
        .unwrap_or(0);
    format!("{}…", &text[..end])
}

impl fmt::Display for Violations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, one) in self.violations.iter().take(3).enumerate() {
            let separator = if index == 0 { "" } else { "; " };
            write!(f, "{separator}{}: {}", one.pointer, one.reason)?;
        }
        match self.violations.len().saturating_sub(3) + self.more {
            0 => Ok(()),
            rest => write!(f, "; and {rest} more"),
        }
    }
}
