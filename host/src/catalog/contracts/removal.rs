//! What becomes of versions that go: only what nothing uses goes, and its number and its id stay used.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_types::Name;

use super::{BoundContract, Numbers};
use crate::{
    catalog::{Catalog, State, Which, storage},
    meta,
    problem::{Code, Problem},
};

impl Catalog {
    /// # Errors
    /// `contract-in-use`, when a topic is bound to the version, or a version that is not `among` those that
    /// go with it refers to it. `which` counts.
    pub(in crate::catalog) fn unused_among(
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
        self.tables.contracts.commit(changes).map_err(storage)?;
        self.state_mut().forget_version(&bound);
        Ok(())
    }

    /// Keeps in mind how far the numbers came.
    pub(in crate::catalog) fn numbers_change(&self, name: &Name) -> Result<meta::Change, Problem> {
        let last = self.state().last_number(name);
        let table = &self.tables.contract_numbers;
        let change = table.change(name.as_str(), &Numbers { last });
        change.map_err(storage)
    }
}

impl State {
    /// The highest number that a version of the contract ever had; 0 when it had none.
    pub(in crate::catalog) fn last_number(&self, name: &Name) -> u32 {
        let last = |all: &BTreeMap<Name, BTreeMap<u32, Arc<BoundContract>>>| {
            all.get(name)?.keys().next_back().copied()
        };
        let deleted = self.contract_numbers.get(name).copied();
        let highest = last(&self.contracts)
            .max(last(&self.withdrawn))
            .max(deleted);
        highest.unwrap_or(0)
    }

    pub(in crate::catalog) fn referrers(
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

    pub(in crate::catalog) fn forget_version(&mut self, bound: &BoundContract) {
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

    pub(in crate::catalog) fn remove_present(&mut self, bound: &BoundContract) {
        if let Some(versions) = self.contracts.get_mut(&bound.name) {
            versions.remove(&bound.version);
            if versions.is_empty() {
                self.contracts.remove(&bound.name);
            }
        }
    }
}
