//! The wall clock, in one place: nothing else in the hub asks the system for the time.

use std::time::{SystemTime, UNIX_EPOCH};

use time::{OffsetDateTime, format_description::well_known::Rfc3339};

/// Milliseconds since the epoch.
#[must_use]
#[expect(
    clippy::disallowed_methods,
    reason = "the one place that owns the clock"
)]
pub fn now() -> u64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| {
            u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
        })
}

/// Milliseconds since the epoch as RFC 3339 in UTC.
#[must_use]
pub fn to_text(milliseconds: u64) -> String {
    OffsetDateTime::from_unix_timestamp_nanos(i128::from(milliseconds) * 1_000_000)
        .ok()
        .and_then(|moment| moment.format(&Rfc3339).ok())
        .unwrap_or_else(|| milliseconds.to_string())
}

/// RFC 3339 or milliseconds since the epoch.
#[must_use]
pub fn from_text(text: &str) -> Option<u64> {
    if let Ok(milliseconds) = text.parse() {
        return Some(milliseconds);
    }
    let moment = OffsetDateTime::parse(text, &Rfc3339).ok()?;
    u64::try_from(moment.unix_timestamp_nanos() / 1_000_000).ok()
}

/// A clock that goes on evenly from the time at which it was made, whatever becomes of the wall
/// clock: leases and waits neither end early nor last for hours because somebody set the time.
#[derive(Clone, Copy, Debug)]
pub struct Steady {
    wall: u64,
    since: std::time::Instant,
}

impl Default for Steady {
    fn default() -> Self {
        Self {
            wall: now(),
            since: std::time::Instant::now(),
        }
    }
}

impl Steady {
    /// Milliseconds since the epoch, as the wall clock would say had nobody set it since.
    #[must_use]
    pub fn now(&self) -> u64 {
        let passed = u64::try_from(self.since.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.wall.saturating_add(passed)
    }

    /// What the wall clock says at a moment of this clock, as it stands now: for what is shown.
    #[must_use]
    pub fn to_wall(&self, moment: u64) -> u64 {
        shifted(moment, self.now(), now())
    }

    /// The moment of this clock at which the wall clock says so, as it stands now.
    #[must_use]
    pub fn from_wall(&self, time: u64) -> u64 {
        shifted(time, now(), self.now())
    }

    /// When a moment of this clock comes.
    #[must_use]
    pub fn instant(&self, moment: u64) -> std::time::Instant {
        std::time::Instant::now()
            + std::time::Duration::from_millis(moment.saturating_sub(self.now()))
    }
}

/// A moment of one clock on another; `here` on the one is `there` on the other.
fn shifted(moment: u64, here: u64, there: u64) -> u64 {
    match moment.checked_sub(here) {
        Some(ahead) => there.saturating_add(ahead),
        None => there.saturating_sub(here - moment),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_shown_as_far_away_as_they_are() {
        // The wall clock was set back by an hour.
        assert_eq!(shifted(3_600_500, 3_600_000, 0), 500);
        assert_eq!(shifted(3_599_000, 3_600_000, 5_000), 4_000);
        assert_eq!(shifted(0, 3_600_000, 5_000), 0);
        assert_eq!(shifted(u64::MAX, 0, 5), u64::MAX);
    }
}
