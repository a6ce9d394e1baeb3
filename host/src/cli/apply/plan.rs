//! What has to be done so that the hub is as the file says.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

use super::{contracts, file::Wanted, references, version::Version};
use crate::{
    catalog::{RouteDocument, SubscriptionDocument, TopicDocument},
    cli::{
        client::{Client, Failure, path},
        gate, plugin, table,
    },
};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    Make,
    Change,
    Keep,
}

/// One entry of the file.
#[derive(Debug)]
pub(super) struct Item {
    pub kind: &'static str,
    pub name: String,
    pub act: Act,
    /// `field: old → new`.
    pub changes: Vec<String>,
    /// What the activation gate says of it, where all that it names is there already.
    pub gate: Vec<Value>,
    /// What the stored events of a topic say of the contract that it is to be bound to.
    pub binding: Option<Value>,
    /// What the contract's rule says of a new version of it.
    pub rule: Option<Value>,
    call: Call,
}

#[derive(Debug)]
enum Call {
    Contract(Value),
    Plugin(Vec<u8>),
    Put { path: String, document: Value },
}

/// Everything, in the order in which it is to be done.
#[derive(Debug)]
pub(super) struct Plan {
    pub items: Vec<Item>,
}

/// Compares the file with the hub. Nothing is changed.
pub(super) fn make(client: &Client, wanted: &Wanted) -> Result<Plan, Failure> {
    let mut items = Vec::new();
    let mut versions = BTreeMap::new();
    for name in contracts::order(wanted)? {
        if let Some(members) = wanted.agreements.get(name) {
            items.push(agreement(client, name, members)?);
        }
        let (item, version) = contract(client, wanted, name, &versions)?;
        versions.insert(name, version);
        items.push(item);
    }
    for name in wanted.plugins.keys() {
        items.push(plugin(client, wanted, name)?);
    }
    references::check(client, wanted, &versions)?;
    let mut bound = Bound::new();
    for (name, document) in &wanted.topics {
        let mut item = topic(client, wanted, name, document, &versions)?;
        if let Some(contract) = item.rebinds() {
            item.gate = ask_of_writers(client, name, &contract)?;
            item.binding = ask_of_events(client, wanted, name, &contract, &versions)?;
            bound.insert(name.clone(), contract);
        }
        items.push(item);
    }
    for (name, document) in &wanted.routes {
        let mut item = route(client, name, document)?;
        if item.act != Act::Keep {
            item.gate = ask(client, name, document, &bound);
        }
        items.push(item);
    }
    for (name, document) in &wanted.subscriptions {
        items.push(subscription(client, name, document)?);
    }
    Ok(Plan { items })
}

/// Contracts that topics are to be bound to.
type Bound = BTreeMap<String, String>;

/// What the activation gate says of a route as it would be; nothing where it cannot be asked before
/// something else of the plan is made.
fn ask(client: &Client, name: &str, document: &RouteDocument, bound: &Bound) -> Vec<Value> {
    let is_target = |topic: &str| document.to.iter().any(|target| target.as_str() == topic);
    let contracts: Bound = (bound.iter())
        .filter(|(topic, _)| is_target(topic))
        .map(|(topic, contract)| (topic.clone(), contract.clone()))
        .collect();
    let request = json!({"document": document, "contracts": contracts});
    gate::ask(client, name, &request).into_iter().collect()
}

/// What the activation gate says of the routes that write to a topic, bound to another contract.
fn ask_of_writers(client: &Client, topic: &str, contract: &str) -> Result<Vec<Value>, Failure> {
    let routes = client.get("/v1/routes")?;
    let routes = routes["routes"].as_array().into_iter().flatten();
    let writing = routes.filter(|route| {
        let targets = route["to"].as_array();
        targets.is_some_and(|targets| targets.iter().any(|target| target == topic))
    });
    let asked = writing.filter_map(|route| {
        let request = json!({"contracts": {topic: contract}});
        gate::ask(client, route["name"].as_str()?, &request).ok()
    });
    Ok(asked.collect())
}

/// What the stored events of a topic say of the contract that it is to be bound to, which may be new in the
/// file; `None` where that cannot be told yet.
fn ask_of_events(
    client: &Client,
    wanted: &Wanted,
    topic: &str,
    contract: &str,
    versions: &BTreeMap<&str, Version>,
) -> Result<Option<Value>, Failure> {
    let base = contract.split('@').next().unwrap_or(contract);
    let new = versions
        .get(base)
        .filter(|version| !version.present && contract == format!("{base}@{}", version.number));
    let request = match new {
        Some(_) => {
            let (definition, pending) = contracts::definition(client, wanted, base, versions)?;
            if pending {
                // What it refers to is not on the hub, so nobody can tell before it is.
                return Ok(None);
            }
            let mut request = serde_json::to_value(definition).map_err(Failure::local)?;
            if let Some(members) = request.as_object_mut() {
                members.remove("description");
            }
            request
        }
        None => json!({"contract": contract}),
    };
    client
        .post(&path(&["topics", topic, "binding"])?, &request)
        .map(Some)
}

