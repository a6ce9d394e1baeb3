//! What was seen at the places of the data: a tree that grows with the places, not with the events.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use super::{
    names,
    texts::{Formats, Known, Texts},
};

/// Places that are kept in all.
const MOST_PLACES: usize = 20_000;
/// How deep objects and arrays are looked into; what lies deeper is left open. Each level takes two of
/// the 128 that a schema may be deep as JSON.
const DEEPEST: usize = 24;
/// Members of one object that are kept by name before it is asked whether it is a map.
const FIRST_LOOK: usize = 200;
/// The most that are kept by name.
const MOST_MEMBERS: usize = 3200;
/// Values of one place that are shown.
const EXAMPLES: usize = 3;
/// A longer text is shown cut off, in characters.
const LONGEST_EXAMPLE: usize = 80;

/// What is left of the room for places.
#[derive(Debug)]
pub(super) struct Limits {
    places: usize,
    /// See [`FIRST_LOOK`].
    first_look: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            places: MOST_PLACES,
            first_look: FIRST_LOOK,
        }
    }
}

impl Limits {
    pub fn exhausted(&self) -> bool {
        self.places == 0
    }

    #[cfg(test)]
    pub fn tight(places: usize, first_look: usize) -> Self {
        Self { places, first_look }
    }

    fn take(&mut self) -> bool {
        let there = self.places > 0;
        self.places -= usize::from(there);
        there
    }
}

/// One place.
#[derive(Clone, Debug, Default)]
pub(super) struct Node {
    pub nulls: u64,
    pub booleans: u64,
    /// Numbers without fraction and exponent, as they are written.
    pub integers: u64,
    pub fractions: u64,
    pub numbers: Option<(f64, f64)>,
    pub texts: Option<Box<Texts>>,
    pub objects: Option<Box<Objects>>,
    pub arrays: Option<Box<Arrays>>,
    /// Scalars only.
    pub examples: Vec<Value>,
}

/// The objects at a place.
#[derive(Clone, Debug, Default)]
pub(super) struct Objects {
    pub count: u64,
    pub members: BTreeMap<String, Node>,
    /// Members whose names are not kept.
    pub rest: Option<Rest>,
    /// Some members were not looked at: nothing may be said of "all others".
    pub lost: bool,
    /// New names are not kept any more: each may be among those taken together.
    gathered: bool,
    next_look: usize,
}

/// Members of a map, taken together.
#[derive(Clone, Debug, Default)]
pub(super) struct Rest {
    pub node: Node,
    /// How many names were taken together; a name may be counted twice once it is forgotten.
    pub names: u64,
    pub examples: Vec<String>,
    /// That all the names have.
    pub formats: Formats,
}

/// The arrays at a place.
#[derive(Clone, Debug)]
pub(super) struct Arrays {
    pub count: u64,
    pub lengths: (usize, usize),
    pub items: Option<Box<Node>>,
    /// Some items were not looked at.
    pub lost: bool,
}

impl Node {
    /// Values seen.
    pub fn count(&self) -> u64 {
        self.nulls
            + self.booleans
            + self.integers
            + self.fractions
            + self.texts.as_ref().map_or(0, |texts| texts.count)
            + self.objects.as_ref().map_or(0, |objects| objects.count)
            + self.arrays.as_ref().map_or(0, |arrays| arrays.count)
    }

    pub fn observe(&mut self, value: &Value, depth: usize, limits: &mut Limits, known: &Known) {
        match value {
            Value::Null => self.nulls += 1,
            Value::Bool(_) => self.booleans += 1,
            Value::Number(number) => {
                let whole = number.is_i64() || number.is_u64();
                self.integers += u64::from(whole);
                self.fractions += u64::from(!whole);
                if let Some(number) = number.as_f64() {
                    self.numbers = Some(wider(self.numbers, (number, number)));
                }
            }
            Value::String(text) => {
                self.texts.get_or_insert_default().observe(text, known);
            }
            Value::Object(members) => self
                .objects
                .get_or_insert_default()
                .observe(members, depth, limits, known),
            Value::Array(items) => self
                .arrays
                .get_or_insert_default()
                .observe(items, depth, limits, known),
        }
        if self.examples.len() < EXAMPLES {
            self.show(value);
        }
    }

    fn show(&mut self, value: &Value) {
        let example = match value {
            Value::Null | Value::Object(_) | Value::Array(_) => return,
            Value::String(text) if text.chars().count() > LONGEST_EXAMPLE => {
                let start: String = text.chars().take(LONGEST_EXAMPLE).collect();
                Value::from(format!("{start}…"))
            }
            other => other.clone(),
        };
        if self.examples.len() < EXAMPLES && !self.examples.contains(&example) {
            self.examples.push(example);
        }
    }

    /// Takes another place's values as if they had been seen here.
    pub fn merge(&mut self, other: Self, known: &Known) {
        self.nulls += other.nulls;
        self.booleans += other.booleans;
        self.integers += other.integers;
        self.fractions += other.fractions;
        if let Some(numbers) = other.numbers {
            self.numbers = Some(wider(self.numbers, numbers));
        }
        match (&mut self.texts, other.texts) {
            (Some(mine), Some(texts)) => mine.merge(*texts),
            (mine, Some(texts)) => *mine = Some(texts),
            _ => {}
        }
        match (&mut self.objects, other.objects) {
            (Some(mine), Some(objects)) => mine.merge(*objects, known),
            (mine, Some(objects)) => *mine = Some(objects),
            _ => {}
        }
        match (&mut self.arrays, other.arrays) {
            (Some(mine), Some(arrays)) => mine.merge(*arrays, known),
            (mine, Some(arrays)) => *mine = Some(arrays),
            _ => {}
        }
        for example in &other.examples {
            self.show(example);
        }
    }

