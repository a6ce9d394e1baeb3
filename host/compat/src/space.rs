//! The schemas of both documents as one set of nodes, and what can be asked of a node directly:
//! its keywords, its neighbours, whether it takes a value.

use std::{cell::OnceCell, collections::HashMap, rc::Rc, sync::Arc};

use sandbar_validator::{Validator, Verdict};
use serde_json::Value;

use crate::{
    document::Document,
    keywords::{self, Keywords},
    shape::Shape,
    types::Types,
};

pub(crate) type NodeId = u32;

/// Which document a node comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Side {
    /// The schema whose documents are asked about.
    From,
    /// The schema that has to take them.
    Into,
    /// Made here: a part of a question.
    Made,
}

/// A schema, or what does not fit it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Lit {
    pub node: NodeId,
    pub negated: bool,
}

impl Lit {
    pub fn yes(node: NodeId) -> Self {
        Self {
            node,
            negated: false,
        }
    }

    pub fn no(node: NodeId) -> Self {
        Self {
            node,
            negated: true,
        }
    }
}

/// Schemas that all hold, in order and without repeats.
pub(crate) type Conj = Rc<[Lit]>;

/// All of these hold.
pub(crate) fn conj(lits: impl IntoIterator<Item = Lit>) -> Conj {
    let mut lits: Vec<Lit> = lits.into_iter().collect();
    lits.sort_unstable();
    lits.dedup();
    lits.into()
}

/// These and one more.
pub(crate) fn with(all: &Conj, more: Lit) -> Conj {
    if all.contains(&more) {
        return all.clone();
    }
    conj(all.iter().copied().chain([more]))
}

#[derive(Clone, Debug)]
pub(crate) enum Body {
    Any,
    Never,
    Object(Rc<Keywords>),
}

struct Node<'a> {
    side: Side,
    pointer: Rc<str>,
    json: OnceCell<Option<&'a Value>>,
    body: Option<Body>,
    /// Compiled when first asked; `None` when it cannot be.
    validator: Option<Option<Arc<Validator>>>,
}

/// Work that may still be done, in steps of some microseconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Budget {
    pub left: u64,
}

impl Budget {
    /// Takes steps; false when there are none left.
    pub fn take(&mut self, steps: u64) -> bool {
        self.left = self.left.saturating_sub(steps);
        self.left > 0
    }
}

/// So many counted steps of a validator are one step here.
const CHECKS: u64 = 20;
/// Longer lists of values are looked up, not walked.
const LISTED: usize = 8;

pub(crate) struct Space<'a> {
    from: &'a Document,
    into: &'a Document,
    nodes: Vec<Node<'a>>,
    index: HashMap<(Side, Rc<str>), NodeId>,
    required: HashMap<String, NodeId>,
    types: HashMap<Types, NodeId>,
    pinned: HashMap<(String, String), NodeId>,
    never: Option<NodeId>,
    names: HashMap<(String, String), bool>,
    patterns: HashMap<String, Option<jsonschema::Validator>>,
    listed: HashMap<NodeId, std::collections::HashSet<String>>,
    pub(crate) shapes: HashMap<Conj, Rc<[Rc<Shape>]>>,
    pub(crate) budget: Budget,
}

impl<'a> Space<'a> {
    pub fn new(from: &'a Document, into: &'a Document, steps: u64) -> Self {
        Self {
            from,
            into,
            nodes: Vec::new(),
            index: HashMap::new(),
            required: HashMap::new(),
            types: HashMap::new(),
            pinned: HashMap::new(),
            never: None,
            names: HashMap::new(),
            patterns: HashMap::new(),
            listed: HashMap::new(),
            shapes: HashMap::new(),
            budget: Budget { left: steps },
        }
    }

