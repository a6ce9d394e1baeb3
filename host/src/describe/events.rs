//! The OpenAPI document of a hub with the events of its topics: for each topic with a contract, what is
//! published and read there.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::{
    Defined, DefinedTopic,
    embed::Dialect,
    messages::{Payload, attributes, payload},
};
use crate::{
    catalog::{BoundContract, CONFLUENT_AVRO, CONFLUENT_PROTOBUF},
    contract::{Format, plain_name},
};

/// Adds the events to the document of all calls.
///
/// A topic's own path stands beside the one for all topics, and says the same but for the bodies.
pub fn with_events(document: &mut Value, defined: &Defined) {
    let mut taken: BTreeSet<String> = (document["components"]["schemas"].as_object())
        .map(|schemas| schemas.keys().cloned().collect())
        .unwrap_or_default();
    let mut contracts = std::collections::BTreeMap::new();
    for topic in &defined.topics {
        let Some(bound) = &topic.contract else {
            continue;
        };
        let reference = bound.reference();
        if !contracts.contains_key(&reference) {
            let name = format!("contract.{}.v{}", bound.name, bound.version);
            let key = plain_name(&name, &mut taken);
            let base = format!("#/components/schemas/{key}");
            let Payload { mut schema, types } = payload(bound, &base, Dialect::Latest);
            explain(&mut schema, bound, defined);
            document["components"]["schemas"][&key] = schema;
            contracts.insert(reference.clone(), (key, types));
        }
        let Some((key, types)) = contracts.get(&reference) else {
            continue;
        };
        let event_key = plain_name(&format!("event.{}", topic.name), &mut taken);
        let data = json!({"$ref": format!("#/components/schemas/{key}")});
        let format = bound.definition.format;
        let event = match types {
            None => event(format, None, &data),
            Some(types) => {
                let each = types.iter().map(|(name, reference)| {
                    event(format, Some(name), &json!({"$ref": reference}))
                });
                json!({"oneOf": each.collect::<Vec<_>>()})
            }
        };
        document["components"]["schemas"][&event_key] = event;
        let item = path_item(document, topic, bound, &event_key, &data);
        document["paths"][topic.address()] = item;
    }
}

/// Says what the schema is, unless it does so itself.
fn explain(schema: &mut Value, bound: &BoundContract, defined: &Defined) {
    let deprecated =
        (defined.contracts.get(&bound.name)).is_some_and(|contract| contract.document.deprecated);
    if deprecated {
        schema["deprecated"] = true.into();
    }
    if schema.get("title").is_none() {
        schema["title"] = bound.reference().into();
    }
    if schema.get("description").is_none() && !bound.definition.description.is_empty() {
        schema["description"] = bound.definition.description.clone().into();
    }
}

/// A structured CloudEvent with such data; `data` is what it looks like as JSON.
fn event(format: Format, event_type: Option<&str>, data: &Value) -> Value {
    let mut event = attributes("", event_type);
    let properties = &mut event["properties"];
    let mut required = vec!["data"];
    if format == Format::Json {
        properties["datacontenttype"] = json!({"type": "string", "description": "JSON, as application/json; absent, it is that"});
        properties["data"] = data.clone();
    } else {
        required = vec!["datacontenttype", "data_base64"];
        properties["datacontenttype"] = json!({"enum": content_types(format)});
        properties["dataschema"]["description"] =
            "The contract version that wrote the data; absent, the one that the topic is bound to"
                .into();
        properties["data_base64"] = bytes(format, data);
        properties["data_base64"]["contentEncoding"] = "base64".into();
    }
    if let Some(all) = event["required"].as_array_mut() {
        all.extend(required.into_iter().map(Value::from));
    }
    event
}

/// Data in a binary format, with what it looks like as JSON.
fn bytes(format: Format, data: &Value) -> Value {
    json!({
        "type": "string",
        "contentMediaType": content_types(format)[0],
        "contentSchema": data,
        "description": format!("{} data; contentSchema is what it looks like as JSON", format.title()),
    })
}

/// The content types of events with data in a format: bare, and behind the frame of Confluent's
/// serializers.
fn content_types(format: Format) -> Vec<&'static str> {
    let mut types = format.media_types().to_vec();
    match format {
        Format::Json => {}
        Format::Avro => types.push(CONFLUENT_AVRO),
        Format::Protobuf => types.push(CONFLUENT_PROTOBUF),
    }
    types
}

fn path_item(
    document: &Value,
    topic: &DefinedTopic,
    bound: &BoundContract,
    event_key: &str,
    data: &Value,
) -> Value {
    let event = json!({"$ref": format!("#/components/schemas/{event_key}")});
    let events = json!({"type": "array", "items": event});
    let general = &document["paths"]["/v1/topics/{topic}/events"];
    let mut item = json!({});
    for method in ["post", "get"] {
        let mut operation = general[method].clone();
        if let Some(parameters) = operation["parameters"].as_array_mut() {
            parameters.retain(|one| one["in"] != "path");
        }
        item[method] = operation;
    }
    let publish = &mut item["post"];
    publish["operationId"] = format!("publish_{}", topic.name).into();
    publish["summary"] = format!(
        "Publishes to {}: data that fits {}",
        topic.name,
        bound.reference()
    )
    .into();
    let mut content = json!({
        "application/cloudevents+json": {"schema": event},
        "application/cloudevents-batch+json": {"schema": events},
        "application/x-ndjson": {"schema": {"type": "string", "description": "A structured event a line"}},
    });
    let format = bound.definition.format;
    for content_type in content_types(format) {
        content[content_type] = match format {
            Format::Json => json!({"schema": data}),
            Format::Avro | Format::Protobuf => {
                let mut schema = bytes(format, data);
                schema["contentMediaType"] = content_type.into();
                json!({"schema": schema})
            }
        };
    }
    publish["requestBody"] = json!({
        "required": true,
        "description": "One event in structured mode, several as a batch or as NDJSON, or in binary mode the data alone, with the attributes in ce-* headers.",
        "content": content,
    });
    let read = &mut item["get"];
    read["operationId"] = format!("read_{}", topic.name).into();
    read["summary"] = format!(
        "Reads {}, or follows it with Accept: text/event-stream",
        topic.name
    )
    .into();
    // What is stored may be older than the contract, or than its version.
    read["responses"]["200"]["content"]["application/cloudevents-batch+json"]["schema"] = json!({
        "type": "array",
        "items": {"anyOf": [event, {"type": "object", "description": "Stored before the topic was bound to this version"}]},
    });
    item
}
