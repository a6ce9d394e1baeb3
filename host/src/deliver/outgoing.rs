//! Room for what is on its way to clients: the answers of all connections together hold so many bytes of
//! events and no more, however slowly clients read. The room is given back when the bytes are written.
//! Half is for pages and batches, half for streams, which wait for it as long as it takes.
//!
//! Who finds none waits. Connections that hold some, and have not moved for a while, are then cut, the
//! one that stands still the longest first: nobody holds others up by not reading. It knows no HTTP.

use std::{
    future::Future,
    pin::pin,
    sync::{
        Arc, Mutex, PoisonError, Weak,
        atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering},
    },
    time::Duration,
};

use bytes::Bytes;
use futures_util::task::AtomicWaker;
use tokio::time::Instant;

use crate::{
    problem::{Code, Problem},
    room::{Part, Room},
};

/// A connection that has not moved for so long, although there is something to write, may be cut.
const STILL: Duration = Duration::from_secs(10);
/// How long an answer waits for room, before its client is told to come back.
const PATIENCE: Duration = Duration::from_secs(5);
/// While somebody waits for room, a connection is cut this often at most.
const CUT_EVERY: Duration = Duration::from_millis(100);

/// See the head of this module.
#[derive(Debug)]
pub struct Outgoing {
    answers: Room,
    streams: Room,
    links: Mutex<Vec<Weak<Link>>>,
}

/// A connection of a client.
#[derive(Debug)]
pub struct Link {
    begun: Instant,
    /// Bytes that are on their way, of answers and of streams.
    held: [AtomicUsize; 2],
    /// When it moved last, or began to hold something: milliseconds since it begun.
    moved: AtomicU64,
    cut: AtomicBool,
    /// Of the task that reads and writes.
    waker: AtomicWaker,
}

/// What an answer goes out through.
#[derive(Clone, Debug)]
pub struct Way {
    outgoing: Arc<Outgoing>,
    link: Arc<Link>,
}

/// Whether a client is told to come back when there is no room, or its stream waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Patience {
    Answer,
    Stream,
}

/// What was made for an answer or a part of a stream.
#[derive(Debug)]
pub enum Made<T> {
    Fits(T),
    /// Nothing: the first event alone has so many bytes.
    Needs(usize),
}

impl<T> Made<T> {
    /// What was made, unless its first event needs more.
    pub fn of(made: T, needs: Option<usize>) -> Self {
        needs.map_or(Self::Fits(made), Self::Needs)
    }
}

impl Outgoing {
    /// Room for so many bytes.
    #[must_use]
    pub fn new(bytes: usize) -> Self {
        Self {
            answers: Room::new(bytes / 2),
            streams: Room::new(bytes / 2),
            links: Mutex::default(),
        }
    }

    /// A connection that has just been made.
    #[must_use]
    pub fn connect(&self) -> Arc<Link> {
        let link = Arc::new(Link {
            begun: Instant::now(),
            held: Default::default(),
            moved: AtomicU64::new(0),
            cut: AtomicBool::new(false),
            waker: AtomicWaker::new(),
        });
        let mut links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
        if links.len() == links.capacity() {
            links.retain(|link| link.strong_count() > 0);
        }
        links.push(Arc::downgrade(&link));
        link
    }

    /// Bytes that are on their way.
    #[must_use]
    pub fn taken(&self) -> usize {
        self.answers.taken() + self.streams.taken()
    }

    fn room(&self, patience: Patience) -> &Room {
        match patience {
            Patience::Answer => &self.answers,
            Patience::Stream => &self.streams,
        }
    }

    /// Waits for room, and makes some.
    async fn wait(
        &self,
        taking: impl Future<Output = Part>,
        patience: Patience,
    ) -> Result<Part, Problem> {
        let mut taking = pin!(taking);
        let begun = Instant::now();
        loop {
            if let Ok(part) = tokio::time::timeout(CUT_EVERY, &mut taking).await {
                return Ok(part);
            }
            self.cut_one(patience, STILL);
            if patience == Patience::Answer && begun.elapsed() >= PATIENCE {
                let detail = "the hub has its hands full of answers that clients do not read";
                return Err(Problem::new(Code::Busy, detail).retry_after(2));
            }
        }
    }

    /// Cuts the connection that stands still the longest, if it does for so long.
    fn cut_one(&self, of: Patience, at_least: Duration) {
        let longest = {
            let links = self.links.lock().unwrap_or_else(PoisonError::into_inner);
            let still = links.iter().filter_map(Weak::upgrade).filter_map(|link| {
                let since = link.still(of)?;
                (since >= at_least).then_some((since, link))
            });
            still.max_by_key(|(since, _)| *since)
        };
        if let Some((since, link)) = longest {
            tracing::info!(
                held = link.held[of as usize].load(Ordering::Relaxed),
                seconds = since.as_secs(),
                "others need the room of a client that does not read: its connection is cut"
            );
            link.cut.store(true, Ordering::Release);
            link.waker.wake();
        }
    }
}

