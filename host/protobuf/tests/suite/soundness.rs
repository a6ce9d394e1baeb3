//! Random pairs of versions and random data: where `compare` finds nothing, the reader reads what was
//! written, with the same values in the fields that both have.
//!
//! The second version is the first with a few changes, of the kinds that people make; so a good part of
//! the pairs is compatible, which the test asserts too.

use std::{collections::BTreeMap, fmt::Write as _};

use proptest::{
    prelude::*,
    test_runner::{Config, TestRunner},
};
use sandbar_protobuf::{Schema, Unknown, compare, compare_wire};
use serde_json::{Map, Value, json};

#[derive(Clone, Debug)]
struct File {
    proto2: bool,
    messages: Vec<Message>,
    enums: Vec<Vec<(String, i32)>>,
}

#[derive(Clone, Debug)]
struct Message {
    name: String,
    fields: Vec<Field>,
}

#[derive(Clone, Debug)]
struct Field {
    name: String,
    number: u32,
    kind: Kind,
    label: Label,
}

#[derive(Clone, Debug, PartialEq)]
enum Kind {
    Scalar(&'static str),
    Message(usize),
    Enum(usize),
}

#[derive(Clone, Debug, PartialEq)]
enum Label {
    Plain,
    Optional,
    Required,
    Repeated,
    Map(&'static str),
    Oneof(u8),
}

const SCALARS: [&str; 15] = [
    "int32", "int64", "uint32", "uint64", "sint32", "sint64", "fixed32", "fixed64", "sfixed32",
    "sfixed64", "bool", "float", "double", "string", "bytes",
];
const KEYS: [&str; 6] = ["string", "int32", "uint64", "sint64", "fixed32", "bool"];

/// Choices from a seed: what shrinks is the seed's data.
struct Choices<'a> {
    data: &'a [u32],
    at: usize,
}

impl Choices<'_> {
    fn below(&mut self, most: usize) -> usize {
        let word = self
            .data
            .get(self.at % self.data.len())
            .copied()
            .unwrap_or_default();
        let turn = (self.at / self.data.len()) as u32;
        self.at += 1;
        (word.rotate_left(turn * 7) ^ turn) as usize % most
    }

    fn of<T: Clone>(&mut self, list: &[T]) -> T {
        list[self.below(list.len())].clone()
    }
}

impl File {
    fn made(choices: &mut Choices<'_>) -> Self {
        let proto2 = choices.below(3) == 0;
        let enums = (0..2)
            .map(|nth| {
                (0..=choices.below(3) as i32)
                    .map(|number| (format!("V{nth}_{number}"), number))
                    .collect()
            })
            .collect();
        let mut file = Self {
            proto2,
            messages: Vec::new(),
            enums,
        };
        for nth in 0..3 {
            let fields = (1..=choices.below(4) as u32 + 1)
                .map(|number| file.field(number, choices))
                .collect();
            file.messages.push(Message {
                name: format!("M{nth}"),
                fields,
            });
        }
        file
    }

    fn field(&self, number: u32, choices: &mut Choices<'_>) -> Field {
        let kind = match choices.below(6) {
            0 => Kind::Message(choices.below(3)),
            1 => Kind::Enum(choices.below(2)),
            _ => Kind::Scalar(choices.of(&SCALARS)),
        };
        let label = match choices.below(8) {
            0 | 1 => Label::Repeated,
            2 => Label::Map(choices.of(&KEYS)),
            3 | 4 => Label::Oneof(choices.below(2) as u8),
            5 if self.proto2 && !matches!(kind, Kind::Message(_)) => Label::Required,
            5 | 6 => Label::Optional,
            _ if self.proto2 => Label::Optional,
            _ => Label::Plain,
        };
        Field {
            name: format!("f{number}"),
            number,
            kind,
            label,
        }
    }

