//! How much a topic takes in a second: token buckets, one of events and one of bytes. Pure: times come
//! in.
//!
//! A bucket fills at its rate, up to what comes in `burst_seconds`. What is larger than a full bucket
//! passes when the bucket is full, and leaves a debt that the next ones wait for: so no batch is
//! refused for ever, and over time no more passes than the rate.

use crate::catalog::Quota;

/// Both buckets of a topic. The default is full.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Buckets {
    events: Bucket,
    bytes: Bucket,
    /// When they were looked at last, in nanoseconds since some beginning.
    at: u64,
}

/// One bucket, as what is missing in it: it may be more than it can hold.
#[derive(Clone, Copy, Debug, Default)]
struct Bucket {
    missing: f64,
}

impl Buckets {
    /// Takes what a publish costs from both buckets, or from none.
    ///
    /// # Errors
    /// The seconds after which the same publish would pass, if no other came before it.
    pub(super) fn take(
        &mut self,
        quota: &Quota,
        events: u64,
        bytes: u64,
        now: u64,
    ) -> Result<(), f64> {
        let seconds = now.saturating_sub(self.at) as f64 / 1e9;
        self.at = self.at.max(now);
        let burst = f64::from(quota.burst_seconds);
        let mut wait = 0_f64;
        let asked = [
            (&mut self.events, quota.events_per_second, events),
            (&mut self.bytes, quota.bytes_per_second, bytes),
        ];
        for (bucket, rate, cost) in asked {
            // One that nothing limits is full when something does.
            let Some(rate) = rate else {
                bucket.missing = 0.0;
                continue;
            };
            let rate = rate as f64;
            bucket.missing = (bucket.missing - rate * seconds).max(0.0);
            wait = wait.max(bucket.wait(rate, rate * burst, cost as f64));
        }
        if wait > 0.0 {
            return Err(wait);
        }
        if quota.events_per_second.is_some() {
            self.events.missing += events as f64;
        }
        if quota.bytes_per_second.is_some() {
            self.bytes.missing += bytes as f64;
        }
        Ok(())
    }
}

impl Buckets {
    /// What is used up of what may come at once, of events and of bytes: 0 to 1, and more where
    /// something is owed.
    pub(super) fn used(&self, quota: &Quota, now: u64) -> [Option<f64>; 2] {
        let seconds = now.saturating_sub(self.at) as f64 / 1e9;
        let burst = f64::from(quota.burst_seconds);
        let limits = [
            (self.events, quota.events_per_second),
            (self.bytes, quota.bytes_per_second),
        ];
        limits.map(|(bucket, rate)| {
            let rate = rate? as f64;
            let missing = (bucket.missing - rate * seconds).max(0.0);
            Some(missing / (rate * burst))
        })
    }
}

impl Bucket {
    /// Seconds until there is enough.
    fn wait(self, rate: f64, capacity: f64, cost: f64) -> f64 {
        let free = capacity - self.missing;
        let needed = cost.min(capacity);
        ((needed - free) / rate).max(0.0)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: u64 = 1_000_000_000;

    fn quota(events: Option<u64>, bytes: Option<u64>, burst_seconds: u32) -> Quota {
        Quota {
            events_per_second: events,
            bytes_per_second: bytes,
            burst_seconds,
        }
    }

    #[test]
    fn a_burst_passes_and_then_the_rate() {
        let quota = quota(Some(10), None, 2);
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(&quota, 20, 1 << 40, 0), Ok(()));
        assert_eq!(buckets.take(&quota, 1, 0, 0), Err(0.1));
        assert_eq!(buckets.take(&quota, 1, 0, SECOND / 10), Ok(()));
        assert_eq!(buckets.take(&quota, 5, 0, SECOND / 10), Err(0.5));
        assert_eq!(buckets.used(&quota, SECOND / 10), [Some(1.0), None]);
        assert_eq!(
            buckets.used(&quota, SECOND / 10 + SECOND),
            [Some(0.5), None]
        );
        // It never holds more than a burst.
        assert_eq!(buckets.take(&quota, 20, 0, 1000 * SECOND), Ok(()));
        assert!(buckets.take(&quota, 1, 0, 1000 * SECOND).is_err());
    }

    #[test]
    fn both_must_have_enough_and_a_refusal_costs_nothing() {
        let quota = quota(Some(10), Some(1000), 1);
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(&quota, 1, 900, 0), Ok(()));
        assert_eq!(buckets.take(&quota, 1, 300, 0), Err(0.2));
        assert_eq!(buckets.take(&quota, 9, 100, 0), Ok(()));
    }

    #[test]
    fn what_is_larger_than_a_burst_passes_when_nothing_is_missing_and_is_paid_for() {
        let quota = quota(Some(10), None, 1);
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(&quota, 100, 0, 0), Ok(()));
        // 90 events of debt, then one.
        assert_eq!(buckets.take(&quota, 1, 0, 0), Err(9.1));
        assert_eq!(buckets.take(&quota, 100, 0, 9 * SECOND), Err(1.0));
        assert_eq!(buckets.take(&quota, 100, 0, 10 * SECOND), Ok(()));
    }

    #[test]
    fn a_clock_that_goes_back_gives_nothing_twice() {
        let quota = quota(Some(10), None, 1);
        let mut buckets = Buckets::default();
        assert_eq!(buckets.take(&quota, 10, 0, 10 * SECOND), Ok(()));
        assert!(buckets.take(&quota, 1, 0, 9 * SECOND).is_err());
        assert!(buckets.take(&quota, 5, 0, 10 * SECOND).is_err());
        assert_eq!(buckets.take(&quota, 10, 0, 11 * SECOND), Ok(()));
    }

    proptest! {
        /// Over any time no more passes than the rate and a burst (and the one publish that may be
        /// larger), and who waits as long as was said passes.
        #[test]
        fn the_rate_holds_and_waiting_helps(
            steps in prop::collection::vec((0_u64..3 * SECOND, 1_u64..200), 1..60),
        ) {
            let quota = quota(Some(50), None, 2);
            let mut buckets = Buckets::default();
            let (mut now, mut passed) = (0_u64, 0_u64);
            for (pause, events) in steps {
                now += pause;
                if let Err(wait) = buckets.take(&quota, events, 0, now) {
                    now += (wait * 1e9).ceil() as u64 + 1;
                    prop_assert_eq!(buckets.take(&quota, events, 0, now), Ok(()));
                }
                passed += events;
                let most = 50.0 * now as f64 / 1e9 + 100.0 + 200.0;
                prop_assert!(passed as f64 <= most, "{} of {}", passed, most);
            }
        }
    }
}
