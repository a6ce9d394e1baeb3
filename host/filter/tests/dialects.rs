//! The simple dialects, from JSON as the API reads it to events taken or not (CloudEvents
//! Subscriptions API §3.2.4.1.1).

use std::collections::BTreeMap;

use sandbar_filter::{Compiled, Filter, MAX_DEPTH, MAX_FILTERS, Row};
use sandbar_types::{AttributeValue, Batch, BatchBuilder, Event};

fn event() -> Event {
    Event {
        id: "A-1".into(),
        source: "https://shop.example/orders".into(),
        r#type: "order.created".into(),
        subject: "order/7".into(),
        time: "2018-04-26T14:48:09+02:00".into(),
        dataschema: "https://shop.example/order.json".into(),
        extensions: BTreeMap::from([
            ("priority".into(), AttributeValue::Integer(-5)),
            ("rush".into(), AttributeValue::Boolean(true)),
            (
                "region".into(),
                AttributeValue::String("\"eu\"-west".into()),
            ),
            ("regio".into(), AttributeValue::String("near".into())),
        ]),
        ..Event::default()
    }
}

fn batch(event: &Event) -> Batch {
    let mut builder = BatchBuilder::new();
    builder.push_event(&Event::default());
    builder.push_event(event);
    builder.finish()
}

/// Asks all three forms of the event, which must say the same.
fn takes(filters: &str) -> bool {
    let filters: Vec<Filter> = serde_json::from_str(filters).expect("filters");
    let compiled = Compiled::all(&filters).expect("valid filters");
    let event = event();
    let batch = batch(&event);
    let said = compiled.takes(&event);
    assert_eq!(compiled.takes(&batch.get(1)), said, "{filters:?}");
    assert_eq!(compiled.takes(&Row::new(&batch, 1)), said, "{filters:?}");
    said
}

/// The places and reasons that the hub would tell.
fn refused(filters: &str) -> Vec<(String, String)> {
    let mut reader = serde_json::Deserializer::from_str(filters);
    match serde_path_to_error::deserialize::<_, Vec<Filter>>(&mut reader) {
        Err(error) => vec![(error.path().to_string(), error.inner().to_string())],
        Ok(filters) => Compiled::all(&filters)
            .expect_err("refused")
            .into_vec()
            .into_iter()
            .map(|error| (error.pointer, error.reason))
            .collect(),
    }
}

