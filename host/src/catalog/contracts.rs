//! Contracts: versions of schemas, numbered from 1, found by name, by content and by the content's id.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{
    Catalog, ContractDocument, Import, Put, State, Which, schema_ids, split_reference, user_name,
};
use crate::{
    clock,
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
        resolve(&self.state(), definition, Which::Present)
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

    /// Registers a version; the same content again is the version that there is.
    ///
    /// # Errors
    /// `invalid-schema`, with the place; `incompatible-contract`, when the contract's rule is broken;
    /// `contract-mode`; `schema-id-taken`, on an import.
    pub fn register(
        &self,
        name: &str,
        definition: Definition,
        registering: Registering,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        let name = user_name(name)?;
        let mut definition = self.complete(definition)?;
        if registering.normalize {
            // What cannot be read has no normal form.
            check(&definition)?;
            let found = self.find_same(&name, definition.clone(), true, Which::Present)?;
            if let (Some((same, _)), None) = (found, registering.import) {
                return Ok((same, Put::Kept));
            }
            definition = definition.normalized().map_err(invalid_schema)?;
        }
        let digest = definition.digest();
        loop {
            let (before, next, document) = self.contract_at(&name, &digest);
            if let (Some(same), None) = (before, registering.import) {
                return Ok((same, Put::Kept));
            }
            self.may_register(&name, registering.import)?;
            // The comparison may take seconds, and other changes do not wait for it.
            check(&definition)?;
            let accepted = match registering.import {
                Some(_) => false,
                None => {
                    let accept = registering.accept_unknown;
                    self.may_follow(&name, &definition, &document, accept)?
                }
            };
            let _changing = self.changing();
            let now = self.contract_at(&name, &digest);
            if (now.1, &now.2) == (next, &document) && now.0.is_none() {
                let Some(import) = registering.import else {
                    return self.add_version(name, next, definition, digest, accepted, None);
                };
                return self.import_version(name, import, next, definition, digest);
            }
            if let (Some(_), Some(import)) = (now.0, registering.import) {
                return self.import_version(name, import, next, definition, digest);
            }
        }
    }

    /// Adds a version with an id that another registry gave.
    fn import_version(
        &self,
        name: Name,
        import: Import,
        next: u32,
        definition: Definition,
        digest: String,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        let (own, given) = {
            let state = self.state();
            (
                state.schema_ids.of(&digest),
                state.schema_ids.is_given(import.id),
            )
        };
        let taken = match own {
            Some(own) if own != import.id => Some(format!("the schema has the id {own}")),
            None if given => Some(format!("the id {} belongs to another schema", import.id)),
            _ => None,
        };
        if let Some(detail) = taken {
            return Err(Problem::new(Code::SchemaIdTaken, detail));
        }
        let versions = self.versions(&name, Which::Both);
        let number = import.version.unwrap_or(next);
        if let Some((there, withdrawn)) = versions.iter().find(|(one, _)| one.version == number) {
            if there.digest == digest && !withdrawn {
                return Ok((there.clone(), Put::Kept));
            }
            let detail = format!("contract {name} has a version {number} with another schema");
            return Err(Problem::new(Code::ContractMode, detail)
                .help("Import it under another number; versions never change."));
        }
        self.add_version(name, number, definition, digest, false, Some(import.id))
    }

    /// The latest version with this content, the number of the next one, and the contract's document.
    fn contract_at(
        &self,
        name: &Name,
        digest: &str,
    ) -> (Option<Arc<BoundContract>>, u32, ContractDocument) {
        let state = self.state();
        let versions = state.contracts.get(name);
        let mut all = versions.into_iter().flat_map(|versions| versions.values());
        let same = all.rfind(|bound| bound.digest == digest).cloned();
        let document = state.agreements.get(name).cloned().unwrap_or_default();
        (same, state.last_number(name) + 1, document)
    }

    fn add_version(
        &self,
        name: Name,
        next: u32,
        definition: Definition,
        digest: String,
        accepted_unknown: bool,
        id: Option<u32>,
    ) -> Result<(Arc<BoundContract>, Put), Problem> {
        // What it refers to may have been deleted meanwhile.
        let definition = resolve(&self.state(), definition, Which::Present)?;
        let record = Record {
            created: clock::to_text(clock::now()),
            accepted_unknown,
            digest: Some(digest.clone()),
            text: definition.text.clone(),
            withdrawn: false,
            definition: definition.clone(),
        };
        let bound = bind(&self.state(), name, next, record.clone(), definition, id);
        let contracts = &self.tables.contracts;
        let mut changes = vec![
            contracts
                .change(&bound.reference(), &record)
                .map_err(super::storage)?,
        ];
        if self.state().schema_ids.of(&digest).is_none() {
            let id = schema_ids::Record { id: bound.id };
            let change = self.tables.schema_ids.change(&digest, &id);
            changes.push(change.map_err(super::storage)?);
        }
        contracts.commit(changes).map_err(super::storage)?;
        let bound = Arc::new(bound);
        self.keep(bound.clone(), false);
        Ok((bound, Put::Made))
    }

    /// # Errors
    /// `contract-in-use`, when a topic is bound to the version, or a version that is not `among` those that
    /// go with it refers to it. `which` counts.
    pub(super) fn unused_among(
        &self,
        bound: &BoundContract,
        among: &[Arc<BoundContract>],
        which: Which,
    ) -> Result<(), Problem> {
        let reference = bound.reference();
        let state = self.state();
        let topics: Vec<String> = (state.topics.values())
            .filter(|topic| {
                topic
                    .contract()
                    .is_some_and(|used| used.reference() == reference)
            })
            .map(|topic| topic.name.to_string())
            .collect();
        let goes = |one: &BoundContract| {
            let same = |other: &Arc<BoundContract>| {
                (&other.name, other.version) == (&one.name, one.version)
            };
            among.iter().any(same)
        };
        let referrers: Vec<String> = (state.referrers(&bound.name, bound.version, which))
            .filter(|one| !goes(one))
            .map(|one| one.reference())
            .collect();
        let mut uses = Vec::new();
        if !topics.is_empty() {
            uses.push(format!("is bound to: {}", topics.join(", ")));
        }
        if !referrers.is_empty() {
            uses.push(format!("is referred to by: {}", referrers.join(", ")));
        }
        if uses.is_empty() {
            return Ok(());
        }
        let detail = format!("contract {reference} {}", uses.join("; it "));
        Err(Problem::new(Code::ContractInUse, detail))
    }

    /// The contract versions that refer to this one.
    #[must_use]
    pub fn referrers(&self, bound: &BoundContract) -> Vec<Arc<BoundContract>> {
        let state = self.state();
        let found = state.referrers(&bound.name, bound.version, Which::Present);
        found.cloned().collect()
    }

    /// Deletes a version that no topic is bound to and no contract refers to. Its number is not used again.
    ///
    /// # Errors
    /// `unknown-contract`, `contract-in-use`.
    pub fn delete_contract(&self, reference: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        let bound = self.contract(reference)?;
        self.may_change(&bound.name)?;
        self.unused_among(&bound, &[], Which::Both)?;
        let changes = vec![
            self.tables.contracts.deletion(&bound.reference()),
            self.numbers_change(&bound.name)?,
        ];
        self.tables
            .contracts
            .commit(changes)
            .map_err(super::storage)?;
        self.state_mut().forget_version(&bound);
        Ok(())
    }

    /// Keeps in mind how far the numbers came.
    pub(super) fn numbers_change(&self, name: &Name) -> Result<crate::meta::Change, Problem> {
        let last = self.state().last_number(name);
        let table = &self.tables.contract_numbers;
        let change = table.change(name.as_str(), &Numbers { last });
        change.map_err(super::storage)
    }
}

