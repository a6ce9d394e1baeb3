//! Text → [`Types`], with the place of what is wrong.

mod named;

use std::collections::{HashMap, HashSet};

use serde_json::{Map, Value};

use crate::{
    Invalid, Reference,
    default::{self, Defaults},
    fault::shortened,
    logical::Logical,
    name,
    node::{FieldDefault, Id, Kind, Node, Types},
    union::{Union, describe},
};

/// Types within types, each at its first use. Those who walk a schema recurse as deep.
const DEEPEST: usize = 400;

pub(crate) fn parse(text: &str, references: &[Reference<'_>]) -> Result<Types, Invalid> {
    let document = json(text)?;
    let mut parser = Parser::new();
    parser.references(references)?;
    parser.reference = None;
    let root = parser
        .schema(&document, "")
        .map_err(|wrong| wrong.invalid)?;
    parser.finish(root)
}

fn json(text: &str) -> Result<Value, Invalid> {
    serde_json::from_str(text).map_err(|error| Invalid {
        pointer: String::new(),
        reason: format!("the schema is no JSON: {error}"),
    })
}

struct Wrong {
    invalid: Invalid,
    /// It is but that a type is not known yet.
    unknown: bool,
}

struct Parser {
    nodes: Vec<Node>,
    /// Full names.
    names: HashMap<String, Id>,
    /// Where in the document it is.
    path: Vec<String>,
    /// The reference that is being parsed.
    reference: Option<String>,
    /// Defaults are checked when all types are known.
    defaults: Vec<Pending>,
}

struct Pending {
    record: Id,
    field: usize,
    json: Value,
    pointer: String,
    reference: Option<String>,
}

type Parsed<T> = Result<T, Wrong>;

/// What a kind of type knows; all else is a property.
const COMMON: [&str; 5] = ["type", "name", "namespace", "aliases", "doc"];

impl Parser {
    fn new() -> Self {
        let kinds = [
            Kind::Null,
            Kind::Boolean,
            Kind::Int,
            Kind::Long,
            Kind::Float,
            Kind::Double,
            Kind::Bytes,
            Kind::String,
        ];
        let nodes = kinds.map(|kind| Node {
            kind,
            logical: None,
            properties: Vec::new(),
        });
        Self {
            nodes: nodes.into(),
            names: HashMap::new(),
            path: Vec::new(),
            reference: None,
            defaults: Vec::new(),
        }
    }

    /// Parses all references, each after those that it needs.
    fn references(&mut self, references: &[Reference<'_>]) -> Result<(), Invalid> {
        let mut waiting = Vec::new();
        for reference in references {
            self.reference = Some(reference.name.to_owned());
            let document = json(reference.text).map_err(|invalid| self.told(invalid))?;
            waiting.push((reference.name, document));
        }
        while !waiting.is_empty() {
            let before = waiting.len();
            let mut first = None;
            let mut left = Vec::new();
            for (name, document) in waiting {
                self.reference = Some(name.to_owned());
                let (nodes, defaults) = (self.nodes.len(), self.defaults.len());
                match self.schema(&document, "") {
                    Ok(_) => {}
                    Err(wrong) if wrong.unknown => {
                        // Once more when others are known.
                        self.path.clear();
                        self.nodes.truncate(nodes);
                        self.defaults.truncate(defaults);
                        self.names.retain(|_, id| (*id as usize) < nodes);
                        first = first.or(Some(wrong.invalid));
                        left.push((name, document));
                    }
                    Err(wrong) => return Err(wrong.invalid),
                }
            }
            waiting = left;
            if let Some(invalid) = first.filter(|_| waiting.len() == before) {
                return Err(invalid);
            }
        }
        Ok(())
    }

    /// Says which document it is in, where that is a reference.
    fn told(&self, invalid: Invalid) -> Invalid {
        match &self.reference {
            None => invalid,
            Some(reference) => Invalid {
                pointer: String::new(),
                reason: format!(
                    "in the reference {reference:?}{}{}: {}",
                    if invalid.pointer.is_empty() {
                        ""
                    } else {
                        " at "
                    },
                    invalid.pointer,
                    invalid.reason
                ),
            },
        }
    }

    fn pointer(&self) -> String {
        self.path.iter().fold(String::new(), |path, segment| {
            path + "/" + &segment.replace('~', "~0").replace('/', "~1")
        })
    }

    fn wrong(&self, reason: impl Into<String>) -> Wrong {
        Wrong {
            invalid: self.told(Invalid {
                pointer: self.pointer(),
                reason: reason.into(),
            }),
            unknown: false,
        }
    }

    fn within<T>(
        &mut self,
        segment: impl ToString,
        work: impl FnOnce(&mut Self) -> Parsed<T>,
    ) -> Parsed<T> {
        self.path.push(segment.to_string());
        let done = work(self)?;
        self.path.pop();
        Ok(done)
    }

    fn add(&mut self, node: Node) -> Parsed<Id> {
        let id =
            Id::try_from(self.nodes.len()).map_err(|_| self.wrong("the schema is too large"))?;
        self.nodes.push(node);
        Ok(id)
    }

    fn schema(&mut self, json: &Value, namespace: &str) -> Parsed<Id> {
        match json {
            Value::String(word) => self.by_name(word, namespace),
            Value::Array(branches) => self.union(branches, namespace),
            Value::Object(members) => match members.get("type") {
                Some(Value::String(word)) => self.typed(word, members, namespace),
                Some(inner @ (Value::Object(_) | Value::Array(_))) => {
                    self.within("type", |parser| parser.schema(inner, namespace))
                }
                Some(other) => self.within("type", |parser| {
                    Err(parser.wrong(format!(
                        "a type is text, an object or an array, not {}",
                        describe(other)
                    )))
                }),
                None => Err(self.wrong("\"type\" is missing")),
            },
            other => Err(self.wrong(format!(
                "a schema is the name of a type, an object or an array (a union), not {}",
                describe(other)
            ))),
        }
    }

    /// One of Avro's types, or one that was defined before.
    fn by_name(&mut self, word: &str, namespace: &str) -> Parsed<Id> {
        if let Some(place) = name::PRIMITIVES.iter().position(|&one| one == word) {
            return Ok(Id::try_from(place).unwrap_or_default());
        }
        let full = name::full(word, namespace).map_err(|flaw| self.wrong(flaw))?;
        // What is not in the namespace may be in none.
        let found = self.names.get(&full).or_else(|| self.names.get(word));
        found.copied().ok_or_else(|| {
            let advice = match word {
                "record" | "enum" | "array" | "map" | "fixed" => {
                    format!("{word:?} needs an object: {{\"type\": {word:?}, …}}")
                }
                _ => format!(
                    "the type {:?} is not defined; a type is defined before its use, here or in a reference",
                    shortened(&full)
                ),
            };
            Wrong {
                unknown: true,
                ..self.wrong(advice)
            }
        })
    }

    fn typed(&mut self, word: &str, members: &Map<String, Value>, namespace: &str) -> Parsed<Id> {
        match word {
            "record" | "error" => self.record(word == "error", members, namespace),
            "enum" => self.symbols(members, namespace),
            "fixed" => self.fixed(members, namespace),
            "array" => {
                let items = self.part("items", members, namespace)?;
                self.annotated(Kind::Array(items), members, &["items"])
            }
            "map" => {
                let values = self.part("values", members, namespace)?;
                self.annotated(Kind::Map(values), members, &["values"])
            }
            _ => {
                let id = self.within("type", |parser| parser.by_name(word, namespace))?;
                let kind = match &self.nodes[id as usize].kind {
                    Kind::Null => Kind::Null,
                    Kind::Boolean => Kind::Boolean,
                    Kind::Int => Kind::Int,
                    Kind::Long => Kind::Long,
                    Kind::Float => Kind::Float,
                    Kind::Double => Kind::Double,
                    Kind::Bytes => Kind::Bytes,
                    Kind::String => Kind::String,
                    // A name means what it was defined as.
                    _ => return Ok(id),
                };
                if members.len() == 1 {
                    return Ok(id);
                }
                self.annotated(kind, members, &[])
            }
        }
    }

    fn annotated(
        &mut self,
        kind: Kind,
        members: &Map<String, Value>,
        known: &[&str],
    ) -> Parsed<Id> {
        let logical = Logical::find(&kind, members);
        let properties = properties(members, known, logical.is_some());
        self.add(Node {
            kind,
            logical,
            properties,
        })
    }

    fn part(&mut self, part: &str, members: &Map<String, Value>, namespace: &str) -> Parsed<Id> {
        let json = members
            .get(part)
            .ok_or_else(|| self.wrong(format!("{part:?} is missing")))?;
        self.within(part, |parser| parser.schema(json, namespace))
    }

    fn union(&mut self, branches: &[Value], namespace: &str) -> Parsed<Id> {
        let mut places = Vec::new();
        let mut seen = HashSet::new();
        for (index, branch) in branches.iter().enumerate() {
            self.within(index, |parser| {
                let id = parser.schema(branch, namespace)?;
                let kind = &parser.nodes[id as usize].kind;
                if matches!(kind, Kind::Union(_)) {
                    return Err(parser.wrong("a union is not a branch of a union"));
                }
                let what = kind
                    .named()
                    .map_or(kind.word(), |named| named.full.as_str())
                    .to_owned();
                if let Some(again) = seen.replace(what) {
                    return Err(parser.wrong(format!(
                        "the union has {again} twice; only types with names may be there more than once"
                    )));
                }
                places.push(id);
                Ok(())
            })?;
        }
        let union = Union::new(&self.nodes, places);
        self.add(Node {
            kind: Kind::Union(union),
            logical: None,
            properties: Vec::new(),
        })
    }

    /// Checks what can only be checked in the end.
    fn finish(self, root: Id) -> Result<Types, Invalid> {
        let mut types = Types {
            nodes: self.nodes,
            root,
        };
        too_deep(&types)?;
        let by_place: HashMap<(Id, usize), &Value> = self
            .defaults
            .iter()
            .map(|pending| ((pending.record, pending.field), &pending.json))
            .collect();
        let mut made = Vec::new();
        let mut defaults = Defaults {
            types: &types,
            json: &|record, field| by_place.get(&(record, field)).copied(),
            steps: default::STEPS,
            bytes: default::BYTES,
        };
        for pending in &self.defaults {
            let Kind::Record(record) = types.kind(pending.record) else {
                continue;
            };
            let schema = record.fields[pending.field].schema;
            let out = defaults.encode(schema, &pending.json).map_err(|fault| {
                let invalid = Invalid {
                    pointer: pending.pointer.clone() + &fault.pointer(),
                    reason: fault.reason().to_owned(),
                };
                match &pending.reference {
                    None => invalid,
                    Some(reference) => Invalid {
                        pointer: String::new(),
                        reason: format!(
                            "in the reference {reference:?} at {}: {}",
                            invalid.pointer, invalid.reason
                        ),
                    },
                }
            })?;
            made.push(out);
        }
        for (pending, out) in self.defaults.into_iter().zip(made) {
            if let Kind::Record(record) = &mut types.nodes[pending.record as usize].kind {
                record.fields[pending.field].default = Some(FieldDefault {
                    json: pending.json,
                    bytes: out.bytes,
                    values: out.values,
                    deepest: out.deepest,
                });
            }
        }
        Ok(types)
    }
}

/// What an object has beside what Avro knows. A logical type that counts is no property.
fn properties(members: &Map<String, Value>, known: &[&str], logical: bool) -> Vec<(String, Value)> {
    let mut properties: Vec<(String, Value)> = members
        .iter()
        .filter(|(name, _)| {
            let name = name.as_str();
            let annotation = ["logicalType", "precision", "scale"].contains(&name);
            let avro = COMMON.contains(&name) || known.contains(&name);
            !(avro || logical && annotation)
        })
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    properties.sort_by(|(one, _), (other, _)| one.cmp(other));
    properties
}

/// References can nest types deeper than a document could.
fn too_deep(types: &Types) -> Result<(), Invalid> {
    let mut seen = HashSet::new();
    let mut waiting = vec![(types.root, 0)];
    while let Some((id, depth)) = waiting.pop() {
        if depth > DEEPEST {
            return Err(Invalid {
                pointer: String::new(),
                reason: format!("the types nest deeper than {DEEPEST} at their first use"),
            });
        }
        if types.full_name(id).is_some() && !seen.insert(id) {
            continue;
        }
        let before = waiting.len();
        match types.kind(id) {
            Kind::Array(inner) | Kind::Map(inner) => waiting.push((*inner, depth + 1)),
            Kind::Union(union) => {
                waiting.extend(union.branches.iter().map(|&branch| (branch, depth + 1)));
            }
            Kind::Record(record) => {
                waiting.extend(record.fields.iter().map(|field| (field.schema, depth + 1)));
            }
            _ => {}
        }
        // The first is looked at first: as those do who recurse.
        waiting[before..].reverse();
    }
    Ok(())
}
