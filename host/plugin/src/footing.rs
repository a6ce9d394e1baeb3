//! How far a thread stands back behind others, in the kernel's terms. Only Linux has a niceness and a
//! policy for each thread; elsewhere nothing is set, and jobs that run for long share the cores evenly
//! with others.
//!
//! A thread can only step back: to come forward again takes a privilege. The threads that it starts stand
//! where it stands.

use std::{cell::OnceCell, time::Duration};

/// Where a thread stands that has stepped back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Footing {
    /// It has about a tenth of what others have.
    Behind,
    /// It has what nobody else wants: the kernel's idle policy, under which whoever wakes goes before
    /// it at once.
    Last,
}

/// A thread as the kernel knows it; by default none.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct KernelThread(Option<i32>);

thread_local! {
    static CURRENT: OnceCell<KernelThread> = const { OnceCell::new() };
}

impl KernelThread {
    /// The one that calls.
    pub(crate) fn current() -> Self {
        // "<process>/task/<thread>".
        let read = || {
            let link = std::fs::read_link("/proc/thread-self").ok();
            Self(link.and_then(|link| link.file_name()?.to_str()?.parse().ok()))
        };
        CURRENT.with(|current| *current.get_or_init(read))
    }

    /// The number that the kernel has for it.
    #[cfg(target_os = "linux")]
    pub(crate) fn number(self) -> Option<i32> {
        self.0
    }

    /// It works on from there; where the kernel does not allow it, from where it stood.
    pub(crate) fn step_back(self, footing: Footing) {
        #[cfg(target_os = "linux")]
        if let Some(thread) = self.0 {
            linux::step_back(thread, footing);
        }
        #[cfg(not(target_os = "linux"))]
        let _ = footing;
    }

    /// Whether it stands [`Footing::Last`].
    pub(crate) fn stands_last(self) -> bool {
        #[cfg(target_os = "linux")]
        return self.0.is_some_and(linux::stands_last);
        #[cfg(not(target_os = "linux"))]
        false
    }

    /// How long it was on a core since it began, where that can be told.
    pub(crate) fn core_time(self) -> Option<Duration> {
        #[cfg(target_os = "linux")]
        return self.0.and_then(linux::core_time);
        #[cfg(not(target_os = "linux"))]
        None
    }
}

/// How long all threads of a process were on a core, where that can be told.
pub(crate) fn core_time_of(child: &std::process::Child) -> Option<Duration> {
    #[cfg(target_os = "linux")]
    return linux::core_time_of_process(child.id());
    #[cfg(not(target_os = "linux"))]
    {
        let _ = child;
        None
    }
}

/// The calls to the kernel, with the numbers of its headers; rustix has none of them.
#[cfg(target_os = "linux")]
#[allow(unsafe_code)]
mod linux {
    use std::time::Duration;

    use super::Footing;

    /// A slice that is longer than the usual one, which is 3 ms at most. Who has it gives the core at once to
    /// whoever wakes with a shorter one (Linux 6.12 and later), while with an equal one he keeps it until his own
    /// is over, which is looked at when the clock ticks. It counts for the whole session, too, when that
    /// is weighed against other sessions and the kernel's own threads, those that write to the disk among them.
    const LONG_SLICE: Duration = Duration::from_millis(10);

    pub(super) fn step_back(thread: i32, footing: Footing) {
        let niceness = match footing {
            Footing::Behind => 10,
            Footing::Last => 19,
        };
        let set_back = set(thread, libc::SCHED_OTHER, niceness);
        // The slice stays.
        if footing == Footing::Last && set_back {
            set(thread, libc::SCHED_IDLE, niceness);
        }
    }

    fn set(thread: i32, policy: i32, niceness: i32) -> bool {
        let wanted = libc::sched_attr {
            size: size_of::<libc::sched_attr>() as u32,
            sched_policy: policy.unsigned_abs(),
            sched_flags: 0,
            sched_nice: niceness,
            sched_priority: 0,
            sched_runtime: LONG_SLICE.as_nanos() as u64,
            sched_deadline: 0,
            sched_period: 0,
        };
        // SAFETY: the kernel reads the structure, whose size it is told, and writes nothing.
        unsafe { libc::syscall(libc::SYS_sched_setattr, thread, &raw const wanted, 0) == 0 }
    }

    pub(super) fn stands_last(thread: i32) -> bool {
        // SAFETY: the call takes and gives numbers only.
        unsafe {
            libc::syscall(libc::SYS_sched_getscheduler, thread)
                == libc::c_long::from(libc::SCHED_IDLE)
        }
    }

    /// `CPUCLOCK_PERTHREAD_MASK` and `CPUCLOCK_SCHED`, below the number of a thread or process.
    const OF_A_THREAD: i32 = 4;
    const ON_A_CORE: i32 = 2;

    pub(super) fn core_time(thread: i32) -> Option<Duration> {
        read((!thread << 3) | OF_A_THREAD | ON_A_CORE)
    }

    pub(super) fn core_time_of_process(process: u32) -> Option<Duration> {
        let process = i32::try_from(process).ok()?;
        read((!process << 3) | ON_A_CORE)
    }

    fn read(clock: libc::clockid_t) -> Option<Duration> {
        let mut time = libc::timespec {
            tv_sec: 0,
            tv_nsec: 0,
        };
        // SAFETY: the kernel writes the structure, which is ours, and nothing else.
        let failed = unsafe { libc::clock_gettime(clock, &raw mut time) } != 0;
        let seconds = u64::try_from(time.tv_sec).ok().filter(|_| !failed)?;
        Some(Duration::new(seconds, u32::try_from(time.tv_nsec).ok()?))
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    /// Policy and niceness of the thread that calls: fields 41 and 19 of its `stat`, the 39th and 17th
    /// after the name.
    fn standing() -> Option<(i32, i32)> {
        let text = std::fs::read_to_string("/proc/thread-self/stat").ok()?;
        let (_, fields) = text.rsplit_once(") ")?;
        let field = |place: usize| fields.split(' ').nth(place)?.parse().ok();
        Some((field(38)?, field(16)?))
    }

    #[test]
    fn a_thread_steps_back_and_others_do_not() {
        let before = standing();
        let stepped = std::thread::spawn(|| {
            let thread = KernelThread::current();
            thread.step_back(Footing::Behind);
            let behind = (standing(), thread.stands_last());
            thread.step_back(Footing::Last);
            (behind, standing().unwrap().0, thread.stands_last())
        });
        let (behind, last, stands_last) = stepped.join().unwrap();
        assert_eq!(behind, (Some((libc::SCHED_OTHER, 10)), false));
        assert_eq!((last, stands_last), (libc::SCHED_IDLE, true));
        assert_eq!(standing(), before);
        assert!(!KernelThread::current().stands_last());
    }

    #[test]
    fn the_time_on_a_core_is_that_of_the_thread_asked_for() {
        let (ready, asked) = std::sync::mpsc::channel();
        let (done, wait) = std::sync::mpsc::channel::<()>();
        let worker = std::thread::spawn(move || {
            let thread = KernelThread::current();
            while thread.core_time().unwrap() < Duration::from_millis(20) {}
            ready.send(thread).unwrap();
            let _ = wait.recv();
        });
        let thread = asked.recv().unwrap();
        assert!(thread.core_time().unwrap() >= Duration::from_millis(20));
        drop(done);
        worker.join().unwrap();
    }
}
