//! What the hub counts and times, in the Prometheus text format (OpenMetrics).

use std::{
    collections::BTreeMap,
    fmt,
    sync::{Mutex, PoisonError, atomic::Ordering},
    time::Duration,
};

use prometheus_client::{
    encoding::{EncodeLabelSet, text::encode},
    metrics::{
        counter::Counter,
        family::Family,
        gauge::Gauge,
        histogram::{Histogram, exponential_buckets},
    },
    registry::{Registry, Unit},
};
use sandbar_types::Name;

mod jobs;
mod quotas;
mod subscriptions;
mod webhooks;

use jobs::JobMetrics;
pub use jobs::JobReading;
use quotas::QuotaMetrics;
pub use quotas::QuotaReading;
use subscriptions::SubscriptionMetrics;
pub use subscriptions::{LaneReading, SubscriptionReading};
use webhooks::WebhookMetrics;
pub use webhooks::{PushMeter, WebhookReading};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct TopicLabel {
    topic: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusedLabels {
    topic: String,
    code: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PartitionLabels {
    topic: String,
    partition: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteLabel {
    route: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RoutePartitionLabels {
    route: String,
    partition: u32,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteTargetLabels {
    route: String,
    target: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RouteReasonLabels {
    route: String,
    reason: String,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RequestLabels {
    method: String,
    path: String,
    status: u16,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct OutcomeLabel {
    outcome: &'static str,
}

/// A route at the time of a scrape.
#[derive(Debug)]
pub struct RouteReading {
    pub route: Name,
    /// Source events settled.
    pub settled: u64,
    pub dead_letters: u64,
    pub retries: u64,
    /// Outputs by target topic.
    pub emitted: BTreeMap<String, u64>,
    /// Source events by reason.
    pub dropped: BTreeMap<String, u64>,
    /// Partition, lag in events, waiting events.
    pub lanes: Vec<(u32, u64, u64)>,
    /// 0 running, 1 paused, 2 stalled.
    pub state: i64,
}

/// A partition at the time of a scrape.
#[derive(Debug)]
pub struct PartitionReading {
    pub topic: Name,
    pub partition: u32,
    pub bounds: sandbar_log::Bounds,
}

/// All metrics.
pub struct Metrics {
    registry: Mutex<Registry>,
    published: Family<TopicLabel, Counter>,
    published_bytes: Family<TopicLabel, Counter>,
    duplicates: Family<TopicLabel, Counter>,
    refused: Family<RefusedLabels, Counter>,
    publish_seconds: Family<TopicLabel, Histogram>,
    turn_seconds: Family<RouteLabel, Histogram>,
    requests: Family<RequestLabels, Counter>,
    bodies: Gauge,
    answers: Gauge,
    pushed: Gauge,
    tail: Family<PartitionLabels, Gauge>,
    earliest: Family<PartitionLabels, Gauge>,
    bytes: Family<PartitionLabels, Gauge>,
    settled: Family<RouteLabel, Counter>,
    emitted: Family<RouteTargetLabels, Counter>,
    dropped: Family<RouteReasonLabels, Counter>,
    dead_letters: Family<RouteLabel, Counter>,
    retries: Family<RouteLabel, Counter>,
    lag: Family<RoutePartitionLabels, Gauge>,
    waiting: Family<RoutePartitionLabels, Gauge>,
    state: Family<RouteLabel, Gauge>,
    gate_checking: Gauge,
    gate_checks: Family<OutcomeLabel, Counter>,
    subscriptions: SubscriptionMetrics,
    webhooks: WebhookMetrics,
    jobs: JobMetrics,
    quotas: QuotaMetrics,
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// 50 µs to 1.6 s.
fn latency() -> Histogram {
    Histogram::new(exponential_buckets(0.000_05, 2.0, 16))
}

impl Default for Metrics {
    fn default() -> Self {
        let metrics = Self {
            registry: Mutex::default(),
            published: Family::default(),
            published_bytes: Family::default(),
            duplicates: Family::default(),
            refused: Family::default(),
            publish_seconds: Family::new_with_constructor(latency),
            turn_seconds: Family::new_with_constructor(latency),
            requests: Family::default(),
            bodies: Gauge::default(),
            answers: Gauge::default(),
            pushed: Gauge::default(),
            tail: Family::default(),
            earliest: Family::default(),
            bytes: Family::default(),
            settled: Family::default(),
            emitted: Family::default(),
            dropped: Family::default(),
            dead_letters: Family::default(),
            retries: Family::default(),
            lag: Family::default(),
            waiting: Family::default(),
            state: Family::default(),
            gate_checking: Gauge::default(),
            gate_checks: Family::default(),
            subscriptions: SubscriptionMetrics::default(),
            webhooks: WebhookMetrics::default(),
            jobs: JobMetrics::default(),
            quotas: QuotaMetrics::default(),
        };
        metrics.register();
        metrics
    }
}

impl Metrics {
    fn register(&self) {
        let mut guard = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        let registry = guard.sub_registry_with_prefix("sandbar");
        registry.register(
            "events_published",
            "Events stored by a publish",
            self.published.clone(),
        );
        registry.register_with_unit(
            "published",
            "Request bodies of the publishes that were stored",
            Unit::Bytes,
            self.published_bytes.clone(),
        );
        registry.register(
            "events_duplicate",
            "Events that were stored already",
            self.duplicates.clone(),
        );
        registry.register(
            "events_refused",
            "Events that a publish refused",
            self.refused.clone(),
        );
        registry.register_with_unit(
            "publish",
            "From the decoded request to the answer",
            Unit::Seconds,
            self.publish_seconds.clone(),
        );
        registry.register_with_unit(
            "route_turn",
            "One batch through the plugins of a route",
            Unit::Seconds,
            self.turn_seconds.clone(),
        );
        registry.register(
            "http_requests",
            "Requests by method, path template and status",
            self.requests.clone(),
        );
        registry.register_with_unit(
            "http_bodies_in_flight",
            "Bodies of the requests at work",
            Unit::Bytes,
            self.bodies.clone(),
        );
        registry.register_with_unit(
            "http_answers_in_flight",
            "Events in answers that clients have not read",
            Unit::Bytes,
            self.answers.clone(),
        );
        registry.register_with_unit(
            "push_in_flight",
            "Events that webhooks have taken and not delivered",
            Unit::Bytes,
            self.pushed.clone(),
        );
        registry.register(
            "partition_tail",
            "The next offset to be written",
            self.tail.clone(),
        );
        registry.register(
            "partition_earliest",
            "The first offset still there",
            self.earliest.clone(),
        );
        registry.register_with_unit(
            "partition_size",
            "Size on disk",
            Unit::Bytes,
            self.bytes.clone(),
        );
        registry.register(
            "route_events_settled",
            "Source events that a route is done with",
            self.settled.clone(),
        );
        registry.register(
            "route_events_emitted",
            "Outputs written, by target",
            self.emitted.clone(),
        );
        registry.register(
            "route_events_dropped",
            "Source events left out on purpose, by reason",
            self.dropped.clone(),
        );
        registry.register(
            "route_dead_letters",
            "Events parked as dead letters",
            self.dead_letters.clone(),
        );
        registry.register(
            "route_retries",
            "Attempts after the first",
            self.retries.clone(),
        );
        registry.register(
            "route_lag_events",
            "Events that the route has not read",
            self.lag.clone(),
        );
        registry.register(
            "route_waiting_events",
            "Events that wait to be tried again",
            self.waiting.clone(),
        );
        registry.register(
            "route_state",
            "0 running, 1 paused, 2 stalled",
            self.state.clone(),
        );
        registry.register(
            "gate_routes_checking",
            "Routes that the activation gate is looking at",
            self.gate_checking.clone(),
        );
        registry.register(
            "gate_checks",
            "Routes that the activation gate has looked at, by what came of it",
            self.gate_checks.clone(),
        );
        self.subscriptions.register(registry);
        self.webhooks.register(registry);
        self.jobs.register(registry);
        self.quotas.register(registry);
    }

    /// Counts a publish that stored `events` events with `bytes` bytes of data.
    pub fn published(
        &self,
        topic: &Name,
        events: usize,
        bytes: usize,
        duplicates: usize,
        took: Duration,
    ) {
        let label = TopicLabel {
            topic: topic.to_string(),
        };
        self.published.get_or_create(&label).inc_by(events as u64);
        self.published_bytes
            .get_or_create(&label)
            .inc_by(bytes as u64);
        self.duplicates
            .get_or_create(&label)
            .inc_by(duplicates as u64);
        self.publish_seconds
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// The activation gate begins to look at a route.
    pub fn gate_began(&self) {
        self.gate_checking.inc();
    }

    /// The activation gate has looked at a route.
    pub fn gate_ended(&self, outcome: &'static str) {
        self.gate_checking.dec();
        self.gate_checks
            .get_or_create(&OutcomeLabel { outcome })
            .inc();
    }

    /// What counts the requests to the webhook of a subscription.
    #[must_use]
    pub fn push_meter(&self, subscription: &Name) -> PushMeter {
        self.webhooks.meter(subscription)
    }

    pub fn refused(&self, topic: &Name, code: &str, events: usize) {
        let labels = RefusedLabels {
            topic: topic.to_string(),
            code: code.to_owned(),
        };
        self.refused.get_or_create(&labels).inc_by(events as u64);
    }

    pub fn turn_took(&self, route: &Name, took: Duration, _events: usize) {
        let label = RouteLabel {
            route: route.to_string(),
        };
        self.turn_seconds
            .get_or_create(&label)
            .observe(took.as_secs_f64());
    }

    /// Counts a request; `path` is the template, so that ids do not become labels.
    pub fn request(&self, method: &str, path: &str, status: u16) {
        let labels = RequestLabels {
            method: method.to_owned(),
            path: path.to_owned(),
            status,
        };
        self.requests.get_or_create(&labels).inc();
    }

    /// The bytes of all bodies that are in the hub.
    pub fn bodies(&self, bytes: usize) {
        self.bodies.set(signed(bytes as u64));
    }

    /// The bytes of events that are on their way out: in answers, and to webhooks.
    pub fn outgoing(&self, answers: usize, pushed: usize) {
        self.answers.set(signed(answers as u64));
        self.pushed.set(signed(pushed as u64));
    }

    /// The text of a scrape, with the readings of the moment.
    #[must_use]
    pub fn text(
        &self,
        partitions: &[PartitionReading],
        routes: &[RouteReading],
        subscriptions: &[SubscriptionReading],
        webhooks: &[WebhookReading],
        jobs: &[JobReading],
        quotas: &[QuotaReading],
    ) -> String {
        let registry = self.registry.lock().unwrap_or_else(PoisonError::into_inner);
        self.subscriptions.read(subscriptions);
        self.read_partitions(partitions);
        self.read_routes(routes);
        self.webhooks.read(webhooks);
        self.jobs.read(jobs);
        self.quotas.read(quotas);
        let mut text = String::new();
        // Writing into a String cannot fail.
        let _ = encode(&mut text, &registry);
        text
    }

    fn read_partitions(&self, partitions: &[PartitionReading]) {
        self.tail.clear();
        self.earliest.clear();
        self.bytes.clear();
        for reading in partitions {
            let labels = PartitionLabels {
                topic: reading.topic.to_string(),
                partition: reading.partition,
            };
            self.tail
                .get_or_create(&labels)
                .set(signed(reading.bounds.tail));
            self.earliest
                .get_or_create(&labels)
                .set(signed(reading.bounds.earliest));
            self.bytes
                .get_or_create(&labels)
                .set(signed(reading.bounds.bytes));
        }
    }

    fn read_routes(&self, routes: &[RouteReading]) {
        self.lag.clear();
        self.waiting.clear();
        self.state.clear();
        for reading in routes {
            let route = reading.route.to_string();
            let label = RouteLabel {
                route: route.clone(),
            };
            set(&self.settled.get_or_create(&label), reading.settled);
            set(
                &self.dead_letters.get_or_create(&label),
                reading.dead_letters,
            );
            set(&self.retries.get_or_create(&label), reading.retries);
            self.state.get_or_create(&label).set(reading.state);
            for (target, count) in &reading.emitted {
                let labels = RouteTargetLabels {
                    route: route.clone(),
                    target: target.clone(),
                };
                set(&self.emitted.get_or_create(&labels), *count);
            }
            for (reason, count) in &reading.dropped {
                let labels = RouteReasonLabels {
                    route: route.clone(),
                    reason: escaped(reason),
                };
                set(&self.dropped.get_or_create(&labels), *count);
            }
            for (partition, lag, waiting) in &reading.lanes {
                let labels = RoutePartitionLabels {
                    route: route.clone(),
                    partition: *partition,
                };
                self.lag.get_or_create(&labels).set(signed(*lag));
                self.waiting.get_or_create(&labels).set(signed(*waiting));
            }
        }
    }
}

/// A label's value as the text format wants it; the library writes it as it is.
fn escaped(value: &str) -> String {
    value
        .replace('\\', "\\\\")
        .replace('"', "\\\"")
        .replace('\n', "\\n")
}

fn signed(value: u64) -> i64 {
    i64::try_from(value).unwrap_or(i64::MAX)
}

/// These counters are kept with the route's checkpoint, over restarts; here they are only shown.
fn set(counter: &Counter, value: u64) {
    counter.inner().store(value, Ordering::Relaxed);
}
