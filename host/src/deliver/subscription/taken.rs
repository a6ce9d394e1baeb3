//! What is handed out, with its payloads, and how it looks to clients.

use std::sync::Arc;

use bytes::Bytes;
use sandbar_types::{EventRef, Offset, PartitionId};

use super::{
    Shared, Subscription, Token, Want,
    chunk::Copies,
    group::{Claim, Handed},
    lane::Lane,
};
use crate::{ingest::cloudevents, problem::Problem, room::Part};

/// So many bytes the names of attributes and what the hub adds to an event have, at most.
const ADDED: usize = 1024;
/// Smaller data is copied into a request: what is added above covers it.
const LARGE: usize = ADDED;
/// Events are copied together up to so many bytes: their memory comes back as a whole.
const COPIED_TOGETHER: usize = 256 * 1024;

/// Events handed out in one call.
#[derive(Debug)]
pub struct Taken {
    /// All of them can be settled by [`Token::Lease`] of this.
    pub lease: u64,
    pub events: Vec<TakenEvent>,
    /// Of all events together in the JSON format, at most.
    pub(super) bytes: usize,
    /// There is more, and no room for it.
    pub(super) full: bool,
    /// There is no room for the first, which has at most so many bytes.
    pub needs: Option<usize>,
}

/// An event handed out.
#[derive(Debug)]
pub struct TakenEvent {
    lane: Arc<Lane>,
    copies: Arc<Copies>,
    /// Among the copies.
    index: usize,
    /// In the JSON format, at most.
    pub bytes: usize,
    pub offset: Offset,
    /// 1 for the first time.
    pub delivery: u32,
    pub token: Token,
}

impl Taken {
    pub(super) fn new(lease: u64) -> Self {
        Self {
            lease,
            events: Vec::new(),
            bytes: 0,
            full: false,
            needs: None,
        }
    }

    /// Takes of a lane, and reads what was taken. Blocks on the disk.
    pub(super) fn add(
        &mut self,
        shared: &Shared,
        lane: &Arc<Lane>,
        want: &Want<'_>,
        limit: usize,
        max_bytes: usize,
    ) -> Result<(), Problem> {
        let mut handed = Vec::new();
        let taken = lane.take(shared, want, limit, &mut handed);
        let tag = match taken {
            Ok(tag) => tag,
            Err(problem) if handed.is_empty() => return Err(problem),
            // What is there is handed out; the trouble will be met again.
            Err(_) => lane.lock().tag,
        };
        let mut rest = &handed[..];
        let mut trouble = None;
        while !rest.is_empty() && !self.full {
            let _one = shared.reads.begin();
            let chunk = match lane.find(shared, rest[0].offset) {
                Ok(Some(chunk)) => chunk,
                Ok(None) => break,
                Err(problem) => {
                    trouble = Some(problem);
                    break;
                }
            };
            let mut sizes = Vec::new();
            let mut together = 0;
            for one in rest {
                if !(chunk.base..chunk.end()).contains(&one.offset) || together >= COPIED_TOGETHER {
                    break;
                }
                let size = ADDED + chunk.most_json_bytes(one.offset);
                if self.bytes + size > max_bytes {
                    self.full = true;
                    let is_first = self.events.is_empty() && sizes.is_empty();
                    self.needs = is_first.then_some(size);
                    break;
                }
                self.bytes += size;
                together += size;
                sizes.push(size);
            }
            if sizes.is_empty() {
                break;
            }
            let (copied, others) = rest.split_at(sizes.len());
            rest = others;
            let offsets: Vec<Offset> = copied.iter().map(|one| one.offset).collect();
            let copies = Arc::new(chunk.copy(&offsets));
            let events = copied.iter().zip(sizes).enumerate();
            self.events
                .extend(events.map(|(index, (one, bytes))| TakenEvent {
                    lane: lane.clone(),
                    copies: copies.clone(),
                    index,
                    bytes,
                    offset: one.offset,
                    delivery: one.delivery,
                    token: Token::Event {
                        tag,
                        claim: claim(one, want.lease),
                    },
                }));
        }
        give_back(lane, rest.iter().map(|one| claim(one, want.lease)));
        trouble.map_or(Ok(()), Err)
    }

