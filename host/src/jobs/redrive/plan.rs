//! Which letters are redriven and which are left out, and why.

use std::{
    collections::{BTreeMap, BTreeSet, HashMap},
    ops::ControlFlow,
};

use sandbar_types::{EventRef, Name, Offset, PartitionId};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::{Letter, RedriveRequest, Redriving, To, WINDOW};
use crate::{
    dead_letter::DeadLetter,
    deliver::{DeadLetterEntry, Filter},
    jobs::{Shared, job::Progress},
    problem::{Code, Problem},
};

/// So many letters are shown.
const MOST_EXAMPLES: usize = 10;
/// So many keys are counted each, and told.
const MOST_KEYS: usize = 10_000;
const MOST_KEYS_TOLD: usize = 50;
/// Of a selection that nothing fits.
pub(super) const NOTHING: &str =
    "No dead letter fits the selection: GET /v1/dead-letters lists what there is.";
/// The keys past those.
const OTHER_KEYS: &str = "(other keys)";

/// Why a letter is left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LeftOut {
    AlreadyRedriven,
    TooOften,
    Gone,
    RouteGone,
    SubscriptionGone,
}

impl LeftOut {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::AlreadyRedriven => "already-redriven",
            Self::TooOften => "too-often",
            Self::Gone => "gone",
            Self::RouteGone => "route-gone",
            Self::SubscriptionGone => "subscription-gone",
        }
    }

    pub(super) fn advice(self) -> &'static str {
        match self {
            Self::AlreadyRedriven => {
                "already-redriven: each dead letter is redriven once; an event that came back has a newer one."
            }
            Self::TooOften => {
                "too-often: these events came back from max_redrives redrives. Mend what fails first, then raise max_redrives."
            }
            Self::Gone => {
                "gone: retention has deleted the event from its topic, or the topic was made anew. The dead letter has it: publish its 'event' again."
            }
            Self::RouteGone => {
                "route-gone: the route was deleted, or reads another topic now. Make it again under the same name, or publish the 'event' of the dead letter again."
            }
            Self::SubscriptionGone => {
                "subscription-gone: the subscription was deleted, or has the topic no more. Make it again under the same name."
            }
        }
    }
}

/// What a redrive would do.
#[derive(Debug, Default, Serialize, ToSchema)]
pub struct RedrivePlan {
    /// Dead letters that were selected.
    pub selected: u64,
    /// Of those, the ones that would be redriven.
    pub redrive: u64,
    /// The others, by why.
    pub left_out: BTreeMap<String, u64>,
    /// What to do about them.
    pub advice: Vec<String>,
    /// Those that would be redriven.
    pub by_cause: BTreeMap<String, u64>,
    pub by_route: BTreeMap<String, u64>,
    pub by_subscription: BTreeMap<String, u64>,
    /// The keys with the most.
    pub by_key: BTreeMap<String, u64>,
    /// The first that would be redriven.
    pub examples: Vec<DeadLetterEntry>,
}

/// Letters that are looked at together.
#[derive(Debug, Default)]
pub(super) struct Window {
    /// To be handed on in this order.
    pub letters: Vec<Letter>,
    pub left_out: BTreeMap<LeftOut, u64>,
    pub until: Offset,
}

impl Window {
    /// As many letters as `count`, or a few more: all letters of one event are handed on together, so
    /// that it is worked once.
    pub(super) fn whole_events(&self, count: usize) -> usize {
        let same =
            |a: &Letter, b: &Letter| (&a.to, &a.source, a.offset) == (&b.to, &b.source, b.offset);
        let more = self.letters[count - 1..].windows(2);
        count + more.take_while(|pair| same(&pair[0], &pair[1])).count()
    }

    pub(super) fn count_into(&self, progress: &mut Progress) {
        for (why, count) in &self.left_out {
            leave_out(progress, *why, *count);
        }
    }
}

/// Counts letters that are left out, with the advice.
pub(super) fn leave_out(progress: &mut Progress, why: LeftOut, count: u64) {
    *progress
        .left_out
        .entry(why.as_str().to_owned())
        .or_default() += count;
    if !progress.advice.iter().any(|known| known == why.advice()) {
        progress.advice.push(why.advice().to_owned());
    }
}

