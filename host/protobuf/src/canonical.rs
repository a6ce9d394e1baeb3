//! The normal form of a file, as a `.proto` text: see [`crate::Schema::canonical`]. Knows nothing of data.
//!
//! Dropped: comments, spelling, and what says the default (`packed` in proto3, a `json_name` that it would
//! have anyway). In one order: imports, options, fields and enum values (by number), enums, services,
//! extensions, reserved and extension ranges (joined where they touch). Kept: all names, all options, the
//! order of messages, and the first value of an enum, which is its default.

use std::collections::{BTreeMap, BTreeSet};

use prost_reflect::{
    Cardinality, EnumDescriptor, EnumValueDescriptor, ExtensionDescriptor, FieldDescriptor,
    FileDescriptor, Kind, MessageDescriptor, OneofDescriptor, ServiceDescriptor, Syntax,
    prost_types::FieldDescriptorProto,
};

use crate::options::{quoted, statements};

pub(crate) fn print(file: &FileDescriptor) -> String {
    let mut printer = Printer {
        text: String::new(),
        depth: 0,
        proto2: file.syntax() == Syntax::Proto2,
    };
    printer.file(file);
    printer.text
}

/// The largest field number, and one more, as ranges have their end.
const MOST: u32 = 536_870_911;

struct Printer {
    text: String,
    depth: usize,
    proto2: bool,
}

/// A field or an extension.
struct Line {
    number: u32,
    name: String,
    kind: Kind,
    group: bool,
    map: bool,
    label: &'static str,
    options: Vec<String>,
}

impl Printer {
    fn line(&mut self, text: &str) {
        for _ in 0..self.depth {
            self.text.push_str("  ");
        }
        self.text.push_str(text);
        self.text.push('\n');
    }

    fn block(&mut self, head: &str, inside: impl FnOnce(&mut Self)) {
        self.line(&format!("{head} {{"));
        self.depth += 1;
        inside(self);
        self.depth -= 1;
        self.line("}");
    }

    fn file(&mut self, file: &FileDescriptor) {
        let syntax = if self.proto2 { "proto2" } else { "proto3" };
        self.line(&format!("syntax = {};", quoted(syntax.as_bytes())));
        if !file.package_name().is_empty() {
            self.line(&format!("package {};", file.package_name()));
        }
        let proto = file.file_descriptor_proto();
        let is = |list: &[i32], nth: usize| list.iter().any(|one| usize::try_from(*one) == Ok(nth));
        let mut imports: Vec<_> = proto
            .dependency
            .iter()
            .enumerate()
            .map(|(nth, name)| {
                let how = if is(&proto.public_dependency, nth) {
                    "public "
                } else if is(&proto.weak_dependency, nth) {
                    "weak "
                } else {
                    ""
                };
                (name, how)
            })
            .collect();
        imports.sort_unstable();
        for (name, how) in imports {
            self.line(&format!("import {how}{};", quoted(name.as_bytes())));
        }
        self.options(statements(&file.options()));
        let groups = groups(std::iter::empty(), file.extensions());
        for message in file
            .messages()
            .filter(|one| !groups.contains(one.full_name()))
        {
            self.message(&message);
        }
        self.enums(file.enums().collect());
        self.extends(file.extensions().collect());
        let mut services: Vec<_> = file.services().collect();
        services.sort_by(|a, b| a.name().cmp(b.name()));
        for service in services {
            self.service(&service);
        }
    }

    fn options(&mut self, options: Vec<String>) {
        for option in options {
            self.line(&format!("option {option};"));
        }
    }

    fn message(&mut self, message: &MessageDescriptor) {
        self.block(&format!("message {}", message.name()), |printer| {
            printer.body(message)
        });
    }

    fn body(&mut self, message: &MessageDescriptor) {
        let mut options = statements(&message.options());
        options.retain(|option| !option.starts_with("map_entry ="));
        self.options(options);
        let mut fields: Vec<_> = message.fields().collect();
        fields.sort_by_key(FieldDescriptor::number);
        let mut printed = BTreeSet::new();
        for field in &fields {
            match field
                .containing_oneof()
                .filter(|oneof| !oneof.is_synthetic())
            {
                Some(oneof) if printed.insert(oneof.name().to_owned()) => self.oneof(&oneof),
                Some(_) => {}
                None => self.field(Line::of_field(field, self.proto2)),
            }
        }
        let groups = groups(message.fields(), message.child_extensions());
        for child in message.child_messages() {
            if !child.is_map_entry() && !groups.contains(child.full_name()) {
                self.message(&child);
            }
        }
        self.enums(message.child_enums().collect());
        self.extends(message.child_extensions().collect());
        let ranges = message
            .extension_ranges()
            .map(|one| (one.start.into(), i64::from(one.end) - 1));
        self.ranges("extensions", ranges.collect(), MOST.into());
        let ranges = message
            .reserved_ranges()
            .map(|one| (one.start.into(), i64::from(one.end) - 1));
        self.ranges("reserved", ranges.collect(), MOST.into());
        self.reserved_names(message.reserved_names().map(str::to_owned).collect());
    }

