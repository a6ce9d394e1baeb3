//! The engine's own threads: guests run here, not on the workers of the async runtime, because a
//! guest may keep its thread for as long as its deadline allows.
//!
//! A thread that waits for something outside of the machine is no use to others, so another one
//! takes its place while work is waiting, up to [`MOST_SUBSTITUTES`]; it ends when it is not needed
//! any more.

use std::{
    collections::VecDeque,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
};

use tokio::sync::oneshot;

use crate::Error;

type Job = Box<dyn FnOnce() + Send>;

/// Room for the guest's stack ([`crate::engine`] caps it) and for the host below it.
const STACK_BYTES: usize = 4 << 20;
/// Threads beyond those that were asked for.
const MOST_SUBSTITUTES: usize = 64;

pub(crate) struct Workers {
    queue: Arc<Queue>,
}

/// A guest's way to tell that its thread waits.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Queue>);

struct Queue {
    /// How many threads are to be able to work.
    wanted: usize,
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    /// Of the threads, those that wait for a job.
    idle: usize,
    /// Of the threads, those that wait for something outside.
    blocked: usize,
    stopping: bool,
}

impl State {
    fn able(&self) -> usize {
        self.threads.saturating_sub(self.blocked)
    }
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock and the lines under it cannot panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// `None`: the thread that asks is to end.
    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if state.able() > self.wanted {
                break;
            }
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stopping {
                break;
            }
            state.idle += 1;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        }
        state.threads -= 1;
        if !state.jobs.is_empty() {
            // The call that woke this thread was meant for whoever takes the job.
            self.filled.notify_one();
        }
        None
    }

    fn start_thread(self: &Arc<Self>) -> std::io::Result<()> {
        let index = {
            let mut state = self.state();
            state.threads += 1;
            state.threads
        };
        let queue = Arc::clone(self);
        let started = thread::Builder::new()
            .name(format!("sandbar-plugin-{index}"))
            .stack_size(STACK_BYTES)
            .spawn(move || {
                while let Some(job) = queue.next() {
                    job();
                }
            });
        if started.is_err() {
            self.state().threads -= 1;
        }
        started.map(drop)
    }

    /// Starts a thread in the place of one that waits, if work is waiting too.
    fn substitute(self: &Arc<Self>) {
        let needed = {
            let state = self.state();
            state.blocked > 0
                && state.jobs.len() > state.idle
                && state.able() < self.wanted
                && state.threads < self.wanted + MOST_SUBSTITUTES
        };
        if needed && let Err(error) = self.start_thread() {
            tracing::warn!(%error, "no thread takes the place of one that waits");
        }
    }
}

impl Threads {
    /// Does something that waits for others; meanwhile another thread may run plugins.
    pub(crate) fn while_blocked<T>(&self, wait: impl FnOnce() -> T) -> T {
        /// Also where `wait` panics.
        struct Blocked<'a>(&'a Queue);
        impl Drop for Blocked<'_> {
            fn drop(&mut self) {
                let mut state = self.0.state();
                state.blocked -= 1;
                if state.able() > self.0.wanted {
                    // One that is idle may end.
                    self.0.filled.notify_one();
                }
            }
        }
        self.0.state().blocked += 1;
        let _blocked = Blocked(&self.0);
        self.0.substitute();
        wait()
    }
}

impl Workers {
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        // Made first: when a thread cannot be started, its drop stops those that were.
        let workers = Self {
            queue: Arc::new(Queue {
                wanted: count.max(1),
                state: Mutex::default(),
                filled: Condvar::new(),
            }),
        };
        for _ in 0..count.max(1) {
            workers.queue.start_thread()?;
        }
        Ok(workers)
    }

    pub(crate) fn threads(&self) -> Threads {
        Threads(self.queue.clone())
    }

    /// Runs `job` on one of the threads. What waits in the queue is bounded by the callers that
    /// wait here. Dropping the future does not stop a job that has started.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let job: Job = Box::new(move || {
            if !answer.is_closed() {
                // Nobody listening any more is fine.
                let _ = answer.send(catch_unwind(AssertUnwindSafe(job)));
            }
        });
        {
            let mut state = self.queue.state();
            if state.stopping {
                return Err(Error::Stopping);
            }
            state.jobs.push_back(job);
        }
        self.queue.filled.notify_one();
        self.queue.substitute();
        match answered.await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(panic)) => Err(Error::Panicked(panic_text(panic.as_ref()))),
            Err(_) => Err(Error::Stopping),
        }
    }
}

fn panic_text(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
    text.or_else(|| panic.downcast_ref::<String>().cloned())
        .unwrap_or_else(|| "without a message".to_owned())
}

impl Drop for Workers {
    fn drop(&mut self) {
        self.queue.state().stopping = true;
        self.queue.filled.notify_all();
    }
}
