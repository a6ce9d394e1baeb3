//! Avro schemas in the words that AsyncAPI has for them: its description of Avro knows undotted names
//! beside a namespace, and follows a `$ref` wherever it stands. What does not count for data is left out
//! where it would not be understood; where something else would not be, there is no such schema.

use sandbar_avro::PRIMITIVES;
use serde_json::{Map, Value};

/// The same schema; `None` where AsyncAPI has no words for it. Names that it refers to are in it.
pub(super) fn worded(schema: &Value) -> Option<Value> {
    of(schema, "")
}

fn of(schema: &Value, namespace: &str) -> Option<Value> {
    match schema {
        Value::String(name) => {
            let known = PRIMITIVES.contains(&name.as_str()) || name.split('.').all(is_name);
            known.then(|| schema.clone())
        }
        // A union of nothing has no words, and no data.
        Value::Array(branches) if branches.is_empty() => None,
        Value::Array(branches) => {
            let each = branches.iter().map(|branch| of(branch, namespace));
            each.collect::<Option<Vec<_>>>().map(Value::Array)
        }
        Value::Object(members) => defined(members, namespace),
        _ => None,
    }
}

fn defined(members: &Map<String, Value>, namespace: &str) -> Option<Value> {
    let Some(kind) = members.get("type")?.as_str() else {
        return of(members.get("type")?, namespace);
    };
    let mut written = Map::from_iter([("type".to_owned(), Value::from(kind))]);
    match kind {
        "record" | "error" => {
            // An error is a record that protocols throw.
            written.insert("type".to_owned(), "record".into());
            let own = named(members, namespace, &mut written)?;
            let fields = members.get("fields")?.as_array()?.iter();
            let fields = fields.map(|one| field(one.as_object()?, &own));
            let fields = fields.collect::<Option<Vec<_>>>()?;
            written.insert("fields".to_owned(), Value::Array(fields));
        }
        "enum" => {
            named(members, namespace, &mut written)?;
            let symbols = members.get("symbols")?;
            let mut each = symbols.as_array()?.iter();
            if !each.all(|symbol| symbol.as_str().is_some_and(is_name)) {
                return None;
            }
            written.insert("symbols".to_owned(), symbols.clone());
        }
        "fixed" => {
            named(members, namespace, &mut written)?;
            written.insert("size".to_owned(), members.get("size")?.clone());
        }
        "array" => {
            written.insert("items".to_owned(), of(members.get("items")?, namespace)?);
        }
        "map" => {
            written.insert("values".to_owned(), of(members.get("values")?, namespace)?);
        }
        primitive if PRIMITIVES.contains(&primitive) => {}
        reference => return of(&Value::from(reference), namespace),
    }
    annotate(members, &mut written);
    Some(Value::Object(written))
}

/// Writes the name of a type in two; gives the namespace of what is inside of it.
fn named(
    members: &Map<String, Value>,
    around: &str,
    written: &mut Map<String, Value>,
) -> Option<String> {
    let name = members.get("name")?.as_str()?;
    let (namespace, name) = match name.rsplit_once('.') {
        Some((namespace, name)) => (namespace, name),
        None => match members.get("namespace").and_then(Value::as_str) {
            Some(namespace) => (namespace, name),
            None => (around, name),
        },
    };
    if !is_name(name) || !(namespace.is_empty() || namespace.split('.').all(is_name)) {
        return None;
    }
    written.insert("name".to_owned(), name.into());
    if namespace != around {
        written.insert("namespace".to_owned(), namespace.into());
    }
    let aliases = aliases(members, namespace);
    if !aliases.is_empty() {
        written.insert("aliases".to_owned(), Value::Array(aliases));
    }
    Some(namespace.to_owned())
}

/// Those that have no dots, or none that are needed: there are no words for others, and they do not count
/// for data.
fn aliases(members: &Map<String, Value>, namespace: &str) -> Vec<Value> {
    let all = members.get("aliases").and_then(Value::as_array);
    let short = |alias: &Value| {
        let alias = alias.as_str()?;
        let short = match alias.rsplit_once('.') {
            Some((of, short)) if of == namespace => short,
            _ => alias,
        };
        is_name(short).then(|| Value::from(short))
    };
    all.into_iter().flatten().filter_map(short).collect()
}

