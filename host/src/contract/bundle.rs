//! A JSON Schema and the schemas that it refers to, made into one document: validators, comparisons and
//! generators then need no second one. Pure, and nothing is fetched.
//!
//! Each schema that is referred to becomes a member of `$defs` (`definitions` up to draft-07), under the
//! name of its reference; references to it become pointers there. A name is an address: a relative one
//! counts from the `$id` of the schema that uses it, where that has one.

use std::{borrow::Cow, collections::HashMap, sync::Arc};

use fluent_uri::{Uri, UriRef};
use jsonschema::Draft;
use serde_json::{Map, Value};

use super::{Definition, InvalidSchema, violation::shortened};

/// Where a schema without an address of its own stands.
const BASE: &str = "sandbar://contracts/";
/// The most schemas in one document.
const MOST: usize = 1000;

/// The document. One without references is passed on as it is.
pub(super) fn bundle(definition: &Definition) -> Result<Cow<'_, Value>, InvalidSchema> {
    if definition.references.is_empty() {
        return Ok(Cow::Borrowed(&definition.schema));
    }
    let Value::Object(root) = &definition.schema else {
        return Err(InvalidSchema {
            pointer: "/schema".to_owned(),
            reason: "a schema that refers to others is an object".to_owned(),
        });
    };
    let draft = Draft::default().detect(&definition.schema);
    let home = if draft < Draft::Draft201909 {
        "definitions"
    } else {
        "$defs"
    };
    let mut bundler = Bundler {
        draft,
        home,
        places: HashMap::new(),
        taken: match root.get(home) {
            Some(Value::Object(members)) => members.keys().cloned().collect(),
            _ => Vec::new(),
        },
        parts: Map::new(),
    };
    let mut whole = bundler.rewritten(definition, "")?;
    if let (Value::Object(whole), false) = (&mut whole, bundler.parts.is_empty()) {
        let defined = whole
            .entry(home)
            .or_insert_with(|| Value::Object(Map::new()));
        if let Value::Object(defined) = defined {
            defined.extend(bundler.parts);
        }
    }
    Ok(Cow::Owned(whole))
}

struct Bundler {
    draft: Draft,
    home: &'static str,
    /// Where each contract version lies, as a JSON Pointer.
    places: HashMap<String, String>,
    /// Names that are used up in the home.
    taken: Vec<String>,
    parts: Map<String, Value>,
}

/// A schema while its references are rewritten.
struct Scope<'a> {
    schema: &'a Value,
    /// Where it will lie.
    place: &'a str,
    /// Its own address.
    base: String,
    /// Addresses of others, and where they lie with what they are.
    others: HashMap<String, (String, &'a Value)>,
}

impl Bundler {
    /// A schema with its references rewritten; what it refers to is added before.
    fn rewritten(&mut self, definition: &Definition, place: &str) -> Result<Value, InvalidSchema> {
        let draft = Draft::default().detect(&definition.schema);
        let base = id_of(&definition.schema, draft)
            .and_then(|id| Uri::parse(id).ok())
            .map_or(BASE, |uri| uri.as_str())
            .to_owned();
        let mut others = HashMap::new();
        for (index, reference) in definition.references.iter().enumerate() {
            let at = format!("/references/{index}");
            let invalid = |reason: String| InvalidSchema {
                pointer: at.clone(),
                reason,
            };
            let Some(target) = definition.referenced.get(index) else {
                let reason = format!("contract {} is not at hand", reference.target());
                return Err(invalid(reason));
            };
            let there = self
                .add(&reference.name, &reference.target(), target)
                .map_err(|reason| invalid(reason.to_string()))?;
            let own = id_of(&target.schema, Draft::default().detect(&target.schema));
            let names = [Some(reference.name.as_str()), own];
            for name in names.into_iter().flatten() {
                let known = others.insert(address(&base, name), (there.clone(), &target.schema));
                if let Some((before, _)) = known
                    && before != there
                {
                    let reason = format!("{name:?} is the name of another reference, too");
                    return Err(invalid(reason));
                }
            }
        }
        let scope = Scope {
            schema: &definition.schema,
            place,
            base,
            others,
        };
        self.schema(&definition.schema, &scope, &mut "/schema".to_owned())
    }

