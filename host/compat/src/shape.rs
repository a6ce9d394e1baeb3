//! Schemas that hold together, taken apart into cases.
//!
//! A [`Shape`] is one case: every `anyOf`, `oneOf` and `if` in the same place is decided. It holds at
//! least all values that the schemas take in that case, and the cases together hold all that they take
//! (what is left undecided, because there are too many cases, only makes a case larger).

use std::{cell::OnceCell, collections::BTreeSet, rc::Rc};

use jsonschema::Draft;
use serde_json::Value;

use crate::{
    keywords::{Choice, Keywords},
    number::Bound,
    space::{Body, Conj, Lit, NodeId, Side, Space, conj},
    types::Types,
};

/// More cases than these are left undecided.
const CASES: usize = 128;
/// `oneOf` of more is taken as `anyOf`.
const EXCLUSIVE: usize = 12;

/// One case of schemas that hold together.
#[derive(Debug)]
pub(crate) struct Shape {
    /// The schemas, with what was decided.
    pub conj: Conj,
    /// All that holds in this place.
    pub sources: Vec<(NodeId, Rc<Keywords>)>,
    /// What must not hold.
    pub negated: Vec<NodeId>,
    /// Properties that must not be there.
    pub absent: BTreeSet<String>,
    pub types: Types,
    /// All values there are, when they can be counted.
    pub values: Option<Vec<Value>>,
    required: OnceCell<BTreeSet<String>>,
    named: OnceCell<BTreeSet<String>>,
}

impl Shape {
    /// Names of properties that have to be there.
    pub fn required(&self) -> &BTreeSet<String> {
        self.required.get_or_init(|| {
            let each = self.sources.iter().flat_map(|(_, one)| &one.required);
            each.cloned().collect()
        })
    }

    pub fn lower(&self) -> Vec<Bound> {
        let each = self.sources.iter().flat_map(|(_, one)| one.lower.clone());
        if self.types.and(Types::NUMBER).meets(Types::FRACTION) {
            return each.collect();
        }
        each.map(|bound| bound.whole_lower()).collect()
    }

    pub fn upper(&self) -> Vec<Bound> {
        let each = self.sources.iter().flat_map(|(_, one)| one.upper.clone());
        if self.types.and(Types::NUMBER).meets(Types::FRACTION) {
            return each.collect();
        }
        each.map(|bound| bound.whole_upper()).collect()
    }

    pub fn min(&self, of: impl Fn(&Keywords) -> u64) -> u64 {
        self.sources
            .iter()
            .map(|(_, one)| of(one))
            .max()
            .unwrap_or(0)
    }

    pub fn max(&self, of: impl Fn(&Keywords) -> Option<u64>) -> Option<u64> {
        self.sources.iter().filter_map(|(_, one)| of(one)).min()
    }

    /// Names of properties that some source speaks of.
    pub fn named(&self) -> &BTreeSet<String> {
        self.named.get_or_init(|| {
            let mut names = self.required().clone();
            for (_, keywords) in &self.sources {
                names.extend(keywords.properties.keys().cloned());
            }
            names.extend(self.absent.iter().cloned());
            names
        })
    }

    /// How many items come before those that are all alike.
    pub fn prefix(&self) -> usize {
        let each = self.sources.iter().map(|(_, one)| one.prefix.len());
        each.max().unwrap_or(0)
    }
}

#[derive(Default)]
struct Case {
    lits: BTreeSet<Lit>,
    sources: Vec<(NodeId, Rc<Keywords>)>,
    negated: Vec<NodeId>,
    absent: BTreeSet<String>,
    types: Option<Types>,
    /// Undecided: lists of alternatives.
    choices: Vec<Choice>,
}

