//! Whether bytes are a message, without making one: a walk over the encoding that keeps nothing, ends at
//! the first flaw and says where it is. Knows nothing of JSON but the names in paths.
//!
//! Strict where parsers guess: a number that does not fit its type, which a parser would cut, is a flaw,
//! and so is a field of another wire type, which some parsers pass over as unknown.

use crate::{
    Flaw, Unknown,
    schema::pointer,
    shape::{Field, Kind, Shapes},
};

/// How deep messages may lie in each other: what the parsers of Protobuf allow by default.
const DEEPEST: usize = 100;

pub(crate) fn check(
    shapes: &Shapes,
    root: usize,
    data: &[u8],
    unknown: Unknown,
) -> Result<(), Flaw> {
    let walk = Walk { shapes, unknown };
    walk.message(root, data, None, 0)
        .map(drop)
        .map_err(Fault::told)
}

struct Walk<'a> {
    shapes: &'a Shapes,
    unknown: Unknown,
}

/// A flaw whose path is made from the inside out.
struct Fault {
    path: Vec<String>,
    reason: String,
}

impl Fault {
    fn new(reason: impl Into<String>) -> Self {
        Self {
            path: Vec::new(),
            reason: reason.into(),
        }
    }

    fn within(mut self, segments: impl IntoIterator<Item = String>) -> Self {
        self.path.extend(segments);
        self
    }

    fn told(mut self) -> Flaw {
        self.path.reverse();
        Flaw {
            path: pointer(&self.path),
            reason: self.reason,
        }
    }
}

const VARINT: u8 = 0;
const EIGHT: u8 = 1;
const LENGTH: u8 = 2;
const BEGIN: u8 = 3;
const END: u8 = 4;
const FOUR: u8 = 5;

impl Walk<'_> {
    /// Walks a message to its end, which is that of the data or, of a group, its end mark. Answers how
    /// many bytes it took.
    fn message(
        &self,
        place: usize,
        data: &[u8],
        group: Option<u32>,
        depth: usize,
    ) -> Result<usize, Fault> {
        if depth > DEEPEST {
            return Err(Fault::new(format!(
                "messages are nested deeper than {DEEPEST}"
            )));
        }
        let shape = self.shapes.at(place);
        let mut missing = shape.required.clone();
        let mut any: (&[u8], &[u8]) = (&[], &[]);
        let mut at = 0;
        loop {
            if at == data.len() {
                if group.is_some() {
                    return Err(Fault::new("the data ends within a group"));
                }
                break;
            }
            let begin = at;
            let (number, wire) = tag(data, &mut at)?;
            if wire == END {
                if group == Some(number) {
                    break;
                }
                return Err(Fault::new(format!(
                    "field {number} ends a group that was not begun"
                )));
            }
            let Some(field) = shape.field(number) else {
                if self.unknown == Unknown::Refused {
                    return Err(Fault::new(format!(
                        "has a field {number}, which {} does not have",
                        shape.name
                    )));
                }
                skip(data, &mut at, number, wire, depth)?;
                continue;
            };
            let from = at;
            self.value(field, wire, data, &mut at, depth)
                .map_err(|mut fault| {
                    if field.map {
                        // JSON knows no entries, only keys and values.
                        fault.path.pop();
                    }
                    fault.within(self.segments(field, &data[..begin], &data[from..]))
                })?;
            if !missing.is_empty() {
                missing.retain(|one| *one != number);
            }
            if shape.any && wire == LENGTH {
                let mut inside = from;
                let content = slice(data, &mut inside)?;
                match number {
                    1 => any.0 = content,
                    _ => any.1 = content,
                }
            }
        }
        if let Some(field) = missing.first().and_then(|number| shape.field(*number)) {
            return Err(
                Fault::new(format!("is missing; {} requires it", shape.name))
                    .within([field.json.clone()]),
            );
        }
        if shape.any {
            self.any(any.0, any.1, depth)?;
        }
        Ok(at)
    }

    /// What an Any holds is walked where its type is known; else it is bytes.
    fn any(&self, url: &[u8], value: &[u8], depth: usize) -> Result<(), Fault> {
        let name = String::from_utf8_lossy(url);
        let name = name.rsplit('/').next().unwrap_or_default();
        match self.shapes.find(name) {
            Some(place) => self.message(place, value, None, depth + 1).map(drop),
            None => Ok(()),
        }
    }

    fn value(
        &self,
        field: &Field,
        wire: u8,
        data: &[u8],
        at: &mut usize,
        depth: usize,
    ) -> Result<(), Fault> {
        if wire == LENGTH && field.list && field.kind.packable() {
            let packed = slice(data, at)?;
            let mut inside = 0;
            let mut nth = 0usize;
            while inside < packed.len() {
                scalar(&field.kind, packed, &mut inside).map_err(|fault| {
                    Fault::new(format!("item {nth} of a packed piece: {}", fault.reason))
                })?;
                nth += 1;
            }
            return Ok(());
        }
        let wanted = wire_of(&field.kind);
        if wire != wanted {
            return Err(Fault::new(format!(
                "is encoded as {}; {} is encoded as {}",
                wire_name(wire),
                kind_name(&field.kind),
                wire_name(wanted)
            )));
        }
        match field.kind {
            Kind::Message(place) => {
                let inner = slice(data, at)?;
                self.message(place, inner, None, depth + 1)?;
            }
            Kind::Group(place) => {
                *at += self.message(place, &data[*at..], Some(field.number), depth + 1)?;
            }
            _ => scalar(&field.kind, data, at)?,
        }
        Ok(())
    }

    /// The path of a value from its message, innermost first. Only asked where there is a flaw.
    fn segments(&self, field: &Field, before: &[u8], value: &[u8]) -> Vec<String> {
        let name = field.json.clone();
        if field.map {
            let key = match field.kind {
                Kind::Message(entry) => self.key(entry, value),
                _ => None,
            };
            return key.into_iter().chain([name]).collect();
        }
        if !field.list {
            return vec![name];
        }
        vec![count(field, before).to_string(), name]
    }

    /// The key of a map's entry, as JSON has it.
    fn key(&self, entry: usize, value: &[u8]) -> Option<String> {
        let content = slice(value, &mut 0).ok()?;
        let field = self.shapes.at(entry).field(1)?;
        let mut at = 0;
        while at < content.len() {
            let (number, wire) = tag(content, &mut at).ok()?;
            if number != 1 || wire != wire_of(&field.kind) {
                skip(content, &mut at, number, wire, 0).ok()?;
                continue;
            }
            if wire == LENGTH {
                let text = slice(content, &mut at).ok()?;
                return Some(String::from_utf8_lossy(text).into_owned());
            }
            let bytes = content.get(at..)?;
            return Some(match field.kind {
                Kind::Four { .. } => {
                    i32::from_le_bytes(bytes.get(..4)?.try_into().ok()?).to_string()
                }
                Kind::Eight { .. } => {
                    i64::from_le_bytes(bytes.get(..8)?.try_into().ok()?).to_string()
                }
                Kind::Bool => (varint(content, &mut at).ok()? != 0).to_string(),
                Kind::Uint32 | Kind::Uint64 => varint(content, &mut at).ok()?.to_string(),
                Kind::Sint32 | Kind::Sint64 => {
                    let coded = varint(content, &mut at).ok()?;
                    ((coded >> 1) as i64 ^ -((coded & 1) as i64)).to_string()
                }
                _ => (varint(content, &mut at).ok()? as i64).to_string(),
            });
        }
        None
    }
}

