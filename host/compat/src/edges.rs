//! Values at the edges of a case: what is easily forgotten when only ordinary data is thought of.
//!
//! What is made is a guess until the validator takes it.

use serde_json::{Value, json};

use crate::{
    sample::{Sampler, numbers, texts},
    shape::Shape,
    text,
    types::Types,
};

/// The most values of one case, in one type.
const MOST: usize = 24;
/// The most values of a list that are all tried.
const LISTED: usize = 40;
/// Properties that are each left out, and each put in, by itself.
const PROPERTIES: usize = 80;
/// Items of an array of many.
const MANY: u64 = 20;
/// Longer arrays are not made, whatever a schema allows.
const LONGEST_ARRAY: u64 = 200;
/// The length of a long text where a schema sets no limit, in characters.
const LONG_TEXT: u64 = 1_000;

/// Texts on which programs that read them fall over.
pub(crate) const TEXTS: &[&str] = &[
    "",
    " ",
    "0",
    "é",
    "日本語",
    "👩‍👩‍👧",
    "a\"b\\c",
    "one\ntwo\tthree",
    " a ",
    "-1",
    "null",
    "a/b#c?d",
    "\u{202e}abc",
    "<a href='x'>&amp;",
];

/// Values of one type of a case, without those inside of it: texts, numbers and whatever can be counted.
pub(crate) fn scalars(sampler: &mut Sampler<'_, '_>, shape: &Shape, one: Types) -> Vec<Value> {
    let likely: Vec<Value> = match one {
        Types::STRING => {
            let least = shape.min(|one| one.min_length);
            let most = shape.max(|one| one.max_length);
            let special = (shape.sources.iter())
                .any(|(_, one)| one.format.is_some() || one.pattern.is_some());
            let own = texts(shape);
            let mut all: Vec<String> = Vec::new();
            if special {
                all.extend(own.iter().cloned());
            }
            all.extend(text::of_length("a", least));
            all.extend(text::of_length("é", most.unwrap_or(LONG_TEXT.max(least))));
            all.extend(TEXTS.iter().map(|text| (*text).to_owned()));
            all.extend(own);
            all.into_iter().map(Value::from).collect()
        }
        Types::INTEGER | Types::WHOLE | Types::FRACTION => {
            let mut all = limits(shape);
            all.extend(numbers(shape));
            all.retain(|number| Types::of(number) == one);
            all
        }
        Types::BOOLEAN => vec![false.into(), true.into()],
        Types::NULL => vec![Value::Null],
        _ => Vec::new(),
    };
    let mut found: Vec<Value> = Vec::new();
    for value in likely {
        if found.len() >= MOST {
            break;
        }
        if !found.contains(&value) && sampler.space.fits(&shape.conj, &value) {
            found.push(value);
        }
    }
    found
}

/// Numbers at the bounds of a case, and where representations end.
fn limits(shape: &Shape) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    for (_, keywords) in &shape.sources {
        for bound in keywords.lower.iter().chain(&keywords.upper) {
            all.push(Value::Number(bound.limit.clone()));
            if let Some(limit) = bound.limit.as_i64() {
                all.extend([
                    limit.saturating_add(1).into(),
                    limit.saturating_sub(1).into(),
                ]);
            }
        }
    }
    all.extend([json!(0), json!(-1), json!(1)]);
    // The last integer that a float holds exactly, and the one behind it.
    all.extend([
        json!(9_007_199_254_740_991_i64),
        json!(9_007_199_254_740_993_i64),
    ]);
    all.extend([json!(i64::MAX), json!(i64::MIN), json!(u64::MAX)]);
    all.extend([0.5, -0.0, 0.1, 1e-7, 1e21, 1.5e300, -1e300, 5e-324, 1.0].map(Value::from));
    all
}

/// All values of a case that can be counted, when they are few enough.
pub(crate) fn listed(shape: &Shape) -> Option<&[Value]> {
    let values = shape.values.as_deref()?;
    Some(&values[..values.len().min(LISTED)])
}

/// Objects of a case: with nothing that is not needed, with everything, with each optional property by
/// itself, without each, and with one that the schema does not name.
pub(crate) fn objects(sampler: &mut Sampler<'_, '_>, shape: &Shape, depth: u32) -> Vec<Value> {
    let mut all: Vec<Value> = Vec::new();
    let full = sampler.object(shape, 0, depth, &[], true);
    all.extend(sampler.object(shape, 0, depth, &[], false));
    all.extend(full.clone());
    let required = shape.required().clone();
    let optional: Vec<String> = (shape.named().iter())
        .filter(|name| !required.contains(*name))
        .take(PROPERTIES)
        .cloned()
        .collect();
    for name in &optional {
        let property = sampler.space.property(shape, name);
        if let Some(value) = sampler.sample(&property, 0, depth + 1) {
            let fixed = [(name.clone(), value)];
            all.extend(sampler.object(shape, 0, depth, &fixed, false));
        }
        if let Some(Value::Object(members)) = &full
            && members.contains_key(name)
        {
            let mut members = members.clone();
            members.remove(name);
            all.push(Value::Object(members));
        }
    }
    for name in ["unknown", "", "a b", "é", "__proto__"] {
        let property = sampler.space.property(shape, name);
        if !shape.named().contains(name)
            && let Some(value) = sampler.sample(&property, 1, depth + 1)
        {
            let fixed = [(name.to_owned(), value)];
            all.extend(sampler.object(shape, 0, depth, &fixed, false));
        }
    }
    fitting(sampler, shape, all)
}

/// Arrays of a case: none, one, many items, equal ones and different ones, at the bounds.
pub(crate) fn arrays(sampler: &mut Sampler<'_, '_>, shape: &Shape, depth: u32) -> Vec<Value> {
    let least = shape.min(|one| one.min_items);
    let most = sampler.space.most_items(shape);
    let mut lengths = vec![least, 0, 1, 2, MANY, least.saturating_add(1)];
    lengths.extend(most);
    lengths.extend(most.and_then(|most| most.checked_sub(1)));
    let end = most.unwrap_or(u64::MAX).min(LONGEST_ARRAY);
    lengths.retain(|length| (least..=end).contains(length));
    lengths.sort_unstable();
    lengths.dedup();
    let mut all = Vec::new();
    for length in lengths {
        for variant in 0..2 {
            all.extend(sampler.array(shape, variant, depth, length, None));
        }
        // Items that differ from one another.
        if (2..=3).contains(&length) {
            let items: Option<Vec<Value>> = (0..length)
                .map(|index| {
                    let index = usize::try_from(index).ok()?;
                    let item = sampler.space.item(shape, index);
                    sampler.sample(&item, u32::try_from(index).ok()?, depth + 1)
                })
                .collect();
            all.extend(items.map(Value::Array));
        }
    }
    fitting(sampler, shape, all)
}

fn fitting(sampler: &mut Sampler<'_, '_>, shape: &Shape, all: Vec<Value>) -> Vec<Value> {
    let mut found: Vec<Value> = Vec::new();
    for value in all {
        if !found.contains(&value) && sampler.space.fits(&shape.conj, &value) {
            found.push(value);
        }
    }
    found
}
