//! The one thread that writes: it takes all calls that wait, writes their frames with one call per
//! partition, syncs each file once, makes the frames readable and answers. It knows nothing of
//! reading or of recovery.
//!
//! When a write fails, every partition of the group is cut back to where the group began, and the
//! group's calls are tried again one by one, so that each is answered for itself. A sync that fails
//! is never tried again: what is on disk is then unknown, and the log is poisoned.

use std::{
    collections::{HashMap, VecDeque},
    io::IoSlice,
    sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError},
};

use bytes::Bytes;
use sandbar_types::{Offset, PartitionId};

use crate::{
    Appended, Done, Error, Result,
    frame::Prepared,
    index::Entry,
    options::Clock,
    partition::{Partition, WriteSide, io_error, is_full},
    partitions::Partitions,
    segment::HEADER,
};

/// A frame on its way.
#[derive(Debug)]
pub(crate) struct Waiting {
    pub partition: PartitionId,
    pub frame: Prepared,
    pub sync: bool,
}

/// One call.
pub(crate) struct Call {
    pub frames: Vec<Waiting>,
    pub done: Done,
}

#[derive(Default)]
struct Pending {
    calls: VecDeque<Call>,
    frames: usize,
    bytes: usize,
    closed: bool,
}

/// The bounded queue in front of the writer.
pub(crate) struct Queue {
    pending: Mutex<Pending>,
    filled: Condvar,
    drained: Condvar,
    most_frames: usize,
    most_bytes: usize,
}

/// How much one group takes at most. More would let a roll overshoot by more, and make those that
/// wait for the first frame wait longer.
const GROUP_BYTES: usize = 16 << 20;
const GROUP_FRAMES: usize = 4096;

fn weight(call: &Call) -> usize {
    call.frames.iter().map(|waiting| waiting.frame.size()).sum()
}

