//! What a receiver gets is read back by the hub's own codec, which is checked elsewhere.

use http_body_util::BodyExt;
use sandbar_types::{Event, PartitionId, event::PARTITION_KEY};
use serde_json::json;

use super::*;
use crate::ingest::cloudevents::{Decoded, Limits, decode};

fn sample() -> Event {
    Event {
        id: "7".to_owned(),
        source: "/shop".to_owned(),
        r#type: "order".to_owned(),
        subject: "größe 7 \"%\"".to_owned(),
        time: "2026-01-02T03:04:05.678Z".to_owned(),
        datacontenttype: String::new(),
        extensions: [
            (
                PARTITION_KEY.to_owned(),
                AttributeValue::String("a b".to_owned()),
            ),
            ("count".to_owned(), AttributeValue::Integer(7)),
        ]
        .into(),
        data: Bytes::from_static(br#"{"total":12.5}"#),
        ..Event::default()
    }
}

/// Sends a number of samples; gives the request's headers and body.
fn sent(document: serde_json::Value, count: u64) -> (HeaderMap, Bytes) {
    let mut whole = json!({"url": "http://example.com/hook"});
    let members = document.as_object().expect("an object").clone();
    whole.as_object_mut().expect("an object").extend(members);
    let document: PushDocument = serde_json::from_value(whole).expect("a document");
    let template = Template::new(&Name::new("s").expect("a name"), &document);
    let template = template.expect("a template");
    let partition = PartitionId::new(Name::new("t").expect("a name"), 3);
    let mut builder = sandbar_types::BatchBuilder::new();
    for _ in 0..count {
        builder.push_event(&sample());
    }
    let batch = builder.finish();
    let due: Vec<_> = (0..count)
        .map(|index| Due {
            event: batch.get(usize::try_from(index).expect("few")),
            shared: None,
            place: Some(Place {
                partition: &partition,
                offset: 40 + index,
            }),
            delivery: 2,
        })
        .collect();
    let request = template.deliver(&due, 1_614_265_330_999);
    assert_eq!(request.method(), Method::POST);
    assert_eq!(request.uri(), "http://example.com/hook");
    let (head, body) = request.into_parts();
    let body = futures_util::FutureExt::now_or_never(body.collect());
    let body = body.expect("it is there").expect("it is whole").to_bytes();
    (head.headers, body)
}

/// Without what the hub drops of an event that is published: its own extensions.
fn read(headers: &HeaderMap, body: Bytes) -> Vec<Event> {
    let decoded = decode(headers, body, &Limits::default()).expect("CloudEvents");
    let events = decoded.into_iter().map(|one| match one {
        Decoded::Event(event) => event,
        Decoded::Invalid { errors, .. } => panic!("{errors:?}"),
    });
    events.collect()
}

#[test]
fn binary_is_what_was_published() {
    let (headers, body) = sent(json!({}), 1);
    assert_eq!(headers["ce-subject"], "gr%C3%B6%C3%9Fe%207%20%22%25%22");
    assert_eq!(headers["ce-partitionkey"], "a%20b");
    assert_eq!(headers[CONTENT_TYPE], "application/json");
    for (name, value) in [
        ("ce-sandbartopic", "t"),
        ("ce-sandbarpartition", "3"),
        ("ce-sandbaroffset", "40"),
        ("ce-sandbardelivery", "2"),
        ("webhook-timestamp", "1614265330"),
    ] {
        assert_eq!(headers[name], value, "{name}");
    }
    assert!(!headers.contains_key("webhook-signature"));
    let read = read(&headers, body);
    let original = sample();
    assert_eq!(read[0].id, original.id);
    assert_eq!(read[0].subject, original.subject);
    assert_eq!(read[0].time, original.time);
    assert_eq!(
        read[0].extensions[PARTITION_KEY],
        original.extensions[PARTITION_KEY]
    );
    assert_eq!(read[0].data, original.data);
}

#[test]
fn structured_and_batched_carry_everything_in_the_body() {
    let (headers, body) = sent(json!({"mode": "structured"}), 1);
    assert_eq!(
        headers[CONTENT_TYPE],
        "application/cloudevents+json; charset=utf-8"
    );
    assert!(headers.keys().all(|name| !name.as_str().starts_with("ce-")));
    let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(value["sandbaroffset"], "40");
    assert_eq!(value["sandbardelivery"], 2);
    assert_eq!(read(&headers, body)[0].data, sample().data);

    let (headers, body) = sent(json!({"batch": {"max_events": 10}}), 3);
    assert_eq!(headers[CONTENT_TYPE], "application/cloudevents-batch+json");
    let value: serde_json::Value = serde_json::from_slice(&body).expect("JSON");
    let offsets: Vec<_> = value
        .as_array()
        .expect("a batch")
        .iter()
        .map(|one| &one["sandbaroffset"])
        .collect();
    assert_eq!(offsets, ["40", "41", "42"]);
    assert_eq!(read(&headers, body).len(), 3);

    // A batch of one is a batch: the receiver reads but one content type.
    let (headers, _) = sent(json!({"batch": {"max_events": 10}}), 1);
    assert_eq!(headers[CONTENT_TYPE], "application/cloudevents-batch+json");
}

#[test]
fn configured_headers_and_signatures_are_there() {
    let (headers, _) = sent(
        json!({
            "headers": {"Authorization": "Bearer word", "user-agent": "shop"},
            "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]
        }),
        1,
    );
    assert_eq!(headers["authorization"], "Bearer word");
    assert_eq!(headers["user-agent"], "shop");
    let signature = headers["webhook-signature"].to_str().expect("ASCII");
    assert!(signature.starts_with("v1,"), "{signature}");
    assert!(!format!("{headers:?}").contains("word"));
}
