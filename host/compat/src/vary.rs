//! Documents like some that there are, changed in a few places, that a schema takes.
//!
//! What is made from a schema alone knows nothing of what data means; what is made from real data keeps
//! that, and reaches the edges around it.

use serde_json::{Value, json};

use crate::{
    edges::TEXTS,
    picks::Picks,
    shrink::{Changer, at, at_mut, places, remove},
};

/// How many places of one document are changed.
const CHANGES: &[usize] = &[1, 1, 2, 4, 8, 16];
/// Documents that are begun for each that is wanted.
const TRIES: usize = 4;

/// Changed documents, at most `count`, without repeats.
pub(crate) fn vary(changer: &Changer, documents: &[Value], seed: u64, count: usize) -> Vec<Value> {
    let mut picks = Picks::of(seed);
    let mut found: Vec<Value> = Vec::new();
    for _ in 0..count.saturating_mul(TRIES) {
        if found.len() >= count {
            break;
        }
        let (Some(base), Some(changes)) = (picks.pick(documents), picks.pick(CHANGES)) else {
            break;
        };
        let mut document = base.clone();
        for _ in 0..*changes {
            let mut next = document.clone();
            if change(&mut next, &mut picks) && changer.takes(&next) {
                document = next;
            }
        }
        if document != *base && !found.contains(&document) {
            found.push(document);
        }
    }
    found
}

/// Changes one place.
fn change(document: &mut Value, picks: &mut Picks) -> bool {
    let all = places(document);
    let Some(path) = picks.pick(&all).cloned() else {
        return false;
    };
    if !path.is_empty() && picks.one_in(4) {
        return remove(document, &path);
    }
    let Some(here) = at(document, &path).cloned() else {
        return false;
    };
    let other = match picks.one_in(12) {
        true => Some(Value::Null),
        false => changed(&here, picks),
    };
    match (other, at_mut(document, &path)) {
        (Some(other), Some(place)) => {
            *place = other;
            true
        }
        _ => false,
    }
}

fn changed(value: &Value, picks: &mut Picks) -> Option<Value> {
    Some(match value {
        Value::Null => Value::Null,
        Value::Bool(value) => (!value).into(),
        Value::String(text) => match picks.below(4) {
            0 => text.repeat(40).into(),
            1 => format!("{text}é").into(),
            _ => Value::from(*picks.pick(TEXTS)?),
        },
        Value::Number(number) => {
            let near = number.as_i64().unwrap_or(0);
            let likely = [
                json!(0),
                json!(-1),
                json!(1),
                json!(near.saturating_neg()),
                json!(near.saturating_add(1)),
                json!(9_007_199_254_740_993_i64),
                json!(i64::MAX),
                json!(0.5),
                json!(1e300),
            ];
            picks.pick(&likely)?.clone()
        }
        Value::Array(items) => {
            let mut items = items.clone();
            match (picks.below(3), items.first().cloned()) {
                (0, _) => items.clear(),
                (1, Some(first)) => items.push(first),
                (_, Some(first)) => items = vec![first; 20],
                (_, None) => {}
            }
            Value::Array(items)
        }
        Value::Object(members) => {
            let mut members = members.clone();
            match picks.below(3) {
                0 => members.clear(),
                1 => {
                    members.insert("unknown".to_owned(), json!({"a": null}));
                }
                _ => {
                    // A member in the place of another.
                    let values: Vec<Value> = members.values().cloned().collect();
                    let names: Vec<String> = members.keys().cloned().collect();
                    members.insert(picks.pick(&names)?.clone(), picks.pick(&values)?.clone());
                }
            }
            Value::Object(members)
        }
    })
}
