//! Whether one version of a contract may follow another.
//!
//! JSON Schemas are compared by `sandbar-compat`; here they are cut into the parts that hold for each
//! event type, and types that came or went are incompatibilities of their own. Avro and Protobuf: see
//! `binary`. Pure.

use sandbar_compat::{Directions, Document, Options, Part};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{Definition, Format};

/// What each new version of a contract has to keep.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum Rule {
    /// Nothing is checked.
    #[default]
    None,
    /// Who knows the new version can read data of the latest one.
    Backward,
    /// Who knows the latest version can read data of the new one.
    Forward,
    /// Both.
    Full,
    /// Backward, against all versions that there are.
    BackwardTransitive,
    /// Forward, against all versions that there are.
    ForwardTransitive,
    /// Both, against all versions that there are.
    FullTransitive,
}

impl Rule {
    /// Which ways to look; neither for `none`.
    #[must_use]
    pub fn directions(self) -> Directions {
        match self {
            Self::None => Directions {
                backward: false,
                forward: false,
            },
            Self::Backward | Self::BackwardTransitive => Directions::BACKWARD,
            Self::Forward | Self::ForwardTransitive => Directions::FORWARD,
            Self::Full | Self::FullTransitive => Directions::BOTH,
        }
    }

    /// Whether all versions count, not the latest alone.
    #[must_use]
    pub fn is_transitive(self) -> bool {
        matches!(
            self,
            Self::BackwardTransitive | Self::ForwardTransitive | Self::FullTransitive
        )
    }

    /// As in documents.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Backward => "backward",
            Self::Forward => "forward",
            Self::Full => "full",
            Self::BackwardTransitive => "backward-transitive",
            Self::ForwardTransitive => "forward-transitive",
            Self::FullTransitive => "full-transitive",
        }
    }
}

/// What counts where a schema leaves properties open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Policy {
    /// A property that a schema does not describe may hold anything.
    #[default]
    Strict,
    /// Data with such a property, which the other version describes and refuses, is taken not to exist.
    Lenient,
}

/// Whether all data of one version fits the other.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Verdict {
    /// Proven.
    Compatible,
    /// Neither proven nor shown.
    Unknown,
    /// Shown: by a document in JSON Schema, by the format's rules of resolution else.
    Incompatible,
}

/// One way in which the versions are not compatible.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Finding {
    /// A stable name, such as `type-narrowed`.
    pub rule: String,
    pub message: String,
    /// The event type that it is about, where the contract has types.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// A JSON Pointer into the old schema.
    pub old: String,
    /// A JSON Pointer into the new schema.
    pub new: String,
    /// The place in the data: a JSON Pointer; in Avro and Protobuf the path of the field.
    pub instance: String,
    /// JSON Schema: data that one version takes and the other refuses; both validators were asked.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Object>)]
    pub counterexample: Option<Value>,
}

/// What could neither be proven nor shown.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, utoipa::ToSchema)]
pub struct Undecided {
    pub rule: String,
    pub reason: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub r#type: Option<String>,
    /// A JSON Pointer into the old schema.
    pub old: String,
    /// A JSON Pointer into the new schema.
    pub new: String,
}

/// The answer for one direction.
#[derive(Clone, Debug, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Outcome {
    pub answer: Verdict,
    pub findings: Vec<Finding>,
    pub undecided: Vec<Undecided>,
}

/// The answers for the directions that were asked for.
#[derive(Clone, Debug, Default, PartialEq, Serialize, utoipa::ToSchema)]
pub struct Comparison {
    /// Data of the old version fits the new one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub backward: Option<Outcome>,
    /// Data of the new version fits the old one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forward: Option<Outcome>,
}

impl Comparison {
    /// The worst of the answers.
    #[must_use]
    pub fn answer(&self) -> Verdict {
        let each = self.backward.iter().chain(&self.forward);
        each.map(|one| one.answer)
            .max()
            .unwrap_or(Verdict::Compatible)
    }

