//! Makes documents that a schema takes: the smallest, the fullest, the edges of each place, and others at
//! random by a seed.
//!
//! Every document is confirmed by the validator. Work is counted in steps, so the same question has the
//! same answer everywhere.

use std::{
    collections::{HashMap, HashSet, VecDeque},
    hash::{Hash, Hasher},
    rc::Rc,
};

use serde_json::Value;

use crate::{
    Document,
    edges::{arrays, listed, objects, scalars},
    picks::Picks,
    prove::{Step, Trail},
    sample::{Sampler, is_plain, weight},
    shape::Shape,
    shrink::cost,
    space::{Conj, Lit, NodeId, Side, Space, conj},
    types::Types,
};

/// How documents are made.
#[derive(Clone, Copy, Debug)]
pub struct Generation {
    /// The same seed makes the same documents.
    pub seed: u64,
    /// The most documents of each part.
    pub documents: usize,
    /// The work for each part, in steps of some microseconds.
    pub steps: u64,
    /// The most bytes of all documents of a part, as JSON.
    pub bytes: usize,
}

impl Default for Generation {
    fn default() -> Self {
        Self {
            seed: 1,
            documents: 200,
            steps: 200_000,
            bytes: 4 << 20,
        }
    }
}

/// Fewer documents than these are not spent on one place each.
const FEW: usize = 24;
/// Places that are looked at, of one part.
const PLACES: usize = 600;
/// How deep places are looked for.
const DEPTH: u32 = 8;
/// The same schema is looked at in so many places.
const SAME: usize = 4;
/// Cases of one place.
const CASES: usize = 32;
/// Values of a place that the seed does not choose from.
const FIRST: usize = 6;
/// How often a document at random is begun anew when it does not fit.
const TRIES: usize = 4;
/// Values in a document at random; what is made after that is as small as it goes.
const VALUES: usize = 1_500;

/// Documents of the schemas at some JSON Pointers into one document, small ones first; none of a part
/// for which none was found.
pub(crate) fn generate(
    document: &Document,
    pointers: &[String],
    options: &Generation,
) -> Vec<Vec<Value>> {
    let mut space = Space::new(document, document, options.steps);
    let mut maker = Maker {
        sampler: Sampler::new(&mut space),
        known: HashMap::new(),
    };
    let each = pointers.iter().enumerate().map(|(index, pointer)| {
        maker.sampler.space.budget.left = options.steps;
        let root = maker.sampler.space.node(Side::From, pointer);
        let seed = Picks::of(options.seed.wrapping_add(index as u64)).next();
        maker.part(root, options, Picks::of(seed))
    });
    each.collect()
}

struct Maker<'s, 'a> {
    sampler: Sampler<'s, 'a>,
    /// Edge values of a case, by its schemas and type.
    known: HashMap<(Conj, Types), Rc<[Value]>>,
}

/// A place in documents, in one case.
struct Place {
    trail: Option<Rc<Trail>>,
    shape: Rc<Shape>,
    depth: u32,
}

/// The documents of one part, without repeats.
struct Pile {
    root: Lit,
    documents: Vec<Value>,
    /// Hashes of their texts.
    seen: HashSet<u64>,
    /// Bytes that there is room for.
    room: usize,
}

impl Pile {
    /// Takes a document that the validator takes and that is new.
    fn add(&mut self, space: &mut Space<'_>, document: Option<Value>) -> bool {
        let Some(document) = document else {
            return false;
        };
        if self.is_full() || space.accepts(self.root, &document) != Some(true) {
            return false;
        }
        let text = document.to_string();
        let mut hasher = std::hash::DefaultHasher::new();
        text.hash(&mut hasher);
        let new = self.seen.insert(hasher.finish());
        if new {
            self.room = self.room.saturating_sub(text.len());
            self.documents.push(document);
        }
        new
    }

    fn is_full(&self) -> bool {
        self.room == 0
    }
}

impl Maker<'_, '_> {
    fn part(&mut self, root: NodeId, options: &Generation, mut picks: Picks) -> Vec<Value> {
        let most = options.documents;
        if self.sampler.space.endless(root).is_some() {
            return Vec::new();
        }
        let all = conj([Lit::yes(root)]);
        let mut pile = Pile {
            root: Lit::yes(root),
            documents: Vec::new(),
            seen: HashSet::new(),
            room: options.bytes,
        };
        self.ordinary(&all, most, &mut pile);
        if most >= FEW {
            let singles = most * 3 / 4;
            self.singles(&all, singles, &mut picks, &mut pile);
        }
        let mut misses = 0;
        while pile.documents.len() < most && !pile.is_full() && misses < 20 && !self.is_out() {
            let mut found = false;
            for _ in 0..TRIES {
                let document = self.at_random(&all, &mut picks);
                found = pile.add(self.sampler.space, document);
                if found {
                    break;
                }
            }
            misses = if found { 0 } else { misses + 1 };
        }
        let mut documents = pile.documents;
        documents.sort_by_cached_key(|document| (cost(document), document.to_string()));
        documents
    }

