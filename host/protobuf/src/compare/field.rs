//! One field against the field of the same number.

use prost_reflect::{
    Cardinality, ExtensionDescriptor, FieldDescriptor, Kind, MessageDescriptor, Value,
};

use super::{Comparing, Measure};
use crate::canonical::scalar_name;

/// A field or an extension, with what counts.
pub(super) struct Field {
    pub(super) number: u32,
    pub(super) name: String,
    json: String,
    kind: Kind,
    list: bool,
    map: bool,
    group: bool,
    pub(super) required: bool,
    /// Whether it is known to be set, also with its default.
    presence: bool,
    /// The oneof that it is in, if any.
    pub(super) oneof: Option<String>,
    default: Value,
}

impl Field {
    /// By number.
    pub(super) fn all(message: &MessageDescriptor) -> Vec<Self> {
        let own = message.fields().map(|field| Self::of_field(&field));
        let extensions = message.extensions().map(|field| Self::of_extension(&field));
        let mut all: Vec<_> = own.chain(extensions).collect();
        all.sort_by_key(|field| field.number);
        all
    }

    fn of_field(field: &FieldDescriptor) -> Self {
        Self {
            number: field.number(),
            name: field.name().to_owned(),
            json: field.json_name().to_owned(),
            kind: field.kind(),
            list: field.is_list(),
            map: field.is_map(),
            group: field.is_group(),
            required: field.is_required(),
            presence: field.supports_presence(),
            oneof: field
                .containing_oneof()
                .filter(|oneof| !oneof.is_synthetic())
                .map(|oneof| oneof.name().to_owned()),
            default: field.default_value(),
        }
    }

    fn of_extension(field: &ExtensionDescriptor) -> Self {
        Self {
            number: field.number(),
            name: field.full_name().to_owned(),
            json: field.json_name().to_owned(),
            kind: field.kind(),
            list: field.is_list(),
            map: field.is_map(),
            group: field.is_group(),
            required: field.cardinality() == Cardinality::Required,
            presence: field.supports_presence(),
            oneof: None,
            default: field.default_value(),
        }
    }
}

impl Comparing {
    pub(super) fn fields(&mut self, reader: &Field, writer: &Field, at: &str) {
        if reader.name != writer.name {
            let message = format!(
                "the number {} is {} for the reader: renamed, or used again for something else",
                writer.number, reader.name
            );
            self.find_value("FIELD_NAME_CHANGED", at, message);
        } else if reader.json != writer.json {
            let message = format!(
                "is {} in JSON, and was written as {}",
                reader.json, writer.json
            );
            self.find_value("FIELD_JSON_NAME_CHANGED", at, message);
        }
        if reader.map != writer.map || reader.group != writer.group {
            self.kind_changed(reader, writer, at);
            return;
        }
        if reader.list != writer.list {
            self.label(writer, at);
        }
        if let (Kind::Message(reader), Kind::Message(writer)) = (&reader.kind, &writer.kind)
            && reader.is_map_entry()
        {
            let (key, value) = (format!("{at}.key"), format!("{at}.value"));
            self.kinds(
                &reader.map_entry_key_field().kind(),
                &writer.map_entry_key_field().kind(),
                &key,
            );
            self.kinds(
                &reader.map_entry_value_field().kind(),
                &writer.map_entry_value_field().kind(),
                &value,
            );
            return;
        }
        self.kinds(&reader.kind, &writer.kind, at);
        if let (Some(oneof), None, false) = (&writer.oneof, &reader.oneof, reader.presence) {
            let message = format!(
                "the choice of the writer's oneof {oneof} is lost where it has its default"
            );
            self.find_value("FIELD_MOVED_FROM_ONEOF", at, message);
        }
        let plain = !reader.list && !writer.list && !matches!(reader.kind, Kind::Message(_));
        if plain && !differs_in_kind(&reader.kind, &writer.kind) && reader.default != writer.default
        {
            let message =
                "has another default: what is left out is read as another value".to_owned();
            self.find_value("FIELD_DEFAULT_CHANGED", at, message);
        }
    }

    fn kind_changed(&mut self, reader: &Field, writer: &Field, at: &str) {
        let name = |field: &Field| match &field.kind {
            Kind::Message(_) if field.map => "a map",
            Kind::Message(_) if field.group => "a group",
            kind => scalar_name(kind),
        };
        let message = format!("is {} and was written as {}", name(reader), name(writer));
        self.find("FIELD_KIND_CHANGED", at, message);
    }

    fn label(&mut self, writer: &Field, at: &str) {
        let long = matches!(writer.kind, Kind::String | Kind::Bytes | Kind::Message(_));
        match (writer.list, long) {
            // Numbers of a list stand in one piece, which is no number.
            (true, false) => {
                let text = "a list is written and one value is read: a packed list is refused, of another the last is kept";
                self.find("FIELD_LABEL_CHANGED", at, text.into());
            }
            (true, true) => {
                let text = "a list is written and one value is read: the last, or all merged";
                self.find_value("FIELD_LABEL_CHANGED", at, text.into());
            }
            (false, _) => {
                let text = "one value is written and a list is read: JSON has another form";
                self.find_value("FIELD_LABEL_CHANGED", at, text.into());
            }
        }
    }

