//! Contracts of Avro: one schema, with the named types of what it refers to. Types of events are not told
//! apart: an Avro contract holds for all.

use serde_json::Value;

use super::{Definition, Format, InvalidSchema, Violation, Violations, flat, violation};

/// A compiled Avro schema.
#[derive(Debug)]
pub(super) struct Schema {
    pub schema: sandbar_avro::Schema,
}

impl Schema {
    pub fn compile(definition: &Definition) -> Result<Self, InvalidSchema> {
        if definition.types.is_some() {
            return Err(InvalidSchema {
                pointer: "/types".to_owned(),
                reason: "an Avro contract holds for all types of events; make a contract for each"
                    .to_owned(),
            });
        }
        Ok(Self {
            schema: parse(definition)?,
        })
    }

    pub fn check(&self, datacontenttype: &str, data: &[u8]) -> Result<(), Violations> {
        violation::of_format(Format::Avro, datacontenttype)?;
        let checked = self.schema.check(data);
        checked.map_err(|flaw| refusal(&flaw))
    }

    pub fn check_value(&self, data: &Value) -> Result<(), Violations> {
        let bytes = self.schema.to_bytes(data);
        bytes.map(drop).map_err(|flaw| refusal(&flaw))
    }
}

fn refusal(flaw: &sandbar_avro::Flaw) -> Violations {
    Violation::new(&format!("/data{}", flaw.path), "", flaw.reason.clone()).into()
}

/// The schema of a definition, with what it refers to.
pub(super) fn parse(definition: &Definition) -> Result<sandbar_avro::Schema, InvalidSchema> {
    let others = flat::flat(definition)?;
    let texts: Vec<(&str, String)> = (others.iter())
        .map(|(name, one)| (name.as_str(), one.schema.to_string()))
        .collect();
    let references: Vec<_> = (texts.iter())
        .map(|(name, text)| sandbar_avro::Reference { name, text })
        .collect();
    sandbar_avro::Schema::parse(&definition.schema.to_string(), &references).map_err(|invalid| {
        InvalidSchema {
            pointer: format!("/schema{}", invalid.pointer),
            reason: invalid.reason,
        }
    })
}
