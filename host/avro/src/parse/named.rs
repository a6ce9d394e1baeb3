//! Types that have a name: records, enums and fixed.

use std::collections::HashMap;

use serde_json::{Map, Value};

use super::{Parsed, Parser, Pending, properties};
use crate::{
    logical::Logical,
    name,
    node::{Enum, Field, Fixed, Id, Kind, Named, Node, Record},
    union::describe,
};

impl Parser {
    /// The name of a type with its aliases; what is in it is in the namespace of its name.
    fn named(&mut self, members: &Map<String, Value>, namespace: &str) -> Parsed<Named> {
        let own = match members.get("namespace") {
            None => namespace,
            Some(Value::Null) => "",
            Some(Value::String(own)) => {
                for part in own.split('.').filter(|_| !own.is_empty()) {
                    if let Some(flaw) = name::simple_flaw(part) {
                        return self.within("namespace", |parser| Err(parser.wrong(flaw)));
                    }
                }
                own
            }
            Some(other) => {
                let reason = format!("a namespace is text, not {}", describe(other));
                return self.within("namespace", |parser| Err(parser.wrong(reason)));
            }
        };
        let word = match members.get("name") {
            None => return Err(self.wrong("\"name\" is missing")),
            Some(Value::String(word)) => word,
            Some(other) => {
                let reason = format!("a name is text, not {}", describe(other));
                return self.within("name", |parser| Err(parser.wrong(reason)));
            }
        };
        let full = self.within("name", |parser| {
            let full = name::full(word, own).map_err(|flaw| parser.wrong(flaw))?;
            if name::PRIMITIVES.contains(&full.as_str()) {
                return Err(parser.wrong(format!("{full:?} is the name of a type of Avro")));
            }
            if parser.names.contains_key(&full) {
                return Err(parser.wrong(format!("the type {full:?} is defined already")));
            }
            Ok(full)
        })?;
        let aliases = self.aliases(members, |alias| name::full(alias, name::namespace(&full)))?;
        Ok(Named { full, aliases })
    }

    fn aliases(
        &mut self,
        members: &Map<String, Value>,
        full: impl Fn(&str) -> Result<String, String>,
    ) -> Parsed<Vec<String>> {
        let list = match members.get("aliases") {
            None => return Ok(Vec::new()),
            Some(Value::Array(list)) => list,
            Some(other) => {
                let reason = format!("aliases are an array of names, not {}", describe(other));
                return self.within("aliases", |parser| Err(parser.wrong(reason)));
            }
        };
        let mut aliases = Vec::new();
        self.path.push("aliases".into());
        for (index, alias) in list.iter().enumerate() {
            let alias = self.within(index, |parser| match alias {
                Value::String(alias) => full(alias).map_err(|flaw| parser.wrong(flaw)),
                other => Err(parser.wrong(format!("an alias is a name, not {}", describe(other)))),
            })?;
            aliases.push(alias);
        }
        self.path.pop();
        Ok(aliases)
    }

    fn define(&mut self, named: &Named, node: Node) -> Parsed<Id> {
        let id = self.add(node)?;
        self.names.insert(named.full.clone(), id);
        Ok(id)
    }

    pub(super) fn fixed(&mut self, members: &Map<String, Value>, namespace: &str) -> Parsed<Id> {
        let named = self.named(members, namespace)?;
        let size = members
            .get("size")
            .ok_or_else(|| self.wrong("\"size\" is missing"))?;
        let bytes = size.as_i64().and_then(|size| i32::try_from(size).ok());
        let size = bytes.and_then(|size| usize::try_from(size).ok());
        let size = self.within("size", |parser| {
            size.ok_or_else(|| {
                parser.wrong("a size is a whole number of bytes, from 0 to 2147483647")
            })
        })?;
        let fixed = Fixed {
            named: named.clone(),
            size,
        };
        let kind = Kind::Fixed(fixed);
        let logical = Logical::find(&kind, members);
        let properties = properties(members, &["size"], logical.is_some());
        self.define(
            &named,
            Node {
                kind,
                logical,
                properties,
            },
        )
    }

