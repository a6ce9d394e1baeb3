//! Contracts: versions of schemas, numbered from 1, found by name, by content and by the content's id.

mod registering;
mod removal;
#[cfg(test)]
mod tests;

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{Catalog, Import, State, Which, schema_ids, split_reference, user_name};
use crate::{
    contract::{Contract, Definition, InvalidSchema, Lazy, flaw},
    problem::{Code, Place, Problem},
};

/// Contract versions that refer to each other in a row.
const DEEPEST: u32 = 64;
/// The references of one version.
const MOST_REFERENCES: usize = 1000;

/// A contract version as meta keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    pub definition: Definition,
    /// RFC 3339.
    pub created: String,
    /// Its compatibility was unknown, and that was accepted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub accepted_unknown: bool,
    /// Of the content; records without it are older than ids.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// The schema's text as it was handed in.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// Deleted softly.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub withdrawn: bool,
}

/// How a version is registered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Registering {
    /// Take one of which nothing could be decided, and keep that in mind.
    pub accept_unknown: bool,
    /// Keep the schema in its normal form, and take a version that means the same for the same.
    pub normalize: bool,
    /// With an id and a number of another registry, and without comparing it.
    pub import: Option<Import>,
}

/// How far the numbers of a contract's versions came, once versions are deleted.
#[derive(Debug, Clone, Copy, Serialize, Deserialize)]
pub(super) struct Numbers {
    pub last: u32,
}

/// A contract version that events are checked against.
#[derive(Debug)]
pub struct BoundContract {
    pub name: Name,
    pub version: u32,
    /// Of the content, the same under any name; from 1.
    pub id: u32,
    /// `sha256:…` over the content; see [`Definition::digest`].
    pub digest: String,
    /// RFC 3339.
    pub created: String,
    /// Its compatibility was unknown when it was registered, and that was accepted.
    pub accepted_unknown: bool,
    /// With what it refers to.
    pub definition: Arc<Definition>,
    /// Compiled when it is first asked for, which binding a topic does.
    pub contract: Lazy,
    /// How many versions refer to each other in a row, this one counted.
    depth: u32,
}

impl BoundContract {
    /// `name@version`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }

    /// The contract, compiled now if it was not yet.
    ///
    /// # Errors
    /// `invalid-schema`: it could be used by the version of the hub that registered it.
    pub fn compiled(&self) -> Result<&Contract, Problem> {
        self.contract.get().map_err(|invalid| {
            let mut problem = invalid_schema(invalid.clone());
            problem.detail = format!("contract {}: {}", self.reference(), problem.detail);
            problem
        })
    }

    /// As meta keeps it while it is present.
    pub(super) fn record(&self) -> Record {
        Record {
            definition: (*self.definition).clone(),
            created: self.created.clone(),
            accepted_unknown: self.accepted_unknown,
            digest: Some(self.digest.clone()),
            text: self.definition.text.clone(),
            withdrawn: false,
        }
    }

    pub(super) fn refers_to(&self, name: &Name, version: u32) -> bool {
        let references = self.definition.references.iter();
        references
            .clone()
            .any(|one| one.version == version && one.contract == *name)
    }
}

impl Catalog {
    pub(super) fn load_contracts(&self) -> Result<(), String> {
        let unreadable = |error: crate::meta::Error| error.to_string();
        for (digest, record) in self.tables.schema_ids.scan("").map_err(unreadable)? {
            self.state_mut().schema_ids.give(digest, record.id);
        }
        for (name, numbers) in self.tables.contract_numbers.scan("").map_err(unreadable)? {
            let name = Name::new(&name).map_err(|error| error.to_string())?;
            self.state_mut().contract_numbers.insert(name, numbers.last);
        }
        let mut records = BTreeMap::new();
        for (key, record) in self.tables.contracts.scan("").map_err(unreadable)? {
            let (name, version) = key.split_once('@').unwrap_or((&key, ""));
            let name = Name::new(name).map_err(|error| error.to_string())?;
            let version: u32 = version
                .parse()
                .map_err(|_| format!("contract record {key:?} has no version"))?;
            records.insert((name, version), record);
        }
        self.number_contents(&mut records)?;
        while let Some((name, version)) = records.keys().next().cloned() {
            self.load_version(&mut records, &name, version)?;
        }
        Ok(())
    }

