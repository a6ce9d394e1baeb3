//! Properties.

use std::{collections::BTreeSet, rc::Rc};

use super::{Fail, Prover, Step};
use crate::{
    children::Class,
    keywords::Keywords,
    lenient::{Into, PlaceId},
    shape::Shape,
    space::{Lit, NodeId, conj, with},
    text,
    types::Types,
};

/// What a schema certainly looks at.
#[derive(Default)]
struct Evaluated {
    all: bool,
    names: BTreeSet<String>,
    patterns: BTreeSet<String>,
}

impl Prover<'_, '_> {
    pub(super) fn objects(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        goal: &Keywords,
        place: PlaceId,
    ) -> bool {
        if !shape.types.meets(Types::OBJECT) {
            return true;
        }
        let mut holds = self.required(shape, node, goal);
        for (name, inner) in &goal.properties {
            holds &= self.property(shape, name, *inner, place);
        }
        for (pattern, inner) in &goal.patterns {
            holds &= self.matching(shape, pattern, *inner, place);
        }
        if let Some(additional) = goal.additional {
            let looked_at = Evaluated {
                all: false,
                names: goal.properties.keys().cloned().collect(),
                patterns: goal
                    .patterns
                    .iter()
                    .map(|(pattern, _)| pattern.clone())
                    .collect(),
            };
            holds &= self.others(shape, &looked_at, additional, place);
        } else if let Some(unevaluated) = goal.unevaluated {
            let mut looked_at = Evaluated::default();
            self.evaluated(node, 0, &mut looked_at);
            holds &= looked_at.all || self.others(shape, &looked_at, unevaluated, place);
        }
        if let Some(names) = goal.names {
            holds &= self.names(shape, node, names);
        }
        holds &= self.property_counts(shape, node, goal);
        holds & self.dependents(shape, node, goal, place)
    }

    fn required(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let mut holds = true;
        for name in &goal.required {
            if shape.required().contains(name.as_str()) {
                continue;
            }
            holds &= self.fail(Fail {
                rule: "required-added",
                message: format!("{name:?} became required"),
                keyword: "/required".into(),
                origin: |one| !one.properties.is_empty(),
                names: vec![name.clone()],
                ..Fail::at(shape, Lit::yes(node))
            });
        }
        holds
    }

    fn property(&mut self, shape: &Rc<Shape>, name: &str, goal: NodeId, place: PlaceId) -> bool {
        let all = self.space.property(shape, name);
        let step = (place, Into::Property(name.to_owned()));
        if !self.space.is_open(&all) {
            return self.inside(shape, Step::Property(name.to_owned()), &all, goal, step);
        }
        if place != 0 && !self.places.describes(self.space, place, name) {
            return true;
        }
        let any = self.quietly(|prover| {
            prover.inside(shape, Step::Property(name.to_owned()), &all, goal, step)
        });
        any || self.added(shape, name, goal)
    }

    /// A property that was free is described now.
    fn added(&mut self, shape: &Rc<Shape>, name: &str, goal: NodeId) -> bool {
        let known = shape
            .sources
            .iter()
            .any(|(_, one)| one.properties.contains_key(name));
        let (rule, message) = if known {
            ("property-narrowed", format!("{name:?} could hold anything"))
        } else {
            (
                "property-added-open-model",
                format!("{name:?} was not described, so it could hold anything"),
            )
        };
        let open = conj([]);
        let cases = self.space.expand(&open);
        let Some(case) = cases.first().cloned() else {
            return false;
        };
        let parent = self.trail.clone();
        self.trail = Some(Rc::new(super::Trail {
            parent: parent.clone(),
            shape: shape.clone(),
            step: Step::Property(name.to_owned()),
        }));
        self.fail(Fail {
            rule,
            message,
            ..Fail::at(&case, Lit::yes(goal))
        });
        self.trail = parent;
        false
    }

