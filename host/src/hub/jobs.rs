//! Dead letters with what became of them, and the jobs that work them off or replay what is stored.

use std::{collections::HashMap, ops::ControlFlow, sync::Arc};

use sandbar_log::Log;
use sandbar_types::{Name, Offset, PartitionId};

use super::Hub;
use crate::{
    clock,
    deliver::{DeadLetterEntry, DeadLetterPage, Filter, Made, RedrivenEntry},
    jobs::{Job, OfferPlan, OfferRequest, RedrivePlan, RedriveRequest, ReplayPlan, ReplayRequest},
    problem::{Code, Problem},
};

/// How many frame heads are looked at in one go.
const HEADS: usize = 1024;

/// A dry run's answer, or the job that was begun.
#[derive(Debug)]
pub enum Begun<P> {
    Plan(P),
    Job(Box<Job>),
}

impl Hub {
    /// Up to `limit` dead letters that fit, of some `most` bytes, from offset `from` on; with `redriven` only
    /// those that were redriven, or were not. Blocks on the disk.
    ///
    /// # Errors
    /// When the log cannot be read.
    pub fn list_dead_letters(
        &self,
        filter: &Filter,
        redriven: Option<bool>,
        from: Offset,
        limit: usize,
        most: usize,
    ) -> Result<Made<DeadLetterPage>, Problem> {
        let wanted = |offset| {
            redriven.is_none_or(|redriven| self.jobs.redriven(offset).is_some() == redriven)
        };
        let reader = &self.reader;
        let mut made =
            reader.dead_letters(&self.dead_letters, filter, from, limit, most, wanted)?;
        if let Made::Fits(page) = &mut made {
            self.tell_outcomes(&mut page.dead_letters)?;
        }
        Ok(made)
    }

