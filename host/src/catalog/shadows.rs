//! Shadows: candidates that run beside a route's own plugin and are compared with it.

use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalog, Put, Resolved, RouteDocument, StepDocument, invalid, plugins, routes};
use crate::problem::{Code, Problem};

/// A candidate for one step of a route.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ShadowDocument {
    /// Which step it would replace, from 0.
    #[serde(default)]
    pub step: usize,
    /// The candidate: `name@version`, or `name@channel` for the version that the channel points at
    /// now.
    pub plugin: String,
    /// Instead of the step's config; absent: the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub config: Option<serde_json::Value>,
    /// Which events are compared.
    #[serde(default)]
    pub start: ShadowStart,
    /// Ends the comparison after so many events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_events: Option<u64>,
    /// Has the candidate take over by itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub promote: Option<PromotePolicy>,
}

/// Which events a shadow sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum ShadowStart {
    /// Those published from now on.
    #[default]
    Latest,
    /// All that are stored, then those published from now on.
    Earliest,
}

/// When a candidate takes over by itself.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PromotePolicy {
    /// After so many events were compared, at least 1.
    pub after_events: u64,
    /// The largest share of events that may differ, 0 to 1.
    #[serde(default)]
    pub max_differing: f64,
}

/// A shadow as meta keeps it; how far it came is for the one who compares to read.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShadowRecord {
    pub document: ShadowDocument,
    pub progress: serde_json::Value,
}

impl ShadowDocument {
    /// The step with the candidate in it.
    fn candidate(&self, step: &StepDocument) -> StepDocument {
        StepDocument {
            plugin: self.plugin.clone(),
            config: self.config.clone().unwrap_or_else(|| step.config.clone()),
            ..step.clone()
        }
    }

    /// The route with the candidate in it.
    #[must_use]
    pub fn applied_to(&self, route: &RouteDocument) -> Option<RouteDocument> {
        let mut route = route.clone();
        let step = route.steps.get_mut(self.step)?;
        *step = self.candidate(step);
        Some(route)
    }
}

impl Catalog {
    pub(super) fn load_shadows(&self) -> Result<(), String> {
        let stored = self.tables.shadows.scan("");
        for (key, record) in stored.map_err(|error| error.to_string())? {
            let name = Name::new(&key).map_err(|error| error.to_string())?;
            self.state_mut().shadows.insert(name, record);
        }
        Ok(())
    }

    /// All shadows by route.
    #[must_use]
    pub fn shadows(&self) -> Vec<(Name, ShadowRecord)> {
        let state = self.state();
        let all = state.shadows.iter();
        all.map(|(name, record)| (name.clone(), record.clone()))
            .collect()
    }

    /// # Errors
    /// `unknown-route`, `unknown-shadow`.
    pub fn shadow(&self, route: &str) -> Result<ShadowRecord, Problem> {
        let (name, _) = self.route(route)?;
        let found = self.state().shadows.get(&name).cloned();
        found.ok_or_else(|| {
            Problem::new(
                Code::UnknownShadow,
                format!("route {name} has no shadow; PUT one to compare a candidate"),
            )
        })
    }

    /// Sets a candidate beside a route. Blocks while it is configured once.
    ///
    /// # Errors
    /// When the route or the candidate is not there, or the candidate cannot run in its place.
    pub fn put_shadow(
        &self,
        route: &str,
        mut document: ShadowDocument,
    ) -> Result<(Name, ShadowRecord, Put), Problem> {
        let _changing = self.changing();
        let (name, route) = self.route(route)?;
        check(&document)?;
        let found = plugins::find_in_use(&self.state(), &document.plugin).map_err(|problem| {
            let detail = format!("/plugin: {}", problem.detail);
            Problem::new(Code::InvalidDocument, detail).help(problem.code.advice())
        })?;
        document.plugin = found.record.reference();
        let candidate = self.candidate(&name, &route.document, &document)?;
        if candidate.calls_out() {
            let reason = "a step asks other services, which a shadow would ask once more";
            return Err(invalid("/plugin", reason));
        }
        routes::try_configuration(&candidate)?;
        self.pin(&document.plugin)?;
        let record = ShadowRecord {
            document,
            progress: serde_json::Value::Null,
        };
        self.tables
            .shadows
            .put(name.as_str(), &record)
            .map_err(super::storage)?;
        let before = (self.state_mut().shadows).insert(name.clone(), record.clone());
        let put = if before.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        Ok((name, record, put))
    }

    /// The route with the shadow's candidate in it, looked up.
    ///
    /// # Errors
    /// When the route has no such step, or something is not there.
    pub fn candidate(
        &self,
        name: &Name,
        route: &RouteDocument,
        shadow: &ShadowDocument,
    ) -> Result<Resolved, Problem> {
        let document = shadow.applied_to(route).ok_or_else(|| {
            let steps = route.steps.len();
            invalid(
                "/step",
                format_args!("route {name} has {steps} steps, counted from 0"),
            )
        })?;
        self.resolve(name, &document)
    }

    /// Keeps how far a shadow came.
    ///
    /// # Errors
    /// When meta cannot be written, in words.
    pub fn save_shadow(&self, route: &Name, progress: serde_json::Value) -> Result<(), String> {
        let _changing = self.changing();
        let Some(mut record) = self.state().shadows.get(route).cloned() else {
            return Ok(());
        };
        record.progress = progress;
        self.tables
            .shadows
            .put(route.as_str(), &record)
            .map_err(|error| error.to_string())?;
        self.state_mut().shadows.insert(route.clone(), record);
        Ok(())
    }

    /// # Errors
    /// `unknown-route`, `unknown-shadow`.
    pub fn delete_shadow(&self, route: &str) -> Result<Name, Problem> {
        let _changing = self.changing();
        self.shadow(route)?;
        let (name, _) = self.route(route)?;
        self.forget_shadow(&name)?;
        Ok(name)
    }

    pub(super) fn forget_shadow(&self, name: &Name) -> Result<(), Problem> {
        self.tables
            .shadows
            .delete(name.as_str())
            .map_err(super::storage)?;
        self.state_mut().shadows.remove(name);
        Ok(())
    }
}

fn check(document: &ShadowDocument) -> Result<(), Problem> {
    if document.max_events == Some(0) {
        return Err(invalid("/max_events", "must be at least 1"));
    }
    if let Some(policy) = document.promote {
        if policy.after_events == 0 {
            return Err(invalid("/promote/after_events", "must be at least 1"));
        }
        if !(0.0..=1.0).contains(&policy.max_differing) {
            return Err(invalid(
                "/promote/max_differing",
                "must be within 0 and 1: a share of the events",
            ));
        }
        if document
            .max_events
            .is_some_and(|most| most < policy.after_events)
        {
            return Err(invalid(
                "/promote/after_events",
                "is more than /max_events, so it would never be reached",
            ));
        }
    }
    Ok(())
}
