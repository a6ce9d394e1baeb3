//! What the registry API keeps beside contracts: the rule of contracts that have none of their own, modes,
//! and versions that are withdrawn (deleted softly): gone from every list and from comparison, and still
//! found by id, for data that was written with them.

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{BoundContract, Catalog, State, contracts::invalid_schema, subjects};
use crate::{
    contract::{Definition, Rule},
    problem::{Code, Problem},
};

/// The key of what holds for all contracts; no name has a star.
const ALL: &str = "*";

/// What may be done to a contract's versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Mode {
    #[default]
    ReadWrite,
    /// Nothing.
    ReadOnly,
    /// Nothing, whatever the contracts themselves say.
    #[serde(rename = "READONLY_OVERRIDE")]
    ReadOnlyOverride,
    /// Versions are registered with an id and a number of another registry, and not compared.
    Import,
}

impl Mode {
    /// As in the registry API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::ReadWrite => "READWRITE",
            Self::ReadOnly => "READONLY",
            Self::ReadOnlyOverride => "READONLY_OVERRIDE",
            Self::Import => "IMPORT",
        }
    }
}

/// The settings of a contract, or of all, as meta keeps them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Settings {
    /// Of all contracts that have no rule of their own. A contract's own is in its document.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule: Option<Rule>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether the registry API keeps and finds schemas in their normal form.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub normalize: Option<bool>,
}

/// Which versions are meant.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Which {
    Present,
    Withdrawn,
    Both,
}

impl Which {
    fn present(self) -> bool {
        self != Self::Withdrawn
    }

    fn withdrawn(self) -> bool {
        self != Self::Present
    }
}

/// A number and an id that a version had in another registry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Import {
    pub id: u32,
    /// Default: the next number.
    pub version: Option<u32>,
}

impl Catalog {
    pub(super) fn load_settings(&self) -> Result<(), String> {
        let stored = self.tables.registry.scan("");
        for (key, settings) in stored.map_err(|error| error.to_string())? {
            self.state_mut().settings.insert(key, settings);
        }
        Ok(())
    }

    /// The contract that a subject of the registry API is; `None` when no contract can have the name.
    #[must_use]
    pub fn name_of_subject(&self, subject: &str) -> Option<Name> {
        subjects::name_of(subject).filter(|name| !name.is_reserved())
    }

    /// The subject that a contract is in the registry API.
    #[must_use]
    pub fn subject_of(&self, name: &Name) -> String {
        subjects::subject_of(name)
    }

    /// The rule of contracts that have none of their own, where one is set.
    #[must_use]
    pub fn default_rule(&self) -> Option<Rule> {
        self.state().settings_of(ALL).rule
    }

