//! Makes a document smaller, step by step, while the schema takes it; and makes others of it.
//!
//! Whether a smaller one still shows what it is to show, only the caller knows: it is handed candidates,
//! and goes on with one of them.

use std::sync::Arc;

use sandbar_validator::{Validator, Verdict};
use serde_json::{Map, Number, Value, json};

use crate::{Part, vary::vary};

/// Makes other documents of those of one schema.
pub struct Changer {
    validator: Arc<Validator>,
}

/// Places of a document that are looked at.
const PLACES: usize = 600;

impl Changer {
    /// `None` where the validator cannot run the schema.
    #[must_use]
    pub fn new(part: Part<'_>) -> Option<Self> {
        let validator = part.document.validator(part.pointer)?;
        Some(Self { validator })
    }

    /// Whether the schema takes a document.
    pub(crate) fn takes(&self, document: &Value) -> bool {
        self.validator.verdict(document, None) == Verdict::Fits
    }

    /// Documents like those given, each changed in a few places, that the schema takes: at most `count`,
    /// by a seed. Members are left out, texts and numbers brought to edges, lists emptied and filled.
    #[must_use]
    pub fn vary(&self, documents: &[Value], seed: u64, count: usize) -> Vec<Value> {
        vary(self, documents, seed, count)
    }

    /// Documents that the schema takes and that are smaller, at most `most`: those that leave out much
    /// first. None when nothing can be left out.
    #[must_use]
    pub fn candidates(&self, document: &Value, most: usize) -> Vec<Value> {
        let before = cost(document);
        let mut found: Vec<Value> = Vec::new();
        for path in places(document) {
            let Some(here) = at(document, &path) else {
                continue;
            };
            for change in changes(here, path.is_empty()) {
                if found.len() >= most {
                    return found;
                }
                let mut next = document.clone();
                let done = match change {
                    Change::Leave => remove(&mut next, &path),
                    Change::Put(value) => put(&mut next, &path, value),
                };
                if done && cost(&next) < before && !found.contains(&next) && self.takes(&next) {
                    found.push(next);
                }
            }
        }
        found
    }
}

enum Change {
    /// Take it out of what it is in.
    Leave,
    Put(Value),
}

/// A way into a document.
#[derive(Clone, Debug)]
pub(crate) enum Step {
    Name(String),
    Index(usize),
}

/// How much there is to read in a document: its length, where plain letters and digits count less than
/// others.
pub(crate) fn cost(value: &Value) -> u64 {
    match value {
        Value::Null => 1,
        Value::Bool(value) => 2 + u64::from(*value),
        Value::Number(number) => {
            let text = number.to_string();
            // Of two numbers as long as each other the one nearer to zero.
            let digits = text.bytes().filter(u8::is_ascii_digit);
            let sum: u64 = digits.map(|digit| u64::from(digit - b'0')).sum();
            2 + 16 * text.len() as u64 + sum.min(1_000)
        }
        Value::String(text) => text.chars().fold(2, |sum, one| {
            sum + match one {
                'a' => 4,
                one if one.is_ascii_alphanumeric() => 5,
                one if one.is_ascii_graphic() || one == ' ' => 6,
                _ => 10,
            }
        }),
        Value::Array(items) => 4 + items.iter().map(|item| 8 + cost(item)).sum::<u64>(),
        Value::Object(members) => {
            let each = members.iter();
            4 + each
                .map(|(name, member)| 8 + name.len() as u64 + cost(member))
                .sum::<u64>()
        }
    }
}

/// All places, outer ones first.
pub(crate) fn places(document: &Value) -> Vec<Vec<Step>> {
    let mut all: Vec<Vec<Step>> = vec![Vec::new()];
    let mut next = 0;
    while let Some(path) = all.get(next).cloned() {
        next += 1;
        let inner: Vec<Step> = match at(document, &path) {
            Some(Value::Object(members)) => members.keys().cloned().map(Step::Name).collect(),
            // The last one first, so that the places of the others stay.
            Some(Value::Array(items)) => (0..items.len()).rev().map(Step::Index).collect(),
            _ => continue,
        };
        for step in inner {
            if all.len() >= PLACES {
                return all;
            }
            let mut path = path.clone();
            path.push(step);
            all.push(path);
        }
    }
    all
}

pub(crate) fn at<'a>(document: &'a Value, path: &[Step]) -> Option<&'a Value> {
    path.iter().try_fold(document, |at, step| match step {
        Step::Name(name) => at.get(name),
        Step::Index(index) => at.get(index),
    })
}

