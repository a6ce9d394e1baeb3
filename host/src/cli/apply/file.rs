//! Reading `sandbar.yaml`: every slip is told with file, line and, where one is near, the word that
//! was meant.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::entries::Entries;
use crate::{
    catalog::{RouteDocument, SubscriptionDocument, TopicDocument},
    cli::{
        client::{Failure, read_json},
        schema_file,
        slip::meant,
    },
    contract::{Definition, Format, Policy, Rule},
};

/// What the file says.
#[derive(Debug, Default)]
pub(super) struct Wanted {
    /// Without their references.
    pub contracts: BTreeMap<String, Definition>,
    /// Of contracts: from the name that the schema uses to `name@version`, or `name` alone for the version
    /// that the file brings.
    pub contract_references: BTreeMap<String, BTreeMap<String, String>>,
    /// What the file says of contracts besides their versions, as the members of their documents.
    pub agreements: BTreeMap<String, Map<String, Value>>,
    pub plugins: BTreeMap<String, PluginFile>,
    pub topics: BTreeMap<String, TopicDocument>,
    pub routes: BTreeMap<String, RouteDocument>,
    pub subscriptions: BTreeMap<String, SubscriptionDocument>,
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
    contracts: Entries<ContractEntry>,
    #[serde(default)]
    plugins: Entries<PluginEntry>,
    #[serde(default)]
    topics: Entries<TopicDocument>,
    #[serde(default)]
    routes: Entries<RouteDocument>,
    #[serde(default)]
    subscriptions: Entries<SubscriptionDocument>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ContractEntry {
    /// A schema: `.json`, `.avsc` or `.proto`.
    schema: PathBuf,
    /// Default: what the file's ending says.
    format: Option<Format>,
    /// From the name that the schema uses to a contract: `name@version`, or `name` alone for the version that
    /// the file brings.
    #[serde(default)]
    references: BTreeMap<String, String>,
    /// From event type to the part of the schema that holds for it: a file, or given here.
    types: Option<Types>,
    #[serde(default)]
    description: String,
    /// What new versions have to keep.
    compatibility: Option<Rule>,
    policy: Option<Policy>,
    owner: Option<String>,
    deprecated: Option<bool>,
}

impl ContractEntry {
    /// The members of the contract's document that are given.
    fn agreement(&self) -> Map<String, Value> {
        let members = [
            ("compatibility", self.compatibility.map(|rule| json!(rule))),
            ("policy", self.policy.map(|policy| json!(policy))),
            ("owner", self.owner.as_ref().map(|owner| json!(owner))),
            ("deprecated", self.deprecated.map(|yes| json!(yes))),
        ];
        let given = members.into_iter();
        given
            .filter_map(|(name, value)| Some((name.to_owned(), value?)))
            .collect()
    }
}

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "`types` is a file, or a map from event type to a reference such as #/definitions/order"
)]
enum Types {
    File(PathBuf),
    Inline(BTreeMap<String, String>),
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct PluginEntry {
    /// As it is written: text takes the letters of a number too, so that 1.10 does not become 1.1.
    version: String,
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
        topics: document.topics.0,
        routes: document.routes.0,
        subscriptions: document.subscriptions.0,
        place,
        ..Wanted::default()
    };
    for (name, entry) in document.contracts.0 {
        let agreement = entry.agreement();
        if !agreement.is_empty() {
            wanted.agreements.insert(name.clone(), agreement);
        }
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
        let read = schema_file::read_schema(&folder.join(entry.schema), entry.format);
        let definition = read.map_err(|failure| wanted.at("contracts", &name, failure))?;
        let definition = definition
            .read()
            .map_err(|error| wanted.error("contracts", &name, &error.to_string()))?;
        wanted
            .contract_references
            .insert(name.clone(), entry.references);
        wanted.contracts.insert(
            name,
            Definition {
                types,
                description: entry.description,
                ..definition
            },
        );
    }
    for (name, entry) in document.plugins.0 {
        let file = folder.join(entry.file);
        let bytes = std::fs::read(&file).map_err(|error| {
            let reason = format!(
                "cannot read {}: {error}; is the plugin built?",
                file.display()
            );
            wanted.error("plugins", &name, &reason)
        })?;
        let version = entry.version;
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
            Failure::Local(reason) | Failure::Missing(reason) | Failure::Invalid(reason) => {
                self.error(section, name, &reason)
            }
            other => other,
        }
    }

    /// The line (from 1) on which an entry of a section begins; the section's own where the entry is
    /// not on a line of its own.
    fn line_of(&self, section: &str, name: &str) -> Option<usize> {
        let is_key = |line: &str, key: &str| {
            let line = line.trim_start().trim_start_matches(['"', '\'']);
            line.strip_prefix(key).is_some_and(|rest| {
                let rest = rest.trim_start_matches(['"', '\'']);
                rest.trim_start().starts_with(':')
            })
        };
        let indent = |line: &str| line.len() - line.trim_start().len();
        let mut lines = self
            .place
            .text
            .lines()
            .enumerate()
            .filter(|(_, line)| !line.trim().is_empty() && !line.trim_start().starts_with('#'));
        let (start, _) = lines.find(|(_, line)| indent(line) == 0 && is_key(line, section))?;
        let mut inside = lines.take_while(|(_, line)| indent(line) > 0).peekable();
        // Entries stand as deep as the first one; what is deeper is inside of them.
        let depth = inside.peek().map(|(_, line)| indent(line));
        let found = inside
            .find(|(_, line)| Some(indent(line)) == depth && is_key(line, name))
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
    fn an_entry_that_stands_there_twice_is_refused() {
        let reason = refusal("topics:\n  d: {partitions: 3}\n  d: {partitions: 4}\n");
        assert!(
            reason.starts_with("sandbar.yaml:") && reason.contains("\"d\" stands here twice"),
            "{reason}"
        );
    }

    #[test]
    fn a_version_is_taken_as_it_is_written() {
        for written in ["1.10", "1.0.0", "7", "\"1.10\""] {
            let text = format!("plugins: {{p: {{version: {written}, file: x.wasm}}}}");
            let document = parse(Path::new("f"), &text).unwrap_or_else(|_| panic!("{written}"));
            assert_eq!(document.plugins.0["p"].version, written.trim_matches('"'));
        }
    }

    #[test]
    fn types_that_are_neither_file_nor_map_are_told_in_words() {
        let reason = refusal("contracts:\n  c: {schema: s.json, types: [5]}\n");
        assert!(reason.contains("`types` is a file, or a map"), "{reason}");
    }

    #[test]
    fn entries_are_found_by_line() {
        let text = [
            "topics:",
            "  a: {}",
            "",
            "routes:",
            "  # first",
            "  a:",
            "    to: [x]",
            "  to :",
            "    from: x",
            "plugins: {to: {}}",
            "contracts:",
            "  \"b\": {}",
        ]
        .join("\n");
        let place = Place {
            path: PathBuf::from("f"),
            text,
        };
        let wanted = Wanted {
            place,
            ..Wanted::default()
        };
        assert_eq!(wanted.line_of("topics", "a"), Some(2));
        assert_eq!(wanted.line_of("routes", "a"), Some(6));
        assert_eq!(wanted.line_of("routes", "to"), Some(8));
        assert_eq!(wanted.line_of("plugins", "to"), Some(10));
        assert_eq!(wanted.line_of("plugins", "b"), Some(10));
        assert_eq!(wanted.line_of("contracts", "b"), Some(12));
        // A name that only a later section has is not taken from there.
        assert_eq!(wanted.line_of("topics", "to"), Some(1));
        assert_eq!(wanted.line_of("views", "b"), None);
    }
}
