//! How quickly a job may go: at most so many events a second. Pure: times come in.

/// The most that is saved up while nothing could be done, in milliseconds.
const SAVED_UP: u64 = 1000;

/// A cap in events a second; each job's own, from its start or the hub's.
#[derive(Clone, Debug)]
pub struct Pace {
    /// Events a second; none: as quickly as it goes.
    rate: Option<u32>,
    /// Thousandths of events that may be taken now.
    saved: u64,
    /// When that was, in milliseconds of any steady clock.
    at: u64,
}

impl Pace {
    #[must_use]
    pub fn new(rate: Option<u32>, now: u64) -> Self {
        Self {
            rate,
            saved: 1000,
            at: now,
        }
    }

    /// How many events may be taken at once now, at most `most`; or how many milliseconds to wait
    /// before one may.
    pub fn allows(&mut self, most: usize, now: u64) -> Result<usize, u64> {
        let Some(rate) = self.rate.map(u64::from) else {
            return Ok(most);
        };
        let passed = now.saturating_sub(self.at);
        self.at = now;
        let cap = (rate * SAVED_UP).max(1000);
        self.saved = self
            .saved
            .saturating_add(passed.saturating_mul(rate))
            .min(cap);
        let whole = usize::try_from(self.saved / 1000).unwrap_or(usize::MAX);
        if whole == 0 {
            return Err((1000 - self.saved).div_ceil(rate).max(1));
        }
        Ok(whole.min(most))
    }

    /// Takes note that so many were taken.
    pub fn took(&mut self, events: usize) {
        if self.rate.is_some() {
            self.saved = self.saved.saturating_sub(events as u64 * 1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_than_the_rate_in_any_time() {
        for rate in [1, 7, 1000] {
            let mut pace = Pace::new(Some(rate), 0);
            let mut taken: u64 = 0;
            for now in 0..10_000_u64 {
                if let Ok(events) = pace.allows(3, now) {
                    pace.took(events);
                    taken += events as u64;
                }
                assert!(taken <= u64::from(rate) * now / 1000 + 1, "{rate} at {now}");
            }
            assert!(taken >= u64::from(rate.min(3000)) * 9, "{rate}: {taken}");
        }
    }

    #[test]
    fn a_wait_is_as_long_as_needed_and_little_is_saved_up() {
        let mut pace = Pace::new(Some(4), 100);
        assert_eq!(pace.allows(10, 100), Ok(1));
        pace.took(1);
        assert_eq!(pace.allows(10, 100), Err(250));
        assert_eq!(pace.allows(10, 350), Ok(1));
        assert_eq!(pace.allows(10, 1_000_000), Ok(4), "of a second");
        assert_eq!(Pace::new(None, 0).allows(10, 0), Ok(10));
    }
}
