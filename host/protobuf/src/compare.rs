//! Whether what one version writes is read by another, and as the same. Purely by the two texts; the
//! tests show each rule with bytes.
//!
//! Two measures. [`compare`]: every value comes through as it was written, in bytes and in JSON (names
//! count there). [`compare_wire`]: the parser takes it, with the groups of number types that Protobuf calls
//! compatible though values may be cut; it is what Confluent's registry asks for, plus what parsers refuse.
//! Rules are named as there, and as Buf and others name them.

mod field;

use std::collections::HashSet;

use prost_reflect::{EnumDescriptor, MessageDescriptor, OneofDescriptor};

use crate::{
    Schema,
    canonical::declared,
    schema::local,
    shape::{is_closed, is_well_known},
};
use field::Field;

/// What a reader would not understand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// `FIELD_SCALAR_KIND_CHANGED`, …
    pub rule: &'static str,
    /// Message and field, without the package: `Order.lines.price`.
    pub path: String,
    /// What happens to the data, in a sentence.
    pub message: String,
}

/// What of the writer's data the reader would refuse or see differently. Empty: everything that `writer`
/// can write is read by `reader` with the same values; fields that only one of them has are passed over or
/// have their default.
#[must_use]
pub fn compare(reader: &Schema, writer: &Schema) -> Vec<Finding> {
    run(reader, writer, Measure::Values)
}

/// What of the writer's data the reader would refuse or take for something else, by the rules of
/// Protobuf's own compatibility groups.
#[must_use]
pub fn compare_wire(reader: &Schema, writer: &Schema) -> Vec<Finding> {
    run(reader, writer, Measure::Wire)
}

