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

/// What became of some letters.
struct Handed {
    taken: Vec<Offset>,
    left_out: Option<(LeftOut, u64)>,
    /// The job was cancelled before they could be handed on.
    given_up: bool,
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
    loop {
        let answer = ask(shared, entry, number, letters).await;
        let (why, wait) = match answer {
            Ok(gone) => {
                let gone: HashSet<Offset> = gone.into_iter().collect();
                let there = letters.iter().filter(|one| !gone.contains(&one.offset));
                let taken: Vec<Offset> = there.map(|one| one.letter).collect();
                let missing = (letters.len() - taken.len()) as u64;
                return Some(Handed {
                    taken,
                    left_out: (missing > 0).then_some((LeftOut::Gone, missing)),
                    given_up: false,
                });
            }
            Err(NotTaken::NoLane) => {
                let why = match letters.first().map(|one| &one.to) {
                    Some(To::Subscription(_)) => LeftOut::SubscriptionGone,
                    _ => LeftOut::RouteGone,
                };
                return Some(Handed {
                    taken: Vec::new(),
                    left_out: Some((why, letters.len() as u64)),
                    given_up: false,
                });
            }
            Err(NotTaken::Stopping) => return None,
            Err(NotTaken::Full) => (
                "so many redriven events wait there that it takes no more now".to_owned(),
                ASK_AGAIN,
            ),
            Err(NotTaken::Failed(detail)) => (detail, 10 * ASK_AGAIN),
        };
        let to = match letters.first().map(|one| &one.to) {
            Some(To::Subscription(name)) => format!("subscription {name}"),
            Some(To::Route(name)) => format!("route {name}"),
            None => String::new(),
        };
        entry.stall(&format!("{to}: {why}"));
        if entry.is_cancelled() {
            return Some(Handed {
                taken: Vec::new(),
                left_out: None,
                given_up: true,
            });
        }
        if !entry.pause(shared, wait).await {
            return None;
        }
    }
}

/// Those of the letters' events that are gone.
async fn ask(
    shared: &Shared,
    entry: &Entry,
    number: u64,
    letters: &[Letter],
) -> Result<Vec<Offset>, NotTaken> {
    let Some(Letter { to, source, .. }) = letters.first() else {
        return Ok(Vec::new());
    };
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
            tokio::select! {
                // What became of it is asked again after the next start.
                () = shared.stop.cancelled() => Err(NotTaken::Stopping),
                taken = asked => taken.map(|taken| taken.gone),
            }
        }
        To::Subscription(name) => {
            let events = letters.iter().map(|one| (one.offset, one.redrives));
            shared.offer_again(name, source, events.collect()).await
        }
    }
}