    pub fn document(&self, side: Side) -> &'a Document {
        match side {
            Side::From => self.from,
            Side::Into | Side::Made => self.into,
        }
    }

    /// The node at a JSON Pointer.
    pub fn node(&mut self, side: Side, pointer: &str) -> NodeId {
        let key = (side, Rc::from(pointer));
        if let Some(node) = self.index.get(&key) {
            return *node;
        }
        let node = self.add(side, key.1.clone(), None);
        self.index.insert(key, node);
        node
    }

    fn add(&mut self, side: Side, pointer: Rc<str>, body: Option<Body>) -> NodeId {
        let node = NodeId::try_from(self.nodes.len()).unwrap_or(NodeId::MAX);
        self.nodes.push(Node {
            side,
            pointer,
            json: OnceCell::new(),
            body,
            validator: None,
        });
        node
    }

    /// `{"required": [name]}`, of objects only.
    pub fn having(&mut self, name: &str) -> NodeId {
        if let Some(node) = self.required.get(name) {
            return *node;
        }
        let keywords = Keywords {
            types: Some(Types::OBJECT),
            required: vec![name.to_owned()],
            groups: 2,
            ..Keywords::default()
        };
        let node = self.add(Side::Made, "".into(), Some(Body::Object(Rc::new(keywords))));
        self.required.insert(name.to_owned(), node);
        node
    }

    /// An object whose property has this value: a text, a boolean or null.
    pub fn pinned(&mut self, name: &str, value: &Value) -> NodeId {
        let key = (name.to_owned(), value.to_string());
        if let Some(node) = self.pinned.get(&key) {
            return *node;
        }
        let constant = Keywords {
            values: vec![vec![value.clone()]],
            groups: 1,
            ..Keywords::default()
        };
        let constant = self.add(Side::Made, "".into(), Some(Body::Object(Rc::new(constant))));
        let keywords = Keywords {
            types: Some(Types::OBJECT),
            required: vec![name.to_owned()],
            properties: [(name.to_owned(), constant)].into(),
            groups: 3,
            ..Keywords::default()
        };
        let node = self.add(Side::Made, "".into(), Some(Body::Object(Rc::new(keywords))));
        self.pinned.insert(key, node);
        node
    }

    /// The schema that takes nothing.
    pub fn never(&mut self) -> NodeId {
        if let Some(node) = self.never {
            return node;
        }
        let node = self.add(Side::Made, "".into(), Some(Body::Never));
        self.never = Some(node);
        node
    }

    /// All values of these types.
    pub fn typed(&mut self, types: Types) -> NodeId {
        if let Some(node) = self.types.get(&types) {
            return *node;
        }
        let keywords = Keywords {
            types: Some(types),
            groups: 1,
            ..Keywords::default()
        };
        let node = self.add(Side::Made, "".into(), Some(Body::Object(Rc::new(keywords))));
        self.types.insert(types, node);
        node
    }

    pub fn count(&self) -> usize {
        self.nodes.len()
    }

    pub fn side(&self, node: NodeId) -> Side {
        self.nodes[node as usize].side
    }

    pub fn pointer(&self, node: NodeId) -> Rc<str> {
        self.nodes[node as usize].pointer.clone()
    }

    /// The JSON of a node; none for those made here.
    pub fn json(&self, node: NodeId) -> Option<&'a Value> {
        let node = &self.nodes[node as usize];
        match node.side {
            Side::Made => None,
            side => *node
                .json
                .get_or_init(|| self.document(side).value().pointer(&node.pointer)),
        }
    }

    pub fn body(&mut self, node: NodeId) -> Body {
        if let Some(body) = &self.nodes[node as usize].body {
            return body.clone();
        }
        self.budget.take(1);
        let (side, pointer) = (self.side(node), self.pointer(node));
        let body = match self.json(node) {
            Some(Value::Bool(false)) => Body::Never,
            Some(Value::Object(members)) => {
                let keywords = keywords::read(self, side, &pointer, members);
                if keywords.groups == 0 && keywords.opaque.is_empty() {
                    Body::Any
                } else {
                    Body::Object(Rc::new(keywords))
                }
            }
            _ => Body::Any,
        };
        self.nodes[node as usize].body = Some(body.clone());
        body
    }

    pub fn keywords(&mut self, node: NodeId) -> Option<Rc<Keywords>> {
        match self.body(node) {
            Body::Object(keywords) => Some(keywords),
            _ => None,
        }
    }

    pub fn validator(&mut self, node: NodeId) -> Option<Arc<Validator>> {
        if let Some(validator) = &self.nodes[node as usize].validator {
            return validator.clone();
        }
        self.budget.take(20);
        let (side, pointer) = (self.side(node), self.pointer(node));
        let validator = self.document(side).validator(&pointer);
        self.nodes[node as usize].validator = Some(validator.clone());
        validator
    }

    /// Whether a value fits; `None` when the validator cannot tell.
    pub fn accepts(&mut self, lit: Lit, value: &Value) -> Option<bool> {
        self.budget.take(2);
        if self.side(lit.node) == Side::Made {
            let Body::Object(keywords) = self.body(lit.node) else {
                return Some(lit.negated);
            };
            let typed = keywords
                .types
                .is_none_or(|types| Types::of(value).within(types));
            let listed = keywords.values.iter().all(|list| list.contains(value));
            let required = keywords
                .required
                .iter()
                .all(|name| value.get(name).is_some());
            let mut takes = typed && listed && required;
            for (name, node) in &keywords.properties {
                let inner = value.get(name);
                takes = takes
                    && inner.is_none_or(|one| self.accepts(Lit::yes(*node), one) == Some(true));
            }
            return Some(takes != lit.negated);
        }
        match self.body(lit.node) {
            Body::Any => return Some(!lit.negated),
            Body::Never => return Some(lit.negated),
            Body::Object(keywords) => {
                // Equal text is an equal value; others may be equal too, which the validator knows.
                if let ([list], 1) = (keywords.values.as_slice(), keywords.groups)
                    && list.len() > LISTED
                {
                    let listed = self.listed.entry(lit.node);
                    let listed =
                        listed.or_insert_with(|| list.iter().map(Value::to_string).collect());
                    if listed.contains(&value.to_string()) {
                        return Some(!lit.negated);
                    }
                }
            }
        }
        let validator = self.validator(lit.node)?;
        let (verdict, steps) = validator.counted_verdict(value, None);
        self.budget.take(steps / CHECKS);
        match verdict {
            Verdict::Fits => Some(!lit.negated),
            Verdict::Refused => Some(lit.negated),
            Verdict::Stopped => None,
        }
    }

    /// Whether a value fits all; what cannot be told counts as no.
    pub fn fits(&mut self, all: &Conj, value: &Value) -> bool {
        all.iter()
            .all(|lit| self.accepts(*lit, value) == Some(true))
    }

    /// Whether a name matches a pattern, by the validator.
    pub fn matches(&mut self, pattern: &str, name: &str) -> bool {
        let key = (pattern.to_owned(), name.to_owned());
        if let Some(known) = self.names.get(&key) {
            return *known;
        }
        self.budget.take(2);
        let known = self.patterns.entry(pattern.to_owned());
        let validator = known.or_insert_with(|| sandbar_validator::pattern(pattern));
        let name = Value::from(name);
        let found = validator.as_ref().is_some_and(|one| one.is_valid(&name));
        self.names.insert(key, found);
        found
    }

    /// What else is asked of a value in the same place, without going into it.
    pub fn in_place(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(keywords) = self.keywords(node) else {
            return Vec::new();
        };
        let mut all: Vec<NodeId> = keywords.reference.into_iter().collect();
        all.extend(&keywords.all_of);
        all.extend(&keywords.any_of);
        all.extend(&keywords.one_of);
        all.extend(keywords.not);
        if let Some((condition, then, otherwise)) = keywords.condition {
            all.push(condition);
            all.extend(then);
            all.extend(otherwise);
        }
        all.extend(keywords.dependent_schemas.values());
        all
    }

    /// The schemas of what is inside of a value.
    pub fn inside(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(keywords) = self.keywords(node) else {
            return Vec::new();
        };
        let mut all = self.inside_object(node);
        all.extend(self.inside_array(node));
        all.extend(keywords.names);
        all
    }

    pub fn inside_object(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(keywords) = self.keywords(node) else {
            return Vec::new();
        };
        let mut all: Vec<NodeId> = keywords.properties.values().copied().collect();
        all.extend(keywords.patterns.iter().map(|(_, node)| *node));
        all.extend(keywords.additional);
        all.extend(keywords.unevaluated);
        all
    }

    pub fn inside_array(&mut self, node: NodeId) -> Vec<NodeId> {
        let Some(keywords) = self.keywords(node) else {
            return Vec::new();
        };
        let mut all = keywords.prefix.clone();
        all.extend(keywords.items);
        all.extend(keywords.unevaluated_items);
        all.extend(keywords.contains.as_ref().map(|contains| contains.node));
        all
    }

    /// Nodes and all that hold or may hold in the same place.
    pub fn reach(&mut self, nodes: &[NodeId]) -> Vec<NodeId> {
        let mut found = Vec::new();
        let mut stack: Vec<NodeId> = nodes.to_vec();
        let mut seen = std::collections::HashSet::new();
        while let Some(node) = stack.pop() {
            if seen.insert(node) {
                found.push(node);
                stack.extend(self.in_place(node));
            }
        }
        found.sort_unstable();
        found
    }

    /// A place from which a schema leads back to itself without going into the value, or why the
    /// schemas cannot be walked.
    pub fn endless(&mut self, root: NodeId) -> Option<String> {
        const NODES: usize = 300_000;
        const CHAIN: usize = 200;
        // 1: on the way, 2: done.
        let mut state: HashMap<NodeId, u8> = HashMap::new();
        let mut roots = vec![root];
        while let Some(start) = roots.pop() {
            if state.contains_key(&start) {
                continue;
            }
            let mut chain = vec![(start, self.in_place(start))];
            state.insert(start, 1);
            while let Some((node, open)) = chain.last_mut() {
                let node = *node;
                let Some(next) = open.pop() else {
                    state.insert(node, 2);
                    chain.pop();
                    roots.extend(self.inside(node));
                    continue;
                };
                match state.get(&next) {
                    Some(1) => {
                        let at = self.pointer(next);
                        return Some(format!(
                            "the schema at {at:?} leads back to itself without going into the data"
                        ));
                    }
                    Some(_) => {}
                    None => {
                        state.insert(next, 1);
                        let open = self.in_place(next);
                        chain.push((next, open));
                    }
                }
                if chain.len() > CHAIN {
                    return Some(format!("a chain of references is longer than {CHAIN}"));
                }
            }
            if self.count() > NODES {
                return Some(format!("more than {NODES} schemas"));
            }
        }
        self.unevaluated_circle(state.into_keys().collect())
    }

    /// The validator cannot be built for `unevaluatedItems` in a schema that its own parts lead back
    /// to: it would grow without end (jsonschema 0.46).
    fn unevaluated_circle(&mut self, nodes: Vec<NodeId>) -> Option<String> {
        const LOOKED_AT: usize = 5_000_000;
        let mut looked_at = 0;
        for node in nodes {
            let Some(keywords) = self.keywords(node) else {
                continue;
            };
            if keywords.unevaluated_items.is_none() {
                continue;
            }
            let mut seen = std::collections::HashSet::new();
            let mut open = self.in_place(node);
            open.extend(self.inside(node));
            while let Some(next) = open.pop() {
                if next == node {
                    let at = self.pointer(node);
                    return Some(format!(
                        "unevaluatedItems at {at:?} stands in a schema that leads back to itself"
                    ));
                }
                looked_at += 1;
                if looked_at > LOOKED_AT {
                    return Some("unevaluatedItems stands in too many schemas".to_owned());
                }
                if seen.insert(next) {
                    open.extend(self.in_place(next));
                    open.extend(self.inside(next));
                }
            }
        }
        None
    }
}
