//! What has to be done so that the hub is as the file says.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::{contracts, file::Wanted, references, version::Version};
use crate::{
    catalog::{RouteDocument, SubscriptionDocument, TopicDocument},
    cli::{
        client::{Client, Failure, path},
        plugin,
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
        let (item, version) = contract(client, wanted, name, &versions)?;
        versions.insert(name, version);
        items.push(item);
    }
    for name in wanted.plugins.keys() {
        items.push(plugin(client, wanted, name)?);
    }
    references::check(client, wanted, &versions)?;
    for (name, document) in &wanted.topics {
        items.push(topic(client, wanted, name, document, &versions)?);
    }
    for (name, document) in &wanted.routes {
        items.push(route(client, name, document)?);
    }
    for (name, document) in &wanted.subscriptions {
        items.push(subscription(client, name, document)?);
    }
    Ok(Plan { items })
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
    let document = serde_json::to_value(definition).map_err(Failure::local)?;
    let item = Item {
        kind: "contract",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Contract(document),
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
    Ok(Item {
        kind: "plugin",
        name: reference,
        act,
        changes: Vec::new(),
        call: Call::Plugin(file.bytes.clone()),
    })
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
    Ok(Item {
        kind: "topic",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Put { path, document },
    })
}

fn route(client: &Client, name: &str, document: &RouteDocument) -> Result<Item, Failure> {
    let path = path(&["routes", name])?;
    let (act, changes) = compare(client.find(&path)?, document)?;
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item {
        kind: "route",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Put { path, document },
    })
}

fn subscription(
    client: &Client,
    name: &str,
    document: &SubscriptionDocument,
) -> Result<Item, Failure> {
    let path = path(&["subscriptions", name])?;
    let (mut act, mut changes) = compare(client.find(&path)?, &document.masked())?;
    if act == Act::Keep && document.hides_headers() {
        act = Act::Change;
        changes.push("push.headers are written again: their values are never shown".to_owned());
    }
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item {
        kind: "subscription",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Put { path, document },
    })
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
        "name", "state", "status", "paused", "disabled", "made", "webhook",
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
    /// Makes the change.
    pub(super) fn carry_out(&self, client: &Client) -> Result<(), Failure> {
        match &self.call {
            Call::Contract(definition) => {
                client.post(&path(&["contracts", &self.name, "versions"])?, definition)
            }
            Call::Plugin(bytes) => plugin::push(client, &self.name, bytes.clone()),
            Call::Put { path, document } => client.put(path, document),
        }
        .map(drop)
    }
}
