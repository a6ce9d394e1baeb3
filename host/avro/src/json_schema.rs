//! The JSON form of a schema's data, as JSON Schema 2020-12.

use std::collections::HashSet;

use serde_json::{Map, Value, json};

use crate::{
    decode,
    logical::{DURATION, Logical},
    node::{Id, Kind, Types},
    temporal::Unit,
};

/// Sizes up to here are said exactly; beyond, only as lengths.
const EXACT: usize = 300;

pub(crate) fn json_schema(types: &Types) -> Value {
    let mut writer = Writer {
        types,
        seen: HashSet::new(),
        waiting: Vec::new(),
    };
    let root = writer.schema(types.root);
    let mut definitions = Map::new();
    while let Some(id) = writer.waiting.pop() {
        let definition = writer.definition(id);
        let name = types.full_name(id).unwrap_or_default();
        definitions.insert(name.to_owned(), definition);
    }
    let mut whole = Map::new();
    whole.insert(
        "$schema".into(),
        "https://json-schema.org/draft/2020-12/schema".into(),
    );
    if let Value::Object(root) = root {
        whole.extend(root);
    }
    if !definitions.is_empty() {
        whole.insert("$defs".into(), Value::Object(definitions));
    }
    Value::Object(whole)
}

struct Writer<'a> {
    types: &'a Types,
    seen: HashSet<Id>,
    /// Types with names whose definitions are to be written.
    waiting: Vec<Id>,
}

impl Writer<'_> {
    /// Types with names are referred to, so it goes no deeper than the text of one definition.
    fn schema(&mut self, id: Id) -> Value {
        if let Some(name) = self.types.full_name(id) {
            if self.seen.insert(id) {
                self.waiting.push(id);
            }
            return json!({"$ref": format!("#/$defs/{name}")});
        }
        self.definition(id)
    }

    fn definition(&mut self, id: Id) -> Value {
        let types = self.types;
        let node = types.node(id);
        match (&node.kind, node.logical) {
            (Kind::Null, _) => json!({"type": "null"}),
            (Kind::Boolean, _) => json!({"type": "boolean"}),
            (Kind::Int | Kind::Long, Some(logical)) => temporal(logical, &node.kind),
            (Kind::Int, None) => integer(i32::MIN.into(), i32::MAX.into()),
            (Kind::Long, None) => integer(i64::MIN, i64::MAX),
            (Kind::Float, _) => number(json!({
                "type": "number", "format": "float", "minimum": decode::float(f32::MIN), "maximum": decode::float(f32::MAX)
            })),
            (Kind::Double, _) => number(json!({"type": "number", "format": "double"})),
            (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal { precision, scale })) => {
                decimal(precision, scale)
            }
            (Kind::String | Kind::Fixed(_), Some(Logical::Uuid)) => json!({
                "type": "string", "format": "uuid",
                "pattern": "^[0-9A-Fa-f]{8}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{4}-[0-9A-Fa-f]{12}$"
            }),
            (Kind::Fixed(_), Some(Logical::Duration)) => {
                let part = integer(0, u32::MAX.into());
                let parts: Map<String, Value> = DURATION
                    .iter()
                    .map(|name| ((*name).to_owned(), part.clone()))
                    .collect();
                json!({"type": "object", "properties": parts, "required": DURATION, "additionalProperties": false})
            }
            (Kind::Bytes, _) => json!({
                "type": "string", "contentEncoding": "base64",
                "pattern": "^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/][AQgw]==|[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=)?$"
            }),
            (Kind::Fixed(fixed), _) => base64(fixed.size),
            (Kind::String, _) => json!({"type": "string"}),
            (Kind::Enum(symbols), _) if symbols.symbols.is_empty() => json!({"not": {}}),
            (Kind::Enum(symbols), _) => json!({"enum": symbols.symbols}),
            (&Kind::Array(items), _) => json!({"type": "array", "items": self.schema(items)}),
            (&Kind::Map(values), _) => {
                json!({"type": "object", "additionalProperties": self.schema(values)})
            }
            (Kind::Record(record), _) => {
                let mut properties = Map::new();
                let mut required = Vec::new();
                for field in &record.fields {
                    properties.insert(field.name.clone(), self.schema(field.schema));
                    if field.default.is_none() {
                        required.push(field.name.as_str());
                    }
                }
                let mut schema = json!({"type": "object", "properties": properties, "additionalProperties": false});
                if !required.is_empty() {
                    schema["required"] = json!(required);
                }
                schema
            }
            (Kind::Union(union), _) => {
                let mut choices = Vec::new();
                for (index, &branch) in union.branches.iter().enumerate() {
                    let schema = self.schema(branch);
                    let bare = !union.names_all() || Some(index) == union.null;
                    if !bare || union.names_some(types, index) {
                        let name = types.branch_name(branch);
                        choices.push(json!({
                            "type": "object", "properties": {name: schema.clone()},
                            "required": [name], "additionalProperties": false
                        }));
                    }
                    if bare {
                        choices.push(schema);
                    }
                }
                if choices.is_empty() {
                    json!({"not": {}})
                } else {
                    json!({"anyOf": choices})
                }
            }
        }
    }
}

