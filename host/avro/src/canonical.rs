//! Schemas as text that is the same for the same schema, and their fingerprint.

use std::collections::HashSet;

use serde_json::Value;

use crate::{
    logical::Logical,
    name,
    node::{Id, Kind, Named, Types},
};

/// The hub's normal form.
pub(crate) fn normal(types: &Types) -> String {
    write(types, true)
}

/// The specification's Parsing Canonical Form.
pub(crate) fn parsing(types: &Types) -> String {
    write(types, false)
}

fn write(types: &Types, full: bool) -> String {
    let mut writer = Writer {
        types,
        full,
        seen: HashSet::new(),
        out: String::new(),
    };
    writer.schema(types.root, "");
    writer.out
}

struct Writer<'a> {
    types: &'a Types,
    /// With all that the Parsing Canonical Form leaves out.
    full: bool,
    /// Types that are defined already.
    seen: HashSet<Id>,
    out: String,
}

impl Writer<'_> {
    fn text(&mut self, text: &str) {
        self.out.push_str(&Value::from(text).to_string());
    }

    /// `,"name":`
    fn member(&mut self, name: &str) {
        self.out.push(',');
        self.text(name);
        self.out.push(':');
    }

    fn schema(&mut self, id: Id, namespace: &str) {
        let types = self.types;
        let node = types.node(id);
        if let Some(named) = node.kind.named()
            && !self.seen.insert(id)
        {
            return self.text(&named.full);
        }
        let annotated = node.logical.is_some() || !node.properties.is_empty();
        match &node.kind {
            Kind::Union(union) => {
                self.out.push('[');
                for (index, &branch) in union.branches.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.schema(branch, namespace);
                }
                self.out.push(']');
                return;
            }
            Kind::Array(inner) | Kind::Map(inner) => {
                let (word, part) = match node.kind {
                    Kind::Array(_) => ("array", "items"),
                    _ => ("map", "values"),
                };
                self.out.push_str("{\"type\":");
                self.text(word);
                self.member(part);
                self.schema(*inner, namespace);
            }
            Kind::Record(record) => {
                self.named(
                    &record.named,
                    if record.error { "error" } else { "record" },
                    namespace,
                );
                self.member("fields");
                self.out.push('[');
                for (index, field) in record.fields.iter().enumerate() {
                    self.out.push_str(if index > 0 {
                        ",{\"name\":"
                    } else {
                        "{\"name\":"
                    });
                    self.text(&field.name);
                    if self.full {
                        self.list("aliases", &field.aliases);
                    }
                    self.member("type");
                    self.schema(field.schema, name::namespace(&record.named.full));
                    if self.full {
                        if let Some(default) = &field.default {
                            self.member("default");
                            json(&default.json, &mut self.out);
                        }
                        if let Some(order) = &field.order {
                            self.member("order");
                            self.text(order);
                        }
                        self.properties(&field.properties);
                    }
                    self.out.push('}');
                }
                self.out.push(']');
            }
            Kind::Enum(symbols) => {
                self.named(&symbols.named, "enum", namespace);
                self.member("symbols");
                self.out.push('[');
                for (index, symbol) in symbols.symbols.iter().enumerate() {
                    if index > 0 {
                        self.out.push(',');
                    }
                    self.text(symbol);
                }
                self.out.push(']');
                if let Some(default) = symbols.default.filter(|_| self.full) {
                    self.member("default");
                    self.text(&symbols.symbols[default]);
                }
            }
            Kind::Fixed(fixed) => {
                self.named(&fixed.named, "fixed", namespace);
                self.member("size");
                self.out.push_str(&fixed.size.to_string());
            }
            primitive if self.full && annotated => {
                self.out.push_str("{\"type\":");
                self.text(primitive.word());
            }
            primitive => return self.text(primitive.word()),
        }
        if self.full {
            if let Some(logical) = node.logical {
                self.logical(logical);
            }
            self.properties(&node.properties);
        }
        self.out.push('}');
    }

    fn named(&mut self, named: &Named, word: &str, namespace: &str) {
        self.out.push_str("{\"name\":");
        self.text(&named.full);
        // Where the namespace of what is around would be taken otherwise.
        if self.full && !named.full.contains('.') && !namespace.is_empty() {
            self.member("namespace");
            self.text("");
        }
        if self.full {
            self.list("aliases", &named.aliases);
        }
        self.member("type");
        self.text(word);
    }

    /// A list whose order does not matter.
    fn list(&mut self, name: &str, list: &[String]) {
        if list.is_empty() {
            return;
        }
        let mut sorted: Vec<&String> = list.iter().collect();
        sorted.sort();
        sorted.dedup();
        self.member(name);
        self.out.push_str(&serde_json::json!(sorted).to_string());
    }

    fn logical(&mut self, logical: Logical) {
        self.member("logicalType");
        self.text(logical.word());
        if let Logical::Decimal { precision, scale } = logical {
            self.member("precision");
            self.out.push_str(&precision.to_string());
            if scale > 0 {
                self.member("scale");
                self.out.push_str(&scale.to_string());
            }
        }
    }

    fn properties(&mut self, properties: &[(String, Value)]) {
        for (name, value) in properties {
            self.member(name);
            json(value, &mut self.out);
        }
    }
}

/// JSON with the keys of objects in order, and numbers that are whole without a point.
fn json(value: &Value, out: &mut String) {
    match value {
        Value::Object(members) => {
            let mut sorted: Vec<_> = members.iter().collect();
            sorted.sort_by_key(|(name, _)| *name);
            out.push('{');
            for (index, (name, member)) in sorted.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(name.as_str()).to_string());
                out.push(':');
                json(member, out);
            }
            out.push('}');
        }
        Value::Array(items) => {
            out.push('[');
            for (index, item) in items.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                json(item, out);
            }
            out.push(']');
        }
        Value::Number(number) if number.is_f64() => {
            let double = number.as_f64().unwrap_or_default();
            if double.fract() == 0.0 && double.abs() < 1e15 {
                out.push_str(&format!("{double:.0}"));
            } else {
                out.push_str(&number.to_string());
            }
        }
        scalar => out.push_str(&scalar.to_string()),
    }
}

/// CRC-64-AVRO, as the specification's section "Schema Fingerprints" gives it.
pub(crate) fn fingerprint(bytes: &[u8]) -> u64 {
    const EMPTY: u64 = 0xc15d_213a_a4d7_a795;
    bytes.iter().fold(EMPTY, |print, &byte| {
        let mut low = (print ^ u64::from(byte)) & 0xff;
        for _ in 0..8 {
            low = (low >> 1) ^ (EMPTY & (low & 1).wrapping_neg());
        }
        (print >> 8) ^ low
    })
}