    /// One change.
    fn change(&mut self, choices: &mut Choices<'_>) {
        let nth = choices.below(self.messages.len());
        let fresh = 10 + choices.below(20) as u32;
        match choices.below(12) {
            0 | 1 => {
                let field = self.field(fresh, choices);
                let fields = &mut self.messages[nth].fields;
                if !fields.iter().any(|one| one.number == fresh) {
                    fields.push(field);
                }
            }
            2 => {
                let fields = &mut self.messages[nth].fields;
                fields.remove(choices.below(fields.len()).min(fields.len() - 1));
                if fields.is_empty() {
                    let field = self.field(fresh, choices);
                    self.messages[nth].fields.push(field);
                }
            }
            3 | 4 => {
                let other = self.field(1, choices);
                let place = choices.below(self.messages[nth].fields.len());
                self.messages[nth].fields[place].kind = other.kind;
            }
            5 => {
                let other = self.field(1, choices);
                let place = choices.below(self.messages[nth].fields.len());
                self.messages[nth].fields[place].label = other.label;
            }
            6 | 7 => {
                // Within a group: often compatible.
                let place = choices.below(self.messages[nth].fields.len());
                let field = &mut self.messages[nth].fields[place];
                field.kind = Kind::Scalar(match &field.kind {
                    Kind::Scalar("int32" | "uint32" | "bool") => "int64",
                    Kind::Scalar("sint32") => "sint64",
                    Kind::Scalar("string") => "bytes",
                    Kind::Scalar("uint64") => "uint32",
                    Kind::Scalar(same) => same,
                    _ => "int32",
                });
            }
            8 => {
                let place = choices.below(self.messages[nth].fields.len());
                self.messages[nth].fields[place].name = format!("g{fresh}");
            }
            9 => {
                let of = choices.below(2);
                let number = self.enums[of].len() as i32;
                if !self.enums[of].iter().any(|one| one.1 == number) {
                    self.enums[of].push((format!("V{of}_{number}"), number));
                }
            }
            10 => {
                let of = choices.below(2);
                if self.enums[of].len() > 1 {
                    self.enums[of].pop();
                }
            }
            _ => {
                self.proto2 = !self.proto2;
                for field in self
                    .messages
                    .iter_mut()
                    .flat_map(|message| &mut message.fields)
                {
                    if field.label == Label::Required
                        || (self.proto2 && field.label == Label::Plain)
                    {
                        field.label = Label::Optional;
                    }
                }
            }
        }
    }

    fn kind(&self, kind: &Kind) -> String {
        match kind {
            Kind::Scalar(name) => (*name).to_owned(),
            Kind::Message(nth) => format!("M{nth}"),
            Kind::Enum(nth) => format!("E{nth}"),
        }
    }

    fn text(&self) -> String {
        let mut text = format!(
            "syntax = \"{}\";\n",
            if self.proto2 { "proto2" } else { "proto3" }
        );
        for (nth, values) in self.enums.iter().enumerate() {
            let values: String = values
                .iter()
                .map(|(name, number)| format!(" {name} = {number};"))
                .collect();
            let _ = writeln!(text, "enum E{nth} {{{values} }}");
        }
        for message in &self.messages {
            let _ = writeln!(text, "message {} {{", message.name);
            let mut oneofs: BTreeMap<u8, String> = BTreeMap::new();
            for field in &message.fields {
                let Field {
                    name,
                    number,
                    kind,
                    label,
                } = field;
                let kind = self.kind(kind);
                let _ = match label {
                    Label::Plain => writeln!(text, "  {kind} {name} = {number};"),
                    Label::Optional => writeln!(text, "  optional {kind} {name} = {number};"),
                    Label::Required => writeln!(text, "  required {kind} {name} = {number};"),
                    Label::Repeated => writeln!(text, "  repeated {kind} {name} = {number};"),
                    Label::Map(key) => writeln!(text, "  map<{key}, {kind}> {name} = {number};"),
                    Label::Oneof(nth) => {
                        write!(
                            oneofs.entry(*nth).or_default(),
                            " {kind} {name} = {number};"
                        )
                    }
                };
            }
            for (nth, fields) in oneofs {
                let _ = writeln!(text, "  oneof o{nth} {{{fields} }}");
            }
            text.push_str("}\n");
        }
        text
    }

