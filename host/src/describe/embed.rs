//! Schemas put into another document, with every reference in them leading somewhere.
//!
//! What a schema refers to is gathered under its `$defs` with a plain name, and each reference becomes a
//! JSON Pointer from the root of the outer document, which every tool follows; ids and anchors, which
//! many do not, are resolved and left out. `$dynamicRef` and `$recursiveRef` become what they mean when
//! the schema stands alone. The result may also be brought up to 2020-12.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use fluent_uri::{Uri, UriRef};
use jsonschema::Draft;
use percent_encoding::percent_decode_str;
use serde_json::{Map, Value, json};

use crate::{contract::plain_name, pointer};

/// Where a schema stands that says nothing of it.
const ADDRESS: &str = "sandbar:contract";

/// In which words the schema is written down.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dialect {
    /// Its own.
    Own,
    /// Those of 2020-12, which OpenAPI 3.1 has.
    Latest,
}

/// A schema, ready to stand at `base`.
#[derive(Debug)]
pub(super) struct Embedded {
    pub schema: Value,
    /// For each part that was asked for, a reference from the root of the outer document.
    pub parts: BTreeMap<String, String>,
}

/// Embeds a schema. `base` is a reference to where it will stand, such as `#/components/schemas/x`. With
/// `parts`, JSON Pointers into the schema, it takes what any of them takes.
pub(super) fn embed(
    schema: &Value,
    parts: Option<&BTreeSet<String>>,
    base: &str,
    dialect: Dialect,
) -> Embedded {
    let draft = Draft::default().detect(schema);
    let mut embedding = Embedding::new(schema, draft, dialect, base);
    let container = embedding.container;
    let mut root = match parts {
        None => {
            embedding.names.insert(String::new(), None);
            match embedding.write(schema, "") {
                Value::Object(members) => members,
                Value::Bool(false) => Map::from_iter([("not".to_owned(), json!({}))]),
                _ => Map::new(),
            }
        }
        Some(parts) => {
            let each: Vec<Value> = parts.iter().map(|part| embedding.reference(part)).collect();
            Map::from_iter([("anyOf".to_owned(), Value::Array(each))])
        }
    };
    let parts = (parts.into_iter().flatten())
        .map(|part| (part.clone(), embedding.address(part)))
        .collect();
    let mut definitions = Map::new();
    while let Some((pointer, name)) = embedding.wanted.pop_front() {
        let written = match schema.pointer(&pointer) {
            Some(found) => embedding.write(found, &pointer),
            None => json!({}),
        };
        definitions.insert(name, written);
    }
    if !definitions.is_empty() {
        root.insert(container.to_owned(), Value::Object(definitions));
    }
    Embedded {
        schema: Value::Object(root),
        parts,
    }
}

struct Embedding<'a> {
    root: &'a Value,
    /// References have nothing beside them up to draft-07.
    lonely: bool,
    draft: Draft,
    dialect: Dialect,
    base: &'a str,
    container: &'static str,
    /// The absolute address of each schema with an id, by its pointer; the root is among them.
    resources: BTreeMap<String, String>,
    /// The pointer of each anchor, by the pointer of its resource and its name.
    anchors: BTreeMap<(String, String), String>,
    /// What was referred to: by pointer its name under the container, `None` for the root itself.
    names: BTreeMap<String, Option<String>>,
    taken: BTreeSet<String>,
    wanted: VecDeque<(String, String)>,
}

impl<'a> Embedding<'a> {
    fn new(root: &'a Value, draft: Draft, dialect: Dialect, base: &'a str) -> Self {
        let lonely = matches!(draft, Draft::Draft4 | Draft::Draft6 | Draft::Draft7);
        let mut embedding = Self {
            root,
            lonely,
            draft,
            dialect,
            base,
            container: if lonely && dialect == Dialect::Own {
                "definitions"
            } else {
                "$defs"
            },
            resources: BTreeMap::new(),
            anchors: BTreeMap::new(),
            names: BTreeMap::new(),
            taken: BTreeSet::new(),
            wanted: VecDeque::new(),
        };
        embedding
            .resources
            .insert(String::new(), ADDRESS.to_owned());
        embedding.scan(root, &mut String::new(), ADDRESS, "");
        embedding
    }

    /// Finds ids and anchors.
    fn scan(&mut self, value: &Value, at: &mut String, address: &str, resource: &str) {
        let length = at.len();
        let Value::Object(members) = value else {
            if let Value::Array(items) = value {
                for (index, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{index}"));
                    self.scan(item, at, address, resource);
                    at.truncate(length);
                }
            }
            return;
        };
        let mut address = address.to_owned();
        let mut resource = resource.to_owned();
        let id = if self.draft == Draft::Draft4 {
            "id"
        } else {
            "$id"
        };
        // Up to draft-07 what stands beside a reference counts for nothing.
        let alone = !(self.lonely && members.contains_key("$ref"));
        if let (true, Some(Value::String(id))) = (alone, members.get(id)) {
            if let Some(anchor) = id.strip_prefix('#') {
                self.anchor(&resource, anchor, at);
            } else if let Some(absolute) = resolve(id, &address) {
                let (absolute, fragment) = split(&absolute);
                address = absolute.to_owned();
                resource.clone_from(at);
                self.resources.insert(at.clone(), address.clone());
                if !fragment.is_empty() {
                    self.anchor(&resource, fragment, at);
                }
            }
        }
        for keyword in ["$anchor", "$dynamicAnchor"] {
            if let Some(Value::String(anchor)) = members.get(keyword) {
                self.anchor(&resource, anchor, at);
            }
        }
        for (name, member) in members {
            if is_data(name) {
                continue;
            }
            at.push('/');
            at.push_str(&pointer::token(name));
            self.scan(member, at, &address, &resource);
            at.truncate(length);
        }
    }

