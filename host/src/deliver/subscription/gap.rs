//! Events that retention deleted before they were settled. The subscription hands out nothing until
//! somebody accepts it: a client that pulls is told so, and of a webhook the state tells it.

use std::sync::Arc;

use sandbar_types::Offset;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Settings, Subscription, again::storage, lane::Lane};
use crate::problem::{Code, Place, Problem};

/// Events that are gone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Gap {
    /// `topic/partition`.
    pub partition: String,
    /// The first offset that was not settled.
    pub from: Offset,
    /// The first offset that is there.
    pub to: Offset,
    /// How many events between them were not settled.
    pub events: u64,
}

impl Lane {
    pub(super) fn gap(&self) -> Option<Gap> {
        let inner = self.lock();
        let to = inner.gap?;
        let waiting = inner.group.waiting_below(to) as u64;
        Some(Gap {
            partition: self.partition.to_string(),
            from: inner.group.low(),
            to,
            events: waiting + inner.group.unread_below(to),
        })
    }
}

impl Subscription {
    /// The gaps that were met and not accepted.
    #[must_use]
    pub fn gaps(&self) -> Vec<Gap> {
        let lanes = self.lanes();
        lanes.all.iter().filter_map(|lane| lane.gap()).collect()
    }

    /// Looks whether events are gone that were not settled, also where nothing was read since.
    ///
    /// # Errors
    /// `offset-trimmed` (of pulled subscriptions that do not rest); when a partition cannot be read.
    pub async fn look_for_gap(self: &Arc<Self>) -> Result<(), Problem> {
        let settings = self.settings();
        if settings.record.rests() {
            return Ok(());
        }
        let this = self.clone();
        let looking = tokio::task::spawn_blocking(move || {
            for lane in &this.lanes().all {
                let earliest = lane.bounds(&this.shared).earliest;
                let next = lane.lock().group.next();
                if next < earliest {
                    lane.fill(&this.shared, &settings)?;
                }
            }
            match this.gap_problem(&settings) {
                Some(problem) => Err(problem),
                None => Ok(()),
            }
        });
        looking.await.map_err(Problem::internal)?
    }

    /// What a client that pulls is told of gaps.
    pub(super) fn gap_problem(&self, settings: &Settings) -> Option<Problem> {
        if settings.is_pushed() {
            return None;
        }
        let gaps = self.gaps();
        let first = gaps.first()?;
        let events: u64 = gaps.iter().map(|gap| gap.events).sum();
        let detail = format!(
            "{events} events that subscription {} had not settled were deleted by retention: {} in {} partition(s), \
             first {} from offset {} to {}",
            self.name,
            if gaps.len() == 1 { "all" } else { "spread" },
            gaps.len(),
            first.partition,
            first.from,
            first.to - 1,
        );
        let places = gaps.iter().map(|gap| Place {
            pointer: format!("/{}", gap.partition),
            reason: format!(
                "offsets {} to {}: {} events are gone",
                gap.from,
                gap.to - 1,
                gap.events
            ),
            ..Place::default()
        });
        let help = format!(
            "Accept the gap with POST /v1/subscriptions/{}/offsets and {{\"to\": {{\"skip_gap\": true}}}}, or set the \
             subscription to another place there. With 'keep' in its document, events wait for it.",
            self.name
        );
        Some(
            Problem::new(Code::OffsetTrimmed, detail)
                .help(help)
                .errors(places.collect()),
        )
    }

    /// Accepts the gaps: what is gone is given up, and reading goes on behind. Durable when it
    /// returns.
    ///
    /// # Errors
    /// When meta cannot be written.
    pub async fn accept_gaps(self: &Arc<Self>) -> Result<Vec<Gap>, Problem> {
        let this = self.clone();
        let accepting = tokio::spawn(async move {
            let mut accepted = Vec::new();
            for lane in &this.lanes().all {
                if let Some(gap) = lane.gap() {
                    this.accept(lane, &gap).await?;
                    accepted.push(gap);
                }
            }
            Ok(accepted)
        });
        accepting.await.map_err(Problem::internal)?
    }

    async fn accept(&self, lane: &Arc<Lane>, gap: &Gap) -> Result<(), Problem> {
        let _gate = lane.gate.clone().write_owned().await;
        {
            let mut inner = lane.lock();
            inner.group.skip_to(gap.to);
            inner.gap = None;
        }
        tracing::warn!(subscription = %self.name, partition = %lane.partition, from = gap.from, to = gap.to, events = gap.events, "events were deleted before they were settled");
        let (shared, saving) = (self.shared.clone(), lane.clone());
        let saved = tokio::task::spawn_blocking(move || saving.save(&shared, true));
        saved.await.map_err(Problem::internal)?.map_err(storage)?;
        self.wake();
        Ok(())
    }
}