    /// Sets the rule of contracts that have none of their own; without one it is `none`.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_default_rule(&self, rule: Option<Rule>) -> Result<(), Problem> {
        let _changing = self.changing();
        let settings = self.state().settings_of(ALL);
        self.store_settings(ALL, Settings { rule, ..settings })
    }

    /// Sets or removes the rule in a contract's document.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_rule(&self, name: &Name, rule: Option<Rule>) -> Result<(), Problem> {
        let known = self.state().agreements.get(name).cloned();
        if known.is_none() && rule.is_none() {
            return Ok(());
        }
        let mut document = known.unwrap_or_default();
        document.compatibility = rule;
        self.put_agreement(name.as_str(), document).map(drop)
    }

    /// Whether schemas of a contract, or of all, are set to be brought into their normal form.
    #[must_use]
    pub fn own_normalize(&self, name: Option<&Name>) -> Option<bool> {
        let state = self.state();
        state.settings_of(name.map_or(ALL, Name::as_str)).normalize
    }

    /// Whether schemas of a contract are brought into their normal form where a call does not say it.
    #[must_use]
    pub fn normalizes(&self, name: &Name) -> bool {
        let own = self.own_normalize(Some(name));
        own.or_else(|| self.own_normalize(None)).unwrap_or_default()
    }

    /// Sets or removes that schemas of a contract, or of all, are brought into their normal form.
    ///
    /// # Errors
    /// When it cannot be stored.
    pub fn set_normalize(
        &self,
        name: Option<&Name>,
        normalize: Option<bool>,
    ) -> Result<(), Problem> {
        let _changing = self.changing();
        let key = name.map_or(ALL, Name::as_str);
        let settings = self.state().settings_of(key);
        let changed = Settings {
            normalize,
            ..settings
        };
        self.store_settings(key, changed)
    }

    /// The mode that is set for a contract, or for all.
    #[must_use]
    pub fn own_mode(&self, name: Option<&Name>) -> Option<Mode> {
        let state = self.state();
        state.settings_of(name.map_or(ALL, Name::as_str)).mode
    }

    /// The mode that counts for a contract.
    #[must_use]
    pub fn mode(&self, name: &Name) -> Mode {
        self.state().mode(name)
    }

    /// Sets or removes the mode of a contract, or of all.
    ///
    /// # Errors
    /// `contract-mode`, when `import` is asked for where there are versions and it is not forced.
    pub fn set_mode(
        &self,
        name: Option<&Name>,
        mode: Option<Mode>,
        force: bool,
    ) -> Result<(), Problem> {
        let _changing = self.changing();
        let key = name.map_or(ALL, Name::as_str);
        if mode == Some(Mode::Import) && !force && self.own_mode(name) != mode {
            let state = self.state();
            let some = match name {
                Some(name) => state.contracts.contains_key(name),
                None => !state.contracts.is_empty(),
            };
            if some {
                let detail = "there are versions, and imported ones may not fit them";
                return Err(Problem::new(Code::ContractMode, detail)
                    .help("Set the mode before anything is registered, or force it."));
            }
        }
        let settings = self.state().settings_of(key);
        self.store_settings(key, Settings { mode, ..settings })
    }

    fn store_settings(&self, key: &str, settings: Settings) -> Result<(), Problem> {
        let table = &self.tables.registry;
        let stored = if settings == Settings::default() {
            table.delete(key)
        } else {
            table.put(key, &settings)
        };
        stored.map_err(super::storage)?;
        self.state_mut().settings.insert(key.to_owned(), settings);
        Ok(())
    }

    /// # Errors
    /// `contract-mode`, when the mode lets nothing change.
    pub(super) fn may_change(&self, name: &Name) -> Result<(), Problem> {
        match self.mode(name) {
            Mode::ReadWrite | Mode::Import => Ok(()),
            mode @ (Mode::ReadOnly | Mode::ReadOnlyOverride) => {
                let detail = format!("contract {name} is in mode {}", mode.as_str());
                Err(Problem::new(Code::ContractMode, detail))
            }
        }
    }

    /// # Errors
    /// `contract-mode`, when the mode does not let a version be registered in this way.
    pub(super) fn may_register(&self, name: &Name, import: Option<Import>) -> Result<(), Problem> {
        self.may_change(name)?;
        let detail = match (self.mode(name), import) {
            (Mode::Import, None) => {
                format!("contract {name} is in mode IMPORT: a version needs the id that it had")
            }
            (Mode::Import, Some(_)) | (_, None) => return Ok(()),
            (_, Some(_)) => {
                format!("contract {name} is not in mode IMPORT: ids are given by the hub")
            }
        };
        Err(Problem::new(Code::ContractMode, detail))
    }

    /// The contracts that have such versions.
    #[must_use]
    pub fn names(&self, which: Which) -> Vec<Name> {
        let state = self.state();
        let present = state.contracts.keys().filter(|_| which.present());
        let withdrawn = state.withdrawn.keys().filter(|_| which.withdrawn());
        let mut names: Vec<Name> = present.chain(withdrawn).cloned().collect();
        names.sort_unstable();
        names.dedup();
        names
    }

    /// The versions of a contract by number, each with whether it is withdrawn.
    #[must_use]
    pub fn versions(&self, name: &Name, which: Which) -> Vec<(Arc<BoundContract>, bool)> {
        let state = self.state();
        let of = |all: Option<&std::collections::BTreeMap<u32, Arc<BoundContract>>>, gone: bool| {
            let each = all.into_iter().flat_map(|all| all.values());
            each.map(|bound| (bound.clone(), gone)).collect::<Vec<_>>()
        };
        let mut versions = Vec::new();
        if which.present() {
            versions.extend(of(state.contracts.get(name), false));
        }
        if which.withdrawn() {
            versions.extend(of(state.withdrawn.get(name), true));
        }
        versions.sort_by_key(|(bound, _)| bound.version);
        versions
    }

    /// The contract versions whose content has this id, each with whether it is withdrawn; those that are
    /// not first.
    #[must_use]
    pub fn holders(&self, id: u32) -> Vec<(Arc<BoundContract>, bool)> {
        let state = self.state();
        let mut found: Vec<_> = (state.schema_ids.holders(id))
            .filter_map(|(name, version)| {
                let present = state.contracts.get(name).and_then(|all| all.get(version));
                let withdrawn = || state.withdrawn.get(name).and_then(|all| all.get(version));
                match present {
                    Some(bound) => Some((bound.clone(), false)),
                    None => withdrawn().map(|bound| (bound.clone(), true)),
                }
            })
            .collect();
        found.sort_by_key(|(_, withdrawn)| *withdrawn);
        found
    }

    /// The highest id that was ever given; 0 when none was.
    #[must_use]
    pub fn last_id(&self) -> u32 {
        self.state().schema_ids.next() - 1
    }

    /// Withdraws versions: all or none of them.
    ///
    /// # Errors
    /// `contract-in-use`, when a topic is bound to one or a contract refers to one; `contract-mode`.
    pub fn withdraw(&self, versions: &[Arc<BoundContract>]) -> Result<(), Problem> {
        let _changing = self.changing();
        let mut changes = Vec::new();
        for bound in versions {
            self.may_change(&bound.name)?;
            self.unused_among(bound, versions, Which::Present)?;
            let mut record = bound.record();
            record.withdrawn = true;
            let change = self.tables.contracts.change(&bound.reference(), &record);
            changes.push(change.map_err(super::storage)?);
        }
        self.tables
            .contracts
            .commit(changes)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        for bound in versions {
            state.remove_present(bound);
            let withdrawn = state.withdrawn.entry(bound.name.clone()).or_default();
            withdrawn.insert(bound.version, bound.clone());
        }
        Ok(())
    }

    /// Deletes withdrawn versions for good: all or none of them. Their ids and numbers stay used.
    ///
    /// # Errors
    /// `contract-in-use`, when another version, withdrawn or not, refers to one; `contract-mode`.
    pub fn delete_withdrawn(&self, versions: &[Arc<BoundContract>]) -> Result<(), Problem> {
        let _changing = self.changing();
        let mut changes = Vec::new();
        for bound in versions {
            self.may_change(&bound.name)?;
            self.unused_among(bound, versions, Which::Both)?;
            changes.push(self.tables.contracts.deletion(&bound.reference()));
            changes.push(self.numbers_change(&bound.name)?);
        }
        self.tables
            .contracts
            .commit(changes)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        for bound in versions {
            state.forget_version(bound);
        }
        Ok(())
    }

    /// The version of a contract that means the same as a definition, the latest first. With `normalize`
    /// by their normal forms.
    ///
    /// # Errors
    /// `invalid-schema`.
    pub fn find_same(
        &self,
        name: &Name,
        definition: Definition,
        normalize: bool,
        which: Which,
    ) -> Result<Option<(Arc<BoundContract>, bool)>, Problem> {
        let definition = self.complete(definition)?;
        super::contracts::check(&definition)?;
        let digest = definition.digest();
        let mut versions = self.versions(name, which);
        versions.reverse();
        // One that is there counts before one that is withdrawn.
        versions.sort_by_key(|(_, withdrawn)| *withdrawn);
        let same = versions.iter().find(|(bound, _)| bound.digest == digest);
        if same.is_some() || !normalize {
            return Ok(same.cloned());
        }
        let normal = normal_digest(&definition)?;
        for (bound, withdrawn) in versions {
            if bound.definition.format == definition.format
                && normal_digest(&bound.definition)? == normal
            {
                return Ok(Some((bound, withdrawn)));
            }
        }
        Ok(None)
    }
}

fn normal_digest(definition: &Definition) -> Result<String, Problem> {
    let normal = definition.normalized().map_err(invalid_schema)?;
    Ok(normal.digest())
}

impl State {
    fn settings_of(&self, key: &str) -> Settings {
        self.settings.get(key).copied().unwrap_or_default()
    }

    fn mode(&self, name: &Name) -> Mode {
        let all = self.settings_of(ALL).mode;
        if all == Some(Mode::ReadOnlyOverride) {
            return Mode::ReadOnlyOverride;
        }
        let own = self.settings_of(name.as_str()).mode;
        own.or(all).unwrap_or_default()
    }

    /// The rule of a contract without one of its own.
    pub(super) fn default_rule(&self) -> Rule {
        self.settings_of(ALL).rule.unwrap_or_default()
    }
}
