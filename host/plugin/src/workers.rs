//! The engine's own threads: guests run here, not on the workers of the async runtime, because a
//! guest may keep its thread for as long as its deadline allows.

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

pub(crate) struct Workers {
    queue: Arc<Queue>,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    filled: Condvar,
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    stopping: bool,
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock and the lines under it cannot panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self) -> Option<Job> {
        let mut state = self.state();
        loop {
            if let Some(job) = state.jobs.pop_front() {
                return Some(job);
            }
            if state.stopping {
                return None;
            }
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }
}

impl Workers {
    pub(crate) fn start(count: usize) -> std::io::Result<Self> {
        // Made first: when a thread cannot be started, its drop stops those that were.
        let workers = Self {
            queue: Arc::default(),
        };
        for index in 0..count.max(1) {
            let queue = Arc::clone(&workers.queue);
            thread::Builder::new()
                .name(format!("sandbar-plugin-{index}"))
                .stack_size(STACK_BYTES)
                .spawn(move || {
                    while let Some(job) = queue.next() {
                        job();
                    }
                })?;
        }
        Ok(workers)
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
