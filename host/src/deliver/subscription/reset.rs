//! Setting a subscription to another place.

use std::{collections::BTreeMap, sync::Arc};

use sandbar_log::Log;
use sandbar_types::{Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{super::page::refusal, Gap, Move, Reset, Subscription, again::storage, lane::Lane};
use crate::{
    catalog::SubscriptionStart,
    clock,
    problem::{Code, Problem},
};

/// Where to: `"earliest"`, `"latest"`, or an object with one member.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub enum ResetTo {
    Earliest,
    Latest,
    /// The first event stored at or after: RFC 3339, or milliseconds since 1970.
    Time(String),
    /// By `topic/partition`; the others stay where they are.
    Offsets(BTreeMap<String, Offset>),
    /// So many events on (or back), in each partition.
    Shift(i64),
    /// Accepts that events are gone: what is there stays as it is.
    SkipGap(bool),
}

/// What a reset came to, or would come to.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct ResetTarget {
    pub dry_run: bool,
    /// The partitions that move; in the others nothing changes.
    pub partitions: Vec<Move>,
    /// The gaps that were accepted.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// The offset at which a lane that is new begins. Blocks on the disk.
///
/// # Errors
/// When the log cannot be read.
pub fn offset_of_start(
    log: &dyn Log,
    partition: &PartitionId,
    start: &SubscriptionStart,
) -> Result<Offset, Problem> {
    let bounds = log.bounds(partition).map_err(|error| refusal(&error))?;
    let offset = match start {
        SubscriptionStart::Earliest => bounds.earliest,
        SubscriptionStart::Latest => bounds.tail,
        SubscriptionStart::Time(text) => {
            let time = clock::from_text(text).unwrap_or(0);
            log.find_time(partition, time)
                .map_err(|error| refusal(&error))?
        }
        SubscriptionStart::Offsets(offsets) => {
            (offsets.get(&partition.to_string()).copied()).unwrap_or(bounds.earliest)
        }
    };
    Ok(offset.clamp(bounds.earliest, bounds.tail))
}

/// Whether there is something at these offsets, or could be next; `pointer` is the place of the map.
///
/// # Errors
/// `offset-past-tail`.
pub fn check_offsets(
    log: &dyn Log,
    pointer: &str,
    offsets: impl Iterator<Item = (PartitionId, Offset)>,
) -> Result<(), Problem> {
    for (partition, offset) in offsets {
        let tail = log
            .bounds(&partition)
            .map_err(|error| refusal(&error))?
            .tail;
        if offset > tail {
            let detail =
                format!("{pointer}: offset {offset} of {partition} is past the tail {tail}");
            return Err(Problem::new(Code::OffsetPastTail, detail));
        }
    }
    Ok(())
}

impl Subscription {
    /// Sets the subscription to another place, or says what would come of it. What was handed out
    /// before cannot be acknowledged after; what is out with clients is delivered again. Durable
    /// when it returns.
    ///
    /// # Errors
    /// `invalid-document` when a partition or time makes no sense, `offset-past-tail`; when meta cannot be written.
    pub async fn reset(
        self: &Arc<Self>,
        to: ResetTo,
        dry_run: bool,
        by: String,
        reason: String,
    ) -> Result<ResetTarget, Problem> {
        if let ResetTo::SkipGap(accept) = to {
            return self.reset_gaps(accept, dry_run, by, reason).await;
        }
        let this = self.clone();
        let resetting = tokio::spawn(async move {
            let lanes = this.lanes();
            let mut gates = Vec::with_capacity(lanes.all.len());
            if !dry_run {
                for lane in &lanes.all {
                    gates.push(lane.gate.clone().write_owned().await);
                }
            }
            let resetter = this.clone();
            let done = tokio::task::spawn_blocking(move || {
                resetter.reset_now(&lanes.all, &to, dry_run, by, reason)
            });
            let target = done.await.map_err(Problem::internal)?;
            drop(gates);
            // Their tags have changed.
            this.set_lanes(this.all_lanes());
            target
        });
        resetting.await.map_err(Problem::internal)?
    }

