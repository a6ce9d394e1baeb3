//! What the hub shows of itself: documents, metrics, the command line; and that the CloudEvents SDKs
//! of other languages understand it.
#![allow(clippy::unwrap_used)]

mod cli;
mod clients;
mod contract_cli;
mod documents;
mod formats;
mod metrics;
mod openapi;
mod plugin_cli;
