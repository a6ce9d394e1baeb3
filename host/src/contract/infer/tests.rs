//! Drafts: what they say, and that they refuse nothing that they were shown.
#![allow(clippy::unwrap_used)]

use proptest::prelude::*;

use super::*;
use crate::contract::Contract;

fn draft_of(options: Options, events: &[(&str, Value)]) -> Draft {
    let mut inference = Inference::new(options);
    for (event_type, data) in events {
        let data = data.to_string();
        inference.observe(event_type, "application/json", data.as_bytes(), String::new);
    }
    inference.finish().unwrap()
}

fn draft(data: impl IntoIterator<Item = Value>) -> Value {
    let events: Vec<(&str, Value)> = data.into_iter().map(|one| ("t", one)).collect();
    let draft = draft_of(Options::default(), &events);
    assert_takes(&draft, &events);
    let mut schema = draft.schema;
    assert_eq!(schema["$schema"], DIALECT);
    schema.as_object_mut().unwrap().remove("$schema");
    schema
}

fn assert_takes(draft: &Draft, events: &[(&str, Value)]) {
    let contract = Contract::compile(&draft.definition()).unwrap();
    for (event_type, data) in events {
        let outcome = contract.check_value(event_type, data);
        assert!(outcome.is_ok(), "{data} in {:#}: {outcome:?}", draft.schema);
    }
}

#[test]
fn types_required_null_and_numbers() {
    let schema = draft([
        json!({"id": 1, "name": "a", "price": 1, "note": null, "paid": true}),
        json!({"id": 2, "name": null, "price": 2.5, "extra": {}, "paid": false, "note": null}),
    ]);
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "required": ["id", "name", "note", "paid", "price"],
            "properties": {
                "id": {"type": "integer"},
                "name": {"type": ["string", "null"]},
                "price": {"type": "number"},
                "note": {"type": "null"},
                "paid": {"type": "boolean"},
                "extra": {"type": "object"},
            },
        })
    );
    // Written with a fraction, it is a number, although 2020-12 calls 1.0 an integer.
    assert_eq!(draft([json!(1.0)]), json!({"type": "number"}));
    assert_eq!(
        draft([json!(1), json!("a"), json!([1])]),
        json!({"type": ["array", "integer", "string"], "items": {"type": "integer"}})
    );
    assert_eq!(draft([json!([]), json!([])]), json!({"type": "array"}));
}

#[test]
fn formats_that_all_texts_have() {
    for (format, texts) in [
        (
            "uuid",
            [
                "550e8400-e29b-41d4-a716-446655440000",
                "00000000-0000-0000-0000-000000000000",
            ],
        ),
        (
            "date-time",
            ["2026-01-02T03:04:05Z", "2026-01-02T03:04:05.678+02:00"],
        ),
        ("date", ["2026-01-02", "2024-02-29"]),
        ("time", ["03:04:05Z", "23:59:59+01:00"]),
        ("duration", ["P3D", "PT1H30M"]),
        ("ipv4", ["127.0.0.1", "10.1.2.3"]),
        ("ipv6", ["::1", "fe80::1:2"]),
        ("email", ["a@example.com", "b.c@example.org"]),
        ("uri", ["https://example.com/a?b", "urn:isbn:0451450523"]),
    ] {
        let seen = draft(texts.map(Value::from));
        assert_eq!(seen, json!({"type": "string", "format": format}));
        let other = draft([json!(texts[0]), json!("no such thing")]);
        assert_eq!(other, json!({"type": "string"}), "{format}");
    }
    // What would fit a format by chance only.
    for text in [
        "a:b",
        "Peter",
        "2026-02-30",
        "1.2.3",
        "a/b",
        "example.com",
        "P",
    ] {
        assert_eq!(draft([json!(text)]), json!({"type": "string"}), "{text}");
    }
    let with_null = draft([json!("2026-01-02"), json!(null)]);
    assert_eq!(
        with_null,
        json!({"type": ["string", "null"], "format": "date"})
    );
}

