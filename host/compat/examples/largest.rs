//! How long a check of a large schema takes: the types of a contract one by one, against a copy in
//! which one property of one definition has another type.
//!
//! `cargo run --release -p sandbar-compat --example largest -- SCHEMA.json TYPES.json [--whole]`, with the
//! two files that `node examples/github/setup.mjs` writes.

use std::{collections::BTreeMap, time::Instant};

use sandbar_compat::{Answer, Directions, Document, Options, Part, check};
use serde_json::{Value, json};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut files = std::env::args().skip(1);
    let (schema, types) = (files.next(), files.next());
    let (Some(schema), Some(types)) = (schema, types) else {
        return Err("give SCHEMA.json and TYPES.json".into());
    };
    let old: Value = serde_json::from_slice(&std::fs::read(schema)?)?;
    let types: BTreeMap<String, String> = serde_json::from_slice(&std::fs::read(types)?)?;
    let mut new = old.clone();
    // Deep in what most events hold.
    if let Some(login) = new.pointer_mut("/definitions/user/properties/login") {
        *login = json!({"type": "integer"});
    }
    let started = Instant::now();
    let (old, new) = (Document::new(&old)?, Document::new(&new)?);
    println!("prepared in {:?}", started.elapsed());
    let root = Part {
        document: &old,
        pointer: "",
    };
    let changed = Part {
        document: &new,
        pointer: "",
    };
    for directions in [Directions::BACKWARD, Directions::FORWARD, Directions::BOTH] {
        let options = Options {
            directions,
            ..Options::default()
        };
        let started = Instant::now();
        let report = check(root, changed, &options);
        println!(
            "{directions:?} in {:?}: {:?}",
            started.elapsed(),
            report.answer()
        );
    }
    if std::env::args().any(|one| one == "--whole") {
        return Ok(());
    }
    let mut slowest: Vec<_> = Vec::new();
    let mut counts = BTreeMap::new();
    let all = Instant::now();
    for (name, reference) in &types {
        let pointer = reference.trim_start_matches('#');
        let started = Instant::now();
        let report = check(
            Part {
                document: &old,
                pointer,
            },
            Part {
                document: &new,
                pointer,
            },
            &Options::default(),
        );
        *counts.entry(format!("{:?}", report.answer())).or_insert(0) += 1;
        let undecided = report
            .directions()
            .iter()
            .map(|one| one.undecided.len())
            .sum::<usize>();
        let found = report
            .directions()
            .iter()
            .map(|one| one.findings.len())
            .sum::<usize>();
        slowest.push((started.elapsed(), name, report.answer(), found, undecided));
        if report.answer() == Answer::Unknown {
            println!("{name}: {:?}", report.directions()[0].undecided.first());
        }
    }
    println!("{} types in {:?}: {counts:?}", types.len(), all.elapsed());
    slowest.sort_by_key(|one| std::cmp::Reverse(one.0));
    for (took, name, answer, found, undecided) in slowest.iter().take(5) {
        println!("{took:?} {name}: {answer:?}, {found} findings, {undecided} undecided");
    }
    let started = Instant::now();
    let whole = check(root, changed, &Options::default());
    println!(
        "the whole document, both ways, in {:?}: {:?}",
        started.elapsed(),
        whole.answer()
    );
    for direction in whole.directions() {
        for finding in direction.findings.iter().take(2) {
            println!("{} {} {}", finding.rule, finding.new, finding.instance);
        }
        println!("{:?}", direction.undecided.first());
    }
    Ok(())
}