impl Link {
    /// For how long it has not moved although it holds something; nothing of one that was cut.
    fn still(&self, of: Patience) -> Option<Duration> {
        if self.held[of as usize].load(Ordering::Acquire) == 0 || self.is_cut() {
            return None;
        }
        let moved = Duration::from_millis(self.moved.load(Ordering::Acquire));
        Some(self.begun.elapsed().saturating_sub(moved))
    }

    /// Its client has read something.
    pub fn moves(&self) {
        let now = u64::try_from(self.begun.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.moved.store(now, Ordering::Release);
    }

    /// Whether it is to end.
    #[must_use]
    pub fn is_cut(&self) -> bool {
        self.cut.load(Ordering::Acquire)
    }

    /// The task of this context waits for the client; it is woken when the connection is cut.
    pub fn waits(&self, context: &std::task::Context<'_>) {
        self.waker.register(context.waker());
    }
}

impl Way {
    #[must_use]
    pub fn new(outgoing: Arc<Outgoing>, link: Arc<Link>) -> Self {
        Self { outgoing, link }
    }

    /// Has an answer, or a part of a stream, of at most `most` bytes made in the room that there is for it: less
    /// the more is taken, at least one event. `make` is told how many bytes it may have, and is asked once more
    /// where its first event has more. Gives the room with what was made.
    ///
    /// # Errors
    /// `busy`, of an answer; those of `make`.
    pub async fn make<T, F>(
        &self,
        most: usize,
        patience: Patience,
        make: impl Fn(usize) -> F,
    ) -> Result<(T, Part), Problem>
    where
        F: Future<Output = Result<Made<T>, Problem>>,
    {
        let portion = self.outgoing.room(patience).portion(most);
        let mut room = self.take(portion, patience).await?;
        let mut fits = room.bytes();
        loop {
            match make(fits).await? {
                Made::Fits(made) => return Ok((made, room)),
                Made::Needs(needs) => {
                    // Who holds room must not wait for more.
                    drop(room);
                    room = self.take(needs, patience).await?;
                    // Where there is not so much at all, it has all there is.
                    fits = needs;
                }
            }
        }
    }

    /// Room for so many bytes; for more than there is at all, all of it.
    async fn take(&self, bytes: usize, patience: Patience) -> Result<Part, Problem> {
        let taking = self.outgoing.room(patience).take(bytes);
        self.outgoing.wait(taking, patience).await
    }

    /// The bytes, with as much of the room, which was taken for the same, as they need until the last of
    /// them is written.
    #[must_use]
    pub fn hold(&self, mut bytes: Vec<u8>, mut room: Part, of: Patience) -> Bytes {
        /// What is on its way.
        struct Held {
            bytes: Vec<u8>,
            link: Arc<Link>,
            of: Patience,
            _room: Part,
        }
        impl AsRef<[u8]> for Held {
            fn as_ref(&self) -> &[u8] {
                &self.bytes
            }
        }
        impl Drop for Held {
            fn drop(&mut self) {
                self.link.held[self.of as usize].fetch_sub(self.bytes.len(), Ordering::AcqRel);
            }
        }
        if bytes.is_empty() {
            return Bytes::new();
        }
        bytes.shrink_to_fit();
        room.shrink(bytes.len());
        let link = self.link.clone();
        if link.held[of as usize].fetch_add(bytes.len(), Ordering::AcqRel) == 0 {
            link.moves();
        }
        Bytes::from_owner(Held {
            bytes,
            link,
            of,
            _room: room,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn who_holds_nothing_is_not_cut() {
        let outgoing = Arc::new(Outgoing::new(1024 * 1024));
        let [reads, idle] = [(); 2].map(|()| Way::new(outgoing.clone(), outgoing.connect()));
        let of = Patience::Answer;
        let room = reads.take(512 * 1024, of).await.expect("room");
        let held = reads.hold(vec![0; 256 * 1024], room, of);
        assert_eq!(outgoing.taken(), 256 * 1024, "the rest is given back");
        outgoing.cut_one(of, STILL);
        assert!(!reads.link.is_cut(), "it has only just begun");
        outgoing.cut_one(Patience::Stream, Duration::ZERO);
        assert!(!reads.link.is_cut(), "it holds nothing of that");
        outgoing.cut_one(of, Duration::ZERO);
        outgoing.cut_one(of, Duration::ZERO);
        assert!(reads.link.is_cut());
        assert!(!idle.link.is_cut());
        drop(held.slice(7..9));
        assert_eq!(outgoing.taken(), 256 * 1024);
        drop(held);
        assert_eq!(outgoing.taken(), 0);
    }
}
