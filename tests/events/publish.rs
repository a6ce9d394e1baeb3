//! Publishing: every mode, repeats, conflicts, leniency, limits.

use std::io::Write;

use sandbar_tests::{Hub, Publish, assert_problem, event, json_event};
use serde_json::{Value, json};

#[tokio::test]
async fn every_mode_stores_the_same_event() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let data = json!({"total": 12.5, "name": "Zoë"});
    let structured = |id: &str| {
        let mut event = json_event(id, "k", data.clone());
        event["subject"] = json!("order 7");
        event["time"] = json!("2026-01-02T03:04:05Z");
        event["tier"] = json!("gold");
        event
    };
    let binary = Publish::binary("application/json", "binary", data.to_string())
        .header("ce-subject", "order%207")
        .header("ce-time", "2026-01-02T03:04:05Z")
        .header("ce-partitionkey", "k")
        .header("ce-tier", "gold");
    let publishes = [
        ("binary", binary),
        ("structured", Publish::structured(&structured("structured"))),
        ("batch", Publish::batch(&[structured("batch")])),
        ("lines", Publish::lines(&[structured("lines")])),
    ];
    for (offset, (id, publish)) in publishes.into_iter().enumerate() {
        let answer = hub.publish("t", publish).await.expect(200);
        let expected =
            json!({"accepted": [{"id": id, "partition": 0, "offset": offset, "duplicate": false}]});
        assert_eq!(answer, expected);
    }
    for (offset, stored) in hub.read_all("t", 0).await.iter().enumerate() {
        let mut expected = structured(stored["id"].as_str().unwrap());
        expected["sandbartopic"] = json!("t");
        expected["sandbarpartition"] = json!(0);
        expected["sandbaroffset"] = json!(offset.to_string());
        assert_eq!(*stored, expected);
    }
}

#[tokio::test]
async fn data_that_is_no_json_comes_back_as_it_was() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let bytes: Vec<u8> = (0..=255).collect();
    let publish = Publish::binary("application/octet-stream", "bytes", bytes);
    let _ = hub.publish("t", publish).await.expect(200);
    let _ = hub
        .publish("t", Publish::binary("text/plain", "text", "grüße"))
        .await
        .expect(200);
    let events = hub.read_all("t", 0).await;
    let encoded = events[0]["data_base64"]
        .as_str()
        .expect("bytes come in base64");
    assert!(
        encoded.starts_with("AAECAwQF") && encoded.ends_with("/P3+/w=="),
        "{encoded}"
    );
    assert_eq!(events[0]["datacontenttype"], "application/octet-stream");
    assert_eq!(events[1]["data"], "grüße");
}

#[tokio::test]
async fn numbers_and_order_of_members_stay_as_they_were_sent() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let data = r#"{"z":1,"a":1.10,"big":123456789012345678901234567890}"#;
    let body = format!(
        r#"{{"specversion":"1.0","id":"1","source":"/tests","type":"t","datacontenttype":"application/json","data":{data}}}"#
    );
    let _ = hub
        .publish("t", Publish::raw("application/cloudevents+json", body))
        .await
        .expect(200);
    let read = hub.get("/v1/topics/t/events").await;
    assert!(read.text.contains(data), "{}", read.text);
}

#[tokio::test]
async fn compressed_bodies_are_taken() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let events: Vec<Value> = (0..500)
        .map(|n| event(&n.to_string(), json!({"n": n})))
        .collect();
    let plain = json!(events[..250]).to_string();
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(plain.as_bytes()).unwrap();
    let gzip = Publish::raw(
        "application/cloudevents-batch+json",
        encoder.finish().unwrap(),
    );
    let _ = hub
        .publish("t", gzip.header("content-encoding", "gzip"))
        .await
        .expect(200);
    let lines = Publish::lines(&events[250..]);
    let zstd = Publish {
        body: zstd::encode_all(&lines.body[..], 3).unwrap(),
        ..lines
    };
    let _ = hub
        .publish("t", zstd.header("content-encoding", "zstd"))
        .await
        .expect(200);
    let stored = hub.read_all("t", 0).await;
    let numbers: Vec<u64> = stored
        .iter()
        .map(|one| one["data"]["n"].as_u64().unwrap())
        .collect();
    assert_eq!(numbers, (0..500).collect::<Vec<_>>());
}

