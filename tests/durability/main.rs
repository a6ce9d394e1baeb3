//! What must survive: kill -9, a full disk, a stop under load, damage.
#![allow(clippy::unwrap_used)]

mod damaged;
mod full_disk;
mod kill9;
mod stop;
