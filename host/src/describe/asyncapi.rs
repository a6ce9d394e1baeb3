//! The AsyncAPI 3.0 document of a hub. The hub is the application that it describes: it receives what
//! is published, and sends what is read, pulled and pushed.
//!
//! | here | there |
//! |---|---|
//! | topic | channel, with the address of its events |
//! | contract version | message, one for each event type where it has types |
//! | publish, read | operations that receive and send |
//! | route | an operation that receives from its source, one that sends for each target |
//! | subscription | an operation that sends, for each topic |

use std::collections::{BTreeMap, BTreeSet};

use jsonschema::Draft;
use serde_json::{Map, Value, json};

use super::{
    Defined, DefinedTopic, avro,
    embed::Dialect,
    messages::{Payload, attributes, payload},
    protobuf::{self, Readable},
};
use crate::{
    catalog::{BoundContract, RouteDocument, SubscriptionDocument},
    contract::{Definition, Format, plain_name},
};

/// Of the HTTP bindings that are used.
const BINDING: &str = "0.3.0";
/// What AsyncAPI calls JSON Schema 2020-12, and the other formats.
const LATEST: &str = "application/schema+json;version=2020-12";
const AVRO: &str = "application/vnd.apache.avro+json";
const PROTOBUF: &str = "application/vnd.google.protobuf";
/// The message of topics without a contract.
const ANY_EVENT: &str = "event";

/// The document.
#[must_use]
pub fn asyncapi(defined: &Defined) -> Value {
    let mut writer = Writer::new(defined);
    writer.contracts();
    writer.channels();
    for topic in &defined.topics {
        writer.topic(topic);
    }
    writer.routes();
    writer.subscriptions();
    json!({
        "asyncapi": "3.0.0",
        "info": {
            "title": "Sandbar",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "The events of this hub: CloudEvents 1.0 over HTTP. All calls are in /openapi.json.",
            "license": {"name": "Apache-2.0", "url": "https://www.apache.org/licenses/LICENSE-2.0"},
        },
        "defaultContentType": "application/json",
        "servers": {
            "hub": {"host": defined.host, "protocol": "http", "description": "This hub"},
        },
        "channels": writer.channels,
        "operations": writer.operations,
        "components": {"messages": writer.messages, "schemas": writer.schemas},
    })
}

struct Writer<'a> {
    defined: &'a Defined,
    channels: Map<String, Value>,
    operations: Map<String, Value>,
    messages: Map<String, Value>,
    schemas: Map<String, Value>,
    taken: BTreeSet<String>,
    /// The messages of each contract version, by `name@version`.
    of_contract: BTreeMap<String, Vec<String>>,
}

impl<'a> Writer<'a> {
    fn new(defined: &'a Defined) -> Self {
        let headers = attributes("ce-", None);
        let any = json!({
            "name": ANY_EVENT,
            "title": "Any event",
            "summary": "A CloudEvent with any data",
            "headers": {"$ref": "#/components/schemas/cloudevents"},
        });
        Self {
            defined,
            channels: Map::new(),
            operations: Map::new(),
            messages: Map::from_iter([(ANY_EVENT.to_owned(), any)]),
            schemas: Map::from_iter([("cloudevents".to_owned(), headers)]),
            taken: BTreeSet::from([ANY_EVENT.to_owned(), "cloudevents".to_owned()]),
            of_contract: BTreeMap::new(),
        }
    }

    /// The versions that topics are bound to, and the latest of each contract.
    fn contracts(&mut self) {
        let mut shown: BTreeMap<String, &BoundContract> = BTreeMap::new();
        for topic in &self.defined.topics {
            if let Some(bound) = &topic.contract {
                shown.insert(bound.reference(), bound);
            }
        }
        for contract in self.defined.contracts.values() {
            if let Some(latest) = contract.versions.values().next_back() {
                shown.insert(latest.reference(), latest);
            }
        }
        for (reference, bound) in shown {
            let messages = self.contract(bound);
            self.of_contract.insert(reference, messages);
        }
    }