/// Looks through the letters at `work.at`.
pub(super) async fn window(shared: &Shared, work: &Redriving) -> Result<Window, String> {
    let (shared, work) = (shared.clone(), work.clone());
    let looked = tokio::task::spawn_blocking(move || {
        let until = work.window.unwrap_or(work.end);
        let filter = filter_of(&work.request)?;
        let mut window = Window::default();
        let mut judge = Judge::new(&shared, &work.request);
        let visit = |at, event: EventRef<'_>, letter: DeadLetter| {
            if window.letters.len() == WINDOW {
                return Ok(ControlFlow::Break(()));
            }
            match judge.judge(at, event, &letter)? {
                Ok(letter) => window.letters.push(letter),
                Err(why) => *window.left_out.entry(why).or_default() += 1,
            }
            Ok(ControlFlow::Continue(()))
        };
        let reader = &shared.reader;
        let reached =
            reader.visit_dead_letters(&shared.dead_letters, &filter, work.at, until, visit);
        // The ends of windows that were there before stay, so that nothing is counted twice.
        window.until = work.window.unwrap_or(reached?);
        window.letters.sort_unstable();
        Ok::<_, Problem>(window)
    });
    let looked = looked.await.map_err(|error| error.to_string())?;
    looked.map_err(|problem| problem.detail)
}

fn filter_of(request: &RedriveRequest) -> Result<Filter, Problem> {
    request.select.clone().checked(Some("/select"))
}

impl Shared {
    /// What a redrive would do now. Blocks on the disk.
    ///
    /// # Errors
    /// `invalid-document`, `unknown-dead-letter`, `unknown-route`, `unknown-subscription`.
    pub(in crate::jobs) fn plan_redrive(
        &self,
        request: &RedriveRequest,
    ) -> Result<RedrivePlan, Problem> {
        request.check()?;
        let filter = filter_of(request)?;
        let mut unknown: BTreeSet<&str> = request.select.ids.iter().map(String::as_str).collect();
        let mut plan = RedrivePlan::default();
        let mut advice = BTreeMap::new();
        let mut keys: HashMap<String, u64> = HashMap::new();
        let mut judge = Judge::new(self, request);
        let visit = |at: Offset, event: EventRef<'_>, letter: DeadLetter| {
            plan.selected += 1;
            if !unknown.is_empty() {
                unknown.remove(event.id);
                unknown.remove(at.to_string().as_str());
            }
            let judged = judge.judge(at, event, &letter)?;
            let taken = match judged {
                Ok(taken) => taken,
                Err(why) => {
                    *plan.left_out.entry(why.as_str().to_owned()).or_default() += 1;
                    advice.insert(why, why.advice().to_owned());
                    return Ok(ControlFlow::Continue(()));
                }
            };
            plan.redrive += 1;
            let cause = letter.cause.as_str().to_owned();
            *plan.by_cause.entry(cause).or_default() += 1;
            let (by, name) = match &taken.to {
                To::Route(name) => (&mut plan.by_route, name),
                To::Subscription(name) => (&mut plan.by_subscription, name),
            };
            *by.entry(name.to_string()).or_default() += 1;
            let known = keys.len() < MOST_KEYS || keys.contains_key(&taken.key);
            let key = if known { &taken.key } else { OTHER_KEYS };
            *keys.entry(key.to_owned()).or_default() += 1;
            if plan.examples.len() < MOST_EXAMPLES {
                plan.examples.push(DeadLetterEntry::new(at, event, letter));
            }
            Ok(ControlFlow::Continue(()))
        };
        let reader = &self.reader;
        reader.visit_dead_letters(&self.dead_letters, &filter, 0, Offset::MAX, visit)?;
        self.check_known(request, &unknown, plan.selected)?;
        plan.advice = advice.into_values().collect();
        if plan.selected == 0 {
            plan.advice.push(NOTHING.to_owned());
        }
        let mut keys: Vec<_> = keys.into_iter().collect();
        keys.sort_unstable_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let rest = keys.split_off(keys.len().min(MOST_KEYS_TOLD));
        plan.by_key = keys.into_iter().collect();
        let others: u64 = rest.iter().map(|(_, count)| count).sum();
        if others > 0 {
            *plan.by_key.entry(OTHER_KEYS.to_owned()).or_default() += others;
        }
        Ok(plan)
    }
}

