//! The versions that `dev` uploads: `VERSION-dev.1`, `VERSION-dev.2`, …

use super::super::{
    super::{Client, client::Failure},
    project::Project,
};

/// `name@version-dev.N` with the first N above those that the hub has.
pub(super) fn next(client: &Client, project: &Project) -> Result<String, Failure> {
    let listed = client.get("/v1/plugins")?;
    let plugins = listed["plugins"].as_array().into_iter().flatten();
    let numbers = plugins.filter_map(|plugin| {
        let (name, version) = (plugin["name"].as_str()?, plugin["version"].as_str()?);
        number(project, &format!("{name}@{version}"))
    });
    let next = numbers.max().unwrap_or(0) + 1;
    Ok(format!("{}{next}", prefix(project)))
}

/// Whether a reference is one that `dev` made of this project at its version.
pub(super) fn is_of(project: &Project, reference: &str) -> bool {
    number(project, reference).is_some()
}

fn prefix(project: &Project) -> String {
    format!("{}-dev.", project.reference())
}

fn number(project: &Project, reference: &str) -> Option<u64> {
    reference.strip_prefix(&prefix(project))?.parse().ok()
}
