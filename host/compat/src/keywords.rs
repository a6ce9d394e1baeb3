//! What one schema asserts, read once: the keywords of all drafts in one form.
//!
//! A keyword that its draft does not know asserts nothing and is left out, as the validator does.
//! What is asserted but cannot be compared is named in `opaque`.

use std::{cell::OnceCell, collections::BTreeMap, rc::Rc};

use jsonschema::Draft;
use serde_json::{Map, Number, Value};

use crate::{
    number::Bound,
    space::{Lit, NodeId, Side, Space},
    types::Types,
};

/// Alternatives of which one holds, each as schemas that hold together.
pub(crate) type Choice = Rc<[Vec<Lit>]>;

/// How many items have to fit.
#[derive(Clone, Debug)]
pub(crate) struct Contains {
    pub node: NodeId,
    pub least: u64,
    pub most: Option<u64>,
}

/// The keywords of one schema object.
#[derive(Clone, Debug, Default)]
pub(crate) struct Keywords {
    pub reference: Option<NodeId>,
    pub types: Option<Types>,
    /// `enum`, and `const` as a list of one.
    pub values: Vec<Vec<Value>>,
    pub lower: Vec<Bound>,
    pub upper: Vec<Bound>,
    pub multiple: Option<Number>,
    pub min_length: u64,
    pub max_length: Option<u64>,
    pub pattern: Option<String>,
    pub format: Option<String>,
    pub prefix: Vec<NodeId>,
    /// Of the items behind `prefix`.
    pub items: Option<NodeId>,
    pub unevaluated_items: Option<NodeId>,
    pub contains: Option<Contains>,
    pub min_items: u64,
    pub max_items: Option<u64>,
    pub unique: bool,
    pub properties: BTreeMap<String, NodeId>,
    pub patterns: Vec<(String, NodeId)>,
    pub additional: Option<NodeId>,
    pub unevaluated: Option<NodeId>,
    pub required: Vec<String>,
    pub names: Option<NodeId>,
    pub min_properties: u64,
    pub max_properties: Option<u64>,
    pub dependent_required: BTreeMap<String, Vec<String>>,
    pub dependent_schemas: BTreeMap<String, NodeId>,
    pub all_of: Vec<NodeId>,
    pub any_of: Vec<NodeId>,
    pub one_of: Vec<NodeId>,
    pub not: Option<NodeId>,
    /// `if`, `then`, `else`.
    pub condition: Option<(NodeId, Option<NodeId>, Option<NodeId>)>,
    /// What `any_of`, `one_of` and `condition` leave undecided, once it was asked for.
    pub choices: OnceCell<Rc<[Choice]>>,
    /// Names of keywords that assert what cannot be compared.
    pub opaque: Vec<String>,
    /// How many groups of the above are used: a schema with one can be negated.
    pub groups: usize,
}

/// The formats that the validator asserts.
fn asserted(format: &str, draft: Draft) -> bool {
    match format {
        "date" | "date-time" | "email" | "hostname" | "idn-email" | "ipv4" | "ipv6" | "regex"
        | "time" | "uri" => true,
        "json-pointer" | "uri-reference" | "uri-template" => draft >= Draft::Draft6,
        "idn-hostname" | "iri" | "iri-reference" | "relative-json-pointer" => {
            draft >= Draft::Draft7
        }
        "duration" | "uuid" => draft >= Draft::Draft201909,
        _ => false,
    }
}

/// Reads the schema object at `pointer`.
pub(crate) fn read(
    space: &mut Space<'_>,
    side: Side,
    pointer: &str,
    members: &Map<String, Value>,
) -> Keywords {
    let draft = space.document(side).draft();
    let mut reader = Reader {
        space,
        side,
        pointer,
        members,
        draft,
        keywords: Keywords::default(),
    };
    reader.references();
    if draft <= Draft::Draft7 && members.contains_key("$ref") {
        return reader.keywords;
    }
    reader.scalars();
    reader.arrays();
    reader.objects();
    reader.applicators();
    reader.keywords
}

struct Reader<'r, 'a> {
    space: &'r mut Space<'a>,
    side: Side,
    pointer: &'r str,
    members: &'r Map<String, Value>,
    draft: Draft,
    keywords: Keywords,
}

impl Reader<'_, '_> {
    fn get(&self, keyword: &str) -> Option<&Value> {
        self.members.get(keyword)
    }

    fn child(&mut self, path: &[&str]) -> NodeId {
        let mut pointer = self.pointer.to_owned();
        for part in path {
            pointer.push('/');
            pointer.push_str(&crate::document::token(part));
        }
        self.space.node(self.side, &pointer)
    }

    fn group(&mut self, used: bool) {
        self.keywords.groups += usize::from(used);
    }

