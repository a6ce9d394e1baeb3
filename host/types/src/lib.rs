//! Sandbar's words as types: names, positions, events, batches of events, provenance.
//!
//! Nothing here does IO or knows of tokio, axum, sled or wasmtime; every other part of the hub
//! speaks in these types.

pub mod batch;
pub mod event;
pub mod name;
pub mod position;
pub mod provenance;

pub use batch::{Batch, BatchBuilder, Column, ColumnBuilder};
pub use event::{AttributeValue, Event, EventRef};
pub use name::{Name, NameError};
pub use position::{Offset, PartitionId, Position};
pub use provenance::Provenance;
