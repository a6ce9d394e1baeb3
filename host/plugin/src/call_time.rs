//! How long a call may take. A deadline is meant for what the guest does; a thread that stands back behind
//! all others may not have done anything when it is over, because it was given no core. So such a call
//! goes on until it has had its fair part, within bounds.

use std::time::{Duration, Instant};

use crate::footing::KernelThread;

/// Such a call may take so many budgets.
const MOST_BUDGETS: u32 = 4;
/// The part of its budget that it is to have had on a core, as a divisor.
const FAIR_PART: u32 = 2;

/// The time of one call, on the thread that made it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct CallTime {
    pub(crate) budget: Duration,
    began: Instant,
    thread: KernelThread,
    /// What the thread had had on a core by then.
    core: Option<Duration>,
}

impl CallTime {
    /// A call begins on this thread.
    pub(crate) fn begin(budget: Duration) -> Self {
        let thread = KernelThread::current();
        Self {
            budget,
            began: Instant::now(),
            thread,
            core: thread.core_time(),
        }
    }

    /// When the budget is over.
    pub(crate) fn until(&self) -> Instant {
        self.began + self.budget
    }

    /// When its budget is over: how much longer it may go on. `None`: it is to be stopped.
    pub(crate) fn more(&self) -> Option<Duration> {
        if !self.thread.stands_last() {
            return None;
        }
        let had = self.thread.core_time()?.saturating_sub(self.core?);
        more(self.budget, self.began.elapsed(), had)
    }
}

fn more(budget: Duration, taken: Duration, had: Duration) -> Option<Duration> {
    let missing = (budget / FAIR_PART).saturating_sub(had);
    (!missing.is_zero() && taken < budget * MOST_BUDGETS).then_some(missing)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::footing::Footing;

    const fn ms(count: u64) -> Duration {
        Duration::from_millis(count)
    }

    #[test]
    fn who_had_no_core_has_more_time_and_not_for_ever() {
        assert_eq!(more(ms(1000), ms(1000), ms(0)), Some(ms(500)));
        assert_eq!(more(ms(1000), ms(1500), ms(450)), Some(ms(50)));
        assert_eq!(more(ms(1000), ms(1000), ms(500)), None, "its part");
        assert_eq!(more(ms(1000), ms(4000), ms(10)), None, "four times as long");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn only_who_stands_back_behind_all_others_has_more() {
        let begun = CallTime::begin(ms(60_000));
        assert_eq!(begun.more(), None);
        let last = std::thread::spawn(|| {
            KernelThread::current().step_back(Footing::Last);
            CallTime::begin(ms(60_000)).more()
        });
        assert!(last.join().unwrap() > Some(ms(10_000)));
    }
}
