//! The HTTP binding: requests to events and back.
#![allow(clippy::unwrap_used)]

use http::{HeaderName, HeaderValue};
use proptest::prelude::*;
use sandbar_types::{AttributeValue, BatchBuilder};

use super::*;

fn headers(pairs: &[(&str, &str)]) -> HeaderMap {
    let pair = |(name, value): &(&str, &str)| {
        (
            HeaderName::from_bytes(name.as_bytes()).unwrap(),
            HeaderValue::from_bytes(value.as_bytes()).unwrap(),
        )
    };
    pairs.iter().map(pair).collect()
}

fn read(kind: &str, body: &str) -> Result<Vec<Decoded>, Refusal> {
    decode(
        &headers(&[("content-type", kind)]),
        Bytes::copy_from_slice(body.as_bytes()),
        &Limits::default(),
    )
}

fn one(body: &str) -> Decoded {
    read("application/cloudevents+json", body)
        .unwrap()
        .remove(0)
}

fn event(body: &str) -> Event {
    match one(body) {
        Decoded::Event(event) => event,
        invalid => panic!("{invalid:?}"),
    }
}

/// A valid event with more members.
fn with(members: &str) -> String {
    format!("{{\"specversion\":\"1.0\",\"id\":\"1\",\"source\":\"/s\",\"type\":\"t\"{members}}}")
}

/// The pointers and reasons of an invalid event.
fn errors(decoded: Decoded) -> Vec<(String, String)> {
    match decoded {
        Decoded::Invalid { errors, .. } => errors
            .into_iter()
            .map(|one| (one.pointer, one.reason))
            .collect(),
        Decoded::Event(event) => panic!("is valid: {event:?}"),
    }
}

fn encoded(event: &Event) -> String {
    let mut batch = BatchBuilder::new();
    batch.push_event(event);
    let mut out = Vec::new();
    encode_structured(batch.finish().get(0), &[], &mut out);
    String::from_utf8(out).unwrap()
}

