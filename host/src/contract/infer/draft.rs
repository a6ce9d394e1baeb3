//! The schema, written from what was seen, and the evidence beside it.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{
    Place, names,
    observed::{Arrays, Node, Objects},
    texts::{Known, Texts},
};

/// So many names that few objects have are a map even where they do not look like data…
const LEAST_SPARSE: usize = 12;
/// …when so many objects were seen.
const LEAST_OBJECTS: u64 = 10;

/// Writes one part of a draft.
pub(super) struct Writer<'a> {
    known: &'a Known,
    comments: bool,
    /// In the order of the schema.
    pub places: Vec<Place>,
}

impl<'a> Writer<'a> {
    pub fn new(known: &'a Known, comments: bool) -> Self {
        Self {
            known,
            comments,
            places: Vec::new(),
        }
    }

    /// The schema of the whole data.
    pub fn schema(&mut self, node: &mut Node, place: String) -> Map<String, Value> {
        let seen = node.count();
        self.write(node, place, seen, true)
    }

    /// The schema of a place that `of` objects might have had.
    fn write(
        &mut self,
        node: &mut Node,
        place: String,
        of: u64,
        required: bool,
    ) -> Map<String, Value> {
        let at = self.places.len();
        self.places.push(evidence(node, &place, of, required));
        let mut schema = Map::new();
        let types = types_of(node);
        if let Some(texts) = &node.texts {
            let alone = node.kinds().count_ones() == 1;
            self.texts(texts, node.nulls > 0, alone, at, &mut schema);
        }
        match types.as_slice() {
            [] => {}
            [one] => {
                schema.insert("type".to_owned(), Value::from(*one));
            }
            several => {
                schema.insert("type".to_owned(), several.into());
            }
        }
        if let Some(objects) = &mut node.objects {
            self.objects(objects, &place, at, &mut schema);
        }
        if let Some(arrays) = &mut node.arrays {
            self.arrays(arrays, &place, at, &mut schema);
        }
        if self.comments {
            schema.insert("$comment".to_owned(), comment(&self.places[at]).into());
        }
        schema
    }

    fn note(&mut self, at: usize, note: String) {
        self.places[at].notes.push(note);
    }

    fn texts(
        &mut self,
        texts: &Texts,
        nullable: bool,
        alone: bool,
        at: usize,
        schema: &mut Map<String, Value>,
    ) {
        if let Some(format) = texts.formats.first() {
            schema.insert("format".to_owned(), format.into());
            self.note(at, format!("all {} texts are {format}", texts.count));
        } else if alone && texts.is_enumeration() {
            let mut values: Vec<Value> =
                texts.values.keys().map(|one| one.as_str().into()).collect();
            self.note(
                at,
                format!("{} values in {} texts", values.len(), texts.count),
            );
            if nullable {
                values.push(Value::Null);
            }
            schema.insert("enum".to_owned(), Value::Array(values));
        }
    }

    fn objects(
        &mut self,
        objects: &mut Objects,
        place: &str,
        at: usize,
        schema: &mut Map<String, Value>,
    ) {
        self.find_map(objects);
        let count = objects.count;
        let mut properties = Map::new();
        let mut required = Vec::new();
        for (name, node) in &mut objects.members {
            let always = node.count() == count;
            if always {
                required.push(Value::from(name.as_str()));
            }
            let inner = format!("{place}/{}", crate::pointer::token(name));
            let written = self.write(node, inner, count, always);
            properties.insert(name.clone(), Value::Object(written));
        }
        if objects.lost {
            self.note(
                at,
                "not all members were looked at; others are left open".into(),
            );
        }
        if let Some(rest) = &mut objects.rest {
            let shown: Vec<String> = rest.examples.iter().map(|one| format!("{one:?}")).collect();
            let seen = rest.node.count();
            self.note(
                at,
                format!(
                    "a map: {} member names are data, such as {}",
                    rest.names,
                    shown.join(", ")
                ),
            );
            // What was not looked at would be among "all others".
            if !objects.lost {
                let written = self.write(&mut rest.node, format!("{place}/*"), seen, false);
                schema.insert("additionalProperties".to_owned(), Value::Object(written));
                if let (true, Some(format)) = (properties.is_empty(), rest.formats.first()) {
                    schema.insert("propertyNames".to_owned(), json!({"format": format}));
                }
            }
        }
        if !properties.is_empty() {
            schema.insert("properties".to_owned(), Value::Object(properties));
        }
        if !required.is_empty() {
            schema.insert("required".to_owned(), Value::Array(required));
        }
    }

