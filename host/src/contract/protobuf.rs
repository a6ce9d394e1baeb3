//! Contracts of Protobuf: one `.proto` text, with what it imports. For each event type another of its
//! messages may hold; without types it is the first. A text without a message is a contract that others
//! may import, and that no event fits.

use std::{borrow::Cow, collections::BTreeMap};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use sandbar_protobuf::Reference;
use serde_json::{Map, Value, json};

use super::{Definition, Format, InvalidSchema, JsonForm, Violation, Violations, flat, violation};

/// A compiled Protobuf schema.
#[derive(Debug)]
pub(super) struct Schema {
    whole: Option<sandbar_protobuf::Schema>,
    types: Option<BTreeMap<String, sandbar_protobuf::Schema>>,
}

impl Schema {
    pub fn compile(definition: &Definition) -> Result<Self, InvalidSchema> {
        let whole = parse(definition)?;
        let Some(types) = &definition.types else {
            return Ok(Self { whole, types: None });
        };
        if types.is_empty() {
            return Err(super::no_types());
        }
        let mut messages = BTreeMap::new();
        for (name, message) in types {
            let found = whole.as_ref().and_then(|whole| whole.message(message));
            let Some(found) = found else {
                let known = whole.as_ref().map(sandbar_protobuf::Schema::messages);
                let known = known.unwrap_or_default().join(", ");
                return Err(InvalidSchema {
                    pointer: super::type_pointer(name),
                    reason: format!("{message:?} is no message of the schema; it has: {known}"),
                });
            };
            messages.insert(name.clone(), found);
        }
        Ok(Self {
            whole,
            types: Some(messages),
        })
    }

    /// The schema with the message that holds for a type.
    pub fn of_type(&self, event_type: &str) -> Result<&sandbar_protobuf::Schema, Violations> {
        match &self.types {
            None => self.whole.as_ref().ok_or_else(|| {
                let reason = "the contract has no message; it is there for others to import";
                Violation::new("/data", "", reason).into()
            }),
            Some(types) => types
                .get(event_type)
                .ok_or_else(|| violation::unlisted(event_type, types.keys())),
        }
    }

    pub fn check(
        &self,
        event_type: &str,
        datacontenttype: &str,
        data: &[u8],
    ) -> Result<(), Violations> {
        let schema = self.of_type(event_type)?;
        violation::of_format(Format::Protobuf, datacontenttype)?;
        schema.check(data).map_err(|flaw| refusal(&flaw))
    }

    pub fn check_value(&self, event_type: &str, data: &Value) -> Result<(), Violations> {
        let bytes = self.of_type(event_type)?.to_bytes(data);
        bytes.map(drop).map_err(|flaw| refusal(&flaw))
    }
}

fn refusal(flaw: &sandbar_protobuf::Flaw) -> Violations {
    Violation::new(&format!("/data{}", flaw.path), "", flaw.reason.clone()).into()
}

/// The text of a definition.
fn text(definition: &Definition) -> Result<&str, InvalidSchema> {
    definition.schema.as_str().ok_or_else(|| InvalidSchema {
        pointer: "/schema".to_owned(),
        reason: "a Protobuf schema is the text of a .proto file, in a string".to_owned(),
    })
}

fn with_references<T>(
    definition: &Definition,
    work: impl FnOnce(&str, &[Reference<'_>]) -> Result<T, sandbar_protobuf::Invalid>,
) -> Result<T, InvalidSchema> {
    let others = flat::flat(definition)?;
    let mut references = Vec::with_capacity(others.len());
    for (name, one) in &others {
        let text = text(one)?;
        references.push(Reference { name, text });
    }
    work(text(definition)?, &references).map_err(|invalid| InvalidSchema {
        pointer: "/schema".to_owned(),
        reason: match invalid.pointer.as_str() {
            "" => invalid.reason,
            place => format!("{place}: {}", invalid.reason),
        },
    })
}

/// The schema of a definition, with what it imports; none where the text has no message.
pub(super) fn parse(
    definition: &Definition,
) -> Result<Option<sandbar_protobuf::Schema>, InvalidSchema> {
    with_references(definition, |text, references| {
        let error = match sandbar_protobuf::Schema::parse(text, references) {
            Ok(schema) => return Ok(Some(schema)),
            Err(error) => error,
        };
        // What compiles and is refused has no message.
        match sandbar_protobuf::normal_form(text, references) {
            Ok(normal) if !normal.contains("message ") => Ok(None),
            _ => Err(error),
        }
    })
}

/// What the messages look like as JSON: the one of each event type, or the first.
pub(super) fn json_form(
    definition: &Definition,
    types: Option<&BTreeMap<String, String>>,
) -> Result<JsonForm<'static>, InvalidSchema> {
    let none = |pointer: String, reason: String| InvalidSchema { pointer, reason };
    let Some(whole) = parse(definition)? else {
        return Err(none("/schema".to_owned(), "has no message".to_owned()));
    };
    let Some(types) = types else {
        return Ok(JsonForm {
            schema: Cow::Owned(whole.json_schema()),
            places: vec![(None, String::new())],
        });
    };
    // Each schema defines all messages that it needs under their full names, so they share one document.
    let mut definitions = Map::new();
    let mut places = Vec::with_capacity(types.len());
    for (name, message) in types {
        let found = whole.message(message).ok_or_else(|| {
            let reason = format!("{message:?} is no message of the schema");
            none(super::type_pointer(name), reason)
        })?;
        if let Value::Object(mut schema) = found.json_schema()
            && let Some(Value::Object(own)) = schema.remove("$defs")
        {
            definitions.extend(own);
        }
        places.push((Some(name.clone()), format!("/$defs/{}", found.name())));
    }
    Ok(JsonForm {
        schema: Cow::Owned(json!({
            "$schema": "https://json-schema.org/draft/2020-12/schema",
            "$defs": definitions,
        })),
        places,
    })
}

/// The text in its normal form.
pub(super) fn normal_form(definition: &Definition) -> Result<String, InvalidSchema> {
    with_references(definition, sandbar_protobuf::normal_form)
}

/// The `FileDescriptorProto` of the text in base64.
pub(super) fn serialized(definition: &Definition) -> Option<String> {
    let bytes = with_references(definition, sandbar_protobuf::descriptor_of);
    bytes.ok().map(|bytes| STANDARD.encode(bytes))
}

/// A `.proto` text in place of a `FileDescriptorProto` in base64, which clients send, too.
pub(super) fn printed(definition: Definition) -> Result<Definition, InvalidSchema> {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/' | b'=');
    let text = text(&definition)?.trim();
    if text.is_empty() || !text.bytes().all(plain) {
        return Ok(definition);
    }
    let Ok(bytes) = STANDARD.decode(text) else {
        return Ok(definition);
    };
    let printed = with_references(&definition, |_, references| {
        sandbar_protobuf::text_of(&bytes, references)
    })?;
    Ok(Definition {
        schema: Value::String(printed),
        ..definition
    })
}
