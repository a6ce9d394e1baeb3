//! The examples in all languages do the same: through the hub, on the vectors of
//! `examples/languages/vectors`, byte for byte. `examples/languages/setup.sh` and `build.sh` come first.
#![allow(clippy::unwrap_used)]

mod vectors;

use std::{collections::BTreeMap, path::PathBuf};

use sandbar_tests::{Hub, assert_problem, repository};
use serde_json::{Value, json, value::RawValue};
use vectors::{Expected, Vector};

const PLUGIN: &str = "order-invoice";

#[tokio::test]
async fn rust() {
    agrees("rust").await;
}

#[tokio::test]
async fn javascript() {
    agrees("javascript").await;
}

#[tokio::test]
async fn typescript() {
    agrees("typescript").await;
}

#[tokio::test]
async fn python() {
    agrees("python").await;
}

#[tokio::test]
async fn go() {
    agrees("go").await;
}

#[tokio::test]
async fn c() {
    agrees("c").await;
}

#[tokio::test]
async fn assemblyscript() {
    agrees("assemblyscript").await;
}

/// Each folder has all that a user copies, the WIT included.
#[test]
fn every_folder_has_the_wit_that_the_hub_has() {
    let wit = std::fs::read_to_string(repository().join("wit/transform.wit")).unwrap();
    for language in [
        "javascript",
        "typescript",
        "python",
        "go",
        "c",
        "assemblyscript",
    ] {
        let copy = folder(language).join("wit/transform.wit");
        let copied = std::fs::read_to_string(&copy)
            .unwrap_or_else(|error| panic!("{}: {error}", copy.display()));
        assert!(
            copied == wit,
            "{} is not wit/transform.wit; copy it there",
            copy.display()
        );
    }
}

fn folder(language: &str) -> PathBuf {
    repository().join("examples/languages").join(language)
}

fn built(language: &str) -> Vec<u8> {
    let path = if language == "rust" {
        repository().join("target/guests/order-invoice.wasm")
    } else {
        folder(language).join("build/plugin.wasm")
    };
    std::fs::read(&path).unwrap_or_else(|error| {
        panic!(
            "{}: {error}; run examples/languages/setup.sh {language} and examples/languages/build.sh {language}",
            path.display()
        )
    })
}

/// Asserts that the plugin of this language says and gives out what the vectors expect.
async fn agrees(language: &str) {
    let wasm = built(language);
    let hub = Hub::start().await;
    let uploaded = hub.upload(PLUGIN, "1", wasm).await.expect(201);
    assert!(
        !uploaded["digest"].as_str().unwrap().is_empty(),
        "{uploaded}"
    );
    refuses_bad_configs(&hub).await;
    let vectors = vectors::all();
    for vector in &vectors {
        tries(&hub, vector).await;
    }
    // One route for all vectors of a configuration.
    let mut routes: BTreeMap<String, Vec<&Vector>> = BTreeMap::new();
    for vector in &vectors {
        let config = vector.config.to_string();
        routes.entry(config).or_default().push(vector);
    }
    for (number, vectors) in routes.values().enumerate() {
        flows(&hub, &format!("r{number}"), vectors).await;
    }
}

/// What does not fit is found when the route is made, not when the first event comes.
async fn refuses_bad_configs(hub: &Hub) {
    hub.topic("orders", json!({})).await;
    hub.topic("invoices", json!({})).await;
    for config in [
        Value::Null,
        json!({"currency": 7, "tax": {}}),
        json!({"currency": "EUR", "prefix": 7, "tax": {}}),
        json!({"currency": "EUR"}),
        json!({"currency": "EUR", "tax": {"DE": 19.5}}),
        json!({"currency": "EUR", "tax": {"DE": -1}}),
        json!({"currency": "EUR", "tax": {"DE": 10001}}),
        json!({"currency": "EUR", "tax": {"DE": "1900"}}),
    ] {
        let route = json!({
            "from": "orders", "to": ["invoices"],
            "steps": [{"plugin": format!("{PLUGIN}@1"), "config": config}],
        });
        let answer = hub.put("/v1/routes/bad", route).await;
        let problem = assert_problem(&answer, 422, "plugin-config-refused");
        let detail = problem["detail"].as_str().unwrap();
        assert!(detail.contains("invalid-config: "), "{config}: {detail}");
    }
}

