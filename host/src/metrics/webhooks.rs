//! What is counted and timed of webhooks, since the hub began.

use std::time::Duration;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use sandbar_types::Name;

use super::signed;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SubscriptionLabel {
    subscription: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct AttemptLabels {
    subscription: String,
    outcome: &'static str,
}

/// A webhook at the time of a scrape.
#[derive(Debug)]
pub struct WebhookReading {
    pub subscription: Name,
    /// 0 closed, 1 half open, 2 open.
    pub breaker: i64,
    pub in_flight: u64,
}

/// Counts and times the requests of one webhook.
#[derive(Clone, Debug)]
pub struct PushMeter {
    subscription: String,
    attempts: Family<AttemptLabels, Counter>,
    /// What is counted most often is not looked up each time.
    delivered: Counter,
    seconds: Histogram,
}

/// The outcome of a request that did what it was to do.
const DELIVERED: &str = "delivered";

impl PushMeter {
    /// A request came to its end: `delivered`, or why not.
    pub fn attempt(&self, outcome: &'static str, took: Duration) {
        self.seconds.observe(took.as_secs_f64());
        if outcome == DELIVERED {
            self.delivered.inc();
            return;
        }
        let labels = AttemptLabels {
            subscription: self.subscription.clone(),
            outcome,
        };
        self.attempts.get_or_create(&labels).inc();
    }
}

#[derive(Debug)]
pub(super) struct WebhookMetrics {
    attempts: Family<AttemptLabels, Counter>,
    attempt_seconds: Family<SubscriptionLabel, Histogram>,
    breaker: Family<SubscriptionLabel, Gauge>,
    in_flight: Family<SubscriptionLabel, Gauge>,
}

/// 500 µs to 33 s.
fn exchange() -> Histogram {
    Histogram::new(exponential_buckets(0.000_5, 2.0, 17))
}

impl Default for WebhookMetrics {
    fn default() -> Self {
        Self {
            attempts: Family::default(),
            attempt_seconds: Family::new_with_constructor(exchange),
            breaker: Family::default(),
            in_flight: Family::default(),
        }
    }
}

impl WebhookMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "push_attempts",
            "Requests to webhooks, by how they ended",
            self.attempts.clone(),
        );
        registry.register_with_unit(
            "push_attempt",
            "From sending a request to the end of its answer",
            Unit::Seconds,
            self.attempt_seconds.clone(),
        );
        registry.register(
            "push_breaker",
            "0 closed, 1 half open, 2 open",
            self.breaker.clone(),
        );
        registry.register(
            "push_in_flight",
            "Requests to webhooks that are under way",
            self.in_flight.clone(),
        );
    }

    pub fn meter(&self, subscription: &Name) -> PushMeter {
        let subscription = subscription.to_string();
        let label = SubscriptionLabel {
            subscription: subscription.clone(),
        };
        let delivered = AttemptLabels {
            subscription: subscription.clone(),
            outcome: DELIVERED,
        };
        PushMeter {
            delivered: self.attempts.get_or_create(&delivered).clone(),
            seconds: self.attempt_seconds.get_or_create(&label).clone(),
            attempts: self.attempts.clone(),
            subscription,
        }
    }

    pub fn read(&self, webhooks: &[WebhookReading]) {
        self.breaker.clear();
        self.in_flight.clear();
        for reading in webhooks {
            let label = SubscriptionLabel {
                subscription: reading.subscription.to_string(),
            };
            self.breaker.get_or_create(&label).set(reading.breaker);
            let in_flight = signed(reading.in_flight);
            self.in_flight.get_or_create(&label).set(in_flight);
        }
    }
}
