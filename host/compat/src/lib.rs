//! Whether a new version of a JSON Schema is compatible with an old one, with a document that shows it
//! where it is not.
//!
//! It also makes documents of a schema, and makes one smaller ([`generate`], [`Changer`]).
//!
//! Pure: no IO, nothing is fetched. The hub's validator decides what a schema takes; this crate knows
//! nothing of contracts, topics or the hub.
//!
//! - **Compatible** is said only when it is proven: each rule of the one schema follows from the other.
//! - **Incompatible** is said only with a document that the one schema takes and the other refuses,
//!   asked of the validator.
//! - Everything else is **unknown**, with the reason and the place. Work is bounded in steps, not in
//!   time, so the same question has the same answer everywhere.

mod children;
mod document;
mod edges;
mod find;
mod generate;
mod keywords;
mod lenient;
mod number;
mod picks;
mod prove;
mod report;
mod same;
mod sample;
mod shape;
mod shrink;
mod space;
mod text;
mod types;
mod vary;

use std::collections::HashSet;

use serde_json::Value;

pub use document::{Document, InvalidSchema};
pub use generate::Generation;
pub use report::{Answer, Direction, Finding, Report, Undecided};
pub use shrink::Changer;

use find::{Finder, Question};
use prove::{Obstacle, Prover, Step};
use space::{Budget, Lit, Side, Space, conj};

/// What counts where a schema leaves properties open.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Policy {
    /// What a schema does not forbid may be there: a property that it does not describe may hold
    /// anything.
    #[default]
    Strict,
    /// Properties that the writer's schema does not describe, and the reader's does, are taken to hold
    /// what the reader's says, if they are there at all.
    Lenient,
}

/// Which way to look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Directions {
    pub backward: bool,
    pub forward: bool,
}

impl Directions {
    pub const BACKWARD: Self = Self {
        backward: true,
        forward: false,
    };
    pub const FORWARD: Self = Self {
        backward: false,
        forward: true,
    };
    pub const BOTH: Self = Self {
        backward: true,
        forward: true,
    };
}

/// How to check.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    pub policy: Policy,
    pub directions: Directions,
    /// The work that each direction may take, in steps of some microseconds.
    pub steps: u64,
    /// Documents that are made at random where nothing else helps.
    pub documents: u32,
    /// Where the random documents begin: the same seed makes the same documents.
    pub seed: u32,
    /// The most findings of each direction; at least one is looked for.
    pub findings: usize,
}

impl Default for Options {
    fn default() -> Self {
        Self {
            policy: Policy::Strict,
            directions: Directions::BOTH,
            steps: 500_000,
            documents: 200,
            seed: 0,
            findings: 20,
        }
    }
}

/// A part of a document: the schema at a JSON Pointer, `""` for all of it.
#[derive(Clone, Copy)]
pub struct Part<'a> {
    pub document: &'a Document,
    pub pointer: &'a str,
}

/// Compares two versions of a schema; both ways at once where both are asked for. Neither way knows of the
/// other, so the answer is the same.
#[must_use]
pub fn check(old: Part<'_>, new: Part<'_>, options: &Options) -> Report {
    let Directions { backward, forward } = options.directions;
    std::thread::scope(|scope| {
        let other = forward.then(|| on_a_deep_stack(scope, || contained(new, old, options, true)));
        let one = backward.then(|| on_a_deep_stack(scope, || contained(old, new, options, false)));
        Report {
            backward: one.map(|one| one.join().unwrap_or_else(not_run)),
            forward: other.map(|other| other.join().unwrap_or_else(not_run)),
        }
    })
}

fn not_run() -> Direction {
    Direction {
        answer: Answer::Unknown,
        findings: Vec::new(),
        undecided: vec![stop("the check could not be run")],
    }
}