    fn anchor(&mut self, resource: &str, name: &str, at: &str) {
        let key = (resource.to_owned(), name.to_owned());
        self.anchors.entry(key).or_insert_with(|| at.to_owned());
    }

    /// The pointer of the resource that a place belongs to.
    fn resource_of<'p>(&self, mut pointer: &'p str) -> &'p str {
        while !self.resources.contains_key(pointer) {
            pointer = pointer.rfind('/').map_or("", |at| &pointer[..at]);
        }
        pointer
    }

    /// What a reference at `from` leads to, as a pointer.
    fn target(&self, reference: &str, from: &str) -> Option<String> {
        let (address, fragment) = split(reference);
        let here = self.resource_of(from);
        let resource = if address.is_empty() {
            here.to_owned()
        } else {
            let absolute = resolve(address, self.resources.get(here)?)?;
            let wanted = split(&absolute).0;
            let found = self.resources.iter().find(|(_, known)| *known == wanted)?;
            found.0.clone()
        };
        let fragment = percent_decode_str(fragment).decode_utf8().ok()?;
        let pointer = if fragment.is_empty() || fragment.starts_with('/') {
            format!("{resource}{fragment}")
        } else {
            self.anchors
                .get(&(resource, fragment.into_owned()))?
                .clone()
        };
        self.root.pointer(&pointer).map(|_| pointer)
    }

    /// A reference, from the root of the outer document, to what stands at a pointer of the schema.
    fn address(&mut self, pointer: &str) -> String {
        let name = match self.names.get(pointer) {
            Some(name) => name.clone(),
            None => {
                let name = self.name(pointer);
                self.names.insert(pointer.to_owned(), Some(name.clone()));
                self.wanted.push_back((pointer.to_owned(), name.clone()));
                Some(name)
            }
        };
        match name {
            None => self.base.to_owned(),
            Some(name) => format!("{}/{}/{name}", self.base, self.container),
        }
    }

    fn name(&mut self, pointer: &str) -> String {
        let last = pointer.rsplit('/').next().unwrap_or_default();
        let last = if last.is_empty() { "root" } else { last };
        plain_name(last, &mut self.taken)
    }

    fn reference(&mut self, pointer: &str) -> Value {
        json!({"$ref": self.address(pointer)})
    }

    fn referred(&mut self, reference: &str, from: &str) -> Value {
        match self.target(reference, from) {
            Some(pointer) => self.reference(&pointer),
            // Contracts with such references are refused; what was let in once is left open.
            None => json!({}),
        }
    }

    fn write(&mut self, schema: &Value, at: &str) -> Value {
        let Value::Object(members) = schema else {
            return match schema {
                Value::Bool(_) => schema.clone(),
                _ => json!({}),
            };
        };
        if let (true, Some(Value::String(reference))) = (self.lonely, members.get("$ref")) {
            return self.referred(reference, at);
        }
        let mut out = Map::new();
        let mut references = Vec::new();
        for (keyword, value) in members {
            let place = || format!("{at}/{}", pointer::token(keyword));
            match keyword.as_str() {
                "$ref" | "$dynamicRef" | "$recursiveRef" => {
                    if let Value::String(reference) = value {
                        references.push(self.referred(reference, at));
                    }
                }
                "$schema" | "$id" | "$anchor" | "$dynamicAnchor" | "$recursiveAnchor"
                | "$vocabulary" | "$defs" | "definitions" => {}
                "id" if self.draft == Draft::Draft4 && value.is_string() => {}
                // To OpenAPI these mean something else.
                "discriminator" | "xml" | "externalDocs" if self.dialect == Dialect::Latest => {}
                "properties" | "patternProperties" | "dependentSchemas" => {
                    let written = self.each_member(value, &place());
                    out.insert(keyword.clone(), written);
                }
                "dependencies" => self.dependencies(value, &place(), &mut out),
                "allOf" | "anyOf" | "oneOf" | "prefixItems" => {
                    let written = self.each_item(value, &place());
                    out.insert(keyword.clone(), written);
                }
                "items" if value.is_array() => {
                    let written = self.each_item(value, &place());
                    let keyword = match self.dialect {
                        Dialect::Own => "items",
                        Dialect::Latest => "prefixItems",
                    };
                    out.insert(keyword.to_owned(), written);
                }
                "additionalItems" if self.dialect == Dialect::Latest => {
                    // Without a list of items it says nothing.
                    if members.get("items").is_some_and(Value::is_array) {
                        let written = self.write(value, &place());
                        out.insert("items".to_owned(), written);
                    }
                }
                "additionalProperties"
                | "additionalItems"
                | "items"
                | "not"
                | "contains"
                | "propertyNames"
                | "if"
                | "then"
                | "else"
                | "unevaluatedItems"
                | "unevaluatedProperties"
                | "contentSchema" => {
                    let written = self.write(value, &place());
                    out.insert(keyword.clone(), written);
                }
                "exclusiveMinimum" | "exclusiveMaximum"
                    if self.dialect == Dialect::Latest && value.is_boolean() => {}
                // Published schemas have them; to a validator of documents they are wrong.
                "default" if !fits(members, value) => {}
                // Data in which a tool would see a reference.
                _ if has_reference(value) => {}
                _ => {
                    out.insert(keyword.clone(), value.clone());
                }
            }
        }
        if self.dialect == Dialect::Latest {
            for (flag, bound) in [
                ("exclusiveMinimum", "minimum"),
                ("exclusiveMaximum", "maximum"),
            ] {
                if members.get(flag) == Some(&Value::Bool(true))
                    && let Some(value) = out.remove(bound)
                {
                    out.insert(flag.to_owned(), value);
                }
            }
        }
        refer(references, &mut out);
        Value::Object(out)
    }

    fn each_member(&mut self, value: &Value, at: &str) -> Value {
        let Value::Object(members) = value else {
            return json!({});
        };
        let each = members.iter().map(|(name, member)| {
            let place = format!("{at}/{}", pointer::token(name));
            (name.clone(), self.write(member, &place))
        });
        Value::Object(each.collect())
    }

    fn each_item(&mut self, value: &Value, at: &str) -> Value {
        let items = value.as_array().into_iter().flatten().enumerate();
        let each = items.map(|(index, item)| self.write(item, &format!("{at}/{index}")));
        Value::Array(each.collect())
    }

    /// Each member holds names or a schema; since 2019-09 these are two keywords.
    fn dependencies(&mut self, value: &Value, at: &str, out: &mut Map<String, Value>) {
        let mut names = Map::new();
        let mut schemas = Map::new();
        for (name, member) in value.as_object().into_iter().flatten() {
            if member.is_array() {
                names.insert(name.clone(), member.clone());
            } else {
                let written = self.write(member, &format!("{at}/{}", pointer::token(name)));
                schemas.insert(name.clone(), written);
            }
        }
        if self.dialect == Dialect::Own {
            names.extend(schemas);
            out.insert("dependencies".to_owned(), Value::Object(names));
            return;
        }
        for (keyword, members) in [("dependentRequired", names), ("dependentSchemas", schemas)] {
            if !members.is_empty() {
                let there = out.entry(keyword).or_insert_with(|| json!({}));
                if let Value::Object(there) = there {
                    there.extend(members);
                }
            }
        }
    }
}

