//! Random schemas, schemas that came of others, and random data, written by an encoder of its own.

use std::collections::HashMap;

use serde_json::{Value, json};

/// SplitMix64.
pub struct Random(pub u64);

impl Random {
    pub fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    pub fn below(&mut self, most: usize) -> usize {
        (self.next() % most as u64) as usize
    }

    pub fn one_in(&mut self, most: usize) -> bool {
        self.below(most) == 0
    }

    pub fn pick<'a, T>(&mut self, list: &'a [T]) -> &'a T {
        &list[self.below(list.len())]
    }
}

/// Makes a schema of at most this depth. Records may refer to those around them, where data can end.
pub fn schema(random: &mut Random) -> Value {
    let mut names = 0;
    make(random, 4, &mut names, &[])
}

fn make(random: &mut Random, depth: usize, names: &mut usize, around: &[String]) -> Value {
    let choices = if depth == 0 { 12 } else { 20 };
    let choice = random.below(choices);
    let mut name = |prefix: &str| {
        *names += 1;
        format!("{prefix}{names}")
    };
    match choice {
        0 => json!("null"),
        1 => json!("boolean"),
        2 => json!("int"),
        3 => json!("long"),
        4 => json!("float"),
        5 => json!("double"),
        6 => json!("bytes"),
        7 | 8 => json!("string"),
        9 => match random.below(8) {
            0 => json!({"type": "int", "logicalType": "date"}),
            1 => json!({"type": "int", "logicalType": "time-millis"}),
            2 => json!({"type": "long", "logicalType": "time-micros"}),
            3 => json!({"type": "long", "logicalType": "timestamp-millis"}),
            4 => json!({"type": "long", "logicalType": "local-timestamp-nanos"}),
            5 => json!({"type": "bytes", "logicalType": "decimal", "precision": 9, "scale": 2}),
            6 => {
                json!({"type": "fixed", "name": name("D"), "size": 8, "logicalType": "decimal", "precision": 12, "scale": 4})
            }
            _ => json!({"type": "fixed", "name": name("P"), "size": 12, "logicalType": "duration"}),
        },
        10 => {
            let symbols: Vec<&str> = ["A", "B", "C", "D"][..=random.below(4)].to_vec();
            json!({"type": "enum", "name": name("E"), "symbols": symbols})
        }
        11 => json!({"type": "fixed", "name": name("F"), "size": random.below(5)}),
        12 | 13 => {
            let inner = make(random, depth - 1, names, around);
            json!({"type": "array", "items": inner})
        }
        14 => {
            let inner = make(random, depth - 1, names, around);
            json!({"type": "map", "values": inner})
        }
        15 | 16 => {
            let mut branches: Vec<Value> = Vec::new();
            if random.one_in(2) {
                branches.push(json!("null"));
            }
            if !around.is_empty() && random.one_in(2) {
                branches.push(json!("null"));
                branches.push(json!(random.pick(around)));
            }
            for _ in 0..=random.below(3) {
                branches.push(make(random, depth - 1, names, around));
            }
            let mut seen = Vec::new();
            branches.retain(|branch| {
                let key = key(branch);
                let new = !branch.is_array() && !seen.contains(&key);
                seen.push(key);
                new
            });
            if branches.is_empty() {
                branches.push(json!("int"));
            }
            json!(branches)
        }
        _ => {
            let own = name("R");
            let around = [around, std::slice::from_ref(&own)].concat();
            let mut fields = Vec::new();
            for index in 0..random.below(4) {
                let inner = make(random, depth - 1, names, &around);
                fields.push(json!({"name": format!("f{index}"), "type": inner}));
            }
            json!({"type": "record", "name": own, "fields": fields})
        }
    }
}

/// What may be in a union once.
fn key(schema: &Value) -> String {
    let word = schema["type"]
        .as_str()
        .or(schema.as_str())
        .unwrap_or("union");
    schema["name"].as_str().unwrap_or(word).to_owned()
}