    fn is_out(&self) -> bool {
        self.sampler.space.budget.left == 0
    }

    /// The smallest and the fullest of each case.
    fn ordinary(&mut self, all: &Conj, most: usize, pile: &mut Pile) {
        let smallest = (0..8).find_map(|variant| self.sampler.sample(all, variant, 0));
        pile.add(self.sampler.space, smallest);
        let shapes = self.sampler.space.expand(all);
        for shape in shapes.iter().take(most.div_ceil(4)) {
            let small = self.sampler.sample(&shape.conj, 0, 0);
            pile.add(self.sampler.space, small);
            if shape.types.meets(Types::OBJECT) && shape.values.is_none() {
                let full = self.full(shape, 0);
                pile.add(self.sampler.space, full);
            }
        }
    }

    /// An object with all that is named, and so on inside of it.
    fn full(&mut self, shape: &Shape, depth: u32) -> Option<Value> {
        let mut fixed = Vec::new();
        for name in shape.named().clone() {
            let property = self.sampler.space.property(shape, &name);
            let case = self.sampler.space.expand(&property).first().cloned();
            let inner = match case {
                Some(case) if depth < 4 && case.types == Types::OBJECT && case.values.is_none() => {
                    self.full(&case, depth + 1)
                }
                _ => self.sampler.sample(&property, 1, depth + 1),
            };
            if let Some(value) = inner {
                fixed.push((name, value));
            }
        }
        self.sampler.object(shape, 0, depth, &fixed, true)
    }

    /// Documents that are ordinary but for one place.
    fn singles(&mut self, all: &Conj, most: usize, picks: &mut Picks, pile: &mut Pile) {
        let mut places = self.places(all);
        // All places have their turn before one has a second value.
        picks.shuffle(&mut places);
        let mut open: Vec<(usize, Vec<Value>)> = Vec::new();
        for (index, place) in places.iter().enumerate() {
            if self.is_out() {
                break;
            }
            let mut values = self.values(place);
            // The most telling ones come first, whatever the seed.
            let first = values.len().min(FIRST);
            picks.shuffle(&mut values[first..]);
            values.reverse();
            open.push((index, values));
        }
        while !open.is_empty() && pile.documents.len() < most && !pile.is_full() && !self.is_out() {
            open.retain_mut(|(index, values)| {
                let Some(value) = values.pop() else {
                    return false;
                };
                if pile.documents.len() < most {
                    let place = &places[*index];
                    let full = picks.one_in(3);
                    let trail = place.trail.as_ref();
                    let document = self.sampler.embed(trail, value, 0, full);
                    pile.add(self.sampler.space, document);
                }
                true
            });
        }
    }

    /// The places of documents, outer ones first, each in all of its cases.
    fn places(&mut self, all: &Conj) -> Vec<Place> {
        let mut places = Vec::new();
        let mut seen: HashMap<Conj, usize> = HashMap::new();
        let mut open: VecDeque<(Option<Rc<Trail>>, Conj, u32)> = [(None, all.clone(), 0)].into();
        while let Some((trail, here, depth)) = open.pop_front() {
            let count = seen.entry(here.clone()).or_default();
            *count += 1;
            if *count > SAME || places.len() >= PLACES || !self.sampler.space.budget.take(1) {
                continue;
            }
            let shapes = self.sampler.space.expand(&here);
            for shape in shapes.iter().take(CASES) {
                places.push(Place {
                    trail: trail.clone(),
                    shape: shape.clone(),
                    depth,
                });
                if depth >= DEPTH || shape.values.is_some() {
                    continue;
                }
                let step = |step: Step| {
                    Some(Rc::new(Trail {
                        parent: trail.clone(),
                        shape: shape.clone(),
                        step,
                    }))
                };
                if shape.types.meets(Types::OBJECT) {
                    for name in shape.named().clone() {
                        let property = self.sampler.space.property(shape, &name);
                        open.push_back((step(Step::Property(name)), property, depth + 1));
                    }
                }
                if shape.types.meets(Types::ARRAY) {
                    for index in 0..=shape.prefix().min(8) {
                        let item = self.sampler.space.item(shape, index);
                        open.push_back((step(Step::Item(index)), item, depth + 1));
                    }
                }
            }
        }
        places
    }

    /// The values at the edges of a place.
    fn values(&mut self, place: &Place) -> Vec<Value> {
        let shape = &place.shape;
        if let Some(values) = listed(shape) {
            return values.to_vec();
        }
        let mut all = Vec::new();
        for one in shape.types.each() {
            match one {
                Types::OBJECT => all.extend(objects(&mut self.sampler, shape, place.depth)),
                Types::ARRAY => all.extend(arrays(&mut self.sampler, shape, place.depth)),
                _ => all.extend(self.edges(shape, one).iter().cloned()),
            }
        }
        all
    }