    /// With the names of the directions.
    pub fn outcomes(&self) -> impl Iterator<Item = (&'static str, &Outcome)> {
        let backward = self.backward.iter().map(|one| ("backward", one));
        backward.chain(self.forward.iter().map(|one| ("forward", one)))
    }
}

/// No list grows longer.
pub(super) const MOST: usize = 100;
/// The work for all types of a contract, in steps of the comparison.
const STEPS: u64 = 4_000_000;
const LEAST_STEPS: u64 = 40_000;

/// Why a definition cannot be used by any validator, with the place: the schema leads back to itself
/// without going into the data, or its validator would grow without end.
#[must_use]
pub fn flaw(definition: &Definition) -> Option<(String, String)> {
    if definition.format != Format::Json {
        return None;
    }
    let whole = definition.bundled().ok()?;
    if let Some(reason) = super::schema::too_large(&whole) {
        return Some(("/schema".to_owned(), reason));
    }
    let document = Document::new(&whole).ok()?;
    let Some(types) = &definition.types else {
        return document
            .flaw("")
            .map(|reason| ("/schema".to_owned(), reason));
    };
    types.iter().find_map(|(name, reference)| {
        let pointer = super::schema::pointer_of(reference).ok()?;
        let at = super::type_pointer(name);
        document.flaw(&pointer).map(|reason| (at, reason))
    })
}

/// Compares two versions. Takes seconds at most, and a few hundred MB at worst; call it where blocking
/// is fine.
#[must_use]
pub fn compare(
    old: &Definition,
    new: &Definition,
    directions: Directions,
    policy: Policy,
) -> Comparison {
    let empty = || Outcome {
        answer: Verdict::Compatible,
        findings: Vec::new(),
        undecided: Vec::new(),
    };
    let mut comparison = Comparison {
        backward: directions.backward.then(empty),
        forward: directions.forward.then(empty),
    };
    if old.format != new.format {
        for outcome in both(&mut comparison) {
            outcome.changed_format(old.format, new.format);
        }
        return comparison;
    }
    if old.format != Format::Json {
        super::binary::compare(old, new, policy, &mut comparison);
        return comparison;
    }
    let document = |definition: &Definition| -> Result<Document, String> {
        let whole = definition.bundled().map_err(|error| error.to_string())?;
        Document::new(&whole).map_err(|error| error.to_string())
    };
    let prepared = document(old).and_then(|old| Ok((old, document(new)?)));
    let (old_document, new_document) = match prepared {
        Ok(both) => both,
        Err(error) => {
            for outcome in both(&mut comparison) {
                outcome.stop(None, format!("a schema cannot be read: {error}"));
            }
            return comparison;
        }
    };
    let pairs = pairs(old, new);
    let steps = (STEPS / pairs.len().max(1) as u64).max(LEAST_STEPS);
    let options = Options {
        policy: match policy {
            Policy::Strict => sandbar_compat::Policy::Strict,
            Policy::Lenient => sandbar_compat::Policy::Lenient,
        },
        directions,
        steps: steps.min(Options::default().steps),
        ..Options::default()
    };
    for pair in pairs {
        let part = |document, pointer| Part { document, pointer };
        let old_part = pair.old.as_ref().map(|at| part(&old_document, at.as_str()));
        let new_part = pair.new.as_ref().map(|at| part(&new_document, at.as_str()));
        match (old_part, new_part) {
            (Some(old), Some(new)) => {
                let report = sandbar_compat::check(old, new, &options);
                for (outcome, direction) in [
                    (&mut comparison.backward, report.backward),
                    (&mut comparison.forward, report.forward),
                ] {
                    if let (Some(outcome), Some(direction)) = (outcome, direction) {
                        outcome.add(pair.name.as_deref(), direction);
                    }
                }
            }
            (Some(gone), None) => {
                if let Some(outcome) = &mut comparison.backward {
                    let removed = ("type-removed", "events of this type are refused");
                    outcome.lone(pair.name, gone, removed, true);
                }
            }
            (None, Some(come)) => {
                if let Some(outcome) = &mut comparison.forward {
                    let added = ("type-added", "the old version refuses events of this type");
                    outcome.lone(pair.name, come, added, false);
                }
            }
            (None, None) => {}
        }
    }
    comparison
}

