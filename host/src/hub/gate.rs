//! The activation gate at work: gathers what it looks at of each route, runs it on the plugin engine's
//! threads, and makes a refusal or a record of what it says.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use sandbar_log::Log as _;
use sandbar_types::{Batch, Name};
use tokio::sync::Semaphore;

use super::Hub;
use crate::{
    catalog::{Because, BoundContract, GateOutcome, Gated, Resolved, WentLive},
    clock,
    gate::{self, GateReport, Made, Outcome, Question, Real, Tally},
    problem::{Code, Problem},
};

mod record;
mod request;

pub use request::GateRequest;

/// The seed that is used where none is asked for: each change is looked at with the same inputs.
const SEED: u64 = 1;
/// Contracts whose inputs are kept.
const KEPT: usize = 8;
/// How long topics that plugins look into are read before the cases run.
const LOOKUPS_READ_FOR: Duration = Duration::from_secs(5);
/// Bytes read at once, and events of a source in all.
const BYTES_PER_READ: usize = 1 << 20;
const MOST_BYTES: usize = 16 << 20;
/// Routes that are looked at at once.
const AT_ONCE: usize = 2;

/// What the gate keeps between two questions.
#[derive(Debug)]
pub(super) struct Gate {
    turns: Semaphore,
    /// By digest of the contract, seed and number; the one used last at the end.
    made: Mutex<VecDeque<(Key, Arc<Made>)>>,
}

type Key = (String, u64, usize);

impl Default for Gate {
    fn default() -> Self {
        Self {
            turns: Semaphore::new(AT_ONCE),
            made: Mutex::default(),
        }
    }
}

/// A route as it would run.
#[derive(Debug)]
pub(super) struct Candidate {
    pub route: Arc<Resolved>,
    /// Contracts that targets would be bound to, where they are others than now.
    pub contracts: BTreeMap<Name, Arc<BoundContract>>,
    /// What the command that asks again has beside the route and the seed.
    pub again: String,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Scope {
    pub seed: u64,
    pub generated: usize,
    pub real: usize,
}

/// Whether what the gate refuses may go live, and who says so.
#[derive(Clone, Debug)]
pub struct Asking {
    pub because: Because,
    pub force: bool,
}

impl Hub {
    /// Looks at routes as they would run. Gives what is to be recorded; nothing where the gate has no say.
    ///
    /// # Errors
    /// `activation-refused`, unless what is refused is to go live all the same.
    pub(super) async fn pass_gate(
        self: &Arc<Self>,
        candidates: Vec<Candidate>,
        force: bool,
    ) -> Result<Option<Gated>, Problem> {
        let scope = Scope {
            seed: SEED,
            generated: self.config.gate.generated,
            real: self.config.gate.real,
        };
        if scope.generated + scope.real == 0 {
            return Ok(None);
        }
        let mut reports = Vec::new();
        for candidate in candidates {
            let report = self.look_at(candidate, scope).await?;
            // A refusal shows some of what is wrong; it need not be all.
            let refused = report.outcome == Outcome::Refused;
            reports.push(report);
            let failing = reports.iter();
            let failing = failing.filter(|report| report.outcome == Outcome::Refused);
            if refused && !force && failing.count() >= record::MOST {
                break;
            }
        }
        if reports.is_empty() {
            return Ok(None);
        }
        let gated = record::recorded(&reports, scope.seed);
        if gated.outcome == GateOutcome::Forced && !force {
            return Err(record::refusal(reports));
        }
        Ok(Some(gated))
    }

    /// What is recorded with something that goes live.
    pub(super) fn went_live(because: &Because, gate: Gated) -> WentLive {
        WentLive {
            at: clock::to_text(clock::now()),
            by: because.by.clone(),
            reason: because.reason.clone(),
            gate,
        }
    }

