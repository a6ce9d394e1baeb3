//! Channels: names for the version of a plugin that is in use. Routes that name `plugin@channel` move
//! together when it is moved, between two batches each.

use std::sync::Arc;

use sandbar_plugin::Engine;
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{
    Affected, Basis, Catalog, GateOutcome, Gated, Put, Resolved, State, WentLive, plugins, routes,
};
use crate::{
    clock,
    problem::{Code, Problem},
};

/// Activations that a channel remembers.
const HISTORY: usize = 100;

/// A channel of a plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Channel {
    pub plugin: String,
    pub channel: String,
    /// The version in use.
    pub version: String,
    /// Oldest first; the last 100.
    pub history: Vec<Activation>,
}

/// One move of a channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Activation {
    pub version: String,
    /// The version before; absent at the first.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// What the activation gate said; absent where it had no say.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gated>,
}

/// A move of a channel, with all routes that would run with it.
#[derive(Debug)]
pub struct PlannedMove {
    pub version: String,
    /// Each configured once with the version.
    pub routes: Vec<Affected>,
    /// The channel as it is.
    known: Option<Channel>,
}

/// Who moves a channel, and why.
#[derive(Clone, Debug)]
pub struct Because {
    pub by: String,
    pub reason: String,
}

/// A channel that was moved, and the routes that run with it: each with whether it is paused.
#[derive(Debug)]
pub struct Moved {
    pub channel: Channel,
    pub put: Put,
    pub routes: Vec<(Arc<Resolved>, bool)>,
}

impl Activation {
    /// The same as it is told of routes and topics.
    pub(super) fn went_live(&self) -> Option<WentLive> {
        Some(WentLive {
            at: self.at.clone(),
            by: self.by.clone(),
            reason: self.reason.clone(),
            gate: self.gate.clone()?,
        })
    }

    /// Whether the version is in use though the gate refused it.
    #[must_use]
    pub fn is_forced(&self) -> bool {
        let gate = self.gate.as_ref();
        gate.is_some_and(|gate| gate.outcome == GateOutcome::Forced)
    }
}

impl Channel {
    /// `plugin@channel`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.plugin, self.channel)
    }

    /// `plugin@version`.
    #[must_use]
    pub fn target(&self) -> String {
        format!("{}@{}", self.plugin, self.version)
    }
}

impl Catalog {
    pub(super) fn load_channels(&self) -> Result<(), String> {
        let stored = self.tables.channels.scan("");
        for (_, channel) in stored.map_err(|error| error.to_string())? {
            self.state_mut()
                .channels
                .insert(channel.reference(), channel);
        }
        Ok(())
    }

    /// The channels of a plugin.
    #[must_use]
    pub fn channels(&self, plugin: &str) -> Vec<Channel> {
        let state = self.state();
        let all = state.channels.values();
        all.filter(|channel| channel.plugin == plugin)
            .cloned()
            .collect()
    }

    /// # Errors
    /// `unknown-channel`.
    pub fn channel(&self, plugin: &str, channel: &str) -> Result<Channel, Problem> {
        let reference = format!("{plugin}@{channel}");
        let found = self.state().channels.get(&reference).cloned();
        found.ok_or_else(|| {
            let known: Vec<String> = (self.channels(plugin).into_iter())
                .map(|channel| channel.channel)
                .collect();
            let detail = match known.as_slice() {
                [] => format!("plugin {plugin} has no channels"),
                known => format!(
                    "plugin {plugin} has no channel {channel:?}; it has {}",
                    known.join(", ")
                ),
            };
            Problem::new(Code::UnknownChannel, detail)
        })
    }

    /// What pointing a channel at a version would come to; with none, back at the version before. Nothing
    /// is stored. Blocks while every route that would run with it is configured once with the version:
    /// one that cannot run refuses the move.
    ///
    /// # Errors
    /// `unknown-plugin`, `name-taken`, `unknown-channel`, `nothing-to-roll-back`, and what a route says to
    /// the version.
    pub fn plan_move(
        &self,
        plugin: &str,
        channel: &str,
        version: Option<&str>,
    ) -> Result<PlannedMove, Problem> {
        let version = match version {
            Some(version) => version.to_owned(),
            None => {
                let known = self.channel(plugin, channel)?;
                let before = known.history.last().and_then(|last| last.from.clone());
                before.ok_or_else(|| {
                    let detail = format!(
                        "channel {} has had no version but {}",
                        known.reference(),
                        known.version
                    );
                    Problem::new(Code::NothingToRollBack, detail)
                })?
            }
        };
        let planned = planned(&self.state(), &self.engine, plugin, channel, &version)?;
        for affected in &planned.routes {
            routes::try_configuration(&affected.route)
                .map_err(|problem| in_route(&affected.route.name, problem))?;
        }
        Ok(planned)
    }

