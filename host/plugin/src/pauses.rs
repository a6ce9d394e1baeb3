//! Short pauses of threads that stand back. Only Linux has timers for single threads; elsewhere there are none.
//!
//! However far a thread stands back, the core that it keeps is not idle. A kernel moves waiting
//! threads to a core only when that becomes idle, and looks for others only at its clock's tick, 1 to 10 ms
//! apart; where a thread wakes on a busy core it may wait so long, even if what it waits for has the lowest
//! standing of all. So whoever stands back leaves the core again and again, for long enough that others are
//! moved to it.

/// The pauses of one thread, which have begun or not.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pauses(#[cfg(target_os = "linux")] Option<linux::Timer>);

/// Ends the pauses of the thread that made it, when it is dropped there.
pub(crate) struct Owned(Pauses);

impl Pauses {
    /// Those of the thread that calls. Where the kernel gives no timer, there will be none.
    pub(crate) fn of_this_thread() -> Owned {
        #[cfg(target_os = "linux")]
        return Owned(Self(linux::Timer::of_this_thread()));
        #[cfg(not(target_os = "linux"))]
        Owned(Self())
    }

    /// From now on the thread pauses. Not to be called once its [`Owned`] is gone.
    pub(crate) fn begin(self) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = self.0 {
            timer.set(linux::WORK);
        }
    }

    /// No more pauses until they begin again: nothing is gained by those of a thread that waits.
    pub(crate) fn stop(self) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = self.0 {
            timer.set(linux::NEVER);
        }
    }
}

impl Owned {
    pub(crate) fn pauses(&self) -> Pauses {
        self.0
    }
}

impl Drop for Owned {
    fn drop(&mut self) {
        #[cfg(target_os = "linux")]
        if let Some(timer) = self.0.0 {
            timer.delete();
        }
    }
}

