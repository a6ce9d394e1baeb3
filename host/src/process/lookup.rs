//! The latest event of each key of a topic, for plugins that look things up.
//!
//! A [`Table`] is an index in memory, from a key to the position of its latest event; the event
//! itself is read from the log. It is built by reading the topic from its start, when the first lane
//! that needs it begins, is shared by all lanes and routes that look into the topic, and is gone
//! with the last of them.
//!
//! # What is seen
//! Each turn of a lane begins by bringing the tables of its route up to the tails of their topics.
//! So a lookup sees at least what was durable in the topic before the turn began; what comes while
//! the turn runs it may see or not. An event that retention deleted is gone for lookups too.
//!
//! # Limits
//! A table holds so many keys as the hub allows (`--lookup-keys`), which with their texts may have
//! 256 bytes each on average, and some 50 bytes more for each. Beyond that, and where the topic cannot be read, the lanes that need it are stalled and say
//! why; nothing is lost, and they go on when there is room.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError, RwLock, TryLockError, Weak,
        atomic::{AtomicBool, Ordering},
    },
    time::{Duration, Instant},
};

use sandbar_log::Log;
use sandbar_plugin::lookup::{Error, Lookup};
use sandbar_types::{Batch, Event, Name, Offset, PartitionId};

/// How much of a partition is read at once.
const READ_BYTES: usize = 4 * 1024 * 1024;
/// Decoded frames kept of a table, because events that were published together are often looked up
/// together: at most so many, with so many bytes; the last one in any case.
const FRAMES: usize = 256;
const FRAMES_BYTES: usize = 32 * 1024 * 1024;
/// Bytes of all keys of a table, per key that it may have.
const TEXT_PER_KEY: usize = 256;

/// All tables that something needs now.
#[derive(Debug)]
pub struct Tables {
    log: Arc<dyn Log>,
    most_keys: usize,
    tables: Mutex<HashMap<Name, Weak<Table>>>,
}

impl Tables {
    /// Of topics in `log`, with at most so many keys each.
    #[must_use]
    pub fn new(log: Arc<dyn Log>, most_keys: usize) -> Self {
        Self {
            log,
            most_keys,
            tables: Mutex::default(),
        }
    }

    /// The table of a topic. Nothing is read yet.
    #[must_use]
    pub fn table(&self, topic: &Name) -> Arc<Table> {
        let mut tables = lock(&self.tables);
        tables.retain(|_, table| table.strong_count() > 0);
        if let Some(table) = tables.get(topic).and_then(Weak::upgrade) {
            return table;
        }
        let table = Arc::new(Table {
            topic: topic.clone(),
            log: self.log.clone(),
            most_keys: self.most_keys,
            read_once: AtomicBool::new(false),
            reading: Mutex::default(),
            keys: RwLock::default(),
            frames: Mutex::default(),
        });
        tables.insert(topic.clone(), Arc::downgrade(&table));
        table
    }

