//! Whether two runs came to the same, event by event, and what differs. Pure.

use std::collections::BTreeMap;

use sandbar_types::{Batch, Name, Offset, PartitionId};
use serde_json::{Value, json};

use super::report::{Difference, Example, PlaceCounts};
use crate::{
    diff::{Change, diff, read},
    ingest::cloudevents,
    process::{Failure, Processed, Verdict},
};

/// Changes that an example lists.
const MOST_CHANGES: usize = 20;

/// Where the events of a batch stand.
pub struct Source<'a> {
    pub partition: &'a PartitionId,
    pub offsets: &'a [Offset],
    pub batch: &'a Batch,
    /// The route's targets.
    pub targets: &'a [Name],
}

/// The events of which the two runs do not say the same.
#[must_use]
pub fn compare(source: &Source<'_>, active: &Processed, candidate: &Processed) -> Vec<Difference> {
    let differing = (0..source.batch.len()).filter(|event| !same(active, candidate, *event));
    differing
        .filter_map(|event| difference(source, active, candidate, event))
        .collect()
}

/// Compares without making JSON of anything: most events are the same.
fn same(active: &Processed, candidate: &Processed, event: usize) -> bool {
    match (&active.verdicts[event], &candidate.verdicts[event]) {
        (
            Verdict::Emit { first, count },
            Verdict::Emit {
                first: other,
                count: others,
            },
        ) => {
            count == others
                && (0..*count).all(|output| {
                    active.targets[first + output] == candidate.targets[other + output]
                        && active.outputs.get(first + output)
                            == candidate.outputs.get(other + output)
                })
        }
        (Verdict::Fail(one), Verdict::Fail(other)) => {
            one.cause == other.cause && first_line(one) == first_line(other)
        }
        (one, other) => one == other,
    }
}

/// Without the backtrace, which names the functions of one version.
fn first_line(failure: &Failure) -> &str {
    failure.reason.lines().next().unwrap_or_default()
}

fn difference(
    source: &Source<'_>,
    active: &Processed,
    candidate: &Processed,
    event: usize,
) -> Option<Difference> {
    let before = told(active, event, source.targets);
    let after = told(candidate, event, source.targets);
    let changes = diff(&before, &after);
    // Bytes may differ where the documents do not: white space, the order of members.
    if changes.is_empty() {
        return None;
    }
    let mut places: BTreeMap<String, PlaceCounts> = BTreeMap::new();
    for change in &changes {
        let counts = places.entry(any_index(change.pointer())).or_default();
        match change {
            Change::Added { .. } => counts.added += 1,
            Change::Removed { .. } => counts.removed += 1,
            Change::Changed { .. } => counts.changed += 1,
        }
    }
    let verdict = |told: &Value| told["verdict"].as_str().unwrap_or_default().to_owned();
    let listed = &changes[..changes.len().min(MOST_CHANGES)];
    Some(Difference {
        places,
        example: Example {
            topic: source.partition.topic.to_string(),
            partition: source.partition.partition,
            offset: source.offsets[event],
            id: source.batch.get(event).id.to_owned(),
            active: verdict(&before),
            candidate: verdict(&after),
            changes: json!(listed),
        },
    })
}

/// All that was said of an event, as a document.
fn told(processed: &Processed, event: usize, targets: &[Name]) -> Value {
    match &processed.verdicts[event] {
        Verdict::Emit { first, count } => {
            let outputs = (*first..first + count).map(|output| {
                let mut text = Vec::new();
                cloudevents::encode_structured(processed.outputs.get(output), &[], &mut text);
                let document = read(&text);
                let target = targets.get(usize::from(processed.targets[output]));
                json!({"target": target.map(Name::as_str), "event": document})
            });
            json!({"verdict": "emit", "outputs": outputs.collect::<Vec<_>>()})
        }
        Verdict::Drop(reason) => json!({"verdict": "drop", "reason": reason}),
        Verdict::Fail(failure) => {
            json!({"verdict": "fail", "cause": failure.cause, "reason": first_line(failure)})
        }
        Verdict::Retry { reason, .. } => json!({"verdict": "retry", "reason": reason}),
    }
}

/// `/lines/3/price` → `/lines/*/price`.
fn any_index(pointer: &str) -> String {
    let segments = pointer.split('/').map(|segment| {
        let index = !segment.is_empty() && segment.bytes().all(|byte| byte.is_ascii_digit());
        if index { "*" } else { segment }
    });
    segments.collect::<Vec<_>>().join("/")
}

#[cfg(test)]
mod tests;
