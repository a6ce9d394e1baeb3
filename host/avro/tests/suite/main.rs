//! Avro schemas and their data, from outside: the JSON form, what is refused, hostile data, the
//! specification's rules by the Avro project's own tests, and random schemas.

#![allow(clippy::unwrap_used)]

mod client;
mod compared;
mod conformance;
mod form;
mod generate;
mod hostile;
mod interop;
mod invalid;
mod random;

use sandbar_avro::Schema;
use serde_json::Value;

pub fn schema(json: &Value) -> Schema {
    Schema::parse(&json.to_string(), &[]).unwrap_or_else(|invalid| panic!("{json}: {invalid}"))
}

pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

pub fn unhex(text: &str) -> Vec<u8> {
    (0..text.len())
        .step_by(2)
        .map(|at| u8::from_str_radix(&text[at..at + 2], 16).expect("hex"))
        .collect()
}