/// A timer that sends its thread a signal, whose handler sleeps and sets the timer again. Not a timer
/// that repeats: a thread that waits for a core longer than it may work would only pause.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use std::{cell::Cell, mem, ptr, sync::OnceLock, time::Duration};

    use crate::footing::KernelThread;

    /// How long a thread works between two pauses, at most.
    pub(super) const WORK: Duration = Duration::from_micros(500);
    /// How long a pause is.
    const PAUSE: Duration = Duration::from_micros(50);
    /// A timer that is set to this is not due.
    pub(super) const NEVER: Duration = Duration::ZERO;

    /// A `timer_t`.
    #[derive(Clone, Copy, Debug)]
    pub(super) struct Timer(usize);

    thread_local! {
        /// That of this thread. The handler reads it: it must need no allocation and no destructor.
        static TIMER: Cell<Option<Timer>> = const { Cell::new(None) };
    }

    impl Timer {
        pub(super) fn of_this_thread() -> Option<Self> {
            let signal = signal()?;
            // SAFETY: all zeros are a value of this structure of numbers and a union of pointers.
            let mut event: libc::sigevent = unsafe { mem::zeroed() };
            event.sigev_notify = libc::SIGEV_THREAD_ID;
            event.sigev_signo = signal;
            event.sigev_notify_thread_id = KernelThread::current().number()?;
            let mut timer: libc::timer_t = ptr::null_mut();
            // SAFETY: the kernel reads the one structure and writes the other; both are ours.
            let failed = unsafe {
                libc::timer_create(libc::CLOCK_MONOTONIC, &raw mut event, &raw mut timer)
            } != 0;
            // The kernel may end what a thread sleeps for 50 µs too late, unless it is told otherwise.
            // SAFETY: the call takes numbers only.
            unsafe { libc::prctl(libc::PR_SET_TIMERSLACK, 1 as libc::c_ulong) };
            let timer = (!failed).then_some(Self(timer as usize));
            TIMER.set(timer);
            timer
        }

        /// It is due after this time.
        pub(super) fn set(self, after: Duration) {
            let once = libc::itimerspec {
                it_interval: spec(NEVER),
                it_value: spec(after),
            };
            // SAFETY: the kernel reads the structure; a timer that is gone is an error. May be called by
            // handlers of signals.
            unsafe {
                libc::timer_settime(self.0 as libc::timer_t, 0, &raw const once, ptr::null_mut());
            }
        }

        pub(super) fn delete(self) {
            TIMER.set(None);
            // SAFETY: the timer is this thread's and deleted once.
            unsafe {
                libc::timer_delete(self.0 as libc::timer_t);
            }
        }
    }

    fn spec(duration: Duration) -> libc::timespec {
        libc::timespec {
            tv_sec: duration.as_secs() as libc::time_t,
            tv_nsec: duration.subsec_nanos() as libc::c_long,
        }
    }

    /// The signal, with its handler in place: the first of those that nobody has taken in this process.
    fn signal() -> Option<libc::c_int> {
        static SIGNAL: OnceLock<Option<libc::c_int>> = OnceLock::new();
        *SIGNAL.get_or_init(|| (libc::SIGRTMIN()..=libc::SIGRTMAX()).find(|signal| take(*signal)))
    }

    fn take(signal: libc::c_int) -> bool {
        // SAFETY: the kernel writes and reads structures that are ours. The handler does only what handlers
        // may: it calls the kernel, and what it changes of the thread is put back.
        unsafe {
            let mut before: libc::sigaction = mem::zeroed();
            if libc::sigaction(signal, ptr::null(), &raw mut before) != 0
                || before.sa_sigaction != libc::SIG_DFL
            {
                return false;
            }
            let mut action: libc::sigaction = mem::zeroed();
            let handler: extern "C" fn(libc::c_int) = pause;
            action.sa_sigaction = handler as libc::sighandler_t;
            action.sa_flags = libc::SA_RESTART;
            libc::sigaction(signal, &raw const action, ptr::null_mut()) == 0
        }
    }

    extern "C" fn pause(_signal: libc::c_int) {
        let Some(timer) = TIMER.get() else {
            return;
        };
        let pause = spec(PAUSE);
        // SAFETY: the place of `errno` is the thread's own; the kernel reads the structure.
        unsafe {
            let errno = libc::__errno_location();
            let before = *errno;
            libc::nanosleep(&raw const pause, ptr::null_mut());
            timer.set(WORK);
            *errno = before;
        }
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use std::time::{Duration, Instant};

    use super::{linux::WORK, *};

    /// How often the thread that calls left its core by itself.
    fn left() -> Option<u64> {
        let text = std::fs::read_to_string("/proc/thread-self/status").ok()?;
        let mut lines = text.lines();
        let count = lines.find_map(|line| line.strip_prefix("voluntary_ctxt_switches:"))?;
        count.trim().parse().ok()
    }

    /// Some that are due to other reasons, such as a page that is being mapped.
    const FEW: u64 = 4;

    /// How often it left its core while it worked for some time and until it did so often enough.
    fn left_while_at_work(often_enough: u64) -> u64 {
        let (begin, before) = (Instant::now(), left().unwrap_or_default());
        let since = || left().unwrap_or_default() - before;
        while begin.elapsed() < WORK * 40 || since() < often_enough {
            assert!(begin.elapsed() < Duration::from_secs(60), "no pauses");
        }
        since()
    }

    #[test]
    fn a_thread_pauses_while_it_is_told_to() {
        let paused = std::thread::spawn(|| {
            let owned = Pauses::of_this_thread();
            let before = left_while_at_work(0);
            owned.pauses().begin();
            left_while_at_work(2 * FEW);
            owned.pauses().stop();
            let stopped = left_while_at_work(0);
            owned.pauses().begin();
            left_while_at_work(2 * FEW);
            drop(owned);
            (before, stopped, left_while_at_work(0))
        });
        let (before, stopped, gone) = paused.join().unwrap();
        assert!(before <= FEW, "{before} before it is told to");
        assert!(stopped <= FEW, "{stopped} after it is told to stop");
        assert!(gone <= FEW, "{gone} when its timer is gone");
    }
}
