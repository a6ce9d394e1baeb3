//! The registry API over the hub's contracts.
#![allow(clippy::unwrap_used)]

mod cli;
mod clients;
mod deleted;
mod formats;
mod modes;
mod refused;
mod subjects;

use sandbar_tests::{Answer, Hub};
use serde_json::{Value, json};

/// An Avro record `com.acme.Order` with these fields.
fn avro(fields: &Value) -> String {
    json!({"type": "record", "name": "Order", "namespace": "com.acme", "fields": fields})
        .to_string()
}

/// What is sent to register an Avro schema.
fn order(fields: &Value) -> Value {
    json!({"schema": avro(fields)})
}

fn id_field() -> Value {
    json!([{"name": "id", "type": "string"}])
}

/// Registers a schema and gives its id.
async fn register(hub: &Hub, subject: &str, schema: Value) -> u64 {
    let path = format!("/registry/subjects/{subject}/versions");
    let answer = hub.post(&path, schema).await.expect(200);
    answer["id"].as_u64().unwrap()
}

/// Checks a refusal of the registry; gives its message.
fn assert_error(answer: &Answer, status: u16, code: u32) -> String {
    assert_eq!(answer.status, status, "{answer:?}");
    assert_eq!(
        answer.header("content-type"),
        Some("application/vnd.schemaregistry.v1+json"),
        "{answer:?}"
    );
    let document: Value = serde_json::from_str(&answer.text).unwrap();
    assert_eq!(document["error_code"], code, "{document}");
    let message = document["message"].as_str().unwrap();
    assert!(!message.is_empty());
    message.to_owned()
}
