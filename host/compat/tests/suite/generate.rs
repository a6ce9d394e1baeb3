//! Documents that are made fit their schema, reach its edges, and become small.

use sandbar_compat::{Changer, Document, Generation, Part, example, generate};
use serde_json::{Value, json};

use crate::harness::{Random, document, validator};

fn made(schema: &Value, options: &Generation) -> Vec<Value> {
    let document = Document::new(schema).expect("a schema");
    let mut all = generate(&document, &[String::new()], options);
    all.pop().expect("one part")
}

/// Schemas; `SANDBAR_COMPAT_PAIRS` asks for more.
fn schemas() -> u64 {
    let asked = std::env::var("SANDBAR_COMPAT_PAIRS").ok();
    asked.and_then(|text| text.parse().ok()).unwrap_or(4000) / 2
}

#[test]
fn every_document_fits_its_schema_and_comes_again() {
    let (mut with, mut without, mut documents) = (0, 0, 0);
    for seed in 0..schemas() {
        let mut random = Random::new(seed + 31);
        let draft = random.pick(&[4, 6, 7, 19, 20, 20]);
        let schema = document(&mut random, draft);
        let Ok(parsed) = Document::new(&schema) else {
            continue;
        };
        if parsed.flaw("").is_some() {
            continue;
        }
        let options = Generation {
            seed,
            documents: 40,
            steps: 20_000,
            ..Generation::default()
        };
        let found = made(&schema, &options);
        let judge = validator(&schema);
        for document in &found {
            assert!(
                judge.is_valid(document),
                "seed {seed}: {schema}: {document}"
            );
        }
        assert_eq!(found, made(&schema, &options), "seed {seed}: {schema}");
        documents += found.len();
        let whole = Part {
            document: &parsed,
            pointer: "",
        };
        if found.is_empty() {
            without += 1;
            assert_eq!(example(whole), None, "seed {seed}: {schema}");
        } else {
            with += 1;
        }
    }
    println!("{documents} documents of {with} schemas; none of {without}");
    assert!(
        with > without && documents > 10 * with,
        "{documents} {with} {without}"
    );
}

#[test]
fn every_edge_of_a_schema_is_reached() {
    let schema = json!({
        "type": "object",
        "required": ["id", "kind", "amount", "lines"],
        "properties": {
            "id": {"type": "string", "minLength": 1, "maxLength": 30},
            "kind": {"enum": ["order", "return", "gift"]},
            "amount": {"type": "integer", "minimum": 0},
            "ratio": {"type": "number", "exclusiveMinimum": 0, "maximum": 1},
            "note": {"type": ["string", "null"]},
            "at": {"type": "string", "format": "date-time"},
            "code": {"type": "string", "pattern": "^[A-Z]{2}-[0-9]+$"},
            "lines": {"type": "array", "items": {"type": "object", "required": ["price"],
                "properties": {"price": {"type": "number"}, "tax": {"type": "boolean"}}}},
            "payment": {"oneOf": [
                {"type": "object", "required": ["card"], "properties": {"card": {"type": "string"}}, "additionalProperties": false},
                {"type": "object", "required": ["iban"], "properties": {"iban": {"type": "string"}}, "additionalProperties": false},
            ]},
        },
        "additionalProperties": false,
    });
    let all = made(&schema, &Generation::default());
    let any = |what: &str, test: &dyn Fn(&Value) -> bool| {
        assert!(all.iter().any(test), "no document {what}: {}", json!(all));
    };
    for optional in ["ratio", "note", "at", "code", "payment"] {
        any(&format!("without {optional}"), &|one| {
            one.get(optional).is_none()
        });
        any(&format!("with {optional}"), &|one| {
            one.get(optional).is_some()
        });
    }
    for kind in ["order", "return", "gift"] {
        any(kind, &|one| one["kind"] == kind);
    }
    any("with null", &|one| one.get("note") == Some(&Value::Null));
    any("with an empty note", &|one| one["note"] == "");
    any("beyond ASCII", &|one| {
        one["note"].as_str().is_some_and(|text| !text.is_ascii())
    });
    any("with a long text", &|one| {
        one["note"].as_str().is_some_and(|text| text.len() > 500)
    });
    any("with the longest id", &|one| {
        one["id"]
            .as_str()
            .is_some_and(|text| text.chars().count() == 30)
    });
    any("with the shortest id", &|one| {
        one["id"]
            .as_str()
            .is_some_and(|text| text.chars().count() == 1)
    });
    any("at the lower bound", &|one| one["amount"] == 0);
    any("beyond what a float holds", &|one| {
        one["amount"].as_u64() > Some(1 << 53)
    });
    any("at the upper bound", &|one| {
        one["ratio"].as_f64() == Some(1.0)
    });
    for length in [0, 1, 2] {
        any(&format!("with {length} lines"), &|one| {
            one["lines"].as_array().map(Vec::len) == Some(length)
        });
    }
    any("with many lines", &|one| {
        one["lines"]
            .as_array()
            .is_some_and(|lines| lines.len() > 10)
    });
    any("with a negative price", &|one| {
        one["lines"][0]["price"].as_f64() < Some(0.0)
    });
    any("with a fraction", &|one| {
        one["lines"][0]["price"]
            .as_f64()
            .is_some_and(|price| price.fract() != 0.0)
    });
    any("without tax", &|one| {
        one["lines"][0].is_object() && one["lines"][0].get("tax").is_none()
    });
    any("with tax", &|one| one["lines"][0]["tax"] == true);
    any("paid by card", &|one| one["payment"].get("card").is_some());
    any("paid by transfer", &|one| {
        one["payment"].get("iban").is_some()
    });
    let length = |one: &Value| one.to_string().len();
    assert!(length(&all[0]) < 80, "the first is small: {}", all[0]);
}