#[tokio::test]
async fn events_of_one_key_lie_in_one_partition_in_their_order() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 4})).await;
    let events: Vec<Value> = (0..400)
        .map(|n| json_event(&n.to_string(), &format!("key {}", n % 20), json!({"n": n})))
        .collect();
    for part in events.chunks(37) {
        hub.accepted("t", part).await;
    }
    let mut home: std::collections::HashMap<String, (u32, u64)> = Default::default();
    let mut used = 0;
    for partition in 0..4 {
        let stored = hub.read_all("t", partition).await;
        used += usize::from(!stored.is_empty());
        for one in &stored {
            let key = one["partitionkey"].as_str().unwrap().to_owned();
            let n = one["data"]["n"].as_u64().unwrap();
            let before = home.insert(key.clone(), (partition, n));
            assert!(
                before.is_none_or(|(other, last)| other == partition && last < n),
                "{key}: {before:?}, then {n}"
            );
        }
    }
    assert_eq!(home.len(), 20);
    assert!(used > 1, "twenty keys fall into more than one partition");
    assert_eq!(hub.stored("t").await, 400);
}

#[tokio::test]
async fn a_repeat_gets_the_first_offset_also_after_a_restart() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let events = [event("a", json!(1)), event("b", json!(2))];
    hub.accepted("t", &events).await;
    let again = hub
        .accepted(
            "t",
            &[
                event("b", json!(2)),
                event("c", json!(3)),
                event("c", json!(3)),
            ],
        )
        .await;
    assert_eq!(
        again[0],
        json!({"id": "b", "partition": 0, "offset": 1, "duplicate": true})
    );
    assert_eq!(
        again[1],
        json!({"id": "c", "partition": 0, "offset": 2, "duplicate": false})
    );
    assert_eq!(
        again[2],
        json!({"id": "c", "partition": 0, "offset": 2, "duplicate": true})
    );
    hub.kill();
    hub.restart().await;
    let again = hub.accepted("t", &events).await;
    assert_eq!(
        again[0],
        json!({"id": "a", "partition": 0, "offset": 0, "duplicate": true})
    );
    assert_eq!(
        again[1],
        json!({"id": "b", "partition": 0, "offset": 1, "duplicate": true})
    );
    assert_eq!(hub.tail("t", 0).await, 3);
    // Another source is another event.
    let mut other = event("a", json!(1));
    other["source"] = json!("/elsewhere");
    assert_eq!(hub.accepted("t", &[other]).await[0]["duplicate"], false);
}

#[tokio::test]
async fn the_dedupe_window_forgets_by_count() {
    let hub = Hub::start().await;
    hub.topic(
        "t",
        json!({"dedupe": {"max_events": 10, "max_age_seconds": 600}}),
    )
    .await;
    let numbered = |n: u64| event(&n.to_string(), json!(n));
    for n in 0..30 {
        hub.accepted("t", &[numbered(n)]).await;
    }
    assert_eq!(
        hub.accepted("t", &[numbered(29)]).await[0]["duplicate"],
        true
    );
    let forgotten = hub.accepted("t", &[numbered(0)]).await;
    assert_eq!(
        forgotten[0],
        json!({"id": "0", "partition": 0, "offset": 30, "duplicate": false})
    );
}

