//! What goes live, and what the activation gate said of it: kept with routes, channels and topics.
//!
//! A change is planned first, then looked at by the gate, which takes a while, and then made if what was
//! looked at is still what would go live ([`Basis`]).

use std::sync::Arc;

use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalog, Resolved, Route, RouteDocument, State};

/// What the gate said when something went live.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum GateOutcome {
    Passed,
    /// It was refused, and went live all the same.
    Forced,
    /// There was nothing to check, or it could not be checked.
    NotChecked,
}

/// What the activation gate said, as it is kept.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gated {
    pub outcome: GateOutcome,
    /// Why it was not checked.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub detail: String,
    pub seed: u64,
    /// Inputs made from contracts, of all routes that were checked.
    pub generated: u64,
    /// Stored events, of all routes that were checked.
    pub real: u64,
    /// Why it was refused: at most ten.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub failures: Vec<GatedFailure>,
}

/// One reason of a refusal.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct GatedFailure {
    pub route: String,
    /// In the words of a dead letter.
    pub cause: String,
    pub reason: String,
}

/// When, by whom and why something went live, and what the gate said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WentLive {
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub gate: Gated,
}

/// Something of a route that went live though the gate refused it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, ToSchema)]
pub struct Forced {
    /// `route`, `channel plugin@channel`, or `topic name`: where the change was made.
    pub what: String,
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub reason: String,
    pub failures: Vec<GatedFailure>,
}

/// What the gate looks at of a route: its steps in versions, and the contracts at both ends. Where this is
/// the same, its answer is the same.
#[derive(Clone, Debug, PartialEq)]
pub struct Basis {
    document: RouteDocument,
    /// Of the source and of each target, `name@version`.
    contracts: Vec<Option<String>>,
}

impl Basis {
    pub(super) fn of(state: &State, route: &Resolved) -> Self {
        let source = state.topics.get(&route.document.from);
        let ends = source.into_iter().chain(&route.targets);
        Self {
            document: route.document.clone(),
            contracts: ends
                .map(|topic| topic.contract().map(|bound| bound.reference()))
                .collect(),
        }
    }
}

/// A route that a change would have run, as the gate is to look at it.
#[derive(Clone, Debug)]
pub struct Affected {
    pub route: Arc<Resolved>,
    pub paused: bool,
    pub basis: Basis,
}

impl Catalog {
    /// What of a route went live though the gate refused it.
    #[must_use]
    pub fn forced(&self, name: &Name, route: &Route) -> Vec<Forced> {
        let state = self.state();
        let mut all = Vec::new();
        let mut add = |what: String, live: &WentLive| {
            if live.gate.outcome != GateOutcome::Forced {
                return;
            }
            let own = live.gate.failures.iter();
            let own = own.filter(|failure| failure.route == name.as_str());
            let failures: Vec<GatedFailure> = own.cloned().collect();
            if !failures.is_empty() {
                all.push(Forced {
                    what,
                    at: live.at.clone(),
                    by: live.by.clone(),
                    reason: live.reason.clone(),
                    failures,
                });
            }
        };
        if let Some(live) = &route.activation {
            add("route".to_owned(), live);
        }
        for step in &route.document.steps {
            let last =
                (state.channels.get(&step.plugin)).and_then(|channel| channel.history.last());
            if let Some(live) = last.and_then(super::Activation::went_live) {
                add(format!("channel {}", step.plugin), &live);
            }
        }
        for target in &route.document.to {
            let live = state
                .topics
                .get(target)
                .and_then(|topic| topic.activation());
            if let Some(live) = live {
                add(format!("topic {target}"), &live);
            }
        }
        all
    }

    /// Where a plugin version is in use though the gate refused it: routes that name it, and channels that
    /// point at it.
    #[must_use]
    pub fn forced_uses(&self, reference: &str) -> Vec<String> {
        let state = self.state();
        let forced = |live: &WentLive| live.gate.outcome == GateOutcome::Forced;
        let routes = (state.routes.iter())
            .filter(|(_, route)| route.document.names(reference))
            .filter(|(_, route)| route.activation.as_ref().is_some_and(forced))
            .map(|(name, _)| format!("route {name}"));
        let channels = (state.channels.values())
            .filter(|channel| channel.target() == reference)
            .filter(|channel| {
                let last = channel.history.last();
                let live = last.and_then(super::Activation::went_live);
                live.as_ref().is_some_and(forced)
            })
            .map(|channel| format!("channel {}", channel.reference()));
        routes.chain(channels).collect()
    }
}
