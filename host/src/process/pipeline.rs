//! Passes a batch through the steps of a route and the contracts of its targets. A route with `decode`
//! shows its steps JSON, whatever the format of its source, and has what they emit encoded for its
//! targets. All who run a route come through here: lanes, reruns, shadows, trials and lineage.
//!
//! Blocking: it runs on the plugin engine's own threads.

use std::sync::Arc;

use sandbar_plugin::{Fault, FaultKind, LogLine, Runner, Verdict as Judged};
use sandbar_types::{Batch, BatchBuilder, EventRef, Name};

use super::{
    guest_logs::Said,
    step::{Cause, Failure, Processed, Verdict},
};
use crate::{
    catalog::{Encoded, Resolved, TopicData},
    contract::Violations,
};

/// The instances of a route's steps, made anew when the route changes.
pub struct Pipeline {
    route: Arc<Resolved>,
    runners: Vec<Runner>,
    targets: Vec<Name>,
    /// What the plugins logged since it was last taken.
    said: Vec<Said>,
}

impl Pipeline {
    /// Instantiates every step.
    ///
    /// # Errors
    /// When a plugin refuses its configuration or cannot be instantiated, in words.
    pub fn new(route: Arc<Resolved>) -> Result<Self, String> {
        let mut runners = Vec::with_capacity(route.steps.len());
        for (index, step) in route.steps.iter().enumerate() {
            let runner = step
                .plugin
                .instantiate(&step.config, step.limits, &step.grants)
                .map_err(|error| format!("step {index} ({}): {error}", step.reference))?;
            runners.push(runner);
        }
        let targets = route
            .targets
            .iter()
            .map(|target| target.name.clone())
            .collect();
        Ok(Self {
            route,
            runners,
            targets,
            said: Vec::new(),
        })
    }

    /// Linear memory of all steps' instances, in bytes.
    #[must_use]
    pub fn memory_bytes(&self) -> usize {
        self.runners.iter().map(Runner::memory_bytes).sum()
    }

    /// What this was made from.
    #[must_use]
    pub fn route(&self) -> &Arc<Resolved> {
        &self.route
    }

    /// Whether this was made from `route`.
    #[must_use]
    pub fn is_for(&self, route: &Arc<Resolved>) -> bool {
        Arc::ptr_eq(&self.route, route)
    }

    /// Runs all steps over `batch`, then has the outputs as the contracts of their targets want them: they
    /// are checked, and encoded where the route decodes.
    pub fn run(&mut self, batch: &Batch) -> Processed {
        let mut processed = self.run_unchecked(batch);
        if self.route.document.decode.is_some() {
            self.encode(&mut processed);
        } else {
            self.check_contracts(&mut processed);
        }
        processed
    }

    /// Runs all steps over `batch`, whatever the contracts of the targets say of the outputs.
    pub fn run_unchecked(&mut self, batch: &Batch) -> Processed {
        let seen = match self.route.document.decode {
            None => Seen::whole(batch),
            Some(_) => Seen::decoded(batch, &self.route.source.data()),
        };
        if self.runners.is_empty() {
            copy_to_all(seen, self.targets.len())
        } else {
            self.run_steps(seen)
        }
    }

    /// What the plugins logged since the last call of this; the lines belong to events of the batch
    /// that was run.
    pub fn take_said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    fn run_steps(&mut self, seen: Seen) -> Processed {
        let Seen {
            mut fates,
            events: mut current,
            mut owners,
        } = seen;
        let mut targets = Vec::new();
        for (step, runner) in self.runners.iter_mut().enumerate() {
            let answer = runner.run(&current, &self.targets);
            self.said.extend(said(step, &answer.logs, &owners));
            let mut owners_after = Vec::with_capacity(answer.outputs.len());
            for (verdict, &owner) in answer.verdicts.iter().zip(&owners) {
                match verdict {
                    Judged::Emit { count, .. } => {
                        owners_after.extend(std::iter::repeat_n(owner, *count))
                    }
                    Judged::Drop(reason) => fates[owner].dropped = Some(reason.clone()),
                    Judged::Reject(reason) => {
                        fates[owner].end(Verdict::Fail(Failure {
                            cause: Cause::Rejected,
                            reason: reason.clone(),
                            step,
                        }));
                    }
                    Judged::Retry(reason) => {
                        fates[owner].end(Verdict::Retry {
                            reason: reason.clone(),
                            step,
                        });
                    }
                    Judged::Fault(fault) => {
                        fates[owner].end(Verdict::Fail(failure_of(fault, step)))
                    }
                }
            }
            owners = owners_after;
            current = answer.outputs;
            targets = answer.targets;
        }
        Processed {
            verdicts: verdicts_of(fates, &owners),
            outputs: current,
            targets,
        }
    }

