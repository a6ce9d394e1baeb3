//! What the crate promises, from outside.

mod bytes;
mod compare;
mod forms;
mod hostile;
mod soundness;
mod source;

use sandbar_protobuf::Schema;

/// A schema that must compile, with no references.
fn schema(text: &str) -> Schema {
    Schema::parse(text, &[]).unwrap_or_else(|invalid| panic!("{invalid}\n{text}"))
}

/// A schema of proto3 with the message M.
fn proto3(text: &str) -> Schema {
    schema(&format!("syntax = \"proto3\"; {text}"))
}

fn proto2(text: &str) -> Schema {
    schema(&format!("syntax = \"proto2\"; {text}"))
}
