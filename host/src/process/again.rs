//! Source events that a lane is to work once more, though they were settled: what is asked, and
//! what it makes of the lane. Pure but for the channel on which it is answered.
//!
//! Who asks gives a number to each request and may repeat it until it is answered, over restarts
//! too: the lane remembers the last number that it took, in the same record as the lines.

use sandbar_types::Offset;
use serde::{Deserialize, Serialize};
use tokio::sync::oneshot;

use super::lane::Lane;

/// So many events that were put back may wait in a lane.
const MOST_PUT_BACK: usize = 2000;

/// A request to work events once more.
#[derive(Debug)]
pub struct Again {
    pub ticket: Ticket,
    pub events: Vec<PutBack>,
    pub answer: oneshot::Sender<Result<Taken, NotTaken>>,
}

/// Which request it is: of one asker the numbers go up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ticket {
    pub asker: String,
    pub number: u64,
}

/// An event to be worked once more.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PutBack {
    pub offset: Offset,
    pub key: String,
    /// How often it was put back, this time included.
    pub redrives: u32,
}

/// What became of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// Deleted by retention meanwhile.
    pub gone: Vec<Offset>,
}

/// Why a request was not taken; nothing has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotTaken {
    /// The route does not run, or does not read that partition.
    NoLane,
    /// Too many wait; some must be settled first.
    Full,
    Stopping,
    /// It could not be made durable.
    Failed(String),
}

impl Again {
    /// Puts the events into the lines of their keys, in the order of their offsets. `earliest` is the
    /// first offset that is still there, `now` milliseconds since the epoch.
    pub fn apply(&self, lane: &mut Lane, earliest: Offset, now: u64) -> Result<Taken, NotTaken> {
        let gone = self.events.iter().map(|event| event.offset);
        let taken = Taken {
            gone: gone.filter(|offset| *offset < earliest).collect(),
        };
        let known = lane.taken.as_ref();
        if known.is_some_and(|known| {
            known.asker == self.ticket.asker && known.number >= self.ticket.number
        }) {
            return Ok(taken);
        }
        let free = MOST_PUT_BACK
            .min(super::driver::MOST_WAITING - 1)
            .saturating_sub(lane.redrives.len());
        // A request that is larger than what a lane may hold would never be taken.
        if self.events.len() > free && !lane.redrives.is_empty() {
            return Err(NotTaken::Full);
        }
        for event in &self.events {
            if event.offset >= earliest {
                lane.put_back(event, now);
            }
        }
        lane.taken = Some(self.ticket.clone());
        Ok(taken)
    }
}

#[cfg(test)]
mod tests;