impl Space<'_> {
    /// The cases of schemas that hold together; none when nothing can fit.
    pub fn expand(&mut self, all: &Conj) -> Rc<[Rc<Shape>]> {
        if let Some(known) = self.shapes.get(all) {
            return known.clone();
        }
        let mut done = Vec::new();
        let mut open = vec![all.clone()];
        let mut budget = CASES;
        while let Some(next) = open.pop() {
            if !self.budget.take(1) {
                // Without the steps to look at the cases, one that decides nothing stands for them.
                if let Some(case) = self.close(&next) {
                    done.push(Rc::new(self.shape(next, case)));
                }
                continue;
            }
            let Some(case) = self.close(&next) else {
                continue;
            };
            // What is kept grows with this.
            self.budget.take(case.lits.len() as u64);
            let decided =
                |alternative: &Vec<Lit>| alternative.iter().all(|lit| case.lits.contains(lit));
            let choice = case
                .choices
                .iter()
                .find(|choice| !choice.iter().any(decided));
            match choice {
                Some(choice) if choice.len() <= budget => {
                    budget -= choice.len().saturating_sub(1);
                    for alternative in choice.iter().rev() {
                        open.push(conj(
                            next.iter().copied().chain(alternative.iter().copied()),
                        ));
                    }
                }
                _ => {
                    let shape = self.shape(next, case);
                    let dead =
                        shape.types.is_none() || shape.values.as_ref().is_some_and(Vec::is_empty);
                    if !dead {
                        done.push(Rc::new(shape));
                    }
                }
            }
        }
        let shapes: Rc<[Rc<Shape>]> = done.into();
        for shape in shapes.iter() {
            // A case by itself is its only case.
            if shape.conj != *all {
                self.shapes
                    .insert(shape.conj.clone(), Rc::from([shape.clone()]));
            }
        }
        self.shapes.insert(all.clone(), shapes.clone());
        shapes
    }

    /// All that follows without deciding anything; `None` when nothing can fit.
    fn close(&mut self, all: &Conj) -> Option<Case> {
        let mut case = Case::default();
        let mut types = Types::ALL;
        let mut stack: Vec<Lit> = all.to_vec();
        loop {
            while let Some(lit) = stack.pop() {
                if !case.lits.insert(lit) {
                    continue;
                }
                if case.lits.contains(&Lit {
                    negated: !lit.negated,
                    ..lit
                }) {
                    return None;
                }
                let keywords = match (self.body(lit.node), lit.negated) {
                    (Body::Any, false) | (Body::Never, true) => continue,
                    (Body::Never, false) | (Body::Any, true) => return None,
                    (Body::Object(keywords), _) => keywords,
                };
                if lit.negated {
                    self.negate(lit.node, &keywords, &mut case, &mut stack, &mut types);
                } else {
                    types = types.and(keywords.types.unwrap_or(Types::ALL));
                    positive(lit.node, &keywords, &mut case, &mut stack);
                }
                if types.is_none() {
                    return None;
                }
            }
            // What depends on a property that is there, and conditions that are decided.
            if types == Types::OBJECT {
                let required: BTreeSet<&str> = case
                    .sources
                    .iter()
                    .flat_map(|(_, one)| one.required.iter().map(String::as_str))
                    .collect();
                for (_, keywords) in &case.sources {
                    for (name, node) in &keywords.dependent_schemas {
                        if required.contains(name.as_str()) && !case.lits.contains(&Lit::yes(*node))
                        {
                            stack.push(Lit::yes(*node));
                        }
                    }
                }
                if required.iter().any(|name| case.absent.contains(*name)) {
                    return None;
                }
            }
            if stack.is_empty() {
                break;
            }
        }
        case.types = Some(types);
        Some(case)
    }

    fn negate(
        &mut self,
        node: NodeId,
        keywords: &Keywords,
        case: &mut Case,
        stack: &mut Vec<Lit>,
        types: &mut Types,
    ) {
        if !keywords.opaque.is_empty() || keywords.groups != 1 {
            case.negated.push(node);
            return;
        }
        // What can be said without a negation is said so.
        if let Some(target) = keywords.reference {
            stack.push(Lit::no(target));
        } else if let Some(inner) = keywords.not {
            stack.push(Lit::yes(inner));
        } else if !keywords.any_of.is_empty() {
            stack.extend(keywords.any_of.iter().map(|one| Lit::no(*one)));
        } else if !keywords.all_of.is_empty() {
            let alternatives = keywords.all_of.iter().map(|one| vec![Lit::no(*one)]);
            case.choices.push(alternatives.collect());
        } else if let Some(not) = keywords.types {
            *types = types.without(not);
        } else if let [name] = keywords.required.as_slice() {
            *types = types.and(Types::OBJECT);
            case.absent.insert(name.clone());
        } else {
            case.negated.push(node);
        }
    }

    /// The values with each number as it can be written: the validator takes 1.0 for 1 in an `enum`,
    /// but draft-04 does not take it for an integer. `None` when there are too many ways.
    fn spellings(&self, values: Vec<Value>) -> Option<Vec<Value>> {
        let strict = [Side::From, Side::Into]
            .iter()
            .any(|side| self.document(*side).draft() == Draft::Draft4);
        let mut all = Vec::with_capacity(values.len());
        for value in values {
            match &value {
                Value::Number(number) => {
                    #[allow(clippy::cast_precision_loss, clippy::cast_possible_truncation)]
                    let other = match (number.as_i64(), number.as_f64()) {
                        (Some(integer), _) => Some(Value::from(integer as f64)),
                        (None, Some(float)) if float.fract() == 0.0 && float.abs() < 1e15 => {
                            Some(Value::from(float as i64))
                        }
                        _ => None,
                    };
                    all.extend(other);
                }
                Value::Array(_) | Value::Object(_) if strict && has_number(&value) => return None,
                _ => {}
            }
            all.push(value);
        }
        Some(all)
    }

    fn shape(&mut self, all: Conj, case: Case) -> Shape {
        let types = case.types.unwrap_or(Types::ALL);
        let mut values: Option<Vec<Value>> = None;
        for (_, keywords) in &case.sources {
            for list in &keywords.values {
                if values.as_ref().is_none_or(|known| list.len() < known.len()) {
                    values = Some(list.clone());
                }
            }
        }
        if values.is_none() && types.within(Types::NULL.or(Types::BOOLEAN)) {
            let each = [Value::Null, false.into(), true.into()];
            values = Some(
                each.into_iter()
                    .filter(|one| Types::of(one).meets(types))
                    .collect(),
            );
        }
        if values.is_none() {
            values = few_integers(&case.sources, types);
        }
        values = values.and_then(|values| self.spellings(values));
        if let Some(values) = &mut values {
            // Only what is certainly refused is taken out.
            values.retain(|value| {
                all.iter()
                    .all(|lit| self.accepts(*lit, value) != Some(false))
            });
        }
        Shape {
            conj: all,
            sources: case.sources,
            negated: case.negated,
            absent: case.absent,
            types,
            values,
            required: OnceCell::new(),
            named: OnceCell::new(),
        }
    }
}

