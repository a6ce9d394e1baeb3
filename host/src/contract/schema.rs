//! The schema document: checked once, and compiled part by part.

use jsonschema::Draft;
use percent_encoding::percent_decode_str;
use sandbar_validator::{PatternFlaw, Validator, parts, pattern_flaw};
use serde_json::Value;

use super::{InvalidSchema, elsewhere, violation::shortened};

/// Where a document without an address of its own stands; nothing can be fetched from there.
pub(super) const ADDRESS: &str = "sandbar://contract/";
/// The most objects in a schema document. GitHub's webhooks have 6,200.
const MOST_OBJECTS: usize = 50_000;
/// The most values in a schema document, those of `enum` among them.
const MOST_VALUES: usize = 500_000;

/// A document whose references all stay inside of it.
pub(super) struct Document {
    inner: sandbar_validator::Document,
    draft: Draft,
}

impl Document {
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        let invalid = |pointer: String, reason: String| InvalidSchema { pointer, reason };
        let at_root = |reason: String| invalid("/schema".to_owned(), reason);
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(at_root("a schema is an object or a boolean".to_owned()));
        }
        if let Some(reason) = too_large(schema) {
            return Err(at_root(reason));
        }
        let draft = Draft::default().detect(schema);
        if let (Draft::Unknown, Some(named)) = (draft, schema.get("$schema")) {
            let reason =
                format!("{named} is not known; draft-04, -06, -07, 2019-09 and 2020-12 are");
            return Err(invalid("/schema/$schema".to_owned(), reason));
        }
        if let Err(error) = jsonschema::meta::validate(schema) {
            let pointer = format!("/schema{}", error.instance_path().as_str());
            return Err(invalid(pointer, shortened(&error.to_string())));
        }
        check_references(schema, &mut String::from("/schema"), schema)?;
        let address = address_of(schema, draft);
        let inner = sandbar_validator::Document::new(schema, draft, &address).map_err(|error| {
            elsewhere::first(schema, draft).unwrap_or_else(|| at_root(shortened(&error)))
        })?;
        Ok(Self { inner, draft })
    }

    pub fn draft(&self) -> Draft {
        self.draft
    }

    /// Compiles the part at `pointer`, a JSON Pointer.
    pub fn validator(&self, pointer: &str) -> Result<Validator, String> {
        let compiled = self.inner.validator(pointer);
        compiled.map_err(|error| shortened(&error))
    }
}

/// Why a schema document has more in it than is taken, if it has.
pub(super) fn too_large(schema: &Value) -> Option<String> {
    let parts = parts(schema);
    (parts.objects > MOST_OBJECTS || parts.values > MOST_VALUES).then(|| {
        format!(
            "it has {} objects and {} values in all; at most {MOST_OBJECTS} and {MOST_VALUES} are taken: make several contracts of it",
            parts.objects, parts.values
        )
    })
}

/// The address that a document gives itself, where it is a whole one. That of a draft stays the draft's own.
fn address_of(schema: &Value, draft: Draft) -> String {
    let name = if draft == Draft::Draft4 { "id" } else { "$id" };
    // Up to draft-07 nothing beside a reference counts.
    let counts = draft >= Draft::Draft201909 || schema.get("$ref").is_none();
    let own = schema.get(name).and_then(Value::as_str).filter(|_| counts);
    own.and_then(|own| own.split('#').next())
        .filter(|own| fluent_uri::Uri::parse(*own).is_ok() && !own.contains("//json-schema.org/"))
        .unwrap_or(ADDRESS)
        .to_owned()
}

/// A fragment as the JSON Pointer or name that it is; `None` when it is not UTF-8.
pub(super) fn decoded_fragment(fragment: &str) -> Option<String> {
    let decoded = percent_decode_str(fragment).decode_utf8().ok()?;
    Some(decoded.into_owned())
}

/// The JSON Pointer of a reference such as `#/definitions/order`.
pub(super) fn pointer_of(reference: &str) -> Result<String, String> {
    let pointer = reference.strip_prefix('#').unwrap_or_default();
    if !reference.starts_with('#') || !(pointer.is_empty() || pointer.starts_with('/')) {
        return Err(format!(
            "{reference:?} is no reference into the schema, such as \"#/definitions/order\""
        ));
    }
    let decoded = percent_decode_str(pointer).decode_utf8();
    decoded
        .map(String::from)
        .map_err(|_| format!("{reference:?} is not UTF-8 after percent-decoding"))
}

/// Finds pointers that lead nowhere and patterns that cannot be run, at the place where they stand.
fn check_references(value: &Value, at: &mut String, root: &Value) -> Result<(), InvalidSchema> {
    let length = at.len();
    match value {
        Value::Object(members) => {
            for (name, member) in members {
                // What stands in these is data, not schema.
                if matches!(
                    name.as_str(),
                    "enum" | "const" | "default" | "examples" | "example"
                ) {
                    continue;
                }
                at.push('/');
                at.push_str(&crate::pointer::token(name));
                if let Value::String(text) = member {
                    check_text(name, text, root).map_err(|reason| InvalidSchema {
                        pointer: at.clone(),
                        reason,
                    })?;
                }
                check_references(member, at, root)?;
                at.truncate(length);
            }
        }
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                at.push_str(&format!("/{index}"));
                check_references(item, at, root)?;
                at.truncate(length);
            }
        }
        _ => {}
    }
    Ok(())
}

fn check_text(name: &str, text: &str, root: &Value) -> Result<(), String> {
    match name {
        "$ref" | "$dynamicRef" | "$recursiveRef" if text.starts_with("#/") => {
            let pointer = pointer_of(text)?;
            // A document with embedded schemas that have ids of their own may point into those.
            if root.pointer(&pointer).is_none() && !has_embedded(root) {
                return Err(format!("{text} is not in the schema"));
            }
        }
        "pattern" => {
            return match pattern_flaw(text) {
                None => Ok(()),
                Some(PatternFlaw::Malformed(reason)) => Err(format!(
                    "the pattern {:?} is no regular expression: {reason}",
                    shortened(text)
                )),
                Some(PatternFlaw::Costly) => Err(format!(
                    "the pattern {:?} cannot be run in linear time, or takes too much memory; do without look-around, back-references and counts of counts",
                    shortened(text)
                )),
            };
        }
        _ => {}
    }
    Ok(())
}

fn has_embedded(root: &Value) -> bool {
    fn any(value: &Value, top: bool) -> bool {
        match value {
            Value::Object(members) => {
                let named = !top
                    && ["$id", "id"]
                        .iter()
                        .any(|key| members.get(*key).is_some_and(Value::is_string));
                named || members.values().any(|member| any(member, false))
            }
            Value::Array(items) => items.iter().any(|item| any(item, false)),
            _ => false,
        }
    }
    any(root, true)
}
