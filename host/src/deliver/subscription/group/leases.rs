//! Who has what until when. One timer a lease; an event has its own only while it is kept longer
//! than its lease, or waits to be tried again.

use std::collections::{BTreeSet, HashMap};

use sandbar_types::Offset;

use super::Spread;

/// Above this, a list of offsets is cleared of those that are gone when half of it is.
const SMALL: usize = 64;

#[derive(Clone, Debug, Default)]
pub(super) struct Leases {
    leases: HashMap<u64, Lease, Spread>,
    by_time: BTreeSet<(u64, Entry)>,
}

#[derive(Clone, Debug)]
struct Lease {
    until: u64,
    /// What was handed out; those that are gone are taken out now and then.
    offsets: Vec<Offset>,
    /// How many of them are still out.
    out: usize,
    gone: Vec<Offset>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Entry {
    Lease(u64),
    Event(Offset),
}

/// Whose time has come.
#[derive(Debug)]
pub(super) enum Timer {
    Lease(Vec<Offset>),
    Event(Offset),
}

impl Leases {
    /// Takes note of what is handed out under a lease; more may follow, until the same time.
    pub fn open(&mut self, lease: u64, until: u64, offsets: Vec<Offset>) {
        if offsets.is_empty() {
            return;
        }
        if let Some(known) = self.leases.get_mut(&lease) {
            known.out += offsets.len();
            known.offsets.extend(offsets);
            return;
        }
        self.by_time.insert((until, Entry::Lease(lease)));
        let out = offsets.len();
        self.leases.insert(
            lease,
            Lease {
                until,
                offsets,
                out,
                gone: Vec::new(),
            },
        );
    }

    /// What was handed out under a lease; some of it may be gone.
    pub fn offsets(&self, lease: u64) -> &[Offset] {
        self.leases.get(&lease).map_or(&[], |lease| &lease.offsets)
    }

    /// An event leaves its lease, by which it was out until `until`.
    pub fn close(&mut self, lease: u64, until: u64, offset: Offset) {
        let Some(known) = self.leases.get_mut(&lease) else {
            return;
        };
        if until != known.until {
            self.by_time.remove(&(until, Entry::Event(offset)));
        }
        known.out -= 1;
        if known.out == 0 {
            self.by_time.remove(&(known.until, Entry::Lease(lease)));
            self.leases.remove(&lease);
        } else if known.offsets.len() > SMALL {
            known.gone.push(offset);
            if known.gone.len() * 2 > known.offsets.len() {
                known.gone.sort_unstable();
                let gone = std::mem::take(&mut known.gone);
                known.offsets.retain(|one| gone.binary_search(one).is_err());
            }
        }
    }

    pub fn extend(&mut self, lease: u64, before: u64, until: u64, offset: Offset) {
        let Some(known) = self.leases.get(&lease) else {
            return;
        };
        if before != known.until {
            self.by_time.remove(&(before, Entry::Event(offset)));
        }
        if until != known.until {
            self.by_time.insert((until, Entry::Event(offset)));
        }
    }

    /// An event waits until `due`.
    pub fn remember(&mut self, due: u64, offset: Offset) {
        self.by_time.insert((due, Entry::Event(offset)));
    }

    pub fn forget(&mut self, due: u64, offset: Offset) {
        self.by_time.remove(&(due, Entry::Event(offset)));
    }

    pub fn first(&self) -> Option<u64> {
        self.by_time.first().map(|(time, _)| *time)
    }

    /// Takes out the first whose time has come. A lease stays as long as something is out by it.
    pub fn due(&mut self, now: u64) -> Option<Timer> {
        let first = self.by_time.first().filter(|(time, _)| *time <= now)?;
        let entry = first.1;
        self.by_time.pop_first();
        Some(match entry {
            Entry::Event(offset) => Timer::Event(offset),
            Entry::Lease(lease) => Timer::Lease(self.offsets(lease).to_vec()),
        })
    }
}
