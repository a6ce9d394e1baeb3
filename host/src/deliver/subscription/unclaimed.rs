//! Events on their way to a caller who may have gone away.

use std::sync::Arc;

use super::{Subscription, group::Claim, lane::Lane};

/// What was taken and has not reached the caller. Dropped, it gives the events back.
pub(super) struct Unclaimed {
    pub(super) subscription: Arc<Subscription>,
    pub(super) claims: Vec<(Arc<Lane>, Claim)>,
}

impl Unclaimed {
    /// They reached the caller.
    pub(super) fn claim(mut self) {
        self.claims.clear();
    }
}

impl Drop for Unclaimed {
    fn drop(&mut self) {
        self.subscription.give_back(&self.claims);
    }
}
