//! Pairs of schemas with the answers that they must have, each answer shown by documents.

use std::collections::BTreeSet;

use sandbar_compat::{Answer, Document, Generation, Options, Part, Policy, check, generate};
use serde_json::Value;

use crate::harness::{Random, name_draft, validator, value};

struct Case {
    line: usize,
    old: Value,
    new: Value,
    /// By policy, then backward and forward.
    expected: [[Answer; 2]; 2],
}

fn cases() -> Vec<Case> {
    let mut cases = Vec::new();
    for (index, text) in include_str!("matrix.txt").lines().enumerate() {
        let line = index + 1;
        if text.is_empty() || text.starts_with('#') {
            continue;
        }
        let (draft, text) = match text.strip_prefix('@') {
            Some(rest) => rest.split_once(' ').expect("a draft"),
            None => ("20", text),
        };
        let mut parts = text.rsplitn(3, " | ").collect::<Vec<_>>();
        parts.reverse();
        let (schemas, strict, lenient) = match parts.as_slice() {
            [schemas, strict] => (*schemas, *strict, *strict),
            [schemas, strict, lenient] => (*schemas, *strict, *lenient),
            _ => panic!("line {line} has no answers"),
        };
        let (old, new) = schemas.split_once(" => ").expect("two schemas");
        let read = |text: &str| {
            let mut schema: Value =
                serde_json::from_str(text).unwrap_or_else(|error| panic!("line {line}: {error}"));
            if let Value::Object(members) = &mut schema {
                name_draft(members, draft.parse().expect("a draft"));
            }
            schema
        };
        let answers = |text: &str| {
            let mut each = text.trim().chars().map(|answer| match answer {
                '+' => Answer::Compatible,
                '-' => Answer::Incompatible,
                '?' => Answer::Unknown,
                other => panic!("line {line}: no answer {other:?}"),
            });
            [
                each.next().expect("backward"),
                each.next().expect("forward"),
            ]
        };
        cases.push(Case {
            line,
            old: read(old),
            new: read(new),
            expected: [answers(strict), answers(lenient)],
        });
    }
    cases
}

/// The properties that a schema names anywhere, as far as texts tell.
fn names(schema: &Value) -> BTreeSet<&str> {
    let mut names = BTreeSet::new();
    let mut open = vec![schema];
    while let Some(one) = open.pop() {
        match one {
            Value::Object(members) => {
                if let Some(Value::Object(properties)) = members.get("properties") {
                    names.extend(properties.keys().map(String::as_str));
                }
                open.extend(members.values());
            }
            Value::Array(items) => open.extend(items),
            _ => {}
        }
    }
    names
}

/// Whether a document has members of these names only.
fn is_within(document: &Value, names: &BTreeSet<&str>) -> bool {
    match document {
        Value::Object(members) => members
            .iter()
            .all(|(name, member)| names.contains(name.as_str()) && is_within(member, names)),
        Value::Array(items) => items.iter().all(|item| is_within(item, names)),
        _ => true,
    }
}

#[test]
fn every_pair_has_its_answer_and_every_answer_is_shown_by_documents() {
    let cases = cases();
    assert!(cases.len() >= 200, "{} cases", cases.len());
    let mut wrong = Vec::new();
    for case in &cases {
        let (old, new) = (Document::new(&case.old), Document::new(&case.new));
        let (old, new) = (old.expect("a schema"), new.expect("a schema"));
        let (by_old, by_new) = (validator(&case.old), validator(&case.new));
        for (policy, expected) in [Policy::Strict, Policy::Lenient]
            .into_iter()
            .zip(case.expected)
        {
            let options = Options {
                policy,
                ..Options::default()
            };
            let part = |document| Part {
                document,
                pointer: "",
            };
            let report = check(part(&old), part(&new), &options);
            let directions = [
                (
                    "backward",
                    report.backward.expect("asked"),
                    &by_old,
                    &by_new,
                ),
                ("forward", report.forward.expect("asked"), &by_new, &by_old),
            ];
            for ((name, direction, from, into), expected) in directions.into_iter().zip(expected) {
                if direction.answer != expected {
                    wrong.push(format!(
                        "line {}: {policy:?} {name} is {:?}, not {expected:?}: {:?} {:?}",
                        case.line, direction.answer, direction.findings, direction.undecided
                    ));
                }
                match direction.answer {
                    Answer::Incompatible => {
                        assert!(!direction.findings.is_empty());
                        for finding in &direction.findings {
                            let document = &finding.counterexample;
                            assert!(from.is_valid(document), "line {}: {document}", case.line);
                            assert!(!into.is_valid(document), "line {}: {document}", case.line);
                            let old = case.old.pointer(&finding.old);
                            assert!(old.is_some(), "line {}: {:?}", case.line, finding.old);
                        }
                    }
                    Answer::Compatible if policy == Policy::Strict => {
                        let mut random = Random::new(case.line as u64);
                        for _ in 0..300 {
                            let document = value(&mut random, 3);
                            let broken = from.is_valid(&document) && !into.is_valid(&document);
                            assert!(!broken, "line {}: {document}", case.line);
                        }
                    }
                    // What the writer does not describe is forgiven, and nothing else.
                    Answer::Compatible => {
                        let (schema, prepared) = match name {
                            "backward" => (&case.old, &old),
                            _ => (&case.new, &new),
                        };
                        let named = names(schema);
                        let options = Generation::default();
                        let made = generate(prepared, &[String::new()], &options);
                        let mut random = Random::new(case.line as u64);
                        let made = made.into_iter().flatten();
                        let random = (0..300).map(|_| value(&mut random, 3));
                        for document in made.chain(random) {
                            let broken = from.is_valid(&document) && !into.is_valid(&document);
                            let forgiven = broken && !is_within(&document, &named);
                            assert!(!broken || forgiven, "line {}: {document}", case.line);
                        }
                    }
                    Answer::Unknown => assert!(!direction.undecided.is_empty()),
                }
            }
        }
    }
    assert!(
        wrong.is_empty(),
        "{} wrong:\n{}",
        wrong.len(),
        wrong.join("\n")
    );
}