    async fn look_at(
        self: &Arc<Self>,
        candidate: Candidate,
        scope: Scope,
    ) -> Result<GateReport, Problem> {
        let route = &candidate.route;
        let again = format!(
            "sandbar route check {}{} --seed {}",
            route.name, candidate.again, scope.seed
        );
        let source = self.catalog.topic(route.document.from.as_str())?;
        let contract = source.contract();
        let targets: Vec<Option<Arc<BoundContract>>> = (route.targets.iter())
            .map(|topic| {
                let other = candidate.contracts.get(&topic.name).cloned();
                other.or_else(|| topic.contract())
            })
            .collect();
        let unchecked = |detail: String| GateReport {
            route: route.name.to_string(),
            outcome: Outcome::NotChecked,
            detail: Some(detail),
            seed: scope.seed,
            generated: Tally::default(),
            real: Tally::default(),
            failures: Vec::new(),
            warnings: Vec::new(),
            again: again.clone(),
        };
        if contract.is_none() && targets.iter().all(Option::is_none) {
            return Ok(unchecked(
                "neither the source nor a target has a contract".to_owned(),
            ));
        }
        if let Some(step) = route.steps.iter().find(|step| step.plugin.calls_out()) {
            return Ok(unchecked(format!(
                "{} asks other services, which a check would ask, too",
                step.reference
            )));
        }
        let running = self.processor.follow(&route.name);
        let before = running.map(|control| {
            let route = control.borrow().route.clone();
            let contracts = route.targets.iter().map(|topic| topic.contract());
            let contracts = contracts.collect();
            (route, contracts)
        });
        let turn = (self.gate.turns.acquire().await).map_err(Problem::internal)?;
        let (hub, candidate_route) = (self.clone(), route.clone());
        let (most_bytes, asks_again) = (source.max_event_bytes(), again.clone());
        let ran = self.engine.run(move || -> Result<GateReport, String> {
            let mut looking = Looking::begin(&hub);
            let read = hub
                .tables
                .catch_up(candidate_route.looks_into(), LOOKUPS_READ_FOR)?;
            let question = Question {
                real: hub.last_events(&source, scope.real)?,
                made: (contract.as_ref().filter(|_| scope.generated > 0))
                    .map(|bound| hub.inputs_of(bound, scope)),
                source: source.data_by(contract),
                route: candidate_route,
                targets,
                before,
                // Of what is made, half as much again is made of real events.
                like: scope.generated / 2,
                most_bytes,
                seed: scope.seed,
                again: asks_again,
            };
            let stopping = || hub.stopping.is_cancelled();
            let mut report = gate::check(&question, &stopping)?;
            report.warnings.extend(asides(&question, read));
            if report.generated.checked + report.real.checked == 0 {
                report.outcome = Outcome::NotChecked;
                report.detail = Some(nothing(&question));
            }
            looking.outcome = report.outcome.as_str();
            Ok(report)
        });
        let ran = ran.await.map_err(Problem::internal)?;
        drop(turn);
        if self.stopping.is_cancelled() {
            return Err(Problem::new(Code::Stopping, "the hub is shutting down").retry_after(5));
        }
        ran.map_err(|detail| {
            let detail = format!("route {} cannot be checked: {detail}", route.name);
            Problem::new(Code::InvalidPlugin, detail)
        })
    }

    /// What is made from a contract, made once.
    fn inputs_of(&self, bound: &BoundContract, scope: Scope) -> Arc<Made> {
        let key: Key = (bound.digest.clone(), scope.seed, scope.generated);
        let kept = || {
            self.gate
                .made
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
        };
        {
            let mut kept = kept();
            if let Some(place) = kept.iter().position(|(known, _)| *known == key)
                && let Some(found) = kept.remove(place)
            {
                let made = found.1.clone();
                kept.push_back(found);
                return made;
            }
        }
        let made = Arc::new(gate::make(&bound.definition, scope.seed, scope.generated));
        if scope.seed != SEED || scope.generated != self.config.gate.generated {
            return made;
        }
        let mut kept = kept();
        kept.push_back((key, made.clone()));
        while kept.len() > KEPT {
            kept.pop_front();
        }
        made
    }

    /// The last events of a topic, in equal parts of its partitions. Blocks on the disk.
    fn last_events(&self, topic: &crate::catalog::Topic, most: usize) -> Result<Vec<Real>, String> {
        let each = (most as u64).div_ceil(u64::from(topic.partitions.max(1)));
        let mut events = Vec::new();
        let mut bytes = 0;
        for partition in topic.partition_ids() {
            let bounds = self
                .log
                .bounds(&partition)
                .map_err(|error| error.to_string())?;
            let mut next = bounds.earliest.max(bounds.tail.saturating_sub(each));
            while next < bounds.tail && bytes < MOST_BYTES {
                let frames = self.log.read(&partition, next, BYTES_PER_READ);
                let frames = frames.map_err(|error| error.to_string())?;
                if frames.is_empty() {
                    break;
                }
                for frame in frames {
                    let batch = Batch::decode(&frame.body)
                        .map_err(|error| format!("{partition}: {error}"))?;
                    let skip = usize::try_from(next.saturating_sub(frame.base));
                    for index in skip.unwrap_or(usize::MAX)..batch.len() {
                        let event = batch.get(index).to_event();
                        bytes += event.data.len();
                        events.push(Real {
                            partition: partition.partition,
                            offset: frame.base + index as u64,
                            event,
                        });
                    }
                    next = next.max(frame.base + batch.len() as u64);
                }
            }
        }
        Ok(events)
    }
}

/// Counted while a route is looked at.
struct Looking<'a> {
    hub: &'a Hub,
    outcome: &'static str,
}

impl<'a> Looking<'a> {
    fn begin(hub: &'a Hub) -> Self {
        hub.metrics.gate_began();
        Self {
            hub,
            outcome: "failed",
        }
    }
}

impl Drop for Looking<'_> {
    fn drop(&mut self) {
        self.hub.metrics.gate_ended(self.outcome);
    }
}

/// Why no case was run.
fn nothing(question: &Question) -> String {
    match question.source.contract() {
        Some(bound) => format!(
            "no input could be made from contract {}, and the source has no events",
            bound.reference()
        ),
        None => "the source has no contract and no events".to_owned(),
    }
}

/// What makes the answer less certain.
fn asides(question: &Question, lookups_read: bool) -> Vec<String> {
    let mut all = Vec::new();
    if !lookups_read {
        all.push("topics that plugins look into were not read to their ends".to_owned());
    }
    if question.source.contract().is_none() {
        all.push("the source has no contract: only real events were checked".to_owned());
    }
    for step in &question.route.document.steps {
        for grant in &step.grants {
            if let Some(name) = grant.varying() {
                all.push(format!(
                    "{} is granted {name}: what it says may differ from time to time",
                    step.plugin
                ));
            }
        }
    }
    all
}
