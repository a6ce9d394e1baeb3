//! Plugins: immutable versions of uploaded bytes, kept in files by digest, compiled at upload.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
};

use sandbar_plugin::Plugin;
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalog, Put, State, split_reference, user_name};
use crate::{
    clock,
    problem::{Code, Problem},
};

/// What is known of an uploaded plugin version.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct PluginRecord {
    pub name: String,
    pub version: String,
    /// `sha256:…` over the bytes as uploaded.
    pub digest: String,
    /// `transformer` or `column-transformer`.
    pub world: String,
    /// `component` or `core-module` (wrapped by the hub).
    pub form: String,
    /// The capabilities that it imports.
    pub imports: Vec<String>,
    /// Bytes as uploaded.
    pub size: u64,
    /// RFC 3339.
    pub created: String,
}

impl PluginRecord {
    /// `name@version`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// A plugin version that can be run.
#[derive(Clone, Debug)]
pub struct RegisteredPlugin {
    pub record: PluginRecord,
    pub plugin: Plugin,
}

impl Catalog {
    pub(super) fn load_plugins(&self) -> Result<(), String> {
        for (key, record) in self
            .tables
            .plugins
            .scan("")
            .map_err(|error| error.to_string())?
        {
            let path = self.plugin_folder.join(file_name(&record.digest));
            let bytes = fs::read(&path).map_err(|error| {
                format!("plugin {key}: cannot read {}: {error}", path.display())
            })?;
            let plugin = self
                .engine
                .compile(&bytes)
                .map_err(|error| format!("plugin {key}: {error}"))?;
            if plugin.digest() != record.digest {
                return Err(format!(
                    "plugin {key}: {} is damaged: its digest is {}, not {}",
                    path.display(),
                    plugin.digest(),
                    record.digest
                ));
            }
            let name = Name::new(&record.name).map_err(|error| error.to_string())?;
            let version = record.version.clone();
            let registered = RegisteredPlugin { record, plugin };
            self.state_mut()
                .plugins
                .entry(name)
                .or_default()
                .insert(version, registered);
        }
        Ok(())
    }

    /// All plugin versions, by name and version.
    #[must_use]
    pub fn plugins(&self) -> Vec<PluginRecord> {
        let state = self.state();
        state
            .plugins
            .values()
            .flat_map(|versions| versions.values())
            .map(|one| one.record.clone())
            .collect()
    }

    /// # Errors
    /// `unknown-plugin`.
    pub fn plugin(&self, name: &str, version: &str) -> Result<RegisteredPlugin, Problem> {
        find(&self.state(), &format!("{name}@{version}"))
    }

    /// Takes an upload: checks, compiles, keeps. Blocks for as long as compiling takes.
    ///
    /// # Errors
    /// `invalid-plugin` saying what does not fit, `version-taken`.
    pub fn put_plugin(
        &self,
        name: &str,
        version: &str,
        bytes: &[u8],
    ) -> Result<(PluginRecord, Put), Problem> {
        let name = user_name(name)?;
        let version = Name::new(version)
            .map_err(|error| Problem::new(Code::InvalidName, format!("as a version: {error}")))?;
        // Outside the lock: compiling takes long, and is the same whoever asks first.
        let plugin = self
            .engine
            .compile(bytes)
            .map_err(|refusal| Problem::new(Code::InvalidPlugin, refusal.to_string()))?;
        let _changing = self.changing();
        if let Ok(existing) = find(&self.state(), &format!("{name}@{version}")) {
            if existing.record.digest == plugin.digest() {
                return Ok((existing.record, Put::Kept));
            }
            return Err(Problem::new(
                Code::VersionTaken,
                format!(
                    "{name}@{version} is {}; these bytes are {}",
                    existing.record.digest,
                    plugin.digest()
                ),
            ));
        }
        if self
            .state()
            .channels
            .contains_key(&format!("{name}@{version}"))
        {
            let detail = format!("{name}@{version} is a channel");
            return Err(Problem::new(Code::NameTaken, detail));
        }
        let record = PluginRecord {
            name: name.to_string(),
            version: version.to_string(),
            digest: plugin.digest().to_owned(),
            world: plugin.world().as_str().to_owned(),
            form: plugin.form().as_str().to_owned(),
            imports: plugin
                .capabilities()
                .iter()
                .map(ToString::to_string)
                .collect(),
            size: bytes.len() as u64,
            created: clock::to_text(clock::now()),
        };
        keep(&self.plugin_folder, &file_name(&record.digest), bytes).map_err(|error| {
            let detail = format!("the plugin's bytes cannot be kept: {error}");
            match error.kind() {
                std::io::ErrorKind::StorageFull => Problem::new(Code::StorageFull, detail),
                _ => Problem::internal(detail),
            }
        })?;
        self.tables
            .plugins
            .put(&record.reference(), &record)
            .map_err(super::storage)?;
        let registered = RegisteredPlugin {
            record: record.clone(),
            plugin,
        };
        self.state_mut()
            .plugins
            .entry(name)
            .or_default()
            .insert(version.to_string(), registered);
        Ok((record, Put::Made))
    }

