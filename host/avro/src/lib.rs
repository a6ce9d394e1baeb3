//! Avro schemas (specification 1.12): checked with the place of what is wrong, compared as reader and
//! writer, and data carried between Avro's binary form and plain JSON without loss.
//!
//! Pure: no IO. It knows nothing of contracts, topics or the hub. Data may be hostile: lengths are
//! believed only as far as there are bytes, and depth, number of values and memory are bounded by the
//! size of what came in ([`Schema::check`]).
//!
//! # Why no library
//! The crate `apache-avro` reports errors without places, builds a value tree for every check, and
//! bounds allocation per value by a setting of the whole process. Avro's binary form is small enough
//! to be read here, with a path for every flaw. The conformance tests run against the vectors and
//! the implementation of the Avro project.
//!
//! # The JSON form
//! What [`Schema::to_json`] gives and [`Schema::to_bytes`] takes. It is made for people who know JSON,
//! not Avro; it is not the "JSON encoding" of the Avro specification.
//!
//! | Avro | JSON |
//! |---|---|
//! | null, boolean, string, enum | as they are; an enum is its symbol |
//! | int, long | an integer, with all digits also beyond 2^53 |
//! | float, double | a number; `"NaN"`, `"Infinity"`, `"-Infinity"`. A number that a float would round to another one is a flaw |
//! | bytes, fixed | text in base64 (RFC 4648, with padding) |
//! | array, map | an array; an object. A map with the same key twice is a flaw |
//! | record | an object with all fields. To bytes: a missing field takes its default, or is a flaw when it has none; a field that the schema does not have is a flaw |
//! | union | the bare value where the branches differ as JSON, else `{"branch": value}`; see below |
//! | decimal | text with exactly `scale` digits behind the point: `"12.50"`. To bytes: also a JSON number of at most 15 digits; more digits behind the point than the scale has are a flaw unless they are 0 |
//! | date | `"2026-01-31"` |
//! | time-millis, time-micros | `"13:05:09.123"`, `"13:05:09.123456"` |
//! | timestamp-millis, -micros, -nanos | `"2026-01-31T13:05:09.123Z"` with 3, 6 or 9 digits. To bytes: any offset of RFC 3339; digits beyond the precision are a flaw unless they are 0 |
//! | local-timestamp-millis, -micros, -nanos | the same without offset |
//! | uuid | its text, from a string or a fixed of 16 bytes; text that is no UUID is a flaw |
//! | duration | `{"months": 1, "days": 2, "milliseconds": 3}` |
//!
//! - A date, time or timestamp that the text cannot say (years before 0000 or after 9999, times beyond
//!   a day) is its bare integer; integers are taken for all of them.
//! - A logical type that is unknown, or wrong where it stands, is ignored, as the specification asks. So
//!   is a decimal of more than 1000 digits.
//! - **Unions.** `null` is always `null`. The other branches are bare when each is another type of JSON
//!   (text, integer, number, boolean, array, object): `["null", "string"]`, `["int", "string"]`,
//!   `["null", {record}]`. Otherwise each value is named: `{"int": 5}`, `{"org.example.Order": {…}}`,
//!   with the names of the Avro specification (full names for records, enums and fixed). In a bare
//!   union a value that looks like another branch's (`NaN` beside a string) is named too, and a name
//!   is always understood, unless a branch is an object itself; then the union is named as a whole.
//! - What is given to [`Schema::to_bytes`] is never guessed at: it fits in exactly one way, or it is a flaw.

mod canonical;
mod compare;
mod decimal;
mod decode;
mod default;
mod encode;
mod fault;
mod input;
mod json_schema;
mod logical;
mod name;
mod node;
mod parse;
mod resolve;
mod temporal;
mod union;

use std::sync::Arc;

use serde_json::Value;

pub use name::PRIMITIVES;
pub use resolve::Resolution;

/// A named other document that a schema takes types from.
#[derive(Clone, Copy, Debug)]
pub struct Reference<'a> {
    /// How messages call it.
    pub name: &'a str,
    /// An Avro schema in JSON.
    pub text: &'a str,
}

/// Why a text is no schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{pointer}: {reason}")]
pub struct Invalid {
    /// JSON Pointer into the schema; empty for the whole, and for what is wrong in a reference.
    pub pointer: String,
    pub reason: String,
}

/// Why data does not fit a schema.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{path}: {reason}")]
pub struct Flaw {
    /// JSON Pointer into the data in its JSON form: `/order/lines/0/price`.
    pub path: String,
    pub reason: String,
}

