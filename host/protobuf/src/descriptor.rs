//! Files as compilers hand them on: a `FileDescriptorProto`, which says what a `.proto` text says.

use prost::Message as _;
use prost_reflect::prost_types::FileDescriptorProto;

use crate::{Invalid, Reference, Schema, canonical, source};

/// The `.proto` text of a `FileDescriptorProto`, in the normal form. Its own name does not count; imports
/// are among the references or carried.
///
/// # Errors
/// When the bytes are no `FileDescriptorProto`, or what they say is not valid. There are no lines to point
/// at.
pub fn text_of(descriptor: &[u8], references: &[Reference<'_>]) -> Result<String, Invalid> {
    let parsed = FileDescriptorProto::decode(descriptor).map_err(|error| Invalid {
        pointer: String::new(),
        reason: format!("is no FileDescriptorProto: {error}"),
    })?;
    let (pool, name) = source::compile_descriptor(descriptor, &parsed, references)?;
    Ok(print(&pool, &name))
}

/// The normal form of a text that others import: it need not have a message.
///
/// # Errors
/// As [`Schema::parse`], which asks for a message beside.
pub fn normal_form(text: &str, references: &[Reference<'_>]) -> Result<String, Invalid> {
    let (pool, name) = source::compile(text, references)?;
    Ok(print(&pool, &name))
}

/// The `FileDescriptorProto` of a text, under the name `schema.proto`, in Protobuf's binary form.
///
/// # Errors
/// As [`normal_form`].
pub fn descriptor_of(text: &str, references: &[Reference<'_>]) -> Result<Vec<u8>, Invalid> {
    let (pool, name) = source::compile(text, references)?;
    let file = pool.get_file_by_name(&name);
    Ok(file.map(|file| file.encode_to_vec()).unwrap_or_default())
}

fn print(pool: &prost_reflect::DescriptorPool, name: &str) -> String {
    let file = pool.get_file_by_name(name);
    file.map(|file| canonical::print(&file)).unwrap_or_default()
}

impl Schema {
    /// The `FileDescriptorProto` of the text, in Protobuf's binary form.
    #[must_use]
    pub fn descriptor_bytes(&self) -> Vec<u8> {
        self.file().encode_to_vec()
    }
}
