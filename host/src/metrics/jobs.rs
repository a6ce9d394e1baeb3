//! What is counted of jobs. The jobs keep their counts; here they are only shown.

use std::collections::BTreeMap;

use prometheus_client::{
    encoding::EncodeLabelSet,
    metrics::{counter::Counter, family::Family, gauge::Gauge},
    registry::Registry,
};

use super::{escaped, set, signed};

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct KindLabel {
    kind: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    kind: &'static str,
    state: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
struct CauseLabels {
    kind: &'static str,
    cause: String,
}

/// The jobs of one kind at the time of a scrape.
#[derive(Debug)]
pub struct JobReading {
    pub kind: &'static str,
    /// `queued`, `running`.
    pub unfinished: BTreeMap<&'static str, u64>,
    /// `done`, `cancelled`, `failed`.
    pub ended: BTreeMap<&'static str, u64>,
    /// Events.
    pub done: u64,
    /// Events, by cause.
    pub failed: BTreeMap<String, u64>,
    /// Dead letters, by reason.
    pub left_out: BTreeMap<String, u64>,
}

#[derive(Debug, Default)]
pub(super) struct JobMetrics {
    unfinished: Family<StateLabels, Gauge>,
    ended: Family<StateLabels, Counter>,
    done: Family<KindLabel, Counter>,
    failed: Family<CauseLabels, Counter>,
    left_out: Family<CauseLabels, Counter>,
}

impl JobMetrics {
    pub fn register(&self, registry: &mut Registry) {
        registry.register(
            "jobs",
            "Redrives and replays that wait or run",
            self.unfinished.clone(),
        );
        registry.register("jobs_ended", "Those that ended, by how", self.ended.clone());
        registry.register(
            "job_events_done",
            "Events (of redrives: dead letters) that jobs are done with, whatever came of them",
            self.done.clone(),
        );
        registry.register(
            "job_events_failed",
            "Events that a plugin or a contract did not let pass in a replay, by cause",
            self.failed.clone(),
        );
        registry.register(
            "job_events_left_out",
            "Dead letters that a redrive did not take, by reason",
            self.left_out.clone(),
        );
    }

    pub fn read(&self, jobs: &[JobReading]) {
        self.unfinished.clear();
        for reading in jobs {
            let kind = reading.kind;
            for (state, count) in &reading.unfinished {
                let labels = StateLabels { kind, state };
                self.unfinished.get_or_create(&labels).set(signed(*count));
            }
            for (state, count) in &reading.ended {
                let labels = StateLabels { kind, state };
                set(&self.ended.get_or_create(&labels), *count);
            }
            let label = KindLabel { kind };
            set(&self.done.get_or_create(&label), reading.done);
            for (family, counts) in [
                (&self.failed, &reading.failed),
                (&self.left_out, &reading.left_out),
            ] {
                for (cause, count) in counts {
                    let cause = escaped(cause);
                    set(&family.get_or_create(&CauseLabels { kind, cause }), *count);
                }
            }
        }
    }
}
