//! How things stand: of routes, partitions and the hub, for the API and for scrapes.

use sandbar_log::{Log, Status};
use sandbar_types::{Name, PartitionId};
use serde::Serialize;
use utoipa::ToSchema;

use super::Hub;
use crate::{
    deliver::{BreakerState, PushReading, Subscription, SubscriptionState},
    jobs::{Kind, Tally},
    metrics::{
        self, JobReading, PartitionReading, RouteReading, SubscriptionReading, WebhookReading,
    },
    problem::{Code, Problem},
    process::{Counts, State},
};

/// How a route is doing.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct RouteStatus {
    /// `running`, `paused`, or `stalled` (something keeps it from going on; it is tried again).
    pub state: &'static str,
    /// What stalls it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    pub partitions: Vec<LaneReading>,
    pub counts: Counts,
    /// The plugins that run now; the document may name newer ones, which take effect between two
    /// batches.
    pub active: Vec<String>,
}

/// How far a route has come in one partition of its source.
#[derive(Clone, Debug, Serialize, ToSchema)]
pub struct LaneReading {
    pub partition: u32,
    /// The next offset to be read.
    pub next: u64,
    pub tail: u64,
    /// Events not settled: unread ones and those that wait to be tried again.
    pub lag: u64,
    /// Events that wait to be tried again, or behind one of their key that does.
    pub waiting: u64,
}

impl Hub {
    #[must_use]
    pub fn route_status(&self, name: &Name, paused: bool) -> RouteStatus {
        let mut counts = Counts::default();
        let mut state = State::Running;
        let (mut detail, mut active) = (None, Vec::new());
        let mut partitions = Vec::new();
        for lane in self.processor.lanes(name) {
            counts.add(&lane.snapshot.counts);
            state = state.max(lane.snapshot.state);
            detail = detail.or(lane.snapshot.detail);
            let waiting = lane.snapshot.waiting as u64;
            partitions.push(LaneReading {
                partition: lane.source.partition,
                next: lane.snapshot.next,
                tail: lane.tail,
                lag: lane.tail.saturating_sub(lane.snapshot.next) + waiting,
                waiting,
            });
            let steps = lane
                .snapshot
                .active
                .iter()
                .flat_map(|route| route.steps.iter());
            for step in steps {
                if !active.contains(&step.reference) {
                    active.push(step.reference.clone());
                }
            }
        }
        let state = match state {
            State::Stalled => "stalled",
            _ if paused => "paused",
            _ => "running",
        };
        RouteStatus {
            state,
            detail,
            partitions,
            counts,
            active,
        }
    }

    /// `ok`, or what keeps a partition from being written.
    #[must_use]
    pub fn partition_status(&self, partition: &PartitionId) -> String {
        match self.log.status(partition) {
            Ok(Status::Ok) => "ok".to_owned(),
            Ok(Status::Damaged(error)) => format!("damaged: {error}"),
            Err(error) => error.to_string(),
        }
    }

    /// # Errors
    /// When the log's writer has stopped.
    pub fn ready(&self) -> Result<(), Problem> {
        match self.log.poisoned() {
            None => Ok(()),
            Some(reason) => Err(Problem::new(
                Code::LogStopped,
                sandbar_log::Error::Poisoned(reason).to_string(),
            )),
        }
    }

    /// The text of a scrape.
    #[must_use]
    pub fn metrics_text(&self) -> String {
        let mut partitions = Vec::new();
        for topic in self.catalog.topics() {
            for partition in topic.partition_ids() {
                let bounds = self.log.bounds(&partition).unwrap_or_default();
                let (topic, partition) = (partition.topic, partition.partition);
                partitions.push(PartitionReading {
                    topic,
                    partition,
                    bounds,
                });
            }
        }
        let routes: Vec<RouteReading> = (self.catalog.routes().into_iter())
            .map(|(name, route)| {
                let status = self.route_status(&name, route.paused);
                let lanes = status
                    .partitions
                    .iter()
                    .map(|lane| (lane.partition, lane.lag, lane.waiting));
                RouteReading {
                    route: name,
                    lanes: lanes.collect(),
                    settled: status.counts.read,
                    dead_letters: status.counts.dead_letters,
                    retries: status.counts.retries,
                    emitted: status.counts.emitted,
                    dropped: status.counts.dropped,
                    state: match status.state {
                        "running" => 0,
                        "paused" => 1,
                        _ => 2,
                    },
                }
            })
            .collect();
        self.metrics.bodies(self.bodies.taken());
        (self.metrics).outgoing(self.outgoing.taken(), self.pushed.taken());
        let subscriptions: Vec<_> = (self.subscriptions.all().iter())
            .map(|subscription| subscription_reading(subscription))
            .collect();
        let webhooks = self.webhooks.readings().into_iter().map(webhook_reading);
        let webhooks: Vec<_> = webhooks.collect();
        let jobs = self.jobs.tallies().into_iter().map(job_reading);
        let quotas = self.catalog.topics().into_iter();
        let quotas = quotas.flat_map(|topic| self.publisher.quota_readings(&topic));
        self.metrics.text(
            &partitions,
            &routes,
            &subscriptions,
            &webhooks,
            &jobs.collect::<Vec<_>>(),
            &quotas.collect::<Vec<_>>(),
        )
    }
}

fn webhook_reading(reading: PushReading) -> WebhookReading {
    WebhookReading {
        subscription: reading.subscription,
        breaker: match reading.breaker {
            BreakerState::Closed => 0,
            BreakerState::HalfOpen => 1,
            BreakerState::Open => 2,
        },
        in_flight: reading.in_flight as u64,
    }
}

fn job_reading((kind, tally): (Kind, Tally)) -> JobReading {
    // Those that ended are counted; those that did not are there now.
    let split = tally.states.into_iter();
    let (unfinished, ended) = split.partition(|(state, _)| matches!(*state, "queued" | "running"));
    JobReading {
        kind: kind.as_str(),
        unfinished,
        ended,
        done: tally.done,
        failed: tally.failed,
        left_out: tally.left_out,
    }
}

fn subscription_reading(subscription: &Subscription) -> SubscriptionReading {
    let status = subscription.status();
    let lanes = subscription.by_partition().into_keys();
    let lanes = lanes.zip(&status.partitions);
    SubscriptionReading {
        subscription: subscription.name.clone(),
        delivered: status.counts.delivered,
        retried: status.counts.retried,
        acknowledged: status.counts.acknowledged,
        filtered: status.counts.filtered,
        dead_letters: status.counts.dead_letters,
        trimmed: status.counts.trimmed,
        state: match status.state {
            SubscriptionState::Running => 0,
            SubscriptionState::Paused => 1,
            SubscriptionState::Disabled => 2,
            SubscriptionState::Full => 3,
            SubscriptionState::Gap => 4,
            SubscriptionState::Stalled => 5,
        },
        lag_seconds: status.lag_seconds,
        lanes: lanes
            .map(|(partition, lane)| metrics::LaneReading {
                partition,
                lag: lane.lag,
                out: lane.out,
                waiting: lane.waiting,
                held: lane.held,
            })
            .collect(),
    }
}
