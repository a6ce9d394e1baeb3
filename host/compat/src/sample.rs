//! Makes values that fit a case: small ones first, other ones by a number.
//!
//! What is made is a guess until the validator takes it; nothing here is relied on.

use std::{
    collections::{BTreeSet, HashMap},
    rc::Rc,
};

use serde_json::{Map, Number, Value};

use crate::{
    keywords::Keywords,
    prove::{Step, Trail},
    shape::Shape,
    space::{Conj, Lit, Space, with},
    text,
    types::Types,
};

/// How deep values are made.
const DEPTH: u32 = 24;
/// Longer arrays and larger objects are not made.
const SIZE: u64 = 2_000;
/// Values with more values inside are not made.
const WEIGHT: usize = 20_000;
/// What is remembered, in values.
const REMEMBERED: usize = 200_000;

pub(crate) struct Sampler<'s, 'a> {
    pub space: &'s mut Space<'a>,
    made: HashMap<(Conj, u32), Option<Value>>,
    remembered: usize,
}

/// How many values there are in a value.
pub(crate) fn weight(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(weight).sum(),
        Value::Object(members) => members.values().map(weight).sum(),
        Value::String(text) => text.len() / 64,
        _ => 0,
    }
}

/// Whether a value that was made for a case fits by how it was made. Asking a validator for each part
/// of a value would take longer than all else; the whole document is asked in the end.
pub(crate) fn is_plain(shape: &Shape, value: &Value) -> bool {
    let plain = |one: &Keywords| {
        one.names.is_none()
            && one.dependent_schemas.is_empty()
            && one.unevaluated.is_none()
            && one.unevaluated_items.is_none()
            && one.contains.is_none()
            && one.max_items.is_none()
            && one.max_properties.is_none()
            && !one.unique
            && one.patterns.is_empty()
            && one.opaque.is_empty()
            && one.values.is_empty()
    };
    (value.is_object() || value.is_array())
        && shape.negated.is_empty()
        && shape.sources.iter().all(|(_, one)| plain(one))
}

/// A cheap mixing of a number, so that neighbouring variants differ in many ways.
pub(crate) fn mixed(variant: u32, salt: u32) -> u32 {
    let mut bits = variant.wrapping_mul(0x9e37_79b1) ^ salt.wrapping_mul(0x85eb_ca6b);
    bits ^= bits >> 15;
    bits = bits.wrapping_mul(0x2c1b_3c6d);
    bits ^ (bits >> 12)
}

impl<'s, 'a> Sampler<'s, 'a> {
    pub fn new(space: &'s mut Space<'a>) -> Self {
        Self {
            space,
            made: HashMap::new(),
            remembered: 0,
        }
    }

    /// A value that fits all; 0 is the smallest variant.
    pub fn sample(&mut self, all: &Conj, variant: u32, depth: u32) -> Option<Value> {
        if depth > DEPTH || !self.space.budget.take(1) {
            return None;
        }
        let key = (all.clone(), variant);
        if let Some(known) = self.made.get(&key) {
            return known.clone();
        }
        let shapes = self.space.expand(all);
        let mut found = None;
        for index in 0..shapes.len().min(6) {
            let shape = shapes[(variant as usize + index) % shapes.len()].clone();
            found = self.of_shape(&shape, variant, depth);
            if found.is_some() {
                break;
            }
        }
        // A failure deep inside may be one of depth only.
        if found.is_some() || depth < 4 {
            self.remembered += found.as_ref().map_or(1, weight);
            if self.remembered > REMEMBERED {
                self.made.clear();
                self.remembered = 0;
            }
            self.made.insert(key, found.clone());
        }
        found
    }

    fn of_shape(&mut self, shape: &Shape, variant: u32, depth: u32) -> Option<Value> {
        if let Some(values) = &shape.values {
            let count = values.len();
            let mut each = (0..count).map(|index| &values[(variant as usize + index) % count]);
            return each
                .find(|value| self.space.fits(&shape.conj, value))
                .cloned();
        }
        let mut types: Vec<Types> = shape.types.each().collect();
        // Whole numbers written as floats are made when nothing else is left.
        types.sort_by_key(|one| *one == Types::WHOLE);
        let count = types.len();
        for index in 0..count {
            let one =
                types[(mixed(variant, depth) as usize * usize::from(variant > 0) + index) % count];
            for value in self.of_type(shape, one, variant, depth) {
                if is_plain(shape, &value) || self.space.fits(&shape.conj, &value) {
                    return Some(value);
                }
            }
        }
        None
    }

