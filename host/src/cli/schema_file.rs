//! Schemas in files, and contracts of a hub, as definitions: the format by the file's ending, references by
//! name.

use std::{
    collections::HashMap,
    path::{Path, PathBuf},
    sync::Arc,
};

use clap::Args;
use sandbar_types::Name;
use serde_json::{Value, json};

use super::{
    Client,
    client::{Failure, path, read},
};
use crate::contract::{Contract, ContractReference, Definition, Format, flaw};

/// How a schema's file is to be read.
#[derive(Clone, Debug, Default, Args)]
pub(super) struct SchemaArgs {
    /// json, avro or protobuf [default: by the file's ending: .json, .avsc, .proto].
    #[arg(long, value_parser = format)]
    pub format: Option<Format>,
    /// What the schema refers to: the name that it uses and a contract's version, NAME=CONTRACT@VERSION.
    /// Where nothing is asked of a hub, NAME=FILE. May be given more than once.
    #[arg(long = "reference", value_name = "NAME=CONTRACT@VERSION", value_parser = reference)]
    pub references: Vec<(String, String)>,
}

fn format(text: &str) -> Result<Format, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}

fn reference(text: &str) -> Result<(String, String), String> {
    let (name, target) = text
        .rsplit_once('=')
        .filter(|(name, target)| !name.is_empty() && !target.is_empty())
        .ok_or_else(|| format!("{text:?} is not NAME=CONTRACT@VERSION"))?;
    Ok((name.to_owned(), target.to_owned()))
}

/// The format that a file's ending says.
pub(super) fn format_of(file: &Path) -> Option<Format> {
    match file.extension()?.to_str()? {
        "json" => Some(Format::Json),
        "avsc" => Some(Format::Avro),
        "proto" => Some(Format::Protobuf),
        _ => None,
    }
}

/// Reads a schema's file; what is not JSON where it must be is told with the file.
pub(super) fn read_schema(file: &Path, format: Option<Format>) -> Result<Definition, Failure> {
    let format = format.or_else(|| format_of(file)).unwrap_or_default();
    let wrong = |reason: String| Failure::Invalid(format!("{}: {reason}", file.display()));
    let bytes = read(file)?;
    let text = String::from_utf8(bytes).map_err(|_| wrong("is not UTF-8".to_owned()))?;
    if format != Format::Protobuf {
        let parsed: Result<Value, _> = serde_json::from_str(&text);
        parsed.map_err(|error| wrong(error.to_string()))?;
    }
    Ok(Definition {
        format,
        schema: Value::String(text),
        ..Definition::default()
    })
}

/// `CONTRACT@VERSION` as a reference.
pub(super) fn named(name: &str, target: &str) -> Result<ContractReference, Failure> {
    let usage = |reason: String| Failure::Usage(format!("--reference {name}={target}: {reason}"));
    let (contract, version) = target
        .split_once('@')
        .ok_or_else(|| usage("write CONTRACT@VERSION".to_owned()))?;
    Ok(ContractReference {
        name: name.to_owned(),
        contract: Name::new(contract).map_err(|error| usage(error.to_string()))?,
        version: version
            .parse()
            .map_err(|_| usage(format!("{version:?} is not a version number")))?,
    })
}

/// A file as what a hub is sent.
pub(super) fn to_send(
    file: &Path,
    args: &SchemaArgs,
    types: Option<&Path>,
) -> Result<Definition, Failure> {
    let mut definition = read_schema(file, args.format)?;
    if definition.format == Format::Json {
        definition = taken(definition, file)?;
    }
    for (name, target) in &args.references {
        definition.references.push(named(name, target)?);
    }
    if let Some(types) = types {
        let read = super::client::read_json(types)?;
        let invalid = |error| Failure::Invalid(format!("{}: {error}", types.display()));
        definition.types = Some(serde_json::from_value(read).map_err(invalid)?);
    }
    Ok(definition)
}

fn taken(definition: Definition, file: &Path) -> Result<Definition, Failure> {
    let invalid = |error| Failure::Invalid(format!("{}: {error}", file.display()));
    definition.read().map_err(invalid)
}

