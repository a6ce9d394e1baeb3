//! How near topics are to their quotas. What a quota refused is counted with all that is refused
//! (`sandbar_events_refused_total` with the code `quota-exceeded`).

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{family::Family, gauge::Gauge},
    registry::Registry,
};
use sandbar_types::Name;

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct QuotaLabels {
    topic: String,
    /// `events` or `bytes`.
    of: &'static str,
}

/// One limit of a topic at the time of a scrape.
#[derive(Clone, Debug, PartialEq)]
pub struct QuotaReading {
    pub topic: Name,
    /// `events` or `bytes`.
    pub of: &'static str,
    /// A second.
    pub limit: u64,
    /// Of what may come at once: 0 nothing, 1 all of it; more when a large batch is still owed.
    pub used: f64,
}

#[derive(Debug, Default)]
pub(super) struct QuotaMetrics {
    limit: Family<QuotaLabels, Gauge>,
    used: Family<QuotaLabels, Gauge<f64, std::sync::atomic::AtomicU64>>,
}

impl QuotaMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "quota_limit",
            "Events or bytes a second that the quota of a topic lets pass",
            self.limit.clone(),
        );
        registry.register(
            "quota_used",
            "Part of the burst of a topic's quota that is used up; at 1 publishes are refused",
            self.used.clone(),
        );
    }

    pub fn read(&self, quotas: &[QuotaReading]) {
        self.limit.clear();
        self.used.clear();
        for reading in quotas {
            let labels = QuotaLabels {
                topic: reading.topic.to_string(),
                of: reading.of,
            };
            self.limit
                .get_or_create(&labels)
                .set(super::signed(reading.limit));
            self.used.get_or_create(&labels).set(reading.used);
        }
    }
}
