//! How often the validator may look at one value of the data.
//!
//! The schemas that are held against one value are followed to those that are held against each of its
//! members, each with how often; that is done for every set of schemas that can come up anywhere in the
//! data. It is done without the data, so it counts alternatives that data would leave out, and never too
//! few. What grows beyond [`MOST`], or cannot be told, is left to be counted while it runs.

use std::collections::{BTreeMap, HashMap, HashSet};

use serde_json::{Map, Value};

use crate::{
    Prepared, counted,
    places::{self, Place},
};

/// A validator that may look at a value more often than this counts its steps.
pub(crate) const MOST: u64 = 256;
/// What looking may take.
const WORK: usize = 3_000_000;
/// The most sets of schemas that are followed.
const SETS: usize = 20_000;
/// The most parts that the validators of `unevaluatedProperties` and `unevaluatedItems` may have: they are
/// built anew for each way that leads to what they look through.
const BUILT: u64 = 1_000_000;
/// How many schemas may follow each other in one place.
const CHAIN: usize = 1_000;

/// What was found of a part of a schema.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Looks {
    /// The most often that one value may be looked at.
    pub most: u64,
    /// The most that one error may hold: see [`counted::weight`].
    pub weight: u64,
    /// How many schemas there are.
    pub schemas: u64,
    /// How many schemas are built inside of each other.
    pub depth: usize,
    /// How many schemas may be asked inside of each other of one value.
    pub chain: u64,
    /// How many schemas may be asked inside of each other in all; `None` where that depends on the data.
    pub levels: Option<u64>,
}

type Id = u32;

/// How a schema asks another of the same value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Way {
    Reference,
    /// Asked, and asked again by `unevaluated…`.
    Asked,
    /// `then`, `else`, `dependentSchemas`: looked through by `unevaluated…` without being asked again.
    Passed,
    Not,
}

/// One schema, as far as it leads to others.
#[derive(Debug, Default)]
struct Node<'a> {
    in_place: Vec<(Way, Id)>,
    properties: BTreeMap<&'a str, Id>,
    patterns: Vec<Id>,
    additional: Option<Id>,
    unevaluated: Option<Id>,
    names: Option<Id>,
    prefix: Vec<Id>,
    items: Option<Id>,
    contains: Option<Id>,
    unevaluated_items: Option<Id>,
    /// All of those, in the order in which the validator builds them.
    order: Vec<Id>,
    /// Whether it has `unevaluated…`.
    marks: bool,
    weight: u64,
}

impl Node<'_> {
    fn is_leaf(&self) -> bool {
        self.in_place.is_empty() && self.members().next().is_none()
    }

    /// The schemas of what is inside of a value.
    fn members(&self) -> impl Iterator<Item = Id> {
        let one = [
            self.additional,
            self.unevaluated,
            self.names,
            self.items,
            self.contains,
            self.unevaluated_items,
        ];
        (self.properties.values().copied())
            .chain(self.patterns.iter().copied())
            .chain(self.prefix.iter().copied())
            .chain(one.into_iter().flatten())
    }
}

pub(crate) struct Looker<'a> {
    prepared: &'a Prepared,
    nodes: Vec<Option<Node<'a>>>,
    values: Vec<&'a Map<String, Value>>,
    index: HashMap<usize, Id>,
    /// A reference was met whose meaning cannot be told here.
    unknown: bool,
    work: usize,
}

/// A set of schemas that are held against the same value, each with how often.
type Set = Vec<(Id, u64)>;

impl<'a> Looker<'a> {
    pub(crate) fn new(prepared: &'a Prepared) -> Self {
        Self {
            prepared,
            nodes: Vec::new(),
            values: Vec::new(),
            index: HashMap::new(),
            unknown: false,
            work: 0,
        }
    }

    fn id(&mut self, value: &'a Value) -> Option<Id> {
        match value {
            Value::Object(members) => Some(self.of_members(members)),
            // Booleans ask nothing.
            _ => None,
        }
    }

