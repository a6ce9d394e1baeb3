//! What a new version of a contract would touch: topics, the routes that write to them, and the events
//! that are stored.

use sandbar_log::Log as _;
use sandbar_types::{Batch, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Hub, calls::ViolationAt};
use crate::{
    catalog::{self, Topic},
    contract::{Comparison, Contract, Definition, Policy, Rule, Verdict},
    problem::{Code, Problem},
};

/// Refused events that are shown of each topic.
const EXAMPLES: usize = 10;
/// Bytes read at once.
const BYTES_PER_READ: usize = 1024 * 1024;
/// The most events of a topic that are looked at.
pub const MOST_EVENTS: u32 = 100_000;

/// What a contract version would mean, without registering it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContractImpact {
    pub contract: String,
    /// The rule that was asked by.
    pub rule: Rule,
    pub policy: Policy,
    /// The worst of the answers below; `compatible` when there is no earlier version.
    pub answer: Verdict,
    /// Whether registering would be refused by the contract's own rule.
    pub refused: bool,
    /// The latest version first.
    pub against: Vec<VersionComparison>,
    pub topics: Vec<TopicImpact>,
}

/// The comparison with one earlier version.
#[derive(Debug, Serialize, ToSchema)]
pub struct VersionComparison {
    pub version: u32,
    pub answer: Verdict,
    #[serde(flatten)]
    pub comparison: Comparison,
}

/// A topic that is bound to the contract.
#[derive(Debug, Serialize, ToSchema)]
pub struct TopicImpact {
    pub topic: String,
    /// The version that it is bound to.
    pub version: u32,
    /// The routes that write to it.
    pub routes: Vec<String>,
    pub events: StoredEvents,
}

/// The last events of a topic, held against the new version.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct StoredEvents {
    pub checked: usize,
    /// How many the new version would refuse.
    pub refused: usize,
    /// The first of those.
    pub examples: Vec<RefusedEvent>,
}

/// A stored event that the new version would refuse.
#[derive(Debug, Serialize, ToSchema)]
pub struct RefusedEvent {
    pub partition: u32,
    pub offset: u64,
    pub id: String,
    pub r#type: String,
    pub violations: Vec<ViolationAt>,
}

/// How to ask.
#[derive(Debug)]
pub struct ImpactQuestion {
    /// Against this version alone.
    pub version: Option<u32>,
    /// Default: the contract's own; both ways where that is `none`.
    pub rule: Option<Rule>,
    pub policy: Option<Policy>,
    /// The last events of each topic.
    pub events: u32,
}

impl Hub {
    /// What registering a definition would mean. Blocks on the disk, and for the comparison.
    ///
    /// # Errors
    /// `unknown-contract`, `invalid-schema`, `invalid-document`.
    pub fn contract_impact(
        &self,
        name: &str,
        definition: &Definition,
        question: &ImpactQuestion,
    ) -> Result<ContractImpact, Problem> {
        if question.events > MOST_EVENTS {
            let detail = format!("/events: {MOST_EVENTS} at most");
            return Err(Problem::new(Code::InvalidDocument, detail));
        }
        let (document, _) = self.catalog.agreement(name)?;
        let own_rule = self.catalog.rule(&document);
        let contract = catalog::check(definition)?;
        let rule = question.rule.unwrap_or(own_rule);
        let policy = question.policy.unwrap_or(document.policy);
        let held = self
            .catalog
            .hold(name, definition, question.version, rule, policy)?;
        let against: Vec<VersionComparison> = held
            .into_iter()
            .map(|one| VersionComparison {
                version: one.version,
                answer: one.comparison.answer(),
                comparison: one.comparison,
            })
            .collect();
        let worst = against.iter().map(|one| one.answer).max();
        let answer = worst.unwrap_or(Verdict::Compatible);
        let (compatibility, own) = (own_rule, document.policy);
        let by_own_rule = (rule, policy) == (compatibility, own) && question.version.is_none();
        let refused = compatibility != Rule::None
            && if by_own_rule {
                answer != Verdict::Compatible
            } else {
                let held = self
                    .catalog
                    .hold(name, definition, None, compatibility, own)?;
                held.iter()
                    .any(|one| one.comparison.answer() != Verdict::Compatible)
            };
        let mut topics = Vec::new();
        for topic in self.catalog.topics() {
            let Some(bound) = topic.contract().filter(|bound| bound.name.as_str() == name) else {
                continue;
            };
            let routes = self.catalog.routes().into_iter();
            let writing = routes.filter(|(_, route)| route.document.to.contains(&topic.name));
            topics.push(TopicImpact {
                topic: topic.name.to_string(),
                version: bound.version,
                routes: writing.map(|(name, _)| name.to_string()).collect(),
                events: self.hold_events(&topic, &contract, question.events)?,
            });
        }
        Ok(ContractImpact {
            contract: name.to_owned(),
            rule,
            policy,
            answer,
            refused,
            against,
            topics,
        })
    }

    /// The last events of a topic, in equal parts of its partitions.
    fn hold_events(
        &self,
        topic: &Topic,
        contract: &Contract,
        events: u32,
    ) -> Result<StoredEvents, Problem> {
        let mut stored = StoredEvents::default();
        let each = u64::from(events.div_ceil(topic.partitions.max(1)));
        for partition in topic.partition_ids() {
            let bounds = self
                .log
                .bounds(&partition)
                .map_err(|error| unreadable(&error))?;
            let mut next = bounds.earliest.max(bounds.tail.saturating_sub(each));
            while next < bounds.tail {
                let frames = self
                    .log
                    .read(&partition, next, BYTES_PER_READ)
                    .map_err(|error| unreadable(&error))?;
                if frames.is_empty() {
                    break;
                }
                for frame in frames {
                    let batch = Batch::decode(&frame.body).map_err(|error| {
                        Problem::new(Code::Damaged, format!("{partition}: {error}"))
                    })?;
                    let skip =
                        usize::try_from(next.saturating_sub(frame.base)).unwrap_or(usize::MAX);
                    for index in skip.min(batch.len())..batch.len() {
                        let offset = frame.base + index as u64;
                        stored.hold(contract, &partition, &batch, index, offset);
                    }
                    next = next.max(frame.base + batch.len() as u64);
                }
            }
        }
        Ok(stored)
    }
}

impl StoredEvents {
    fn hold(
        &mut self,
        contract: &Contract,
        partition: &PartitionId,
        batch: &Batch,
        index: usize,
        offset: u64,
    ) {
        self.checked += 1;
        let event = batch.get(index);
        let outcome = contract.check(event.r#type, event.datacontenttype, event.data);
        let Err(violations) = outcome else { return };
        self.refused += 1;
        if self.examples.len() >= EXAMPLES {
            return;
        }
        let places = violations.violations.into_iter().map(|one| ViolationAt {
            pointer: one.pointer,
            reason: one.reason,
            schema_pointer: one.schema_pointer,
        });
        self.examples.push(RefusedEvent {
            partition: partition.partition,
            offset,
            id: event.id.to_owned(),
            r#type: event.r#type.to_owned(),
            violations: places.collect(),
        });
    }
}

fn unreadable(error: &sandbar_log::Error) -> Problem {
    Problem::new(Code::Damaged, error.to_string())
}