pub(crate) fn at_mut<'a>(document: &'a mut Value, path: &[Step]) -> Option<&'a mut Value> {
    path.iter().try_fold(document, |at, step| match step {
        Step::Name(name) => at.get_mut(name),
        Step::Index(index) => at.get_mut(index),
    })
}

pub(crate) fn remove(document: &mut Value, path: &[Step]) -> bool {
    let Some((last, parents)) = path.split_last() else {
        return false;
    };
    match (at_mut(document, parents), last) {
        (Some(Value::Object(members)), Step::Name(name)) => members.remove(name).is_some(),
        (Some(Value::Array(items)), Step::Index(index)) if *index < items.len() => {
            items.remove(*index);
            true
        }
        _ => false,
    }
}

fn put(document: &mut Value, path: &[Step], value: Value) -> bool {
    match at_mut(document, path) {
        Some(place) => {
            *place = value;
            true
        }
        None => false,
    }
}

/// What may be done with a value, what helps most first.
fn changes(value: &Value, whole: bool) -> Vec<Change> {
    let mut all = Vec::new();
    if !whole {
        all.push(Change::Leave);
    }
    let mut values: Vec<Value> = Vec::new();
    match value {
        Value::Null => {}
        Value::Bool(true) => values.push(false.into()),
        Value::Bool(false) => {}
        Value::Number(number) => values.extend(numbers(number)),
        Value::String(text) => values.extend(texts(text)),
        Value::Array(items) => {
            if items.len() > 1 {
                let (left, right) = items.split_at(items.len() / 2);
                values.extend([json!([]), json!(left), json!(right)]);
                values.extend([json!([items[0]]), json!([items[items.len() - 1]])]);
            }
        }
        Value::Object(members) => {
            if members.len() > 1 {
                let half = members.len() / 2;
                let part = |from: usize, to: usize| -> Value {
                    let some = members.iter().skip(from).take(to - from);
                    let some = some.map(|(name, one)| (name.clone(), one.clone()));
                    Value::Object(some.collect::<Map<_, _>>())
                };
                values.extend([json!({}), part(0, half), part(half, members.len())]);
                // A quarter left out: what is required is rarely all in one half.
                if members.len() >= 8 {
                    let quarter = members.len() / 4;
                    values.extend((0..4).map(|index| {
                        let out = index * quarter..(index + 1) * quarter;
                        let some = members.iter().enumerate();
                        let some = some.filter(|(at, _)| !out.contains(at));
                        let some = some.map(|(_, (name, one))| (name.clone(), one.clone()));
                        Value::Object(some.collect())
                    }));
                }
            }
        }
    }
    all.extend(values.into_iter().map(Change::Put));
    all
}

fn numbers(number: &Number) -> Vec<Value> {
    let mut all = vec![json!(0), json!(1), json!(-1)];
    if let Some(integer) = number.as_i64() {
        all.extend([integer / 2, integer / 10, integer - integer.signum()].map(Value::from));
    } else if let Some(float) = number.as_f64() {
        all.extend([0.0, 0.5].map(Value::from));
        all.push((float / 2.0).trunc().into());
        // Within 53 bits, so nothing is lost.
        #[allow(clippy::cast_possible_truncation)]
        if float.abs() < 9e15 {
            all.push((float.trunc() as i64).into());
        }
    }
    all
}

fn texts(text: &str) -> Vec<Value> {
    let chars: Vec<char> = text.chars().collect();
    let of = |chars: &[char]| Value::from(chars.iter().collect::<String>());
    let mut all = vec![json!(""), json!("a"), json!("0")];
    if chars.len() > 1 {
        let half = chars.len() / 2;
        all.extend([of(&chars[..half]), of(&chars[half..])]);
        all.extend([of(&chars[..1]), of(&chars[chars.len() - 1..])]);
        all.extend([of(&chars[1..]), of(&chars[..chars.len() - 1])]);
    }
    let plain: String = (chars.iter())
        .map(|one| {
            if one.is_ascii_graphic() || *one == ' ' {
                *one
            } else {
                'a'
            }
        })
        .collect();
    all.push(plain.into());
    if chars.len() <= 64 {
        all.push("a".repeat(chars.len()).into());
        for index in 0..chars.len() {
            let mut fewer = chars.clone();
            fewer.remove(index);
            all.push(of(&fewer));
        }
    } else {
        all.push("a".repeat(chars.len()).into());
    }
    all
}
