//! Whether everything that the file's entries name is in the file or on the hub: told before
//! anything is changed.

use std::collections::BTreeMap;

use super::{file::Wanted, version::Version};
use crate::cli::client::{Client, Failure, path};

pub(super) fn check(
    client: &Client,
    wanted: &Wanted,
    versions: &BTreeMap<&str, Version>,
) -> Result<(), Failure> {
    for (name, topic) in &wanted.topics {
        let Some(contract) = &topic.contract else {
            continue;
        };
        let (base, number) = match contract.split_once('@') {
            Some((base, number)) => (base, Some(number)),
            None => (contract.as_str(), None),
        };
        let known = match (versions.get(base), number) {
            (Some(_), None) => true,
            (Some(version), Some(number)) => version.number.to_string() == number,
            (None, _) => false,
        };
        let there = match number {
            Some(number) => path(&["contracts", base, "versions", number])?,
            None => path(&["contracts", base, "versions"])?,
        };
        if !known && client.find(&there)?.is_none() {
            let reason = format!("contract {contract:?} is neither in the file nor on the hub");
            return Err(wanted.error("topics", name, &reason));
        }
    }
    for (name, route) in &wanted.routes {
        for topic in [&route.from].into_iter().chain(&route.to) {
            let known = wanted.topics.contains_key(topic.as_str());
            if !known && client.find(&path(&["topics", topic.as_str()])?)?.is_none() {
                let reason = format!("topic {topic} is neither in the file nor on the hub");
                return Err(wanted.error("routes", name, &reason));
            }
        }
        for step in &route.steps {
            let Some((plugin, version)) = step.plugin.split_once('@') else {
                let reason = format!(
                    "plugin {:?} has no version; write name@version or name@channel",
                    step.plugin
                );
                return Err(wanted.error("routes", name, &reason));
            };
            let known = wanted
                .plugins
                .get(plugin)
                .is_some_and(|file| file.version == version);
            let there = path(&["plugins", plugin, "versions", version])?;
            let channel = path(&["plugins", plugin, "channels", version])?;
            if !known && client.find(&there)?.is_none() && client.find(&channel)?.is_none() {
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