/// One by one, with nothing stored.
async fn tries(hub: &Hub, vector: &Vector) {
    let document = json!({"events": vector.events, "config": vector.config});
    let path = format!("/v1/plugins/{PLUGIN}/versions/1/try");
    let answer = hub.post(&path, document).await.expect(200);
    let results = answer["results"].as_array().unwrap();
    assert_eq!(results.len(), vector.expected.len(), "{}", vector.name);
    for (result, expected) in results.iter().zip(&vector.expected) {
        let told = format!("{}: {result}\nlogs: {}", vector.name, answer["logs"]);
        let (verdict, reason) = match expected {
            Expected::Emit(_) => ("emit", Value::Null),
            Expected::Drop(reason) => ("drop", json!(reason)),
            Expected::Reject(reason) => ("reject", json!(reason)),
        };
        assert_eq!(
            (&result["verdict"], &result["reason"]),
            (&json!(verdict), &reason),
            "{told}"
        );
    }
    assert_eq!(answer["logs"], json!([]), "{}", vector.name);
}

/// All at once, through a route: outputs in the order of the events, dead letters, counted drops.
async fn flows(hub: &Hub, route: &str, vectors: &[&Vector]) {
    let (from, to) = (format!("{route}.orders"), format!("{route}.invoices"));
    hub.topic(&from, json!({})).await;
    hub.topic(&to, json!({})).await;
    let step = json!({"plugin": format!("{PLUGIN}@1"), "config": vectors[0].config});
    let document = json!({"from": from, "to": [to], "steps": [step]});
    hub.route(route, document).await;

    let mut events = Vec::new();
    let mut invoices = Vec::new();
    let mut letters = BTreeMap::new();
    let mut dropped: BTreeMap<&str, u64> = BTreeMap::new();
    for (event, expected) in vectors.iter().flat_map(|vector| vector.pairs()) {
        events.push(event.clone());
        match expected {
            Expected::Emit(invoice) => invoices.push((event["id"].clone(), invoice)),
            Expected::Drop(reason) => *dropped.entry(reason).or_default() += 1,
            Expected::Reject(reason) => {
                letters.insert(event["id"].to_string(), reason.clone());
            }
        }
    }
    hub.accepted(&from, &events).await;
    let status = hub.settled(route).await;
    assert_eq!(status["counts"]["dropped"], json!(dropped), "{status}");

    let given = hub
        .get(&format!(
            "/v1/topics/{to}/events?offset=earliest&limit=10000"
        ))
        .await;
    assert_eq!(given.status, 200, "{given:?}");
    // The data as it lies in the answer: bytes, not what they mean.
    let given: Vec<BTreeMap<String, Box<RawValue>>> = serde_json::from_str(&given.text).unwrap();
    assert_eq!(given.len(), invoices.len(), "{route}");
    for (given, (id, expected)) in given.iter().zip(invoices) {
        assert_eq!(given["data"].get(), expected.data, "{id}");
        let attribute =
            |name: &str| -> Value { serde_json::from_str(given[name].get()).unwrap_or_default() };
        assert_eq!(attribute("id"), id);
        assert_eq!(attribute("source"), "/shop", "inherited");
        assert_eq!(attribute("time"), "2026-03-01T09:30:00Z", "inherited");
        assert_eq!(attribute("type"), expected.kind);
        assert_eq!(attribute("subject"), expected.subject);
        assert_eq!(attribute("country"), expected.country);
        assert_eq!(attribute("datacontenttype"), "application/json");
    }

    let parked = hub
        .dead_letters_until(&format!("route={route}"), letters.len())
        .await;
    let parked: BTreeMap<String, String> = (parked.iter())
        .map(|letter| {
            assert_eq!(letter["cause"], "rejected", "{letter}");
            let reason = letter["reason"].as_str().unwrap().to_owned();
            (letter["event"]["id"].to_string(), reason)
        })
        .collect();
    assert_eq!(parked, letters);
}