    /// Brings the tables of these topics up to the tails that the topics have now. Blocks for about
    /// as long as is `allowed`; false when there is more to read then. What was read stays read as
    /// long as somebody holds the table.
    ///
    /// # Errors
    /// When a topic cannot be read or has too many keys, in words.
    pub fn catch_up<'a>(
        &self,
        topics: impl IntoIterator<Item = &'a Name>,
        allowed: Duration,
    ) -> Result<bool, String> {
        let until = Instant::now() + allowed;
        for topic in topics {
            let table = self.table(topic);
            let mut reading = lock(&table.reading);
            if !table.catch_up(&mut reading, until)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}

/// Where an event lies.
type Place = (u32, Offset);

/// The index of one topic.
#[derive(Debug)]
pub struct Table {
    topic: Name,
    log: Arc<dyn Log>,
    most_keys: usize,
    /// Whether the table was up to the tail at any time.
    read_once: AtomicBool,
    /// How far each partition is read; held while reading.
    reading: Mutex<Vec<Progress>>,
    keys: RwLock<Keys>,
    frames: Mutex<Frames>,
}

#[derive(Debug, Default)]
struct Keys {
    places: HashMap<Box<str>, Place>,
    /// Bytes of all keys.
    text: usize,
}

/// Decoded frames, the newest first: partition, base, events.
#[derive(Debug, Default)]
struct Frames {
    kept: VecDeque<(u32, Offset, Batch)>,
    bytes: usize,
}

#[derive(Debug)]
struct Progress {
    partition: PartitionId,
    next: Offset,
    earliest: Offset,
}

impl Table {
    /// Reads what is new, until then; false when there is more.
    fn catch_up(&self, reading: &mut Vec<Progress>, until: Instant) -> Result<bool, String> {
        if reading.is_empty() {
            let partitions = self.log.partitions().into_iter();
            let partitions = partitions.filter(|partition| partition.topic == self.topic);
            reading.extend(partitions.map(|partition| Progress {
                partition,
                next: 0,
                earliest: 0,
            }));
        }
        if reading.is_empty() {
            return Err(format!("the topic {} is not there", self.topic));
        }
        for progress in reading.iter_mut() {
            let done = self
                .catch_up_with(progress, until)
                .map_err(|error| format!("looking into {}: {error}", self.topic))?;
            if !done {
                return Ok(false);
            }
        }
        self.read_once.store(true, Ordering::Release);
        Ok(true)
    }

    fn catch_up_with(&self, progress: &mut Progress, until: Instant) -> Result<bool, String> {
        let number = progress.partition.partition;
        let bounds = self.log.bounds(&progress.partition).map_err(text)?;
        if bounds.tail < progress.next {
            // The end was lost with the machine's power, or the topic was made anew.
            self.forget(number, 0);
            *lock(&self.frames) = Frames::default();
            progress.next = 0;
        }
        if bounds.earliest > progress.earliest {
            self.forget(number, bounds.earliest);
            progress.earliest = bounds.earliest;
        }
        progress.next = progress.next.max(bounds.earliest);
        while progress.next < bounds.tail {
            if Instant::now() >= until {
                return Ok(false);
            }
            let frames = self
                .log
                .read(&progress.partition, progress.next, READ_BYTES)
                .map_err(text)?;
            if frames.is_empty() {
                // A gap up to the tail, which a repair left.
                progress.next = bounds.tail;
            }
            for frame in frames {
                let batch = Batch::decode(&frame.body).map_err(text)?;
                let skip = usize::try_from(progress.next.saturating_sub(frame.base));
                self.take(number, frame.base, &batch, skip.unwrap_or(usize::MAX))?;
                progress.next = frame.base + u64::from(frame.count);
            }
        }
        Ok(true)
    }

    /// Takes over the keys of a frame's events from the one at `skip` on.
    fn take(&self, partition: u32, base: Offset, batch: &Batch, skip: usize) -> Result<(), String> {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        for index in skip..batch.len() {
            let event = batch.get(index);
            let key = event.key();
            let place = (partition, base + index as u64);
            if let Some(known) = keys.places.get_mut(&*key) {
                *known = place;
                continue;
            }
            let text = keys.text + key.len();
            let most = self.most_keys;
            if keys.places.len() >= most || text > most.saturating_mul(TEXT_PER_KEY) {
                return Err(format!(
                    "it has more than {most} keys, or keys longer than {TEXT_PER_KEY} bytes on average; start the hub with a larger --lookup-keys"
                ));
            }
            keys.text = text;
            keys.places.insert(key.into(), place);
        }
        Ok(())
    }

    /// Forgets the events of a partition below an offset; below 0: all.
    fn forget(&self, partition: u32, below: Offset) {
        let mut keys = self.keys.write().unwrap_or_else(PoisonError::into_inner);
        let Keys { places, text } = &mut *keys;
        places.retain(|key, place| {
            let stays = place.0 != partition || (below > 0 && place.1 >= below);
            *text -= if stays { 0 } else { key.len() };
            stays
        });
    }

    /// The latest event of a key.
    fn get(&self, key: &str, until: Instant) -> Result<Option<Event>, String> {
        if !self.read_once.load(Ordering::Acquire) {
            self.read_first(until)?;
        }
        let place = {
            let keys = self.keys.read().unwrap_or_else(PoisonError::into_inner);
            keys.places.get(key).copied()
        };
        match place {
            Some(place) => self.event(place),
            None => Ok(None),
        }
    }

    /// A plugin asks while it starts: nobody has waited for the table yet.
    fn read_first(&self, until: Instant) -> Result<(), String> {
        let mut reading = match self.reading.try_lock() {
            Ok(reading) => Some(reading),
            Err(TryLockError::Poisoned(reading)) => Some(reading.into_inner()),
            // Somebody else reads.
            Err(TryLockError::WouldBlock) => None,
        };
        let done = match &mut reading {
            Some(reading) => self.catch_up(reading, until)?,
            None => false,
        };
        if done {
            return Ok(());
        }
        Err(format!("the topic {} is still being read", self.topic))
    }

    fn event(&self, (partition, offset): Place) -> Result<Option<Event>, String> {
        let at = |base: Offset, batch: &Batch| {
            let index = usize::try_from(offset.checked_sub(base)?).ok()?;
            (index < batch.len()).then(|| batch.get(index).to_event())
        };
        let kept = lock(&self.frames)
            .kept
            .iter()
            .find_map(|(of, base, batch)| (*of == partition).then(|| at(*base, batch)).flatten());
        if kept.is_some() {
            return Ok(kept);
        }
        let id = PartitionId::new(self.topic.clone(), partition);
        let frame = match self.log.read(&id, offset, 1) {
            Ok(frames) => frames.into_iter().next(),
            Err(sandbar_log::Error::Trimmed { .. }) => None,
            Err(error) => return Err(error.to_string()),
        };
        let Some(frame) = frame else { return Ok(None) };
        let batch = Batch::decode(&frame.body).map_err(text)?;
        let found = at(frame.base, &batch);
        lock(&self.frames).keep(partition, frame.base, batch);
        Ok(found)
    }
}

impl Frames {
    fn keep(&mut self, partition: u32, base: Offset, batch: Batch) {
        self.bytes += batch.byte_length();
        self.kept.push_front((partition, base, batch));
        while self.kept.len() > FRAMES || (self.bytes > FRAMES_BYTES && self.kept.len() > 1) {
            if let Some((.., batch)) = self.kept.pop_back() {
                self.bytes -= batch.byte_length();
            }
        }
    }
}

/// The tables that a step's grant names.
#[derive(Debug)]
pub struct GrantedTables(pub Vec<Arc<Table>>);

impl Lookup for GrantedTables {
    fn get(&self, topic: &str, key: &str, until: Instant) -> Result<Option<Event>, Error> {
        let table = self.0.iter().find(|table| table.topic.as_str() == topic);
        let table = table.ok_or(Error::NotGranted)?;
        table.get(key, until).map_err(Error::Unavailable)
    }
}

/// Nothing under these locks panics.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

fn text(error: impl std::fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests;
