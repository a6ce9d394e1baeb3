//! Protobuf schemas: what a `.proto` text says, whether bytes fit it, bytes to JSON and back, its normal
//! form, and whether one version reads what another wrote.
//!
//! Pure: no IO; an import is one of the given references or one of Google's well-known files, which are
//! carried. Knows nothing of contracts, topics or the hub.
//!
//! JSON is the mapping of the Protobuf documentation: names in lowerCamelCase, 64-bit integers as text,
//! bytes as base64, enums by name, the well-known types in their own forms. What would be lost on the way
//! is refused, in both directions.

mod canonical;
mod compare;
mod descriptor;
mod encode;
mod faithful;
mod float;
mod index;
mod json;
mod json_schema;
mod number;
mod options;
mod outline;
mod same;
mod schema;
mod shape;
mod source;
mod wire;

pub use compare::{Finding, compare, compare_wire, reused};
pub use descriptor::{descriptor_of, normal_form, text_of};
pub use index::{decode_indexes, encode_indexes};
pub use outline::{Outline, Outlined, outline};
pub use schema::{Flaw, Invalid, Reference, Schema, Unknown};
