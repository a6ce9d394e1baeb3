//! Events out: reading a topic page by page, following it live, subscriptions, listing dead letters,
//! and telling where an event came from and what became of it.
//!
//! It reads the log and knows nothing of plugins or of who publishes.

mod dead_letters;
mod event_filter;
mod lineage;
mod outgoing;
mod page;
mod reads;
mod subscription;
mod subscriptions;
mod tail;
mod webhook;

pub use dead_letters::{DeadLetterEntry, DeadLetterPage, Filter, RedrivenEntry, Selection};
pub use event_filter::EventFilter;
pub use lineage::{EventHead, Lineage, Origin, OutputAt, Producer, RouteFate, trace_outputs};
pub use outgoing::{Link, Made, Outgoing, Patience, Way};
pub use page::{PAGE_BYTES, Page, Reader, Start};
pub use subscription::{
    Again, Counts as SubscriptionCounts, Form, Gap, LaneStatus, Move, Offered, Outcome, Reset,
    ResetTarget, ResetTo, Settled, Subscription, SubscriptionState, SubscriptionStatus, Taken,
    TakenEvent, Token, attempt, check_offsets, stream,
};
pub use subscriptions::{SETTLED, Subscriptions};
pub use tail::{Cursor, Follower, Written, follow};
pub use webhook::{
    BreakerState, Gone, PushAttempt, PushBreaker, PushHandshake, PushReading, PushStatus, PushTest,
    ShownAnswer, ShownRequest, Webhook, Webhooks,
};
