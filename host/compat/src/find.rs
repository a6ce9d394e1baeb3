//! Finds documents that one schema takes and the other refuses.
//!
//! Where a proof failed, values are made that should show it, put into a whole document, and asked
//! of both validators. What the validators confirm is a finding, whatever led to it.

use std::{ops::ControlFlow, rc::Rc};

use serde_json::{Value, json};

use crate::{
    keywords::Keywords,
    lenient::{PlaceId, Places},
    number::Bound,
    prove::{Obstacle, Step, Trail},
    sample::{Sampler, around, numbers, texts, weight},
    shape::Shape,
    space::{Conj, Lit, NodeId, Space, conj, with},
    text,
    types::Types,
};

/// Values that are tried in whole documents, for each failure.
const TRIED: usize = 12;

/// The whole question: documents of `from` that `into` refuses.
pub(crate) struct Question {
    pub from: NodeId,
    pub into: NodeId,
    /// The places for what the lenient policy leaves out.
    pub places: Option<(PlaceId, PlaceId)>,
}

pub(crate) struct Finder<'s, 'a, 'p> {
    sampler: Sampler<'s, 'a>,
    places: &'p mut Places,
    question: &'p Question,
}

impl<'s, 'a, 'p> Finder<'s, 'a, 'p> {
    pub fn new(space: &'s mut Space<'a>, places: &'p mut Places, question: &'p Question) -> Self {
        Self {
            sampler: Sampler::new(space),
            places,
            question,
        }
    }

    /// Whether a document shows that the schemas are not compatible.
    pub fn shows(&mut self, document: &Value) -> bool {
        let space = &mut *self.sampler.space;
        if space.accepts(Lit::yes(self.question.from), document) != Some(true)
            || space.accepts(Lit::yes(self.question.into), document) != Some(false)
        {
            return false;
        }
        match self.question.places {
            Some((from, into)) => !self.places.leaves_out(space, from, into, document),
            None => true,
        }
    }

    /// A document that shows a failure.
    pub fn counterexample(&mut self, obstacle: &Obstacle) -> Option<Value> {
        let mut trial = Trial {
            obstacle,
            tried: 0,
            seen: Vec::new(),
            weight: 0,
            found: None,
        };
        // How it ended is in the trial.
        let _ = self.candidates(&mut trial);
        trial.found
    }

    /// Tries a value as soon as it is made; breaks when a document is found, or when it was tried enough.
    fn offer(&mut self, trial: &mut Trial<'_>, value: Value) -> ControlFlow<()> {
        const ROOM: usize = 100_000;
        let weight = weight(&value);
        if trial.weight + weight > ROOM {
            return ControlFlow::Continue(());
        }
        trial.weight += weight;
        if trial.tried >= TRIED || !self.sampler.space.budget.take(1) {
            return ControlFlow::Break(());
        }
        let (obstacle, goal) = (trial.obstacle, trial.obstacle.goal);
        let refused = self.sampler.space.accepts(goal, &value) == Some(false);
        if !refused
            || trial.seen.contains(&value)
            || !self.sampler.space.fits(&obstacle.shape.conj, &value)
        {
            return ControlFlow::Continue(());
        }
        trial.tried += 1;
        for variant in 0..2 {
            let trail = obstacle.trail.as_ref();
            let document = self.sampler.embed(trail, value.clone(), variant, false);
            if let Some(document) = document
                && self.shows(&document)
            {
                trial.found = Some(self.smaller(document, obstacle.trail.as_ref(), goal));
                return ControlFlow::Break(());
            }
        }
        trial.seen.push(value);
        ControlFlow::Continue(())
    }

    fn offer_all(
        &mut self,
        trial: &mut Trial<'_>,
        values: impl IntoIterator<Item = Value>,
    ) -> ControlFlow<()> {
        values
            .into_iter()
            .try_for_each(|value| self.offer(trial, value))
    }