/// A schema that somebody could have made of this one: some places are changed.
pub fn changed(random: &mut Random, schema: &Value, names: &mut usize) -> Value {
    if random.one_in(12) {
        let promoted = match schema.as_str() {
            Some("int") => json!(random.pick(&["long", "float", "double", "string"])),
            Some("long") => json!(random.pick(&["float", "double", "int"])),
            Some("float") => json!(random.pick(&["double", "int"])),
            Some("string") => json!(random.pick(&["bytes", "long"])),
            Some("bytes") => json!("string"),
            _ => Value::Null,
        };
        if !promoted.is_null() {
            return promoted;
        }
    }
    match schema {
        Value::String(_) if random.one_in(10) => json!(["null", schema])
            .as_array()
            .filter(|_| schema != "null")
            .map_or(schema.clone(), |branches| json!(branches)),
        Value::Array(branches) => {
            let mut branches: Vec<Value> = branches
                .iter()
                .map(|branch| changed(random, branch, names))
                .collect();
            if random.one_in(5) && branches.len() > 1 {
                let gone = random.below(branches.len());
                // Types are defined where they are first: what others refer to must stay.
                if branches[gone].is_string() {
                    branches.remove(gone);
                }
            }
            if random.one_in(6) {
                branches.push(json!("boolean"));
            }
            let mut seen = Vec::new();
            branches.retain(|branch| {
                let key = key(branch);
                let new = !branch.is_array() && !seen.contains(&key);
                seen.push(key);
                new
            });
            if branches.is_empty() {
                branches.push(json!("int"));
            }
            json!(branches)
        }
        Value::Object(members) => {
            let mut members = members.clone();
            for part in ["items", "values"] {
                if let Some(inner) = members.get(part) {
                    let inner = changed(random, inner, names);
                    members.insert(part.into(), inner);
                }
            }
            if let Some(size) = members.get("size").and_then(Value::as_u64)
                && !members.contains_key("logicalType")
                && random.one_in(8)
            {
                members.insert("size".into(), json!(size + 1));
            }
            if members.get("logicalType") == Some(&json!("decimal")) && random.one_in(4) {
                members.insert("scale".into(), json!(3));
            }
            if let Some(Value::Array(symbols)) = members.get("symbols") {
                let mut symbols = symbols.clone();
                if random.one_in(4) {
                    symbols.push(json!("Z"));
                }
                if random.one_in(4) && symbols.len() > 1 {
                    symbols.remove(0);
                }
                if random.one_in(4) {
                    members.insert("default".into(), symbols[0].clone());
                }
                members.insert("symbols".into(), json!(symbols));
            }
            if let Some(Value::Array(fields)) = members.get("fields") {
                let mut fields: Vec<Value> = fields
                    .iter()
                    .map(|field| {
                        let mut field = field.clone();
                        field["type"] = changed(random, &field["type"], names);
                        if random.one_in(10) {
                            field["aliases"] = json!([field["name"]]);
                            *names += 1;
                            field["name"] = json!(format!("n{names}"));
                        }
                        field
                    })
                    .collect();
                if random.one_in(4) {
                    *names += 1;
                    let mut field = json!({"name": format!("n{names}"), "type": ["int", "null"]});
                    if random.one_in(2) {
                        field["default"] = json!(7);
                    }
                    fields.insert(random.below(fields.len() + 1), field);
                }
                if random.one_in(4)
                    && let Some(last) = fields.last()
                    && last["type"].is_string()
                {
                    fields.pop();
                }
                if random.one_in(4) && fields.iter().all(|field| field["type"].is_string()) {
                    fields.reverse();
                }
                members.insert("fields".into(), json!(fields));
            }
            if random.one_in(25) && members.get("name").is_some() && members["type"] != "record" {
                members.insert("name".into(), json!("Other"));
            }
            Value::Object(members)
        }
        other => other.clone(),
    }
}

/// Writes data of a schema, by the specification's section "Binary Encoding".
pub struct Writer<'a> {
    pub random: &'a mut Random,
    types: HashMap<String, Value>,
    pub out: Vec<u8>,
    /// Values that may yet come; then all is as short as it goes.
    budget: usize,
}

impl<'a> Writer<'a> {
    pub fn new(schema: &Value, random: &'a mut Random) -> Self {
        let mut types = HashMap::new();
        gather(schema, &mut types);
        Self {
            random,
            types,
            out: Vec::new(),
            budget: 60,
        }
    }