    /// All properties whose names match.
    fn matching(&mut self, shape: &Rc<Shape>, pattern: &str, goal: NodeId, place: PlaceId) -> bool {
        let mut holds = true;
        let counted = self.space.counted_names(shape);
        let named: Vec<String> = match &counted {
            Some(names) => names.clone(),
            None => shape.named().iter().cloned().collect(),
        };
        for name in named {
            if self.space.matches(pattern, &name) {
                holds &= self.property(shape, &name, goal, place);
            }
        }
        if counted.is_some() {
            return holds;
        }
        let all = self.space.unnamed(shape, Class::Pattern(pattern));
        let name = text::matching(pattern, 0).unwrap_or_else(|| "x".to_owned());
        holds
            & self.inside(
                shape,
                Step::Property(name),
                &all,
                goal,
                (place, Into::AnyProperty),
            )
    }

    /// All properties that are not looked at otherwise.
    fn others(
        &mut self,
        shape: &Rc<Shape>,
        looked_at: &Evaluated,
        goal: NodeId,
        place: PlaceId,
    ) -> bool {
        let mut holds = true;
        let counted = self.space.counted_names(shape);
        let named: Vec<String> = match &counted {
            Some(names) => names.clone(),
            None => shape.named().iter().cloned().collect(),
        };
        for name in named {
            let seen = looked_at.names.contains(&name)
                || looked_at
                    .patterns
                    .iter()
                    .any(|one| self.space.matches(one, &name));
            if !seen {
                let all = self.space.property(shape, &name);
                let step = (place, Into::Property(name.clone()));
                holds &= self.inside(shape, Step::Property(name), &all, goal, step);
            }
        }
        if counted.is_some() {
            return holds;
        }
        let mut classes: Vec<Option<String>> = vec![None];
        for (_, keywords) in &shape.sources {
            for (pattern, _) in &keywords.patterns {
                let class = Some(pattern.clone());
                if !looked_at.patterns.contains(pattern) && !classes.contains(&class) {
                    classes.push(class);
                }
            }
        }
        for class in classes {
            let all = match &class {
                Some(pattern) => self.space.unnamed(shape, Class::Pattern(pattern)),
                None => self.space.unnamed(shape, Class::Other),
            };
            let name = class
                .as_deref()
                .and_then(|pattern| text::matching(pattern, 0));
            let name = name.unwrap_or_else(|| self.fresh(shape, looked_at));
            holds &= self.inside(
                shape,
                Step::Property(name),
                &all,
                goal,
                (place, Into::AnyProperty),
            );
        }
        holds
    }

    /// A name that nobody speaks of.
    fn fresh(&mut self, shape: &Rc<Shape>, looked_at: &Evaluated) -> String {
        let sources = shape.sources.iter().flat_map(|(_, one)| &one.patterns);
        let mut patterns: Vec<String> = sources.map(|(pattern, _)| pattern.clone()).collect();
        patterns.extend(looked_at.patterns.iter().cloned());
        let named = shape.named();
        let taken = |name: &str| named.contains(name) || looked_at.names.contains(name);
        let tries = [
            "additional",
            "x",
            "X-additional",
            "0",
            "_",
            "é",
            "additional property",
            "~",
        ];
        let numbered = (0..50).map(|number| format!("additional{number}"));
        let mut all = tries.iter().map(|one| (*one).to_owned()).chain(numbered);
        let found = all.find(|name| {
            let names: Vec<NodeId> = shape
                .sources
                .iter()
                .filter_map(|(_, one)| one.names)
                .collect();
            !taken(name)
                && !patterns.iter().any(|one| self.space.matches(one, name))
                && names.iter().all(|node| {
                    self.space.accepts(Lit::yes(*node), &name.as_str().into()) == Some(true)
                })
        });
        found.unwrap_or_else(|| "additional".to_owned())
    }

    fn evaluated(&mut self, node: NodeId, depth: usize, into: &mut Evaluated) {
        let Some(keywords) = self.space.keywords(node).filter(|_| depth < 50) else {
            return;
        };
        into.all |= keywords.additional.is_some() || (depth > 0 && keywords.unevaluated.is_some());
        into.names.extend(keywords.properties.keys().cloned());
        into.patterns
            .extend(keywords.patterns.iter().map(|(pattern, _)| pattern.clone()));
        for inner in keywords.reference.iter().chain(&keywords.all_of) {
            self.evaluated(*inner, depth + 1, into);
        }
    }