impl State {
    /// The highest number that a version of the contract ever had; 0 when it had none.
    pub(super) fn last_number(&self, name: &Name) -> u32 {
        let last = |all: &BTreeMap<Name, BTreeMap<u32, Arc<BoundContract>>>| {
            all.get(name)?.keys().next_back().copied()
        };
        let deleted = self.contract_numbers.get(name).copied();
        let highest = last(&self.contracts)
            .max(last(&self.withdrawn))
            .max(deleted);
        highest.unwrap_or(0)
    }

    pub(super) fn referrers(
        &self,
        name: &Name,
        version: u32,
        which: Which,
    ) -> impl Iterator<Item = &Arc<BoundContract>> {
        let present = self.contracts.values().flat_map(BTreeMap::values);
        let withdrawn = self.withdrawn.values().flat_map(BTreeMap::values);
        let withdrawn = withdrawn.filter(move |_| which == Which::Both);
        present
            .chain(withdrawn)
            .filter(move |bound| bound.refers_to(name, version))
    }

    pub(super) fn forget_version(&mut self, bound: &BoundContract) {
        let last = self.last_number(&bound.name);
        self.contract_numbers.insert(bound.name.clone(), last);
        self.schema_ids
            .release(bound.id, &bound.name, bound.version);
        self.remove_present(bound);
        if let Some(versions) = self.withdrawn.get_mut(&bound.name) {
            versions.remove(&bound.version);
            if versions.is_empty() {
                self.withdrawn.remove(&bound.name);
            }
        }
    }

    pub(super) fn remove_present(&mut self, bound: &BoundContract) {
        if let Some(versions) = self.contracts.get_mut(&bound.name) {
            versions.remove(&bound.version);
            if versions.is_empty() {
                self.contracts.remove(&bound.name);
            }
        }
    }

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

#[cfg(test)]
mod tests;
