//! Proves that every value of some schemas fits another, by structure, and says where it could not.
//!
//! What is proven is true; what is not proven may be true all the same. Schemas that lead back to
//! themselves are proven by coinduction: a question that is open may be taken as answered once the
//! way has gone into a part of the value, because documents are finite.

mod applicators;
mod array;
mod empty;
mod object;
mod scalar;

use std::{
    collections::{HashMap, HashSet},
    rc::Rc,
};

use crate::{
    keywords::Keywords,
    lenient::{Into, PlaceId, Places},
    same::Same,
    shape::Shape,
    space::{Body, Conj, Lit, NodeId, Side, Space},
};

/// Questions inside of questions; beyond this nothing is proven.
const NESTED: usize = 300;
/// Failures beyond this are not kept.
const OBSTACLES: usize = 200;

/// The way from the whole document to a part of it.
#[derive(Debug)]
pub(crate) struct Trail {
    pub parent: Option<Rc<Trail>>,
    pub shape: Rc<Shape>,
    pub step: Step,
}

#[derive(Clone, Debug)]
pub(crate) enum Step {
    Property(String),
    Item(usize),
}

/// Where a proof failed.
#[derive(Clone, Debug)]
pub(crate) struct Obstacle {
    pub rule: &'static str,
    pub message: String,
    pub trail: Option<Rc<Trail>>,
    /// What the values are known to be.
    pub shape: Rc<Shape>,
    /// What they do not all fit.
    pub goal: Lit,
    /// JSON Pointers into the two schemas.
    pub from: String,
    pub into: String,
    /// Values of these would show it.
    pub witnesses: Vec<Conj>,
    /// Names of properties worth trying.
    pub names: Vec<String>,
}

type Key = (Conj, Lit, PlaceId);

pub(crate) struct Prover<'s, 'a> {
    pub space: &'s mut Space<'a>,
    pub places: Places,
    pub obstacles: Vec<Obstacle>,
    /// Why the proof stopped early.
    pub stopped: Option<&'static str>,
    same: Same,
    quiet: u32,
    depth: u32,
    trail: Option<Rc<Trail>>,
    /// Open questions: their place in line and their depth in the value.
    active: HashMap<Key, (usize, u32)>,
    /// The first open question that was taken as answered.
    low: usize,
    proven: HashSet<Key>,
    /// Proven if the open question at this place in line is; at least this deep in the value.
    conditional: HashMap<Key, (usize, u32)>,
    failed_quiet: HashSet<Key>,
    failed: HashSet<Key>,
    empty: HashMap<Conj, bool>,
}

impl<'s, 'a> Prover<'s, 'a> {
    pub fn new(space: &'s mut Space<'a>) -> Self {
        Self {
            space,
            places: Places::default(),
            obstacles: Vec::new(),
            stopped: None,
            same: Same::default(),
            quiet: 0,
            depth: 0,
            trail: None,
            active: HashMap::new(),
            low: usize::MAX,
            proven: HashSet::new(),
            conditional: HashMap::new(),
            failed_quiet: HashSet::new(),
            failed: HashSet::new(),
            empty: HashMap::new(),
        }
    }

    /// Whether every value of `all` is proven to fit `goal`. With a place other than 0, values that
    /// the lenient policy leaves out do not count.
    pub fn contained(&mut self, all: &Conj, goal: Lit, place: PlaceId) -> bool {
        if !self.space.budget.take(1) {
            self.stopped = Some("the work that a check may take is used up");
            return false;
        }
        if all.contains(&goal) {
            return true;
        }
        match (self.space.body(goal.node), goal.negated) {
            (Body::Any, false) | (Body::Never, true) => return true,
            _ => {}
        }
        let key = (all.clone(), goal, place);
        if self.proven.contains(&key) {
            return true;
        }
        if let Some((low, depth)) = self.conditional.get(&key)
            && self.depth >= *depth
        {
            self.low = self.low.min(*low);
            return true;
        }
        if let Some((index, depth)) = self.active.get(&key) {
            if self.depth > *depth {
                self.low = self.low.min(*index);
                return true;
            }
            return false;
        }
        let known = if self.quiet > 0 {
            &self.failed_quiet
        } else {
            &self.failed
        };
        if known.contains(&key) {
            return false;
        }
        if !goal.negated {
            let positive = all.iter().filter(|lit| !lit.negated);
            for lit in positive.copied().collect::<Vec<_>>() {
                if self.same.same(self.space, lit.node, goal.node) {
                    self.proven.insert(key);
                    return true;
                }
            }
        }
        if self.active.len() >= NESTED {
            self.stopped = Some("the schemas nest too deeply");
            return false;
        }
        self.decide(key)
    }

    fn decide(&mut self, key: Key) -> bool {
        let index = self.active.len();
        self.active.insert(key.clone(), (index, self.depth));
        let outer = std::mem::replace(&mut self.low, usize::MAX);
        let shapes = self.space.expand(&key.0);
        let mut holds = true;
        for shape in shapes.iter() {
            holds &= self.shape_in(shape, key.1, key.2);
            if !holds && self.quiet > 0 {
                break;
            }
        }
        self.active.remove(&key);
        let low = std::mem::replace(&mut self.low, outer);
        if holds && low >= index {
            // Nothing outside was taken for granted, so all that hung on this is proven with it.
            let hung: Vec<Key> = self.hanging(index);
            self.proven.extend(hung);
            self.proven.insert(key);
        } else {
            self.hanging(index);
            if holds {
                self.conditional.insert(key, (low, self.depth));
                self.low = self.low.min(low);
            } else if self.quiet > 0 {
                self.failed_quiet.insert(key);
            } else {
                self.failed.insert(key);
            }
        }
        holds
    }

