//! Events out: reading a topic page by page, following it live, listing dead letters, and telling
//! where an event came from and what became of it.
//!
//! It reads the log and knows nothing of plugins or of who publishes.

mod dead_letters;
mod lineage;
mod page;
mod tail;

pub use dead_letters::{DeadLetterEntry, DeadLetterPage, Filter, RedrivenEntry, Selection};
pub use lineage::{EventHead, Lineage, Origin, OutputAt, Producer, RouteFate, trace_outputs};
pub use page::{Page, Reader, Start};
pub use tail::{Cursor, Tailed, follow};