    /// Points a channel at a version, and makes it where there is none, as it was planned; nothing where
    /// what it stands on has changed since.
    ///
    /// # Errors
    /// As planning it; nothing has changed then.
    pub fn activate(
        &self,
        plugin: &str,
        channel: &str,
        plan: &PlannedMove,
        because: Because,
        gate: Option<Gated>,
    ) -> Result<Option<Moved>, Problem> {
        let _changing = self.changing();
        let now = planned(&self.state(), &self.engine, plugin, channel, &plan.version)?;
        let bases = |plan: &PlannedMove| -> Vec<_> {
            let each = plan.routes.iter();
            each.map(|one| (one.route.name.clone(), one.basis.clone()))
                .collect()
        };
        if now.known != plan.known || bases(&now) != bases(plan) {
            return Ok(None);
        }
        let put = if now.known.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        if let Some(channel) = now.known.clone()
            && channel.version == plan.version
        {
            return Ok(Some(Moved {
                channel,
                put,
                routes: Vec::new(),
            }));
        }
        let moved = moved(now.known, plugin, channel, &plan.version, because, gate);
        self.pin(&moved.target())?;
        self.tables
            .channels
            .put(&moved.reference(), &moved)
            .map_err(super::storage)?;
        self.state_mut()
            .channels
            .insert(moved.reference(), moved.clone());
        let routes = now.routes.into_iter();
        Ok(Some(Moved {
            channel: moved,
            put,
            routes: routes.map(|one| (one.route, one.paused)).collect(),
        }))
    }

    /// # Errors
    /// `unknown-channel`, `channel-in-use`.
    pub fn delete_channel(&self, plugin: &str, channel: &str) -> Result<(), Problem> {
        let _changing = self.changing();
        let reference = self.channel(plugin, channel)?.reference();
        let users = self.state().users_of(&reference);
        if !users.is_empty() {
            let detail = format!("channel {reference} is used by: {}", users.join(", "));
            return Err(Problem::new(Code::ChannelInUse, detail));
        }
        self.tables
            .channels
            .delete(&reference)
            .map_err(super::storage)?;
        self.state_mut().channels.remove(&reference);
        Ok(())
    }
}

/// The channel after the move.
fn moved(
    known: Option<Channel>,
    plugin: &str,
    channel: &str,
    version: &str,
    because: Because,
    gate: Option<Gated>,
) -> Channel {
    let activation = |from| Activation {
        version: version.to_owned(),
        from,
        at: clock::to_text(clock::now()),
        by: because.by,
        reason: because.reason,
        gate,
    };
    match known {
        Some(mut channel) => {
            let from = std::mem::replace(&mut channel.version, version.to_owned());
            channel.history.push(activation(Some(from)));
            let too_many = channel.history.len().saturating_sub(HISTORY);
            channel.history.drain(..too_many);
            channel
        }
        None => Channel {
            plugin: plugin.to_owned(),
            channel: channel.to_owned(),
            version: version.to_owned(),
            history: vec![activation(None)],
        },
    }
}

/// Checks a move and looks up what runs with the version.
fn planned(
    state: &State,
    engine: &Engine,
    plugin: &str,
    channel: &str,
    version: &str,
) -> Result<PlannedMove, Problem> {
    let name = Name::new(channel)
        .map_err(|error| Problem::new(Code::InvalidName, format!("as a channel: {error}")))?;
    let versions = plugins::versions(state, plugin)?;
    if versions.contains_key(name.as_str()) {
        let detail = format!("{plugin}@{channel} is a version");
        return Err(Problem::new(Code::NameTaken, detail));
    }
    plugins::find(state, &format!("{plugin}@{version}"))?;
    let reference = format!("{plugin}@{channel}");
    let known = state.channels.get(&reference).cloned();
    let mut planned = PlannedMove {
        version: version.to_owned(),
        routes: Vec::new(),
        known,
    };
    if (planned.known.as_ref()).is_some_and(|channel| channel.version == version) {
        return Ok(planned);
    }
    let mut after = state.clone();
    let pointing = Channel {
        plugin: plugin.to_owned(),
        channel: channel.to_owned(),
        version: version.to_owned(),
        history: Vec::new(),
    };
    after.channels.insert(reference.clone(), pointing);
    for (name, route) in &state.routes {
        if route.document.names(&reference) {
            let resolved = routes::resolve(&after, engine, name, &route.document)
                .map_err(|problem| in_route(name, problem))?;
            planned.routes.push(Affected {
                basis: Basis::of(state, &resolved),
                route: Arc::new(resolved),
                paused: route.paused,
            });
        }
    }
    Ok(planned)
}

fn in_route(name: &Name, problem: Problem) -> Problem {
    let detail = format!("route {name} cannot run with it: {}", problem.detail);
    Problem::new(problem.code, detail)
}