/// Puts references into a schema: one as `$ref`, several as parts of `allOf`.
fn refer(references: Vec<Value>, out: &mut Map<String, Value>) {
    if let [one] = references.as_slice() {
        if let Value::Object(members) = one {
            out.extend(members.clone());
        }
    } else if !references.is_empty() {
        let all = out.entry("allOf").or_insert_with(|| json!([]));
        if let Value::Array(all) = all {
            all.extend(references);
        }
    }
}

fn resolve(reference: &str, address: &str) -> Option<String> {
    let base = Uri::parse(address).ok()?;
    let resolved = UriRef::parse(reference).ok()?.resolve_against(&base).ok()?;
    Some(resolved.into_string())
}

/// An address and its fragment, without `#`.
fn split(reference: &str) -> (&str, &str) {
    reference.split_once('#').unwrap_or((reference, ""))
}

/// Whether a default is among the values of its own schema, as far as `enum`, `const` and `type` tell.
fn fits(schema: &Map<String, Value>, default: &Value) -> bool {
    let of_type = |name: &Value| match name.as_str() {
        Some("null") => default.is_null(),
        Some("boolean") => default.is_boolean(),
        Some("string") => default.is_string(),
        Some("array") => default.is_array(),
        Some("object") => default.is_object(),
        Some("integer") => default.as_f64().is_some_and(|number| number.fract() == 0.0),
        Some("number") => default.is_number(),
        _ => true,
    };
    let listed = |values: &Value| values.as_array().is_none_or(|all| all.contains(default));
    schema.get("enum").is_none_or(listed)
        && schema.get("const").is_none_or(|value| value == default)
        && schema.get("type").is_none_or(|types| match types {
            Value::Array(all) => all.iter().any(of_type),
            one => of_type(one),
        })
}

/// What stands there is data, not schema.
fn is_data(keyword: &str) -> bool {
    matches!(
        keyword,
        "enum" | "const" | "default" | "examples" | "example"
    )
}

fn has_reference(value: &Value) -> bool {
    match value {
        Value::Object(members) => {
            members.get("$ref").is_some_and(Value::is_string) || members.values().any(has_reference)
        }
        Value::Array(items) => items.iter().any(has_reference),
        _ => false,
    }
}

#[cfg(test)]
mod tests;