    fn data(&self, message: usize, depth: usize, choices: &mut Choices<'_>) -> Value {
        let mut data = Map::new();
        let mut chosen = Vec::new();
        for field in &self.messages[message].fields {
            let deep = depth > 2 && matches!(field.kind, Kind::Message(_));
            if field.label != Label::Required && (deep || choices.below(4) == 0) {
                continue;
            }
            if let Label::Oneof(nth) = field.label {
                if chosen.contains(&nth) {
                    continue;
                }
                chosen.push(nth);
            }
            let value = match field.label {
                Label::Repeated => (0..choices.below(3))
                    .map(|_| self.value(&field.kind, depth, choices))
                    .collect(),
                Label::Map(key) => {
                    let entries = (0..choices.below(3)).map(|_| {
                        let key = match key {
                            "string" => choices.of(&["", "a", "é"]).to_owned(),
                            "bool" => choices.of(&["true", "false"]).to_owned(),
                            "uint64" => choices.of(&["0", "18446744073709551615"]).to_owned(),
                            "sint64" => choices.of(&["-1", "4294967296"]).to_owned(),
                            "int32" => choices.of(&["-1", "7"]).to_owned(),
                            _ => choices.of(&["0", "4294967295"]).to_owned(),
                        };
                        (key, self.value(&field.kind, depth, choices))
                    });
                    Value::Object(entries.collect())
                }
                _ => self.value(&field.kind, depth, choices),
            };
            data.insert(field.name.clone(), value);
        }
        Value::Object(data)
    }

    fn value(&self, kind: &Kind, depth: usize, choices: &mut Choices<'_>) -> Value {
        match kind {
            Kind::Message(nth) => self.data(*nth, depth + 1, choices),
            Kind::Enum(nth) => match choices.below(4) {
                // Open enums keep what they do not know.
                0 if !self.proto2 => json!(99),
                _ => json!(choices.of(&self.enums[*nth]).0),
            },
            Kind::Scalar(name) => match *name {
                "int32" | "sint32" | "sfixed32" => {
                    choices.of(&[json!(0), json!(-1), json!(i32::MAX), json!(i32::MIN)])
                }
                "uint32" | "fixed32" => choices.of(&[json!(0), json!(1), json!(u32::MAX)]),
                "int64" | "sint64" | "sfixed64" => choices.of(&[
                    json!("0"),
                    json!("-1"),
                    json!("4294967296"),
                    json!("-9223372036854775808"),
                ]),
                "uint64" | "fixed64" => choices.of(&[
                    json!("0"),
                    json!("4294967296"),
                    json!("18446744073709551615"),
                ]),
                "bool" => choices.of(&[json!(true), json!(false)]),
                "float" | "double" => {
                    choices.of(&[json!(0.0), json!(1.5), json!("NaN"), json!("-Infinity")])
                }
                "string" => choices.of(&[json!(""), json!("a"), json!("é")]),
                _ => choices.of(&[json!(""), json!("YQ=="), json!("/w==")]),
            },
        }
    }
}

/// Whether both saw the same in the fields that both have; the path where they did not.
fn differs(
    writer: &File,
    reader: &File,
    message: usize,
    written: &Value,
    read: &Value,
) -> Option<String> {
    for field in &writer.messages[message].fields {
        let Some(other) = reader.messages[message]
            .fields
            .iter()
            .find(|one| one.number == field.number)
        else {
            continue;
        };
        let pair = (written.get(&field.name), read.get(&other.name));
        let differs = match pair {
            (None, None) => None,
            // What is not there has its default.
            (Some(value), None) | (None, Some(value)) => {
                (!is_default(writer, field, value)).then(String::new)
            }
            (Some(Value::Array(written)), Some(Value::Array(read)))
                if field.label == Label::Repeated =>
            {
                if written.len() == read.len() {
                    written.iter().zip(read).find_map(|(w, r)| {
                        value_differs(writer, reader, &field.kind, &other.kind, w, r)
                    })
                } else {
                    Some("length".into())
                }
            }
            (Some(Value::Object(written)), Some(Value::Object(read)))
                if matches!(field.label, Label::Map(_)) =>
            {
                if written.len() == read.len() {
                    written.iter().find_map(|(key, w)| {
                        match read.get(&plain_key(key, &other.label)) {
                            Some(r) => {
                                value_differs(writer, reader, &field.kind, &other.kind, w, r)
                            }
                            None => Some(key.clone()),
                        }
                    })
                } else {
                    Some("size".into())
                }
            }
            (Some(w), Some(r)) => value_differs(writer, reader, &field.kind, &other.kind, w, r),
        };
        if let Some(inner) = differs {
            return Some(format!("{}/{inner}", field.name));
        }
    }
    None
}

