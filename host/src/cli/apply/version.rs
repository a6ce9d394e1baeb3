//! Which version of a contract the file's definition is, or becomes.

use serde_json::Value;

/// A contract of the file and the version in which the hub has it, or will have it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Version {
    pub number: u64,
    /// Whether it is there already.
    pub present: bool,
}

impl Version {
    /// The version that the hub found with this content; else the one that comes next.
    pub fn of(listed: &[Value], known: Option<u64>) -> Self {
        let numbers = listed
            .iter()
            .filter_map(|version| version["version"].as_u64());
        Self {
            number: known.unwrap_or_else(|| numbers.max().unwrap_or(0) + 1),
            present: known.is_some(),
        }
    }
}
