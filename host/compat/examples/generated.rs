//! How long it takes to make documents of each part of a large schema:
//! `generated SCHEMA.json TYPES.json COUNT`.

use std::{collections::BTreeMap, time::Instant};

use sandbar_compat::{Document, Generation, generate};
use serde_json::Value;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().collect();
    let [_, schema, types, count] = arguments.as_slice() else {
        return Err("generated SCHEMA.json TYPES.json COUNT".into());
    };
    let schema: Value = serde_json::from_slice(&std::fs::read(schema)?)?;
    let types: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(types)?)?;
    let started = Instant::now();
    let document = Document::new(&schema)?;
    println!("read in {} ms", started.elapsed().as_millis());
    let pointers: Vec<String> = (types.values())
        .map(|reference| reference.trim_start_matches('#').to_owned())
        .collect();
    let options = Generation {
        documents: count.parse()?,
        ..Generation::default()
    };
    let started = Instant::now();
    let made = generate(&document, &pointers, &options);
    let (all, least) = (
        made.iter().map(Vec::len).sum::<usize>(),
        made.iter().map(Vec::len).min(),
    );
    let bytes: usize = made.iter().flatten().map(|one| one.to_string().len()).sum();
    println!(
        "{all} documents of {} parts, {} at least, {bytes} bytes, in {} ms",
        made.len(),
        least.unwrap_or(0),
        started.elapsed().as_millis()
    );
    Ok(())
}
