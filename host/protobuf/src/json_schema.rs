//! The JSON Schema of a message's JSON: exactly the forms that `to_json` gives, all of which `to_bytes`
//! takes. Other spellings that the mapping allows on input (numbers as text, names as in the text) are not
//! described, so that what is made by the schema has one form.

use std::collections::BTreeSet;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, FieldDescriptor, Kind, MessageDescriptor,
};
use serde_json::{Map, Value, json};

use crate::{
    canonical::declared,
    number,
    shape::{is_closed, is_well_known},
};

pub(crate) fn of(pool: &DescriptorPool, root: &MessageDescriptor) -> Value {
    let mut making = Making {
        pool,
        definitions: Map::new(),
        open: vec![root.clone()],
        named: BTreeSet::new(),
    };
    making.named.insert(root.full_name().to_owned());
    while let Some(message) = making.open.pop() {
        let definition = making.message(&message);
        making
            .definitions
            .insert(message.full_name().to_owned(), definition);
    }
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$ref": reference(root.full_name()),
        "$defs": making.definitions,
    })
}

fn reference(name: &str) -> String {
    format!("#/$defs/{name}")
}

struct Making<'a> {
    pool: &'a DescriptorPool,
    definitions: Map<String, Value>,
    open: Vec<MessageDescriptor>,
    named: BTreeSet<String>,
}

