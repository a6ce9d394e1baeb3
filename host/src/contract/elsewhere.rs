//! References that lead out of a schema document: which is the first, for whoever has to mend it.

use std::collections::HashSet;

use jsonschema::Draft;
use serde_json::{Map, Value};

use super::{InvalidSchema, bundle::address, schema::ADDRESS, violation::shortened};

/// The first reference that leads to what is not in the document, if there is one.
pub(super) fn first(schema: &Value, draft: Draft) -> Option<InvalidSchema> {
    let mut known = Known {
        id: if draft == Draft::Draft4 { "id" } else { "$id" },
        addresses: HashSet::from([ADDRESS.to_owned()]),
        names: HashSet::new(),
    };
    known.gather(schema, ADDRESS);
    known.find(schema, ADDRESS, &mut "/schema".to_owned())
}

/// What a document has that can be referred to.
struct Known {
    id: &'static str,
    addresses: HashSet<String>,
    names: HashSet<String>,
}

impl Known {
    /// The address that counts inside of an object.
    fn base(&self, members: &Map<String, Value>, base: &str) -> Option<String> {
        let own = members.get(self.id)?.as_str()?;
        (!own.starts_with('#')).then(|| address(base, own))
    }

    fn gather(&mut self, value: &Value, base: &str) {
        match value {
            Value::Object(members) => {
                let own = self.base(members, base);
                self.addresses.extend(own.clone());
                for key in ["$anchor", "$dynamicAnchor", "$id", "id"] {
                    if let Some(name) = members.get(key).and_then(Value::as_str) {
                        self.names.insert(name.trim_start_matches('#').to_owned());
                    }
                }
                let base = own.as_deref().unwrap_or(base);
                for (name, member) in members {
                    if !is_data(name) {
                        self.gather(member, base);
                    }
                }
            }
            Value::Array(items) => {
                for item in items {
                    self.gather(item, base);
                }
            }
            _ => {}
        }
    }

    fn find(&self, value: &Value, base: &str, at: &mut String) -> Option<InvalidSchema> {
        let length = at.len();
        match value {
            Value::Object(members) => {
                let own = self.base(members, base);
                let base = own.as_deref().unwrap_or(base);
                for (name, member) in members {
                    at.push('/');
                    at.push_str(&crate::pointer::token(name));
                    let reference = member.as_str().filter(|_| {
                        matches!(name.as_str(), "$ref" | "$dynamicRef" | "$recursiveRef")
                    });
                    if let Some(reason) = reference.and_then(|text| self.missing(text, base)) {
                        let pointer = at.clone();
                        return Some(InvalidSchema { pointer, reason });
                    }
                    if !is_data(name)
                        && let Some(found) = self.find(member, base, at)
                    {
                        return Some(found);
                    }
                    at.truncate(length);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{index}"));
                    if let Some(found) = self.find(item, base, at) {
                        return Some(found);
                    }
                    at.truncate(length);
                }
            }
            _ => {}
        }
        None
    }

    /// Why a reference leads nowhere.
    fn missing(&self, reference: &str, base: &str) -> Option<String> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let full = address(base, path);
        let shown = shortened(reference);
        if !path.is_empty()
            && !self.addresses.contains(&full)
            && !full.contains("//json-schema.org/")
        {
            return Some(format!(
                "{shown:?} is not in the schema, and nothing is fetched; list the contract that it means in references, under the name {:?}, or put it into the document",
                shortened(path)
            ));
        }
        let named = !fragment.is_empty() && !fragment.starts_with('/');
        if named && path.is_empty() && !self.names.contains(fragment) {
            return Some(format!(
                "{shown:?} is not in the schema: nothing has that anchor"
            ));
        }
        None
    }
}

/// What stands in these is data, not schema.
fn is_data(name: &str) -> bool {
    matches!(name, "enum" | "const" | "default" | "examples" | "example")
}
