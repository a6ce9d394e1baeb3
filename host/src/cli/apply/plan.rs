//! What has to be done so that the hub is as the file says.

use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::file::Wanted;
use crate::{
    catalog::{RouteDocument, TopicDocument},
    cli::{
        client::{Client, Failure},
        plugins,
    },
    contract::Definition,
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
    for (name, definition) in &wanted.contracts {
        items.push(contract(client, name, definition)?);
    }
    for name in wanted.plugins.keys() {
        items.push(plugin(client, wanted, name)?);
    }
    check_references(client, wanted)?;
    for (name, document) in &wanted.topics {
        items.push(topic(client, name, document, &items)?);
    }
    for (name, document) in &wanted.routes {
        items.push(route(client, name, document)?);
    }
    Ok(Plan { items })
}

/// `None` where the hub has no such thing.
fn look(client: &Client, path: &str) -> Result<Option<Value>, Failure> {
    match client.get(path) {
        Ok(found) => Ok(Some(found)),
        Err(failure) if failure.is_not_found() => Ok(None),
        Err(failure) => Err(failure),
    }
}

fn contract(client: &Client, name: &str, definition: &Definition) -> Result<Item, Failure> {
    let found = look(client, &format!("/v1/contracts/{name}/versions"))?;
    let digest = definition.digest();
    let versions: Vec<&Value> = found
        .iter()
        .flat_map(|found| found["versions"].as_array())
        .flatten()
        .collect();
    let same = versions
        .iter()
        .any(|version| version["digest"] == digest.as_str());
    let act = match (versions.is_empty(), same) {
        (_, true) => Act::Keep,
        (true, false) => Act::Make,
        (false, false) => Act::Change,
    };
    let changes = if act == Act::Change {
        vec![format!("version {}", versions.len() + 1)]
    } else {
        Vec::new()
    };
    let document = serde_json::to_value(definition).map_err(Failure::local)?;
    Ok(Item {
        kind: "contract",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Contract(document),
    })
}

fn plugin(client: &Client, wanted: &Wanted, name: &str) -> Result<Item, Failure> {
    let file = &wanted.plugins[name];
    let reference = format!("{name}@{}", file.version);
    let found = look(
        client,
        &format!("/v1/plugins/{name}/versions/{}", file.version),
    )?;
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
    name: &str,
    document: &TopicDocument,
    before: &[Item],
) -> Result<Item, Failure> {
    let path = format!("/v1/topics/{name}");
    let found = look(client, &path)?;
    let mut compared = document.clone();
    // A contract without a version is the latest: what that is depends on whether one is to be made.
    if let Some(contract) = &document.contract
        && !contract.contains('@')
    {
        let changes = before
            .iter()
            .any(|item| item.kind == "contract" && item.name == *contract && item.act != Act::Keep);
        if !changes {
            compared.contract = latest(client, contract)?;
        }
    }
    let (act, changes) = compare(found, &compared)?;
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item {
        kind: "topic",
        name: name.to_owned(),
        act,
        changes,
        call: Call::Put { path, document },
    })
}

fn latest(client: &Client, contract: &str) -> Result<Option<String>, Failure> {
    let found = look(client, &format!("/v1/contracts/{contract}/versions"))?;
    let versions = found
        .iter()
        .flat_map(|found| found["versions"].as_array())
        .flatten();
    let latest = versions
        .filter_map(|version| version["version"].as_u64())
        .max();
    Ok(latest.map(|version| format!("{contract}@{version}")))
}

fn route(client: &Client, name: &str, document: &RouteDocument) -> Result<Item, Failure> {
    let path = format!("/v1/routes/{name}");
    let (act, changes) = compare(look(client, &path)?, document)?;
    let document = serde_json::to_value(document).map_err(Failure::local)?;
    Ok(Item {
        kind: "route",
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
    for extra in ["name", "state", "status", "paused"] {
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

/// Whether everything that the file's entries name is in the file or on the hub.
fn check_references(client: &Client, wanted: &Wanted) -> Result<(), Failure> {
    for (name, topic) in &wanted.topics {
        if let Some(contract) = &topic.contract {
            let (contract, version) = contract
                .split_once('@')
                .map_or((contract.as_str(), None), |(a, b)| (a, Some(b)));
            let path = match version {
                Some(version) => format!("/v1/contracts/{contract}/versions/{version}"),
                None => format!("/v1/contracts/{contract}/versions"),
            };
            if !wanted.contracts.contains_key(contract) && look(client, &path)?.is_none() {
                let reason = format!("contract {contract:?} is neither in the file nor on the hub");
                return Err(wanted.error("topics", name, &reason));
            }
        }
    }
    for (name, route) in &wanted.routes {
        for topic in [&route.from].into_iter().chain(&route.to) {
            let known = wanted.topics.contains_key(topic.as_str());
            if !known && look(client, &format!("/v1/topics/{topic}"))?.is_none() {
                let reason = format!("topic {topic} is neither in the file nor on the hub");
                return Err(wanted.error("routes", name, &reason));
            }
        }
        for step in &route.steps {
            let Some((plugin, version)) = step.plugin.split_once('@') else {
                let reason = format!(
                    "plugin {:?} has no version; write name@version",
                    step.plugin
                );
                return Err(wanted.error("routes", name, &reason));
            };
            let known = wanted
                .plugins
                .get(plugin)
                .is_some_and(|file| file.version == version);
            if !known
                && look(client, &format!("/v1/plugins/{plugin}/versions/{version}"))?.is_none()
            {
                let reason = format!(
                    "plugin {} is neither in the file nor on the hub",
                    step.plugin
                );
                return Err(wanted.error("routes", name, &reason));
            }
        }
    }
    Ok(())
}

impl Item {
    /// Makes the change.
    pub(super) fn carry_out(&self, client: &Client) -> Result<(), Failure> {
        match &self.call {
            Call::Contract(definition) => {
                client.post(&format!("/v1/contracts/{}/versions", self.name), definition)
            }
            Call::Plugin(bytes) => plugins::push(client, &self.name, bytes.clone()),
            Call::Put { path, document } => client.put(path, document),
        }
        .map(drop)
    }
}