/// What the file says of a contract besides its versions, laid over what there is.
fn agreement(client: &Client, name: &str, members: &Map<String, Value>) -> Result<Item, Failure> {
    let path = path(&["contracts", name])?;
    let found = client.find(&path)?;
    let is_there = found.is_some();
    let mut document = match found {
        Some(Value::Object(found)) => found,
        _ => Map::new(),
    };
    if document.get("inherited") == Some(&Value::Bool(true)) {
        document.remove("compatibility");
    }
    document.retain(|member, _| !matches!(member.as_str(), "name" | "versions" | "inherited"));
    let mut changes = Vec::new();
    for (member, value) in members {
        let before = document.insert(member.clone(), value.clone());
        if before.as_ref() != Some(value) {
            let before = before.unwrap_or(Value::Null);
            changes.push(format!("{member}: {before} → {value}"));
        }
    }
    let act = match (changes.is_empty(), is_there) {
        (true, _) => Act::Keep,
        (false, true) => Act::Change,
        (false, false) => Act::Make,
    };
    Ok(Item::new(
        "agreement",
        name.to_owned(),
        act,
        changes,
        Call::Put {
            path,
            document: Value::Object(document),
        },
    ))
}

/// All versions of a contract; none where the hub does not know it.
fn listed(client: &Client, name: &str) -> Result<Vec<Value>, Failure> {
    let found = client.find(&path(&["contracts", name, "versions"])?)?;
    let versions = found.and_then(|found| found["versions"].as_array().cloned());
    Ok(versions.unwrap_or_default())
}

fn contract(
    client: &Client,
    wanted: &Wanted,
    name: &str,
    versions: &BTreeMap<&str, Version>,
) -> Result<(Item, Version), Failure> {
    let listed = listed(client, name)?;
    let (definition, pending) = contracts::definition(client, wanted, name, versions)?;
    let known = match (pending, listed.is_empty()) {
        // What it refers to is not there yet, so this is not there either.
        (true, _) | (_, true) => None,
        (false, false) => contracts::find(client, name, &definition)?,
    };
    let version = Version::of(&listed, known);
    let (act, changes) = match (version.present, listed.is_empty()) {
        (true, _) => (Act::Keep, Vec::new()),
        (false, true) => (Act::Make, Vec::new()),
        (false, false) => (Act::Change, vec![format!("version {}", version.number)]),
    };
    let rule = match act {
        Act::Change if !pending => contracts::ask(client, wanted, name, &definition)?,
        // There is nothing that it would follow, or what it refers to is not there yet.
        Act::Change | Act::Make | Act::Keep => None,
    };
    let document = serde_json::to_value(definition).map_err(Failure::local)?;
    let item = Item {
        rule,
        ..Item::new(
            "contract",
            name.to_owned(),
            act,
            changes,
            Call::Contract(document),
        )
    };
    Ok((item, version))
}

fn plugin(client: &Client, wanted: &Wanted, name: &str) -> Result<Item, Failure> {
    let file = &wanted.plugins[name];
    let reference = format!("{name}@{}", file.version);
    let found = client.find(&path(&["plugins", name, "versions", &file.version])?)?;
    let digest = Sha256::digest(&file.bytes)
        .iter()
        .fold("sha256:".to_owned(), |text, byte| {
            text + &format!("{byte:02x}")
        });
    let act = match found {
        None => Act::Make,
        Some(found) if found["digest"] == digest.as_str() => Act::Keep,
        Some(_) => {
            let reason = format!(
                "the hub has {reference} with other bytes; versions never change, so raise the version"
            );
            return Err(wanted.error("plugins", name, &reason));
        }
    };
    Ok(Item::new(
        "plugin",
        reference,
        act,
        Vec::new(),
        Call::Plugin(file.bytes.clone()),
    ))
}

fn topic(
    client: &Client,
    wanted: &Wanted,
    name: &str,
    document: &TopicDocument,
    versions: &BTreeMap<&str, Version>,
) -> Result<Item, Failure> {
    let path = path(&["topics", name])?;
    let found = client.find(&path)?;
    if let Some(found) = &found
        && found["partitions"] != document.partitions
    {
        let reason = format!(
            "the topic has {} partitions and the file says {}: the number is fixed once a topic is made",
            found["partitions"], document.partitions
        );
        return Err(wanted.error("topics", name, &reason));
    }
    // A contract without a version is the one in the file, even where the hub has later ones; where
    // the file has none, it is the latest.
    let mut document = document.clone();
    if let Some(contract) = document.contract.as_mut()
        && !contract.contains('@')
    {
        let number = match versions.get(contract.as_str()) {
            Some(version) => Some(version.number),
            None => listed(client, contract)?
                .iter()
                .filter_map(|version| version["version"].as_u64())
                .max(),
        };
        if let Some(number) = number {
            contract.push_str(&format!("@{number}"));
        }
    }
    let (act, changes) = compare(found, &document)?;
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item::new(
        "topic",
        name.to_owned(),
        act,
        changes,
        Call::Put { path, document },
    ))
}