    /// Writes the schema and the messages of a contract version; the names of the messages.
    fn contract(&mut self, bound: &BoundContract) -> Vec<String> {
        let key = plain_name(
            &format!("{}.v{}", bound.name, bound.version),
            &mut self.taken,
        );
        let base = format!("#/components/schemas/{key}/schema");
        let definition = &bound.definition;
        let own = foreign(definition);
        let in_parts = own.is_none();
        let (multi, types) = match own {
            Some(multi) => {
                let types = definition.types.as_ref().map(|types| {
                    let all = types.keys();
                    all.map(|name| (name.clone(), base.clone())).collect()
                });
                (multi, types)
            }
            None => {
                let Payload { schema, types } = payload(bound, &base, Dialect::Own);
                let format = match definition.format {
                    Format::Json => schema_format(&definition.schema),
                    Format::Avro | Format::Protobuf => LATEST,
                };
                (json!({"schemaFormat": format, "schema": schema}), types)
            }
        };
        let format = multi["schemaFormat"].clone();
        self.schemas.insert(key.clone(), multi);
        let about = self.about(bound);
        let Some(types) = types else {
            let mut message = about;
            message.insert("name".to_owned(), bound.reference().into());
            message.insert("title".to_owned(), bound.reference().into());
            message.insert(
                "headers".to_owned(),
                json!({"$ref": "#/components/schemas/cloudevents"}),
            );
            message.insert(
                "payload".to_owned(),
                json!({"$ref": format!("#/components/schemas/{key}")}),
            );
            self.messages.insert(key.clone(), Value::Object(message));
            return vec![key];
        };
        let mut keys = Vec::with_capacity(types.len());
        for (event_type, reference) in types {
            let name = plain_name(&format!("{key}.{event_type}"), &mut self.taken);
            let mut message = about.clone();
            message.insert("name".to_owned(), event_type.clone().into());
            message.insert(
                "title".to_owned(),
                format!("{event_type} of {}", bound.reference()).into(),
            );
            let of_type = json!({"properties": {"ce-type": {"const": event_type}}});
            message.insert(
                "headers".to_owned(),
                json!({"type": "object", "allOf": [{"$ref": "#/components/schemas/cloudevents"}, of_type]}),
            );
            let payload = if in_parts {
                json!({"schemaFormat": format, "schema": {"$ref": reference}})
            } else {
                json!({"$ref": format!("#/components/schemas/{key}")})
            };
            message.insert("payload".to_owned(), payload);
            self.messages.insert(name.clone(), Value::Object(message));
            keys.push(name);
        }
        keys
    }

    /// What all messages of a contract version say.
    fn about(&self, bound: &BoundContract) -> Map<String, Value> {
        let contract = self.defined.contracts.get(&bound.name);
        let document = contract
            .map(|contract| contract.document.clone())
            .unwrap_or_default();
        let rule = contract.map(|contract| contract.rule).unwrap_or_default();
        let versions: Vec<u32> = contract.map_or_else(Vec::new, |contract| {
            contract.versions.keys().copied().collect()
        });
        let latest = versions.last().copied();
        let mut words = Vec::new();
        if document.deprecated {
            words.push("Deprecated: nobody should begin to use this contract.".to_owned());
        }
        for description in [&bound.definition.description, &document.description] {
            if !description.is_empty() {
                words.push(description.clone());
            }
        }
        if !document.owner.is_empty() {
            words.push(format!("Owner: {}.", document.owner));
        }
        words.push(format!(
            "Contract {}{}, registered {}; new versions keep: {}.",
            bound.reference(),
            match latest {
                Some(latest) if latest != bound.version => format!(" (the latest is {latest})"),
                _ => String::new(),
            },
            bound.created,
            rule.as_str()
        ));
        let mut tags = vec![json!({"name": "contract"})];
        if document.deprecated {
            tags.push(json!({"name": "deprecated"}));
        }
        let facts = json!({
            "name": bound.name.as_str(),
            "version": bound.version,
            "id": bound.id,
            "format": bound.definition.format,
            "versions": versions,
            "digest": bound.digest,
            "created": bound.created,
            "compatibility": rule,
            "owner": document.owner,
            "deprecated": document.deprecated,
        });
        Map::from_iter([
            (
                "summary".to_owned(),
                Value::from(format!("Data that fits {}", bound.reference())),
            ),
            ("description".to_owned(), words.join("\n\n").into()),
            (
                "contentType".to_owned(),
                content_type(bound.definition.format).into(),
            ),
            ("tags".to_owned(), Value::Array(tags)),
            ("x-sandbar-contract".to_owned(), facts),
        ])
    }