    /// Gives ids to contents of records that are older than ids: in the order in which they were made.
    fn number_contents(&self, records: &mut BTreeMap<(Name, u32), Record>) -> Result<(), String> {
        let mut changes = Vec::new();
        let mut aged: Vec<_> = records
            .iter_mut()
            .filter(|(_, record)| record.digest.is_none())
            .collect();
        aged.sort_by(|(_, one), (_, other)| one.created.cmp(&other.created));
        for (_, record) in aged {
            let digest = record.definition.digest();
            let mut state = self.state_mut();
            if state.schema_ids.of(&digest).is_none() {
                let id = state.schema_ids.next();
                let change = self
                    .tables
                    .schema_ids
                    .change(&digest, &schema_ids::Record { id });
                changes.push(change.map_err(|error| error.to_string())?);
                state.schema_ids.give(digest.clone(), id);
            }
            record.digest = Some(digest);
        }
        if changes.is_empty() {
            return Ok(());
        }
        let done = self.tables.schema_ids.commit(changes);
        done.map_err(|error| error.to_string())
    }

    /// Takes a version out of the records, after those that it refers to.
    fn load_version(
        &self,
        records: &mut BTreeMap<(Name, u32), Record>,
        name: &Name,
        version: u32,
    ) -> Result<(), String> {
        let Some(record) = records.remove(&(name.clone(), version)) else {
            return Ok(());
        };
        for reference in &record.definition.references {
            self.load_version(records, &reference.contract, reference.version)?;
        }
        let failed = |problem: Problem| format!("contract {name}@{version}: {problem}");
        let definition = Definition {
            text: record.text.clone(),
            ..record.definition.clone()
        };
        let withdrawn = record.withdrawn;
        let definition = resolve(&self.state(), definition, Which::Both).map_err(failed)?;
        let bound = bind(
            &self.state(),
            name.clone(),
            version,
            record,
            definition,
            None,
        );
        self.keep(Arc::new(bound), withdrawn);
        Ok(())
    }