fn both(comparison: &mut Comparison) -> impl Iterator<Item = &mut Outcome> {
    let backward = comparison.backward.iter_mut();
    backward.chain(&mut comparison.forward)
}

/// What holds for one event type, as JSON Pointers; without a name for all others.
struct Pair {
    name: Option<String>,
    old: Option<String>,
    new: Option<String>,
}

fn pairs(old: &Definition, new: &Definition) -> Vec<Pair> {
    let part = |definition: &Definition, name: &str| match &definition.types {
        None => Some(String::new()),
        Some(types) => {
            let reference = types.get(name)?;
            super::schema::pointer_of(reference).ok()
        }
    };
    let mut names: Vec<&String> = old
        .types
        .iter()
        .chain(&new.types)
        .flat_map(|types| types.keys())
        .collect();
    names.sort_unstable();
    names.dedup();
    let mut pairs: Vec<Pair> = (names.into_iter())
        .map(|name| Pair {
            name: Some(name.clone()),
            old: part(old, name),
            new: part(new, name),
        })
        .collect();
    let others = |definition: &Definition| definition.types.is_none().then(String::new);
    pairs.push(Pair {
        name: None,
        old: others(old),
        new: others(new),
    });
    pairs
}

impl Outcome {
    /// No data of one format is data of another.
    fn changed_format(&mut self, old: Format, new: Format) {
        self.answer = Verdict::Incompatible;
        self.findings.push(Finding {
            rule: "schema-format-changed".to_owned(),
            message: format!("{} became {}", old.title(), new.title()),
            r#type: None,
            old: String::new(),
            new: String::new(),
            instance: String::new(),
            counterexample: None,
        });
    }

    pub(super) fn stop(&mut self, name: Option<String>, reason: String) {
        self.answer = self.answer.max(Verdict::Unknown);
        self.undecided.push(Undecided {
            rule: "stopped".to_owned(),
            reason,
            r#type: name,
            old: String::new(),
            new: String::new(),
        });
    }

    fn add(&mut self, name: Option<&str>, direction: sandbar_compat::Direction) {
        self.answer = self.answer.max(match direction.answer {
            sandbar_compat::Answer::Compatible => Verdict::Compatible,
            sandbar_compat::Answer::Incompatible => Verdict::Incompatible,
            sandbar_compat::Answer::Unknown => Verdict::Unknown,
        });
        for one in direction.findings {
            if self.findings.len() < MOST {
                self.findings.push(Finding {
                    rule: one.rule.to_owned(),
                    message: one.message,
                    r#type: name.map(str::to_owned),
                    old: one.old,
                    new: one.new,
                    instance: one.instance,
                    counterexample: Some(one.counterexample),
                });
            }
        }
        for one in direction.undecided {
            if self.undecided.len() < MOST {
                self.undecided.push(Undecided {
                    rule: one.rule.to_owned(),
                    reason: one.reason,
                    r#type: name.map(str::to_owned),
                    old: one.old,
                    new: one.new,
                });
            }
        }
    }

    /// A type that only one version has: any data of it shows the difference.
    fn lone(
        &mut self,
        name: Option<String>,
        part: Part<'_>,
        (rule, message): (&str, &str),
        is_old: bool,
    ) {
        let (old, new) = if is_old {
            (part.pointer.to_owned(), String::new())
        } else {
            (String::new(), part.pointer.to_owned())
        };
        let message = match &name {
            Some(_) => message.to_owned(),
            None => message.replace("of this type", "of types that are not listed"),
        };
        match sandbar_compat::example(part) {
            Some(counterexample) => {
                self.answer = Verdict::Incompatible;
                if self.findings.len() < MOST {
                    self.findings.push(Finding {
                        rule: rule.to_owned(),
                        message,
                        r#type: name,
                        old,
                        new,
                        instance: String::new(),
                        counterexample: Some(counterexample),
                    });
                }
            }
            None => self.stop(
                name,
                format!("{message}; no data was found that would fit it"),
            ),
        }
    }
}