/// A small document that the schema takes, where one is found.
#[must_use]
pub fn example(part: Part<'_>) -> Option<Value> {
    let make = || {
        let mut space = Space::new(part.document, part.document, 200_000);
        let root = space.node(Side::From, part.pointer);
        if space.endless(root).is_some() {
            return None;
        }
        let question = Question {
            from: root,
            into: root,
            places: None,
        };
        let mut places = lenient::Places::default();
        Finder::new(&mut space, &mut places, &question).example(root)
    };
    std::thread::scope(|scope| on_a_deep_stack(scope, make).join().flatten())
}

/// Work on a thread of its own, if there was one to be had.
struct Deep<'scope, T>(Option<std::thread::ScopedJoinHandle<'scope, T>>);

impl<T> Deep<'_, T> {
    /// `None` when it could not be done.
    fn join(self) -> Option<T> {
        self.0?.join().ok()
    }
}

/// Documents that each of some parts of a schema document takes, by the parts' JSON Pointers; small ones
/// first. A part has none when the validator cannot run it, or none were found.
///
/// Of each part: the smallest and the fullest of each alternative; then what is ordinary but for one place,
/// which is at one of its edges (bounds, empty and long texts, other scripts, optional members there and
/// not, each value of an `enum`, null, large numbers, arrays of none, one and many); then others, with
/// several edges at once. Where there is no room for all, the seed chooses.
#[must_use]
pub fn generate(document: &Document, pointers: &[String], options: &Generation) -> Vec<Vec<Value>> {
    let none = || vec![Vec::new(); pointers.len()];
    let run = || generate::generate(document, pointers, options);
    std::thread::scope(|scope| on_a_deep_stack(scope, run).join()).unwrap_or_else(none)
}

/// Schemas refer to themselves and nest, so the way through them may be deep.
fn on_a_deep_stack<'scope, T: Send + 'scope>(
    scope: &'scope std::thread::Scope<'scope, '_>,
    run: impl FnOnce() -> T + Send + 'scope,
) -> Deep<'scope, T> {
    const STACK: usize = 256 * 1024 * 1024;
    let thread = std::thread::Builder::new()
        .name("compatibility".to_owned())
        .stack_size(STACK)
        .spawn_scoped(scope, run);
    Deep(thread.ok())
}

fn stop(reason: &str) -> Undecided {
    Undecided {
        rule: "stopped",
        reason: reason.to_owned(),
        old: String::new(),
        new: String::new(),
    }
}

