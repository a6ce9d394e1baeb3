//! Whether two schemas say the same in the same words, whatever they are called and wherever they stand.
//!
//! References are followed; annotations do not count. Equal unfolded schemas take the same values, so
//! a pair that is met again on the way counts as equal.

use std::collections::HashSet;

use jsonschema::Draft;
use serde_json::{Map, Value};

use crate::space::{NodeId, Side, Space};

#[derive(Default)]
pub(crate) struct Same {
    equal: HashSet<(NodeId, NodeId)>,
    different: HashSet<(NodeId, NodeId)>,
    /// Taken as equal until the outermost pair is decided.
    open: HashSet<(NodeId, NodeId)>,
}

/// Nestings beyond this are taken as different.
const DEPTH: usize = 300;

impl Same {
    pub fn same(&mut self, space: &mut Space<'_>, left: NodeId, right: NodeId) -> bool {
        let comparable = |side: Side| side != Side::Made && !space.document(side).embedded();
        if left == right {
            return true;
        }
        if !comparable(space.side(left))
            || !comparable(space.side(right))
            || space.document(space.side(left)).draft() != space.document(space.side(right)).draft()
        {
            return false;
        }
        self.open.clear();
        if self.pair(space, left, right, 0) {
            self.equal.extend(self.open.drain());
            return true;
        }
        false
    }

    fn pair(&mut self, space: &mut Space<'_>, left: NodeId, right: NodeId, depth: usize) -> bool {
        let key = (left, right);
        if left == right || self.equal.contains(&key) {
            return true;
        }
        if self.different.contains(&key) || depth > DEPTH || !space.budget.take(1) {
            return false;
        }
        if !self.open.insert(key) {
            return true;
        }
        let equal = match (space.json(left), space.json(right)) {
            (Some(Value::Object(one)), Some(Value::Object(other))) => {
                self.members(space, (left, one), (right, other), depth)
            }
            (Some(one), Some(other)) => one == other,
            _ => false,
        };
        if !equal {
            self.different.insert(key);
        }
        equal
    }

    fn members(
        &mut self,
        space: &mut Space<'_>,
        left: (NodeId, &Map<String, Value>),
        right: (NodeId, &Map<String, Value>),
        depth: usize,
    ) -> bool {
        let draft = space.document(space.side(left.0)).draft();
        let lone = draft <= Draft::Draft7 && left.1.contains_key("$ref");
        if draft <= Draft::Draft7 && lone != right.1.contains_key("$ref") {
            return false;
        }
        let counts = |name: &str| {
            if lone {
                name == "$ref"
            } else {
                !is_annotation(name)
            }
        };
        let keys = left.1.keys().filter(|name| counts(name));
        let others = right.1.keys().filter(|name| counts(name));
        if keys.clone().count() != others.count() {
            return false;
        }
        keys.into_iter().all(|name| {
            let Some(other) = right.1.get(name) else {
                return false;
            };
            self.member(
                space,
                name,
                (left.0, &left.1[name]),
                (right.0, other),
                depth,
            )
        })
    }

    fn member(
        &mut self,
        space: &mut Space<'_>,
        name: &str,
        left: (NodeId, &Value),
        right: (NodeId, &Value),
        depth: usize,
    ) -> bool {
        let mut child = |space: &mut Space<'_>, path: &str| {
            let mut node = |of: NodeId| {
                let pointer = format!(
                    "{}/{}{path}",
                    space.pointer(of),
                    crate::document::token(name)
                );
                let side = space.side(of);
                space.node(side, &pointer)
            };
            let (one, other) = (node(left.0), node(right.0));
            self.pair(space, one, other, depth + 1)
        };
        match (name, left.1, right.1) {
            (
                "$ref" | "$dynamicRef" | "$recursiveRef",
                Value::String(one),
                Value::String(other),
            ) => {
                let (side, other_side) = (space.side(left.0), space.side(right.0));
                let one = space.document(side).resolve(one);
                let other = space.document(other_side).resolve(other);
                let (Some(one), Some(other)) = (one, other) else {
                    return false;
                };
                let (one, other) = (space.node(side, &one), space.node(other_side, &other));
                self.pair(space, one, other, depth + 1)
            }
            (
                "additionalProperties"
                | "additionalItems"
                | "items"
                | "contains"
                | "not"
                | "if"
                | "then"
                | "else"
                | "propertyNames"
                | "unevaluatedItems"
                | "unevaluatedProperties",
                Value::Object(_) | Value::Bool(_),
                Value::Object(_) | Value::Bool(_),
            ) => child(space, ""),
            (
                "allOf" | "anyOf" | "oneOf" | "prefixItems" | "items",
                Value::Array(one),
                Value::Array(other),
            ) => {
                one.len() == other.len()
                    && (0..one.len()).all(|index| child(space, &format!("/{index}")))
            }
            (
                "properties" | "patternProperties" | "dependentSchemas" | "dependencies",
                Value::Object(one),
                Value::Object(other),
            ) => {
                one.len() == other.len()
                    && one
                        .iter()
                        .all(|(key, value)| match (value, other.get(key)) {
                            (Value::Array(_), Some(needs)) => value == needs,
                            (_, Some(_)) => {
                                child(space, &format!("/{}", crate::document::token(key)))
                            }
                            (_, None) => false,
                        })
            }
            ("required" | "type" | "enum", Value::Array(one), Value::Array(other)) => {
                one.len() == other.len() && one.iter().all(|value| other.contains(value))
            }
            (_, one, other) => one == other,
        }
    }
}

fn is_annotation(name: &str) -> bool {
    matches!(
        name,
        "title"
            | "description"
            | "default"
            | "examples"
            | "example"
            | "$comment"
            | "deprecated"
            | "readOnly"
            | "writeOnly"
            | "$defs"
            | "definitions"
            | "$schema"
            | "$id"
            | "id"
            | "$anchor"
            | "$dynamicAnchor"
            | "$recursiveAnchor"
    )
}