/// All integers between two bounds, when they are few.
fn few_integers(sources: &[(NodeId, Rc<Keywords>)], types: Types) -> Option<Vec<Value>> {
    const FEW: i64 = 64;
    if !types.within(Types::INTEGER.or(Types::WHOLE)) || types.is_none() {
        return None;
    }
    let lower = sources.iter().flat_map(|(_, one)| &one.lower);
    let upper = sources.iter().flat_map(|(_, one)| &one.upper);
    let lower = lower
        .filter_map(|bound| bound.whole_lower().limit.as_i64())
        .max()?;
    let upper = upper
        .filter_map(|bound| bound.whole_upper().limit.as_i64())
        .min()?;
    let few = upper
        .checked_sub(lower)
        .is_some_and(|between| between < FEW);
    few.then(|| (lower..=upper).map(Value::from).collect())
}

fn has_number(value: &Value) -> bool {
    match value {
        Value::Number(_) => true,
        Value::Array(items) => items.iter().any(has_number),
        Value::Object(members) => members.values().any(has_number),
        _ => false,
    }
}

fn positive(node: NodeId, keywords: &Rc<Keywords>, case: &mut Case, stack: &mut Vec<Lit>) {
    case.sources.push((node, keywords.clone()));
    stack.extend(keywords.reference.map(Lit::yes));
    stack.extend(keywords.all_of.iter().map(|one| Lit::yes(*one)));
    stack.extend(keywords.not.map(Lit::no));
    let choices = keywords.choices.get_or_init(|| choices(keywords).into());
    case.choices.extend(choices.iter().cloned());
}

/// What a schema leaves undecided. Asked for again and again, so it is made once.
fn choices(keywords: &Keywords) -> Vec<Choice> {
    let mut choices: Vec<Choice> = Vec::new();
    if !keywords.any_of.is_empty() {
        let alternatives = keywords.any_of.iter().map(|one| vec![Lit::yes(*one)]);
        choices.push(alternatives.collect());
    }
    if !keywords.one_of.is_empty() {
        let few = keywords.one_of.len() <= EXCLUSIVE;
        let alternatives = keywords.one_of.iter().map(|one| {
            let others = keywords.one_of.iter().filter(|other| *other != one && few);
            let mut lits = vec![Lit::yes(*one)];
            lits.extend(others.map(|other| Lit::no(*other)));
            lits
        });
        choices.push(alternatives.collect());
    }
    if let Some((condition, then, otherwise)) = keywords.condition {
        let mut yes = vec![Lit::yes(condition)];
        yes.extend(then.map(Lit::yes));
        let mut no = vec![Lit::no(condition)];
        no.extend(otherwise.map(Lit::yes));
        choices.push([yes, no].into());
    }
    choices
}
