//! What the tests share: a validator of their own, and schemas at random.

// Each test binary uses its own part of this.
#![allow(dead_code)]

use serde_json::{Map, Value, json};

/// As the hub validates contracts, without anything of the crate.
pub fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::options()
        .should_validate_formats(true)
        .with_pattern_options(jsonschema::PatternOptions::regex())
        .build(schema)
        .expect("the schema can be compiled")
}

/// A small generator of numbers, the same on every machine (xorshift64*).
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let bits = self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33;
        usize::try_from(bits).unwrap_or(0) % limit.max(1)
    }

    pub fn pick<T: Clone>(&mut self, of: &[T]) -> T {
        of[self.below(of.len())].clone()
    }

    pub fn chance(&mut self, percent: usize) -> bool {
        self.below(100) < percent
    }
}

const NAMES: [&str; 5] = ["a", "b", "c", "x-a", "kind"];
const TYPES: [&str; 7] = [
    "null", "boolean", "integer", "number", "string", "array", "object",
];
const PATTERNS: [&str; 5] = ["^a", "b$", "^[a-z]+$", "^x-", "[0-9]"];

/// A scalar or a small compound.
pub fn value(random: &mut Random, depth: usize) -> Value {
    let kinds = if depth == 0 { 7 } else { 10 };
    match random.below(kinds) {
        0 => Value::Null,
        1 => random.chance(50).into(),
        2 | 3 => random.pick(&[
            json!(0),
            json!(1),
            json!(2),
            json!(3),
            json!(-1),
            json!(5),
            json!(10),
            json!(1.0),
        ]),
        4 => random.pick(&[
            json!(0.5),
            json!(1.5),
            json!(2.0),
            json!(-0.5),
            json!(1e300),
        ]),
        5 | 6 => random.pick(&[
            json!(""),
            json!("a"),
            json!("ab"),
            json!("x-a"),
            json!("kind"),
            json!("b"),
            json!("2020-01-01"),
            json!("A1"),
            json!("abcdef"),
        ]),
        7 => {
            let length = random.below(4);
            (0..length).map(|_| value(random, depth - 1)).collect()
        }
        _ => {
            let mut members = Map::new();
            for _ in 0..random.below(4) {
                members.insert(random.pick(&NAMES).to_owned(), value(random, depth - 1));
            }
            Value::Object(members)
        }
    }
}

/// A schema at random; `draft` is 4, 6, 7, 19 or 20.
pub fn schema(random: &mut Random, depth: usize, draft: u32) -> Value {
    if draft > 4 && random.chance(6) {
        return random.chance(70).into();
    }
    let mut members = Map::new();
    let keywords = 1 + random.below(3);
    for _ in 0..keywords {
        keyword(random, depth, draft, &mut members);
    }
    Value::Object(members)
}

/// A whole document, with definitions that lead back.
pub fn document(random: &mut Random, draft: u32) -> Value {
    let mut root = schema(random, 3, draft);
    if let Value::Object(members) = &mut root {
        let definitions = if draft >= 19 { "$defs" } else { "definitions" };
        let one = schema(random, 2, draft);
        let other = schema(random, 1, draft);
        members.insert(definitions.to_owned(), json!({"one": one, "other": other}));
        name_draft(members, draft);
    }
    root
}

pub fn name_draft(members: &mut Map<String, Value>, draft: u32) {
    let address = match draft {
        4 => "http://json-schema.org/draft-04/schema#",
        6 => "http://json-schema.org/draft-06/schema#",
        7 => "http://json-schema.org/draft-07/schema#",
        19 => "https://json-schema.org/draft/2019-09/schema",
        _ => return,
    };
    members.insert("$schema".to_owned(), address.into());
}