    fn oneof(&mut self, oneof: &OneofDescriptor) {
        self.block(&format!("oneof {}", oneof.name()), |printer| {
            printer.options(statements(&oneof.options()));
            let mut fields: Vec<_> = oneof.fields().collect();
            fields.sort_by_key(FieldDescriptor::number);
            for field in fields {
                let mut line = Line::of_field(&field, printer.proto2);
                line.label = "";
                printer.field(line);
            }
        });
    }

    fn field(&mut self, field: Line) {
        let options = match field.options.join(", ") {
            none if none.is_empty() => none,
            some => format!(" [{some}]"),
        };
        let (label, number) = (field.label, field.number);
        match &field.kind {
            Kind::Message(group) if field.group => {
                let head = format!("{label}group {} = {number}{options}", group.name());
                self.block(&head, |printer| printer.body(group));
            }
            Kind::Message(entry) if field.map => self.line(&format!(
                "map<{}, {}> {} = {number}{options};",
                type_name(&entry.map_entry_key_field().kind()),
                type_name(&entry.map_entry_value_field().kind()),
                field.name,
            )),
            kind => self.line(&format!(
                "{label}{} {} = {number}{options};",
                type_name(kind),
                field.name
            )),
        }
    }

    fn extends(&mut self, extensions: Vec<ExtensionDescriptor>) {
        let mut by_message: BTreeMap<String, Vec<_>> = BTreeMap::new();
        for extension in extensions {
            let of = extension.containing_message().full_name().to_owned();
            by_message.entry(of).or_default().push(extension);
        }
        for (message, mut fields) in by_message {
            fields.sort_by_key(ExtensionDescriptor::number);
            self.block(&format!("extend .{message}"), |printer| {
                for field in &fields {
                    printer.field(Line::of_extension(field, printer.proto2));
                }
            });
        }
    }

    fn enums(&mut self, mut enums: Vec<EnumDescriptor>) {
        enums.sort_by(|a, b| a.name().cmp(b.name()));
        for described in enums {
            self.block(&format!("enum {}", described.name()), |printer| {
                printer.options(statements(&described.options()));
                let mut values = declared(&described);
                let default = values.first().map_or(0, EnumValueDescriptor::number);
                // Stable: of several names of a number the first is the one that is written.
                values.sort_by_key(|value| (value.number() != default, value.number()));
                for value in values {
                    let options = match statements(&value.options()).join(", ") {
                        none if none.is_empty() => none,
                        some => format!(" [{some}]"),
                    };
                    printer.line(&format!("{} = {}{options};", value.name(), value.number()));
                }
                let ranges = described.reserved_ranges();
                let ranges = ranges.map(|one| (i64::from(*one.start()), i64::from(*one.end())));
                printer.ranges("reserved", ranges.collect(), i32::MAX.into());
                printer.reserved_names(described.reserved_names().map(str::to_owned).collect());
            });
        }
    }

    fn service(&mut self, service: &ServiceDescriptor) {
        self.block(&format!("service {}", service.name()), |printer| {
            printer.options(statements(&service.options()));
            let mut methods: Vec<_> = service.methods().collect();
            methods.sort_by(|a, b| a.name().cmp(b.name()));
            for method in methods {
                let stream = |yes| if yes { "stream " } else { "" };
                let head = format!(
                    "rpc {}({}.{}) returns ({}.{})",
                    method.name(),
                    stream(method.is_client_streaming()),
                    method.input().full_name(),
                    stream(method.is_server_streaming()),
                    method.output().full_name(),
                );
                match statements(&method.options()) {
                    none if none.is_empty() => printer.line(&format!("{head};")),
                    options => printer.block(&head, |printer| printer.options(options)),
                }
            }
        });
    }

    /// Ranges with both ends in them.
    fn ranges(&mut self, word: &str, mut ranges: Vec<(i64, i64)>, most: i64) {
        ranges.sort_unstable();
        let mut joined: Vec<(i64, i64)> = Vec::new();
        for (from, to) in ranges {
            match joined.last_mut() {
                Some(last) if from <= last.1 + 1 => last.1 = last.1.max(to),
                _ => joined.push((from, to)),
            }
        }
        let shown = joined
            .into_iter()
            .map(|(from, to)| match (from == to, to == most) {
                (true, _) => from.to_string(),
                (false, true) => format!("{from} to max"),
                (false, false) => format!("{from} to {to}"),
            });
        let shown: Vec<_> = shown.collect();
        if !shown.is_empty() {
            self.line(&format!("{word} {};", shown.join(", ")));
        }
    }