fn route(client: &Client, name: &str, document: &RouteDocument) -> Result<Item, Failure> {
    let path = path(&["routes", name])?;
    let (act, changes) = compare(client.find(&path)?, document)?;
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item::new(
        "route",
        name.to_owned(),
        act,
        changes,
        Call::Put { path, document },
    ))
}

fn subscription(
    client: &Client,
    name: &str,
    document: &SubscriptionDocument,
) -> Result<Item, Failure> {
    let path = path(&["subscriptions", name])?;
    let (mut act, mut changes) = compare(client.find(&path)?, &document.masked())?;
    let hidden = document.hides_headers();
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    if act == Act::Keep && hidden {
        // Answers never show the values; the hub itself can tell whether they are these.
        let planned = client.post(&format!("{path}/check"), &document)?;
        let members = planned["members"].as_array().into_iter().flatten();
        changes.extend(
            members.map(|member| format!("{}: a value that is never shown", table::cell(member))),
        );
        if !changes.is_empty() {
            act = Act::Change;
        }
    }
    Ok(Item::new(
        "subscription",
        name.to_owned(),
        act,
        changes,
        Call::Put { path, document },
    ))
}

/// Compares what the hub answers with a document of which it is a part, defaults filled in on both
/// sides.
fn compare<T: Serialize + DeserializeOwned>(
    found: Option<Value>,
    wanted: &T,
) -> Result<(Act, Vec<String>), Failure> {
    let Some(found) = found else {
        return Ok((Act::Make, Vec::new()));
    };
    let wanted = serde_json::to_value(wanted).map_err(Failure::local)?;
    let mut kept = found.as_object().cloned().unwrap_or_default();
    for extra in [
        "name",
        "state",
        "status",
        "paused",
        "disabled",
        "made",
        "webhook",
        "activation",
        "history",
        "binding",
        "forced",
    ] {
        kept.remove(extra);
    }
    let found: T = serde_json::from_value(Value::Object(kept)).map_err(Failure::local)?;
    let found = serde_json::to_value(&found).map_err(Failure::local)?;
    let mut names: Vec<&String> = found
        .as_object()
        .into_iter()
        .chain(wanted.as_object())
        .flat_map(|map| map.keys())
        .collect();
    names.sort();
    names.dedup();
    let differing = names
        .into_iter()
        .filter(|name| found[name.as_str()] != wanted[name.as_str()]);
    let changes: Vec<String> = differing
        .map(|name| {
            format!(
                "{name}: {} → {}",
                found[name.as_str()],
                wanted[name.as_str()]
            )
        })
        .collect();
    Ok((
        if changes.is_empty() {
            Act::Keep
        } else {
            Act::Change
        },
        changes,
    ))
}

impl Item {
    fn new(kind: &'static str, name: String, act: Act, changes: Vec<String>, call: Call) -> Self {
        Self {
            kind,
            name,
            act,
            changes,
            gate: Vec::new(),
            binding: None,
            rule: None,
            call,
        }
    }

    /// The contract that a topic which is there is to be bound to instead of another.
    fn rebinds(&self) -> Option<String> {
        let Call::Put { document, .. } = &self.call else {
            return None;
        };
        let other = |change: &String| change.starts_with("contract:");
        let rebinds = self.act == Act::Change && self.changes.iter().any(other);
        let contract = document["contract"].as_str().filter(|_| rebinds)?;
        Some(contract.to_owned())
    }

    /// Whether stored events speak against the contract that the topic is to be bound to.
    pub(super) fn breaks_events(&self) -> bool {
        let binding = self.binding.as_ref();
        binding.is_some_and(|binding| binding["refused"] == true)
    }

    /// Whether a version of a contract breaks the contract's rule, or may break it.
    pub(super) fn breaks_rule(&self) -> bool {
        let rule = self.rule.as_ref();
        rule.is_some_and(|answer| answer["rule"] != "none" && answer["answer"] != "compatible")
    }

    /// Whether the activation gate refuses it.
    pub(super) fn is_refused(&self) -> bool {
        self.gate
            .iter()
            .any(|report| report["outcome"] == "refused")
    }

    /// Makes the change; `query` goes to what the activation gate looks at.
    pub(super) fn carry_out(&self, client: &Client, query: &str) -> Result<(), Failure> {
        match &self.call {
            Call::Contract(definition) => {
                client.post(&path(&["contracts", &self.name, "versions"])?, definition)
            }
            Call::Plugin(bytes) => plugin::push(client, &self.name, bytes.clone()),
            Call::Put { path, document } if matches!(self.kind, "topic" | "route") => {
                client.put(&format!("{path}{query}"), document)
            }
            Call::Put { path, document } => client.put(path, document),
        }
        .map(drop)
    }
}