/// A key that was a bool and is read as a number.
fn plain_key(key: &str, label: &Label) -> String {
    match (key, label) {
        ("true" | "false", Label::Map("bool" | "string")) => key.into(),
        ("true", _) => "1".into(),
        ("false", _) => "0".into(),
        _ => key.into(),
    }
}

fn is_default(file: &File, field: &Field, value: &Value) -> bool {
    match value {
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => matches!(field.label, Label::Map(_)) && members.is_empty(),
        Value::String(text) => match field.kind {
            Kind::Enum(nth) => file.enums[nth][0].0 == *text,
            _ => text.is_empty() || text == "0",
        },
        Value::Number(number) => number.as_f64() == Some(0.0),
        other => *other == Value::Bool(false),
    }
}

fn value_differs(
    writer: &File,
    reader: &File,
    written_as: &Kind,
    read_as: &Kind,
    w: &Value,
    r: &Value,
) -> Option<String> {
    match (written_as, read_as) {
        (Kind::Message(nth), Kind::Message(_)) => differs(writer, reader, *nth, w, r),
        // The same bytes, as text and as base64.
        (Kind::Scalar("string"), Kind::Scalar("bytes")) => None,
        _ => {
            let plain = |value: &Value| match value {
                Value::Bool(value) => u8::from(*value).to_string(),
                Value::String(text) => text.clone(),
                other => other.to_string(),
            };
            (plain(w) != plain(r)).then(|| format!("{w} was read as {r}"))
        }
    }
}

#[test]
fn where_nothing_is_found_everything_is_read() {
    let pairs = std::env::var("SANDBAR_PROTOBUF_PAIRS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(4_000);
    let mut runner = TestRunner::new_with_rng(
        Config {
            cases: pairs,
            failure_persistence: None,
            ..Config::default()
        },
        proptest::test_runner::TestRng::deterministic_rng(
            proptest::test_runner::RngAlgorithm::ChaCha,
        ),
    );
    let compatible = std::cell::Cell::new(0u32);
    let seeds = proptest::collection::vec(any::<u32>(), 64);
    let outcome = runner.run(&(seeds, 0usize..4), |(seed, changes)| {
        let choices = &mut Choices { data: &seed, at: 0 };
        let writer_file = File::made(choices);
        let mut reader_file = writer_file.clone();
        for _ in 0..changes {
            reader_file.change(choices);
        }
        let parsed = |file: &File| {
            let text = file.text();
            Schema::parse(&text, &[])
                .map_err(|invalid| TestCaseError::fail(format!("{invalid}\n{text}")))
        };
        let (writer, reader) = (parsed(&writer_file)?, parsed(&reader_file)?);
        prop_assert_eq!(
            parsed(&writer_file)?.canonical(),
            Schema::parse(&writer.canonical(), &[])
                .expect("its form compiles")
                .canonical()
        );
        let found = compare(&reader, &writer);
        if !found.is_empty() {
            return Ok(());
        }
        compatible.set(compatible.get() + 1);
        let wire = compare_wire(&reader, &writer);
        prop_assert!(wire.is_empty(), "the loose measure finds more: {:?}", wire);
        for _ in 0..8 {
            let data = writer_file.data(0, 0, choices);
            let about = format!(
                "{data}\nwriter {}\nreader {}",
                writer_file.text(),
                reader_file.text()
            );
            let bytes = writer
                .to_bytes(&data)
                .map_err(|flaw| TestCaseError::fail(format!("{flaw} {about}")))?;
            let written = writer
                .to_json(&bytes)
                .expect("what was written is read by its writer");
            prop_assert_eq!(
                differs(&writer_file, &writer_file, 0, &data, &written),
                None,
                "{}",
                about
            );
            let read = reader
                .to_json_with(&bytes, Unknown::Skipped)
                .map_err(|flaw| {
                    TestCaseError::fail(format!("the reader refuses: {flaw}\n{about}"))
                })?;
            prop_assert_eq!(
                differs(&writer_file, &reader_file, 0, &written, &read),
                None,
                "{}\nread {}",
                about,
                read
            );
        }
        Ok(())
    });
    if let Err(error) = outcome {
        panic!("{error}");
    }
    let share = f64::from(compatible.get()) / f64::from(pairs);
    assert!(
        (0.15..0.9).contains(&share),
        "{share} of the pairs are compatible: the test shows little"
    );
}
