//! Passes a batch through the steps of a route and the contracts of its targets.
//!
//! Blocking: it runs on the plugin engine's own threads.

use std::sync::Arc;

use sandbar_plugin::{Fault, FaultKind, LogLine, Runner, Verdict as Judged};
use sandbar_types::{Batch, BatchBuilder, Name};

use super::{
    guest_logs::Said,
    step::{Cause, Failure, Processed, Verdict},
};
use crate::catalog::Resolved;

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

    /// Runs all steps over `batch`, then checks the outputs against the contracts of their targets.
    pub fn run(&mut self, batch: &Batch) -> Processed {
        let mut processed = self.run_unchecked(batch);
        self.check_contracts(&mut processed);
        processed
    }

    /// Runs all steps over `batch`, whatever the contracts of the targets say of the outputs.
    pub fn run_unchecked(&mut self, batch: &Batch) -> Processed {
        if self.runners.is_empty() {
            copy_to_all(batch, self.targets.len())
        } else {
            self.run_steps(batch)
        }
    }

    /// What the plugins logged since the last call of this; the lines belong to events of the batch
    /// that was run.
    pub fn take_said(&mut self) -> Vec<Said> {
        std::mem::take(&mut self.said)
    }

    fn run_steps(&mut self, batch: &Batch) -> Processed {
        let mut fates: Vec<Fate> = vec![Fate::default(); batch.len()];
        let mut current = batch.clone();
        // Which source event each event of `current` comes from; ascending.
        let mut owners: Vec<usize> = (0..batch.len()).collect();
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
        let contracts: Vec<_> = self
            .route
            .targets
            .iter()
            .map(|target| target.contract())
            .collect();
        if contracts.iter().all(Option::is_none) {
            return;
        }
        let step = self.route.steps.len().saturating_sub(1);
        for verdict in &mut processed.verdicts {
            let Verdict::Emit { first, count } = *verdict else {
                continue;
            };
            let refused = (first..first + count).find_map(|output| {
                let target = usize::from(processed.targets[output]);
                let bound = contracts[target].as_ref()?;
                let event = processed.outputs.get(output);
                let violations = bound
                    .contract
                    .check(event.r#type, event.datacontenttype, event.data)
                    .err()?;
                Some(format!(
                    "output {} does not fit contract {} of topic {}: {violations}",
                    output - first,
                    bound.reference(),
                    self.targets[target],
                ))
            });
            if let Some(reason) = refused {
                *verdict = Verdict::Fail(Failure {
                    cause: Cause::Contract,
                    reason,
                    step,
                });
            }
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
fn copy_to_all(batch: &Batch, targets: usize) -> Processed {
    let emit = |event: usize| Verdict::Emit {
        first: event * targets,
        count: targets,
    };
    let outputs = if targets == 1 {
        batch.clone()
    } else {
        let mut builder = BatchBuilder::new();
        for event in batch.iter() {
            for _ in 0..targets {
                builder.push(event);
            }
        }
        builder.finish()
    };
    let numbers = (0..targets).map(|target| u16::try_from(target).unwrap_or(u16::MAX));
    Processed {
        verdicts: (0..batch.len()).map(emit).collect(),
        targets: (0..batch.len()).flat_map(|_| numbers.clone()).collect(),
        outputs,
    }
}