    fn kinds(&mut self, reader: &Kind, writer: &Kind, at: &str) {
        match (reader, writer) {
            (Kind::Message(read), Kind::Message(written)) => {
                let names = (
                    self.reader_name(read.full_name()),
                    self.writer_name(written.full_name()),
                );
                if names.0 == names.1 {
                    self.messages(read, written, &names.1);
                } else {
                    let message = format!("is {} and was written as {}", names.0, names.1);
                    self.find("FIELD_NAMED_TYPE_CHANGED", at, message);
                }
            }
            (Kind::Enum(read), Kind::Enum(written)) => self.enums(read, written, at),
            (Kind::Message(_), _) | (_, Kind::Message(_)) => {
                let message = format!(
                    "is {} and was written as {}",
                    scalar_name(reader),
                    scalar_name(writer)
                );
                self.find("FIELD_KIND_CHANGED", at, message);
            }
            _ => self.scalars(reader, writer, at),
        }
    }

    fn scalars(&mut self, reader: &Kind, writer: &Kind, at: &str) {
        if !differs_in_kind(reader, writer) {
            return;
        }
        let (read, written) = (scalar_name(reader), scalar_name(writer));
        if Group::of(reader) != Group::of(writer) {
            let message =
                format!("is {read} and was written as {written}, which have other encodings");
            self.find("FIELD_SCALAR_KIND_CHANGED", at, message);
        } else if self.measure == Measure::Values
            && let Some(example) = misread(reader, writer)
        {
            let message = format!("is {read} and was written as {written}: {example}");
            self.find("FIELD_SCALAR_KIND_CHANGED", at, message);
        }
    }
}

fn differs_in_kind(one: &Kind, other: &Kind) -> bool {
    std::mem::discriminant(one) != std::mem::discriminant(other)
}

/// Types that are encoded alike: <https://protobuf.dev/programming-guides/proto3/#updating>.
#[derive(PartialEq, Eq)]
enum Group {
    Varint,
    ZigZag,
    Length,
    Four,
    Eight,
    Float,
    Double,
    Message,
}

impl Group {
    fn of(kind: &Kind) -> Self {
        match kind {
            Kind::Int32
            | Kind::Int64
            | Kind::Uint32
            | Kind::Uint64
            | Kind::Bool
            | Kind::Enum(_) => Self::Varint,
            Kind::Sint32 | Kind::Sint64 => Self::ZigZag,
            Kind::String | Kind::Bytes => Self::Length,
            Kind::Fixed32 | Kind::Sfixed32 => Self::Four,
            Kind::Fixed64 | Kind::Sfixed64 => Self::Eight,
            Kind::Float => Self::Float,
            Kind::Double => Self::Double,
            Kind::Message(_) => Self::Message,
        }
    }
}

/// A value of the writer's type that a reader of another type in the same group does not see as it is.
/// None where all are.
fn misread(reader: &Kind, writer: &Kind) -> Option<&'static str> {
    match (reader, writer) {
        (Kind::Int32 | Kind::Int64 | Kind::Uint32 | Kind::Uint64, Kind::Bool)
        | (Kind::Int64, Kind::Int32 | Kind::Uint32)
        | (Kind::Uint64, Kind::Uint32)
        | (Kind::Sint64, Kind::Sint32)
        | (Kind::Bytes, Kind::String) => None,
        (Kind::String, Kind::Bytes) => Some("bytes that are not UTF-8 are refused"),
        (Kind::Bool, _) => Some("every number but 0 is read as true"),
        (Kind::Enum(_), _) => {
            Some("numbers that the enum does not have are refused or have no name")
        }
        (_, Kind::Enum(_)) => Some("JSON has the number in place of the name"),
        (Kind::Uint32, Kind::Int32) => Some("-1 is read as 4294967295"),
        (Kind::Uint64, Kind::Int32 | Kind::Int64) => Some("-1 is read as 18446744073709551615"),
        (Kind::Int32, Kind::Uint32) => Some("4294967295 is read as -1"),
        (Kind::Int64, Kind::Uint64) => Some("18446744073709551615 is read as -1"),
        (Kind::Int32 | Kind::Uint32, _) => Some("4294967296 is read as 0"),
        (Kind::Sint32, Kind::Sint64) => Some("4294967296 is read as 0"),
        (Kind::Fixed32, _) => Some("-1 is read as 4294967295"),
        (Kind::Sfixed32, _) => Some("4294967295 is read as -1"),
        (Kind::Fixed64, _) => Some("-1 is read as 18446744073709551615"),
        (Kind::Sfixed64, _) => Some("18446744073709551615 is read as -1"),
        _ => Some("values differ"),
    }
}