/// Something that a writer's schema can write and a reader's cannot read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// As Avro's `SchemaCompatibility` calls it: `NAME_MISMATCH`, `FIXED_SIZE_MISMATCH`,
    /// `MISSING_ENUM_SYMBOLS`, `READER_FIELD_MISSING_DEFAULT_VALUE`, `TYPE_MISMATCH`,
    /// `MISSING_UNION_BRANCH`.
    pub rule: &'static str,
    /// The place in the reader's schema: `/fields/0/type`; `/` for the whole.
    pub path: String,
    pub message: String,
}

/// A checked schema. Cloning is cheap.
#[derive(Clone, Debug)]
pub struct Schema {
    types: Arc<node::Types>,
}

impl Schema {
    /// Parses a schema: JSON text of an object, an array (a union) or a string (a type's name).
    ///
    /// # Errors
    /// With the first thing that is wrong and its place: no JSON, names that Avro does not allow or
    /// that are not defined (before their use, as Avro asks), defaults that do not fit their type,
    /// unions with two branches of one type, references that do not parse.
    pub fn parse(text: &str, references: &[Reference<'_>]) -> Result<Self, Invalid> {
        let types = parse::parse(text, references)?;
        Ok(Self {
            types: Arc::new(types),
        })
    }

    /// The normal form: schemas that mean the same have the same, whether their types come from
    /// references or not. Names are full; what follows from elsewhere is left out; `doc` is dropped.
    /// Defaults, aliases, logical types and properties that Avro does not know are kept.
    #[must_use]
    pub fn canonical(&self) -> String {
        canonical::normal(&self.types)
    }

    /// The Parsing Canonical Form of the specification: what counts for reading binary data, and
    /// nothing else. Defaults, aliases and logical types are dropped.
    #[must_use]
    pub fn parsing_canonical_form(&self) -> String {
        canonical::parsing(&self.types)
    }

    /// The specification's 64-bit Rabin fingerprint of the Parsing Canonical Form.
    #[must_use]
    pub fn fingerprint(&self) -> u64 {
        canonical::fingerprint(self.parsing_canonical_form().as_bytes())
    }

    /// The full name of the type, where it is a record, an enum or a fixed.
    #[must_use]
    pub fn name(&self) -> Option<&str> {
        self.types.full_name(self.types.root)
    }

    /// Checks one bare datum: the whole input is used and nothing is left over. It says yes exactly
    /// when [`Schema::to_json`] does, and costs no allocation but for the keys of maps.
    ///
    /// # Errors
    /// When the data ends early or goes on, a value is not of its type, containers nest deeper than
    /// 120, or there are more than 65,536 + 4 × length values (items without bytes).
    pub fn check(&self, data: &[u8]) -> Result<(), Flaw> {
        decode::check(&self.types, data)
    }

    /// One bare datum as JSON.
    ///
    /// # Errors
    /// As [`Schema::check`].
    pub fn to_json(&self, data: &[u8]) -> Result<Value, Flaw> {
        decode::to_json(&self.types, data)
    }

    /// JSON as one bare datum.
    ///
    /// # Errors
    /// When the JSON does not fit in exactly one way, or something would be lost.
    pub fn to_bytes(&self, json: &Value) -> Result<Vec<u8>, Flaw> {
        encode::to_bytes(&self.types, json)
    }

    /// A JSON Schema (2020-12) of the JSON form. Rounding of floats and the days of a month are beyond
    /// what it can say.
    #[must_use]
    pub fn json_schema(&self) -> Value {
        json_schema::json_schema(&self.types)
    }

    /// A datum that `writer` wrote, as this schema reads it: its bytes in this schema. For many of
    /// one writer, [`Resolution`] is quicker.
    ///
    /// # Errors
    /// When the data does not fit `writer`, or this schema cannot read it.
    pub fn resolve(&self, writer: &Self, data: &[u8]) -> Result<Vec<u8>, Flaw> {
        Resolution::new(self, writer).resolve(data)
    }
}

/// What `writer` can write and `reader` cannot read, by the rules of schema resolution. Empty: the
/// reader reads everything.
///
/// The rules are the specification's. Beside the types it looks at logical types where both sides have
/// one: decimals must have the same scale, and the reader's no smaller precision; and what counts
/// milliseconds cannot be read as microseconds. Both would give other values in silence.
#[must_use]
pub fn compare(reader: &Schema, writer: &Schema) -> Vec<Finding> {
    compare::compare(&reader.types, &writer.types)
}