    /// Values of a case that may be refused, likely ones first.
    fn candidates(&mut self, trial: &mut Trial<'_>) -> ControlFlow<()> {
        let obstacle = trial.obstacle;
        let shape = obstacle.shape.clone();
        if let Some(values) = &shape.values {
            return self.offer_all(trial, values.iter().cloned());
        }
        for witness in &obstacle.witnesses {
            for variant in 0..3 {
                let made = self.sampler.sample(witness, variant, 1);
                self.offer_all(trial, made)?;
            }
        }
        let goals = self.sampler.space.reach(&[obstacle.goal.node]);
        let goals: Vec<Rc<Keywords>> = goals
            .into_iter()
            .filter_map(|node| self.sampler.space.keywords(node))
            .collect();
        for one in shape.types.each() {
            match one {
                Types::OBJECT => self.objects(&shape, &goals, trial)?,
                Types::ARRAY => self.arrays(&shape, &goals, trial)?,
                Types::STRING => self.offer_all(trial, strings(&shape, &goals))?,
                Types::INTEGER => self.offer_all(trial, some_numbers(&shape, &goals))?,
                Types::BOOLEAN => self.offer_all(trial, [true.into(), false.into()])?,
                Types::NULL => self.offer(trial, Value::Null)?,
                _ => {}
            }
        }
        for variant in 0..12 {
            let made = self.sampler.sample(&shape.conj, variant, 1);
            self.offer_all(trial, made)?;
        }
        for one in shape.types.each() {
            let typed = self.sampler.space.typed(one);
            let all_of = with(&shape.conj, Lit::yes(typed));
            let made = self.sampler.sample(&all_of, 0, 1);
            self.offer_all(trial, made)?;
        }
        ControlFlow::Continue(())
    }

    fn objects(
        &mut self,
        shape: &Shape,
        goals: &[Rc<Keywords>],
        trial: &mut Trial<'_>,
    ) -> ControlFlow<()> {
        let obstacle = trial.obstacle;
        let names = &obstacle.names;
        let minimal = self.sampler.object(shape, 0, 1, &[], false);
        self.offer_all(trial, minimal)?;
        let full = self.sampler.object(shape, 0, 1, &[], true);
        // Everything but what is looked for.
        for name in names {
            if let Some(Value::Object(mut members)) = full.clone() {
                members.remove(name);
                self.offer(trial, Value::Object(members))?;
            }
        }
        let odd = [
            json!(null),
            json!(0),
            json!("text"),
            json!(false),
            json!({}),
            json!([]),
        ];
        let mut tried: Vec<String> = names.to_vec();
        for goal in goals {
            tried.extend(goal.properties.keys().take(40).cloned());
            tried.extend(goal.dependent_required.keys().cloned());
            tried.extend(goal.dependent_schemas.keys().cloned());
            tried.extend(
                goal.patterns
                    .iter()
                    .filter_map(|(pattern, _)| text::matching(pattern, 0)),
            );
        }
        for goal in goals {
            tried.extend(
                goal.names
                    .iter()
                    .flat_map(|names| self.names(shape, *names)),
            );
        }
        tried.extend(["additional", "", "A", "0", "a b", "é"].map(str::to_owned));
        for name in tried.into_iter().take(100) {
            let property = self.sampler.space.property(shape, &name);
            for variant in 0..4 {
                if let Some(value) = self.sampler.sample(&property, variant, 2) {
                    let fixed = [(name.clone(), value)];
                    let made = self.sampler.object(shape, 0, 1, &fixed, false);
                    self.offer_all(trial, made)?;
                }
            }
            for value in &odd {
                if self.sampler.space.fits(&property, value) {
                    let fixed = [(name.clone(), value.clone())];
                    let made = self.sampler.object(shape, 0, 1, &fixed, false);
                    self.offer_all(trial, made)?;
                }
            }
        }
        // Many properties.
        for goal in goals {
            if let Some(most) = goal.max_properties.filter(|most| *most < 1000) {
                let each = (0..=most).map(|number| format!("property{number}"));
                let mut fixed = Vec::new();
                for name in shape.named().iter().cloned().chain(each) {
                    let property = self.sampler.space.property(shape, &name);
                    if fixed.len() as u64 <= most
                        && let Some(value) = self.sampler.sample(&property, 0, 2)
                    {
                        fixed.push((name, value));
                    }
                }
                let made = self.sampler.object(shape, 0, 1, &fixed, false);
                self.offer_all(trial, made)?;
            }
        }
        self.offer_all(trial, full)
    }

