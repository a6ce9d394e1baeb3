//! What is settled, in the log itself, so that settlements share the syncs of publishes.
//!
//! An acknowledgement is a frame without a body in `sandbar.settled/0`; its provenance names the
//! subscription and partition as the producer and the offsets as origins. A dead letter is an event
//! of `sandbar.dead-letters/0` with the same provenance, and is its own settlement; the index of its
//! origin is 1 where the event goes on holding its key.
//!
//! A checkpoint (see `positions`) says up to where the two partitions are in it; at start the frames
//! behind are read, once for all subscriptions.

use std::{collections::HashMap, sync::Arc};

use bytes::Bytes;
use sandbar_log::{Append, Durability, Log};
use sandbar_types::{BatchBuilder, Event, Offset, PartitionId, Provenance};
use serde::{Deserialize, Serialize};

use crate::problem::{Code, Problem};

/// How many frame heads are read at once.
const HEADS: usize = 1024;
/// Index of the origin of a dead letter whose event holds its key.
const HOLDS: u32 = 1;

/// Up to where the journal is in a checkpoint.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tails {
    pub settled: Offset,
    pub dead: Offset,
}

impl Tails {
    /// The earlier of two, in each partition.
    #[must_use]
    pub fn earlier(self, other: Self) -> Self {
        Self {
            settled: self.settled.min(other.settled),
            dead: self.dead.min(other.dead),
        }
    }
}

/// Who settles.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Author {
    /// `subscription/<name>/<topic>/<partition>`.
    pub producer: String,
    /// The id of the subscription, as `made_by`: one of the same name that was deleted is another.
    pub id: u64,
}

impl Author {
    fn provenance(self, origins: Vec<(Offset, u32)>) -> Provenance {
        Provenance {
            producer: self.producer,
            made_by: format!("{:x}", self.id),
            origins,
        }
    }

    fn of(provenance: &Provenance) -> Option<Self> {
        provenance
            .producer
            .starts_with("subscription/")
            .then_some(())?;
        Some(Self {
            producer: provenance.producer.clone(),
            id: u64::from_str_radix(&provenance.made_by, 16).ok()?,
        })
    }
}

/// The two partitions.
#[derive(Clone, Debug)]
pub struct Journal {
    log: Arc<dyn Log>,
    pub settled: PartitionId,
    pub dead_letters: PartitionId,
}

/// A dead letter to be written.
#[derive(Debug)]
pub struct Letter {
    pub offset: Offset,
    pub holds: bool,
    pub event: Event,
}

/// What a producer wrote, in the order of the log: dead letters first.
#[derive(Clone, Debug, Default)]
pub struct Written {
    pub entries: Vec<Entry>,
}

/// One frame.
#[derive(Clone, Debug)]
pub struct Entry {
    pub dead: bool,
    /// Where the frame stands in its partition.
    pub at: Offset,
    pub origins: Vec<(Offset, u32)>,
}

impl Entry {
    #[must_use]
    pub fn holds(index: u32) -> bool {
        index == HOLDS
    }
}

impl Journal {
    #[must_use]
    pub fn new(log: Arc<dyn Log>, settled: PartitionId, dead_letters: PartitionId) -> Self {
        Self {
            log,
            settled,
            dead_letters,
        }
    }

    /// Where the two partitions end now.
    #[must_use]
    pub fn tails(&self) -> Tails {
        let tail = |partition| self.log.bounds(partition).unwrap_or_default().tail;
        Tails {
            settled: tail(&self.settled),
            dead: tail(&self.dead_letters),
        }
    }

    /// Writes settlements of several producers in one go. Durable when it returns.
    ///
    /// # Errors
    /// `storage-full`, `log-stopped`, `stopping`; nothing is settled then.
    pub async fn settle(&self, settled: Vec<(Author, Vec<Offset>)>) -> Result<(), Problem> {
        let frames = settled
            .into_iter()
            .filter(|(_, offsets)| !offsets.is_empty());
        let frames = frames.map(|(author, offsets)| Append {
            partition: self.settled.clone(),
            count: u32::try_from(offsets.len()).unwrap_or(u32::MAX),
            body: Bytes::new(),
            provenance: Some(
                author.provenance(offsets.into_iter().map(|offset| (offset, 0)).collect()),
            ),
            durability: Durability::Sync,
        });
        self.append(frames.collect()).await
    }

    /// Writes dead letters. Durable when it returns.
    ///
    /// # Errors
    /// As [`Journal::settle`].
    pub async fn bury(&self, author: Author, letters: &[Letter]) -> Result<(), Problem> {
        let mut batch = BatchBuilder::new();
        for letter in letters {
            batch.push_event(&letter.event);
        }
        let origins = letters
            .iter()
            .map(|letter| (letter.offset, if letter.holds { HOLDS } else { 0 }));
        let frame = Append {
            partition: self.dead_letters.clone(),
            count: u32::try_from(letters.len()).unwrap_or(u32::MAX),
            provenance: Some(author.provenance(origins.collect())),
            body: Bytes::from(batch.finish().encode()),
            durability: Durability::Sync,
        };
        self.append(vec![frame]).await
    }

    async fn append(&self, frames: Vec<Append>) -> Result<(), Problem> {
        if frames.is_empty() {
            return Ok(());
        }
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let done = Box::new(move |result| drop(sender.send(result)));
        self.log.submit(frames, done);
        match receiver.await.unwrap_or(Err(sandbar_log::Error::Closed)) {
            Ok(_) => Ok(()),
            Err(error) => Err(refusal(&error)),
        }
    }

    /// All that subscriptions wrote since. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read, in words.
    pub fn written_since(&self, tails: Tails) -> Result<HashMap<Author, Written>, String> {
        let mut written: HashMap<Author, Written> = HashMap::new();
        for (partition, tail, dead) in [
            (&self.dead_letters, tails.dead, true),
            (&self.settled, tails.settled, false),
        ] {
            let mut from = tail;
            loop {
                let heads = match self.log.heads(partition, from, HEADS) {
                    Ok(heads) => heads,
                    Err(sandbar_log::Error::PastTail { .. }) => break,
                    Err(sandbar_log::Error::Trimmed { earliest, .. }) => {
                        from = earliest;
                        continue;
                    }
                    Err(error) => return Err(error.to_string()),
                };
                let Some(last) = heads.last() else { break };
                from = last.base + u64::from(last.count);
                for head in heads {
                    let Some(provenance) = head.provenance else {
                        continue;
                    };
                    if let Some(author) = Author::of(&provenance) {
                        let entry = Entry {
                            dead,
                            at: head.base,
                            origins: provenance.origins,
                        };
                        written.entry(author).or_default().entries.push(entry);
                    }
                }
            }
        }
        Ok(written)
    }
}

/// What a client is told when its settlement could not be written.
fn refusal(error: &sandbar_log::Error) -> Problem {
    use sandbar_log::Error;
    let detail = error.to_string();
    match error {
        Error::Full { .. } => Problem::new(Code::StorageFull, detail).retry_after(5),
        Error::Closed => Problem::new(Code::Stopping, detail).retry_after(5),
        Error::Poisoned(_) | Error::Damaged { .. } => Problem::new(Code::LogStopped, detail),
        _ => Problem::internal(detail),
    }
}