    fn names(&mut self, shape: &Rc<Shape>, node: NodeId, goal: NodeId) -> bool {
        if let Some(names) = self.space.counted_names(shape) {
            let refused = names.into_iter().find(|name| {
                if self.space.accepts(Lit::yes(goal), &name.as_str().into()) == Some(true) {
                    return false;
                }
                let all = self.space.property(shape, name);
                !self.quietly(|prover| prover.nothing_fits(&all))
            });
            let Some(refused) = refused else {
                return true;
            };
            return self.fail(Fail {
                rule: "property-names-tightened",
                message: format!("a property must not be named {refused:?}"),
                keyword: "/propertyNames".into(),
                names: vec![refused],
                ..Fail::at(shape, Lit::yes(node))
            });
        }
        let own = shape
            .sources
            .iter()
            .filter_map(|(_, one)| one.names.map(Lit::yes));
        let texts = self.space.typed(Types::STRING);
        let all = conj(own.chain([Lit::yes(texts)]));
        let holds = self.quietly(|prover| {
            prover.depth += 1;
            let holds = prover.contained(&all, Lit::yes(goal), 0);
            prover.depth -= 1;
            holds
        });
        holds
            || self.fail(Fail {
                rule: "property-names-tightened",
                message: "fewer names of properties are allowed".into(),
                keyword: "/propertyNames".into(),
                origin: |one| one.names.is_some(),
                ..Fail::at(shape, Lit::yes(node))
            })
    }

    fn property_counts(&mut self, shape: &Rc<Shape>, node: NodeId, goal: &Keywords) -> bool {
        let at = || Fail::at(shape, Lit::yes(node));
        let mut holds = true;
        let least = shape
            .min(|one| one.min_properties)
            .max(shape.required().len() as u64);
        if least < goal.min_properties {
            holds &= self.fail(Fail {
                rule: "property-count-tightened",
                message: format!("objects need {} properties at least", goal.min_properties),
                keyword: "/minProperties".into(),
                origin: |one| one.min_properties > 0,
                ..at()
            });
        }
        if let Some(most) = goal.max_properties {
            let own = shape.max(|one| one.max_properties);
            let counted = self
                .space
                .counted_names(shape)
                .map(|names| names.len() as u64);
            if own.is_none_or(|own| own > most) && counted.is_none_or(|own| own > most) {
                holds &= self.fail(Fail {
                    rule: "property-count-tightened",
                    message: format!("objects may have {most} properties at most"),
                    keyword: "/maxProperties".into(),
                    origin: |one| one.max_properties.is_some(),
                    ..at()
                });
            }
        }
        holds
    }

    fn dependents(
        &mut self,
        shape: &Rc<Shape>,
        node: NodeId,
        goal: &Keywords,
        place: PlaceId,
    ) -> bool {
        let mut holds = true;
        for (name, needs) in &goal.dependent_required {
            let own: BTreeSet<&str> = (shape.sources.iter())
                .filter_map(|(_, one)| one.dependent_required.get(name))
                .flatten()
                .map(String::as_str)
                .chain(shape.required().iter().map(String::as_str))
                .collect();
            let missing = needs
                .iter()
                .find(|need| *need != name && !own.contains(need.as_str()));
            let Some(missing) = missing else {
                continue;
            };
            let all = self.space.property(shape, name);
            if self.quietly(|prover| prover.nothing_fits(&all)) {
                continue;
            }
            let having = self.space.having(name);
            holds &= self.fail(Fail {
                rule: "dependency-added",
                message: format!("{name:?} needs {missing:?} beside it"),
                keyword: "/dependentRequired".into(),
                names: vec![missing.clone(), name.clone()],
                witnesses: vec![with(&shape.conj, Lit::yes(having))],
                ..Fail::at(shape, Lit::yes(node))
            });
        }
        for (name, inner) in &goal.dependent_schemas {
            let having = self.space.having(name);
            let all = with(&shape.conj, Lit::yes(having));
            holds &= self.contained(&all, Lit::yes(*inner), place);
        }
        holds
    }
}