    fn check_contracts(&self, processed: &mut Processed) {
        let data = self.data_of_targets();
        if data.iter().all(|data| data.contract().is_none()) {
            return;
        }
        let step = self.last_step();
        for verdict in &mut processed.verdicts {
            let Verdict::Emit { first, count } = *verdict else {
                continue;
            };
            let refused = (first..first + count).find_map(|output| {
                let target = usize::from(processed.targets[output]);
                let checked = data[target].check(processed.outputs.get(output));
                let violations = checked.err()?;
                Some(self.misfit(&data[target], target, output - first, &violations))
            });
            if let Some(reason) = refused {
                *verdict = contract_failure(reason, step);
            }
        }
    }

    /// Has JSON outputs as the contracts of their targets have them.
    fn encode(&self, processed: &mut Processed) {
        let data = self.data_of_targets();
        let step = self.last_step();
        let mut encoded: Vec<Option<Encoded>> = Vec::new();
        encoded.resize_with(processed.outputs.len(), || None);
        let mut changed = false;
        for verdict in &mut processed.verdicts {
            let Verdict::Emit { first, count } = *verdict else {
                continue;
            };
            for (output, encoded) in encoded.iter_mut().enumerate().skip(first).take(count) {
                let target = usize::from(processed.targets[output]);
                match data[target].encode(processed.outputs.get(output)) {
                    Ok(as_target) => {
                        changed |= as_target.is_some();
                        *encoded = as_target;
                    }
                    Err(violations) => {
                        let reason =
                            self.misfit(&data[target], target, output - first, &violations);
                        *verdict = contract_failure(reason, step);
                        break;
                    }
                }
            }
        }
        if !changed {
            return;
        }
        let mut outputs =
            BatchBuilder::with_capacity(processed.outputs.len(), processed.outputs.byte_length());
        for (event, encoded) in processed.outputs.iter().zip(&encoded) {
            outputs.push(match encoded {
                None => event,
                Some(encoded) => EventRef {
                    datacontenttype: encoded.datacontenttype,
                    dataschema: &encoded.dataschema,
                    data: &encoded.data,
                    ..event
                },
            });
        }
        processed.outputs = outputs.finish();
    }

    fn data_of_targets(&self) -> Vec<TopicData> {
        let targets = self.route.targets.iter();
        targets.map(|target| target.data()).collect()
    }

    fn last_step(&self) -> usize {
        self.route.steps.len().saturating_sub(1)
    }

    fn misfit(
        &self,
        data: &TopicData,
        target: usize,
        output: usize,
        violations: &Violations,
    ) -> String {
        let contract = data.contract().map(|bound| bound.reference());
        format!(
            "output {output} does not fit contract {} of topic {}: {violations}",
            contract.unwrap_or_default(),
            self.targets[target],
        )
    }
}

fn contract_failure(reason: String, step: usize) -> Verdict {
    Verdict::Fail(Failure {
        cause: Cause::Contract,
        reason,
        step,
    })
}

/// A batch as the steps see it.
struct Seen {
    /// What is known of each event of the batch.
    fates: Vec<Fate>,
    events: Batch,
    /// Which event of the batch each of `events` is; ascending.
    owners: Vec<usize>,
}

impl Seen {
    fn whole(batch: &Batch) -> Self {
        Self {
            fates: vec![Fate::default(); batch.len()],
            events: batch.clone(),
            owners: (0..batch.len()).collect(),
        }
    }

