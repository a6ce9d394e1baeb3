//! What a contract is besides its versions: who owns it, and what each new version has to keep.

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};

use super::{BoundContract, Catalog, Put, Which, user_name};
use crate::{
    contract::{Comparison, Definition, Format, Policy, Rule, Verdict, compare},
    problem::{Code, Incompatibility, Place, Problem},
};

/// The findings of one refusal.
const MOST_PLACES: usize = 50;

/// A contract without its versions. Unknown members are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct ContractDocument {
    /// What each new version has to keep. Without it: what is set for all, `none` unless the registry API
    /// set something else.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub compatibility: Option<Rule>,
    /// What counts where a schema leaves properties open.
    pub policy: Policy,
    /// Who is to be asked about it.
    pub owner: String,
    pub description: String,
    /// Nobody should begin to use it.
    pub deprecated: bool,
}

/// A new version held against one that there is.
#[derive(Clone, Debug)]
pub struct Held {
    pub version: u32,
    /// Of the earlier version.
    pub format: Format,
    pub comparison: Comparison,
}

impl Catalog {
    pub(super) fn load_agreements(&self) -> Result<(), String> {
        let stored = self.tables.agreements.scan("");
        for (key, document) in stored.map_err(|error| error.to_string())? {
            let name = Name::new(&key).map_err(|error| error.to_string())?;
            self.state_mut().agreements.insert(name, document);
        }
        Ok(())
    }

    /// The document of a contract, the default one where none was put; with its versions.
    ///
    /// # Errors
    /// `unknown-contract`.
    pub fn agreement(
        &self,
        name: &str,
    ) -> Result<(ContractDocument, Vec<Arc<BoundContract>>), Problem> {
        let state = self.state();
        let versions = state.contracts.get(name);
        let document = state.agreements.get(name);
        if versions.is_none() && document.is_none() {
            super::contracts::find(&state, name)?;
        }
        let versions = versions.map(|all| all.values().cloned().collect());
        Ok((
            document.cloned().unwrap_or_default(),
            versions.unwrap_or_default(),
        ))
    }

    /// The names of contracts whose document says something, with versions or without.
    #[must_use]
    pub fn agreed_names(&self) -> Vec<Name> {
        let state = self.state();
        let said = |(name, document): (&Name, &ContractDocument)| {
            (*document != ContractDocument::default()).then(|| name.clone())
        };
        state.agreements.iter().filter_map(said).collect()
    }

    /// Whether the contract's document says that nobody should begin to use it.
    #[must_use]
    pub fn is_deprecated(&self, name: &str) -> bool {
        let state = self.state();
        state.agreements.get(name).is_some_and(|one| one.deprecated)
    }

    /// Sets the document. Versions that there are stay, whatever the rule says of them.
    ///
    /// # Errors
    /// `invalid-name`, `reserved-name`.
    pub fn put_agreement(&self, name: &str, document: ContractDocument) -> Result<Put, Problem> {
        let _changing = self.changing();
        let name = user_name(name)?;
        self.tables
            .agreements
            .put(name.as_str(), &document)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        let versions = state.contracts.contains_key(&name);
        let before = state.agreements.insert(name, document);
        Ok(if before.is_some() || versions {
            Put::Kept
        } else {
            Put::Made
        })
    }

    /// Deletes a contract with its document and all versions.
    ///
    /// # Errors
    /// `unknown-contract`, `contract-in-use`; nothing is deleted then.
    pub fn delete_agreement(&self, name: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        self.agreement(name)?;
        let name = user_name(name)?;
        self.may_change(&name)?;
        let versions: Vec<_> = (self.versions(&name, Which::Both).into_iter())
            .map(|(bound, _)| bound)
            .collect();
        let mut changes = vec![
            self.tables.agreements.deletion(name.as_str()),
            self.numbers_change(&name)?,
        ];
        for bound in &versions {
            self.unused_among(bound, &versions, Which::Both)?;
            changes.push(self.tables.contracts.deletion(&bound.reference()));
        }
        self.tables
            .agreements
            .commit(changes)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        for bound in &versions {
            state.forget_version(bound);
        }
        state.agreements.remove(&name);
        Ok(())
    }

    /// The rule that counts for a contract's document.
    #[must_use]
    pub fn rule(&self, document: &ContractDocument) -> Rule {
        let own = document.compatibility;
        own.unwrap_or_else(|| self.state().default_rule())
    }

    /// The rule that counts for a contract, and its policy.
    #[must_use]
    pub fn rule_and_policy(&self, name: &Name) -> (Rule, Policy) {
        let document = self.state().agreements.get(name).cloned();
        let document = document.unwrap_or_default();
        (self.rule(&document), document.policy)
    }