    fn long(&mut self, number: i64) {
        let mut rest = ((number << 1) ^ (number >> 63)) as u64;
        while rest >= 0x80 {
            self.out.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.out.push(rest as u8);
    }

    fn bytes(&mut self, bytes: &[u8]) {
        self.long(bytes.len() as i64);
        self.out.extend_from_slice(bytes);
    }

    fn text(&mut self) -> String {
        let letters = ['a', 'Z', '0', ' ', 'ß', '€', '"', '\\', '\n', '/', '~', '𝄞'];
        (0..self.random.below(5))
            .map(|_| *self.random.pick(&letters))
            .collect()
    }

    fn integer(&mut self, bits: u32) -> i64 {
        let edge = 1i64 << (bits - 1).min(62);
        match self.random.below(6) {
            0 => 0,
            1 => -1,
            2 => (edge - 1)
                .wrapping_mul(if bits == 64 { 2 } else { 1 })
                .wrapping_add(i64::from(bits == 64)),
            3 => {
                if bits == 64 {
                    i64::MIN
                } else {
                    -edge
                }
            }
            4 => (self.random.next() as i64) >> (64 - bits),
            _ => self.random.below(100_000) as i64,
        }
    }

    pub fn value(&mut self, schema: &Value) {
        self.budget = self.budget.saturating_sub(1);
        let word = schema["type"]
            .as_str()
            .or(schema.as_str())
            .unwrap_or("union");
        match word {
            "null" => {}
            "boolean" => {
                let byte = self.random.below(2) as u8;
                self.out.push(byte);
            }
            "int" => {
                let number = self.integer(32);
                self.long(number);
            }
            "long" => {
                let number = self.integer(64);
                self.long(number);
            }
            "float" => {
                let edges = [
                    0.0,
                    -0.0,
                    0.1,
                    f32::NAN,
                    f32::INFINITY,
                    f32::MIN_POSITIVE,
                    f32::MAX,
                ];
                let any = f32::from_bits(self.random.next() as u32);
                let number = if self.random.one_in(2) {
                    *self.random.pick(&edges)
                } else {
                    any
                };
                // There is one NaN in JSON.
                let number = if number.is_nan() { f32::NAN } else { number };
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            "double" => {
                let edges = [
                    0.0,
                    -0.0,
                    0.1,
                    f64::NAN,
                    f64::NEG_INFINITY,
                    f64::MIN_POSITIVE,
                    f64::MAX,
                ];
                let any = f64::from_bits(self.random.next());
                let number = if self.random.one_in(2) {
                    *self.random.pick(&edges)
                } else {
                    any
                };
                let number = if number.is_nan() { f64::NAN } else { number };
                self.out.extend_from_slice(&number.to_le_bytes());
            }
            "bytes" if schema["logicalType"] == "decimal" => {
                let number = self.random.below(1_999_999_999) as i64 - 999_999_999;
                let bytes = number.to_be_bytes();
                let repeats = bytes
                    .windows(2)
                    .take_while(|pair| {
                        (pair[0] == 0 && pair[1] < 0x80) || (pair[0] == 0xff && pair[1] >= 0x80)
                    })
                    .count();
                self.bytes(&bytes[repeats..]);
            }
            "bytes" => {
                let count = self.random.below(5);
                let bytes: Vec<u8> = (0..count).map(|_| self.random.next() as u8).collect();
                self.bytes(&bytes);
            }
            "string" => {
                let text = self.text();
                self.bytes(text.as_bytes());
            }
            "fixed" if schema["logicalType"] == "decimal" => {
                let number = self.random.below(1_999_999) as i64 - 999_999;
                self.out.extend_from_slice(&number.to_be_bytes());
            }
            "fixed" => {
                for _ in 0..schema["size"].as_u64().unwrap() {
                    let byte = self.random.next() as u8;
                    self.out.push(byte);
                }
            }
            "enum" => {
                let index = self
                    .random
                    .below(schema["symbols"].as_array().unwrap().len());
                self.long(index as i64);
            }
            "array" | "map" => {
                let count = if self.budget == 0 {
                    0
                } else {
                    self.random.below(4)
                };
                if count > 0 {
                    self.long(count as i64);
                    for index in 0..count {
                        if word == "map" {
                            // In order, as JSON has them here.
                            let key = format!("{index}{}", self.text());
                            self.bytes(key.as_bytes());
                            self.value(&schema["values"]);
                        } else {
                            self.value(&schema["items"]);
                        }
                    }
                }
                self.out.push(0);
            }
            "union" => {
                let branches = schema.as_array().unwrap();
                let null = branches.iter().position(|branch| branch == "null");
                let index = match null {
                    Some(null) if self.budget == 0 => null,
                    _ => self.random.below(branches.len()),
                };
                self.long(index as i64);
                self.value(&branches[index]);
            }
            "record" => {
                for field in schema["fields"].as_array().unwrap() {
                    self.value(&field["type"]);
                }
            }
            named => {
                let schema = self.types[named].clone();
                self.value(&schema);
            }
        }
    }
}

fn gather(schema: &Value, types: &mut HashMap<String, Value>) {
    if let Some(name) = schema["name"]
        .as_str()
        .filter(|_| schema["type"].is_string())
    {
        types
            .entry(name.to_owned())
            .or_insert_with(|| schema.clone());
    }
    match schema {
        Value::Array(branches) => branches.iter().for_each(|branch| gather(branch, types)),
        Value::Object(members) => {
            for part in ["items", "values"] {
                if let Some(inner) = members.get(part) {
                    gather(inner, types);
                }
            }
            for field in members
                .get("fields")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
            {
                gather(&field["type"], types);
            }
        }
        _ => {}
    }
}
