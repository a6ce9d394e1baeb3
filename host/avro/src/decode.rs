//! Binary data, checked, and made into JSON where that is asked for.

use std::collections::HashSet;

use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, Number, Value};

use crate::{
    Flaw, decimal,
    fault::{Fault, fault},
    input::{DEEPEST, Input},
    logical::{self, Logical},
    node::{Id, Kind, Record, Types},
    union::Union,
};

pub(crate) fn check(types: &Types, data: &[u8]) -> Result<(), Flaw> {
    whole::<false>(types, data).map(|_| ()).map_err(Flaw::from)
}

pub(crate) fn to_json(types: &Types, data: &[u8]) -> Result<Value, Flaw> {
    whole::<true>(types, data).map_err(Flaw::from)
}

fn whole<const JSON: bool>(types: &Types, data: &[u8]) -> Result<Value, Fault> {
    let mut input = Input::new(data);
    let decoded = value::<JSON>(types, types.root, &mut input, 0)?;
    nothing_left(&input)?;
    Ok(decoded)
}

pub(crate) fn nothing_left(input: &Input<'_>) -> Result<(), Fault> {
    match input.left() {
        0 => Ok(()),
        left => Err(fault(format!(
            "{left} bytes are left over behind the datum"
        ))),
    }
}

/// Passes over a value, which is checked.
pub(crate) fn skip(
    types: &Types,
    id: Id,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<(), Fault> {
    value::<false>(types, id, input, depth).map(|_| ())
}

/// One value. Without JSON it allocates nothing but keys, and gives null.
fn value<const JSON: bool>(
    types: &Types,
    id: Id,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<Value, Fault> {
    input.count()?;
    if depth > DEEPEST {
        return Err(fault(format!("the data nests deeper than {DEEPEST}")));
    }
    let node = types.node(id);
    match &node.kind {
        Kind::Null => Ok(Value::Null),
        Kind::Boolean => match input.array::<1>()? {
            [0] => Ok(Value::Bool(false)),
            [1] => Ok(Value::Bool(true)),
            [other] => Err(fault(format!("a boolean is 0 or 1, and this is {other}"))),
        },
        Kind::Int => Ok(integer::<JSON>(i64::from(input.int()?), node.logical)),
        Kind::Long => Ok(integer::<JSON>(input.long()?, node.logical)),
        Kind::Float => {
            let number = f32::from_le_bytes(input.array()?);
            Ok(if JSON { float(number) } else { Value::Null })
        }
        Kind::Double => {
            let number = f64::from_le_bytes(input.array()?);
            Ok(if JSON { double(number) } else { Value::Null })
        }
        Kind::Bytes => opaque::<JSON>(input.bytes()?, node.logical),
        Kind::Fixed(fixed) => opaque::<JSON>(input.take(fixed.size)?, node.logical),
        Kind::String => {
            let text = input.string()?;
            if node.logical == Some(Logical::Uuid) && !logical::is_uuid(text) {
                return Err(fault(no_uuid(text)));
            }
            Ok(if JSON { text.into() } else { Value::Null })
        }
        Kind::Enum(symbols) => {
            let index = input.index(symbols.symbols.len(), "symbol")?;
            Ok(if JSON {
                symbols.symbols[index].as_str().into()
            } else {
                Value::Null
            })
        }
        Kind::Array(items) => array::<JSON>(types, *items, input, depth),
        Kind::Map(values) => map::<JSON>(types, *values, input, depth),
        Kind::Union(union) => branch::<JSON>(types, union, input, depth),
        Kind::Record(record) => fields::<JSON>(types, record, input, depth),
    }
}

pub(crate) fn no_uuid(text: &str) -> String {
    format!(
        "{:?} is no UUID such as 123e4567-e89b-12d3-a456-426614174000",
        crate::fault::shortened(text)
    )
}

fn integer<const JSON: bool>(number: i64, logical: Option<Logical>) -> Value {
    if !JSON {
        return Value::Null;
    }
    match logical.and_then(|logical| logical.text(number)) {
        Some(text) => Value::String(text),
        None => number.into(),
    }
}

/// The shortest number that is this float and no other.
pub(crate) fn float(number: f32) -> Value {
    let short: f64 = number.to_string().parse().unwrap_or(f64::NAN);
    // Rounded twice, it could be another float; then all its digits are given.
    #[expect(
        clippy::cast_possible_truncation,
        reason = "whether that loses something is asked"
    )]
    if (short as f32).to_bits() == number.to_bits() {
        double(short)
    } else {
        double(f64::from(number))
    }
}

fn double(number: f64) -> Value {
    match Number::from_f64(number) {
        Some(number) => Value::Number(number),
        None if number.is_nan() => "NaN".into(),
        None if number > 0.0 => "Infinity".into(),
        None => "-Infinity".into(),
    }
}

fn opaque<const JSON: bool>(bytes: &[u8], logical: Option<Logical>) -> Result<Value, Fault> {
    match logical {
        Some(Logical::Decimal { precision, scale }) => {
            let text = decimal::text(bytes, precision, scale).map_err(fault)?;
            Ok(Value::String(text))
        }
        _ if !JSON => Ok(Value::Null),
        Some(Logical::Uuid) => Ok(logical::uuid_text(bytes).into()),
        Some(Logical::Duration) => Ok(logical::duration_json(bytes)),
        _ => Ok(STANDARD.encode(bytes).into()),
    }
}

fn array<const JSON: bool>(
    types: &Types,
    items: Id,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<Value, Fault> {
    let mut list = Vec::new();
    let mut index = 0;
    while let Some(block) = input.block()? {
        for _ in 0..block.items {
            let item =
                value::<JSON>(types, items, input, depth + 1).map_err(|fault| fault.at(index))?;
            if JSON {
                list.push(item);
            }
            index += 1;
        }
        input.end(&block)?;
    }
    Ok(Value::Array(list))
}

fn map<const JSON: bool>(
    types: &Types,
    values: Id,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<Value, Fault> {
    let mut members = Map::new();
    let mut keys = HashSet::new();
    while let Some(block) = input.block()? {
        for _ in 0..block.items {
            let key = input.string()?;
            let member = value::<JSON>(types, values, input, depth + 1)
                .map_err(|fault| fault.within(key))?;
            if !keys.insert(key) {
                return Err(fault("the key is in the map twice").within(key));
            }
            if JSON {
                members.insert(key.to_owned(), member);
            }
        }
        input.end(&block)?;
    }
    Ok(Value::Object(members))
}

fn fields<const JSON: bool>(
    types: &Types,
    record: &Record,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<Value, Fault> {
    let mut members = Map::new();
    for field in &record.fields {
        let member = value::<JSON>(types, field.schema, input, depth + 1)
            .map_err(|fault| fault.within(&field.name))?;
        if JSON {
            members.insert(field.name.clone(), member);
        }
    }
    Ok(Value::Object(members))
}

fn branch<const JSON: bool>(
    types: &Types,
    union: &Union,
    input: &mut Input<'_>,
    depth: usize,
) -> Result<Value, Fault> {
    let index = input.index(union.branches.len(), "branch")?;
    let id = union.branches[index];
    let named = union.names_all() && Some(index) != union.null;
    let decoded = value::<JSON>(types, id, input, depth + usize::from(named)).map_err(|fault| {
        if named {
            fault.within(types.branch_name(id))
        } else {
            fault
        }
    })?;
    if JSON && (named || union.must_name(types, index, &decoded)) {
        let mut members = Map::new();
        members.insert(types.branch_name(id).to_owned(), decoded);
        return Ok(Value::Object(members));
    }
    Ok(decoded)
}
