//! The engine's own threads: guests run here, not on the workers of the async runtime, because a
//! guest may keep its thread for as long as its deadline allows.
//!
//! # Who gives way
//! A thread cannot be taken from a guest, but the kernel shares cores among threads. So a job that
//! keeps its thread for long steps back, and another thread takes its place:
//!
//! | a job that runs for | is | stands | at work at a time |
//! |---|---|---|---|
//! | some ms, by the number of its events ([`slow_after`]) | prompt | with all others | as many as threads were asked for |
//! | less than [`STUCK`] | slow | [`Footing::Behind`] | as many again |
//! | longer | stuck | [`Footing::Last`] | up to [`MOST_SLOW_THREADS`] with the slow ones |
//!
//! Whose last job was slow or stuck ([`Standing`]) begins as that, so that it never keeps prompt ones waiting.
//! A prompt plugin so hardly notices others that hang; one that is slow for good reason (a batch of
//! the past, a slow language) has all of the machine that prompt ones leave, but for short [pauses](crate::pauses),
//! and goes before those that hang.
//!
//! A thread that waits for something outside of the machine is no use to others, so another takes its
//! place, too. The [`foreman`](foreman) sees to all of this; it sleeps while nothing runs.

use std::{
    cell::Cell,
    collections::{BTreeMap, VecDeque},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use tokio::sync::oneshot;

use crate::{
    Error,
    footing::{Footing, KernelThread},
    pauses::Pauses,
};

mod standing;

pub use standing::Standing;
use standing::{Clock, SLOW, STUCK, slow_after};

struct Job {
    run: Box<dyn FnOnce() + Send>,
    /// When it is to give way.
    slow_after: Duration,
}

/// Room for the guest's stack ([`crate::engine`] caps it) and for the host below it.
const STACK_BYTES: usize = 4 << 20;
/// No more slow jobs are begun while there are so many threads that are slow or stuck.
const MOST_SLOW_THREADS: usize = 64;
/// No thread takes another's place when there are so many of all kinds.
const MOST_THREADS: usize = 256;
/// How long the foreman waits before it tries again to start a thread.
const AGAIN: Duration = Duration::from_millis(50);

pub(crate) struct Workers {
    queue: Arc<Queue>,
}

/// A guest's way to tell that its thread waits.
#[derive(Clone)]
pub(crate) struct Threads(Arc<Queue>);

struct Queue {
    /// How many prompt jobs, and how many slow ones, are at work at a time.
    wanted: usize,
    state: Mutex<State>,
    /// There is a prompt job, or an idle thread is to end.
    filled: Condvar,
    /// There is something to be seen to.
    foreman: Condvar,
}

#[derive(Default)]
struct State {
    prompt: VecDeque<Job>,
    slow: VecDeque<Job>,
    threads: BTreeMap<u64, Thread>,
    last_number: u64,
    /// Prompt threads that wait for a job.
    idle: usize,
    /// The foreman sleeps until it is woken.
    foreman_asleep: bool,
    stopping: bool,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Pace {
    Prompt,
    Slow,
    Stuck,
}

/// One of the threads.
struct Thread {
    pace: Pace,
    kernel: KernelThread,
    pauses: Pauses,
    /// Of its job; `None` between jobs.
    began: Option<Instant>,
    /// When its job is to give way.
    slow_after: Duration,
    /// It waits for something outside, since then.
    blocked: Option<Instant>,
    /// How long the job waited for things outside before.
    blocked_for: Duration,
}

impl Thread {
    fn new(pace: Pace) -> Self {
        Self {
            pace,
            kernel: KernelThread::default(),
            pauses: Pauses::default(),
            began: None,
            slow_after: SLOW,
            blocked: None,
            blocked_for: Duration::ZERO,
        }
    }

    /// It gives way as far as this pace asks for.
    fn set_back(&mut self, pace: Pace) {
        self.pace = pace;
        match pace {
            Pace::Prompt => return,
            Pace::Slow => self.kernel.step_back(Footing::Behind),
            Pace::Stuck => self.kernel.step_back(Footing::Last),
        }
        self.pauses.begin();
    }

    /// How long its job has kept the thread, without what it waited for.
    fn ran_for(&self, now: Instant) -> Duration {
        let began = self.began.unwrap_or(now);
        let until = self.blocked.unwrap_or(now);
        until
            .saturating_duration_since(began)
            .saturating_sub(self.blocked_for)
    }
}

impl State {
    /// How many threads of this pace are no use to others or will be soon: all but those that wait outside.
    fn able(&self, pace: Pace) -> usize {
        let threads = self.threads.values();
        threads
            .filter(|thread| thread.pace == pace && thread.blocked.is_none())
            .count()
    }

    fn slow_threads(&self) -> usize {
        let threads = self.threads.values();
        threads.filter(|thread| thread.pace != Pace::Prompt).count()
    }

    fn begin(&mut self, number: u64, job: &Job) {
        if let Some(thread) = self.threads.get_mut(&number) {
            thread.began = Some(Instant::now());
            thread.slow_after = job.slow_after;
            thread.blocked_for = Duration::ZERO;
        }
    }

    /// Sets jobs back that run for long; when the next one is due.
    fn set_back(&mut self, now: Instant) -> Option<Instant> {
        let mut next: Option<Instant> = None;
        for thread in self.threads.values_mut() {
            if thread.began.is_none() || thread.blocked.is_some() {
                continue;
            }
            let ran_for = thread.ran_for(now);
            if thread.pace == Pace::Prompt && ran_for >= thread.slow_after {
                thread.set_back(Pace::Slow);
            }
            if thread.pace == Pace::Slow && ran_for >= STUCK {
                thread.set_back(Pace::Stuck);
            }
            let due = match thread.pace {
                Pace::Prompt => thread.slow_after,
                Pace::Slow => STUCK,
                Pace::Stuck => continue,
            };
            let due = now + due.saturating_sub(ran_for);
            next = Some(next.map_or(due, |next| next.min(due)));
        }
        next
    }

    /// Which kind of thread is missing.
    fn missing(&self, wanted: usize) -> Option<Pace> {
        if self.threads.len() >= wanted + MOST_THREADS {
            return None;
        }
        if self.prompt.len() > self.idle && self.able(Pace::Prompt) < wanted {
            return Some(Pace::Prompt);
        }
        let slow = self.able(Pace::Slow) < wanted && self.slow_threads() < MOST_SLOW_THREADS;
        (slow && !self.slow.is_empty()).then_some(Pace::Slow)
    }
}

thread_local! {
    /// Which queue's thread this is, and its number there.
    static SELF: Cell<Option<(*const Queue, u64)>> = const { Cell::new(None) };
}

impl Queue {
    fn state(&self) -> MutexGuard<'_, State> {
        // Jobs run outside the lock and the lines under it cannot panic.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Something begins to run: it is to be looked after.
    fn wake_foreman(&self, state: &mut State) {
        if std::mem::take(&mut state.foreman_asleep) {
            self.foreman.notify_one();
        }
    }

    /// A job waits, and there may be a thread missing.
    fn call_foreman(&self, state: &mut State) {
        state.foreman_asleep = false;
        self.foreman.notify_one();
    }

    /// The next job of a thread. `None`: the thread is to end.
    fn next(&self, number: u64) -> Option<Job> {
        let mut state = self.state();
        let job = loop {
            let Some(thread) = state.threads.get_mut(&number) else {
                break None;
            };
            thread.began = None;
            let pace = thread.pace;
            let too_many = state.able(pace) > self.wanted;
            match pace {
                Pace::Prompt if !too_many => {}
                // One that was set back cannot come forward again.
                Pace::Slow if !too_many => break state.slow.pop_front(),
                _ => break None,
            }
            if let Some(job) = state.prompt.pop_front() {
                break Some(job);
            }
            if state.stopping {
                break None;
            }
            state.idle += 1;
            state = self
                .filled
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
            state.idle -= 1;
        };
        if let Some(job) = &job {
            state.begin(number, job);
        } else {
            state.threads.remove(&number);
            if !state.prompt.is_empty() {
                // The call that woke this thread was meant for whoever takes the job.
                self.filled.notify_one();
            }
        }
        if job.is_none() && !state.slow.is_empty() {
            self.call_foreman(&mut state);
        } else {
            self.wake_foreman(&mut state);
        }
        job
    }

    /// Only from threads that were never set back: a thread has the niceness of the one that starts it.
    fn start_thread(self: &Arc<Self>, pace: Pace) -> std::io::Result<()> {
        let number = {
            let mut state = self.state();
            state.last_number += 1;
            let number = state.last_number;
            state.threads.insert(number, Thread::new(pace));
            number
        };
        let queue = Arc::clone(self);
        let started = thread::Builder::new()
            .name(format!("sandbar-plugin-{number}"))
            .stack_size(STACK_BYTES)
            .spawn(move || queue.work(number, pace));
        if started.is_err() {
            self.state().threads.remove(&number);
        }
        started.map(drop)
    }

    /// The number of the thread that calls, where it is one of this queue's.
    fn own_number(&self) -> Option<u64> {
        SELF.get()
            .filter(|(queue, _)| std::ptr::eq(*queue, self))
            .map(|(_, number)| number)
    }

    fn work(&self, number: u64, pace: Pace) {
        SELF.set(Some((self, number)));
        let pauses = Pauses::of_this_thread();
        if let Some(thread) = self.state().threads.get_mut(&number) {
            (thread.kernel, thread.pauses) = (KernelThread::current(), pauses.pauses());
            thread.set_back(pace);
        }
        while let Some(job) = self.next(number) {
            (job.run)();
        }
    }

    /// Sets the job of this thread back as far as possible, before it begins.
    fn begin_stuck(&self) {
        let mut state = self.state();
        if let Some(number) = self.own_number()
            && let Some(thread) = state.threads.get_mut(&number)
        {
            thread.set_back(Pace::Stuck);
        }
        if !state.slow.is_empty() {
            self.call_foreman(&mut state);
        }
    }

    fn set_blocked(&self, number: u64, blocked: bool) {
        let mut state = self.state();
        let now = Instant::now();
        if let Some(thread) = state.threads.get_mut(&number) {
            if let Some(since) = thread.blocked.take() {
                thread.blocked_for += now.saturating_duration_since(since);
            }
            thread.blocked = blocked.then_some(now);
            if blocked {
                thread.pauses.stop();
            } else if thread.pace != Pace::Prompt {
                thread.pauses.begin();
            }
        }
        if blocked {
            self.call_foreman(&mut state);
        } else if state.able(Pace::Prompt) > self.wanted {
            // One that is idle may end.
            self.filled.notify_one();
        }
    }
}

/// Sets back what runs for long and starts the threads that are missing.
fn foreman(queue: &Arc<Queue>) {
    loop {
        let mut state = queue.state();
        if state.stopping && state.prompt.is_empty() && state.slow.is_empty() {
            return;
        }
        let mut due = state.set_back(Instant::now());
        if let Some(pace) = state.missing(queue.wanted) {
            drop(state);
            match queue.start_thread(pace) {
                Ok(()) => continue,
                Err(error) => {
                    tracing::warn!(%error, "no thread takes the place of one that is busy");
                    due = Some(Instant::now() + AGAIN);
                    state = queue.state();
                }
            }
        }
        match due {
            Some(due) => {
                let wait = due.saturating_duration_since(Instant::now());
                drop(queue.foreman.wait_timeout(state, wait));
            }
            None => {
                state.foreman_asleep = true;
                drop(queue.foreman.wait(state));
            }
        }
    }
}

impl Threads {
    /// Does something that waits for others; meanwhile another thread may run plugins.
    pub(crate) fn while_blocked<T>(&self, wait: impl FnOnce() -> T) -> T {
        /// Also where `wait` panics.
        struct Blocked<'a>(&'a Queue, u64);
        impl Drop for Blocked<'_> {
            fn drop(&mut self) {
                self.0.set_blocked(self.1, false);
            }
        }
        let blocked = self.0.own_number().map(|number| {
            self.0.set_blocked(number, true);
            Blocked(&self.0, number)
        });
        let answer = wait();
        drop(blocked);
        answer
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
                foreman: Condvar::new(),
            }),
        };
        for _ in 0..count.max(1) {
            workers.queue.start_thread(Pace::Prompt)?;
        }
        let queue = Arc::clone(&workers.queue);
        thread::Builder::new()
            .name("sandbar-foreman".to_owned())
            .spawn(move || foreman(&queue))?;
        Ok(workers)
    }

    pub(crate) fn threads(&self) -> Threads {
        Threads(self.queue.clone())
    }

    /// Runs `job` on one of the threads. What waits in the queue is bounded by the callers that
    /// wait here. Dropping the future does not stop a job that has started.
    pub(crate) async fn run<T: Send + 'static>(
        &self,
        standing: &Standing,
        events: usize,
        job: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Error> {
        let (answer, answered) = oneshot::channel();
        let (queue, standing) = (Arc::clone(&self.queue), standing.clone());
        let (before, slow_after) = (standing.longest(), slow_after(events));
        let run = Box::new(move || {
            if !answer.is_closed() {
                if before >= STUCK {
                    queue.begin_stuck();
                }
                let clock = Clock::start();
                let done = catch_unwind(AssertUnwindSafe(job));
                standing.ran_for(clock.time(), slow_after);
                // Nobody listening any more is fine.
                let _ = answer.send(done);
            }
        });
        let job = Job { run, slow_after };
        {
            let mut state = self.queue.state();
            if state.stopping {
                return Err(Error::Stopping);
            }
            if before >= SLOW {
                state.slow.push_back(job);
                self.queue.call_foreman(&mut state);
            } else {
                state.prompt.push_back(job);
                if state.idle == 0 {
                    self.queue.call_foreman(&mut state);
                } else {
                    self.queue.filled.notify_one();
                }
            }
        }
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
        let mut state = self.queue.state();
        state.stopping = true;
        self.queue.call_foreman(&mut state);
        self.queue.filled.notify_all();
    }
}
