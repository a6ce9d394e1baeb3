//! Dead letters of events that were given up.

use std::sync::Arc;

use sandbar_types::Offset;

use super::{Subscription, group::Dying, journal::Letter, lane::Lane};
use crate::{
    dead_letter::{DeadLetter, enclosed, position},
    problem::Problem,
};

/// So many letters go into one frame.
const LETTERS: usize = 100;

impl Subscription {
    /// Has the dead letters written that are due, some time.
    pub(super) fn bury_some(self: &Arc<Self>) {
        for lane in &self.lanes().all {
            if lane.lock().group.has_dying() {
                let (this, lane) = (self.clone(), lane.clone());
                tokio::spawn(async move {
                    if let Err(problem) = this.bury(&lane).await {
                        tracing::warn!(subscription = %this.name, partition = %lane.partition, %problem, "a dead letter could not be written; it is tried again");
                    }
                });
            }
        }
    }

    /// Writes the dead letters of a lane that are due. Durable when it returns.
    ///
    /// # Errors
    /// When the log cannot be written; the events stay given up and are written later.
    pub(super) async fn bury(&self, lane: &Arc<Lane>) -> Result<(), Problem> {
        let _one = lane.burying.lock().await;
        loop {
            let _gate = lane.gate.read().await;
            let dying = lane.lock().group.dying(LETTERS);
            if dying.is_empty() {
                return Ok(());
            }
            // A letter of a letter would be delivered to the same subscription again.
            let is_letter = lane.partition == self.shared.journal.dead_letters;
            let holds = self.settings().policy.hold && !is_letter;
            let offsets: Vec<Offset> = dying.iter().map(|one| one.offset).collect();
            let number = {
                let tails = self.shared.journal.tails();
                Lane::begun(&mut lane.lock(), tails)
            };
            let written = if is_letter {
                self.shared
                    .journal
                    .settle(vec![(lane.author(), offsets.clone())])
                    .await
            } else {
                self.write_letters(lane, dying, holds).await
            };
            let mut inner = lane.lock();
            if written.is_ok() {
                for offset in offsets {
                    if is_letter {
                        inner.group.released(offset);
                    } else {
                        inner.group.buried(offset, holds);
                    }
                }
            }
            Lane::ended(&mut inner, number);
            drop(inner);
            written?;
            self.wake();
        }
    }

    async fn write_letters(
        &self,
        lane: &Arc<Lane>,
        dying: Vec<Dying>,
        holds: bool,
    ) -> Result<(), Problem> {
        let (shared, reading) = (self.shared.clone(), lane.clone());
        let name = self.name.clone();
        let now = self.shared.clock.now();
        let letters = tokio::task::spawn_blocking(move || {
            let each = dying.into_iter().map(|one| {
                let chunk = reading.find(&shared, one.offset)?;
                let original = chunk.as_ref().map(|chunk| chunk.event(one.offset));
                let letter = DeadLetter {
                    route: None,
                    subscription: Some(name.to_string()),
                    step: None,
                    plugin: None,
                    digest: None,
                    cause: one.cause,
                    reason: one.reason,
                    attempts: one.attempts,
                    history: one.history,
                    origin: position(&reading.partition, one.offset),
                    redrives: one.redrives,
                    event: original.and_then(enclosed),
                };
                let key = original.map_or_else(String::new, |event| event.key().into_owned());
                let id = original.map_or("", |event| event.id).to_owned();
                Ok(Letter {
                    offset: one.offset,
                    holds,
                    event: letter.into_event(key, id, now),
                })
            });
            each.collect::<Result<Vec<_>, Problem>>()
        });
        let letters = letters.await.map_err(Problem::internal)??;
        self.shared.journal.bury(lane.author(), &letters).await
    }
}
