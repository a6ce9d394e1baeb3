//! What holds for every schema and all data, asked of random ones.

use sandbar_avro::{Resolution, Schema, compare};
use serde_json::Value;

use crate::{
    form::fits_json_schema,
    generate::{self, Random, Writer},
    hex, schema,
};

fn datum(described: &Value, random: &mut Random) -> Vec<u8> {
    let mut writer = Writer::new(described, random);
    writer.value(described);
    writer.out
}

#[test]
fn bytes_to_json_and_back() {
    for seed in 0..1500 {
        let mut random = Random(seed);
        let described = generate::schema(&mut random);
        let schema = schema(&described);
        for round in 0..10 {
            let bytes = datum(&described, &mut random);
            let context = || format!("seed {seed}: {described}: {}", hex(&bytes));
            schema
                .check(&bytes)
                .unwrap_or_else(|flaw| panic!("{}: {flaw}", context()));
            let json = schema.to_json(&bytes).unwrap();
            let back = schema
                .to_bytes(&json)
                .unwrap_or_else(|flaw| panic!("{}: {json}: {flaw}", context()));
            assert_eq!(hex(&back), hex(&bytes), "{}: {json}", context());
            // Every reader reads what it wrote itself, as it is.
            assert_eq!(
                schema.resolve(&schema, &bytes).unwrap(),
                bytes,
                "{}",
                context()
            );
            if round == 0 {
                fits_json_schema(&schema, &json);
            }
        }
        let normal = Schema::parse(&schema.canonical(), &[]).unwrap();
        assert_eq!(normal.canonical(), schema.canonical(), "{described}");
        assert!(compare(&schema, &normal).is_empty() && compare(&normal, &schema).is_empty());
    }
}

#[test]
fn damaged_data_is_refused_or_other_data() {
    let mut refused = 0;
    for seed in 0..1500 {
        let mut random = Random(seed);
        let described = generate::schema(&mut random);
        let schema = schema(&described);
        for _ in 0..20 {
            let mut bytes = datum(&described, &mut random);
            for _ in 0..=random.below(3) {
                let at = random.below(bytes.len() + 1);
                match random.below(3) {
                    0 if at < bytes.len() => bytes[at] = random.next() as u8,
                    1 => bytes.insert(at, random.next() as u8),
                    _ => bytes.truncate(at),
                }
            }
            let context = || format!("seed {seed}: {described}: {}", hex(&bytes));
            let json = schema.to_json(&bytes);
            assert_eq!(
                schema.check(&bytes).err(),
                json.clone().err(),
                "{}",
                context()
            );
            assert_eq!(
                schema.resolve(&schema, &bytes).is_ok(),
                json.is_ok(),
                "{}",
                context()
            );
            match json {
                Err(_) => refused += 1,
                Ok(json) => {
                    let back = schema.to_bytes(&json).unwrap();
                    assert_eq!(schema.to_json(&back).unwrap(), json, "{}", context());
                }
            }
        }
    }
    assert!(refused > 5000, "only {refused} were damaged");
}

#[test]
fn what_is_compatible_is_read_and_what_is_not_has_a_datum_that_shows_it() {
    let (mut compatible, mut shown, mut unshown) = (0, 0, Vec::new());
    for seed in 0..6000 {
        let mut random = Random(seed);
        let written = generate::schema(&mut random);
        let read = generate::changed(&mut random, &written, &mut 1000);
        let writer = schema(&written);
        let Ok(reader) = Schema::parse(&read.to_string(), &[]) else {
            // A type that others refer to has got another name.
            continue;
        };
        let findings = compare(&reader, &writer);
        let resolution = Resolution::new(&reader, &writer);
        assert_eq!(resolution.total(), findings.is_empty());
        let rounds = if findings.is_empty() { 20 } else { 400 };
        let mut failed = false;
        for _ in 0..rounds {
            let bytes = datum(&written, &mut random);
            let context = || format!("seed {seed}: {read} reads {written}: {}", hex(&bytes));
            match resolution.resolve(&bytes) {
                Ok(resolved) => reader
                    .check(&resolved)
                    .unwrap_or_else(|flaw| panic!("{}: {flaw}", context())),
                // The one thing that types do not say: bytes are read as a string if they are text.
                Err(flaw) if flaw.reason.contains("UTF-8") => {}
                Err(flaw) => {
                    assert!(!findings.is_empty(), "{}: {flaw}", context());
                    failed = true;
                    break;
                }
            }
        }
        if findings.is_empty() {
            compatible += 1;
        } else if failed {
            shown += 1;
        } else {
            unshown.push(format!("seed {seed}: {read} reads {written}: {findings:?}"));
        }
    }
    assert!(
        compatible > 1000 && shown > 500,
        "{compatible} compatible, {shown} shown"
    );
    assert!(
        unshown.is_empty(),
        "{} of {shown}: {}",
        unshown.len(),
        unshown.join("\n")
    );
}
