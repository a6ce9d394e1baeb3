//! Messages as the walk over bytes needs them: fields by number, in tables that are made once. Knows
//! nothing of bytes.

use std::collections::HashMap;

use prost_reflect::{
    Cardinality, DescriptorPool, EnumDescriptor, ExtensionDescriptor, FieldDescriptor,
    Kind as Described, MessageDescriptor, Syntax,
};

pub(crate) struct Shapes {
    list: Vec<Shape>,
    by_name: HashMap<String, usize>,
}

pub(crate) struct Shape {
    /// Full name.
    pub(crate) name: String,
    /// By number, extensions among them.
    fields: Vec<Field>,
    pub(crate) required: Vec<u32>,
    /// google.protobuf.Any: what its value holds is looked at too.
    pub(crate) any: bool,
}

pub(crate) struct Field {
    pub(crate) number: u32,
    /// The name in JSON.
    pub(crate) json: String,
    pub(crate) kind: Kind,
    pub(crate) list: bool,
    pub(crate) map: bool,
}

pub(crate) enum Kind {
    Int32,
    Int64,
    Uint32,
    Uint64,
    Sint32,
    Sint64,
    Bool,
    /// A closed enum has the numbers that it may have, sorted.
    Enum(Option<Vec<i32>>),
    /// Four bytes: fixed32, sfixed32, float.
    Four {
        float: bool,
    },
    /// Eight bytes: fixed64, sfixed64, double.
    Eight {
        float: bool,
    },
    Text,
    Bytes,
    Message(usize),
    Group(usize),
}

/// What can be met in the data of a message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Reach {
    /// A map: its entries have no order of their own.
    pub(crate) map: bool,
    /// A well-known type whose JSON is not its fields, so that something may be lost.
    pub(crate) well_known: bool,
    /// A float of four bytes, whose digits in JSON are its own and not those of a double; or a wrapped
    /// one.
    pub(crate) float: bool,
}

impl Shapes {
    pub(crate) fn new(pool: &DescriptorPool) -> Self {
        let messages: Vec<_> = pool.all_messages().collect();
        let by_name: HashMap<_, _> = messages
            .iter()
            .enumerate()
            .map(|(place, message)| (message.full_name().to_owned(), place))
            .collect();
        let list = messages
            .iter()
            .map(|message| Shape::new(message, &by_name))
            .collect();
        Self { list, by_name }
    }

    pub(crate) fn at(&self, place: usize) -> &Shape {
        &self.list[place]
    }

    /// The place of a message that is known to be there.
    pub(crate) fn place(&self, name: &str) -> usize {
        self.by_name[name]
    }

    pub(crate) fn find(&self, name: &str) -> Option<usize> {
        self.by_name.get(name).copied()
    }

    pub(crate) fn reach(&self, root: usize) -> Reach {
        let mut reach = Reach::default();
        let mut seen = vec![false; self.list.len()];
        let mut open = vec![root];
        while let Some(place) = open.pop() {
            if std::mem::replace(&mut seen[place], true) {
                continue;
            }
            let shape = &self.list[place];
            reach.well_known |= is_well_known(&shape.name);
            reach.float |= shape.name == "google.protobuf.DoubleValue";
            if shape.any {
                // It may hold any message of the pool.
                open.extend(0..self.list.len());
            }
            for field in &shape.fields {
                reach.map |= field.map;
                reach.float |= matches!(field.kind, Kind::Four { float: true });
                if let Kind::Message(next) | Kind::Group(next) = field.kind {
                    open.push(next);
                }
            }
        }
        reach
    }
}

impl Shape {
    fn new(message: &MessageDescriptor, by_name: &HashMap<String, usize>) -> Self {
        let own = message.fields().map(|field| Field::new(&field, by_name));
        let extensions = message
            .extensions()
            .map(|field| Field::of_extension(&field, by_name));
        let mut fields: Vec<_> = own.chain(extensions).collect();
        fields.sort_by_key(|field| field.number);
        Self {
            name: message.full_name().to_owned(),
            required: message
                .fields()
                .filter(FieldDescriptor::is_required)
                .map(|field| field.number())
                .collect(),
            any: message.full_name() == "google.protobuf.Any",
            fields,
        }
    }

    pub(crate) fn field(&self, number: u32) -> Option<&Field> {
        // Most messages number their fields from 1 on without gaps.
        let guess = self.fields.get(number.wrapping_sub(1) as usize);
        if let Some(field) = guess.filter(|field| field.number == number) {
            return Some(field);
        }
        let place = self
            .fields
            .binary_search_by_key(&number, |field| field.number);
        place.ok().map(|place| &self.fields[place])
    }
}

impl Field {
    fn new(field: &FieldDescriptor, by_name: &HashMap<String, usize>) -> Self {
        Self {
            number: field.number(),
            json: field.json_name().to_owned(),
            kind: Kind::new(&field.kind(), field.is_group(), by_name),
            list: field.cardinality() == Cardinality::Repeated,
            map: field.is_map(),
        }
    }

    fn of_extension(field: &ExtensionDescriptor, by_name: &HashMap<String, usize>) -> Self {
        Self {
            number: field.number(),
            json: field.json_name().to_owned(),
            kind: Kind::new(&field.kind(), field.is_group(), by_name),
            list: field.cardinality() == Cardinality::Repeated,
            map: field.is_map(),
        }
    }
}

impl Kind {
    fn new(kind: &Described, group: bool, by_name: &HashMap<String, usize>) -> Self {
        match kind {
            Described::Int32 => Self::Int32,
            Described::Int64 => Self::Int64,
            Described::Uint32 => Self::Uint32,
            Described::Uint64 => Self::Uint64,
            Described::Sint32 => Self::Sint32,
            Described::Sint64 => Self::Sint64,
            Described::Bool => Self::Bool,
            Described::Enum(described) => {
                Self::Enum(is_closed(described).then(|| numbers(described)))
            }
            Described::Fixed32 | Described::Sfixed32 => Self::Four { float: false },
            Described::Float => Self::Four { float: true },
            Described::Fixed64 | Described::Sfixed64 => Self::Eight { float: false },
            Described::Double => Self::Eight { float: true },
            Described::String => Self::Text,
            Described::Bytes => Self::Bytes,
            Described::Message(message) if group => Self::Group(by_name[message.full_name()]),
            Described::Message(message) => Self::Message(by_name[message.full_name()]),
        }
    }

    /// Whether a list of it may stand in one piece.
    pub(crate) fn packable(&self) -> bool {
        !matches!(
            self,
            Self::Text | Self::Bytes | Self::Message(_) | Self::Group(_)
        )
    }
}

/// Whether only the listed values may be: enums of proto2.
pub(crate) fn is_closed(described: &EnumDescriptor) -> bool {
    described.parent_file().syntax() == Syntax::Proto2
}

fn numbers(described: &EnumDescriptor) -> Vec<i32> {
    let mut numbers: Vec<_> = described.values().map(|value| value.number()).collect();
    numbers.sort_unstable();
    numbers.dedup();
    numbers
}

/// Whether a message has a JSON form of its own.
pub(crate) fn is_well_known(name: &str) -> bool {
    let Some(name) = name.strip_prefix("google.protobuf.") else {
        return false;
    };
    let own = [
        "Any",
        "Timestamp",
        "Duration",
        "Struct",
        "Value",
        "ListValue",
        "FieldMask",
        "Empty",
        "DoubleValue",
        "FloatValue",
        "Int64Value",
        "UInt64Value",
        "Int32Value",
        "UInt32Value",
        "BoolValue",
        "StringValue",
        "BytesValue",
    ];
    own.contains(&name)
}
