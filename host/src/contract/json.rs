//! Contracts of JSON Schema.
//!
//! A contract holds one schema document, of draft-04 to 2020-12 by its `$schema` (2020-12 without one);
//! what it refers to is bundled into it first. The part of each type is compiled when the first event of
//! that type comes: a document of hundreds of types starts fast and takes memory for those that are used.
//!
//! Patterns run on an engine that needs time linear in the text. Patterns that need backtracking
//! (look-around, back-references) are refused, and whatever else a schema asks is bounded in steps
//! (`sandbar-validator`), so that no event can stall the hub.

use std::{collections::BTreeMap, fmt, sync::OnceLock};

use jsonschema::Draft;
use sandbar_types::event::is_json;
use sandbar_validator::{Validator, Verdict};
use serde_json::Value;

use super::{Definition, InvalidSchema, Violation, Violations, elsewhere, schema, violation};

/// A compiled JSON Schema.
pub(super) struct Schema {
    document: schema::Document,
    types: Option<BTreeMap<String, Part>>,
    whole: Option<Validator>,
}

struct Part {
    /// JSON Pointer into the document, without `#`.
    pointer: String,
    validator: OnceLock<Result<Validator, String>>,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let types = self
            .types
            .as_ref()
            .map(|types| types.keys().collect::<Vec<_>>());
        f.debug_struct("Schema")
            .field("draft", &self.document.draft())
            .field("types", &types)
            .finish_non_exhaustive()
    }
}

impl Schema {
    /// Checks a definition and makes it ready for events.
    ///
    /// # Errors
    /// When the schema breaks its draft's rules, a reference leads nowhere or out of the document, a
    /// pattern cannot be run, or a type names no part of the document. The first fault is told.
    pub fn compile(definition: &Definition) -> Result<Self, InvalidSchema> {
        let whole = definition.bundled()?;
        let document = schema::Document::new(&whole)?;
        let Some(types) = &definition.types else {
            let validator = document.validator("").map_err(|reason| {
                let elsewhere = elsewhere::first(&whole, document.draft());
                elsewhere.unwrap_or_else(|| InvalidSchema {
                    pointer: "/schema".into(),
                    reason,
                })
            })?;
            return Ok(Self {
                document,
                types: None,
                whole: Some(validator),
            });
        };
        if types.is_empty() {
            return Err(super::no_types());
        }
        let mut parts = BTreeMap::new();
        for (name, reference) in types {
            let invalid = |reason: String| InvalidSchema {
                pointer: super::type_pointer(name),
                reason,
            };
            let pointer = schema::pointer_of(reference).map_err(invalid)?;
            match whole.pointer(&pointer) {
                Some(Value::Object(_) | Value::Bool(_)) => {}
                Some(_) => {
                    return Err(invalid(format!(
                        "{reference} is no schema: an object or a boolean is needed"
                    )));
                }
                None => return Err(invalid(format!("{reference} is not in the schema"))),
            }
            parts.insert(
                name.clone(),
                Part {
                    pointer,
                    validator: OnceLock::new(),
                },
            );
        }
        Ok(Self {
            document,
            types: Some(parts),
            whole: None,
        })
    }

    /// The draft of JSON Schema that the contract is checked by.
    #[must_use]
    pub fn draft(&self) -> Draft {
        self.document.draft()
    }

    /// Checks the data of an event.
    ///
    /// # Errors
    /// When the type is not listed, the data is not JSON, or it breaks the schema.
    pub fn check(
        &self,
        event_type: &str,
        datacontenttype: &str,
        data: &[u8],
    ) -> Result<(), Violations> {
        let validator = self.validator(event_type)?;
        if !is_json(datacontenttype) {
            let reason = format!(
                "the contract is for JSON; the event says {:?}",
                violation::shortened(datacontenttype)
            );
            return Err(Violation::new("/datacontenttype", "", reason).into());
        }
        let invalid = |reason: String| Violations::from(Violation::new("/data", "", reason));
        if data.is_empty() {
            let reason = "the event has no data; the contract needs JSON";
            return Err(invalid(reason.to_owned()));
        }
        // Whether it is UTF-8 is asked once of the whole, not of each text in it.
        let text = std::str::from_utf8(data)
            .map_err(|error| invalid(format!("the data is not JSON: it is not UTF-8: {error}")))?;
        let value = serde_json::from_str(text)
            .map_err(|error| invalid(format!("the data is not JSON: {error}")))?;
        // Each value takes at least one byte, and all but the first one more.
        verdict(validator, &value, Some(data.len() as u64 / 2 + 1))
    }

    /// Checks data that is parsed already.
    ///
    /// # Errors
    /// When the type is not listed, or the data breaks the schema.
    pub fn check_value(&self, event_type: &str, data: &Value) -> Result<(), Violations> {
        verdict(self.validator(event_type)?, data, None)
    }

    fn validator(&self, event_type: &str) -> Result<&Validator, Violations> {
        if let Some(whole) = &self.whole {
            return Ok(whole);
        }
        let types = self.types.iter().flatten();
        let part = self
            .types
            .as_ref()
            .and_then(|types| types.get(event_type))
            .ok_or_else(|| violation::unlisted(event_type, types.map(|(name, _)| name)))?;
        let compiled = part
            .validator
            .get_or_init(|| self.document.validator(&part.pointer));
        compiled
            .as_ref()
            .map_err(|reason| Violation::new("/type", &part.pointer, reason.clone()).into())
    }
}

/// `at_most` is no less than the number of values in the data, where that is known.
fn verdict(validator: &Validator, data: &Value, at_most: Option<u64>) -> Result<(), Violations> {
    match validator.verdict(data, at_most) {
        Verdict::Fits => Ok(()),
        Verdict::Refused => Err(Violations::gather(validator, data)),
        Verdict::Stopped => Err(Violation::new("/data", "", violation::STOPPED).into()),
    }
}