    fn reserved_names(&mut self, names: BTreeSet<String>) {
        if !names.is_empty() {
            let names: Vec<_> = names.iter().map(|name| quoted(name.as_bytes())).collect();
            self.line(&format!("reserved {};", names.join(", ")));
        }
    }
}

impl Line {
    fn of_field(field: &FieldDescriptor, proto2: bool) -> Self {
        let proto = field.field_descriptor_proto();
        let packable = field.is_list()
            && !matches!(field.kind(), Kind::String | Kind::Bytes | Kind::Message(_));
        let mut options = statements(&field.options());
        if packable {
            let default = format!("packed = {}", !proto2);
            options.retain(|option| *option != default);
        }
        Self {
            number: field.number(),
            name: field.name().to_owned(),
            kind: field.kind(),
            group: field.is_group(),
            map: field.is_map(),
            label: label(field.cardinality(), proto2 || proto.proto3_optional()),
            options: with_declared(options, proto, &field.kind(), Some(field.json_name())),
        }
    }

    fn of_extension(field: &ExtensionDescriptor, proto2: bool) -> Self {
        let proto = field.field_descriptor_proto();
        Self {
            number: field.number(),
            name: field.name().to_owned(),
            kind: field.kind(),
            group: field.is_group(),
            map: field.is_map(),
            label: label(field.cardinality(), proto2 || proto.proto3_optional()),
            options: with_declared(statements(&field.options()), proto, &field.kind(), None),
        }
    }
}

fn label(cardinality: Cardinality, optional: bool) -> &'static str {
    match cardinality {
        Cardinality::Repeated => "repeated ",
        Cardinality::Required => "required ",
        Cardinality::Optional if optional => "optional ",
        Cardinality::Optional => "",
    }
}

/// With what looks like an option and is none.
fn with_declared(
    mut options: Vec<String>,
    proto: &FieldDescriptorProto,
    kind: &Kind,
    json: Option<&str>,
) -> Vec<String> {
    if let Some(json) = json.filter(|json| *json != camel(proto.name())) {
        options.push(format!("json_name = {}", quoted(json.as_bytes())));
    }
    if let Some(default) = &proto.default_value {
        options.push(match kind {
            Kind::String => format!("default = {}", quoted(default.as_bytes())),
            // The descriptor has it escaped.
            Kind::Bytes => format!("default = \"{default}\""),
            _ => format!("default = {default}"),
        });
    }
    // Stable: the values of one option keep their order.
    options.sort_by(|a, b| a.split(" = ").next().cmp(&b.split(" = ").next()));
    options
}

/// The values of an enum as they stand in the text; the library has them by number.
pub(crate) fn declared(described: &EnumDescriptor) -> Vec<EnumValueDescriptor> {
    let names = described.enum_descriptor_proto().value.iter();
    names
        .filter_map(|value| described.get_value_by_name(value.name()))
        .collect()
}

/// The name that a field has in JSON if it does not say another.
fn camel(name: &str) -> String {
    let mut camel = String::new();
    let mut upper = false;
    for letter in name.chars() {
        if letter == '_' {
            upper = true;
        } else if std::mem::take(&mut upper) {
            camel.push(letter.to_ascii_uppercase());
        } else {
            camel.push(letter);
        }
    }
    camel
}

fn type_name(kind: &Kind) -> String {
    match kind {
        Kind::Message(message) => format!(".{}", message.full_name()),
        Kind::Enum(described) => format!(".{}", described.full_name()),
        scalar => scalar_name(scalar).to_owned(),
    }
}

pub(crate) fn scalar_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Double => "double",
        Kind::Float => "float",
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Fixed32 => "fixed32",
        Kind::Fixed64 => "fixed64",
        Kind::Sfixed32 => "sfixed32",
        Kind::Sfixed64 => "sfixed64",
        Kind::Bool => "bool",
        Kind::String => "string",
        Kind::Bytes => "bytes",
        Kind::Message(_) => "a message",
        Kind::Enum(_) => "an enum",
    }
}

/// The messages that are declared by a field of group type.
fn groups(
    fields: impl Iterator<Item = FieldDescriptor>,
    extensions: impl Iterator<Item = ExtensionDescriptor>,
) -> BTreeSet<String> {
    let fields = fields
        .filter(FieldDescriptor::is_group)
        .map(|field| field.kind());
    let extensions = extensions
        .filter(ExtensionDescriptor::is_group)
        .map(|field| field.kind());
    fields
        .chain(extensions)
        .filter_map(|kind| Some(kind.as_message()?.full_name().to_owned()))
        .collect()
}