/// Numbers and names that the old version reserved, because something older used them, and that the new
/// one uses again.
#[must_use]
pub fn reused(new: &Schema, old: &Schema) -> Vec<Finding> {
    let mut found = Vec::new();
    for message in messages(old) {
        let Some(now) = new.pool().get_message_by_name(&format!(
            "{}{}",
            prefix(new),
            old.local(message.full_name())
        )) else {
            continue;
        };
        let path = old.local(message.full_name()).to_owned();
        for field in now.fields() {
            let at = format!("{path}.{}", field.name());
            if message
                .reserved_ranges()
                .any(|range| range.contains(&field.number()))
            {
                let number = field.number();
                found.push(Finding {
                    rule: "RESERVED_NUMBER_REUSED",
                    path: at,
                    message: format!(
                        "{number} was reserved: data from before would be read as this field"
                    ),
                });
            } else if message.reserved_names().any(|name| name == field.name()) {
                found.push(Finding {
                    rule: "RESERVED_NAME_REUSED",
                    path: at,
                    message: "the name was reserved: JSON from before would be read as this field"
                        .into(),
                });
            }
        }
    }
    found
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Measure {
    Values,
    Wire,
}

fn run(reader: &Schema, writer: &Schema, measure: Measure) -> Vec<Finding> {
    let mut comparing = Comparing {
        reader: reader.package(),
        writer: writer.package(),
        measure,
        found: Vec::new(),
        seen: HashSet::new(),
    };
    comparing.files(reader, writer);
    let mut told = HashSet::new();
    let mut found = comparing.found;
    found.retain(|one| told.insert((one.rule, one.path.clone(), one.message.clone())));
    found
}

fn prefix(schema: &Schema) -> String {
    match schema.package() {
        none if none.is_empty() => none,
        package => format!("{package}."),
    }
}

fn messages(schema: &Schema) -> Vec<MessageDescriptor> {
    let names = schema.messages().into_iter();
    names
        .filter_map(|name| schema.pool().get_message_by_name(&name))
        .collect()
}

struct Comparing {
    /// The packages, without which names are compared.
    reader: String,
    writer: String,
    measure: Measure,
    found: Vec<Finding>,
    /// Pairs of messages that were compared or are being.
    seen: HashSet<(String, String)>,
}

impl Comparing {
    fn find(&mut self, rule: &'static str, path: &str, message: String) {
        self.found.push(Finding {
            rule,
            path: path.to_owned(),
            message,
        });
    }

    /// Only where values count.
    fn find_value(&mut self, rule: &'static str, path: &str, message: String) {
        if self.measure == Measure::Values {
            self.find(rule, path, message);
        }
    }

    fn files(&mut self, reader: &Schema, writer: &Schema) {
        if self.reader != self.writer {
            let message = format!(
                "the package is {} and was written as {}: types have other full names, which Any and \
                 generated code go by",
                shown(&self.reader),
                shown(&self.writer)
            );
            self.find("PACKAGE_CHANGED", "", message);
        }
        let (root, written) = (reader.local(reader.name()), writer.local(writer.name()));
        if root != written {
            let message =
                format!("data without a frame is read as {root}, and was written as {written}");
            self.find_value("FIRST_MESSAGE_CHANGED", written, message);
        }
        for message in messages(writer) {
            let path = writer.local(message.full_name()).to_owned();
            match reader
                .pool()
                .get_message_by_name(&format!("{}{path}", prefix(reader)))
            {
                Some(other) => self.messages(&other, &message, &path),
                None => {
                    let text = "the reader has no such message and cannot read one".to_owned();
                    self.find("MESSAGE_REMOVED", &path, text);
                }
            }
        }
    }

    fn messages(&mut self, reader: &MessageDescriptor, writer: &MessageDescriptor, path: &str) {
        let pair = (reader.full_name().to_owned(), writer.full_name().to_owned());
        if !self.seen.insert(pair) {
            return;
        }
        // Google's are alike everywhere.
        if is_well_known(reader.full_name()) && reader.full_name() == writer.full_name() {
            return;
        }
        let readers = Field::all(reader);
        let writers = Field::all(writer);
        for field in &writers {
            let at = format!("{path}.{}", field.name);
            match readers.iter().find(|one| one.number == field.number) {
                Some(other) => self.fields(other, field, &at),
                None => self.gone(reader, &readers, field, &at),
            }
        }
        for field in readers.iter().filter(|one| one.required) {
            if !writers
                .iter()
                .any(|one| one.number == field.number && one.required)
            {
                let at = format!("{path}.{}", field.name);
                let text =
                    "the reader requires it, and the writer may leave it out: such data is refused";
                self.find("REQUIRED_FIELD_ADDED", &at, text.into());
            }
        }
        for oneof in reader.oneofs().filter(|oneof| !oneof.is_synthetic()) {
            self.oneof(&oneof, writer, path);
        }
    }

    /// A field that the reader does not have.
    fn gone(&mut self, reader: &MessageDescriptor, readers: &[Field], field: &Field, at: &str) {
        if let Some(same) = readers.iter().find(|one| one.name == field.name) {
            let message = format!(
                "is written with the number {} and read with {}: what is written is not found",
                field.number, same.number
            );
            self.find_value("FIELD_NUMBER_CHANGED", at, message);
        }
        if field.required {
            let text = "the writer requires it and the reader does not have it".to_owned();
            self.find("REQUIRED_FIELD_REMOVED", at, text);
        }
        let Some(oneof) = &field.oneof else { return };
        let still = reader
            .oneofs()
            .any(|one| !one.is_synthetic() && one.name() == oneof);
        if still {
            let message =
                format!("the reader's oneof {oneof} does not have it: the choice is read as none");
            self.find("ONEOF_FIELD_REMOVED", at, message);
        }
    }

    /// Fields that exclude each other for the reader and do not for the writer: of several that are
    /// written only the last is kept.
    fn oneof(&mut self, oneof: &OneofDescriptor, writer: &MessageDescriptor, path: &str) {
        let mut alone = 0;
        let mut oneofs = HashSet::new();
        for field in oneof.fields() {
            let Some(written) = writer.get_field(field.number()) else {
                continue;
            };
            match written.containing_oneof().filter(|one| !one.is_synthetic()) {
                Some(one) => {
                    oneofs.insert(one.name().to_owned());
                }
                None => alone += 1,
            }
        }
        let at = format!("{path}.{}", oneof.name());
        if alone > 1 || oneofs.len() > 1 {
            let text = "the writer may set several of its fields at once, of which the reader keeps the last";
            self.find("MULTIPLE_FIELDS_MOVED_TO_ONEOF", &at, text.into());
        } else if alone == 1 && !oneofs.is_empty() {
            let text = "the writer may set one of its fields beside another, of which the reader keeps the last";
            self.find("FIELD_MOVED_TO_EXISTING_ONEOF", &at, text.into());
        }
    }

    fn enums(&mut self, reader: &EnumDescriptor, writer: &EnumDescriptor, path: &str) {
        if is_closed(reader) && !is_closed(writer) {
            let text = "the reader's enum takes only the values that it lists (proto2); the writer's takes any";
            self.find_value("ENUM_CLOSED", path, text.into());
        }
        let (readers, writers) = (declared(reader), declared(writer));
        let mut told = HashSet::new();
        for value in &writers {
            let number = value.number();
            if !told.insert(number) {
                continue;
            }
            // A number may have several names; the first is the one that is written.
            let names: Vec<_> = readers
                .iter()
                .filter(|one| one.number() == number)
                .collect();
            let name = value.name();
            if names.is_empty() {
                let what = if is_closed(reader) {
                    "is refused"
                } else {
                    "is read as a bare number"
                };
                let message = format!("the reader does not have {name} ({number}), which {what}");
                self.find_value("ENUM_CONST_REMOVED", path, message);
            } else if !names.iter().any(|one| one.name() == name) {
                let message = format!(
                    "{number} is written as {name} and read as {}",
                    names[0].name()
                );
                self.find_value("ENUM_CONST_CHANGED", path, message);
            }
        }
    }

    /// A type's name without the package of the file that is compared.
    fn reader_name(&self, full: &str) -> String {
        local(&self.reader, full).to_owned()
    }

    fn writer_name(&self, full: &str) -> String {
        local(&self.writer, full).to_owned()
    }
}

fn shown(package: &str) -> String {
    if package.is_empty() {
        "none".into()
    } else {
        package.into()
    }
}
