//! How many read the log for clients at a time. A read brings whole frames into memory, which may be as
//! large as a publish, so what is read at once is bounded by their number.

use std::sync::{Arc, Condvar, Mutex, PoisonError};

/// At least so many at a time; more where there are more cores.
const LEAST: usize = 4;

/// See the head of this module. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Reads(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    free: Mutex<usize>,
    left: Condvar,
}

/// One that reads, until it is dropped. Whoever holds it must not ask for another.
#[derive(Debug)]
pub struct Reading<'a>(&'a Inner);

impl Default for Reads {
    fn default() -> Self {
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        Self(Arc::new(Inner {
            free: Mutex::new(cores.max(LEAST)),
            left: Condvar::new(),
        }))
    }
}

impl Reads {
    /// Blocks until there are few enough.
    #[must_use]
    pub fn begin(&self) -> Reading<'_> {
        let free = self.0.free.lock().unwrap_or_else(PoisonError::into_inner);
        let mut free = (self.0.left)
            .wait_while(free, |free| *free == 0)
            .unwrap_or_else(PoisonError::into_inner);
        *free -= 1;
        Reading(&self.0)
    }
}

impl Drop for Reading<'_> {
    fn drop(&mut self) {
        *self.0.free.lock().unwrap_or_else(PoisonError::into_inner) += 1;
        self.0.left.notify_one();
    }
}
