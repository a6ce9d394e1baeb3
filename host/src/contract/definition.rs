//! What a user registers as a contract.

use std::{borrow::Cow, collections::BTreeMap, fmt, fmt::Write as _, sync::Arc};

use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use super::{InvalidSchema, avro, bundle, protobuf};

/// The language that a schema is written in.
#[derive(
    Clone,
    Copy,
    Debug,
    Default,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Serialize,
    Deserialize,
    utoipa::ToSchema,
)]
#[serde(rename_all = "lowercase")]
pub enum Format {
    /// JSON Schema, draft-04 to 2020-12.
    #[default]
    Json,
    /// Avro 1.12.
    Avro,
    /// Protocol Buffers, proto2 and proto3.
    Protobuf,
}

impl Format {
    /// As in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Json => "json",
            Self::Avro => "avro",
            Self::Protobuf => "protobuf",
        }
    }

    /// For people.
    #[must_use]
    pub fn title(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::Avro => "Avro",
            Self::Protobuf => "Protobuf",
        }
    }

    /// The media types of data in this format: one bare datum or message.
    #[must_use]
    pub fn media_types(self) -> &'static [&'static str] {
        match self {
            Self::Json => &["application/json"],
            Self::Avro => &["application/avro", "avro/binary"],
            Self::Protobuf => &["application/protobuf", "application/x-protobuf"],
        }
    }

    /// Whether a `datacontenttype` says this format.
    #[must_use]
    pub fn is_said_by(self, datacontenttype: &str) -> bool {
        if self == Self::Json {
            return sandbar_types::event::is_json(datacontenttype);
        }
        let essence = datacontenttype.split(';').next().unwrap_or_default().trim();
        let mut types = self.media_types().iter();
        types.any(|known| known.eq_ignore_ascii_case(essence))
    }

    #[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks for it")]
    fn is_json(&self) -> bool {
        *self == Self::Json
    }
}

/// A contract version that a schema refers to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ContractReference {
    /// What the schema calls it: the address in a `$ref` without its fragment, an Avro full name, or the
    /// path of a Protobuf import.
    pub name: String,
    #[schema(value_type = String)]
    pub contract: Name,
    pub version: u32,
}

impl ContractReference {
    /// `contract@version`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}@{}", self.contract, self.version)
    }
}

/// A contract's content. Unknown members are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Definition {
    #[serde(default, skip_serializing_if = "Format::is_json")]
    pub format: Format,
    /// The schema. JSON and Avro: the document, or its text in a string. Protobuf: the text of a `.proto`
    /// file in a string.
    #[schema(value_type = serde_json::Value)]
    pub schema: Value,
    /// The contract versions that the schema refers to. Nothing else is looked at, nothing is fetched.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub references: Vec<ContractReference>,
    /// For each CloudEvents type, the part of the schema that holds for its data: in JSON a reference such
    /// as `#/definitions/order`, in Protobuf the full name of a message. Without it the whole schema holds
    /// for all; in Protobuf that is the file's first message.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub types: Option<BTreeMap<String, String>>,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub description: String,
    /// The schema's text as it was handed in, where it was one.
    #[serde(skip)]
    pub text: Option<String>,
    /// What `references` name, in their order, each with its own. Filled in by who knows the contracts.
    #[serde(skip)]
    pub referenced: Referenced,
}

/// Definitions that another refers to. They follow from its `references`, so they count for nothing where
/// definitions are compared.
#[derive(Clone, Default)]
pub struct Referenced(Vec<Arc<Definition>>);

impl From<Vec<Arc<Definition>>> for Referenced {
    fn from(definitions: Vec<Arc<Definition>>) -> Self {
        Self(definitions)
    }
}

impl std::ops::Deref for Referenced {
    type Target = [Arc<Definition>];
    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl PartialEq for Referenced {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for Referenced {}

impl fmt::Debug for Referenced {
    /// In short: definitions may share what they refer to many times over.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} definitions", self.0.len())
    }
}

impl Definition {
    /// Takes the schema out of its text, where a string holds one. What was taken out already stays.
    ///
    /// # Errors
    /// When the text is not JSON, of a JSON Schema or an Avro schema.
    pub fn read(mut self) -> Result<Self, InvalidSchema> {
        let Value::String(text) = &self.schema else {
            return Ok(self);
        };
        match self.format {
            Format::Protobuf => {}
            // An Avro schema may be the name of a primitive type, which is a string itself.
            Format::Avro if sandbar_avro::PRIMITIVES.contains(&text.trim()) => {}
            Format::Json | Format::Avro => {
                let parsed = serde_json::from_str(text).map_err(|error| InvalidSchema {
                    pointer: "/schema".to_owned(),
                    reason: format!("the text is not JSON: {error}"),
                })?;
                let text = std::mem::replace(&mut self.schema, parsed);
                if let Value::String(text) = text {
                    self.text = Some(text);
                }
            }
        }
        Ok(self)
    }

    /// The schema's text: as it was handed in, or as JSON without spaces.
    #[must_use]
    pub fn text(&self) -> Cow<'_, str> {
        match (&self.text, &self.schema) {
            (Some(text), _) => Cow::Borrowed(text),
            (None, Value::String(text)) if self.format == Format::Protobuf => Cow::Borrowed(text),
            (None, schema) => Cow::Owned(schema.to_string()),
        }
    }

