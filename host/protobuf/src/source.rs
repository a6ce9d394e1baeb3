//! Texts to descriptors: imports are looked up among the references and the carried files, and nowhere
//! else. Knows nothing of data.

use std::{collections::HashSet, ops::Range};

use miette::Diagnostic;
use prost_reflect::{DescriptorError, DescriptorPool, prost_types::FileDescriptorProto};
use protox_parse::ParseError;

use crate::{Invalid, Reference};

/// The files of Google that every schema may import. `google/protobuf/compiler/plugin.proto` is for
/// plugins of protoc and not among them.
const CARRIED: [&str; 11] = [
    "google/protobuf/any.proto",
    "google/protobuf/api.proto",
    "google/protobuf/descriptor.proto",
    "google/protobuf/duration.proto",
    "google/protobuf/empty.proto",
    "google/protobuf/field_mask.proto",
    "google/protobuf/source_context.proto",
    "google/protobuf/struct.proto",
    "google/protobuf/timestamp.proto",
    "google/protobuf/type.proto",
    "google/protobuf/wrappers.proto",
];

/// How long a chain of imports may be.
const LONGEST_CHAIN: usize = 64;

/// The pool with the text and all that it imports, and the text's name in it.
pub(crate) fn compile(
    text: &str,
    references: &[Reference<'_>],
) -> Result<(DescriptorPool, String), Invalid> {
    let mut own = "schema.proto".to_owned();
    while references.iter().any(|reference| reference.name == own) {
        own.insert(0, '_');
    }
    let mut gathering = Gathering {
        references,
        own: &own,
        pool: DescriptorPool::new(),
        done: HashSet::new(),
        chain: Vec::new(),
    };
    gathering.add(&own, text)?;
    let pool = gathering.pool;
    Ok((pool, own))
}

struct Gathering<'a> {
    references: &'a [Reference<'a>],
    own: &'a str,
    pool: DescriptorPool,
    done: HashSet<String>,
    /// The names of the files that wait for the one at work, from the text on.
    chain: Vec<String>,
}

impl Gathering<'_> {
    fn add(&mut self, name: &str, text: &str) -> Result<(), Invalid> {
        if let Some(at) = edition(text) {
            let reason = "editions are not supported: begin the text with syntax = \"proto3\"; or \
                          syntax = \"proto2\";";
            return Err(self.invalid(name, &place(text, at), reason.into()));
        }
        let parsed = protox_parse::parse(name, text)
            .map_err(|error| self.parse_error(name, text, &error))?;
        self.chain.push(name.to_owned());
        for (nth, import) in parsed.dependency.iter().enumerate() {
            self.import(name, &parsed, nth, import)?;
        }
        self.chain.pop();
        refuse_message_sets(&parsed).map_err(|reason| self.invalid(name, "", reason))?;
        // Where things stand in the text is needed for errors alone, and would be most of the memory.
        let bare = FileDescriptorProto {
            source_code_info: None,
            ..parsed.clone()
        };
        if self.pool.add_file_descriptor_proto(bare).is_err() {
            let error = self.pool.add_file_descriptor_proto(parsed);
            let error = error.expect_err("what is wrong without places is wrong with them");
            return Err(self.descriptor_error(name, &error));
        }
        self.done.insert(name.to_owned());
        Ok(())
    }

    fn import(
        &mut self,
        from: &str,
        parsed: &FileDescriptorProto,
        nth: usize,
        import: &str,
    ) -> Result<(), Invalid> {
        let at = || import_place(parsed, nth);
        if parsed.dependency[..nth].iter().any(|other| other == import) {
            let reason = format!("{import:?} is imported twice: leave one out");
            return Err(self.invalid(from, &at(), reason));
        }
        if self.chain.iter().any(|waiting| waiting == import) {
            let chain: Vec<_> = self
                .chain
                .iter()
                .skip_while(|name| *name != import)
                .collect();
            let chain: Vec<_> = chain.into_iter().map(|name| self.shown(name)).collect();
            let reason = format!(
                "imports in a circle: {} → {}",
                chain.join(" → "),
                self.shown(import)
            );
            return Err(self.invalid(from, &at(), reason));
        }
        if self.done.contains(import) {
            return Ok(());
        }
        if self.chain.len() >= LONGEST_CHAIN {
            let reason = format!("a chain of imports is longer than {LONGEST_CHAIN}");
            return Err(self.invalid(from, &at(), reason));
        }
        if CARRIED.contains(&import) {
            return self.carry(import);
        }
        let Some(reference) = self.references.iter().find(|one| one.name == import) else {
            let mut names: Vec<_> = self.references.iter().map(|one| one.name).collect();
            names.sort_unstable();
            let known = if names.is_empty() {
                "there are none".to_owned()
            } else {
                format!("they are {}", names.join(", "))
            };
            let reason = format!(
                "{import:?} is neither among the references ({known}) nor one of google/protobuf/*.proto; \
                 nothing is fetched: add a reference of that name"
            );
            return Err(self.invalid(from, &at(), reason));
        };
        let (name, text) = (reference.name, reference.text);
        self.add(name, text)
    }

    /// Adds one of Google's files from the library, and what that imports.
    fn carry(&mut self, name: &str) -> Result<(), Invalid> {
        if self.done.contains(name) {
            return Ok(());
        }
        let file = DescriptorPool::global().get_file_by_name(name);
        let file = file.expect("the library holds Google's files");
        for import in file.file_descriptor_proto().dependency.clone() {
            self.carry(&import)?;
        }
        let file = FileDescriptorProto {
            source_code_info: None,
            ..file.file_descriptor_proto().clone()
        };
        self.pool
            .add_file_descriptor_proto(file)
            .map_err(|error| self.descriptor_error(name, &error))?;
        self.done.insert(name.to_owned());
        Ok(())
    }

    fn invalid(&self, file: &str, place: &str, reason: String) -> Invalid {
        let pointer = match (file == self.own, place.is_empty()) {
            (true, _) => place.to_owned(),
            (false, true) => file.to_owned(),
            (false, false) => format!("{file}:{place}"),
        };
        Invalid { pointer, reason }
    }

    /// A file's name as its author knows it.
    fn shown<'a>(&self, name: &'a str) -> &'a str {
        if name == self.own { "this text" } else { name }
    }

    fn parse_error(&self, name: &str, text: &str, error: &ParseError) -> Invalid {
        let offset = error.span().map(|span: Range<usize>| span.start);
        let offset = offset.or_else(|| {
            let label = error.labels()?.last()?;
            Some(label.offset())
        });
        let mut reason = error.to_string();
        if let Some(help) = error.help().map(|help| help.to_string()) {
            // The library gives imports the words of groups.
            if help.starts_with("imports ") {
                reason = "no name of a file".into();
            }
            reason = format!("{reason}; {help}");
        }
        self.invalid(name, &place(text, offset.unwrap_or(text.len())), reason)
    }

    fn descriptor_error(&self, name: &str, error: &DescriptorError) -> Invalid {
        let place = match (error.line(), error.column()) {
            (Some(line), Some(column)) => format!("{}:{}", line + 1, column + 1),
            _ => String::new(),
        };
        let mut reason = error.to_string().replace(self.own, "this text");
        if reason.contains("JSON name") {
            reason =
                "a field before it has the same name in JSON: give one of them a json_name".into();
        }
        self.invalid(error.file().unwrap_or(name), &place, reason)
    }
}

