//! Events in: CloudEvents over HTTP, checked, told apart from repeats, and put on the log.
//!
//! It knows nothing of plugins or sled. A publish is answered when the log says that it is durable.

mod check;
pub mod cloudevents;
pub mod dedupe;
mod publish;
mod quota;
mod recent;

use std::sync::Arc;

use sandbar_log::{Append, Appended, Log};

pub use check::{Checked, Rejected, check};
pub use publish::{Accepted, Handling, Published, Publisher};

/// Appends, and waits without blocking a thread.
pub(crate) async fn append(
    log: &Arc<dyn Log>,
    frames: Vec<Append>,
) -> sandbar_log::Result<Vec<Appended>> {
    let (sender, receiver) = tokio::sync::oneshot::channel();
    log.submit(frames, Box::new(move |result| drop(sender.send(result))));
    receiver.await.unwrap_or(Err(sandbar_log::Error::Closed))
}
