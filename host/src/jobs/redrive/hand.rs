//! Handing a chunk on to those who are to take it.

use std::collections::HashSet;

use sandbar_types::Offset;

use super::{
    Letter, Redriving, To,
    plan::{LeftOut, leave_out},
};
use crate::{
    jobs::{Entry, Shared, job::Work},
    process::{NotTaken, PutBack, Ticket},
};

/// How long to wait before one that does not take events is asked again, in milliseconds.
const ASK_AGAIN: u64 = 50;

const FULL: &str = "so many redriven events wait there that it takes no more now";

/// What became of some letters.
#[derive(Default)]
struct Handed {
    taken: Vec<Offset>,
    left_out: Vec<(LeftOut, u64)>,
    /// The job was cancelled before all could be handed on.
    given_up: bool,
}

impl Handed {
    fn leave_out(&mut self, why: LeftOut, count: usize) {
        if count > 0 {
            self.left_out.push((why, count as u64));
        }
    }
}

/// Hands on what is in hand, and tells the log. False: the hub stops.
pub(super) async fn over(
    shared: &Shared,
    entry: &Entry,
    work: &mut Redriving,
) -> Result<bool, String> {
    let Some(chunk) = work.in_hand.clone() else {
        return Ok(true);
    };
    let mut taken = Vec::new();
    let mut left_out = Vec::new();
    let groups = chunk
        .letters
        .chunk_by(|a, b| a.to == b.to && a.source == b.source);
    for letters in groups {
        let Some(handed) = hand_on(shared, entry, chunk.number, letters).await else {
            return Ok(false);
        };
        taken.extend(handed.taken);
        left_out.extend(handed.left_out);
        if handed.given_up {
            break;
        }
    }
    let count = taken.len() as u64;
    while let Err(detail) = shared.redriven.add(&entry.id, taken.clone()).await {
        entry.stall(&detail);
        if !entry.pause_stalled(shared).await {
            return Ok(false);
        }
    }
    entry.goes_on();
    work.in_hand = None;
    entry.keep(Work::Redrive(work.clone()), |progress| {
        progress.redriven += count;
        progress.done += count;
        for (why, count) in left_out {
            progress.done += count;
            leave_out(progress, why, count);
        }
    });
    Ok(true)
}

/// Hands letters to the one that all of them are for. None: the hub stops.
async fn hand_on(
    shared: &Shared,
    entry: &Entry,
    number: u64,
    letters: &[Letter],
) -> Option<Handed> {
    let Some(to) = letters.first().map(|letter| letter.to.clone()) else {
        return Some(Handed::default());
    };
    let mut handed = Handed::default();
    let mut left = letters;
    while !left.is_empty() {
        let (why, wait) = match ask(shared, entry, number, left).await {
            Ok(Asked { looked_at, gone }) => {
                let (now, later) = left.split_at(looked_at.min(left.len()));
                let there = now.iter().filter(|one| !gone.contains(&one.offset));
                let before = handed.taken.len();
                handed.taken.extend(there.map(|one| one.letter));
                let missing = now.len() - (handed.taken.len() - before);
                handed.leave_out(LeftOut::Gone, missing);
                left = later;
                continue;
            }
            Err(NotTaken::NoLane) => {
                let why = match to {
                    To::Route(_) => LeftOut::RouteGone,
                    To::Subscription(_) => LeftOut::SubscriptionGone,
                };
                handed.leave_out(why, left.len());
                return Some(handed);
            }
            Err(NotTaken::Stopping) => return None,
            Err(NotTaken::Full) => (FULL.to_owned(), ASK_AGAIN),
            Err(NotTaken::Failed(detail)) => (detail, 10 * ASK_AGAIN),
        };
        let to = match &to {
            To::Route(name) => format!("route {name}"),
            To::Subscription(name) => format!("subscription {name}"),
        };
        entry.stall(&format!("{to}: {why}"));
        if entry.is_cancelled() {
            handed.given_up = true;
            return Some(handed);
        }
        if !entry.pause(shared, wait).await {
            return None;
        }
    }
    Some(handed)
}

/// What became of a request.
struct Asked {
    /// So many were taken up, from the first on.
    looked_at: usize,
    /// Those of the events that are gone.
    gone: HashSet<Offset>,
}

async fn ask(
    shared: &Shared,
    entry: &Entry,
    number: u64,
    letters: &[Letter],
) -> Result<Asked, NotTaken> {
    let Letter { to, source, .. } = &letters[0];
    match to {
        To::Route(route) => {
            let ticket = Ticket {
                asker: entry.id.clone(),
                number,
            };
            let events = letters.iter().map(|letter| PutBack {
                offset: letter.offset,
                key: letter.key.clone(),
                redrives: letter.redrives,
            });
            let events = events.collect();
            let asked = shared.processor.work_again(route, source, ticket, events);
            let taken = tokio::select! {
                // What became of it is asked again after the next start.
                () = shared.stop.cancelled() => Err(NotTaken::Stopping),
                taken = asked => taken,
            };
            Ok(Asked {
                looked_at: letters.len(),
                gone: taken?.gone.into_iter().collect(),
            })
        }
        To::Subscription(name) => {
            let events = letters.iter().map(|one| (one.offset, one.redrives));
            let looked_at = shared.offer_again(name, source, events).await?.looked_at;
            Ok(Asked {
                looked_at,
                gone: HashSet::new(),
            })
        }
    }
}