impl Queue {
    pub fn new(most_frames: usize, most_bytes: usize) -> Self {
        Self {
            pending: Mutex::default(),
            filled: Condvar::new(),
            drained: Condvar::new(),
            most_frames,
            most_bytes,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Pending> {
        self.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits for room. Gives the call back when the queue is closed. A call larger than the whole
    /// queue goes in alone.
    pub fn push(&self, call: Call) -> Result<(), Call> {
        let bytes = weight(&call);
        let mut pending = self.lock();
        while !pending.closed
            && !pending.calls.is_empty()
            && (pending.frames + call.frames.len() > self.most_frames
                || pending.bytes + bytes > self.most_bytes)
        {
            pending = self
                .drained
                .wait(pending)
                .unwrap_or_else(PoisonError::into_inner);
        }
        if pending.closed {
            return Err(call);
        }
        pending.frames += call.frames.len();
        pending.bytes += bytes;
        pending.calls.push_back(call);
        self.filled.notify_one();
        Ok(())
    }

    pub fn close(&self) {
        self.lock().closed = true;
        self.filled.notify_all();
        self.drained.notify_all();
    }

    /// Waits for calls; nothing when the queue is closed and empty.
    fn take(&self) -> Option<Vec<Call>> {
        let mut pending = self.lock();
        while pending.calls.is_empty() {
            if pending.closed {
                return None;
            }
            pending = self
                .filled
                .wait(pending)
                .unwrap_or_else(PoisonError::into_inner);
        }
        let (mut taken, mut frames, mut bytes) = (Vec::new(), 0, 0);
        while let Some(call) = pending.calls.front() {
            let (count, size) = (call.frames.len(), weight(call));
            if !taken.is_empty() && (frames + count > GROUP_FRAMES || bytes + size > GROUP_BYTES) {
                break;
            }
            frames += count;
            bytes += size;
            taken.extend(pending.calls.pop_front());
        }
        pending.frames -= frames;
        pending.bytes -= bytes;
        drop(pending);
        self.drained.notify_all();
        Some(taken)
    }
}

/// The writer's side of the queue.
pub(crate) struct Writer {
    pub queue: Arc<Queue>,
    pub partitions: Arc<Partitions>,
    pub poison: Arc<OnceLock<String>>,
    pub clock: Clock,
    pub segment_bytes: u64,
}

/// One partition's share of a group.
struct Share<'a> {
    partition: &'a Partition,
    write: MutexGuard<'a, WriteSide>,
    /// Length, next offset and last time before the group.
    start: (u64, Offset, u64),
    heads: Vec<u8>,
    /// Ends of the heads in `heads`, each with the stored body that follows it.
    bodies: Vec<(usize, Bytes)>,
    entries: Vec<Entry>,
    sync: bool,
}

type Answers = Vec<Vec<Appended>>;

impl Writer {
    /// Until the queue is closed and empty.
    pub fn run(&self) {
        while let Some(calls) = self.queue.take() {
            self.group(calls);
        }
        for partition in self.partitions.all() {
            let mut write = partition.lock_write();
            if partition.damage().is_none() && !write.deleted && partition.sync(&mut write).is_ok()
            {
                partition.checkpoint(&mut write);
            }
        }
    }

    fn group(&self, calls: Vec<Call>) {
        let mut good = Vec::with_capacity(calls.len());
        let mut found: HashMap<PartitionId, Arc<Partition>> = HashMap::new();
        for call in calls {
            match self.resolve(&call, &mut found) {
                Ok(()) => good.push(call),
                Err(error) => (call.done)(Err(error)),
            }
        }
        if good.is_empty() {
            return;
        }
        match self.commit(&good, &found) {
            Ok(answers) => {
                for (call, answer) in good.into_iter().zip(answers) {
                    (call.done)(Ok(answer));
                }
            }
            Err(error) if good.len() == 1 || matches!(error, Error::Poisoned(_)) => {
                for call in good {
                    (call.done)(Err(error.clone()));
                }
            }
            Err(_) => {
                for call in good {
                    let answer = self.commit(std::slice::from_ref(&call), &found);
                    (call.done)(answer.map(|mut answers| answers.pop().unwrap_or_default()));
                }
            }
        }
    }

    fn resolve(&self, call: &Call, found: &mut HashMap<PartitionId, Arc<Partition>>) -> Result<()> {
        if let Some(why) = self.poison.get() {
            return Err(Error::Poisoned(why.clone()));
        }
        for waiting in &call.frames {
            if !found.contains_key(&waiting.partition) {
                let partition = self.partitions.get(&waiting.partition)?;
                found.insert(waiting.partition.clone(), partition);
            }
            if let Some(damage) = found[&waiting.partition].damage() {
                return Err(damage);
            }
        }
        Ok(())
    }

    /// Writes all frames of `calls`, or none.
    fn commit(
        &self,
        calls: &[Call],
        found: &HashMap<PartitionId, Arc<Partition>>,
    ) -> Result<Answers> {
        if let Some(why) = self.poison.get() {
            return Err(Error::Poisoned(why.clone()));
        }
        let mut shares: Vec<Share<'_>> = Vec::new();
        let answers = match self.write(calls, found, &mut shares) {
            Ok(answers) => answers,
            Err(error) => {
                for share in &mut shares {
                    share.undo()?;
                }
                return Err(error);
            }
        };
        for share in &mut shares {
            if share.sync {
                share.partition.sync(&mut share.write)?;
            }
        }
        for share in &shares {
            share.partition.publish(&share.write, &share.entries);
        }
        for share in &mut shares {
            share.partition.checkpoint_if_due(&mut share.write);
        }
        Ok(answers)
    }

    /// Lays out what each partition gets and writes it.
    fn write<'a>(
        &self,
        calls: &'a [Call],
        found: &'a HashMap<PartitionId, Arc<Partition>>,
        shares: &mut Vec<Share<'a>>,
    ) -> Result<Answers> {
        let now = (self.clock)();
        let mut places: HashMap<&PartitionId, usize> = HashMap::new();
        let mut answers = Vec::with_capacity(calls.len());
        for call in calls {
            let mut answer = Vec::with_capacity(call.frames.len());
            for waiting in &call.frames {
                let place = match places.get(&waiting.partition) {
                    Some(&place) => place,
                    None => {
                        shares.push(self.share(&found[&waiting.partition])?);
                        places.insert(&waiting.partition, shares.len() - 1);
                        shares.len() - 1
                    }
                };
                answer.push(shares[place].add(waiting, now));
            }
            answers.push(answer);
        }
        for share in shares.iter() {
            share.store().map_err(|error| {
                let partition = share.partition.id.clone();
                if is_full(&error) {
                    Error::Full { partition }
                } else {
                    io_error(format!("cannot write to {partition}"), error)
                }
            })?;
        }
        Ok(answers)
    }

    fn share<'a>(&self, partition: &'a Partition) -> Result<Share<'a>> {
        let mut write = partition.lock_write();
        if write.deleted {
            return Err(Error::NoSuchPartition(partition.id.clone()));
        }
        if write.length >= self.segment_bytes && write.length > HEADER {
            partition.roll(&mut write)?;
        }
        let start = (write.length, write.next, write.last_time);
        Ok(Share {
            partition,
            write,
            start,
            heads: Vec::new(),
            bodies: Vec::new(),
            entries: Vec::new(),
            sync: false,
        })
    }
}

impl Share<'_> {
    fn add(&mut self, waiting: &Waiting, now: u64) -> Appended {
        let write = &mut *self.write;
        let time = now.max(write.last_time);
        let appended = Appended {
            base: write.next,
            time,
        };
        self.entries.push(Entry {
            offset: write.next,
            position: write.length,
            time,
        });
        waiting
            .frame
            .write_head(&mut self.heads, write.next, time, write.synced);
        self.bodies
            .push((self.heads.len(), waiting.frame.stored.clone()));
        self.sync |= waiting.sync;
        write.next += u64::from(waiting.frame.count);
        write.length += waiting.frame.size() as u64;
        write.last_time = time;
        appended
    }

    fn store(&self) -> std::io::Result<()> {
        let Some(file) = &self.write.file else {
            return Ok(());
        };
        let mut parts = Vec::with_capacity(self.bodies.len() * 2);
        let mut from = 0;
        for (to, body) in &self.bodies {
            parts.push(IoSlice::new(&self.heads[from..*to]));
            parts.push(IoSlice::new(body));
            from = *to;
        }
        file.write_at(&mut parts, self.start.0)
    }

    /// Cuts back to where the group began.
    fn undo(&mut self) -> Result<()> {
        let (length, next, last_time) = self.start;
        if let Some(file) = &self.write.file
            && let Err(error) = file.truncate(length)
        {
            let why = format!(
                "cannot take back a failed write to {}: {error}",
                self.partition.id
            );
            return Err(self.partition.poisoned(&why));
        }
        self.write.length = length;
        self.write.next = next;
        self.write.last_time = last_time;
        Ok(())
    }
}