#[test]
fn enumerations_are_few_values_seen_often() {
    let of = |values: &[&str], times: usize| {
        draft((0..times).map(|number| json!(values[number % values.len()])))
    };
    assert_eq!(
        of(&["open", "paid"], 40),
        json!({"type": "string", "enum": ["open", "paid"]})
    );
    let text = json!({"type": "string"});
    assert_eq!(of(&["open", "paid"], 10), text, "too few");
    assert_eq!(of(&["always"], 100), text, "one value is a habit");
    assert_eq!(of(&["c-1", "c-2"], 100), text, "counted");
    let names: Vec<String> = (b'a'..=b'z')
        .map(|letter| char::from(letter).to_string())
        .collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    assert_eq!(of(&names, 5000), text, "too many");
    let once = (0..100).map(|number| {
        json!(if number == 50 {
            "rare"
        } else if number % 2 == 0 {
            "a"
        } else {
            "b"
        })
    });
    assert_eq!(draft(once), text, "a value seen but once");
    let with_null = (0..60).map(|number| [json!("a"), json!("b"), json!(null)][number % 3].clone());
    assert_eq!(
        draft(with_null),
        json!({"type": ["string", "null"], "enum": ["a", "b", null]})
    );
}

#[test]
fn members_whose_names_are_data_are_a_map() {
    let schema = draft([
        json!({"550e8400-e29b-41d4-a716-446655440000": {"n": 1}}),
        json!({"550e8400-e29b-41d4-a716-446655440001": {"n": 2, "m": 3}}),
    ]);
    assert_eq!(
        schema,
        json!({
            "type": "object",
            "propertyNames": {"format": "uuid"},
            "additionalProperties": {
                "type": "object",
                "required": ["n"],
                "properties": {"n": {"type": "integer"}, "m": {"type": "integer"}},
            },
        })
    );
    // Beside those that are not.
    let schema = draft([
        json!({"total": 3, "sku-10": 1, "sku-11": 2}),
        json!({"total": 3, "sku-12": 1.5}),
    ]);
    assert_eq!(schema["properties"], json!({"total": {"type": "integer"}}));
    assert_eq!(schema["additionalProperties"], json!({"type": "number"}));
    // Words, many, each in few objects, all the same.
    let codes: Vec<String> = (0..26)
        .map(|number| format!("{}x", char::from(b'a' + number)))
        .collect();
    let rates = |number: usize| json!({"base": "EUR", (codes[number % 26].clone()): 1.5, (codes[(number + 7) % 26].clone()): 2});
    let schema = draft((0..100).map(rates));
    assert_eq!(schema["properties"], json!({"base": {"type": "string"}}));
    assert_eq!(schema["additionalProperties"], json!({"type": "number"}));
    // Properties that are left out now and then are properties.
    let optional = |number: usize| json!({"id": number, (["a", "b", "c"][number % 3]): 1});
    let schema = draft((0..100).map(optional));
    assert_eq!(schema["properties"].as_object().unwrap().len(), 4);
    assert_eq!(schema.get("additionalProperties"), None);
}

#[test]
fn each_type_has_its_part_and_the_evidence_is_counted() {
    let mut events = Vec::new();
    for number in 0..10 {
        events.push(("com.example/order", json!({"total": number})));
        events.push((
            "com.example~order",
            json!({"name": format!("n{number}"), "lines": [{"sku": "a"}, {"sku": "b"}]}),
        ));
    }
    let draft = draft_of(Options::default(), &events);
    assert_takes(&draft, &events);
    let types = draft.types.clone().unwrap();
    assert_eq!(types["com.example/order"], "#/$defs/com.example_order");
    assert_eq!(types["com.example~order"], "#/$defs/com.example_order_2");
    let contract = Contract::compile(&draft.definition()).unwrap();
    assert!(
        contract
            .check_value("com.example/order", &json!({"name": "x"}))
            .is_err()
    );
    let part = &draft.evidence.parts[1];
    let sku = part
        .places
        .iter()
        .find(|one| one.place == "/lines/*/sku")
        .unwrap();
    assert_eq!((sku.seen, sku.of, sku.required), (20, 20, true));
    assert_eq!(sku.values["a"], 10);
    assert_eq!(sku.examples, [json!("a"), json!("b")]);
    let total = &draft.evidence.parts[0].places[1];
    assert_eq!(
        (total.place.as_str(), total.numbers),
        ("/total", Some((0.0, 9.0)))
    );
    // One for all.
    let one = draft_of(
        Options {
            per_type: Some(false),
            comments: true,
        },
        &events,
    );
    assert_takes(&one, &events);
    assert_eq!(one.types, None);
    assert_eq!(one.schema["properties"]["total"]["$comment"], "in 10 of 20");
    assert_eq!(one.schema.get("required"), None);
}

