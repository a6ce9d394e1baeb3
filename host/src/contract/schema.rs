//! The schema document: checked once, and compiled part by part.

use jsonschema::{Draft, PatternOptions, Registry, Validator};
use percent_encoding::percent_decode_str;
use serde_json::{Value, json};

use super::{InvalidSchema, violation::shortened};

/// Where a document without an address of its own stands; nothing can be fetched from there.
const ADDRESS: &str = "sandbar://contract/";
/// The most memory that one compiled pattern may take, in bytes.
const PATTERN_SIZE: usize = 1024 * 1024;

/// A document whose references all stay inside of it.
pub(super) struct Document {
    registry: Registry<'static>,
    draft: Draft,
    /// Where it stands: relative references count from here.
    address: String,
}

impl Document {
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        let invalid = |pointer: String, reason: String| InvalidSchema { pointer, reason };
        let at_root = |reason: String| invalid("/schema".to_owned(), reason);
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(at_root("a schema is an object or a boolean".to_owned()));
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
        let registry = Registry::new()
            .draft(draft)
            .add(&address, schema.clone())
            .and_then(|builder| builder.prepare())
            .map_err(|error| at_root(outside(&error.to_string())))?;
        Ok(Self {
            registry,
            draft,
            address,
        })
    }

    pub fn draft(&self) -> Draft {
        self.draft
    }

    /// Compiles the part at `pointer`, a JSON Pointer.
    pub fn validator(&self, pointer: &str) -> Result<Validator, String> {
        let encoded = encoded(pointer);
        jsonschema::options()
            .with_draft(self.draft)
            .with_registry(&self.registry)
            .should_validate_formats(true)
            .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
            .build(&json!({"$ref": format!("{}#{encoded}", self.address)}))
            .map_err(|error| shortened(&error.to_string()))
    }
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

/// What must be encoded in a fragment (RFC 3986 §3.5).
const FRAGMENT: &percent_encoding::AsciiSet = &percent_encoding::NON_ALPHANUMERIC
    .remove(b'/')
    .remove(b'-')
    .remove(b'_')
    .remove(b'.')
    .remove(b'~')
    .remove(b'$');

/// A JSON Pointer as a fragment.
pub(super) fn encoded(pointer: &str) -> String {
    percent_encoding::utf8_percent_encode(pointer, FRAGMENT).collect()
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

fn outside(reason: &str) -> String {
    format!(
        "{}; nothing is fetched, so put what is referred to into the same document",
        shortened(reason)
    )
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
                at.push_str(&name.replace('~', "~0").replace('/', "~1"));
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
            let probe = jsonschema::options()
                .with_pattern_options(PatternOptions::regex().size_limit(PATTERN_SIZE))
                .build(&json!({"pattern": text}));
            if probe.is_err() {
                return Err(format!(
                    "the pattern {:?} cannot be run in linear time, or takes too much memory; do without look-around, back-references and counts of counts",
                    shortened(text)
                ));
            }
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