    /// Takes together members whose names are data: two or more that look so, or many that few objects
    /// have and that all hold the same.
    fn find_map(&self, objects: &mut Objects) {
        if objects.lost {
            return;
        }
        let data: Vec<String> = (objects.members.keys())
            .filter(|name| names::is_data(name, self.known))
            .cloned()
            .collect();
        if data.len() >= 2 || (objects.rest.is_some() && !data.is_empty()) {
            objects.gather(|name, _| data.iter().any(|one| one == name), self.known);
        }
        let count = objects.count;
        if count < LEAST_OBJECTS {
            return;
        }
        let is_sparse = |node: &Node| node.count().saturating_mul(2) <= count;
        let sparse: Vec<&Node> = objects
            .members
            .values()
            .filter(|one| is_sparse(one))
            .collect();
        let present: u64 = sparse.iter().map(|node| node.count()).sum();
        let rare = present.saturating_mul(4) <= count.saturating_mul(sparse.len() as u64);
        if sparse.len() >= LEAST_SPARSE && rare && alike(&sparse) {
            objects.gather(|_, node| is_sparse(node), self.known);
        }
    }

    fn arrays(
        &mut self,
        arrays: &mut Arrays,
        place: &str,
        at: usize,
        schema: &mut Map<String, Value>,
    ) {
        if arrays.lost {
            self.note(
                at,
                "not all items were looked at; they are left open".into(),
            );
            return;
        }
        if let Some(items) = &mut arrays.items {
            let seen = items.count();
            let written = self.write(items, format!("{place}/*"), seen, false);
            schema.insert("items".to_owned(), Value::Object(written));
        }
    }
}

/// Whether all hold the same: one JSON type, and objects with a member in common.
fn alike(nodes: &[&Node]) -> bool {
    let Some(first) = nodes.first() else {
        return false;
    };
    let kinds = first.kinds();
    if kinds.count_ones() != 1 || nodes.iter().any(|node| node.kinds() != kinds) {
        return false;
    }
    let Some(objects) = &first.objects else {
        return true;
    };
    objects.members.keys().any(|name| {
        nodes.iter().all(|node| {
            let objects = node.objects.as_ref();
            objects.is_some_and(|objects| objects.members.contains_key(name))
        })
    })
}

/// The JSON types in the order of their names, `null` last.
fn types_of(node: &Node) -> Vec<&'static str> {
    let number = if node.fractions > 0 {
        "number"
    } else {
        "integer"
    };
    let all = [
        (node.arrays.is_some(), "array"),
        (node.booleans > 0, "boolean"),
        (node.integers + node.fractions > 0, number),
        (node.objects.is_some(), "object"),
        (node.texts.is_some(), "string"),
        (node.nulls > 0, "null"),
    ];
    let seen = all.into_iter().filter(|(seen, _)| *seen);
    seen.map(|(_, name)| name).collect()
}

fn evidence(node: &Node, place: &str, of: u64, required: bool) -> Place {
    let texts = node.texts.as_deref();
    let counts = [
        ("null", node.nulls),
        ("boolean", node.booleans),
        ("integer", node.integers),
        ("number", node.fractions),
        ("string", texts.map_or(0, |texts| texts.count)),
        ("object", node.objects.as_ref().map_or(0, |one| one.count)),
        ("array", node.arrays.as_ref().map_or(0, |one| one.count)),
    ];
    let types: BTreeMap<&'static str, u64> =
        counts.into_iter().filter(|(_, count)| *count > 0).collect();
    Place {
        place: place.to_owned(),
        seen: node.count(),
        of,
        required,
        types,
        numbers: node.numbers,
        lengths: texts.map(|texts| texts.lengths),
        items: node.arrays.as_ref().map(|arrays| arrays.lengths),
        values: texts
            .filter(|texts| texts.values.values().any(|count| *count > 1))
            .map_or_else(BTreeMap::new, |texts| texts.values.clone()),
        examples: node.examples.clone(),
        notes: Vec::new(),
    }
}

/// The evidence in a line.
fn comment(place: &Place) -> String {
    let mut words = if place.seen == place.of {
        format!("seen {} times", place.seen)
    } else {
        format!("in {} of {}", place.seen, place.of)
    };
    if place.types.len() > 1 {
        let each = place.types.iter();
        let counts: Vec<String> = each
            .map(|(name, count)| format!("{count} {name}"))
            .collect();
        words.push_str(&format!(": {}", counts.join(", ")));
    }
    for note in &place.notes {
        words.push_str(&format!("; {note}"));
    }
    words
}
