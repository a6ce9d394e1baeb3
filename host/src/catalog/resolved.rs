//! A route with everything that its document only names.

use std::sync::Arc;

use sandbar_plugin::{Grants, Limits, Plugin};
use sandbar_types::Name;

use super::{RouteDocument, Topic, looked_up};

/// A route that can be run.
#[derive(Debug)]
pub struct Resolved {
    pub name: Name,
    /// With versions where the route's own document names channels, so that a restart finishes what
    /// was begun with the versions that began it.
    pub document: RouteDocument,
    pub steps: Vec<ResolvedStep>,
    pub source: Arc<Topic>,
    /// In the order of the document's `to`.
    pub targets: Vec<Arc<Topic>>,
}

/// One step of a route.
#[derive(Debug)]
pub struct ResolvedStep {
    /// `name@version`.
    pub reference: String,
    pub plugin: Plugin,
    /// JSON.
    pub config: String,
    pub limits: Limits,
    pub grants: Grants,
}

impl Resolved {
    /// Whether a step asks other services.
    #[must_use]
    pub fn calls_out(&self) -> bool {
        self.steps.iter().any(|step| step.plugin.calls_out())
    }

    /// The places in the engine's pool that an instance of every step takes.
    #[must_use]
    pub fn places(&self) -> u32 {
        self.steps.iter().map(|step| step.plugin.places()).sum()
    }

    /// The topics that steps may look into.
    pub fn looks_into(&self) -> impl Iterator<Item = &Name> {
        let steps = self.document.steps.iter();
        steps.flat_map(|step| looked_up(&step.grants))
    }

    /// The digests of all steps: what [`sandbar_types::Provenance::made_by`] says.
    #[must_use]
    pub fn made_by(&self) -> String {
        let digests: Vec<&str> = self.steps.iter().map(|step| step.plugin.digest()).collect();
        digests.join(",")
    }
}
