//! What is kept of the gate's reports, and what a refusal says. Pure.

use crate::{
    catalog::{GateOutcome, Gated, GatedFailure},
    gate::{GateReport, Outcome},
    problem::{Code, Place, Problem},
};

/// Failures that are kept.
pub(super) const MOST: usize = 10;
/// The longest reason that is kept, in characters.
const LONGEST_REASON: usize = 500;

/// What is kept of reports.
pub(super) fn recorded(reports: &[GateReport], seed: u64) -> Gated {
    let any = |outcome: Outcome| reports.iter().any(|report| report.outcome == outcome);
    let outcome = if any(Outcome::Refused) {
        GateOutcome::Forced
    } else if any(Outcome::Passed) {
        GateOutcome::Passed
    } else {
        GateOutcome::NotChecked
    };
    // One failure of each route before a second one of any.
    let mut failures = Vec::new();
    for place in 0..3 {
        for report in reports {
            failures.extend(report.failures.get(place).map(|failure| GatedFailure {
                route: report.route.clone(),
                cause: failure.cause.clone(),
                reason: failure.reason.chars().take(LONGEST_REASON).collect(),
            }));
        }
    }
    failures.truncate(MOST);
    let detail = reports.iter().find_map(|report| report.detail.clone());
    let detail = detail.filter(|_| outcome == GateOutcome::NotChecked);
    Gated {
        outcome,
        detail: detail.unwrap_or_default(),
        seed,
        generated: reports.iter().map(|report| report.generated.checked).sum(),
        real: reports.iter().map(|report| report.real.checked).sum(),
        failures,
    }
}

pub(super) fn refusal(reports: Vec<GateReport>) -> Problem {
    let mut refused = reports;
    refused.retain(|report| report.outcome == Outcome::Refused);
    let first = refused.iter().find_map(GateReport::summary);
    let mut detail = first.unwrap_or_default();
    match refused.len() {
        0 | 1 => {}
        2 => detail.push_str("; and one more route"),
        more => detail.push_str(&format!("; and {} more routes", more - 1)),
    }
    let mut places = Vec::new();
    for report in &refused {
        for failure in &report.failures {
            let of_route = |reason: &str| format!("route {}: {reason}", report.route);
            if failure.violations.is_empty() {
                places.push(Place {
                    reason: of_route(&format!("{}: {}", failure.cause, failure.reason)),
                    ..Place::default()
                });
            }
            for one in &failure.violations {
                places.push(Place {
                    index: failure.output,
                    pointer: one.pointer.clone(),
                    reason: of_route(&one.reason),
                    ..Place::default()
                });
            }
        }
    }
    Problem::new(Code::ActivationRefused, detail)
        .errors(places)
        .gate(refused)
}