    /// The dead letter with this id, or at this offset. Blocks on the disk.
    ///
    /// # Errors
    /// `unknown-dead-letter`.
    pub fn dead_letter(&self, id: &str) -> Result<DeadLetterEntry, Problem> {
        let selection = crate::deliver::Selection {
            ids: vec![id.to_owned()],
            ..Default::default()
        };
        let filter = selection.checked(None)?;
        let from = id.parse().unwrap_or(0);
        let mut found = Vec::new();
        let visit = |offset, event: sandbar_types::EventRef<'_>, letter| {
            found.push(DeadLetterEntry::new(offset, event, letter));
            Ok(ControlFlow::Break(()))
        };
        self.reader
            .visit_dead_letters(&self.dead_letters, &filter, from, Offset::MAX, visit)?;
        self.tell_outcomes(&mut found)?;
        found.pop().ok_or_else(|| {
            let detail = format!("there is no dead letter {id:?}");
            Problem::new(Code::UnknownDeadLetter, detail)
        })
    }

    /// Says of those that were redriven what came of it.
    fn tell_outcomes(&self, letters: &mut [DeadLetterEntry]) -> Result<(), Problem> {
        let redriven: Vec<_> = (letters.iter_mut())
            .filter_map(|letter| Some((self.jobs.redriven(letter.offset)?, letter)))
            .collect();
        let Some(first) = redriven.first().map(|(_, letter)| letter.offset) else {
            return Ok(());
        };
        let came_back = self.came_back(first)?;
        for (by, entry) in redriven {
            let letter = &entry.letter;
            let source = PartitionId::new(letter.origin.topic.clone(), letter.origin.partition);
            let offset = letter.origin.offset;
            let owner = owner_of(
                letter.route.as_deref(),
                letter.subscription.as_deref(),
                &source,
            );
            let later = came_back.get(&(owner, offset)).into_iter().flatten();
            let dead_letter = later.copied().find(|later| *later > entry.offset);
            let outcome = match dead_letter {
                Some(_) => "dead-letter",
                None if self.is_waiting(letter, &source) => "waiting",
                None => "done",
            };
            entry.redriven = Some(RedrivenEntry {
                job: by.job.to_string(),
                at: clock::to_text(by.at),
                outcome: outcome.to_owned(),
                dead_letter,
            });
        }
        Ok(())
    }

    /// Of all letters from `first` on: where they are, by producer and source offset.
    fn came_back(&self, first: Offset) -> Result<HashMap<(String, Offset), Vec<Offset>>, Problem> {
        let mut found: HashMap<(String, Offset), Vec<Offset>> = HashMap::new();
        let mut from = first;
        loop {
            let heads = self.log.heads(&self.dead_letters, from, HEADS);
            let heads = heads.map_err(Problem::internal)?;
            let Some(last) = heads.last() else {
                return Ok(found);
            };
            from = last.base + u64::from(last.count);
            for head in &heads {
                let Some(provenance) = &head.provenance else {
                    continue;
                };
                for (index, (offset, _)) in provenance.origins.iter().enumerate() {
                    let place = (provenance.producer.clone(), *offset);
                    found
                        .entry(place)
                        .or_default()
                        .push(head.base + index as u64);
                }
            }
        }
    }

    fn is_waiting(&self, letter: &crate::dead_letter::DeadLetter, source: &PartitionId) -> bool {
        let offset = letter.origin.offset;
        let subscription = letter.subscription.as_deref();
        if let Some(name) = subscription.and_then(|name| Name::new(name).ok()) {
            let running = self.subscriptions.get(&name);
            return running.is_some_and(|one| one.waits(source, offset));
        }
        let Some(route) = letter
            .route
            .as_deref()
            .and_then(|name| Name::new(name).ok())
        else {
            return false;
        };
        let lanes = self.processor.lanes(&route);
        let lane = lanes.iter().find(|lane| lane.source == *source);
        lane.is_some_and(|lane| lane.snapshot.lines.contains(&offset))
    }

    /// Redrives dead letters, or tells what would be redriven.
    ///
    /// # Errors
    /// `invalid-document`, `too-many-jobs`.
    pub async fn redrive(
        self: &Arc<Self>,
        request: RedriveRequest,
        by: String,
    ) -> Result<Begun<RedrivePlan>, Problem> {
        self.blocking(move |hub| {
            if request.dry_run {
                return hub.jobs.plan_redrive(&request).map(Begun::Plan);
            }
            let job = hub.jobs.redrive(request, by)?;
            Ok(Begun::Job(Box::new(job)))
        })
        .await
    }

    /// Replays a part of a route's source through it, or tells what that would do.
    ///
    /// # Errors
    /// `unknown-route`, `invalid-document`, `offset-trimmed`, `offset-past-tail`, `too-many-jobs`.
    pub async fn replay_route(
        self: &Arc<Self>,
        route: String,
        request: ReplayRequest,
        by: String,
    ) -> Result<Begun<ReplayPlan>, Problem> {
        if request.dry_run {
            let plan = self.jobs.plan_route_replay(route, request).await?;
            return Ok(Begun::Plan(plan));
        }
        self.blocking(move |hub| {
            let job = hub.jobs.replay_route(&route, &request, by)?;
            Ok(Begun::Job(Box::new(job)))
        })
        .await
    }

    /// Offers a part of a topic to one subscription once more, or tells what that would do.
    ///
    /// # Errors
    /// `unknown-subscription`, `invalid-document`, `offset-trimmed`, `offset-past-tail`,
    /// `too-many-jobs`.
    pub async fn replay_subscription(
        self: &Arc<Self>,
        subscription: String,
        request: OfferRequest,
        by: String,
    ) -> Result<Begun<OfferPlan>, Problem> {
        self.blocking(move |hub| {
            if request.dry_run {
                let plan = hub.jobs.plan_offer(&subscription, &request)?;
                return Ok(Begun::Plan(plan));
            }
            let job = hub.jobs.offer(&subscription, &request, by)?;
            Ok(Begun::Job(Box::new(job)))
        })
        .await
    }

    /// Copies a part of a topic into another one, or tells what that would do.
    ///
    /// # Errors
    /// `unknown-topic`, `invalid-document`, `offset-trimmed`, `offset-past-tail`, `too-many-jobs`.
    pub async fn replay_topic(
        self: &Arc<Self>,
        topic: String,
        request: ReplayRequest,
        by: String,
    ) -> Result<Begun<ReplayPlan>, Problem> {
        if request.dry_run {
            let plan = self.jobs.plan_topic_replay(topic, request).await?;
            return Ok(Begun::Plan(plan));
        }
        self.blocking(move |hub| {
            let job = hub.jobs.replay_topic(&topic, &request, by)?;
            Ok(Begun::Job(Box::new(job)))
        })
        .await
    }
}

/// The producer in the provenance of the dead letters of a route or subscription.
fn owner_of(route: Option<&str>, subscription: Option<&str>, source: &PartitionId) -> String {
    match (route, subscription) {
        (Some(route), _) => format!("route/{route}/{source}"),
        (None, name) => format!("subscription/{}/{source}", name.unwrap_or_default()),
    }
}