#[tokio::test]
async fn the_same_id_with_other_data_is_a_conflict() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 3})).await;
    hub.accepted("t", &[event("a", json!(1))]).await;
    let batch = [event("x", json!(0)), event("a", json!(2))];
    let problem = assert_problem(
        &hub.publish("t", Publish::batch(&batch)).await,
        409,
        "id-conflict",
    );
    assert_eq!(problem["errors"][0]["index"], 1, "{problem}");
    assert_eq!(hub.stored("t").await, 1, "nothing of the batch is stored");
    let lenient = hub
        .publish("t", Publish::batch(&batch).lenient())
        .await
        .expect(200);
    assert_eq!(lenient["accepted"][0]["id"], "x");
    assert_eq!(lenient["rejected"][0]["index"], 1);
    assert_eq!(lenient["rejected"][0]["code"], "id-conflict");
    assert_eq!(hub.stored("t").await, 2);
    // Both in one batch.
    let both = [event("n", json!(1)), event("n", json!(2))];
    assert_problem(
        &hub.publish("t", Publish::batch(&both)).await,
        409,
        "id-conflict",
    );
    assert_eq!(hub.stored("t").await, 2);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn of_concurrent_publishes_of_one_id_one_is_stored() {
    let hub = std::sync::Arc::new(Hub::start().await);
    hub.topic("t", json!({"partitions": 2})).await;
    for round in 0..20 {
        let mut tasks = tokio::task::JoinSet::new();
        for n in 0..16 {
            let hub = hub.clone();
            // Half of them have other data.
            let event = json_event(&format!("round {round}"), "k", json!(n % 2));
            tasks
                .spawn(async move { (n % 2, hub.publish("t", Publish::structured(&event)).await) });
        }
        let mut offsets = std::collections::HashSet::new();
        let mut winners = std::collections::HashSet::new();
        let mut fresh = 0;
        while let Some(done) = tasks.join_next().await {
            let (data, answer) = done.unwrap();
            if answer.status == 200 {
                let accepted = answer.json()["accepted"][0].clone();
                offsets.insert(accepted["offset"].as_u64().unwrap());
                winners.insert(data);
                fresh += usize::from(accepted["duplicate"] == false);
            } else {
                assert_problem(&answer, 409, "id-conflict");
            }
        }
        assert_eq!(
            (offsets.len(), winners.len(), fresh),
            (1, 1, 1),
            "round {round}"
        );
    }
    assert_eq!(hub.stored("t").await, 20);
}

#[tokio::test]
async fn a_batch_is_all_or_nothing_over_all_partitions() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"partitions": 8})).await;
    let mut events: Vec<Value> = (0..50).map(|n| event(&n.to_string(), json!(n))).collect();
    events[20].as_object_mut().unwrap().remove("type");
    events[40]["specversion"] = json!("0.3");
    let problem = assert_problem(
        &hub.publish("t", Publish::batch(&events)).await,
        422,
        "invalid-event",
    );
    let places: Vec<_> = problem["errors"]
        .as_array()
        .unwrap()
        .iter()
        .map(|one| (one["index"].clone(), one["pointer"].clone()))
        .collect();
    assert_eq!(
        places,
        [
            (json!(20), json!("/type")),
            (json!(40), json!("/specversion"))
        ]
    );
    assert_eq!(hub.stored("t").await, 0);
    let lenient = hub
        .publish("t", Publish::lines(&events).lenient())
        .await
        .expect(200);
    assert_eq!(lenient["accepted"].as_array().unwrap().len(), 48);
    let rejected = lenient["rejected"].as_array().unwrap();
    assert_eq!(rejected.len(), 2);
    assert_eq!(
        (
            &rejected[0]["index"],
            &rejected[0]["id"],
            &rejected[0]["code"]
        ),
        (&json!(20), &json!("20"), &json!("invalid-event"))
    );
    assert_eq!(rejected[1]["errors"][0]["pointer"], "/specversion");
    assert_eq!(hub.stored("t").await, 48);
}

#[tokio::test]
async fn an_async_topic_says_so() {
    let hub = Hub::start().await;
    hub.topic("t", json!({"durability": "async"})).await;
    let answer = hub
        .publish("t", Publish::structured(&event("1", json!(1))))
        .await
        .expect(200);
    assert_eq!(answer["durability"], "async");
    assert_eq!(hub.read_until("t", 0, 1).await.len(), 1);
}

#[tokio::test]
async fn an_empty_batch_stores_nothing() {
    let hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let answer = hub.publish("t", Publish::batch(&[])).await.expect(200);
    assert_eq!(answer["accepted"], json!([]));
    assert_eq!(hub.stored("t").await, 0);
}