    /// Deletes a version that no route and no channel uses. `running` are references that routes still run with.
    ///
    /// # Errors
    /// `unknown-plugin`, `plugin-in-use`.
    pub fn delete_plugin(
        &self,
        name: &str,
        version: &str,
        running: &[(String, Name)],
    ) -> Result<(), Problem> {
        let _changing = self.changing();
        let found = self.plugin(name, version)?;
        let reference = found.record.reference();
        let mut users = self.state().users_of(&reference);
        let running = running.iter().filter(|(used, _)| *used == reference);
        users.extend(running.map(|(_, route)| route.to_string()));
        let channels = self.channels(name).into_iter();
        users.extend(
            channels
                .filter(|channel| channel.target() == reference)
                .map(|channel| format!("channel {}", channel.reference())),
        );
        users.sort();
        users.dedup();
        if !users.is_empty() {
            let detail = format!("plugin {reference} is used by: {}", users.join(", "));
            return Err(Problem::new(Code::PluginInUse, detail));
        }
        self.tables
            .plugins
            .delete(&reference)
            .map_err(super::storage)?;
        let mut state = self.state_mut();
        if let Some(versions) = state.plugins.get_mut(name) {
            versions.remove(version);
            if versions.is_empty() {
                state.plugins.remove(name);
            }
        }
        let digest = &found.record.digest;
        let shared = state
            .plugins
            .values()
            .flat_map(|versions| versions.values());
        if !shared
            .into_iter()
            .any(|other| other.record.digest == *digest)
        {
            // Only space is lost where this fails.
            let _ = fs::remove_file(self.plugin_folder.join(file_name(digest)));
        }
        Ok(())
    }
}

pub(super) fn find(state: &State, reference: &str) -> Result<RegisteredPlugin, Problem> {
    let unknown = |detail: String| Problem::new(Code::UnknownPlugin, detail);
    let (name, Some(version)) = split_reference(reference) else {
        return Err(unknown(format!(
            "{reference:?} has no version; write name@version"
        )));
    };
    let versions = versions(state, name)?;
    versions.get(version).cloned().ok_or_else(|| {
        let known: Vec<&str> = versions.keys().map(String::as_str).collect();
        unknown(format!(
            "plugin {name} has no version {version:?}; it has {}",
            known.join(", ")
        ))
    })
}

/// The version itself, or the one that the channel of this name points at.
pub(super) fn find_in_use(state: &State, reference: &str) -> Result<RegisteredPlugin, Problem> {
    match state.channels.get(reference) {
        Some(channel) => find(state, &channel.target()),
        None => find(state, reference),
    }
}

/// The versions of a plugin.
pub(super) fn versions<'a>(
    state: &'a State,
    name: &str,
) -> Result<&'a BTreeMap<String, RegisteredPlugin>, Problem> {
    state.plugins.get(name).ok_or_else(|| {
        let known: Vec<&str> = state.plugins.keys().map(Name::as_str).collect();
        let near = super::nearest(name, &known);
        Problem::new(
            Code::UnknownPlugin,
            format!("there is no plugin {name:?}{near}"),
        )
    })
}

/// `sha256:abc` → `abc.wasm`.
fn file_name(digest: &str) -> String {
    format!("{}.wasm", digest.trim_start_matches("sha256:"))
}

/// Writes a file so that after a crash it is there whole or not at all.
fn keep(folder: &Path, name: &str, bytes: &[u8]) -> std::io::Result<()> {
    fs::create_dir_all(folder)?;
    let draft = folder.join(format!("{name}.draft"));
    let mut file = File::create(&draft)?;
    let written = file.write_all(bytes).and_then(|()| file.sync_all());
    if let Err(error) = written {
        let _ = fs::remove_file(&draft);
        return Err(error);
    }
    fs::rename(&draft, folder.join(name))?;
    File::open(folder)?.sync_all()
}
