//! References, and schemas that hold together, by choice, or not.

use std::rc::Rc;

use super::{Fail, Prover};
use crate::{
    keywords::Keywords,
    lenient::PlaceId,
    shape::Shape,
    space::{Conj, Lit, NodeId, with},
    types::Types,
};

/// More values of a property than these are not looked at one by one.
const PINNED: usize = 40;

impl Prover<'_, '_> {
    pub(super) fn applicators(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        goal: &Keywords,
        place: PlaceId,
    ) -> bool {
        let mut holds = true;
        for inner in goal.reference.iter().chain(&goal.all_of) {
            holds &= self.contained(&shape.conj, Lit::yes(*inner), place);
        }
        if let Some(not) = goal.not {
            holds &= self.contained(&shape.conj, Lit::no(not), place);
        }
        if let Some((condition, then, otherwise)) = goal.condition {
            for (lit, inner) in [(Lit::yes(condition), then), (Lit::no(condition), otherwise)] {
                if let Some(inner) = inner {
                    let all = with(&shape.conj, lit);
                    holds &= self.contained(&all, Lit::yes(inner), place);
                }
            }
        }
        if !goal.any_of.is_empty() {
            holds &= self.choice(shape, node, &goal.any_of, false, place);
        }
        if !goal.one_of.is_empty() {
            holds &= self.choice(shape, node, &goal.one_of, true, place);
        }
        holds
    }

    /// Every value fits one of the alternatives; when `exclusive`, not more than one.
    fn choice(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        alternatives: &[NodeId],
        exclusive: bool,
        place: PlaceId,
    ) -> bool {
        let fits = |prover: &mut Self, one: NodeId| {
            prover.quietly(|prover| prover.contained(&shape.conj, Lit::yes(one), place))
        };
        let found = alternatives.iter().position(|one| fits(self, *one));
        if let Some(found) = found
            && !exclusive
        {
            return alternatives.get(found).is_some();
        }
        let mut live = Vec::new();
        for one in alternatives {
            let both = with(&shape.conj, Lit::yes(*one));
            if !self.quietly(|prover| prover.nothing_fits(&both)) {
                live.push(*one);
            }
        }
        match (found, live.as_slice()) {
            (Some(found), [one]) if alternatives[found] == *one => return true,
            (None, [one]) => return self.contained(&shape.conj, Lit::yes(*one), place),
            _ => {}
        }
        if let Some(parts) = self.parts(shape) {
            let goal = Lit::yes(node);
            let whole = |prover: &mut Self| {
                let mut all = parts.iter();
                all.all(|part| prover.contained(part, goal, place))
            };
            if self.quietly(whole) {
                return true;
            }
            let mut holds = true;
            for part in &parts {
                holds &= self.contained(part, goal, place);
            }
            return holds;
        }
        let (rule, keyword) = match (exclusive, found) {
            (true, Some(_)) => ("one-of-overlap", "/oneOf"),
            (true, None) => ("alternative-removed", "/oneOf"),
            (false, _) => ("alternative-removed", "/anyOf"),
        };
        let mut witnesses: Vec<Conj> = Vec::new();
        if exclusive {
            let both = live.iter().map(|one| with(&shape.conj, Lit::yes(*one)));
            witnesses.extend(both.take(6));
        }
        let message = match rule {
            "one-of-overlap" => "more than one alternative may fit".to_owned(),
            _ => "none of the alternatives takes all that was allowed".to_owned(),
        };
        self.fail(Fail {
            rule,
            message,
            keyword: keyword.into(),
            origin: |one| !one.any_of.is_empty() || !one.one_of.is_empty(),
            witnesses,
            ..Fail::at(shape, Lit::yes(node))
        })
    }

    /// The case in smaller parts: by type, or by a property whose values can be counted.
    fn parts(&mut self, shape: &Rc<Shape>) -> Option<Vec<Conj>> {
        let mut groups: Vec<Types> = Vec::new();
        if shape.types.meets(Types::NUMBER) {
            groups.push(shape.types.and(Types::NUMBER));
        }
        groups.extend(shape.types.without(Types::NUMBER).each());
        if groups.len() > 1 {
            let each = groups.into_iter().map(|group| {
                let typed = self.space.typed(group);
                with(&shape.conj, Lit::yes(typed))
            });
            return Some(each.collect());
        }
        if shape.types != Types::OBJECT {
            return None;
        }
        let required: Vec<String> = shape.required().iter().cloned().collect();
        for name in required {
            let all = self.space.property(shape, &name);
            let cases = self.space.expand(&all);
            let values: Option<Vec<_>> = cases.iter().map(|case| case.values.clone()).collect();
            let Some(values) = values else { continue };
            let mut values: Vec<_> = values.into_iter().flatten().collect();
            values.dedup();
            let plain = values
                .iter()
                .all(|one| one.is_string() || one.is_boolean() || one.is_null());
            if plain && values.len() > 1 && values.len() <= PINNED {
                let each = values.iter().map(|value| {
                    let pinned = self.space.pinned(&name, value);
                    with(&shape.conj, Lit::yes(pinned))
                });
                return Some(each.collect());
            }
        }
        None
    }

    /// No value fits what is negated.
    pub(super) fn outside(&mut self, shape: &Rc<Shape>, goal: Lit) -> bool {
        let both = with(&shape.conj, Lit::yes(goal.node));
        if self.quietly(|prover| prover.nothing_fits(&both)) {
            return true;
        }
        self.fail(Fail {
            rule: "excluded",
            message: "what is excluded was allowed".into(),
            witnesses: vec![both],
            ..Fail::at(shape, goal)
        })
    }
}