    /// The rule that a contract's own document sets.
    #[must_use]
    pub fn own_rule(&self, name: &Name) -> Option<Rule> {
        self.state().agreements.get(name)?.compatibility
    }

    /// Holds a definition against the versions that a rule names: the latest, all, or the one given.
    /// Without a rule both ways are looked at. Blocks for as long as the comparison takes.
    ///
    /// # Errors
    /// `unknown-contract`.
    pub fn hold(
        &self,
        name: &str,
        definition: &Definition,
        against: Option<u32>,
        rule: Rule,
        policy: Policy,
    ) -> Result<Vec<Held>, Problem> {
        let (_, versions) = self.agreement(name)?;
        let mut chosen: Vec<Arc<BoundContract>> = match against {
            Some(version) => vec![self.contract(&format!("{name}@{version}"))?],
            None if rule.is_transitive() => versions,
            None => versions.last().cloned().into_iter().collect(),
        };
        // The latest first: it is the one that is asked about most.
        chosen.reverse();
        let directions = match rule {
            Rule::None => Rule::Full.directions(),
            rule => rule.directions(),
        };
        let each = chosen.into_iter().map(|bound| Held {
            version: bound.version,
            format: bound.definition.format,
            comparison: compare(&bound.definition, definition, directions, policy),
        });
        Ok(each.collect())
    }

    /// Whether the contract's own rule lets a definition follow; true when something is unknown and
    /// that was accepted.
    pub(super) fn may_follow(
        &self,
        name: &Name,
        definition: &Definition,
        document: &ContractDocument,
        accept_unknown: bool,
    ) -> Result<bool, Problem> {
        let rule = self.rule(document);
        if rule == Rule::None || !self.state().contracts.contains_key(name) {
            return Ok(false);
        }
        let held = self.hold(name.as_str(), definition, None, rule, document.policy)?;
        let worst = held.iter().map(|one| one.comparison.answer()).max();
        match worst.unwrap_or(Verdict::Compatible) {
            Verdict::Compatible => Ok(false),
            Verdict::Unknown if accept_unknown => Ok(true),
            verdict => Err(refusal(name, rule, &held, verdict)),
        }
    }
}

impl Held {
    /// What makes it incompatible, what is shown first.
    #[must_use]
    pub fn places(&self) -> Vec<Place> {
        let mut places = Vec::new();
        let mut open = Vec::new();
        for (direction, outcome) in self.comparison.outcomes() {
            for finding in &outcome.findings {
                places.push(Place {
                    index: None,
                    pointer: format!("/schema{}", finding.new),
                    reason: finding.message.clone(),
                    incompatibility: Some(Box::new(Incompatibility {
                        rule: finding.rule.clone(),
                        direction: direction.to_owned(),
                        version: self.version,
                        r#type: finding.r#type.clone(),
                        old: finding.old.clone(),
                        new: finding.new.clone(),
                        path: match self.format {
                            Format::Json => String::new(),
                            Format::Avro | Format::Protobuf => finding.instance.clone(),
                        },
                        counterexample: finding.counterexample.clone(),
                    })),
                });
            }
            for undecided in &outcome.undecided {
                open.push(Place {
                    index: None,
                    pointer: format!("/schema{}", undecided.new),
                    reason: undecided.reason.clone(),
                    incompatibility: Some(Box::new(Incompatibility {
                        rule: undecided.rule.clone(),
                        direction: direction.to_owned(),
                        version: self.version,
                        r#type: undecided.r#type.clone(),
                        old: undecided.old.clone(),
                        new: undecided.new.clone(),
                        path: String::new(),
                        counterexample: None,
                    })),
                });
            }
        }
        places.append(&mut open);
        places
    }
}

fn refusal(name: &Name, rule: Rule, held: &[Held], verdict: Verdict) -> Problem {
    let mut places: Vec<Place> = held.iter().flat_map(Held::places).collect();
    // A version that is shown not to fit counts before one of which nothing is known.
    places.sort_by_key(|place| {
        let one = place.incompatibility.as_ref();
        one.is_some_and(|one| one.counterexample.is_none() && one.path.is_empty())
    });
    places.truncate(MOST_PLACES);
    let rule = rule.as_str();
    let versions: Vec<String> = (held.iter())
        .filter(|one| one.comparison.answer() != Verdict::Compatible)
        .map(|one| one.version.to_string())
        .collect();
    let detail = match verdict {
        Verdict::Unknown => format!(
            "contract {name} keeps to the rule {rule}; whether this follows version {} could not be decided",
            versions.join(", ")
        ),
        _ => format!(
            "contract {name} keeps to the rule {rule}; this breaks it against version {}",
            versions.join(", ")
        ),
    };
    Problem::new(Code::IncompatibleContract, detail).errors(places)
}