/// Definitions with all that they refer to, gathered from files and from a hub.
pub(super) struct Sources<'a> {
    client: &'a Client,
    /// By file.
    files: HashMap<PathBuf, Name>,
    /// By `contract@version`.
    contracts: HashMap<String, Arc<Definition>>,
}

impl<'a> Sources<'a> {
    pub fn new(client: &'a Client) -> Self {
        Self {
            client,
            files: HashMap::new(),
            contracts: HashMap::new(),
        }
    }

    /// A file, refused where a hub would refuse it.
    pub fn file(
        &mut self,
        file: &Path,
        args: &SchemaArgs,
        types: Option<Value>,
    ) -> Result<Definition, Failure> {
        let wrong = |reason: String| Failure::Invalid(format!("{}: {reason}", file.display()));
        let mut definition = read_schema(file, args.format)?;
        definition.types = types
            .map(serde_json::from_value)
            .transpose()
            .map_err(|error| wrong(format!("--types: {error}")))?;
        let definition = taken(definition, file)?;
        // The arguments are for all files; those of another format are for other files.
        let references: Vec<_> = (args.references.iter())
            .filter(|(_, target)| {
                let format = format_of(Path::new(target));
                format.is_none_or(|format| format == definition.format)
            })
            .cloned()
            .collect();
        let definition = self.refer(definition, &references, &references)?;
        let definition = definition
            .printed()
            .map_err(|error| wrong(error.to_string()))?;
        if let Some((pointer, reason)) = flaw(&definition) {
            return Err(wrong(format!("{pointer}: {reason}")));
        }
        Contract::compile(&definition).map_err(|error| wrong(error.to_string()))?;
        Ok(definition)
    }

    /// Puts what a definition refers to beside it. A file of several may refer to the others.
    fn refer(
        &mut self,
        mut definition: Definition,
        references: &[(String, String)],
        all: &[(String, String)],
    ) -> Result<Definition, Failure> {
        let mut referenced = Vec::new();
        for (name, target) in references {
            let file = Path::new(target);
            if !file.is_file() {
                let reference = named(name, target)?;
                referenced.push(self.version(&reference.target())?);
                definition.references.push(reference);
                continue;
            }
            let contract = match self.files.get(file) {
                Some(known) => known.clone(),
                None => {
                    let next = Name::new(&format!("file-{}", self.files.len()));
                    let contract = next.map_err(Failure::local)?;
                    self.files.insert(file.to_owned(), contract.clone());
                    let inner = taken(read_schema(file, Some(definition.format))?, file)?;
                    // What the text does not name it does not use.
                    let text = inner.text().into_owned();
                    let used: Vec<_> = (all.iter())
                        .filter(|(other, path)| path != target && text.contains(other.as_str()))
                        .cloned()
                        .collect();
                    let inner = self.refer(inner, &used, all)?;
                    self.contracts
                        .insert(format!("{contract}@1"), Arc::new(inner));
                    contract
                }
            };
            let reference = ContractReference {
                name: name.clone(),
                contract,
                version: 1,
            };
            let known = self.contracts.get(&reference.target()).cloned();
            referenced.push(known.ok_or_else(|| {
                Failure::Invalid(format!(
                    "{}: the files refer to each other in a circle",
                    target
                ))
            })?);
            definition.references.push(reference);
        }
        definition.referenced = referenced.into();
        Ok(definition)
    }

    /// A version of a hub's contract: `contract@version`.
    pub fn version(&mut self, target: &str) -> Result<Arc<Definition>, Failure> {
        if let Some(known) = self.contracts.get(target) {
            return Ok(known.clone());
        }
        let (name, version) = target.split_once('@').unwrap_or((target, ""));
        let found = self
            .client
            .get(&path(&["contracts", name, "versions", version])?)?;
        let document = json!({
            "format": found["format"],
            "schema": found["schema"],
            "types": found["types"],
            "references": found.get("references").cloned().unwrap_or_else(|| json!([])),
        });
        let mut definition: Definition =
            serde_json::from_value(document).map_err(Failure::local)?;
        let mut referenced = Vec::new();
        for reference in &definition.references {
            referenced.push(self.version(&reference.target())?);
        }
        definition.referenced = referenced.into();
        let definition = Arc::new(definition);
        self.contracts.insert(target.to_owned(), definition.clone());
        Ok(definition)
    }
}
