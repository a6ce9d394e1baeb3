//! The hub. The modules stand in the order of an event's way; ARCHITECTURE.md is the map.

pub mod contract;
pub mod deliver;
pub mod gate;
pub mod ingest;
pub mod process;
pub mod shadow;

pub mod jobs;

pub mod catalog;
pub mod describe;
pub mod idempotency;
pub mod meta;

pub mod api;
pub mod config;
pub mod hub;
pub mod serve;

pub mod clock;
pub mod dead_letter;
pub mod dial;
pub mod diff;
pub mod metrics;
mod omit;
pub mod pointer;
pub mod problem;
pub mod room;
pub mod trial;

pub mod bench;
pub mod cli;
