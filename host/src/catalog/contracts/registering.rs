//! New versions of contracts: registered by the contract's rule, or imported with the id that they had
//! elsewhere.

use std::sync::Arc;

use sandbar_types::Name;

use super::{BoundContract, Record, Registering, bind, check, invalid_schema, resolve};
use crate::{
    catalog::{Catalog, ContractDocument, Import, Put, Which, schema_ids, storage, user_name},
    clock,
    contract::Definition,
    problem::{Code, Problem},
};

impl Catalog {
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
    pub(super) fn contract_at(
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
                .map_err(storage)?,
        ];
        if self.state().schema_ids.of(&digest).is_none() {
            let id = schema_ids::Record { id: bound.id };
            let change = self.tables.schema_ids.change(&digest, &id);
            changes.push(change.map_err(storage)?);
        }
        contracts.commit(changes).map_err(storage)?;
        let bound = Arc::new(bound);
        self.keep(bound.clone(), false);
        Ok((bound, Put::Made))
    }
}
