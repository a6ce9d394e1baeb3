//! A checked schema, and what can be asked of it. Each answer is made in a module of its own.

use std::{fmt, sync::Arc};

use prost_reflect::{DescriptorPool, FileDescriptor, MessageDescriptor};
use serde_json::Value;

use crate::{
    canonical, index, json, json_schema,
    shape::{Reach, Shapes},
    source, wire,
};

/// A document that the schema's text imports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reference<'a> {
    /// What stands in the `import`.
    pub name: &'a str,
    /// The `.proto` text. What it imports in turn is a reference too.
    pub text: &'a str,
}

/// Why a text is no schema.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct Invalid {
    /// `line:column`, from 1; with the reference's name before it where the fault is in one
    /// (`common.proto:3:8`); empty where it is at no single place.
    pub pointer: String,
    pub reason: String,
}

/// Why data does not fit.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Flaw {
    /// JSON Pointer into the data as JSON: `/order/lines/0/price`; empty for the whole.
    pub path: String,
    pub reason: String,
}

/// What becomes of fields that the schema does not have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unknown {
    /// They are a flaw: the data is not by this schema.
    Refused,
    /// They are passed over, as a reader does with what a newer writer added.
    Skipped,
}

/// A `.proto` text that compiles, with all that it imports, and the message that its data is. A clone
/// costs nothing.
#[derive(Clone)]
pub struct Schema {
    inner: Arc<Inner>,
    /// The message that data is, by its place in the shapes.
    root: usize,
    reach: Reach,
}

struct Inner {
    pool: DescriptorPool,
    /// The name of the schema's own file in the pool.
    file: String,
    shapes: Shapes,
}

impl fmt::Debug for Schema {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("message", &self.name())
            .finish_non_exhaustive()
    }
}

impl Schema {
    /// Compiles a text. Data is the first message of the file; see [`Schema::message`] for another.
    ///
    /// # Errors
    /// When the text or a reference does not compile, an import is not among the references, the text has
    /// no message, or it uses what is not supported (editions, message sets). The first fault is told.
    pub fn parse(text: &str, references: &[Reference<'_>]) -> Result<Self, Invalid> {
        let (pool, file) = source::compile(text, references)?;
        let shapes = Shapes::new(&pool);
        let inner = Inner { pool, file, shapes };
        let Some(first) = inner.file().messages().next() else {
            return Err(Invalid {
                pointer: String::new(),
                reason: "has no message: data is the first message of the file".into(),
            });
        };
        let root = inner.shapes.place(first.full_name());
        let reach = inner.shapes.reach(root);
        Ok(Self {
            inner: Arc::new(inner),
            root,
            reach,
        })
    }

    /// The same text with another of its messages as what data is: by its full name or, without the
    /// package, its name in the file (`Outer.Inner`). None where there is none of that name.
    #[must_use]
    pub fn message(&self, name: &str) -> Option<Self> {
        let full = self.all_messages().into_iter().find(|message| {
            message.full_name() == name || self.local(message.full_name()) == name
        })?;
        let root = self.inner.shapes.place(full.full_name());
        Some(Self {
            inner: Arc::clone(&self.inner),
            root,
            reach: self.inner.shapes.reach(root),
        })
    }

    /// The full name of the message that data is.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.inner.shapes.at(self.root).name
    }

    /// The full names of all messages of the text, nested ones too, in the order of the text.
    #[must_use]
    pub fn messages(&self) -> Vec<String> {
        self.all_messages()
            .iter()
            .map(|message| message.full_name().to_owned())
            .collect()
    }

    /// The package; empty without one.
    #[must_use]
    pub fn package(&self) -> String {
        self.file().package_name().to_owned()
    }

    /// What the text imports, in its order.
    #[must_use]
    pub fn imports(&self) -> Vec<String> {
        self.file().file_descriptor_proto().dependency.clone()
    }

