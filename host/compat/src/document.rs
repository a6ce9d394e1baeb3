//! A schema document, prepared once: what stands where, and validators for any part of it.
//!
//! The validator is set up as the hub sets it up for contracts: formats are asserted, patterns run in
//! linear time, nothing is fetched. Knows nothing of containment.

use std::{
    borrow::Cow,
    collections::HashMap,
    sync::{Arc, Mutex, OnceLock, PoisonError},
};

use jsonschema::Draft;
use sandbar_validator::Validator;
use serde_json::Value;

use crate::space::{Side, Space};

/// Where the document stands among schemas; nothing can be fetched from there.
const ADDRESS: &str = "sandbar:contract";
/// So many compiled parts are kept; others are compiled for whoever asks.
const MOST_COMPILED: usize = 4096;
/// How deep the JSON of a schema may nest; a parser of JSON texts stops sooner.
const DEPTH: usize = 256;

/// A part that is compiled once; `None` inside when it cannot be.
type Compiled = Arc<OnceLock<Option<Arc<Validator>>>>;

/// Why a document is no schema that can be compared.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct InvalidSchema {
    /// A JSON Pointer into the schema.
    pub pointer: String,
    pub reason: String,
}

/// A schema document of any draft from 04 to 2020-12, by its `$schema` (2020-12 without one).
pub struct Document {
    value: Value,
    inner: sandbar_validator::Document,
    draft: Draft,
    /// Names of places (`$anchor`, `$id: "#name"`), to JSON Pointers.
    anchors: HashMap<String, String>,
    /// Compiled parts by their pointers; both ways of a check, and the parts of a document that are checked
    /// one by one, share them.
    compiled: Mutex<HashMap<String, Compiled>>,
    /// Parts with an `$id` or a `$schema` of their own: references and keywords mean something else
    /// in there, so nothing is proven of such a document.
    embedded: bool,
}

impl Document {
    /// Prepares a document.
    ///
    /// # Errors
    /// When it breaks the rules of its draft, refers to what is not in it, or nests too deeply.
    pub fn new(schema: &Value) -> Result<Self, InvalidSchema> {
        let invalid = |pointer: &str, reason: String| InvalidSchema {
            pointer: pointer.to_owned(),
            reason,
        };
        if !matches!(schema, Value::Object(_) | Value::Bool(_)) {
            return Err(invalid("", "a schema is an object or a boolean".to_owned()));
        }
        if deeper_than(schema, DEPTH) {
            return Err(invalid("", format!("nests deeper than {DEPTH} levels")));
        }
        let draft = Draft::default().detect(schema);
        if let (Draft::Unknown, Some(named)) = (draft, schema.get("$schema")) {
            let reason =
                format!("{named} is not known; draft-04, -06, -07, 2019-09 and 2020-12 are");
            return Err(invalid("/$schema", reason));
        }
        if let Err(error) = jsonschema::meta::validate(schema) {
            return Err(invalid(
                error.instance_path().as_str(),
                shortened(&error.to_string()),
            ));
        }
        let inner = sandbar_validator::Document::new(schema, draft, ADDRESS).map_err(|error| {
            let reason = format!(
                "{}; nothing is fetched, so put what is referred to into the same document",
                shortened(&error)
            );
            invalid("", reason)
        })?;
        let mut document = Self {
            value: schema.clone(),
            inner,
            draft,
            anchors: HashMap::new(),
            compiled: Mutex::default(),
            embedded: false,
        };
        document.scan(schema, &mut String::new());
        Ok(document)
    }

    /// Why the schema at a JSON Pointer cannot be used at all: it leads back to itself without going
    /// into the data, or its validator would grow without end.
    #[must_use]
    pub fn flaw(&self, pointer: &str) -> Option<String> {
        let mut space = Space::new(self, self, u64::MAX);
        let root = space.node(Side::From, pointer);
        space.endless(root)
    }

    pub(crate) fn draft(&self) -> Draft {
        self.draft
    }

    pub(crate) fn value(&self) -> &Value {
        &self.value
    }

    pub(crate) fn embedded(&self) -> bool {
        self.embedded
    }

    /// The part at a JSON Pointer, compiled when it is first asked for; `None` when it cannot be.
    pub(crate) fn validator(&self, pointer: &str) -> Option<Arc<Validator>> {
        let compiled = {
            let mut all = self.compiled.lock().unwrap_or_else(PoisonError::into_inner);
            match all.get(pointer) {
                Some(compiled) => compiled.clone(),
                None if all.len() < MOST_COMPILED => {
                    let compiled = Compiled::default();
                    all.insert(pointer.to_owned(), compiled.clone());
                    compiled
                }
                None => Compiled::default(),
            }
        };
        // Whoever comes second waits for the first, and for nobody else.
        compiled
            .get_or_init(|| self.compile(pointer).ok().map(Arc::new))
            .clone()
    }