impl Shared {
    /// Names that nothing has are mistakes; what was deleted since may have left letters.
    fn check_known(
        &self,
        request: &RedriveRequest,
        unknown: &BTreeSet<&str>,
        selected: u64,
    ) -> Result<(), Problem> {
        let select = &request.select;
        if let Some(first) = unknown.first() {
            // It may be there and not fit the rest of the selection.
            let detail = format!(
                "/select/ids: {} of {} fit no dead letter, first {first:?}",
                unknown.len(),
                select.ids.len()
            );
            return Err(Problem::new(Code::UnknownDeadLetter, detail));
        }
        if selected > 0 {
            return Ok(());
        }
        if let Some(name) = &select.subscription {
            self.catalog.subscription(name)?;
        }
        if let Some(name) = &select.route {
            self.catalog.route(name)?;
        }
        Ok(())
    }
}

/// Decides over letters.
struct Judge<'a> {
    shared: &'a Shared,
    max_redrives: u32,
    /// What the routes read now.
    routes: BTreeMap<Name, Name>,
}

/// What of the original event tells it from others.
#[derive(Deserialize)]
struct Identity {
    id: String,
    source: String,
}

impl<'a> Judge<'a> {
    fn new(shared: &'a Shared, request: &RedriveRequest) -> Self {
        let routes = shared.catalog.routes().into_iter();
        Self {
            shared,
            max_redrives: request.max_redrives,
            routes: routes
                .map(|(name, route)| (name, route.document.from))
                .collect(),
        }
    }

    fn judge(
        &mut self,
        at: Offset,
        event: EventRef<'_>,
        letter: &DeadLetter,
    ) -> Result<Result<Letter, LeftOut>, Problem> {
        if self.shared.redriven.by(at).is_some() {
            return Ok(Err(LeftOut::AlreadyRedriven));
        }
        let Some(to) = self.to(letter) else {
            return Ok(Err(if letter.subscription.is_some() {
                LeftOut::SubscriptionGone
            } else {
                LeftOut::RouteGone
            }));
        };
        if letter.redrives >= self.max_redrives {
            return Ok(Err(LeftOut::TooOften));
        }
        let origin = &letter.origin;
        let source = PartitionId::new(origin.topic.clone(), origin.partition);
        if !self.is_there(&source, letter)? {
            return Ok(Err(LeftOut::Gone));
        }
        Ok(Ok(Letter {
            to,
            source,
            offset: origin.offset,
            letter: at,
            key: event.key().into_owned(),
            redrives: letter.redrives + 1,
        }))
    }

    fn to(&self, letter: &DeadLetter) -> Option<To> {
        let topic = &letter.origin.topic;
        if let Some(subscription) = &letter.subscription {
            let name = self.shared.subscription(subscription, topic);
            return name.map(To::Subscription);
        }
        let route = letter.route.as_deref()?;
        let (name, from) = self.routes.get_key_value(route)?;
        (from == topic).then(|| To::Route(name.clone()))
    }

    /// Whether the original event still is where it was.
    fn is_there(&self, source: &PartitionId, letter: &DeadLetter) -> Result<bool, Problem> {
        let Some(event) = &letter.event else {
            return Ok(false);
        };
        let identity: Identity = serde_json::from_str(event.get()).map_err(Problem::internal)?;
        match self.shared.reader.event(source, letter.origin.offset) {
            Ok((batch, _)) => {
                let found = batch.get(0);
                Ok(found.id == identity.id && found.source == identity.source)
            }
            Err(problem) if matches!(problem.code, Code::UnknownEvent | Code::OffsetTrimmed) => {
                Ok(false)
            }
            Err(problem) => Err(problem),
        }
    }
}
