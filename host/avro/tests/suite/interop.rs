//! fastavro (PyPI, pinned in tests/clients/requirements.txt) reads what is written here and the other
//! way round, and resolves as is resolved here.

use sandbar_avro::{Resolution, Schema};
use serde_json::{Value, json};

use crate::{
    client,
    generate::{self, Random, Writer},
    hex, schema, unhex,
};

fn texts(answer: &Value) -> Vec<&str> {
    answer
        .as_array()
        .expect("a list")
        .iter()
        .map(|one| one.as_str().expect("hex"))
        .collect()
}

/// Schemas whose data fastavro keeps as it is: it turns logical types into Python's own and those of
/// decimals, dates and times have other bounds there.
fn plain(random: &mut Random) -> Value {
    loop {
        let made = generate::schema(random);
        if !made.to_string().contains("logicalType") && made != "null" {
            return made;
        }
    }
}

fn has_union(schema: &Value) -> bool {
    let fields = schema["fields"].as_array().into_iter().flatten();
    schema.is_array()
        || fields.map(|field| &field["type"]).any(has_union)
        || ["items", "values"]
            .into_iter()
            .filter_map(|part| schema.get(part))
            .any(has_union)
}

#[test]
fn what_fastavro_makes_up_is_read_and_written_the_same() {
    let mut random = Random(1);
    let described: Vec<Value> = (0..150).map(|_| plain(&mut random)).collect();
    let jobs: Vec<Value> = described
        .iter()
        .map(|one| json!({"do": "generate", "schema": one, "count": 5}))
        .collect();
    let answers = client::run("avro_interop.py", &json!(jobs));
    for (one, answer) in described.iter().zip(answers.as_array().unwrap()) {
        let schema = schema(one);
        for bytes in texts(answer) {
            let json = schema
                .to_json(&unhex(bytes))
                .unwrap_or_else(|flaw| panic!("{one}: {bytes}: {flaw}"));
            // The keys of maps come in another order.
            let made = schema.to_bytes(&json).unwrap();
            assert_eq!(made.len() * 2, bytes.len(), "{one}: {json}");
            assert_eq!(schema.to_json(&made).unwrap(), json, "{one}");
        }
    }
}

#[test]
fn what_is_written_here_is_read_and_written_the_same_by_fastavro() {
    let mut random = Random(2);
    let mut jobs = Vec::new();
    for _ in 0..300 {
        let described = plain(&mut random);
        let schema = schema(&described);
        let mut data = Vec::new();
        for _ in 0..5 {
            let mut writer = Writer::new(&described, &mut random);
            writer.value(&described);
            let json = schema.to_json(&writer.out).unwrap();
            data.push(hex(&schema.to_bytes(&json).unwrap()));
        }
        jobs.push(json!({"do": "read", "schema": described, "bytes": data}));
    }
    let answers = client::run("avro_interop.py", &json!(jobs));
    let mut same = 0;
    for (job, answer) in jobs.iter().zip(answers.as_array().unwrap()) {
        let theirs = answer.as_array().expect("a list");
        for (ours, theirs) in texts(&job["bytes"]).into_iter().zip(theirs) {
            // It writes a value of a union as the first branch that takes it.
            if !has_union(&job["schema"]) {
                assert_eq!(ours, theirs, "{}", job["schema"]);
                same += 1;
            }
        }
    }
    assert!(same > 300, "only {same}");
}

#[test]
fn fastavro_resolves_to_the_same() {
    let mut random = Random(3);
    let mut jobs = Vec::new();
    while jobs.len() < 400 {
        let writer = plain(&mut random);
        let reader = generate::changed(&mut random, &writer, &mut 1000);
        let Ok(read) = Schema::parse(&reader.to_string(), &[]) else {
            continue;
        };
        let resolution = Resolution::new(&read, &schema(&writer));
        // What is promoted to a float stays a double in Python.
        let floats = |schema: &Value| schema.to_string().matches("\"float\"").count();
        if !resolution.total() || floats(&reader) != floats(&writer) {
            continue;
        }
        let (mut data, mut ours) = (Vec::new(), Vec::new());
        for _ in 0..5 {
            let mut made = Writer::new(&writer, &mut random);
            made.value(&writer);
            // Bytes that are no text are read as a string by neither.
            if let Ok(resolved) = resolution.resolve(&made.out) {
                data.push(hex(&made.out));
                ours.push(hex(&resolved));
            }
        }
        jobs.push(json!({"do": "resolve", "writer": writer, "reader": reader, "bytes": data, "ours": ours}));
    }
    let answers = client::run("avro_interop.py", &json!(jobs));
    let mut same = 0;
    for (job, answer) in jobs.iter().zip(answers.as_array().unwrap()) {
        for (index, both) in answer.as_array().unwrap().iter().enumerate() {
            assert_eq!(both[0], both[1], "{}: {job}", job["bytes"][index]);
            same += 1;
        }
    }
    assert!(same > 1000, "only {same}");
}
