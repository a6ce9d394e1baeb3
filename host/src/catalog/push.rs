//! The part of a subscription that says where its events are sent.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// A webhook.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushDocument {
    pub url: String,
    #[serde(default)]
    pub mode: PushMode,
    /// Several events a request, as a CloudEvents batch.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub batch: Option<PushBatch>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub headers: BTreeMap<String, String>,
    /// With which requests are signed (Standard Webhooks); the first signs, all are named.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<String>,
    /// Requests under way at a time.
    #[serde(default = "eight")]
    pub concurrency: u32,
    #[serde(default)]
    pub timeouts: PushTimeouts,
    /// Ask the receiver first (CloudEvents HTTP Webhook, validation handshake).
    #[serde(default)]
    pub handshake: bool,
    /// Certificates to trust beside the usual ones.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca_pem: Option<String>,
}

/// How an event is put into a request (CloudEvents HTTP binding).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum PushMode {
    #[default]
    Binary,
    Structured,
}

/// How many events go into one request.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PushBatch {
    pub max_events: u32,
}

/// How long a request may take, in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct PushTimeouts {
    pub connect_ms: u64,
    pub first_byte_ms: u64,
    pub total_ms: u64,
}

impl Default for PushTimeouts {
    fn default() -> Self {
        Self {
            connect_ms: 5000,
            first_byte_ms: 15_000,
            total_ms: 30_000,
        }
    }
}

fn eight() -> u32 {
    8
}