/// `line:column` of a byte, both from 1.
fn place(text: &str, offset: usize) -> String {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    let before = &text[..offset];
    let line = before.matches('\n').count() + 1;
    let column = before.rsplit('\n').next().unwrap_or("").chars().count() + 1;
    format!("{line}:{column}")
}

/// Where the nth import stands. Its path in the descriptor is field 3 (`dependency`).
fn import_place(parsed: &FileDescriptorProto, nth: usize) -> String {
    let locations = parsed
        .source_code_info
        .iter()
        .flat_map(|info| &info.location);
    let mut spans = locations
        .filter(|one| matches!(one.path[..], [3, index] if usize::try_from(index) == Ok(nth)))
        .map(|one| &one.span);
    match spans.next().map(Vec::as_slice) {
        Some([line, column, ..]) => format!("{}:{}", line + 1, column + 1),
        _ => String::new(),
    }
}

/// Where the text says `edition`, if that is how it begins.
fn edition(text: &str) -> Option<usize> {
    let mut at = 0;
    loop {
        let rest = &text[at..];
        let skipped = rest.len()
            - rest
                .trim_start_matches(['\u{feff}', ' ', '\t', '\r', '\n', ';'])
                .len();
        let rest = &rest[skipped..];
        at += skipped;
        if rest.starts_with("//") {
            at += rest.find('\n')?;
        } else if rest.starts_with("/*") {
            at += rest.find("*/")? + 2;
        } else {
            let after = rest.strip_prefix("edition")?.trim_start();
            return after.starts_with('=').then_some(at);
        }
    }
}

/// Message sets have an encoding of their own, from before Protobuf was public.
fn refuse_message_sets(file: &FileDescriptorProto) -> Result<(), String> {
    let mut open: Vec<_> = file.message_type.iter().collect();
    while let Some(message) = open.pop() {
        let set = message.options.as_ref().is_some_and(|options| {
            options.message_set_wire_format()
                || options.uninterpreted_option.iter().any(|option| {
                    option.identifier_value.as_deref() == Some("true")
                        && matches!(&option.name[..], [part] if part.name_part == "message_set_wire_format")
                })
        });
        if set {
            return Err(format!(
                "message {} has message_set_wire_format, which is not supported",
                message.name()
            ));
        }
        open.extend(&message.nested_type);
    }
    Ok(())
}
