//! What a case says of the values inside of a value: of a property, of an item.

use crate::{
    shape::Shape,
    space::{Body, Conj, Lit, NodeId, Space, conj},
    types::Types,
};

/// Properties of which a case knows nothing but their names' class.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Class<'p> {
    /// Match this pattern of some source.
    Pattern(&'p str),
    /// Match no pattern of any source.
    Other,
}

impl Space<'_> {
    /// What holds for the property `name`.
    pub fn property(&mut self, shape: &Shape, name: &str) -> Conj {
        if shape.absent.contains(name) || shape.max(|one| one.max_properties) == Some(0) {
            return conj([Lit::yes(self.never())]);
        }
        let mut lits = Vec::new();
        for (node, keywords) in &shape.sources {
            let before = lits.len();
            lits.extend(keywords.properties.get(name).map(|node| Lit::yes(*node)));
            for (pattern, node) in &keywords.patterns {
                if self.matches(pattern, name) {
                    lits.push(Lit::yes(*node));
                }
            }
            if lits.len() == before {
                if let Some(additional) = keywords.additional {
                    lits.push(Lit::yes(additional));
                } else if let Some(unevaluated) = keywords.unevaluated
                    && !self.may_evaluate(*node, name)
                {
                    lits.push(Lit::yes(unevaluated));
                }
            }
            if let Some(names) = keywords.names
                && self.accepts(Lit::yes(names), &name.into()) == Some(false)
            {
                return conj([Lit::yes(self.never())]);
            }
        }
        conj(lits)
    }

    /// What holds for all properties of a class that no source names.
    pub fn unnamed(&mut self, shape: &Shape, class: Class<'_>) -> Conj {
        let named = shape.named();
        let mut lits = Vec::new();
        for (node, keywords) in &shape.sources {
            let mut own = false;
            let mut free = keywords.patterns.is_empty();
            match class {
                Class::Pattern(pattern) => {
                    for (_, node) in keywords.patterns.iter().filter(|(own, _)| own == pattern) {
                        lits.push(Lit::yes(*node));
                        own = true;
                    }
                }
                Class::Other => free = true,
            }
            if own || !free {
                continue;
            }
            if let Some(additional) = keywords.additional {
                lits.push(Lit::yes(additional));
            } else if let Some(unevaluated) = keywords.unevaluated {
                let others = self.in_place(*node);
                let quiet = self.reach(&others).into_iter().all(|other| {
                    self.keywords(other).is_none_or(|one| {
                        one.patterns.is_empty()
                            && one.additional.is_none()
                            && one.unevaluated.is_none()
                            && one
                                .properties
                                .keys()
                                .all(|name| named.contains(name.as_str()))
                    })
                });
                if quiet {
                    lits.push(Lit::yes(unevaluated));
                }
            }
        }
        conj(lits)
    }

    fn may_evaluate(&mut self, node: NodeId, name: &str) -> bool {
        let others = self.in_place(node);
        for other in self.reach(&others) {
            let Some(keywords) = self.keywords(other) else {
                continue;
            };
            if keywords.properties.contains_key(name)
                || keywords.additional.is_some()
                || keywords.unevaluated.is_some()
                || keywords
                    .patterns
                    .iter()
                    .any(|(pattern, _)| self.matches(pattern, name))
            {
                return true;
            }
        }
        false
    }

    /// What holds for the item at an index.
    pub fn item(&mut self, shape: &Shape, index: usize) -> Conj {
        let mut lits = Vec::new();
        for (node, keywords) in &shape.sources {
            if let Some(item) = keywords.prefix.get(index).copied().or(keywords.items) {
                lits.push(Lit::yes(item));
            } else if let Some(unevaluated) = keywords.unevaluated_items
                && keywords.contains.is_none()
            {
                let others = self.in_place(*node);
                let evaluated = self.reach(&others).into_iter().any(|other| {
                    self.keywords(other).is_some_and(|one| {
                        one.prefix.len() > index
                            || one.items.is_some()
                            || one.unevaluated_items.is_some()
                            || one.contains.is_some()
                    })
                });
                if !evaluated {
                    lits.push(Lit::yes(unevaluated));
                }
            }
        }
        conj(lits)
    }

    /// The most items there can be.
    pub fn most_items(&mut self, shape: &Shape) -> Option<u64> {
        let mut most = shape.max(|one| one.max_items);
        for index in 0..=shape.prefix().min(64) {
            if most.is_some_and(|most| most <= index as u64) {
                break;
            }
            let item = self.item(shape, index);
            if self.expand(&item).is_empty() {
                most = Some(index as u64);
            }
        }
        most
    }

    /// All names that properties can have, when they can be counted.
    pub fn counted_names(&mut self, shape: &Shape) -> Option<Vec<String>> {
        if shape.max(|one| one.max_properties) == Some(0) {
            return Some(Vec::new());
        }
        let names: Vec<Lit> = (shape.sources.iter())
            .filter_map(|(_, one)| one.names.map(Lit::yes))
            .collect();
        if !names.is_empty() {
            let texts = self.typed(Types::STRING);
            let cases = self.expand(&conj(names.into_iter().chain([Lit::yes(texts)])));
            let mut all = Vec::new();
            let counted = cases.iter().all(|case| {
                case.values.as_ref().is_some_and(|values| {
                    all.extend(
                        values
                            .iter()
                            .filter_map(|one| one.as_str().map(str::to_owned)),
                    );
                    true
                })
            });
            if counted {
                all.sort_unstable();
                all.dedup();
                return Some(all);
            }
        }
        let mut classes = vec![self.unnamed(shape, Class::Other)];
        for (_, keywords) in &shape.sources {
            for (pattern, _) in &keywords.patterns {
                classes.push(self.unnamed(shape, Class::Pattern(pattern)));
            }
        }
        let closed = classes.iter().all(|class| self.expand(class).is_empty());
        closed.then(|| shape.named().iter().cloned().collect())
    }

    /// Whether nothing is asked.
    pub fn is_open(&mut self, all: &Conj) -> bool {
        all.iter()
            .all(|lit| !lit.negated && matches!(self.body(lit.node), Body::Any))
    }
}
