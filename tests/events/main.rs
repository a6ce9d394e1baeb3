//! Events in and out over HTTP, contracts, and everything that must be refused.
#![allow(clippy::unwrap_used)]

mod compatibility;
mod contracts;
mod filtered;
mod idempotency;
mod infer;
mod limits;
mod publish;
mod read;
mod references;
mod refused;