fn keyword(random: &mut Random, depth: usize, draft: u32, into: &mut Map<String, Value>) {
    let mut set = |name: &str, value: Value| {
        into.insert(name.to_owned(), value);
    };
    let simple = random.below(100) < if depth == 0 { 100 } else { 45 };
    if simple {
        match random.below(17) {
            0..=3 => {
                let one = random.pick(&TYPES);
                let other = random.pick(&TYPES);
                if one != other && random.chance(40) {
                    set("type", json!([one, other]));
                } else {
                    set("type", one.into());
                }
            }
            4 => {
                let mut values: Vec<Value> = Vec::new();
                for _ in 0..1 + random.below(3) {
                    let one = value(random, 1);
                    if !values.contains(&one) {
                        values.push(one);
                    }
                }
                set("enum", values.into());
            }
            5 if draft >= 6 => set("const", value(random, 1)),
            6 => {
                set(
                    "minimum",
                    random.pick(&[json!(0), json!(1), json!(0.5), json!(-1)]),
                );
                if draft == 4 && random.chance(40) {
                    set("exclusiveMinimum", true.into());
                }
            }
            7 => set(
                "maximum",
                random.pick(&[json!(2), json!(1), json!(2.5), json!(5)]),
            ),
            8 if draft >= 6 => set(
                random.pick(&["exclusiveMinimum", "exclusiveMaximum"]),
                random.pick(&[json!(0), json!(1), json!(1.5), json!(3)]),
            ),
            9 => set(
                "multipleOf",
                random.pick(&[json!(1), json!(2), json!(0.5), json!(3), json!(4)]),
            ),
            10 => set("minLength", random.below(3).into()),
            11 => set("maxLength", random.below(4).into()),
            12 => set("pattern", random.pick(&PATTERNS).into()),
            13 => set("required", json!([random.pick(&NAMES)])),
            14 => set(
                random.pick(&["minItems", "minProperties"]),
                random.below(3).into(),
            ),
            15 => set(
                random.pick(&["maxItems", "maxProperties"]),
                random.below(4).into(),
            ),
            16 if random.chance(50) => set("uniqueItems", true.into()),
            _ => set("format", random.pick(&["date", "ipv4", "own"]).into()),
        }
        return;
    }
    let next = depth - 1;
    match random.below(23) {
        0..=4 => {
            let mut members = Map::new();
            for _ in 0..1 + random.below(2) {
                members.insert(random.pick(&NAMES).to_owned(), schema(random, next, draft));
            }
            set("properties", members.into());
        }
        5 => {
            let inner = if random.chance(50) {
                json!(false)
            } else {
                schema(random, next, draft)
            };
            set("additionalProperties", inner);
        }
        6 => set(
            "patternProperties",
            json!({random.pick(&PATTERNS): schema(random, next, draft)}),
        ),
        7 if draft >= 6 => set("propertyNames", schema(random, 0, draft)),
        8 | 9 => {
            if draft < 20 && random.chance(30) {
                set("items", json!([schema(random, next, draft)]));
                if random.chance(50) {
                    set("additionalItems", random.chance(30).into());
                }
            } else {
                set("items", json_object(schema(random, next, draft), draft));
            }
        }
        10 if draft >= 20 => set("prefixItems", json!([schema(random, next, draft)])),
        11 if draft >= 6 => {
            set("contains", schema(random, next, draft));
            if draft >= 19 && random.chance(40) {
                set(
                    random.pick(&["minContains", "maxContains"]),
                    random.below(3).into(),
                );
            }
        }
        12 => set(
            "allOf",
            json!([schema(random, next, draft), schema(random, next, draft)]),
        ),
        13 | 14 => set(
            "anyOf",
            json!([schema(random, next, draft), schema(random, next, draft)]),
        ),
        15 | 16 => set(
            "oneOf",
            json!([schema(random, next, draft), schema(random, next, draft)]),
        ),
        17 => set("not", schema(random, next, draft)),
        18 if draft >= 7 => {
            set("if", schema(random, next, draft));
            set("then", schema(random, next, draft));
            if random.chance(50) {
                set("else", schema(random, next, draft));
            }
        }
        19 if draft >= 19 => {
            let keyword = random.pick(&["unevaluatedProperties", "unevaluatedItems"]);
            let inner = if random.chance(60) {
                json!(false)
            } else {
                schema(random, next, draft)
            };
            set(keyword, inner);
        }
        20 if draft >= 19 => match random.below(2) {
            0 => set(
                "dependentRequired",
                json!({random.pick(&NAMES): [random.pick(&NAMES)]}),
            ),
            _ => set(
                "dependentSchemas",
                json!({random.pick(&NAMES): schema(random, next, draft)}),
            ),
        },
        21 if draft < 19 => set(
            "dependencies",
            json!({random.pick(&NAMES): [random.pick(&NAMES)]}),
        ),
        _ => {
            let definitions = if draft >= 19 { "$defs" } else { "definitions" };
            let name = random.pick(&["one", "other"]);
            set(
                "properties",
                json!({"next": {"$ref": format!("#/{definitions}/{name}")}, "a": {"$ref": "#"}}),
            );
        }
    }
}

fn json_object(schema: Value, draft: u32) -> Value {
    if draft == 4 && schema.is_boolean() {
        json!({})
    } else {
        schema
    }
}

/// The schema with one thing changed.
pub fn changed(random: &mut Random, schema: &Value, draft: u32) -> Value {
    let mut copy = schema.clone();
    for _ in 0..1 + random.below(2) {
        let mut places = Vec::new();
        gather(&copy, &mut String::new(), &mut places);
        if places.is_empty() {
            return self::document(random, draft);
        }
        let place = random.pick(&places);
        if let Some(Value::Object(members)) = copy.pointer_mut(&place) {
            if random.chance(50) || members.is_empty() {
                keyword(random, 1, draft, members);
            } else {
                let names: Vec<String> = members
                    .keys()
                    .filter(|name| !name.starts_with('$') && *name != "definitions")
                    .cloned()
                    .collect();
                if !names.is_empty() {
                    members.remove(&random.pick(&names));
                }
            }
        }
    }
    copy
}

fn gather(value: &Value, at: &mut String, places: &mut Vec<String>) {
    let Value::Object(members) = value else {
        return;
    };
    places.push(at.clone());
    let length = at.len();
    let mut go = |path: String, value: &Value, at: &mut String| {
        at.push_str(&path);
        gather(value, at, places);
        at.truncate(length);
    };
    for (name, member) in members {
        match (name.as_str(), member) {
            (
                "properties" | "patternProperties" | "$defs" | "definitions" | "dependentSchemas",
                Value::Object(map),
            ) => {
                for (key, inner) in map {
                    let key = key.replace('~', "~0").replace('/', "~1");
                    go(format!("/{name}/{key}"), inner, at);
                }
            }
            ("allOf" | "anyOf" | "oneOf" | "prefixItems", Value::Array(list)) => {
                for (index, inner) in list.iter().enumerate() {
                    go(format!("/{name}/{index}"), inner, at);
                }
            }
            (
                "items"
                | "additionalProperties"
                | "not"
                | "if"
                | "then"
                | "else"
                | "contains"
                | "unevaluatedProperties",
                inner,
            ) => {
                go(format!("/{name}"), inner, at);
            }
            _ => {}
        }
    }
}
