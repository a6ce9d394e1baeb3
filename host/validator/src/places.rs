//! What stands where in a schema document: schemas, schemas by name, and data.

use serde_json::Value;

/// What an object in a schema document is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Schema,
    /// Schemas by name: `properties`.
    Named,
    /// A value that the data is held against, such as that of `const`.
    Data,
}

impl Place {
    /// What the member of an object is. Below a keyword that is not known there may be schemas, too:
    /// a reference may lead there.
    pub(crate) fn member(self, name: &str) -> Self {
        match (self, name) {
            (Self::Data, _)
            | (Self::Schema, "enum" | "const" | "dependentRequired" | "$vocabulary") => Self::Data,
            (
                Self::Schema,
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas"
                | "dependencies",
            ) => Self::Named,
            (Self::Schema | Self::Named, _) => Self::Schema,
        }
    }
}

/// How much there is in a schema document.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Parts {
    /// Objects.
    pub objects: usize,
    /// All values, objects among them.
    pub values: usize,
}

/// Counts what there is in a schema document.
#[must_use]
pub fn parts(schema: &Value) -> Parts {
    let mut parts = Parts::default();
    let mut open = vec![schema];
    while let Some(value) = open.pop() {
        parts.values += 1;
        match value {
            Value::Object(members) => {
                parts.objects += 1;
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    parts
}

/// Each object that is a schema, or may be one.
pub(crate) fn schemas<'a>(
    value: &'a Value,
    place: Place,
    each: &mut impl FnMut(&'a serde_json::Map<String, Value>),
) {
    match value {
        Value::Object(members) => {
            if place == Place::Data {
                return;
            }
            if place == Place::Schema {
                each(members);
            }
            for (name, member) in members {
                schemas(member, place.member(name), each);
            }
        }
        Value::Array(items) => {
            for item in items {
                schemas(item, place, each);
            }
        }
        _ => {}
    }
}

/// Whether parts of a document have addresses of their own.
pub(crate) fn has_embedded(schema: &Value) -> bool {
    let mut embedded = false;
    let mut top = true;
    schemas(schema, Place::Schema, &mut |members| {
        let own = ["$id", "id"].iter().any(|key| {
            let id = members.get(*key).and_then(Value::as_str);
            id.is_some_and(|id| !id.starts_with('#'))
        });
        embedded |= own && !top;
        top = false;
    });
    embedded
}

/// Refuses references into data: what stands there is never counted.
pub(crate) fn refuse_data(schema: &Value) -> Result<(), String> {
    let mut wrong = None;
    schemas(schema, Place::Schema, &mut |members| {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            if let Some(Value::String(reference)) = members.get(keyword)
                && wrong.is_none()
                && leads_into_data(reference)
            {
                wrong = Some(reference);
            }
        }
    });
    match wrong {
        None => Ok(()),
        Some(reference) => Err(format!(
            "the reference {reference:?} leads into data, which is no schema; put the schema into $defs"
        )),
    }
}

fn leads_into_data(reference: &str) -> bool {
    let Some((_, fragment)) = reference.split_once('#') else {
        return false;
    };
    if fragment.contains("enum") || fragment.contains("const") || fragment.contains('%') {
        // Percent-encoded or not: a token that is a keyword where a schema stands.
        let decoded = crate::fragment::pointer(fragment);
        let mut place = Place::Schema;
        for token in decoded.split('/').skip(1) {
            place = place.member(token);
            if place == Place::Data {
                return true;
            }
        }
    }
    fragment.contains("dependentRequired") || fragment.contains("$vocabulary")
}
