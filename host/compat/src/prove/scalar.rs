//! Types, values, numbers and texts.

use std::rc::Rc;

use super::{Fail, Prover};
use crate::{
    keywords::Keywords,
    number::{Bound, divides},
    shape::Shape,
    space::{Body, Lit, NodeId},
    types::Types,
};

impl Prover<'_, '_> {
    pub(super) fn scalars(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let mut holds = true;
        let at = || Fail::at(shape, Lit::yes(node));
        if let Some(types) = goal.types
            && !shape.types.within(types)
        {
            let message = format!("{} became {}", shape.types.words(), types.words());
            holds &= self.fail(Fail {
                rule: "type-narrowed",
                message,
                keyword: "/type".into(),
                origin: |one| one.types.is_some(),
                ..at()
            });
        }
        if !goal.values.is_empty() && !self.all_values_fit(shape, node) {
            let rule = self.value_rule(node);
            holds &= self.fail(Fail {
                rule,
                message: "values that are not listed were allowed".into(),
                origin: |one| !one.values.is_empty(),
                ..at()
            });
        }
        if !goal.opaque.is_empty() {
            holds &= self.fail(Fail {
                rule: "not-comparable",
                message: format!("{} cannot be compared", goal.opaque.join(", ")),
                ..at()
            });
        }
        if shape.types.meets(Types::NUMBER) {
            holds &= self.numbers(shape, node, goal);
        }
        if shape.types.meets(Types::STRING) {
            holds &= self.texts(shape, node, goal);
        }
        holds
    }

    fn all_values_fit(&mut self, shape: &Rc<Shape>, node: NodeId) -> bool {
        let values = shape.values.iter().flatten();
        let fit = values.map(|value| self.space.accepts(Lit::yes(node), value));
        shape.values.is_some() && fit.into_iter().all(|fits| fits == Some(true))
    }

    /// The name of the rule when a single value is refused.
    pub(super) fn value_rule(&mut self, node: NodeId) -> &'static str {
        match self.space.body(node) {
            Body::Object(keywords) if keywords.values.iter().any(|list| list.len() == 1) => {
                "const-changed"
            }
            Body::Object(keywords) if !keywords.values.is_empty() => "enum-value-removed",
            Body::Object(keywords) if keywords.types.is_some() => "type-narrowed",
            _ => "value-refused",
        }
    }

    fn numbers(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let at = || Fail::at(shape, Lit::yes(node));
        let mut holds = true;
        let (lower, upper) = (shape.lower(), shape.upper());
        let loose = |bounds: &[Bound], of: &[Bound], keeps: fn(&Bound, &Bound) -> bool| {
            bounds
                .iter()
                .find(|bound| !of.iter().any(|own| keeps(own, bound)))
                .cloned()
        };
        if let Some(bound) = loose(&goal.lower, &lower, Bound::at_least) {
            holds &= self.fail(Fail {
                rule: "bound-tightened",
                message: format!("the smallest number allowed became {}", words(&bound)),
                keyword: keyword("inimum", &bound),
                origin: |one| !one.lower.is_empty(),
                ..at()
            });
        }
        if let Some(bound) = loose(&goal.upper, &upper, Bound::at_most) {
            holds &= self.fail(Fail {
                rule: "bound-tightened",
                message: format!("the largest number allowed became {}", words(&bound)),
                keyword: keyword("aximum", &bound),
                origin: |one| !one.upper.is_empty(),
                ..at()
            });
        }
        if let Some(step) = &goal.multiple {
            let whole = !shape.types.meets(Types::FRACTION) && step.as_u64() == Some(1);
            let mut multiples = shape
                .sources
                .iter()
                .filter_map(|(_, one)| one.multiple.as_ref());
            if !whole && !multiples.any(|own| divides(step, own)) {
                holds &= self.fail(Fail {
                    rule: "multiple-changed",
                    message: format!("numbers have to be multiples of {step}"),
                    keyword: "/multipleOf".into(),
                    origin: |one| one.multiple.is_some(),
                    ..at()
                });
            }
        }
        holds
    }

    fn texts(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let at = || Fail::at(shape, Lit::yes(node));
        let mut holds = true;
        if shape.min(|one| one.min_length) < goal.min_length {
            holds &= self.fail(Fail {
                rule: "length-tightened",
                message: format!("texts need {} characters at least", goal.min_length),
                keyword: "/minLength".into(),
                origin: |one| one.min_length > 0,
                ..at()
            });
        }
        if let Some(most) = goal.max_length
            && shape.max(|one| one.max_length).is_none_or(|own| own > most)
        {
            holds &= self.fail(Fail {
                rule: "length-tightened",
                message: format!("texts may have {most} characters at most"),
                keyword: "/maxLength".into(),
                origin: |one| one.max_length.is_some(),
                ..at()
            });
        }
        if let Some(pattern) = &goal.pattern
            && !shape
                .sources
                .iter()
                .any(|(_, one)| one.pattern.as_ref() == Some(pattern))
        {
            holds &= self.fail(Fail {
                rule: "pattern-changed",
                message: format!("texts have to match {pattern:?}"),
                keyword: "/pattern".into(),
                origin: |one| one.pattern.is_some(),
                ..at()
            });
        }
        if let Some(format) = &goal.format
            && !shape
                .sources
                .iter()
                .any(|(_, one)| one.format.as_ref() == Some(format))
        {
            holds &= self.fail(Fail {
                rule: "format-changed",
                message: format!("texts have to be of the format {format}"),
                keyword: "/format".into(),
                origin: |one| one.format.is_some(),
                ..at()
            });
        }
        holds
    }
}

fn words(bound: &Bound) -> String {
    let kind = if bound.exclusive { ", without it" } else { "" };
    format!("{}{kind}", bound.limit)
}

fn keyword(rest: &str, bound: &Bound) -> String {
    let start = if bound.exclusive { "exclusiveM" } else { "m" };
    format!("/{start}{rest}")
}