    /// The JSON types seen, null aside; numbers are one.
    pub fn kinds(&self) -> u8 {
        u8::from(self.booleans > 0)
            | u8::from(self.integers + self.fractions > 0) << 1
            | u8::from(self.texts.is_some()) << 2
            | u8::from(self.objects.is_some()) << 3
            | u8::from(self.arrays.is_some()) << 4
    }
}

fn wider(range: Option<(f64, f64)>, other: (f64, f64)) -> (f64, f64) {
    range.map_or(other, |(least, most)| {
        (least.min(other.0), most.max(other.1))
    })
}

impl Objects {
    fn observe(
        &mut self,
        members: &Map<String, Value>,
        depth: usize,
        limits: &mut Limits,
        known: &Known,
    ) {
        self.count += 1;
        if depth >= DEEPEST {
            self.lost |= !members.is_empty();
            return;
        }
        for (name, value) in members {
            if let Some(node) = self.members.get_mut(name) {
                node.observe(value, depth + 1, limits, known);
                continue;
            }
            let by_name = name.len() <= names::LONGEST_NAME
                && self.members.len() < MOST_MEMBERS
                && !self.gathered;
            if by_name && limits.take() {
                let mut node = Node::default();
                node.observe(value, depth + 1, limits, known);
                self.members.insert(name.clone(), node);
                if self.members.len() > self.next_look.max(limits.first_look) {
                    self.look(known);
                }
            } else if self.rest.is_some() || (!by_name && limits.take()) {
                self.gathered |= name.len() <= names::LONGEST_NAME;
                let rest = self.rest.get_or_insert_with(Rest::default);
                rest.name(name, known);
                rest.node.observe(value, depth + 1, limits, known);
            } else {
                self.lost = true;
            }
        }
    }

    /// With so many names: are they data? Those that are, and those that few objects have, are taken
    /// together from here on.
    fn look(&mut self, known: &Known) {
        let count = self.count;
        let is_map = |name: &str, node: &Node| {
            names::is_data(name, known) || node.count().saturating_mul(2) <= count
        };
        self.gather(is_map, known);
        self.next_look = self.members.len() * 2;
    }

    /// Takes together the members that `is_map` says.
    pub fn gather(&mut self, is_map: impl Fn(&str, &Node) -> bool, known: &Known) {
        let all = std::mem::take(&mut self.members);
        for (name, node) in all {
            if is_map(&name, &node) {
                let rest = self.rest.get_or_insert_with(Rest::default);
                rest.name(&name, known);
                rest.node.merge(node, known);
                self.gathered = true;
            } else {
                self.members.insert(name, node);
            }
        }
    }

    /// Whether members of any name may have been seen without being kept by name.
    fn is_open(&self) -> bool {
        self.gathered || self.lost
    }

    fn merge(&mut self, mut other: Self, known: &Known) {
        // A name that only one side has kept may have been seen on the other: it is no property then.
        if other.is_open() {
            self.gather(|name, _| !other.members.contains_key(name), known);
        }
        if self.is_open() {
            other.gather(|name, _| !self.members.contains_key(name), known);
        }
        self.count += other.count;
        self.lost |= other.lost;
        self.gathered |= other.gathered;
        if let Some(theirs) = other.rest {
            match &mut self.rest {
                Some(rest) => rest.merge(theirs, known),
                None => self.rest = Some(theirs),
            }
        }
        for (name, node) in other.members {
            match self.members.get_mut(&name) {
                Some(mine) => mine.merge(node, known),
                None => {
                    self.members.insert(name, node);
                }
            }
        }
        if self.members.len() > self.next_look.max(FIRST_LOOK) {
            self.look(known);
        }
    }
}

impl Rest {
    fn name(&mut self, name: &str, known: &Known) {
        self.names += 1;
        self.formats.narrow(name, known);
        if self.examples.len() < EXAMPLES {
            self.examples
                .push(name.chars().take(LONGEST_EXAMPLE).collect());
        }
    }

    fn merge(&mut self, other: Self, known: &Known) {
        self.names += other.names;
        self.formats.and(other.formats);
        self.node.merge(other.node, known);
        for example in other.examples {
            if self.examples.len() < EXAMPLES {
                self.examples.push(example);
            }
        }
    }
}

impl Default for Arrays {
    fn default() -> Self {
        Self {
            count: 0,
            lengths: (usize::MAX, 0),
            items: None,
            lost: false,
        }
    }
}

impl Arrays {
    fn observe(&mut self, items: &[Value], depth: usize, limits: &mut Limits, known: &Known) {
        self.count += 1;
        self.lengths = (
            self.lengths.0.min(items.len()),
            self.lengths.1.max(items.len()),
        );
        for item in items {
            if depth >= DEEPEST || (self.items.is_none() && !limits.take()) {
                self.lost = true;
                return;
            }
            let node = self.items.get_or_insert_default();
            node.observe(item, depth + 1, limits, known);
        }
    }

    fn merge(&mut self, other: Self, known: &Known) {
        self.count += other.count;
        self.lost |= other.lost;
        self.lengths = (
            self.lengths.0.min(other.lengths.0),
            self.lengths.1.max(other.lengths.1),
        );
        match (&mut self.items, other.items) {
            (Some(mine), Some(items)) => mine.merge(*items, known),
            (mine, Some(items)) => *mine = Some(items),
            _ => {}
        }
    }
}
