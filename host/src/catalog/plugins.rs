//! Plugins: immutable versions of bytes, uploaded or carried by the hub, kept in files by digest.
//! Uploads are compiled at once, carried ones when they are first used.

use std::{
    collections::BTreeMap,
    fs::{self, File},
    io::Write,
    path::Path,
    sync::{Arc, OnceLock},
};

use sandbar_plugin::{Engine, Plugin, digest};
use sandbar_types::Name;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Catalog, Put, State, bundled::Bundled, split_reference, user_name};
use crate::{
    clock,
    problem::{Code, Problem},
};

/// What is known of a plugin version.
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
    /// Whether it ships with the hub that answers. Such a version cannot be deleted.
    // Not kept: another hub on the same data may not carry it.
    #[serde(default, skip_deserializing)]
    #[schema(required)]
    pub bundled: bool,
}

impl PluginRecord {
    /// `name@version`.
    #[must_use]
    pub fn reference(&self) -> String {
        format!("{}@{}", self.name, self.version)
    }
}

/// A plugin version. Cheap to clone.
#[derive(Clone, Debug)]
pub struct RegisteredPlugin {
    pub record: PluginRecord,
    body: Arc<Body>,
}

#[derive(Debug)]
struct Body {
    /// What the hub carries, when it does.
    carried: Option<&'static Bundled>,
    plugin: OnceLock<Plugin>,
}

impl RegisteredPlugin {
    fn uploaded(record: PluginRecord, plugin: Plugin) -> Self {
        let body = Body {
            carried: None,
            plugin: OnceLock::from(plugin),
        };
        Self {
            record,
            body: Arc::new(body),
        }
    }

    pub(super) fn bundled(record: PluginRecord, carried: &'static Bundled) -> Self {
        let body = Body {
            carried: Some(carried),
            plugin: OnceLock::new(),
        };
        Self {
            record,
            body: Arc::new(body),
        }
    }

    /// The plugin as it can be run. The first use of one that the hub carries blocks until it is
    /// compiled, unless an earlier start of the hub did it.
    ///
    /// # Errors
    /// When it cannot be compiled.
    pub fn plugin(&self, engine: &Engine) -> Result<Plugin, Problem> {
        if let Some(plugin) = self.body.plugin.get() {
            return Ok(plugin.clone());
        }
        let bytes = self.body.carried.map_or(&[][..], |carried| carried.bytes);
        let plugin = engine.compile(bytes).map_err(|refusal| {
            Problem::internal(format!("plugin {}: {refusal}", self.record.reference()))
        })?;
        Ok(self.body.plugin.get_or_init(|| plugin).clone())
    }
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
            if self.is_carried(&record, &path) {
                continue;
            }
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
            let registered = RegisteredPlugin::uploaded(record, plugin);
            self.state_mut()
                .plugins
                .entry(name)
                .or_default()
                .insert(version, registered);
        }
        Ok(())
    }

    /// Whether this record is that of a plugin that the hub carries and a route has pinned. Its file is
    /// written anew when it is not sound: another hub may need it.
    fn is_carried(&self, record: &PluginRecord, path: &Path) -> bool {
        let reference = record.reference();
        let Ok(known) = find(&self.state(), &reference) else {
            return false;
        };
        let Some(carried) = known.body.carried else {
            return false;
        };
        if known.record.digest != record.digest {
            tracing::warn!(
                plugin = reference,
                kept = record.digest,
                carried = known.record.digest,
                "the data folder holds other bytes under this version than the hub carries, and keeps them"
            );
            return false;
        }
        if !fs::read(path).is_ok_and(|bytes| digest(&bytes) == record.digest) {
            let written = keep(
                &self.plugin_folder,
                &file_name(&record.digest),
                carried.bytes,
            );
            tracing::warn!(
                plugin = reference,
                ?written,
                "the bytes in the data folder were not sound; the hub carries the same"
            );
        }
        true
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
            bundled: false,
        };
        self.store_plugin(&record, bytes)?;
        let registered = RegisteredPlugin::uploaded(record.clone(), plugin);
        self.state_mut()
            .plugins
            .entry(name)
            .or_default()
            .insert(version.to_string(), registered);
        Ok((record, Put::Made))
    }

    /// Keeps record and bytes, so that the next start finds them.
    fn store_plugin(&self, record: &PluginRecord, bytes: &[u8]) -> Result<(), Problem> {
        keep(&self.plugin_folder, &file_name(&record.digest), bytes).map_err(|error| {
            let detail = format!("the plugin's bytes cannot be kept: {error}");
            match error.kind() {
                std::io::ErrorKind::StorageFull => Problem::new(Code::StorageFull, detail),
                _ => Problem::internal(detail),
            }
        })?;
        self.tables
            .plugins
            .put(&record.reference(), record)
            .map_err(super::storage)
    }

    /// Whether nothing is left to be compiled of a version or channel; what is not there has nothing.
    #[must_use]
    pub fn is_prepared(&self, reference: &str) -> bool {
        let found = find_in_use(&self.state(), reference);
        found.map_or(true, |found| found.body.plugin.get().is_some())
    }

    /// Compiles a version, where that is still to be done, so that who uses it next need not wait for
    /// it. Blocks for as long as compiling takes.
    ///
    /// # Errors
    /// When it cannot be compiled. What is not there is told by whoever uses it.
    pub fn prepare(&self, reference: &str) -> Result<(), Problem> {
        let found = find_in_use(&self.state(), reference);
        match found {
            Ok(found) => found.plugin(&self.engine).map(drop),
            Err(_) => Ok(()),
        }
    }

    /// Keeps what is used and the hub carries, so that whoever uses it goes on with the same bytes
    /// under a hub that carries others.
    pub(super) fn pin(&self, reference: &str) -> Result<(), Problem> {
        let found = find_in_use(&self.state(), reference)?;
        let Some(carried) = found.body.carried else {
            return Ok(());
        };
        let kept = self.tables.plugins.get(&found.record.reference());
        if kept.map_err(super::storage)?.is_none() {
            self.store_plugin(&found.record, carried.bytes)?;
        }
        Ok(())
    }

    /// Deletes a version that no route and no channel uses. `running` are references that routes still
    /// run with.
    ///
    /// # Errors
    /// `unknown-plugin`, `plugin-bundled`, `plugin-in-use`.
    pub fn delete_plugin(
        &self,
        name: &str,
        version: &str,
        running: &[(String, Name)],
    ) -> Result<(), Problem> {
        let _changing = self.changing();
        let found = self.plugin(name, version)?;
        let reference = found.record.reference();
        if found.record.bundled {
            return Err(Problem::new(
                Code::PluginBundled,
                format!("{reference} is carried by the hub itself"),
            ));
        }
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
        let channels = state.channels.values();
        let channels = channels.filter(|channel| channel.plugin.as_str() == name);
        let channels: Vec<String> = channels
            .map(|channel| format!("{} (now {})", channel.channel, channel.version))
            .collect();
        let channels = match channels.as_slice() {
            [] => String::new(),
            some => format!(", and the channels {}", some.join(", ")),
        };
        unknown(format!(
            "plugin {name} has no version {version:?}; it has {}{channels}",
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_record_of_a_hub_that_carried_no_plugins_is_read() {
        let kept = r#"{"name":"mapper","version":"1","digest":"sha256:00","world":"transformer",
            "form":"component","imports":["log"],"size":7,"created":"2026-01-01T00:00:00Z"}"#;
        let record: PluginRecord = serde_json::from_str(kept).unwrap();
        assert_eq!(
            (record.reference().as_str(), record.bundled),
            ("mapper@1", false)
        );
    }
}