    fn messages_of(&self, topic: &DefinedTopic) -> Vec<String> {
        let bound = topic.contract.as_ref();
        let messages = bound.and_then(|bound| self.of_contract.get(&bound.reference()));
        messages
            .cloned()
            .unwrap_or_else(|| vec![ANY_EVENT.to_owned()])
    }

    fn channels(&mut self) {
        for topic in &self.defined.topics {
            let messages: Map<String, Value> = (self.messages_of(topic).into_iter())
                .map(|name| {
                    let reference = json!({"$ref": format!("#/components/messages/{name}")});
                    (name, reference)
                })
                .collect();
            let contract = match &topic.contract {
                Some(bound) => format!("The data fits contract {}.", bound.reference()),
                None => "The data may be anything.".to_owned(),
            };
            let description = format!(
                "{contract} {} partitions; order is kept by partitionkey, else subject, else id.",
                topic.document.partitions
            );
            let channel = json!({
                "address": topic.address(),
                "title": topic.name.as_str(),
                "description": description,
                "servers": [{"$ref": "#/servers/hub"}],
                "messages": messages,
                "bindings": {"http": {}},
                "x-sandbar-topic": topic.document,
            });
            self.channels.insert(topic.name.to_string(), channel);
        }
    }

    /// Adds an operation on a topic, if it is there. Colons keep the names apart: they are in none.
    fn operation(&mut self, name: String, action: &str, topic: &str, more: Value) {
        let of_topic = |one: &&DefinedTopic| one.name.as_str() == topic;
        let Some(found) = self.defined.topics.iter().find(of_topic) else {
            return;
        };
        let messages: Vec<Value> = (self.messages_of(found).iter())
            .map(|name| json!({"$ref": format!("#/channels/{topic}/messages/{name}")}))
            .collect();
        let mut operation = json!({
            "action": action,
            "channel": {"$ref": format!("#/channels/{topic}")},
            "messages": messages,
        });
        if let (Value::Object(operation), Value::Object(more)) = (&mut operation, more) {
            operation.extend(more);
        }
        self.operations.insert(name, operation);
    }

    fn topic(&mut self, topic: &DefinedTopic) {
        let name = topic.name.as_str();
        if !topic.name.is_reserved() {
            self.operation(
                format!("publish:{name}"),
                "receive",
                name,
                json!({
                    "title": format!("Publish to {name}"),
                    "description": "One event (binary or structured mode) or several (batch mode, NDJSON).",
                    "bindings": http("POST"),
                }),
            );
        }
        self.operation(
            format!("read:{name}"),
            "send",
            name,
            json!({
                "title": format!("Read {name}"),
                "description": "Events from an offset or a time on, or live with Accept: text/event-stream.",
                "bindings": http("GET"),
            }),
        );
    }

    fn routes(&mut self) {
        for (name, route) in &self.defined.routes {
            let document = &route.document;
            let facts = json!({
                "route": name.as_str(),
                "from": document.from.as_str(),
                "to": document.to,
                "steps": document.steps.iter().map(|step| &step.plugin).collect::<Vec<_>>(),
                "paused": route.paused,
            });
            let words = route_words(document, route.paused);
            self.operation(
                format!("route:{name}:from"),
                "receive",
                document.from.as_str(),
                json!({
                    "title": format!("Route {name} reads"),
                    "description": words,
                    "tags": [{"name": "route"}],
                    "x-sandbar-route": facts,
                }),
            );
            for target in &document.to {
                self.operation(
                    format!("route:{name}:to:{target}"),
                    "send",
                    target.as_str(),
                    json!({
                        "title": format!("Route {name} writes"),
                        "description": words,
                        "tags": [{"name": "route"}],
                        "x-sandbar-route": facts,
                    }),
                );
            }
        }
    }