    /// Has the events lie in this room, as many times as large as they are, until they are let go.
    pub fn lie_in(&self, mut room: Part, times: usize) {
        for events in self
            .events
            .chunk_by(|one, next| Arc::ptr_eq(&one.copies, &next.copies))
        {
            let bytes: usize = events.iter().map(|event| event.bytes).sum();
            if let (Some(first), Some(room)) = (events.first(), room.split(bytes * times)) {
                first.copies.lie_in(room);
            }
        }
    }

    pub(super) fn claims(&self) -> Vec<(Arc<Lane>, Claim)> {
        let events = self.events.iter();
        events
            .filter_map(|event| match event.token {
                Token::Event { claim, .. } => Some((event.lane.clone(), claim)),
                Token::Lease(_) => None,
            })
            .collect()
    }

    /// A CloudEvents batch (JSON).
    #[must_use]
    pub fn to_json(&self) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.bytes + 2);
        out.push(b'[');
        for (index, event) in self.events.iter().enumerate() {
            if index > 0 {
                out.push(b',');
            }
            event.write_json("", &mut out);
        }
        out.push(b']');
        out
    }
}

fn claim(handed: &Handed, lease: u64) -> Claim {
    Claim {
        offset: handed.offset,
        lease,
        delivery: handed.delivery,
    }
}

fn give_back(lane: &Lane, claims: impl Iterator<Item = Claim>) {
    let mut inner = lane.lock();
    for claim in claims {
        inner.group.give_back(&claim);
    }
}

impl Subscription {
    pub(super) fn give_back(&self, claims: &[(Arc<Lane>, Claim)]) {
        for (lane, claim) in claims {
            give_back(lane, std::iter::once(*claim));
        }
        if !claims.is_empty() {
            self.wake();
        }
    }
}

impl Subscription {
    /// Takes back events that were handed out and not sent to anybody: no attempt is counted.
    pub fn return_unsent(&self, events: &[TakenEvent]) {
        let claims = events.iter().filter_map(|event| match event.token {
            Token::Event { claim, .. } => Some((event.lane.clone(), claim)),
            Token::Lease(_) => None,
        });
        self.give_back(&claims.collect::<Vec<_>>());
    }
}

impl TakenEvent {
    pub(super) fn lane(&self) -> &Lane {
        &self.lane
    }

    #[must_use]
    pub fn partition(&self) -> &PartitionId {
        &self.lane.partition
    }

    #[must_use]
    pub fn event(&self) -> EventRef<'_> {
        self.copies.event(self.index)
    }

    /// Its data, shared, where that is cheaper than a copy: threads that share bytes count them in turns.
    #[must_use]
    pub fn large_data(&self) -> Option<Bytes> {
        (self.bytes >= LARGE + ADDED).then(|| self.copies.data(self.index))
    }

    /// Appends the event in the CloudEvents JSON format, with its place in the hub, its token and
    /// its delivery number; with `cursor`, if there is one.
    pub fn write_json(&self, cursor: &str, out: &mut Vec<u8>) {
        let partition = self.partition();
        cloudevents::encode_within(self.event(), out, |out| {
            member(b"topic", partition.topic.as_str().as_bytes(), out);
            out.extend_from_slice(b",\"sandbarpartition\":");
            number(u64::from(partition.partition), out);
            out.extend_from_slice(b",\"sandbaroffset\":\"");
            number(self.offset, out);
            out.push(b'"');
            if let Some((route, origin)) = self.copies.origin(self.index) {
                if let Some(route) = route {
                    member(b"route", route.as_bytes(), out);
                }
                member(b"origin", origin.as_bytes(), out);
            }
            out.extend_from_slice(b",\"sandbarlease\":\"");
            self.token.write(out);
            out.extend_from_slice(b"\",\"sandbardelivery\":");
            number(u64::from(self.delivery), out);
            if !cursor.is_empty() {
                member(b"cursor", cursor.as_bytes(), out);
            }
        });
    }
}

/// A member with a value in which nothing needs escaping: names, positions, cursors.
fn member(name: &[u8], value: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b",\"sandbar");
    out.extend_from_slice(name);
    out.extend_from_slice(b"\":\"");
    out.extend_from_slice(value);
    out.push(b'"');
}

fn number(mut value: u64, out: &mut Vec<u8>) {
    let mut digits = [0; 20];
    let mut at = digits.len();
    loop {
        at -= 1;
        digits[at] = b'0' + (value % 10) as u8;
        value /= 10;
        if value == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}