    fn of_type(&mut self, shape: &Shape, one: Types, variant: u32, depth: u32) -> Vec<Value> {
        match one {
            Types::NULL => vec![Value::Null],
            Types::BOOLEAN => vec![(variant % 2 == 1).into(), variant.is_multiple_of(2).into()],
            Types::STRING => {
                let mut texts = texts(shape);
                let by = variant as usize % texts.len().max(1);
                texts.rotate_left(by);
                texts.into_iter().map(Value::from).collect()
            }
            Types::ARRAY => {
                let length = u64::from(if variant == 0 {
                    0
                } else {
                    mixed(variant, 7) % 3
                });
                self.array(shape, variant, depth, length, None)
                    .into_iter()
                    .collect()
            }
            Types::OBJECT => self
                .object(shape, variant, depth, &[], false)
                .into_iter()
                .collect(),
            _ => {
                let mut numbers = numbers(shape);
                numbers.retain(|number| Types::of(number) == one);
                let by = variant as usize % numbers.len().max(1);
                numbers.rotate_left(by);
                numbers
            }
        }
    }

    /// An object with the properties that are fixed, those that are needed, and, with `full`, all that
    /// are named.
    pub fn object(
        &mut self,
        shape: &Shape,
        variant: u32,
        depth: u32,
        fixed: &[(String, Value)],
        full: bool,
    ) -> Option<Value> {
        let mut members: Map<String, Value> = fixed.iter().cloned().collect();
        let mut open: Vec<String> = shape.required().iter().cloned().collect();
        let mut optional: Vec<String> = shape.named().iter().cloned().collect();
        optional.retain(|name| !open.contains(name));
        for (index, name) in optional.iter().enumerate() {
            let chosen =
                variant > 0 && depth < 6 && mixed(variant, index as u32 + depth).is_multiple_of(3);
            if full || chosen {
                open.push(name.clone());
            }
        }
        let needed: BTreeSet<String> = shape.required().iter().cloned().collect();
        let mut done: BTreeSet<String> = BTreeSet::new();
        open.extend(members.keys().cloned());
        let least = shape.min(|one| one.min_properties).min(SIZE);
        let mut spare = optional.into_iter();
        let mut fresh = 0;
        let mut heavy = 0;
        loop {
            while let Some(name) = open.pop() {
                if !done.insert(name.clone()) {
                    continue;
                }
                if !members.contains_key(&name) {
                    let all = self.space.property(shape, &name);
                    match self.sample(&all, variant, depth + 1) {
                        Some(value) => {
                            heavy += weight(&value);
                            if heavy > WEIGHT {
                                return None;
                            }
                            members.insert(name.clone(), value);
                        }
                        None if needed.contains(&name) => return None,
                        None => continue,
                    }
                }
                for (_, keywords) in &shape.sources {
                    open.extend(
                        keywords
                            .dependent_required
                            .get(&name)
                            .into_iter()
                            .flatten()
                            .cloned(),
                    );
                }
            }
            if members.len() as u64 >= least {
                return Some(Value::Object(members));
            }
            open.extend(spare.next().or_else(|| {
                fresh += 1;
                let pattern = shape
                    .sources
                    .iter()
                    .flat_map(|(_, one)| &one.patterns)
                    .next();
                let made = pattern.and_then(|(pattern, _)| text::matching(pattern, fresh));
                let made = made.filter(|name| !done.contains(name));
                (u64::from(fresh) <= SIZE)
                    .then(|| made.unwrap_or_else(|| format!("property{fresh}")))
            }));
            if open.is_empty() {
                return None;
            }
        }
    }

    /// An array of a length or longer.
    pub fn array(
        &mut self,
        shape: &Shape,
        variant: u32,
        depth: u32,
        length: u64,
        fixed: Option<(usize, &Value)>,
    ) -> Option<Value> {
        let contained = shape.min(|one| one.contains.as_ref().map_or(0, |contains| contains.least));
        let mut length = length.max(shape.min(|one| one.min_items)).max(contained);
        if let Some((index, _)) = fixed {
            length = length.max(index as u64 + 1);
        }
        if length > SIZE {
            return None;
        }
        let unique = shape.sources.iter().any(|(_, one)| one.unique);
        let mut items: Vec<Value> = Vec::new();
        let mut wanted = contained;
        let mut heavy = 0;
        for index in 0..usize::try_from(length).ok()? {
            if let Some((at, value)) = fixed
                && at == index
            {
                items.push(value.clone());
                continue;
            }
            let mut all = self.space.item(shape, index);
            if wanted > 0 {
                for (_, keywords) in &shape.sources {
                    if let Some(contains) = &keywords.contains {
                        all = with(&all, Lit::yes(contains.node));
                    }
                }
                wanted -= 1;
            }
            let mut found = self.sample(&all, variant, depth + 1);
            if unique {
                let mut more = variant;
                while found.as_ref().is_some_and(|one| items.contains(one)) && more < variant + 20 {
                    more += 1;
                    found = self.sample(&all, more, depth + 1);
                }
            }
            let found = found?;
            heavy += weight(&found);
            if heavy > WEIGHT {
                return None;
            }
            items.push(found);
        }
        Some(Value::Array(items))
    }

