//! Whether no value can fit.

use std::rc::Rc;

use super::Prover;
use crate::{
    number::compare,
    shape::Shape,
    space::{Conj, Lit},
    types::Types,
};

/// Whether no value of one type fits a case.
type Test<'s, 'a> = fn(&mut Prover<'s, 'a>, &Rc<Shape>) -> bool;

impl<'s, 'a> Prover<'s, 'a> {
    /// Whether it is proven that nothing fits all of these.
    pub(super) fn nothing_fits(&mut self, all: &Conj) -> bool {
        let shapes = self.space.expand(all);
        shapes.iter().all(|shape| self.is_empty(shape))
    }

    /// Whether it is proven that nothing fits the case.
    pub(super) fn is_empty(&mut self, shape: &Rc<Shape>) -> bool {
        if let Some(known) = self.empty.get(&shape.conj) {
            return *known;
        }
        if !self.space.budget.take(1) || self.empty_depth() {
            return false;
        }
        // Open questions count as no: emptiness is never taken for granted.
        self.empty.insert(shape.conj.clone(), false);
        let outer = std::mem::replace(&mut self.low, usize::MAX);
        let empty = self.quietly(|prover| prover.find_empty(shape));
        let own = std::mem::replace(&mut self.low, outer);
        self.low = outer.min(own);
        if empty && own == usize::MAX {
            self.empty.insert(shape.conj.clone(), true);
        } else if empty {
            // It hangs on an open question, so it is asked again next time.
            self.empty.remove(&shape.conj);
        }
        empty
    }

    fn empty_depth(&self) -> bool {
        self.quiet > 60
    }

    fn find_empty(&mut self, shape: &Rc<Shape>) -> bool {
        if shape.values.is_none() {
            let mut left = shape.types;
            let tests: [(Types, Test<'s, 'a>); 4] = [
                (Types::NUMBER, |_, shape| no_number(shape)),
                (Types::STRING, |_, shape| {
                    let least = shape.min(|one| one.min_length);
                    shape
                        .max(|one| one.max_length)
                        .is_some_and(|most| most < least)
                }),
                (Types::ARRAY, Self::no_array),
                (Types::OBJECT, Self::no_object),
            ];
            for (types, none) in tests {
                if left.meets(types) && none(self, shape) {
                    left = left.without(types);
                }
            }
            if left.is_none() {
                return true;
            }
        }
        let negated = shape.negated.clone();
        negated
            .into_iter()
            .any(|node| self.contained(&shape.conj, Lit::yes(node), 0))
    }

    fn no_array(&mut self, shape: &Rc<Shape>) -> bool {
        let contained = shape.min(|one| one.contains.as_ref().map_or(0, |contains| contains.least));
        let least = shape.min(|one| one.min_items).max(contained);
        let most = self.space.most_items(shape);
        if most.is_some_and(|most| most < least) {
            return true;
        }
        let first = usize::try_from(least)
            .unwrap_or(usize::MAX)
            .min(shape.prefix() + 1);
        (0..first).any(|index| {
            let item = self.space.item(shape, index);
            self.depth += 1;
            let none = self.nothing_fits(&item);
            self.depth -= 1;
            none
        })
    }

    fn no_object(&mut self, shape: &Rc<Shape>) -> bool {
        let required: Vec<String> = shape.required().iter().cloned().collect();
        let most = shape.max(|one| one.max_properties);
        if most.is_some_and(|most| most < required.len() as u64) {
            return true;
        }
        let least = shape.min(|one| one.min_properties);
        if most.is_some_and(|most| most < least) {
            return true;
        }
        if least > 0
            && let Some(names) = self.space.counted_names(shape)
            && (names.len() as u64) < least
        {
            return true;
        }
        required.iter().any(|name| {
            let all = self.space.property(shape, name);
            self.depth += 1;
            let none = self.nothing_fits(&all);
            self.depth -= 1;
            none
        })
    }
}

fn no_number(shape: &Shape) -> bool {
    let (lower, upper) = (shape.lower(), shape.upper());
    lower.iter().any(|low| {
        upper
            .iter()
            .any(|high| match compare(&low.limit, &high.limit) {
                std::cmp::Ordering::Greater => true,
                std::cmp::Ordering::Equal => low.exclusive || high.exclusive,
                std::cmp::Ordering::Less => false,
            })
    })
}
