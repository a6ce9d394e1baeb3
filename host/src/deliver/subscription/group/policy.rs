//! What a subscription's document says of retries and bounds, as the group takes it.

use crate::catalog::{OnFailure, SubscriptionDocument};

/// Times in milliseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    pub initial_ms: u64,
    pub max_ms: u64,
    pub max_attempts: Option<u32>,
    pub max_age_ms: Option<u64>,
    pub hold: bool,
    pub max_waiting: usize,
    pub max_held_keys: usize,
}

impl Policy {
    #[must_use]
    pub fn of(document: &SubscriptionDocument) -> Self {
        let retry = &document.retry;
        let count = |value: u64| usize::try_from(value).unwrap_or(usize::MAX);
        Self {
            initial_ms: retry.initial_ms,
            max_ms: retry.max_ms,
            max_attempts: retry.max_attempts,
            max_age_ms: (retry.max_age_seconds).map(|seconds| seconds.saturating_mul(1000)),
            hold: document.on_failure == OnFailure::HoldKey,
            max_waiting: count(document.max_waiting),
            max_held_keys: count(document.max_held_keys),
        }
    }

    /// The wait after `attempts` attempts: doubled each time, up to the longest; then between half
    /// of it and all of it, as `jitter` (any number) says, so that those that failed together do not
    /// come back together.
    #[must_use]
    pub fn backoff_ms(&self, attempts: u32, jitter: u64) -> u64 {
        let doublings = attempts.saturating_sub(1).min(40);
        let whole = u128::from(self.initial_ms) << doublings;
        let whole = u64::try_from(whole).unwrap_or(u64::MAX).min(self.max_ms);
        let half = whole / 2;
        whole - half + jitter % (half + 1)
    }
}
