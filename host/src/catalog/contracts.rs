//! Contracts: versions of schemas, numbered from 1, found by name and by content.

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{Catalog, ContractDocument, Put, State, split_reference, user_name};
use crate::{
    clock,
    contract::{Contract, Definition, flaw},
    problem::{Code, Place, Problem},
};

/// A contract version as meta keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    definition: Definition,
    /// RFC 3339.
    created: String,
    /// Its compatibility was unknown, and that was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    accepted_unknown: bool,
}

/// A contract version that events are checked against.
#[derive(Debug)]
pub struct BoundContract {
    pub name: Name,
    pub version: u32,
    /// `sha256:…` over the canonical JSON of the definition.
    pub digest: String,
    /// RFC 3339.
    pub created: String,
    /// Its compatibility was unknown when it was registered, and that was accepted.
    pub accepted_unknown: bool,
    pub definition: Definition,
    pub contract: Contract,
}

impl BoundContract {
    /// `name@version`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

impl Catalog {
    pub(super) fn load_contracts(&self) -> Result<(), String> {
        for (key, record) in self
            .tables
            .contracts
            .scan("")
            .map_err(|error| error.to_string())?
        {
            let (name, version) = key.split_once('@').unwrap_or((&key, ""));
            let name = Name::new(name).map_err(|error| error.to_string())?;
            let version: u32 = version
                .parse()
                .map_err(|_| format!("contract record {key:?} has no version"))?;
            let bound = bind(name, version, record)
                .map_err(|problem| format!("contract {key}: {problem}"))?;
            self.state_mut()
                .contracts
                .entry(bound.name.clone())
                .or_default()
                .insert(version, Arc::new(bound));
        }
        Ok(())
    }

    /// All contract versions, by name and version.
    #[must_use]
    pub fn contracts(&self) -> Vec<Arc<BoundContract>> {
        self.state()
            .contracts
            .values()
            .flat_map(|versions| versions.values().cloned())
            .collect()
    }

    /// The version that a reference (`name@version`, or `name` for the latest) means.
    ///
    /// # Errors
    /// `unknown-contract`.
    pub fn contract(&self, reference: &str) -> Result<Arc<BoundContract>, Problem> {
        find(&self.state(), reference)
    }

    /// Registers a version; the same content again is the version that there is. `accept_unknown`
    /// takes one of which nothing could be decided, and keeps that in mind.
    ///
    /// # Errors
    /// `invalid-schema`, with the place; `incompatible-contract`, when the contract's rule is broken.
    pub fn register_contract(
        &self,
        name: &str,
        definition: Definition,
        accept_unknown: bool,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        let name = user_name(name)?;
        let digest = definition.digest();
        loop {
            let (before, next, document) = self.contract_at(&name, &digest);
            if let Some(same) = before {
                return Ok((same, Put::Kept));
            }
            // The comparison may take seconds, and other changes do not wait for it.
            check(&definition)?;
            let accepted = self.may_follow(&name, &definition, &document, accept_unknown)?;
            let _changing = self.changing();
            let now = self.contract_at(&name, &digest);
            if (now.1, &now.2) == (next, &document) && now.0.is_none() {
                return self.add_version(name, next, definition, accepted);
            }
        }
    }

    /// The version with this content, the number of the next one, and the contract's document.
    fn contract_at(
        &self,
        name: &Name,
        digest: &str,
    ) -> (Option<Arc<BoundContract>>, u32, ContractDocument) {
        let state = self.state();
        let versions = state.contracts.get(name);
        let mut all = versions.into_iter().flat_map(|versions| versions.values());
        let same = all.find(|bound| bound.digest == digest).cloned();
        let last = versions.and_then(|versions| versions.keys().next_back().copied());
        let document = state.agreements.get(name).cloned().unwrap_or_default();
        (same, last.unwrap_or(0) + 1, document)
    }

