//! How one JSON document differs from another, place by place; and one text from another (`lines`).
//!
//! Pure. A place is a JSON Pointer (RFC 6901). Objects are compared member by member, whatever their
//! order; arrays index by index, so an item put in front changes all that follow.

mod lines;
mod reading;

use serde::Serialize;
use serde_json::Value;

pub use lines::lines;
pub use reading::read;

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "lowercase")]
pub enum Change {
    Added {
        pointer: String,
        value: Value,
    },
    Removed {
        pointer: String,
        value: Value,
    },
    Changed {
        pointer: String,
        before: Value,
        after: Value,
    },
}

impl Change {
    /// Where.
    #[must_use]
    pub fn pointer(&self) -> &str {
        match self {
            Self::Added { pointer, .. }
            | Self::Removed { pointer, .. }
            | Self::Changed { pointer, .. } => pointer,
        }
    }
}

/// What leads from `before` to `after`; nothing when they are equal. Members stand in the order of
/// `before`, those that came in behind them. Numbers are compared as they are written: 1 is not 1.0.
#[must_use]
pub fn diff(before: &Value, after: &Value) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(&mut String::new(), before, after, &mut changes);
    changes
}

fn compare(at: &mut String, before: &Value, after: &Value, changes: &mut Vec<Change>) {
    match (before, after) {
        (Value::Object(old), Value::Object(new)) => {
            for (name, old) in old {
                step(at, name, |at| match new.get(name) {
                    Some(new) => compare(at, old, new, changes),
                    None => changes.push(removed(at, old)),
                });
            }
            for (name, new) in new.iter().filter(|(name, _)| !old.contains_key(*name)) {
                step(at, name, |at| changes.push(added(at, new)));
            }
        }
        (Value::Array(old), Value::Array(new)) => {
            for index in 0..old.len().max(new.len()) {
                step(at, &index.to_string(), |at| {
                    match (old.get(index), new.get(index)) {
                        (Some(old), Some(new)) => compare(at, old, new, changes),
                        (Some(old), None) => changes.push(removed(at, old)),
                        (None, Some(new)) => changes.push(added(at, new)),
                        (None, None) => {}
                    }
                });
            }
        }
        _ if before == after => {}
        _ => changes.push(Change::Changed {
            pointer: at.clone(),
            before: before.clone(),
            after: after.clone(),
        }),
    }
}

fn added(at: &str, value: &Value) -> Change {
    Change::Added {
        pointer: at.to_owned(),
        value: value.clone(),
    }
}

fn removed(at: &str, value: &Value) -> Change {
    Change::Removed {
        pointer: at.to_owned(),
        value: value.clone(),
    }
}

/// Does something one token deeper.
fn step(at: &mut String, token: &str, inside: impl FnOnce(&mut String)) {
    let length = at.len();
    at.push('/');
    at.push_str(&crate::pointer::token(token));
    inside(at);
    at.truncate(length);
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(before: Value, after: Value) -> Vec<String> {
        let changes = diff(&before, &after);
        let words = changes.iter().map(|change| match change {
            Change::Added { pointer, value } => format!("+ {pointer} {value}"),
            Change::Removed { pointer, value } => format!("- {pointer} {value}"),
            Change::Changed {
                pointer,
                before,
                after,
            } => format!("~ {pointer} {before} {after}"),
        });
        words.collect()
    }

    #[test]
    fn equal_documents_do_not_differ() {
        let one = json!({"a": [1, {"b": null}], "c": "x"});
        assert!(diff(&one, &one.clone()).is_empty());
        assert!(told(json!({"a": 1, "b": 2}), json!({"b": 2, "a": 1})).is_empty());
    }

    #[test]
    fn members_come_go_and_change() {
        assert_eq!(
            told(
                json!({"total": 1, "old": true, "same": {"x": 1}}),
                json!({"total": 2, "same": {"x": 1, "y": []}, "new": "n"})
            ),
            [
                "- /old true",
                "+ /same/y []",
                "~ /total 1 2",
                "+ /new \"n\""
            ]
        );
    }

    #[test]
    fn items_are_compared_by_index() {
        assert_eq!(
            told(json!([1, 2]), json!([1, 3, 4])),
            ["~ /1 2 3", "+ /2 4"]
        );
        assert_eq!(told(json!({"l": [1, 2]}), json!({"l": [1]})), ["- /l/1 2"]);
    }

    #[test]
    fn another_kind_of_value_is_a_change_of_the_whole() {
        assert_eq!(told(json!({"a": {}}), json!({"a": []})), ["~ /a {} []"]);
        assert_eq!(told(json!(1), json!("1")), ["~  1 \"1\""]);
        assert_eq!(told(json!(null), json!({"a": 1})), ["~  null {\"a\":1}"]);
        assert_eq!(told(json!({"a": null}), json!({})), ["- /a null"]);
        assert_eq!(told(json!(1), json!(1.0)), ["~  1 1.0"]);
    }

    #[test]
    fn pointers_are_escaped() {
        assert_eq!(
            told(json!({"a/b": {"~": 1}}), json!({"a/b": {"~": 2}, "": 0})),
            ["~ /a~1b/~0 1 2", "+ / 0"]
        );
    }

    #[test]
    fn pointers_lead_to_the_place() {
        let (before, after) = (json!({"a/b": [{"m~n": 1}]}), json!({"a/b": [{"m~n": 2}]}));
        for change in diff(&before, &after) {
            assert_eq!(before.pointer(change.pointer()), Some(&json!(1)));
            assert_eq!(after.pointer(change.pointer()), Some(&json!(2)));
        }
    }

    #[test]
    fn changes_are_told_in_json() {
        let changes = diff(&json!({"a": 1}), &json!({"a": 2}));
        assert_eq!(
            serde_json::to_value(changes).expect("JSON"),
            json!([{"kind": "changed", "pointer": "/a", "before": 1, "after": 2}])
        );
    }
}