    fn edges(&mut self, shape: &Shape, one: Types) -> Rc<[Value]> {
        let key = (shape.conj.clone(), one);
        if let Some(known) = self.known.get(&key) {
            return known.clone();
        }
        let found: Rc<[Value]> = scalars(&mut self.sampler, shape, one).into();
        self.known.insert(key, found.clone());
        found
    }

    /// A document with several edges at once.
    fn at_random(&mut self, all: &Conj, picks: &mut Picks) -> Option<Value> {
        // How much of what is optional is there, and how often a value is an edge: by document.
        let mood = Mood {
            present: *picks.pick(&[1, 5, 9])?,
            edges: *picks.pick(&[1, 3, 6])?,
        };
        let mut room = VALUES;
        self.wild(all, picks, mood, 0, &mut room)
    }

    fn wild(
        &mut self,
        all: &Conj,
        picks: &mut Picks,
        mood: Mood,
        depth: u32,
        room: &mut usize,
    ) -> Option<Value> {
        *room = room.saturating_sub(1);
        if *room == 0 || depth > 12 || !self.sampler.space.budget.take(1) {
            return self.sampler.sample(all, 0, depth);
        }
        let shapes = self.sampler.space.expand(all);
        let shape = picks.pick(&shapes)?.clone();
        if let Some(values) = &shape.values {
            let value = picks.pick(values)?.clone();
            return match self.sampler.space.fits(&shape.conj, &value) {
                true => Some(value),
                false => self.sampler.sample(all, 0, depth),
            };
        }
        let types: Vec<Types> = shape.types.each().collect();
        let value = match *picks.pick(&types)? {
            Types::OBJECT => self.wild_object(&shape, picks, mood, depth, room),
            Types::ARRAY => self.wild_array(&shape, picks, mood, depth, room),
            one => {
                let edges = (picks.below(10) < mood.edges).then(|| self.edges(&shape, one));
                let edge = edges.and_then(|edges| picks.pick(&edges).cloned());
                edge.or_else(|| {
                    let variant = u32::try_from(picks.below(6)).unwrap_or(0);
                    self.sampler.sample(&shape.conj, variant, depth)
                })
            }
        };
        let taken = value.filter(|value| {
            is_plain(&shape, value)
                || !(value.is_object() || value.is_array())
                || self.sampler.space.fits(&shape.conj, value)
        });
        taken.or_else(|| self.sampler.sample(all, 0, depth))
    }

    fn wild_object(
        &mut self,
        shape: &Shape,
        picks: &mut Picks,
        mood: Mood,
        depth: u32,
        room: &mut usize,
    ) -> Option<Value> {
        let required = shape.required().clone();
        let mut fixed = Vec::new();
        for name in shape.named().clone() {
            if required.contains(&name) || picks.below(10) < mood.present {
                let property = self.sampler.space.property(shape, &name);
                if let Some(value) = self.wild(&property, picks, mood, depth + 1, room) {
                    fixed.push((name, value));
                }
            }
        }
        self.sampler.object(shape, 0, depth, &fixed, false)
    }

    fn wild_array(
        &mut self,
        shape: &Shape,
        picks: &mut Picks,
        mood: Mood,
        depth: u32,
        room: &mut usize,
    ) -> Option<Value> {
        let least = usize::try_from(shape.min(|one| one.min_items)).ok()?;
        let most = self.sampler.space.most_items(shape).unwrap_or(u64::MAX);
        let most = usize::try_from(most).unwrap_or(usize::MAX);
        let wanted = *picks.pick(&[0, 1, 1, 2, 2, 3, 7])?;
        let length = wanted.max(least).min(most);
        if length > 200 {
            return self.sampler.array(shape, 0, depth, 0, None);
        }
        let mut items: Vec<Value> = Vec::with_capacity(length);
        let unique = shape.sources.iter().any(|(_, one)| one.unique);
        for index in 0..length {
            // Now and then the same once more.
            let again = (!unique && picks.one_in(4)).then(|| items.last().cloned());
            let item = match again.flatten() {
                Some(item) => item,
                None => {
                    let all = self.sampler.space.item(shape, index);
                    self.wild(&all, picks, mood, depth + 1, room)?
                }
            };
            if !(unique && items.contains(&item)) {
                items.push(item);
            }
        }
        let items = Value::Array(items);
        (weight(&items) <= VALUES * 8).then_some(items)
    }
}

/// How a document at random is made, in tenths.
#[derive(Clone, Copy)]
struct Mood {
    present: usize,
    edges: usize,
}
