//! Which branch of a union a JSON value is of.
//!
//! The usual form of a value is what nearly all values of a type look like; the unusual one is what is
//! left: `"NaN"`, and dates that their text cannot say. The rule is in the head of the crate.

use std::collections::HashMap;

use serde_json::Value;

use crate::{
    name,
    node::{Id, Kind, Node, Types},
};

#[derive(Debug, Default)]
pub(crate) struct Union {
    pub branches: Vec<Id>,
    pub null: Option<usize>,
    pub form: Form,
    /// The places of the branches by what the specification's JSON encoding calls them.
    by_name: HashMap<String, usize>,
    /// The places of those with names, by the name without namespace and by each alias: a union may
    /// have thousands.
    by_simple: HashMap<String, Vec<usize>>,
    by_alias: HashMap<String, Vec<usize>>,
    /// The places of those without.
    unnamed: Vec<usize>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    /// Every value but null is `{"branch": value}`.
    #[default]
    Named,
    /// Values are bare; a name is understood too, and used where a value looks like another branch's.
    Bare,
    /// Values are bare, and an object is always the value of a branch.
    BareObjects,
}

/// A set of JSON's types, as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Shapes(u8);

impl Shapes {
    const NONE: Self = Self(0);
    const NULL: Self = Self(1);
    const BOOLEAN: Self = Self(2);
    const INTEGER: Self = Self(4);
    const FRACTION: Self = Self(8);
    const TEXT: Self = Self(16);
    const ARRAY: Self = Self(32);
    const OBJECT: Self = Self(64);
    const NUMBER: Self = Self(4 | 8);

    const fn and(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    const fn meets(self, other: Self) -> bool {
        self.0 & other.0 != 0
    }

    fn of(json: &Value) -> Self {
        match json {
            Value::Null => Self::NULL,
            Value::Bool(_) => Self::BOOLEAN,
            Value::Number(number) if number.is_f64() => Self::FRACTION,
            Value::Number(_) => Self::INTEGER,
            Value::String(_) => Self::TEXT,
            Value::Array(_) => Self::ARRAY,
            Value::Object(_) => Self::OBJECT,
        }
    }
}

/// How values of a type look as JSON: usually, and otherwise.
fn shapes(node: &Node) -> (Shapes, Shapes) {
    use crate::logical::Logical;
    match (&node.kind, node.logical) {
        (Kind::Null, _) => (Shapes::NULL, Shapes::NONE),
        (Kind::Boolean, _) => (Shapes::BOOLEAN, Shapes::NONE),
        (Kind::Int | Kind::Long, Some(_)) => (Shapes::TEXT, Shapes::INTEGER),
        // 5.0 is an integer too.
        (Kind::Int | Kind::Long, None) => (Shapes::INTEGER, Shapes::FRACTION),
        (Kind::Float | Kind::Double, _) => (Shapes::NUMBER, Shapes::TEXT),
        (Kind::Bytes | Kind::Fixed(_), Some(Logical::Decimal { .. })) => {
            (Shapes::TEXT, Shapes::NUMBER)
        }
        (Kind::Fixed(_), Some(Logical::Duration)) => (Shapes::OBJECT, Shapes::NONE),
        (Kind::Bytes | Kind::String | Kind::Enum(_) | Kind::Fixed(_), _) => {
            (Shapes::TEXT, Shapes::NONE)
        }
        (Kind::Array(_), _) => (Shapes::ARRAY, Shapes::NONE),
        (Kind::Map(_) | Kind::Record(_), _) => (Shapes::OBJECT, Shapes::NONE),
        // A union is no branch of a union.
        (Kind::Union(_), _) => (Shapes::NONE, Shapes::NONE),
    }
}

/// The form of a union of these branches.
fn form(nodes: &[Node], branches: &[Id]) -> Form {
    const BITS: usize = 7;
    let shapes: Vec<(Shapes, Shapes)> = branches
        .iter()
        .map(|&id| shapes(&nodes[id as usize]))
        .collect();
    // How many branches have each of JSON's types: usually, and at all.
    let (mut usually, mut at_all) = ([0; BITS], [0; BITS]);
    for &(usual, other) in &shapes {
        for bit in 0..BITS {
            usually[bit] += usize::from(usual.meets(Shapes(1 << bit)));
            at_all[bit] += usize::from(usual.and(other).meets(Shapes(1 << bit)));
        }
    }
    let objects = shapes.iter().any(|(usual, _)| usual.meets(Shapes::OBJECT));
    let unclear = usually.iter().any(|&count| count > 1);
    let at_times = shapes
        .iter()
        .any(|(_, other)| (0..BITS).any(|bit| other.meets(Shapes(1 << bit)) && at_all[bit] > 1));
    if unclear || (objects && at_times) {
        Form::Named
    } else if objects {
        Form::BareObjects
    } else {
        Form::Bare
    }
}

impl Union {
    /// A union of these branches, which are known but perhaps not finished.
    pub(crate) fn new(nodes: &[Node], branches: Vec<Id>) -> Self {
        let mut union = Self {
            form: form(nodes, &branches),
            ..Self::default()
        };
        for (place, &id) in branches.iter().enumerate() {
            let kind = &nodes[id as usize].kind;
            if matches!(kind, Kind::Null) {
                union.null = Some(place);
            }
            let Some(named) = kind.named() else {
                union.by_name.insert(kind.word().to_owned(), place);
                union.unnamed.push(place);
                continue;
            };
            union.by_name.insert(named.full.clone(), place);
            let simple = name::simple(&named.full).to_owned();
            union.by_simple.entry(simple).or_default().push(place);
            for alias in &named.aliases {
                let same = union.by_alias.entry(alias.clone()).or_default();
                same.push(place);
            }
        }
        union.branches = branches;
        union
    }