fn field(members: &Map<String, Value>, namespace: &str) -> Option<Value> {
    let name = members.get("name")?.as_str().filter(|name| is_name(name))?;
    let mut written = Map::from_iter([
        ("name".to_owned(), Value::from(name)),
        ("type".to_owned(), of(members.get("type")?, namespace)?),
    ]);
    let aliases = aliases(members, "");
    if !aliases.is_empty() {
        written.insert("aliases".to_owned(), Value::Array(aliases));
    }
    if let Some(default) = members.get("default") {
        // Whether a field may be missing is seen by its default, so it cannot be left out.
        if refers(default) {
            return None;
        }
        written.insert("default".to_owned(), default.clone());
    }
    annotate(members, &mut written);
    Some(Value::Object(written))
}

/// Adds the members that say something in one word: logical types, documentation, what readers of
/// their own look for.
fn annotate(members: &Map<String, Value>, written: &mut Map<String, Value>) {
    const STRUCTURE: [&str; 10] = [
        "name",
        "namespace",
        "aliases",
        "type",
        "fields",
        "symbols",
        "size",
        "items",
        "values",
        "$ref",
    ];
    for (name, value) in members {
        let fits = match name.as_str() {
            "doc" => value.is_string(),
            "order" => matches!(value.as_str(), Some("ascending" | "descending" | "ignore")),
            other => !STRUCTURE.contains(&other) && !value.is_object() && !value.is_array(),
        };
        if fits {
            written.insert(name.clone(), value.clone());
        }
    }
}

fn is_name(text: &str) -> bool {
    let start = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    text.bytes().next().is_some_and(start)
        && text
            .bytes()
            .all(|byte| start(byte) || byte.is_ascii_digit())
}

/// Whether a tool would see a reference in it.
fn refers(value: &Value) -> bool {
    match value {
        Value::Object(members) => members.contains_key("$ref") || members.values().any(refers),
        Value::Array(items) => items.iter().any(refers),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn names_are_in_two_and_what_counts_stays() {
        let schema = json!({
            "type": "record", "name": "com.acme.Order", "doc": "An order", "custom": {"$ref": "#/nothing"},
            "aliases": ["Old", "com.acme.Older", "other.Oldest"], "$ref": "#/x",
            "fields": [
                {"name": "total", "type": {"type": "error", "name": "com.acme.Money", "fields": [
                    {"name": "cents", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4, "x": []}}]}},
                {"name": "kind", "type": ["null", {"type": "enum", "name": "Kind", "namespace": "", "symbols": ["A"]}],
                 "default": null, "order": "ignore", "aliases": ["sort"]},
                {"name": "tip", "type": {"type": "com.acme.Money"}},
            ],
        });
        assert_eq!(
            worded(&schema),
            Some(json!({
                "type": "record", "name": "Order", "namespace": "com.acme", "doc": "An order",
                "aliases": ["Old", "Older"],
                "fields": [
                    {"name": "total", "type": {"type": "record", "name": "Money", "fields": [
                        {"name": "cents", "type": {"type": "bytes", "logicalType": "decimal", "precision": 4}}]}},
                    {"name": "kind", "type": ["null", {"type": "enum", "name": "Kind", "namespace": "", "symbols": ["A"]}],
                     "default": null, "order": "ignore", "aliases": ["sort"]},
                    {"name": "tip", "type": "com.acme.Money"},
                ],
            }))
        );
    }

    #[test]
    fn what_has_no_words_is_not_changed_into_something_else() {
        for none in [
            json!({"type": "record", "name": "R", "fields": [{"name": "m", "type": {"type": "map", "values": "string"}, "default": {"$ref": "x"}}]}),
            json!({"type": "record", "name": "R", "fields": [{"name": "u", "type": []}]}),
            json!({"type": "enum", "name": "E", "symbols": ["a-b"]}),
            json!({"type": "record", "name": "R-1", "fields": []}),
        ] {
            assert_eq!(worded(&none), None, "{none}");
        }
    }
}