#[test]
fn another_seed_makes_other_documents() {
    let schema =
        json!({"type": "object", "properties": {"a": {"type": "string"}, "b": {"type": "array"}}});
    let of = |seed| {
        let options = Generation {
            seed,
            ..Generation::default()
        };
        made(&schema, &options)
    };
    assert_ne!(of(1), of(2));
}

#[test]
fn parts_are_made_side_by_side_and_what_takes_nothing_has_none() {
    let schema = json!({"definitions": {
        "order": {"type": "object", "required": ["id"]},
        "never": false,
        "loop": {"type": "object", "required": ["loop"], "properties": {"loop": {"$ref": "#/definitions/loop"}}},
        "tree": {"type": "object", "properties": {"left": {"$ref": "#/definitions/tree"}}},
    }});
    let document = Document::new(&schema).expect("a schema");
    let pointers = ["order", "never", "loop", "tree"].map(|name| format!("/definitions/{name}"));
    let options = Generation {
        documents: 10,
        ..Generation::default()
    };
    let all = generate(&document, &pointers, &options);
    assert!(
        all[0].len() == 10 && all[0].iter().all(|one| one.get("id").is_some()),
        "{all:?}"
    );
    assert!(all[1].is_empty() && all[2].is_empty(), "{all:?}");
    assert!(
        all[3].iter().any(|one| one.pointer("/left/left").is_some()),
        "{all:?}"
    );
}

#[test]
fn there_are_no_more_bytes_than_asked_for() {
    let schema = json!({"type": "array", "items": {"type": "string", "minLength": 1000}});
    let options = Generation {
        bytes: 20_000,
        ..Generation::default()
    };
    let all = made(&schema, &options);
    let bytes: usize = all.iter().map(|one| one.to_string().len()).sum();
    let longest = all.iter().map(|one| one.to_string().len()).max();
    assert!(
        all.len() > 3 && bytes <= 20_000 + longest.unwrap_or(0),
        "{bytes}"
    );
}