    /// The places of the branches that may take a type of a writer's, by names alone.
    pub(crate) fn candidates(&self, written: &Kind) -> Vec<usize> {
        let Some(named) = written.named() else {
            return self.unnamed.clone();
        };
        let simple = self.by_simple.get(name::simple(&named.full));
        let alias = self.by_alias.get(&named.full);
        let mut places: Vec<usize> = simple.into_iter().chain(alias).flatten().copied().collect();
        places.sort_unstable();
        places.dedup();
        places
    }

    /// Whether the JSON of a branch's value must be named to be told from the others.
    pub(crate) fn must_name(&self, types: &Types, branch: usize, json: &Value) -> bool {
        if Some(branch) == self.null {
            return false;
        }
        match self.form {
            Form::Named => true,
            Form::BareObjects => false,
            Form::Bare => {
                let shape = Shapes::of(json);
                let (usual, _) = shapes(types.node(self.branches[branch]));
                if usual.meets(shape) {
                    return false;
                }
                self.branches.iter().enumerate().any(|(index, &id)| {
                    let (usual, other) = shapes(types.node(id));
                    index != branch && usual.and(other).meets(shape)
                })
            }
        }
    }

    /// Whether all values but null are named.
    pub(crate) fn names_all(&self) -> bool {
        self.form == Form::Named
    }

    /// Whether some value of the branch is named although the union is bare.
    pub(crate) fn names_some(&self, types: &Types, branch: usize) -> bool {
        let (_, other) = shapes(types.node(self.branches[branch]));
        self.form == Form::Bare
            && self.branches.iter().enumerate().any(|(index, &id)| {
                let (usual, unusual) = shapes(types.node(id));
                index != branch && usual.and(unusual).meets(other)
            })
    }

    /// The branch that a JSON value is of, the value itself, and whether it was named.
    ///
    /// # Errors
    /// When there is none, or more than one.
    pub(crate) fn choose<'a>(
        &self,
        types: &Types,
        json: &'a Value,
    ) -> Result<(usize, &'a Value, bool), String> {
        if let (Value::Null, Some(null)) = (json, self.null) {
            return Ok((null, json, false));
        }
        if self.form != Form::BareObjects
            && let Some(named) = self.named(types, json)
        {
            return named;
        }
        if self.form == Form::Named {
            return Err(format!(
                "the union's branches look alike as JSON, so a value is given as {{\"branch\": value}} with one of {}; this is {}",
                self.list(types),
                describe(json)
            ));
        }
        let shape = Shapes::of(json);
        let mut fitting = (0..self.branches.len())
            .filter(|&index| shapes(types.node(self.branches[index])).0.meets(shape));
        if let Some(only) = fitting.next() {
            return Ok((only, json, false));
        }
        let mut fitting = (0..self.branches.len())
            .filter(|&index| shapes(types.node(self.branches[index])).1.meets(shape));
        match (fitting.next(), fitting.next()) {
            (Some(only), None) => Ok((only, json, false)),
            (Some(_), Some(_)) => Err(format!(
                "{} could be of more than one branch of the union; name it, as {{\"branch\": value}}, with one of {}",
                describe(json),
                self.list(types)
            )),
            _ => Err(format!(
                "{} is of no branch of the union: {}",
                describe(json),
                self.list(types)
            )),
        }
    }

    fn named<'a>(
        &self,
        types: &Types,
        json: &'a Value,
    ) -> Option<Result<(usize, &'a Value, bool), String>> {
        let members = json.as_object()?;
        let (name, value) = members.iter().next()?;
        if members.len() != 1 {
            return None;
        }
        let branch = self.by_name.get(name).copied();
        Some(branch.map(|branch| (branch, value, true)).ok_or_else(|| {
            format!(
                "the union has no branch {:?}; it has {}",
                crate::fault::shortened(name),
                self.list(types)
            )
        }))
    }

    fn list(&self, types: &Types) -> String {
        let names: Vec<&str> = self
            .branches
            .iter()
            .take(10)
            .map(|&id| types.branch_name(id))
            .collect();
        match self.branches.len().saturating_sub(names.len()) {
            0 => names.join(", "),
            more => format!("{} and {more} more", names.join(", ")),
        }
    }
}

/// What a JSON value is, in a few words.
pub(crate) fn describe(json: &Value) -> String {
    match json {
        Value::Null => "null".to_owned(),
        Value::Bool(_) | Value::Number(_) => json.to_string(),
        Value::String(text) => format!("the text {:?}", crate::fault::shortened(text)),
        Value::Array(_) => "an array".to_owned(),
        Value::Object(_) => "an object".to_owned(),
    }
}
