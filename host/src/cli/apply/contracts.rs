//! The contracts of the file: in the order of their references, and with the versions that these mean.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{file::Wanted, version::Version};
use crate::{
    cli::{
        client::{Client, Failure, path},
        schema_file,
    },
    contract::Definition,
};

/// The contracts, each behind those of the file that it refers to.
pub(super) fn order(wanted: &Wanted) -> Result<Vec<&str>, Failure> {
    let mut done: Vec<&str> = Vec::new();
    let mut left: Vec<&str> = wanted.contracts.keys().map(String::as_str).collect();
    while !left.is_empty() {
        let ready = |name: &&str| {
            let references = wanted.contract_references.get(*name);
            references.into_iter().flatten().all(|(_, target)| {
                target.contains('@')
                    || done.contains(&target.as_str())
                    || !wanted.contracts.contains_key(target)
            })
        };
        let (next, later): (Vec<&str>, Vec<&str>) = left.iter().copied().partition(ready);
        if next.is_empty() {
            let reason = format!("refers to itself by way of: {}", left.join(", "));
            return Err(wanted.error("contracts", left[0], &reason));
        }
        done.extend(next);
        left = later;
    }
    Ok(done)
}

/// The definition of a contract with its references, and whether one of them is yet to be made.
pub(super) fn definition(
    client: &Client,
    wanted: &Wanted,
    name: &str,
    versions: &BTreeMap<&str, Version>,
) -> Result<(Definition, bool), Failure> {
    let mut definition = wanted.contracts[name].clone();
    let mut pending = false;
    let references = wanted.contract_references.get(name);
    for (used, target) in references.into_iter().flatten() {
        let full = match (target.contains('@'), versions.get(target.as_str())) {
            (true, _) => target.clone(),
            (false, Some(version)) => {
                pending |= !version.present;
                format!("{target}@{}", version.number)
            }
            (false, None) => {
                let reason = format!(
                    "references.{used}: contract {target:?} is not in the file; name a version of the hub's, {target}@VERSION"
                );
                return Err(wanted.error("contracts", name, &reason));
            }
        };
        let reference = schema_file::named(used, &full).map_err(|failure| match failure {
            Failure::Usage(reason) => wanted.error("contracts", name, &reason),
            other => other,
        })?;
        let number = reference.version.to_string();
        let there = path(&[
            "contracts",
            reference.contract.as_str(),
            "versions",
            &number,
        ])?;
        let comes = versions
            .get(reference.contract.as_str())
            .is_some_and(|version| version.number == u64::from(reference.version));
        if !comes && client.find(&there)?.is_none() {
            let reason =
                format!("references.{used}: contract {full} is neither in the file nor on the hub");
            return Err(wanted.error("contracts", name, &reason));
        }
        definition.references.push(reference);
    }
    Ok((definition, pending))
}

/// The number of the version with this content, if the hub has one.
pub(super) fn find(
    client: &Client,
    name: &str,
    definition: &Definition,
) -> Result<Option<u64>, Failure> {
    let document = serde_json::to_value(definition).map_err(Failure::local)?;
    match client.post(&path(&["contracts", name, "lookup"])?, &document) {
        Ok(found) => Ok(found["version"].as_u64()),
        // What is wrong with it is told when it is registered.
        Err(Failure::Refused { status, .. }) if status.is_client_error() => Ok(None),
        Err(failure) => Err(failure),
    }
}

/// What the contract's rule says of a definition as its next version; the rule is the one that the file sets,
/// where it sets one.
pub(super) fn ask(
    client: &Client,
    wanted: &Wanted,
    name: &str,
    definition: &Definition,
) -> Result<Option<Value>, Failure> {
    let mut request = serde_json::to_value(definition).map_err(Failure::local)?;
    if let Some(members) = request.as_object_mut() {
        members.remove("description");
        let set = wanted.agreements.get(name);
        for (member, own) in [("rule", "compatibility"), ("policy", "policy")] {
            if let Some(value) = set.and_then(|set| set.get(own)) {
                members.insert(member.to_owned(), value.clone());
            }
        }
        // What stored events say is asked where topics are bound to it.
        members.insert("events".to_owned(), 0.into());
    }
    match client.post(&path(&["contracts", name, "compatibility"])?, &request) {
        Ok(answer) => Ok(Some(answer)),
        Err(Failure::Refused { problem, .. }) if problem["detail"].is_string() => Err(wanted
            .error(
                "contracts",
                name,
                problem["detail"].as_str().unwrap_or_default(),
            )),
        Err(failure) => Err(failure),
    }
}