    /// Forgets the validators of its parts, which take most of the memory; who asks again compiles again.
    pub fn release(&self) {
        let compiled =
            std::mem::take(&mut *self.compiled.lock().unwrap_or_else(PoisonError::into_inner));
        drop(compiled);
    }

    fn compile(&self, pointer: &str) -> Result<Validator, String> {
        let compiled = self.inner.validator(pointer);
        compiled.map_err(|error| shortened(&error))
    }

    /// The JSON Pointer that a reference means; `None` when it cannot be told.
    pub(crate) fn resolve(&self, reference: &str) -> Option<String> {
        let fragment = match reference.split_once('#') {
            Some(("", fragment)) => fragment,
            Some((address, fragment)) if Some(address) == self.id() => fragment,
            None if Some(reference) == self.id() => "",
            _ => return None,
        };
        let fragment = decoded(fragment)?;
        if fragment.is_empty() {
            return Some(fragment);
        }
        if fragment.starts_with('/') {
            let found = self.value.pointer(&fragment)?;
            return matches!(found, Value::Object(_) | Value::Bool(_)).then_some(fragment);
        }
        self.anchors.get(&fragment).cloned()
    }

    fn id(&self) -> Option<&str> {
        let key = if self.draft == Draft::Draft4 {
            "id"
        } else {
            "$id"
        };
        let id = self.value.get(key)?.as_str()?;
        Some(id.trim_end_matches('#'))
    }

    fn scan(&mut self, value: &Value, at: &mut String) {
        let length = at.len();
        match value {
            Value::Object(members) => {
                let text = |key: &str| members.get(key).and_then(Value::as_str);
                for key in ["$anchor", "$dynamicAnchor"] {
                    if let Some(name) = text(key)
                        && self.anchors.insert(name.to_owned(), at.clone()).is_some()
                    {
                        self.embedded = true;
                    }
                }
                for key in ["$id", "id"] {
                    match text(key) {
                        Some(id) if id.starts_with('#') => {
                            self.anchors.insert(id[1..].to_owned(), at.clone());
                        }
                        Some(_) if !at.is_empty() => self.embedded = true,
                        _ => {}
                    }
                }
                // The same draft again changes nothing.
                if !at.is_empty()
                    && text("$schema").is_some()
                    && Draft::default().detect(value) != self.draft
                {
                    self.embedded = true;
                }
                for (name, member) in members {
                    if matches!(
                        name.as_str(),
                        "enum" | "const" | "default" | "examples" | "example"
                    ) {
                        continue;
                    }
                    at.push('/');
                    at.push_str(&token(name));
                    self.scan(member, at);
                    at.truncate(length);
                }
            }
            Value::Array(items) => {
                for (index, item) in items.iter().enumerate() {
                    at.push_str(&format!("/{index}"));
                    self.scan(item, at);
                    at.truncate(length);
                }
            }
            _ => {}
        }
    }
}

/// One name in a JSON Pointer (RFC 6901 §3).
pub(crate) fn token(name: &str) -> Cow<'_, str> {
    if name.contains(['~', '/']) {
        Cow::Owned(name.replace('~', "~0").replace('/', "~1"))
    } else {
        Cow::Borrowed(name)
    }
}

fn decoded(fragment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(fragment.len());
    let mut rest = fragment.bytes();
    while let Some(byte) = rest.next() {
        if byte == b'%' {
            let high = char::from(rest.next()?).to_digit(16)?;
            let low = char::from(rest.next()?).to_digit(16)?;
            bytes.push(u8::try_from(high * 16 + low).ok()?);
        } else {
            bytes.push(byte);
        }
    }
    String::from_utf8(bytes).ok()
}

fn deeper_than(value: &Value, left: usize) -> bool {
    if left == 0 {
        return true;
    }
    match value {
        Value::Object(members) => members.values().any(|one| deeper_than(one, left - 1)),
        Value::Array(items) => items.iter().any(|one| deeper_than(one, left - 1)),
        _ => false,
    }
}

/// A text of a validator may quote a whole document.
fn shortened(text: &str) -> String {
    const LONGEST: usize = 300;
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text.to_owned(),
    }
}
