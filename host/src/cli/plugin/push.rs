//! `sandbar plugin push`: uploads a version, which never changes.

use std::path::{Path, PathBuf};

use clap::Args;
use reqwest::Method;
use serde_json::Value;

use super::{
    super::{
        Client, Outcome,
        client::{Failure, read},
        table,
    },
    HEAD, path,
    project::Project,
    row,
    trial::Subject,
};

#[derive(Debug, Args)]
pub(in crate::cli) struct PushArgs {
    /// NAME@VERSION; default: as sandbar-plugin.toml says.
    #[arg(value_name = "NAME@VERSION")]
    plugin: Option<String>,
    /// The file, or the project's folder; default: this folder.
    #[arg(value_name = "FILE|DIR")]
    from: Option<PathBuf>,
}

pub(super) fn run(client: &Client, args: &PushArgs) -> Outcome {
    let (reference, file) = args.what()?;
    let answer = push(client, &reference, read(&file)?)?;
    client.print(&answer, |answer| table::print(HEAD, &[row(answer)]));
    Ok(())
}

impl PushArgs {
    /// Under which name and version, and which file.
    fn what(&self) -> Result<(String, PathBuf), Failure> {
        let (reference, from) = match (&self.plugin, &self.from) {
            (None, _) => (None, Path::new(".")),
            // Alone it may be either; a folder may have an @ in its name.
            (Some(one), None) if !one.contains('@') || Path::new(one).exists() => {
                (None, Path::new(one))
            }
            (Some(reference), None) => (Some(reference), Path::new(".")),
            (Some(reference), Some(from)) => (Some(reference), from.as_path()),
        };
        let file = Subject::find(from)?.file;
        let reference = match reference {
            Some(reference) => reference.clone(),
            None if from.is_dir() => Project::read(from)?.reference(),
            None => {
                let from = from.display();
                return Err(Failure::Usage(format!(
                    "under which name? write 'sandbar plugin push NAME@VERSION {from}'"
                )));
            }
        };
        Ok((reference, file))
    }
}

/// Uploads bytes as `name@version`.
pub(in crate::cli) fn push(
    client: &Client,
    plugin: &str,
    bytes: Vec<u8>,
) -> Result<Value, Failure> {
    let request = client.request(Method::PUT, &path(plugin)?);
    client.answer(
        request
            .header("content-type", "application/wasm")
            .body(bytes),
    )
}
