//! Places for plugin instances: the engine's pool holds so many, and there may be more lanes at work than
//! that. A lane takes places before it makes instances and waits in a queue where there are none; those
//! who hold places and have nothing to do, or have had a turn, make room for those who wait.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};

/// Of so many places one is left to those who do not wait here: trials, checks of new routes, lineage.
const LEFT_TO_OTHERS: u32 = 8;

/// The places of the engine's pool that lanes and shadows share.
#[derive(Debug)]
pub struct Places {
    free: Arc<Semaphore>,
    all: u32,
    waiting: AtomicUsize,
    /// Someone waits, and someone who is idle is to make room.
    wanted: Notify,
}

/// Places that are held; dropping it gives them back.
#[derive(Debug)]
pub struct Held {
    places: Arc<Places>,
    count: u32,
    permit: Option<OwnedSemaphorePermit>,
}

impl Places {
    /// Of a pool that holds `pool` instances.
    #[must_use]
    pub fn of(pool: u32) -> Arc<Self> {
        let all = (pool - pool / LEFT_TO_OTHERS).max(1);
        Arc::new(Self {
            free: Arc::new(Semaphore::new(all as usize)),
            all,
            waiting: AtomicUsize::new(0),
            wanted: Notify::new(),
        })
    }

    /// Takes `count` places, in turn with all others who wait. Who wants more than there are gets all.
    pub async fn take(self: &Arc<Self>, count: u32) -> Held {
        /// Also where the future is dropped.
        struct Waiting<'a>(&'a AtomicUsize);
        impl Drop for Waiting<'_> {
            fn drop(&mut self) {
                self.0.fetch_sub(1, Ordering::AcqRel);
            }
        }
        let permits = count.min(self.all);
        let permit = match self.free.clone().try_acquire_many_owned(permits) {
            Ok(permit) => Some(permit),
            Err(_) => {
                self.waiting.fetch_add(1, Ordering::AcqRel);
                let _waiting = Waiting(&self.waiting);
                self.wanted.notify_one();
                // It fails only for a semaphore that was closed, which this one never is.
                self.free.clone().acquire_many_owned(permits).await.ok()
            }
        };
        Held {
            places: self.clone(),
            count,
            permit,
        }
    }

    /// Whether someone waits for a place.
    #[must_use]
    pub fn are_wanted(&self) -> bool {
        self.waiting.load(Ordering::Acquire) > 0
    }

    /// Returns when a place that is not used is wanted.
    pub async fn wanted(&self) {
        loop {
            self.wanted.notified().await;
            // It may be an old call.
            if self.are_wanted() {
                return;
            }
        }
    }
}

impl Held {
    /// For how many instances.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.count
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        self.permit = None;
        // Who waits may want more than these.
        if self.places.are_wanted() {
            self.places.wanted.notify_one();
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::{FutureExt, poll};

    use super::*;

    #[tokio::test]
    async fn who_waits_gets_places_in_turn() {
        let places = Places::of(4);
        let first = places.take(3).await;
        assert!(!places.are_wanted());
        let mut second = Box::pin(places.take(2));
        let mut third = Box::pin(places.take(1));
        assert!(poll!(&mut second).is_pending() && poll!(&mut third).is_pending());
        assert!(places.wanted().now_or_never().is_some());
        drop(first);
        let second = second.now_or_never().expect("there is room");
        assert_eq!(second.count(), 2);
        assert_eq!(third.now_or_never().expect("there is room").count(), 1);
        assert!(!places.are_wanted());
    }

    #[tokio::test]
    async fn who_wants_more_than_there_are_gets_all() {
        let places = Places::of(4);
        let all = places.take(100).await;
        assert_eq!(all.count(), 100);
        let mut other = Box::pin(places.take(1));
        assert!(poll!(&mut other).is_pending());
        drop(other);
        assert!(!places.are_wanted(), "who went away does not wait");
        drop(all);
        assert!(places.take(4).now_or_never().is_some());
    }

    #[tokio::test]
    async fn who_makes_room_that_is_not_enough_has_others_asked() {
        let places = Places::of(2);
        let (one, other) = (places.take(1).await, places.take(1).await);
        let mut both = Box::pin(places.take(2));
        assert!(poll!(&mut both).is_pending());
        assert!(places.wanted().now_or_never().is_some());
        drop(one);
        assert!(poll!(&mut both).is_pending());
        assert!(places.wanted().now_or_never().is_some());
        drop(other);
        assert!(both.now_or_never().is_some());
    }
}