    /// Takes out what hangs on the open question at `index`.
    fn hanging(&mut self, index: usize) -> Vec<Key> {
        let mut hung = Vec::new();
        self.conditional.retain(|key, (low, _)| {
            if *low >= index {
                hung.push(key.clone());
                return false;
            }
            true
        });
        hung
    }

    fn shape_in(&mut self, shape: &Rc<Shape>, goal: Lit, place: PlaceId) -> bool {
        let before = self.obstacles.len();
        let holds = self.rules(shape, goal, place);
        if !holds && self.is_empty(shape) {
            self.obstacles.truncate(before);
            return true;
        }
        holds
    }

    fn rules(&mut self, shape: &Rc<Shape>, goal: Lit, place: PlaceId) -> bool {
        if let Some(values) = &shape.values {
            let mut refused = values.iter();
            let bad = refused
                .find(|value| self.space.accepts(goal, value) != Some(true))
                .cloned();
            let Some(bad) = bad else {
                return true;
            };
            // Objects are looked into, for the place.
            if !bad.is_object() && !bad.is_array() {
                let rule = if goal.negated {
                    "excluded-value"
                } else {
                    self.value_rule(goal.node)
                };
                let message = format!("{bad} is not allowed any more");
                return self.fail(Fail {
                    rule,
                    message,
                    ..Fail::at(shape, goal)
                });
            }
        }
        if goal.negated {
            return self.outside(shape, goal);
        }
        match self.space.body(goal.node) {
            Body::Any => true,
            Body::Never => {
                let rule = self.never_rule();
                let message = "nothing is allowed here".to_owned();
                self.fail(Fail {
                    rule,
                    message,
                    ..Fail::at(shape, goal)
                })
            }
            Body::Object(keywords) => self.keywords(shape, goal.node, &keywords, place),
        }
    }

    fn keywords(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        goal: &Keywords,
        place: PlaceId,
    ) -> bool {
        let mut holds = self.scalars(shape, node, goal);
        if holds || self.quiet == 0 {
            holds &= self.arrays(shape, node, goal, place);
        }
        if holds || self.quiet == 0 {
            holds &= self.objects(shape, node, goal, place);
        }
        if holds || self.quiet == 0 {
            holds &= self.applicators(shape, node, goal, place);
        }
        holds
    }

    /// Goes into a part of the value.
    fn inside(
        &mut self,
        shape: &Rc<Shape>,
        step: Step,
        all: &Conj,
        goal: NodeId,
        place: (PlaceId, Into),
    ) -> bool {
        let place = self.places.step(self.space, place.0, place.1);
        let parent = self.trail.clone();
        self.trail = Some(Rc::new(Trail {
            parent: parent.clone(),
            shape: shape.clone(),
            step,
        }));
        self.depth += 1;
        let holds = self.contained(all, Lit::yes(goal), place);
        self.depth -= 1;
        self.trail = parent;
        holds
    }

    /// Asks without keeping failures.
    fn quietly<T>(&mut self, ask: impl FnOnce(&mut Self) -> T) -> T {
        self.quiet += 1;
        let answer = ask(self);
        self.quiet -= 1;
        answer
    }

    fn fail(&mut self, fail: Fail<'_>) -> bool {
        if self.quiet > 0 || self.obstacles.len() >= OBSTACLES {
            return false;
        }
        let from = fail
            .shape
            .sources
            .iter()
            .filter(|(node, _)| self.space.side(*node) == Side::From);
        let said = from
            .clone()
            .find(|(_, one)| (fail.origin)(one))
            .or(from.clone().next());
        let from = said.map(|(node, _)| *node);
        let lits = fail.shape.conj.iter().map(|lit| lit.node);
        let from = from.or_else(|| {
            let mut lits = lits;
            lits.find(|node| self.space.side(*node) == Side::From)
        });
        let from = match from {
            Some(node) => self.space.pointer(node).to_string(),
            None => self.parent_pointer(),
        };
        let into = format!("{}{}", self.space.pointer(fail.goal.node), fail.keyword);
        self.obstacles.push(Obstacle {
            rule: fail.rule,
            message: fail.message,
            trail: self.trail.clone(),
            shape: fail.shape.clone(),
            goal: fail.goal,
            from,
            into,
            witnesses: fail.witnesses,
            names: fail.names,
        });
        false
    }

    /// The name of the rule where nothing is allowed.
    fn never_rule(&self) -> &'static str {
        match &self.trail {
            None => "nothing-allowed",
            Some(trail) => match &trail.step {
                Step::Item(_) => "items-closed",
                Step::Property(name) if trail.shape.named().contains(name.as_str()) => {
                    "property-removed-closed-model"
                }
                Step::Property(_) => "model-closed",
            },
        }
    }

    /// The schema around a value of which nothing is said.
    fn parent_pointer(&self) -> String {
        let mut trail = self.trail.clone();
        while let Some(one) = trail {
            for (node, _) in &one.shape.sources {
                if self.space.side(*node) == Side::From {
                    return self.space.pointer(*node).to_string();
                }
            }
            trail = one.parent.clone();
        }
        String::new()
    }
}

/// A failed rule.
struct Fail<'f> {
    rule: &'static str,
    message: String,
    shape: &'f Rc<Shape>,
    goal: Lit,
    /// Behind the goal's pointer.
    keyword: String,
    /// Which source speaks of it.
    origin: fn(&Keywords) -> bool,
    witnesses: Vec<Conj>,
    names: Vec<String>,
}

impl<'f> Fail<'f> {
    fn at(shape: &'f Rc<Shape>, goal: Lit) -> Self {
        Self {
            rule: "",
            message: String::new(),
            shape,
            goal,
            keyword: String::new(),
            origin: |_| true,
            witnesses: Vec::new(),
            names: Vec::new(),
        }
    }
}
