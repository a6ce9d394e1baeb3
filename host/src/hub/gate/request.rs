//! Asking the activation gate without changing anything.

use std::{collections::BTreeMap, sync::Arc};

use serde::Deserialize;
use utoipa::ToSchema;

use super::{Candidate, Hub, SEED, Scope};
use crate::{
    catalog::RouteDocument,
    gate::GateReport,
    problem::{Code, Problem},
};

/// The most inputs and the most events that may be asked for.
const MOST_CASES: usize = 10_000;

/// What to look at without changing anything.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct GateRequest {
    /// The route as it would be; default: as it is.
    pub document: Option<RouteDocument>,
    /// A version, `name@version`, in place of the one in `step`.
    pub plugin: Option<String>,
    /// From 0; default: the step that runs this plugin.
    pub step: Option<usize>,
    /// Contract versions that targets would be bound to: `name@version` by topic.
    pub contracts: BTreeMap<String, String>,
    /// Default 1. Another seed makes other inputs.
    pub seed: Option<u64>,
    /// Inputs that are made from the contract of the source; default: as `sandbar serve` was told.
    pub generated: Option<usize>,
    /// The last events of the source; default: as `sandbar serve` was told.
    pub real: Option<usize>,
}

impl Hub {
    /// What the gate says of a route, or of a change to one. Nothing is changed.
    ///
    /// # Errors
    /// `unknown-route`, `invalid-document`, and whatever is wrong with the change.
    pub async fn ask_gate(
        self: &Arc<Self>,
        name: String,
        request: GateRequest,
    ) -> Result<GateReport, Problem> {
        let document = self.asked_document(&name, &request)?;
        let used = document.steps.iter().map(|step| step.plugin.clone());
        self.prepare(used.collect()).await?;
        let mut contracts = BTreeMap::new();
        for (topic, reference) in &request.contracts {
            let of = |problem: Problem| {
                let detail = format!("/contracts/{topic}: {}", problem.detail);
                Problem::new(Code::InvalidDocument, detail)
            };
            let target = document.to.iter().find(|target| target.as_str() == topic);
            let target = target.ok_or_else(|| {
                let detail = format!("{topic} is no target of the route");
                of(Problem::new(Code::InvalidDocument, detail))
            })?;
            let bound = self.catalog.contract(reference).map_err(of)?;
            contracts.insert(target.clone(), bound);
        }
        for (member, count) in [("generated", request.generated), ("real", request.real)] {
            if count.is_some_and(|count| count > MOST_CASES) {
                let detail = format!("/{member}: {MOST_CASES} at most");
                return Err(Problem::new(Code::InvalidDocument, detail));
            }
        }
        let scope = Scope {
            seed: request.seed.unwrap_or(SEED),
            generated: request.generated.unwrap_or(self.config.gate.generated),
            real: request.real.unwrap_or(self.config.gate.real),
        };
        let again = again(&request);
        let hub = self.clone();
        let planned = self
            .engine
            .run(move || hub.catalog.plan_route(&name, &document))
            .await;
        let planned = planned.map_err(Problem::internal)??;
        let candidate = Candidate {
            route: planned.affected.route,
            contracts,
            again,
        };
        self.look_at(candidate, scope).await
    }

    /// The route that is asked about.
    fn asked_document(&self, name: &str, request: &GateRequest) -> Result<RouteDocument, Problem> {
        let mut document = match &request.document {
            Some(document) => document.clone(),
            None => self.catalog.route(name)?.1.document,
        };
        let Some(plugin) = &request.plugin else {
            if request.step.is_some() {
                let detail = "/step: says nothing without /plugin";
                return Err(Problem::new(Code::InvalidDocument, detail));
            }
            return Ok(document);
        };
        let named = plugin.split('@').next();
        let steps = document.steps.len();
        let place = request.step.or_else(|| {
            let runs = |step: &crate::catalog::StepDocument| step.plugin.split('@').next() == named;
            document.steps.iter().position(runs)
        });
        let step = place.and_then(|place| document.steps.get_mut(place));
        let step = step.ok_or_else(|| {
            let detail = match request.step {
                Some(step) => {
                    format!(
                        "/step: route {name} has {steps} steps, counted from 0; asked for {step}"
                    )
                }
                None => format!(
                    "/plugin: no step of route {name} runs {}; say which with /step",
                    named.unwrap_or_default()
                ),
            };
            Problem::new(Code::InvalidDocument, detail)
        })?;
        step.plugin.clone_from(plugin);
        Ok(document)
    }
}

/// What the command that asks again has beside the route and the seed.
fn again(request: &GateRequest) -> String {
    let mut text = String::new();
    if request.document.is_some() {
        text.push_str(" --file ROUTE.json");
    }
    if let Some(plugin) = &request.plugin {
        text.push_str(&format!(" --plugin {plugin}"));
    }
    if let Some(step) = request.step {
        text.push_str(&format!(" --step {step}"));
    }
    for (topic, contract) in &request.contracts {
        text.push_str(&format!(" --contract {topic}={contract}"));
    }
    if let Some(generated) = request.generated {
        text.push_str(&format!(" --inputs {generated}"));
    }
    if let Some(real) = request.real {
        text.push_str(&format!(" --events {real}"));
    }
    text
}
