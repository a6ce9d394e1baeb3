//! Events in and out over HTTP, contracts, and everything that must be refused.
#![allow(clippy::unwrap_used)]

mod binding;
mod compatibility;
mod contracts;
mod costs;
mod filtered;
mod idempotency;
mod impact;
mod infer;
mod limits;
mod publish;
mod read;
mod references;
mod refused;