    /// The JSON Schema with all that it refers to, in one document.
    ///
    /// # Errors
    /// When it refers to what is not listed, or what it refers to cannot stand in the same document.
    pub(crate) fn bundled(&self) -> Result<Cow<'_, Value>, InvalidSchema> {
        bundle::bundle(self)
    }

    /// `sha256:` and the hash, in hex, of what the definition means: format, schema, references and types.
    /// The same for the same content, however it was written; the description is no part of it. JSON and
    /// Avro count as JSON without spaces and with the keys of every object in order, Protobuf in its
    /// normal form, in which comments and the order of declarations are gone.
    #[must_use]
    pub fn digest(&self) -> String {
        let mut content = Self {
            description: String::new(),
            ..self.clone()
        };
        if let Some(normal) = self.normal() {
            content.schema = Value::String(normal);
        }
        hash(&content)
    }

    /// The same in its normal form: what means the same is the same.
    ///
    /// # Errors
    /// When the schema cannot be read.
    pub fn normalized(&self) -> Result<Self, InvalidSchema> {
        let mut normal = self.clone();
        match self.format {
            Format::Json => {
                let mut text = String::new();
                write_canonical(&self.schema, &mut text);
                normal.text = Some(text);
            }
            Format::Avro => {
                let text = avro::parse(self)?.canonical();
                let invalid = |error: serde_json::Error| InvalidSchema {
                    pointer: "/schema".to_owned(),
                    reason: error.to_string(),
                };
                normal.schema = serde_json::from_str(&text).map_err(invalid)?;
                normal.text = Some(text);
            }
            Format::Protobuf => {
                normal.schema = Value::String(protobuf::normal_form(self)?);
                normal.text = None;
            }
        }
        Ok(normal)
    }

    /// The normal form of a Protobuf schema; JSON and Avro are brought into order by themselves.
    fn normal(&self) -> Option<String> {
        (self.format == Format::Protobuf)
            .then(|| protobuf::normal_form(self).ok())
            .flatten()
    }

    /// A `.proto` text in place of a `FileDescriptorProto` in base64, which is taken for one, too; what it
    /// refers to has to be beside it.
    ///
    /// # Errors
    /// When it is a descriptor that does not compile.
    pub fn printed(self) -> Result<Self, InvalidSchema> {
        match self.format {
            Format::Protobuf => protobuf::printed(self),
            Format::Json | Format::Avro => Ok(self),
        }
    }

    /// An Avro schema with the types that it refers to in it; no other schema has this form.
    #[must_use]
    pub fn resolved_text(&self) -> Option<String> {
        if self.format != Format::Avro || self.references.is_empty() {
            return None;
        }
        avro::parse(self).ok().map(|schema| schema.canonical())
    }

    /// The `FileDescriptorProto` of a Protobuf schema in base64; no other schema has this form.
    #[must_use]
    pub fn serialized(&self) -> Option<String> {
        match self.format {
            Format::Protobuf => protobuf::serialized(self),
            Format::Json | Format::Avro => None,
        }
    }

    /// What the data looks like as JSON, in any format.
    ///
    /// # Errors
    /// When the schema cannot be read, or a Protobuf text has no message.
    pub fn json_form(&self) -> Result<JsonForm<'_>, InvalidSchema> {
        let whole = || vec![(None, String::new())];
        Ok(match (self.format, &self.types) {
            (Format::Json, None) => JsonForm {
                schema: self.bundled()?,
                places: whole(),
            },
            (Format::Json, Some(types)) => {
                let mut places = Vec::with_capacity(types.len());
                for (name, reference) in types {
                    let pointer = super::pointer_of(reference).map_err(|reason| InvalidSchema {
                        pointer: super::type_pointer(name),
                        reason,
                    })?;
                    places.push((Some(name.clone()), pointer));
                }
                JsonForm {
                    schema: self.bundled()?,
                    places,
                }
            }
            (Format::Avro, _) => JsonForm {
                schema: Cow::Owned(avro::parse(self)?.json_schema()),
                places: whole(),
            },
            (Format::Protobuf, types) => protobuf::json_form(self, types.as_ref())?,
        })
    }
}

/// What the data of a contract looks like as JSON.
#[derive(Clone, Debug)]
pub struct JsonForm<'a> {
    /// A JSON Schema in one document.
    pub schema: Cow<'a, Value>,
    /// The event types, and the place of each in the schema, a JSON Pointer. `None`: every type.
    pub places: Vec<(Option<String>, String)>,
}

fn hash(content: &Definition) -> String {
    let mut canonical = String::new();
    write_canonical(
        &serde_json::to_value(content).unwrap_or_default(),
        &mut canonical,
    );
    let hash = Sha256::digest(canonical.as_bytes());
    let mut digest = String::from("sha256:");
    for byte in hash {
        // Writing into a String cannot fail.
        write!(digest, "{byte:02x}").unwrap_or_default();
    }
    digest
}

/// Sorts keys itself: whether `serde_json` does depends on features that any crate may switch on.
fn write_canonical(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                write_canonical(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_canonical(item, out);
            }
            out.push(']');
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}
