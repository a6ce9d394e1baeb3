//! Routes: documents whose topics and plugins are there, whose grants suffice, and which together
//! lead no event in a circle.

use std::{
    collections::{BTreeMap, HashSet},
    sync::Arc,
};

use sandbar_plugin::{Engine, InstantiateError};
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Affected, Basis, Because, Catalog, Put, Resolved, ResolvedStep, RouteDocument, State, WentLive,
    grants, invalid, plugins, topics, user_name,
};
use crate::{
    clock,
    problem::{Code, Problem},
};

/// Changes of a route that are kept.
const MOST_CHANGES: usize = 20;

/// A change of what a route runs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RouteChange {
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// As it was asked for.
    pub document: RouteDocument,
}

/// A route as meta keeps it.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Record {
    document: RouteDocument,
    paused: bool,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    activation: Option<WentLive>,
    #[serde(default)]
    history: Arc<Vec<RouteChange>>,
}

/// A route as it is wanted.
#[derive(Debug, Clone)]
pub struct Route {
    pub document: RouteDocument,
    pub paused: bool,
    /// How its steps and targets came to be what they are; absent where the gate had no say.
    pub activation: Option<WentLive>,
    /// What it was made to run, oldest first; the last 20.
    pub history: Arc<Vec<RouteChange>>,
}

/// A route as it would be, everything in it looked up and tried.
#[derive(Debug)]
pub struct PlannedRoute {
    pub affected: Affected,
    /// Whether steps or targets are others than now, or there is no such route.
    pub is_new: bool,
    /// What there is.
    existing: Option<RouteDocument>,
}

impl Catalog {
    pub(super) fn load_routes(&self) -> Result<(), String> {
        for (key, record) in self
            .tables
            .routes
            .scan("")
            .map_err(|error| error.to_string())?
        {
            let name = Name::new(&key).map_err(|error| error.to_string())?;
            let route = Route {
                document: record.document,
                paused: record.paused,
                activation: record.activation,
                history: record.history,
            };
            self.state_mut().routes.insert(name, route);
        }
        Ok(())
    }

    /// All routes by name.
    #[must_use]
    pub fn routes(&self) -> BTreeMap<Name, Route> {
        self.state().routes.clone()
    }

    /// # Errors
    /// `unknown-route`.
    pub fn route(&self, name: &str) -> Result<(Name, Route), Problem> {
        let state = self.state();
        match state.routes.get_key_value(name) {
            Some((name, route)) => Ok((name.clone(), route.clone())),
            None => {
                let known: Vec<&str> = state.routes.keys().map(Name::as_str).collect();
                let near = super::nearest(name, &known);
                Err(Problem::new(
                    Code::UnknownRoute,
                    format!("there is no route {name:?}{near}"),
                ))
            }
        }
    }

    /// What making or changing a route would come to. Nothing is stored. Blocks while the plugins are
    /// configured once, to see that they take their configuration.
    ///
    /// # Errors
    /// When the document is not valid, names what there is not, grants too little, leads in a
    /// circle, or a plugin refuses its configuration.
    pub fn plan_route(
        &self,
        name: &str,
        document: &RouteDocument,
    ) -> Result<PlannedRoute, Problem> {
        let planned = planned(&self.state(), &self.engine, name, document)?;
        try_configuration(&planned.affected.route)?;
        Ok(planned)
    }

    /// Makes a route or changes one, as it was planned; nothing where what it stands on has changed since.
    ///
    /// # Errors
    /// As planning it.
    pub fn put_route(
        &self,
        document: RouteDocument,
        plan: &PlannedRoute,
        activation: Option<WentLive>,
        because: Because,
    ) -> Result<Option<(Name, Arc<Resolved>, Put)>, Problem> {
        let _changing = self.changing();
        let name = plan.affected.route.name.clone();
        let now = planned(&self.state(), &self.engine, name.as_str(), &document)?;
        if now.affected.basis != plan.affected.basis || now.existing != plan.existing {
            return Ok(None);
        }
        for step in &document.steps {
            self.pin(&step.plugin)?;
        }
        let known = self.state().routes.get(&name).cloned();
        let put = if known.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        let (before, mut history) = match known {
            Some(route) => (route.activation, route.history),
            None => (None, Arc::default()),
        };
        if now.is_new {
            let history = Arc::make_mut(&mut history);
            history.push(RouteChange {
                at: clock::to_text(clock::now()),
                by: because.by,
                reason: because.reason,
                document: document.clone(),
            });
            let over = history.len().saturating_sub(MOST_CHANGES);
            history.drain(..over);
        }
        let route = Route {
            document,
            paused: now.affected.paused,
            activation: activation.or(before),
            history,
        };
        self.store_route(&name, route)?;
        Ok(Some((name, now.affected.route, put)))
    }

