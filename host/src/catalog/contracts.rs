//! Contracts: versions of schemas, numbered from 1, found by name and by content.

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{Catalog, Put, State, split_reference, user_name};
use crate::{
    clock,
    contract::{Contract, Definition},
    problem::{Code, Place, Problem},
};

/// A contract version as meta keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    definition: Definition,
    /// RFC 3339.
    created: String,
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

    /// Registers a version; the same content again is the version that there is.
    ///
    /// # Errors
    /// `invalid-schema`, with the place.
    pub fn register_contract(
        &self,
        name: &str,
        definition: Definition,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        let _changing = self.changing();
        let name = user_name(name)?;
        let digest = definition.digest();
        let (same, next) = {
            let state = self.state();
            let versions = state.contracts.get(&name);
            let mut all = versions.into_iter().flat_map(|versions| versions.values());
            let same = all.find(|bound| bound.digest == digest).cloned();
            let last = versions.and_then(|versions| versions.keys().next_back().copied());
            (same, last.unwrap_or(0) + 1)
        };
        if let Some(same) = same {
            return Ok((same, Put::Kept));
        }
        let record = Record {
            definition,
            created: clock::to_text(clock::now()),
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

    /// Deletes a version that no topic is bound to.
    ///
    /// # Errors
    /// `unknown-contract`, `contract-in-use`.
    pub fn delete_contract(&self, reference: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        let bound = self.contract(reference)?;
        let reference = bound.reference();
        let users: Vec<String> = (self.state().topics.values())
            .filter(|topic| {
                topic
                    .contract()
                    .is_some_and(|used| used.reference() == reference)
            })
            .map(|topic| topic.name.to_string())
            .collect();
        if !users.is_empty() {
            let detail = format!("contract {reference} is bound to: {}", users.join(", "));
            return Err(Problem::new(Code::ContractInUse, detail));
        }
        self.tables
            .contracts
            .delete(&reference)
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

/// Compiles a definition without keeping it.
///
/// # Errors
/// `invalid-schema`, with the place.
pub fn compile(definition: &Definition) -> Result<Contract, Problem> {
    Contract::compile(definition).map_err(|invalid| {
        Problem::new(Code::InvalidSchema, invalid.to_string()).errors(vec![Place {
            index: None,
            pointer: invalid.pointer.clone(),
            reason: invalid.reason.clone(),
        }])
    })
}

fn bind(name: Name, version: u32, record: Record) -> Result<BoundContract, Problem> {
    Ok(BoundContract {
        name,
        version,
        digest: record.definition.digest(),
        created: record.created,
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