impl Making<'_> {
    fn named(&mut self, message: &MessageDescriptor) -> Value {
        if self.named.insert(message.full_name().to_owned()) {
            self.open.push(message.clone());
        }
        json!({ "$ref": reference(message.full_name()) })
    }

    fn message(&mut self, message: &MessageDescriptor) -> Value {
        if is_well_known(message.full_name()) {
            return self.well_known(message);
        }
        self.object(message, None)
    }

    /// A message as an object of its fields; `url` where it lies in an Any.
    fn object(&mut self, message: &MessageDescriptor, url: Option<&str>) -> Value {
        let mut properties = Map::new();
        let mut required: Vec<String> = Vec::new();
        if let Some(url) = url {
            properties.insert("@type".into(), json!({ "const": url }));
            required.push("@type".into());
        }
        for field in message.fields() {
            properties.insert(field.json_name().to_owned(), self.field(&field));
            if field.is_required() {
                required.push(field.json_name().to_owned());
            }
        }
        for field in message.extensions() {
            let list = field.cardinality() == Cardinality::Repeated;
            let one = self.kind(&field.kind());
            let schema = if list {
                json!({ "type": "array", "items": one })
            } else {
                one
            };
            properties.insert(field.json_name().to_owned(), schema);
        }
        let mut schema = json!({
            "type": "object",
            "properties": properties,
            "additionalProperties": false,
        });
        if !required.is_empty() {
            schema["required"] = json!(required);
        }
        let choices: Vec<Value> = message
            .oneofs()
            .filter(|oneof| !oneof.is_synthetic() && oneof.fields().len() > 1)
            .map(|oneof| {
                let names: Vec<_> = oneof
                    .fields()
                    .map(|field| field.json_name().to_owned())
                    .collect();
                let mut of: Vec<_> = names
                    .iter()
                    .map(|name| json!({ "required": [name] }))
                    .collect();
                let none = json!({ "not": { "anyOf": of.clone() } });
                of.push(none);
                json!({ "oneOf": of })
            })
            .collect();
        if !choices.is_empty() {
            schema["allOf"] = Value::Array(choices);
        }
        schema
    }

    fn field(&mut self, field: &FieldDescriptor) -> Value {
        let kind = field.kind();
        match &kind {
            Kind::Message(entry) if field.is_map() => {
                let keys = key(&entry.map_entry_key_field().kind());
                let mut schema = json!({
                    "type": "object",
                    "additionalProperties": self.kind(&entry.map_entry_value_field().kind()),
                });
                if let Some(keys) = keys {
                    schema["propertyNames"] = keys;
                }
                schema
            }
            _ if field.is_list() => json!({ "type": "array", "items": self.kind(&kind) }),
            _ => self.kind(&kind),
        }
    }

    fn kind(&mut self, kind: &Kind) -> Value {
        match kind {
            Kind::Message(message) => self.named(message),
            Kind::Enum(described) => enumeration(described),
            Kind::Double => float(None),
            Kind::Float => float(Some(f32::MAX)),
            Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => {
                json!({ "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX })
            }
            Kind::Uint32 | Kind::Fixed32 => {
                json!({ "type": "integer", "minimum": 0, "maximum": u32::MAX })
            }
            Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => text(&signed()),
            Kind::Uint64 | Kind::Fixed64 => text(&number::up_to(u64::MAX)),
            Kind::Bool => json!({ "type": "boolean" }),
            Kind::String => json!({ "type": "string" }),
            Kind::Bytes => {
                let mut schema = text(BASE64);
                schema["contentEncoding"] = json!("base64");
                schema
            }
        }
    }

    /// <https://protobuf.dev/programming-guides/json/>
    fn well_known(&mut self, message: &MessageDescriptor) -> Value {
        match message.full_name() {
            "google.protobuf.Any" => self.any(),
            "google.protobuf.Timestamp" => {
                let mut schema = text(TIMESTAMP);
                schema["format"] = json!("date-time");
                schema
            }
            "google.protobuf.Duration" => {
                let most = 315_576_000_000;
                text(&format!(
                    r"-?(?:{}(?:\.[0-9]{{1,9}})?|{most})s",
                    number::up_to(most - 1)
                ))
            }
            "google.protobuf.FieldMask" => {
                let name = "[a-z][a-z0-9]*(?:[A-Z][a-z0-9]*)*";
                let path = format!(r"{name}(?:\.{name})*");
                text(&format!("(?:{path}(?:,{path})*)?"))
            }
            "google.protobuf.Struct" => json!({ "type": "object" }),
            "google.protobuf.ListValue" => json!({ "type": "array" }),
            "google.protobuf.Value" => json!(true),
            "google.protobuf.Empty" => json!({ "type": "object", "additionalProperties": false }),
            // The wrappers are as the value in them.
            _ => match message.get_field_by_name("value") {
                Some(field) => self.kind(&field.kind()),
                None => json!(true),
            },
        }
    }

    /// Any message of the pool, with its name; the well-known ones lie in `value`.
    fn any(&mut self) -> Value {
        let mut choices = Vec::new();
        for message in self.pool.all_messages().collect::<Vec<_>>() {
            let name = message.full_name().to_owned();
            if message.is_map_entry()
                || message.parent_file().name() == "google/protobuf/descriptor.proto"
            {
                continue;
            }
            let url = format!("type.googleapis.com/{name}");
            choices.push(if is_well_known(&name) {
                json!({
                    "type": "object",
                    "properties": { "@type": { "const": url }, "value": self.named(&message) },
                    "required": ["@type", "value"],
                    "additionalProperties": false,
                })
            } else {
                self.object(&message, Some(&url))
            });
        }
        json!({ "anyOf": choices })
    }
}

const BASE64: &str =
    "(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?";

/// From year 1 to 9999, in UTC, with what a Timestamp keeps of a second.
const TIMESTAMP: &str = r"(?:[1-9][0-9]{3}|0[1-9][0-9]{2}|00[1-9][0-9]|000[1-9])-(?:0[1-9]|1[0-2])-(?:0[1-9]|[12][0-9]|3[01])T(?:[01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9](?:\.[0-9]{1,9})?Z";

fn text(pattern: &str) -> Value {
    json!({ "type": "string", "pattern": format!("^{pattern}$") })
}

fn signed() -> String {
    number::between(i64::MIN.unsigned_abs(), i64::MAX.unsigned_abs())
}

fn float(most: Option<f32>) -> Value {
    let mut number = json!({ "type": "number" });
    if let Some(most) = most {
        number["minimum"] = json!(-f64::from(most));
        number["maximum"] = json!(f64::from(most));
    }
    json!({ "anyOf": [number, { "enum": ["NaN", "Infinity", "-Infinity"] }] })
}

fn enumeration(described: &EnumDescriptor) -> Value {
    if described.full_name() == "google.protobuf.NullValue" {
        return json!({ "type": "null" });
    }
    let names: Vec<_> = declared(described)
        .iter()
        .map(|value| value.name().to_owned())
        .collect();
    if is_closed(described) {
        return json!({ "enum": names });
    }
    // An open enum keeps numbers that it has no name for.
    json!({ "anyOf": [
        { "enum": names },
        { "type": "integer", "minimum": i32::MIN, "maximum": i32::MAX },
    ] })
}

/// What the keys of a map look like; texts are free.
fn key(kind: &Kind) -> Option<Value> {
    let range = match kind {
        Kind::Bool => return Some(json!({ "enum": ["true", "false"] })),
        Kind::Int32 | Kind::Sint32 | Kind::Sfixed32 => number::between(
            u64::from(i32::MIN.unsigned_abs()),
            u64::from(i32::MAX.unsigned_abs()),
        ),
        Kind::Uint32 | Kind::Fixed32 => number::up_to(u64::from(u32::MAX)),
        Kind::Int64 | Kind::Sint64 | Kind::Sfixed64 => signed(),
        Kind::Uint64 | Kind::Fixed64 => number::up_to(u64::MAX),
        _ => return None,
    };
    Some(json!({ "pattern": format!("^{range}$") }))
}