    pub(super) fn symbols(&mut self, members: &Map<String, Value>, namespace: &str) -> Parsed<Id> {
        let named = self.named(members, namespace)?;
        let list = self.list("symbols", members)?;
        let mut symbols = Vec::new();
        let mut by_symbol = HashMap::new();
        self.path.push("symbols".into());
        for (index, symbol) in list.iter().enumerate() {
            self.within(index, |parser| {
                let Value::String(symbol) = symbol else {
                    return Err(parser.wrong(format!("a symbol is text, not {}", describe(symbol))));
                };
                if let Some(flaw) = name::simple_flaw(symbol) {
                    return Err(parser.wrong(flaw));
                }
                if by_symbol.insert(symbol.clone(), index).is_some() {
                    return Err(parser.wrong(format!("the symbol {symbol:?} is there twice")));
                }
                symbols.push(symbol.clone());
                Ok(())
            })?;
        }
        self.path.pop();
        let default = match members.get("default") {
            None => None,
            Some(default) => Some(self.within("default", |parser| {
                let place = default.as_str().and_then(|symbol| by_symbol.get(symbol));
                place.copied().ok_or_else(|| {
                    parser.wrong(format!("the default is no symbol: {}", describe(default)))
                })
            })?),
        };
        let kind = Kind::Enum(Enum {
            named: named.clone(),
            symbols,
            by_symbol,
            default,
        });
        let properties = properties(members, &["symbols", "default"], false);
        self.define(
            &named,
            Node {
                kind,
                logical: None,
                properties,
            },
        )
    }

    fn list<'a>(&mut self, part: &str, members: &'a Map<String, Value>) -> Parsed<&'a [Value]> {
        match members.get(part) {
            None => Err(self.wrong(format!("{part:?} is missing"))),
            Some(Value::Array(list)) => Ok(list),
            Some(other) => {
                let reason = format!("{part:?} is an array, not {}", describe(other));
                self.within(part, |parser| Err(parser.wrong(reason)))
            }
        }
    }

    pub(super) fn record(
        &mut self,
        error: bool,
        members: &Map<String, Value>,
        namespace: &str,
    ) -> Parsed<Id> {
        let named = self.named(members, namespace)?;
        let list = self.list("fields", members)?;
        // It may refer to itself, so its name is known before its fields are.
        let id = self.define(
            &named,
            Node {
                kind: Kind::Record(Record {
                    named: named.clone(),
                    fields: Vec::new(),
                    by_name: HashMap::new(),
                    error,
                }),
                logical: None,
                properties: properties(members, &["fields"], false),
            },
        )?;
        let mut fields = Vec::new();
        let mut by_name = HashMap::new();
        self.path.push("fields".into());
        for (index, json) in list.iter().enumerate() {
            self.within(index, |parser| {
                let field = parser.field(json, (id, index), name::namespace(&named.full))?;
                if by_name.insert(field.name.clone(), index).is_some() {
                    let reason = format!("the field {:?} is there twice", field.name);
                    return parser.within("name", |parser| Err(parser.wrong(reason)));
                }
                fields.push(field);
                Ok(())
            })?;
        }
        self.path.pop();
        if let Kind::Record(record) = &mut self.nodes[id as usize].kind {
            record.fields = fields;
            record.by_name = by_name;
        }
        Ok(id)
    }

    fn field(&mut self, json: &Value, place: (Id, usize), namespace: &str) -> Parsed<Field> {
        let Value::Object(members) = json else {
            return Err(self.wrong(format!("a field is an object, not {}", describe(json))));
        };
        let name = match members.get("name") {
            None => return Err(self.wrong("\"name\" is missing")),
            Some(Value::String(name)) => name.clone(),
            Some(other) => {
                let reason = format!("a name is text, not {}", describe(other));
                return self.within("name", |parser| Err(parser.wrong(reason)));
            }
        };
        if let Some(flaw) = name::simple_flaw(&name) {
            return self.within("name", |parser| Err(parser.wrong(flaw)));
        }
        let aliases = self.aliases(members, |alias| match name::simple_flaw(alias) {
            None => Ok(alias.to_owned()),
            Some(flaw) => Err(flaw),
        })?;
        let order = match members.get("order").map(Value::as_str) {
            None | Some(Some("ascending")) => None,
            Some(Some(order @ ("descending" | "ignore"))) => Some(order.to_owned()),
            Some(_) => {
                return self.within("order", |parser| {
                    Err(parser.wrong("an order is \"ascending\", \"descending\" or \"ignore\""))
                });
            }
        };
        let schema = self.part("type", members, namespace)?;
        if let Some(json) = members.get("default") {
            let pending = Pending {
                record: place.0,
                field: place.1,
                json: json.clone(),
                pointer: self.pointer() + "/default",
                reference: self.reference.clone(),
            };
            self.defaults.push(pending);
        }
        Ok(Field {
            name,
            aliases,
            schema,
            default: None,
            order,
            properties: properties(members, &["default", "order"], false),
        })
    }
}