    fn keep(&self, bound: Arc<BoundContract>, withdrawn: bool) {
        let mut state = self.state_mut();
        state.schema_ids.give(bound.digest.clone(), bound.id);
        state
            .schema_ids
            .hold(bound.id, bound.name.clone(), bound.version);
        let all = if withdrawn {
            &mut state.withdrawn
        } else {
            &mut state.contracts
        };
        let versions = all.entry(bound.name.clone()).or_default();
        versions.insert(bound.version, bound);
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

    /// A contract version whose content has this id; one that is deleted softly where there is no other.
    ///
    /// # Errors
    /// `unknown-contract`.
    pub fn contract_by_id(&self, id: u32) -> Result<Arc<BoundContract>, Problem> {
        let found = self.holders(id).into_iter().next();
        let (bound, _) = found.ok_or_else(|| {
            let detail = format!("no contract version has the id {id}");
            Problem::new(Code::UnknownContract, detail)
        })?;
        Ok(bound)
    }

    /// A definition as it is judged: taken out of its text, and with the contracts that it refers to.
    ///
    /// # Errors
    /// `invalid-schema`, with the place.
    pub fn complete(&self, definition: Definition) -> Result<Definition, Problem> {
        let definition = definition.read().map_err(invalid_schema)?;
        let definition = resolve(&self.state(), definition, Which::Present)?;
        definition.printed().map_err(invalid_schema)
    }

    /// The version of a contract with this content.
    ///
    /// # Errors
    /// `unknown-contract`; `invalid-schema`, when its content cannot be told.
    pub fn find_content(
        &self,
        name: &str,
        definition: Definition,
    ) -> Result<Arc<BoundContract>, Problem> {
        let digest = self.complete(definition)?.digest();
        let name = user_name(name)?;
        let (same, _, _) = self.contract_at(&name, &digest);
        same.ok_or_else(|| {
            let detail = format!("contract {name} has no version with this content");
            Problem::new(Code::UnknownContract, detail)
        })
    }
}

impl State {
    fn find_in(&self, which: Which, reference: &str) -> Result<Arc<BoundContract>, Problem> {
        let found = find(self, reference);
        if found.is_ok() || which == Which::Present {
            return found;
        }
        let (name, version) = split_reference(reference);
        let withdrawn = version
            .and_then(|version| version.parse().ok())
            .and_then(|version: u32| self.withdrawn.get(name)?.get(&version).cloned());
        withdrawn.map_or(found, Ok)
    }
}

pub(super) fn invalid_schema(invalid: InvalidSchema) -> Problem {
    let place = Place {
        index: None,
        pointer: invalid.pointer,
        reason: invalid.reason,
        incompatibility: None,
    };
    let detail = format!("{}: {}", place.pointer, place.reason);
    Problem::new(Code::InvalidSchema, detail).errors(vec![place])
}

/// Puts the contracts that a definition refers to beside it.
fn resolve(state: &State, mut definition: Definition, which: Which) -> Result<Definition, Problem> {
    let invalid =
        |pointer: String, reason: String| invalid_schema(InvalidSchema { pointer, reason });
    if definition.references.len() > MOST_REFERENCES {
        let reason = format!("more than {MOST_REFERENCES} references");
        return Err(invalid("/references".to_owned(), reason));
    }
    let mut referenced = Vec::with_capacity(definition.references.len());
    for (index, reference) in definition.references.iter().enumerate() {
        let at = format!("/references/{index}");
        if reference.name.is_empty() {
            return Err(invalid(
                format!("{at}/name"),
                "must not be empty".to_owned(),
            ));
        }
        let same = |other: &crate::contract::ContractReference| other.name == reference.name;
        if definition.references[..index].iter().any(same) {
            let reason = format!("{:?} is listed before", reference.name);
            return Err(invalid(format!("{at}/name"), reason));
        }
        let target = state
            .find_in(which, &reference.target())
            .map_err(|problem| invalid(at.clone(), problem.detail))?;
        if target.definition.format != definition.format {
            let reason = format!(
                "{} is {} and cannot be referred to from {}",
                reference.target(),
                target.definition.format.title(),
                definition.format.title()
            );
            return Err(invalid(at, reason));
        }
        if target.depth >= DEEPEST {
            let reason = format!("more than {DEEPEST} contracts refer to each other in a row");
            return Err(invalid(at, reason));
        }
        referenced.push(target.definition.clone());
    }
    definition.referenced = referenced.into();
    Ok(definition)
}

/// Refuses what would bring the validator down. Versions that there are stay as they are.
fn refuse_flaws(definition: &Definition) -> Result<(), Problem> {
    match flaw(definition) {
        Some((pointer, reason)) => Err(invalid_schema(InvalidSchema { pointer, reason })),
        None => Ok(()),
    }
}

/// Checks a definition as registering does, without keeping it. It has to be complete.
///
/// # Errors
/// `invalid-schema`, with the place.
pub fn check(definition: &Definition) -> Result<Contract, Problem> {
    refuse_flaws(definition)?;
    compile(definition)
}

/// Compiles a definition without keeping it. It has to be complete.
///
/// # Errors
/// `invalid-schema`, with the place.
pub fn compile(definition: &Definition) -> Result<Contract, Problem> {
    Contract::compile(definition).map_err(invalid_schema)
}

fn bind(
    state: &State,
    name: Name,
    version: u32,
    record: Record,
    definition: Definition,
    id: Option<u32>,
) -> BoundContract {
    let definition = Arc::new(definition);
    let digest = record.digest.unwrap_or_else(|| definition.digest());
    let ids = &state.schema_ids;
    let beneath = (definition.references.iter())
        .filter_map(|reference| state.find_in(Which::Both, &reference.target()).ok())
        .map(|target| target.depth)
        .max();
    BoundContract {
        name,
        version,
        id: id.or_else(|| ids.of(&digest)).unwrap_or_else(|| ids.next()),
        digest,
        created: record.created,
        accepted_unknown: record.accepted_unknown,
        contract: Lazy::new(definition.clone()),
        definition,
        depth: beneath.unwrap_or(0) + 1,
    }
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