/// Whether all documents of `from` fit `into`. `swapped` when `from` is the new version.
fn contained(from: Part<'_>, into: Part<'_>, options: &Options, swapped: bool) -> Direction {
    let unknown = |undecided: Vec<Undecided>| Direction {
        answer: Answer::Unknown,
        findings: Vec::new(),
        undecided,
    };
    let compatible = Direction {
        answer: Answer::Compatible,
        findings: Vec::new(),
        undecided: Vec::new(),
    };
    if from.pointer == into.pointer && from.document.value() == into.document.value() {
        return compatible;
    }
    let mut space = Space::new(from.document, into.document, options.steps);
    let (root, goal) = (
        space.node(Side::From, from.pointer),
        space.node(Side::Into, into.pointer),
    );
    for node in [root, goal] {
        if let Some(reason) = space.endless(node) {
            return unknown(vec![stop(&reason)]);
        }
        let whole = matches!(space.body(node), space::Body::Object(_));
        if whole && space.validator(node).is_none() {
            return unknown(vec![stop("the validator cannot run one of the schemas")]);
        }
    }
    let mut prover = Prover::new(&mut space);
    let places = (options.policy == Policy::Lenient).then(|| {
        let from = prover.places.at(prover.space, &[root]);
        (from, prover.places.at(prover.space, &[goal]))
    });
    let embedded = from.document.embedded() || into.document.embedded();
    // Also a document that cannot be proven may have a counterexample.
    let proven = prover.contained(
        &conj([Lit::yes(root)]),
        Lit::yes(goal),
        places.map_or(0, |(from, _)| from),
    );
    if proven && !embedded {
        return compatible;
    }
    let stopped = if embedded {
        Some("parts of the schemas have an $id or a $schema of their own")
    } else {
        prover.stopped
    };
    let obstacles = std::mem::take(&mut prover.obstacles);
    let mut places_of = std::mem::take(&mut prover.places);
    // Looking for documents has a budget of its own.
    space.budget = Budget {
        left: options.steps,
    };
    let question = Question {
        from: root,
        into: goal,
        places,
    };
    let mut finder = Finder::new(&mut space, &mut places_of, &question);
    let mut findings: Vec<Finding> = Vec::new();
    let mut undecided: Vec<Undecided> = stopped.map(stop).into_iter().collect();
    let mut seen: HashSet<(&'static str, String, String)> = HashSet::new();
    let sides = |from: &str, into: &str| {
        let (from, into) = (from.to_owned(), into.to_owned());
        if swapped { (into, from) } else { (from, into) }
    };
    for obstacle in &obstacles {
        let (old, new) = sides(&obstacle.from, &obstacle.into);
        if findings.len() >= options.findings.max(1)
            || seen.contains(&(obstacle.rule, old.clone(), new.clone()))
        {
            continue;
        }
        match finder.counterexample(obstacle) {
            Some(counterexample) => {
                seen.insert((obstacle.rule, old.clone(), new.clone()));
                findings.push(Finding {
                    rule: obstacle.rule,
                    message: obstacle.message.clone(),
                    old,
                    new,
                    instance: instance(obstacle),
                    counterexample,
                });
            }
            None => undecided.push(Undecided {
                rule: obstacle.rule,
                reason: format!(
                    "{}; neither proven to be harmless nor shown by a document",
                    obstacle.message
                ),
                old,
                new,
            }),
        }
    }
    if findings.is_empty()
        && let Some(counterexample) = finder.search(options.documents, options.seed)
    {
        let (old, new) = sides(from.pointer, into.pointer);
        findings.push(refused(into, counterexample, old, new, swapped));
    }
    undecided.retain(|one| !seen.contains(&(one.rule, one.old.clone(), one.new.clone())));
    undecided.dedup();
    undecided.truncate(options.findings.max(1));
    if findings.is_empty() {
        if undecided.is_empty() {
            undecided.push(stop(
                "no rule proves it, and no document shows the opposite",
            ));
        }
        return unknown(undecided);
    }
    Direction {
        answer: Answer::Incompatible,
        findings,
        undecided,
    }
}

/// A finding from what the validator says of a document.
fn refused(into: Part<'_>, document: Value, old: String, new: String, swapped: bool) -> Finding {
    let mut finding = Finding {
        rule: "document-refused",
        message: String::new(),
        old,
        new,
        instance: String::new(),
        counterexample: document,
    };
    if let Some(validator) = into.document.validator(into.pointer)
        && let Some(first) = validator
            .errors(&finding.counterexample, 1, |error| {
                let instance = error.instance().to_string();
                let place = error.schema_path().as_str();
                let message = sandbar_validator::message(error, &instance);
                (
                    message.chars().take(200).collect(),
                    error.instance_path().as_str().to_owned(),
                    place.strip_prefix("/$ref").unwrap_or(place).to_owned(),
                )
            })
            .listed
            .pop()
    {
        let place;
        (finding.message, finding.instance, place) = first;
        let side = if swapped {
            &mut finding.old
        } else {
            &mut finding.new
        };
        *side = place;
    }
    finding
}

fn instance(obstacle: &Obstacle) -> String {
    let mut path = Vec::new();
    let mut trail = obstacle.trail.clone();
    while let Some(one) = trail {
        path.push(match &one.step {
            Step::Property(name) => document::token(name).into_owned(),
            Step::Item(index) => index.to_string(),
        });
        trail = one.parent.clone();
    }
    path.iter().rev().map(|part| format!("/{part}")).collect()
}
