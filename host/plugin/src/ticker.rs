//! One thread per engine that advances the epoch by which deadlines are kept. It sleeps for good
//! while no plugin runs, so that an idle hub does not wake 200 times a second.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

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
}

/// While this lives the epoch advances.
pub(crate) struct Active<'a>(&'a Ticker);

impl Ticker {
    pub(crate) fn start(engine: wasmtime::Engine) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            active: AtomicUsize::new(0),
            stopping: AtomicBool::new(false),
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

    pub(crate) fn enter(&self) -> Active<'_> {
        if self.shared.active.fetch_add(1, Ordering::AcqRel) == 0 {
            self.wake();
        }
        Active(self)
    }

    fn wake(&self) {
        if let Some(thread) = &self.thread {
            thread.thread().unpark();
        }
    }
}

impl Drop for Active<'_> {
    fn drop(&mut self) {
        self.0.shared.active.fetch_sub(1, Ordering::AcqRel);
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
