//! What is handed out, with its payloads, and how it looks to clients.

use std::sync::Arc;

use sandbar_types::{EventRef, Offset, PartitionId};

use super::{
    Shared, Subscription, Token, Want,
    chunk::Chunk,
    group::{Claim, Handed},
    lane::Lane,
};
use crate::{ingest::cloudevents, problem::Problem};

/// About so many bytes an event has besides its data.
const ATTRIBUTES: usize = 512;

/// Events handed out in one call.
#[derive(Debug)]
pub struct Taken {
    /// All of them can be settled by [`Token::Lease`] of this.
    pub lease: u64,
    pub events: Vec<TakenEvent>,
    /// About, of all events together.
    pub(super) bytes: usize,
}

/// An event handed out.
#[derive(Clone, Debug)]
pub struct TakenEvent {
    lane: Arc<Lane>,
    chunk: Arc<Chunk>,
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
        let mut last: Option<Arc<Chunk>> = None;
        for (index, one) in handed.iter().enumerate() {
            let known = last
                .as_ref()
                .filter(|chunk| chunk.base <= one.offset && one.offset < chunk.end());
            let chunk = match known {
                Some(chunk) => Ok(Some(chunk.clone())),
                None => lane.find(shared, one.offset),
            };
            let full = self.bytes >= max_bytes;
            let (Ok(Some(chunk)), false) = (&chunk, full) else {
                let rest = handed[index..].iter().map(|one| claim(one, want.lease));
                give_back(lane, rest);
                return match chunk {
                    Err(problem) => Err(problem),
                    Ok(_) => Ok(()),
                };
            };
            self.bytes += ATTRIBUTES + chunk.data_length(one.offset);
            self.events.push(TakenEvent {
                lane: lane.clone(),
                chunk: chunk.clone(),
                offset: one.offset,
                delivery: one.delivery,
                token: Token::Event {
                    tag,
                    claim: claim(one, want.lease),
                },
            });
            last = Some(chunk.clone());
        }
        Ok(())
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
        self.chunk.event(self.offset)
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
            if let Some((route, origin)) = self.chunk.origin(self.offset) {
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
