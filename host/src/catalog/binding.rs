//! How a topic that holds events came to be bound to another contract: kept with the topic.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// When, by whom and why a topic that was there was bound to its contract, and what its stored events said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Binding {
    /// RFC 3339.
    pub at: String,
    pub by: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub reason: String,
    /// The last events that were held against the contract.
    pub checked: u64,
    /// How many of those it refuses.
    pub refused: u64,
    /// It was bound all the same.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
}
