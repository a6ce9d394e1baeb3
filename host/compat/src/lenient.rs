//! What the lenient policy leaves out: documents in which a property that the writer's schema does not
//! describe has a value that the reader's schema, which does describe it, refuses.
//!
//! The writer's schemas of a place are gathered over all their alternatives: a property that any of
//! them describes is described.

use std::{collections::HashMap, rc::Rc};

use serde_json::Value;

use crate::space::{Body, NodeId, Space};

/// Schemas of one side that may hold in one place; 0 when this is not asked.
pub(crate) type PlaceId = u32;

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Into {
    Property(String),
    /// Some property that is not named.
    AnyProperty,
    Item(usize),
    /// Some item behind those that are told apart.
    AnyItem,
}

#[derive(Default)]
pub(crate) struct Places {
    places: Vec<Rc<[NodeId]>>,
    index: HashMap<Rc<[NodeId]>, PlaceId>,
    steps: HashMap<(PlaceId, Into), PlaceId>,
}

impl Places {
    /// The place where these schemas, and what they reach, may hold.
    pub fn at(&mut self, space: &mut Space<'_>, nodes: &[NodeId]) -> PlaceId {
        let reach: Rc<[NodeId]> = space.reach(nodes).into();
        if let Some(place) = self.index.get(&reach) {
            return *place;
        }
        self.places.push(reach.clone());
        let place = PlaceId::try_from(self.places.len()).unwrap_or(PlaceId::MAX);
        self.index.insert(reach, place);
        place
    }

    fn nodes(&self, place: PlaceId) -> Rc<[NodeId]> {
        self.places[place as usize - 1].clone()
    }

    pub fn step(&mut self, space: &mut Space<'_>, place: PlaceId, into: Into) -> PlaceId {
        if place == 0 {
            return 0;
        }
        let key = (place, into);
        if let Some(known) = self.steps.get(&key) {
            return *known;
        }
        let mut inner = Vec::new();
        for node in self.nodes(place).iter() {
            let Some(keywords) = space.keywords(*node) else {
                continue;
            };
            match &key.1 {
                Into::AnyProperty => inner.extend(space.inside_object(*node)),
                Into::AnyItem => inner.extend(space.inside_array(*node)),
                Into::Property(name) => {
                    let before = inner.len();
                    inner.extend(keywords.properties.get(name));
                    for (pattern, node) in &keywords.patterns {
                        if space.matches(pattern, name) {
                            inner.push(*node);
                        }
                    }
                    if inner.len() == before {
                        inner.extend(keywords.additional);
                    }
                    inner.extend(keywords.unevaluated);
                }
                Into::Item(index) => {
                    inner.extend(keywords.prefix.get(*index).copied().or(keywords.items));
                    inner.extend(keywords.unevaluated_items);
                    inner.extend(keywords.contains.as_ref().map(|one| one.node));
                }
            }
        }
        let found = self.at(space, &inner);
        self.steps.insert(key, found);
        found
    }

    /// Whether some schema of the place speaks of the property.
    pub fn describes(&self, space: &mut Space<'_>, place: PlaceId, name: &str) -> bool {
        self.nodes(place).iter().any(|node| {
            let Some(keywords) = space.keywords(*node) else {
                return false;
            };
            let mut says = |node: Option<NodeId>| {
                node.is_some_and(|node| !matches!(space.body(node), Body::Any))
            };
            says(keywords.additional)
                || says(keywords.unevaluated)
                || keywords.properties.contains_key(name)
                || keywords.required.iter().any(|one| one == name)
                || keywords.dependent_required.contains_key(name)
                || keywords.dependent_schemas.contains_key(name)
                || keywords
                    .patterns
                    .iter()
                    .any(|(pattern, _)| space.matches(pattern, name))
        })
    }

    fn names(&self, space: &mut Space<'_>, place: PlaceId, name: &str) -> bool {
        self.nodes(place).iter().any(|node| {
            space
                .keywords(*node)
                .is_some_and(|one| one.properties.contains_key(name))
        })
    }

    /// Whether a document is left out.
    pub fn leaves_out(
        &mut self,
        space: &mut Space<'_>,
        from: PlaceId,
        into: PlaceId,
        value: &Value,
    ) -> bool {
        match value {
            Value::Object(members) => members.iter().any(|(name, member)| {
                if !self.describes(space, from, name) && self.names(space, into, name) {
                    return true;
                }
                let step = Into::Property(name.clone());
                let inner = self.step(space, from, step.clone());
                let other = self.step(space, into, step);
                self.leaves_out(space, inner, other, member)
            }),
            Value::Array(items) => items.iter().enumerate().any(|(index, item)| {
                let inner = self.step(space, from, Into::Item(index));
                let other = self.step(space, into, Into::Item(index));
                self.leaves_out(space, inner, other, item)
            }),
            _ => false,
        }
    }
}
