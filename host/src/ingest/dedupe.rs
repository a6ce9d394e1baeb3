//! The recent events of one topic, to tell a repeat from a new event.
//!
//! Pure: no clock, no lock, no log. An event is known by its source and id, and compared by a hash
//! of its content: data, type, subject, datacontenttype and dataschema. Time and extensions are left
//! out, because a client that sends again may stamp the retry anew or trace it under another span.
//!
//! A publish reserves all its events, appends the new ones, and settles; until then the events are
//! pending, and no other publish of them gets an answer. The window forgets the oldest first, by
//! count and by age; what is pending is never forgotten.
//!
//! An entry takes 48 bytes, with the index and the slack of growth at most 64.

use std::collections::{HashMap, VecDeque};

use hashbrown::HashTable;
use sandbar_types::{Event, EventRef, Offset};
use xxhash_rust::xxh3::{xxh3_64_with_seed, xxh3_128};

/// An event's source and id, hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Key([u64; 2]);

/// An event as the window sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    pub key: Key,
    pub content: u64,
}

/// Hashes source and id.
#[must_use]
pub fn key(source: &str, id: &str) -> Key {
    const ROOM: usize = 256;
    let length = source.len() + 1 + id.len();
    // Sources have no NUL byte, so two pairs never join to the same text.
    let hash = if length <= ROOM {
        let mut joined = [0; ROOM];
        joined[..source.len()].copy_from_slice(source.as_bytes());
        joined[source.len() + 1..length].copy_from_slice(id.as_bytes());
        xxh3_128(&joined[..length])
    } else {
        xxh3_128([source.as_bytes(), &[0], id.as_bytes()].concat().as_slice())
    };
    Key([hash as u64, (hash >> 64) as u64])
}

/// Hashes what must not differ between an event and its repeat.
#[must_use]
pub fn content(event: EventRef<'_>) -> u64 {
    content_of(
        event.data,
        [
            event.r#type,
            event.subject,
            event.datacontenttype,
            event.dataschema,
        ],
    )
}

/// Both hashes of an event.
#[must_use]
pub fn identify(event: &Event) -> Identity {
    let texts = [
        &*event.r#type,
        &*event.subject,
        &*event.datacontenttype,
        &*event.dataschema,
    ];
    Identity {
        key: key(&event.source, &event.id),
        content: content_of(&event.data, texts),
    }
}

fn content_of(data: &[u8], texts: [&str; 4]) -> u64 {
    // Each hash seeds the next, so that what moves from one field to its neighbour is seen.
    let start = xxh3_64_with_seed(data, 0);
    texts
        .iter()
        .fold(start, |seed, text| xxh3_64_with_seed(text.as_bytes(), seed))
}

/// Names the events of one publish until it settles.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Ticket(u64);

/// Another publish has one of the events in its hands: wait until it settles, then ask again.
/// Nothing was reserved.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pending;

/// What is to be done with one event of a publish.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reservation {
    /// Store it.
    New,
    /// It is stored here.
    Duplicate { partition: u32, offset: Offset },
    /// It repeats the event at this place in the same publish, which is new.
    Repeat { first: usize },
    /// An event with its source and id has other content: the one stored here, or, without an
    /// offset, one before it in the same publish.
    Conflict {
        partition: u32,
        offset: Option<Offset>,
    },
}

/// `Entry::partition` of a pending event; `offset` is then its place in its publish.
const PENDING: u32 = u32::MAX;
/// `Entry::partition` of an entry that is no longer in the index.
const DEAD: u32 = u32::MAX - 1;

#[derive(Clone, Copy, Debug)]
struct Entry {
    key: Key,
    content: u64,
    offset: u64,
    /// Milliseconds since the epoch.
    time: u64,
    partition: u32,
}