fn integer(least: i64, most: i64) -> Value {
    json!({"type": "integer", "minimum": least, "maximum": most})
}

fn number(finite: Value) -> Value {
    json!({"anyOf": [finite, {"enum": ["NaN", "Infinity", "-Infinity"]}]})
}

fn temporal(logical: Logical, kind: &Kind) -> Value {
    const DATE: &str = "[0-9]{4}-(0[1-9]|1[0-2])-(0[1-9]|[12][0-9]|3[01])";
    const TIME: &str = "([01][0-9]|2[0-3]):[0-5][0-9]:[0-5][0-9]";
    let part = |unit: Unit| format!("\\.[0-9]{{{}}}", unit.digits());
    let text = match logical {
        Logical::Date => json!({"type": "string", "format": "date"}),
        Logical::Timestamp(unit) => json!({
            "type": "string", "format": "date-time",
            "pattern": format!("^{DATE}[Tt]{TIME}(\\.[0-9]{{1,{}}}0*)?([Zz]|[+-]{})$", unit.digits(), "([01][0-9]|2[0-3]):[0-5][0-9]")
        }),
        Logical::LocalTimestamp(unit) => {
            json!({"type": "string", "pattern": format!("^{DATE}T{TIME}{}$", part(unit))})
        }
        Logical::Time(unit) => {
            json!({"type": "string", "pattern": format!("^{TIME}{}$", part(unit))})
        }
        Logical::Decimal { .. } | Logical::Uuid | Logical::Duration => json!({}),
    };
    let bare = match kind {
        Kind::Int => integer(i32::MIN.into(), i32::MAX.into()),
        _ => integer(i64::MIN, i64::MAX),
    };
    json!({"anyOf": [text, bare]})
}

fn decimal(precision: u32, scale: u32) -> Value {
    let whole = match precision - scale {
        0 => "0".to_owned(),
        digits => format!("(0|[1-9][0-9]{{0,{}}})", digits - 1),
    };
    let part = match scale {
        0 => String::new(),
        digits => format!("\\.[0-9]{{{digits}}}"),
    };
    json!({"type": "string", "pattern": format!("^-?{whole}{part}$")})
}

/// Exactly so many bytes.
fn base64(size: usize) -> Value {
    let length = size.div_ceil(3) * 4;
    if size > EXACT {
        return json!({"type": "string", "contentEncoding": "base64", "minLength": length, "maxLength": length});
    }
    let rest = match size % 3 {
        0 => "",
        1 => "[A-Za-z0-9+/][AQgw]==",
        _ => "[A-Za-z0-9+/]{2}[AEIMQUYcgkosw048]=",
    };
    let whole = match size / 3 {
        0 => String::new(),
        groups => format!("[A-Za-z0-9+/]{{{}}}", groups * 4),
    };
    json!({"type": "string", "contentEncoding": "base64", "pattern": format!("^{whole}{rest}$")})
}
