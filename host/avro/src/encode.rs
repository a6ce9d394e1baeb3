//! JSON into binary data: in exactly one way, or not at all.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::Value;

use crate::{
    Flaw, decimal, decode,
    fault::{Fault, fault},
    input::{self, DEEPEST},
    logical::{self, Logical},
    node::{Id, Kind, Node, Record, Types},
    union::{Union, describe},
};

/// Defaults can make much out of little; a datum ends here, in bytes.
const LARGEST: usize = 256 * 1024 * 1024;

/// Binary data on its way out.
#[derive(Default)]
pub(crate) struct Output {
    pub bytes: Vec<u8>,
    /// Values that have been written.
    pub values: usize,
    /// The deepest that containers have nested.
    pub deepest: usize,
}

impl Output {
    pub(crate) fn long(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)).cast_unsigned();
        loop {
            let [low, ..] = rest.to_le_bytes();
            rest >>= 7;
            if rest == 0 {
                self.bytes.push(low & 0x7f);
                return;
            }
            self.bytes.push(low | 0x80);
        }
    }

    /// A length, a count or an index: nothing in memory is longer than an i64 says.
    pub(crate) fn length(&mut self, length: usize) {
        self.long(i64::try_from(length).unwrap_or(i64::MAX));
    }

    pub(crate) fn sized(&mut self, bytes: &[u8]) {
        self.length(bytes.len());
        self.bytes.extend_from_slice(bytes);
    }

    pub(crate) fn enter(&mut self, depth: usize) -> Result<(), Fault> {
        self.values += 1;
        self.deepest = self.deepest.max(depth);
        if depth > DEEPEST {
            return Err(fault(format!("the data nests deeper than {DEEPEST}")));
        }
        if self.bytes.len() > LARGEST {
            return Err(fault(format!("the data has more than {LARGEST} bytes")));
        }
        Ok(())
    }

    /// A field that takes its default.
    pub(crate) fn take_default(
        &mut self,
        default: &crate::node::FieldDefault,
        depth: usize,
    ) -> Result<(), Fault> {
        self.enter(depth + default.deepest)?;
        self.values += default.values;
        self.bytes.extend_from_slice(&default.bytes);
        Ok(())
    }

    /// The datum, unless it is one that decoding would refuse.
    pub(crate) fn finish(self) -> Result<Vec<u8>, Fault> {
        if self.values > input::values(self.bytes.len()) {
            return Err(fault("the data has far more values than bytes"));
        }
        Ok(self.bytes)
    }
}

pub(crate) fn to_bytes(types: &Types, json: &Value) -> Result<Vec<u8>, Flaw> {
    let mut out = Output::default();
    value(types, types.root, json, &mut out, 0)?;
    Ok(out.finish()?)
}

fn value(types: &Types, id: Id, json: &Value, out: &mut Output, depth: usize) -> Result<(), Fault> {
    out.enter(depth)?;
    let node = types.node(id);
    match &node.kind {
        Kind::Null => match json {
            Value::Null => Ok(()),
            other => Err(wanted("null", other)),
        },
        Kind::Boolean => match json {
            Value::Bool(truth) => {
                out.bytes.push(u8::from(*truth));
                Ok(())
            }
            other => Err(wanted("a boolean", other)),
        },
        Kind::Int => {
            let number = integer(node, json)?;
            let number = i32::try_from(number)
                .map_err(|_| fault(format!("{} does not fit into an int", describe(json))))?;
            out.long(i64::from(number));
            Ok(())
        }
        Kind::Long => {
            out.long(integer(node, json)?);
            Ok(())
        }
        Kind::Float => {
            out.bytes.extend_from_slice(&float(json)?.to_le_bytes());
            Ok(())
        }
        Kind::Double => {
            out.bytes.extend_from_slice(&double(json)?.to_le_bytes());
            Ok(())
        }
        Kind::Bytes => {
            out.sized(&opaque(node, json)?);
            Ok(())
        }
        Kind::Fixed(fixed) => {
            let bytes = fitted(opaque(node, json)?, fixed.size, node.logical)?;
            out.bytes.extend_from_slice(&bytes);
            Ok(())
        }
        Kind::String => {
            let text = text(json)?;
            if node.logical == Some(Logical::Uuid) && !logical::is_uuid(text) {
                return Err(fault(decode::no_uuid(text)));
            }
            out.sized(text.as_bytes());
            Ok(())
        }
        Kind::Enum(symbols) => {
            let symbol = text(json)?;
            let index = symbols.by_symbol.get(symbol).ok_or_else(|| {
                fault(format!(
                    "{:?} is no symbol of {}",
                    crate::fault::shortened(symbol),
                    symbols.named.full
                ))
            })?;
            out.length(*index);
            Ok(())
        }
        Kind::Array(items) => array(types, *items, json, out, depth),
        Kind::Map(values) => map(types, *values, json, out, depth),
        Kind::Union(union) => branch(types, union, json, out, depth),
        Kind::Record(record) => fields(types, record, json, out, depth),
    }
}

