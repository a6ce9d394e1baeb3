//! A schema after parsing: its types in one list, which refer to each other by their place in it.

use std::collections::HashMap;

use serde_json::Value;

use crate::{logical::Logical, union::Union};

/// The place of a type in [`Types::nodes`].
pub(crate) type Id = u32;

#[derive(Debug)]
pub(crate) struct Types {
    pub nodes: Vec<Node>,
    pub root: Id,
}

#[derive(Debug)]
pub(crate) struct Node {
    pub kind: Kind,
    pub logical: Option<Logical>,
    /// What Avro does not know, and logical types that do not count, by name.
    pub properties: Vec<(String, Value)>,
}

#[derive(Debug)]
pub(crate) enum Kind {
    Null,
    Boolean,
    Int,
    Long,
    Float,
    Double,
    Bytes,
    String,
    Array(Id),
    Map(Id),
    Union(Union),
    Record(Record),
    Enum(Enum),
    Fixed(Fixed),
}

/// The name of a type, and the names it had.
#[derive(Clone, Debug)]
pub(crate) struct Named {
    /// With its namespace.
    pub full: String,
    /// Full names.
    pub aliases: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Record {
    pub named: Named,
    pub fields: Vec<Field>,
    pub by_name: HashMap<String, usize>,
    /// `"type": "error"`
    pub error: bool,
}

#[derive(Debug)]
pub(crate) struct Field {
    pub name: String,
    pub aliases: Vec<String>,
    pub schema: Id,
    pub default: Option<FieldDefault>,
    /// Unless it is ascending.
    pub order: Option<String>,
    pub properties: Vec<(String, Value)>,
}

#[derive(Debug)]
pub(crate) struct FieldDefault {
    /// As it stands in the schema.
    pub json: Value,
    /// As a datum of the field's type.
    pub bytes: Vec<u8>,
    /// How many values it has, and how deep they nest.
    pub values: usize,
    pub deepest: usize,
}

#[derive(Debug)]
pub(crate) struct Enum {
    pub named: Named,
    pub symbols: Vec<String>,
    pub by_symbol: HashMap<String, usize>,
    pub default: Option<usize>,
}

#[derive(Debug)]
pub(crate) struct Fixed {
    pub named: Named,
    /// In bytes.
    pub size: usize,
}

impl Types {
    pub(crate) fn node(&self, id: Id) -> &Node {
        &self.nodes[id as usize]
    }

    pub(crate) fn kind(&self, id: Id) -> &Kind {
        &self.node(id).kind
    }

    pub(crate) fn full_name(&self, id: Id) -> Option<&str> {
        self.kind(id).named().map(|named| named.full.as_str())
    }

    /// What the specification's JSON encoding calls a branch of a union.
    pub(crate) fn branch_name(&self, id: Id) -> &str {
        self.full_name(id).unwrap_or(self.kind(id).word())
    }
}

impl Kind {
    pub(crate) fn named(&self) -> Option<&Named> {
        match self {
            Self::Record(record) => Some(&record.named),
            Self::Enum(one) => Some(&one.named),
            Self::Fixed(fixed) => Some(&fixed.named),
            _ => None,
        }
    }

    /// The word of the specification.
    pub(crate) fn word(&self) -> &'static str {
        match self {
            Self::Null => "null",
            Self::Boolean => "boolean",
            Self::Int => "int",
            Self::Long => "long",
            Self::Float => "float",
            Self::Double => "double",
            Self::Bytes => "bytes",
            Self::String => "string",
            Self::Array(_) => "array",
            Self::Map(_) => "map",
            Self::Union(_) => "union",
            Self::Record(_) => "record",
            Self::Enum(_) => "enum",
            Self::Fixed(_) => "fixed",
        }
    }
}
