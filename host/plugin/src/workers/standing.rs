//! When a job is long, and what is remembered of who runs long ones. Knows nothing of threads and queues.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use crate::footing::KernelThread;

/// After so long a job gives way, and so much later for each event that it has; never later than [`SLOW`].
/// Honest turns of a lane take some microseconds an event.
const SLOW_WITHOUT_EVENTS: Duration = Duration::from_millis(3);
const SLOW_PER_EVENT: Duration = Duration::from_micros(4);
pub(super) const SLOW: Duration = Duration::from_millis(20);
/// After so long a job gives way to slow ones, too.
pub(super) const STUCK: Duration = Duration::from_millis(500);

/// After how long a job with so many events is slow.
pub(super) fn slow_after(events: usize) -> Duration {
    let events = u32::try_from(events).unwrap_or(u32::MAX);
    (SLOW_WITHOUT_EVENTS + SLOW_PER_EVENT.saturating_mul(events)).min(SLOW)
}

/// How long the jobs of one caller kept a core of late. Who runs jobs again and again has one, and
/// hands it in with each.
#[derive(Clone, Debug, Default)]
pub struct Standing(Arc<AtomicU64>);

impl Standing {
    /// At least [`SLOW`] for who runs slow jobs, [`STUCK`] for who runs stuck ones.
    pub(super) fn longest(&self) -> Duration {
        Duration::from_nanos(self.0.load(Ordering::Relaxed))
    }

    /// A long job is forgotten by halves, so that one prompt job between two that hang is no pardon.
    pub(super) fn ran_for(&self, time: Duration, slow_after: Duration) {
        // What was long for its few events was slow.
        let time = if time < slow_after {
            time
        } else {
            time.max(SLOW)
        };
        let time = u64::try_from(time.as_nanos()).unwrap_or(u64::MAX);
        let before = self.0.load(Ordering::Relaxed);
        self.0.store(time.max(before / 2), Ordering::Relaxed);
    }
}

/// How long a job is on a core. That it waits for one is not its fault, least of all when it stands back.
pub(super) struct Clock {
    core: Option<Duration>,
    wall: Instant,
}

impl Clock {
    pub(super) fn start() -> Self {
        Self {
            core: KernelThread::current().core_time(),
            wall: Instant::now(),
        }
    }

    pub(super) fn time(&self) -> Duration {
        match (self.core, KernelThread::current().core_time()) {
            (Some(before), Some(now)) => now.saturating_sub(before),
            _ => self.wall.elapsed(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn many_events_may_take_longer_than_few() {
        assert_eq!(slow_after(0), ms(3));
        assert_eq!(slow_after(1000), ms(7));
        assert_eq!(slow_after(4000), ms(19));
        assert_eq!(slow_after(usize::MAX), SLOW);
    }

    #[test]
    fn who_was_slow_is_so_again_and_is_forgiven_after_prompt_jobs() {
        let standing = Standing::default();
        standing.ran_for(ms(6), slow_after(4000));
        assert!(
            standing.longest() < SLOW,
            "six milliseconds for many events"
        );
        standing.ran_for(ms(6), slow_after(1));
        assert_eq!(standing.longest(), SLOW, "and for one");
        standing.ran_for(ms(1), slow_after(1));
        assert!(standing.longest() < SLOW);

        standing.ran_for(ms(1000), slow_after(1));
        assert!(standing.longest() >= STUCK);
        for expected in [500, 250, 125, 62] {
            standing.ran_for(ms(1), slow_after(1));
            assert_eq!(standing.longest().as_millis(), expected);
        }
    }
}