fn wanted(what: &str, json: &Value) -> Fault {
    fault(format!("{what} is needed, and this is {}", describe(json)))
}

fn text(json: &Value) -> Result<&str, Fault> {
    json.as_str().ok_or_else(|| wanted("text", json))
}

fn integer(node: &Node, json: &Value) -> Result<i64, Fault> {
    match (json, node.logical) {
        (Value::String(text), Some(logical)) => logical.number(text).map_err(fault),
        (Value::Number(number), _) => whole(number).ok_or_else(|| {
            fault(format!(
                "{number} is no integer that fits into {}",
                node.kind.word()
            ))
        }),
        (other, Some(logical)) => Err(wanted(&format!("the text of a {}", logical.word()), other)),
        (other, None) => Err(wanted("an integer", other)),
    }
}

/// A number without a fraction is an integer, however it is written.
fn whole(number: &serde_json::Number) -> Option<i64> {
    if let Some(integer) = number.as_i64() {
        return Some(integer);
    }
    // Below 2^53 a double is the integer that was written, and no rounded one.
    let float = number.as_f64().filter(|_| number.is_f64())?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "it is whole and below 2^53"
    )]
    (float.fract() == 0.0 && float.abs() <= 9_007_199_254_740_992.0).then_some(float as i64)
}

fn double(json: &Value) -> Result<f64, Fault> {
    let number = match json {
        Value::String(text) => match text.as_str() {
            "NaN" => return Ok(f64::NAN),
            "Infinity" => return Ok(f64::INFINITY),
            "-Infinity" => return Ok(f64::NEG_INFINITY),
            _ => {
                return Err(wanted(
                    "a number, \"NaN\", \"Infinity\" or \"-Infinity\"",
                    json,
                ));
            }
        },
        Value::Number(number) => number,
        other => return Err(wanted("a number", other)),
    };
    let double = number.as_f64().ok_or_else(|| wanted("a number", json))?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether that loses something is asked"
    )]
    let exact = number.is_f64() || double as i128 == number.as_i128().unwrap_or(i128::MAX);
    if exact {
        return Ok(double);
    }
    Err(fault(format!("{number} would be rounded to {double}")))
}

fn float(json: &Value) -> Result<f32, Fault> {
    let double = double(json)?;
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether that loses something is asked"
    )]
    let float = double as f32;
    // What comes back must be what was given: the same double, or the same shortest digits.
    let comes_back = double.is_nan()
        || f64::from(float).to_bits() == double.to_bits()
        || decode::float(float).as_f64() == Some(double);
    if comes_back {
        return Ok(float);
    }
    Err(fault(if float.is_infinite() {
        format!("{double} is too large for a float")
    } else {
        format!("a float keeps {float} of {double}; round it, or make the field a double")
    }))
}

