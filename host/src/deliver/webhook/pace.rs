//! Requests per minute, as an endpoint granted them (CloudEvents HTTP Webhook §4.2.2). Pure: times
//! are milliseconds of a clock that nobody sets, and come in as arguments.

use std::time::Duration;

/// A bucket that fills at the granted rate and holds a second's worth, one at least.
#[derive(Clone, Copy, Debug)]
pub struct Pace {
    per_ms: f64,
    most: f64,
    tokens: f64,
    at: u64,
}

impl Pace {
    /// `per_minute` is at least 1.
    #[must_use]
    pub fn new(per_minute: u32, now: u64) -> Self {
        let per_ms = f64::from(per_minute.max(1)) / 60_000.0;
        let most = (per_ms * 1000.0).max(1.0);
        Self {
            per_ms,
            most,
            tokens: most,
            at: now,
        }
    }

    fn fill(&mut self, now: u64) {
        let passed = now.saturating_sub(self.at) as f64;
        self.tokens = (self.tokens + passed * self.per_ms).min(self.most);
        self.at = self.at.max(now);
    }

    /// When a request may be sent; now or before means now.
    pub fn next(&mut self, now: u64) -> u64 {
        self.fill(now);
        if self.tokens >= 1.0 {
            return now;
        }
        let wait = ((1.0 - self.tokens) / self.per_ms).ceil();
        now.saturating_add((wait as u64).max(1))
    }

    /// How long so many requests take.
    #[must_use]
    pub fn time_of(&self, requests: usize) -> Duration {
        Duration::from_millis((requests as f64 / self.per_ms).ceil() as u64)
    }

    /// A request is sent.
    pub fn sent(&mut self, now: u64) {
        self.fill(now);
        self.tokens -= 1.0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_sent_than_was_granted() {
        for (per_minute, minutes) in [(1, 5), (60, 3), (90, 3), (6000, 1)] {
            let mut pace = Pace::new(per_minute, 0);
            let (mut now, mut sent) = (0, 0_u32);
            while now < minutes * 60_000 {
                let next = pace.next(now);
                if next > now {
                    now = next;
                    continue;
                }
                pace.sent(now);
                sent += 1;
            }
            let granted = u32::try_from(minutes).expect("few") * per_minute;
            let burst = per_minute.div_ceil(60).max(1);
            assert!(
                (granted..=granted + burst).contains(&sent),
                "{per_minute}: {sent} in {minutes} minutes"
            );
        }
    }
}