#[test]
fn binary_mode_takes_attributes_from_headers() {
    let headers = headers(&[
        ("content-type", "application/json; charset=utf-8"),
        ("ce-specversion", "1.0"),
        ("ce-id", "a%20%E2%82%AC"),
        ("ce-source", "/s"),
        ("ce-type", "\"quo\\\"ted\""),
        ("ce-number", "7"),
    ]);
    let decoded = decode(&headers, Bytes::from_static(b"{broken"), &Limits::default()).unwrap();
    let [Decoded::Event(event)] = decoded.as_slice() else {
        panic!("{decoded:?}")
    };
    assert_eq!((&*event.id, &*event.r#type), ("a €", "quo\"ted"));
    assert_eq!(event.datacontenttype, "application/json; charset=utf-8");
    assert_eq!(
        event.extensions["number"],
        AttributeValue::String("7".into())
    );
    assert_eq!(event.data, "{broken");
}

#[test]
fn binary_mode_names_what_is_wrong() {
    let headers = headers(&[
        ("ce-id", "1"),
        ("ce-id", "2"),
        ("ce-type", "%ff"),
        ("ce-datacontenttype", "x"),
        ("ce-a_b", "x"),
    ]);
    let found = errors(
        decode(&headers, Bytes::new(), &Limits::default())
            .unwrap()
            .remove(0),
    );
    let mut pointers: Vec<_> = found.iter().map(|(pointer, _)| &**pointer).collect();
    pointers.sort_unstable();
    assert_eq!(
        pointers,
        [
            "/a_b",
            "/datacontenttype",
            "/id",
            "/source",
            "/specversion",
            "/type"
        ]
    );
}

#[test]
fn structured_data_stays_the_bytes_it_was() {
    let event = event(&with(
        r#","data" : {"b":1.0, "a":[ 1e2 ]} ,"count":-3,"flag":true,"none":null"#,
    ));
    assert_eq!(event.data, r#"{"b":1.0, "a":[ 1e2 ]}"#);
    assert_eq!(event.extensions["count"], AttributeValue::Integer(-3));
    assert_eq!(event.extensions["flag"], AttributeValue::Boolean(true));
    assert_eq!(event.extensions.len(), 2);
}

#[test]
fn data_is_read_by_its_content_type() {
    assert_eq!(
        event(&with(r#","datacontenttype":"text/plain","data":"a\nb""#)).data,
        "a\nb"
    );
    assert_eq!(
        event(&with(r#","data":"a\nb","datacontenttype":"text/plain""#)).data,
        "a\nb"
    );
    assert_eq!(event(&with(r#","data":"a""#)).data, "\"a\"");
    assert_eq!(
        event(&with(r#","datacontenttype":"x/y+json","data":null"#)).data,
        "null"
    );
    assert_eq!(event(&with(r#","data_base64":"AAE=""#)).data, &[0u8, 1][..]);
    assert_eq!(
        errors(one(&with(r#","data_base64":"AAE=","data":1"#)))[0].0,
        "/data_base64"
    );
    assert_eq!(
        errors(one(&with(r#","data_base64":"%""#)))[0].0,
        "/data_base64"
    );
    assert_eq!(
        errors(one(&with(r#","datacontenttype":"text/plain","data":{}"#)))[0].0,
        "/data"
    );
}

#[test]
fn every_missing_attribute_is_told() {
    let found = errors(one("{}"));
    let pointers: Vec<_> = found.iter().map(|(pointer, _)| &**pointer).collect();
    assert_eq!(pointers, ["/specversion", "/id", "/source", "/type"]);
}

#[test]
fn illegal_attributes_are_refused_at_their_place() {
    for (members, pointer, word) in [
        (r#","subject":"""#, "/subject", "empty"),
        (r#","subject":"a\u0007""#, "/subject", "U+0007"),
        (r#","subject":"a\u0085""#, "/subject", "U+0085"),
        (r#","time":"yesterday""#, "/time", "RFC 3339"),
        (r#","dataschema":"/relative""#, "/dataschema", "absolute"),
        (
            r#","datacontenttype":"json""#,
            "/datacontenttype",
            "media type",
        ),
        (
            r#","datacontenttype":"text/plain; =x""#,
            "/datacontenttype",
            "media type",
        ),
        (r#","time":5"#, "/time", "must be a string"),
        (r#","Upper":"x""#, "/Upper", "a-z"),
        (r#","a/b~":"x""#, "/a~1b~0", "a-z"),
        (r#","float":1.5"#, "/float", "32-bit"),
        (r#","large":2147483648"#, "/large", "32-bit"),
        (r#","object":{"a":[1]}"#, "/object", "object"),
        (r#","array":[1]"#, "/array", "array"),
        (r#","twice":"1","twice":"2""#, "/twice", "twice"),
        (r#","subject":"1","subject":"2""#, "/subject", "twice"),
        (r#","data":1,"data":2"#, "/data", "twice"),
        (r#","sandbarother":"x""#, "/sandbarother", "reserved"),
    ] {
        let found = errors(one(&with(members)));
        assert_eq!(found.len(), 1, "{members}: {found:?}");
        assert!(
            found[0].0 == pointer && found[0].1.contains(word),
            "{members}: {found:?}"
        );
    }
    let long = "x".repeat(65);
    assert_eq!(
        errors(one(&with(&format!(",\"{long}\":\"x\""))))[0].0,
        format!("/{long}")
    );
    assert_eq!(
        errors(one(&with("").replace("\"/s\"", "\"a b\"")))[0].0,
        "/source"
    );
    let version = errors(one(&with("").replace("1.0", "0.3")));
    assert!(
        version[0].0 == "/specversion" && version[0].1.contains("0.3"),
        "{version:?}"
    );
}

#[test]
fn what_the_hub_added_is_dropped_again() {
    let event = event(&with(
        r#","sandbartopic":"t","sandbarpartition":1,"sandbaroffset":"7","sandbarroute":"r","sandbarorigin":"t/0/1","mine":"x""#,
    ));
    assert_eq!(event.extensions.keys().collect::<Vec<_>>(), ["mine"]);
}

#[test]
fn a_batch_keeps_good_and_bad_apart() {
    let body = format!("[{},{{\"id\":\"2\"}},7,null,[1],{}]", with(""), with(""));
    let decoded = read("application/cloudevents-batch+json", &body).unwrap();
    assert_eq!(decoded.len(), 6);
    assert!(matches!(&decoded[0], Decoded::Event(_)) && matches!(&decoded[5], Decoded::Event(_)));
    assert!(matches!(&decoded[1], Decoded::Invalid { id: Some(id), .. } if id == "2"));
    assert_eq!(errors(decoded[2].clone()).len(), 1);
}

#[test]
fn a_batch_with_too_many_events_is_refused() {
    let limits = Limits { max_events: 2 };
    let batch_of = |count: usize| Bytes::from(format!("[{}]", vec![with(""); count].join(",")));
    assert_eq!(batch(&batch_of(2), &limits).unwrap().len(), 2);
    assert_eq!(
        batch(&batch_of(3), &limits),
        Err(Refusal::TooManyEvents { max_events: 2 })
    );
    let lines_of = |count: usize| Bytes::from(vec![with(""); count].join("\n"));
    assert_eq!(
        lines(&lines_of(3), &limits),
        Err(Refusal::TooManyEvents { max_events: 2 })
    );
}

#[test]
fn lines_are_counted_where_one_is_broken() {
    let good = with(r#","data":{"a":1}"#);
    assert_eq!(
        read("application/x-ndjson", &format!("{good}\r\n\n{good}\n"))
            .unwrap()
            .len(),
        2
    );
    let refusal = read("application/x-ndjson", &format!("{good}\n\n{{\"id\" 1}}\n")).unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Malformed {
                line: 3,
                column: 7,
                ..
            }
        ),
        "{refusal}"
    );
}

#[test]
fn broken_bodies_are_refused_with_their_place() {
    for (body, line, column) in [("{\n  \"id\": }", 2, 9), ("", 1, 1), ("{} x", 1, 4)] {
        let refusal = read("application/cloudevents+json", body).unwrap_err();
        let Refusal::Malformed {
            line: l,
            column: c,
            reason,
        } = &refusal
        else {
            panic!("{refusal}")
        };
        assert_eq!((*l, *c), (line, column), "{body:?}: {reason}");
        assert!(!reason.contains("line"), "{reason}");
    }
    let headers = headers(&[("content-type", "application/cloudevents+json")]);
    let refusal = decode(
        &headers,
        Bytes::from_static(b"{\n\"a\xff"),
        &Limits::default(),
    )
    .unwrap_err();
    assert!(
        matches!(
            refusal,
            Refusal::Malformed {
                line: 2,
                column: 3,
                ..
            }
        ),
        "{refusal}"
    );
}

#[test]
fn other_content_types_are_refused_with_what_is_supported() {
    for kind in [
        "application/json",
        "application/cloudevents+avro",
        "application/cloudevents+json; charset=latin1",
    ] {
        let refusal = read(kind, "{}").unwrap_err().to_string();
        assert!(
            refusal.contains("application/cloudevents-batch+json"),
            "{refusal}"
        );
    }
    assert!(decode(&HeaderMap::new(), Bytes::new(), &Limits::default()).is_err());
    assert!(read("Application/CloudEvents+JSON; charset=UTF-8", &with("")).is_ok());
}

#[test]
fn data_is_written_in_the_form_that_gives_it_back() {
    let base = event(&with(""));
    for (kind, data, expected) in [
        ("application/json", &b"{\"a\":1}"[..], r#""data":{"a":1}}"#),
        (
            "application/json",
            b"{broken",
            r#""data_base64":"e2Jyb2tlbg=="}"#,
        ),
        ("", b"[1]", r#""data":[1]}"#),
        ("text/plain", b"a\"b", r#""data":"a\"b"}"#),
        ("text/plain", b"\xff", r#""data_base64":"/w=="}"#),
        (
            "application/octet-stream",
            b"ab",
            r#""data_base64":"YWI="}"#,
        ),
    ] {
        let event = Event {
            datacontenttype: kind.into(),
            data: Bytes::from_static(data),
            ..base.clone()
        };
        let json = encoded(&event);
        assert!(json.ends_with(expected), "{json}");
    }
}

#[test]
fn extras_take_the_place_of_extensions_of_the_same_name() {
    let mut event = event(&with(r#","other":"kept""#));
    event.extensions.insert(
        "sandbaroffset".into(),
        AttributeValue::String("spoofed".into()),
    );
    let mut batch = BatchBuilder::new();
    batch.push_event(&event);
    let mut out = Vec::new();
    encode_structured(
        batch.finish().get(0),
        &[("sandbaroffset", AttributeValue::String("7".into()))],
        &mut out,
    );
    let json: serde_json::Value = serde_json::from_slice(&out).unwrap();
    assert_eq!(
        (&json["sandbaroffset"], &json["other"]),
        (&"7".into(), &"kept".into())
    );
    assert!(!String::from_utf8(out).unwrap().contains("spoofed"));
}

fn any_text() -> impl Strategy<Value = String> {
    "[a-zA-Z0-9 \"\\\\/äé€😀.-]{1,12}"
}

prop_compose! {
    fn any_event()(
        id in any_text(),
        source in "/[a-z0-9/._-]{0,12}",
        kind in any_text(),
        subject in prop_oneof![Just(String::new()), any_text()],
        time in prop_oneof![Just(""), Just("2026-01-31T12:00:00.5Z")],
        (datacontenttype, data) in prop_oneof![
            any::<i32>().prop_map(|number| ("application/json", format!("{{\"n\": [{number}]}}").into_bytes())),
            any_text().prop_map(|text| ("", serde_json::to_vec(&text).unwrap())),
            any::<String>().prop_map(|text| ("text/plain; charset=utf-8", text.into_bytes())),
            prop::collection::vec(any::<u8>(), 0..40).prop_map(|bytes| ("application/octet-stream", bytes)),
            prop::collection::vec(1u8..8, 0..40).prop_map(|bytes| ("application/json", bytes)),
        ],
        dataschema in prop_oneof![Just(""), Just("https://example.com/schema#/a")],
        extensions in prop::collection::btree_map("ext[a-z0-9]{1,8}", prop_oneof![
            any_text().prop_map(AttributeValue::String),
            any::<bool>().prop_map(AttributeValue::Boolean),
            any::<i32>().prop_map(AttributeValue::Integer),
        ], 0..4),
    ) -> Event {
        Event {
            id,
            source,
            r#type: kind,
            subject,
            time: time.into(),
            datacontenttype: datacontenttype.into(),
            dataschema: dataschema.into(),
            extensions,
            data: data.into(),
        }
    }
}

proptest! {
    #[test]
    fn what_is_written_is_read_as_the_same(events in prop::collection::vec(any_event(), 0..5)) {
        let mut builder = BatchBuilder::new();
        events.iter().for_each(|event| builder.push_event(event));
        let columns = builder.finish();
        let mut out = Vec::new();
        encode_batch(columns.iter(), &mut out);
        let decoded = batch(&out.into(), &Limits::default()).unwrap();
        prop_assert_eq!(decoded, events.into_iter().map(Decoded::Event).collect::<Vec<_>>());
    }

    #[test]
    fn no_body_makes_it_panic(body in prop::collection::vec(any::<u8>(), 0..60)) {
        let body = Bytes::from(body);
        let _ = structured(&body);
        let _ = batch(&body, &Limits::default());
        let _ = lines(&body, &Limits::default());
    }
}