    /// With data in JSON; what cannot be decoded has failed already.
    fn decoded(batch: &Batch, source: &TopicData) -> Self {
        let mut fates = vec![Fate::default(); batch.len()];
        let mut owners = Vec::with_capacity(batch.len());
        let mut events = BatchBuilder::with_capacity(batch.len(), batch.byte_length());
        for (index, event) in batch.iter().enumerate() {
            match source.decode(event) {
                Ok(None) => events.push(event),
                Ok(Some(json)) => events.push(EventRef {
                    datacontenttype: "application/json",
                    // It names what wrote the bytes, and these are others.
                    dataschema: "",
                    data: &json,
                    ..event
                }),
                Err(violations) => {
                    let reason = format!("the event cannot be decoded: {violations}");
                    fates[index].end(contract_failure(reason, 0));
                    continue;
                }
            }
            owners.push(index);
        }
        Self {
            fates,
            events: events.finish(),
            owners,
        }
    }
}

/// A step's lines, with the places of the source events. `owners` says for each event of the step's
/// batch which source event it comes from; ascending.
fn said<'a>(
    step: usize,
    lines: &'a [LogLine],
    owners: &'a [usize],
) -> impl Iterator<Item = Said> + 'a {
    lines.iter().map(move |line| {
        let events = match owners.get(line.events.clone()).unwrap_or_default() {
            [] => 0..0,
            [one] => *one..*one + 1,
            [first, .., last] => *first..*last + 1,
        };
        let line = LogLine {
            events,
            ..line.clone()
        };
        Said { step, line }
    })
}

/// What is known of a source event while its outputs pass through the steps.
#[derive(Clone, Default)]
struct Fate {
    ended: Option<Verdict>,
    dropped: Option<String>,
}

impl Fate {
    /// The first end counts: outputs of one event stand or fall together.
    fn end(&mut self, verdict: Verdict) {
        self.ended.get_or_insert(verdict);
    }
}

/// `owners` says for each output which source event it belongs to; outputs of one event are
/// neighbours, because every step keeps the order.
fn verdicts_of(fates: Vec<Fate>, owners: &[usize]) -> Vec<Verdict> {
    let mut at = 0;
    let mut verdicts = Vec::with_capacity(fates.len());
    for (event, fate) in fates.into_iter().enumerate() {
        let first = at;
        while owners.get(at) == Some(&event) {
            at += 1;
        }
        let count = at - first;
        verdicts.push(match fate {
            Fate {
                ended: Some(verdict),
                ..
            } => verdict,
            Fate { .. } if count > 0 => Verdict::Emit { first, count },
            Fate {
                dropped: Some(reason),
                ..
            } if !reason.is_empty() => Verdict::Drop(reason),
            Fate { .. } => Verdict::Drop(NO_REASON.to_owned()),
        });
    }
    verdicts
}

/// Under what an event is counted that a plugin left out without saying why.
pub const NO_REASON: &str = "(no reason given)";

/// The word of the API for a way in which a plugin breaks.
#[must_use]
pub fn cause_of(kind: FaultKind) -> Cause {
    match kind {
        FaultKind::Trap => Cause::Trap,
        FaultKind::Deadline => Cause::Deadline,
        FaultKind::Memory => Cause::Memory,
        FaultKind::OutputLimit | FaultKind::FanOut => Cause::OutputLimit,
        FaultKind::UndeclaredTarget => Cause::UndeclaredTarget,
        FaultKind::BadAnswer => Cause::BadAnswer,
    }
}

fn failure_of(fault: &Fault, step: usize) -> Failure {
    let cause = cause_of(fault.kind);
    let reason = if fault.backtrace.is_empty() {
        fault.message.clone()
    } else {
        format!("{}\n{}", fault.message, fault.backtrace)
    };
    Failure {
        cause,
        reason,
        step,
    }
}

/// A route without steps copies every event into each of its targets.
fn copy_to_all(seen: Seen, targets: usize) -> Processed {
    let events = seen.events;
    let outputs = if targets == 1 {
        events.clone()
    } else {
        let mut builder = BatchBuilder::new();
        for event in events.iter() {
            for _ in 0..targets {
                builder.push(event);
            }
        }
        builder.finish()
    };
    let owners: Vec<usize> = (seen.owners.into_iter())
        .flat_map(|owner| std::iter::repeat_n(owner, targets))
        .collect();
    let numbers = (0..targets).map(|target| u16::try_from(target).unwrap_or(u16::MAX));
    Processed {
        verdicts: verdicts_of(seen.fates, &owners),
        targets: (0..events.len()).flat_map(|_| numbers.clone()).collect(),
        outputs,
    }
}
