//! Events out: reading a topic page by page, following it live, listing dead letters, and telling
//! where an event came from and what became of it.
//!
//! It reads the log and knows nothing of plugins or of who publishes.

mod dead_letters;
mod lineage;
mod page;
mod tail;
mod webhook;

pub use dead_letters::{DeadLetterEntry, DeadLetterPage, Filter};
pub use lineage::{EventHead, Lineage, Origin, OutputAt, RouteFate, trace_outputs};
pub use page::{Page, Reader, Start};
pub use tail::{Cursor, Tailed, follow};