    /// Puts a value where it belongs in a whole document; with `full` among all that is named.
    pub fn embed(
        &mut self,
        trail: Option<&Rc<Trail>>,
        value: Value,
        variant: u32,
        full: bool,
    ) -> Option<Value> {
        let mut value = value;
        let mut trail = trail.cloned();
        let mut depth = 8;
        while let Some(one) = trail {
            depth += 1;
            value = match &one.step {
                Step::Property(name) => {
                    let fixed = [(name.clone(), value)];
                    self.object(&one.shape, variant, depth, &fixed, full)?
                }
                Step::Item(index) => {
                    self.array(&one.shape, variant, depth, 0, Some((*index, &value)))?
                }
            };
            trail = one.parent.clone();
        }
        Some(value)
    }
}

/// Texts that may fit a case, likely ones first.
pub(crate) fn texts(shape: &Shape) -> Vec<String> {
    let mut all: Vec<String> = Vec::new();
    for (_, keywords) in &shape.sources {
        let formats = keywords
            .format
            .iter()
            .flat_map(|format| text::of_format(format));
        all.extend(formats.map(|one| (*one).to_owned()));
        if let Some(pattern) = &keywords.pattern {
            for more in [0, 1, 2, 3, 5, 8, 13] {
                all.extend(text::matching(pattern, more));
            }
        }
    }
    let least = shape.min(|one| one.min_length);
    let most = shape.max(|one| one.max_length).unwrap_or(u64::MAX);
    let fits = |text: &str| (least..=most).contains(&(text.chars().count() as u64));
    let plain = text::PLAIN.iter().map(|one| (*one).to_owned());
    all.extend(plain.filter(|one| fits(one)));
    for length in [least, most, least.saturating_add(1)] {
        for seed in ["a", "0"] {
            all.extend(text::of_length(seed, length));
        }
    }
    let longer: Vec<String> = (all.iter().take(12))
        .filter(|one| !fits(one))
        .filter_map(|one| text::of_length(one, least.max(1)))
        .collect();
    all.extend(longer);
    // Readable ones first, the empty one last.
    if all.first().is_some_and(String::is_empty) && all.len() > 1 {
        let empty = all.remove(0);
        all.insert(1, empty);
    }
    all
}

/// Numbers that may fit a case, likely ones first.
pub(crate) fn numbers(shape: &Shape) -> Vec<Value> {
    let bounds = shape
        .sources
        .iter()
        .flat_map(|(_, one)| one.lower.iter().chain(&one.upper));
    let limits: Vec<Number> = bounds.map(|bound| bound.limit.clone()).collect();
    let multiples = shape
        .sources
        .iter()
        .filter_map(|(_, one)| one.multiple.clone());
    around(&limits, &multiples.collect::<Vec<_>>())
}

/// Numbers at and beside some limits, and multiples.
pub(crate) fn around(limits: &[Number], multiples: &[Number]) -> Vec<Value> {
    let mut all: Vec<Value> = vec![0.into(), 1.into()];
    let mut add = |value: f64| {
        #[allow(clippy::cast_possible_truncation)]
        if value.fract() == 0.0 && value.abs() < 9e15 {
            all.push((value as i64).into());
        } else if value.is_finite() {
            all.push(value.into());
        }
    };
    for limit in limits {
        let limit = limit.as_f64().unwrap_or(0.0);
        for by in [0.0, 1.0, -1.0, 0.5, -0.5, 10.0, -10.0, limit] {
            add(limit + by);
        }
        for multiple in multiples {
            let multiple = multiple.as_f64().unwrap_or(1.0);
            let times = (limit / multiple).floor();
            for by in [-1.0, 0.0, 1.0, 2.0] {
                add((times + by) * multiple);
            }
        }
    }
    for multiple in multiples {
        let multiple = multiple.as_f64().unwrap_or(1.0);
        for times in [1.0, 2.0, 3.0, 7.0, 10.0, 0.5, 1.5] {
            add(multiple * times);
        }
    }
    for limit in limits {
        all.push(Value::Number(limit.clone()));
    }
    for more in [2, 3, 5, 7, -1, 100, -100, 1_000_000_007] {
        all.push(more.into());
    }
    for more in [0.5, 1.5, -0.5, 0.1, 1e300, 1.0, 2.0, 0.0, -1e300] {
        all.push(more.into());
    }
    let copies: Vec<Value> = (all.iter())
        .filter_map(|one| one.as_i64().map(|integer| Value::from(integer as f64)))
        .collect();
    all.extend(copies);
    all
}
