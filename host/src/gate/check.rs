//! One route at the gate: runs the cases, makes what fails small, and tells. Blocking.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use sandbar_types::Event;

use super::{
    inputs::{self, Made, Real},
    judge::{Failed, Judge, Judgement, Signature, json_of},
    report::{GateCase, GateFailure, GateReport, Outcome, Tally},
};
use crate::{
    catalog::{BoundContract, Resolved, TopicData},
    process::Cause,
};

/// Kinds of failures after which no more cases are run.
const MOST_FAILURES: usize = 3;
/// Cases of one call: few at first, because the small ones come first and what hangs costs a deadline.
const CALLS: [usize; 3] = [1, 4, 16];
const CASES_PER_CALL: usize = 64;
/// Smaller inputs that are tried at once.
const SMALLER_PER_CALL: usize = 48;
/// Smaller inputs that are tried in all.
const MOST_SMALLER: usize = 4_000;
/// The same, where each may cost a whole deadline.
const MOST_SMALLER_SLOW: usize = 8;
/// After so long no more cases are begun.
const LONGEST: Duration = Duration::from_secs(10);
/// Warnings of single events.
const MOST_WARNINGS: usize = 10;

/// The contract of each target of a route.
pub type TargetContracts = Vec<Option<Arc<BoundContract>>>;

/// What is asked of one route.
#[derive(Debug)]
pub struct Question {
    /// As it would run.
    pub route: Arc<Resolved>,
    /// As they would be bound.
    pub targets: TargetContracts,
    /// What is known of the data of the source.
    pub source: TopicData,
    /// What was made from the contract of the source.
    pub made: Option<Arc<Made>>,
    /// What runs now, with the contracts of its targets.
    pub before: Option<(Arc<Resolved>, TargetContracts)>,
    /// The last events of the source.
    pub real: Vec<Real>,
    /// How many inputs are made of those.
    pub like: usize,
    /// The largest event that the source takes, in bytes.
    pub most_bytes: usize,
    pub seed: u64,
    /// See [`GateReport::again`].
    pub again: String,
}

/// Runs a route on its cases. Blocks as long as the plugins take, some seconds at most where they are not
/// stopped at their deadlines again and again.
///
/// # Errors
/// When the plugins cannot be instantiated, in words.
pub fn check(question: &Question, stopping: &dyn Fn() -> bool) -> Result<GateReport, String> {
    let judge = Judge::new(question.route.clone(), question.targets.clone())?;
    let mut checking = Checking {
        question,
        judge,
        stopping,
        began: Instant::now(),
        out_of_time: false,
        fitting: fitting(question),
        found: Vec::new(),
        warnings: Vec::new(),
    };
    let generated = checking.generated();
    let real = checking.real();
    if checking.out_of_time {
        checking.warnings.push(format!(
            "the plugins are slow: {} cases were left out after {} s",
            generated.left + real.left,
            LONGEST.as_secs()
        ));
    }
    let emitted = generated.emitted + real.emitted;
    if emitted == 0 && checking.found.is_empty() && generated.checked + real.checked > 0 {
        checking.warnings.push(
            "no case came to an output: nothing was held against the contracts of the targets"
                .to_owned(),
        );
    }
    let failures: Vec<GateFailure> = checking.failures();
    if let Some(made) = &question.made {
        made.release();
    }
    Ok(GateReport {
        route: question.route.name.to_string(),
        outcome: match failures.is_empty() {
            true => Outcome::Passed,
            false => Outcome::Refused,
        },
        detail: None,
        seed: question.seed,
        generated,
        real,
        failures,
        warnings: checking.warnings,
        again: question.again.clone(),
    })
}

/// The stored events that the contract of the source takes; all where it has none.
fn fitting(question: &Question) -> Vec<&Real> {
    let fits = |one: &&Real| question.source.check(one.event.payload()).is_ok();
    question.real.iter().filter(fits).collect()
}

/// A case that failed.
struct Found {
    case: GateCase,
    event: Event,
    failed: Failed,
}

struct Checking<'a> {
    question: &'a Question,
    judge: Judge,
    stopping: &'a dyn Fn() -> bool,
    began: Instant,
    out_of_time: bool,
    /// The stored events that the contract of the source takes.
    fitting: Vec<&'a Real>,
    /// The first of each kind.
    found: Vec<Found>,
    warnings: Vec<String>,
}