    fn subscriptions(&mut self) {
        for (name, document) in &self.defined.subscriptions {
            let (words, binding) = subscription_words(name.as_str(), document);
            let facts = json!({
                "subscription": name.as_str(),
                "mode": if document.push.is_some() { "push" } else { "pull" },
                "topics": document.topics,
                "filters": document.filters,
            });
            for topic in &document.topics {
                self.operation(
                    format!("subscription:{name}:{topic}"),
                    "send",
                    topic.as_str(),
                    json!({
                        "title": format!("Subscription {name}"),
                        "description": words,
                        "tags": [{"name": "subscription"}],
                        "bindings": binding,
                        "x-sandbar-subscription": facts,
                    }),
                );
            }
        }
    }
}

fn http(method: &str) -> Value {
    json!({"http": {"method": method, "bindingVersion": BINDING}})
}

fn route_words(document: &RouteDocument, paused: bool) -> String {
    let steps: Vec<&str> = document
        .steps
        .iter()
        .map(|step| step.plugin.as_str())
        .collect();
    let through = if steps.is_empty() {
        "copies each event".to_owned()
    } else {
        format!("passes each event through {}", steps.join(", then "))
    };
    let targets: Vec<&str> = document.to.iter().map(|target| target.as_str()).collect();
    let paused = if paused { " It is paused." } else { "" };
    format!(
        "From {} {through}, into {}. Each output is written exactly once.{paused}",
        document.from,
        targets.join(", ")
    )
}

fn subscription_words(name: &str, document: &SubscriptionDocument) -> (String, Value) {
    let filtered = if document.filters.is_empty() {
        ""
    } else {
        " Only events that its filters take."
    };
    match &document.push {
        None => (
            format!(
                "Pulled with GET /v1/subscriptions/{name}/events and settled with POST /v1/subscriptions/{name}/ack, at least once, in order per key.{filtered}"
            ),
            http("GET"),
        ),
        Some(push) => (
            format!(
                "Sent to {}, at least once, in order per key.{filtered}",
                endpoint(&push.url)
            ),
            http("POST"),
        ),
    }
}

/// An URL without what may be a secret: its query.
fn endpoint(url: &str) -> &str {
    url.split(['?', '#']).next().unwrap_or_default()
}

/// What AsyncAPI calls the dialect of a JSON Schema.
fn schema_format(schema: &Value) -> &'static str {
    match Draft::default().detect(schema) {
        Draft::Draft4 => "application/schema+json;version=draft-04",
        Draft::Draft6 => "application/schema+json;version=draft-06",
        Draft::Draft7 => "application/schema+json;version=draft-07",
        Draft::Draft201909 => "application/schema+json;version=2019-09",
        _ => LATEST,
    }
}

/// The schema of an Avro or Protobuf contract in its own words; `None` where AsyncAPI, or its official
/// parser, has none for it.
fn foreign(definition: &Definition) -> Option<Value> {
    match definition.format {
        Format::Json => None,
        Format::Protobuf => {
            let Readable { syntax, text } = protobuf::readable(definition)?;
            Some(json!({
                "schemaFormat": format!("{PROTOBUF};version={syntax}"),
                "schema": text,
            }))
        }
        Format::Avro => {
            // With the types of its references in it, where it has any.
            let resolved = definition.resolved_text();
            let resolved = resolved.map(|text| serde_json::from_str(&text));
            let schema = match resolved {
                Some(resolved) => avro::worded(&resolved.ok()?)?,
                None => avro::worded(&definition.schema)?,
            };
            Some(json!({"schemaFormat": format!("{AVRO};version=1.9.0"), "schema": schema}))
        }
    }
}

fn content_type(format: Format) -> &'static str {
    match format {
        Format::Json => "application/json",
        Format::Avro => "application/avro",
        Format::Protobuf => "application/protobuf",
    }
}
