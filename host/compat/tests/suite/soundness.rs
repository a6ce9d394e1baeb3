//! "Compatible" is never contradicted: schemas at random, documents at random.

use sandbar_compat::{Answer, Document, Options, Part, Policy, check, example};
use serde_json::Value;

use crate::harness::{Random, changed, document, validator, value};

/// Pairs of schemas; `SANDBAR_COMPAT_PAIRS` asks for more.
fn pairs() -> u64 {
    let asked = std::env::var("SANDBAR_COMPAT_PAIRS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(4000)
}

/// Where the pairs begin; `SANDBAR_COMPAT_SEED` asks for others.
fn first() -> u64 {
    let asked = std::env::var("SANDBAR_COMPAT_SEED").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(0)
}

#[test]
fn no_document_contradicts_an_answer() {
    let mut counts = [0_u64; 3];
    let mut tried = 0_u64;
    for seed in first()..first() + pairs() {
        let mut random = Random::new(seed + 1);
        let draft = random.pick(&[4, 6, 7, 19, 20, 20]);
        let old = document(&mut random, draft);
        let new = if random.chance(80) {
            changed(&mut random, &old, draft)
        } else {
            document(&mut random, draft)
        };
        let (Ok(old_document), Ok(new_document)) = (Document::new(&old), Document::new(&new))
        else {
            continue;
        };
        if old_document.flaw("").is_some() || new_document.flaw("").is_some() {
            continue;
        }
        let part = |document| Part {
            document,
            pointer: "",
        };
        // Few steps: what is asked here is whether the answers are right, not how many there are.
        let options = Options {
            steps: 30_000,
            documents: 10,
            ..Options::default()
        };
        let report = check(part(&old_document), part(&new_document), &options);
        let (by_old, by_new) = (validator(&old), validator(&new));
        let both = [
            (
                report.backward.expect("asked"),
                &by_old,
                &by_new,
                &old,
                &old_document,
            ),
            (
                report.forward.expect("asked"),
                &by_new,
                &by_old,
                &new,
                &new_document,
            ),
        ];
        for (direction, from, into, schema, document) in both {
            counts[direction.answer as usize] += 1;
            for finding in &direction.findings {
                let shown = &finding.counterexample;
                assert!(
                    from.is_valid(shown) && !into.is_valid(shown),
                    "seed {seed}: {old} => {new}: {shown} shows nothing"
                );
            }
            if direction.answer != Answer::Compatible {
                continue;
            }
            let mut documents: Vec<Value> = (0..60).map(|_| value(&mut random, 3)).collect();
            documents.extend(example(part(document)));
            gather_values(schema, &mut documents);
            for document in documents {
                tried += 1;
                assert!(
                    !from.is_valid(&document) || into.is_valid(&document),
                    "seed {seed}: {old} => {new}: {document} contradicts"
                );
            }
        }
    }
    println!("{counts:?} compatible, incompatible, unknown; {tried} documents");
    assert!(
        counts.iter().all(|count| *count > pairs() / 50),
        "{counts:?}"
    );
}

/// What a strict check takes, a lenient one takes too; what a lenient one shows, a strict one shows.
#[test]
fn lenient_forgives_and_never_adds() {
    for seed in first()..first() + pairs() / 4 {
        let mut random = Random::new(seed + 77);
        let old = document(&mut random, 20);
        let new = changed(&mut random, &old, 20);
        let (Ok(old_document), Ok(new_document)) = (Document::new(&old), Document::new(&new))
        else {
            continue;
        };
        if old_document.flaw("").is_some() || new_document.flaw("").is_some() {
            continue;
        }
        let part = |document| Part {
            document,
            pointer: "",
        };
        let ask = |policy| {
            let options = Options {
                policy,
                steps: 30_000,
                documents: 10,
                ..Options::default()
            };
            let report = check(part(&old_document), part(&new_document), &options);
            [
                report.backward.expect("asked").answer,
                report.forward.expect("asked").answer,
            ]
        };
        for (strict, lenient) in ask(Policy::Strict).into_iter().zip(ask(Policy::Lenient)) {
            let worse = strict == Answer::Compatible && lenient == Answer::Incompatible;
            let wrong = lenient == Answer::Incompatible && strict == Answer::Compatible;
            assert!(
                !worse && !wrong,
                "seed {seed}: {old} => {new}: {strict:?}, {lenient:?}"
            );
        }
    }
}

/// Values that the schema speaks of are the ones that matter most.
fn gather_values(schema: &Value, into: &mut Vec<Value>) {
    match schema {
        Value::Object(members) => {
            for (name, member) in members {
                match (name.as_str(), member) {
                    ("enum", Value::Array(values)) => into.extend(values.iter().cloned()),
                    ("const", one) => into.push(one.clone()),
                    (
                        "minimum" | "maximum" | "exclusiveMinimum" | "exclusiveMaximum",
                        Value::Number(number),
                    ) => {
                        let float = number.as_f64().unwrap_or(0.0);
                        into.extend(
                            [float, float + 1.0, float - 0.5, float + 0.5].map(Value::from),
                        );
                    }
                    _ => gather_values(member, into),
                }
            }
        }
        Value::Array(items) => items.iter().for_each(|item| gather_values(item, into)),
        _ => {}
    }
}