    /// Adds a contract version, once, and gives its place.
    fn add(
        &mut self,
        name: &str,
        target: &str,
        definition: &Arc<Definition>,
    ) -> Result<String, InvalidSchema> {
        if let Some(place) = self.places.get(target) {
            return Ok(place.clone());
        }
        let refused = |reason: String| InvalidSchema {
            pointer: target.to_owned(),
            reason,
        };
        if self.places.len() >= MOST {
            return Err(refused(format!("more than {MOST} schemas are referred to")));
        }
        let own = Draft::default().detect(&definition.schema);
        let stated = definition.schema.get("$schema").is_some();
        if stated && !may_stand_in(own, self.draft) {
            return Err(refused(format!(
                "it is written in {own:?} and the schema that refers to it in {:?}; use one draft for both",
                self.draft
            )));
        }
        let key = (1..)
            .map(|count| match count {
                1 => name.to_owned(),
                more => format!("{name} {more}"),
            })
            .find(|key| !self.taken.contains(key))
            .unwrap_or_default();
        self.taken.push(key.clone());
        let token = crate::pointer::token(&key);
        let place = format!("/{}/{token}", self.home);
        self.places.insert(target.to_owned(), place.clone());
        let rewritten = self
            .rewritten(definition, &place)
            .map_err(|inner| refused(inner.to_string()))?;
        self.parts.insert(key, rewritten);
        Ok(place)
    }

    fn schema(
        &self,
        value: &Value,
        scope: &Scope<'_>,
        at: &mut String,
    ) -> Result<Value, InvalidSchema> {
        match value {
            Value::Object(members) => self.object(members, scope, at),
            Value::Array(items) => {
                let length = at.len();
                let mut rewritten = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{index}"));
                    rewritten.push(self.schema(item, scope, at)?);
                    at.truncate(length);
                }
                Ok(Value::Array(rewritten))
            }
            scalar => Ok(scalar.clone()),
        }
    }

    fn object(
        &self,
        members: &Map<String, Value>,
        scope: &Scope<'_>,
        at: &mut String,
    ) -> Result<Value, InvalidSchema> {
        let invalid = |at: &str, reason: String| InvalidSchema {
            pointer: at.to_owned(),
            reason,
        };
        let is_root = at == "/schema";
        let is_part = !scope.place.is_empty();
        let length = at.len();
        let mut rewritten = Map::new();
        for (name, member) in members {
            at.push('/');
            at.push_str(&crate::pointer::token(name));
            match (name.as_str(), member) {
                ("$schema", Value::String(_)) if is_part && is_root => {}
                ("$ref", Value::String(reference)) => {
                    let target = scope
                        .resolve(reference)
                        .map_err(|reason| invalid(at, reason))?;
                    rewritten.insert(name.clone(), Value::String(target));
                }
                ("$id" | "id", Value::String(id)) if self.is_id(name) => {
                    if !id.starts_with('#') && !is_root {
                        let reason = "a part with an address of its own cannot be combined with references to other contracts; make it a contract of its own";
                        return Err(invalid(at, reason.to_owned()));
                    }
                    // Its address would change what the references in it mean.
                    if !is_part {
                        rewritten.insert(name.clone(), member.clone());
                    }
                }
                ("$anchor", Value::String(_)) if is_part => {}
                (
                    "$dynamicRef" | "$dynamicAnchor" | "$recursiveRef" | "$recursiveAnchor",
                    Value::String(_) | Value::Bool(_),
                ) if is_part => {
                    let reason =
                        format!("{name} is not taken in a schema that others refer to; use $ref");
                    return Err(invalid(at, reason));
                }
                // What stands in these is data, not schema.
                ("enum" | "const" | "default" | "examples" | "example", _) => {
                    rewritten.insert(name.clone(), member.clone());
                }
                (
                    "properties" | "patternProperties" | "definitions" | "$defs"
                    | "dependentSchemas" | "dependencies",
                    Value::Object(named),
                ) => {
                    let inside = at.len();
                    let mut parts = Map::new();
                    for (part, schema) in named {
                        at.push('/');
                        at.push_str(&crate::pointer::token(part));
                        parts.insert(part.clone(), self.schema(schema, scope, at)?);
                        at.truncate(inside);
                    }
                    rewritten.insert(name.clone(), Value::Object(parts));
                }
                _ => {
                    rewritten.insert(name.clone(), self.schema(member, scope, at)?);
                }
            }
            at.truncate(length);
        }
        Ok(Value::Object(rewritten))
    }

    fn is_id(&self, name: &str) -> bool {
        (name == "id") == (self.draft == Draft::Draft4)
    }
}