/// Shrinks a document while `shows` holds.
fn shrunk(schema: &Value, document: Value, shows: impl Fn(&Value) -> bool) -> Value {
    let parsed = Document::new(schema).expect("a schema");
    let part = Part {
        document: &parsed,
        pointer: "",
    };
    let changer = Changer::new(part).expect("a validator");
    let judge = validator(schema);
    let mut best = document;
    loop {
        let candidates = changer.candidates(&best, 1000);
        for one in &candidates {
            assert!(judge.is_valid(one), "{one}");
        }
        match candidates.into_iter().find(&shows) {
            Some(smaller) => best = smaller,
            None => return best,
        }
    }
}

#[test]
fn what_does_not_matter_is_left_out() {
    let schema = json!({
        "type": "object", "required": ["id", "lines"],
        "properties": {
            "id": {"type": "string", "pattern": "^[a-z]+-[0-9]+$"},
            "note": {"type": "string"},
            "lines": {"type": "array", "minItems": 1, "items": {
                "type": "object", "required": ["price"], "properties": {"price": {"type": "number"}, "name": {"type": "string"}}}},
        },
    });
    let document = json!({
        "id": "order-1234", "note": "as soon as possible, please", "more": {"a": [1, 2, 3]},
        "lines": [
            {"price": 12.5, "name": "a"}, {"price": -3, "name": "thing"}, {"price": 99, "name": "日本"}, {"price": 1}
        ],
    });
    let negative = |one: &Value| {
        let lines = one["lines"].as_array().expect("lines");
        lines.iter().any(|line| line["price"].as_f64() < Some(0.0))
    };
    let small = shrunk(&schema, document.clone(), negative);
    assert_eq!(small["lines"], json!([{"price": -1}]));
    assert!(
        small.get("note").is_none() && small.get("more").is_none(),
        "{small}"
    );
    assert_eq!(small["id"].as_str().map(str::len), Some(3), "{small}");
    // What the schema needs stays, whatever the question is.
    let any = shrunk(&schema, document, |_| true);
    assert_eq!(any["lines"], json!([{"price": 0}]));
}

#[test]
fn what_there_is_comes_back_changed_in_a_few_places() {
    let schema = json!({
        "type": "object", "required": ["name"],
        "properties": {
            "name": {"type": "string", "pattern": "^[a-z]+/[a-z]+$"},
            "tags": {"type": "array", "items": {"type": "string"}},
            "merged": {"type": ["boolean", "null"]},
            "count": {"type": "integer"},
        },
        "additionalProperties": false,
    });
    let parsed = Document::new(&schema).expect("a schema");
    let part = Part {
        document: &parsed,
        pointer: "",
    };
    let changer = Changer::new(part).expect("a validator");
    let real = [json!({"name": "octo/boat", "tags": ["a", "b"], "merged": true, "count": 7})];
    let all = changer.vary(&real, 1, 60);
    let judge = validator(&schema);
    assert!(
        all.len() > 40 && all.iter().all(|one| judge.is_valid(one)),
        "{all:?}"
    );
    // What no schema lets one guess is kept.
    assert!(all.iter().all(|one| one["name"] == "octo/boat"), "{all:?}");
    let any = |test: &dyn Fn(&Value) -> bool| all.iter().any(test);
    assert!(any(&|one| one.get("tags").is_none()) && any(&|one| one["tags"] == json!([])));
    assert!(any(
        &|one| one["merged"].is_null() && one.get("merged").is_some()
    ));
    assert!(any(
        &|one| one["tags"][0] == one["tags"][1] && one["tags"][1] == one["tags"][2]
    ));
    assert!(any(&|one| one["count"] == -1) && any(&|one| one["count"] == i64::MAX));
    assert_eq!(all, changer.vary(&real, 1, 60));
    assert_ne!(all, changer.vary(&real, 2, 60));
    assert!(changer.vary(&[], 1, 60).is_empty());
}

#[test]
fn a_text_is_shortened_to_what_shows_it() {
    let schema = json!({"type": "object", "properties": {"name": {"type": "string"}}});
    let document = json!({"name": "Zoë said \"no\" to it all, and so on"});
    let small = shrunk(&schema, document, |one| {
        one["name"].as_str().is_some_and(|text| text.contains('"'))
    });
    assert_eq!(small, json!({"name": "\""}));
}
