//! All that a definition refers to, in one list by name: what Avro and Protobuf ask for. Pure.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use super::{Definition, InvalidSchema};

/// The most documents.
const MOST: usize = 1000;

/// The documents by the name under which they are referred to, those of references too.
pub(super) fn flat(
    definition: &Definition,
) -> Result<BTreeMap<String, Arc<Definition>>, InvalidSchema> {
    let mut gathering = Gathering {
        targets: BTreeMap::new(),
        found: BTreeMap::new(),
        seen: HashSet::new(),
    };
    for index in 0..definition.references.len() {
        gathering
            .add(definition, index)
            .map_err(|reason| InvalidSchema {
                pointer: format!("/references/{index}"),
                reason,
            })?;
    }
    Ok(gathering.found)
}

struct Gathering {
    /// Which contract version a name means.
    targets: BTreeMap<String, String>,
    found: BTreeMap<String, Arc<Definition>>,
    /// Contract versions whose own references are gathered.
    seen: HashSet<String>,
}

impl Gathering {
    fn add(&mut self, of: &Definition, index: usize) -> Result<(), String> {
        let reference = &of.references[index];
        let target = reference.target();
        let Some(definition) = of.referenced.get(index) else {
            return Err(format!("contract {target} is not at hand"));
        };
        match self.targets.get(&reference.name) {
            Some(known) if *known != target => {
                return Err(format!(
                    "{:?} means {known} in one schema and {target} in another; use one version in all",
                    reference.name
                ));
            }
            Some(_) => {}
            None => {
                if self.targets.len() >= MOST {
                    return Err(format!("more than {MOST} schemas are referred to"));
                }
                self.targets.insert(reference.name.clone(), target.clone());
                self.found
                    .insert(reference.name.clone(), definition.clone());
            }
        }
        if self.seen.insert(target) {
            for index in 0..definition.references.len() {
                self.add(definition, index)?;
            }
        }
        Ok(())
    }
}