#[test]
fn what_is_not_json_is_counted_and_said() {
    let mut inference = Inference::new(Options::default());
    inference.observe("a", "application/json", b"{}", || "t/0/0".into());
    inference.observe("a", "application/json", b"{", || "t/0/1".into());
    inference.observe("a", "application/json", b"", || "t/0/2".into());
    inference.observe("b", "text/plain", b"{}", || "t/0/3".into());
    let evidence = inference.finish().unwrap().evidence;
    assert_eq!(
        (evidence.events, evidence.json, evidence.not_json),
        (4, 1, 3)
    );
    let named: Vec<&str> = evidence
        .not_json_examples
        .iter()
        .map(|one| one.position.as_str())
        .collect();
    assert_eq!(named, ["t/0/1", "t/0/2", "t/0/3"]);
    assert!(
        evidence.notes.iter().any(|note| note.contains("\"b\"")),
        "{:?}",
        evidence.notes
    );
    let mut none = Inference::new(Options::default());
    none.observe("b", "text/plain", b"x", String::new);
    assert_eq!(none.finish(), None);
}

#[test]
fn what_is_kept_is_bounded() {
    // Names without end, at the top and within.
    let wide = |number: usize| {
        let members = (0..200).map(|at| {
            (
                format!("n{}z", number * 200 + at),
                json!({"a": at, "b": [at]}),
            )
        });
        Value::Object(members.collect())
    };
    let events: Vec<(&str, Value)> = (0..60).map(|number| ("t", wide(number))).collect();
    let wide = draft_of(Options::default(), &events);
    assert_takes(&wide, &events);
    assert!(wide.evidence.parts[0].places.len() < 20_000);
    // Depth without end.
    let mut deep = json!(1);
    // As deep as JSON is read: 128 levels.
    for _ in 0..60 {
        deep = json!({"a": [deep]});
    }
    let events = [("t", deep)];
    let deep = draft_of(Options::default(), &events);
    assert_takes(&deep, &events);
    assert!(
        serde_json::from_str::<Value>(&deep.schema.to_string()).is_ok(),
        "it can be read back"
    );
    // Types without end.
    let names: Vec<String> = (0..600).map(|number| format!("t{number}")).collect();
    let events: Vec<(&str, Value)> = names.iter().map(|name| (name.as_str(), json!(1))).collect();
    let many = draft_of(Options::default(), &events);
    assert_eq!(many.types.unwrap().len(), MOST_TYPES);
    assert_eq!(many.evidence.events, 600);
    assert_eq!(many.evidence.notes.len(), 1);
}

/// Documents in which names and values come again, so that all that drafting decides is decided.
fn document() -> impl Strategy<Value = Value> {
    let text = prop_oneof![
        Just("open"),
        Just("paid"),
        Just("2026-01-02"),
        Just("a@example.com"),
        Just(""),
        Just("::1"),
        Just("550e8400-e29b-41d4-a716-446655440000"),
    ]
    .prop_map(Value::from);
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-3i64..3).prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        (-2.0f64..2.0).prop_map(Value::from),
        text,
        "[a-c]{0,3}".prop_map(Value::from),
    ];
    let name = prop_oneof![
        "[a-d]",
        "[a-z]{1,2}",
        "sku-[0-9]{2}",
        "[0-9]{1,3}",
        Just("a/b~c".to_owned()),
        Just("x".repeat(70)),
    ];
    leaf.prop_recursive(4, 40, 6, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..5).prop_map(Value::from),
            prop::collection::btree_map(name.clone(), inner, 0..6)
                .prop_map(|members| Value::Object(members.into_iter().collect())),
        ]
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn a_draft_takes_all_that_it_was_shown(
        events in prop::collection::vec((0usize..3, document(), 1usize..12), 1..40),
        per_type in prop_oneof![Just(None), Just(Some(false)), Just(Some(true))],
        comments in any::<bool>(),
    ) {
        let names = ["a", "b/~c", ""];
        let mut all: Vec<(&str, Value)> = Vec::new();
        for (event_type, data, times) in events {
            all.extend(std::iter::repeat_n((names[event_type], data), times));
        }
        let draft = draft_of(Options { per_type, comments }, &all);
        assert_takes(&draft, &all);
    }

    /// So few places that every bound is met.
    #[test]
    fn a_draft_takes_all_also_where_its_room_ends(
        events in prop::collection::vec(document(), 1..60),
        places in 1usize..60,
        first_look in 1usize..10,
    ) {
        let mut inference = Inference::new(Options::default());
        inference.limits = Limits::tight(places, first_look);
        for data in &events {
            inference.observe("t", "application/json", data.to_string().as_bytes(), String::new);
        }
        let draft = inference.finish().unwrap();
        let events: Vec<(&str, Value)> = events.into_iter().map(|one| ("t", one)).collect();
        assert_takes(&draft, &events);
    }
}