    fn reset_now(
        &self,
        lanes: &[Arc<Lane>],
        to: &ResetTo,
        dry_run: bool,
        by: String,
        reason: String,
    ) -> Result<ResetTarget, Problem> {
        self.check_named(lanes, to)?;
        let mut moves = Vec::new();
        let mut targets = Vec::new();
        for lane in lanes {
            let from = lane.lock().group.low();
            if let Some(to) = self.target_of(lane, from, to)? {
                moves.push(Move {
                    partition: lane.partition.to_string(),
                    from,
                    to,
                });
                targets.push((lane, to));
            }
        }
        if !dry_run {
            for (lane, to) in targets {
                lane.reset(to);
                lane.save(&self.shared, true).map_err(storage)?;
            }
            self.remember(to, by, reason, moves.clone())?;
        }
        Ok(ResetTarget {
            dry_run,
            partitions: moves,
            gaps: Vec::new(),
        })
    }

    fn remember(
        &self,
        to: &ResetTo,
        by: String,
        reason: String,
        partitions: Vec<Move>,
    ) -> Result<(), Problem> {
        let now = clock::now();
        let reset = Reset {
            at: clock::to_text(now),
            by,
            reason,
            to: serde_json::to_value(to).map_err(Problem::internal)?,
            partitions,
        };
        self.shared
            .positions
            .remember(&self.name, now, &reset)
            .map_err(storage)
    }

    fn check_named(&self, lanes: &[Arc<Lane>], to: &ResetTo) -> Result<(), Problem> {
        match to {
            ResetTo::Time(text) if clock::from_text(text).is_none() => Err(Problem::new(
                Code::InvalidDocument,
                format!("/to/time: {text:?} is neither RFC 3339 nor milliseconds since 1970"),
            )),
            ResetTo::Offsets(offsets) => {
                let known = |named: &String| {
                    let mut each = lanes.iter();
                    each.any(|lane| lane.partition.to_string() == *named)
                };
                match offsets.keys().find(|named| !known(named)) {
                    None => {
                        let named = lanes.iter().filter_map(|lane| {
                            let offset = offsets.get(&lane.partition.to_string())?;
                            Some((lane.partition.clone(), *offset))
                        });
                        check_offsets(&*self.shared.log, "/to/offsets", named)
                    }
                    Some(named) => Err(Problem::new(
                        Code::InvalidDocument,
                        format!(
                            "/to/offsets: subscription {} has no partition {named:?}; write topic/partition",
                            self.name
                        ),
                    )),
                }
            }
            _ => Ok(()),
        }
    }

    fn target_of(&self, lane: &Lane, low: Offset, to: &ResetTo) -> Result<Option<Offset>, Problem> {
        let log = &*self.shared.log;
        let start = match to {
            ResetTo::Earliest => SubscriptionStart::Earliest,
            ResetTo::Latest => SubscriptionStart::Latest,
            ResetTo::Time(text) => SubscriptionStart::Time(text.clone()),
            ResetTo::Offsets(offsets) => {
                if !offsets.contains_key(&lane.partition.to_string()) {
                    return Ok(None);
                }
                SubscriptionStart::Offsets(offsets.clone())
            }
            ResetTo::Shift(by) => {
                let bounds = lane.bounds(&self.shared);
                let to = low.saturating_add_signed(*by);
                return Ok(Some(to.clamp(bounds.earliest, bounds.tail)));
            }
            ResetTo::SkipGap(_) => return Ok(None),
        };
        offset_of_start(log, &lane.partition, &start).map(Some)
    }

    async fn reset_gaps(
        self: &Arc<Self>,
        accept: bool,
        dry_run: bool,
        by: String,
        reason: String,
    ) -> Result<ResetTarget, Problem> {
        let gaps = if dry_run || !accept {
            self.gaps()
        } else {
            self.accept_gaps().await?
        };
        let moves: Vec<Move> = gaps
            .iter()
            .map(|gap| Move {
                partition: gap.partition.clone(),
                from: gap.from,
                to: gap.to,
            })
            .collect();
        if !dry_run && accept {
            let (this, moves) = (self.clone(), moves.clone());
            let remembered = tokio::task::spawn_blocking(move || {
                this.remember(&ResetTo::SkipGap(true), by, reason, moves)
            });
            remembered.await.map_err(Problem::internal)??;
        }
        Ok(ResetTarget {
            dry_run,
            partitions: moves,
            gaps,
        })
    }

    /// The resets that are remembered, the last one first. Blocks on the disk.
    ///
    /// # Errors
    /// When meta cannot be read.
    pub fn resets(&self) -> Result<Vec<Reset>, Problem> {
        self.shared.positions.resets(&self.name).map_err(storage)
    }
}