    fn add_version(
        &self,
        name: Name,
        next: u32,
        definition: Definition,
        accepted_unknown: bool,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        let record = Record {
            definition,
            created: clock::to_text(clock::now()),
            accepted_unknown,
        };
        let bound = Arc::new(bind(name.clone(), next, record.clone())?);
        self.tables
            .contracts
            .put(&bound.reference(), &record)
            .map_err(super::storage)?;
        self.state_mut()
            .contracts
            .entry(name)
            .or_default()
            .insert(next, bound.clone());
        Ok((bound, Put::Made))
    }

    /// # Errors
    /// `contract-in-use`, when a topic is bound to the version.
    pub(super) fn unused(&self, bound: &BoundContract) -> Result<(), Problem> {
        let reference = bound.reference();
        let users: Vec<String> = (self.state().topics.values())
            .filter(|topic| {
                topic
                    .contract()
                    .is_some_and(|used| used.reference() == reference)
            })
            .map(|topic| topic.name.to_string())
            .collect();
        if users.is_empty() {
            return Ok(());
        }
        let detail = format!("contract {reference} is bound to: {}", users.join(", "));
        Err(Problem::new(Code::ContractInUse, detail))
    }

    /// Deletes a version that no topic is bound to.
    ///
    /// # Errors
    /// `unknown-contract`, `contract-in-use`.
    pub fn delete_contract(&self, reference: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        let bound = self.contract(reference)?;
        self.unused(&bound)?;
        self.tables
            .contracts
            .delete(&bound.reference())
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        if let Some(versions) = state.contracts.get_mut(&bound.name) {
            versions.remove(&bound.version);
            if versions.is_empty() {
                state.contracts.remove(&bound.name);
            }
        }
        Ok(())
    }
}

fn invalid_schema(pointer: String, reason: String) -> Problem {
    let place = Place {
        index: None,
        pointer,
        reason,
        incompatibility: None,
    };
    let detail = format!("{}: {}", place.pointer, place.reason);
    Problem::new(Code::InvalidSchema, detail).errors(vec![place])
}

/// Refuses what would bring the validator down. Versions that there are stay as they are.
fn refuse_flaws(definition: &Definition) -> Result<(), Problem> {
    match flaw(definition) {
        Some((pointer, reason)) => Err(invalid_schema(pointer, reason)),
        None => Ok(()),
    }
}

/// Checks a definition as registering does, without keeping it.
///
/// # Errors
/// `invalid-schema`, with the place.
pub fn check(definition: &Definition) -> Result<Contract, Problem> {
    refuse_flaws(definition)?;
    compile(definition)
}

/// Compiles a definition without keeping it.
///
/// # Errors
/// `invalid-schema`, with the place.
pub fn compile(definition: &Definition) -> Result<Contract, Problem> {
    Contract::compile(definition).map_err(|invalid| invalid_schema(invalid.pointer, invalid.reason))
}

fn bind(name: Name, version: u32, record: Record) -> Result<BoundContract, Problem> {
    Ok(BoundContract {
        name,
        version,
        digest: record.definition.digest(),
        created: record.created,
        accepted_unknown: record.accepted_unknown,
        contract: compile(&record.definition)?,
        definition: record.definition,
    })
}

pub(super) fn find(state: &State, reference: &str) -> Result<Arc<BoundContract>, Problem> {
    let (name, version) = split_reference(reference);
    let unknown = |detail: String| Problem::new(Code::UnknownContract, detail);
    let versions = state.contracts.get(name).ok_or_else(|| {
        let known: Vec<&str> = state.contracts.keys().map(Name::as_str).collect();
        unknown(format!(
            "there is no contract {name:?}{}",
            super::nearest(name, &known)
        ))
    })?;
    let found = match version {
        None => versions.values().next_back(),
        Some(version) => version
            .parse()
            .ok()
            .and_then(|version: u32| versions.get(&version)),
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<String> = versions.keys().map(u32::to_string).collect();
        unknown(format!(
            "contract {name} has no version {:?}; it has {}",
            version.unwrap_or(""),
            known.join(", ")
        ))
    })
}