/// How many items of a list stand before, which was walked already.
fn count(field: &Field, before: &[u8]) -> usize {
    let mut items = 0;
    let mut at = 0;
    while at < before.len() {
        let Ok((number, wire)) = tag(before, &mut at) else {
            break;
        };
        let begin = at;
        if skip(before, &mut at, number, wire, 0).is_err() {
            break;
        }
        if number == field.number {
            items += if wire == LENGTH && field.kind.packable() {
                let mut inside = begin;
                let packed = slice(before, &mut inside).unwrap_or_default();
                let mut place = 0;
                let mut found = 0;
                while place < packed.len() && scalar(&field.kind, packed, &mut place).is_ok() {
                    found += 1;
                }
                found
            } else {
                1
            };
        }
    }
    items
}

fn scalar(kind: &Kind, data: &[u8], at: &mut usize) -> Result<(), Fault> {
    match kind {
        Kind::Int64 | Kind::Uint64 | Kind::Sint64 => varint(data, at).map(drop),
        Kind::Int32 => {
            let value = varint(data, at)?;
            // A negative one takes ten bytes; five are read alike by all parsers.
            let fits = i32::try_from(value as i64).is_ok() || u32::try_from(value).is_ok();
            fits.then_some(()).ok_or_else(|| cut(value as i64, "int32"))
        }
        Kind::Uint32 | Kind::Sint32 => {
            let value = varint(data, at)?;
            let name = if matches!(kind, Kind::Uint32) {
                "uint32"
            } else {
                "sint32"
            };
            u32::try_from(value).map(drop).map_err(|_| cut(value, name))
        }
        Kind::Bool => {
            let value = varint(data, at)?;
            (value <= 1).then_some(()).ok_or_else(|| cut(value, "bool"))
        }
        Kind::Enum(closed) => {
            let value = varint(data, at)?;
            let number = i32::try_from(value as i64)
                .or_else(|_| u32::try_from(value).map(|value| value as i32))
                .map_err(|_| cut(value as i64, "an enum's number"))?;
            match closed {
                Some(numbers) if numbers.binary_search(&number).is_err() => Err(Fault::new(
                    format!("{number} is not a value of the enum, which is closed (proto2)"),
                )),
                _ => Ok(()),
            }
        }
        Kind::Four { .. } => take(data, at, 4).map(drop),
        Kind::Eight { .. } => take(data, at, 8).map(drop),
        Kind::Text => {
            let text = slice(data, at)?;
            std::str::from_utf8(text)
                .map(drop)
                .map_err(|error| Fault::new(format!("is a string and not UTF-8: {error}")))
        }
        Kind::Bytes => slice(data, at).map(drop),
        Kind::Message(_) | Kind::Group(_) => unreachable!("messages are walked"),
    }
}

