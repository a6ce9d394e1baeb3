//! What is counted of subscriptions. The counts are kept with their positions, over restarts; here
//! they are only shown.

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::{Registry, Unit},
};
use sandbar_types::{Name, PartitionId};

use super::{set, signed};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriptionLabel {
    subscription: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct LaneLabels {
    subscription: String,
    topic: String,
    partition: u32,
}

/// A subscription at the time of a scrape.
#[derive(Debug)]
pub struct SubscriptionReading {
    pub subscription: Name,
    pub delivered: u64,
    pub retried: u64,
    pub acknowledged: u64,
    pub filtered: u64,
    pub dead_letters: u64,
    pub trimmed: u64,
    /// 0 running, 1 paused, 2 disabled, 3 full, 4 gap, 5 stalled.
    pub state: i64,
    pub lag_seconds: f64,
    pub lanes: Vec<LaneReading>,
}

/// One of its partitions.
#[derive(Debug)]
pub struct LaneReading {
    pub partition: PartitionId,
    pub lag: u64,
    pub out: u64,
    pub waiting: u64,
    pub held: u64,
}

#[derive(Debug, Default)]
pub(super) struct SubscriptionMetrics {
    delivered: Family<SubscriptionLabel, Counter>,
    retried: Family<SubscriptionLabel, Counter>,
    acknowledged: Family<SubscriptionLabel, Counter>,
    filtered: Family<SubscriptionLabel, Counter>,
    dead_letters: Family<SubscriptionLabel, Counter>,
    trimmed: Family<SubscriptionLabel, Counter>,
    state: Family<SubscriptionLabel, Gauge>,
    lag_seconds: Family<SubscriptionLabel, Gauge<f64, std::sync::atomic::AtomicU64>>,
    lag: Family<LaneLabels, Gauge>,
    out: Family<LaneLabels, Gauge>,
    waiting: Family<LaneLabels, Gauge>,
    held: Family<LaneLabels, Gauge>,
}

impl SubscriptionMetrics {
    pub(super) fn register(&self, registry: &mut Registry) {
        let counters = [
            (
                "delivered",
                "Times that an event was handed out or sent",
                &self.delivered,
            ),
            (
                "retried",
                "Times that were not the first of their event",
                &self.retried,
            ),
            ("acknowledged", "Events acknowledged", &self.acknowledged),
            (
                "filtered",
                "Events that the filters left out",
                &self.filtered,
            ),
            (
                "dead_letters",
                "Events given up and parked as dead letters",
                &self.dead_letters,
            ),
            (
                "trimmed",
                "Events deleted by retention before they were settled",
                &self.trimmed,
            ),
        ];
        for (name, help, family) in counters {
            registry.register(format!("subscription_{name}"), help, family.clone());
        }
        registry.register(
            "subscription_state",
            "0 running, 1 paused, 2 disabled, 3 full of held keys, 4 gap, 5 stalled",
            self.state.clone(),
        );
        registry.register_with_unit(
            "subscription_lag",
            "Age of the oldest event that is not settled",
            Unit::Seconds,
            self.lag_seconds.clone(),
        );
        let gauges = [
            ("lag_events", "Events that are not settled", &self.lag),
            (
                "out_events",
                "Events with clients or on their way",
                &self.out,
            ),
            (
                "waiting_events",
                "Events read and not settled",
                &self.waiting,
            ),
            (
                "held_keys",
                "Keys that wait for an event that was given up",
                &self.held,
            ),
        ];
        for (name, help, family) in gauges {
            registry.register(format!("subscription_{name}"), help, family.clone());
        }
    }

    pub(super) fn read(&self, readings: &[SubscriptionReading]) {
        for family in [
            &self.delivered,
            &self.retried,
            &self.acknowledged,
            &self.filtered,
            &self.dead_letters,
            &self.trimmed,
        ] {
            family.clear();
        }
        self.state.clear();
        self.lag_seconds.clear();
        for family in [&self.lag, &self.out, &self.waiting, &self.held] {
            family.clear();
        }
        for reading in readings {
            let subscription = reading.subscription.to_string();
            let label = SubscriptionLabel {
                subscription: subscription.clone(),
            };
            for (family, value) in [
                (&self.delivered, reading.delivered),
                (&self.retried, reading.retried),
                (&self.acknowledged, reading.acknowledged),
                (&self.filtered, reading.filtered),
                (&self.dead_letters, reading.dead_letters),
                (&self.trimmed, reading.trimmed),
            ] {
                set(&family.get_or_create(&label), value);
            }
            self.state.get_or_create(&label).set(reading.state);
            self.lag_seconds
                .get_or_create(&label)
                .set(reading.lag_seconds);
            for lane in &reading.lanes {
                let labels = LaneLabels {
                    subscription: subscription.clone(),
                    topic: lane.partition.topic.to_string(),
                    partition: lane.partition.partition,
                };
                for (family, value) in [
                    (&self.lag, lane.lag),
                    (&self.out, lane.out),
                    (&self.waiting, lane.waiting),
                    (&self.held, lane.held),
                ] {
                    family.get_or_create(&labels).set(signed(value));
                }
            }
        }
    }
}
