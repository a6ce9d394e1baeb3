//! Redrive: events of dead letters are put back where they could not be processed or delivered.
//!
//! A job looks through the dead letters that were there when it was made, window after window, and
//! hands the events of each window on in the order of their offsets, chunk after chunk. A chunk is
//! written down before it is handed on and has a number that the receiver remembers, so that after
//! a kill it can be handed on again without being worked twice. Then the log is told which letters
//! were redriven; no later job takes them again.

mod hand;
mod plan;

use sandbar_types::{Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

pub use plan::RedrivePlan;

use super::{Ended, Entry, Shared, job::Work, pace::Pace, range::invalid};
use crate::{deliver::Selection, problem::Problem};

/// The most events of one chunk.
const CHUNK: usize = 500;
/// The most letters of one window.
const WINDOW: usize = 5000;
/// The most that a letter may have been redriven, unless the request says otherwise.
const MAX_REDRIVES: u32 = 3;

/// Which dead letters are to be redriven, and how.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct RedriveRequest {
    #[serde(default)]
    pub select: Selection,
    /// Needed when nothing is selected, so that nobody redrives everything by accident.
    #[serde(default)]
    pub all: bool,
    /// Only tell what would happen.
    #[serde(default)]
    pub dry_run: bool,
    /// Events a second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rate: Option<u32>,
    /// Events that came back so often are left out.
    #[serde(default = "max_redrives")]
    pub max_redrives: u32,
    /// Kept with the job.
    #[serde(default)]
    pub reason: String,
}

fn max_redrives() -> u32 {
    MAX_REDRIVES
}

impl RedriveRequest {
    /// # Errors
    /// `invalid-document`.
    pub(super) fn check(&self) -> Result<(), Problem> {
        if self.select.is_everything() != self.all {
            return Err(if self.all {
                invalid(
                    "/all",
                    "true, though /select names some; leave one of them out",
                )
            } else {
                invalid(
                    "/select",
                    "selects nothing in particular; say what, or \"all\": true",
                )
            });
        }
        super::check_rate(self.rate)?;
        if self.max_redrives == 0 {
            return Err(invalid("/max_redrives", "must be at least 1"));
        }
        Ok(())
    }
}

/// What a redrive has still to do.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Redriving {
    request: RedriveRequest,
    /// Letters from here on are newer than the job.
    end: Offset,
    /// All before is done with.
    at: Offset,
    /// The window at `at` ends here; those of it that are left out are counted.
    window: Option<Offset>,
    /// Being handed on.
    in_hand: Option<Chunk>,
    number: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Chunk {
    number: u64,
    letters: Vec<Letter>,
}

/// A letter whose event is to be put back.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
struct Letter {
    to: To,
    source: PartitionId,
    /// Of the event in `source`.
    offset: Offset,
    /// Of the letter itself.
    letter: Offset,
    key: String,
    /// How often the event is redriven then.
    redrives: u32,
}

/// Who is to take it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum To {
    Route(Name),
    Subscription(Name),
}

impl Redriving {
    pub(super) fn new(request: RedriveRequest, end: Offset) -> Self {
        Self {
            request,
            end,
            at: 0,
            window: None,
            in_hand: None,
            number: 0,
        }
    }
}

/// Works a redrive to its end.
pub(super) async fn run(shared: &Shared, entry: &Entry) -> Result<Ended, String> {
    let Work::Redrive(mut work) = entry.work() else {
        return Ok(Ended::Done);
    };
    let mut pace = Pace::new(work.request.rate, shared.steady());
    loop {
        if work.in_hand.is_some() && !hand::over(shared, entry, &mut work).await? {
            return Ok(Ended::Stopped);
        }
        if entry.is_cancelled() {
            return Ok(Ended::Cancelled);
        }
        if work.at >= work.end {
            entry.progress(|progress| {
                if progress.total == 0 {
                    progress.advice = vec![plan::NOTHING.to_owned()];
                }
            });
            return Ok(Ended::Done);
        }
        let mut window = plan::window(shared, &work).await?;
        if work.window.replace(window.until).is_none() {
            entry.keep(Work::Redrive(work.clone()), |progress| {
                progress.done += window.left_out.values().sum::<u64>();
                window.count_into(progress);
            });
        }
        while !window.letters.is_empty() {
            let allowed = pace.allows(CHUNK.min(window.letters.len()), shared.steady());
            let count = match allowed {
                Ok(count) => window.whole_events(count),
                Err(wait) => {
                    if !entry.pause(shared, wait).await {
                        return Ok(Ended::Stopped);
                    }
                    if entry.is_cancelled() {
                        return Ok(Ended::Cancelled);
                    }
                    continue;
                }
            };
            pace.took(count);
            work.number += 1;
            work.in_hand = Some(Chunk {
                number: work.number,
                letters: window.letters.drain(..count).collect(),
            });
            entry.save(shared, Work::Redrive(work.clone())).await?;
            if !hand::over(shared, entry, &mut work).await? {
                return Ok(Ended::Stopped);
            }
            if entry.is_cancelled() {
                return Ok(Ended::Cancelled);
            }
        }
        work.at = window.until;
        work.window = None;
        entry.save(shared, Work::Redrive(work.clone())).await?;
    }
}