    /// What a route was made to run before what it runs.
    ///
    /// # Errors
    /// `unknown-route`, `nothing-to-roll-back`.
    pub fn route_before(&self, name: &str) -> Result<RouteDocument, Problem> {
        let (name, route) = self.route(name)?;
        let mut changes = route.history.iter().rev().skip(1);
        let before = changes.next().map(|change| change.document.clone());
        before.ok_or_else(|| {
            let detail = format!("nothing is known of what route {name} ran before");
            Problem::new(Code::NothingToRollBack, detail)
        })
    }

    /// # Errors
    /// `unknown-route`.
    pub fn set_paused(&self, name: &str, paused: bool) -> Result<(Name, Route), Problem> {
        let _changing = self.changing();
        let (name, mut route) = self.route(name)?;
        route.paused = paused;
        self.store_route(&name, route.clone())?;
        Ok((name, route))
    }

    fn store_route(&self, name: &Name, route: Route) -> Result<(), Problem> {
        let record = Record {
            document: route.document.clone(),
            paused: route.paused,
            activation: route.activation.clone(),
            history: route.history.clone(),
        };
        self.tables
            .routes
            .put(name.as_str(), &record)
            .map_err(super::storage)?;
        self.state_mut().routes.insert(name.clone(), route);
        Ok(())
    }

    /// # Errors
    /// `unknown-route`.
    pub fn delete_route(&self, name: &str) -> Result<(Name, Route), Problem> {
        let _changing = self.changing();
        let (name, route) = self.route(name)?;
        self.forget_shadow(&name)?;
        self.tables
            .routes
            .delete(name.as_str())
            .map_err(super::storage)?;
        self.state_mut().routes.remove(&name);
        Ok((name, route))
    }
}

/// Checks a document against everything else and looks up what it names.
fn planned(
    state: &State,
    engine: &Engine,
    name: &str,
    document: &RouteDocument,
) -> Result<PlannedRoute, Problem> {
    let name = user_name(name)?;
    check(document)?;
    let resolved = Arc::new(resolve(state, engine, &name, document)?);
    for topic in &resolved.targets {
        user_name(topic.name.as_str())?;
    }
    check_circle(state, &name, document)?;
    check_decode(&resolved)?;
    let existing = state.routes.get(&name);
    if let Some(route) = existing
        && route.document.from != document.from
    {
        let detail = format!(
            "route {name} reads {}; asked for {}",
            route.document.from, document.from
        );
        return Err(Problem::new(Code::RouteSourceFixed, detail));
    }
    let is_new = existing.is_none_or(|route| route.document.runs() != document.runs());
    Ok(PlannedRoute {
        affected: Affected {
            basis: Basis::of(state, &resolved),
            route: resolved,
            paused: existing.is_some_and(|route| route.paused),
        },
        is_new,
        existing: existing.map(|route| route.document.clone()),
    })
}

/// Looks up everything that the document names.
pub(super) fn resolve(
    state: &State,
    engine: &Engine,
    name: &Name,
    document: &RouteDocument,
) -> Result<Resolved, Problem> {
    let in_document = |pointer: String, problem: Problem| {
        Problem::new(
            Code::InvalidDocument,
            format!("{pointer}: {}", problem.detail),
        )
        .help(problem.code.advice())
    };
    let source = topics::find(state, document.from.as_str())
        .map_err(|problem| in_document("/from".into(), problem))?;
    let mut targets = Vec::with_capacity(document.to.len());
    for (index, target) in document.to.iter().enumerate() {
        let found = topics::find(state, target.as_str());
        targets.push(found.map_err(|problem| in_document(format!("/to/{index}"), problem))?);
    }
    let mut pinned = document.clone();
    let mut steps = Vec::with_capacity(document.steps.len());
    for (index, step) in document.steps.iter().enumerate() {
        let found = plugins::find_in_use(state, &step.plugin)
            .map_err(|problem| in_document(format!("/steps/{index}/plugin"), problem))?;
        pinned.steps[index].plugin = found.record.reference();
        steps.push(ResolvedStep {
            reference: found.record.reference(),
            plugin: found.plugin(engine)?,
            config: step.config.to_string(),
            limits: step.limits.of_instance(),
            grants: grants::resolve(state, &format!("/steps/{index}/grants"), &step.grants)?,
        });
    }
    Ok(Resolved {
        name: name.clone(),
        document: pinned,
        steps,
        source,
        targets,
    })
}

