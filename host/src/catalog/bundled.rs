//! The plugins that the hub's binary carries.
//!
//! They are there under their name and version like uploaded ones, but nothing is copied or compiled
//! before one is used. A route that takes one pins it: record and bytes go into the data folder as
//! those of an upload do. So the route goes on with the very same bytes after an upgrade of the hub to
//! a binary that carries another version. What the data folder holds under a name and version counts
//! before what the binary carries.

use sandbar_plugin::{Form, World, digest};
use sandbar_types::Name;

use super::{Catalog, PluginRecord, RegisteredPlugin};

/// A plugin as `build.rs` gathered it.
#[derive(Debug)]
pub(super) struct Bundled {
    name: &'static str,
    version: &'static str,
    /// RFC 3339.
    released: &'static str,
    pub(super) bytes: &'static [u8],
}

include!(concat!(env!("OUT_DIR"), "/bundled.rs"));

impl Bundled {
    /// What is known of it without compiling it: all of them are made with the SDK and import nothing
    /// that a route would have to grant.
    fn record(&self) -> PluginRecord {
        PluginRecord {
            name: self.name.to_owned(),
            version: self.version.to_owned(),
            digest: digest(self.bytes),
            world: World::ColumnTransformer.as_str().to_owned(),
            form: Form::CoreModule.as_str().to_owned(),
            imports: vec!["log".to_owned()],
            size: self.bytes.len() as u64,
            created: self.released.to_owned(),
            bundled: true,
        }
    }
}

impl Catalog {
    /// Makes known what the binary carries. Comes before [`Catalog::load_plugins`].
    pub(super) fn load_bundled(&self) -> Result<(), String> {
        for bundled in ALL {
            let record = bundled.record();
            let name = Name::new(&record.name).map_err(|error| error.to_string())?;
            self.state_mut().plugins.entry(name).or_default().insert(
                record.version.clone(),
                RegisteredPlugin::bundled(record, bundled),
            );
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use sandbar_plugin::{Engine, EngineOptions};

    use super::*;

    #[test]
    fn the_records_say_what_the_plugins_are() {
        let engine = Engine::new(EngineOptions::default()).unwrap();
        for bundled in ALL {
            let record = bundled.record();
            let plugin = engine.compile(bundled.bytes).unwrap();
            let imports: Vec<String> = plugin
                .capabilities()
                .iter()
                .map(ToString::to_string)
                .collect();
            assert_eq!(
                (
                    plugin.digest(),
                    plugin.world().as_str(),
                    plugin.form().as_str(),
                    &imports
                ),
                (
                    record.digest.as_str(),
                    record.world.as_str(),
                    record.form.as_str(),
                    &record.imports
                ),
                "{}",
                record.reference()
            );
        }
    }
}