    /// Names that the case allows and a schema of names refuses.
    fn names(&mut self, shape: &Shape, goal: NodeId) -> Vec<String> {
        let texts = self.sampler.space.typed(Types::STRING);
        let own = shape
            .sources
            .iter()
            .filter_map(|(_, one)| one.names.map(Lit::yes));
        let own = conj(own.chain([Lit::yes(texts)]));
        let goals = self.sampler.space.reach(&[goal]);
        let goals: Vec<Rc<Keywords>> = goals
            .into_iter()
            .filter_map(|node| self.sampler.space.keywords(node))
            .collect();
        let mut names = Vec::new();
        for case in self.sampler.space.expand(&own).iter().take(4) {
            for text in strings(case, &goals) {
                let refused = self.sampler.space.accepts(Lit::yes(goal), &text) == Some(false);
                if refused
                    && self.sampler.space.fits(&own, &text)
                    && let Value::String(text) = text
                {
                    names.push(text);
                }
            }
        }
        names.truncate(10);
        names
    }

    fn arrays(
        &mut self,
        shape: &Shape,
        goals: &[Rc<Keywords>],
        trial: &mut Trial<'_>,
    ) -> ControlFlow<()> {
        let mut lengths = vec![0, 1, 2, shape.prefix() as u64 + 1];
        for goal in goals {
            lengths.extend(goal.max_items.map(|most| most.saturating_add(1)));
            lengths.extend(goal.min_items.checked_sub(1));
            lengths.push(goal.prefix.len() as u64 + 1);
            if let Some(contains) = &goal.contains {
                lengths.push(contains.least);
                lengths.extend(contains.most.map(|most| most.saturating_add(1)));
            }
        }
        lengths.sort_unstable();
        lengths.dedup();
        for length in lengths.into_iter().take(12) {
            for variant in 0..3 {
                let made = self.sampler.array(shape, variant, 1, length, None);
                self.offer_all(trial, made)?;
            }
        }
        // The items of one kind, or of none.
        for goal in goals {
            let Some(contains) = &goal.contains else {
                continue;
            };
            for lit in [Lit::no(contains.node), Lit::yes(contains.node)] {
                let item = self.sampler.space.item(shape, 0);
                if let Some(item) = self.sampler.sample(&with(&item, lit), 0, 2) {
                    let longest = contains.most.unwrap_or(contains.least).min(200) + 1;
                    let least = shape.min(|one| one.min_items).max(1);
                    for length in [least, longest] {
                        let length = usize::try_from(length).unwrap_or(1);
                        self.offer(trial, Value::Array(vec![item.clone(); length]))?;
                    }
                }
            }
        }
        ControlFlow::Continue(())
    }

    /// Documents at random, as a last resort.
    pub fn search(&mut self, documents: u32, seed: u32) -> Option<Value> {
        let root: Conj = conj([Lit::yes(self.question.from)]);
        let into = self.question.into;
        let both = with(&root, Lit::no(into));
        for variant in 0..documents {
            if !self.sampler.space.budget.take(5) {
                return None;
            }
            let variant = variant.wrapping_add(seed).max(1);
            for all in [&both, &root] {
                if let Some(document) = self.sampler.sample(all, variant, 0)
                    && self.shows(&document)
                {
                    return Some(self.smaller(document, None, Lit::yes(into)));
                }
            }
        }
        None
    }

    /// A document of the schema, as small as it goes.
    pub fn example(&mut self, root: NodeId) -> Option<Value> {
        let root = conj([Lit::yes(root)]);
        (0..8).find_map(|variant| self.sampler.sample(&root, variant, 0))
    }