    fn count(&self, keyword: &str) -> Option<u64> {
        let value = self.get(keyword)?;
        // The validator takes 2.0 for 2.
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss)]
        value
            .as_u64()
            .or_else(|| value.as_f64().map(|float| float as u64))
    }

    fn schema(&mut self, keyword: &str) -> Option<NodeId> {
        match self.get(keyword) {
            Some(Value::Object(_) | Value::Bool(_)) => Some(self.child(&[keyword])),
            _ => None,
        }
    }

    fn list(&mut self, keyword: &str) -> Vec<NodeId> {
        let length = self
            .get(keyword)
            .and_then(Value::as_array)
            .map_or(0, Vec::len);
        (0..length)
            .map(|index| self.child(&[keyword, &index.to_string()]))
            .collect()
    }

    fn map(&mut self, keyword: &str) -> Vec<(String, NodeId)> {
        let names: Vec<String> = match self.get(keyword) {
            Some(Value::Object(map)) => map.keys().cloned().collect(),
            _ => Vec::new(),
        };
        let nodes = names.into_iter().map(|name| {
            let node = self.child(&[keyword, &name]);
            (name, node)
        });
        nodes.collect()
    }

    fn references(&mut self) {
        for keyword in ["$ref", "$dynamicRef", "$recursiveRef"] {
            let known = match keyword {
                "$dynamicRef" => self.draft >= Draft::Draft202012,
                "$recursiveRef" => self.draft == Draft::Draft201909,
                _ => true,
            };
            let Some(text) = self.get(keyword).and_then(Value::as_str).filter(|_| known) else {
                continue;
            };
            let target = self.space.document(self.side).resolve(text);
            match target {
                // One document without embedded ones has one scope: what is dynamic is fixed.
                Some(target) if self.keywords.reference.is_none() => {
                    let node = self.space.node(self.side, &target);
                    self.keywords.reference = Some(node);
                }
                _ => self.keywords.opaque.push(keyword.to_owned()),
            }
            self.group(true);
        }
    }

    fn scalars(&mut self) {
        let draft = self.draft;
        let types = match self.get("type") {
            Some(Value::String(name)) => Some(Types::named(name, draft)),
            Some(Value::Array(names)) => {
                let each = names.iter().filter_map(Value::as_str);
                Some(each.fold(Types::NONE, |all, name| all.or(Types::named(name, draft))))
            }
            _ => None,
        };
        self.group(types.is_some());
        self.keywords.types = types;
        if let Some(Value::Array(values)) = self.get("enum") {
            let values = values.clone();
            self.keywords.values.push(values);
            self.group(true);
        }
        if draft >= Draft::Draft6
            && let Some(value) = self.get("const").cloned()
        {
            self.keywords.values.push(vec![value]);
            self.group(true);
        }
        let (lower, upper) = (
            self.bounds("minimum", "exclusiveMinimum"),
            self.bounds("maximum", "exclusiveMaximum"),
        );
        self.group(!lower.is_empty());
        self.group(!upper.is_empty());
        (self.keywords.lower, self.keywords.upper) = (lower, upper);
        if let Some(Value::Number(multiple)) = self.get("multipleOf").cloned() {
            self.keywords.multiple = Some(multiple);
            self.group(true);
        }
        self.keywords.min_length = self.count("minLength").unwrap_or(0);
        self.keywords.max_length = self.count("maxLength");
        self.group(self.keywords.min_length > 0 || self.keywords.max_length.is_some());
        if let Some(Value::String(pattern)) = self.get("pattern").cloned() {
            self.keywords.pattern = Some(pattern);
            self.group(true);
        }
        if let Some(format) = self.get("format").and_then(Value::as_str)
            && asserted(format, draft)
        {
            self.keywords.format = Some(format.to_owned());
            self.group(true);
        }
        if matches!(draft, Draft::Draft6 | Draft::Draft7) {
            for keyword in ["contentEncoding", "contentMediaType"] {
                if self.get(keyword).is_some() {
                    self.keywords.opaque.push(keyword.to_owned());
                    self.group(true);
                }
            }
        }
    }

    fn bounds(&self, inclusive: &str, exclusive: &str) -> Vec<Bound> {
        let mut bounds = Vec::new();
        if let Some(Value::Number(limit)) = self.get(inclusive) {
            let strict = self.draft == Draft::Draft4 && self.get(exclusive) == Some(&true.into());
            bounds.push(Bound {
                limit: limit.clone(),
                exclusive: strict,
            });
        }
        if self.draft >= Draft::Draft6
            && let Some(Value::Number(limit)) = self.get(exclusive)
        {
            bounds.push(Bound {
                limit: limit.clone(),
                exclusive: true,
            });
        }
        bounds
    }

    fn arrays(&mut self) {
        if self.draft >= Draft::Draft202012 {
            self.keywords.prefix = self.list("prefixItems");
            self.keywords.items = self.schema("items");
            // An array here is the older form, which the validator still takes.
            if matches!(self.get("items"), Some(Value::Array(_))) {
                self.keywords.opaque.push("items".to_owned());
            }
        } else if matches!(self.get("items"), Some(Value::Array(_))) {
            self.keywords.prefix = self.list("items");
            self.keywords.items = self.schema("additionalItems");
        } else {
            self.keywords.items = self.schema("items");
        }
        if self.draft >= Draft::Draft201909 {
            self.keywords.unevaluated_items = self.schema("unevaluatedItems");
        }
        if self.draft >= Draft::Draft6
            && let Some(node) = self.schema("contains")
        {
            let counted = self.draft >= Draft::Draft201909;
            let least = self.count("minContains").filter(|_| counted).unwrap_or(1);
            let most = self.count("maxContains").filter(|_| counted);
            self.keywords.contains = Some(Contains { node, least, most });
        }
        self.keywords.min_items = self.count("minItems").unwrap_or(0);
        self.keywords.max_items = self.count("maxItems");
        self.keywords.unique = self.get("uniqueItems") == Some(&true.into());
        let keywords = &self.keywords;
        let used = !keywords.prefix.is_empty()
            || keywords.items.is_some()
            || keywords.unevaluated_items.is_some()
            || keywords.contains.is_some()
            || keywords.min_items > 0
            || keywords.max_items.is_some()
            || keywords.unique;
        self.group(used);
    }

    fn objects(&mut self) {
        self.keywords.properties = self.map("properties").into_iter().collect();
        self.keywords.patterns = self.map("patternProperties");
        self.keywords.additional = self.schema("additionalProperties");
        if self.draft >= Draft::Draft201909 {
            self.keywords.unevaluated = self.schema("unevaluatedProperties");
        }
        if let Some(Value::Array(required)) = self.get("required") {
            let names = required.iter().filter_map(Value::as_str);
            let names = names.map(str::to_owned).collect();
            self.keywords.required = names;
        }
        if self.draft >= Draft::Draft6 {
            self.keywords.names = self.schema("propertyNames");
        }
        self.keywords.min_properties = self.count("minProperties").unwrap_or(0);
        self.keywords.max_properties = self.count("maxProperties");
        self.dependents();
        let keywords = &self.keywords;
        let used = !keywords.properties.is_empty()
            || !keywords.patterns.is_empty()
            || keywords.additional.is_some()
            || keywords.unevaluated.is_some()
            || keywords.names.is_some()
            || keywords.min_properties > 0
            || keywords.max_properties.is_some()
            || !keywords.dependent_required.is_empty()
            || !keywords.dependent_schemas.is_empty();
        let required = !keywords.required.is_empty();
        self.group(used);
        self.group(required);
    }

    fn dependents(&mut self) {
        let names = |value: &Value| -> Vec<String> {
            let each = value.as_array().into_iter().flatten();
            each.filter_map(Value::as_str).map(str::to_owned).collect()
        };
        let members = self.members;
        if self.draft >= Draft::Draft201909 {
            if let Some(Value::Object(map)) = members.get("dependentRequired") {
                for (name, needs) in map {
                    self.keywords
                        .dependent_required
                        .insert(name.clone(), names(needs));
                }
            }
            self.keywords.dependent_schemas = self.map("dependentSchemas").into_iter().collect();
        }
        if let Some(Value::Object(map)) = members.get("dependencies") {
            for (name, needs) in map {
                if needs.is_array() {
                    let all = self
                        .keywords
                        .dependent_required
                        .entry(name.clone())
                        .or_default();
                    all.extend(names(needs));
                } else if self.keywords.dependent_schemas.contains_key(name) {
                    self.keywords.opaque.push("dependencies".to_owned());
                } else {
                    let node = self.child(&["dependencies", name]);
                    self.keywords.dependent_schemas.insert(name.clone(), node);
                }
            }
        }
    }

    fn applicators(&mut self) {
        self.keywords.all_of = self.list("allOf");
        self.keywords.any_of = self.list("anyOf");
        self.keywords.one_of = self.list("oneOf");
        self.keywords.not = self.schema("not");
        if self.draft >= Draft::Draft7
            && let Some(condition) = self.schema("if")
        {
            let (then, otherwise) = (self.schema("then"), self.schema("else"));
            if then.is_some() || otherwise.is_some() {
                self.keywords.condition = Some((condition, then, otherwise));
            }
        }
        self.group(!self.keywords.all_of.is_empty());
        self.group(!self.keywords.any_of.is_empty());
        self.group(!self.keywords.one_of.is_empty());
        self.group(self.keywords.not.is_some());
        self.group(self.keywords.condition.is_some());
    }
}
