//! A schema with steps in it that are counted, and the count.
//!
//! `jsonschema` cannot be interrupted, but takes keywords of others. One is put into each schema: at the end
//! of `allOf`, which changes no place of what was there, and which is asked before everything that leads to
//! the same value again (`anyOf`, `oneOf`, `not`, `if`, `$ref`, `unevaluated…`). It takes a step off what is
//! left to the thread, and unwinds when nothing is left: no other way leads out of a validator that gathers
//! the errors of all alternatives.
//!
//! Up to draft-07 nothing beside a `$ref` counts, so there the reference itself goes into `allOf`.

use std::{
    cell::Cell,
    panic::{AssertUnwindSafe, catch_unwind, resume_unwind},
};

use jsonschema::{Draft, Keyword, ValidationError, paths::Location};
use serde_json::{Map, Value, json};

use crate::places::Place;

/// The keyword. No schema has it by chance; one that has it on purpose only counts more.
pub(crate) const STEP: &str = "sandbar:\u{1}step";

/// What may still be done.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Left {
    /// Schemas that are held against a value.
    pub steps: u64,
    /// Errors that are gathered, each by what it holds.
    pub errors: u64,
}

const UNBOUNDED: Left = Left {
    steps: u64::MAX,
    errors: u64::MAX,
};

thread_local! {
    static LEFT: Cell<Left> = const { Cell::new(UNBOUNDED) };
}

/// Nothing is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Spent;

/// Asks validators with counted steps; with the steps that were taken.
pub(crate) fn within<T>(left: Left, ask: impl FnOnce() -> T) -> (Result<T, Spent>, u64) {
    let before = LEFT.replace(left);
    // Validators are not changed by being asked.
    let answer = catch_unwind(AssertUnwindSafe(ask));
    let after = LEFT.replace(before);
    let taken = left.steps - after.steps;
    match answer {
        Ok(answer) => (Ok(answer), taken),
        Err(payload) if payload.is::<Spent>() => (Err(Spent), taken),
        Err(panic) => resume_unwind(panic),
    }
}

/// A step at a schema.
struct Step {
    steps: u64,
    errors: u64,
}

/// Makes the keyword from its value, `[steps, errors]`.
#[expect(
    clippy::unnecessary_wraps,
    reason = "the signature that jsonschema asks for"
)]
pub(crate) fn keyword<'a>(
    _: &'a Map<String, Value>,
    value: &'a Value,
    _: Location,
) -> Result<Box<dyn Keyword>, ValidationError<'a>> {
    let at = |index: usize| value.get(index).and_then(Value::as_u64).unwrap_or(1);
    Ok(Box::new(Step {
        steps: at(0),
        errors: at(1),
    }))
}

impl Step {
    fn take(&self, value: &Value, gathering: bool) {
        let more = match value {
            Value::Array(items) => items.len() / 16,
            Value::Object(members) => members.len() / 16,
            Value::String(text) => text.len() / 64,
            _ => 0,
        } as u64;
        LEFT.with(|left| {
            let before = left.get();
            let errors = if gathering { self.errors + more } else { 0 };
            let steps = before.steps.checked_sub(self.steps + more);
            let (Some(steps), Some(errors)) = (steps, before.errors.checked_sub(errors)) else {
                left.set(Left { steps: 0, ..before });
                resume_unwind(Box::new(Spent));
            };
            left.set(Left { steps, errors });
        });
    }
}

impl Keyword for Step {
    fn validate<'i>(&self, instance: &'i Value) -> Result<(), ValidationError<'i>> {
        self.take(instance, true);
        Ok(())
    }

    fn is_valid(&self, instance: &Value) -> bool {
        self.take(instance, false);
        true
    }
}

/// What an error of a schema may hold: values that the data is held against are copied into it.
pub(crate) fn weight(members: &Map<String, Value>) -> u64 {
    let mut weight = 1;
    for keyword in ["enum", "const", "not", "required", "dependentRequired"] {
        if let Some(value) = members.get(keyword) {
            weight += size(value) / 8;
        }
    }
    weight
}

/// How large a value is: one for each value in it, and more for long texts.
pub(crate) fn size(value: &Value) -> u64 {
    let mut size = 0;
    let mut open = vec![value];
    while let Some(value) = open.pop() {
        size += 1;
        match value {
            Value::String(text) => size += text.len() as u64 / 64,
            Value::Array(items) => open.extend(items),
            Value::Object(members) => open.extend(members.values()),
            _ => {}
        }
    }
    size
}