#[test]
fn each_dialect_takes_what_it_says() {
    for (filters, expected) in [
        (r#"[]"#, true),
        (r#"[{"exact":{"type":"order.created"}}]"#, true),
        (r#"[{"exact":{"type":"order.create"}}]"#, false),
        (r#"[{"exact":{"type":"Order.created"}}]"#, false),
        (r#"[{"exact":{"type":"order.created","id":"A-1"}}]"#, true),
        (r#"[{"exact":{"type":"order.created","id":"A-2"}}]"#, false),
        (r#"[{"prefix":{"source":"https://shop."}}]"#, true),
        (r#"[{"prefix":{"source":"shop."}}]"#, false),
        (r#"[{"suffix":{"subject":"/7"}}]"#, true),
        (r#"[{"suffix":{"subject":"/8"}}]"#, false),
        (r#"[{"suffix":{"dataschema":".json"}}]"#, true),
        (r#"[{"prefix":{"time":"2018-04-26"}}]"#, true),
        (r#"[{"exact":{"specversion":"1.0"}}]"#, true),
        // an attribute that is not there is not anything
        (r#"[{"prefix":{"datacontenttype":"a"}}]"#, false),
        (r#"[{"exact":{"absent":"x"}}]"#, false),
        (r#"[{"not":{"exact":{"absent":"x"}}}]"#, true),
        // extensions, by their canonical text
        (r#"[{"exact":{"priority":"-5"}}]"#, true),
        (r#"[{"prefix":{"priority":"-"}}]"#, true),
        (r#"[{"exact":{"priority":"5"}}]"#, false),
        (r#"[{"exact":{"rush":"true"}}]"#, true),
        (r#"[{"exact":{"rush":"True"}}]"#, false),
        (r#"[{"exact":{"region":"\"eu\"-west"}}]"#, true),
        (r#"[{"suffix":{"region":"west"}}]"#, true),
        (r#"[{"exact":{"regio":"near"}}]"#, true),
        // several filters must all hold
        (
            r#"[{"exact":{"id":"A-1"}},{"suffix":{"type":".created"}}]"#,
            true,
        ),
        (
            r#"[{"exact":{"id":"A-1"}},{"suffix":{"type":".gone"}}]"#,
            false,
        ),
        (
            r#"[{"all":[{"exact":{"id":"A-1"}},{"prefix":{"type":"order"}}]}]"#,
            true,
        ),
        (
            r#"[{"all":[{"exact":{"id":"A-1"}},{"prefix":{"type":"bill"}}]}]"#,
            false,
        ),
        (
            r#"[{"any":[{"exact":{"id":"A-2"}},{"prefix":{"type":"order"}}]}]"#,
            true,
        ),
        (
            r#"[{"any":[{"exact":{"id":"A-2"}},{"prefix":{"type":"bill"}}]}]"#,
            false,
        ),
        (r#"[{"not":{"any":[{"exact":{"id":"A-1"}}]}}]"#, false),
        (r#"[{"not":{"not":{"exact":{"id":"A-1"}}}}]"#, true),
    ] {
        assert_eq!(takes(filters), expected, "{filters}");
    }
}

#[test]
fn what_cannot_be_used_is_refused_with_its_place() {
    for (filters, pointer, reason) in [
        (
            r#"[{"exat":{"type":"x"}}]"#,
            "[0].exat",
            "did you mean \"exact\"?",
        ),
        (
            r#"[{"regex":{"type":"x"}}]"#,
            "[0].regex",
            "there is no filter dialect \"regex\" (there are exact,",
        ),
        (r#"[{}]"#, "[0]", "this one is empty"),
        (
            r#"[{"exact":{"id":"1"},"prefix":{"id":"1"}}]"#,
            "[0]",
            "this one has \"exact\" and \"prefix\"",
        ),
        (
            r#"[{"exact":{"id":"1"},"exact":{"id":"1"}}]"#,
            "[0]",
            "exactly one member",
        ),
        (r#"["exact"]"#, "[0]", "an object with one member"),
        (
            r#"[{"exact":["id"]}]"#,
            "[0].exact",
            "an object of attribute names",
        ),
        (
            r#"[{"exact":{"priority":5}}]"#,
            "[0].exact.priority",
            "write \"5\"",
        ),
        (
            r#"[{"exact":{"rush":true}}]"#,
            "[0].exact.rush",
            "write \"true\"",
        ),
        (
            r#"[{"exact":{"id":null}}]"#,
            "[0].exact.id",
            "expected a string",
        ),
        (
            r#"[{"exact":{"id":"1","id":"2"}}]"#,
            "[0].exact.id",
            "given twice",
        ),
        (
            r#"[{"all":{"exact":{}}}]"#,
            "[0].all",
            "an array of filters",
        ),
        (
            r#"[{"any":[{"exact":{"id":"1"}},{"sufix":{}}]}]"#,
            "[0].any[1].sufix",
            "did you mean \"suffix\"?",
        ),
        (
            r#"[{"not":[{"exact":{"id":"1"}}]}]"#,
            "[0].not",
            "an object with one member",
        ),
        (r#"[{"all":[]}]"#, "/0/all", "at least one filter"),
        (
            r#"[{"exact":{"id":"1"}},{"any":[]}]"#,
            "/1/any",
            "at least one filter",
        ),
        (r#"[{"exact":{}}]"#, "/0/exact", "at least one attribute"),
        (
            r#"[{"exact":{"id":""}}]"#,
            "/0/exact/id",
            "must not be empty",
        ),
        (
            r#"[{"exact":{"":"1"}}]"#,
            "/0/exact/",
            "name of an attribute must not be empty",
        ),
        (
            r#"[{"not":{"exact":{"partitionKey":"1"}}}]"#,
            "/0/not/exact/partitionKey",
            "it has 'K'",
        ),
        (
            r#"[{"exact":{"a/b~":"1"}}]"#,
            "/0/exact/a~1b~0",
            "it has '/'",
        ),
        (
            r#"[{"suffix":{"data":"1"}}]"#,
            "/0/suffix/data",
            "not its data",
        ),
    ] {
        let found = refused(filters);
        assert_eq!(found.len(), 1, "{filters}: {found:?}");
        assert_eq!(found[0].0, pointer, "{filters}: {found:?}");
        assert!(found[0].1.contains(reason), "{filters}: {found:?}");
    }
}

#[test]
fn all_faults_are_told_at_once_and_no_more_than_twenty() {
    let two = refused(r#"[{"exact":{"ID":"1","id":""}},{"all":[]}]"#);
    let places: Vec<&str> = two.iter().map(|(place, _)| &**place).collect();
    assert_eq!(places, ["/0/exact/ID", "/0/exact/id", "/1/all"]);
    let many = vec![Filter::All(Vec::new()); 50];
    assert_eq!(
        Compiled::all(&many).expect_err("refused").as_slice().len(),
        20
    );
}

#[test]
fn depth_and_number_are_bounded() {
    let exact = || Filter::Exact(BTreeMap::from([("id".into(), "1".into())]));
    let mut filter = exact();
    for _ in 0..MAX_DEPTH {
        filter = Filter::Not(Box::new(filter));
    }
    assert!(Compiled::all(std::slice::from_ref(&filter)).is_ok());
    let deeper = Filter::Not(Box::new(filter));
    let error = Compiled::all(&[deeper]).expect_err("too deep");
    assert!(error.to_string().contains("more than 32 deep"), "{error}");

    assert!(Compiled::all(&vec![exact(); MAX_FILTERS]).is_ok());
    let error = Compiled::all(&vec![exact(); MAX_FILTERS + 1]).expect_err("too many");
    assert_eq!(error.as_slice()[0].pointer, "/1000");
    let nested = Filter::Any(vec![exact(); MAX_FILTERS]);
    assert!(Compiled::all(&[nested]).is_err());
}

#[test]
fn filters_are_written_as_they_were_read() {
    let text = r#"[{"exact":{"id":"1","type":"t"}},{"prefix":{"id":"1"}},{"suffix":{"id":"1"}},{"all":[{"any":[{"not":{"exact":{"id":"2"}}}]}]}]"#;
    let filters: Vec<Filter> = serde_json::from_str(text).expect("filters");
    assert_eq!(serde_json::to_string(&filters).expect("JSON"), text);
}

#[test]
fn extensions_that_no_codec_of_the_hub_writes_are_read_as_far_as_they_can_be() {
    let mut builder = BatchBuilder::new();
    let mut reference = batch(&event());
    for extensions in [
        r#"{"a":{"priority":"1"},"priority":"2"}"#,
        r#"{"a":"priority","priority":"2"}"#,
        r#"{"p":1.5,"priority":"2""#,
        "{ \"pri\\u006frity\": \"2\" }",
    ] {
        let mut event = reference.get(1);
        event.extensions = extensions;
        builder.push(event);
    }
    reference = builder.finish();
    let filters: Vec<Filter> = serde_json::from_str(r#"[{"exact":{"priority":"2"}}]"#).expect("ok");
    let compiled = Compiled::all(&filters).expect("valid");
    let taken: Vec<bool> = reference
        .iter()
        .map(|event| compiled.takes(&event))
        .collect();
    // A name that is written with escapes is not found: names have none.
    assert_eq!(taken, [true, true, true, false]);
}
