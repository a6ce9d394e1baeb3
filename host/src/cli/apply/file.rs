//! Reading `sandbar.yaml`: every slip is told with file, line and, where one is near, the word that
//! was meant.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::Value;

use crate::{
    catalog::{RouteDocument, TopicDocument},
    cli::client::{Failure, read_json},
    contract::Definition,
};

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    pub contracts: BTreeMap<String, Definition>,
    pub plugins: BTreeMap<String, PluginFile>,
    pub topics: BTreeMap<String, TopicDocument>,
    pub routes: BTreeMap<String, RouteDocument>,
    place: Place,
}

/// A plugin's bytes and the version that they are to have.
#[derive(Debug)]
pub(super) struct PluginFile {
    pub version: String,
    pub bytes: Vec<u8>,
}

#[derive(Debug, Default)]
struct Place {
    path: PathBuf,
    text: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    #[serde(default)]
    contracts: BTreeMap<String, ContractEntry>,
    #[serde(default)]
    plugins: BTreeMap<String, PluginEntry>,
    #[serde(default)]
    topics: BTreeMap<String, TopicDocument>,
    #[serde(default)]
    routes: BTreeMap<String, RouteDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractEntry {
    /// A JSON Schema.
    schema: PathBuf,
    /// From event type to the part of the schema that holds for it: a file, or given here.
    types: Option<Types>,
    #[serde(default)]
    description: String,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum Types {
    File(PathBuf),
    Inline(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginEntry {
    /// Text, or a number as YAML reads one.
    version: Value,
    file: PathBuf,
}

/// Reads the file and everything that it names.
pub(super) fn read(path: &Path) -> Result<Wanted, Failure> {
    let text = std::fs::read_to_string(path)
        .map_err(|error| Failure::local(format!("cannot read {}: {error}", path.display())))?;
    let document = parse(path, &text)?;
    let folder = path.parent().unwrap_or(Path::new(""));
    let place = Place {
        path: path.to_owned(),
        text,
    };
    let mut wanted = Wanted {
        topics: document.topics,
        routes: document.routes,
        place,
        ..Wanted::default()
    };
    for (name, entry) in document.contracts {
        let types = match entry.types {
            None => None,
            Some(Types::Inline(types)) => Some(types),
            Some(Types::File(file)) => {
                let file = folder.join(file);
                let types = serde_json::from_value(read_json(&file)?);
                let types = types
                    .map_err(|error| Failure::local(format!("{}: {error}", file.display())))?;
                Some(types)
            }
        };
        let schema = read_json(&folder.join(entry.schema))
            .map_err(|failure| wanted.at("contracts", &name, failure))?;
        wanted.contracts.insert(
            name,
            Definition {
                schema,
                types,
                description: entry.description,
            },
        );
    }
    for (name, entry) in document.plugins {
        let version = match entry.version {
            Value::String(version) => version,
            other => other.to_string(),
        };
        let file = folder.join(entry.file);
        let bytes = std::fs::read(&file).map_err(|error| {
            let reason = format!(
                "cannot read {}: {error}; is the plugin built?",
                file.display()
            );
            wanted.error("plugins", &name, &reason)
        })?;
        wanted.plugins.insert(name, PluginFile { version, bytes });
    }
    Ok(wanted)
}

fn parse(path: &Path, text: &str) -> Result<Document, Failure> {
    serde_yaml_ng::from_str(text).map_err(|error| {
        let message = error.to_string();
        let place = match error.location() {
            Some(location) => format!(
                "{}:{}:{}",
                path.display(),
                location.line(),
                location.column()
            ),
            None => path.display().to_string(),
        };
        let message = message
            .rsplit_once(" at line ")
            .map_or(message.as_str(), |(before, _)| before);
        let meant = meant(message)
            .map(|word| format!("; did you mean `{word}`?"))
            .unwrap_or_default();
        Failure::local(format!("{place}: {message}{meant}"))
    })
}

/// The expected word that is nearest to the unknown one, from serde's message: unknown field `a`,
/// expected one of `b`, `c`.
fn meant(message: &str) -> Option<String> {
    let (_, rest) = message
        .split_once("unknown field `")
        .or_else(|| message.split_once("unknown variant `"))?;
    let (unknown, expected) = rest.split_once('`')?;
    let words = expected.split('`').skip(1).step_by(2);
    let scored = words.map(|word| (strsim::jaro_winkler(unknown, word), word));
    let best = scored.max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 > 0.75).then(|| best.1.to_owned())
}

impl Wanted {
    /// An error about an entry, with its line.
    pub(super) fn error(&self, section: &str, name: &str, reason: &str) -> Failure {
        let line = self
            .line_of(section, name)
            .map(|line| format!(":{line}"))
            .unwrap_or_default();
        Failure::local(format!(
            "{}{line}: {section}.{name}: {reason}",
            self.place.path.display()
        ))
    }

    fn at(&self, section: &str, name: &str, failure: Failure) -> Failure {
        match failure {
            Failure::Local(reason) => self.error(section, name, &reason),
            other => other,
        }
    }

    /// The line (from 1) on which an entry of a section begins.
    fn line_of(&self, section: &str, name: &str) -> Option<usize> {
        let is_key = |line: &str, key: &str| {
            let line = line.trim_start().trim_start_matches(['"', '\'']);
            line.strip_prefix(key)
                .is_some_and(|rest| rest.trim_start_matches(['"', '\'']).starts_with(':'))
        };
        let mut lines = self.place.text.lines().enumerate();
        let (start, _) = lines.find(|(_, line)| !line.starts_with(' ') && is_key(line, section))?;
        let found = lines
            .find(|(_, line)| is_key(line, name))
            .map(|(index, _)| index);
        Some(found.unwrap_or(start) + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> String {
        match parse(Path::new("sandbar.yaml"), text) {
            Err(Failure::Local(reason)) => reason,
            Err(other) => panic!("{other:?}"),
            Ok(_) => panic!("taken"),
        }
    }

    #[test]
    fn a_slip_is_told_with_line_and_suggestion() {
        let reason = refusal("topics:\n  orders:\n    partitons: 2\n");
        assert!(reason.starts_with("sandbar.yaml:3:"), "{reason}");
        assert!(
            reason.contains("unknown field `partitons`")
                && reason.ends_with("did you mean `partitions`?"),
            "{reason}"
        );
        let reason = refusal("topic: {}\n");
        assert!(
            reason.starts_with("sandbar.yaml:1:") && reason.ends_with("did you mean `topics`?"),
            "{reason}"
        );
        let reason = refusal("routes:\n  r: {from: a, to: b}\n");
        assert!(reason.starts_with("sandbar.yaml:2:"), "{reason}");
    }

    #[test]
    fn entries_are_found_by_line() {
        let text = "topics:\n  a: {}\nroutes:\n  a:\n    from: x\n".to_owned();
        let place = Place {
            path: PathBuf::from("f"),
            text,
        };
        let wanted = Wanted {
            place,
            ..Wanted::default()
        };
        assert_eq!(wanted.line_of("topics", "a"), Some(2));
        assert_eq!(wanted.line_of("routes", "a"), Some(4));
    }
}