fn cut(value: impl std::fmt::Display, kind: &str) -> Fault {
    Fault::new(format!(
        "{value} does not fit {kind}; a parser would cut it"
    ))
}

fn wire_of(kind: &Kind) -> u8 {
    match kind {
        Kind::Four { .. } => FOUR,
        Kind::Eight { .. } => EIGHT,
        Kind::Text | Kind::Bytes | Kind::Message(_) => LENGTH,
        Kind::Group(_) => BEGIN,
        _ => VARINT,
    }
}

fn wire_name(wire: u8) -> &'static str {
    match wire {
        VARINT => "a varint",
        EIGHT => "eight bytes",
        LENGTH => "bytes with their length",
        BEGIN => "a group",
        FOUR => "four bytes",
        _ => "nothing that there is",
    }
}

fn kind_name(kind: &Kind) -> &'static str {
    match kind {
        Kind::Int32 => "int32",
        Kind::Int64 => "int64",
        Kind::Uint32 => "uint32",
        Kind::Uint64 => "uint64",
        Kind::Sint32 => "sint32",
        Kind::Sint64 => "sint64",
        Kind::Bool => "bool",
        Kind::Enum(_) => "an enum",
        Kind::Four { float: true } => "float",
        Kind::Four { float: false } => "fixed32",
        Kind::Eight { float: true } => "double",
        Kind::Eight { float: false } => "fixed64",
        Kind::Text => "string",
        Kind::Bytes => "bytes",
        Kind::Message(_) => "a message",
        Kind::Group(_) => "a group",
    }
}

/// Passes over a value of an unknown field.
fn skip(data: &[u8], at: &mut usize, number: u32, wire: u8, depth: usize) -> Result<(), Fault> {
    match wire {
        VARINT => varint(data, at).map(drop),
        EIGHT => take(data, at, 8).map(drop),
        FOUR => take(data, at, 4).map(drop),
        LENGTH => slice(data, at).map(drop),
        BEGIN if depth >= DEEPEST => Err(Fault::new(format!(
            "messages are nested deeper than {DEEPEST}"
        ))),
        BEGIN => loop {
            let (inner, wire) = tag(data, at)?;
            if wire != END {
                skip(data, at, inner, wire, depth + 1)?;
            } else if inner == number {
                break Ok(());
            } else {
                break Err(Fault::new(format!(
                    "field {inner} ends a group that was not begun"
                )));
            }
        },
        _ => Err(Fault::new(format!(
            "field {number} has the wire type {wire}, which there is not"
        ))),
    }
}

/// Field number and wire type.
fn tag(data: &[u8], at: &mut usize) -> Result<(u32, u8), Fault> {
    let tag = varint(data, at)?;
    let wire = (tag & 7) as u8;
    match u32::try_from(tag) {
        Ok(tag) if tag >> 3 != 0 => Ok((tag >> 3, wire)),
        _ => Err(Fault::new(format!("{} is no field number", tag >> 3))),
    }
}

fn varint(data: &[u8], at: &mut usize) -> Result<u64, Fault> {
    let mut value = 0u64;
    for nth in 0..10 {
        let Some(byte) = data.get(*at) else {
            return Err(Fault::new("the data ends within a varint"));
        };
        *at += 1;
        if nth == 9 && *byte > 1 {
            break;
        }
        value |= u64::from(byte & 0x7f) << (7 * nth);
        if *byte < 0x80 {
            return Ok(value);
        }
    }
    Err(Fault::new("a varint is longer than 64 bits"))
}

/// A length and as many bytes.
fn slice<'a>(data: &'a [u8], at: &mut usize) -> Result<&'a [u8], Fault> {
    let length = varint(data, at)?;
    let left = data.len() - *at;
    match usize::try_from(length) {
        Ok(length) if length <= left => take(data, at, length),
        _ => Err(Fault::new(format!(
            "says that it has {length} bytes; there are {left}"
        ))),
    }
}

fn take<'a>(data: &'a [u8], at: &mut usize, length: usize) -> Result<&'a [u8], Fault> {
    let Some(taken) = data.get(*at..*at + length) else {
        let left = data.len() - *at;
        return Err(Fault::new(format!(
            "needs {length} bytes; there are {left}"
        )));
    };
    *at += length;
    Ok(taken)
}
