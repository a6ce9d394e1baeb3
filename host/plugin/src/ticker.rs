//! One thread per engine that keeps deadlines: it advances wasmtime's epoch, and closes the pages of
//! guests with checks whose time is over. It sleeps for good while no plugin runs, so that an idle hub
//! does not wake 200 times a second.

use std::{
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use crate::{call_time::CallTime, page::Page};

/// How exact deadlines are.
pub(crate) const TICK: Duration = Duration::from_millis(5);

pub(crate) struct Ticker {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    /// Calls that are in a guest now.
    active: AtomicUsize,
    stopping: AtomicBool,
    /// The pages of guests that are being called.
    watched: Mutex<Vec<Watched>>,
}

struct Watched {
    page: Page,
    time: CallTime,
    until: Instant,
    closed: bool,
}

/// While this lives the epoch advances, and the page of the call, if any, is watched.
pub(crate) struct Active<'a> {
    ticker: &'a Ticker,
    page: Option<Page>,
}

/// How a call ended.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Left {
    /// Its page was closed because its time was over.
    pub(crate) stopped: bool,
    /// And could not be opened again: the instance must not go back to the pool.
    pub(crate) stuck: bool,
}

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            active: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
            watched: Mutex::default(),
        });
        let thread = thread::Builder::new()
            .name("sandbar-ticker".to_owned())
            .spawn({
                let shared = Arc::clone(&shared);
                move || keep_time(&shared, &engine)
            })?;
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }

    /// A call begins that has so much time; `page` is its guest's, where it has checks.
    pub(crate) fn enter(&self, page: Option<Page>, time: CallTime) -> Active<'_> {
        if let Some(page) = page {
            self.shared.watched().push(Watched {
                page,
                time,
                until: time.until(),
                closed: false,
            });
        }
        if self.shared.active.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake();
        }
        Active { ticker: self, page }
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Active<'_> {
    /// The call is over.
    pub(crate) fn leave(mut self) -> Left {
        self.forget_page()
    }

    fn forget_page(&mut self) -> Left {
        let Some(page) = self.page.take() else {
            return Left::default();
        };
        // Under the lock: when it is released nobody closes the page any more.
        let mut watched = self.ticker.shared.watched();
        let Some(index) = watched.iter().position(|watched| watched.page == page) else {
            return Left::default();
        };
        let stopped = watched.swap_remove(index).closed;
        let stuck = stopped
            && page.open().is_err_and(|error| {
                tracing::error!(%error, "a plugin's memory cannot be opened again; it is given up");
                true
            });
        Left { stopped, stuck }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.forget_page();
        self.ticker.shared.active.fetch_sub(1, Ordering::AcqRel);
    }
}

impl Shared {
    fn watched(&self) -> MutexGuard<'_, Vec<Watched>> {
        // The lines under the lock cannot panic.
        self.watched.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn close_overdue(&self) {
        let now = Instant::now();
        for watched in self.watched().iter_mut() {
            if !watched.closed && watched.until <= now {
                if let Some(more) = watched.time.more() {
                    watched.until = now + more;
                    continue;
                }
                match watched.page.close() {
                    Ok(()) => watched.closed = true,
                    // The next tick tries again.
                    Err(error) => tracing::error!(%error, "a plugin cannot be stopped"),
                }
            }
        }
    }
}

impl Drop for Ticker {
    fn drop(&mut self) {
        self.shared.stopping.store(true, Ordering::Release);
        self.wake();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

fn keep_time(shared: &Shared, engine: &wasmtime::Engine) {
    let mut told = Instant::now();
    while !shared.stopping.load(Ordering::Acquire) {
        if shared.active.load(Ordering::Acquire) == 0 {
            // An unpark between the two lines makes this return at once.
            thread::park();
            told = Instant::now();
            continue;
        }
        thread::sleep(TICK);
        shared.close_overdue();
        // A sleep on a busy machine takes longer than asked: the epoch follows the clock.
        while told.elapsed() >= TICK {
            told += TICK;
            engine.increment_epoch();
        }
    }
}

/// Epochs that must pass so that at least `time` has passed.
pub(crate) fn epochs(time: Duration) -> u64 {
    let ticks = time.as_nanos().div_ceil(TICK.as_nanos());
    // The tick under way when the call starts is not a whole one.
    u64::try_from(ticks)
        .unwrap_or(u64::MAX / 4)
        .min(u64::MAX / 4)
        + 1
}