fn opaque(node: &Node, json: &Value) -> Result<Vec<u8>, Fault> {
    match node.logical {
        Some(Logical::Decimal { precision, scale }) => match json {
            Value::String(text) => decimal::bytes(text, precision, scale).map_err(fault),
            Value::Number(number) => decimal::of_number(number)
                .and_then(|text| decimal::bytes(&text, precision, scale))
                .map_err(fault),
            other => Err(wanted("a decimal as text, such as \"12.50\",", other)),
        },
        Some(Logical::Uuid) => {
            let text = text(json)?;
            logical::uuid_bytes(text).ok_or_else(|| fault(decode::no_uuid(text)))
        }
        Some(Logical::Duration) => logical::duration_bytes(json).map_err(fault),
        _ => {
            let text = json
                .as_str()
                .ok_or_else(|| wanted("text in base64", json))?;
            STANDARD.decode(text).map_err(|error| {
                fault(format!(
                    "{:?} is no base64: {error}",
                    crate::fault::shortened(text)
                ))
            })
        }
    }
}

/// Bytes as a fixed: a decimal repeats its sign in front, all else has the size.
fn fitted(bytes: Vec<u8>, size: usize, logical: Option<Logical>) -> Result<Vec<u8>, Fault> {
    let missing = size
        .checked_sub(bytes.len())
        .filter(|&missing| missing == 0 || matches!(logical, Some(Logical::Decimal { .. })));
    let missing = missing.ok_or_else(|| {
        fault(format!(
            "{size} bytes are needed, and these are {}",
            bytes.len()
        ))
    })?;
    if missing == 0 {
        return Ok(bytes);
    }
    let negative = bytes.first().is_some_and(|first| first & 0x80 != 0);
    let mut whole = vec![if negative { 0xff } else { 0 }; missing];
    whole.extend_from_slice(&bytes);
    Ok(whole)
}

fn array(
    types: &Types,
    items: Id,
    json: &Value,
    out: &mut Output,
    depth: usize,
) -> Result<(), Fault> {
    let list = json.as_array().ok_or_else(|| wanted("an array", json))?;
    if !list.is_empty() {
        out.length(list.len());
        for (index, item) in list.iter().enumerate() {
            value(types, items, item, out, depth + 1).map_err(|fault| fault.at(index))?;
        }
    }
    out.bytes.push(0);
    Ok(())
}

fn map(
    types: &Types,
    values: Id,
    json: &Value,
    out: &mut Output,
    depth: usize,
) -> Result<(), Fault> {
    let members = json.as_object().ok_or_else(|| wanted("an object", json))?;
    if !members.is_empty() {
        out.length(members.len());
        for (key, member) in members {
            out.sized(key.as_bytes());
            value(types, values, member, out, depth + 1).map_err(|fault| fault.within(key))?;
        }
    }
    out.bytes.push(0);
    Ok(())
}

fn fields(
    types: &Types,
    record: &Record,
    json: &Value,
    out: &mut Output,
    depth: usize,
) -> Result<(), Fault> {
    let members = json.as_object().ok_or_else(|| {
        let what = format!("an object for the record {}", record.named.full);
        wanted(&what, json)
    })?;
    let mut taken = 0;
    for field in &record.fields {
        if let Some(member) = members.get(&field.name) {
            taken += 1;
            value(types, field.schema, member, out, depth + 1)
                .map_err(|fault| fault.within(&field.name))?;
        } else if let Some(default) = &field.default {
            out.take_default(default, depth + 1)
                .map_err(|fault| fault.within(&field.name))?;
        } else {
            return Err(fault("the field is missing, and it has no default").within(&field.name));
        }
    }
    if taken == members.len() {
        return Ok(());
    }
    let unknown = members
        .keys()
        .find(|name| !record.by_name.contains_key(*name));
    Err(fault(format!(
        "the record {} has no such field",
        record.named.full
    ))
    .within(unknown.map_or("", String::as_str)))
}

fn branch(
    types: &Types,
    union: &Union,
    json: &Value,
    out: &mut Output,
    depth: usize,
) -> Result<(), Fault> {
    let (index, inner, named) = union.choose(types, json).map_err(fault)?;
    let id = union.branches[index];
    out.length(index);
    value(
        types,
        id,
        inner,
        out,
        depth + usize::from(union.names_all() && named),
    )
    .map_err(|fault| {
        if named {
            fault.within(types.branch_name(id))
        } else {
            fault
        }
    })
}
