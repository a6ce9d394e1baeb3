//! Filters that were checked and run: an attribute's name is resolved, an expression parsed, once.

use std::collections::BTreeMap;

use crate::{Attribute, Attributes, Error, Errors, Filter, Type, Value, cesql::Expression};

/// How deep filters may stand in `all`, `any` and `not`. The array itself does not count.
pub const MAX_DEPTH: usize = 32;

/// How many filters one array may have, those in `all`, `any` and `not` included.
pub const MAX_FILTERS: usize = 1000;

/// No more faults than this are told.
const MOST_ERRORS: usize = 20;

/// An array of filters, ready to run. Cheap to ask, and shared by reference between threads.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Compiled {
    filters: Box<[Node]>,
}

/// Attributes and what each is compared with.
type Texts = Box<[(Attribute, Box<str>)]>;

#[derive(Clone, Debug, PartialEq, Eq)]
enum Node {
    Exact(Texts),
    Prefix(Texts),
    Suffix(Texts),
    All(Box<[Node]>),
    Any(Box<[Node]>),
    Not(Box<Node>),
    Sql(Expression),
}

impl Compiled {
    /// Filters of which all must take an event. No filters take every event.
    ///
    /// # Errors
    /// Every filter that cannot be used, with its place.
    pub fn all(filters: &[Filter]) -> Result<Self, Errors> {
        let mut compiler = Compiler::default();
        let nodes = compiler.nodes(filters, "", 0);
        if compiler.errors.is_empty() {
            Ok(Self { filters: nodes })
        } else {
            Err(Errors(compiler.errors))
        }
    }

    /// Whether the event passes.
    #[must_use]
    #[inline]
    pub fn takes<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        self.filters.iter().all(|node| node.takes(event))
    }

    /// Whether every event passes, because there are no filters.
    #[must_use]
    pub fn takes_everything(&self) -> bool {
        self.filters.is_empty()
    }
}

impl Node {
    fn takes<E: Attributes + ?Sized>(&self, event: &E) -> bool {
        match self {
            Self::Exact(texts) => each(event, texts, |value, text| value == text),
            Self::Prefix(texts) => each(event, texts, |value, text| value.starts_with(text)),
            Self::Suffix(texts) => each(event, texts, |value, text| value.ends_with(text)),
            Self::All(nodes) => nodes.iter().all(|node| node.takes(event)),
            Self::Any(nodes) => nodes.iter().any(|node| node.takes(event)),
            Self::Not(node) => !node.takes(event),
            Self::Sql(expression) => expression.takes(event),
        }
    }
}

/// Whether each attribute is there and holds.
#[inline]
fn each<E: Attributes + ?Sized>(
    event: &E,
    texts: &[(Attribute, Box<str>)],
    holds: impl Fn(&str, &str) -> bool,
) -> bool {
    texts.iter().all(|(attribute, text)| {
        event.get(attribute).is_some_and(|value| match value {
            Value::String(value) => holds(&value, text),
            value => value.with_text(|value| holds(value, text)),
        })
    })
}

#[derive(Default)]
struct Compiler {
    count: usize,
    errors: Vec<Error>,
}

impl Compiler {
    fn fault(&mut self, pointer: &str, reason: impl Into<String>) {
        if self.errors.len() < MOST_ERRORS {
            self.errors.push(Error {
                pointer: pointer.to_owned(),
                reason: reason.into(),
            });
        }
    }

    fn nodes(&mut self, filters: &[Filter], pointer: &str, depth: usize) -> Box<[Node]> {
        let mut nodes = Vec::with_capacity(filters.len().min(MAX_FILTERS));
        for (index, filter) in filters.iter().enumerate() {
            nodes.extend(self.node(filter, &format!("{pointer}/{index}"), depth));
            if self.count > MAX_FILTERS {
                break;
            }
        }
        nodes.into()
    }

    /// The node of a filter at `pointer`, or nothing where a fault was found.
    fn node(&mut self, filter: &Filter, pointer: &str, depth: usize) -> Option<Node> {
        self.count += 1;
        if self.count > MAX_FILTERS {
            self.fault(
                pointer,
                format!("there are more than {MAX_FILTERS} filters"),
            );
            return None;
        }
        if depth > MAX_DEPTH {
            self.fault(
                pointer,
                format!("filters stand in each other more than {MAX_DEPTH} deep"),
            );
            return None;
        }
        let inside = format!("{pointer}/{}", filter.dialect());
        match filter {
            Filter::Exact(texts) => self.texts(texts, &inside).map(Node::Exact),
            Filter::Prefix(texts) => self.texts(texts, &inside).map(Node::Prefix),
            Filter::Suffix(texts) => self.texts(texts, &inside).map(Node::Suffix),
            Filter::All(filters) => self.some(filters, &inside, depth).map(Node::All),
            Filter::Any(filters) => self.some(filters, &inside, depth).map(Node::Any),
            Filter::Not(filter) => {
                let node = self.node(filter, &inside, depth + 1)?;
                Some(Node::Not(Box::new(node)))
            }
            Filter::Sql(text) => self.expression(text, &inside).map(Node::Sql),
        }
    }

    fn some(&mut self, filters: &[Filter], pointer: &str, depth: usize) -> Option<Box<[Node]>> {
        if filters.is_empty() {
            self.fault(pointer, "must have at least one filter");
            return None;
        }
        Some(self.nodes(filters, pointer, depth + 1))
    }

    fn expression(&mut self, text: &str, pointer: &str) -> Option<Expression> {
        match Expression::parse(text) {
            Err(error) => self.fault(pointer, error.to_string()),
            Ok(expression) => match expression.value_type() {
                None | Some(Type::Boolean) => return Some(expression),
                Some(other) => self.fault(
                    pointer,
                    format!(
                        "the expression gives {other}; a filter takes an event only where it gives the Boolean true"
                    ),
                ),
            },
        }
        None
    }

    fn texts(&mut self, texts: &BTreeMap<String, String>, pointer: &str) -> Option<Texts> {
        if texts.is_empty() {
            self.fault(pointer, "must name at least one attribute");
            return None;
        }
        let mut checked = Vec::with_capacity(texts.len());
        for (name, text) in texts {
            let place = || format!("{pointer}/{}", name.replace('~', "~0").replace('/', "~1"));
            match Attribute::new(name) {
                Err(reason) => self.fault(&place(), reason),
                Ok(_) if text.is_empty() => self.fault(
                    &place(),
                    "the text to compare with must not be empty; no attribute is",
                ),
                Ok(attribute) => checked.push((attribute, text.as_str().into())),
            }
        }
        Some(checked.into())
    }
}