/// How deep a value nests: 1 for a scalar.
pub(crate) fn depth(value: &Value) -> u64 {
    let inner = match value {
        Value::Array(items) => items.iter().map(depth).max(),
        Value::Object(members) => members.values().map(depth).max(),
        _ => None,
    };
    1 + inner.unwrap_or_default()
}

/// The schema with its steps.
pub(crate) fn with_steps(schema: &Value, draft: Draft) -> Value {
    rewritten(schema, Place::Schema, draft)
}

fn rewritten(value: &Value, place: Place, draft: Draft) -> Value {
    match value {
        Value::Array(items) if place != Place::Data => {
            let items = items.iter().map(|item| rewritten(item, place, draft));
            Value::Array(items.collect())
        }
        Value::Object(members) if place != Place::Data => {
            let draft = if members.contains_key("$schema") {
                draft.detect(value)
            } else {
                draft
            };
            let mut inner: Map<String, Value> = members
                .iter()
                .map(|(name, member)| (name.clone(), rewritten(member, place.member(name), draft)))
                .collect();
            if place == Place::Schema {
                step(&mut inner, members, draft);
            }
            Value::Object(inner)
        }
        other => other.clone(),
    }
}

/// Puts the step into one schema.
fn step(inner: &mut Map<String, Value>, members: &Map<String, Value>, draft: Draft) {
    let alternatives: usize = ["allOf", "anyOf", "oneOf"]
        .iter()
        .filter_map(|keyword| members.get(*keyword)?.as_array())
        .map(Vec::len)
        .sum();
    let step = json!({STEP: [1 + alternatives, weight(members)]});
    if draft < Draft::Draft201909
        && let Some(Value::String(reference)) = members.get("$ref")
    {
        let reference = json!({"$ref": reference});
        inner.retain(|name, _| !counts(name));
        inner.insert("allOf".to_owned(), json!([step, reference]));
        return;
    }
    match inner.get_mut("allOf") {
        Some(Value::Array(all)) => all.push(step),
        // Not in a schema: its draft's rules would refuse it.
        Some(_) => {}
        None => {
            inner.insert("allOf".to_owned(), Value::Array(vec![step]));
        }
    }
}

/// The schema as it was, but for what counts for nothing beside a reference; for messages.
pub(crate) fn without_steps(schema: &Value) -> Value {
    match schema {
        Value::Array(items) => Value::Array(items.iter().map(without_steps).collect()),
        Value::Object(members) => {
            let is_step = |one: &Value| one.get(STEP).is_some();
            let mut inner = Map::new();
            for (name, member) in members {
                let steps = member.as_array().filter(|all| all.iter().any(is_step));
                let (true, Some(all)) = (name == "allOf", steps) else {
                    inner.insert(name.clone(), without_steps(member));
                    continue;
                };
                match (all.first().is_some_and(is_step), all.as_slice()) {
                    (true, [_, Value::Object(reference)]) => inner.extend(reference.clone()),
                    (true, _) => {}
                    (false, _) => {
                        let own = all.iter().filter(|one| !is_step(one)).map(without_steps);
                        inner.insert(name.clone(), Value::Array(own.collect()));
                    }
                }
            }
            Value::Object(inner)
        }
        other => other.clone(),
    }
}

/// Whether a member means anything up to draft-07, where no reference stands beside it.
fn counts(name: &str) -> bool {
    matches!(
        name,
        "$ref"
            | "$id"
            | "id"
            | "type"
            | "enum"
            | "const"
            | "multipleOf"
            | "maximum"
            | "exclusiveMaximum"
            | "minimum"
            | "exclusiveMinimum"
            | "maxLength"
            | "minLength"
            | "pattern"
            | "format"
            | "contentEncoding"
            | "contentMediaType"
            | "items"
            | "additionalItems"
            | "maxItems"
            | "minItems"
            | "uniqueItems"
            | "contains"
            | "maxProperties"
            | "minProperties"
            | "required"
            | "properties"
            | "patternProperties"
            | "additionalProperties"
            | "dependencies"
            | "propertyNames"
            | "allOf"
            | "anyOf"
            | "oneOf"
            | "not"
            | "if"
            | "then"
            | "else"
    )
}