impl Checking<'_> {
    /// Runs cases until enough have failed. What is said of each that was run, in order.
    fn run(&mut self, events: &[Event]) -> Vec<Judgement> {
        let mut said: Vec<Judgement> = Vec::with_capacity(events.len());
        let mut kinds: Vec<Signature> = Vec::new();
        let mut calls = CALLS.into_iter();
        while said.len() < events.len() {
            if self.began.elapsed() > LONGEST || (self.stopping)() {
                self.out_of_time = true;
                break;
            }
            let size = calls.next().unwrap_or(CASES_PER_CALL);
            let part: Vec<&Event> = events[said.len()..].iter().take(size).collect();
            // A case by itself had its whole deadline.
            let mut slow = false;
            let alone = part.len() == 1;
            for (judgement, event) in self.judge.ask(&part).into_iter().zip(&part) {
                let judgement = self.confirmed(judgement, event, slow || alone);
                if let Judgement::Failed(failed) = &judgement {
                    slow |= failed.cause == Cause::Deadline;
                    let kind = failed.signature();
                    if !kinds.contains(&kind) {
                        kinds.push(kind);
                    }
                }
                said.push(judgement);
            }
            if slow || kinds.len() >= MOST_FAILURES {
                break;
            }
        }
        said
    }

    /// A batch may take too long though none of its events does.
    fn confirmed(&mut self, judgement: Judgement, event: &Event, known: bool) -> Judgement {
        match &judgement {
            Judgement::Failed(failed) if failed.cause == Cause::Deadline && !known => {
                self.judge.ask(&[event]).pop().unwrap_or(judgement)
            }
            _ => judgement,
        }
    }

    fn keep(&mut self, case: GateCase, event: &Event, failed: &Failed) {
        let kind = failed.signature();
        let known = self.found.iter().any(|one| one.failed.signature() == kind);
        if !known && self.found.len() < MOST_FAILURES {
            self.found.push(Found {
                case,
                event: event.clone(),
                failed: failed.clone(),
            });
        }
    }

    fn generated(&mut self) -> Tally {
        let question = self.question;
        let Some(made) = &question.made else {
            return Tally::default();
        };
        let most_bytes = question.most_bytes;
        let source = &question.source;
        let mut events = made.events(source, question.seed, &question.real, most_bytes);
        if events.is_empty() {
            let why = made.flaw().map(|why| format!(": {why}"));
            self.warnings.push(format!(
                "no input could be made from contract {}{}",
                (source.contract().map(|bound| bound.reference())).unwrap_or_default(),
                why.unwrap_or_default()
            ));
        }
        events.extend(made.like(
            source,
            question.seed,
            &self.fitting,
            question.like,
            most_bytes,
        ));
        let said = self.run(&events);
        let tally = count(&said, events.len());
        for (number, (judgement, event)) in said.iter().zip(&events).enumerate() {
            if let Judgement::Failed(failed) = judgement {
                self.keep(GateCase::Generated { number }, event, failed);
            }
        }
        tally
    }

    fn real(&mut self) -> Tally {
        let question = self.question;
        let fitting = self.fitting.clone();
        let events: Vec<Event> = fitting.iter().map(|one| one.event.clone()).collect();
        let said = self.run(&events);
        let mut tally = count(&said, events.len());
        tally.unfit = (question.real.len() - fitting.len()) as u64;
        // What is worse than what runs now, and what is as bad.
        let odd: Vec<usize> = (0..said.len())
            .filter(|index| !matches!(said[*index], Judgement::Emitted | Judgement::Dropped))
            .take(CASES_PER_CALL)
            .collect();
        let before = self.before(&odd.iter().map(|index| &events[*index]).collect::<Vec<_>>());
        let mut warnings = Vec::new();
        for (place, index) in odd.into_iter().enumerate() {
            let one = fitting[index];
            let at = format!(
                "{}/{}/{}",
                question.route.document.from, one.partition, one.offset
            );
            let was = before.get(place);
            match (&said[index], was) {
                (Judgement::Failed(failed), Some(Judgement::Failed(was)))
                    if was.signature() == failed.signature() =>
                {
                    warnings.push(format!(
                        "{at} fails as it does with what runs now: {}",
                        failed.reason
                    ));
                }
                (Judgement::Failed(failed), _) => {
                    let case = GateCase::Real {
                        topic: question.route.document.from.to_string(),
                        partition: one.partition,
                        offset: one.offset,
                    };
                    self.keep(case, &one.event, failed);
                }
                (Judgement::Rejected(reason), Some(Judgement::Emitted)) => {
                    warnings.push(format!(
                        "{at} is rejected ({reason}); what runs now emits it"
                    ));
                }
                (Judgement::Retried(reason), Some(Judgement::Emitted)) => {
                    warnings.push(format!(
                        "{at} is to be retried ({reason}); what runs now emits it"
                    ));
                }
                _ => {}
            }
        }
        let more = warnings.len().saturating_sub(MOST_WARNINGS);
        warnings.truncate(MOST_WARNINGS);
        if more > 0 {
            warnings.push(format!("and {more} more events of that kind"));
        }
        self.warnings.extend(warnings);
        tally
    }

    /// What the route says of events as it runs now; nothing where it does not run or asks others.
    fn before(&mut self, events: &[&Event]) -> Vec<Judgement> {
        let running = self.question.before.as_ref();
        let Some((route, contracts)) = running.filter(|(route, _)| !route.calls_out()) else {
            return Vec::new();
        };
        if events.is_empty() {
            return Vec::new();
        }
        match Judge::new(route.clone(), contracts.clone()) {
            Ok(mut judge) => judge.ask(events),
            Err(_) => Vec::new(),
        }
    }

    /// All that was found, each as small as it goes.
    fn failures(&mut self) -> Vec<GateFailure> {
        let found = std::mem::take(&mut self.found);
        let each = found.into_iter().map(|one| {
            let (event, failed) = self.smallest(one.event, one.failed);
            let steps = &self.question.route.steps;
            let refused = failed.refused;
            GateFailure {
                cause: failed.cause.as_str().to_owned(),
                reason: failed.reason,
                step: failed.step,
                plugin: (steps.get(failed.step))
                    .map(|step| step.reference.clone())
                    .unwrap_or_default(),
                case: one.case,
                decoded: (self.question.source.is_binary())
                    .then(|| inputs::decoded(&self.question.source, &event))
                    .flatten(),
                input: json_of(&event),
                outputs: failed.outputs,
                output: refused.as_ref().map(|one| one.output),
                violations: refused
                    .map(|one| one.violations.violations)
                    .unwrap_or_default(),
                backtrace: failed.backtrace,
            }
        });
        each.collect()
    }

    /// The smallest input within the contract of the source that fails in the same way.
    fn smallest(&mut self, event: Event, failed: Failed) -> (Event, Failed) {
        let mut best = (event, failed);
        let Some(made) = &self.question.made else {
            return best;
        };
        let source = &self.question.source;
        let changer = made.changer(&best.0.r#type);
        let (Some(changer), Some(mut data)) = (changer, inputs::decoded(source, &best.0)) else {
            return best;
        };
        let kind = best.1.signature();
        let slow = matches!(best.1.cause, Cause::Deadline | Cause::Memory);
        let mut left = if slow {
            MOST_SMALLER_SLOW
        } else {
            MOST_SMALLER
        };
        let each = if slow { 1 } else { SMALLER_PER_CALL };
        let began = Instant::now();
        'rounds: while left > 0 && began.elapsed() < LONGEST && !(self.stopping)() {
            let candidates = changer.candidates(&data, left.min(MOST_SMALLER / 8));
            for part in candidates.chunks(each) {
                if left == 0 || began.elapsed() > LONGEST {
                    return best;
                }
                left = left.saturating_sub(part.len());
                let encoded: Vec<(Event, &serde_json::Value)> = (part.iter())
                    .filter_map(|data| {
                        let event = inputs::with_data(&best.0, data);
                        Some((inputs::encoded(source, event)?, data))
                    })
                    .collect();
                let events: Vec<&Event> = encoded.iter().map(|(event, _)| event).collect();
                let said = self.judge.ask(&events);
                for (judgement, (event, smaller)) in said.into_iter().zip(&encoded) {
                    if let Judgement::Failed(failed) = judgement
                        && failed.signature() == kind
                    {
                        data = (*smaller).clone();
                        best = (event.clone(), *failed);
                        continue 'rounds;
                    }
                }
            }
            return best;
        }
        best
    }
}

fn count(said: &[Judgement], all: usize) -> Tally {
    let mut tally = Tally {
        checked: said.len() as u64,
        left: (all - said.len()) as u64,
        ..Tally::default()
    };
    for judgement in said {
        let counter = match judgement {
            Judgement::Emitted => &mut tally.emitted,
            Judgement::Dropped => &mut tally.dropped,
            Judgement::Rejected(_) => &mut tally.rejected,
            Judgement::Retried(_) => &mut tally.retried,
            Judgement::Failed(_) => &mut tally.failed,
        };
        *counter += 1;
    }
    tally
}
