//! A stop that is asked for loses nothing, also under load.

use std::sync::Arc;

use sandbar_tests::{Hub, Publish, json_event};
use serde_json::{Value, json};
use tokio::sync::Mutex;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_stop_under_load_loses_nothing() {
    let mut hub = Hub::start().await;
    hub.topic("in", json!({"partitions": 2})).await;
    hub.topic("out", json!({})).await;
    hub.mapper().await;
    hub.route(
        "r",
        json!({"from": "in", "steps": [{"plugin": "mapper@1"}], "to": ["out"]}),
    )
    .await;
    let acknowledged = Arc::new(Mutex::new(Vec::new()));
    let url = hub.url().to_owned();
    let publishers: Vec<_> = (0..4)
        .map(|publisher| {
            tokio::spawn(publish_until_refused(
                url.clone(),
                publisher,
                acknowledged.clone(),
            ))
        })
        .collect();
    // Once there is something in each of its parts.
    hub.read_until("out", 0, 500).await;
    hub.terminate();
    for publisher in publishers {
        publisher
            .await
            .expect("every answer is either whole or a clear refusal");
    }
    let status = hub.ended();
    assert!(status.success(), "{status}\n{}", hub.log());
    assert!(hub.log().contains("stopped"), "{}", hub.log());

    hub.restart().await;
    hub.settled("r").await;
    let mut stored = Vec::new();
    for partition in 0..2 {
        stored.extend(hub.read_all("in", partition).await);
    }
    let acknowledged = acknowledged.lock().await;
    for (id, partition, offset) in acknowledged.iter() {
        let found = stored
            .iter()
            .filter(|one| one["id"] == *id)
            .collect::<Vec<_>>();
        assert_eq!(found.len(), 1, "{id}");
        assert_eq!(
            (&found[0]["sandbarpartition"], &found[0]["sandbaroffset"]),
            (partition, &json!(offset.to_string()))
        );
    }
    let outputs = hub.read_all("out", 0).await;
    let ids = |events: &[Value]| {
        let mut ids: Vec<String> = events.iter().map(|one| one["id"].to_string()).collect();
        ids.sort();
        ids
    };
    assert_eq!(ids(&outputs), ids(&stored), "each event came out once");
}

type Acknowledged = Arc<Mutex<Vec<(String, Value, Value)>>>;

async fn publish_until_refused(url: String, publisher: u64, acknowledged: Acknowledged) {
    let http = reqwest::Client::new();
    for n in 0.. {
        let ids: Vec<String> = (0..5)
            .map(|part| format!("{publisher}/{n}/{part}"))
            .collect();
        let events: Vec<Value> = ids.iter().map(|id| json_event(id, id, json!({}))).collect();
        let publish = Publish::batch(&events);
        let request = http.post(format!("{url}/v1/topics/in/events"));
        let response = match request
            .header("content-type", publish.content_type)
            .body(publish.body)
            .send()
            .await
        {
            Ok(response) => response,
            // The port is closed, or the idle connection was: not sent, not answered.
            Err(_) => return,
        };
        let status = response.status().as_u16();
        let text = response
            .text()
            .await
            .expect("what was begun to be answered is answered whole");
        if status == 503 {
            assert!(text.contains("/problems/stopping"), "{text}");
            return;
        }
        assert_eq!(status, 200, "{text}");
        let answer: Value = serde_json::from_str(&text).unwrap();
        let mut kept = acknowledged.lock().await;
        for (id, one) in ids.into_iter().zip(answer["accepted"].as_array().unwrap()) {
            kept.push((id, one["partition"].clone(), one["offset"].clone()));
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whoever_waits_is_told_when_it_stops() {
    let mut hub = Hub::start().await;
    hub.topic("t", json!({})).await;
    let request = hub.request(reqwest::Method::GET, "/v1/topics/t/events?wait=60");
    let reading = tokio::spawn(async move { request.send().await });
    // The request counts once it is answered; so that it is under way, another one comes after it.
    hub.wait_at("t", 0, 0, 0.5).await;
    let status = hub.stop();
    assert!(status.success(), "{status}");
    let answer = reading.await.unwrap().expect("an answer").status().as_u16();
    assert!(matches!(answer, 200 | 503), "{answer}");
}
