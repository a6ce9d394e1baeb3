//! What a new version of a contract would touch: the topics that are bound to it, what writes to them and
//! reads from them, the contracts that refer to it, and the events that are stored.

use sandbar_types::Name;
use serde::Serialize;
use utoipa::ToSchema;

use super::{
    Hub,
    stored::{StoredEvents, check_events},
};
use crate::{
    catalog::{self, Channel, RouteDocument, looked_up},
    contract::{Comparison, Definition, Policy, Rule, Verdict},
    problem::Problem,
};

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
    /// The contracts that refer to it.
    pub contracts: Vec<ContractUse>,
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
    #[serde(flatten)]
    pub users: TopicUsers,
    pub events: StoredEvents,
}

/// What writes to a topic and reads from it, without clients.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct TopicUsers {
    /// Routes that have it as a target.
    pub writers: Vec<RouteUse>,
    /// Routes that have it as their source.
    pub readers: Vec<RouteUse>,
    /// Routes with a plugin that may look into it.
    pub lookups: Vec<RouteUse>,
    pub subscriptions: Vec<SubscriptionUse>,
}

/// A route, with the plugin versions that it runs.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteUse {
    pub route: String,
    pub paused: bool,
    pub steps: Vec<StepUse>,
}

/// A plugin version in a route.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct StepUse {
    /// From 0.
    pub step: usize,
    /// `name@version`.
    pub plugin: String,
    /// The channel, `name@channel`, where the route names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub channel: Option<String>,
}

/// A subscription to a topic.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubscriptionUse {
    pub subscription: String,
    /// The hub sends the events to a webhook; else clients pull them.
    pub push: bool,
    /// Nothing is handed out.
    pub paused: bool,
}

/// A version of another contract that refers to this one. It names the version that it means, so a new one
/// does not change it.
#[derive(Debug, Serialize, ToSchema)]
pub struct ContractUse {
    /// `name@version`.
    pub contract: String,
    /// The version of this contract that it refers to.
    pub refers_to: u32,
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
        check_events(question.events)?;
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
            topics.push(TopicImpact {
                topic: topic.name.to_string(),
                version: bound.version,
                users: self.users_of(&topic.name),
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
            contracts: self.referring_to(name),
        })
    }

    /// What writes to a topic and reads from it.
    pub(super) fn users_of(&self, topic: &Name) -> TopicUsers {
        let mut users = TopicUsers::default();
        for (name, route) in self.catalog.routes() {
            let document = &route.document;
            let looks = (document.steps.iter())
                .any(|step| looked_up(&step.grants).any(|looked| looked == topic));
            if document.from != *topic && !document.to.contains(topic) && !looks {
                continue;
            }
            let one = RouteUse {
                route: name.to_string(),
                paused: route.paused,
                steps: self.steps_of(document),
            };
            if document.to.contains(topic) {
                users.writers.push(one.clone());
            }
            if document.from == *topic {
                users.readers.push(one.clone());
            }
            if looks {
                users.lookups.push(one);
            }
        }
        for (name, record) in self.catalog.subscriptions() {
            if record.document.topics.contains(topic) {
                users.subscriptions.push(SubscriptionUse {
                    subscription: name.to_string(),
                    push: record.document.push.is_some(),
                    paused: record.rests(),
                });
            }
        }
        users
    }

    fn steps_of(&self, document: &RouteDocument) -> Vec<StepUse> {
        let steps = document.steps.iter().enumerate();
        let uses = steps.map(|(step, named)| {
            let plugin = named.plugin.split('@').next().unwrap_or_default();
            let channels = self.catalog.channels(plugin);
            let channel = channels.iter().find(|one| one.reference() == named.plugin);
            StepUse {
                step,
                plugin: channel.map_or_else(|| named.plugin.clone(), Channel::target),
                channel: channel.map(Channel::reference),
            }
        });
        uses.collect()
    }

    fn referring_to(&self, name: &str) -> Vec<ContractUse> {
        let contracts = self.catalog.contracts().into_iter();
        let uses = contracts.flat_map(|bound| {
            let references = bound.definition.references.clone().into_iter();
            let own = references.filter(|reference| reference.contract.as_str() == name);
            own.map(move |reference| ContractUse {
                contract: bound.reference(),
                refers_to: reference.version,
            })
        });
        uses.collect()
    }
}