impl Scope<'_> {
    /// What a reference is in the whole document.
    fn resolve(&self, reference: &str) -> Result<String, String> {
        let (path, fragment) = reference.split_once('#').unwrap_or((reference, ""));
        let full = address(&self.base, path);
        let (place, schema) = if path.is_empty() || full == self.base {
            (self.place, self.schema)
        } else if let Some((place, schema)) = self.others.get(&full) {
            (place.as_str(), *schema)
        } else if full.contains("json-schema.org/") {
            // The drafts' own schemas are known to every validator.
            return Ok(reference.to_owned());
        } else {
            return Err(format!(
                "{:?} is not among the references of the contract; nothing is fetched, so list it there",
                shortened(reference)
            ));
        };
        if place.is_empty() {
            return Ok(reference.to_owned());
        }
        let inner = super::schema::decoded_fragment(fragment)
            .ok_or_else(|| format!("{reference:?} is not UTF-8 after percent-decoding"))?;
        let pointer = if inner.is_empty() || inner.starts_with('/') {
            inner
        } else {
            anchor(schema, &inner, &mut String::new())
                .ok_or_else(|| format!("{:?} has no anchor {inner:?}", shortened(path)))?
        };
        if schema.pointer(&pointer).is_none() {
            return Err(format!("{:?} is not in that schema", shortened(reference)));
        }
        Ok(format!(
            "#{}",
            sandbar_validator::fragment(&format!("{place}{pointer}"))
        ))
    }
}

/// Whether a schema of the one draft means the same in a document of the other.
fn may_stand_in(part: Draft, whole: Draft) -> bool {
    let seven = |draft| matches!(draft, Draft::Draft6 | Draft::Draft7);
    part == whole || (seven(part) && seven(whole))
}

/// The address that a schema gives itself.
fn id_of(schema: &Value, draft: Draft) -> Option<&str> {
    let key = if draft == Draft::Draft4 { "id" } else { "$id" };
    let id = schema.get(key)?.as_str()?.trim_end_matches('#');
    (!id.is_empty()).then_some(id)
}

/// An address in full; what is none stays as it is.
pub(super) fn address(base: &str, name: &str) -> String {
    let name = name.trim_end_matches('#');
    let resolved = Uri::parse(base).ok().and_then(|base| {
        let relative = UriRef::parse(name).ok()?;
        relative.resolve_against(&base).ok()
    });
    resolved.map_or_else(|| name.to_owned(), |uri| uri.as_str().to_owned())
}

/// The JSON Pointer of a named place.
fn anchor(value: &Value, name: &str, at: &mut String) -> Option<String> {
    let length = at.len();
    match value {
        Value::Object(members) => {
            let is = |key: &str, text: &str| {
                members
                    .get(key)
                    .and_then(Value::as_str)
                    .is_some_and(|found| found == text)
            };
            let as_id = format!("#{name}");
            if is("$anchor", name) || is("$id", &as_id) || is("id", &as_id) {
                return Some(at.clone());
            }
            for (key, member) in members {
                at.push('/');
                at.push_str(&crate::pointer::token(key));
                if let Some(found) = anchor(member, name, at) {
                    return Some(found);
                }
                at.truncate(length);
            }
            None
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                if let Some(found) = anchor(item, name, at) {
                    return Some(found);
                }
                at.truncate(length);
            }
            None
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
