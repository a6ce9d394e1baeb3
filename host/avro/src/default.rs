//! Default values: the specification's own JSON form (bytes are text with a letter per byte, a union
//! takes its first branch that fits), as binary data.

use serde_json::Value;

use crate::{
    encode::Output,
    fault::{Fault, fault},
    node::{Id, Kind, Record, Types},
    union::describe,
};

/// The work that all defaults of a schema may take together, in values that are looked at. Defaults of
/// records may take defaults of their fields, which doubles with each level.
pub(crate) const STEPS: usize = 200_000;
/// What the defaults of a schema may come to, in bytes.
pub(crate) const BYTES: usize = 4 * 1024 * 1024;

pub(crate) struct Defaults<'a> {
    pub types: &'a Types,
    /// The JSON of each field's default, by its record and place.
    pub json: &'a dyn Fn(Id, usize) -> Option<&'a Value>,
    pub steps: usize,
    pub bytes: usize,
}

impl Defaults<'_> {
    /// One default in full.
    pub(crate) fn encode(&mut self, id: Id, json: &Value) -> Result<Output, Fault> {
        let mut out = Output::default();
        self.value(id, json, &mut out, 0)?;
        self.bytes = self
            .bytes
            .checked_sub(out.bytes.len())
            .ok_or_else(too_much)?;
        Ok(out)
    }

    fn value(&mut self, id: Id, json: &Value, out: &mut Output, depth: usize) -> Result<(), Fault> {
        self.steps = self.steps.checked_sub(1).ok_or_else(too_much)?;
        if out.bytes.len() > self.bytes {
            return Err(too_much());
        }
        out.enter(depth)?;
        let types = self.types;
        let kind = types.kind(id);
        let wrong = || {
            fault(format!(
                "the default of {} {} cannot be {}",
                article(kind.word()),
                kind.word(),
                describe(json)
            ))
        };
        match (kind, json) {
            (Kind::Null, Value::Null) => {}
            (Kind::Boolean, Value::Bool(truth)) => out.bytes.push(u8::from(*truth)),
            (Kind::Int, Value::Number(number)) => {
                let number = number
                    .as_i64()
                    .and_then(|number| i32::try_from(number).ok());
                out.long(i64::from(number.ok_or_else(wrong)?));
            }
            (Kind::Long, Value::Number(number)) => out.long(number.as_i64().ok_or_else(wrong)?),
            (Kind::Float, Value::Number(number)) => {
                #[expect(
                    clippy::cast_possible_truncation,
                    reason = "a schema's default is rounded"
                )]
                let number = number.as_f64().ok_or_else(wrong)? as f32;
                if number.is_infinite() {
                    return Err(wrong());
                }
                out.bytes.extend_from_slice(&number.to_le_bytes());
            }
            (Kind::Double, Value::Number(number)) => {
                let number = number.as_f64().ok_or_else(wrong)?;
                out.bytes.extend_from_slice(&number.to_le_bytes());
            }
            (Kind::String, Value::String(text)) => out.sized(text.as_bytes()),
            (Kind::Bytes, Value::String(text)) => out.sized(&letters(text)?),
            (Kind::Fixed(fixed), Value::String(text)) => {
                let bytes = letters(text)?;
                if bytes.len() != fixed.size {
                    return Err(fault(format!(
                        "the default has {} bytes, and {} has {}",
                        bytes.len(),
                        fixed.named.full,
                        fixed.size
                    )));
                }
                out.bytes.extend_from_slice(&bytes);
            }
            (Kind::Enum(symbols), Value::String(symbol)) => {
                let index = symbols.by_symbol.get(symbol).ok_or_else(|| {
                    fault(format!("{symbol:?} is no symbol of {}", symbols.named.full))
                })?;
                out.length(*index);
            }
            (&Kind::Array(items), Value::Array(list)) => {
                if !list.is_empty() {
                    out.length(list.len());
                    for (index, item) in list.iter().enumerate() {
                        self.value(items, item, out, depth + 1)
                            .map_err(|fault| fault.at(index))?;
                    }
                }
                out.bytes.push(0);
            }
            (&Kind::Map(values), Value::Object(members)) => {
                if !members.is_empty() {
                    out.length(members.len());
                    for (key, member) in members {
                        out.sized(key.as_bytes());
                        self.value(values, member, out, depth + 1)
                            .map_err(|fault| fault.within(key))?;
                    }
                }
                out.bytes.push(0);
            }
            (Kind::Record(record), Value::Object(members)) => {
                return self.fields(id, record, members, out, depth);
            }
            (Kind::Union(union), _) => {
                let mut first = None;
                for (index, &branch) in union.branches.iter().enumerate() {
                    let (bytes, values) = (out.bytes.len(), out.values);
                    out.length(index);
                    match self.value(branch, json, out, depth) {
                        Ok(()) => return Ok(()),
                        Err(fault) => first = first.or(Some(fault)),
                    }
                    out.bytes.truncate(bytes);
                    out.values = values;
                }
                let why = first.map_or(String::new(), |fault| {
                    format!(" (the first branch: {})", fault.reason())
                });
                return Err(fault(format!(
                    "the default {} fits no branch of the union{why}",
                    describe(json)
                )));
            }
            _ => return Err(wrong()),
        }
        Ok(())
    }

    fn fields(
        &mut self,
        id: Id,
        record: &Record,
        members: &serde_json::Map<String, Value>,
        out: &mut Output,
        depth: usize,
    ) -> Result<(), Fault> {
        for (index, field) in record.fields.iter().enumerate() {
            let json = members.get(&field.name).or_else(|| (self.json)(id, index));
            let json = json.ok_or_else(|| {
                fault("the default has no such field, and the field no default").within(&field.name)
            })?;
            self.value(field.schema, json, out, depth + 1)
                .map_err(|fault| fault.within(&field.name))?;
        }
        match members
            .keys()
            .find(|name| !record.by_name.contains_key(*name))
        {
            None => Ok(()),
            Some(unknown) => {
                Err(fault(format!("{} has no such field", record.named.full)).within(unknown))
            }
        }
    }
}

fn article(word: &str) -> &'static str {
    if word.starts_with(['a', 'e', 'i', 'o']) {
        "an"
    } else {
        "a"
    }
}

fn too_much() -> Fault {
    fault("the defaults of the schema come to too much; make them smaller")
}

/// A byte for each letter.
fn letters(text: &str) -> Result<Vec<u8>, Fault> {
    text.chars()
        .map(|letter| {
            u8::try_from(u32::from(letter)).map_err(|_| {
                fault(format!(
                    "{letter:?} is no byte: the default of bytes has letters from \\u0000 to \\u00ff"
                ))
            })
        })
        .collect()
}
