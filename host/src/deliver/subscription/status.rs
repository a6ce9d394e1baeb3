//! How a subscription is doing.

use sandbar_types::Offset;
use serde::Serialize;
use utoipa::ToSchema;

use super::{Counts, Gap, Subscription, lane::Lane};

/// What a subscription is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, ToSchema)]
#[serde(rename_all = "kebab-case")]
pub enum SubscriptionState {
    Running,
    /// Somebody paused it.
    Paused,
    /// The webhook asked not to be called any more.
    Disabled,
    /// Too many keys are held: a partition is not read on until some are released or redriven.
    Full,
    /// Events were deleted before they were settled; somebody must accept that or reset.
    Gap,
    /// A partition cannot be read.
    Stalled,
}

/// How a subscription is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct SubscriptionStatus {
    pub state: SubscriptionState,
    /// Why it does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// Over all partitions.
    pub lag: u64,
    /// Of the partition that is furthest behind: how long ago its oldest event that is not settled
    /// was stored.
    pub lag_seconds: f64,
    pub out: u64,
    pub waiting: u64,
    pub held: u64,
    pub counts: Counts,
    pub partitions: Vec<LaneStatus>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<Gap>,
}

/// One subscription in one partition.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LaneStatus {
    /// `topic/partition`.
    pub partition: String,
    /// Everything below is settled.
    pub low: Offset,
    /// The next offset to be read.
    pub next: Offset,
    pub tail: Offset,
    /// Events that are not settled, unread ones included.
    pub lag: u64,
    pub lag_seconds: f64,
    /// Events that clients have.
    pub out: u64,
    /// Events read and not settled, those that clients have included.
    pub waiting: u64,
    /// Keys that wait for an event that was given up.
    pub held: u64,
    /// Offsets of the events that hold their keys, the first hundred.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub held_offsets: Vec<Offset>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trouble: Option<String>,
    pub counts: Counts,
}

impl Subscription {
    /// How it is doing. Blocks on the disk.
    #[must_use]
    pub fn status(&self) -> SubscriptionStatus {
        let settings = self.settings();
        let lanes = self.lanes();
        let mut status = SubscriptionStatus {
            state: SubscriptionState::Running,
            detail: None,
            lag: 0,
            lag_seconds: 0.0,
            out: 0,
            waiting: 0,
            held: 0,
            counts: Counts::default(),
            partitions: Vec::with_capacity(lanes.all.len()),
            gaps: self.gaps(),
        };
        let mut full = None;
        for lane in &lanes.all {
            let one = self.lane_status(lane);
            status.lag += one.lag;
            status.lag_seconds = status.lag_seconds.max(one.lag_seconds);
            status.out += one.out;
            status.waiting += one.waiting;
            status.held += one.held;
            status.counts.add(&one.counts);
            if one.held >= settings.policy.max_held_keys as u64 {
                full.get_or_insert_with(|| (one.partition.clone(), one.held));
            }
            status.partitions.push(one);
        }
        let trouble = (status.partitions.iter())
            .find_map(|one| Some((one.partition.clone(), one.trouble.clone()?)));
        let record = &settings.record;
        (status.state, status.detail) = if let Some(disabled) = &record.disabled {
            let detail = format!("since {}: {}", disabled.at, disabled.reason);
            (SubscriptionState::Disabled, Some(detail))
        } else if record.paused {
            (SubscriptionState::Paused, None)
        } else if let Some((partition, trouble)) = trouble {
            (
                SubscriptionState::Stalled,
                Some(format!("{partition}: {trouble}")),
            )
        } else if let Some(gap) = status.gaps.first() {
            let detail = format!(
                "{}: the offsets {} to {} were deleted before they were settled",
                gap.partition,
                gap.from,
                gap.to - 1
            );
            (SubscriptionState::Gap, Some(detail))
        } else if let Some((partition, held)) = full {
            let detail = format!(
                "{partition}: {held} keys are held, and with {} (max_held_keys) nothing more is read; release or redrive them",
                settings.policy.max_held_keys
            );
            (SubscriptionState::Full, Some(detail))
        } else {
            (SubscriptionState::Running, None)
        };
        status
    }

    fn lane_status(&self, lane: &Lane) -> LaneStatus {
        let bounds = lane.bounds(&self.shared);
        let (mut status, low) = {
            let mut inner = lane.lock();
            inner.group.skip_settled();
            let group = &inner.group;
            let unread = group.unread_below(bounds.tail);
            let mut held_offsets = group.held_offsets();
            held_offsets.truncate(100);
            let low = group.low();
            let status = LaneStatus {
                partition: lane.partition.to_string(),
                low,
                next: group.next(),
                tail: bounds.tail,
                lag: unread + group.waiting() as u64,
                lag_seconds: 0.0,
                out: group.out() as u64,
                waiting: group.waiting() as u64,
                held: group.held() as u64,
                held_offsets,
                trouble: inner.trouble.clone(),
                counts: group.counts().clone(),
            };
            (status, low)
        };
        if status.lag > 0 {
            let oldest = low.max(bounds.earliest);
            let heads = self.shared.log.heads(&lane.partition, oldest, 1);
            if let Some(head) = heads.ok().and_then(|heads| heads.into_iter().next()) {
                let age = self.shared.clock.now().saturating_sub(head.time);
                status.lag_seconds = age as f64 / 1000.0;
            }
        }
        status
    }
}