fn check(document: &RouteDocument) -> Result<(), Problem> {
    if document.to.is_empty() {
        return Err(invalid("/to", "name at least one target topic"));
    }
    let mut seen = HashSet::new();
    for (index, target) in document.to.iter().enumerate() {
        if !seen.insert(target) {
            return Err(invalid(
                &format!("/to/{index}"),
                format_args!("{target} is named twice"),
            ));
        }
        if *target == document.from {
            return Err(circle(&[document.from.clone(), target.clone()]));
        }
    }
    if document.to.len() > 64 || document.steps.len() > 16 {
        return Err(invalid("", "at most 64 targets and 16 steps"));
    }
    if document.retry.max_attempts == 0 {
        return Err(invalid(
            "/retry/max_attempts",
            "must be at least 1: the first attempt counts",
        ));
    }
    for (index, step) in document.steps.iter().enumerate() {
        let limits = &step.limits;
        if !(1..=60_000).contains(&limits.deadline_ms) {
            return Err(invalid(
                &format!("/steps/{index}/limits/deadline_ms"),
                "must be within 1 to 60000",
            ));
        }
        if !(65_536..=1 << 30).contains(&limits.memory_bytes) {
            return Err(invalid(
                &format!("/steps/{index}/limits/memory_bytes"),
                "must be within 65536 and 1073741824",
            ));
        }
        let counted = [
            ("output_bytes", limits.output_bytes == 0),
            ("outputs_per_event", limits.outputs_per_event == 0),
        ];
        if let Some((field, _)) = counted.into_iter().find(|(_, none)| *none) {
            return Err(invalid(
                &format!("/steps/{index}/limits/{field}"),
                "must be at least 1",
            ));
        }
    }
    Ok(())
}

/// Refuses to decode and encode where all is JSON, or nobody knows what it is.
fn check_decode(route: &Resolved) -> Result<(), Problem> {
    if route.document.decode.is_none() {
        return Ok(());
    }
    let data = route.source.data();
    let mut targets = route.targets.iter();
    if data.is_binary() || targets.any(|target| target.data().is_binary()) {
        return Ok(());
    }
    let source = &route.source.name;
    Err(invalid(
        "/decode",
        match data.contract() {
            None => format!(
                "topic {source} has no contract, so nobody knows what its data means, and no target has an Avro or Protobuf contract: bind one of them to such a contract, or leave decode out"
            ),
            Some(bound) => format!(
                "topic {source} has the JSON contract {}, so plugins see JSON already, and no target has an Avro or Protobuf contract: leave decode out",
                bound.reference()
            ),
        },
    ))
}

/// Refuses a route that leads back to its source through others.
fn check_circle(state: &State, name: &Name, document: &RouteDocument) -> Result<(), Problem> {
    let others = state
        .routes
        .iter()
        .filter(|(other, _)| *other != name)
        .map(|(_, route)| &route.document);
    let mut edges: BTreeMap<&Name, Vec<&Name>> = BTreeMap::new();
    for route in others.chain([document]) {
        edges.entry(&route.from).or_default().extend(&route.to);
    }
    let mut path = vec![document.from.clone()];
    let mut seen = HashSet::new();
    if leads_back(&edges, &document.from, &document.from, &mut seen, &mut path) {
        return Err(circle(&path));
    }
    Ok(())
}

/// Whether `from` leads to `goal`; the way is left in `path`.
fn leads_back<'a>(
    edges: &BTreeMap<&'a Name, Vec<&'a Name>>,
    from: &Name,
    goal: &Name,
    seen: &mut HashSet<&'a Name>,
    path: &mut Vec<Name>,
) -> bool {
    for &next in edges.get(from).into_iter().flatten() {
        path.push(next.clone());
        if next == goal || (seen.insert(next) && leads_back(edges, next, goal, seen, path)) {
            return true;
        }
        path.pop();
    }
    false
}

fn circle(path: &[Name]) -> Problem {
    let names: Vec<&str> = path.iter().map(Name::as_str).collect();
    Problem::new(Code::RouteCircle, names.join(" → "))
}

/// Instantiates each step once, so that what cannot run is refused now and not at the first event.
pub(super) fn try_configuration(route: &Resolved) -> Result<(), Problem> {
    for (index, step) in route.steps.iter().enumerate() {
        step.plugin
            .instantiate(&step.config, step.limits, &step.grants)
            .map(drop)
            .map_err(|error| {
                let detail = format!("/steps/{index}: {}: {error}", step.reference);
                Problem::new(code_of_start(&error), detail)
            })?;
    }
    Ok(())
}

/// How it is told that a plugin does not start.
pub fn code_of_start(error: &InstantiateError) -> Code {
    match error {
        InstantiateError::GrantMissing(_) => Code::GrantMissing,
        InstantiateError::ConfigRefused(_) => Code::PluginConfigRefused,
        _ => Code::InvalidPlugin,
    }
}