/// The recent events of one topic.
#[derive(Debug)]
pub struct Window {
    max_events: u64,
    max_age: u64,
    /// In the order of their reservation, oldest first.
    entries: VecDeque<Entry>,
    /// The number of `entries[0]`; numbers wrap.
    base: u32,
    /// Numbers of the live entries, by key.
    index: HashTable<u32>,
    tickets: HashMap<Ticket, Vec<Key>>,
    next_ticket: u64,
}

impl Window {
    /// A window of at most `max_events` events that are at most `max_age` milliseconds old. With
    /// 0 events every event is new.
    #[must_use]
    pub fn new(max_events: u64, max_age: u64) -> Self {
        Self {
            // Numbers of entries have 32 bits; half of them leaves room for what is pending.
            max_events: max_events.min(u64::from(u32::MAX / 2)),
            max_age,
            entries: VecDeque::new(),
            base: 0,
            index: HashTable::new(),
            tickets: HashMap::new(),
            next_ticket: 0,
        }
    }

    /// Changes the bounds; takes effect with the next reservation.
    pub fn resize(&mut self, max_events: u64, max_age: u64) {
        self.max_events = max_events.min(u64::from(u32::MAX / 2));
        self.max_age = max_age;
    }

    /// How many events are known.
    #[must_use]
    pub fn len(&self) -> usize {
        self.index.len()
    }

    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.index.is_empty()
    }

    /// The memory taken, in bytes.
    #[must_use]
    pub fn byte_length(&self) -> usize {
        self.entries.capacity() * size_of::<Entry>() + self.index.allocation_size()
    }

    /// Reserves the events of a publish: one answer per event, in order. The new ones are pending
    /// until the ticket is settled or abandoned. `now` is milliseconds since the epoch.
    ///
    /// # Errors
    /// When another publish has one of them in its hands.
    pub fn reserve(
        &mut self,
        events: &[Identity],
        now: u64,
    ) -> std::result::Result<(Ticket, Vec<Reservation>), Pending> {
        let ticket = Ticket(self.next_ticket);
        if self.max_events == 0 {
            self.next_ticket += 1;
            self.evict(now);
            return Ok((ticket, vec![Reservation::New; events.len()]));
        }
        self.evict(now);
        if !self.tickets.is_empty() && events.iter().any(|event| self.is_pending(event.key)) {
            return Err(Pending);
        }
        self.next_ticket += 1;
        let mut pending = Vec::new();
        let mut reservations = Vec::with_capacity(events.len());
        for (place, event) in events.iter().enumerate() {
            reservations.push(match self.find(event.key, now) {
                None => {
                    let entry = Entry {
                        key: event.key,
                        content: event.content,
                        offset: place as u64,
                        time: now,
                        partition: PENDING,
                    };
                    self.push(entry);
                    pending.push(event.key);
                    Reservation::New
                }
                Some(entry) => {
                    let same = entry.content == event.content;
                    match (entry.partition, same) {
                        // What is pending here is of this very publish.
                        (PENDING, true) => Reservation::Repeat {
                            first: entry.offset as usize,
                        },
                        (PENDING, false) => Reservation::Conflict {
                            partition: 0,
                            offset: None,
                        },
                        (partition, true) => Reservation::Duplicate {
                            partition,
                            offset: entry.offset,
                        },
                        (partition, false) => Reservation::Conflict {
                            partition,
                            offset: Some(entry.offset),
                        },
                    }
                }
            });
        }
        if !pending.is_empty() {
            self.tickets.insert(ticket, pending);
        }
        Ok((ticket, reservations))
    }

    /// The new events of a publish are stored: partition and offset of each, in order. New events
    /// without a place are forgotten.
    pub fn settle(&mut self, ticket: Ticket, stored: &[(u32, Offset)], now: u64) {
        let pending = self.tickets.remove(&ticket).unwrap_or_default();
        let mut stored = stored.iter();
        for key in pending {
            match (stored.next(), self.position(key)) {
                (Some(&(partition, offset)), Some(at)) => {
                    let entry = &mut self.entries[at];
                    entry.partition = partition;
                    entry.offset = offset;
                    entry.time = now;
                }
                (None, Some(_)) => self.forget(key),
                (_, None) => {}
            }
        }
        self.evict(now);
    }

    /// The new events of a publish were not stored.
    pub fn abandon(&mut self, ticket: Ticket) {
        for key in self.tickets.remove(&ticket).unwrap_or_default() {
            self.forget(key);
        }
        self.compact();
    }

    /// Puts back an event that was stored at `time` (milliseconds since the epoch); to be called in
    /// the order of time. The first of several with one key stays.
    pub fn remember(&mut self, key: Key, content: u64, partition: u32, offset: Offset, time: u64) {
        if self.max_events == 0 || self.find(key, time).is_some() {
            return;
        }
        self.push(Entry {
            key,
            content,
            offset,
            time,
            partition,
        });
        self.evict(time);
    }

    fn is_pending(&self, key: Key) -> bool {
        self.position(key)
            .is_some_and(|at| self.entries[at].partition == PENDING)
    }

    fn expired(&self, entry: &Entry, now: u64) -> bool {
        entry.partition != PENDING && now.saturating_sub(entry.time) > self.max_age
    }

    /// The entry of a key, unless it is too old: then it is forgotten.
    fn find(&mut self, key: Key, now: u64) -> Option<Entry> {
        let entry = self.entries[self.position(key)?];
        if self.expired(&entry, now) {
            self.forget(key);
            return None;
        }
        Some(entry)
    }

    fn position(&self, key: Key) -> Option<usize> {
        let (entries, base) = (&self.entries, self.base);
        let found = self
            .index
            .find(key.0[0], |&number| entries[at(base, number)].key == key)?;
        Some(at(base, *found))
    }

    fn push(&mut self, entry: Entry) {
        if self.entries.len() == self.entries.capacity() {
            // Doubling would leave up to half of the memory unused.
            self.entries
                .reserve_exact((self.entries.len() / 16).max(256));
        }
        let number = self.base.wrapping_add(self.entries.len() as u32);
        self.entries.push_back(entry);
        let (entries, base) = (&self.entries, self.base);
        self.index.insert_unique(entry.key.0[0], number, |&number| {
            entries[at(base, number)].key.0[0]
        });
    }

    fn forget(&mut self, key: Key) {
        let (entries, base) = (&self.entries, self.base);
        let found = self
            .index
            .find_entry(key.0[0], |&number| entries[at(base, number)].key == key);
        if let Ok(occupied) = found {
            let (number, _) = occupied.remove();
            self.entries[at(base, number)].partition = DEAD;
        }
    }

    fn evict(&mut self, now: u64) {
        while let Some(&oldest) = self.entries.front() {
            let over = self.index.len() as u64 > self.max_events;
            match oldest.partition {
                DEAD => {}
                PENDING => break,
                _ if over || self.expired(&oldest, now) => self.forget(oldest.key),
                _ => break,
            }
            self.entries.pop_front();
            self.base = self.base.wrapping_add(1);
        }
    }

    /// Drops dead entries when they are as many as the live ones.
    fn compact(&mut self) {
        while self
            .entries
            .back()
            .is_some_and(|last| last.partition == DEAD)
        {
            self.entries.pop_back();
        }
        if self.entries.len() > 2 * self.index.len() + 1024 {
            self.entries.retain(|entry| entry.partition != DEAD);
            self.base = 0;
            self.index.clear();
            let entries = &self.entries;
            for (number, entry) in entries.iter().enumerate() {
                self.index
                    .insert_unique(entry.key.0[0], number as u32, |&number| {
                        entries[number as usize].key.0[0]
                    });
            }
        }
    }
}

fn at(base: u32, number: u32) -> usize {
    number.wrapping_sub(base) as usize
}

#[cfg(test)]
mod tests;
