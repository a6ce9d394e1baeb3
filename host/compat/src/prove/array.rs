//! Items.

use std::rc::Rc;

use super::{Fail, Prover, Step};
use crate::{
    keywords::Keywords,
    lenient::{Into, PlaceId},
    shape::Shape,
    space::{Lit, NodeId},
    types::Types,
};

/// More items than these are not told apart.
const PREFIX: usize = 1000;

impl Prover<'_, '_> {
    pub(super) fn arrays(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        goal: &Keywords,
        place: PlaceId,
    ) -> bool {
        if !shape.types.meets(Types::ARRAY) {
            return true;
        }
        let mut holds = self.counts(shape, node, goal);
        for (index, item) in goal.prefix.iter().enumerate().take(PREFIX) {
            holds &= self.at_index(shape, index, *item, place);
        }
        if let Some(items) = goal.items {
            holds &= self.behind(shape, goal.prefix.len(), items, place);
        } else if let Some(unevaluated) = goal.unevaluated_items {
            // What certainly counts as evaluated is left out; more may be asked than has to be.
            if let Some(first) = self.evaluated_items(node, 0) {
                holds &= self.behind(shape, first, unevaluated, place);
            }
        }
        if let Some(contains) = &goal.contains {
            let least = self.has_enough(shape, contains.node, contains.least);
            let most = contains
                .most
                .is_none_or(|most| self.has_few(shape, contains.node, most));
            if !least || !most {
                let keyword = if least { "/maxContains" } else { "/contains" };
                holds &= self.fail(Fail {
                    rule: "contains-tightened",
                    message: "the number of items of a kind is limited otherwise".into(),
                    keyword: keyword.into(),
                    origin: |one| one.contains.is_some(),
                    ..Fail::at(shape, Lit::yes(node))
                });
            }
        }
        holds
    }

    fn counts(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let at = || Fail::at(shape, Lit::yes(node));
        let mut holds = true;
        let contained = |one: &Keywords| one.contains.as_ref().map_or(0, |contains| contains.least);
        let least = shape.min(|one| one.min_items.max(contained(one)));
        if least < goal.min_items {
            holds &= self.fail(Fail {
                rule: "item-count-tightened",
                message: format!("arrays need {} items at least", goal.min_items),
                keyword: "/minItems".into(),
                origin: |one| one.min_items > 0,
                ..at()
            });
        }
        if goal.max_items.is_none() && !goal.unique {
            return holds;
        }
        let most = self.space.most_items(shape);
        if let Some(limit) = goal.max_items
            && most.is_none_or(|most| most > limit)
        {
            holds &= self.fail(Fail {
                rule: "item-count-tightened",
                message: format!("arrays may have {limit} items at most"),
                keyword: "/maxItems".into(),
                origin: |one| one.max_items.is_some(),
                ..at()
            });
        }
        let unique = shape.sources.iter().any(|(_, one)| one.unique);
        if goal.unique && !unique && most.is_none_or(|most| most > 1) {
            holds &= self.fail(Fail {
                rule: "unique-items-added",
                message: "items must not repeat".into(),
                keyword: "/uniqueItems".into(),
                ..at()
            });
        }
        holds
    }

    fn at_index(&mut self, shape: &Rc<Shape>, index: usize, goal: NodeId, place: PlaceId) -> bool {
        if self
            .space
            .most_items(shape)
            .is_some_and(|most| most <= index as u64)
        {
            return true;
        }
        let item = self.space.item(shape, index);
        self.inside(
            shape,
            Step::Item(index),
            &item,
            goal,
            (place, Into::Item(index)),
        )
    }

    /// All items from an index on.
    fn behind(&mut self, shape: &Rc<Shape>, first: usize, goal: NodeId, place: PlaceId) -> bool {
        let mut holds = true;
        let tail = shape.prefix().max(first);
        if tail > PREFIX {
            return false;
        }
        for index in first..tail {
            holds &= self.at_index(shape, index, goal, place);
        }
        if self
            .space
            .most_items(shape)
            .is_some_and(|most| most <= tail as u64)
        {
            return holds;
        }
        let item = self.space.item(shape, tail);
        holds & self.inside(shape, Step::Item(tail), &item, goal, (place, Into::AnyItem))
    }

    /// The first item that a schema does not certainly look at; `None` when it looks at all.
    fn evaluated_items(&mut self, node: NodeId, depth: usize) -> Option<usize> {
        let Some(keywords) = self.space.keywords(node).filter(|_| depth < 50) else {
            return Some(0);
        };
        if keywords.items.is_some() || (depth > 0 && keywords.unevaluated_items.is_some()) {
            return None;
        }
        let mut first = keywords.prefix.len();
        for inner in keywords.reference.iter().chain(&keywords.all_of) {
            first = first.max(self.evaluated_items(*inner, depth + 1)?);
        }
        Some(first)
    }

    fn has_enough(&mut self, shape: &Rc<Shape>, node: NodeId, least: u64) -> bool {
        if least == 0 {
            return true;
        }
        for (_, keywords) in &shape.sources {
            if let Some(own) = &keywords.contains
                && own.least >= least
                && self.quietly(|prover| prover.item_in(&[own.node], node))
            {
                return true;
            }
        }
        if shape.min(|one| one.min_items) < least {
            return false;
        }
        (0..=shape.prefix()).all(|index| {
            let item = self.space.item(shape, index);
            self.quietly(|prover| {
                prover.depth += 1;
                let holds = prover.contained(&item, Lit::yes(node), 0);
                prover.depth -= 1;
                holds
            })
        })
    }

    fn has_few(&mut self, shape: &Rc<Shape>, node: NodeId, most: u64) -> bool {
        if self.space.most_items(shape).is_some_and(|own| own <= most) {
            return true;
        }
        shape.sources.iter().any(|(_, keywords)| {
            keywords.contains.as_ref().is_some_and(|own| {
                own.most.is_some_and(|own| own <= most)
                    && self.quietly(|prover| prover.item_in(&[node], own.node))
            })
        })
    }

    fn item_in(&mut self, all: &[NodeId], goal: NodeId) -> bool {
        let all = crate::space::conj(all.iter().copied().map(Lit::yes));
        self.depth += 1;
        let holds = self.contained(&all, Lit::yes(goal), 0);
        self.depth -= 1;
        holds
    }
}
