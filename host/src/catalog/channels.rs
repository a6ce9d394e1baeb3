//! Channels: names for the version of a plugin that is in use. Routes that name `plugin@channel` move
//! together when it is moved, between two batches each.

use std::sync::Arc;

use sandbar_plugin::Engine;
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalog, Put, Resolved, State, plugins, routes};
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

    /// Points a channel at a version, and makes it where there is none. Blocks while every route that
    /// runs with it is configured once with the new version: one that cannot run refuses the move.
    ///
    /// # Errors
    /// `unknown-plugin`, `name-taken`, and what a route says to the new version; nothing has changed
    /// then.
    pub fn activate(
        &self,
        plugin: &str,
        channel: &str,
        version: &str,
        because: Because,
    ) -> Result<Moved, Problem> {
        let _changing = self.changing();
        self.activate_locked(plugin, channel, version, because)
    }

    /// Points a channel back at the version before.
    ///
    /// # Errors
    /// `unknown-channel`, `nothing-to-roll-back`, and all that activating that version says.
    pub fn roll_back(
        &self,
        plugin: &str,
        channel: &str,
        because: Because,
    ) -> Result<Moved, Problem> {
        let _changing = self.changing();
        let known = self.channel(plugin, channel)?;
        let before = known.history.last().and_then(|last| last.from.clone());
        let Some(version) = before else {
            let detail = format!(
                "channel {} has had no version but {}",
                known.reference(),
                known.version
            );
            return Err(Problem::new(Code::NothingToRollBack, detail));
        };
        self.activate_locked(plugin, channel, &version, because)
    }

    fn activate_locked(
        &self,
        plugin: &str,
        channel: &str,
        version: &str,
        because: Because,
    ) -> Result<Moved, Problem> {
        let name = Name::new(channel)
            .map_err(|error| Problem::new(Code::InvalidName, format!("as a channel: {error}")))?;
        let state = self.state().clone();
        let versions = plugins::versions(&state, plugin)?;
        if versions.contains_key(name.as_str()) {
            let detail = format!("{plugin}@{channel} is a version");
            return Err(Problem::new(Code::NameTaken, detail));
        }
        plugins::find(&state, &format!("{plugin}@{version}"))?;
        let known = state.channels.get(&format!("{plugin}@{channel}")).cloned();
        let put = if known.is_some() {
            Put::Kept
        } else {
            Put::Made
        };
        if let Some(channel) = known.clone()
            && channel.version == version
        {
            return Ok(Moved {
                channel,
                put,
                routes: Vec::new(),
            });
        }
        let moved = moved(known, plugin, channel, version, because);
        let mut after = state;
        after.channels.insert(moved.reference(), moved.clone());
        let routes = ready(&after, &self.engine, &moved)?;
        self.pin(&moved.target())?;
        self.tables
            .channels
            .put(&moved.reference(), &moved)
            .map_err(super::storage)?;
        self.state_mut()
            .channels
            .insert(moved.reference(), moved.clone());
        Ok(Moved {
            channel: moved,
            put,
            routes,
        })
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
) -> Channel {
    let activation = |from| Activation {
        version: version.to_owned(),
        from,
        at: clock::to_text(clock::now()),
        by: because.by,
        reason: because.reason,
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

/// The routes of a channel, each configured once with what `state` says.
fn ready(
    state: &State,
    engine: &Engine,
    channel: &Channel,
) -> Result<Vec<(Arc<Resolved>, bool)>, Problem> {
    let reference = channel.reference();
    let mut ready = Vec::new();
    for (name, route) in &state.routes {
        if !route.document.names(&reference) {
            continue;
        }
        let in_route = |problem: Problem| {
            let detail = format!("route {name} cannot run with it: {}", problem.detail);
            Problem::new(problem.code, detail)
        };
        let resolved = routes::resolve(state, engine, name, &route.document).map_err(in_route)?;
        routes::try_configuration(&resolved).map_err(in_route)?;
        ready.push((Arc::new(resolved), route.paused));
    }
    Ok(ready)
}