    /// The normal form, a `.proto` text again: two texts that mean the same have the same. Comments are
    /// dropped; fields, enum values, imports and options stand in one order; types have their full names.
    /// Messages keep their order, because frames name them by it.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::print(&self.file())
    }

    /// Whether the bytes are a message of this schema: wholly, with no field that it does not have and no
    /// value that a parser would cut.
    ///
    /// # Errors
    /// The first thing that does not fit, with its place.
    pub fn check(&self, data: &[u8]) -> Result<(), Flaw> {
        self.check_with(data, Unknown::Refused)
    }

    /// As [`Schema::check`]; with [`Unknown::Skipped`] as a reader looks at what another version wrote.
    ///
    /// # Errors
    /// The first thing that does not fit, with its place.
    pub fn check_with(&self, data: &[u8], unknown: Unknown) -> Result<(), Flaw> {
        wire::check(&self.inner.shapes, self.root, data, unknown)
    }

    /// Bytes to JSON.
    ///
    /// # Errors
    /// When the bytes do not fit, or JSON cannot say what they hold (unknown fields, an Any of an unknown
    /// type, a date out of range).
    pub fn to_json(&self, data: &[u8]) -> Result<Value, Flaw> {
        self.to_json_with(data, Unknown::Refused)
    }

    /// As [`Schema::to_json`]; with [`Unknown::Skipped`] as a reader sees what another version wrote.
    ///
    /// # Errors
    /// As [`Schema::to_json`].
    pub fn to_json_with(&self, data: &[u8], unknown: Unknown) -> Result<Value, Flaw> {
        json::to_json(self, data, unknown)
    }

    /// JSON to bytes; the same JSON has always the same bytes.
    ///
    /// # Errors
    /// When the JSON does not fit the message, or bytes cannot say what it holds.
    pub fn to_bytes(&self, json: &Value) -> Result<Vec<u8>, Flaw> {
        json::to_bytes(self, json)
    }

    /// The JSON Schema (2020-12) of what [`Schema::to_json`] gives; [`Schema::to_bytes`] takes all that
    /// fits it.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        json_schema::of(&self.inner.pool, &self.descriptor())
    }

    /// How the frame of Confluent's serializers names this schema's message: the places of the message and
    /// of those around it, from the outermost. Fields of map type make no message there.
    #[must_use]
    pub fn message_indexes(&self) -> Vec<u32> {
        index::of(&self.descriptor())
    }

    /// The same schema with the message that the indexes of a frame name. None where there is none.
    #[must_use]
    pub fn message_at(&self, indexes: &[u32]) -> Option<Self> {
        let found = index::find(&self.file(), indexes)?;
        self.message(found.full_name())
    }

    pub(crate) fn pool(&self) -> &DescriptorPool {
        &self.inner.pool
    }

    pub(crate) fn file(&self) -> FileDescriptor {
        self.inner.file()
    }

    pub(crate) fn reach(&self) -> &Reach {
        &self.reach
    }

    pub(crate) fn descriptor(&self) -> MessageDescriptor {
        self.inner
            .pool
            .get_message_by_name(self.name())
            .expect("shapes are made of the pool's messages")
    }

    /// A full name without the package of this file.
    pub(crate) fn local<'a>(&self, full: &'a str) -> &'a str {
        local(&self.package(), full)
    }

    fn all_messages(&self) -> Vec<MessageDescriptor> {
        fn into(message: MessageDescriptor, all: &mut Vec<MessageDescriptor>) {
            if message.is_map_entry() {
                return;
            }
            let children: Vec<_> = message.child_messages().collect();
            all.push(message);
            for child in children {
                into(child, all);
            }
        }
        let mut all = Vec::new();
        for message in self.file().messages() {
            into(message, &mut all);
        }
        all
    }
}

impl Inner {
    fn file(&self) -> FileDescriptor {
        self.pool
            .get_file_by_name(&self.file)
            .expect("the schema's own file is in its pool")
    }
}

/// A full name without its package.
pub(crate) fn local<'a>(package: &str, full: &'a str) -> &'a str {
    full.strip_prefix(package)
        .and_then(|rest| rest.strip_prefix('.'))
        .filter(|_| !package.is_empty())
        .unwrap_or(full)
}

/// A JSON Pointer (RFC 6901).
pub(crate) fn pointer<T: AsRef<str>>(segments: &[T]) -> String {
    let escaped = segments
        .iter()
        .map(|one| format!("/{}", one.as_ref().replace('~', "~0").replace('/', "~1")));
    escaped.collect()
}