    fn of_members(&mut self, members: &'a Map<String, Value>) -> Id {
        let key = std::ptr::from_ref(members) as usize;
        let next = Id::try_from(self.values.len()).unwrap_or(Id::MAX);
        *self.index.entry(key).or_insert_with(|| {
            self.values.push(members);
            self.nodes.push(None);
            next
        })
    }

    fn node(&mut self, id: Id) -> &Node<'a> {
        if self.nodes[id as usize].is_none() {
            let node = self.read(self.values[id as usize]);
            self.nodes[id as usize] = Some(node);
        }
        self.nodes[id as usize].get_or_insert_default()
    }

    fn read(&mut self, members: &'a Map<String, Value>) -> Node<'a> {
        self.work += 1 + members.len();
        let mut node = Node {
            weight: counted::weight(members),
            ..Node::default()
        };
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let Some(Value::String(reference)) = members.get(keyword) else {
                continue;
            };
            // The drafts' own schemas are a fixed few.
            if reference.contains("//json-schema.org/") {
                continue;
            }
            match self.prepared.contents(reference) {
                Some(target) if !self.prepared.embedded => {
                    let target = self.id(target);
                    node.in_place.extend(target.map(|to| (Way::Reference, to)));
                }
                _ => self.unknown = true,
            }
        }
        if self.prepared.draft < jsonschema::Draft::Draft201909 && members.contains_key("$ref") {
            node.order = node.in_place.iter().map(|(_, to)| *to).collect();
            return node;
        }
        let list = |name: &str| members.get(name).and_then(Value::as_array);
        let named = |name: &str| members.get(name).and_then(Value::as_object);
        for keyword in ["allOf", "anyOf", "oneOf"] {
            for one in list(keyword).into_iter().flatten() {
                node.in_place
                    .extend(self.id(one).map(|to| (Way::Asked, to)));
            }
        }
        for (keyword, way) in [
            ("if", Way::Asked),
            ("then", Way::Passed),
            ("else", Way::Passed),
            ("not", Way::Not),
        ] {
            let one = members.get(keyword).and_then(|one| self.id(one));
            node.in_place.extend(one.map(|to| (way, to)));
        }
        for keyword in ["dependentSchemas", "dependencies"] {
            for one in named(keyword).into_iter().flat_map(Map::values) {
                node.in_place
                    .extend(self.id(one).map(|to| (Way::Passed, to)));
            }
        }
        for (name, one) in named("properties").into_iter().flatten() {
            let to = self.id(one);
            node.properties.extend(to.map(|to| (name.as_str(), to)));
        }
        for one in named("patternProperties").into_iter().flat_map(Map::values) {
            node.patterns.extend(self.id(one));
        }
        let mut one = |keyword: &str| members.get(keyword).and_then(|one| self.id(one));
        node.additional = one("additionalProperties");
        node.unevaluated = one("unevaluatedProperties");
        node.names = one("propertyNames");
        node.contains = one("contains");
        node.unevaluated_items = one("unevaluatedItems");
        node.items = one("items").or_else(|| one("additionalItems"));
        for keyword in ["prefixItems", "items"] {
            for item in list(keyword).into_iter().flatten() {
                node.prefix.extend(self.id(item));
            }
        }
        let led_to: HashSet<Id> = (node.in_place.iter().map(|(_, to)| *to))
            .chain(node.members())
            .collect();
        let references = node
            .in_place
            .iter()
            .take_while(|(way, _)| *way == Way::Reference);
        node.order = references.map(|(_, to)| *to).collect();
        for one in members.values() {
            let inner: Vec<&'a Value> = match one {
                Value::Object(named) => std::iter::once(one).chain(named.values()).collect(),
                Value::Array(all) => all.iter().collect(),
                _ => continue,
            };
            for value in inner {
                if let Value::Object(members) = value
                    && let key = std::ptr::from_ref(members) as usize
                    && let Some(id) = self.index.get(&key)
                    && led_to.contains(id)
                {
                    node.order.push(*id);
                }
            }
        }
        node.marks = ["unevaluatedProperties", "unevaluatedItems"]
            .iter()
            .any(|keyword| members.contains_key(*keyword));
        node
    }

    /// How often a value may be looked at by the part at a fragment, and how deep that goes.
    pub(crate) fn looks(&mut self, fragment: &str) -> Looks {
        let mut looks = Looks {
            most: 1,
            weight: 1,
            schemas: 1,
            depth: 1,
            chain: 1,
            levels: Some(1),
        };
        let explored = self.explore(fragment, &mut looks).is_some();
        if let Some(Value::Object(root)) = self.prepared.contents(&format!("#{fragment}")) {
            let root = self.of_members(root);
            self.measure(root, &mut looks);
        }
        if !explored || self.unknown {
            looks.most = u64::MAX;
        }
        if self.unknown {
            let all = self.prepared.contents("#").map(places::parts);
            looks.schemas = all.unwrap_or_default().objects as u64;
            looks.chain = looks.schemas;
            looks.levels = None;
        }
        looks
    }

    fn measure(&mut self, root: Id, looks: &mut Looks) {
        // As the validator is built: depth first.
        let mut seen: HashSet<Id> = HashSet::from([root]);
        let mut stack = vec![(root, 0)];
        while let Some((id, next)) = stack.last_mut() {
            let (id, index) = (*id, *next);
            *next += 1;
            match self.node(id).order.get(index).copied() {
                None => {
                    stack.pop();
                }
                Some(to) => {
                    if seen.insert(to) {
                        stack.push((to, 0));
                    }
                }
            }
            looks.depth = looks.depth.max(stack.len());
        }
        looks.schemas = seen.len() as u64;
        let mut lengths = HashMap::new();
        let longest = seen.into_iter().try_fold(0u64, |most, id| {
            Some(most.max(self.longest(id, false, &mut lengths, 0)?))
        });
        looks.chain = longest.unwrap_or(looks.schemas);
        looks.levels = self.longest(root, true, &mut HashMap::new(), 0);
    }

    /// The longest way from a schema to others, in place or also into the data; `None` when it leads back to
    /// itself, or too far to be followed.
    fn longest(
        &mut self,
        id: Id,
        into_data: bool,
        lengths: &mut HashMap<Id, Option<u64>>,
        depth: usize,
    ) -> Option<u64> {
        if let Some(length) = lengths.get(&id) {
            return *length;
        }
        if depth > CHAIN {
            return None;
        }
        // What leads back here has no end.
        lengths.insert(id, None);
        let node = self.node(id);
        let mut next: Vec<Id> = node.in_place.iter().map(|(_, to)| *to).collect();
        if into_data {
            next.extend(node.members());
        }
        let mut length = Some(0u64);
        for to in next {
            let one = self.longest(to, into_data, lengths, depth + 1);
            length = length.zip(one).map(|(length, one)| length.max(one));
            if length.is_none() {
                break;
            }
        }
        let length = length.map(|length| length + 1);
        lengths.insert(id, length);
        length
    }

    /// `None` when there are too many, or it cannot be told.
    fn explore(&mut self, fragment: &str, looks: &mut Looks) -> Option<()> {
        let root = self.prepared.contents(&format!("#{fragment}"))?;
        let Some(root) = self.id(root) else {
            return Some(());
        };
        let mut open: Vec<Set> = vec![vec![(root, 1)]];
        let mut seen: HashSet<Set> = HashSet::new();
        while let Some(set) = open.pop() {
            if seen.contains(&set) {
                continue;
            }
            let asked = self.in_place(&set)?;
            let total = asked.values().fold(0u64, |sum, (asked, marked)| {
                sum.saturating_add(*asked).saturating_add(*marked)
            });
            looks.most = looks.most.max(total);
            for id in asked.keys() {
                looks.weight = looks.weight.max(self.node(*id).weight);
            }
            if total > MOST || seen.len() > SETS || self.work > WORK || self.unknown {
                return None;
            }
            open.extend(self.members(&asked));
            seen.insert(set);
        }
        Some(())
    }

    /// All that is asked of a value of which a set is asked: how often, and how often it is looked through
    /// by `unevaluated…`.
    fn in_place(&mut self, set: &Set) -> Option<BTreeMap<Id, (u64, u64)>> {
        // Schemas before those that they lead to.
        let mut order: Vec<(Id, bool)> = Vec::new();
        let mut state: HashMap<(Id, bool), bool> = HashMap::new();
        for (id, _) in set {
            self.walk((*id, false), &mut state, &mut order, 0)?;
        }
        let mut counts: HashMap<(Id, bool), u64> = HashMap::new();
        for (id, count) in set {
            *counts.entry((*id, false)).or_default() += count;
        }
        let mut asked: BTreeMap<Id, (u64, u64)> = BTreeMap::new();
        for at in order.into_iter().rev() {
            let count = counts.get(&at).copied().unwrap_or_default();
            for to in self.next(at) {
                let there = counts.entry(to).or_default();
                *there = there.saturating_add(count);
            }
            let (id, marking) = at;
            let entry = asked.entry(id).or_default();
            if marking {
                entry.1 = count;
            } else {
                entry.0 = count;
            }
        }
        Some(asked)
    }

    /// What a schema asks, and what it looks through, of the same value.
    fn next(&mut self, (id, marking): (Id, bool)) -> Vec<(Id, bool)> {
        let node = self.node(id);
        let mut next = Vec::with_capacity(node.in_place.len() + 1);
        if !marking {
            next.extend(node.in_place.iter().map(|(_, to)| (*to, false)));
            if node.marks {
                next.push((id, true));
            }
            return next;
        }
        for (way, to) in &node.in_place {
            match way {
                Way::Asked => next.extend([(*to, false), (*to, true)]),
                Way::Reference | Way::Passed => next.push((*to, true)),
                Way::Not => {}
            }
        }
        next
    }

    /// Depth first; `None` when it leads back to itself or too far.
    fn walk(
        &mut self,
        at: (Id, bool),
        state: &mut HashMap<(Id, bool), bool>,
        order: &mut Vec<(Id, bool)>,
        depth: usize,
    ) -> Option<()> {
        match state.get(&at) {
            Some(true) => return Some(()),
            Some(false) => return None,
            None => {}
        }
        self.work += 1;
        if depth > CHAIN || self.work > WORK {
            return None;
        }
        state.insert(at, false);
        for to in self.next(at) {
            self.walk(to, state, order, depth + 1)?;
        }
        state.insert(at, true);
        order.push(at);
        Some(())
    }

    /// The sets that are asked of what is inside of a value.
    fn members(&mut self, asked: &BTreeMap<Id, (u64, u64)>) -> Vec<Set> {
        let mut named: HashMap<&'a str, Set> = HashMap::new();
        // Of names that the schema itself does not have, unless it is a pattern's.
        let mut free: Vec<(Option<Id>, Id, u64)> = Vec::new();
        let mut names: Set = Vec::new();
        let mut longest = 0;
        for (id, (count, marked)) in asked {
            let (count, both) = (*count, count.saturating_add(*marked));
            let node = self.node(*id);
            for (name, to) in &node.properties {
                named.entry(name).or_default().push((*to, count));
            }
            free.extend(node.patterns.iter().map(|to| (None, *to, count)));
            free.extend(node.additional.map(|to| (Some(*id), to, count)));
            free.extend(node.unevaluated.map(|to| (Some(*id), to, both)));
            names.extend(node.names.map(|to| (to, count)));
            longest = longest.max(node.prefix.len());
        }
        let mut sets: Vec<Set> = Vec::new();
        for (name, mut set) in named {
            self.work += 1 + set.len() + free.len();
            if self.work > WORK {
                break;
            }
            for (owner, to, count) in &free {
                let own = owner.is_some_and(|id| self.node(id).properties.contains_key(name));
                if !own {
                    set.push((*to, *count));
                }
            }
            sets.push(set);
        }
        sets.push(free.iter().map(|(_, to, count)| (*to, *count)).collect());
        sets.push(names);
        for index in 0..=longest {
            self.work += asked.len();
            if self.work > WORK {
                break;
            }
            let mut set = Vec::new();
            for (id, (count, marked)) in asked {
                let (count, both) = (*count, count.saturating_add(*marked));
                let node = self.node(*id);
                let item = node.prefix.get(index).copied().or(node.items);
                set.extend(item.map(|to| (to, count)));
                set.extend(node.contains.map(|to| (to, both)));
                set.extend(node.unevaluated_items.map(|to| (to, both)));
            }
            sets.push(set);
        }
        let mut distinct = Vec::new();
        for set in sets {
            let mut counts: BTreeMap<Id, u64> = BTreeMap::new();
            for (id, count) in set {
                if count > 0 {
                    let there = counts.entry(id).or_default();
                    *there = there.saturating_add(count);
                }
            }
            let leaves = |looker: &mut Self| counts.keys().all(|id| looker.node(*id).is_leaf());
            let few = counts.len() <= 4 && counts.values().all(|count| *count <= MOST / 8);
            if few && leaves(self) {
                continue;
            }
            distinct.push(counts.into_iter().collect());
        }
        distinct
    }

    /// Refuses a document whose validator would be too large to be built.
    pub(crate) fn refuse_large(&mut self) -> Result<(), String> {
        let Some(root) = self.prepared.contents("#") else {
            return Ok(());
        };
        let mut marking = Vec::new();
        places::schemas(root, Place::Schema, &mut |members| {
            if members.contains_key("unevaluatedProperties")
                || members.contains_key("unevaluatedItems")
            {
                marking.push(members);
            }
        });
        let mut sizes = HashMap::new();
        let mut all = 0u64;
        for members in marking {
            let id = self.of_members(members);
            all = all.saturating_add(self.built(id, true, &mut sizes, 0));
        }
        if all > BUILT {
            return Err(format!(
                "unevaluatedProperties and unevaluatedItems would look through more than {BUILT} combinations of what the schema refers to; use fewer references inside of each other beside them"
            ));
        }
        Ok(())
    }

    /// How many parts are built for a schema; `through` for what `unevaluated…` looks through.
    fn built(
        &mut self,
        id: Id,
        through: bool,
        sizes: &mut HashMap<(Id, bool), u64>,
        depth: usize,
    ) -> u64 {
        if let Some(size) = sizes.get(&(id, through)) {
            return *size;
        }
        if depth > CHAIN {
            return u64::MAX;
        }
        // What leads back to itself is built once.
        sizes.insert((id, through), 0);
        let mut parts: Vec<(Id, bool)> = Vec::new();
        if through {
            parts.extend(self.next((id, true)));
            let node = self.node(id);
            let inner = [node.additional, node.unevaluated, node.contains];
            let inner = inner.into_iter().flatten().chain(node.unevaluated_items);
            let inner = inner.chain(node.patterns.iter().copied());
            parts.extend(inner.map(|to| (to, false)));
        } else {
            let node = self.node(id);
            let here = node.in_place.iter();
            let here = here.filter(|(way, _)| *way != Way::Reference);
            parts.extend(here.map(|(_, to)| (*to, false)));
            parts.extend(node.members().map(|to| (to, false)));
            if node.marks {
                parts.push((id, true));
            }
        }
        let size = parts.into_iter().fold(1u64, |sum, (to, through)| {
            sum.saturating_add(self.built(to, through, sizes, depth + 1))
        });
        sizes.insert((id, through), size);
        size
    }
}