    /// Leaves out what is not needed to show the failure.
    fn smaller(&mut self, document: Value, trail: Option<&Rc<Trail>>, goal: Lit) -> Value {
        let mut path = Vec::new();
        let mut next = trail.cloned();
        while let Some(one) = next {
            path.push(match &one.step {
                Step::Property(name) => crate::document::token(name).into_owned(),
                Step::Item(index) => index.to_string(),
            });
            next = one.parent.clone();
        }
        path.reverse();
        let at: String = path.iter().map(|part| format!("/{part}")).collect();
        let mut best = document;
        let mut tries = 80;
        loop {
            let mut improved = false;
            for cut in cuts(&best) {
                if tries == 0 {
                    return best;
                }
                tries -= 1;
                let mut next = best.clone();
                if !remove(&mut next, &cut) {
                    continue;
                }
                let kept = next
                    .pointer(&at)
                    .is_some_and(|value| self.sampler.space.accepts(goal, value) == Some(false));
                if kept && self.shows(&next) {
                    best = next;
                    improved = true;
                    break;
                }
            }
            if !improved {
                return best;
            }
        }
    }
}

/// How it goes with the values of one failure: the first few are tried in whole documents.
struct Trial<'o> {
    obstacle: &'o Obstacle,
    tried: usize,
    seen: Vec<Value>,
    /// Of all values so far.
    weight: usize,
    found: Option<Value>,
}

/// All members and items, outer ones first.
fn cuts(value: &Value) -> Vec<Vec<String>> {
    let mut all = Vec::new();
    let mut open: std::collections::VecDeque<(Vec<String>, &Value)> = [(Vec::new(), value)].into();
    while let Some((path, value)) = open.pop_front() {
        let each: Vec<(String, &Value)> = match value {
            Value::Object(members) => members
                .iter()
                .map(|(name, one)| (name.clone(), one))
                .collect(),
            Value::Array(items) => {
                let each = items.iter().enumerate().rev();
                each.map(|(index, one)| (index.to_string(), one)).collect()
            }
            _ => continue,
        };
        for (name, inner) in each {
            let mut path = path.clone();
            path.push(name);
            all.push(path.clone());
            open.push_back((path, inner));
        }
        if all.len() > 400 {
            break;
        }
    }
    all
}

fn remove(value: &mut Value, path: &[String]) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    let mut at = value;
    for name in parents {
        let next = match at {
            Value::Object(members) => members.get_mut(name),
            Value::Array(items) => name
                .parse()
                .ok()
                .and_then(|index: usize| items.get_mut(index)),
            _ => None,
        };
        let Some(next) = next else { return false };
        at = next;
    }
    match at {
        Value::Object(members) => members.remove(last).is_some(),
        Value::Array(items) => match last.parse::<usize>() {
            Ok(index) if index < items.len() => {
                items.remove(index);
                true
            }
            _ => false,
        },
        _ => false,
    }
}

fn strings(shape: &Shape, goals: &[Rc<Keywords>]) -> Vec<Value> {
    let own = texts(shape);
    let mut all = Vec::new();
    for goal in goals {
        let mut lengths: Vec<u64> = goal.min_length.checked_sub(1).into_iter().collect();
        lengths.extend(goal.max_length.map(|most| most.saturating_add(1)));
        for length in lengths {
            for text in own.iter().take(16) {
                all.extend(text::of_length(text, length));
            }
        }
    }
    all.extend(own);
    // Longer and longer matches of its own patterns.
    for (_, keywords) in &shape.sources {
        if let Some(pattern) = &keywords.pattern {
            for more in [1, 2, 4, 20, 100] {
                all.extend(text::matching(pattern, more));
            }
        }
    }
    for format in ["date", "uri", "email", "uuid", "ipv4", "date-time"] {
        all.extend(text::of_format(format).iter().map(|one| (*one).to_owned()));
    }
    all.into_iter().map(Value::from).collect()
}

fn some_numbers(shape: &Shape, goals: &[Rc<Keywords>]) -> Vec<Value> {
    let bounds = goals
        .iter()
        .flat_map(|goal| goal.lower.iter().chain(&goal.upper));
    let limits: Vec<_> = bounds.map(|Bound { limit, .. }| limit.clone()).collect();
    let own = shape
        .sources
        .iter()
        .filter_map(|(_, one)| one.multiple.clone());
    let multiples: Vec<_> = own
        .chain(goals.iter().filter_map(|goal| goal.multiple.clone()))
        .collect();
    let mut all = around(&limits, &multiples);
    all.extend(numbers(shape));
    all
}
